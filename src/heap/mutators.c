/* SPDX-License-Identifier: MIT
 *
 * Threads that come to a heap, go from it, and leave it alone for a while.
 */
#include "heap/heap.h"
#include "os/os.h"
#include "thread/parking.h"

#include <stdio.h>

/* One that was detached, or a new one. Either is zero but for its heap. */
static gc_mutator *take_mutator(gc_heap *heap)
{
    gc_mutator *mutator;

    gc_heap_lock(heap);
    mutator = heap->detached;
    if (mutator != NULL)
        heap->detached = mutator->next;
    gc_heap_unlock(heap);
    return mutator != NULL ? mutator : gc_os.allocate(sizeof *mutator);
}

/* The lock is held. */
static void give_mutator(gc_heap *heap, gc_mutator *mutator)
{
    *mutator = (gc_mutator){.heap = heap, .next = heap->detached};
    heap->detached = mutator;
}

static void empty(gc_mutator *mutator)
{
    struct gc_collector *collector = &mutator->heap->collector;

    gc_flush_log(collector, mutator);
    gc_mutator_give_run(mutator, &collector->spaces, &collector->idle_run);
    if (mutator->coroutine != NULL) /* the thread ended on it */
        __atomic_store_n(&mutator->coroutine->on, NULL, __ATOMIC_RELAXED);
}

/* A thread that comes back, or comes for a moment, does not waste a run, and
 * one that uses what it gave up is told so. The lock is held. */
static void let_go(gc_mutator *mutator)
{
    empty(mutator);
    gc_world_leave(mutator);
    give_mutator(mutator->heap, mutator);
}

/* The thread has ended; its frames are gone. Whoever visits the heap looks at what
 * it leaves without the lock. */
void gc_heap_clean_up(gc_mutator *mutator)
{
    gc_heap *heap = mutator->heap;

    if (mutator->visits != 0 || gc_world_is_mine(mutator->world))
        gc_misuse("pthread_exit", gc_not_from_here);
    if (gc_mutator_is_parked(mutator))
        gc_mutator_unpark(mutator);
    gc_heap_lock(heap);
    heap->collector.world.lost++;
    let_go(mutator);
    gc_heap_unlock(heap);
}

/* What its thread, which stayed in the parent, wrote last was in no order with this. */
void gc_heap_drop_mutator(gc_mutator *mutator)
{
    GC_CHECK_ANEW(mutator, sizeof *mutator);
    empty(mutator);
    gc_world_drop(mutator);
    give_mutator(mutator->heap, mutator);
}

gc_status gc_mutator_attach(gc_heap *heap, gc_mutator **mutator)
{
    struct gc_collector *collector;
    gc_mutator *made;
    bool joined;

    gc_check_heap(heap, "gc_mutator_attach");
    collector = &heap->collector;
    if (gc_world_own(&collector->world) != NULL)
        return GC_BUSY;
    made = take_mutator(heap);
    if (made == NULL)
        return GC_NO_MEMORY;
    made->heap = heap;
    made->thread = gc_os_thread();
    made->stack_base = made->home_base = gc_os_stack_base();
    if (heap->options.watchdog_ms != 0)
        gc_os_thread_name(made->name);
    joined = gc_world_join(&collector->world, made);
    if (joined) {
        made->fast.calm = collector->calm;
        gc_mutator_take_run(made, &collector->idle_run);
        gc_heap_watch_for_finalizers(heap); /* who was to run them may have gone */
        gc_heap_watch_for_charges(heap);
        if (collector->stress & GC_STRESS_COLLECT)
            gc_mutator_watch(made, GC_WATCH_STRESS);
        if (collector->tables.seals != NULL)
            gc_mutator_watch(made, GC_WATCH_SEAL);
        *mutator = made;
    } else {
        give_mutator(heap, made);
    }
    gc_heap_unlock(heap);
    return joined ? GC_OK : GC_NO_MEMORY;
}

void gc_mutator_detach(gc_mutator *mutator)
{
    gc_heap *heap;

    gc_check_may_end(mutator, "gc_mutator_detach");
    if (mutator->fast.frames != NULL)
        gc_misuse("gc_mutator_detach", "frames are still pushed");
    if (mutator->coroutine != NULL)
        gc_misuse("gc_mutator_detach", "the thread is on a coroutine's stack");
    if (mutator->draining != 0)
        gc_misuse("gc_mutator_detach", "called from a finalizer, or one was left by longjmp");
    heap = mutator->heap;
    gc_heap_lock(heap);
    let_go(mutator);
    gc_heap_unlock(heap);
}

/* ---- Late threads ---- */

static void name_late(struct gc_world *world, const gc_mutator *mutator, uint64_t waited_ns)
{
    const gc_options *options = &mutator->heap->options;
    uint64_t waited_ms = waited_ns / 1000000;

    (void)world;
    fprintf(stderr, "strata: thread %s has not reached a safepoint for %llu ms\n", mutator->name,
            (unsigned long long)waited_ms);
    if (options->watchdog != NULL)
        options->watchdog(mutator->name, waited_ms, options->watchdog_data);
}

void gc_heap_set_watchdog(gc_heap *heap)
{
    heap->collector.world.watchdog_ns = (uint64_t)heap->options.watchdog_ms * 1000000;
    heap->collector.world.late = name_late;
}

bool gc_is_inside(void)
{
    return gc_inside != 0;
}

/* ---- Parking ---- */

struct parked_call {
    void *(*act)(void *data);
    void *data;
    void *result;
};

static void call(void *data)
{
    struct parked_call *parked = data;

    parked->result = parked->act(parked->data);
}

void *gc_call_parked(gc_mutator *mutator, void *(*act)(void *data), void *data)
{
    struct parked_call parked = {act, data, NULL};

    gc_check_may_collect(mutator, "gc_call_parked");
    gc_mutator_call_parked(mutator, call, &parked);
    return parked.result;
}

static void check_exact(const gc_mutator *mutator, const char *function)
{
    if (mutator->heap->options.stacks != GC_STACKS_EXACT)
        gc_misuse(function, "the heap scans stacks; see gc_call_parked");
}

void gc_park(gc_mutator *mutator)
{
    gc_check_may_collect(mutator, "gc_park");
    check_exact(mutator, "gc_park");
    gc_mutator_park(mutator);
}

void gc_unpark(gc_mutator *mutator)
{
    if (mutator == NULL)
        gc_misuse("gc_unpark", "the mutator is NULL");
    if (mutator->thread != gc_os_thread())
        gc_misuse("gc_unpark", "this mutator belongs to another thread, or is detached");
    gc_check_heap(mutator->heap, "gc_unpark");
    check_exact(mutator, "gc_unpark");
    if (!gc_mutator_is_parked(mutator) || mutator->aside)
        gc_misuse("gc_unpark", "there was no gc_park");
    gc_mutator_unpark(mutator);
}

gc_heap *gc_mutator_heap(const gc_mutator *mutator)
{
    return mutator->heap;
}
