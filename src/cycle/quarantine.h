/* SPDX-License-Identifier: MIT
 *
 * What stress modes leave behind. A block that a collection emptied is made
 * inaccessible, so that a stale pointer into it faults at once. With `keeps` it
 * stays so for long, and what is in it tells what became of each object; and
 * where others of a block stay, those that left it are poisoned: each word of
 * theirs becomes an address at which nothing can be, and which tells whose
 * place it was.
 *
 * Q1  A quarantined block is used, not free, and its state is 0.
 * Q2  With `keeps`, the starts of a quarantined block are those of the objects
 *     that were in it. The header of each holds its type; if GC_STATE_MOVED is
 *     set, the first word of its payload is the address it moved to.
 * Q3  The ring holds at most `capacity` runs and `most_blocks` blocks: the
 *     oldest go back first.
 */
#ifndef STRATA_QUARANTINE_H
#define STRATA_QUARANTINE_H

#include "space/blocks.h"

enum { GC_STATE_MOVED = 0x80 }; /* in a quarantined header only */

struct gc_quarantined {
    uint32_t block;      /* the first */
    uint32_t count;      /* blocks */
    uint64_t collection; /* that emptied it, counted from 1 */
};

/* An object that left a block in which others stay. */
struct gc_poisoned {
    uintptr_t object;
    const gc_type *type;
    size_t bytes;  /* of payload */
    uintptr_t now; /* where it moved to, or 0 if it died */
    uint64_t collection;
};

struct gc_quarantine {
    struct gc_quarantined *ring; /* NULL: nothing is ever put into it */
    size_t capacity;
    size_t first;
    size_t count;
    size_t blocks; /* in all runs */
    size_t most_blocks;
    bool keeps;
    bool is_closed;   /* nothing is put into it in the collection under way */
    uintptr_t poison; /* an inaccessible reservation: page i is record i's */
    struct gc_poisoned *records;
    size_t poisoned; /* in all; the newest GC_POISON_RECORDS are known */
    struct gc_blocks *heap;
    struct gc_tables *tables;
};

enum { GC_POISON_RECORDS = 1 << 16, GC_POISON_LOG2 = 12 };

/* `most_bytes` of blocks; false without memory. */
bool gc_quarantine_create(struct gc_quarantine *quarantine, struct gc_blocks *blocks,
                          size_t most_bytes, bool keeps);
void gc_quarantine_destroy(struct gc_quarantine *quarantine);
size_t gc_quarantine_bytes(const struct gc_quarantine *quarantine);

/* Blocks that a collection emptied: they are quarantined, or, if that cannot
 * be, given back. They are in no list any more. */
void gc_quarantine_add(struct gc_quarantine *quarantine, uint32_t block, uint32_t count,
                       uint64_t collection);

/* Poisons those objects of a block's starts that have no mark. */
void gc_quarantine_poison(struct gc_quarantine *quarantine, uint32_t block, uint64_t collection);

/* Before a collection: gives back what is kept no longer: the oldest, until
 * mutators could take `needed` bytes; or, at the limit, all, and keeps nothing
 * of what this collection leaves. */
void gc_quarantine_release(struct gc_quarantine *quarantine, size_t needed, bool at_limit);

/* What a stale address was. */
struct gc_stale {
    uintptr_t object; /* 0: in a quarantined block, but in no object of it */
    const gc_type *type;
    size_t bytes; /* of payload */
    uint64_t collection;
    uintptr_t first_move; /* where that collection moved it, or 0 */
    uintptr_t now;        /* where it is, if it is alive; else 0 */
    uintptr_t died;       /* ... the collection in which it died later, if that is known */
    bool was_read;        /* the address itself was read from a poisoned object */
};

/* False if the address is none that was left. Changes protection for the time
 * it takes; for one thread that is about to die, or that verifies. */
bool gc_quarantine_explain(struct gc_quarantine *quarantine, uintptr_t address,
                           struct gc_stale *stale);

#endif
