/* SPDX-License-Identifier: MIT
 *
 * Threads that end where another may be looking at what they leave: in a parked
 * call, or in a callback.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "support/doomed.h"
#include "support/threads.h"

#include <string.h>
#include <time.h>

static bool is_set(const bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag)
{
    __atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static void wait_a_little(void)
{
    const struct timespec moment = {.tv_nsec = 50000000};

    (void)nanosleep(&moment, NULL);
}

static void *end_here(void *data)
{
    (void)data;
    pthread_exit(NULL);
}

/* ---- Frames ------------------------------------------------------------- */

static NOINLINE void end_with_a_frame(gc_mutator *mutator)
{
    struct node *node = NULL;

    GC_FRAME(mutator, frame, &node);
    node = make_node(mutator, 1);
    gc_call_parked(mutator, end_here, NULL);
    gc_frame_pop(mutator, &frame);
}

/* Where the frame was. */
static NOINLINE void overwrite_stack(bool *is_overwritten)
{
    char garbage[16 * KIB];

    memset(garbage, 0x5a, sizeof garbage);
    __asm__ volatile("" : : "r"(garbage) : "memory");
    set(is_overwritten);
    wait_a_little();
}

static void clean_up(void *data)
{
    overwrite_stack(data);
}

static void end_below_a_handler(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    pthread_cleanup_push(clean_up, data);
    end_with_a_frame(mutator);
    pthread_cleanup_pop(0);
}

/* A thread that ended in a parked call was parked still while the handlers of its
 * callers ran, where its frames had been. */
static void frames_of_a_thread_that_ends_in_a_parked_call_are_not_read(void **state)
{
    struct world *world = make_shared(NULL);
    bool is_overwritten = false;
    struct threads threads;

    (void)state;
    start_threads(&threads, world->heap, 1, end_below_a_handler, &is_overwritten);
    while (!is_set(&is_overwritten))
        gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(stats_of(world->heap).lost_threads, 1);
    join_threads(&threads, world->mutator);
    world_free(world);
}

/* ---- Visits ------------------------------------------------------------- */

struct ending {
    bool is_parked;
    bool shall_end;
    gc_heap *heap;
    uint64_t lost; /* as the visit saw it */
};

static void *end_when_asked(void *data)
{
    struct ending *ending = data;

    set(&ending->is_parked);
    while (!is_set(&ending->shall_end))
        wait_a_little();
    pthread_exit(NULL);
}

static void park_till_the_end(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)make_node(mutator, 2);
    gc_call_parked(mutator, end_when_asked, data);
}

static void park_and_end(gc_heap *heap, size_t index, void *data)
{
    struct ending *ending = data;
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)make_node(mutator, 1);
    gc_park(mutator);
    set(&ending->is_parked);
    while (!is_set(&ending->shall_end))
        wait_a_little();
}

static void let_the_thread_end(void *object, void *data)
{
    struct ending *ending = data;

    (void)object;
    if (is_set(&ending->shall_end))
        return;
    set(&ending->shall_end);
    wait_a_little();
    wait_a_little();
    wait_a_little();
    ending->lost = stats_of(ending->heap).lost_threads;
}

/* A parked thread that ended gave its run away while another visited the heap. */
static void expect_that_a_visit_is_over_first(thread_fn *act)
{
    struct world *world = make_shared(NULL);
    struct ending ending = {.heap = world->heap};
    struct threads threads;

    world->root[0] = make_node(world->mutator, 1); /* to be visited */
    start_threads(&threads, world->heap, 1, act, &ending);
    while (!is_set(&ending.is_parked))
        gc_safepoint(world->mutator);
    gc_heap_visit(world->mutator, let_the_thread_end, &ending);
    assert_true(ending.shall_end);
    assert_int_equal(ending.lost, 0);
    join_threads(&threads, world->mutator);
    assert_int_equal(stats_of(world->heap).lost_threads, 1);
    world_free(world);
}

static void a_thread_in_a_parked_call_leaves_after_a_visit(void **state)
{
    (void)state;
    expect_that_a_visit_is_over_first(park_till_the_end);
}

static void a_parked_thread_leaves_after_a_visit(void **state)
{
    (void)state;
    expect_that_a_visit_is_over_first(park_and_end);
}

/* ---- Callbacks ---------------------------------------------------------- */

static void end_in_a_visit(void *object, void *data)
{
    (void)object;
    (void)data;
    pthread_exit(NULL);
}

static void visit_and_end(void)
{
    make_doomed();
    (void)make_node(doomed->mutator, 1);
    gc_heap_visit(doomed->mutator, end_in_a_visit, NULL);
}

/* All others would have waited for ever. */
static void a_thread_does_not_end_in_a_visit(void **state)
{
    (void)state;
    expect_misuse(visit_and_end, "pthread_exit", "called from a callback that may not call it");
}

static void end_in_a_root_callback(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
    pthread_exit(NULL);
}

static void collect_and_end(void)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, end_in_a_root_callback, NULL, GC_EXACT);
    gc_collect(doomed->mutator, GC_YOUNG, NULL);
}

static void a_thread_does_not_end_in_a_root_callback(void **state)
{
    (void)state;
    expect_misuse(collect_and_end, "pthread_exit", "called from a callback that may not call it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_a_thread_that_ends_in_a_parked_call_are_not_read),
        cmocka_unit_test(a_thread_in_a_parked_call_leaves_after_a_visit),
        cmocka_unit_test(a_parked_thread_leaves_after_a_visit),
        cmocka_unit_test(a_thread_does_not_end_in_a_visit),
        cmocka_unit_test(a_thread_does_not_end_in_a_root_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
