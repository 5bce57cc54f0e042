/* SPDX-License-Identifier: MIT
 *
 * Copies: that each is whole, where it goes, and what is counted when there is no
 * room for it.
 */
#include "base/annotate.h"
#include "heap/heap.h"
#include "support/fault.h"
#include "support/graph.h"

#include <string.h>

/* ---- Whole --------------------------------------------------------------- */

enum { SIZES = GC_SMALL_BYTES / 8 };

static gc_type sized[SIZES];

static const gc_type *type_of_words(size_t words)
{
    static const uint32_t none[1];
    gc_type *type = &sized[words - 1];

    *type = (gc_type)GC_TYPE_STRUCT("sized", void *[1], none);
    type->size = words * 8;
    type->object_bytes = GC_INLINE_BYTES(type->size);
    type->ref_count = 0;
    type->kind = words % 2 == 0 ? GC_KIND_LEAF : GC_KIND_STRUCT;
    return type;
}

static void check_words(const uint64_t *object, size_t words)
{
    for (size_t i = 0; i < words; i++)
        assert_int_equal(object[i], (words << 16 | i) << 3 | 1);
}

static void copies_of_every_size_are_whole(void **state)
{
    enum { STEP = 7, EACH = 40 }; /* all small sizes, and some of the others */
    struct world *world = *state;
    uint64_t **objects = world->root[0] = make_array(world->mutator, &gc_type_references, SIZES);

    gc_disable(world->mutator);
    for (size_t words = 1; words < SIZES; words += words < EACH ? 1 : STEP) {
        uint64_t *object = make_object(world->mutator, type_of_words(words));

        for (size_t i = 0; i < words; i++)
            object[i] = (words << 16 | i) << 3 | 1;
        gc_write(world->mutator, objects, &objects[words], object);
    }
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        for (int round = 0; round < 2; round++) {
            uint64_t *before = objects[1];

            collect(world->mutator, generation);
            objects = world->root[0];
            assert_true(before != objects[1] || (generation < GC_OLD && round == 1));
        }
        for (size_t words = 1; words < SIZES; words += words < EACH ? 1 : STEP)
            check_words(objects[words], words);
    }
    gc_enable(world->mutator);
}

/* ---- Where to ------------------------------------------------------------ */

/* Payloads at multiples of 16, so that each takes a quarter of a block. */
static void aligned_copies_fill_blocks_to_the_last_byte(void **state)
{
    enum { COUNT = 40, QUARTER = GC_BLOCK_BYTES / 4 };
    static const gc_type type = {.name = "aligned",
                                 .size = QUARTER - 16,
                                 .object_bytes = GC_OUT_OF_LINE,
                                 .kind = GC_KIND_LEAF,
                                 .alignment = 16};
    struct world *world = *state;
    void **objects = world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    uint32_t last = GC_NO_BLOCK;
    size_t blocks = 0;

    if (GC_FORBIDS) /* red zones stand between them */
        skip();
    for (size_t i = 0; i < COUNT; i++) {
        void *object = make_object(world->mutator, &type);

        objects = world->root[0];
        gc_write(world->mutator, objects, &objects[i], object);
    }
    collect(world->mutator, GC_YOUNG);
    objects = world->root[0];
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t block = gc_block_of(gc_heap_tables(world->heap), (uintptr_t)objects[i]);

        assert_int_equal((uintptr_t)objects[i] % 16, 0);
        blocks += block != last;
        last = block;
    }
    /* One holds the array, and three of them beside it. */
    assert_in_range(blocks, COUNT / 4, COUNT / 4 + 1);
}

/* The young go up in the first of a compaction's collections, and no further. */
static void what_moves_within_gen2_is_not_promoted(void **state)
{
    enum { OLD = 20000, YOUNG = 1000, BYTES = GC_OBJECT_BYTES(sizeof(struct node)) };
    struct world *world = make_plain(8 * MIB);
    gc_report report = {.size = sizeof report};
    uint64_t moved;

    (void)state;
    world->root[0] = build_list(world->mutator, OLD);
    make_old(world);
    for (struct node *node = world->root[0]; node != NULL; node = node->right)
        if (node->right != NULL)
            gc_write(world->mutator, node, &node->right, node->right->right);
    world->root[1] = build_list(world->mutator, YOUNG);
    moved = stats_of(world->heap).moved_bytes;
    gc_compact(world->mutator, &report);
    moved = stats_of(world->heap).moved_bytes - moved;
    assert_int_equal(report.promoted_bytes, YOUNG * BYTES);
    assert_int_equal(gc_generation_of(world->mutator, world->root[1]), GC_MIDDLE);
    if (!GC_FORBIDS) /* red zones leave other blocks sparse */
        assert_in_range(moved, YOUNG * BYTES + OLD / 4 * BYTES, (2 * YOUNG + OLD / 2) * BYTES);
    assert_int_equal(list_length(world->root[0]), OLD / 2);
    assert_true(is_intact_list(world->root[1], YOUNG));
    world_end(world);
}

/* A hole that is a little too short is not taken for one that is long enough. */
static void copies_longer_than_the_holes_of_gen2_go_elsewhere(void **state)
{
    enum { NODES = 8000, KEPT_ONE_IN = 8, OBJECTS = 100 };
    static const gc_type type = GC_TYPE_LEAF("line and a word", char[GC_LINE_BYTES]);
    struct world *world = make_plain(8 * MIB);
    void **objects;

    (void)state;
    world->root[0] = build_list(world->mutator, NODES);
    make_old(world);
    for (struct node *node = world->root[0]; node != NULL;) {
        struct node *kept = node;

        for (int i = 0; i < KEPT_ONE_IN && node != NULL; i++)
            node = node->right;
        gc_write(world->mutator, kept, &kept->right, node); /* every second line is free */
    }
    world->heap->collector.stress = GC_STRESS_IN_PLACE;
    gc_collect(world->mutator, GC_OLD, NULL);
    world->heap->collector.stress = 0;
    world->root[1] = make_array(world->mutator, &gc_type_references, OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        void *object = make_object(world->mutator, &type);

        objects = world->root[1];
        gc_write(world->mutator, objects, &objects[i], object);
    }
    collect(world->mutator, GC_YOUNG);
    collect(world->mutator, GC_MIDDLE);
    objects = world->root[1];
    for (size_t i = 0; i < OBJECTS; i++)
        assert_int_equal(gc_generation_of(world->mutator, objects[i]), GC_OLD);
    assert_int_equal(stats_of(world->heap).copy_failures, 0);
    world_end(world);
}

/* ---- Without room -------------------------------------------------------- */

static uint64_t failures(const struct world *world)
{
    return stats_of(world->heap).copy_failures;
}

/* One refusal is enough: nothing is copied after it. */
static void what_cannot_be_copied_is_counted_once_and_moves_later(void **state)
{
    enum { COUNT = 120000, BYTES = GC_OBJECT_BYTES(sizeof(struct node)) };
    void *made;
    struct world *world;
    struct node *list;
    uint64_t moved;

    (void)state;
    fault_install();
    assert_int_equal(moving_setup(&made), 0);
    world = made;
    gc_disable(world->mutator);
    list = world->root[0] = build_list(world->mutator, COUNT);
    for (struct node *node = list; node != NULL; node = node->right)
        node->left = node; /* so each is met twice */
    assert_int_equal(gc_pin(world->mutator, list), GC_OK);
    moved = stats_of(world->heap).moved_bytes;
    fault_arm(0, 1, FAULT_COMMIT);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(fault_failed(), 1);
    fault_disarm();
    moved = stats_of(world->heap).moved_bytes - moved;
    assert_int_equal(failures(world), COUNT - 1 - moved / BYTES);
    assert_in_range(failures(world), COUNT / 2, COUNT - 1);
    assert_true(is_intact_list(list, COUNT));
    assert_int_equal(gc_verify(world->mutator), 0);

    moved = failures(world);
    for (int round = 0; round < 2; round++) {
        gc_collect(world->mutator, GC_YOUNG, NULL);
        assert_int_equal(failures(world), moved);
        assert_int_equal(gc_verify(world->mutator), 0);
    }
    assert_int_equal(gc_generation_of(world->mutator, list->right), GC_MIDDLE);
    assert_true(is_intact_list(list, COUNT));
    gc_enable(world->mutator);
    assert_int_equal(world_teardown(&made), 0);
    assert_true(fault_is_clean());
    fault_remove();
}

/* Two objects pinned, and each met from two sides: none failed to be copied. */
static void what_is_pinned_is_no_failure(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 1);

    world->root[0] = world->root[1] = node;
    world->root[2] = world->root[3] = node->left = make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, node), GC_OK);
    assert_int_equal(gc_pin_once(world->mutator, node->left), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_int_equal(failures(world), 0);
    }
    assert_ptr_equal(world->root[0], node);
    assert_ptr_not_equal(world->root[2], node);
}

#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOVING(copies_of_every_size_are_whole),
        cmocka_unit_test(copies_longer_than_the_holes_of_gen2_go_elsewhere),
        MOVING(aligned_copies_fill_blocks_to_the_last_byte),
        cmocka_unit_test(what_moves_within_gen2_is_not_promoted),
        cmocka_unit_test(what_cannot_be_copied_is_counted_once_and_moves_later),
        MOVING(what_is_pinned_is_no_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
