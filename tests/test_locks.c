/* SPDX-License-Identifier: MIT
 *
 * What threads share is under the heap's lock: a call that reads or changes it
 * waits while another thread has the lock.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "heap/heap.h"
#include "support/threads.h"

#include <strata/weak.h>

#include <stdatomic.h>
#include <time.h>

static struct {
    gc_mutator *mutator; /* of the thread that calls */
    void *object;
    gc_handle *handle;
    gc_weakref *weakref;
    gc_guardian *guardian;
    gc_finalizer_id finalizer;
    atomic_size_t done;
    struct barrier barrier;
} calling;

static void *slots[4];

static void no_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
}

static void ignore(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
}

/* ---- The calls ----------------------------------------------------------- */

static void root_add(gc_heap *heap)
{
    assert_int_equal(gc_root_add(heap, &slots[0]), GC_OK);
}

static void root_remove(gc_heap *heap)
{
    assert_int_equal(gc_root_remove(heap, &slots[0]), GC_OK);
}

static void range_add(gc_heap *heap)
{
    assert_int_equal(gc_root_range_add(heap, slots, 4, GC_EXACT), GC_OK);
}

static void range_remove(gc_heap *heap)
{
    assert_int_equal(gc_root_range_remove(heap, slots), GC_OK);
}

static void callback_add(gc_heap *heap)
{
    assert_int_equal(gc_root_callback_add(heap, no_roots, NULL, GC_EXACT), GC_OK);
}

static void callback_remove(gc_heap *heap)
{
    assert_int_equal(gc_root_callback_remove(heap, no_roots, NULL), GC_OK);
}

static void handle_create(gc_heap *heap)
{
    (void)heap;
    calling.handle = gc_handle_create(calling.mutator, calling.object);
    assert_non_null(calling.handle);
}

static void handle_destroy(gc_heap *heap)
{
    (void)heap;
    gc_handle_destroy(calling.mutator, calling.handle);
}

static void pin(gc_heap *heap)
{
    (void)heap;
    assert_int_equal(gc_pin(calling.mutator, calling.object), GC_OK);
}

static void unpin(gc_heap *heap)
{
    (void)heap;
    assert_int_equal(gc_unpin(calling.mutator, calling.object), GC_OK);
}

static void pin_once(gc_heap *heap)
{
    (void)heap;
    assert_int_equal(gc_pin_once(calling.mutator, calling.object), GC_OK);
}

static void hash(gc_heap *heap)
{
    uint64_t value;

    (void)heap;
    assert_int_equal(gc_hash(calling.mutator, calling.object, &value), GC_OK);
}

static void charge(gc_heap *heap)
{
    (void)heap;
    assert_int_equal(gc_external_adjust(calling.mutator, calling.object, 10), GC_OK);
}

static void weakref_create(gc_heap *heap)
{
    (void)heap;
    calling.weakref = gc_weakref_create(calling.mutator, calling.object, 0);
    assert_non_null(calling.weakref);
}

static void weakref_clear(gc_heap *heap)
{
    (void)heap;
    gc_weakref_clear(calling.mutator, calling.weakref);
}

static void finalizer_add(gc_heap *heap)
{
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = ignore};

    (void)heap;
    assert_int_equal(
        gc_finalizer_add(calling.mutator, calling.object, &finalizer, &calling.finalizer), GC_OK);
}

static void finalizer_cancel(gc_heap *heap)
{
    (void)heap;
    assert_int_equal(gc_finalizer_cancel(calling.mutator, calling.finalizer), GC_OK);
}

static void pending(gc_heap *heap)
{
    assert_int_equal(gc_finalizers_pending(heap), 0);
}

static void guardian_create(gc_heap *heap)
{
    (void)heap;
    calling.guardian = gc_guardian_create(calling.mutator);
    assert_non_null(calling.guardian);
}

static void guardian_add(gc_heap *heap)
{
    (void)heap;
    assert_int_equal(gc_guardian_add(calling.mutator, calling.guardian, calling.object), GC_OK);
}

static void guardian_next(gc_heap *heap)
{
    (void)heap;
    assert_null(gc_guardian_next(calling.mutator, calling.guardian));
}

static void guardian_destroy(gc_heap *heap)
{
    (void)heap;
    gc_guardian_destroy(calling.mutator, calling.guardian);
}

static void disable(gc_heap *heap)
{
    (void)heap;
    gc_disable(calling.mutator);
}

static void enable(gc_heap *heap)
{
    (void)heap;
    gc_enable(calling.mutator);
}

static void is_enabled(gc_heap *heap)
{
    assert_true(gc_is_enabled(heap));
}

static void threshold(gc_heap *heap)
{
    assert_int_equal(gc_threshold(heap, GC_YOUNG), MIB);
}

static void threshold_set(gc_heap *heap)
{
    assert_int_equal(gc_threshold_set(heap, GC_YOUNG, MIB), GC_OK);
}

static void count(gc_heap *heap)
{
    (void)gc_count(heap, GC_MIDDLE);
}

static void next_generation(gc_heap *heap)
{
    (void)gc_next_generation(heap, NULL, NULL);
}

static void last_reason(gc_heap *heap)
{
    assert_int_equal(gc_last_reason(heap), GC_REASON_NONE);
}

static void stats(gc_heap *heap)
{
    assert_int_equal(stats_of(heap).pinned_objects, 0);
}

static void limit_set(gc_heap *heap)
{
    assert_int_equal(gc_limit_set(heap, 0, 512 * MIB), GC_OK);
}

static void trim(gc_heap *heap)
{
    (void)heap;
    (void)gc_trim(calling.mutator);
}

static void large(gc_heap *heap)
{
    (void)heap;
    assert_non_null(gc_alloc_array(calling.mutator, &gc_type_bytes, 100000));
}

static void next_run(gc_heap *heap)
{
    struct node *node = gc_alloc(calling.mutator, &node_type);

    (void)heap;
    assert_non_null(node);
}

/* Each undoes what one before it did, or leaves nothing. */
static void (*const calls[])(gc_heap *heap) = {
    next_run,
    root_add,
    root_remove,
    range_add,
    range_remove,
    callback_add,
    callback_remove,
    handle_create,
    handle_destroy,
    pin,
    unpin,
    pin_once,
    hash,
    charge,
    weakref_create,
    weakref_clear,
    finalizer_add,
    pending,
    finalizer_cancel,
    guardian_create,
    guardian_add,
    guardian_next,
    guardian_destroy,
    disable,
    enable,
    is_enabled,
    threshold,
    threshold_set,
    count,
    next_generation,
    last_reason,
    stats,
    limit_set,
    trim,
    large,
};

/* ---- Waiting ------------------------------------------------------------- */

static void rest(long ms)
{
    struct timespec time = {0, ms * 1000000};

    (void)nanosleep(&time, NULL);
}

static void call_each(gc_heap *heap, size_t index, void *data)
{
    (void)index;
    (void)data;
    calling.mutator = attach(heap);
    meet(&calling.barrier);
    for (size_t i = 0; i < GC_COUNT(calls); i++) {
        meet(&calling.barrier);
        calls[i](heap);
        atomic_fetch_add(&calling.done, 1);
    }
    gc_mutator_detach(calling.mutator);
}

static void calls_wait_for_the_lock(void **state)
{
    struct world *world = make_shared("");
    struct threads threads;

    (void)state;
    world->root[0] = calling.object = make_node(world->mutator, 1);
    atomic_store(&calling.done, 0);
    make_barrier(&calling.barrier, 2);
    start_threads(&threads, world->heap, 1, call_each, NULL);
    meet_parked(&calling.barrier, world->mutator);
    for (size_t i = 0; i < GC_COUNT(calls); i++) {
        uint64_t start;

        while (atomic_load(&calling.done) < i)
            rest(1);
        gc_heap_lock(world->heap);
        meet(&calling.barrier);
        rest(10);
        if (atomic_load(&calling.done) != i)
            fail_msg("call %zu did not wait", i);
        gc_heap_unlock(world->heap);
        gc_park(world->mutator); /* the call may collect in a stress mode */
        for (start = now_ns(); atomic_load(&calling.done) == i; rest(1))
            assert_true(now_ns() - start < UINT64_C(60000000000));
        gc_unpark(world->mutator);
    }
    join_threads(&threads, world->mutator);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_wait_for_the_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
