/* SPDX-License-Identifier: MIT
 *
 * The old generation: mark, sweep, holes.
 */
#include "base/annotate.h"
#include "heap/heap.h"
#include "support/items.h"
#include "support/threads.h"

#include <string.h>

/* ---- Mark and sweep ------------------------------------------------------ */

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
    size_t stack_bytes = is_slowed() ? 1 * MIB : 64 * KIB;

    (void)state;
    gc_mutator_detach(world->mutator);
    assert_ptr_equal(run_on_stack(stack_bytes, mark_long_list, world->heap), world->heap);
    assert_int_equal(gc_mutator_attach(world->heap, &world->mutator), GC_OK);
    world_end(world);
}

/* ---- Holes --------------------------------------------------------------- */

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
    static struct node *nodes[COUNT];
    uintptr_t past[COUNT];
    struct world *world;
    size_t lasts = 0;

    (void)state;
    if (GC_REDZONE_BYTES != 0)
        skip(); /* no object ends with its block */
    world = make_plain(4 * MIB);
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

/* ---- Sizes --------------------------------------------------------------- */

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
        assert_int_equal(report.moved_bytes, extent + GC_REDZONE_BYTES <= 8192 ? extent : 0);
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

/* Of gen2's blocks little lives; what comes up goes between, not into others. */
static void copies_fill_the_holes_of_gen2(void **state)
{
    gc_options options = plain_options(4 * MIB);
    struct world *world;
    const struct gc_generation *old;
    size_t blocks;

    (void)state;
    if (GC_FORBIDS) /* what lies between objects makes other counts */
        skip();
    world = world_make(&options);
    old = &world->heap->collector.spaces.generations[GC_OLD];
    world->root[0] = build_list(world->mutator, 20000);
    make_old(world);
    for (struct node *node = world->root[0]; node != NULL && node->right != NULL;) {
        struct node *kept = node;

        for (int i = 0; i < 64 && node != NULL; i++)
            node = node->right;
        gc_write(world->mutator, kept, &kept->right, node); /* 63 of 64 die */
    }
    world->heap->collector.stress = GC_STRESS_IN_PLACE;
    gc_collect(world->mutator, GC_OLD, NULL);
    world->heap->collector.stress = 0;
    blocks = old->block_count;
    assert_true(blocks > 15);
    world->root[1] = build_list(world->mutator, 8000);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_int_equal(gc_generation_of(world->mutator, world->root[1]), GC_OLD);
    assert_in_range(old->block_count, blocks, blocks + 1);
    assert_true(is_intact_list(world->root[1], 8000));
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
        cmocka_unit_test(copies_fill_the_holes_of_gen2),
        cmocka_unit_test(a_full_block_does_not_claim_the_next_ones_first_object),
        cmocka_unit_test(objects_around_the_large_threshold_survive_everything),
        cmocka_unit_test(only_what_shares_a_block_moves),
        cmocka_unit_test(large_objects_go_up_by_relabelling),
        cmocka_unit_test(freed_large_objects_make_room_for_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
