/* SPDX-License-Identifier: MIT
 *
 * The write barrier and what it feeds: the log, the remembered set. In each test
 * an old object is the only one that knows a young one.
 *
 * The worlds are exact and verify at every phase boundary, so a lost edge is
 * reported even where the young object would survive by luck.
 */
#include "support/holders.h"

#include <string.h>

/* ---- One holder, one store ----------------------------------------------- */

static void stored_into_old_object_is_remembered(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    store_new_node(world, holder, &holder->left, 7);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, holder->left, 7, GC_MIDDLE);
}

static void stored_into_middle_object_is_remembered(void **state)
{
    struct world *world = *state;
    struct node *holder;

    world->root[0] = make_node(world->mutator, 1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    holder = world->root[0];
    store_new_node(world, holder, &holder->left, 7);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, holder->left, 7, GC_MIDDLE);
}

static void a_holder_and_its_value_may_go_up_together(void **state)
{
    struct world *world = *state;
    struct node *holder;

    world->root[0] = make_node(world->mutator, 1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    holder = world->root[0];
    store_new_node(world, holder, &holder->left, 7);
    gc_collect(world->mutator, GC_MIDDLE, NULL); /* now gen2 -> gen1 */
    gc_collect(world->mutator, GC_YOUNG, NULL);
    holder = world->root[0];
    check_node(world, holder->left, 7, GC_MIDDLE);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    holder = world->root[0];
    check_node(world, holder->left, 7, GC_OLD);
}

static void an_edge_from_gen2_to_gen1_outlasts_minors_until_a_middle(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    store_new_node(world, holder, &holder->left, 7);
    for (int minor = 0; minor < 6; minor++) {
        make_garbage(world->mutator, 100 * KIB);
        gc_collect(world->mutator, GC_YOUNG, NULL);
        check_node(world, holder->left, 7, GC_MIDDLE);
    }
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    check_node(world, holder->left, 7, GC_OLD);
    gc_collect(world->mutator, GC_OLD, NULL);
    holder = world->root[0];
    check_node(world, holder->left, 7, GC_OLD);
}

static void a_store_of_old_into_old_keeps_the_value(void **state)
{
    struct world *world = *state;
    struct node *holder;

    old_node(world, 0);
    old_node(world, 1);
    holder = world->root[0];
    gc_write(world->mutator, holder, &holder->left, world->root[1]);
    world->root[1] = NULL;
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        gc_collect(world->mutator, g, NULL);
        holder = world->root[0];
        check_node(world, holder->left, 1001, GC_OLD);
    }
}

static void a_second_store_in_the_same_epoch_is_seen(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    store_new_node(world, holder, &holder->left, 7);
    store_new_node(world, holder, &holder->right, 8);
    store_new_node(world, holder, &holder->left, 9);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, holder->left, 9, GC_MIDDLE);
    check_node(world, holder->right, 8, GC_MIDDLE);
    assert_int_equal(count_objects(world->mutator, &node_type), 3);
}

static void the_barrier_is_armed_again_after_each_collection(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    for (uint64_t round = 0; round < 20; round++) {
        store_new_node(world, holder, &holder->left, round);
        gc_collect(world->mutator, round % 3 == 2 ? GC_MIDDLE : GC_YOUNG, NULL);
        assert_int_equal(holder->left->value, round);
    }
}

static void an_overwritten_value_is_kept_no_longer(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    store_new_node(world, holder, &holder->left, 7);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    holder->left = NULL; /* a store of NULL may be plain */
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

static void a_holder_is_logged_once_between_collections(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);
    uint64_t before = stats_of(world->heap).logged_objects;

    for (uint64_t i = 0; i < 1000; i++)
        store_new_node(world, holder, &holder->left, i);
    assert_int_equal(stats_of(world->heap).logged_objects, before + 1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, holder->left, 999, GC_MIDDLE);
}

static void a_store_into_a_young_object_is_not_logged(void **state)
{
    struct world *world = *state;
    uint64_t before = stats_of(world->heap).logged_objects;
    struct node *holder = world->root[0] = make_node(world->mutator, 1);

    store_new_node(world, holder, &holder->left, 7);
    assert_int_equal(stats_of(world->heap).logged_objects, before);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    holder = world->root[0];
    check_node(world, holder->left, 7, GC_MIDDLE);
}

/* Of stores that need no note one in 32 is noted. */
static void relinking_old_objects_logs_one_in_many(void **state)
{
    enum { NODES = 3200, MANY = 32 };
    struct world *world = *state;
    uint64_t before;

    world->root[0] = build_list(world->mutator, NODES);
    make_old(world);
    before = stats_of(world->heap).logged_objects;
    for (struct node *list = world->root[0]; list != NULL; list = list->right)
        gc_write(world->mutator, list, &list->left, world->root[0]);
    assert_int_equal(stats_of(world->heap).logged_objects, before + NODES / MANY);
}

/* So one that is relinked all the time is logged, once; a collection finds that it
 * refers to nothing younger, and notes what is stored next. */
static void a_holder_that_is_relinked_for_long_is_logged(void **state)
{
    struct world *world = *state;
    struct node *holder, *other;
    uint64_t before;

    old_node(world, 0);
    old_node(world, 1);
    other = world->root[0];
    holder = world->root[1];
    before = stats_of(world->heap).logged_objects;
    for (int i = 0; i < 1000; i++)
        gc_write(world->mutator, holder, &holder->left, i % 2 == 0 ? other : NULL);
    assert_int_equal(stats_of(world->heap).logged_objects, before + 1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_write(world->mutator, holder, &holder->left, other);
    assert_int_equal(stats_of(world->heap).logged_objects, before + 1);
    store_new_node(world, holder, &holder->left, 7);
    assert_int_equal(stats_of(world->heap).logged_objects, before + 2);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, holder->left, 7, GC_MIDDLE);
}

/* Its cards say more than an entry in the log, and it stays armed. */
static void relinking_an_old_array_with_cards_logs_nothing(void **state)
{
    enum { LENGTH = 20000 };
    struct world *world = *state;
    uint64_t before;
    void **array;

    old_node(world, 0);
    array = world->root[1] = make_array(world->mutator, &gc_type_references, LENGTH);
    make_old(world);
    before = stats_of(world->heap).logged_objects;
    for (size_t i = 0; i < LENGTH; i++)
        gc_write(world->mutator, array, &array[i], world->root[0]);
    assert_int_equal(stats_of(world->heap).logged_objects, before);
}

/* ---- Chains -------------------------------------------------------------- */

static void a_chain_of_young_objects_hangs_on_one_old(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    gc_write(world->mutator, holder, &holder->left, build_list(world->mutator, 1000));
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_true(is_intact_list(holder->left, 1000));
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_true(is_intact_list(holder->left, 1000));
}

/* Each round puts a young node at the end of a chain that is ever older
 * towards its root: gen2 -> gen2 -> ... -> gen1 -> gen0. */
static void a_chain_through_all_generations_survives(void **state)
{
    struct world *world = *state;
    struct node *end = old_node(world, 0);
    struct node *node;

    world->root[1] = end;
    for (uint64_t i = 0; i < 60; i++) {
        end = world->root[1];
        store_new_node(world, end, &end->right, i);
        world->root[1] = end->right;
        gc_collect(world->mutator, i % 7 == 6 ? GC_OLD : (unsigned)(i % 2), NULL);
    }
    world->root[1] = NULL;
    for (unsigned g = 0; g < GC_GENERATIONS; g++)
        gc_collect(world->mutator, g, NULL);
    node = world->root[0];
    assert_true(is_intact_list(node->right, 60));
}

static void a_young_object_known_to_many_old_ones_moves_once(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, 500);
    struct node *shared;

    for (size_t i = 0; i < 500; i++)
        gc_write(world->mutator, array, &array[i], make_node(world->mutator, i));
    make_old(world);
    array = world->root[0];
    shared = make_node(world->mutator, 7);
    for (size_t i = 0; i < 500; i++) {
        struct node *holder = array[i];

        gc_write(world->mutator, holder, &holder->left, shared);
    }
    gc_collect(world->mutator, GC_YOUNG, NULL);
    shared = ((struct node *)array[0])->left;
    check_node(world, shared, 7, GC_MIDDLE);
    for (size_t i = 0; i < 500; i++)
        assert_ptr_equal(((struct node *)array[i])->left, shared);
}

static void a_hundred_thousand_holders_are_all_remembered(void **state)
{
    enum { HOLDERS = 100000 };
    gc_options options = plain_options(64 * MIB);
    struct world *world = world_make(&options);
    void **array = old_array(world, 0, HOLDERS);

    (void)state;
    for (size_t i = 0; i < HOLDERS; i++)
        gc_write(world->mutator, array, &array[i], make_node(world->mutator, 0));
    make_old(world);
    for (uint64_t i = 0; i < HOLDERS; i++) {
        struct node *holder = array[i];

        struct node *fresh = make_node(world->mutator, i);
        holder = array[i];
        gc_write(world->mutator, holder, &holder->left, fresh);
    }
    gc_collect(world->mutator, GC_YOUNG, NULL);
    for (uint64_t i = 0; i < HOLDERS; i++)
        assert_int_equal(((struct node *)array[i])->left->value, i);
    world_end(world);
}

/* ---- Stale entries ------------------------------------------------------- */

static void a_remembered_holder_may_die_and_its_place_be_reused(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, 400);

    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 400; i++)
            store_new_node(world, array, &array[i], i);
        make_old(world);
        array = world->root[0];
        for (size_t i = 0; i < 400; i++) {
            struct node *holder = array[i];

            store_new_node(world, holder, &holder->left, i);
        }
        gc_collect(world->mutator, GC_YOUNG, NULL); /* all remembered: gen2 -> gen1 */
        memset(array, 0, 400 * sizeof *array);
        gc_collect(world->mutator, GC_OLD, NULL);
        world->root[1] = build_list(world->mutator, 2000);
        make_old(world); /* fills the holes */
        gc_collect(world->mutator, GC_YOUNG, NULL);
        assert_true(is_intact_list(world->root[1], 2000));
        array = world->root[0];
    }
}

static void a_logged_holder_may_die_before_the_collection(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    store_new_node(world, holder, &holder->left, 7);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_verify(world->mutator), 0);
}

static void a_remembered_holder_may_move(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    store_new_node(world, holder, &holder->left, 7);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_compact(world->mutator, NULL);
    holder = world->root[0];
    check_node(world, holder->left, 7, GC_OLD);
    store_new_node(world, holder, &holder->left, 8);
    gc_compact(world->mutator, NULL); /* logged, gen2 -> gen0, and moves */
    holder = world->root[0];
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, holder->left, 8, GC_MIDDLE);
}

static void garbage_held_by_dead_old_objects_goes_with_a_full_collection(void **state)
{
    struct world *world = *state;
    struct node *holder = old_node(world, 0);

    store_new_node(world, holder, &holder->left, 7);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 2);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

#define EXACT(test) cmocka_unit_test_setup_teardown(test, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXACT(stored_into_old_object_is_remembered),
        EXACT(stored_into_middle_object_is_remembered),
        EXACT(a_holder_and_its_value_may_go_up_together),
        EXACT(an_edge_from_gen2_to_gen1_outlasts_minors_until_a_middle),
        EXACT(a_store_of_old_into_old_keeps_the_value),
        EXACT(a_second_store_in_the_same_epoch_is_seen),
        EXACT(the_barrier_is_armed_again_after_each_collection),
        EXACT(an_overwritten_value_is_kept_no_longer),
        EXACT(a_holder_is_logged_once_between_collections),
        EXACT(a_store_into_a_young_object_is_not_logged),
        EXACT(relinking_old_objects_logs_one_in_many),
        EXACT(a_holder_that_is_relinked_for_long_is_logged),
        EXACT(relinking_an_old_array_with_cards_logs_nothing),
        EXACT(a_chain_of_young_objects_hangs_on_one_old),
        EXACT(a_chain_through_all_generations_survives),
        EXACT(a_young_object_known_to_many_old_ones_moves_once),
        cmocka_unit_test(a_hundred_thousand_holders_are_all_remembered),
        EXACT(a_remembered_holder_may_die_and_its_place_be_reused),
        EXACT(a_logged_holder_may_die_before_the_collection),
        EXACT(a_remembered_holder_may_move),
        EXACT(garbage_held_by_dead_old_objects_goes_with_a_full_collection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
