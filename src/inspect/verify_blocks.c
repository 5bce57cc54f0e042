/* SPDX-License-Identifier: MIT
 *
 * Blocks, lists and tables: each block is where its kind and generation say.
 */
#include "inspect/verify.h"

static bool has_bits(const uint64_t *bits)
{
    for (int i = 0; i < GC_BLOCK_WORDS; i++)
        if (bits[i] != 0)
            return true;
    return false;
}

static bool has_lines(const struct gc_tables *tables, uint32_t block)
{
    const uint8_t *lines = gc_block_lines(tables, block);

    for (int i = 0; i < GC_BLOCK_LINES; i++)
        if (lines[i] != 0)
            return true;
    return false;
}

static void verify_free(struct gc_verifier *verifier, uint32_t block)
{
    struct gc_tables *tables = verifier->tables;

    if (tables->blocks[block].flags & GC_BLOCK_PROTECTED)
        return;
    if (tables->blocks[block].kind != GC_BLOCK_FREE)
        gc_fault_block(verifier, block, "has a kind, but no state");
    if (has_bits(gc_block_bits(tables->starts, block)))
        gc_fault_block(verifier, block, "is free, but has starts (T1)");
    if (has_bits(gc_block_bits(tables->marks, block)))
        gc_fault_block(verifier, block, "is free, but has marks (T1)");
    if (has_lines(tables, block))
        gc_fault_block(verifier, block, "is free, but has occupied lines (T1)");
}

static void verify_used(struct gc_verifier *verifier, uint32_t block, bool chunk_says_free)
{
    struct gc_tables *tables = verifier->tables;
    const struct gc_block *info = &tables->blocks[block];

    if (chunk_says_free)
        gc_fault_block(verifier, block, "is used, but its chunk has it free (C1)");
    if (info->kind == GC_BLOCK_FREE || info->kind > GC_BLOCK_FOLLOWER)
        gc_fault_block(verifier, block, "is used, but has no kind (C1)");
    if (has_bits(gc_block_bits(tables->marks, block)))
        gc_fault_block(verifier, block, "has marks between collections (T2)");
    if (info->kind != GC_BLOCK_FOLLOWER &&
        tables->state[block] != gc_state(info->generation, GC_LEAVE))
        gc_fault_block(verifier, block, "has a state that is not its generation (T3)");
    if (info->kind == GC_BLOCK_FOLLOWER &&
        (info->head >= block || tables->blocks[info->head].kind != GC_BLOCK_LARGE))
        gc_fault_block(verifier, block, "follows what is no large object");
}

/* Counts a list's blocks; a list longer than the heap is a ring. */
static size_t verify_list(struct gc_verifier *verifier, uint32_t block, unsigned generation,
                          bool large)
{
    const struct gc_tables *tables = verifier->tables;
    size_t count = 0, most = verifier->collector->blocks.used_blocks;

    for (; block != GC_NO_BLOCK && count <= most; block = tables->blocks[block].next, count++) {
        const struct gc_block *info = &tables->blocks[block];

        if (info->generation != generation)
            gc_fault_block(verifier, block, "is in another generation's list (S1)");
        if ((info->kind == GC_BLOCK_LARGE) != large)
            gc_fault_block(verifier, block, "is in the list of another kind (S1, S2)");
    }
    if (count > most)
        gc_fault_block(verifier, GC_NO_BLOCK, "a list of blocks has no end");
    return count;
}

static void verify_lists(struct gc_verifier *verifier, size_t small, size_t large)
{
    size_t listed_small = 0, listed_large = 0;

    for (unsigned i = 0; i < GC_AGES; i++) {
        const struct gc_generation *list = &verifier->collector->spaces.generations[i];
        size_t count = verify_list(verifier, list->small, i, false);

        if (count != list->block_count)
            gc_fault_block(verifier, GC_NO_BLOCK, "a generation miscounts its blocks");
        listed_small += count;
        listed_large += verify_list(verifier, list->large, i, true);
    }
    if (listed_small != small || listed_large != large)
        gc_fault_block(verifier, GC_NO_BLOCK, "a used block is in no list (S1, S2)");
}

void gc_verify_blocks(struct gc_verifier *verifier)
{
    const struct gc_blocks *blocks = &verifier->collector->blocks;
    size_t small = 0, large = 0, used = 0;

    for (size_t i = 0; i < blocks->chunks_high * GC_CHUNK_BLOCKS; i++) {
        uint32_t block = (uint32_t)i;
        const struct gc_chunk *chunk = &blocks->chunks[i / GC_CHUNK_BLOCKS];
        bool is_free = chunk->use == GC_CHUNK_IDLE || (chunk->free >> i % GC_CHUNK_BLOCKS & 1);

        if (!chunk->committed)
            continue;
        if (verifier->tables->state[block] == 0) {
            verify_free(verifier, block);
            used += (verifier->tables->blocks[block].flags & GC_BLOCK_PROTECTED) != 0;
            continue;
        }
        verify_used(verifier, block, is_free);
        used++;
        large += verifier->tables->blocks[block].kind == GC_BLOCK_LARGE;
        small += verifier->tables->blocks[block].kind < GC_BLOCK_LARGE;
    }
    if (used != blocks->used_blocks)
        gc_fault_block(verifier, GC_NO_BLOCK, "the count of used blocks is wrong");
    verify_lists(verifier, small, large);
}
