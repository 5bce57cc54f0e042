/* SPDX-License-Identifier: MIT */
#include "space/chunks.h"

#include "memory/forbid.h"
#include "os/os.h"

enum { LEAST_COPIES = 3 }; /* blocks that mutators leave for them */

/* ---- How much there is, and may be ---- */

static size_t table_bytes(const struct gc_blocks *blocks)
{
    return (blocks->touched_bytes >> GC_BLOCK_LOG2) * blocks->table_bytes;
}

size_t gc_blocks_committed(const struct gc_blocks *blocks)
{
    return blocks->touched_bytes + table_bytes(blocks) + blocks->overhead_bytes;
}

/* A collection must leave room for its own metadata to grow; mutators must leave
 * that, and half of the reserve besides, to copy into: in a small heap a block that
 * may stay half full, and two that are filled, or a compaction frees too little to
 * go on. */
static size_t limit_for(const struct gc_blocks *blocks, enum gc_taker taker)
{
    size_t copies = gc_max(blocks->reserve_bytes / 2, LEAST_COPIES * GC_BLOCK_BYTES);
    size_t kept = blocks->lane_room_bytes;

    if (taker == GC_FOR_MUTATOR)
        kept = gc_max(blocks->reserve_bytes, kept + copies);
    return blocks->limit_bytes > kept ? blocks->limit_bytes - kept : 0;
}

size_t gc_blocks_room(const struct gc_blocks *blocks, enum gc_taker taker)
{
    size_t held = gc_blocks_committed(blocks), limit = limit_for(blocks, taker);
    size_t free_bytes = blocks->free_touched << GC_BLOCK_LOG2;

    return limit + free_bytes > held ? limit + free_bytes - held : 0;
}

/* ---- Chunks ---- */

static void wish_huge(struct gc_blocks *blocks, size_t index, bool wanted)
{
    struct gc_chunk *chunk = &blocks->chunks[index];

    if (chunk->huge == wanted)
        return;
    gc_os.advise_huge((void *)gc_chunk_start(blocks, index), GC_CHUNK_BYTES, wanted);
    chunk->huge = wanted;
}

static void wish_huge_tables(struct gc_blocks *blocks, size_t index, bool wanted)
{
    struct gc_chunk *chunk = &blocks->chunks[index];

    if (chunk->huge_tables == wanted)
        return;
    gc_tables_advise_huge(blocks->tables, index, wanted);
    chunk->huge_tables = wanted;
}

bool gc_chunk_open(struct gc_blocks *blocks, size_t index, enum gc_chunk_use use, bool huge)
{
    struct gc_chunk *chunk = &blocks->chunks[index];

    if (!chunk->committed) {
        if (!gc_os.commit((void *)gc_chunk_start(blocks, index), GC_CHUNK_BYTES) ||
            !gc_tables_commit(blocks->tables, index))
            return false;
        chunk->committed = 1;
        gc_forbid(gc_chunk_start(blocks, index), gc_chunk_start(blocks, index + 1));
    }
    wish_huge_tables(blocks, index, true);
    wish_huge(blocks, index, huge && blocks->touched_bytes >= blocks->huge_from_bytes);
    chunk->use = (uint8_t)use;
    chunk->free = UINT64_MAX;
    blocks->chunks_high = gc_max(blocks->chunks_high, index + 1);
    return true;
}

void gc_chunk_close_if_free(struct gc_chunk *chunk)
{
    if (chunk->free == UINT64_MAX)
        chunk->use = GC_CHUNK_IDLE;
}

size_t gc_chunks_find_idle(const struct gc_blocks *blocks, size_t count)
{
    size_t run = 0;

    for (size_t i = 0; i < blocks->chunk_count; i++) {
        run = blocks->chunks[i].use == GC_CHUNK_IDLE ? run + 1 : 0;
        if (run == count)
            return i + 1 - count;
    }
    return SIZE_MAX;
}

size_t gc_chunk_note_taken(struct gc_blocks *blocks, size_t index, unsigned first, unsigned count,
                           size_t tail)
{
    struct gc_chunk *chunk = &blocks->chunks[index];
    uint64_t run = gc_bit_run(first, count), fresh = run & ~chunk->touched;
    unsigned fresh_count = gc_bit_count(fresh);

    chunk->free &= ~run;
    chunk->touched |= run;
    blocks->used_blocks += count;
    blocks->free_touched -= count - fresh_count;
    blocks->touched_bytes += (size_t)fresh_count << GC_BLOCK_LOG2;
    if (!(fresh >> (first + count - 1) & 1))
        return 0;
    blocks->touched_bytes -= GC_BLOCK_BYTES - tail;
    return GC_BLOCK_BYTES - tail;
}

/* ---- Giving memory back ---- */

/* Gives the memory of `count` free, touched blocks of one chunk back. */
static size_t untouch(struct gc_blocks *blocks, size_t index, unsigned first, unsigned count)
{
    struct gc_chunk *chunk = &blocks->chunks[index];
    uintptr_t start = gc_chunk_start(blocks, index) + ((size_t)first << GC_BLOCK_LOG2);

    if (count < GC_CHUNK_BLOCKS)
        wish_huge(blocks, index, false); /* else the system fills the hole again */
    if (!gc_os.decommit((void *)start, (size_t)count << GC_BLOCK_LOG2))
        return 0;
    chunk->touched &= ~gc_bit_run(first, count);
    gc_tables_decommit(blocks->tables, gc_chunk_block(index, first), count);
    wish_huge_tables(blocks, index, false);
    blocks->free_touched -= count;
    blocks->touched_bytes -= (size_t)count << GC_BLOCK_LOG2;
    return (size_t)count << GC_BLOCK_LOG2;
}

static size_t untouch_all(struct gc_blocks *blocks, size_t index)
{
    uint64_t rest = blocks->chunks[index].free & blocks->chunks[index].touched;
    size_t given = 0;

    while (rest != 0) {
        unsigned first = gc_lowest_bit(rest);
        uint64_t after = ~(rest >> first);
        unsigned count = after == 0 ? 64 : gc_lowest_bit(after);

        given += untouch(blocks, index, first, count);
        rest &= ~gc_bit_run(first, count);
    }
    return given;
}

static bool is_wholly_free(const struct gc_chunk *chunk)
{
    return chunk->use == GC_CHUNK_IDLE || chunk->free == UINT64_MAX;
}

static size_t trim_chunks(struct gc_blocks *blocks, size_t keep, bool whole)
{
    size_t given = 0;

    for (size_t i = blocks->chunks_high; i-- > 0;) {
        const struct gc_chunk *chunk = &blocks->chunks[i];

        if (blocks->free_touched << GC_BLOCK_LOG2 <= keep)
            break;
        if ((chunk->free & chunk->touched) != 0 && (!whole || is_wholly_free(chunk)))
            given += untouch_all(blocks, i);
    }
    return given;
}

size_t gc_blocks_trim(struct gc_blocks *blocks, size_t keep)
{
    size_t given = trim_chunks(blocks, keep, true);

    return given + trim_chunks(blocks, keep, false);
}

size_t gc_blocks_whole_room(const struct gc_blocks *blocks, enum gc_taker taker)
{
    size_t held = gc_blocks_committed(blocks);
    size_t free_bytes = blocks->free_touched * (GC_BLOCK_BYTES + blocks->table_bytes);
    size_t most = limit_for(blocks, taker) + free_bytes;

    return most > held ? most - held : 0;
}

bool gc_blocks_make_room(struct gc_blocks *blocks, size_t bytes, enum gc_taker taker)
{
    size_t limit = limit_for(blocks, taker);

    if (gc_blocks_committed(blocks) + bytes <= limit)
        return true;
    if (gc_blocks_whole_room(blocks, taker) < bytes)
        return false;
    for (size_t i = blocks->chunks_high; i-- > 0;) {
        untouch_all(blocks, i);
        if (gc_blocks_committed(blocks) + bytes <= limit)
            return true;
    }
    return false;
}

void gc_blocks_fit(struct gc_blocks *blocks)
{
    gc_blocks_make_room(blocks, 0, GC_FOR_COLLECTOR);
}
