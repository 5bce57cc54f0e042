/* SPDX-License-Identifier: MIT
 *
 * Fork: the child has the heap as it was and goes on; so does the parent. Here one
 * thread forks (test_fork_threads.c: beside others).
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "heap/heap.h"
#include "support/forked.h"
#include "support/threads.h"

#include "os/os.h"

#include <malloc.h>
#include <strata/weak.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
    end_followed(world);
}

static void a_followed_heap_needs_none_of_them(void **state)
{
    struct world *world = make_followed("check=deep");

    (void)state;
    fork_followed(world, world->mutator, lives_on);
    gc_collect(world->mutator, GC_OLD, NULL);
    fork_followed(world, world->mutator, lives_on);
    end_followed(world);
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
    end_followed(world);
}

static void several_heaps_are_followed_until_they_are_destroyed(void **state)
{
    struct world *worlds[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        worlds[i] = make_followed(NULL);
    end_followed(worlds[1]);
    end_followed(worlds[3]);
    for (size_t i = 0; i < 4; i += 2)
        fork_followed(worlds[i], worlds[i]->mutator, lives_on);
    end_followed(worlds[0]);
    end_followed(worlds[2]);
    end_or_wait(fork(), true); /* none is left */
}

static void follow_in_finalizer(gc_mutator *mutator, void *object, void *data)
{
    (void)object;
    assert_int_equal(gc_fork_follow(gc_mutator_heap(mutator)), GC_OK);
    *(bool *)data = true;
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
    bool was_followed = false;
    gc_finalizer finalizer = {
        .size = sizeof finalizer, .run = follow_in_finalizer, .data = &was_followed};
    void (*free_memory)(void *) = gc_os.free;

    (void)state;
    world->root[0] = build_list(world->mutator, 1000);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[0], &finalizer, NULL), GC_OK);
    gc_finalizers_at_destroy(world->heap, true);
    gc_os.free = keep_poisoned;
    end_followed(world);
    gc_os.free = free_memory;
    assert_true(was_followed);
    assert_true(poisoned.count > 0);
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
    end_followed(world);
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
    end_followed(world);
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
    end_followed(world);
}

/* Returns twice, with the child's number where that is not the child. */
static void *fork_here(void *pid)
{
    *(pid_t *)pid = fork();
    return pid;
}

/* The child's thread is parked, as it was, and comes back. */
static void a_parked_thread_may_fork(void **state)
{
    struct world *world = make_followed("check=deep");
    pid_t pid = -1;

    (void)state;
    assert_ptr_equal(gc_call_parked(world->mutator, fork_here, &pid), &pid);
    end_or_wait(pid, pid == 0 && lives_on(world, world->mutator));
    end_followed(world);
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
        cmocka_unit_test(finalizers_and_callbacks_may_fork),
        cmocka_unit_test(a_parked_thread_may_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
