/* SPDX-License-Identifier: MIT
 *
 * The old generation: mark, sweep, holes, compaction, and memory given back.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "support/graph.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

/* A list of items of any size, each full of bytes that its seed determines. */
struct item {
    struct item *next;
    uint64_t seed;
};

static const uint32_t item_refs[] = {offsetof(struct item, next)};
static const gc_type item_type =
    GC_TYPE_TRAILING_LEAF("item", struct item, item_refs, unsigned char);

static unsigned char *item_bytes(struct item *item)
{
    return (unsigned char *)(item + 1);
}

static struct item *make_item(struct world *world, uint64_t seed, size_t bytes)
{
    struct item *item = make_array(world->mutator, &item_type, bytes);

    item->seed = seed;
    memset(item_bytes(item), (int)(seed & 0xff), bytes);
    return item;
}

static bool is_intact_item(struct item *item)
{
    size_t length = gc_length(item);
    unsigned char *bytes = item_bytes(item);

    return length == 0 ||
           (bytes[0] == (item->seed & 0xff) && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Puts items in front of root[0]'s list: `count` of `least` to `most` bytes. */
static void add_items(struct world *world, size_t count, size_t least, size_t most)
{
    uint64_t chance = count + least + most;

    for (size_t i = 0; i < count; i++) {
        size_t bytes = least + next_random(&chance) % (most - least + 1);
        struct item *item = make_item(world, i, bytes);

        gc_write(world->mutator, item, &item->next, world->root[0]);
        world->root[0] = item;
    }
}

/* Keeps about one in `share` of root[0]'s list, by chance. */
static void drop_items(struct world *world, uint64_t share)
{
    uint64_t chance = 17;
    struct item *last = NULL;
    struct item *item = world->root[0];

    world->root[0] = NULL;
    for (; item != NULL; item = item->next) {
        if (next_random(&chance) % share != 0)
            continue;
        if (last == NULL)
            world->root[0] = item;
        else
            gc_write(world->mutator, last, &last->next, item);
        last = item;
    }
    if (last != NULL)
        last->next = NULL;
}

/* Checks each item of root[0]'s list and returns the bytes they take. */
static size_t live_items(struct world *world)
{
    size_t live = 0;

    for (struct item *item = world->root[0]; item != NULL; item = item->next) {
        if (!is_intact_item(item))
            fail_msg("item %llu is not as it was made", (unsigned long long)item->seed);
        live += bytes_of(item);
    }
    return live;
}

static void make_old(struct world *world)
{
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
}

static size_t committed(const struct world *world)
{
    return stats_of(world->heap).committed_bytes;
}

/* ---- Mark and sweep ----------------------------------------------------- */

static void a_full_collection_reclaims_exactly_the_dead(void **state)
{
    struct world *world = make_plain(MIB);
    size_t live;

    (void)state;
    add_items(world, 20000, 0, 2000);
    make_old(world);
    drop_items(world, 3);
    live = live_items(world);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(recount(world->mutator).all_bytes, live);
    assert_int_equal(live_items(world), live);
    world_end(world);
}

static void old_cycles_are_reclaimed(void **state)
{
    struct world *world = make_plain(MIB);
    struct node *a;

    (void)state;
    world->root[0] = a = make_node(world->mutator, 1);
    a->left = make_node(world->mutator, 2);
    a->left->left = a;
    make_old(world);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(recount(world->mutator).all_objects, 0);
    world_end(world);
}

static void full_collections_in_a_row_change_nothing(void **state)
{
    struct world *world = make_plain(MIB);
    struct recount first;

    (void)state;
    add_items(world, 10000, 0, 500);
    for (int i = 0; i < 3; i++)
        gc_collect(world->mutator, GC_OLD, NULL);
    first = recount(world->mutator);
    for (int i = 0; i < 10; i++) {
        gc_report report = collect(world->mutator, GC_OLD);

        assert_int_equal(report.reclaimed_bytes, 0);
        assert_int_equal(recount(world->mutator).all_bytes, first.all_bytes);
    }
    assert_int_equal(live_items(world), first.bytes[GC_OLD]);
    world_end(world);
}

/* 64 KiB is a C stack of two pages of frames; marking may not recurse. */
static void *mark_long_list(void *heap)
{
    gc_mutator *mutator = NULL;
    struct node *list = NULL;
    size_t length = scaled(10000000);
    void *intact = NULL;

    if (gc_mutator_attach(heap, &mutator) != GC_OK)
        return NULL;
    GC_FRAME(mutator, frame, &list);
    list = build_list(mutator, length);
    gc_collect(mutator, GC_OLD, NULL);
    gc_compact(mutator, NULL);
    intact = is_intact_list(list, length) ? heap : NULL;
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
    return intact;
}

static void a_list_of_ten_million_is_marked_on_a_small_stack(void **state)
{
    struct world *world = make_plain(0);
    pthread_attr_t attributes;
    pthread_t thread;
    void *intact = NULL;

    (void)state;
    gc_mutator_detach(world->mutator);
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, is_slowed() ? 1 * MIB : 64 * KIB), 0);
    assert_int_equal(pthread_create(&thread, &attributes, mark_long_list, world->heap), 0);
    pthread_join(thread, &intact);
    pthread_attr_destroy(&attributes);
    assert_ptr_equal(intact, world->heap);
    assert_int_equal(gc_mutator_attach(world->heap, &world->mutator), GC_OK);
    world_end(world);
}

/* ---- Holes -------------------------------------------------------------- */

static void replacing_old_objects_does_not_make_the_heap_grow(void **state)
{
    struct world *world = make_plain(MIB);
    size_t peak;

    (void)state;
    add_items(world, 100000, 300, 300);
    make_old(world);
    peak = committed(world);
    for (int round = 0; round < 5; round++) {
        drop_items(world, 2);
        gc_collect(world->mutator, GC_OLD, NULL);
        add_items(world, 50000, 300, 300);
        make_old(world);
        live_items(world);
        assert_true(committed(world) <= peak + peak / 2);
    }
    world_end(world);
}

/* A table of items, replaced at random, between collections of all kinds: a
 * hole handed out twice puts one item over another. */
static void no_hole_is_handed_out_twice(void **state)
{
    enum { SLOTS = 4000 };
    struct world *world = make_plain(256 * KIB);
    uint64_t chance = 4711;

    (void)state;
    world->root[1] = make_array(world->mutator, &gc_type_references, SLOTS);
    for (size_t step = 0; step < scaled(300000); step++) {
        uint64_t slot = next_random(&chance) % SLOTS;
        struct item *item = make_item(world, slot, next_random(&chance) % 400);
        struct item **table = world->root[1];

        gc_write(world->mutator, table, &table[slot], item);
        if (step % 5000 == 4999) {
            gc_collect(world->mutator, (unsigned)(step / 5000 % 3), NULL);
            assert_int_equal(count_overlaps(world->mutator), 0);
            for (uint64_t i = 0; i < SLOTS; i++)
                assert_true(table[i] == NULL || (table[i]->seed == i && is_intact_item(table[i])));
        }
    }
    world_end(world);
}

/* 1024 nodes of 32 bytes fill a block to its last byte: the bump pointer is
 * then the address of the next block's first object. One past the end of a
 * block's last node keeps that node, and not its neighbour. */
static void a_full_block_does_not_claim_the_next_ones_first_object(void **state)
{
    enum { BLOCK = 32768, COUNT = 16 * BLOCK / 32 };
    struct world *world = make_plain(4 * MIB);
    static struct node *nodes[COUNT];
    uintptr_t past[COUNT];
    size_t lasts = 0;

    (void)state;
    memset(past, 0, sizeof past);
    for (uint64_t i = 0; i < COUNT; i++)
        nodes[i] = make_node(world->mutator, i);
    for (size_t i = 0; i < COUNT; i++) {
        uintptr_t end = (uintptr_t)nodes[i] + sizeof(struct node);

        assert_ptr_equal(gc_object_at(world->mutator, (void *)end), nodes[i]);
        assert_ptr_equal(gc_object_at(world->mutator, nodes[i]), nodes[i]);
        if (end % BLOCK == 0)
            past[lasts++] = end;
    }
    assert_true(lasts > 8);
    gc_root_range_add(world->heap, past, lasts, GC_AMBIGUOUS);
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        gc_collect(world->mutator, g, NULL);
        assert_int_equal(recount(world->mutator).all_objects, lasts);
        for (size_t i = 0; i < lasts; i++) {
            struct node *node = (struct node *)(past[i] - sizeof(struct node));

            assert_ptr_equal(gc_object_at(world->mutator, (void *)past[i]), node);
            assert_ptr_equal(nodes[node->value], node);
        }
    }
    world_end(world);
}

/* ---- Sizes -------------------------------------------------------------- */

static void objects_around_the_large_threshold_survive_everything(void **state)
{
    struct world *world = make_plain(MIB);
    size_t live;

    (void)state;
    for (size_t size = 8192 - 128; size <= 8192 + 128; size++) {
        struct item *item = make_item(world, size, size - sizeof(struct item));

        item->next = world->root[0];
        world->root[0] = item;
    }
    live = live_items(world);
    for (unsigned g = 0; g < 6; g++) {
        gc_collect(world->mutator, g % 3, NULL);
        assert_int_equal(live_items(world), live);
        assert_int_equal(recount(world->mutator).all_bytes, live);
    }
    gc_compact(world->mutator, NULL);
    assert_int_equal(live_items(world), live);
    world_end(world);
}

static void only_what_shares_a_block_moves(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    for (size_t extent = 8192 - 16; extent <= 8192 + 16; extent += 8) {
        gc_report report;

        world->root[0] = make_array(world->mutator, &gc_type_bytes, extent - 16);
        assert_int_equal(bytes_of(world->root[0]), extent);
        report = collect(world->mutator, GC_YOUNG);
        assert_int_equal(report.moved_bytes, extent <= 8192 ? extent : 0);
        assert_int_equal(report.promoted_bytes, extent);
        world->root[0] = NULL;
        gc_collect(world->mutator, GC_MIDDLE, NULL);
        assert_int_equal(stats_of(world->heap).large_bytes, 0);
    }
    world_end(world);
}

static void large_objects_go_up_by_relabelling(void **state)
{
    struct world *world = make_plain(MIB);
    unsigned char *bytes;

    (void)state;
    world->root[0] = bytes = make_array(world->mutator, &gc_type_bytes, 3 * MIB);
    memset(bytes, 0x5a, 3 * MIB);
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        assert_int_equal(gc_generation_of(world->mutator, bytes), g);
        gc_collect(world->mutator, g, NULL);
        assert_ptr_equal(world->root[0], bytes);
    }
    assert_int_equal(bytes[0], 0x5a);
    assert_int_equal(memcmp(bytes, bytes + 1, 3 * MIB - 1), 0);
    world_end(world);
}

static void freed_large_objects_make_room_for_others(void **state)
{
    struct world *world = make_plain(MIB);
    uint64_t chance = 99;

    (void)state;
    for (int step = 0; step < 2000; step++) {
        size_t bytes = 8000 + next_random(&chance) % (4 * MIB);
        unsigned char *object = make_array(world->mutator, &gc_type_bytes, bytes);

        assert_int_equal(object[0] | object[bytes / 2] | object[bytes - 1], 0);
        object[0] = object[bytes / 2] = object[bytes - 1] = 0xff;
        world->root[next_random(&chance) % 8] = object;
    }
    assert_true(committed(world) <= 512 * MIB);
    world_end(world);
}

/* ---- Compaction --------------------------------------------------------- */

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
    size_t live;
    gc_report report;

    add_items(world, scaled(count), least, most);
    make_old(world);
    drop_items(world, share);
    live = live_items(world);
    report = compact(world->mutator);
    assert_int_equal(report.survived_bytes, live);
    assert_int_equal(live_items(world), live);
    if (committed(world) > live + live / 10 + MIB)
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
        add_items(world, scaled(20000), 0, 1000);
        gc_compact(world->mutator, NULL);
        drop_items(world, 3);
        live_items(world);
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

/* ---- Memory given back -------------------------------------------------- */

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
        cmocka_unit_test(a_full_collection_reclaims_exactly_the_dead),
        cmocka_unit_test(old_cycles_are_reclaimed),
        cmocka_unit_test(full_collections_in_a_row_change_nothing),
        cmocka_unit_test(a_list_of_ten_million_is_marked_on_a_small_stack),
        cmocka_unit_test(replacing_old_objects_does_not_make_the_heap_grow),
        cmocka_unit_test(no_hole_is_handed_out_twice),
        cmocka_unit_test(a_full_block_does_not_claim_the_next_ones_first_object),
        cmocka_unit_test(objects_around_the_large_threshold_survive_everything),
        cmocka_unit_test(only_what_shares_a_block_moves),
        cmocka_unit_test(large_objects_go_up_by_relabelling),
        cmocka_unit_test(freed_large_objects_make_room_for_others),
        cmocka_unit_test(sparse_blocks_are_compacted_by_themselves),
        cmocka_unit_test(dense_blocks_are_left_in_place),
        cmocka_unit_test(after_gc_compact_little_more_than_the_live_is_committed),
        cmocka_unit_test(gc_compact_moves_around_what_is_pinned),
        cmocka_unit_test(an_object_pinned_once_stays_through_gc_compact),
        cmocka_unit_test(a_pin_once_and_an_ambiguous_root_on_one_object_keep_it),
        cmocka_unit_test(the_heap_goes_on_after_gc_compact),
        cmocka_unit_test(gc_compact_twice_moves_little_the_second_time),
        cmocka_unit_test(gc_trim_gives_free_memory_back_at_once),
        cmocka_unit_test(free_memory_waits_as_long_as_is_asked),
        cmocka_unit_test(memory_that_was_given_back_reads_as_zero),
        cmocka_unit_test(resident_memory_falls_after_a_spike),
        cmocka_unit_test(resident_memory_falls_when_a_lifetime_ends_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
