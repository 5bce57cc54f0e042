/* SPDX-License-Identifier: MIT
 *
 * The generations' memory: their blocks, their large objects, and the runs of
 * free lines through which allocation bumps. Gives memory or nothing; never
 * collects.
 *
 * S1  A block is in the small list of its generation, once.
 * S2  A large object's first block is in the large list of its generation.
 * S3  A block is in at most one list of holes or of births, and no open run fills
 *     one that is in a list of holes.
 * S4  What was born in gen2 and not visited since is in the fresh runs of the blocks
 *     in the list of births, which are flagged `born`.
 */
#ifndef STRATA_SPACES_H
#define STRATA_SPACES_H

#include "space/blocks.h"

struct gc_generation {
    uint32_t small; /* lists, through next */
    uint32_t large;
    size_t block_count; /* in the small list */
    size_t bytes;       /* of objects that the last collections left here */
    size_t objects;
    size_t large_bytes; /* of these */
};

/* A run of free lines that is being filled: from `bump` to `limit` is room. A mutator's
 * run stays unparsed, and goes on over the further holes of its block, or, where several
 * allocate, over free blocks side by side, which its thread opens one after another without
 * the lock. A collector's run stays unparsed in a block that was wholly free, and is
 * recorded at its end in a hole. */
struct gc_run {
    uintptr_t bump;
    uintptr_t limit;
    uintptr_t from;   /* of the room, at first */
    uint32_t block;   /* the first; GC_NO_BLOCK if none is open */
    uint32_t line;    /* where to look for the block's next hole, */
    uint32_t fetched; /* and up to where those were fetched into the cache */
    bool whole;       /* the block was wholly free */
    /* Mutators' runs. Their thread writes `bump`, `line`, `fetched`, `end` and `skipped` without
     * the lock, the last by atomic stores, for others read it; whoever ends the run, with the
     * lock. */
    uintptr_t end;   /* of the room that is open: in the block being filled, at most `limit` */
    size_t skipped;  /* bytes of red zones, at rooms' ends and between them: not used */
    size_t occupied; /* bytes between the rooms, behind the first: not free */
    uint32_t near;   /* block to take next, if it is free, */
    uint32_t home;   /* and the first taken since the last collection, or GC_NO_BLOCK */
    uint32_t blocks; /* taken at once by the last */
    /* Collectors' runs: what was copied through it, over all its blocks. */
    uintptr_t tallied; /* up to here */
    size_t bytes;
    size_t objects;
};

struct gc_spaces {
    struct gc_tables *tables;
    struct gc_blocks *blocks;
    struct gc_generation generations[GC_AGES];      /* the frozen ones last */
    uint32_t young_holes[GC_BLOCK_AMBIGUOUS + 1];   /* by kind: gen0 blocks with room */
    uint32_t pinning_holes[GC_BLOCK_AMBIGUOUS + 1]; /* gen2's of the kinds that pin */
    uint32_t old_holes;                             /* ... and of the other */
    uint32_t births;                                /* gen2 blocks with objects born there, */
    size_t births_bytes; /* of these, which gen2 counts, but no object, */
    size_t born_bytes;   /* and of runs that ended since the last collection, which it does not */
    bool pretenures;     /* what mutators allocate in small blocks is born in gen2 */
    bool apart;          /* several take blocks: each near its last */
    size_t handed_bytes; /* to mutators since the last collection */
};

void gc_spaces_create(struct gc_spaces *spaces, struct gc_tables *tables, struct gc_blocks *blocks);

static inline void gc_run_reset(struct gc_run *run)
{
    *run = (struct gc_run){.block = GC_NO_BLOCK};
}

/* Bytes of a mutator's run that were handed out, and hold nothing allocated through it. */
static inline size_t gc_run_unused(const struct gc_run *run, uintptr_t bump)
{
    return run->limit - bump + run->skipped - run->occupied;
}

/* Where another thread fills the run: what is skipped now, before its bump is
 * read; and, by its own thread, that bytes were, after bump has passed them. */
static inline size_t gc_run_skipped(const struct gc_run *run)
{
    return __atomic_load_n(&run->skipped, __ATOMIC_ACQUIRE);
}

static inline void gc_run_skip(struct gc_run *run, size_t bytes)
{
    __atomic_store_n(&run->skipped, run->skipped + bytes, __ATOMIC_RELEASE);
}

/* The block behind the run's last; 0 if none is open. */
static inline uint32_t gc_run_end_block(const struct gc_tables *tables, const struct gc_run *run)
{
    return run->block == GC_NO_BLOCK ? 0 : gc_block_of(tables, run->limit - 1) + 1;
}

/* Ends the run, and gives it other room for `bytes` in gen0, to be zeroed, in blocks of
 * `kind`: a block with holes, else a free block. While the spaces pretenure, the same in
 * gen2; what pins fills gen2's holes before free blocks, for nothing is copied into them. */
bool gc_young_run_next(struct gc_spaces *spaces, struct gc_run *run, enum gc_block_kind kind,
                       size_t bytes);

/* Zeroes the room of a run that is open, all of it. */
void gc_run_zero(const struct gc_run *run);

/* Opens the next room of a run that goes on, of at least `bytes`, to be zeroed; false
 * if there is none. What lies between its bump before and now is for the caller to skip.
 * Its thread's own, without the lock. */
bool gc_young_run_advance(const struct gc_spaces *spaces, struct gc_run *run, size_t bytes);

/* Ends a mutator's run; what it leaves, which is zeroed, is skipped. */
void gc_young_run_close(struct gc_spaces *spaces, struct gc_run *run);

/* The same where no collection follows: blocks that were not opened are for others. */
void gc_young_run_give_up(struct gc_spaces *spaces, struct gc_run *run);

/* Room for `bytes` of copies in `generation`. `holes` allows those of gen2. */
bool gc_copy_run_next(struct gc_spaces *spaces, struct gc_run *run, unsigned generation,
                      size_t bytes, bool holes);

/* Makes what a collector's run holds known to the tables, and goes on, or ends. */
void gc_copy_run_sync(struct gc_spaces *spaces, struct gc_run *run);
void gc_copy_run_close(struct gc_spaces *spaces, struct gc_run *run);

/* Memory for one large object of gen0, to be zeroed: its first byte, or 0. Until
 * a start is recorded in it nothing is found there. */
uintptr_t gc_large_take(struct gc_spaces *spaces, size_t bytes);
void gc_large_zero(const struct gc_spaces *spaces, uintptr_t start, size_t bytes);

/* The list of gen2's blocks of `kind` with room; none has any. */
uint32_t *gc_old_holes(struct gc_spaces *spaces, enum gc_block_kind kind);
void gc_old_holes_forget(struct gc_spaces *spaces);

/* The next block of the list of births, which leaves it, or GC_NO_BLOCK: then nothing
 * counts as born any more. */
uint32_t gc_births_take(struct gc_spaces *spaces);

/* Puts a block, or a large object by its first, in a generation's list. */
void gc_generation_add(struct gc_spaces *spaces, uint32_t block, unsigned generation);

/* The same with all blocks of a list, which is left. */
void gc_generation_add_all(struct gc_spaces *spaces, uint32_t list, unsigned generation);

#endif
