/* SPDX-License-Identifier: MIT
 *
 * Waits within waits: what a visit calls may wait for other threads. And threads
 * that are cancelled while they have stopped a heap: they go on until they have let
 * go of it.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "heap/heap.h"
#include "support/threads.h"
#include "thread/parking.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- Forks -------------------------------------------------------------- */

static bool inside_at_fork;

static void note_inside(void)
{
    inside_at_fork = gc_is_inside();
}

/* Its handler comes after ours, for it is registered first. No heap is followed any
 * more, so of all locks only that of their list is held. */
static void a_thread_that_forks_is_inside(void **state)
{
    struct world *world = make_shared(NULL);
    int status = -1;
    pid_t pid;

    (void)state;
    assert_int_equal(pthread_atfork(note_inside, NULL, NULL), 0);
    assert_int_equal(gc_fork_follow(world->heap), GC_OK);
    world_end(world);
    inside_at_fork = false;
    pid = fork();
    if (pid == 0)
        _exit(gc_is_inside() ? 1 : 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(inside_at_fork);
    assert_false(gc_is_inside());
}

/* ---- In a visit --------------------------------------------------------- */

struct visit {
    struct world *world;
    struct world *other;
    unsigned calls;
    bool was_parked; /* in the other heap, all the time */
};

static void note_parked(struct visit *visit)
{
    visit->was_parked = visit->was_parked && gc_mutator_is_parked(visit->other->mutator) &&
                        !gc_mutator_is_parked(visit->world->mutator);
    visit->calls++;
}

static void fork_there(void *object, void *data)
{
    struct visit *visit = data;
    int status = -1;
    pid_t pid = fork();

    (void)object;
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    note_parked(visit);
}

/* The wait in it unparked the thread for good: it was parked again when the visit
 * was over, and nobody knew that. (The heap is not one that fork prepares.) */
static void a_visit_may_fork(void **state)
{
    struct visit visit = {make_shared(NULL), make_shared(NULL), 0, true};

    (void)state;
    assert_int_equal(gc_fork_follow(visit.other->heap), GC_OK);
    visit.world->root[0] = build_list(visit.world->mutator, 3);
    gc_heap_visit(visit.world->mutator, fork_there, &visit);
    assert_true(visit.calls >= 3);
    assert_true(visit.was_parked);
    assert_false(gc_mutator_is_parked(visit.world->mutator));
    assert_false(gc_mutator_is_parked(visit.other->mutator));
    assert_non_null(gc_alloc(visit.world->mutator, &node_type));
    gc_collect(visit.other->mutator, GC_OLD, NULL);
    world_end(visit.other);
    world_end(visit.world);
}

/* ---- Cancelled ---------------------------------------------------------- */

enum { MOST_SECONDS = 120 }; /* then the program ends: some lock was not given */

static void prepare_when_cancelled(gc_heap *heap, size_t index, void *data)
{
    (void)index;
    (void)pthread_cancel(pthread_self());
    gc_fork_prepare(heap);
    gc_fork_parent(heap);
    *(bool *)data = true;
    pthread_testcancel();
}

/* It ends the team's threads, and waits for them. */
static void a_fork_is_not_cancelled_half_way(void **state)
{
    struct world *world = make_shared("workers=2,stress=prefetch");
    bool came_back = false;

    (void)state;
    (void)alarm(MOST_SECONDS);
    world->root[0] = build_list(world->mutator, 1000);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(world->heap->collector.team.helpers, 1);
    run_threads(world, 1, prepare_when_cancelled, &came_back);
    assert_true(came_back);
    gc_collect(world->mutator, GC_OLD, NULL);
    world_end(world);
    (void)alarm(0);
}

static unsigned lates;

static void be_told(const char *name, uint64_t waited_ms, void *data)
{
    (void)name;
    (void)waited_ms;
    (void)data;
    pthread_testcancel();
    __atomic_add_fetch(&lates, 1, __ATOMIC_RELAXED);
}

static void collect_when_cancelled(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)pthread_cancel(pthread_self());
    gc_collect(mutator, GC_YOUNG, NULL);
    gc_mutator_detach(mutator);
    *(bool *)data = true;
    pthread_testcancel();
}

static void a_watchdog_does_not_end_who_stops_the_heap(void **state)
{
    gc_options options = plain_options(MIB);
    struct timespec nap = {.tv_nsec = 10000000};
    struct threads threads;
    struct world *world;
    bool came_back = false;

    (void)state;
    (void)alarm(MOST_SECONDS);
    options.watchdog_ms = 20;
    options.watchdog = be_told;
    world = world_make(&options);
    start_threads(&threads, world->heap, 1, collect_when_cancelled, &came_back);
    while (__atomic_load_n(&lates, __ATOMIC_RELAXED) == 0)
        (void)nanosleep(&nap, NULL);
    gc_safepoint(world->mutator);
    join_threads(&threads, world->mutator);
    assert_true(came_back);
    world_end(world);
    (void)alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_forks_is_inside), /* first: before any heap is followed */
        cmocka_unit_test(a_visit_may_fork),
        cmocka_unit_test(a_fork_is_not_cancelled_half_way),
        cmocka_unit_test(a_watchdog_does_not_end_who_stops_the_heap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
