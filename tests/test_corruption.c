/* SPDX-License-Identifier: MIT
 *
 * The verifier sees, part one: what memory is made of. Each corruption of
 * blocks, chunks, lists, runs, headers, starts, lines and counts is found, and
 * named. What objects refer to, and what is noted about them, is in
 * test_corruption_edges.c.
 */
#include "base/annotate.h"
#include "support/corruption.h"

#include <stdlib.h>

static struct gc_block *info_of(struct seeded *s, const void *object)
{
    s->block = block_of(s, object);
    return &s->tables->blocks[s->block];
}

/* A free block of a chunk that is used. */
static uint32_t free_block(struct seeded *s)
{
    const struct gc_blocks *blocks = &s->collector->blocks;

    for (size_t i = 0; i < blocks->chunks_high; i++)
        if (blocks->chunks[i].use == GC_CHUNK_SMALL && blocks->chunks[i].free != 0)
            return s->block =
                       (uint32_t)(i * GC_CHUNK_BLOCKS + gc_lowest_bit(blocks->chunks[i].free));
    abort();
}

static struct gc_chunk *chunk_of(struct seeded *s, const void *object)
{
    s->block = block_of(s, object) / GC_CHUNK_BLOCKS * GC_CHUNK_BLOCKS;
    return &s->collector->blocks.chunks[s->block / GC_CHUNK_BLOCKS];
}

static struct gc_generation *generation(struct seeded *s, unsigned i)
{
    return &s->collector->spaces.generations[i];
}

/* ---- Blocks ------------------------------------------------------------- */

static void kind_of_free(struct seeded *s)
{
    s->tables->blocks[free_block(s)].kind = GC_BLOCK_SMALL;
}

static void flags_of_free(struct seeded *s)
{
    s->tables->blocks[free_block(s)].flags = GC_BLOCK_SWEPT;
}

static void start_in_free(struct seeded *s)
{
    gc_block_bits(s->tables->starts, free_block(s))[3] = 16;
}

static void mark_in_free(struct seeded *s)
{
    gc_block_bits(s->tables->marks, free_block(s))[3] = 16;
}

static void line_in_free(struct seeded *s)
{
    gc_block_lines(s->tables, free_block(s))[255] = 1;
}

static void free_bit_of_used(struct seeded *s)
{
    uint32_t block = block_of(s, s->middle);

    s->collector->blocks.chunks[block / GC_CHUNK_BLOCKS].free |= (uint64_t)1
                                                                 << block % GC_CHUNK_BLOCKS;
    s->block = block;
}

static void used_bit_of_free(struct seeded *s)
{
    uint32_t block = free_block(s);

    s->collector->blocks.chunks[block / GC_CHUNK_BLOCKS].free &=
        ~((uint64_t)1 << block % GC_CHUNK_BLOCKS);
}

static void no_kind(struct seeded *s)
{
    info_of(s, s->old)->kind = GC_BLOCK_FREE;
}

static void mark_left(struct seeded *s)
{
    gc_bit_set(s->tables->marks, gc_granule_of(s->tables, (uintptr_t)s->old));
    s->block = block_of(s, s->old);
}

static void no_generation(struct seeded *s)
{
    info_of(s, s->old)->generation = GC_AGES;
}

static void wrong_state(struct seeded *s)
{
    s->tables->state[s->block = block_of(s, s->old)] = gc_state(GC_OLD, GC_EVACUATE);
}

static void fresh_end_beyond(struct seeded *s)
{
    info_of(s, s->middle)->fresh_end = GC_BLOCK_BYTES + 8;
}

static void fresh_end_odd(struct seeded *s)
{
    info_of(s, s->middle)->fresh_end |= 4;
}

static void flag_left(struct seeded *s)
{
    info_of(s, s->old)->flags |= GC_BLOCK_HAS_PINS;
}

static void overflow_left(struct seeded *s)
{
    info_of(s, s->old)->flags |= GC_BLOCK_OVERFLOWED;
}

static void free_lines_wrong(struct seeded *s)
{
    info_of(s, s->list)->free_lines++;
}

/* ---- Large objects ------------------------------------------------------ */

static void large_without_start(struct seeded *s)
{
    s->tables->starts[gc_granule_of(s->tables, (uintptr_t)s->array) >> 6] = 0;
    s->block = block_of(s, s->array);
}

static void large_with_two(struct seeded *s)
{
    gc_bit_set(s->tables->starts, gc_granule_of(s->tables, (uintptr_t)s->array) + 5);
    s->block = block_of(s, s->array);
}

static void large_untouched(struct seeded *s)
{
    info_of(s, s->bytes)->untouched = GC_BLOCK_BYTES;
}

static void large_of_no_blocks(struct seeded *s)
{
    info_of(s, s->array)->count = 0;
}

static void large_of_too_many(struct seeded *s)
{
    info_of(s, s->bytes)->count = 1u << 30;
}

static void follower_is_none(struct seeded *s)
{
    s->block = block_of(s, s->bytes) + 1;
    s->tables->blocks[s->block].head = s->block;
}

static void follows_small(struct seeded *s)
{
    s->block = block_of(s, s->bytes) + 1;
    s->tables->blocks[s->block].head = block_of(s, s->old);
}

static void follower_too_far(struct seeded *s)
{
    info_of(s, s->bytes)->count--;
    s->block += s->tables->blocks[s->block].count;
}

static void follower_of_other_state(struct seeded *s)
{
    s->block = block_of(s, s->bytes) + 1;
    s->tables->state[s->block] = gc_state(GC_YOUNG, GC_LEAVE);
}

static void follower_with_start(struct seeded *s)
{
    s->block = block_of(s, s->bytes) + 1;
    gc_block_bits(s->tables->starts, s->block)[0] = 1;
}

/* ---- Chunks and counts -------------------------------------------------- */

static void chunk_of_no_use(struct seeded *s)
{
    chunk_of(s, s->old)->use = 7;
}

static void chunk_not_committed(struct seeded *s)
{
    chunk_of(s, s->old)->committed = 0;
}

static void idle_chunk_in_use(struct seeded *s)
{
    chunk_of(s, s->array)->use = GC_CHUNK_IDLE;
}

static void chunk_beyond(struct seeded *s)
{
    size_t high = s->collector->blocks.chunks_high;

    s->collector->blocks.chunks[high].use = GC_CHUNK_SMALL;
    s->block = (uint32_t)high * GC_CHUNK_BLOCKS;
}

static void small_hint_too_far(struct seeded *s)
{
    s->block = free_block(s) / GC_CHUNK_BLOCKS * GC_CHUNK_BLOCKS;
    s->collector->blocks.small_hint = s->collector->blocks.chunks_high;
}

static void large_hint_too_far(struct seeded *s)
{
    (void)chunk_of(s, s->array);
    s->collector->blocks.large_hint = s->collector->blocks.chunks_high;
}

static void used_blocks_wrong(struct seeded *s)
{
    s->collector->blocks.used_blocks--;
}

static void free_touched_wrong(struct seeded *s)
{
    s->collector->blocks.free_touched++;
}

static void touched_bytes_wrong(struct seeded *s)
{
    s->collector->blocks.touched_bytes += 4096;
}

/* ---- Lists -------------------------------------------------------------- */

static void list_of_other_generation(struct seeded *s)
{
    uint32_t first = generation(s, GC_OLD)->small;

    s->block = first;
    s->tables->blocks[first].generation = GC_MIDDLE;
    s->tables->state[first] = gc_state(GC_MIDDLE, GC_LEAVE);
}

static void large_in_small_list(struct seeded *s)
{
    s->block = block_of(s, s->array);
    s->tables->blocks[s->block].next = generation(s, GC_OLD)->small;
    generation(s, GC_OLD)->small = s->block;
    generation(s, GC_OLD)->block_count++;
}

static void list_is_ring(struct seeded *s)
{
    uint32_t first = generation(s, GC_OLD)->small;

    s->tables->blocks[first].next = first;
}

static void block_count_wrong(struct seeded *s)
{
    generation(s, GC_MIDDLE)->block_count++;
}

static void small_in_no_list(struct seeded *s)
{
    struct gc_generation *old = generation(s, GC_OLD);

    old->small = s->tables->blocks[old->small].next;
    old->block_count--;
}

static void large_in_no_list(struct seeded *s)
{
    struct gc_generation *old = generation(s, GC_OLD);

    old->large = s->tables->blocks[old->large].next;
}

static void hole_of_other_kind(struct seeded *s)
{
    s->block = s->collector->spaces.old_holes;
    s->collector->spaces.old_holes = GC_NO_BLOCK;
    s->collector->spaces.young_holes[GC_BLOCK_SMALL] = s->block;
    s->tables->blocks[s->block].next_hole = GC_NO_BLOCK;
}

static void hole_is_free_block(struct seeded *s)
{
    s->tables->blocks[s->collector->spaces.old_holes].next_hole = free_block(s);
}

static void hole_is_open(struct seeded *s)
{
    s->block = s->collector->spaces.old_holes;
    s->tables->blocks[s->block].flags |= GC_BLOCK_OPEN;
}

static void hole_has_none(struct seeded *s)
{
    s->block = s->collector->spaces.old_holes;
    s->tables->blocks[s->block].free_lines = 0;
}

static void holes_are_ring(struct seeded *s)
{
    uint32_t first = s->collector->spaces.old_holes;

    s->tables->blocks[first].next_hole = first;
}

/* ---- Runs --------------------------------------------------------------- */

static void run_without_block(struct seeded *s)
{
    s->collector->idle_run.limit = 64;
}

static void run_not_open(struct seeded *s)
{
    s->block = s->world->mutator->run.block;
    s->tables->blocks[s->block].flags &= (uint8_t)~GC_BLOCK_OPEN;
}

static void run_leaves_block(struct seeded *s)
{
    s->block = s->world->mutator->run.block;
    s->world->mutator->fast.bump = s->world->mutator->run.limit + 2 * GC_HEADER_BYTES;
}

static void limit_past_run(struct seeded *s)
{
    s->world->mutator->fast.limit += 8;
}

static void limit_past_watch(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;

    mutator->watching = GC_WATCH_STRESS;
    mutator->fast.limit = mutator->run.limit + GC_HEADER_BYTES;
}

static void room_without_run(struct seeded *s)
{
    gc_run_reset(&s->world->mutator->run);
}

static void log_too_long(struct seeded *s)
{
    s->world->mutator->log_count = GC_MUTATOR_LOG + 1;
}

static void open_without_run(struct seeded *s)
{
    info_of(s, s->middle)->flags |= GC_BLOCK_OPEN;
}

static void handed_bytes_wrong(struct seeded *s)
{
    s->collector->spaces.handed_bytes = 0;
}

/* ---- Headers ------------------------------------------------------------ */

static void at(struct seeded *s, const void *object)
{
    s->object = (uintptr_t)object;
    s->block = block_of(s, object);
}

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

/* ---- Lines and counts --------------------------------------------------- */

/* A node of the list, all of whose lines are recorded. */
static void line_freed(struct seeded *s)
{
    at(s, s->list);
    s->tables->blocks[s->block].free_lines++;
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)s->list)] = 0;
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

static const struct corruption of_blocks[] = {
    {"kind of a free block", kind_of_free, BLOCK("0") "has a kind, but no state", false},
    {"flags of a free block", flags_of_free, BLOCK("0") "is free, but has flags", false},
    {"start in a free block", start_in_free, BLOCK("0") "is free, but has starts (T1)", false},
    {"mark in a free block", mark_in_free, BLOCK("0") "is free, but has marks (T1)", false},
    {"line in a free block", line_in_free, BLOCK("0") "is free, but has occupied lines (T1)",
     false},
    {"free bit of a used block", free_bit_of_used,
     BLOCK("1") "is used, but its chunk has it free (C1)", true},
    {"used bit of a free block", used_bit_of_free, BLOCK("0") "is free, but its chunk has it used",
     true},
    {"no kind", no_kind, BLOCK("2") "is used, but has no kind (C1)", false},
    {"mark left", mark_left, BLOCK("2") "has marks between collections (T2)", false},
    {"no generation", no_generation, BLOCK("4") "is of no generation", false},
    {"wrong state", wrong_state, BLOCK("2") "has a state that is not its generation (T3)", false},
    {"fresh end beyond", fresh_end_beyond,
     BLOCK("1") "says that its fresh part ends where it cannot", false},
    {"fresh end odd", fresh_end_odd, BLOCK("1") "says that its fresh part ends where it cannot",
     false},
    {"flag left", flag_left, BLOCK("2") "is flagged as in a collection", false},
    {"overflow left", overflow_left, BLOCK("2") "is flagged as in a collection", false},
    {"free lines wrong", free_lines_wrong, BLOCK("2") "miscounts its free lines", false},
    {"large without start", large_without_start,
     BLOCK("2") "is a large object's, but has not one start", false},
    {"large with two starts", large_with_two,
     BLOCK("2") "is a large object's, but has not one start", false},
    {"large, all untouched", large_untouched, BLOCK("2") "has more untouched bytes than bytes",
     true},
    {"large of no blocks", large_of_no_blocks, BLOCK("2") "is of so many blocks as there cannot be",
     false},
    {"large of too many blocks", large_of_too_many,
     BLOCK("2") "is of so many blocks as there cannot be", false},
    {"a follower follows itself", follower_is_none,
     BLOCK("0") "belongs to a large object, but does not follow it", true},
    {"a follower follows a small block", follows_small,
     BLOCK("0") "follows what is no large object", true},
    {"a follower too many", follower_too_far, BLOCK("0") "follows what is no large object", false},
    {"a follower of another state", follower_of_other_state,
     BLOCK("0") "has a state that is not its large object's", false},
    {"a follower with a start", follower_with_start,
     BLOCK("0") "follows a large object, but has starts", false},
    {"chunk of no use", chunk_of_no_use, BLOCK("2") "begins a chunk of no use", true},
    {"chunk not committed", chunk_not_committed, "heap: a chunk that is not committed is touched",
     true},
    {"idle chunk in use", idle_chunk_in_use,
     BLOCK("2") "begins an idle chunk that is not all free (C3)", true},
    {"chunk beyond the highest", chunk_beyond, "heap: a chunk beyond the highest is used", false},
    {"small hint too far", small_hint_too_far,
     BLOCK("2") "begins a chunk with room that the hint passes over", true},
    {"large hint too far", large_hint_too_far,
     BLOCK("2") "begins a chunk with room that the hint passes over", false},
    {"used blocks", used_blocks_wrong, "heap: the count of used blocks is wrong", false},
    {"free touched blocks", free_touched_wrong,
     "heap: the count of free blocks that hold memory is wrong", false},
    {"touched bytes", touched_bytes_wrong, "heap: the count of touched bytes is wrong (C2)", false},
};

static const struct corruption of_lists[] = {
    {"list of another generation", list_of_other_generation,
     BLOCK("1") "is in another generation's list (S1)", true},
    {"large in the small list", large_in_small_list,
     BLOCK("2") "is in the list of another kind (S1, S2)", true},
    {"list is a ring", list_is_ring, "heap: a list of blocks has no end", true},
    {"block count", block_count_wrong, "heap: a generation miscounts its blocks", false},
    {"small block in no list", small_in_no_list, "heap: a used block is in no list (S1, S2)",
     false},
    {"large object in no list", large_in_no_list, "heap: a used block is in no list (S1, S2)",
     false},
    {"hole of another kind", hole_of_other_kind,
     BLOCK("2") "is in a list of holes that are of another kind (S3)", false},
    {"hole is a free block", hole_is_free_block,
     BLOCK("0") "is in a list of holes that are of another kind (S3)", true},
    {"hole is open", hole_is_open, BLOCK("2") "is open, and in a list of holes (S3)", true},
    {"hole has none", hole_has_none, BLOCK("2") "is in a list of holes, but has none", false},
    {"holes are a ring", holes_are_ring, "heap: a list of holes has no end", false},
    {"run without block", run_without_block, "heap: a run without a block has room", false},
    {"run not open", run_not_open, BLOCK("0") "is filled by a run, but is not open", true},
    {"run leaves its block", run_leaves_block, BLOCK("0") "is filled by a run that leaves it",
     false},
    {"limit past the run", limit_past_run,
     "heap: a mutator allocates past its run, or past what it is to watch for (M1)", false},
    {"limit in spite of a watch", limit_past_watch,
     "heap: a mutator allocates past its run, or past what it is to watch for (M1)", false},
    {"room without a run", room_without_run, "heap: a mutator without a run has room (M2)", true},
    {"log too long", log_too_long, "heap: a mutator's log is longer than it can be", false},
    {"open without a run", open_without_run, "heap: a block is open that no run fills", false},
    {"handed bytes", handed_bytes_wrong, "heap: runs have more room than was handed out", false},
};

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
    {"an object in another", one_in_another, NODE("2") "overlaps the object before it", true},
    {"not aligned", not_aligned, NODE("2") "is not aligned as its type asks", false},
    {"allocated inline", allocated_inline,
     NODE("2") "is allocated inline, though its type is pinned or ambiguous (its object_bytes "
               "must be GC_OUT_OF_LINE)",
     false},
    {"line freed", line_freed, NODE("2") "lies in a line that is not occupied", true},
    {"line without object", line_without_object,
     BLOCK("2") "has an occupied line without an object", false},
    {"line byte", line_byte, BLOCK("2") "has a line byte of no meaning", false},
    {"card byte", card_byte, "references at {object} in gen2: has a card of no meaning", false},
    {"card of a leaf", card_of_leaf, "bytes at {object} in gen2: has a card of no meaning", false},
    {"card outside", card_outside, "references at {object} in gen2: has a card outside of it",
     false},
    {"live granules", live_wrong, BLOCK("2") "miscounts its live granules", false},
    {"start lost", start_lost, BLOCK("2") "miscounts its live granules", true},
    {"gen1's bytes", middle_bytes_wrong, "heap: gen1's objects are not as many as it counts",
     false},
    {"gen2's objects", old_objects_wrong, "heap: gen2's objects are not as many as it counts",
     false},
    {"large bytes", large_bytes_wrong,
     "heap: a generation miscounts the bytes of its large objects", false},
};

static void broken_blocks_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_blocks, GC_COUNT(of_blocks), 35);
}

static void broken_lists_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_lists, GC_COUNT(of_lists), 20);
}

static void broken_layout_is_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_layout, GC_COUNT(of_layout), 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_blocks_are_found_and_named),
        cmocka_unit_test(broken_lists_are_found_and_named),
        cmocka_unit_test(broken_layout_is_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
