/* SPDX-License-Identifier: MIT
 *
 * stress=quarantine does what it says, and for long: every safepoint that it
 * counts moves everything, and what it holds is bounded. (What it says of a stale
 * pointer: test_quarantine.c.)
 */
#include "support/limited.h"

static void every_safepoint_moves_everything(void **state)
{
    struct world *world = make_stressed("stress=quarantine");

    (void)state;
    world->root[0] = build_list(world->mutator, 100);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t before = collections_of(world->heap);
        void *was = world->root[0], *next = ((struct node *)was)->right;

        gc_safepoint(world->mutator);
        assert_int_equal(collections_of(world->heap), before + 1);
        assert_int_equal(gc_last_reason(world->heap), GC_REASON_STRESS);
        assert_ptr_not_equal(world->root[0], was);
        assert_ptr_not_equal(((struct node *)world->root[0])->right, next);
        assert_true(is_intact_list(world->root[0], 100));
    }
    world_end(world);
}

static uint64_t collections_for(const char *settings, size_t safepoints)
{
    struct world *world = make_stressed(settings);
    uint64_t count;

    for (size_t i = 0; i < safepoints; i++)
        gc_safepoint(world->mutator);
    count = collections_of(world->heap);
    world_end(world);
    return count;
}

static void stress_every_counts_safepoints(void **state)
{
    uint64_t by_chance;

    (void)state;
    assert_int_equal(collections_for("stress=quarantine,stress-every=10", 100), 10);
    assert_int_equal(collections_for("stress=collect,stress-every=10", 100), 10);
    assert_int_equal(collections_for("stress=collect,stress-every=1", 100), 100);
    assert_int_equal(collections_for("stress=collect", 100), 100);
    by_chance = collections_for("stress=collect,stress-every=10,stress-seed=7", 10000);
    assert_in_range(by_chance, 850, 1150);
    assert_int_equal(collections_for("stress=collect,stress-every=10,stress-seed=7", 10000),
                     by_chance);
}

/* What stays inaccessible is bounded, and the oldest is given back. */
static void the_quarantine_is_bounded(void **state)
{
    gc_options options = plain_options(256 * KIB);
    struct world *world;
    struct mappings before, now;

    (void)state;
    before = count_mappings();
    options.hard_limit = 64 * MIB;
    options.settings = "stress=quarantine,stress-every=1000000000";
    world = world_make(&options);
    world->root[0] = build_list(world->mutator, 50000);
    for (size_t i = 0; i < scaled(300); i++) {
        make_garbage(world->mutator, 100 * KIB);
        gc_collect(world->mutator, (unsigned)(i % 3), NULL);
        assert_true(stats_of(world->heap).committed_bytes <= 64 * MIB);
    }
    now = count_mappings();
    assert_true(now.bytes < before.bytes + 1024 * MIB);
    assert_true(now.count < before.count + 9000);
    assert_true(is_intact_list(world->root[0], 50000));
    world_end(world);
}

/* Half of the limit is live: copies need the room that the quarantine has. */
static void the_quarantine_gives_way_to_objects(void **state)
{
    gc_options options = plain_options(MIB);
    size_t length = part_of(600 * 1000);
    struct world *world;

    (void)state;
    options.hard_limit = part_of(32 * MIB);
    options.settings = "stress=quarantine,stress-every=10000";
    world = world_make(&options);
    world->root[0] = build_list(world->mutator, length);
    assert_true(is_intact_list(world->root[0], length));
    world_end(world);
}

/* What a collection at the limit left used to be given back by the next one only:
 * under stress=evacuate-all there was no room though half of the heap was free. */
static void what_is_left_at_the_limit_is_room(void **state)
{
    static const char *const settings[] = {"stress=evacuate-all",
                                           "stress=quarantine,stress-every=10000"};

    (void)state;
    for (size_t i = 0; i < GC_COUNT(settings); i++) {
        gc_options options = plain_options(0);
        struct world *world;
        struct node *list;
        size_t count;

        options.hard_limit = 4 * MIB;
        options.settings = settings[i];
        world = world_make(&options);
        count = fill(world);
        for (list = world->root[0]; list->value != count / 2; list = list->right)
            ;
        world->root[0] = list;
        for (size_t made = 0; made < scaled(200 * 1000); made++)
            assert_non_null(gc_alloc(world->mutator, &node_type));
        world_end(world);
    }
}

static void deep_ambiguous_stacks_go_on(void **state)
{
    struct world *world =
        make_stressed("check=deep,stacks=ambiguous,stress=quarantine,stress-every=7");
    uint64_t before = collections_of(world->heap);

    (void)state;
    for (int i = 0; i < 5; i++) {
        world->root[0] = build_tree(world->mutator, 8);
        assert_int_equal(tree_count(world->root[0]), 511);
    }
    assert_true(collections_of(world->heap) - before >= 5 * 511 / 7);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_safepoint_moves_everything),
        cmocka_unit_test(stress_every_counts_safepoints),
        cmocka_unit_test(the_quarantine_is_bounded),
        cmocka_unit_test(the_quarantine_gives_way_to_objects),
        cmocka_unit_test(what_is_left_at_the_limit_is_room),
        cmocka_unit_test(deep_ambiguous_stacks_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
