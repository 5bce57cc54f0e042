/* SPDX-License-Identifier: MIT
 *
 * The frozen generation: it keeps what it holds and what is stored into it, it
 * lies still, and it can be undone.
 */
#include "support/fault.h"
#include "support/graph.h"

#include <strata/fork.h>

#include <string.h>

enum { LARGE_LENGTH = 14 * 1400 };

static gc_status freeze(struct world *world)
{
    return gc_freeze(world->mutator, 0);
}

/* A frozen node in root[root]. */
static struct node *frozen_node(struct world *world, int root, uint64_t value)
{
    world->root[root] = make_node(world->mutator, value);
    assert_int_equal(freeze(world), GC_OK);
    return world->root[root];
}

static void store_new_node(struct world *world, void *holder, void *slot, uint64_t value)
{
    gc_write(world->mutator, holder, slot, make_node(world->mutator, value));
}

static unsigned generation_of(struct world *world, const void *object)
{
    return gc_generation_of(world->mutator, object);
}

static void collect_each(struct world *world)
{
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        gc_collect(world->mutator, generation, NULL);
}

/* ---- What freezing does ------------------------------------------------- */

static void everything_alive_becomes_frozen(void **state)
{
    struct world *world = *state;
    struct node *list;

    world->root[0] = build_list(world->mutator, 10000);
    gc_collect(world->mutator, GC_OLD, NULL);
    world->root[1] = build_list(world->mutator, 10000);
    world->root[2] = make_array(world->mutator, &gc_type_bytes, MIB);
    make_garbage(world->mutator, 200 * KIB);
    assert_int_equal(freeze(world), GC_OK);
    for (list = world->root[0]; list != NULL; list = list->right)
        assert_int_equal(generation_of(world, list), GC_FROZEN);
    assert_int_equal(generation_of(world, world->root[1]), GC_FROZEN);
    assert_int_equal(generation_of(world, world->root[2]), GC_FROZEN);
    assert_int_equal(gc_frozen_objects(world->heap), 20001);
    assert_int_equal(gc_verify(world->mutator), 0);
}

static void frozen_counts_equal_a_recount(void **state)
{
    struct world *world = *state;
    struct recount found;
    gc_stats stats;

    world->root[0] = build_list(world->mutator, 10000);
    world->root[1] = make_array(world->mutator, &gc_type_references, LARGE_LENGTH);
    assert_int_equal(gc_frozen_bytes(world->heap), 0);
    assert_int_equal(freeze(world), GC_OK);
    found = recount(world->mutator);
    stats = stats_of(world->heap);
    assert_int_equal(found.objects[GC_FROZEN], 10001);
    assert_int_equal(gc_frozen_objects(world->heap), found.objects[GC_FROZEN]);
    assert_int_equal(gc_frozen_bytes(world->heap), found.bytes[GC_FROZEN]);
    assert_int_equal(stats.live_bytes, found.all_bytes);
    assert_int_equal(stats.generations[GC_OLD].bytes, 0);
    assert_true(stats.large_bytes >= LARGE_LENGTH * sizeof(void *));
}

static void frozen_objects_live_without_roots_until_they_are_not_frozen(void **state)
{
    struct world *world = *state;

    world->root[0] = build_list(world->mutator, 1000);
    assert_int_equal(freeze(world), GC_OK);
    world->root[0] = NULL;
    collect_each(world);
    gc_compact(world->mutator, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 1000);
    gc_unfreeze(world->mutator);
    assert_int_equal(gc_frozen_objects(world->heap), 0);
    assert_int_equal(count_objects(world->mutator, &node_type), 1000);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void frozen_objects_do_not_move(void **state)
{
    struct world *world = *state;
    struct node *list, *frozen;

    world->root[0] = build_list(world->mutator, 1000);
    assert_int_equal(freeze(world), GC_OK);
    frozen = world->root[0];
    collect_each(world);
    gc_compact(world->mutator, NULL);
    assert_ptr_equal(world->root[0], frozen);
    assert_true(is_intact_list(frozen, 1000));
    gc_unfreeze(world->mutator);
    for (list = world->root[0]; list != NULL; list = list->right)
        assert_int_equal(generation_of(world, list), GC_OLD);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_ptr_not_equal(world->root[0], frozen); /* this world moves all that it can */
    assert_true(is_intact_list(world->root[0], 1000));
}

static void freezing_again_adds_what_is_new(void **state)
{
    struct world *world = *state;
    struct node *first = frozen_node(world, 0, 1);

    store_new_node(world, first, &first->left, 2);
    world->root[1] = build_list(world->mutator, 100);
    assert_int_equal(gc_frozen_objects(world->heap), 1);
    assert_int_equal(freeze(world), GC_OK);
    assert_int_equal(gc_frozen_objects(world->heap), 102);
    assert_ptr_equal(world->root[0], first);
    assert_int_equal(generation_of(world, first->left), GC_FROZEN);
    store_new_node(world, first, &first->right, 3);
    collect_each(world);
    assert_int_equal(first->right->value, 3);
    assert_int_equal(generation_of(world, first->right), GC_OLD);
}

static void compaction_before_it_leaves_fewer_blocks(void **state)
{
    size_t committed[2];

    (void)state;
    for (unsigned flags = 0; flags <= GC_FREEZE_COMPACT; flags++) {
        struct world *world = make_plain(MIB);
        void **array = world->root[0] = make_array(world->mutator, &gc_type_references, 100000);

        for (size_t i = 0; i < 100000; i++)
            gc_write(world->mutator, array, &array[i], make_node(world->mutator, i));
        gc_collect(world->mutator, GC_OLD, NULL);
        gc_collect(world->mutator, GC_OLD, NULL);
        for (size_t i = 0; i < 100000; i++)
            if (i % 3 == 0)
                array[i] = NULL;
        assert_int_equal(gc_freeze(world->mutator, flags), GC_OK);
        committed[flags] = stats_of(world->heap).committed_bytes;
        for (size_t i = 1; i < 100000; i += 3)
            assert_int_equal(((struct node *)array[i])->value, i);
        world_end(world);
    }
    assert_true(committed[1] + 50000 < committed[0]);
}

/* ---- Stores into frozen objects ----------------------------------------- */

static void what_is_stored_into_a_frozen_object_lives(void **state)
{
    struct world *world = *state;
    struct node *holder = frozen_node(world, 0, 1);

    store_new_node(world, holder, &holder->left, 2);
    for (int round = 0; round < 3; round++) {
        collect_each(world);
        assert_int_equal(holder->left->value, 2);
        assert_int_equal(generation_of(world, holder->left), GC_OLD);
    }
    gc_compact(world->mutator, NULL);
    assert_int_equal(holder->left->value, 2);
}

static void what_is_stored_is_followed_at_every_age(void **state)
{
    struct world *world = *state;
    struct node *holder = frozen_node(world, 0, 1);

    for (unsigned rounds = 0; rounds < 5; rounds++) {
        for (unsigned oldest = 0; oldest < GC_GENERATIONS; oldest++) {
            store_new_node(world, holder, &holder->left, oldest);
            gc_write(world->mutator, holder, &holder->right, holder->left);
            for (unsigned i = 0; i <= rounds; i++)
                gc_collect(world->mutator, oldest, NULL);
            assert_ptr_equal(holder->left, holder->right);
            assert_int_equal(holder->left->value, oldest);
        }
    }
}

static void what_a_frozen_object_lets_go_dies(void **state)
{
    struct world *world = *state;
    struct node *holder = frozen_node(world, 0, 1);

    store_new_node(world, holder, &holder->left, 2);
    collect_each(world);
    holder->left = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

static void an_old_object_stored_into_a_frozen_one_lives(void **state)
{
    struct world *world = *state;
    struct node *holder = frozen_node(world, 0, 1);

    world->root[1] = make_node(world->mutator, 2);
    collect_each(world);
    assert_int_equal(generation_of(world, world->root[1]), GC_OLD);
    gc_write(world->mutator, holder, &holder->left, world->root[1]);
    world->root[1] = NULL;
    for (int i = 0; i < 3; i++) {
        gc_collect(world->mutator, (unsigned)i, NULL);
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_int_equal(holder->left->value, 2);
    }
    assert_int_equal(count_objects(world->mutator, &node_type), 2);
}

/* gen2, then gen1, then gen0: each collection must keep what it does not read. */
static void a_frozen_object_may_refer_to_all_ages(void **state)
{
    struct world *world = *state;
    void **holder = world->root[0] = make_array(world->mutator, &gc_type_references, 3);

    assert_int_equal(freeze(world), GC_OK);
    holder = world->root[0];
    for (int round = 0; round < 4; round++) {
        store_new_node(world, holder, &holder[0], 10);
        gc_collect(world->mutator, GC_MIDDLE, NULL);
        gc_collect(world->mutator, GC_MIDDLE, NULL);
        store_new_node(world, holder, &holder[1], 11);
        gc_collect(world->mutator, GC_YOUNG, NULL);
        store_new_node(world, holder, &holder[2], 12);
        for (int i = 0; i < 3; i++)
            assert_int_equal(generation_of(world, holder[i]), GC_OLD - i);
        gc_collect(world->mutator, (unsigned)round % GC_GENERATIONS, NULL);
        collect_each(world);
        for (uint64_t i = 0; i < 3; i++)
            assert_int_equal(((struct node *)holder[i])->value, 10 + i);
    }
}

static void a_large_frozen_array_keeps_what_is_stored(void **state)
{
    struct world *world = *state;
    void **array;

    world->root[0] = make_array(world->mutator, &gc_type_references, LARGE_LENGTH);
    assert_int_equal(freeze(world), GC_OK);
    array = world->root[0];
    for (size_t i = 0; i < LARGE_LENGTH; i += 7) {
        store_new_node(world, array, &array[i], i);
        if (i % 5000 == 0)
            gc_collect(world->mutator, (unsigned)(i / 5000) % GC_GENERATIONS, NULL);
    }
    for (int round = 0; round < 3; round++) {
        collect_each(world);
        for (size_t i = 0; i < LARGE_LENGTH; i += 7)
            assert_int_equal(((struct node *)array[i])->value, i);
    }
    for (size_t i = 0; i < LARGE_LENGTH; i += 14)
        array[i] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), LARGE_LENGTH / 14);
    assert_int_equal(freeze(world), GC_OK);
    store_new_node(world, array, &array[0], 0);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_unfreeze(world->mutator);
    collect_each(world);
    assert_int_equal(count_objects(world->mutator, &node_type), LARGE_LENGTH / 14 + 1);
    assert_int_equal(((struct node *)array[0])->value, 0);
}

static void relinking_frozen_objects_logs_one_in_many(void **state)
{
    enum { NODES = 320, MANY = 32 };
    struct world *world = *state;
    struct node *list;
    uint64_t before;

    world->root[0] = build_list(world->mutator, NODES);
    assert_int_equal(freeze(world), GC_OK);
    before = stats_of(world->heap).logged_objects;
    for (list = world->root[0]; list != NULL; list = list->right)
        gc_write(world->mutator, list, &list->left, world->root[0]);
    assert_int_equal(stats_of(world->heap).logged_objects, before + NODES / MANY);
}

static void holders_beyond_the_log_are_remembered(void **state)
{
    enum { HOLDERS = 20000 };
    gc_options options = plain_options(MIB);
    struct world *world;
    void **array;

    (void)state;
    options.hard_limit = 32 * MIB; /* whose sets hold fewer */
    world = world_make(&options);
    array = world->root[0] = make_array(world->mutator, &gc_type_references, HOLDERS);
    for (size_t i = 0; i < HOLDERS; i++)
        gc_write(world->mutator, array, &array[i], make_node(world->mutator, 0));
    assert_int_equal(freeze(world), GC_OK);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < HOLDERS; i++) {
            struct node *holder = array[i];

            store_new_node(world, holder, &holder->left, i);
        }
        for (unsigned oldest = 0; oldest < 2 * GC_GENERATIONS; oldest++)
            gc_collect(world->mutator, oldest % GC_GENERATIONS, NULL);
        assert_int_equal(gc_verify(world->mutator), 0);
        for (uint64_t i = 0; i < HOLDERS; i++)
            assert_int_equal(((struct node *)array[i])->left->value, i);
        assert_int_equal(freeze(world), GC_OK);
    }
    assert_int_equal(gc_frozen_objects(world->heap), 3 * HOLDERS + 1);
    world_end(world);
}

static void a_missed_barrier_on_a_frozen_object_is_reported(void **state)
{
    struct world *world = make_plain(MIB);
    struct node *holder = frozen_node(world, 0, 1);

    (void)state;
    world->root[1] = make_node(world->mutator, 2);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_int_equal(generation_of(world, world->root[1]), GC_OLD);
    holder->left = world->root[1];
    assert_int_equal(gc_verify(world->mutator), 1);
    gc_write_barrier(world->mutator, holder);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
}

/* ---- Undone ------------------------------------------------------------- */

static void unfreezing_keeps_what_frozen_holders_refer_to(void **state)
{
    struct world *world = *state;
    void **holders = world->root[0] = make_array(world->mutator, &gc_type_references, 3);

    for (int i = 0; i < 3; i++)
        store_new_node(world, holders, &holders[i], (uint64_t)i);
    assert_int_equal(freeze(world), GC_OK);
    holders = world->root[0];
    for (int i = 0; i < 3; i++) {
        struct node *holder = holders[i];

        store_new_node(world, holder, &holder->left, (uint64_t)i);
        if (i < 2)
            gc_collect(world->mutator, (unsigned)(1 - i), NULL);
    }
    gc_unfreeze(world->mutator); /* they refer to gen2, gen1 and gen0 */
    assert_int_equal(gc_verify(world->mutator), 0);
    collect_each(world);
    holders = world->root[0];
    for (int i = 0; i < 3; i++)
        assert_int_equal(((struct node *)holders[i])->left->value, i);
}

static void it_can_be_done_and_undone_many_times(void **state)
{
    struct world *world = *state;

    for (size_t round = 0; round < 10; round++) {
        world->root[round % 4] = build_list(world->mutator, 500);
        assert_int_equal(gc_freeze(world->mutator, round % 2), GC_OK);
        world->root[4] = build_list(world->mutator, 100);
        gc_collect(world->mutator, (unsigned)(round % 3), NULL);
        if (round % 3 != 0)
            gc_unfreeze(world->mutator);
        assert_int_equal(gc_verify(world->mutator), 0);
        assert_true(is_intact_list(world->root[4], 100));
    }
    gc_unfreeze(world->mutator);
    gc_unfreeze(world->mutator); /* nothing is frozen: nothing to do */
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 4 * 500 + 100);
}

/* ---- When it cannot be -------------------------------------------------- */

static void a_heap_without_barriers_cannot_be_frozen(void **state)
{
    gc_options options = plain_options(0);
    struct world *world;

    (void)state;
    options.barriers = GC_BARRIERS_NONE;
    world = world_make(&options);
    world->root[0] = make_node(world->mutator, 1);
    assert_int_equal(freeze(world), GC_BUSY);
    assert_int_equal(gc_frozen_objects(world->heap), 0);
    world_end(world);
}

static void without_memory_nothing_is_frozen(void **state)
{
    unsigned points = 0;

    (void)state;
    for (bool failed = true; failed; points++) {
        struct world *world;
        gc_status status;

        fault_install();
        world = make_plain(MIB);
        world->root[0] = build_list(world->mutator, 1000);
        for (struct node *node = world->root[0]; node != NULL; node = node->right)
            assert_int_equal(gc_pin(world->mutator, node), GC_OK);
        fault_arm(points, UINT_MAX, FAULT_ALL & ~(unsigned)FAULT_DECOMMIT);
        status = freeze(world);
        failed = fault_failed() > 0;
        fault_disarm();
        assert_int_equal(gc_frozen_objects(world->heap), status == GC_OK ? 1000 : 0);
        assert_true(status == GC_OK || (failed && status == GC_NO_MEMORY));
        assert_int_equal(freeze(world), GC_OK);
        assert_int_equal(gc_frozen_objects(world->heap), 1000);
        world_end(world);
        assert_true(fault_is_clean());
        fault_remove();
    }
    assert_true(points > 3);
}

/* The set of frozen holders is made with the first freeze. */
static void without_addresses_for_the_set_nothing_is_frozen(void **state)
{
    struct world *world;

    (void)state;
    fault_install();
    world = make_plain(MIB);
    world->root[0] = build_list(world->mutator, 1000);
    fault_arm(0, UINT_MAX, FAULT_RESERVE);
    assert_int_equal(freeze(world), GC_NO_MEMORY);
    assert_true(fault_failed() > 0);
    fault_disarm();
    assert_int_equal(gc_frozen_objects(world->heap), 0);
    assert_int_equal(freeze(world), GC_OK);
    world_end(world);
    assert_true(fault_is_clean());
    fault_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define EXACT(test) cmocka_unit_test_setup_teardown(test, exact_setup, world_teardown)
#define MOVING(test) cmocka_unit_test_setup_teardown(test, moving_setup, world_teardown)
        EXACT(everything_alive_becomes_frozen),
        EXACT(frozen_counts_equal_a_recount),
        EXACT(frozen_objects_live_without_roots_until_they_are_not_frozen),
        MOVING(frozen_objects_do_not_move),
        EXACT(freezing_again_adds_what_is_new),
        cmocka_unit_test(compaction_before_it_leaves_fewer_blocks),
        EXACT(what_is_stored_into_a_frozen_object_lives),
        MOVING(what_is_stored_into_a_frozen_object_lives),
        EXACT(what_is_stored_is_followed_at_every_age),
        MOVING(what_is_stored_is_followed_at_every_age),
        EXACT(what_a_frozen_object_lets_go_dies),
        EXACT(an_old_object_stored_into_a_frozen_one_lives),
        MOVING(an_old_object_stored_into_a_frozen_one_lives),
        EXACT(a_frozen_object_may_refer_to_all_ages),
        MOVING(a_frozen_object_may_refer_to_all_ages),
        EXACT(a_large_frozen_array_keeps_what_is_stored),
        MOVING(a_large_frozen_array_keeps_what_is_stored),
        EXACT(relinking_frozen_objects_logs_one_in_many),
        cmocka_unit_test(holders_beyond_the_log_are_remembered),
        cmocka_unit_test(a_missed_barrier_on_a_frozen_object_is_reported),
        EXACT(unfreezing_keeps_what_frozen_holders_refer_to),
        MOVING(unfreezing_keeps_what_frozen_holders_refer_to),
        EXACT(it_can_be_done_and_undone_many_times),
        cmocka_unit_test(a_heap_without_barriers_cannot_be_frozen),
        cmocka_unit_test(without_memory_nothing_is_frozen),
        cmocka_unit_test(without_addresses_for_the_set_nothing_is_frozen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
