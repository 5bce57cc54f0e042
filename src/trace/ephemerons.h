/* SPDX-License-Identifier: MIT
 *
 * Ephemerons, and pairs of which one half is weak: objects of their own, or the
 * entries of weak tables, in pages. A trace that comes to one whose key it has
 * not reached puts it aside and goes on. Then, to a fixpoint: those put aside
 * are indexed by key, and the keys get a bit in their headers. A trace that
 * watches for the bit fires the key's ephemerons when it reaches the key. So
 * each is looked at a fixed number of times, in whatever order chains run. What
 * is left when nothing fires has dead keys.
 *
 * What stands in lanes and lists is a reference to the holder, with the
 * distance to the ephemeron in it, in words, in the upper 16 bits.
 *
 * The index is set aside when ephemerons are made; if there was no memory, its
 * chains are longer. Those put aside stand in lanes, so that what is looked at
 * next can be prefetched; if a lane cannot grow, they are linked instead.
 *
 * F1  link is 0 in an ephemeron that is not put aside; in others it is the next
 *     of those for which the lane had no room, or 1. Those that fired stay in
 *     their lane, their chain saying so, till it is walked.
 * F2  Between phases no object has GC_STATE_KEY set that is the key of none
 *     put aside.
 */
#ifndef STRATA_EPHEMERONS_H
#define STRATA_EPHEMERONS_H

#include "trace/tracer.h"

#include <strata/weak.h>

struct gc_ephemeron {
    uintptr_t key; /* the weak half; 0 when cleared, and so is the value */
    uintptr_t value;
    uintptr_t link;  /* not 0: put aside */
    uintptr_t chain; /* in the index, by key; or of those that fired */
};

/* Entries of a weak table, as many as the object's length says; those whose key
 * is 0 are free. The table counts those that were cleared. */
struct gc_weak_page {
    uintptr_t owner; /* begins with a size_t: how many */
    struct gc_ephemeron entries[];
};

extern const gc_type gc_ephemeron_type;
extern const gc_type gc_weak_key_page_type;   /* of ephemerons */
extern const gc_type gc_weak_value_page_type; /* of pairs: a value does not wait for the key */

static inline bool gc_is_ephemeron_type(const gc_type *type)
{
    return type == &gc_ephemeron_type || type == &gc_weak_key_page_type ||
           type == &gc_weak_value_page_type;
}

/* Without memory for more the index stays as it is. */
void gc_ephemerons_expect(struct gc_ephemerons *ephemerons, size_t more);
bool gc_ephemerons_create(struct gc_ephemerons *ephemerons, size_t heap_bytes);
void gc_ephemerons_destroy(struct gc_ephemerons *ephemerons);
size_t gc_ephemerons_bytes(const struct gc_ephemerons *ephemerons);

/* The trace comes to one, or to a page. */
void gc_ephemeron_scan(struct gc_tracer *tracer, uintptr_t object);

/* After the trace was drained: to the fixpoint. */
void gc_trace_ephemerons(struct gc_tracer *tracer);

/* After it: clears those put aside. */
void gc_clear_ephemerons(struct gc_tracer *tracer);

/* After a collection: how many there are, as far as is known. */
void gc_ephemerons_settle(struct gc_tracer *tracer);

#endif
