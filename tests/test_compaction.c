/* SPDX-License-Identifier: MIT
 *
 * Compaction, and memory given back.
 */
#include "base/annotate.h"
#include "heap/heap.h"
#include "support/items.h"

/* ---- Compaction ---------------------------------------------------------- */

static void sparse_blocks_are_compacted_by_themselves(void **state)
{
    struct world *world = make_plain(MIB);
    gc_report report;
    size_t moved = 0;
    size_t live;

    (void)state;
    add_items(world, 300000, 100, 200);
    make_old(world);
    drop_items(world, 50);
    live = live_items(world);
    for (int full = 0; full < 5; full++) {
        report = collect(world->mutator, GC_OLD);
        moved += report.moved_bytes;
    }
    assert_true(moved > live / 4);
    assert_int_equal(live_items(world), live);
    assert_true(committed(world) <= 2 * live + 8 * MIB);
    world_end(world);
}

/* Whatever was known of the blocks before. */
static void one_collection_that_is_asked_for_compacts(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct world *world = make_plain(MIB);
        size_t live;

        add_items(world, 300000, 100, 200);
        make_old(world);
        if (known)
            gc_collect(world->mutator, GC_OLD, NULL);
        drop_items(world, 10);
        live = live_items(world);
        assert_int_equal(collect(world->mutator, GC_OLD).generation, GC_OLD);
        gc_trim(world->mutator);
        if (committed(world) > live + live / 2 + 6 * MIB)
            fail_msg("%zu committed for %zu live", committed(world), live);
        assert_int_equal(live_items(world), live);
        world_end(world);
    }
}

static void what_is_pinned_is_not_compacted_again_and_again(void **state)
{
    struct world *world = make_plain(MIB);
    size_t moved;

    (void)state;
    world->root[0] = build_list(world->mutator, 400000);
    make_old(world);
    for (struct node *node = world->root[0]; node != NULL; node = node->right) {
        struct node *next = node->right;

        assert_int_equal(gc_pin(world->mutator, node), GC_OK);
        for (int i = 0; i < 100 && next != NULL; i++)
            next = next->right;
        gc_write(world->mutator, node, &node->right, next);
    }
    for (int i = 0; i < 3; i++)
        gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(gc_is_sparse(&world->heap->collector));
    world->root[1] = build_list(world->mutator, 1000);
    moved = collect(world->mutator, GC_OLD).moved_bytes;
    assert_in_range(moved, 1, 1500 * GC_OBJECT_BYTES(sizeof(struct node)));
    assert_int_equal(gc_generation_of(world->mutator, world->root[1]), GC_MIDDLE);
    world_end(world);
}

/* Though it is collected twice. */
static void a_new_object_is_promoted_once(void **state)
{
    enum { NEW = 1000, BYTES = GC_OBJECT_BYTES(sizeof(struct node)) };
    struct world *world = make_plain(8 * MIB);

    (void)state;
    add_items(world, 300000, 100, 200);
    make_old(world);
    drop_items(world, 10);
    world->root[1] = build_list(world->mutator, NEW);
    collect(world->mutator, GC_OLD);
    assert_int_equal(gc_generation_of(world->mutator, world->root[1]), GC_MIDDLE);
    assert_true(is_intact_list(world->root[1], NEW));
    world_end(world);
}

static void dense_blocks_are_left_in_place(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    add_items(world, 100000, 100, 200);
    make_old(world);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(collect(world->mutator, GC_OLD).moved_bytes < MIB);
    world_end(world);
}

static void check_compaction(size_t count, size_t least, size_t most, uint64_t share)
{
    struct world *world = make_plain(0);
    size_t live, room;
    gc_report report;

    add_items(world, scaled(count), least, most);
    make_old(world);
    drop_items(world, share);
    live = live_items(world);
    report = compact(world->mutator);
    assert_int_equal(report.survived_bytes, live);
    assert_int_equal(live_items(world), live);
    room = live + recount(world->mutator).all_objects * GC_REDZONE_BYTES;
    if (committed(world) > room + room / 10 + MIB)
        fail_msg("%zu to %zu bytes, 1 in %llu kept: %zu committed for %zu live", least, most,
                 (unsigned long long)share, committed(world), live);
    world_end(world);
}

static void after_gc_compact_little_more_than_the_live_is_committed(void **state)
{
    (void)state;
    check_compaction(200000, 0, 1000, 1);
    check_compaction(200000, 0, 1000, 3);
    check_compaction(200000, 0, 1000, 30);
    check_compaction(2000000, 0, 8, 2);
    check_compaction(100000, 950, 1000, 2);
    check_compaction(100000, 0, 1000, 100000000);
}

static void gc_compact_moves_around_what_is_pinned(void **state)
{
    struct world *world = make_plain(0);
    struct item *pinned[20];
    struct item *item;
    size_t live;

    (void)state;
    add_items(world, 50000, 0, 500);
    make_old(world);
    drop_items(world, 4);
    item = world->root[0];
    for (size_t i = 0; i < 20; i++) {
        for (int skip = 0; skip < 100; skip++)
            item = item->next;
        pinned[i] = item;
        assert_int_equal(gc_pin(world->mutator, item), GC_OK);
    }
    live = live_items(world);
    gc_compact(world->mutator, NULL);
    assert_int_equal(live_items(world), live);
    item = world->root[0];
    for (size_t i = 0; i < 20; i++) {
        for (int skip = 0; skip < 100; skip++)
            item = item->next;
        assert_ptr_equal(item, pinned[i]);
        assert_int_equal(gc_unpin(world->mutator, item), GC_OK);
    }
    gc_compact(world->mutator, NULL);
    assert_true(committed(world) <= live + live / 10 + MIB);
    assert_int_equal(live_items(world), live);
    world_end(world);
}

static void an_object_pinned_once_stays_through_gc_compact(void **state)
{
    struct world *world = make_plain(0);
    struct item *pinned;

    (void)state;
    add_items(world, 5000, 0, 500);
    make_old(world);
    drop_items(world, 10);
    pinned = world->root[0];
    assert_int_equal(gc_pin_once(world->mutator, pinned), GC_OK);
    gc_compact(world->mutator, NULL);
    assert_ptr_equal(world->root[0], pinned);
    live_items(world);
    world_end(world);
}

/* Regression: the pin for one collection hid the object from the pin phase, and
 * its block, in which nothing else lived, was freed. */
static void a_pin_once_and_an_ambiguous_root_on_one_object_keep_it(void **state)
{
    struct world *world = make_plain(MIB);
    uintptr_t word = 0;

    (void)state;
    gc_root_range_add(world->heap, &word, 1, GC_AMBIGUOUS);
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        struct node *node = make_node(world->mutator, g);

        word = (uintptr_t)node;
        assert_int_equal(gc_pin_once(world->mutator, node), GC_OK);
        gc_collect(world->mutator, g, NULL);
        assert_true(gc_is_object(world->mutator, node));
        assert_int_equal(node->value, g);
    }
    world_end(world);
}

static void the_heap_goes_on_after_gc_compact(void **state)
{
    struct world *world = make_plain(0);

    (void)state;
    for (int round = 0; round < 10; round++) {
        size_t live;

        add_items(world, scaled(20000), 0, 1000);
        live = live_items(world);
        gc_compact(world->mutator, NULL);
        assert_int_equal(live_items(world), live);
        drop_items(world, 3);
    }
    world_end(world);
}

static void gc_compact_twice_moves_little_the_second_time(void **state)
{
    struct world *world = make_plain(0);
    size_t before;

    (void)state;
    add_items(world, 50000, 0, 500);
    make_old(world);
    drop_items(world, 3);
    gc_compact(world->mutator, NULL);
    gc_compact(world->mutator, NULL);
    before = committed(world);
    gc_compact(world->mutator, NULL);
    assert_true(committed(world) <= before);
    live_items(world);
    world_end(world);
}

/* ---- Memory given back --------------------------------------------------- */

static void gc_trim_gives_free_memory_back_at_once(void **state)
{
    struct world *world = make_plain(MIB);
    size_t before;
    size_t given;

    (void)state;
    add_items(world, 200000, 100, 500);
    make_old(world);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    before = committed(world);
    given = gc_trim(world->mutator);
    assert_int_equal(committed(world), before - given);
    assert_true(committed(world) <= 8 * MIB);
    assert_int_equal(gc_trim(world->mutator), 0);
    add_items(world, 20000, 100, 500);
    live_items(world);
    world_end(world);
}

static void memory_that_was_given_back_reads_as_zero(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    for (int round = 0; round < 3; round++) {
        add_items(world, 20000, 100, 500);
        make_old(world);
        world->root[0] = NULL;
        gc_compact(world->mutator, NULL);
        gc_trim(world->mutator);
        for (int i = 0; i < 20000; i++) {
            uint64_t *words = make_array(world->mutator, &gc_type_words, 40);

            for (int word = 0; word < 40; word++)
                assert_int_equal(words[word], 0);
        }
    }
    world_end(world);
}

/* With a delay of three, free memory is given back by the third full collection
 * that needs less, not before. */
static void free_memory_waits_as_long_as_is_asked(void **state)
{
    gc_options options = plain_options(MIB);
    struct world *world;
    size_t most;

    (void)state;
    options.decommit_delay = 3;
    world = world_make(&options);
    add_items(world, 100000, 100, 500);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    most = committed(world);
    for (int i = 0; i < 2; i++) {
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_true(committed(world) > most / 2);
    }
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(committed(world) < most / 2);
    world_end(world);
}

/* Each of its parts did. */
static void a_compaction_counts_once_for_how_long_memory_waits(void **state)
{
    gc_options options = plain_options(MIB);
    struct world *world;
    uint8_t age;

    (void)state;
    options.decommit_delay = 200;
    world = world_make(&options);
    add_items(world, 100000, 100, 200);
    make_old(world);
    drop_items(world, 50);
    gc_collect(world->mutator, GC_OLD, NULL);
    age = world->heap->collector.demand_age;
    gc_compact(world->mutator, NULL);
    assert_int_equal(world->heap->collector.demand_age, age + 1);
    world_end(world);
}

/* The first one that is asked for, which is all that some programs ask for. */
static void one_full_collection_that_is_asked_for_ends_a_spike(void **state)
{
    struct world *world = make_plain(MIB);
    size_t most;

    (void)state;
    add_items(world, 200000, 100, 500);
    make_old(world);
    most = committed(world);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(committed(world) <= 8 * MIB);
    assert_true(most > 40 * MIB || is_slowed());
    add_items(world, 20000, 100, 500);
    live_items(world);
    world_end(world);
}

/* Near the limit it is smaller than its least. */
static void a_spike_ends_beside_a_small_nursery_too(void **state)
{
    gc_options options = plain_options(4 * MIB);
    struct world *world;

    (void)state;
    options.hard_limit = 8 * MIB;
    world = world_make(&options);
    add_items(world, 9000, 100, 500);
    make_old(world);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(world->heap->collector.pace.nursery < world->heap->collector.pace.nursery_min);
    assert_true(world->heap->collector.demand <= 4 * MIB);
    world_end(world);
}

/* More than half of it is needed still. */
static void while_most_is_needed_one_gives_nothing_back(void **state)
{
    struct world *world = make_plain(MIB);
    size_t most;

    (void)state;
    add_items(world, 150000, 100, 500);
    world->root[1] = world->root[0];
    world->root[0] = NULL;
    add_items(world, 50000, 100, 500);
    make_old(world);
    most = committed(world);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(committed(world) > most / 8 * 7);
    world->root[0] = world->root[1];
    live_items(world);
    world_end(world);
}

/* A spike of 300 MiB, of which `kept` per cent stay, then two full
 * collections: what the process holds more than before. */
static void check_resident(uint64_t share, size_t bytes)
{
    size_t base = resident_bytes();
    struct world *world = make_plain(0);
    size_t live;
    size_t now;

    add_items(world, 300 * MIB / (bytes + 32), bytes, bytes);
    assert_true(resident_bytes() - base >= 300 * MIB);
    drop_items(world, share);
    live = live_items(world);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    now = resident_bytes() - base;
    if (now > live + live / 2)
        fail_msg("%zu resident for %zu live (1 in %llu of %zu bytes)", now, live,
                 (unsigned long long)share, bytes);
    assert_int_equal(live_items(world), live);
    world_end(world);
}

static void resident_memory_falls_after_a_spike(void **state)
{
    (void)state;
    if (is_slowed())
        skip();
    check_resident(3, 200);
    check_resident(10, 200);
    check_resident(10, 40);
    check_resident(3, 1000);
    check_resident(10, 50000);
}

static void resident_memory_falls_when_a_lifetime_ends_at_once(void **state)
{
    size_t base = resident_bytes();
    struct world *world;
    size_t live;

    (void)state;
    if (is_slowed())
        skip();
    world = make_plain(0);
    add_items(world, 200000, 200, 200);
    live = live_items(world);
    world->root[1] = world->root[0];
    world->root[0] = NULL;
    add_items(world, 1300000, 200, 200);
    world->root[0] = world->root[1];
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(resident_bytes() - base <= live + live / 2);
    assert_int_equal(live_items(world), live);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparse_blocks_are_compacted_by_themselves),
        cmocka_unit_test(one_collection_that_is_asked_for_compacts),
        cmocka_unit_test(what_is_pinned_is_not_compacted_again_and_again),
        cmocka_unit_test(a_new_object_is_promoted_once),
        cmocka_unit_test(dense_blocks_are_left_in_place),
        cmocka_unit_test(after_gc_compact_little_more_than_the_live_is_committed),
        cmocka_unit_test(gc_compact_moves_around_what_is_pinned),
        cmocka_unit_test(an_object_pinned_once_stays_through_gc_compact),
        cmocka_unit_test(a_pin_once_and_an_ambiguous_root_on_one_object_keep_it),
        cmocka_unit_test(the_heap_goes_on_after_gc_compact),
        cmocka_unit_test(gc_compact_twice_moves_little_the_second_time),
        cmocka_unit_test(gc_trim_gives_free_memory_back_at_once),
        cmocka_unit_test(free_memory_waits_as_long_as_is_asked),
        cmocka_unit_test(a_compaction_counts_once_for_how_long_memory_waits),
        cmocka_unit_test(one_full_collection_that_is_asked_for_ends_a_spike),
        cmocka_unit_test(a_spike_ends_beside_a_small_nursery_too),
        cmocka_unit_test(while_most_is_needed_one_gives_nothing_back),
        cmocka_unit_test(memory_that_was_given_back_reads_as_zero),
        cmocka_unit_test(resident_memory_falls_after_a_spike),
        cmocka_unit_test(resident_memory_falls_when_a_lifetime_ends_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
