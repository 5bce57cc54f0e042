/* SPDX-License-Identifier: MIT
 *
 * What is known of a heap's range of addresses: side tables, out of line,
 * indexed by block, line or granule. They are one reservation, committed
 * chunk by chunk with the memory that they describe; before each table and
 * behind the last is a page that is never accessible.
 *
 * T1  A free block has no start, no mark and no occupied line.
 * T2  Between collections no mark is set.
 * T3  Between collections every block's action is GC_LEAVE and its age its
 *     generation.
 * T4  Starts and lines of an unparsed block leave out its fresh runs: the
 *     unoccupied lines below `fresh_end`. There objects stand one after
 *     another, with zeroed words between or behind them. While the block is
 *     condemned, `taken` says what its lines said before.
 */
#ifndef STRATA_TABLES_H
#define STRATA_TABLES_H

#include "memory/header.h"
#include "memory/layout.h"

#include <strata/fork.h>

/* Ages that an object can be of: the generations, and frozen. */
enum { GC_AGES = GC_FROZEN + 1 };

/* What the collection under way does with the objects of a block. */
enum gc_action { GC_LEAVE = 0, GC_IN_PLACE, GC_EVACUATE, GC_IN_PLACE_LARGE };

enum gc_block_kind {
    GC_BLOCK_FREE = 0,
    GC_BLOCK_SMALL,
    GC_BLOCK_PINNED,    /* objects that never move */
    GC_BLOCK_AMBIGUOUS, /* ... and whose contents are ambiguous */
    GC_BLOCK_LARGE,     /* first block of a large object */
    GC_BLOCK_FOLLOWER   /* further blocks of it */
};

enum {
    GC_BLOCK_UNPARSED = 1,       /* see T4 */
    GC_BLOCK_HAS_PINS = 2,       /* pinned in this collection, or not copied for want of room */
    GC_BLOCK_OVERFLOWED = 4,     /* holds marked objects that were not scanned */
    GC_BLOCK_ALL_REMEMBERED = 8, /* the log had no room for a holder in it */
    GC_BLOCK_OPEN = 16,          /* a run of the collection under way fills it */
    GC_BLOCK_PROTECTED = 32,     /* stress: made inaccessible */
    GC_BLOCK_SWEPT = 64,         /* was swept: its lines say what is occupied */
    GC_BLOCK_DIRTY = 128         /* large: was given with what it held before */
};

struct gc_block {
    uint32_t next;       /* in its generation's list of small blocks or of large objects */
    uint32_t next_hole;  /* in a list of blocks with room */
    uint32_t head;       /* large: the first block */
    uint32_t count;      /* large, first block: how many */
    uint32_t untouched;  /* large, first block: bytes of the last that are not counted */
    uint32_t fresh_end;  /* bytes from the block's start; see T4. Written by atomic stores where
                            a mutator goes on in its run, without the lock */
    uint16_t free_lines; /* at the last sweep; 0 once its holes are being filled */
    uint16_t pins;       /* objects pinned by this collection's ambiguous words */
    uint8_t generation;
    uint8_t kind;
    uint8_t flags;
    uint8_t recorded : 1; /* starts were recorded in it, or lines */
    uint8_t born : 1;     /* in the list of births: what its fresh runs hold was born in gen2 */
    uint64_t taken[GC_BLOCK_LINES / 64]; /* by line; see T4 */
};

struct gc_tables {
    uintptr_t base; /* of the range; a multiple of a chunk */
    size_t bytes;   /* of the range; whole chunks */
    size_t block_count;
    uint8_t *state; /* by block: gc_state(age, action), or 0 */
    uint32_t *live; /* by block: what lived in it at the last trace or copy, see below */
    struct gc_block *blocks;
    uint64_t *starts; /* by granule: a header is here */
    uint64_t *marks;  /* by granule: that object was reached */
    uint8_t *lines;   /* by line: 1 if occupied; large arrays: their cards */
    uint16_t *seals;  /* by two granules (seals.h); NULL unless hardened */
    uint64_t seal_key[2];
    void *reservation;
    size_t reservation_bytes;
};

/* In `live`: granules of live objects, and, this many times, objects that the last trace
 * marked there. */
enum { GC_LIVE_OBJECT = 1 << 16 };

/* Reserves tables for the range, those of a hardened heap if it has a key;
 * false without address space. */
bool gc_tables_create(struct gc_tables *tables, uintptr_t base, size_t bytes,
                      const uint64_t *seal_key);
void gc_tables_destroy(struct gc_tables *tables);

/* Bytes of tables that describe one block. */
size_t gc_tables_bytes_per_block(const struct gc_tables *tables);

/* Commits the tables of one chunk. */
bool gc_tables_commit(struct gc_tables *tables, size_t chunk);

/* Wishes for huge pages where a trace of a large heap looks up what it meets, or for
 * none: what was given back would be filled again. */
void gc_tables_advise_huge(struct gc_tables *tables, size_t chunk, bool wanted);

/* Gives back whole pages of what describes free blocks only; it is zero. */
void gc_tables_decommit(struct gc_tables *tables, uint32_t first, uint32_t count);

/* Makes a block free in them (T1). */
void gc_tables_clear(struct gc_tables *tables, uint32_t block);

/* Clears the lines of a block that is condemned, and notes in `taken` what is needed
 * to parse it still. */
void gc_block_clear_lines(struct gc_tables *tables, uint32_t block);

/* Records the starts of an unparsed block's fresh runs; of those before `end`, if the
 * rest is being filled by another thread. */
void gc_block_parse(struct gc_tables *tables, uint32_t block);
void gc_block_parse_to(struct gc_tables *tables, uint32_t block, uintptr_t end);

/* Records the starts and lines of a block's fresh runs, and tells `visit` of each
 * object in them and its bytes: the block is then as if it had been swept. */
typedef void gc_settled_fn(uintptr_t object, size_t bytes, void *data);
void gc_block_settle(struct gc_tables *tables, uint32_t block, gc_settled_fn *visit, void *data);

/* Records the starts and lines of the objects that stand one after another from
 * `from` to `to`, in one block. */
void gc_run_record(struct gc_tables *tables, uintptr_t from, uintptr_t to);

/* Calls `visit` for the objects that stand so. */
void gc_run_visit(uintptr_t from, uintptr_t to, void (*visit)(uintptr_t object, void *data),
                  void *data);

/* The last object of `block`, as its starts have it, whose header is at
 * `address` or before it, or 0. */
uintptr_t gc_start_before(const struct gc_tables *tables, uint32_t block, uintptr_t address);

/* The large object that `block` is a part of. */
uintptr_t gc_large_object(const struct gc_tables *tables, uint32_t block);

/* The object in which the word's predecessor lies, or 0: so a reference, an
 * interior pointer and one past the end lead to their object. */
uintptr_t gc_object_containing(struct gc_tables *tables, uintptr_t word);

/* The same in a block that another thread fills, or will, from `filled` on. */
uintptr_t gc_object_before(struct gc_tables *tables, uintptr_t word, uintptr_t filled);

/* Whether `word` is a reference to an object, exactly. */
bool gc_is_reference(struct gc_tables *tables, uintptr_t word);

/* Calls `visit` for each object whose bit is set in `bitmap` in this block. */
void gc_block_visit(struct gc_tables *tables, uint32_t block, const uint64_t *bitmap,
                    void (*visit)(uintptr_t object, void *data), void *data);

/* Calls `visit` for each object of a block (not a follower). */
void gc_block_visit_objects(struct gc_tables *tables, uint32_t block,
                            void (*visit)(uintptr_t object, void *data), void *data);

static inline bool gc_in_range(const struct gc_tables *tables, uintptr_t word)
{
    return word - tables->base < tables->bytes;
}

static inline uint32_t gc_block_of(const struct gc_tables *tables, uintptr_t address)
{
    return (uint32_t)((address - tables->base) >> GC_BLOCK_LOG2);
}

static inline uintptr_t gc_block_start(const struct gc_tables *tables, uint32_t block)
{
    return tables->base + ((uintptr_t)block << GC_BLOCK_LOG2);
}

static inline size_t gc_line_of(const struct gc_tables *tables, uintptr_t address)
{
    return (address - tables->base) >> GC_LINE_LOG2;
}

static inline uint8_t *gc_block_lines(const struct gc_tables *tables, uint32_t block)
{
    return tables->lines + (size_t)block * GC_BLOCK_LINES;
}

static inline uint64_t *gc_block_bits(uint64_t *bitmap, uint32_t block)
{
    return bitmap + (size_t)block * GC_BLOCK_WORDS;
}

/* The granule of an object is its header's. */
static inline size_t gc_granule_of(const struct gc_tables *tables, uintptr_t object)
{
    return (object - GC_HEADER_BYTES - tables->base) >> GC_GRANULE_LOG2;
}

static inline bool gc_bit_get(const uint64_t *bitmap, size_t granule)
{
    return (bitmap[granule >> 6] >> (granule & 63)) & 1;
}

static inline void gc_bit_set(uint64_t *bitmap, size_t granule)
{
    bitmap[granule >> 6] |= (uint64_t)1 << (granule & 63);
}

/* A free block's state is 0, as are those of blocks never used. */
static inline uint8_t gc_state(unsigned age, enum gc_action action)
{
    return (uint8_t)((age + 1) << 2 | (unsigned)action);
}

/* A free block counts as older than everything. */
static inline unsigned gc_state_age(unsigned state)
{
    return (state >> 2) - 1;
}

static inline enum gc_action gc_state_action(unsigned state)
{
    return (enum gc_action)(state & 3);
}

/* Mutators may look at a block's state while another opens the block. */
static inline uint8_t gc_state_of(const struct gc_tables *tables, uint32_t block)
{
    return __atomic_load_n(&tables->state[block], __ATOMIC_RELAXED);
}

static inline size_t gc_live_granules(const struct gc_tables *tables, uint32_t block)
{
    return tables->live[block] % GC_LIVE_OBJECT;
}

static inline size_t gc_live_bytes_in(const struct gc_tables *tables, uint32_t block)
{
    return gc_live_granules(tables, block) * GC_GRANULE_BYTES;
}

static inline void gc_state_set(struct gc_tables *tables, uint32_t block, uint8_t state)
{
    __atomic_store_n(&tables->state[block], state, __ATOMIC_RELAXED);
}

/* The age of the object's block: its generation when the collection under way,
 * if there is one, is over. */
static inline unsigned gc_age_of(const struct gc_tables *tables, uintptr_t object)
{
    return gc_state_age(gc_state_of(tables, gc_block_of(tables, object)));
}

static inline void gc_lines_occupy(const struct gc_tables *tables, uintptr_t from, uintptr_t to)
{
    size_t first = gc_line_of(tables, from), last = gc_line_of(tables, to - 1);

    tables->lines[first] = 1;
    while (first < last)
        tables->lines[++first] = 1;
}

#endif
