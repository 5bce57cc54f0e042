/* SPDX-License-Identifier: MIT
 *
 * Blocks and chunks: each block's tables agree with its kind and state, each
 * chunk's bits with its blocks, and the counts with both.
 */
#include "inspect/verify.h"

/* All of them are read: no branch for each. */
static bool has_bits(const uint64_t *words, size_t count)
{
    uint64_t any = 0;

    for (size_t i = 0; i < count; i++)
        any |= words[i];
    return any != 0;
}

static bool has_starts(const struct gc_tables *tables, uint32_t block)
{
    return has_bits(gc_block_bits(tables->starts, block), GC_BLOCK_WORDS);
}

static bool has_marks(const struct gc_tables *tables, uint32_t block)
{
    return has_bits(gc_block_bits(tables->marks, block), GC_BLOCK_WORDS);
}

/* A block's bytes begin at a word. */
static bool has_lines(const struct gc_tables *tables, uint32_t block)
{
    return has_bits((const void *)gc_block_lines(tables, block), GC_BLOCK_LINES / sizeof(uint64_t));
}

/* ---- Blocks ---- */

static void verify_free(struct gc_verifier *verifier, uint32_t block)
{
    struct gc_tables *tables = verifier->tables;

    if (tables->blocks[block].flags & GC_BLOCK_PROTECTED)
        return;
    if (tables->blocks[block].kind != GC_BLOCK_FREE)
        gc_fault_block(verifier, block, "has a kind, but no state");
    if (tables->blocks[block].flags != 0)
        gc_fault_block(verifier, block, "is free, but has flags");
    if (has_starts(tables, block))
        gc_fault_block(verifier, block, "is free, but has starts (T1)");
    if (has_marks(tables, block))
        gc_fault_block(verifier, block, "is free, but has marks (T1)");
    if (has_lines(tables, block))
        gc_fault_block(verifier, block, "is free, but has occupied lines (T1)");
}

static unsigned free_lines(const struct gc_tables *tables, uint32_t block)
{
    const uint8_t *lines = gc_block_lines(tables, block);
    unsigned count = 0;

    for (int i = 0; i < GC_BLOCK_LINES; i++)
        count += lines[i] == 0;
    return count;
}

static void verify_small(struct gc_verifier *verifier, uint32_t block)
{
    const struct gc_block *info = &verifier->tables->blocks[block];

    if (info->fresh_end > GC_BLOCK_BYTES || info->fresh_end % GC_GRANULE_BYTES != 0)
        gc_fault_block(verifier, block, "says that its fresh part ends where it cannot");
    if (info->flags & (GC_BLOCK_HAS_PINS | GC_BLOCK_OVERFLOWED))
        gc_fault_block(verifier, block, "is flagged as in a collection");
    if (info->free_lines != 0 && info->free_lines != free_lines(verifier->tables, block))
        gc_fault_block(verifier, block, "miscounts its free lines");
}

static unsigned count_starts(const struct gc_tables *tables, uint32_t block)
{
    const uint64_t *starts = gc_block_bits(tables->starts, block);
    unsigned count = 0;

    for (int i = 0; i < GC_BLOCK_WORDS; i++)
        count += gc_bit_count(starts[i]);
    return count;
}

static void verify_large(struct gc_verifier *verifier, uint32_t block)
{
    const struct gc_tables *tables = verifier->tables;
    const struct gc_block *head = &tables->blocks[block];
    size_t most = verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS - block;

    if (count_starts(tables, block) != 1)
        gc_fault_block(verifier, block, "is a large object's, but has not one start");
    if (head->untouched >= GC_BLOCK_BYTES)
        gc_fault_block(verifier, block, "has more untouched bytes than bytes");
    if (head->count == 0 || head->count > most) {
        gc_fault_block(verifier, block, "is of so many blocks as there cannot be");
        return;
    }
    for (uint32_t i = block + 1; i < block + head->count; i++)
        if (tables->blocks[i].kind != GC_BLOCK_FOLLOWER || tables->blocks[i].head != block)
            gc_fault_block(verifier, i, "belongs to a large object, but does not follow it");
}

static void verify_follower(struct gc_verifier *verifier, uint32_t block)
{
    const struct gc_tables *tables = verifier->tables;
    uint32_t head = tables->blocks[block].head;

    if (head >= block || tables->blocks[head].kind != GC_BLOCK_LARGE ||
        block - head >= tables->blocks[head].count) {
        gc_fault_block(verifier, block, "follows what is no large object");
        return;
    }
    if (tables->state[block] != tables->state[head])
        gc_fault_block(verifier, block, "has a state that is not its large object's");
    if (count_starts(tables, block) != 0)
        gc_fault_block(verifier, block, "follows a large object, but has starts");
}

static void verify_used(struct gc_verifier *verifier, uint32_t block, bool chunk_says_free)
{
    struct gc_tables *tables = verifier->tables;
    const struct gc_block *info = &tables->blocks[block];

    if (chunk_says_free)
        gc_fault_block(verifier, block, "is used, but its chunk has it free (C1)");
    if (has_marks(tables, block))
        gc_fault_block(verifier, block, "has marks between collections (T2)");
    if (info->kind == GC_BLOCK_FREE || info->kind > GC_BLOCK_FOLLOWER) {
        gc_fault_block(verifier, block, "is used, but has no kind (C1)");
        return;
    }
    if (info->generation >= GC_AGES) {
        gc_fault_block(verifier, block, "is of no generation");
        return;
    }
    if (info->kind == GC_BLOCK_FOLLOWER) {
        verify_follower(verifier, block);
        return;
    }
    if (tables->state[block] != gc_state(info->generation, GC_LEAVE))
        gc_fault_block(verifier, block, "has a state that is not its generation (T3)");
    if (info->kind == GC_BLOCK_LARGE)
        verify_large(verifier, block);
    else
        verify_small(verifier, block);
}

/* ---- Chunks and counts ---- */

struct counts {
    size_t used;
    size_t untouched; /* bytes */
    size_t touched;   /* blocks */
    size_t free_touched;
};

static void verify_chunk(struct gc_verifier *verifier, size_t index, struct counts *counts)
{
    const struct gc_blocks *blocks = &verifier->collector->blocks;
    const struct gc_chunk *chunk = &blocks->chunks[index];

    counts->touched += gc_bit_count(chunk->touched);
    counts->free_touched += gc_bit_count(chunk->touched & chunk->free);
    if (!chunk->committed && chunk->touched != 0)
        gc_fault_heap(verifier, "a chunk that is not committed is touched");
    if (!chunk->committed)
        return;
    if (chunk->use > GC_CHUNK_LARGE)
        gc_fault_block(verifier, (uint32_t)index * GC_CHUNK_BLOCKS, "begins a chunk of no use");
    if (chunk->use == GC_CHUNK_IDLE && chunk->free != UINT64_MAX)
        gc_fault_block(verifier, (uint32_t)index * GC_CHUNK_BLOCKS,
                       "begins an idle chunk that is not all free (C3)");
    if ((chunk->use == GC_CHUNK_SMALL && chunk->free != 0 && index < blocks->small_hint) ||
        (chunk->use == GC_CHUNK_LARGE && chunk->free != 0 && index < blocks->large_hint))
        gc_fault_block(verifier, (uint32_t)index * GC_CHUNK_BLOCKS,
                       "begins a chunk with room that the hint passes over");
}

static void verify_block(struct gc_verifier *verifier, uint32_t block, bool is_free,
                         struct counts *counts)
{
    const struct gc_block *info = &verifier->tables->blocks[block];

    if (verifier->tables->state[block] == 0) {
        verify_free(verifier, block);
        if (!(info->flags & GC_BLOCK_PROTECTED) && !is_free)
            gc_fault_block(verifier, block, "is free, but its chunk has it used");
        counts->used += (info->flags & GC_BLOCK_PROTECTED) != 0;
        counts->untouched += (info->flags & GC_BLOCK_PROTECTED) != 0 ? info->untouched : 0;
        return;
    }
    verify_used(verifier, block, is_free);
    counts->used++;
    if (info->kind == GC_BLOCK_LARGE)
        counts->untouched += info->untouched;
}

static void verify_totals(struct gc_verifier *verifier, const struct counts *counts)
{
    const struct gc_blocks *blocks = &verifier->collector->blocks;

    if (counts->used != blocks->used_blocks)
        gc_fault_heap(verifier, "the count of used blocks is wrong");
    if (counts->free_touched != blocks->free_touched)
        gc_fault_heap(verifier, "the count of free blocks that hold memory is wrong");
    if ((counts->touched << GC_BLOCK_LOG2) - counts->untouched != blocks->touched_bytes)
        gc_fault_heap(verifier, "the count of touched bytes is wrong (C2)");
}

void gc_verify_blocks(struct gc_verifier *verifier)
{
    const struct gc_blocks *blocks = &verifier->collector->blocks;
    struct counts counts = {.used = 0};

    for (size_t chunk = 0; chunk < blocks->chunk_count; chunk++) {
        if (chunk >= blocks->chunks_high && blocks->chunks[chunk].use != GC_CHUNK_IDLE)
            gc_fault_heap(verifier, "a chunk beyond the highest is used");
        verify_chunk(verifier, chunk, &counts);
    }
    for (size_t i = 0; i < blocks->chunks_high * GC_CHUNK_BLOCKS; i++) {
        const struct gc_chunk *chunk = &blocks->chunks[i / GC_CHUNK_BLOCKS];
        bool is_free = chunk->use == GC_CHUNK_IDLE || (chunk->free >> i % GC_CHUNK_BLOCKS & 1);

        if (chunk->committed)
            verify_block(verifier, (uint32_t)i, is_free, &counts);
    }
    verify_totals(verifier, &counts);
}
