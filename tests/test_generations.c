/* SPDX-License-Identifier: MIT
 *
 * Which object is in which generation, what reports say, and how the nursery
 * adapts.
 */
#include "support/graph.h"

#include <string.h>

/* ---- Who moves up -------------------------------------------------------- */

static void a_survivor_moves_up_by_one(void **state)
{
    struct world *world = make_plain(0);
    struct node *root = NULL;

    (void)state;
    gc_root_add(world->heap, &root);
    root = make_node(world->mutator, 7);
    assert_int_equal(gc_generation_of(world->mutator, root), GC_YOUNG);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_generation_of(world->mutator, root), GC_MIDDLE);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_int_equal(gc_generation_of(world->mutator, root), GC_OLD);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(gc_generation_of(world->mutator, root), GC_OLD);
    assert_int_equal(root->value, 7);
    world_end(world);
}

static void even_a_full_collection_moves_up_by_one_only(void **state)
{
    struct world *world = make_plain(0);
    struct node *root = NULL;

    (void)state;
    gc_root_add(world->heap, &root);
    root = make_node(world->mutator, 7);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(gc_generation_of(world->mutator, root), GC_MIDDLE);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(gc_generation_of(world->mutator, root), GC_OLD);
    world_end(world);
}

static void a_minor_collection_leaves_older_generations_alone(void **state)
{
    struct world *world = make_plain(0);
    struct node *middle = NULL;
    struct node *old = NULL;
    struct node *was[2];

    (void)state;
    gc_root_add(world->heap, &middle);
    gc_root_add(world->heap, &old);
    old = make_node(world->mutator, 1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    middle = make_node(world->mutator, 2);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    was[0] = middle;
    was[1] = old;
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_ptr_equal(middle, was[0]);
    assert_ptr_equal(old, was[1]);
    assert_int_equal(gc_generation_of(world->mutator, middle), GC_MIDDLE);
    assert_int_equal(gc_generation_of(world->mutator, old), GC_OLD);
    world_end(world);
}

static void a_dead_object_stays_until_its_generation_is_collected(void **state)
{
    struct world *world = make_plain(0);
    struct node *root = NULL;

    (void)state;
    gc_root_add(world->heap, &root);
    root = make_node(world->mutator, 7);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    root = NULL;
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_int_equal(recount(world->mutator).objects[GC_OLD], 1);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(recount(world->mutator).all_objects, 0);
    world_end(world);
}

/* ---- Reports ------------------------------------------------------------- */

enum { LIST_LENGTH = 1000, LIST_BYTES = LIST_LENGTH * GC_OBJECT_BYTES(sizeof(struct node)) };

/* In each generation g, a list that root[g] keeps and as many dead nodes. */
static void populate(struct world *world)
{
    for (unsigned step = 0; step < GC_GENERATIONS; step++) {
        world->root[GC_OLD - step] = build_list(world->mutator, LIST_LENGTH);
        world->root[3 + step] = build_list(world->mutator, LIST_LENGTH);
        if (step < GC_OLD)
            gc_collect(world->mutator, step, NULL);
    }
    memset(&world->root[3], 0, 3 * sizeof world->root[3]);
}

static void a_report_of_each_generation_adds_up(void **state)
{
    (void)state;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        struct world *world = make_plain(0);
        struct recount before;
        gc_report report;

        populate(world);
        before = recount(world->mutator);
        report = collect(world->mutator, generation);
        assert_int_equal(report.generation, generation);
        assert_int_equal(report.reason, GC_REASON_REQUESTED);
        assert_int_equal(report.survived_objects, LIST_LENGTH * (generation + 1));
        assert_int_equal(report.survived_bytes, LIST_BYTES * (generation + 1));
        assert_int_equal(report.reclaimed_bytes, LIST_BYTES * (generation + 1));
        assert_int_equal(report.promoted_bytes, LIST_BYTES * (generation == 0 ? 1 : 2));
        assert_true(report.promoted_in_place_bytes <= report.promoted_bytes);
        assert_true(report.moved_bytes <= report.survived_bytes - report.promoted_in_place_bytes);
        assert_true(report.pause_ns > 0);
        assert_int_equal(recount(world->mutator).all_bytes,
                         before.all_bytes - report.reclaimed_bytes);
        for (int g = 0; g < GC_GENERATIONS; g++)
            assert_true(is_intact_list(world->root[g], LIST_LENGTH));
        world_end(world);
    }
}

/* What goes up does so in the first part; the others move it. */
static void a_report_of_a_compaction_counts_the_promoted_once(void **state)
{
    struct world *world = make_plain(0);
    struct node *list = NULL;

    (void)state;
    gc_root_add(world->heap, &list);
    list = build_list(world->mutator, LIST_LENGTH);
    for (unsigned generation = GC_MIDDLE; generation <= GC_OLD; generation++) {
        gc_report report = compact(world->mutator);

        assert_int_equal(gc_generation_of(world->mutator, list), generation);
        assert_int_equal(report.promoted_bytes, LIST_BYTES);
        assert_true(report.moved_bytes >= LIST_BYTES);
    }
    assert_int_equal(compact(world->mutator).promoted_bytes, 0);
    world_end(world);
}

static void a_report_counts_survivors_and_promoted(void **state)
{
    struct world *world = make_plain(0);
    struct node *list = NULL;
    gc_report report = {.size = sizeof report};
    size_t bytes = 1000 * GC_OBJECT_BYTES(sizeof(struct node));

    (void)state;
    gc_root_add(world->heap, &list);
    list = build_list(world->mutator, 1000);
    make_garbage(world->mutator, 100 * KIB);
    gc_collect(world->mutator, GC_YOUNG, &report);
    assert_int_equal(report.survived_objects, 1000);
    assert_int_equal(report.survived_bytes, bytes);
    assert_int_equal(report.promoted_bytes, bytes);
    assert_int_equal(report.reclaimed_bytes, 100 * KIB);
    gc_collect(world->mutator, GC_MIDDLE, &report);
    assert_int_equal(report.survived_bytes, bytes);
    assert_int_equal(report.promoted_bytes, bytes);
    gc_collect(world->mutator, GC_OLD, &report);
    assert_int_equal(report.survived_objects, 1000);
    assert_int_equal(report.promoted_bytes, 0);
    assert_int_equal(report.reclaimed_bytes, 0);
    world_end(world);
}

static void generations_above_two_are_taken_as_two(void **state)
{
    struct world *world = make_plain(0);
    gc_report report = {.size = sizeof report};

    (void)state;
    gc_collect(world->mutator, 77, &report);
    assert_int_equal(report.generation, GC_OLD);
    world_end(world);
}

/* ---- The nursery's size, and promotion in place -------------------------- */

static void the_nursery_stays_within_its_bounds(void **state)
{
    gc_options options = plain_options(0);
    struct world *world;
    struct node *list = NULL;

    (void)state;
    options.nursery_min = 1 * MIB;
    options.nursery_max = 8 * MIB;
    world = world_make(&options);
    gc_root_add(world->heap, &list);
    for (int round = 0; round < 40; round++) {
        list = round % 2 == 0 ? build_list(world->mutator, scaled(200000)) : NULL;
        make_garbage(world->mutator, scaled(4 * MIB));
        assert_in_range(gc_threshold(world->heap, 0), options.nursery_min, options.nursery_max);
        assert_int_equal(gc_threshold(world->heap, 0), stats_of(world->heap).nursery_bytes);
    }
    world_end(world);
}

/* One node in four stays: a larger nursery would have found more of them dead,
 * for all it knows. */
static void the_nursery_grows_while_a_part_survives(void **state)
{
    gc_options options = plain_options(0);
    struct world *world;
    size_t first;

    (void)state;
    options.nursery_min = 256 * KIB;
    options.nursery_max = 32 * MIB;
    world = world_make(&options);
    first = gc_threshold(world->heap, 0);
    for (uint64_t i = 0; i < MIB; i++) {
        struct node *node = make_node(world->mutator, i);

        if (i % 4 == 0) {
            node->right = world->root[0];
            world->root[0] = node;
        }
    }
    assert_true(gc_threshold(world->heap, 0) > first);
    world_end(world);
}

static void a_nursery_that_is_set_does_not_adapt(void **state)
{
    struct world *world = make_plain(0);
    struct node *list = NULL;

    (void)state;
    gc_root_add(world->heap, &list);
    assert_int_equal(gc_threshold_set(world->heap, 0, 2 * MIB), GC_OK);
    list = build_list(world->mutator, scaled(1000000));
    assert_int_equal(gc_threshold(world->heap, 0), 2 * MIB);
    list = NULL;
    run_collections(world, 10);
    assert_int_equal(gc_threshold(world->heap, 0), 2 * MIB);
    world_end(world);
}

static void mostly_alive_young_blocks_go_up_in_place(void **state)
{
    struct world *world = make_plain(0);
    struct node *list = NULL;
    size_t length = is_slowed() ? 200000 : 1000000;

    (void)state;
    gc_root_add(world->heap, &list);
    assert_int_equal(gc_threshold_set(world->heap, 0, MIB), GC_OK);
    list = build_list(world->mutator, length);
    assert_true(stats_of(world->heap).generations[0].promoted_in_place_bytes > MIB);
    assert_true(is_intact_list(list, length));
    world_end(world);
}

static void an_object_promoted_in_place_keeps_its_address(void **state)
{
    struct world *world = make_plain(0);
    struct node *list = NULL;
    struct node *was = NULL;
    gc_report report = {.size = sizeof report};

    (void)state;
    gc_root_add(world->heap, &list);
    list = build_list(world->mutator, is_slowed() ? 200000 : 500000);
    for (int round = 0; round < 20 && report.promoted_in_place_bytes == 0; round++) {
        list = build_list(world->mutator, 20000);
        was = list;
        gc_collect(world->mutator, GC_YOUNG, &report);
    }
    assert_in_range(report.promoted_in_place_bytes, 1, report.survived_bytes);
    assert_int_equal(report.moved_bytes + report.promoted_in_place_bytes, report.promoted_bytes);
    if (report.moved_bytes == 0)
        assert_ptr_equal(list, was);
    assert_int_equal(gc_generation_of(world->mutator, list), GC_MIDDLE);
    assert_true(is_intact_list(list, 20000));
    world_end(world);
}

static void garbage_after_promotion_in_place_is_moved_out_of_again(void **state)
{
    struct world *world = make_plain(0);
    struct node *list = NULL;
    gc_report report = {.size = sizeof report};

    (void)state;
    gc_root_add(world->heap, &list);
    assert_int_equal(gc_threshold_set(world->heap, 0, MIB), GC_OK);
    list = build_list(world->mutator, 500000);
    for (int round = 0; round < 20; round++) {
        list = build_list(world->mutator, 100);
        make_garbage(world->mutator, 900 * KIB);
        gc_collect(world->mutator, GC_YOUNG, &report);
    }
    assert_int_equal(report.promoted_in_place_bytes, 0);
    assert_true(is_intact_list(list, 100));
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_survivor_moves_up_by_one),
        cmocka_unit_test(even_a_full_collection_moves_up_by_one_only),
        cmocka_unit_test(a_minor_collection_leaves_older_generations_alone),
        cmocka_unit_test(a_dead_object_stays_until_its_generation_is_collected),
        cmocka_unit_test(a_report_of_each_generation_adds_up),
        cmocka_unit_test(a_report_of_a_compaction_counts_the_promoted_once),
        cmocka_unit_test(a_report_counts_survivors_and_promoted),
        cmocka_unit_test(generations_above_two_are_taken_as_two),
        cmocka_unit_test(the_nursery_stays_within_its_bounds),
        cmocka_unit_test(the_nursery_grows_while_a_part_survives),
        cmocka_unit_test(a_nursery_that_is_set_does_not_adapt),
        cmocka_unit_test(mostly_alive_young_blocks_go_up_in_place),
        cmocka_unit_test(an_object_promoted_in_place_keeps_its_address),
        cmocka_unit_test(garbage_after_promotion_in_place_is_moved_out_of_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
