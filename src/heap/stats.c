/* SPDX-License-Identifier: MIT
 *
 * What a heap has done, in figures.
 */
#include "heap/heap.h"

/* Holders that mutators noted, but did not yet pass on. */
static size_t unflushed(const gc_heap *heap)
{
    const gc_mutator *mutator = heap->collector.world.mutators;
    size_t count = 0;

    for (; mutator != NULL; mutator = mutator->next)
        count += __atomic_load_n(&mutator->log_count, __ATOMIC_RELAXED);
    return count;
}

static void fill(const gc_heap *heap, gc_stats *stats)
{
    const struct gc_collector *collector = &heap->collector;

    *stats = collector->stats;
    stats->size = sizeof *stats;
    for (int i = 0; i < GC_GENERATIONS; i++) {
        stats->generations[i].bytes = collector->spaces.generations[i].bytes;
        stats->generations[i].objects = collector->spaces.generations[i].objects;
        stats->large_bytes += collector->spaces.generations[i].large_bytes;
    }
    stats->generations[GC_YOUNG].bytes += gc_heap_young_bytes(heap);
    stats->allocated_bytes += gc_heap_young_bytes(heap);
    stats->live_bytes = gc_live_bytes(collector) + gc_heap_young_bytes(heap) +
                        collector->spaces.generations[GC_FROZEN].bytes;
    stats->large_bytes += collector->spaces.generations[GC_FROZEN].large_bytes;
    stats->committed_bytes = gc_blocks_committed(&collector->blocks) -
                             collector->blocks.overhead_bytes + gc_heap_overhead_bytes(heap);
    stats->metadata_bytes = stats->committed_bytes - collector->blocks.touched_bytes;
    stats->external_bytes = collector->external_bytes;
    stats->nursery_bytes = collector->pace.nursery;
    stats->hard_limit = heap->options.hard_limit;
    stats->soft_limit = heap->options.soft_limit == SIZE_MAX ? 0 : heap->options.soft_limit;
    stats->logged_objects = collector->remembered.logged + unflushed(heap);
    stats->stops = collector->world.stops;
    stats->stop_total_ns = collector->world.stop_total_ns;
    stats->stop_max_ns = collector->world.stop_max_ns;
    stats->lost_threads = collector->world.lost;
}

gc_status gc_stats_get(const gc_heap *heap, gc_stats *stats)
{
    gc_check_heap(heap, "gc_stats_get");
    if (stats->size != sizeof *stats)
        return GC_BAD_SIZE;
    gc_heap_lock(heap);
    fill(heap, stats);
    gc_heap_unlock(heap);
    return GC_OK;
}
