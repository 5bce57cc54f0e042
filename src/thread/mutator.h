/* SPDX-License-Identifier: MIT
 *
 * A thread attached to a heap: its run of free room, its frames, its stack and
 * what its write barrier noted.
 *
 * M1  With watching off, fast.limit is the run's limit; on, it is 0, so that
 *     each allocation takes the slow path.
 * M2  fast.bump lies in the open run, or both are 0.
 */
#ifndef STRATA_MUTATOR_H
#define STRATA_MUTATOR_H

#include "space/spaces.h"

enum { GC_MUTATOR_LOG = 512 };

struct gc_mutator {
    gc_mutator_fast fast;
    struct gc_heap *heap;
    struct gc_mutator *next;
    struct gc_run run; /* its bump is fast.bump */
    uintptr_t thread;
    uintptr_t stack_base; /* highest address, exclusive */
    uint8_t watching;     /* M1 */
    size_t log_count;
    uintptr_t log[GC_MUTATOR_LOG]; /* holders, not yet in the heap's log */
};

/* Opens the mutator's next run, of at least `bytes`; false if there is none. */
bool gc_mutator_refill(struct gc_mutator *mutator, struct gc_spaces *spaces, size_t bytes);

/* Takes the run away: before a collection, and on detaching. */
void gc_mutator_retire_run(struct gc_mutator *mutator, struct gc_spaces *spaces);

/* Says whether every allocation shall take the slow path. */
void gc_mutator_watch(struct gc_mutator *mutator, bool watching);

#endif
