/* SPDX-License-Identifier: MIT
 *
 * What a heap's end runs, and what it drops.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "support/doomed.h"
#include "support/queued.h"

#include <pthread.h>
#include <unistd.h>

static void queued_ones_are_dropped_with_the_heap(void **state)
{
    struct world *world = other_world();

    (void)state;
    queue_all(world, note_weakref, note_watch, note_finalizer);
    world_free(world);
    assert_int_equal(ran.count, 0);
}

static void queued_ones_run_at_destruction_before_what_is_left(void **state)
{
    struct world *world = other_world();

    (void)state;
    gc_finalizers_at_destroy(world->heap, true);
    world->root[2] = make_node(world->mutator, 2);
    (void)add_finalizer(world->mutator, world->root[2], note_finalizer, 5);
    add_watch(world->mutator, world->root[2], note_watch, 3);
    queue_all(world, note_weakref, note_watch, note_finalizer);
    ran.count = 0;
    world_free(world);
    /* Callbacks and watches, the queued ones first, then finalizers, likewise. */
    assert_int_equal(ran.count, 5);
    assert_int_equal(ran.order[0], 1);
    assert_int_equal(ran.order[1], 2);
    assert_int_equal(ran.order[2], 3);
    assert_int_equal(ran.order[3], 3);
    assert_int_equal(ran.order[4], 5);
}

/* ---- What they do meanwhile ---------------------------------------------- */

static void collect_in_it(gc_mutator *mutator, void *object, void *data)
{
    note_finalizer(mutator, object, data);
    gc_collect(mutator, GC_OLD, NULL);
}

/* The finalizers were counted when they were queued, so that a callback which a
 * collection in one of them queued ran in place of the last. */
static void a_callback_queued_meanwhile_takes_nobodys_place(void **state)
{
    struct world *world = other_world();
    gc_weakref *weakref;
    struct node *holder;

    (void)state;
    gc_finalizers_at_destroy(world->heap, true);
    world->root[0] = make_node(world->mutator, 1);
    (void)add_finalizer(world->mutator, world->root[0], collect_in_it, 1);
    world->root[1] = make_node(world->mutator, 2);
    (void)add_finalizer(world->mutator, world->root[1], note_finalizer, 3);
    world->root[2] = make_node(world->mutator, 3);
    weakref =
        gc_weakref_create_watching(world->mutator, world->root[2], 0, note_weakref, (void *)2);
    holder = world->root[1];
    gc_write(world->mutator, holder, &holder->left, weakref);
    world->root[2] = NULL;
    world_free(world);
    check_ran(3);
}

static void register_in_it(gc_mutator *mutator, void *object, void *data)
{
    gc_finalizer late = {.size = sizeof late,
                         .run = note_finalizer,
                         .data = (void *)9,
                         .priority = GC_PRIORITY_FIRST};

    note_finalizer(mutator, object, data);
    assert_int_equal(gc_finalizer_add(mutator, make_node(mutator, 3), &late, NULL), GC_OK);
    add_watch(mutator, make_node(mutator, 4), note_watch, 9);
    gc_collect(mutator, GC_OLD, NULL);
    assert_int_equal(gc_finalizers_pending(gc_mutator_heap(mutator)), 3);
}

/* Though what they are for has died, and they would be first. */
static void what_is_registered_meanwhile_is_dropped(void **state)
{
    struct world *world = other_world();

    (void)state;
    gc_finalizers_at_destroy(world->heap, true);
    world->root[0] = make_node(world->mutator, 1);
    (void)add_finalizer(world->mutator, world->root[0], register_in_it, 1);
    (void)add_finalizer(world->mutator, world->root[0], note_finalizer, 2);
    world_free(world);
    check_ran(2);
}

static void register_for_itself(gc_mutator *mutator, void *object, void *data)
{
    collect_in_it(mutator, object, data);
    (void)add_finalizer(mutator, make_node(mutator, 2), register_for_itself, 9);
    gc_collect(mutator, GC_OLD, NULL);
}

static void a_finalizer_that_is_always_registered_again_ends(void **state)
{
    struct world *world = other_world();

    (void)state;
    gc_finalizers_at_destroy(world->heap, true);
    world->root[0] = make_node(world->mutator, 1);
    (void)add_finalizer(world->mutator, world->root[0], register_for_itself, 1);
    world_free(world);
    check_ran(1);
}

static void *attach_and_stay(void *data)
{
    gc_mutator *mutator;
    bool *is_there = data;

    assert_int_equal(gc_mutator_attach(doomed->heap, &mutator), GC_OK);
    __atomic_store_n(is_there, true, __ATOMIC_RELEASE);
    while (data != NULL)
        pause();
    return NULL;
}

static void bring_a_thread(gc_mutator *mutator, void *object, void *data)
{
    bool is_there = false;
    pthread_t thread;

    (void)mutator;
    (void)object;
    (void)data;
    assert_int_equal(pthread_create(&thread, NULL, attach_and_stay, &is_there), 0);
    while (!__atomic_load_n(&is_there, __ATOMIC_ACQUIRE))
        ;
}

static void end_with_a_thread_brought(void)
{
    make_doomed();
    (void)add_finalizer(doomed->mutator, doomed_node, bring_a_thread, 1);
    gc_finalizers_at_destroy(doomed->heap, true);
    gc_mutator_detach(doomed->mutator);
    gc_heap_destroy(doomed->heap);
}

/* The heap was taken from under it. */
static void a_finalizer_leaves_no_thread_in_a_heap_that_ends(void **state)
{
    (void)state;
    expect_misuse(end_with_a_thread_brought, "gc_heap_destroy", "a mutator is still attached");
}

static void a_heap_with_nothing_to_run_ends(void **state)
{
    struct world *world = other_world();

    (void)state;
    gc_finalizers_at_destroy(world->heap, true);
    world_free(world);
    world = other_world();
    gc_finalizers_at_destroy(world->heap, true);
    world->root[0] = make_node(world->mutator, 1);
    world->root[1] =
        gc_weakref_create_watching(world->mutator, world->root[0], 0, note_weakref, (void *)1);
    world_free(world);
    check_ran(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queued_ones_are_dropped_with_the_heap),
        cmocka_unit_test(queued_ones_run_at_destruction_before_what_is_left),
        cmocka_unit_test(a_callback_queued_meanwhile_takes_nobodys_place),
        cmocka_unit_test(what_is_registered_meanwhile_is_dropped),
        cmocka_unit_test(a_finalizer_that_is_always_registered_again_ends),
        cmocka_unit_test(a_finalizer_leaves_no_thread_in_a_heap_that_ends),
        cmocka_unit_test(a_heap_with_nothing_to_run_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
