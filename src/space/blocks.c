/* SPDX-License-Identifier: MIT */
#include "space/blocks.h"

#include "memory/forbid.h"
#include "memory/seals.h"
#include "os/os.h"
#include "space/chunks.h"

/* Blocks side by side that a mutator looks for, and in how many chunks. */
enum { MANY = 32, SOME = 8, MOST_LOOKED = 8 };

bool gc_blocks_create(struct gc_blocks *blocks, struct gc_tables *tables)
{
    size_t count = tables->bytes >> GC_CHUNK_LOG2;

    *blocks = (struct gc_blocks){
        .tables = tables, .chunk_count = count, .table_bytes = gc_tables_bytes_per_block(tables)};
    blocks->chunks = gc_os.allocate(count * sizeof *blocks->chunks);
    return blocks->chunks != NULL;
}

void gc_blocks_destroy(struct gc_blocks *blocks)
{
    if (blocks->chunks == NULL)
        return;
    for (size_t i = 0; GC_FORBIDS && i < blocks->chunk_count; i++)
        if (blocks->chunks[i].committed)
            gc_allow(gc_chunk_start(blocks, i), gc_chunk_start(blocks, i + 1));
    gc_os.free(blocks->chunks);
    blocks->chunks = NULL;
}

/* ---- Taking ---- */

static size_t chunk_with_small(struct gc_blocks *blocks)
{
    for (size_t i = blocks->small_hint; i < blocks->chunks_high; i++) {
        if (blocks->chunks[i].use == GC_CHUNK_SMALL && blocks->chunks[i].free != 0) {
            blocks->small_hint = i;
            return i;
        }
    }
    blocks->small_hint = blocks->chunks_high;
    return SIZE_MAX;
}

/* The pages of a block's tables are had from the system now, and not all of them in the
 * pause of a full collection. */
static void touch_tables(const struct gc_tables *tables, uint32_t block)
{
    volatile uint64_t *marks = gc_block_bits(tables->marks, block);
    volatile uint64_t *starts = gc_block_bits(tables->starts, block);
    volatile uint8_t *lines = gc_block_lines(tables, block);

    *marks = 0;
    *starts = 0;
    *lines = 0;
}

uint32_t gc_block_take(struct gc_blocks *blocks, enum gc_taker taker)
{
    size_t index = chunk_with_small(blocks);
    unsigned block;

    if (gc_blocks_room(blocks, taker) < GC_BLOCK_BYTES)
        return GC_NO_BLOCK;
    if (index == SIZE_MAX) {
        index = gc_chunks_find_idle(blocks, 1);
        if (index == SIZE_MAX || !gc_chunk_open(blocks, index, GC_CHUNK_SMALL, true))
            return GC_NO_BLOCK;
        blocks->small_hint = gc_min(blocks->small_hint, index);
    }
    block = gc_lowest_bit(blocks->chunks[index].free);
    if (!(blocks->chunks[index].touched >> block & 1)) {
        if (!gc_blocks_make_room(blocks, GC_BLOCK_BYTES + blocks->table_bytes, taker)) {
            gc_chunk_close_if_free(&blocks->chunks[index]);
            return GC_NO_BLOCK;
        }
        touch_tables(blocks->tables, gc_chunk_block(index, block));
    }
    gc_chunk_note_taken(blocks, index, block, 1, GC_BLOCK_BYTES);
    return gc_chunk_block(index, block);
}

static bool may_take(const struct gc_chunk *chunk, uint64_t wanted)
{
    return chunk->use != GC_CHUNK_LARGE && (chunk->free & chunk->touched & wanted) == wanted;
}

/* So many free blocks side by side that hold memory. */
static uint32_t find_side_by_side(const struct gc_blocks *blocks, unsigned count)
{
    size_t end = gc_min(blocks->chunks_high, blocks->small_hint + MOST_LOOKED);

    for (size_t i = blocks->small_hint; i < end; i++)
        for (unsigned first = 0; first < GC_CHUNK_BLOCKS; first += count)
            if (may_take(&blocks->chunks[i], gc_bit_run(first, count)))
                return gc_chunk_block(i, first);
    return GC_NO_BLOCK;
}

/* How many blocks from the chunk's `first` on are free and hold memory: at most so
 * many, and no more than there is room for. */
static uint32_t count_free(const struct gc_blocks *blocks, const struct gc_chunk *chunk,
                           unsigned first, uint32_t most)
{
    size_t room = gc_blocks_room(blocks, GC_FOR_MUTATOR) >> GC_BLOCK_LOG2;
    uint64_t ones = (chunk->free & chunk->touched) >> first;

    return (uint32_t)gc_min(gc_min(gc_bit_count(ones & ~(ones + 1)), most), room);
}

uint32_t gc_block_take_near(struct gc_blocks *blocks, uint32_t near, uint32_t *count)
{
    size_t index = near / GC_CHUNK_BLOCKS;
    uint32_t most = *count;

    *count = 1;
    if (index >= blocks->chunks_high ||
        !may_take(&blocks->chunks[index], (uint64_t)1 << near % GC_CHUNK_BLOCKS)) {
        near = find_side_by_side(blocks, MANY);
        if (near == GC_NO_BLOCK)
            near = find_side_by_side(blocks, SOME);
        index = near / GC_CHUNK_BLOCKS;
    }
    if (near == GC_NO_BLOCK || gc_blocks_room(blocks, GC_FOR_MUTATOR) < GC_BLOCK_BYTES)
        return gc_block_take(blocks, GC_FOR_MUTATOR);
    if (blocks->chunks[index].use == GC_CHUNK_IDLE) {
        if (!gc_chunk_open(blocks, index, GC_CHUNK_SMALL, true))
            return GC_NO_BLOCK;
        blocks->small_hint = gc_min(blocks->small_hint, index);
    }
    *count = count_free(blocks, &blocks->chunks[index], near % GC_CHUNK_BLOCKS, most);
    gc_chunk_note_taken(blocks, index, near % GC_CHUNK_BLOCKS, *count, GC_BLOCK_BYTES);
    return near;
}

/* ---- Giving ---- */

static void give_within_chunk(struct gc_blocks *blocks, size_t index, unsigned first,
                              unsigned count)
{
    struct gc_chunk *chunk = &blocks->chunks[index];

    chunk->free |= gc_bit_run(first, count);
    if (chunk->use == GC_CHUNK_SMALL)
        blocks->small_hint = gc_min(blocks->small_hint, index);
    else
        blocks->large_hint = gc_min(blocks->large_hint, index);
    gc_chunk_close_if_free(chunk);
}

void gc_block_give(struct gc_blocks *blocks, uint32_t block, uint32_t count)
{
    size_t untouched = blocks->tables->blocks[block].untouched;
    uint32_t left = count, next = block;

    if (blocks->tables->seals != NULL)
        gc_scrub(blocks->tables, gc_block_start(blocks->tables, block),
                 gc_block_start(blocks->tables, block + count) - untouched, true);
    /* What is free counts whole. */
    blocks->touched_bytes += untouched;
    for (uint32_t i = block; i < block + count; i++)
        gc_tables_clear(blocks->tables, i);
    gc_forbid(gc_block_start(blocks->tables, block), gc_block_start(blocks->tables, block + count));
    blocks->used_blocks -= count;
    blocks->free_touched += count;
    while (left > 0) {
        unsigned first = next % GC_CHUNK_BLOCKS;
        unsigned here = (unsigned)gc_min(left, GC_CHUNK_BLOCKS - first);

        give_within_chunk(blocks, next / GC_CHUNK_BLOCKS, first, here);
        next += here;
        left -= here;
    }
    if (untouched != 0)
        gc_blocks_fit(blocks);
}
