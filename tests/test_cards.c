/* SPDX-License-Identifier: MIT
 *
 * Cards of large arrays: each says the youngest age that its slots refer to, so
 * that a collection looks at those slots, and at no others.
 */
#include "base/annotate.h"
#include "heap/heap.h"
#include "support/holders.h"

#include <strata/fork.h>

enum { ARRAY_LENGTH = 1 << 17 }; /* 1 MiB of references: large, with cards */

/* ---- Which slots --------------------------------------------------------- */

static void every_slot_of_a_large_array_has_its_card(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, ARRAY_LENGTH);

    for (size_t round = 0; round < 40; round++) {
        size_t first = round * 3277;

        for (size_t i = 0; i < 40 && first + i < ARRAY_LENGTH; i++)
            store_new_node(world, array, &array[first + i], first + i);
        gc_collect(world->mutator, round % 8 == 7 ? GC_MIDDLE : GC_YOUNG, NULL);
    }
    for (size_t i = 0; i < ARRAY_LENGTH; i++)
        if (array[i] != NULL)
            assert_int_equal(((struct node *)array[i])->value, i);
    assert_int_equal(count_objects(world->mutator, &node_type), 40 * 40);
}

static void the_ends_of_a_large_array_have_cards(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, ARRAY_LENGTH + 1);

    store_new_node(world, array, &array[0], 1);
    store_new_node(world, array, &array[ARRAY_LENGTH], 2);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, array[0], 1, GC_MIDDLE);
    check_node(world, array[ARRAY_LENGTH], 2, GC_MIDDLE);
}

static void a_card_is_kept_until_its_values_are_old(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, ARRAY_LENGTH);

    store_new_node(world, array, &array[777], 7);
    for (int minor = 0; minor < 4; minor++)
        gc_collect(world->mutator, GC_YOUNG, NULL);
    store_new_node(world, array, &array[778], 8); /* the same card, younger */
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    check_node(world, array[777], 7, GC_OLD);
    check_node(world, array[778], 8, GC_OLD);
    array[777] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

static void a_young_large_array_needs_no_card_until_it_is_old(void **state)
{
    struct world *world = *state;
    void **array = world->root[0] = make_array(world->mutator, &gc_type_references, ARRAY_LENGTH);

    for (unsigned round = 0; round < 4; round++) {
        store_new_node(world, array, &array[1000 * round], round);
        gc_collect(world->mutator, round % 2, NULL);
        assert_ptr_equal(world->root[0], array);
        for (unsigned i = 0; i <= round; i++)
            assert_int_equal(((struct node *)array[1000 * i])->value, i);
    }
}

/* Random stores and collections over one array of 1 MiB. */
static void a_large_array_under_random_stores_keeps_all(void **state)
{
    gc_options options = plain_options(MIB);
    struct world *world = world_make(&options);
    void **array = old_array(world, 0, ARRAY_LENGTH);
    static bool has_node[ARRAY_LENGTH];
    uint64_t chance = 42;

    (void)state;
    for (size_t step = 0; step < scaled(200000); step++) {
        size_t i = next_random(&chance) % ARRAY_LENGTH;

        if (step % 3 == 2)
            gc_write(world->mutator, array, &array[i], NULL);
        else
            store_new_node(world, array, &array[i], i);
        has_node[i] = step % 3 != 2;
        if (step % 10000 == 9999)
            gc_collect(world->mutator, (unsigned)(step / 10000 % 3), NULL);
    }
    for (size_t i = 0; i < ARRAY_LENGTH; i++) {
        assert_int_equal(array[i] != NULL, has_node[i]);
        if (array[i] != NULL)
            assert_int_equal(((struct node *)array[i])->value, i);
    }
    world_end(world);
}

/* ---- What they say ------------------------------------------------------- */

static size_t line_of(const struct world *world, const void *slot)
{
    return gc_line_of(gc_heap_tables(world->heap), (uintptr_t)slot);
}

static uint8_t card_of(const struct world *world, const void *slot)
{
    return gc_heap_tables(world->heap)->lines[line_of(world, slot)];
}

struct pair {
    struct node *first;
    struct node *second;
};

static const uint32_t pair_refs[] = {0, 8};
static const gc_type pairs_type = GC_TYPE_ARRAY("pairs", struct pair, pair_refs);

/* root[0] is frozen, root[1] is an old node that is not, root[2] one in gen1. */
static void *freeze_array(struct world *world, const gc_type *type)
{
    world->root[0] = make_array(world->mutator, type, ARRAY_LENGTH);
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
    old_node(world, 1);
    world->root[2] = make_node(world->mutator, 2);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_generation_of(world->mutator, world->root[0]), GC_FROZEN);
    assert_int_equal(gc_generation_of(world->mutator, world->root[2]), GC_MIDDLE);
    return world->root[0];
}

/* The younger one comes first: what comes after it on the card must not hide it. */
static void a_card_says_the_youngest_of_several_ages(void **state)
{
    struct world *world = *state;
    struct pair *pairs = freeze_array(world, &pairs_type);

    store_new_node(world, pairs, &pairs[7].first, 7);
    gc_write(world->mutator, pairs, &pairs[7].second, world->root[1]);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(card_of(world, &pairs[7]), gc_card_for(GC_MIDDLE));
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    check_node(world, pairs[7].first, 7, GC_OLD);
    assert_int_equal(card_of(world, &pairs[7]), gc_card_for(GC_OLD));
    assert_ptr_equal(pairs[7].second, world->root[1]);
}

/* The array is remembered for the youngest that its cards speak of, though a
 * collection of gen0 does not read those, and the last of them is of gen2. */
static void cards_that_are_not_read_are_remembered_by_the_youngest(void **state)
{
    struct world *world = *state;
    void **array = freeze_array(world, &gc_type_references);

    gc_write(world->mutator, array, &array[0], world->root[2]);
    gc_write(world->mutator, array, &array[1000], world->root[1]);
    assert_int_equal(card_of(world, &array[0]), gc_card_for(GC_MIDDLE));
    assert_int_equal(card_of(world, &array[1000]), gc_card_for(GC_OLD));
    world->root[2] = NULL;
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(world->heap->collector.remembered.old.count, 1);
    assert_int_equal(world->heap->collector.remembered.log.count, 0);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    check_node(world, array[0], 2, GC_OLD);
    assert_int_equal(world->heap->collector.remembered.old.count, 0);
    assert_int_equal(world->heap->collector.remembered.frozen.count, 1);
}

/* Fixed part and elements that do not end where cards do. */
struct wide {
    struct node *first;
    uint64_t room[GC_LINE_BYTES / 8];
    struct node *last;
};

struct piece {
    struct node *head;
    uint64_t room[7];
    struct node *tail;
};

static const uint32_t wide_refs[] = {0, offsetof(struct wide, last)};
static const uint32_t piece_refs[] = {0, offsetof(struct piece, tail)};
static const gc_type wide_type =
    GC_TYPE_TRAILING("wide", struct wide, wide_refs, struct piece, piece_refs);

/* Its note says that it is in the log, though there was no room: that is mended, or
 * what stays young is forgotten by the next collection. */
static void an_array_that_found_no_room_in_the_log_enters_it_later(void **state)
{
    struct world *world = *state;
    void **array = old_array(world, 0, ARRAY_LENGTH);
    struct gc_lane before = fill_up(&world->heap->collector.remembered.log);
    struct node *young = make_node(world->mutator, 5);

    assert_int_equal(gc_pin(world->mutator, young), GC_OK);
    gc_write(world->mutator, array, &array[5000], young);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, array[5000], 5, GC_YOUNG);
    assert_int_equal(world->heap->collector.remembered.log.count, 1);
    give_room(world, before);
    assert_int_equal(gc_unpin(world->mutator, young), GC_OK);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, array[5000], 5, GC_MIDDLE);
}

/* All that it refers to is as old as itself again. */
static void a_frozen_array_that_lets_go_leaves_the_set(void **state)
{
    struct world *world = *state;
    void **array = freeze_array(world, &gc_type_references);

    gc_write(world->mutator, array, &array[5], old_node(world, 1));
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(world->heap->collector.remembered.frozen.count, 1);
    gc_write(world->mutator, array, &array[5], array);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(world->heap->collector.remembered.frozen.count, 0);
}

/* Both slots were given a new node; the first then an old one, so that of the
 * two only the second leads to something younger than the array. */
static void check_apart(struct world *world, void *array, struct node **old, struct node **young)
{
    store_new_node(world, array, old, 1);
    gc_write(world->mutator, array, old, world->root[1]);
    store_new_node(world, array, young, 2);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, *young, 2, GC_MIDDLE);
    assert_int_equal(card_of(world, old), GC_CARD_CLEAN);
    assert_int_equal(card_of(world, young), gc_card_for(GC_MIDDLE));
}

static void a_card_speaks_of_no_slot_of_the_next(void **state)
{
    struct world *world = *state;
    struct wide *wide;
    struct piece *piece;

    old_node(world, 1);
    world->root[0] = make_array(world->mutator, &wide_type, 1000);
    make_old(world);
    wide = world->root[0];
    check_apart(world, wide, &wide->first, &wide->last);
    piece = (struct piece *)(void *)(wide + 1) + 10; /* on cards that are clean */
    while (line_of(world, &piece->head) == line_of(world, &piece->tail))
        piece++;
    check_apart(world, wide, &piece->head, &piece->tail);
}

/* ---- Where they end ------------------------------------------------------ */

/* An array that ends where its block does: cards beyond it would be lines of
 * the next block. */
static void all_cards_of_an_array_are_its_own(void **state)
{
    struct world *world = *state;
    const struct gc_tables *tables = gc_heap_tables(world->heap);
    size_t prefix = gc_prefix_bytes(&gc_type_references) + GC_HEADER_BYTES;
    uintptr_t end;

    if (GC_FORBIDS) /* a red zone stands behind the array */
        skip();
    (void)old_array(world, 0, (3 * GC_BLOCK_BYTES - prefix) / 8);
    end = gc_object_end(&gc_type_references, (uintptr_t)world->root[0]);
    assert_int_equal(end % GC_BLOCK_BYTES, 0);
    assert_int_equal(tables->state[gc_block_of(tables, end)], 0);
    gc_write_barrier(world->mutator, world->root[0]);
    assert_int_equal(tables->lines[gc_line_of(tables, end - 1)], GC_CARD_YOUNG);
    assert_int_equal(tables->lines[gc_line_of(tables, (uintptr_t)world->root[0])], GC_CARD_YOUNG);
    assert_int_equal(tables->lines[gc_line_of(tables, end)], 0);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(tables->lines[gc_line_of(tables, end - 1)], GC_CARD_CLEAN);
}

/* What stood there before it was old, or frozen, or neither, is of no use. */
static void what_is_armed_has_clean_cards(void **state)
{
    struct world *world = *state;
    const struct gc_tables *tables = gc_heap_tables(world->heap);
    uintptr_t array = (uintptr_t)old_array(world, 0, 2 * GC_BLOCK_BYTES / 8);

    gc_card_mark(tables, array, NULL, GC_CARD_YOUNG);
    gc_arm(tables, array);
    for (uintptr_t at = array; at < gc_object_end(&gc_type_references, array); at += GC_LINE_BYTES)
        assert_int_equal(tables->lines[gc_line_of(tables, at)], GC_CARD_CLEAN);
}

/* The next chunk's are not committed: nothing may look at them. */
static void the_last_cards_may_be_the_last_that_there_are(void **state)
{
    struct world *world = *state;
    size_t prefix = sizeof(uint64_t) + GC_HEADER_BYTES, length = (GC_CHUNK_BYTES - prefix) / 8;
    void **slots = old_array(world, 0, length);

    assert_int_equal((uintptr_t)&slots[length] % GC_CHUNK_BYTES, 0);
    for (size_t i = length - 8 * GC_LINE_BYTES / 8; i < length; i += 5) {
        store_new_node(world, slots, &slots[i], i);
        gc_collect(world->mutator, GC_YOUNG, NULL);
        assert_int_equal(((struct node *)slots[i])->value, i);
    }
}

#define EXACT(test) cmocka_unit_test_setup_teardown(test, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXACT(every_slot_of_a_large_array_has_its_card),
        EXACT(the_ends_of_a_large_array_have_cards),
        EXACT(a_card_is_kept_until_its_values_are_old),
        EXACT(a_young_large_array_needs_no_card_until_it_is_old),
        cmocka_unit_test(a_large_array_under_random_stores_keeps_all),
        EXACT(a_card_says_the_youngest_of_several_ages),
        EXACT(cards_that_are_not_read_are_remembered_by_the_youngest),
        EXACT(an_array_that_found_no_room_in_the_log_enters_it_later),
        EXACT(a_frozen_array_that_lets_go_leaves_the_set),
        EXACT(a_card_speaks_of_no_slot_of_the_next),
        EXACT(all_cards_of_an_array_are_its_own),
        EXACT(what_is_armed_has_clean_cards),
        EXACT(the_last_cards_may_be_the_last_that_there_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
