/* SPDX-License-Identifier: MIT
 *
 * What finalizers did: one that notes its object, and may revive it.
 */
#ifndef STRATA_TEST_FINALIZED_H
#define STRATA_TEST_FINALIZED_H

#include "support/heap.h"

enum { MOST_FINALIZED = 64 };

extern struct finalized {
    int count;
    int order[MOST_FINALIZED];      /* the finalizers' data, numbers */
    uint64_t value[MOST_FINALIZED]; /* their objects', nodes */
    void **keep;                    /* where to keep the object, if anywhere */
} finalized;

/* exact_setup and moving_setup; nothing was finalized yet. */
int finalized_setup(void **state);
int finalized_setup_moving(void **state);

/* A gc_finalizer_fn. */
void note_finalized(gc_mutator *mutator, void *object, void *data);

/* Runs all that are due; how many. */
size_t run_finalizers(struct world *world);

#endif
