/* SPDX-License-Identifier: MIT
 *
 * A heap: a collector, and when to use it. The API's entry points live in this
 * folder, a file for each subject.
 */
#ifndef STRATA_HEAP_H
#define STRATA_HEAP_H

#include "base/check.h"
#include "cycle/collector.h"

struct gc_heap {
    struct gc_collector collector; /* first: a collector leads to its heap */
    gc_options options;            /* as completed */
    void *data;
    unsigned disabled; /* gc_disable calls not undone */
    bool in_limit_callback;
    bool callback_collected; /* ... and a full collection was tried in it */
    /* Share of time near the limit. */
    uint64_t limit_started_ns; /* when the present run of limit collections began; 0 if none */
    uint64_t limit_collecting_ns;
    unsigned limit_collections;
};

/* What the inspecting floor puts into a heap that asks for it; defined there. */
struct gc_inspection {
    void (*on_phase)(struct gc_collector *collector, enum gc_phase phase);
};
extern const struct gc_inspection gc_inspection;

/* The floor of a heap's entry points: misuse unless the thread may call. */
void gc_check_mutator(const gc_mutator *mutator, const char *function);

/* Misuse unless `object` is a reference to an object of the heap. */
void gc_check_object(gc_heap *heap, const void *object, const char *function);

/* Runs a collection of generations 0 to `generation`, now. */
void gc_heap_collect(gc_heap *heap, unsigned generation, gc_reason reason);

/* Runs a full collection, then one that moves all together. */
void gc_heap_compact(gc_heap *heap, gc_reason reason);

/* Bytes handed out to mutators and since used: not what their runs still hold. */
size_t gc_heap_young_bytes(const gc_heap *heap);

/* Bytes that the heap holds besides blocks and their tables. */
void gc_heap_count_overhead(gc_heap *heap);

static inline gc_heap *gc_heap_of(struct gc_collector *collector)
{
    return (gc_heap *)collector;
}

static inline struct gc_tables *gc_heap_tables(gc_heap *heap)
{
    return &heap->collector.tables;
}

#endif
