/* SPDX-License-Identifier: MIT
 *
 * Objects from birth to death, and the references between them.
 */
#include "support/heap.h"

#include <string.h>

/* ---- Birth --------------------------------------------------------------- */

/* Every round leaves its objects full of ones and drops them, so that the next
 * one's memory is used memory. */
static void objects_are_zeroed_at_every_size_also_in_reused_memory(void **state)
{
    static const size_t sizes[] = {0,    1,    7,     8,     9,      24,     100,     1000,
                                   4096, 8176, 16384, 32768, 100000, 300000, 2097152, 5000000};
    struct world *world = *state;

    for (int round = 0; round < 4; round++) {
        for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
            unsigned char *object = make_array(world->mutator, &gc_type_bytes, sizes[i]);

            assert_true(is_zeroed(object, sizes[i]));
            memset(object, 0xff, sizes[i]);
        }
        collect(world->mutator, (unsigned)round);
    }
    assert_int_equal(gc_verify(world->mutator), 0);
}

static void small_objects_are_zeroed_in_reused_holes(void **state)
{
    struct world *world = *state;

    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 5000; i++) {
            size_t bytes = i * 7 % 120;
            unsigned char *object = make_array(world->mutator, &gc_type_bytes, bytes);

            assert_true(is_zeroed(object, bytes));
            memset(object, 0xff, bytes);
            if (i % 100 == 0)
                world->root[i / 100 % WORLD_ROOTS] = object;
        }
        collect(world->mutator, (unsigned)round % GC_GENERATIONS);
    }
}

/* Header and payload of GC_SMALL_BYTES still share a block; a word more is a
 * large object. With its length word an array is a word bigger. */
static void arrays_around_the_small_size_limit_are_whole(void **state)
{
    struct world *world = *state;

    for (size_t bytes = GC_SMALL_BYTES - 64; bytes <= GC_SMALL_BYTES + 64; bytes++) {
        unsigned char *object = make_array(world->mutator, &gc_type_bytes, bytes);

        assert_true(is_zeroed(object, bytes));
        memset(object, 0x77, bytes);
        world->root[0] = object;
        assert_int_equal(gc_length(object), bytes);
        assert_ptr_equal(gc_object_at(world->mutator, object + bytes), object);
        collect(world->mutator, (unsigned)bytes % GC_GENERATIONS);
        object = world->root[0];
        assert_int_equal(gc_length(object), bytes);
        assert_int_equal(object[0], 0x77);
        assert_int_equal(object[bytes - 1], 0x77);
    }
}

static void structs_around_the_small_size_limit_are_whole(void **state)
{
    enum { WORDS = 20, LEAST = GC_SMALL_BYTES - 10 * 8 };
    static gc_type types[WORDS];
    static const uint32_t refs[] = {0};
    struct world *world = *state;

    for (size_t i = 0; i < WORDS; i++) {
        struct node **object;

        types[i] = (gc_type)GC_TYPE_STRUCT("big", struct node, refs);
        types[i].size = LEAST + i * 8;
        types[i].object_bytes = GC_INLINE_BYTES(types[i].size);
        object = make_object(world->mutator, &types[i]);
        assert_true(is_zeroed(object, types[i].size));
        world->root[0] = object;
        object[0] = make_node(world->mutator, i);
        memset(object + 1, 0x77, types[i].size - 8);
        collect(world->mutator, 0);
        collect(world->mutator, 1);
        object = world->root[0];
        assert_int_equal(object[0]->value, i);
        assert_int_equal(gc_size_of(object), types[i].size);
        assert_int_equal(((unsigned char *)object)[types[i].size - 1], 0x77);
    }
}

/* Four of these fill a block to its last byte: one past the end of the fourth
 * is the next block's first address. */
static void objects_that_fill_blocks_exactly_are_whole(void **state)
{
    enum { COUNT = 64, BYTES = GC_SMALL_BYTES - 2 * GC_HEADER_BYTES };
    struct world *world = *state;
    void **array;

    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        void *bytes = make_array(world->mutator, &gc_type_bytes, BYTES);

        memset(bytes, (int)i, BYTES);
        array = world->root[0];
        gc_write(world->mutator, array, &array[i], bytes);
    }
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        array = world->root[0];
        for (size_t i = 0; i < COUNT; i++) {
            const unsigned char *bytes = array[i];

            assert_int_equal(bytes[0], i);
            assert_int_equal(bytes[BYTES - 1], i);
            assert_ptr_equal(gc_object_at(world->mutator, bytes + BYTES), bytes);
        }
    }
}

static void objects_know_type_length_and_size(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 1);
    void *bytes = make_array(world->mutator, &gc_type_bytes, 13);
    void *references = make_array(world->mutator, &gc_type_references, 100000);

    assert_ptr_equal(gc_type_of(node), &node_type);
    assert_int_equal(gc_length(node), 0);
    assert_int_equal(gc_size_of(node), sizeof *node);
    assert_ptr_equal(gc_type_of(bytes), &gc_type_bytes);
    assert_int_equal(gc_length(bytes), 13);
    assert_int_equal(gc_size_of(bytes), 13);
    assert_ptr_equal(gc_type_of(references), &gc_type_references);
    assert_int_equal(gc_length(references), 100000);
    assert_int_equal(gc_size_of(references), 100000 * sizeof(void *));
}

/* ---- Growing old --------------------------------------------------------- */

static void assert_generation(const struct world *world, unsigned generation)
{
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(gc_generation_of(world->mutator, world->root[i]), generation);
}

static void root_one_of_each_size(struct world *world)
{
    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = make_array(world->mutator, &gc_type_references, 1000);
    world->root[2] = make_array(world->mutator, &gc_type_bytes, 100000);
}

static void survivors_move_up_by_one(void **state)
{
    struct world *world = *state;

    root_one_of_each_size(world);
    assert_generation(world, GC_YOUNG);
    collect(world->mutator, 0);
    assert_generation(world, GC_MIDDLE);
    collect(world->mutator, 0);
    assert_generation(world, GC_MIDDLE);
    collect(world->mutator, 1);
    assert_generation(world, GC_OLD);
    collect(world->mutator, 2);
    assert_generation(world, GC_OLD);
}

static void full_collections_too_move_up_by_one(void **state)
{
    struct world *world = *state;

    root_one_of_each_size(world);
    collect(world->mutator, 2);
    assert_generation(world, GC_MIDDLE);
    collect(world->mutator, 2);
    assert_generation(world, GC_OLD);
    collect(world->mutator, 2);
    assert_generation(world, GC_OLD);
}

static void report_says_what_the_collection_did(void **state)
{
    enum { LENGTH = 100, NODE_BYTES = GC_HEADER_BYTES + sizeof(struct node) };
    struct world *world = *state;
    gc_report report;

    world->root[0] = build_list(world->mutator, LENGTH);
    (void)build_list(world->mutator, LENGTH / 2);
    report = collect(world->mutator, 0);
    assert_int_equal(report.generation, 0);
    assert_int_equal(report.reason, GC_REASON_REQUESTED);
    assert_int_equal(report.survived_objects, LENGTH);
    assert_int_equal(report.survived_bytes, LENGTH * NODE_BYTES);
    assert_int_equal(report.promoted_bytes, LENGTH * NODE_BYTES);
    assert_int_equal(report.reclaimed_bytes, LENGTH / 2 * NODE_BYTES);
    assert_int_equal(report.moved_bytes + report.promoted_in_place_bytes, LENGTH * NODE_BYTES);
}

static void young_collection_leaves_older_garbage(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    collect(world->mutator, 0);
    world->root[0] = NULL;
    collect(world->mutator, 0);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
    collect(world->mutator, 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void middle_collection_leaves_old_garbage(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    collect(world->mutator, 1);
    collect(world->mutator, 1);
    world->root[0] = NULL;
    collect(world->mutator, 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void cycles_die_in_every_generation(void **state)
{
    struct world *world = *state;

    for (unsigned age = 0; age < GC_GENERATIONS; age++) {
        struct node *node = make_node(world->mutator, 1);

        world->root[0] = node;
        node->left = make_node(world->mutator, 2);
        node->left->right = node;
        for (unsigned i = 0; i < age; i++)
            collect(world->mutator, i);
        assert_int_equal(count_objects(world->mutator, &node_type), 2);
        world->root[0] = NULL;
        collect(world->mutator, age);
        assert_int_equal(count_objects(world->mutator, &node_type), 0);
    }
}

static void large_objects_never_move(void **state)
{
    static const size_t sizes[] = {GC_SMALL_BYTES + 1, 40000, 3000000};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        void *object = make_array(world->mutator, &gc_type_bytes, sizes[i]);

        world->root[0] = object;
        for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
            collect(world->mutator, generation);
        compact(world->mutator);
        assert_ptr_equal(world->root[0], object);
    }
}

/* ---- References across generations --------------------------------------- */

static void old_array_keeps_young_elements_stored_by_gc_write(void **state)
{
    static const size_t lengths[] = {10, 1000, 200000};
    struct world *world = *state;

    for (unsigned l = 0; l < GC_COUNT(lengths); l++) {
        size_t last = lengths[l] - 1;
        void **array;

        world->root[l] = make_array(world->mutator, &gc_type_references, lengths[l]);
        collect(world->mutator, 1);
        collect(world->mutator, 1);
        for (uint64_t round = 0; round < 3; round++) {
            struct node *node = make_node(world->mutator, round);

            array = world->root[l];
            gc_write(world->mutator, array, &array[last], node);
            gc_write(world->mutator, array, &array[0], node);
            collect(world->mutator, round % 2 == 0 ? 0 : 1);
            array = world->root[l];
            assert_int_equal(((struct node *)array[0])->value, round);
            assert_ptr_equal(array[0], array[last]);
        }
        collect(world->mutator, 0);
        collect(world->mutator, 0);
        array = world->root[l];
        assert_int_equal(((struct node *)array[last])->value, 2);
    }
}

struct entry {
    uint64_t key;
    struct node *node;
};
struct table {
    struct node *owner;
    struct entry entries[];
};
static const uint32_t table_refs[] = {offsetof(struct table, owner)};
static const uint32_t entry_refs[] = {offsetof(struct entry, node)};
static const gc_type table_type =
    GC_TYPE_TRAILING("table", struct table, table_refs, struct entry, entry_refs);

static void old_trailing_elements_keep_what_grows_old_behind_them(void **state)
{
    static const size_t lengths[] = {3, 300, 30000};
    struct world *world = *state;

    for (unsigned l = 0; l < GC_COUNT(lengths); l++) {
        struct table *table = make_array(world->mutator, &table_type, lengths[l]);
        size_t last = lengths[l] - 1;

        world->root[l] = table;
        collect(world->mutator, 1);
        collect(world->mutator, 1);
        table = world->root[l];
        gc_write(world->mutator, table, &table->owner, make_node(world->mutator, 1));
        gc_write(world->mutator, table, &table->entries[0].node, make_node(world->mutator, 2));
        gc_write(world->mutator, table, &table->entries[last].node, make_node(world->mutator, 3));
        for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
            collect(world->mutator, generation);
            table = world->root[l];
            assert_int_equal(table->owner->value, 1);
            assert_int_equal(table->entries[0].node->value, 2);
            assert_int_equal(table->entries[last].node->value, 3);
            assert_int_equal(gc_generation_of(world->mutator, table->owner),
                             generation == 0 ? GC_MIDDLE : GC_OLD);
        }
    }
}

static void copied_references_are_remembered(void **state)
{
    enum { COUNT = 40 };
    struct world *world = *state;
    void *young[COUNT];
    struct node **array;

    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT + 1);
    collect(world->mutator, 1);
    collect(world->mutator, 1);
    for (size_t i = 0; i < COUNT; i++)
        young[i] = make_node(world->mutator, i);
    array = world->root[0];
    gc_copy(world->mutator, array, array, young, COUNT);
    gc_copy(world->mutator, array, array + 1, array, COUNT);
    collect(world->mutator, 0);
    array = world->root[0];
    assert_int_equal(array[0]->value, 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(array[i + 1]->value, i);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(objects_are_zeroed_at_every_size_also_in_reused_memory),
        TEST(small_objects_are_zeroed_in_reused_holes),
        TEST(arrays_around_the_small_size_limit_are_whole),
        TEST(structs_around_the_small_size_limit_are_whole),
        TEST(objects_that_fill_blocks_exactly_are_whole),
        TEST(objects_know_type_length_and_size),
        TEST(survivors_move_up_by_one),
        TEST(full_collections_too_move_up_by_one),
        TEST(report_says_what_the_collection_did),
        TEST(young_collection_leaves_older_garbage),
        TEST(middle_collection_leaves_old_garbage),
        TEST(cycles_die_in_every_generation),
        TEST(large_objects_never_move),
        TEST(old_array_keeps_young_elements_stored_by_gc_write),
        TEST(old_trailing_elements_keep_what_grows_old_behind_them),
        TEST(copied_references_are_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
