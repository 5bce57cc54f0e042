/* SPDX-License-Identifier: MIT
 *
 * All that takes part in a collection of one heap.
 */
#ifndef STRATA_COLLECTOR_H
#define STRATA_COLLECTOR_H

#include "cycle/pace.h"
#include "cycle/quarantine.h"
#include "memory/attachments.h"
#include "space/spaces.h"
#include "thread/coroutine.h"
#include "thread/handshake.h"
#include "trace/handles.h"
#include "trace/remembered.h"
#include "trace/roots.h"
#include "trace/team.h"
#include "trace/tracer.h"
#include "trace/types.h"
#include "trace/weak.h"

/* The boundaries of a collection's phases, in order. */
enum gc_phase {
    GC_PHASE_IDLE = 0,
    GC_PHASE_STOPPED, /* nothing has begun */
    GC_PHASE_CONDEMNED,
    GC_PHASE_PINNED,
    GC_PHASE_MARKED,  /* what exact and ambiguous roots reach; weak ones were not looked at */
    GC_PHASE_TRACED,  /* ... and what finalizers keep; weak ones are cleared */
    GC_PHASE_SETTLED, /* what is kept outside of objects follows them; nothing is freed yet */
    GC_PHASE_SWEPT,   /* the heap is whole again */
    GC_PHASES
};

enum {
    GC_STRESS_COLLECT = 1,      /* a collection at every allocation */
    GC_STRESS_EVACUATE_ALL = 2, /* all that is not pinned moves; old copies become inaccessible */
    GC_STRESS_FULL = 4,         /* every collection is full */
    GC_STRESS_IN_PLACE = 8,     /* nothing is evacuated */
    GC_STRESS_TINY_STACK = 16,  /* the mark stack holds one page */
    GC_STRESS_PREFETCH = 32,    /* every trace prefetches */
    GC_STRESS_QUARANTINE = 64,  /* what was left is kept inaccessible or poisoned, and explained */
    GC_STRESS_PRETENURE = 128   /* what can be is born in gen2 */
};

struct gc_pin {
    struct gc_key key;
    size_t count;
};

struct gc_charge {
    struct gc_key key;
    size_t bytes;
};

struct gc_hash {
    struct gc_key key;
    uint64_t hash;
};

struct gc_request {
    unsigned generation;
    gc_reason reason;
    bool compact; /* evacuate all of gen2 that is not dense */
    bool tidies;  /* compacts as far as one collection can */
    bool again;   /* a second part: nothing new is promoted */
    bool goes_on; /* a part of one that gc_cycle_finish ends */
};

struct gc_collector {
    struct gc_tables tables;
    struct gc_blocks blocks;
    struct gc_spaces spaces;
    struct gc_remembered remembered;
    struct gc_tracer tracer;
    struct gc_team team; /* that marks large heaps together */
    bool misses_team;    /* the last large collection would have had a use for one */
    bool spares_team;    /* it was not asked for: where one thread allocates, one marks */
    struct gc_roots roots;
    struct gc_handles handles;
    struct gc_types types;
    struct gc_attachments pins;
    struct gc_attachments charges;
    struct gc_attachments hashes;
    struct gc_weakrefs weakrefs;
    struct gc_calls calls;
    struct gc_set pinned_once; /* keys: objects */
    struct gc_coroutine *coroutines;
    struct gc_world world; /* the threads, and the lock of all that is here */
    struct gc_run born_pinned[GC_BLOCK_AMBIGUOUS + 1]; /* runs of pinning blocks, by kind */
    struct gc_run idle_run;                            /* left by a mutator that was detached */
    struct gc_pace pace;
    struct gc_quarantine quarantine; /* stress */

    gc_stacks stacks;
    unsigned stress;
    bool has_ambiguous; /* some object whose contents are ambiguous was made */
    uint8_t decommit_delay;
    size_t prefetch_bytes; /* condemned bytes from which a trace prefetches */
    bool goes_on;          /* the collection under way has a further part */
    enum gc_phase phase;
    void *range; /* the heap's reservation */
    size_t range_bytes;
    bool calm;          /* barriers note nothing; see cycle/pretenure.c */
    bool passed_middle; /* the collection under way promotes gen1 unvisited */
    bool was_scarce;    /* the last condemned fewer old blocks than were worth it */
    size_t demand;      /* bytes of objects at the start of full collections, of late */
    uint8_t demand_age; /* full collections that needed less */
    uint64_t collections;
    size_t allocating; /* mutators that had a run when a recent collection began */

    gc_stats stats; /* kept up; what is cheap to derive is filled in on demand */
    gc_report last;
    gc_report earlier_parts;  /* of one that goes on */
    size_t external_bytes;    /* held outside; by objects (charges), finalizers (calls), */
    size_t external_at_large; /* and by the program at large */
    size_t external_since;    /* charged since the last collection */
    size_t soft_limit;

    /* Called at each phase boundary; for checks and tests. */
    void (*on_phase)(struct gc_collector *collector, enum gc_phase phase);
};

/* The collection, whole. Every mutator is stopped already. */
void gc_cycle_run(struct gc_collector *collector, const struct gc_request *request);

/* Whether the old generation's sparse blocks have room for half as much as lives in
 * all of it: those that the next full collection will compact. */
bool gc_is_sparse(const struct gc_collector *collector);

/* Ends a collection whose parts all said that it goes on. */
void gc_cycle_finish(struct gc_collector *collector);

/* Makes room for what gc_cycle_freeze notes; false without memory. */
bool gc_cycle_expect_freeze(struct gc_collector *collector);

/* Right after a full collection, before any mutator goes on: all that the heap
 * holds becomes frozen. */
void gc_cycle_freeze(struct gc_collector *collector);

/* All that is frozen becomes gen2's. Every mutator is stopped. */
void gc_cycle_unfreeze(struct gc_collector *collector);

static inline size_t gc_middle_bytes(const struct gc_collector *collector)
{
    return collector->spaces.generations[GC_MIDDLE].bytes;
}

/* Calls `visit` for the frames of all stacks. */
typedef void gc_frame_fn(gc_frame *frame, void *data);
void gc_visit_frames(const struct gc_collector *collector, gc_frame_fn *visit, void *data);

/* Bytes of gen1 and gen2 and outside, for pacing. */
size_t gc_held_bytes(const struct gc_collector *collector);

/* Bytes of all generations, but for the frozen, that are thought to be live. */
size_t gc_live_bytes(const struct gc_collector *collector);

/* Ends all mutators' runs if some may be gen2's, so that what was born there is counted;
 * for those that look at the heap between collections, every mutator being stopped. */
void gc_close_births(struct gc_collector *collector);

/* Empties a mutator's own log into the heap's. Its thread is stopped, or it is
 * the calling one's, with the lock held. */
void gc_flush_log(struct gc_collector *collector, struct gc_mutator *mutator);

#endif
