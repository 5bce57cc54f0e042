/* SPDX-License-Identifier: MIT
 *
 * Stacks that the embedder owns, and a thread's own while it is on one of them.
 *
 * Y1  A coroutine that a mutator is on (`on`) has neither frames nor a top: they
 *     are the mutator's. Of the others both are as they were left; one on which a
 *     thread ended has none.
 */
#ifndef STRATA_COROUTINES_H
#define STRATA_COROUTINES_H

#include "thread/mutator.h"

#include <strata/coroutine.h>

struct gc_coroutine {
    struct gc_coroutine *next; /* of the heap's; under the lock */
    struct gc_coroutine *previous;
    struct gc_mutator *on; /* atomic */
    const struct gc_world *world;
    uintptr_t low;
    uintptr_t base; /* exclusive */
    uint8_t exactness;
    struct gc_left left;
};

/* The mutator leaves its stack for that of the coroutine; NULL: its thread's own. */
void gc_mutator_switch(struct gc_mutator *mutator, struct gc_coroutine *to);

/* Calls `scan` for the words of a stack that was left. */
void gc_left_scan(const struct gc_left *left, uintptr_t base, gc_words_fn *scan, void *data);

/* Whether the frozen stack of the mutator is the one that it should be on. */
bool gc_mutator_is_on_its_stack(const struct gc_mutator *mutator);

#endif
