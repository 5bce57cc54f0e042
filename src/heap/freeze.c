/* SPDX-License-Identifier: MIT
 *
 * Freezing, as the API has it.
 */
#include "heap/heap.h"

static bool freeze_stopped(gc_mutator *mutator, void *flags)
{
    struct gc_heap *heap = mutator->heap;

    if (!gc_cycle_expect_freeze(&heap->collector))
        return false;
    if (*(unsigned *)flags & GC_FREEZE_COMPACT)
        gc_heap_compact(heap, GC_REASON_REQUESTED);
    else
        gc_heap_collect(heap, GC_OLD, GC_REASON_REQUESTED);
    gc_cycle_freeze(&heap->collector);
    gc_heap_count_overhead(heap);
    return true;
}

gc_status gc_freeze(gc_mutator *mutator, unsigned flags)
{
    gc_check_may_collect(mutator, "gc_freeze");
    if (flags > GC_FREEZE_COMPACT)
        gc_misuse("gc_freeze", "there is no such flag");
    if (mutator->heap->options.barriers == GC_BARRIERS_NONE)
        return GC_BUSY;
    return gc_world_stop(mutator, freeze_stopped, &flags) ? GC_OK : GC_NO_MEMORY;
}

static bool unfreeze_stopped(gc_mutator *mutator, void *data)
{
    (void)data;
    gc_cycle_unfreeze(&mutator->heap->collector);
    return true;
}

void gc_unfreeze(gc_mutator *mutator)
{
    gc_check_may_collect(mutator, "gc_unfreeze");
    gc_world_stop(mutator, unfreeze_stopped, NULL);
}

static struct gc_generation frozen(const gc_heap *heap, const char *function)
{
    struct gc_generation generation;

    gc_check_heap(heap, function);
    gc_heap_lock(heap);
    generation = heap->collector.spaces.generations[GC_FROZEN];
    gc_heap_unlock(heap);
    return generation;
}

size_t gc_frozen_objects(const gc_heap *heap)
{
    return frozen(heap, "gc_frozen_objects").objects;
}

size_t gc_frozen_bytes(const gc_heap *heap)
{
    return frozen(heap, "gc_frozen_bytes").bytes;
}
