/* SPDX-License-Identifier: MIT
 *
 * Holders of every sort under the barrier: arrays, structs with arrays, what is
 * copied in bulk; and heaps without barriers.
 */
#include "heap/heap.h"
#include "support/holders.h"

#include <stdlib.h>
#include <string.h>

enum { ARRAY_LENGTH = 1 << 17 }; /* 1 MiB of references: large, with cards */

/* ---- Bulk ---------------------------------------------------------------- */

static void plain_stores_and_one_barrier_are_enough(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, 300);

    for (size_t i = 0; i < 300; i++)
        array[i] = make_node(world->mutator, i);
    gc_write_barrier(world->mutator, array);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    for (size_t i = 0; i < 300; i++)
        check_node(world, array[i], i, GC_MIDDLE);
}

static void plain_stores_and_one_barrier_are_enough_for_a_large_array(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, ARRAY_LENGTH);

    for (size_t i = 0; i < ARRAY_LENGTH; i += 1000)
        array[i] = make_node(world->mutator, i);
    gc_write_barrier(world->mutator, array);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH; i += 1000)
        check_node(world, array[i], i, GC_MIDDLE);
}

static void gc_copy_remembers_what_it_copies(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, 300);
    void **source = malloc(100 * sizeof *source);

    assert_non_null(source);
    for (size_t i = 0; i < 100; i++)
        source[i] = make_node(world->mutator, i);
    gc_copy(world->mutator, array, &array[150], source, 100);
    free(source);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    for (size_t i = 0; i < 100; i++)
        check_node(world, array[150 + i], i, GC_MIDDLE);
    assert_null(array[149]);
    assert_null(array[250]);
}

static void gc_copy_marks_every_card_of_a_large_array(void **state)
{
    enum { COUNT = 5000 };
    struct world *world = *state;
    void **array = old_array(world, 0, ARRAY_LENGTH);
    void **source = malloc(COUNT * sizeof *source);

    assert_non_null(source);
    for (size_t i = 0; i < COUNT; i++)
        source[i] = make_node(world->mutator, i);
    gc_copy(world->mutator, array, &array[ARRAY_LENGTH - COUNT], source, COUNT);
    free(source);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    for (size_t i = 0; i < COUNT; i++)
        check_node(world, array[ARRAY_LENGTH - COUNT + i], i, GC_MIDDLE);
}

static void gc_copy_takes_overlapping_ranges(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, 300);

    for (size_t i = 0; i < 100; i++)
        store_new_node(world, array, &array[i], i);
    gc_copy(world->mutator, array, &array[50], &array[0], 100); /* up */
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(((struct node *)array[50 + i])->value, i);
    gc_copy(world->mutator, array, &array[25], &array[50], 100); /* down */
    gc_collect(world->mutator, GC_YOUNG, NULL);
    for (size_t i = 0; i < 100; i++)
        check_node(world, array[25 + i], i, GC_MIDDLE);
}

static void gc_copy_of_nothing_does_nothing(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, 4);

    gc_copy(world->mutator, array, array, array, 0);
    gc_copy(world->mutator, array, array, NULL, 0);
    for (size_t i = 0; i < 4; i++)
        assert_null(array[i]);
}

static void a_tagged_word_is_remembered_and_keeps_its_tag(void **state)
{
    gc_options options = test_options();
    struct world *world;
    struct node *holder;

    (void)state;
    options.stacks = GC_STACKS_EXACT;
    options.reference_tags = 1 | 1 << 3 | 1 << 5;
    world = world_make(&options);
    holder = old_node(world, 0);
    gc_write_word(world->mutator, holder, &holder->left,
                  (uintptr_t)make_node(world->mutator, 7) | 3);
    gc_write_word(world->mutator, holder, &holder->right, 0x1234 * 8 + 1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal((uintptr_t)holder->left & 7, 3);
    check_node(world, (void *)((uintptr_t)holder->left - 3), 7, GC_MIDDLE);
    assert_int_equal((uintptr_t)holder->right, 0x1234 * 8 + 1);
    world_end(world);
}

/* ---- Other holders ------------------------------------------------------- */

struct entry {
    uint64_t key;
    struct node *value;
};

struct record {
    struct node *first;
    uint64_t count;
};

static const uint32_t record_refs[] = {offsetof(struct record, first)};
static const uint32_t entry_refs[] = {offsetof(struct entry, value)};
static const gc_type entries_type = GC_TYPE_ARRAY("entries", struct entry, entry_refs);
static const gc_type record_type =
    GC_TYPE_TRAILING("record", struct record, record_refs, struct entry, entry_refs);
static const gc_type pinned_type = {.name = "pinned",
                                    .size = sizeof(struct record),
                                    .object_bytes = GC_OUT_OF_LINE,
                                    .refs = record_refs,
                                    .ref_count = 1,
                                    .kind = GC_KIND_STRUCT,
                                    .flags = GC_TYPE_PINNED,
                                    .alignment = 8};

static void an_array_of_structs_is_a_holder_at_every_size(void **state)
{
    static const size_t lengths[] = {1, 10, 500, 511, 512, 3000, 70000};
    struct world *world = *state;

    for (size_t i = 0; i < GC_COUNT(lengths); i++) {
        struct entry *entries;

        world->root[0] = make_array(world->mutator, &entries_type, lengths[i]);
        make_old(world);
        entries = world->root[0];
        store_new_node(world, entries, &entries[0].value, 1);
        store_new_node(world, entries, &entries[lengths[i] / 2].value, 2);
        store_new_node(world, entries, &entries[lengths[i] - 1].value, 3);
        gc_collect(world->mutator, GC_YOUNG, NULL);
        check_node(world, entries[lengths[i] - 1].value, 3, GC_MIDDLE);
        if (lengths[i] > 2)
            check_node(world, entries[lengths[i] / 2].value, 2, GC_MIDDLE);
        if (lengths[i] > 1)
            check_node(world, entries[0].value, 1, GC_MIDDLE);
    }
}

static void a_struct_with_a_trailing_array_is_a_holder_in_both_parts(void **state)
{
    static const size_t lengths[] = {1, 500, 70000};
    struct world *world = *state;

    for (size_t i = 0; i < GC_COUNT(lengths); i++) {
        struct record *record;
        struct entry *entries;

        world->root[0] = make_array(world->mutator, &record_type, lengths[i]);
        make_old(world);
        record = world->root[0];
        entries = (struct entry *)(void *)(record + 1);
        store_new_node(world, record, &record->first, 1);
        store_new_node(world, record, &entries[lengths[i] - 1].value, 2);
        gc_collect(world->mutator, GC_YOUNG, NULL);
        check_node(world, record->first, 1, GC_MIDDLE);
        check_node(world, entries[lengths[i] - 1].value, 2, GC_MIDDLE);
    }
}

static void an_object_pinned_from_birth_is_a_holder(void **state)
{
    struct world *world = *state;
    struct record *record = world->root[0] = make_object(world->mutator, &pinned_type);

    for (uint64_t round = 0; round < 6; round++) {
        store_new_node(world, record, &record->first, round);
        gc_collect(world->mutator, (unsigned)(round % 3), NULL);
        assert_ptr_equal(world->root[0], record);
        assert_int_equal(record->first->value, round);
    }
}

static void a_conservative_object_is_a_holder(void **state)
{
    struct world *world = *state;
    void **words = world->root[0] = make_array(world->mutator, &gc_type_words, 8);

    for (uint64_t round = 0; round < 6; round++) {
        struct node *node = make_node(world->mutator, round);

        gc_write(world->mutator, words, &words[round], node);
        gc_collect(world->mutator, (unsigned)(round % 3), NULL);
        assert_ptr_equal(words[round], node); /* pinned by the ambiguous word */
        for (uint64_t i = 0; i <= round; i++)
            assert_int_equal(((struct node *)words[i])->value, i);
    }
}

/* Into the gap that a dead object left, behind all objects, to a free block, to
 * the heap's last byte. */
static void words_that_lead_to_no_object_are_left_alone(void **state)
{
    struct world *world = *state;
    const struct gc_tables *tables = gc_heap_tables(world->heap);
    void **words = world->root[0] = make_array(world->mutator, &gc_type_words, 4);
    char *free_block = (char *)words + (size_t)16 * GC_BLOCK_BYTES;
    uintptr_t before[4];

    words[0] = make_array(world->mutator, &gc_type_words, 4);
    words[1] = free_block;
    words[2] = (char *)tables->base + tables->bytes - 1;
    world->root[1] = make_array(world->mutator, &gc_type_words, 4);
    words[3] = (char *)world->root[1] + 1000;
    memcpy(before, words, sizeof before);
    words[0] = NULL;
    gc_collect(world->mutator, GC_YOUNG, NULL);
    words[0] = (void *)before[0];
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        gc_collect(world->mutator, generation, NULL);
        assert_memory_equal(words, before, sizeof before);
        assert_int_equal(recount(world->mutator).all_objects, 2);
    }
}

/* ---- No barriers --------------------------------------------------------- */

static struct world *make_barrierless(void)
{
    gc_options options = plain_options(MIB);

    options.barriers = GC_BARRIERS_NONE;
    return world_make(&options);
}

static void without_barriers_plain_stores_are_seen(void **state)
{
    struct world *world = make_barrierless();

    (void)state;
    world->root[0] = make_node(world->mutator, 0);
    for (uint64_t round = 1; round < 20; round++) {
        struct node *node;

        for (unsigned g = 0; g < round % 4; g++)
            gc_collect(world->mutator, g, NULL);
        node = make_node(world->mutator, round);
        node->right = ((struct node *)world->root[0])->right;
        ((struct node *)world->root[0])->right = node;
    }
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(list_length(world->root[0]), 20);
    world_end(world);
}

static void without_barriers_every_collection_is_full(void **state)
{
    struct world *world = make_barrierless();
    gc_report report;

    (void)state;
    world->root[0] = build_list(world->mutator, scaled(1000000));
    make_garbage(world->mutator, 256 * MIB);
    assert_int_equal(stats_of(world->heap).generations[GC_YOUNG].collections, 0);
    assert_int_equal(stats_of(world->heap).generations[GC_MIDDLE].collections, 0);
    assert_true(stats_of(world->heap).generations[GC_OLD].collections > 0);
    report = collect(world->mutator, GC_YOUNG);
    assert_int_equal(report.generation, GC_OLD);
    assert_true(is_intact_list(world->root[0], scaled(1000000)));
    world_end(world);
}

/* With 32 MiB alive (slowed, a quarter of all), collections come with growth, not with each
 * nursery. */
static void without_barriers_growth_triggers(void **state)
{
    struct world *world = make_barrierless();
    size_t part = is_slowed() ? 4 : 1;
    uint64_t before;

    (void)state;
    world->root[0] = build_list(world->mutator, MIB / part);
    gc_collect(world->mutator, GC_OLD, NULL);
    before = collections_of(world->heap);
    make_garbage(world->mutator, 8 * MIB / part);
    assert_int_equal(collections_of(world->heap), before);
    make_garbage(world->mutator, 64 * MIB / part);
    assert_in_range(collections_of(world->heap), before + 1, before + 6);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_GROWTH);
    world_end(world);
}

#define EXACT(test) cmocka_unit_test_setup_teardown(test, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXACT(plain_stores_and_one_barrier_are_enough),
        EXACT(plain_stores_and_one_barrier_are_enough_for_a_large_array),
        EXACT(gc_copy_remembers_what_it_copies),
        EXACT(gc_copy_marks_every_card_of_a_large_array),
        EXACT(gc_copy_takes_overlapping_ranges),
        EXACT(gc_copy_of_nothing_does_nothing),
        cmocka_unit_test(a_tagged_word_is_remembered_and_keeps_its_tag),
        EXACT(an_array_of_structs_is_a_holder_at_every_size),
        EXACT(a_struct_with_a_trailing_array_is_a_holder_in_both_parts),
        EXACT(an_object_pinned_from_birth_is_a_holder),
        EXACT(a_conservative_object_is_a_holder),
        EXACT(words_that_lead_to_no_object_are_left_alone),
        cmocka_unit_test(without_barriers_plain_stores_are_seen),
        cmocka_unit_test(without_barriers_every_collection_is_full),
        cmocka_unit_test(without_barriers_growth_triggers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
