/* SPDX-License-Identifier: MIT
 *
 * Threads that leave the heap alone for a while, threads in two heaps, and
 * threads that are late.
 */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): a timer for one thread */

#include "support/threads.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- Parked calls ------------------------------------------------------- */

static void *two_barriers[2];

static void *wait_between(void *data)
{
    (void)data;
    meet(two_barriers[0]);
    meet(two_barriers[1]);
    return two_barriers;
}

static void park_between(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *list = build_list(mutator, 100 + index);

    (void)data;
    assert_ptr_equal(gc_call_parked(mutator, wait_between, NULL), two_barriers);
    assert_true(is_intact_list(list, 100 + index));
    assert_non_null(gc_alloc(mutator, &node_type));
    gc_mutator_detach(mutator);
}

/* The list of a thread that blocks is kept by its stack, and does not move. */
static void collections_do_not_wait_for_a_parked_call(void **state)
{
    struct world *world = make_shared("stacks=ambiguous,stress=evacuate-all");
    struct barrier parked, done;
    struct threads threads;

    (void)state;
    make_barrier(&parked, 5);
    make_barrier(&done, 5);
    two_barriers[0] = &parked;
    two_barriers[1] = &done;
    start_threads(&threads, world->heap, 4, park_between, NULL);
    meet_parked(&parked, world->mutator);
    for (unsigned i = 0; i < 6; i++)
        gc_collect(world->mutator, i % 3, NULL);
    meet(&done);
    join_threads(&threads, world->mutator);
    world_free(world);
}

static void park_and_unpark(gc_heap *heap, size_t index, void *data)
{
    size_t rounds = *(size_t *)data;
    gc_mutator *mutator = attach(heap);
    struct node *list = NULL;

    GC_FRAME(mutator, frame, &list);
    list = build_list(mutator, 50);
    for (size_t i = 0; i < rounds; i++) {
        gc_park(mutator);
        gc_unpark(mutator);
        if (i % 64 == index)
            gc_collect(mutator, GC_YOUNG, NULL);
        assert_int_equal(list->value, 0);
    }
    assert_true(is_intact_list(list, 50));
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_park_while_others_collect(void **state)
{
    size_t rounds = scaled(20000);
    struct world *world = make_shared("stress=evacuate-all");

    (void)state;
    run_threads(world, 4, park_and_unpark, &rounds);
    assert_true(collections_of(world->heap) > rounds / 64);
    world_free(world);
}

/* ---- Two heaps ---------------------------------------------------------- */

struct two_heaps {
    struct world *worlds[2];
    size_t rounds;
};

/* In both heaps at once, each round collecting one and using the other. */
static void use_both(gc_heap *heap, size_t index, void *data)
{
    struct two_heaps *two = data;
    gc_mutator *mutators[2] = {attach(two->worlds[0]->heap), attach(two->worlds[1]->heap)};
    struct node *lists[2] = {NULL, NULL};

    (void)heap;
    GC_FRAME(mutators[0], first, &lists[0]);
    GC_FRAME(mutators[1], second, &lists[1]);
    for (size_t i = 0; i < two->rounds; i++) {
        size_t which = (i + index) % 2;

        lists[which] = build_list(mutators[which], 20);
        if (i % 5 == index)
            gc_collect(mutators[1 - which], (unsigned)(i % 3), NULL);
        make_garbage(mutators[which], KIB);
        if (lists[1 - which] != NULL)
            assert_true(is_intact_list(lists[1 - which], 20));
    }
    gc_frame_pop(mutators[1], &second);
    gc_frame_pop(mutators[0], &first);
    gc_mutator_detach(mutators[1]);
    gc_mutator_detach(mutators[0]);
}

static void *join_parked_in_one(void *data)
{
    void **both = data;

    join_threads(both[0], ((struct two_heaps *)both[1])->worlds[1]->mutator);
    return NULL;
}

static void two_heaps_do_not_wait_for_each_other(void **state)
{
    struct two_heaps two = {.rounds = scaled(4000)};
    struct threads threads;
    void *both[2] = {&threads, &two};

    (void)state;
    two.worlds[0] = make_shared("stress=evacuate-all");
    two.worlds[1] = make_shared(NULL);
    start_threads(&threads, NULL, 4, use_both, &two);
    gc_call_parked(two.worlds[0]->mutator, join_parked_in_one, both);
    assert_true(collections_of(two.worlds[0]->heap) >= two.rounds / 5);
    assert_true(collections_of(two.worlds[1]->heap) >= two.rounds / 5);
    world_free(two.worlds[0]);
    world_free(two.worlds[1]);
}

static void *collect_other(void *data)
{
    struct world *other = data;

    other->root[0] = build_list(other->mutator, 1000);
    gc_collect(other->mutator, GC_OLD, NULL);
    return NULL;
}

static void another_heap_may_be_used_in_a_parked_call(void **state)
{
    struct world *world = make_shared(NULL), *other = make_shared(NULL);

    (void)state;
    gc_call_parked(world->mutator, collect_other, other);
    assert_true(is_intact_list(other->root[0], 1000));
    world_free(other);
    world_free(world);
}

/* ---- Late threads ------------------------------------------------------- */

struct late {
    unsigned calls;
    uint64_t waited_ms;
    char name[64];
    struct barrier started;
};

static void note_late(const char *name, uint64_t waited_ms, void *data)
{
    struct late *late = data;

    late->calls++;
    late->waited_ms = waited_ms;
    (void)strncpy(late->name, name, sizeof late->name - 1);
    (void)fprintf(stderr, "(as the test has it)\n");
}

static void compute(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct late *late = data;
    struct timespec nap = {.tv_nsec = 300000000};

    (void)index;
    meet(&late->started);
    (void)nanosleep(&nap, NULL);
    gc_safepoint(mutator);
    gc_mutator_detach(mutator);
}

/* A world whose watchdog says after 20 ms that a thread keeps it waiting, and one
 * that does so for 300 ms. */
static struct world *wait_for_a_late_thread(struct late *late, gc_watchdog_fn *watchdog)
{
    gc_options options = plain_options(MIB);
    struct threads threads;
    struct world *world;

    options.watchdog_ms = 20;
    options.watchdog = watchdog;
    options.watchdog_data = late;
    world = world_make(&options);
    make_barrier(&late->started, 2);
    start_threads(&threads, world->heap, 1, compute, late);
    meet_parked(&late->started, world->mutator);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    join_threads(&threads, world->mutator);
    return world;
}

/* Without a callback, the message is all. */
static void a_late_thread_holds_nobody_up(void **state)
{
    struct late late = {.calls = 0};
    struct world *world = wait_for_a_late_thread(&late, NULL);

    (void)state;
    assert_int_equal(late.calls, 0);
    assert_int_equal(stats_of(world->heap).stops, 1);
    world_free(world);
}

static void a_late_thread_is_named(void **state)
{
    struct late late = {.calls = 0};
    struct world *world = wait_for_a_late_thread(&late, note_late);

    (void)state;
    assert_int_equal(late.calls, 1);
    assert_true(late.waited_ms >= 20 && late.waited_ms < 10000);
    if (getenv("STRATA_UNDER_VALGRIND") == NULL) /* else the process is valgrind's */
        assert_non_null(strstr(late.name, "(test_parked)"));
    assert_true(stats_of(world->heap).stop_max_ns >= 100000000);
    world_free(world);
}

/* ---- Signals ------------------------------------------------------------ */

static unsigned ticks, ticks_inside;

static void on_tick(int signal)
{
    (void)signal;
    __atomic_fetch_add(&ticks, 1, __ATOMIC_RELAXED);
    if (gc_is_inside())
        __atomic_fetch_add(&ticks_inside, 1, __ATOMIC_RELAXED);
}

static void root_inside(gc_tracer *tracer, void *data)
{
    (void)tracer;
    *(bool *)data = gc_is_inside();
}

static void a_thread_knows_that_it_is_inside(void **state)
{
    struct world *world = make_shared(NULL);
    bool inside = false;

    (void)state;
    assert_int_equal(gc_root_callback_add(world->heap, root_inside, &inside, GC_EXACT), GC_OK);
    assert_false(gc_is_inside());
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_true(inside);
    assert_false(gc_is_inside());
    assert_int_equal(gc_root_callback_remove(world->heap, root_inside, &inside), GC_OK);
    world_free(world);
}

/* A timer of its own for each thread. */
static void work_with_a_timer(gc_heap *heap, size_t index, void *data)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec each_ms = {{0, 1000000}, {0, 1000000}};
    gc_mutator *mutator = attach(heap);
    struct node *list = NULL;
    timer_t timer;

    (void)data;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &each_ms, NULL), 0);
    GC_FRAME(mutator, frame, &list);
    for (size_t i = 0; __atomic_load_n(&ticks, __ATOMIC_RELAXED) < 300; i++) {
        list = build_list(mutator, 200 + index);
        if (i % 8 == index)
            gc_collect(mutator, (unsigned)(i % 3), NULL);
        assert_true(is_intact_list(list, 200 + index));
    }
    gc_frame_pop(mutator, &frame);
    assert_int_equal(timer_delete(timer), 0);
    gc_mutator_detach(mutator);
}

static void a_timer_at_1_khz_harms_nothing(void **state)
{
    struct sigaction action = {.sa_handler = on_tick}, before;
    struct world *world = make_shared("stress=evacuate-all");

    (void)state;
    ticks = ticks_inside = 0;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    run_threads(world, 4, work_with_a_timer, NULL);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    assert_true(ticks >= 300);
    assert_true(ticks_inside > 0 && ticks_inside <= ticks);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collections_do_not_wait_for_a_parked_call),
        cmocka_unit_test(threads_park_while_others_collect),
        cmocka_unit_test(two_heaps_do_not_wait_for_each_other),
        cmocka_unit_test(another_heap_may_be_used_in_a_parked_call),
        cmocka_unit_test(a_late_thread_is_named),
        cmocka_unit_test(a_late_thread_holds_nobody_up),
        cmocka_unit_test(a_thread_knows_that_it_is_inside),
        cmocka_unit_test(a_timer_at_1_khz_harms_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
