/* SPDX-License-Identifier: MIT
 *
 * Fork: the child has the heap as it was, without the other threads, and goes
 * on; so does the parent.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "heap/heap.h"
#include "support/threads.h"

#include "os/os.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strata/fork.h>
#include <strata/weak.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- Children ----------------------------------------------------------- */

/* What a child does; whether all is well. It must not fail tests itself. */
typedef bool child_fn(struct world *world, gc_mutator *mutator);

/* Builds lists over collections of all kinds, and verifies. */
static bool lives_on(struct world *world, gc_mutator *mutator)
{
    bool well = gc_verify(mutator) == 0;

    for (unsigned i = 0; i < 6 && well; i++) {
        struct node *list = NULL;

        GC_FRAME(mutator, frame, &list);
        list = build_list(mutator, 2000);
        gc_collect(mutator, i % GC_GENERATIONS, NULL);
        well = is_intact_list(list, 2000) && gc_verify(mutator) == 0;
        gc_frame_pop(mutator, &frame);
    }
    return well && is_intact_list(world->root[0], 1000);
}

/* A child of `pid` 0 ends here; the parent waits till it has. */
static void end_or_wait(pid_t pid, bool well)
{
    int status = -1;

    if (pid == 0)
        _exit(well ? 0 : 1);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void fork_followed(struct world *world, gc_mutator *mutator, child_fn *act)
{
    pid_t pid = fork();

    end_or_wait(pid, pid == 0 && act(world, mutator));
}

/* A shared world that fork follows, with a list of 1000 in root[0]. */
static struct world *make_followed(const char *settings)
{
    struct world *world = make_shared(settings);

    world->root[0] = build_list(world->mutator, 1000);
    assert_int_equal(gc_fork_follow(world->heap), GC_OK);
    assert_int_equal(gc_fork_follow(world->heap), GC_OK);
    return world;
}

static void end(struct world *world)
{
    assert_true(lives_on(world, world->mutator));
    world_end(world);
}

/* ---- One thread --------------------------------------------------------- */

static void a_child_goes_on_after_three_calls(void **state)
{
    struct world *world = make_shared("check=deep");
    pid_t pid;

    (void)state;
    world->root[0] = build_list(world->mutator, 1000);
    for (int i = 0; i < 3; i++) {
        gc_fork_prepare(world->heap);
        pid = fork();
        if (pid == 0)
            gc_fork_child(world->heap);
        else
            gc_fork_parent(world->heap);
        end_or_wait(pid, pid == 0 && lives_on(world, world->mutator));
    }
    end(world);
}

static void a_followed_heap_needs_none_of_them(void **state)
{
    struct world *world = make_followed("check=deep");

    (void)state;
    fork_followed(world, world->mutator, lives_on);
    gc_collect(world->mutator, GC_OLD, NULL);
    fork_followed(world, world->mutator, lives_on);
    end(world);
}

static bool forks_again(struct world *world, gc_mutator *mutator)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        _exit(lives_on(world, mutator) ? 0 : 1);
    return waitpid(pid, &status, 0) == pid && status == 0 && lives_on(world, mutator);
}

static void a_child_may_fork(void **state)
{
    struct world *world = make_followed("check=deep");

    (void)state;
    fork_followed(world, world->mutator, forks_again);
    end(world);
}

static void several_heaps_are_followed_until_they_are_destroyed(void **state)
{
    struct world *worlds[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        worlds[i] = make_followed(NULL);
    end(worlds[1]);
    end(worlds[3]);
    for (size_t i = 0; i < 4; i += 2)
        fork_followed(worlds[i], worlds[i]->mutator, lives_on);
    end(worlds[0]);
    end(worlds[2]);
    assert_int_equal(fork() == 0 ? (_exit(0), 0) : 0, 0); /* none is left */
    assert_true(wait(NULL) > 0);
}

static void follow_in_finalizer(gc_mutator *mutator, void *object, void *data)
{
    (void)object;
    (void)data;
    assert_int_equal(gc_fork_follow(gc_mutator_heap(mutator)), GC_OK);
}

static struct {
    void *memory[100];
    size_t count;
} poisoned;

static void keep_poisoned(void *memory)
{
    if (memory == NULL)
        return;
    memset(memory, 0xaa, malloc_usable_size(memory));
    assert_true(poisoned.count < GC_COUNT(poisoned.memory));
    poisoned.memory[poisoned.count++] = memory;
}

/* It stayed in the list, freed. */
static void a_heap_followed_by_its_last_finalizer_is_followed_no_more(void **state)
{
    struct world *world = make_shared(NULL);
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = follow_in_finalizer};
    void (*free_memory)(void *) = gc_os.free;

    (void)state;
    world->root[0] = build_list(world->mutator, 1000);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[0], &finalizer, NULL), GC_OK);
    gc_finalizers_at_destroy(world->heap, true);
    gc_os.free = keep_poisoned;
    end(world);
    gc_os.free = free_memory;
    end_or_wait(fork(), true);
    while (poisoned.count > 0)
        gc_os.free(poisoned.memory[--poisoned.count]);
}

static bool freezes_and_lives_on(struct world *world, gc_mutator *mutator)
{
    if (gc_frozen_objects(world->heap) < 1000 || !lives_on(world, mutator))
        return false;
    if (gc_freeze(mutator, 0) != GC_OK || !lives_on(world, mutator))
        return false;
    gc_unfreeze(mutator);
    return lives_on(world, mutator);
}

static void a_frozen_heap_forks(void **state)
{
    struct world *world = make_followed("check=deep");

    (void)state;
    assert_int_equal(gc_freeze(world->mutator, GC_FREEZE_COMPACT), GC_OK);
    fork_followed(world, world->mutator, freezes_and_lives_on);
    end(world);
}

/* "prefetch" has a team mark a heap as small as this; of several chunks, so that
 * each of the two has a part. */
static bool marks_with_a_team(struct world *world, gc_mutator *mutator)
{
    gc_collect(mutator, GC_OLD, NULL);
    return world->heap->collector.team.helpers > 0 &&
           is_intact_list(world->root[1], 4 * 32 * KIB) && lives_on(world, mutator);
}

static void a_heap_with_workers_forks(void **state)
{
    struct world *world = make_followed("workers=2,stress=prefetch");

    (void)state;
    world->root[1] = build_list(world->mutator, 4 * 32 * KIB);
    for (int i = 0; i < 2; i++) {
        assert_true(marks_with_a_team(world, world->mutator));
        fork_followed(world, world->mutator, marks_with_a_team);
    }
    end(world);
}

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

/* ---- From callbacks ----------------------------------------------------- */

static int children;

static void fork_in_finalizer(gc_mutator *mutator, void *object, void *data)
{
    (void)object;
    children++;
    fork_followed(data, mutator, lives_on);
}

static void fork_in_weakref(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    fork_in_finalizer(mutator, weakref, data);
}

static void finalizers_and_callbacks_may_fork(void **state)
{
    struct world *world = make_followed("check=deep");
    gc_finalizer finalizer = {sizeof finalizer, fork_in_finalizer, world, GC_PRIORITY_NORMAL, 0};

    (void)state;
    children = 0;
    world->root[1] = make_node(world->mutator, 1);
    world->root[2] =
        gc_weakref_create_watching(world->mutator, world->root[1], 0, fork_in_weakref, world);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[1], &finalizer, NULL), GC_OK);
    world->root[1] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 2);
    assert_int_equal(children, 2);
    end(world);
}

static void *fork_here(void *data)
{
    return (void *)(intptr_t)(fork() == 0 ? 0 : 1 + (intptr_t)(data == NULL));
}

/* The child's thread is parked, as it was, and comes back. */
static void a_parked_thread_may_fork(void **state)
{
    struct world *world = make_followed("check=deep");
    bool is_parent = gc_call_parked(world->mutator, fork_here, world) != NULL;
    int status = -1;

    (void)state;
    if (!is_parent)
        _exit(lives_on(world, world->mutator) ? 0 : 1);
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    end(world);
}

/* ---- Many threads ------------------------------------------------------- */

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
    end(world);
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
    end(world);
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
    end(worlds[0]);
    end(worlds[1]);
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
        cmocka_unit_test(a_child_goes_on_after_three_calls),
        cmocka_unit_test(a_followed_heap_needs_none_of_them),
        cmocka_unit_test(a_child_may_fork),
        cmocka_unit_test(several_heaps_are_followed_until_they_are_destroyed),
        cmocka_unit_test(a_heap_followed_by_its_last_finalizer_is_followed_no_more),
        cmocka_unit_test(a_frozen_heap_forks),
        cmocka_unit_test(a_heap_with_workers_forks),
        cmocka_unit_test(nothing_is_registered_while_a_fork_is_prepared),
        cmocka_unit_test(finalizers_and_callbacks_may_fork),
        cmocka_unit_test(a_parked_thread_may_fork),
        cmocka_unit_test(a_child_of_busy_threads_is_alone_and_lives_on),
        cmocka_unit_test(a_thread_that_is_not_attached_may_fork),
        cmocka_unit_test(threads_fork_at_once_between_two_heaps),
        cmocka_unit_test(visits_of_two_heaps_do_not_wait_for_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
