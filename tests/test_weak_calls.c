/* SPDX-License-Identifier: MIT
 *
 * What callbacks, finalizers and watches may do, and what becomes of those that
 * are queued: each does, from inside, everything that the API lets it.
 */
#include "support/queued.h"

#include <strata/table.h>
#include <strata/weak.h>

/* ---- Queued, and then ... ------------------------------------------------ */

/* It is cleared already: clearing it again takes nothing back. */
static void queued_callback_runs_though_its_weak_reference_is_cleared(void **state)
{
    struct world *world = *state;

    queue_all(world, note_weakref, note_watch, note_finalizer);
    gc_weakref_clear(world->mutator, world->root[1]);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 3);
    check_ran(3);
}

static void queued_callback_runs_though_its_weak_reference_is_dropped(void **state)
{
    struct world *world = *state;

    queue_all(world, note_weakref, note_watch, note_finalizer);
    world->root[1] = NULL;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 3);
    check_ran(3);
}

static void clear_the_other(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    (void)weakref;
    note_call((int)(intptr_t)data);
    gc_weakref_clear(mutator, ran.world->root[2]);
    ran.world->root[2] = NULL;
    collect(mutator, 2);
}

static void callback_cleared_by_one_before_it_runs_all_the_same(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    world->root[2] =
        gc_weakref_create_watching(world->mutator, world->root[0], 0, note_weakref, (void *)2);
    world->root[1] =
        gc_weakref_create_watching(world->mutator, world->root[0], 0, clear_the_other, (void *)1);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 2);
    check_ran(2);
}

static void keep_object(gc_mutator *mutator, void *object, void *data)
{
    note_finalizer(mutator, object, data);
    ran.world->root[0] = object;
}

/* As weakref.finalize does when the cycle collector finds the object. */
static void watch_has_run_though_a_finalizer_revives(void **state)
{
    struct world *world = *state;
    gc_watch again = 0;

    queue_all(world, note_weakref, note_watch, keep_object);
    assert_int_equal(gc_finalizers_run(world->mutator, 2), 2);
    assert_null(world->root[0]);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 1);
    check_ran(3);
    assert_int_equal(((struct node *)world->root[0])->value, 1);
    assert_int_equal(gc_watch_add(world->mutator, world->root[0], note_watch, (void *)4, &again),
                     GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 0);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 1);
    check_ran(4);
}

static void read_weakref(gc_mutator *mutator, void *object, void *data)
{
    (void)object;
    (void)data;
    note_call(gc_weakref_get(mutator, ran.world->root[1]) == NULL ? 1 : 0);
    note_call(gc_weakref_get(mutator, ran.world->root[2]) == object ? 2 : 0);
    note_call(gc_table_count(mutator, ran.world->root[3]) == 0 ? 3 : 0);
}

/* A finalizer finds ordinary weak references to its object, and entries of
 * weak tables with it, cleared; tracking ones not. */
static void finalizer_finds_what_refers_weakly_cleared(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = gc_weakref_create(world->mutator, world->root[0], 0);
    world->root[2] = gc_weakref_create(world->mutator, world->root[0], GC_WEAK_TRACKING);
    world->root[3] = gc_table_create(world->mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    assert_int_equal(gc_table_put(world->mutator, world->root[3], world->root[0], world->root[0]),
                     GC_OK);
    (void)add_finalizer(world->mutator, world->root[0], read_weakref, 0);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 1);
    check_ran(3);
}

/* ---- Guardians at the end ------------------------------------------------ */

static void take_from_guardian(gc_mutator *mutator, void *object, void *data)
{
    const struct node *node = gc_guardian_next(mutator, ran.guardian);

    (void)object;
    note_call((int)(intptr_t)data);
    if (node != NULL)
        ran.guarded = node->value;
}

/* What waits in it and what is left: dropped. What is in it may be taken until
 * the end. The heap frees it. */
static void guardians_go_with_the_heap(void **state)
{
    (void)state;
    for (int at_destroy = 0; at_destroy < 2; at_destroy++) {
        struct world *world = other_world();

        gc_finalizers_at_destroy(world->heap, at_destroy != 0);
        ran.guardian = gc_guardian_create(world->mutator);
        (void)gc_guardian_create(world->mutator);
        world->root[0] = make_node(world->mutator, 1);
        assert_int_equal(gc_guardian_add(world->mutator, ran.guardian, world->root[0]), GC_OK);
        world->root[1] = make_node(world->mutator, 2);
        assert_int_equal(gc_guardian_add(world->mutator, ran.guardian, world->root[1]), GC_OK);
        (void)add_finalizer(world->mutator, world->root[0], take_from_guardian, 1);
        world->root[1] = NULL;
        collect(world->mutator, 2);
        assert_int_equal(gc_finalizers_pending(world->heap), 0);
        world_free(world);
        assert_int_equal(ran.count, at_destroy);
        assert_int_equal(ran.guarded, at_destroy * 2);
    }
}

static void destroyed_guardian_lets_its_dead_go(void **state)
{
    struct world *world = *state;
    gc_guardian *guardian = gc_guardian_create(world->mutator);

    world->root[0] = make_node(world->mutator, 1);
    assert_int_equal(gc_guardian_add(world->mutator, guardian, world->root[0]), GC_OK);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
    gc_guardian_destroy(world->mutator, guardian);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

/* ---- From inside --------------------------------------------------------- */

/* Everything at once: runs finalizers, collects, refers weakly with a callback,
 * registers, cancels, empties and drops its table. */
static void do_everything(gc_mutator *mutator)
{
    struct world *world = ran.world;

    assert_int_equal(gc_finalizers_run(mutator, 0), 0);
    collect(mutator, 2);
    compact(mutator);
    world->root[4] = make_node(mutator, 9);
    world->root[5] =
        gc_weakref_create_watching(mutator, world->root[4], 0, note_weakref, (void *)100);
    add_watch(mutator, world->root[4], note_watch, 100);
    (void)add_finalizer(mutator, world->root[4], note_finalizer, 100);
    assert_int_equal(gc_finalizer_cancel(mutator, ran.later),
                     ran.count == 1 ? GC_OK : GC_NOT_FOUND);
    if (world->root[3] != NULL) {
        assert_int_equal(gc_table_put(mutator, world->root[3], world->root[4], world->root[4]),
                         GC_OK);
        collect(mutator, 0);
        assert_int_equal(gc_table_count(mutator, world->root[3]), 1);
        gc_table_clear(mutator, world->root[3]);
    }
    world->root[3] = world->root[4] = NULL;
    gc_safepoint(mutator);
    collect(mutator, 2);
}

static void everything_in_callback(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    note_weakref(mutator, weakref, data);
    do_everything(mutator);
}

static void everything_in_watch(gc_mutator *mutator, void *data)
{
    note_watch(mutator, data);
    do_everything(mutator);
}

static void everything_in_finalizer(gc_mutator *mutator, void *object, void *data)
{
    uint64_t value = ((struct node *)object)->value;

    note_call((int)(intptr_t)data);
    GC_FRAME(mutator, frame, &object);
    do_everything(mutator);
    assert_int_equal(((struct node *)object)->value, value);
    gc_frame_pop(mutator, &frame);
}

/* Three that do it; each queues three more (the callback of the weak reference
 * that was replaced went with it), and nothing is lost or nested. */
static void all_of_the_api_may_be_called_from_inside(void **state)
{
    struct world *world = *state;

    for (int at_safepoints = 0; at_safepoints < 2; at_safepoints++) {
        ran.count = 0;
        world->root[3] = gc_table_create(world->mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
        world->root[6] = make_node(world->mutator, 6);
        queue_all(world, everything_in_callback, everything_in_watch, everything_in_finalizer);
        ran.later = add_finalizer(world->mutator, world->root[6], note_finalizer, 50);
        gc_finalizers_at_safepoints(world->mutator, at_safepoints != 0);
        if (at_safepoints)
            gc_safepoint(world->mutator);
        else
            assert_int_equal(gc_finalizers_run(world->mutator, 0), 12);
        assert_int_equal(gc_finalizers_pending(world->heap), 0);
        assert_int_equal(ran.count, 12);
        for (int i = 0; i < 12; i++)
            assert_true(ran.order[i] <= 3 || ran.order[i] == 100);
        gc_finalizers_at_safepoints(world->mutator, false);
        world->root[6] = NULL;
        collect(world->mutator, 2);
        assert_int_equal(gc_finalizers_pending(world->heap), 0);
    }
}

static void drop_table(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    size_t position = 0;
    void *key;

    (void)weakref;
    (void)data;
    while (gc_table_next(mutator, ran.world->root[3], &position, &key, NULL))
        assert_true(gc_table_remove(mutator, ran.world->root[3], key));
    ran.world->root[3] = NULL;
    collect(mutator, 2);
    ran.count++;
}

/* A table all of whose keys have a callback that destroys the table. */
static void callback_of_a_key_may_destroy_its_table(void **state)
{
    struct world *world = *state;

    world->root[3] = gc_table_create(world->mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    world->root[0] = build_list(world->mutator, 50);
    for (struct node *node = world->root[0]; node != NULL; node = node->right) {
        world->root[1] = node;
        assert_int_equal(gc_table_put(world->mutator, world->root[3], node, node), GC_OK);
        node = world->root[1];
    }
    world->root[1] = make_node(world->mutator, 1);
    assert_int_equal(gc_table_put(world->mutator, world->root[3], world->root[1], world->root[0]),
                     GC_OK);
    world->root[2] =
        gc_weakref_create_watching(world->mutator, world->root[1], 0, drop_table, NULL);
    world->root[1] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_table_count(world->mutator, world->root[3]), 50);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 1);
    assert_int_equal(ran.count, 1);
    assert_true(is_intact_list(world->root[0], 50));
}

#define TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, queued_setup, world_teardown), \
        cmocka_unit_test_setup_teardown(name, queued_moving_setup, world_teardown)

/* ---- Names --------------------------------------------------------------- */

static void a_name_is_of_one_kind_alone(void **state)
{
    struct world *world = *state;
    gc_finalizer_id finalizer;
    gc_watch watch;
    void *data = &watch;

    world->root[0] = make_node(world->mutator, 1);
    assert_int_equal(gc_watch_add(world->mutator, world->root[0], note_watch, (void *)1, &watch),
                     GC_OK);
    finalizer = add_finalizer(world->mutator, world->root[0], note_finalizer, 2);
    assert_int_equal(gc_finalizer_cancel(world->mutator, watch), GC_NOT_FOUND);
    assert_false(gc_watch_is_alive(world->mutator, finalizer));
    assert_null(gc_watch_peek(world->mutator, finalizer, &data));
    assert_ptr_equal(data, &watch);
    assert_true(gc_watch_is_alive(world->mutator, watch));
    assert_int_equal(gc_finalizer_cancel(world->mutator, finalizer), GC_OK);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 1);
    check_ran(1);
}

/* From the queue's front and middle; what is left runs in order. */
static void queued_finalizers_can_be_cancelled(void **state)
{
    struct world *world = *state;
    gc_finalizer_id ids[4];

    world->root[0] = make_node(world->mutator, 1);
    ids[0] = add_finalizer(world->mutator, world->root[0], note_finalizer, 9);
    for (int i = 1; i < 4; i++)
        ids[i] = add_finalizer(world->mutator, world->root[0], note_finalizer, i - 1);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_pending(world->heap), 4);
    assert_int_equal(gc_finalizer_cancel(world->mutator, ids[0]), GC_OK);
    assert_int_equal(gc_finalizer_cancel(world->mutator, ids[1]), GC_OK);
    assert_int_equal(gc_finalizers_pending(world->heap), 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 2);
    check_ran(2);
}

static void more_bytes_than_can_be_held_are_refused(void **state)
{
    struct world *world = *state;
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = note_finalizer};

    world->root[0] = make_node(world->mutator, 1);
    finalizer.external_bytes = (size_t)PTRDIFF_MAX + 1;
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[0], &finalizer, NULL),
                     GC_BAD_OPTION);
    assert_int_equal(stats_of(world->heap).external_bytes, 0);
}

/* What a finalizer would hold is added to all that is held. */
static void more_bytes_than_all_can_hold_are_refused(void **state)
{
    struct world *world = *state;
    gc_finalizer finalizer = {
        .size = sizeof finalizer, .run = note_finalizer, .external_bytes = 4096};
    size_t held;

    world->root[0] = make_node(world->mutator, 1);
    gc_disable(world->mutator);
    for (ptrdiff_t bytes = PTRDIFF_MAX; bytes > 0; bytes /= 2)
        while (gc_external_adjust(world->mutator, NULL, bytes) == GC_OK)
            ;
    held = stats_of(world->heap).external_bytes;
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[0], &finalizer, NULL),
                     GC_NO_MEMORY);
    assert_int_equal(stats_of(world->heap).external_bytes, held);
    while (held > 0) {
        ptrdiff_t part = held > PTRDIFF_MAX ? PTRDIFF_MAX : (ptrdiff_t)held;

        assert_int_equal(gc_external_adjust(world->mutator, NULL, -part), GC_OK);
        held -= (size_t)part;
    }
    gc_enable(world->mutator);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[0], &finalizer, NULL), GC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(queued_callback_runs_though_its_weak_reference_is_cleared),
        TEST(queued_callback_runs_though_its_weak_reference_is_dropped),
        TEST(callback_cleared_by_one_before_it_runs_all_the_same),
        TEST(watch_has_run_though_a_finalizer_revives),
        TEST(finalizer_finds_what_refers_weakly_cleared),
        cmocka_unit_test(guardians_go_with_the_heap),
        TEST(destroyed_guardian_lets_its_dead_go),
        TEST(all_of_the_api_may_be_called_from_inside),
        TEST(callback_of_a_key_may_destroy_its_table),
        TEST(a_name_is_of_one_kind_alone),
        TEST(queued_finalizers_can_be_cancelled),
        TEST(more_bytes_than_can_be_held_are_refused),
        TEST(more_bytes_than_all_can_hold_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
