/* SPDX-License-Identifier: MIT
 *
 * The shadow graph: one interpreter of operations on a heap and, beside it, on
 * a plain model in malloc memory. After each collection the two are walked
 * together from the roots: the same objects, each once, with the same type,
 * length, contents and references; weak references, ephemerons and tables hold
 * what is alive, and nothing that a full collection must have taken; finalizers
 * and callbacks run once each, for what was dead; and after a full collection,
 * with exact stacks, the heap holds no object that the model does not reach.
 *
 * What is done is decided by a stream of choices: a generator's, or the bytes
 * of a string, each of which is a valid program (what is not possible does
 * nothing). So property tests, fuzzing and differential runs share it.
 *
 *     struct shadow_choices choices = {.state = seed};
 *     shadow_start(&config, &choices);
 *     while (shadow_goes_on())
 *         shadow_step();
 *     hash = shadow_finish();
 */
#ifndef STRATA_TEST_SHADOW_H
#define STRATA_TEST_SHADOW_H

#include "support/graph.h"

enum {
    SHADOW_BRIEF = 1,    /* for programs of some dozens of steps: collects often, small arrays */
    SHADOW_MAY_FAIL = 2, /* memory may be refused: a small hard limit */
    SHADOW_FAULTS = 4,   /* the same, and a step arms faults; fault_install before */
    SHADOW_FIXED = 8,    /* what is done depends on the choices alone, not on when collections
                            ran or what they could see */
    SHADOW_LAZY = 16     /* verifies after some collections only, and at the end */
};

struct shadow_config {
    const char *name;
    gc_stacks stacks;
    gc_barriers barriers;
    size_t nursery;    /* bytes; 0: adapts */
    size_t hard_limit; /* bytes; 0: 1 GiB */
    uint8_t tags;
    unsigned traits;      /* SHADOW_... */
    const char *settings; /* may be NULL */
};

/* A stream of choices: the bytes, until none is left; or, if `bytes` is NULL,
 * a sequence without end that `state` (never 0) determines. */
struct shadow_choices {
    const uint8_t *bytes;
    size_t left;
    uint64_t state;
};

/* A number below `bound` (at most 2^32). */
uint64_t shadow_choose(struct shadow_choices *choices, uint64_t bound);

/* What all runs met, so that a test can say that they are not idle. */
struct shadow_tally {
    uint64_t steps;
    uint64_t collections;
    uint64_t cleared_weakrefs;
    uint64_t cleared_ephemerons;
    uint64_t dropped_entries; /* of tables */
    uint64_t finalized;
    uint64_t watched;
    uint64_t called_back;
    uint64_t guarded;
    uint64_t frozen;
    uint64_t types_gone;
    uint64_t refused; /* for want of memory */
};

extern struct shadow_tally shadow_tally;

/* Makes a heap, of which this thread becomes a mutator; one at a time. False if
 * there was no memory for it. `config` and `choices` must stay. */
bool shadow_start(const struct shadow_config *config, struct shadow_choices *choices);

/* Whether there are choices left. */
bool shadow_goes_on(void);

/* One operation; compares heap and model if it collected. */
void shadow_step(void);

/* How many collections ran. */
uint64_t shadow_collections(void);

/* Collects, compares, then drops the roots, runs all that was queued, finds the
 * heap empty if it must be, and destroys it. Returns a hash of the graph that
 * the roots reached: with SHADOW_FIXED it depends on the choices alone. */
uint64_t shadow_finish(void);

#endif
