/* SPDX-License-Identifier: MIT
 *
 * Fork. It is a stop that lasts until the child has dropped the threads that it
 * does not have. Heaps that fork prepares by itself are stopped one after
 * another, in the order of their list, under a lock of the process: so two
 * threads that fork do not wait for each other. Their locks are taken when all
 * are stopped: who waits for one, to attach say, may have to stop in another.
 * tests/model has the protocol.
 */
#include "heap/heap.h"
#include "os/os.h"
#include "thread/parking.h"

static struct gc_lock registry = {PTHREAD_MUTEX_INITIALIZER};
static gc_heap *followed;
static bool is_installed;     /* the handlers are */
static uintptr_t forking_now; /* the thread that holds `registry` for a fork; atomic */

/* ---- One heap ---- */

static struct gc_world *world_of(gc_heap *heap)
{
    return &heap->collector.world;
}

/* In a callback of a visit, or of a collection. */
static bool is_called_back(const gc_mutator *own)
{
    return own->visits != 0 || (own->aside != 0 && gc_world_is_mine(own->world));
}

/* Whether another thread may wait for the end of a visit or a collection, with what
 * the calling one is about to wait for. */
static bool is_waited_for(gc_heap *heap)
{
    return __atomic_load_n(&heap->is_followed, __ATOMIC_RELAXED) ||
           gc_world_has_others(world_of(heap));
}

/* `heap`: of which it is called, or NULL. */
static void check_callers(const gc_heap *heap, const char *function)
{
    for (const gc_mutator *own = gc_thread_mutators(); own != NULL; own = own->next_of_thread)
        if (is_called_back(own) && (own->heap == heap || is_waited_for(own->heap)))
            gc_misuse(function, gc_not_from_here);
}

static void hold(gc_heap *heap)
{
    gc_check_heap(heap, "gc_fork_prepare");
    gc_world_hold(world_of(heap));
    heap->is_prepared = true;
}

static void shut(gc_heap *heap)
{
    gc_world_shut(world_of(heap));
    gc_team_stop(&heap->collector.team); /* the next collection that needs it starts it */
}

void gc_fork_prepare(gc_heap *heap)
{
    check_callers(heap, "gc_fork_prepare");
    hold(heap);
    shut(heap);
}

static void check_prepared(const gc_heap *heap, const char *function)
{
    if (heap == NULL)
        gc_misuse(function, "the heap is NULL");
    if (!gc_world_is_mine(&heap->collector.world))
        gc_misuse(function, "there was no gc_fork_prepare");
    if (!heap->is_prepared) /* this thread collects */
        gc_misuse(function, gc_not_from_here);
}

void gc_fork_parent(gc_heap *heap)
{
    check_prepared(heap, "gc_fork_parent");
    heap->is_prepared = false;
    gc_world_let_go(world_of(heap));
}

static void drop_others(struct gc_world *world)
{
    gc_mutator *mutator = world->mutators;

    while (mutator != NULL) {
        gc_mutator *next = mutator->next;

        if (mutator->thread != gc_os_thread())
            gc_heap_drop_mutator(mutator);
        mutator = next;
    }
}

static void go_on_in_child(gc_heap *heap)
{
    if (!gc_world_recreate(world_of(heap)))
        gc_misuse("gc_fork_child", "the system has no lock for the heap");
    drop_others(world_of(heap));
    heap->is_prepared = false;
    gc_world_let_go(world_of(heap));
}

void gc_fork_child(gc_heap *heap)
{
    check_prepared(heap, "gc_fork_child");
    GC_LOCK_IS_GIVEN(&world_of(heap)->lock.mutex);
    go_on_in_child(heap);
}

/* ---- All that are followed ---- */

static void take_registry(void *data)
{
    (void)data;
    gc_lock_take(&registry);
}

/* Whoever holds it may be waiting for this thread to stop; or is this thread, in a
 * handler of the program's that runs within ours. */
static void lock_registry(const gc_heap *heap, const char *function)
{
    check_callers(heap, function);
    if (__atomic_load_n(&forking_now, __ATOMIC_RELAXED) == gc_os_thread())
        gc_misuse(function, "called while fork has the heaps prepared");
    gc_inside++;
    gc_thread_call_parked(take_registry, NULL);
}

static void unlock_registry(void)
{
    gc_lock_give(&registry);
    gc_inside--;
}

static void prepare_all(void)
{
    lock_registry(NULL, "fork");
    __atomic_store_n(&forking_now, gc_os_thread(), __ATOMIC_RELAXED);
    for (gc_heap *heap = followed; heap != NULL; heap = heap->next_followed)
        hold(heap);
    for (gc_heap *heap = followed; heap != NULL; heap = heap->next_followed)
        shut(heap);
}

static void release_all(void)
{
    for (gc_heap *heap = followed; heap != NULL; heap = heap->next_followed)
        gc_fork_parent(heap);
    __atomic_store_n(&forking_now, 0, __ATOMIC_RELAXED);
    unlock_registry();
}

/* helgrind is told of all locks before one is taken anew: their order is another. */
static void release_all_in_child(void)
{
    for (gc_heap *heap = followed; heap != NULL; heap = heap->next_followed)
        GC_LOCK_IS_GIVEN(&world_of(heap)->lock.mutex);
    for (gc_heap *heap = followed; heap != NULL; heap = heap->next_followed)
        go_on_in_child(heap);
    GC_LOCK_IS_GIVEN(&registry.mutex);
    if (!gc_lock_create(&registry))
        gc_misuse("gc_fork_child", "the system has no lock for the heaps");
    __atomic_store_n(&forking_now, 0, __ATOMIC_RELAXED);
    gc_inside--;
}

gc_status gc_fork_follow(gc_heap *heap)
{
    gc_status status;

    gc_check_heap(heap, "gc_fork_follow");
    lock_registry(heap, "gc_fork_follow");
    is_installed = is_installed || gc_os_at_fork(prepare_all, release_all, release_all_in_child);
    if (is_installed && !heap->is_followed) {
        __atomic_store_n(&heap->is_followed, true, __ATOMIC_RELAXED);
        heap->next_followed = followed;
        followed = heap;
    }
    status = is_installed ? GC_OK : GC_NO_MEMORY;
    unlock_registry();
    return status;
}

void gc_heap_unfollow(gc_heap *heap)
{
    gc_heap **link = &followed;

    if (!heap->is_followed)
        return;
    lock_registry(heap, "gc_heap_destroy");
    while (*link != heap)
        link = &(*link)->next_followed;
    *link = heap->next_followed;
    unlock_registry();
}
