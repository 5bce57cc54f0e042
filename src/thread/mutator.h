/* SPDX-License-Identifier: MIT
 *
 * A thread attached to a heap: its run of free room, its frames, its stack and
 * what its write barrier noted.
 *
 * M1  With nothing to watch for, fast.limit is the run's limit; else it is 0, so
 *     that each allocation and each safepoint takes the slow path.
 * M2  fast.bump lies in the open run, or both are 0.
 */
#ifndef STRATA_MUTATOR_H
#define STRATA_MUTATOR_H

#include "space/spaces.h"

enum { GC_MUTATOR_LOG = 512 };

enum {
    GC_WATCH_STRESS = 1,    /* a collection at each allocation */
    GC_WATCH_EXTERNAL = 2,  /* bytes outside grew: a collection at the next */
    GC_WATCH_VISIT = 4,     /* the heap is being visited: an allocation is misuse */
    GC_WATCH_FINALIZERS = 8 /* some are due, and shall run at safepoints */
};

struct gc_mutator {
    gc_mutator_fast fast;
    struct gc_heap *heap;
    struct gc_mutator *next;
    struct gc_run run; /* its bump is fast.bump */
    uintptr_t thread;
    uintptr_t stack_base; /* highest address, exclusive */
    uint8_t watching;     /* GC_WATCH_...; M1 */
    size_t log_count;
    uintptr_t log[GC_MUTATOR_LOG]; /* holders, not yet in the heap's log */
};

/* Opens the mutator's next run, of at least `bytes`; false if there is none. */
bool gc_mutator_refill(struct gc_mutator *mutator, struct gc_spaces *spaces, size_t bytes);

/* Takes the run away: before a collection. */
void gc_mutator_retire_run(struct gc_mutator *mutator, struct gc_spaces *spaces);

/* Leaves the run, on detaching, in `idle`, where the next to attach finds it;
 * it is retired if one is there already. */
void gc_mutator_give_run(struct gc_mutator *mutator, struct gc_spaces *spaces, struct gc_run *idle);
void gc_mutator_take_run(struct gc_mutator *mutator, struct gc_run *idle);

/* Makes every allocation take the slow path, for a reason of GC_WATCH_...; or
 * no longer for that one. */
void gc_mutator_watch(struct gc_mutator *mutator, uint8_t reason);
void gc_mutator_unwatch(struct gc_mutator *mutator, uint8_t reason);

#endif
