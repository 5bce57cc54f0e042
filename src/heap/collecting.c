/* SPDX-License-Identifier: MIT
 *
 * Collections as the API asks for them, and what paces them.
 */
#include "heap/heap.h"

/* Compactions in a row, and the share of the heap that each must free. */
enum { MOST_MOVES = 12, WORTHWHILE = 64 };

static void run(gc_heap *heap, struct gc_request request)
{
    if (heap->options.barriers == GC_BARRIERS_NONE || (heap->collector.stress & GC_STRESS_FULL))
        request.generation = GC_OLD;
    gc_heap_count_overhead(heap);
    gc_cycle_run(&heap->collector, &request);
    gc_heap_give_team(heap);
    gc_heap_count_overhead(heap);
    gc_blocks_fit(&heap->collector.blocks);
    gc_heap_watch_for_finalizers(heap);
}

void gc_heap_collect(gc_heap *heap, unsigned generation, gc_reason reason)
{
    run(heap, (struct gc_request){.generation = generation, .reason = reason});
}

/* A full collection that is asked for is all that some programs ever give a heap
 * that lost much: what it finds sparse, a second one compacts; not where that did
 * not help the last time, for what is pinned stays. */
static void collect_asked(gc_heap *heap, unsigned generation)
{
    struct gc_collector *collector = &heap->collector;
    bool is_full = generation == GC_OLD || heap->options.barriers == GC_BARRIERS_NONE;
    struct gc_request request = {.generation = is_full ? GC_OLD : generation,
                                 .reason = GC_REASON_REQUESTED,
                                 .tidies = is_full,
                                 .goes_on = is_full};
    size_t before;

    run(heap, request);
    if (!is_full)
        return;
    if (!gc_is_sparse(collector)) {
        heap->is_stuck = false;
    } else if (!heap->is_stuck) {
        request.again = true;
        before = collector->blocks.used_blocks;
        run(heap, request);
        heap->is_stuck = collector->blocks.used_blocks + before / WORTHWHILE >= before;
    }
    gc_cycle_finish(collector);
}

/* The first collection finds out how sparse each block is, the next moves.
 * Where there is little room for copies, each further one makes more of it. */
void gc_heap_compact(gc_heap *heap, gc_reason reason)
{
    struct gc_collector *collector = &heap->collector;
    struct gc_request request = {.generation = GC_OLD, .reason = reason, .goes_on = true};
    size_t before;

    run(heap, request);
    request.compact = true;
    for (int i = 0; i < MOST_MOVES; i++) {
        before = collector->blocks.used_blocks;
        run(heap, request);
        if (!collector->was_scarce || collector->blocks.used_blocks + before / WORTHWHILE >= before)
            break;
    }
    gc_cycle_finish(collector);
}

static void check_report(const gc_report *report, const char *function)
{
    if (report != NULL && report->size != sizeof *report)
        gc_misuse(function, "report->size is not sizeof(gc_report)");
}

struct wish {
    unsigned generation;
    gc_report report;
};

static bool collect_stopped(gc_mutator *mutator, void *data)
{
    struct wish *wish = data;

    collect_asked(mutator->heap, wish->generation);
    wish->report = mutator->heap->collector.last;
    return true;
}

void gc_collect(gc_mutator *mutator, unsigned generation, gc_report *report)
{
    struct wish wish = {.generation = generation > GC_OLD ? GC_OLD : generation};

    gc_check_may_collect(mutator, "gc_collect");
    check_report(report, "gc_collect");
    gc_world_stop(mutator, collect_stopped, &wish);
    if (report != NULL)
        *report = wish.report;
}

static bool compact_stopped(gc_mutator *mutator, void *data)
{
    struct wish *wish = data;

    gc_heap_compact(mutator->heap, GC_REASON_REQUESTED);
    gc_blocks_trim(&mutator->heap->collector.blocks, 0);
    wish->report = mutator->heap->collector.last;
    return true;
}

void gc_compact(gc_mutator *mutator, gc_report *report)
{
    struct wish wish = {.generation = GC_OLD};

    gc_check_may_collect(mutator, "gc_compact");
    check_report(report, "gc_compact");
    gc_world_stop(mutator, compact_stopped, &wish);
    if (report != NULL)
        *report = wish.report;
}

size_t gc_trim(gc_mutator *mutator)
{
    struct gc_blocks *blocks;
    size_t before;

    gc_check_mutator(mutator, "gc_trim");
    blocks = &mutator->heap->collector.blocks;
    gc_heap_lock(mutator->heap);
    before = gc_blocks_committed(blocks);
    gc_blocks_trim(blocks, 0);
    before -= gc_blocks_committed(blocks);
    gc_heap_unlock(mutator->heap);
    return before;
}

void gc_disable(gc_mutator *mutator)
{
    gc_check_mutator(mutator, "gc_disable");
    gc_heap_lock(mutator->heap);
    mutator->heap->disabled++;
    gc_heap_unlock(mutator->heap);
}

void gc_enable(gc_mutator *mutator)
{
    gc_check_mutator(mutator, "gc_enable");
    gc_heap_lock(mutator->heap);
    if (mutator->heap->disabled == 0)
        gc_misuse("gc_enable", "there was no gc_disable");
    mutator->heap->disabled--;
    gc_heap_watch_for_charges(mutator->heap);
    gc_heap_unlock(mutator->heap);
}

bool gc_is_enabled(const gc_heap *heap)
{
    bool enabled;

    gc_check_heap(heap, "gc_is_enabled");
    gc_heap_lock(heap);
    enabled = heap->disabled == 0;
    gc_heap_unlock(heap);
    return enabled;
}

/* ---- Thresholds and forecasts ---- */

static void check_generation(unsigned generation, const char *function)
{
    if (generation >= GC_GENERATIONS)
        gc_misuse(function, "there are generations 0, 1 and 2");
}

size_t gc_threshold(const gc_heap *heap, unsigned generation)
{
    const struct gc_pace *pace;
    size_t value;

    gc_check_heap(heap, "gc_threshold");
    pace = &heap->collector.pace;
    check_generation(generation, "gc_threshold");
    gc_heap_lock(heap);
    if (generation == GC_YOUNG)
        value = pace->nursery;
    else
        value = generation == GC_MIDDLE ? pace->threshold1 : pace->threshold2;
    gc_heap_unlock(heap);
    return value;
}

static void set_threshold(struct gc_pace *pace, unsigned generation, size_t value)
{
    if (generation == GC_YOUNG) {
        pace->nursery_fixed = value;
        pace->nursery = value != 0 ? value : pace->nursery_min;
    } else if (generation == GC_MIDDLE) {
        pace->threshold1 = (uint32_t)value;
    } else {
        pace->threshold2 = (uint32_t)value;
    }
}

gc_status gc_threshold_set(gc_heap *heap, unsigned generation, size_t value)
{
    bool good;

    gc_check_attached(heap, "gc_threshold_set");
    check_generation(generation, "gc_threshold_set");
    gc_heap_lock(heap);
    good = generation == GC_YOUNG ? value <= heap->options.hard_limit
                                  : value != 0 && value <= UINT32_MAX;
    if (good)
        set_threshold(&heap->collector.pace, generation, value);
    gc_heap_unlock(heap);
    return good ? GC_OK : GC_BAD_OPTION;
}

size_t gc_heap_young_bytes(const gc_heap *heap)
{
    const struct gc_collector *collector = &heap->collector;
    const struct gc_run *idle = &collector->idle_run, *pinned = collector->born_pinned;
    size_t bytes = collector->spaces.handed_bytes - gc_run_unused(idle, idle->bump);
    const gc_mutator *mutator = collector->world.mutators;

    for (int kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++)
        bytes -= gc_run_unused(&pinned[kind], pinned[kind].bump);
    for (; mutator != NULL; mutator = mutator->next)
        bytes -= gc_mutator_unused(mutator);
    return bytes;
}

size_t gc_count(const gc_heap *heap, unsigned generation)
{
    const struct gc_pace *pace;
    size_t count;

    gc_check_heap(heap, "gc_count");
    pace = &heap->collector.pace;
    check_generation(generation, "gc_count");
    gc_heap_lock(heap);
    if (generation == GC_YOUNG)
        count = gc_heap_young_bytes(heap);
    else
        count = generation == GC_MIDDLE ? pace->count1 : pace->count2;
    gc_heap_unlock(heap);
    return count;
}

unsigned gc_next_generation(const gc_heap *heap, gc_reason *reason, size_t *bytes_left)
{
    const struct gc_collector *collector;
    unsigned generation;
    size_t used, nursery;
    gc_reason why;

    gc_check_heap(heap, "gc_next_generation");
    collector = &heap->collector;
    gc_heap_lock(heap);
    generation = gc_pace_choose(&collector->pace, gc_middle_bytes(collector),
                                gc_held_bytes(collector), &why);
    used = gc_heap_young_bytes(heap);
    nursery = collector->pace.nursery;
    if (gc_heap_is_charged(heap)) {
        why = GC_REASON_EXTERNAL;
        nursery = 0;
    }
    gc_heap_unlock(heap);
    if (collector->stress & GC_STRESS_FULL)
        generation = GC_OLD;
    if (reason != NULL)
        *reason = why;
    if (bytes_left != NULL)
        *bytes_left = used < nursery ? nursery - used : 0;
    return generation;
}

gc_reason gc_last_reason(const gc_heap *heap)
{
    gc_reason reason;

    gc_check_heap(heap, "gc_last_reason");
    gc_heap_lock(heap);
    reason = heap->collector.last.reason;
    gc_heap_unlock(heap);
    return reason;
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
