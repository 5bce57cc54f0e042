/* SPDX-License-Identifier: MIT
 *
 * The verifier sees what memory is made of: each corruption of blocks, large
 * objects, chunks and counts is found, and named.
 */
#include "support/corruption.h"

static struct gc_chunk *chunk_of(struct seeded *s, const void *object)
{
    s->block = block_of(s, object) / GC_CHUNK_BLOCKS * GC_CHUNK_BLOCKS;
    return &s->collector->blocks.chunks[s->block / GC_CHUNK_BLOCKS];
}

/* ---- Blocks -------------------------------------------------------------- */

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

static void kind_of_no_meaning(struct seeded *s)
{
    info_of(s, s->old)->kind = GC_BLOCK_FOLLOWER + 1;
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

/* ---- Large objects ------------------------------------------------------- */

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

static void follower_is_small(struct seeded *s)
{
    s->block = block_of(s, s->bytes) + 1;
    s->tables->blocks[s->block].kind = GC_BLOCK_SMALL;
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

/* ---- Chunks and counts --------------------------------------------------- */

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

/* More faults than are printed. */
static void chunks_beyond(struct seeded *s)
{
    struct gc_blocks *blocks = &s->collector->blocks;

    for (size_t i = blocks->chunks_high; i < blocks->chunks_high + 30; i++)
        blocks->chunks[i].use = GC_CHUNK_SMALL;
}

static void touched_bytes_wrong(struct seeded *s)
{
    s->collector->blocks.touched_bytes += 4096;
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
    {"kind of no meaning", kind_of_no_meaning, BLOCK("2") "is used, but has no kind (C1)", false},
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
    {"a follower of another kind", follower_is_small,
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
    {"many chunks beyond the highest", chunks_beyond, "heap: a chunk beyond the highest is used",
     true},
    {"small hint too far", small_hint_too_far,
     BLOCK("2") "begins a chunk with room that the hint passes over", true},
    {"large hint too far", large_hint_too_far,
     BLOCK("2") "begins a chunk with room that the hint passes over", false},
    {"used blocks", used_blocks_wrong, "heap: the count of used blocks is wrong", false},
    {"free touched blocks", free_touched_wrong,
     "heap: the count of free blocks that hold memory is wrong", false},
    {"touched bytes", touched_bytes_wrong, "heap: the count of touched bytes is wrong (C2)", false},
};

static void broken_blocks_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_blocks, GC_COUNT(of_blocks), 38);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_blocks_are_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
