/* SPDX-License-Identifier: MIT
 *
 * Blocks for large objects: some of a chunk's, side by side, or whole chunks.
 */
#include "memory/forbid.h"
#include "os/os.h"
#include "space/chunks.h"

/* Notes which of a run of blocks may still hold something of earlier objects. */
static void note_dirty(struct gc_blocks *blocks, size_t index, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        bool dirty = blocks->chunks[index].touched >> i & 1;

        blocks->tables->blocks[gc_chunk_block(index, i)].flags =
            dirty ? GC_BLOCK_DIRTY : (uint8_t)0;
    }
}

void gc_blocks_zero(const struct gc_blocks *blocks, uint32_t block, size_t bytes)
{
    for (; bytes > 0; block++, bytes -= gc_min(bytes, GC_BLOCK_BYTES))
        if (blocks->tables->blocks[block].flags & GC_BLOCK_DIRTY) {
            uintptr_t start = gc_block_start(blocks->tables, block);

            gc_zero(start, start + gc_min(bytes, GC_BLOCK_BYTES));
        }
}

static size_t tail_bytes(size_t bytes)
{
    size_t pages = gc_round_up(bytes, gc_os_page_bytes());
    size_t tail = pages & (GC_BLOCK_BYTES - 1);

    return tail == 0 ? GC_BLOCK_BYTES : tail;
}

/* The lowest bit that begins `count` set bits in `word`, or 64. Halving: after
 * each step a bit stands for a run of `have` set bits. */
static unsigned find_run(uint64_t word, unsigned count)
{
    for (unsigned have = 1; have < count;) {
        unsigned step = have < count - have ? have : count - have;

        word &= word >> step;
        have += step;
    }
    return word == 0 ? 64 : gc_lowest_bit(word);
}

/* What one large object asks for, and what of its last block stays untouched. */
struct run_request {
    size_t bytes;
    size_t needed; /* of new memory, its tables included, if none of it is held */
    size_t untouched;
    enum gc_taker taker;
};

static uint32_t take_within_chunk(struct gc_blocks *blocks, struct run_request *request)
{
    size_t bytes = request->bytes;
    unsigned count = (unsigned)gc_blocks_for(bytes), first = 64;
    size_t index;

    for (index = blocks->large_hint; index < blocks->chunks_high; index++) {
        struct gc_chunk *chunk = &blocks->chunks[index];

        if (chunk->use == GC_CHUNK_LARGE && (first = find_run(chunk->free, count)) < 64)
            break;
    }
    if (first == 64) {
        index = gc_chunks_find_idle(blocks, 1);
        if (index == SIZE_MAX || !gc_chunk_open(blocks, index, GC_CHUNK_LARGE, false))
            return GC_NO_BLOCK;
        blocks->large_hint = gc_min(blocks->large_hint, index);
        first = 0;
    }
    if (!gc_blocks_make_room(blocks, request->needed, request->taker)) {
        gc_chunk_close_if_free(&blocks->chunks[index]);
        return GC_NO_BLOCK;
    }
    note_dirty(blocks, index, first, count);
    request->untouched = gc_chunk_note_taken(blocks, index, first, count, tail_bytes(bytes));
    return gc_chunk_block(index, first);
}

static uint32_t take_chunks(struct gc_blocks *blocks, struct run_request *request)
{
    size_t bytes = request->bytes;
    size_t count = gc_round_up(bytes, GC_CHUNK_BYTES) >> GC_CHUNK_LOG2, left = bytes;
    size_t first = gc_chunks_find_idle(blocks, count);

    if (first == SIZE_MAX || !gc_blocks_make_room(blocks, request->needed, request->taker))
        return GC_NO_BLOCK;
    for (size_t i = first; i < first + count; i++)
        if (!gc_chunk_open(blocks, i, GC_CHUNK_LARGE, i - first < bytes >> GC_CHUNK_LOG2)) {
            while (i-- > first)
                blocks->chunks[i].use = GC_CHUNK_IDLE;
            return GC_NO_BLOCK;
        }
    for (size_t i = first; i < first + count; i++) {
        size_t here = gc_min(left, GC_CHUNK_BYTES);
        unsigned taken = (unsigned)gc_blocks_for(here);

        note_dirty(blocks, i, 0, taken);
        request->untouched = gc_chunk_note_taken(blocks, i, 0, taken, tail_bytes(here));
        left -= here;
    }
    blocks->large_hint = gc_min(blocks->large_hint, first + count - 1);
    return gc_chunk_block(first, 0);
}

uint32_t gc_block_take_run(struct gc_blocks *blocks, size_t bytes, enum gc_taker taker)
{
    struct run_request request = {.bytes = bytes, .taker = taker};
    uint32_t block, count;

    if (bytes > blocks->tables->bytes)
        return GC_NO_BLOCK;
    request.needed =
        gc_round_up(bytes, gc_os_page_bytes()) + gc_blocks_for(bytes) * blocks->table_bytes;
    if (gc_blocks_whole_room(blocks, taker) < request.needed)
        return GC_NO_BLOCK;
    block = bytes <= GC_CHUNK_BYTES ? take_within_chunk(blocks, &request)
                                    : take_chunks(blocks, &request);
    if (block == GC_NO_BLOCK)
        return GC_NO_BLOCK;
    count = (uint32_t)gc_blocks_for(bytes);
    for (uint32_t i = block; i < block + count; i++)
        blocks->tables->blocks[i] = (struct gc_block){.flags = blocks->tables->blocks[i].flags,
                                                      .kind = GC_BLOCK_FOLLOWER,
                                                      .head = block,
                                                      .next = GC_NO_BLOCK,
                                                      .next_hole = GC_NO_BLOCK};
    blocks->tables->blocks[block].kind = GC_BLOCK_LARGE;
    blocks->tables->blocks[block].count = count;
    blocks->tables->blocks[block].untouched = (uint32_t)request.untouched;
    return block;
}
