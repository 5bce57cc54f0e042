/* SPDX-License-Identifier: MIT
 *
 * Two queues between an edge and the scan of what it leads to.
 *
 * A trace of more than the cache holds waits for memory most of its time, so it
 * keeps many misses under way: edges go untested through a first queue, while
 * the bitmap word of their target is fetched; those found unmarked go through a
 * second, while their header and line are. Both are rings; what leaves one has
 * waited a ring's length. (Cher, Hosking and Vitek 2004 put the queue before the
 * mark; the second stage is ours.)
 */
#ifndef STRATA_RINGS_H
#define STRATA_RINGS_H

#include "trace/tracer.h"

enum {
    GC_RING = 16,
    GC_SECOND_LINE = 40 /* bytes into an object: most end here or before, often on another line */
};

struct gc_rings {
    uintptr_t edges[GC_RING];
    uintptr_t marked[GC_RING];
    unsigned edge_at;
    unsigned marked_at;
    unsigned edge_count;
    unsigned marked_count;
};

/* An edge has waited: tests it; returns an object newly marked, or 0. */
typedef uintptr_t gc_test_edge_fn(struct gc_tracer *tracer, uintptr_t entry);

/* That object has waited: settles and scans it. */
typedef void gc_scan_marked_fn(struct gc_tracer *tracer, uintptr_t object);

static inline bool gc_rings_are_empty(const struct gc_rings *rings)
{
    return rings->edge_count + rings->marked_count == 0;
}

/* Puts `in` (or nothing, 0) into a ring; returns what has waited longest. */
GC_ALWAYS_INLINE uintptr_t gc_ring_exchange(uintptr_t *ring, unsigned *at, uintptr_t in)
{
    uintptr_t out = ring[*at];

    ring[*at] = in;
    *at = (*at + 1) % GC_RING;
    return out;
}

GC_ALWAYS_INLINE void gc_prefetch_marked(const struct gc_tracer *tracer, uintptr_t object)
{
    gc_prefetch(gc_header(object));
    gc_prefetch((const void *)(object + GC_SECOND_LINE));
    gc_prefetch(&tracer->lines[gc_line_of(tracer->tables, object)]);
}

GC_ALWAYS_INLINE void gc_prefetch_edge(const struct gc_tracer *tracer, uintptr_t entry)
{
    size_t granule = (entry - tracer->base) >> GC_GRANULE_LOG2;

    if ((entry & 3) == GC_STACK_EDGE)
        gc_prefetch(&tracer->marks[(granule - 1) >> 6]);
    else
        gc_prefetch((const void *)(gc_load_word((void *)(entry - GC_STACK_SLOT)) - 8));
}

/* One step: an edge, or none, goes into the first queue; what has waited there
 * is tested, and if it is new goes through the second. */
GC_ALWAYS_INLINE void gc_rings_pass(struct gc_tracer *tracer, struct gc_rings *rings,
                                    uintptr_t edge, gc_test_edge_fn *test, gc_scan_marked_fn *scan)
{
    uintptr_t due, object = 0;

    if (edge != 0)
        gc_prefetch_edge(tracer, edge);
    due = gc_ring_exchange(rings->edges, &rings->edge_at, edge);
    rings->edge_count += edge != 0;
    if (due != 0) {
        rings->edge_count--;
        object = test(tracer, due);
        rings->marked_count += object != 0;
    }
    if (object == 0 && rings->edge_count != 0)
        return;
    object = gc_ring_exchange(rings->marked, &rings->marked_at, object);
    if (object != 0) {
        rings->marked_count--;
        scan(tracer, object);
    }
}

#endif
