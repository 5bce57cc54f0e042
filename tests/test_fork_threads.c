/* SPDX-License-Identifier: MIT
 *
 * Fork beside other threads: the child has the heap without them, whole, and goes on.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "support/forked.h"
#include "support/threads.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <strata/fork.h>
#include <time.h>
#include <unistd.h>

static atomic_bool is_added;
static void *added;

static void add_root(gc_heap *heap, size_t index, void *data)
{
    (void)index;
    (void)data;
    assert_int_equal(gc_root_add(heap, &added), GC_OK);
    atomic_store(&is_added, true);
}

/* A child would have half of what another thread was about to change. */
static void nothing_is_registered_while_a_fork_is_prepared(void **state)
{
    static const struct timespec while_it_waits = {.tv_nsec = 100000000};
    struct world *world = make_shared(NULL);
    struct threads threads;

    (void)state;
    atomic_store(&is_added, false);
    gc_fork_prepare(world->heap);
    start_threads(&threads, world->heap, 1, add_root, NULL);
    (void)nanosleep(&while_it_waits, NULL);
    assert_false(atomic_load(&is_added));
    gc_fork_parent(world->heap);
    join_threads(&threads, NULL);
    assert_true(atomic_load(&is_added));
    assert_int_equal(gc_root_remove(world->heap, &added), GC_OK);
    world_end(world);
}

static atomic_bool shall_end;

/* Allocates, stores and collects till it is told to end. */
static void be_busy(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *list = NULL, *leaf;
    size_t rounds = 0;

    meet_parked(data, mutator);
    GC_FRAME(mutator, frame, &list);
    while (!atomic_load(&shall_end)) {
        list = build_list(mutator, 100 + index);
        leaf = make_node(mutator, 1); /* may move the list */
        gc_write(mutator, list, &list->left, leaf);
        if (++rounds % 64 == 0)
            gc_collect(mutator, (unsigned)(rounds / 64 % 2), NULL);
        assert_true(list_length(list) == 100 + index);
    }
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void start_in_child(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *list = NULL;

    GC_FRAME(mutator, frame, &list);
    list = build_list(mutator, 1000);
    gc_collect(mutator, GC_OLD, NULL);
    ((bool *)data)[index] = is_intact_list(list, 1000);
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

/* The others are gone, with what they kept; new ones may come. */
static bool is_alone_and_lives_on(struct world *world, gc_mutator *mutator)
{
    static bool well[2];
    struct threads threads;

    gc_collect(mutator, GC_OLD, NULL);
    if (count_objects(mutator, &node_type) != 1000 || !lives_on(world, mutator))
        return false;
    if (has_sanitizer()) /* they may not start threads there */
        return true;
    start_threads(&threads, world->heap, 2, start_in_child, well);
    join_threads(&threads, mutator);
    return well[0] && well[1] && lives_on(world, mutator);
}

static void fork_beside_busy_threads(const char *settings, size_t forks)
{
    struct world *world = make_followed(settings);
    struct barrier barrier;
    struct threads threads;

    atomic_store(&shall_end, false);
    make_barrier(&barrier, 4);
    start_threads(&threads, world->heap, 3, be_busy, &barrier);
    meet_parked(&barrier, world->mutator); /* who is about to attach leaks in a child */
    for (size_t i = 0; i < scaled(forks); i++) {
        fork_followed(world, world->mutator, is_alone_and_lives_on);
        (void)build_list(world->mutator, 1000 * (i % 5));
    }
    atomic_store(&shall_end, true);
    join_threads(&threads, world->mutator);
    end_followed(world);
}

static void a_child_of_busy_threads_is_alone_and_lives_on(void **state)
{
    (void)state;
    fork_beside_busy_threads(NULL, 30);
    fork_beside_busy_threads("check=deep", 5);
}

static void fork_without_mutator(gc_heap *heap, size_t index, void *data)
{
    struct world *world = data;
    pid_t pid = fork();

    (void)index;
    if (pid == 0) {
        gc_mutator *mutator = attach(heap);

        gc_collect(mutator, GC_OLD, NULL);
        _exit(count_objects(mutator, &node_type) == 1000 && lives_on(world, mutator) ? 0 : 1);
    }
    end_or_wait(pid, true);
}

static void a_thread_that_is_not_attached_may_fork(void **state)
{
    struct world *world = make_followed("check=deep");
    struct node *list = NULL;

    (void)state;
    GC_FRAME(world->mutator, frame, &list);
    list = build_list(world->mutator, 77); /* this thread's alone */
    run_threads(world, 1, fork_without_mutator, world);
    assert_true(is_intact_list(list, 77));
    gc_frame_pop(world->mutator, &frame);
    end_followed(world);
}

struct two {
    gc_heap *heaps[2];
};

/* In two heaps, in either order: collects, visits and forks. */
static void fork_between_two(gc_heap *heap, size_t index, void *data)
{
    const struct two *two = data;
    gc_mutator *mutators[2];

    (void)heap;
    for (size_t i = 0; i < 2; i++)
        mutators[(i + index) % 2] = attach(two->heaps[(i + index) % 2]);
    for (size_t round = 0; round < scaled(40); round++) {
        gc_mutator *mutator = mutators[(round + index) % 2];

        (void)build_list(mutator, 50);
        if (round % 5 == index) {
            pid_t pid = fork();

            if (pid == 0)
                gc_collect(mutators[1], GC_OLD, NULL);
            end_or_wait(pid, pid == 0 && gc_verify(mutators[0]) + gc_verify(mutators[1]) == 0);
        } else if (round % 2 == 0) {
            gc_collect(mutator, GC_YOUNG, NULL);
        } else {
            (void)count_objects(mutator, &node_type);
        }
    }
    gc_mutator_detach(mutators[0]);
    gc_mutator_detach(mutators[1]);
}

/* So many threads that use two heaps, while this one is parked in both. */
static void run_between_two(size_t count, thread_fn *act)
{
    struct world *worlds[2] = {make_followed(NULL), make_followed(NULL)};
    struct two two = {{worlds[0]->heap, worlds[1]->heap}};
    struct threads threads;

    gc_park(worlds[1]->mutator);
    start_threads(&threads, NULL, count, act, &two);
    join_threads(&threads, worlds[0]->mutator);
    gc_unpark(worlds[1]->mutator);
    end_followed(worlds[0]);
    end_followed(worlds[1]);
}

static void threads_fork_at_once_between_two_heaps(void **state)
{
    (void)state;
    /* What a thread was about to add when another forked is lost in the child. */
    run_between_two(getenv("STRATA_UNDER_VALGRIND") != NULL ? 1 : 3, fork_between_two);
}

/* Each used to wait for the other's end while it held its own heap. */
static void visit_and_visit(gc_heap *heap, size_t index, void *data)
{
    const struct two *two = data;
    gc_mutator *mutators[2] = {attach(two->heaps[0]), attach(two->heaps[1])};

    (void)heap;
    for (size_t round = 0; round < scaled(2000); round++)
        assert_true(count_objects(mutators[index % 2], &node_type) >= 1000);
    gc_mutator_detach(mutators[0]);
    gc_mutator_detach(mutators[1]);
}

static void visits_of_two_heaps_do_not_wait_for_each_other(void **state)
{
    (void)state;
    run_between_two(4, visit_and_visit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_registered_while_a_fork_is_prepared),
        cmocka_unit_test(a_child_of_busy_threads_is_alone_and_lives_on),
        cmocka_unit_test(a_thread_that_is_not_attached_may_fork),
        cmocka_unit_test(threads_fork_at_once_between_two_heaps),
        cmocka_unit_test(visits_of_two_heaps_do_not_wait_for_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
