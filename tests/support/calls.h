/* SPDX-License-Identifier: MIT
 *
 * Each function that takes a mutator or a heap, called once: to see who may call
 * it.
 */
#ifndef STRATA_TEST_CALLS_H
#define STRATA_TEST_CALLS_H

#include "support/doomed.h"

enum {
    CALL_INLINE = 1,     /* may collect; looks at the mutator at once, and checks late */
    CALL_COLLECTS = 2,   /* collects */
    CALL_DETACHES = 4,   /* gc_mutator_detach */
    CALL_OTHER = 8,      /* takes a mutator, and does not collect */
    CALL_CHANGES = 16,   /* takes a heap, by an attached thread */
    CALL_ATTACHES = 32,  /* gc_mutator_attach */
    CALL_DESTROYS = 64,  /* gc_heap_destroy */
    CALL_TABLES = 256,   /* functions of tables, which may collect */
    CALL_SWITCHES = 512, /* gc_coroutine_switch */
    CALL_FORKS = 1024,   /* takes a heap, by any thread */
    CALL_UNFORKS = 2048, /* the same, after CALL_FORKS only */
    CALL_ASKS = 4096,    /* takes a heap, by any thread, and waits for no other */
    CALL_POLLS = 128,    /* the same as CALL_INLINE, and checks only when it is watched */
    CALL_MUTATOR = CALL_INLINE | CALL_POLLS | CALL_COLLECTS | CALL_DETACHES | CALL_OTHER |
                   CALL_TABLES | CALL_SWITCHES,
    CALL_HEAP = CALL_CHANGES | CALL_ATTACHES | CALL_DESTROYS | CALL_FORKS | CALL_UNFORKS | CALL_ASKS
};

struct call {
    void (*make)(gc_mutator *mutator);
    const char *function;
    unsigned kind;
};

extern const struct call *call; /* the one that expect_refused is at */
extern gc_heap *heap_to_call;

/* Makes what the calls are about, while the mutator may; `roots` are a world's.
 * Sets heap_to_call. */
void prepare_calls(gc_mutator *mutator, void **roots);

/* Makes all calls of these kinds. */
void make_calls(unsigned kinds, gc_mutator *mutator);

/* Expects, for each call of these kinds, that `act`, which makes it, dies of
 * "strata: FUNCTION: CAUSE". */
void expect_refused(unsigned kinds, void (*act)(void), const char *cause);

#endif
