/* SPDX-License-Identifier: MIT
 *
 * The verifier sees what objects refer to: each missed barrier, each reference to
 * no object, and each wrong log byte is found, and named.
 */
#include "support/corruption.h"

/* Past the write barrier. */
static void plant(struct seeded *s, struct node **slot, const void *target)
{
    s->target = (uintptr_t)target;
    gc_store_word(slot, s->target);
}

/* ---- Missed barriers ----------------------------------------------------- */

static void old_to_young(struct seeded *s)
{
    at(s, s->list);
    plant(s, &s->list->left, s->young);
}

static void old_to_middle(struct seeded *s)
{
    at(s, s->list);
    plant(s, &s->list->left, s->middle);
}

static void middle_to_young(struct seeded *s)
{
    at(s, s->middle);
    plant(s, &s->middle->right, s->young_too);
}

/* The set of old holders is not read by a minor collection. */
static void remembered_for_middle_only(struct seeded *s)
{
    at(s, s->old);
    plant(s, &s->old->left, s->young);
}

static void on_a_clean_card(struct seeded *s)
{
    at(s, s->array);
    s->target = (uintptr_t)s->young;
    s->array[5] = s->young;
}

static void card_cleaned(struct seeded *s)
{
    at(s, s->array);
    s->target = (uintptr_t)s->young;
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)&s->array[1000])] = GC_CARD_CLEAN;
}

static void card_for_middle_only(struct seeded *s)
{
    at(s, s->array);
    s->target = (uintptr_t)s->young;
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)&s->array[1000])] = gc_card_for(GC_MIDDLE);
}

/* ---- Where references lead ----------------------------------------------- */

static void to_a_gap(struct seeded *s)
{
    const uint8_t *lines;
    uintptr_t line = 0;

    at(s, s->list);
    s->block = s->collector->spaces.old_holes;
    lines = gc_block_lines(s->tables, s->block);
    while (lines[line] != 0)
        line++;
    plant(s, &s->list->left,
          (void *)(gc_block_start(s->tables, s->block) + line * GC_LINE_BYTES + 64));
}

static void into_the_middle(struct seeded *s)
{
    at(s, s->young);
    s->other = (uintptr_t)s->young_too;
    plant(s, &s->young->left, &s->young_too->value);
}

static void into_a_large_one(struct seeded *s)
{
    at(s, s->young);
    s->other = (uintptr_t)s->bytes;
    plant(s, &s->young->left, s->bytes + 65536);
}

/* Its first address is in range, but a header's. */
static void to_the_base(struct seeded *s)
{
    at(s, s->young);
    s->other = s->tables->base + GC_HEADER_BYTES;
    plant(s, &s->young->left, (void *)s->tables->base);
}

static void to_a_free_block(struct seeded *s)
{
    uint32_t block = 0;

    while (s->tables->state[block] != 0)
        block++;
    at(s, s->young);
    plant(s, &s->young->left, (void *)(gc_block_start(s->tables, block) + 8));
}

static void to_where_nothing_ever_was(struct seeded *s)
{
    at(s, s->young);
    plant(s, &s->young->left, (void *)(s->tables->base + s->tables->bytes - 8));
}

/* More faults than are printed. */
static void many_to_another_heap(struct seeded *s)
{
    at(s, s->array);
    s->target = (uintptr_t)s->elsewhere;
    for (int i = 10; i < 40; i++)
        s->array[i] = s->elsewhere;
}

static void to_another_heap(struct seeded *s)
{
    at(s, s->young);
    plant(s, &s->young->right, s->elsewhere);
}

static void from_an_array(struct seeded *s)
{
    at(s, s->array);
    s->other = (uintptr_t)s->old;
    s->target = (uintptr_t)&s->old->value;
    s->array[77] = (void *)s->target;
}

/* ---- Log bytes ----------------------------------------------------------- */

static void log_byte_of_no_meaning(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) |= 0x20;
}

static void log_byte_of_young(struct seeded *s)
{
    at(s, s->young);
    *gc_log_byte((uintptr_t)s->young) = GC_LOG_ARMED;
}

static void disarmed(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) = 0;
}

static void disarmed_array(struct seeded *s)
{
    at(s, s->array);
    *gc_log_byte((uintptr_t)s->array) &= (uint8_t)~GC_LOG_ARMED;
}

static void noted_node(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) |= GC_LOG_NOTED;
}

static void not_noted_array(struct seeded *s)
{
    at(s, s->array);
    s->target = (uintptr_t)s->young;
    *gc_log_byte((uintptr_t)s->array) &= (uint8_t)~GC_LOG_NOTED;
}

static void remembered_bit(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) |= GC_LOG_REMEMBERED;
}

static void frozen_bit(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) |= GC_LOG_FROZEN;
}

static void remembered_bit_lost(struct seeded *s)
{
    at(s, s->old);
    s->target = (uintptr_t)s->middle;
    *gc_log_byte((uintptr_t)s->old) = GC_LOG_ARMED;
}

#define YOUNG "leads to a younger object and is not remembered (a missed write barrier?)"

static const struct corruption of_edges[] = {
    {"missed barrier: old to young", old_to_young,
     "node at {object} in gen2, offset 0 -> {target}: " YOUNG, false},
    {"missed barrier: old to middle", old_to_middle,
     "node at {object} in gen2, offset 0 -> {target}: " YOUNG, false},
    {"missed barrier: middle to young", middle_to_young,
     "node at {object} in gen1, offset 8 -> {target}: " YOUNG, false},
    {"missed barrier: remembered for gen1 only", remembered_for_middle_only,
     "node at {object} in gen2, offset 0 -> {target}: " YOUNG, false},
    {"missed barrier: a clean card", on_a_clean_card,
     "references at {object} in gen2, offset 40 -> {target}: " YOUNG, false},
    {"a card was cleaned", card_cleaned,
     "references at {object} in gen2, offset 8000 -> {target}: " YOUNG, false},
    {"a card for gen1 only", card_for_middle_only,
     "references at {object} in gen2, offset 8000 -> {target}: " YOUNG, false},
    {"to a gap", to_a_gap, "node at {object} in gen2, offset 0 -> {target}: leads to no object",
     false},
    {"into the middle", into_the_middle,
     "node at {object} in gen0, offset 0 -> {target}: leads into the middle of the node at {other}",
     false},
    {"into a large object", into_a_large_one,
     "node at {object} in gen0, offset 0 -> {target}: leads into the middle of the bytes at "
     "{other}",
     false},
    {"to the base", to_the_base,
     "node at {object} in gen0, offset 0 -> {target}: leads into the middle of the node at {other}",
     false},
    {"to a free block", to_a_free_block,
     "node at {object} in gen0, offset 0 -> {target}: leads to memory that was freed or evacuated",
     false},
    {"to where nothing ever was", to_where_nothing_ever_was,
     "node at {object} in gen0, offset 0 -> {target}: leads to memory that was freed or evacuated",
     false},
    {"to another heap", to_another_heap,
     "node at {object} in gen0, offset 8 -> {target}: leads into another heap", false},
    {"many to another heap", many_to_another_heap,
     "references at {object} in gen2, offset 80 -> {target}: leads into another heap", true},
    {"from an array into the middle", from_an_array,
     "references at {object} in gen2, offset 616 -> {target}: leads into the middle of the node at "
     "{other}",
     false},
    {"log byte of no meaning", log_byte_of_no_meaning,
     "node at {object} in gen2: has a log byte of no meaning", false},
    {"log byte of a young object", log_byte_of_young,
     "node at {object} in gen0: is young, but its log byte is set", false},
    {"disarmed", disarmed,
     "node at {object} in gen2: is disarmed, but the log does not hold it: stores into it would be "
     "missed (R2)",
     false},
    {"disarmed array", disarmed_array,
     "references at {object} in gen2: is disarmed, but the log does not hold it: stores into it "
     "would be missed (R2)",
     true},
    {"noted, without cards", noted_node,
     "node at {object} in gen2: says that the log holds it, but it does not (R2)", false},
    {"in the log, but not noted", not_noted_array,
     "references at {object} in gen2, offset 8000 -> {target}: " YOUNG, false},
    {"remembered bit", remembered_bit,
     "node at {object} in gen2: says that the set of old holders has it, but it has not", false},
    {"frozen bit", frozen_bit,
     "node at {object} in gen2: says that the set of frozen holders has it, but it has not", false},
    {"remembered bit lost", remembered_bit_lost,
     "node at {object} in gen2, offset 8 -> {target}: " YOUNG, false},
};

static void broken_references_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_edges, GC_COUNT(of_edges), 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_references_are_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
