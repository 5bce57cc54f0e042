/* SPDX-License-Identifier: MIT
 *
 * What a collection does with each block that it condemns: young blocks are
 * evacuated one generation up, unless most of what they hold is expected to
 * live; old ones are marked in place, except the sparse ones, which are worth
 * compacting. The sparsest go first, as many as there is room to copy (the
 * histogram is Immix's).
 */
#include "cycle/phases.h"

#include <string.h>

enum {
    DENSE_PERCENT = 90,                /* expected survival that keeps young blocks in place */
    SPARSE_LINES = GC_BLOCK_LINES / 2, /* free lines that make an old block worth evacuating */
    WASTED_LINES = GC_BLOCK_LINES / 5, /* ... when the old generation is scattered */
    LOOSE_LINES = 6,                   /* ... when everything is to be compacted */
    SCATTERED_PERCENT = 115,           /* its blocks' bytes of those of its objects */
    SPARSE_BYTES = 4 << 20,            /* that are never worth a second collection */
    PINNED_ROOM_LINES = GC_BLOCK_LINES / 4,
    MOST_PASSES = 3,   /* collections of gen1 in a row that promote it unvisited */
    COMPACT_SHARE = 16 /* the part of gen2 that may be copied out of less sparse blocks */
};

static void set_state(struct gc_tables *tables, uint32_t first, uint32_t count, uint8_t state)
{
    memset(&tables->state[first], state, count);
}

/* Lines will be stamped anew. */
static void prepare_block(struct gc_tables *tables, uint32_t block)
{
    struct gc_block *info = &tables->blocks[block];

    gc_block_clear_lines(tables, block);
    info->next_hole = GC_NO_BLOCK;
    info->pins = 0;
    tables->live[block] = 0;
    info->flags &= (uint8_t) ~(GC_BLOCK_HAS_PINS | GC_BLOCK_ALL_REMEMBERED | GC_BLOCK_OVERFLOWED);
}

/* Whether the old generation's blocks hold much that is free. */
static bool is_scattered(const struct gc_collector *collector)
{
    const struct gc_generation *old = &collector->spaces.generations[GC_OLD];
    size_t small_bytes = old->bytes - old->large_bytes;

    return (old->block_count << GC_BLOCK_LOG2) / SCATTERED_PERCENT > small_bytes / 100;
}

/* Lines that the block's objects would leave free if they stood together. */
static unsigned spare_lines(const struct gc_tables *tables, uint32_t block)
{
    return (unsigned)(GC_BLOCK_GRANULES - gc_live_granules(tables, block)) /
           (GC_LINE_BYTES / GC_GRANULE_BYTES);
}

bool gc_is_sparse(const struct gc_collector *collector)
{
    const struct gc_tables *tables = &collector->tables;
    const struct gc_generation *old = &collector->spaces.generations[GC_OLD];
    size_t spare = 0;

    if (collector->stress & GC_STRESS_IN_PLACE)
        return false;
    for (uint32_t block = old->small; block != GC_NO_BLOCK; block = tables->blocks[block].next) {
        unsigned lines = spare_lines(tables, block);

        if (tables->blocks[block].kind == GC_BLOCK_SMALL && lines >= SPARSE_LINES)
            spare += (size_t)lines * GC_LINE_BYTES;
    }
    return spare > (old->bytes - old->large_bytes) / 2 + SPARSE_BYTES;
}

/* Free lines that make an old block worth evacuating. */
static unsigned least_free_lines(const struct gc_collector *collector,
                                 const struct gc_request *request)
{
    if (collector->stress & GC_STRESS_EVACUATE_ALL)
        return 0;
    if (request->compact)
        return LOOSE_LINES;
    if (is_scattered(collector) || request->tidies)
        return WASTED_LINES;
    return SPARSE_LINES;
}

/* How much may be copied: the room there is, so that copying never fails half
 * way, and what was promised of it. */
struct budget {
    size_t room;
    size_t old_room; /* for blocks that are just not sparse enough */
    unsigned sparse; /* spare lines from which old blocks are evacuated */
    unsigned least;  /* ... from which it would be worth it */
};

/* The sparsest old blocks first, as many as there is room to copy. */
static void choose_sparse(struct gc_collector *collector, const struct gc_request *request,
                          struct budget *budget)
{
    const struct gc_tables *tables = &collector->tables;
    size_t bytes[GC_BLOCK_LINES + 1] = {0}, room = budget->room;
    size_t share = collector->spaces.generations[GC_OLD].bytes / COMPACT_SHARE;
    uint32_t block = collector->spaces.generations[GC_OLD].small;
    bool unasked = !request->compact && !(collector->stress & GC_STRESS_EVACUATE_ALL);
    bool shares = unasked && !request->tidies;

    if (unasked)
        room /= 2; /* the young come first */
    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next)
        if (tables->blocks[block].kind == GC_BLOCK_SMALL)
            bytes[spare_lines(tables, block)] += gc_live_bytes_in(tables, block);
    budget->least = least_free_lines(collector, request);
    while (budget->sparse > budget->least && bytes[budget->sparse - 1] <= room) {
        if (shares && budget->sparse == SPARSE_LINES)
            room = gc_min(room, share); /* for what frees less than it copies */
        room -= gc_min(room, bytes[--budget->sparse]);
    }
    collector->was_scarce = budget->sparse > budget->least;
    collector->tracer.compacting = budget->least <= GC_BLOCK_LINES;
    budget->old_room = room;
}

static bool is_expected_dense(const struct gc_collector *collector, unsigned generation)
{
    if (collector->stress & GC_STRESS_EVACUATE_ALL)
        return false;
    if (collector->stress & GC_STRESS_IN_PLACE)
        return true;
    if (generation == GC_MIDDLE && is_scattered(collector))
        return false; /* copies fill the holes */
    return generation < GC_OLD && collector->pace.survival_percent[generation] >= DENSE_PERCENT;
}

static uint8_t state_for_pinning(const struct gc_block *info)
{
    bool has_room = !(info->flags & GC_BLOCK_SWEPT) || info->free_lines >= PINNED_ROOM_LINES;
    bool stays = info->generation == GC_YOUNG && has_room;
    unsigned age = stays ? GC_YOUNG : (unsigned)info->generation + 1;

    return gc_state(age > GC_OLD ? GC_OLD : age, GC_IN_PLACE);
}

/* The second part of a compaction promotes nothing: the first did. */
static unsigned age_after(const struct gc_request *request, unsigned generation)
{
    bool again = request->compact || request->again;

    if (generation == GC_OLD || (again && generation == GC_MIDDLE))
        return generation;
    return generation + 1;
}

static bool shall_evacuate_old(const struct gc_tables *tables, uint32_t block,
                               struct budget *budget)
{
    size_t bytes = gc_live_bytes_in(tables, block);
    unsigned spare = spare_lines(tables, block);

    if (spare >= budget->sparse)
        return true;
    if (spare < budget->least || spare + 1 < budget->sparse || bytes > budget->old_room)
        return false;
    budget->old_room -= bytes;
    return true;
}

/* A young block counts whole. */
static bool shall_evacuate(const struct gc_tables *tables, uint32_t block, unsigned generation,
                           struct budget *budget)
{
    if (generation == GC_OLD)
        return shall_evacuate_old(tables, block, budget);
    if (budget->room < GC_BLOCK_BYTES)
        return false;
    budget->room -= GC_BLOCK_BYTES;
    return true;
}

static void condemn_small(struct gc_collector *collector, const struct gc_request *request,
                          unsigned generation, struct budget *budget)
{
    struct gc_tables *tables = &collector->tables;
    unsigned age = age_after(request, generation);
    bool dense = is_expected_dense(collector, generation);
    uint32_t block = collector->spaces.generations[generation].small;

    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next) {
        struct gc_block *info = &tables->blocks[block];
        bool moves = !dense && shall_evacuate(tables, block, generation, budget);

        if (collector->quarantine.keeps)
            gc_block_parse(tables, block); /* Q2 */
        prepare_block(tables, block);
        if (info->kind != GC_BLOCK_SMALL)
            tables->state[block] = state_for_pinning(info);
        else
            tables->state[block] = gc_state(age, moves ? GC_EVACUATE : GC_IN_PLACE);
    }
}

static void condemn_large(struct gc_collector *collector, const struct gc_request *request,
                          unsigned generation)
{
    struct gc_tables *tables = &collector->tables;
    unsigned age = age_after(request, generation);
    uint32_t block = collector->spaces.generations[generation].large;

    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next) {
        tables->blocks[block].flags &= (uint8_t) ~(GC_BLOCK_ALL_REMEMBERED | GC_BLOCK_OVERFLOWED);
        set_state(tables, block, tables->blocks[block].count, gc_state(age, GC_IN_PLACE_LARGE));
    }
}

/* Where nearly all of gen1 lives, most of its collections would only find that
 * again: it goes up as it is, its dead with it, till the next full one. Not
 * while gen2 has many holes, which copies of gen1 fill. */
static bool shall_pass_middle(const struct gc_collector *collector,
                              const struct gc_request *request)
{
    const struct gc_pace *pace = &collector->pace;

    return request->generation == GC_MIDDLE && request->reason == GC_REASON_COUNT &&
           collector->stress == 0 && pace->survival_percent[GC_MIDDLE] >= DENSE_PERCENT &&
           pace->middle_passes < MOST_PASSES && !is_scattered(collector);
}

/* Promotes gen1 without a visit; all of it counts as having survived. */
static void pass_middle(struct gc_collector *collector)
{
    struct gc_generation *middle = &collector->spaces.generations[GC_MIDDLE], taken = *middle;
    struct gc_trace_counts *counts = &collector->tracer.counts;

    *middle = (struct gc_generation){.small = GC_NO_BLOCK, .large = GC_NO_BLOCK};
    gc_generation_add_all(&collector->spaces, taken.small, GC_OLD);
    gc_generation_add_all(&collector->spaces, taken.large, GC_OLD);
    collector->spaces.generations[GC_OLD].large_bytes += taken.large_bytes;
    counts->in_place_bytes += taken.bytes;
    counts->promoted_in_place_bytes += taken.bytes;
    counts->bytes[GC_OLD] += taken.bytes;
    counts->objects[GC_OLD] += taken.objects;
    collector->passed_middle = true;
}

/* The reserve is for compaction: had copies of the young used it up, there
 * would be nowhere to begin. Each run may leave a block half full. */
static size_t room_for_copies(const struct gc_collector *collector,
                              const struct gc_request *request)
{
    enum gc_taker taker = request->compact ? GC_FOR_COLLECTOR : GC_FOR_MUTATOR;
    size_t room = gc_blocks_room(&collector->blocks, taker);
    size_t runs = request->compact ? GC_BLOCK_BYTES : 4 * GC_BLOCK_BYTES;

    return room > runs ? room - runs : 0;
}

void gc_condemn(struct gc_collector *collector, const struct gc_request *request)
{
    struct budget budget = {.room = room_for_copies(collector, request),
                            .sparse = GC_BLOCK_LINES + 1,
                            .least = GC_BLOCK_LINES + 1};

    for (int kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++)
        collector->spaces.young_holes[kind] = GC_NO_BLOCK;
    if (request->generation == GC_OLD) {
        gc_old_holes_forget(&collector->spaces);
        gc_condemn_births(collector);
    }
    collector->passed_middle = false;
    if (shall_pass_middle(collector, request))
        pass_middle(collector);
    if (request->generation == GC_OLD && !(collector->stress & GC_STRESS_IN_PLACE))
        choose_sparse(collector, request, &budget);
    for (unsigned generation = 0; generation <= request->generation; generation++) {
        condemn_small(collector, request, generation, &budget);
        condemn_large(collector, request, generation);
    }
}
