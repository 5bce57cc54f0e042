/* SPDX-License-Identifier: MIT
 *
 * Collections as the API asks for them, what paces them, and limits.
 */
#include "heap/heap.h"

#include <string.h>

static void run(gc_heap *heap, struct gc_request request)
{
    if (heap->options.barriers == GC_BARRIERS_NONE || (heap->collector.stress & GC_STRESS_FULL))
        request.generation = GC_OLD;
    gc_heap_count_overhead(heap);
    gc_cycle_run(&heap->collector, &request);
}

void gc_heap_collect(gc_heap *heap, unsigned generation, gc_reason reason)
{
    run(heap, (struct gc_request){.generation = generation, .reason = reason});
}

/* The first collection finds out how sparse each block is, the second moves. */
void gc_heap_compact(gc_heap *heap, gc_reason reason)
{
    run(heap, (struct gc_request){.generation = GC_OLD, .reason = reason, .goes_on = true});
    run(heap, (struct gc_request){.generation = GC_OLD, .reason = reason, .compact = true});
}

static void check_report(const gc_report *report, const char *function)
{
    if (report != NULL && report->size != sizeof *report)
        gc_misuse(function, "report->size is not sizeof(gc_report)");
}

void gc_collect(gc_mutator *mutator, unsigned generation, gc_report *report)
{
    gc_check_mutator(mutator, "gc_collect");
    check_report(report, "gc_collect");
    gc_heap_collect(mutator->heap, generation > GC_OLD ? GC_OLD : generation, GC_REASON_REQUESTED);
    if (report != NULL)
        *report = mutator->heap->collector.last;
}

void gc_compact(gc_mutator *mutator, gc_report *report)
{
    gc_check_mutator(mutator, "gc_compact");
    check_report(report, "gc_compact");
    gc_heap_compact(mutator->heap, GC_REASON_REQUESTED);
    gc_trim(mutator);
    if (report != NULL)
        *report = mutator->heap->collector.last;
}

size_t gc_trim(gc_mutator *mutator)
{
    struct gc_blocks *blocks = &mutator->heap->collector.blocks;
    size_t before = gc_blocks_committed(blocks);

    gc_check_mutator(mutator, "gc_trim");
    gc_blocks_trim(blocks, 0, 0);
    return before - gc_blocks_committed(blocks);
}

void gc_disable(gc_mutator *mutator)
{
    gc_check_mutator(mutator, "gc_disable");
    mutator->heap->disabled++;
}

void gc_enable(gc_mutator *mutator)
{
    gc_check_mutator(mutator, "gc_enable");
    if (mutator->heap->disabled == 0)
        gc_misuse("gc_enable", "there was no gc_disable");
    mutator->heap->disabled--;
}

bool gc_is_enabled(const gc_heap *heap)
{
    return heap->disabled == 0;
}

/* ---- Thresholds and forecasts ---- */

static void check_generation(unsigned generation, const char *function)
{
    if (generation >= GC_GENERATIONS)
        gc_misuse(function, "there are generations 0, 1 and 2");
}

size_t gc_threshold(const gc_heap *heap, unsigned generation)
{
    const struct gc_pace *pace = &heap->collector.pace;

    check_generation(generation, "gc_threshold");
    if (generation == GC_YOUNG)
        return pace->nursery;
    return generation == GC_MIDDLE ? pace->threshold1 : pace->threshold2;
}

gc_status gc_threshold_set(gc_heap *heap, unsigned generation, size_t value)
{
    struct gc_pace *pace = &heap->collector.pace;

    check_generation(generation, "gc_threshold_set");
    if (generation == GC_YOUNG) {
        if (value > heap->options.hard_limit)
            return GC_BAD_OPTION;
        pace->nursery_fixed = value;
        pace->nursery = value != 0 ? value : pace->nursery_min;
        return GC_OK;
    }
    if (value == 0 || value > UINT32_MAX)
        return GC_BAD_OPTION;
    if (generation == GC_MIDDLE)
        pace->threshold1 = (uint32_t)value;
    else
        pace->threshold2 = (uint32_t)value;
    return GC_OK;
}

/* Bytes handed out, less what the mutators' runs still hold. */
static size_t young_bytes(const gc_heap *heap)
{
    size_t bytes = heap->collector.spaces.handed_bytes;
    const gc_mutator *mutator = heap->collector.mutators;

    for (; mutator != NULL; mutator = mutator->next)
        if (mutator->run.block != GC_NO_BLOCK)
            bytes -= mutator->run.limit - mutator->fast.bump;
    return bytes;
}

size_t gc_count(const gc_heap *heap, unsigned generation)
{
    check_generation(generation, "gc_count");
    if (generation == GC_YOUNG)
        return young_bytes(heap);
    return generation == GC_MIDDLE ? heap->collector.pace.count1 : heap->collector.pace.count2;
}

unsigned gc_next_generation(const gc_heap *heap, gc_reason *reason, size_t *bytes_left)
{
    const struct gc_collector *collector = &heap->collector;
    gc_reason why;
    unsigned generation = gc_pace_choose(&collector->pace, gc_held_bytes(collector), &why);

    if (collector->stress & GC_STRESS_FULL)
        generation = GC_OLD;
    if (reason != NULL)
        *reason = why;
    if (bytes_left != NULL) {
        size_t used = young_bytes(heap);

        *bytes_left = used < collector->pace.nursery ? collector->pace.nursery - used : 0;
    }
    return generation;
}

gc_reason gc_last_reason(const gc_heap *heap)
{
    return heap->collector.last.reason;
}

const char *gc_reason_name(gc_reason reason)
{
    static const char *const names[] = {"none",  "nursery",  "count",     "growth",
                                        "limit", "external", "requested", "stress"};

    return (unsigned)reason < GC_REASON_COUNT_OF ? names[reason] : "unknown";
}

const char *gc_status_name(gc_status status)
{
    static const char *const names[] = {"ok",       "no memory", "bad option",
                                        "bad size", "not found", "busy"};

    return (unsigned)status <= GC_BUSY ? names[status] : "unknown";
}

/* ---- Limits, and bytes outside ---- */

gc_status gc_limit_set(gc_heap *heap, size_t soft, size_t hard)
{
    struct gc_blocks *blocks = &heap->collector.blocks;

    if (hard != 0) {
        if (hard < gc_blocks_committed(blocks) || hard > heap->collector.range_bytes)
            return GC_BAD_OPTION;
        heap->options.hard_limit = blocks->limit_bytes = hard;
        blocks->reserve_bytes = gc_max(hard / 32, GC_BLOCK_BYTES);
    }
    if (soft != 0)
        heap->options.soft_limit = heap->collector.soft_limit = soft;
    return GC_OK;
}

static gc_status charge_object(gc_mutator *mutator, uintptr_t object, ptrdiff_t change)
{
    struct gc_attachments *charges = &mutator->heap->collector.charges;
    struct gc_charge new_charge = {.key = {object, 0}}, *charge;
    unsigned generation = gc_generation_of(mutator, (void *)object);

    charge = gc_attachment_find(charges, generation, new_charge.key);
    if (charge == NULL)
        charge = gc_attachment_add(charges, generation, &new_charge);
    if (charge == NULL)
        return GC_NO_MEMORY;
    if (change < 0 && (size_t)-change > charge->bytes)
        gc_misuse("gc_external_adjust", "the object was charged less than this");
    charge->bytes += (size_t)change;
    if (charge->bytes == 0)
        gc_attachment_remove(charges, generation, charge);
    return GC_OK;
}

gc_status gc_external_adjust(gc_mutator *mutator, void *object, ptrdiff_t change)
{
    struct gc_collector *collector;
    gc_status status = GC_OK;

    gc_check_mutator(mutator, "gc_external_adjust");
    collector = &mutator->heap->collector;
    if (change < 0 && (size_t)-change > collector->external_bytes)
        gc_misuse("gc_external_adjust", "less is held outside than this");
    if (object != NULL) {
        gc_check_object(mutator->heap, object, "gc_external_adjust");
        status = charge_object(mutator, (uintptr_t)object, change);
    }
    if (status == GC_OK)
        collector->external_bytes += (size_t)change;
    return status;
}

/* ---- Statistics ---- */

/* Holders that mutators noted, but did not yet pass on. */
static size_t unflushed(const gc_heap *heap)
{
    const gc_mutator *mutator = heap->collector.mutators;
    size_t count = 0;

    for (; mutator != NULL; mutator = mutator->next)
        count += mutator->log_count;
    return count;
}

gc_status gc_stats_get(const gc_heap *heap, gc_stats *stats)
{
    const struct gc_collector *collector = &heap->collector;

    if (stats->size != sizeof *stats)
        return GC_BAD_SIZE;
    *stats = collector->stats;
    stats->size = sizeof *stats;
    for (int i = 0; i < GC_GENERATIONS; i++) {
        stats->generations[i].bytes = collector->spaces.generations[i].bytes;
        stats->generations[i].objects = collector->spaces.generations[i].objects;
        stats->large_bytes += collector->spaces.generations[i].large_bytes;
    }
    stats->generations[GC_YOUNG].bytes += young_bytes(heap);
    stats->allocated_bytes += young_bytes(heap);
    stats->live_bytes = gc_live_bytes(collector) + young_bytes(heap);
    stats->committed_bytes = gc_blocks_committed(&collector->blocks);
    stats->metadata_bytes = stats->committed_bytes - collector->blocks.touched_bytes;
    stats->external_bytes = collector->external_bytes;
    stats->nursery_bytes = collector->pace.nursery;
    stats->hard_limit = heap->options.hard_limit;
    stats->soft_limit = heap->options.soft_limit == SIZE_MAX ? 0 : heap->options.soft_limit;
    stats->logged_objects = collector->remembered.logged + unflushed(heap);
    return GC_OK;
}

/* ---- Types made at run time ---- */

gc_type *gc_type_create(gc_mutator *mutator, const gc_type *layout, void *class_object)
{
    struct gc_made_type *made;

    gc_check_mutator(mutator, "gc_type_create");
    if (class_object != NULL)
        gc_check_object(mutator->heap, class_object, "gc_type_create");
    made = gc_made_type_create(&mutator->heap->collector.types, layout, (uintptr_t)class_object);
    return made == NULL ? NULL : &made->type;
}

void *gc_type_class(const gc_type *type)
{
    return (void *)((const struct gc_made_type *)type)->class_object;
}

void gc_type_retire(gc_mutator *mutator, gc_type *type, void (*retired)(void *data), void *data)
{
    struct gc_made_type *made = (struct gc_made_type *)type;

    gc_check_mutator(mutator, "gc_type_retire");
    if (made->is_retired)
        gc_misuse("gc_type_retire", "this type is retired already");
    made->is_retired = 1;
    made->retired = retired;
    made->retired_data = data;
}
