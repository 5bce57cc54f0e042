/* SPDX-License-Identifier: MIT
 *
 * Callbacks, watches and finalizers that note in which order they ran, and an
 * object that has one of each.
 */
#ifndef STRATA_TEST_QUEUED_H
#define STRATA_TEST_QUEUED_H

#include "support/heap.h"

#include <strata/weak.h>

enum { MOST_RAN = 64 };

struct ran {
    int count;
    int order[MOST_RAN];
    struct world *world;
    gc_finalizer_id later;
    gc_guardian *guardian;
    uint64_t guarded;
};

extern struct ran ran; /* of the test that runs */

/* Setups that forget what ran. */
int queued_setup(void **state);
int queued_moving_setup(void **state);

/* A world of one's own, to be freed in the test. */
struct world *other_world(void);

void note_call(int number);
void check_ran(int count); /* 1, 2, 3 ... count */

/* Each notes its number, which is its data. */
void note_weakref(gc_mutator *mutator, gc_weakref *weakref, void *data);
void note_finalizer(gc_mutator *mutator, void *object, void *data);
void note_watch(gc_mutator *mutator, void *data);

gc_finalizer_id add_finalizer(gc_mutator *mutator, void *object, gc_finalizer_fn *run, int number);
void add_watch(gc_mutator *mutator, void *object, gc_watch_fn *run, int number);

/* One object with a watch (1), a callback (2, its weak reference in root[1]) and
 * a finalizer (3): dead, and all queued, in this order. */
void queue_all(struct world *world, gc_weakref_fn *callback, gc_watch_fn *watcher,
               gc_finalizer_fn *finalizer);

#endif
