/* SPDX-License-Identifier: MIT
 *
 * What stress modes ask of a heap: when to collect, and a place for what the
 * collections leave behind.
 */
#include "heap/heap.h"

enum { QUARANTINE_SHARE = 4, MOST_QUARANTINE = 256 << 20 };

bool gc_stress_create(gc_heap *heap, unsigned stress)
{
    struct gc_collector *collector = &heap->collector;
    bool keeps = (stress & GC_STRESS_QUARANTINE) != 0;
    size_t most = gc_min(collector->range_bytes / QUARANTINE_SHARE, MOST_QUARANTINE);

    collector->spaces.pretenures = (stress & GC_STRESS_PRETENURE) != 0;
    if (!(stress & GC_STRESS_EVACUATE_ALL))
        return true;
    if (!gc_quarantine_create(&collector->quarantine, &collector->blocks, most, keeps))
        return false;
    collector->types.keeps_gone = keeps;
    if (keeps) {
        heap->fault_watcher =
            (struct gc_fault_watcher){.explain = gc_inspection.on_fault, .data = heap};
        gc_fault_watch(&heap->fault_watcher);
    }
    return true;
}

void gc_stress_destroy(gc_heap *heap)
{
    if (heap->fault_watcher.explain != NULL)
        gc_fault_unwatch(&heap->fault_watcher);
    heap->fault_watcher.explain = NULL;
    gc_quarantine_destroy(&heap->collector.quarantine);
}

/* From 1 to twice the mean, less one (Knuth's MMIX generator). */
static size_t draw_distance(uint64_t *chance, size_t mean)
{
    *chance = *chance * 6364136223846793005u + 1442695040888963407u;
    return 1 + (size_t)(*chance >> 33) % (2 * mean - 1);
}

/* Threads that count at once may lose a step. */
bool gc_stress_is_due(gc_heap *heap)
{
    size_t left = __atomic_load_n(&heap->stress_left, __ATOMIC_RELAXED);
    uint64_t chance = __atomic_load_n(&heap->stress_chance, __ATOMIC_RELAXED);
    size_t every = heap->stress_every;

    if (left <= 1 && chance != 0) {
        every = draw_distance(&chance, every);
        __atomic_store_n(&heap->stress_chance, chance, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&heap->stress_left, left <= 1 ? every : left - 1, __ATOMIC_RELAXED);
    return left <= 1;
}
