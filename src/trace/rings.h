/* SPDX-License-Identifier: MIT
 *
 * Two queues between an edge and the scan of what it leads to.
 *
 * A trace of more than the cache holds waits for memory most of its time, so it
 * keeps many misses under way: edges go untested through a first queue, while
 * the bitmap word of their target is fetched; those found unmarked go through a
 * second, while their header and line are. Both are rings; what leaves a full one
 * has waited its length. With no edge at hand the oldest goes at once: a list has
 * one at a time. (Cher, Hosking and Vitek 2004 put the queue before the mark; the
 * second stage is ours.)
 */
#ifndef STRATA_RINGS_H
#define STRATA_RINGS_H

#include "trace/edge.h"

enum {
    GC_RING = 16,
    GC_SECOND_LINE = 40 /* bytes into an object: most end here or before, often on another line */
};

struct gc_ring {
    uintptr_t entries[GC_RING];
    unsigned first;
    unsigned count;
};

struct gc_rings {
    struct gc_ring edges;
    struct gc_ring marked;
};

/* An edge has waited: tests it; returns an object newly marked, or 0. */
typedef uintptr_t gc_test_edge_fn(struct gc_tracer *tracer, uintptr_t entry);

/* That object has waited: settles and scans it. */
typedef void gc_scan_marked_fn(struct gc_tracer *tracer, uintptr_t object);

static inline bool gc_rings_are_empty(const struct gc_rings *rings)
{
    return rings->edges.count + rings->marked.count == 0;
}

/* There is room. */
GC_ALWAYS_INLINE void gc_ring_put(struct gc_ring *ring, uintptr_t entry)
{
    ring->entries[(ring->first + ring->count++) % GC_RING] = entry;
}

/* It is not empty. */
GC_ALWAYS_INLINE uintptr_t gc_ring_take(struct gc_ring *ring)
{
    uintptr_t entry = ring->entries[ring->first];

    ring->first = (ring->first + 1) % GC_RING;
    ring->count--;
    return entry;
}

GC_ALWAYS_INLINE void gc_prefetch_object(uintptr_t object)
{
    gc_prefetch(gc_header(object));
    gc_prefetch((const void *)(object + GC_SECOND_LINE));
}

/* An edge to what stays has waited: see gc_test_edge_fn. */
GC_ALWAYS_INLINE uintptr_t gc_test_edge(struct gc_tracer *tracer, uintptr_t object)
{
    if (!gc_test_and_mark(tracer, object))
        return 0;
    gc_prefetch_object(object);
    gc_prefetch(&tracer->lines[gc_line_of(tracer->tables, object)]);
    return object;
}

GC_ALWAYS_INLINE void gc_prefetch_edge(const struct gc_tracer *tracer, uintptr_t entry)
{
    size_t granule = (entry - tracer->base) >> GC_GRANULE_LOG2;

    if ((entry & 3) == GC_STACK_EDGE)
        gc_prefetch(&tracer->marks[(granule - 1) >> 6]);
    else
        gc_prefetch((const void *)(gc_load_word((void *)(entry - GC_STACK_SLOT)) - 8));
}

/* One step: an edge, or none (0), goes into the first queue; what has waited
 * there is tested, and if it is new goes through the second. */
GC_ALWAYS_INLINE void gc_rings_pass(struct gc_tracer *tracer, struct gc_rings *rings,
                                    uintptr_t edge, gc_test_edge_fn *test, gc_scan_marked_fn *scan)
{
    uintptr_t object = 0;

    if (edge != 0) {
        gc_prefetch_edge(tracer, edge);
        gc_ring_put(&rings->edges, edge);
        if (rings->edges.count < GC_RING)
            return;
    }
    if (rings->edges.count > 0)
        object = test(tracer, gc_ring_take(&rings->edges));
    if (object != 0) {
        gc_ring_put(&rings->marked, object);
        if (rings->marked.count < GC_RING && rings->edges.count > 0)
            return;
    } else if (rings->edges.count > 0) {
        return;
    }
    if (rings->marked.count > 0)
        scan(tracer, gc_ring_take(&rings->marked));
}

#endif
