/* SPDX-License-Identifier: MIT
 *
 * The three generations: who moves up when, what triggers what, and whether
 * the heap's own words about it (counts, reasons, predictions, reports) are so.
 */
#include "support/graph.h"

#include <string.h>

/* ---- Who moves up ------------------------------------------------------- */

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

/* ---- Thresholds and counts ---------------------------------------------- */

static void the_nursery_is_collected_after_its_threshold_of_bytes(void **state)
{
    struct world *world = make_plain(2 * MIB);
    size_t bytes = 0;

    (void)state;
    run_collections(world, 3);
    for (uint64_t before = collections_of(world->heap); collections_of(world->heap) == before;) {
        make_node(world->mutator, 0);
        bytes += GC_OBJECT_BYTES(sizeof(struct node));
    }
    assert_in_range(bytes, 2 * MIB - 64 * KIB, 2 * MIB + 64 * KIB);
    world_end(world);
}

static void threshold1_counts_minors_between_middles(void **state)
{
    struct world *world = make_plain(0);
    gc_stats before;
    gc_stats after;

    (void)state;
    assert_int_equal(gc_threshold_set(world->heap, 0, 256 * KIB), GC_OK);
    assert_int_equal(gc_threshold_set(world->heap, 1, 3), GC_OK);
    run_collections(world, 8);
    before = stats_of(world->heap);
    run_collections(world, 40);
    after = stats_of(world->heap);
    assert_int_equal(after.generations[0].collections - before.generations[0].collections, 30);
    assert_int_equal(after.generations[1].collections - before.generations[1].collections, 10);
    assert_int_equal(after.generations[2].collections, 0);
    world_end(world);
}

static void options_set_the_thresholds(void **state)
{
    gc_options options = plain_options(4 * MIB);
    struct world *world;

    (void)state;
    options.threshold1 = 7;
    options.threshold2 = 9;
    world = world_make(&options);
    assert_int_equal(gc_threshold(world->heap, 0), 4 * MIB);
    assert_int_equal(gc_threshold(world->heap, 1), 7);
    assert_int_equal(gc_threshold(world->heap, 2), 9);
    world_end(world);
}

static void the_default_thresholds_are_as_documented(void **state)
{
    struct world *world = make_plain(0);

    (void)state;
    assert_in_range(gc_threshold(world->heap, 0), MIB, 64 * MIB);
    assert_int_equal(gc_threshold(world->heap, 1), 8);
    assert_int_equal(gc_threshold(world->heap, 2), 2);
    world_end(world);
}

static void a_threshold_that_is_set_is_read_back(void **state)
{
    struct world *world = make_plain(0);

    (void)state;
    assert_int_equal(gc_threshold_set(world->heap, 0, 3 * MIB), GC_OK);
    assert_int_equal(gc_threshold_set(world->heap, 1, 11), GC_OK);
    assert_int_equal(gc_threshold_set(world->heap, 2, 13), GC_OK);
    assert_int_equal(gc_threshold(world->heap, 0), 3 * MIB);
    assert_int_equal(gc_threshold(world->heap, 1), 11);
    assert_int_equal(gc_threshold(world->heap, 2), 13);
    assert_int_equal(stats_of(world->heap).nursery_bytes, 3 * MIB);
    world_end(world);
}

static void counts_follow_the_collections(void **state)
{
    struct world *world = make_plain(0);

    (void)state;
    assert_int_equal(gc_count(world->heap, 1), 0);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_count(world->heap, 1), 2);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_int_equal(gc_count(world->heap, 1), 0);
    assert_int_equal(gc_count(world->heap, 2), 1);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(gc_count(world->heap, 1), 0);
    assert_int_equal(gc_count(world->heap, 2), 0);
    world_end(world);
}

static void count0_is_the_bytes_since_the_last_collection(void **state)
{
    struct world *world = make_plain(0);

    (void)state;
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_count(world->heap, 0), 0);
    make_garbage(world->mutator, 512 * KIB);
    assert_in_range(gc_count(world->heap, 0), 448 * KIB, 576 * KIB);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_count(world->heap, 0), 0);
    world_end(world);
}

static void growth_brings_old_collections_and_no_growth_none(void **state)
{
    struct world *world = make_plain(MIB);
    struct node *list = NULL;

    (void)state;
    gc_root_add(world->heap, &list);
    run_collections(world, 100);
    assert_int_equal(stats_of(world->heap).generations[GC_OLD].collections, 0);
    for (size_t i = 0; i < 4 * MIB; i++) {
        struct node *node = make_node(world->mutator, i);

        node->right = list;
        list = node;
    }
    assert_in_range(stats_of(world->heap).generations[GC_OLD].collections, 1, 12);
    list = NULL;
    world_end(world);
}

/* ---- Reasons and predictions -------------------------------------------- */

static void the_reason_of_the_last_collection_is_told(void **state)
{
    gc_options options = plain_options(MIB);
    struct world *world;

    (void)state;
    options.threshold1 = 2;
    world = world_make(&options);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_NONE);
    run_collections(world, 1);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_NURSERY);
    while (stats_of(world->heap).generations[1].collections == 0)
        make_node(world->mutator, 0);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_COUNT);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_REQUESTED);
    gc_compact(world->mutator, NULL);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_REQUESTED);
    world_end(world);
}

static void every_reason_and_status_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < GC_REASON_COUNT_OF; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(gc_reason_name((gc_reason)a), gc_reason_name((gc_reason)b));
    for (int a = 0; a <= GC_BUSY; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(gc_status_name((gc_status)a), gc_status_name((gc_status)b));
    assert_string_equal(gc_reason_name(GC_REASON_COUNT_OF), "unknown");
    assert_string_equal(gc_status_name((gc_status)(GC_BUSY + 1)), "unknown");
}

struct prediction {
    unsigned generation;
    gc_reason reason;
    size_t bytes_left;
};

static struct prediction predict(struct world *world)
{
    struct prediction p = {0, GC_REASON_NONE, 0};

    p.generation = gc_next_generation(world->heap, &p.reason, &p.bytes_left);
    return p;
}

static void a_prediction_may_be_asked_for_in_part(void **state)
{
    gc_options options = plain_options(MIB);
    struct world *world;

    (void)state;
    options.settings = "stress=full";
    world = world_make(&options);
    assert_int_equal(gc_next_generation(world->heap, NULL, NULL), GC_OLD);
    run_collections(world, 3);
    assert_int_equal(stats_of(world->heap).generations[GC_OLD].collections, 3);
    world_end(world);
}

/* The generation collected between the two, or -1. */
static int collected_between(const gc_stats *before, const gc_stats *after)
{
    for (int g = GC_OLD; g >= 0; g--)
        if (before->generations[g].collections != after->generations[g].collections)
            return g;
    return -1;
}

/* A list of 256-byte arrays that grows gives minors, middles and fulls. */
static void predictions_come_true(void **state)
{
    struct world *world = make_plain(256 * KIB);
    void **list = NULL;
    bool seen[GC_GENERATIONS] = {false, false, false};

    (void)state;
    gc_root_add(world->heap, &list);
    for (size_t i = 0; i < 400000 && !seen[GC_OLD]; i++) {
        struct prediction p = predict(world);
        gc_stats before = stats_of(world->heap);
        void **array = gc_alloc_array(world->mutator, &gc_type_references, 30);
        gc_stats after = stats_of(world->heap);
        int g = collected_between(&before, &after);

        if (g >= 0) {
            assert_int_equal(g, p.generation);
            assert_int_equal(gc_last_reason(world->heap), p.reason);
            seen[g] = true;
        }
        array[0] = list;
        list = i % 4 == 0 ? array : list;
    }
    assert_true(seen[GC_YOUNG] && seen[GC_MIDDLE] && seen[GC_OLD]);
    world_end(world);
}

static void bytes_left_are_left(void **state)
{
    struct world *world = make_plain(0);
    struct prediction p;
    uint64_t before;

    (void)state;
    for (int round = 0; round < 10; round++) {
        run_collections(world, 1);
        p = predict(world);
        before = collections_of(world->heap);
        make_garbage(world->mutator, p.bytes_left - 64 * KIB);
        assert_int_equal(collections_of(world->heap), before);
        make_garbage(world->mutator, 128 * KIB);
        assert_int_equal(collections_of(world->heap), before + 1);
    }
    world_end(world);
}

/* ---- Enable and disable ------------------------------------------------- */

static void disabling_nests(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    gc_disable(world->mutator);
    gc_disable(world->mutator);
    make_garbage(world->mutator, 4 * MIB);
    gc_enable(world->mutator);
    assert_false(gc_is_enabled(world->heap));
    make_garbage(world->mutator, 4 * MIB);
    assert_int_equal(collections_of(world->heap), 0);
    gc_enable(world->mutator);
    assert_true(gc_is_enabled(world->heap));
    make_garbage(world->mutator, 64 * KIB);
    assert_in_range(collections_of(world->heap), 1, 2);
    world_end(world);
}

static void a_request_is_obeyed_while_disabled(void **state)
{
    struct world *world = make_plain(0);

    (void)state;
    gc_disable(world->mutator);
    make_garbage(world->mutator, MIB);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(collections_of(world->heap), 1);
    assert_int_equal(recount(world->mutator).all_objects, 0);
    gc_compact(world->mutator, NULL);
    assert_int_equal(collections_of(world->heap), 2);
    assert_false(gc_is_enabled(world->heap));
    gc_enable(world->mutator);
    world_end(world);
}

/* ---- Reports ------------------------------------------------------------ */

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

/* ---- The nursery's size, and promotion in place ------------------------- */

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

    (void)state;
    gc_root_add(world->heap, &list);
    assert_int_equal(gc_threshold_set(world->heap, 0, MIB), GC_OK);
    list = build_list(world->mutator, 1000000);
    assert_true(stats_of(world->heap).generations[0].promoted_in_place_bytes > MIB);
    assert_true(is_intact_list(list, 1000000));
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
    list = build_list(world->mutator, 500000);
    for (int round = 0; round < 20 && report.promoted_in_place_bytes == 0; round++) {
        list = build_list(world->mutator, 20000);
        was = list;
        gc_collect(world->mutator, GC_YOUNG, &report);
    }
    assert_true(report.promoted_in_place_bytes > 0);
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
        cmocka_unit_test(the_nursery_is_collected_after_its_threshold_of_bytes),
        cmocka_unit_test(threshold1_counts_minors_between_middles),
        cmocka_unit_test(options_set_the_thresholds),
        cmocka_unit_test(the_default_thresholds_are_as_documented),
        cmocka_unit_test(a_threshold_that_is_set_is_read_back),
        cmocka_unit_test(counts_follow_the_collections),
        cmocka_unit_test(count0_is_the_bytes_since_the_last_collection),
        cmocka_unit_test(growth_brings_old_collections_and_no_growth_none),
        cmocka_unit_test(the_reason_of_the_last_collection_is_told),
        cmocka_unit_test(every_reason_and_status_has_a_name_of_its_own),
        cmocka_unit_test(a_prediction_may_be_asked_for_in_part),
        cmocka_unit_test(predictions_come_true),
        cmocka_unit_test(bytes_left_are_left),
        cmocka_unit_test(disabling_nests),
        cmocka_unit_test(a_request_is_obeyed_while_disabled),
        cmocka_unit_test(a_report_of_each_generation_adds_up),
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
