/* SPDX-License-Identifier: MIT
 *
 * The verifier sees where objects stand: each corruption of headers, extents,
 * starts, lines, cards and counts is found, and named.
 */
#include "base/annotate.h"
#include "support/corruption.h"

/* ---- Headers ------------------------------------------------------------- */

static void header_moved(struct seeded *s)
{
    at(s, s->old);
    gc_forward((uintptr_t)s->old, (uintptr_t)s->old_leaf);
}

static void header_null(struct seeded *s)
{
    at(s, s->old);
    *gc_header((uintptr_t)s->old) &= ~GC_TYPE_MASK;
}

static void header_in_heap(struct seeded *s)
{
    at(s, s->old);
    *gc_header((uintptr_t)s->old) = (uint64_t)(uintptr_t)s->old_leaf;
}

static void header_not_canonical(struct seeded *s)
{
    at(s, s->old);
    *gc_header((uintptr_t)s->old) = (uint64_t)0xdead << 32;
}

static void header_of_no_type(struct seeded *s)
{
    static gc_type odd;

    odd = node_type;
    odd.kind = GC_KIND_LAST + 1;
    at(s, s->old);
    *gc_header((uintptr_t)s->old) = (uint64_t)(uintptr_t)&odd;
}

/* A type that cannot be one, as the header of `old`. */
static void put_type(struct seeded *s, gc_type odd)
{
    static gc_type type;

    type = odd;
    at(s, s->old);
    *gc_header(s->object) = (*gc_header(s->object) & ~GC_TYPE_MASK) | (uint64_t)(uintptr_t)&type;
}

static void type_between_words(struct seeded *s)
{
    at(s, s->old);
    *gc_header(s->object) += 4;
}

static void put_alignment(struct seeded *s, uint8_t alignment)
{
    gc_type odd = node_type;

    odd.alignment = alignment;
    put_type(s, odd);
}

static void type_aligned_too_little(struct seeded *s)
{
    put_alignment(s, 4);
}

static void type_aligned_too_much(struct seeded *s)
{
    put_alignment(s, 128);
}

static void type_aligned_oddly(struct seeded *s)
{
    put_alignment(s, 24);
}

static void type_too_large(struct seeded *s)
{
    gc_type odd = node_type;

    odd.size = GC_BLOCK_BYTES;
    put_type(s, odd);
}

static void type_without_name(struct seeded *s)
{
    gc_type odd = node_type;

    odd.name = NULL;
    put_type(s, odd);
    *gc_state_byte(s->object) |= 0x40;
}

/* The walk of its run ends there, though more of the block would follow. */
static void header_before_a_line(struct seeded *s)
{
    at(s, s->young);
    *gc_header((uintptr_t)s->young) = 0x18;
    s->tables->lines[gc_line_of(s->tables, gc_mutator_bump(s->world->mutator)) - 1] = 1;
}

static void header_of_young(struct seeded *s)
{
    at(s, s->young);
    *gc_header((uintptr_t)s->young) = 0x18;
}

static void type_of_other_heap(struct seeded *s)
{
    at(s, s->instance);
    *gc_header((uintptr_t)s->instance) = (uint64_t)(uintptr_t)s->foreign_type;
}

static void type_left_retired(struct seeded *s)
{
    at(s, s->instance);
    s->type->kind = GC_KIND_RETIRED;
}

static void state_byte(struct seeded *s)
{
    at(s, s->old);
    *gc_state_byte((uintptr_t)s->old) |= 0x40;
}

static void key_left(struct seeded *s)
{
    at(s, s->old);
    *gc_state_byte((uintptr_t)s->old) |= GC_STATE_KEY;
}

static void no_length(struct seeded *s)
{
    at(s, s->array);
    gc_header((uintptr_t)s->array)[-1] = 2000;
}

static void length_too_long(struct seeded *s)
{
    at(s, s->array);
    gc_header((uintptr_t)s->array)[-1] = (uint64_t)8192 << 2 | GC_LENGTH_TAG;
}

static void length_overflows(struct seeded *s)
{
    at(s, s->array);
    gc_header((uintptr_t)s->array)[-1] = UINT64_MAX << 2 | GC_LENGTH_TAG;
}

static void length_of_young(struct seeded *s)
{
    at(s, s->text);
    gc_header((uintptr_t)s->text)[-1] = (uint64_t)40000 << 2 | GC_LENGTH_TAG;
}

/* Where the run ends for a line that is occupied. */
static void length_past_the_run(struct seeded *s)
{
    uintptr_t bump = gc_mutator_bump(s->world->mutator);
    uint64_t length = bump + 3 * (uintptr_t)GC_LINE_BYTES - (uintptr_t)s->text;

    at(s, s->text);
    s->tables->lines[gc_line_of(s->tables, bump) + 1] = 1;
    gc_header((uintptr_t)s->text)[-1] = length << 2 | GC_LENGTH_TAG;
}

static void one_in_another(struct seeded *s)
{
    s->old_leaf->value = (uint64_t)(uintptr_t)&node_type;
    at(s, (const char *)s->old_leaf + 24);
    gc_bit_set(s->tables->starts, gc_granule_of(s->tables, s->object));
}

static void not_aligned(struct seeded *s)
{
    static gc_type odd;
    struct node *node = s->old;

    while ((uintptr_t)node % 64 == 0)
        node = s->old_other;
    odd = node_type;
    odd.alignment = 64;
    at(s, node);
    *gc_header(s->object) = (*gc_header(s->object) & ~GC_TYPE_MASK) | (uint64_t)(uintptr_t)&odd;
}

static void allocated_inline(struct seeded *s)
{
    static gc_type odd;

    odd = node_type;
    odd.flags = GC_TYPE_PINNED;
    at(s, s->old);
    *gc_header(s->object) = (*gc_header(s->object) & ~GC_TYPE_MASK) | (uint64_t)(uintptr_t)&odd;
}

/* ---- Lines and counts ---------------------------------------------------- */

/* A node of the list, all of whose lines are recorded. */
static void line_freed(struct seeded *s)
{
    at(s, s->list);
    s->tables->blocks[s->block].free_lines++;
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)s->list)] = 0;
}

/* Of an object that lies in three or four. */
static void second_line_freed(struct seeded *s)
{
    at(s, s->old_text);
    s->tables->blocks[s->block].free_lines++;
    s->tables->lines[gc_line_of(s->tables, s->object + GC_LINE_BYTES)] = 0;
}

static void line_without_object(struct seeded *s)
{
    uint8_t *lines;
    int i = 0;

    s->block = s->collector->spaces.old_holes;
    lines = gc_block_lines(s->tables, s->block);
    while (lines[i] != 0)
        i++;
    lines[i] = 1;
    s->tables->blocks[s->block].free_lines--;
}

static void line_byte(struct seeded *s)
{
    at(s, s->list);
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)s->list)] = 9;
}

static void card_byte(struct seeded *s)
{
    at(s, s->array);
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)s->array) + 7] = GC_CARD_YOUNG + 1;
}

static void card_of_leaf(struct seeded *s)
{
    at(s, s->bytes);
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)s->bytes) + 7] = 1;
}

static void card_outside(struct seeded *s)
{
    at(s, s->array);
    gc_block_lines(s->tables, s->block)[GC_BLOCK_LINES - 1] = GC_CARD_YOUNG;
}

static void live_wrong(struct seeded *s)
{
    at(s, s->list);
    s->tables->live[s->block]--;
}

/* More faults than are printed. */
static void many_state_bytes(struct seeded *s)
{
    const struct node *node = s->list;

    at(s, node);
    for (int i = 0; i < 30; i++, node = node->right)
        *gc_state_byte((uintptr_t)node) |= 0x40;
}

static void start_lost(struct seeded *s)
{
    size_t granule = gc_granule_of(s->tables, (uintptr_t)s->list);

    at(s, s->list);
    s->tables->starts[granule >> 6] &= ~((uint64_t)1 << (granule & 63));
    if (GC_REDZONE_BYTES != 0) /* they were counted, so that one start less may be right */
        s->tables->live[s->block] = 0;
}

static void middle_bytes_wrong(struct seeded *s)
{
    generation(s, GC_MIDDLE)->bytes += 8;
}

static void old_objects_wrong(struct seeded *s)
{
    generation(s, GC_OLD)->objects++;
}

static void large_bytes_wrong(struct seeded *s)
{
    generation(s, GC_OLD)->large_bytes--;
}

#define BLOCK(generation) "block {block} at {start} in gen" generation ": "
#define NODE(generation) "node at {object} in gen" generation ": "
#define UNKNOWN(generation) "? at {object} in gen" generation ": "

static const struct corruption of_layout[] = {
    {"header says moved", header_moved,
     UNKNOWN("2") "has a broken header: it says that the object moved (H1)", false},
    {"header is null", header_null, UNKNOWN("2") "has a broken header: it names no type (H1)",
     false},
    {"header leads into the heap", header_in_heap,
     UNKNOWN("2") "has a broken header: it names no type (H1)", false},
    {"header leads nowhere", header_not_canonical,
     UNKNOWN("2") "has a broken header: it names no type (H1)", false},
    {"header of no type", header_of_no_type,
     UNKNOWN("2") "has a broken header: it names no type (H1)", false},
    {"type between words", type_between_words,
     UNKNOWN("2") "has a broken header: it names no type (H1)", false},
    {"type aligned too little", type_aligned_too_little,
     UNKNOWN("2") "has a broken header: it names no type (H1)", false},
    {"type aligned too much", type_aligned_too_much,
     UNKNOWN("2") "has a broken header: it names no type (H1)", false},
    {"type aligned oddly", type_aligned_oddly,
     UNKNOWN("2") "has a broken header: it names no type (H1)", false},
    {"type too large", type_too_large, NODE("2") "reaches past the end of its block", false},
    {"type without a name", type_without_name, UNKNOWN("2") "has a state byte of no meaning",
     false},
    {"header before an occupied line", header_before_a_line,
     UNKNOWN("0") "has a broken header: it names no type (H1)", false},
    {"header of a young object", header_of_young,
     UNKNOWN("0") "has a broken header: it names no type (H1)", false},
    {"type of another heap", type_of_other_heap, NODE("0") "has a type that another heap made",
     false},
    {"type left as retired", type_left_retired,
     NODE("0") "has a type that is marked as in a full collection", false},
    {"state byte", state_byte, NODE("2") "has a state byte of no meaning", false},
    {"key bit left", key_left, NODE("2") "is waited for as a key between collections (F2)", false},
    {"no length", no_length,
     "? at {object} in gen2: is an array, but has no length before its header", false},
    {"length too long", length_too_long,
     "references at {object} in gen2: reaches past the end of its block", false},
    {"length overflows", length_overflows,
     "references at {object} in gen2: reaches past the end of its block", false},
    {"length of a young object", length_of_young,
     "bytes at {object} in gen0: reaches past the end of its run", false},
    {"length past the run", length_past_the_run,
     "bytes at {object} in gen0: reaches past the end of its run", false},
    {"an object in another", one_in_another, NODE("2") "overlaps the object before it", true},
    {"not aligned", not_aligned, NODE("2") "is not aligned as its type asks", false},
    {"allocated inline", allocated_inline,
     NODE("2") "is allocated inline, though its type is pinned or ambiguous (its object_bytes "
               "must be GC_OUT_OF_LINE)",
     false},
    {"line freed", line_freed, NODE("2") "lies in a line that is not occupied", true},
    {"second line freed", second_line_freed,
     "bytes at {object} in gen2: lies in a line that is not occupied", false},
    {"line without object", line_without_object,
     BLOCK("2") "has an occupied line without an object", false},
    {"line byte", line_byte, BLOCK("2") "has a line byte of no meaning", false},
    {"card byte", card_byte, "references at {object} in gen2: has a card of no meaning", false},
    {"card of a leaf", card_of_leaf, "bytes at {object} in gen2: has a card of no meaning", false},
    {"card outside", card_outside, "references at {object} in gen2: has a card outside of it",
     false},
    {"live granules", live_wrong, BLOCK("2") "miscounts its live granules", false},
    {"many state bytes", many_state_bytes, NODE("2") "has a state byte of no meaning", true},
    {"start lost", start_lost, BLOCK("2") "miscounts its live granules", true},
    {"gen1's bytes", middle_bytes_wrong, "heap: gen1's objects are not as many as it counts",
     false},
    {"gen2's objects", old_objects_wrong, "heap: gen2's objects are not as many as it counts",
     false},
    {"large bytes", large_bytes_wrong,
     "heap: a generation miscounts the bytes of its large objects", false},
};

static void broken_layout_is_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_layout, GC_COUNT(of_layout), 38);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_layout_is_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
