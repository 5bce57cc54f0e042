/* SPDX-License-Identifier: MIT
 *
 * Freezing, as the API has it.
 */
#include "heap/heap.h"

gc_status gc_freeze(gc_mutator *mutator, unsigned flags)
{
    struct gc_collector *collector;

    gc_check_may_collect(mutator, "gc_freeze");
    if (flags > GC_FREEZE_COMPACT)
        gc_misuse("gc_freeze", "there is no such flag");
    collector = &mutator->heap->collector;
    if (mutator->heap->options.barriers == GC_BARRIERS_NONE)
        return GC_BUSY;
    if (!gc_cycle_expect_freeze(collector))
        return GC_NO_MEMORY;
    if (flags & GC_FREEZE_COMPACT)
        gc_heap_compact(mutator->heap, GC_REASON_REQUESTED);
    else
        gc_heap_collect(mutator->heap, GC_OLD, GC_REASON_REQUESTED);
    gc_cycle_freeze(collector);
    gc_heap_count_overhead(mutator->heap);
    return GC_OK;
}

void gc_unfreeze(gc_mutator *mutator)
{
    gc_check_may_collect(mutator, "gc_unfreeze");
    gc_cycle_unfreeze(&mutator->heap->collector);
}

size_t gc_frozen_objects(const gc_heap *heap)
{
    return heap->collector.spaces.generations[GC_FROZEN].objects;
}

size_t gc_frozen_bytes(const gc_heap *heap)
{
    return heap->collector.spaces.generations[GC_FROZEN].bytes;
}
