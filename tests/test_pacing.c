/* SPDX-License-Identifier: MIT
 *
 * When collections come: thresholds, counts, reasons and predictions; and when they
 * do not.
 */
#include "support/graph.h"

#include "cycle/pace.h"

/* ---- What is held outside ------------------------------------------------- */

/* A quarter of what is live, or a fixed least. */
static void what_is_held_outside_is_weighed_against_what_is_live(void **state)
{
    struct gc_pace pace = {.live_full = 0};
    size_t least = 1;

    (void)state;
    while (!gc_pace_external_due(&pace, least))
        least *= 2;
    pace.live_full = 64 * least;
    assert_false(gc_pace_external_due(&pace, 16 * least - 1));
    assert_true(gc_pace_external_due(&pace, 16 * least));
}

/* ---- Thresholds and counts ----------------------------------------------- */

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
    assert_int_equal(gc_threshold(world->heap, 0), MIB);
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
    run_collections(world, is_slowed() ? 20 : 100);
    assert_int_equal(stats_of(world->heap).generations[GC_OLD].collections, 0);
    for (size_t i = 0; i < (is_slowed() ? 1 : 4) * MIB; i++) {
        struct node *node = make_node(world->mutator, i);

        node->right = list;
        list = node;
    }
    assert_in_range(stats_of(world->heap).generations[GC_OLD].collections, 1, 12);
    list = NULL;
    world_end(world);
}

/* ---- Reasons and predictions --------------------------------------------- */

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
    for (int i = 0; i < 8 && stats_of(world->heap).generations[1].collections == 0; i++)
        run_collections(world, 1);
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

/* What was said was what the nursery alone would bring. */
static void a_charge_that_is_due_is_predicted(void **state)
{
    struct world *world = make_plain(0);
    struct prediction p;

    (void)state;
    assert_int_equal(predict(world).reason, GC_REASON_NURSERY);
    assert_int_equal(gc_external_adjust(world->mutator, NULL, 100 * MIB), GC_OK);
    p = predict(world);
    assert_int_equal(p.reason, GC_REASON_EXTERNAL);
    assert_int_equal(p.bytes_left, 0);
    assert_non_null(gc_alloc(world->mutator, &node_type));
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_EXTERNAL);
    assert_int_equal(predict(world).reason, GC_REASON_NURSERY);
    assert_true(predict(world).bytes_left > 0);
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
        assert_true(p.bytes_left >= 64 * KIB);
        make_garbage(world->mutator, p.bytes_left - 64 * KIB);
        assert_int_equal(collections_of(world->heap), before);
        make_garbage(world->mutator, 128 * KIB);
        assert_int_equal(collections_of(world->heap), before + 1);
    }
    world_end(world);
}

/* ---- Enable and disable -------------------------------------------------- */

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

enum { LIST_LENGTH = 1000, LIST_BYTES = LIST_LENGTH * GC_OBJECT_BYTES(sizeof(struct node)) };

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_outside_is_weighed_against_what_is_live),
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
        cmocka_unit_test(a_charge_that_is_due_is_predicted),
        cmocka_unit_test(bytes_left_are_left),
        cmocka_unit_test(disabling_nests),
        cmocka_unit_test(a_request_is_obeyed_while_disabled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
