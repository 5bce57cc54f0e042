/* SPDX-License-Identifier: MIT */
#include "space/blocks.h"

#include "base/check.h"
#include "memory/forbid.h"
#include "memory/seals.h"
#include "os/os.h"

/* Blocks side by side that a mutator looks for, and in how many chunks. */
enum { MANY = 32, SOME = 8, MOST_LOOKED = 8 };

enum { LEAST_COPIES = 3 }; /* blocks that mutators leave for them */

bool gc_blocks_create(struct gc_blocks *blocks, struct gc_tables *tables)
{
    size_t count = tables->bytes >> GC_CHUNK_LOG2;

    *blocks = (struct gc_blocks){
        .tables = tables, .chunk_count = count, .table_bytes = gc_tables_bytes_per_block(tables)};
    blocks->chunks = gc_os.allocate(count * sizeof *blocks->chunks);
    return blocks->chunks != NULL;
}

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

static uintptr_t chunk_start(const struct gc_blocks *blocks, size_t chunk)
{
    return blocks->tables->base + (chunk << GC_CHUNK_LOG2);
}

static uint32_t block_index(size_t chunk, unsigned block)
{
    return (uint32_t)(chunk * GC_CHUNK_BLOCKS + block);
}

void gc_blocks_destroy(struct gc_blocks *blocks)
{
    if (blocks->chunks == NULL)
        return;
    for (size_t i = 0; GC_FORBIDS && i < blocks->chunk_count; i++)
        if (blocks->chunks[i].committed)
            gc_allow(chunk_start(blocks, i), chunk_start(blocks, i + 1));
    gc_os.free(blocks->chunks);
    blocks->chunks = NULL;
}

/* ---- Commitment ---- */

static void wish_huge(struct gc_blocks *blocks, size_t index, bool wanted)
{
    struct gc_chunk *chunk = &blocks->chunks[index];

    if (chunk->huge == wanted)
        return;
    gc_os.advise_huge((void *)chunk_start(blocks, index), GC_CHUNK_BYTES, wanted);
    chunk->huge = wanted;
}

/* Huge pages are for chunks that fill; those that end large objects do not. */
static bool open_chunk(struct gc_blocks *blocks, size_t index, enum gc_chunk_use use, bool huge)
{
    struct gc_chunk *chunk = &blocks->chunks[index];

    if (!chunk->committed) {
        if (!gc_os.commit((void *)chunk_start(blocks, index), GC_CHUNK_BYTES) ||
            !gc_tables_commit(blocks->tables, index))
            return false;
        chunk->committed = 1;
        gc_forbid(chunk_start(blocks, index), chunk_start(blocks, index + 1));
    }
    wish_huge(blocks, index, huge && blocks->touched_bytes >= blocks->huge_from_bytes);
    chunk->use = (uint8_t)use;
    chunk->free = UINT64_MAX;
    blocks->chunks_high = gc_max(blocks->chunks_high, index + 1);
    return true;
}

/* An opened chunk of which nothing could be taken is idle again (C3). */
static void close_if_free(struct gc_chunk *chunk)
{
    if (chunk->free == UINT64_MAX)
        chunk->use = GC_CHUNK_IDLE;
}

/* The first idle chunk at or after `from` that begins `count` idle ones. */
static size_t find_idle(const struct gc_blocks *blocks, size_t count)
{
    size_t run = 0;

    for (size_t i = 0; i < blocks->chunk_count; i++) {
        run = blocks->chunks[i].use == GC_CHUNK_IDLE ? run + 1 : 0;
        if (run == count)
            return i + 1 - count;
    }
    return SIZE_MAX;
}

/* Gives the memory of `count` free, touched blocks of one chunk back. */
static size_t untouch(struct gc_blocks *blocks, size_t index, unsigned first, unsigned count)
{
    struct gc_chunk *chunk = &blocks->chunks[index];
    uintptr_t start = chunk_start(blocks, index) + ((size_t)first << GC_BLOCK_LOG2);

    if (count < GC_CHUNK_BLOCKS)
        wish_huge(blocks, index, false); /* else the system fills the hole again */
    if (!gc_os.decommit((void *)start, (size_t)count << GC_BLOCK_LOG2))
        return 0;
    chunk->touched &= ~gc_bit_run(first, count);
    gc_tables_decommit(blocks->tables, block_index(index, first), count);
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

/* As gc_blocks_room, with the bytes of tables: those of free memory go back with it. */
static size_t whole_room(const struct gc_blocks *blocks, enum gc_taker taker)
{
    size_t held = gc_blocks_committed(blocks);
    size_t free_bytes = blocks->free_touched * (GC_BLOCK_BYTES + blocks->table_bytes);
    size_t most = limit_for(blocks, taker) + free_bytes;

    return most > held ? most - held : 0;
}

/* Makes `bytes` of new memory, tables included, fit under the limit, giving back
 * free memory elsewhere if need be. */
static bool make_room(struct gc_blocks *blocks, size_t bytes, enum gc_taker taker)
{
    size_t limit = limit_for(blocks, taker);

    if (gc_blocks_committed(blocks) + bytes <= limit)
        return true;
    if (whole_room(blocks, taker) < bytes)
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
    make_room(blocks, 0, GC_FOR_COLLECTOR);
}

/* ---- Taking ---- */

/* Marks `count` blocks from `first` taken, of the last only `tail` bytes.
 * Returns how many bytes of it are neither touched nor counted. */
static size_t note_taken(struct gc_blocks *blocks, size_t index, unsigned first, unsigned count,
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

/* The page of a block's marks is had from the system now, and not all of them in the
 * pause of a full collection. */
static void touch_marks(const struct gc_tables *tables, uint32_t block)
{
    volatile uint64_t *marks = gc_block_bits(tables->marks, block);

    *marks = 0;
}

uint32_t gc_block_take(struct gc_blocks *blocks, enum gc_taker taker)
{
    size_t index = chunk_with_small(blocks);
    unsigned block;

    if (gc_blocks_room(blocks, taker) < GC_BLOCK_BYTES)
        return GC_NO_BLOCK;
    if (index == SIZE_MAX) {
        index = find_idle(blocks, 1);
        if (index == SIZE_MAX || !open_chunk(blocks, index, GC_CHUNK_SMALL, true))
            return GC_NO_BLOCK;
        blocks->small_hint = gc_min(blocks->small_hint, index);
    }
    block = gc_lowest_bit(blocks->chunks[index].free);
    if (!(blocks->chunks[index].touched >> block & 1)) {
        if (!make_room(blocks, GC_BLOCK_BYTES + blocks->table_bytes, taker)) {
            close_if_free(&blocks->chunks[index]);
            return GC_NO_BLOCK;
        }
        touch_marks(blocks->tables, block_index(index, block));
    }
    note_taken(blocks, index, block, 1, GC_BLOCK_BYTES);
    return block_index(index, block);
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
                return block_index(i, first);
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
        if (!open_chunk(blocks, index, GC_CHUNK_SMALL, true))
            return GC_NO_BLOCK;
        blocks->small_hint = gc_min(blocks->small_hint, index);
    }
    *count = count_free(blocks, &blocks->chunks[index], near % GC_CHUNK_BLOCKS, most);
    note_taken(blocks, index, near % GC_CHUNK_BLOCKS, *count, GC_BLOCK_BYTES);
    return near;
}

/* Notes which of a run of blocks may still hold something of earlier objects. */
static void note_dirty(struct gc_blocks *blocks, size_t index, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        bool dirty = blocks->chunks[index].touched >> i & 1;

        blocks->tables->blocks[block_index(index, i)].flags = dirty ? GC_BLOCK_DIRTY : (uint8_t)0;
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
        index = find_idle(blocks, 1);
        if (index == SIZE_MAX || !open_chunk(blocks, index, GC_CHUNK_LARGE, false))
            return GC_NO_BLOCK;
        blocks->large_hint = gc_min(blocks->large_hint, index);
        first = 0;
    }
    if (!make_room(blocks, request->needed, request->taker)) {
        close_if_free(&blocks->chunks[index]);
        return GC_NO_BLOCK;
    }
    note_dirty(blocks, index, first, count);
    request->untouched = note_taken(blocks, index, first, count, tail_bytes(bytes));
    return block_index(index, first);
}

static uint32_t take_chunks(struct gc_blocks *blocks, struct run_request *request)
{
    size_t bytes = request->bytes;
    size_t count = gc_round_up(bytes, GC_CHUNK_BYTES) >> GC_CHUNK_LOG2, left = bytes;
    size_t first = find_idle(blocks, count);

    if (first == SIZE_MAX || !make_room(blocks, request->needed, request->taker))
        return GC_NO_BLOCK;
    for (size_t i = first; i < first + count; i++)
        if (!open_chunk(blocks, i, GC_CHUNK_LARGE, i - first < bytes >> GC_CHUNK_LOG2)) {
            while (i-- > first)
                blocks->chunks[i].use = GC_CHUNK_IDLE;
            return GC_NO_BLOCK;
        }
    for (size_t i = first; i < first + count; i++) {
        size_t here = gc_min(left, GC_CHUNK_BYTES);
        unsigned taken = (unsigned)gc_blocks_for(here);

        note_dirty(blocks, i, 0, taken);
        request->untouched = note_taken(blocks, i, 0, taken, tail_bytes(here));
        left -= here;
    }
    blocks->large_hint = gc_min(blocks->large_hint, first + count - 1);
    return block_index(first, 0);
}

uint32_t gc_block_take_run(struct gc_blocks *blocks, size_t bytes, enum gc_taker taker)
{
    struct run_request request = {.bytes = bytes, .taker = taker};
    uint32_t block, count;

    if (bytes > blocks->tables->bytes)
        return GC_NO_BLOCK;
    request.needed =
        gc_round_up(bytes, gc_os_page_bytes()) + gc_blocks_for(bytes) * blocks->table_bytes;
    if (whole_room(blocks, taker) < request.needed)
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
    close_if_free(chunk);
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
