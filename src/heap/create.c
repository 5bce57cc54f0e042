/* SPDX-License-Identifier: MIT
 *
 * The life of a heap.
 */
#include "heap/heap.h"
#include "heap/options.h"
#include "os/os.h"
#include "trace/ephemerons.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANGE_PER_LIMIT = 2,        /* addresses for holes between large objects */
    STACK_SHARE = 128,          /* of the limit: the mark stack, at most */
    LANE_SHARE = 512,           /* ... and each lane of the remembered sets */
    LEAST_LANE = 1 << 10,       /* words */
    LIMIT_PER_WORKER = 1 << 20, /* bytes */
    FIRST_STACK = 32 << 10,     /* words of the mark stack committed at first, at most */
    MOST_UNASKED = 4,           /* workers, where the options name no number */
    TEAM_ROOM_SHARE = 8,        /* of the limit: room, for them to be had */
    HUGE_FROM_BYTES = 8 << 20   /* heaps this large ask for huge pages */
};

/* What all lanes have committed, or may. */
static size_t lane_words(const struct gc_collector *collector, bool at_most)
{
    const struct gc_remembered *remembered = &collector->remembered;
    const struct gc_lane *lanes[] = {
        &collector->tracer.stack, &remembered->log,    &remembered->log_before,   &remembered->old,
        &remembered->old_before,  &remembered->frozen, &remembered->frozen_before};
    size_t words = 0;

    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++)
        words += at_most ? lanes[i]->capacity : lanes[i]->committed;
    return words + gc_team_words(&collector->team, at_most);
}

static size_t mutator_bytes(const gc_mutator *mutator)
{
    size_t bytes = 0;

    for (; mutator != NULL; mutator = mutator->next)
        bytes += sizeof *mutator;
    return bytes;
}

size_t gc_heap_overhead_bytes(const gc_heap *heap)
{
    const struct gc_collector *collector = &heap->collector;

    return lane_words(collector, false) * sizeof(uintptr_t) + sizeof *heap +
           gc_roots_bytes(&collector->roots) + gc_attachments_bytes(&collector->pins) +
           gc_attachments_bytes(&collector->charges) + gc_set_bytes(&collector->pinned_once) +
           mutator_bytes(collector->world.mutators) + mutator_bytes(heap->detached) +
           gc_heap_coroutine_bytes(heap) + gc_attachments_bytes(&collector->hashes) +
           gc_weakrefs_bytes(&collector->weakrefs) + gc_calls_bytes(&collector->calls) +
           gc_ephemerons_bytes(&collector->tracer.ephemerons) +
           gc_quarantine_bytes(&collector->quarantine) + collector->types.bytes +
           collector->handles.page_count * sizeof(struct gc_handle_page) +
           collector->blocks.chunk_count * sizeof(struct gc_chunk);
}

void gc_heap_count_overhead(gc_heap *heap)
{
    struct gc_collector *collector = &heap->collector;
    size_t lanes = lane_words(collector, false), most = lane_words(collector, true);

    collector->blocks.lane_room_bytes = (most - lanes) * sizeof(uintptr_t);
    collector->blocks.overhead_bytes = gc_heap_overhead_bytes(heap);
}

/* ---- Lanes, in proportion to the limit: how many words ---- */

static size_t stack_words(size_t limit, unsigned stress)
{
    if (stress & GC_STRESS_TINY_STACK)
        return 1;
    return gc_max(limit / sizeof(uintptr_t) / STACK_SHARE, LEAST_LANE);
}

static size_t set_words(size_t limit)
{
    return gc_max(limit / sizeof(uintptr_t) / LANE_SHARE, LEAST_LANE);
}

/* Each worker needs lanes, and parcels for all others: a small heap has room for few. */
static unsigned team_size(unsigned workers, size_t limit)
{
    return (unsigned)gc_max(gc_min(workers, limit / LIMIT_PER_WORKER), 1);
}

static bool create_team(struct gc_team *team, unsigned workers, size_t limit, size_t stack)
{
    unsigned size = team_size(workers, limit);

    return gc_team_create(team, size, stack / size);
}

bool gc_heap_has_team(const gc_heap *heap)
{
    const struct gc_collector *collector = &heap->collector;

    return collector->team.size == team_size(heap->options.workers, collector->blocks.limit_bytes);
}

/* Without memory, or room for it, there is none. */
static void renew_team(gc_heap *heap, size_t limit, size_t stack)
{
    struct gc_collector *collector = &heap->collector;
    bool made;

    gc_team_destroy(&collector->team);
    made = create_team(&collector->team, heap->options.workers, limit, stack);
    gc_heap_count_overhead(heap);
    if (made && gc_blocks_committed(&collector->blocks) <= limit)
        return;
    gc_team_destroy(&collector->team);
    (void)gc_team_create(&collector->team, 1, 0);
    gc_heap_count_overhead(heap);
}

void gc_heap_limit_lanes(gc_heap *heap)
{
    struct gc_collector *collector = &heap->collector;
    size_t limit = collector->blocks.limit_bytes, stack = stack_words(limit, collector->stress);

    gc_lane_limit(&collector->tracer.stack, stack);
    gc_remembered_limit(&collector->remembered, set_words(limit));
    renew_team(heap, limit, stack);
}

/* Near the limit what is left is the program's. A thread that may run on one core decides
 * nothing: helpers may run where who starts them does. */
static unsigned workers_to_give(const gc_heap *heap)
{
    const struct gc_blocks *blocks = &heap->collector.blocks;

    if (!heap->collector.misses_team || heap->options.workers != 0 ||
        gc_blocks_room(blocks, GC_FOR_MUTATOR) < blocks->limit_bytes / TEAM_ROOM_SHARE)
        return 1;
    return (unsigned)gc_min(gc_os_cores(), MOST_UNASKED);
}

void gc_heap_give_team(gc_heap *heap)
{
    struct gc_collector *collector = &heap->collector;
    size_t limit = collector->blocks.limit_bytes;
    unsigned workers = workers_to_give(heap);

    if (workers < 2)
        return;
    heap->options.workers = workers;
    renew_team(heap, limit, stack_words(limit, collector->stress));
    collector->spares_team = true;
    (void)gc_team_start(&collector->team);
}

/* ---- Creation ---- */

static void set_limits(gc_heap *heap)
{
    gc_heap_limit(heap, gc_min(heap->options.hard_limit, heap->collector.range_bytes));
    heap->collector.blocks.huge_from_bytes = HUGE_FROM_BYTES;
    heap->collector.soft_limit = heap->options.soft_limit;
}

static void set_pace(gc_heap *heap)
{
    const gc_options *options = &heap->options;

    heap->collector.pace = (struct gc_pace){.nursery_min = options->nursery_min,
                                            .nursery_max = options->nursery_max,
                                            .threshold1 = options->threshold1,
                                            .threshold2 = options->threshold2,
                                            .growth_percent = options->growth_percent,
                                            .full_only = options->barriers == GC_BARRIERS_NONE};
    gc_pace_start(&heap->collector.pace);
}

/* Reserves a range of so many bytes, its tables, and lanes in proportion. */
static bool reserve_memory(struct gc_collector *collector, const struct gc_settings *settings,
                           size_t bytes)
{
    size_t limit = gc_min(settings->options.hard_limit, bytes);
    size_t stack = stack_words(limit, settings->stress), lane = set_words(limit);
    bool hardens = settings->options.harden == GC_HARDEN_ON;
    uint64_t key[2];

    if (hardens && !gc_os.random(key, sizeof key))
        return false;
    collector->range = gc_os.reserve(bytes, GC_CHUNK_BYTES);
    collector->range_bytes = bytes;
    if (collector->range == NULL ||
        !gc_tables_create(&collector->tables, (uintptr_t)collector->range, bytes,
                          hardens ? key : NULL) ||
        !gc_blocks_create(&collector->blocks, &collector->tables))
        return false;
    gc_spaces_create(&collector->spaces, &collector->tables, &collector->blocks);
    return gc_remembered_create(&collector->remembered, &collector->tables, lane) &&
           gc_tracer_create(&collector->tracer, &collector->spaces, &collector->remembered, stack,
                            gc_min(stack, FIRST_STACK)) &&
           create_team(&collector->team, settings->options.workers, limit, stack);
}

static void release_memory(struct gc_collector *collector)
{
    gc_team_destroy(&collector->team);
    gc_tracer_destroy(&collector->tracer);
    gc_remembered_destroy(&collector->remembered);
    gc_blocks_destroy(&collector->blocks);
    gc_tables_destroy(&collector->tables);
    if (collector->range != NULL)
        gc_os.release(collector->range, collector->range_bytes);
    collector->range = NULL;
}

/* Addresses: a multiple of the limit, halved until the system agrees. */
static bool find_memory(struct gc_collector *collector, const struct gc_settings *settings)
{
    size_t bytes = gc_round_up(settings->options.hard_limit, GC_CHUNK_BYTES) * RANGE_PER_LIMIT;
    size_t most = (size_t)UINT32_MAX << GC_BLOCK_LOG2; /* blocks have 32-bit numbers */

    bytes = gc_max(gc_min(bytes, gc_round_down(most, GC_CHUNK_BYTES)), 8 * GC_CHUNK_BYTES);
    for (; bytes >= 4 * GC_CHUNK_BYTES; bytes = gc_round_down(bytes / 2, GC_CHUNK_BYTES)) {
        if (reserve_memory(collector, settings, bytes))
            return true;
        release_memory(collector);
    }
    return false;
}

static bool create_parts(gc_heap *heap, const struct gc_settings *settings)
{
    struct gc_collector *collector = &heap->collector;

    gc_roots_create(&collector->roots);
    gc_attachments_create(&collector->pins, sizeof(struct gc_pin));
    gc_attachments_create(&collector->charges, sizeof(struct gc_charge));
    gc_attachments_create(&collector->hashes, sizeof(struct gc_hash));
    gc_weakrefs_create(&collector->weakrefs);
    gc_set_create(&collector->pinned_once, sizeof(struct gc_key));
    for (int kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++)
        gc_run_reset(&collector->born_pinned[kind]);
    gc_run_reset(&collector->idle_run);
    return gc_world_create(&collector->world, gc_heap_clean_up) &&
           find_memory(collector, settings) && gc_stress_create(heap, settings->stress);
}

static void destroy_parts(gc_heap *heap)
{
    struct gc_collector *collector = &heap->collector;

    gc_stress_destroy(heap);
    gc_types_destroy(&collector->types);
    gc_handles_destroy(&collector->handles);
    gc_set_destroy(&collector->pinned_once);
    gc_calls_destroy(&collector->calls);
    gc_weakrefs_destroy(&collector->weakrefs);
    gc_attachments_destroy(&collector->hashes);
    gc_attachments_destroy(&collector->charges);
    gc_attachments_destroy(&collector->pins);
    gc_roots_destroy(&collector->roots);
    release_memory(collector);
    gc_world_destroy(&collector->world);
}

static void configure(gc_heap *heap, const struct gc_settings *settings)
{
    struct gc_collector *collector = &heap->collector;

    heap->options = settings->options;
    heap->hash_state = gc_os_now_ns() ^ (uintptr_t)heap;
    collector->stress = settings->stress;
    heap->stress_every = settings->stress_every;
    heap->stress_chance = settings->stress_seed;
    collector->stacks = heap->options.stacks;
    collector->decommit_delay = (uint8_t)heap->options.decommit_delay;
    collector->prefetch_bytes = 2 * gc_os_cache_bytes();
    gc_tracer_set_tags(&collector->tracer, heap->options.reference_tags);
    if (heap->options.check == GC_CHECK_DEEP)
        collector->on_phase = gc_inspection.on_phase;
    set_limits(heap);
    set_pace(heap);
    gc_heap_set_watchdog(heap);
    gc_heap_count_overhead(heap);
}

/* Who set the environment is seldom who asks gc_options_explain. */
static void say_refused(const char *why)
{
    const char *environment = getenv("STRATA_OPTIONS");

    if (environment != NULL && *environment != '\0')
        fprintf(stderr, "strata: gc_heap_create: %s (STRATA_OPTIONS is %.100s)\n", why,
                environment);
}

gc_status gc_heap_create(const gc_options *options, gc_heap **heap)
{
    struct gc_settings settings;
    char why[GC_WHY_BYTES];
    gc_status status = gc_settings_read(options, &settings, why);
    gc_heap *made;

    if (status == GC_BAD_OPTION)
        say_refused(why);
    if (status != GC_OK)
        return status;
    made = gc_os.allocate(sizeof *made);
    if (made == NULL)
        return GC_NO_MEMORY;
    if (!create_parts(made, &settings)) {
        destroy_parts(made);
        gc_os.free(made);
        return GC_NO_MEMORY;
    }
    configure(made, &settings);
    gc_heaps_add(made);
    *heap = made;
    return GC_OK;
}

static void free_mutators(gc_heap *heap)
{
    while (heap->detached != NULL) {
        gc_mutator *mutator = heap->detached;

        heap->detached = mutator->next;
        gc_os.free(mutator);
    }
}

static void check_nobody_attached(const gc_heap *heap)
{
    gc_heap_lock(heap);
    if (heap->collector.world.mutators != NULL)
        gc_misuse("gc_heap_destroy", "a mutator is still attached");
    gc_heap_unlock(heap);
}

void gc_heap_destroy(gc_heap *heap)
{
    gc_check_heap(heap, "gc_heap_destroy");
    check_nobody_attached(heap);
    gc_heap_finalize_all(heap); /* these may fork, and bring threads to the heap */
    check_nobody_attached(heap);
    gc_heap_unfollow(heap);
    free_mutators(heap);
    gc_heap_free_coroutines(heap);
    gc_heaps_remove(heap);
    destroy_parts(heap);
    gc_os.free(heap);
}

/* Callbacks of a collection may call these. */
static void check_given(const gc_heap *heap, const char *function)
{
    if (heap == NULL)
        gc_misuse(function, "the heap is NULL");
}

void gc_heap_set_data(gc_heap *heap, void *data)
{
    check_given(heap, "gc_heap_set_data");
    heap->data = data;
}

void *gc_heap_data(const gc_heap *heap)
{
    check_given(heap, "gc_heap_data");
    return heap->data;
}
