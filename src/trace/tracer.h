/* SPDX-License-Identifier: MIT
 *
 * A trace: from roots and remembered holders through every condemned object
 * that they reach, which is marked in place or evacuated.
 *
 * The stack holds words of four kinds, told apart by their low bits:
 *
 *   00  an object marked in place, to be settled (its lines, its block's live
 *       granules) and scanned; it has not been touched yet
 *   01  the address of a slot, an edge, that a team left
 *   10  an array to be scanned on; the word below is the element
 *   11  an object, settled or copied, to be scanned
 *
 * In a heap that fits the cache only the last two occur, and the pinned: each
 * edge is followed when it is seen. In a large one edges wait in a queue, so that
 * what they touch can be prefetched (see drain.c); in a nursery that many old
 * holders refer to, theirs do.
 *
 * E1  An object that was marked or copied is on the stack or about to leave it,
 *     has been scanned, or its block is flagged GC_BLOCK_OVERFLOWED.
 * E2  A scanned holder that refers to a younger age is remembered.
 */
#ifndef STRATA_TRACER_H
#define STRATA_TRACER_H

#include "memory/lane.h"
#include "space/spaces.h"
#include "trace/remembered.h"
#include "trace/ring.h"

enum { GC_STACK_MARKED = 0, GC_STACK_SLOT = 1, GC_STACK_ARRAY = 2, GC_STACK_OBJECT = 3 };

/* Which edges wait in a queue, so that what they touch can be fetched: none,
 * where all is in cache; those that come from old memory; all. */
enum gc_prefetch { GC_PREFETCH_NONE, GC_PREFETCH_SHALLOW, GC_PREFETCH_ALL };

/* What a trace callback's reports lead to; set while one runs. NULL: it may
 * not report that. */
struct gc_visitor {
    void (*slot)(struct gc_tracer *tracer, void *slot);
    uintptr_t (*reference)(struct gc_tracer *tracer, uintptr_t reference);
    void (*word)(struct gc_tracer *tracer, uintptr_t word);
};

struct gc_trace_counts {
    size_t moved_bytes;
    size_t in_place_bytes;        /* the sweep's to count */
    size_t bytes[GC_GENERATIONS]; /* survivors, by the generation they are in now */
    size_t objects[GC_GENERATIONS];
    size_t compacted_bytes; /* moved within their generation */
    size_t promoted_in_place_bytes;
    size_t pinned_objects;
    size_t overflows;
    size_t copy_failures;
};

/* How far the scan of a large array has come, while edges wait. */
struct gc_card_scan {
    uintptr_t array;
    uintptr_t at;
    unsigned youngest; /* age of what was met so far */
};

enum { GC_CARD_SCANS = 8, GC_EPHEMERONS_FEW = 4 };

/* See trace/ephemerons.h. */
struct gc_ephemerons {
    struct gc_lane pending; /* ephemerons whose keys the trace has not reached */
    struct gc_lane pairs;   /* pairs whose weak halves it has not */
    uintptr_t no_room;      /* a list: ephemerons and pairs that their lane had no room for */
    uintptr_t fired;        /* a list */
    uintptr_t *buckets;     /* by key, while watching; `few` at first */
    size_t mask;
    size_t capacity;
    size_t count;   /* there are at most so many */
    size_t scanned; /* in the collection under way */
    bool watching;
    uintptr_t few[GC_EPHEMERONS_FEW];
};

struct gc_tracer {
    /* What an edge needs, together. */
    uintptr_t base;
    size_t granules; /* of the range, if untagged words are references, else 0 */
    const uint8_t *state;
    uint64_t *marks;
    uint8_t *lines;
    uint32_t *live;
    unsigned youngest;   /* age of the youngest that the holder at hand refers to */
    unsigned other_tags; /* bit t, but for 0: words tagged t are references */
    bool compacting;     /* blocks of gen2 are evacuated */
    bool overflowed;     /* some block is flagged */

    enum gc_prefetch prefetch;
    unsigned tags;  /* as other_tags, with bit 0 */
    unsigned reach; /* bytes into an object that are fetched with its header */
    size_t bytes;   /* of the range */
    struct gc_lane stack;
    struct gc_ring edges;                   /* those that wait: 00, an object; 01, a slot */
    struct gc_run to[GC_GENERATIONS];       /* copies, by generation */
    struct gc_run *run_for[GC_GENERATIONS]; /* one of these, by age of the block left */
    struct gc_tables *tables;
    struct gc_spaces *spaces;
    struct gc_remembered *remembered;
    const struct gc_visitor *visitor;
    void *client; /* of a visitor outside collections */

    struct gc_card_scan card_scans[GC_CARD_SCANS]; /* large arrays begun, the last first */
    unsigned card_scan_count;

    struct gc_run medium[GC_GENERATIONS]; /* copies that do not fit a hole */
    bool fill_holes;                      /* of gen2: it is not condemned */
    bool mark_only;                       /* nothing may be copied any more */
    unsigned oldest;                      /* generation condemned */
    struct gc_team *team;                 /* that marks with this thread; NULL: none */
    struct gc_trace_counts counts;
    struct gc_ephemerons ephemerons;
};

/* Reserves a stack of `capacity` words; the `first` are committed at once. */
bool gc_tracer_create(struct gc_tracer *tracer, struct gc_spaces *spaces,
                      struct gc_remembered *remembered, size_t capacity, size_t first);
void gc_tracer_destroy(struct gc_tracer *tracer);

/* Bit t of `tags`: words whose low three bits are t are references. */
void gc_tracer_set_tags(struct gc_tracer *tracer, unsigned tags);

/* Before and after the phases of one collection. */
void gc_tracer_begin(struct gc_tracer *tracer, unsigned oldest, enum gc_prefetch prefetch);
void gc_tracer_end(struct gc_tracer *tracer);

/* Follows an exact slot now: its target is marked or evacuated, and the slot
 * updated. */
void gc_trace_edge(struct gc_tracer *tracer, void *slot);

/* The same for a plain reference, whatever the set of tags; returns where its
 * target is. */
uintptr_t gc_trace_kept(struct gc_tracer *tracer, uintptr_t object);

/* Follows a slot that stays where it is till the trace is over. */
void gc_trace_root(struct gc_tracer *tracer, void *slot);

/* The pin phase, before anything moves. What an ambiguous word outside the
 * heap leads to is pinned and is a root; what one in a holder, alive or not,
 * leads to is only pinned. */
void gc_pin_root(struct gc_tracer *tracer, uintptr_t word);
void gc_pin_target(struct gc_tracer *tracer, uintptr_t word);

/* The trace: an ambiguous word of a live holder, whose target was pinned. */
void gc_trace_ambiguous(struct gc_tracer *tracer, uintptr_t word);

/* Scans a holder that is not condemned, and remembers it anew if need be. */
void gc_trace_holder(struct gc_tracer *tracer, uintptr_t holder);

/* Runs the callback of an object of a traced type, whose reports are followed;
 * words only from a type that is declared ambiguous. */
void gc_trace_object(struct gc_tracer *tracer, uintptr_t object, const gc_type *type);

/* Follows everything on the stack to its end. */
void gc_trace_drain(struct gc_tracer *tracer);

/* Where a condemned object is now, or 0 if the trace did not reach it; others
 * are where they were. */
uintptr_t gc_trace_survivor(const struct gc_tracer *tracer, uintptr_t object);

#endif
