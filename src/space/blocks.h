/* SPDX-License-Identifier: MIT
 *
 * The range of blocks: which are free, which hold memory of the system, and
 * how much of it there may be. Gives memory or GC_NO_BLOCK; never collects.
 *
 * Small blocks and large objects keep to chunks of their own, so that a large
 * run finds whole chunks and a small block does not split one.
 *
 * C1  A block whose free bit is clear has a kind other than GC_BLOCK_FREE.
 * C2  `touched_bytes` counts the memory of all blocks that may hold any.
 * C3  An idle chunk (use GC_CHUNK_IDLE) is all free.
 */
#ifndef STRATA_BLOCKS_H
#define STRATA_BLOCKS_H

#include "memory/tables.h"

enum gc_chunk_use { GC_CHUNK_IDLE = 0, GC_CHUNK_SMALL, GC_CHUNK_LARGE };

struct gc_chunk {
    uint64_t free;    /* by block */
    uint64_t touched; /* by block: may hold memory of the system */
    uint8_t use;
    uint8_t committed;   /* accessible, its tables too */
    uint8_t huge;        /* asked for huge pages */
    uint8_t huge_tables; /* its tables did */
};

/* Who asks: the collector may use the reserve, mutators may not. */
enum gc_taker { GC_FOR_MUTATOR, GC_FOR_COLLECTOR };

struct gc_blocks {
    struct gc_tables *tables;
    struct gc_chunk *chunks;
    size_t chunk_count;
    size_t table_bytes;     /* that describe a block */
    size_t chunks_high;     /* chunks from here on were never used */
    size_t small_hint;      /* no small chunk below has a free block */
    size_t large_hint;      /* no large chunk below has a free block */
    size_t touched_bytes;   /* C2 */
    size_t used_blocks;     /* not free */
    size_t free_touched;    /* free blocks that hold memory */
    size_t limit_bytes;     /* most touched_bytes, for the collector */
    size_t reserve_bytes;   /* of these, not for mutators */
    size_t overhead_bytes;  /* metadata elsewhere, counted in the limit */
    size_t lane_room_bytes; /* that metadata may grow by during a collection */
    size_t huge_from_bytes; /* heaps at least this large ask for huge pages */
};

bool gc_blocks_create(struct gc_blocks *blocks, struct gc_tables *tables);
void gc_blocks_destroy(struct gc_blocks *blocks);

/* One block for small objects, its contents undefined; its kind, generation
 * and state are the taker's to set. */
uint32_t gc_block_take(struct gc_blocks *blocks, enum gc_taker taker);

/* The same for one of several mutators: `near` if it is free and holds memory,
 * else the first of many side by side, so that each takes what it had before
 * the last collection, which may still be in its processor's cache. Takes what is
 * free behind it, too, while that holds memory: at most `*count` in all, which
 * becomes how many. */
uint32_t gc_block_take_near(struct gc_blocks *blocks, uint32_t near, uint32_t *count);

/* `bytes` for one large object, from a block's beginning: the first of its
 * blocks. What it holds is undefined until it is zeroed, which concerns nobody
 * but the taker. */
uint32_t gc_block_take_run(struct gc_blocks *blocks, size_t bytes, enum gc_taker taker);
void gc_blocks_zero(const struct gc_blocks *blocks, uint32_t block, size_t bytes);

/* Gives `count` blocks back; clears their tables. */
void gc_block_give(struct gc_blocks *blocks, uint32_t block, uint32_t count);

/* Gives to the system the memory of free blocks, while they hold more than
 * `keep` bytes: of whole chunks first. Returns how many bytes. */
size_t gc_blocks_trim(struct gc_blocks *blocks, size_t keep);

/* Gives free memory back if more is held than the limit allows. */
void gc_blocks_fit(struct gc_blocks *blocks);

/* Bytes of the system that blocks and their tables hold. */
size_t gc_blocks_committed(const struct gc_blocks *blocks);

/* Bytes that can still be taken. */
size_t gc_blocks_room(const struct gc_blocks *blocks, enum gc_taker taker);

static inline size_t gc_blocks_for(size_t bytes)
{
    return (bytes + GC_BLOCK_BYTES - 1) >> GC_BLOCK_LOG2;
}

#endif
