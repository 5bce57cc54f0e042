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
    DENSE_PERCENT = 70,                /* expected survival that keeps young blocks in place */
    SPARSE_LINES = GC_BLOCK_LINES / 2, /* free lines that make an old block worth evacuating */
    WASTED_LINES = GC_BLOCK_LINES / 5, /* ... when the old generation is scattered */
    LOOSE_LINES = 6,                   /* ... when everything is to be compacted */
    SCATTERED_PERCENT = 125,           /* its blocks' bytes of those of its objects */
    PINNED_ROOM_LINES = GC_BLOCK_LINES / 4
};

static void set_state(struct gc_tables *tables, uint32_t first, uint32_t count, uint8_t state)
{
    memset(&tables->state[first], state, count);
}

/* Lines will be stamped anew; a partly fresh block is parsed while they still
 * tell which parts are fresh. */
static void prepare_block(struct gc_tables *tables, uint32_t block)
{
    struct gc_block *info = &tables->blocks[block];

    if (info->flags & GC_BLOCK_SWEPT)
        gc_block_parse(tables, block);
    memset(gc_block_lines(tables, block), 0, GC_BLOCK_LINES);
    info->next_hole = GC_NO_BLOCK;
    info->pins = 0;
    info->flags &= (uint8_t) ~(GC_BLOCK_HAS_PINS | GC_BLOCK_ALL_REMEMBERED | GC_BLOCK_OVERFLOWED);
}

/* Free lines that make an old block worth evacuating. */
static unsigned least_free_lines(const struct gc_collector *collector,
                                 const struct gc_request *request)
{
    const struct gc_generation *old = &collector->spaces.generations[GC_OLD];
    size_t small_bytes = old->bytes - old->large_bytes;

    if (collector->stress & GC_STRESS_EVACUATE_ALL)
        return 0;
    if (request->compact)
        return LOOSE_LINES;
    if ((old->block_count << GC_BLOCK_LOG2) / SCATTERED_PERCENT > small_bytes / 100)
        return WASTED_LINES;
    return SPARSE_LINES;
}

/* ... and how many it must have, given the room for copies; more than a block
 * has if there is none. */
static unsigned sparse_from(const struct gc_collector *collector, const struct gc_request *request)
{
    const struct gc_tables *tables = &collector->tables;
    size_t blocks[GC_BLOCK_LINES + 1] = {0}, needed = 0;
    size_t room = gc_blocks_room(&collector->blocks, GC_FOR_COLLECTOR);
    unsigned least = least_free_lines(collector, request), from = GC_BLOCK_LINES + 1;
    uint32_t block = collector->spaces.generations[GC_OLD].small;

    if (!request->compact && !(collector->stress & GC_STRESS_EVACUATE_ALL))
        room /= 2; /* the young come first */
    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next)
        if (tables->blocks[block].kind == GC_BLOCK_SMALL)
            blocks[tables->blocks[block].free_lines]++;
    while (from > least) {
        needed += blocks[from - 1] * (GC_BLOCK_LINES - (from - 1)) * GC_LINE_BYTES;
        if (needed > room)
            break;
        from--;
    }
    return from;
}

static bool is_expected_dense(const struct gc_collector *collector, unsigned generation)
{
    if (collector->stress & GC_STRESS_EVACUATE_ALL)
        return false;
    if (collector->stress & GC_STRESS_IN_PLACE)
        return true;
    return generation == GC_YOUNG && collector->pace.young_survival_percent >= DENSE_PERCENT;
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
    if (generation == GC_OLD || (request->compact && generation == GC_MIDDLE))
        return generation;
    return generation + 1;
}

static void condemn_small(struct gc_collector *collector, const struct gc_request *request,
                          unsigned generation, unsigned sparse)
{
    struct gc_tables *tables = &collector->tables;
    unsigned age = age_after(request, generation);
    bool dense = is_expected_dense(collector, generation);
    uint32_t block = collector->spaces.generations[generation].small;

    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next) {
        struct gc_block *info = &tables->blocks[block];
        bool stays = generation == GC_OLD ? info->free_lines < sparse : dense;

        prepare_block(tables, block);
        if (info->kind != GC_BLOCK_SMALL)
            tables->state[block] = state_for_pinning(info);
        else
            tables->state[block] = gc_state(age, stays ? GC_IN_PLACE : GC_EVACUATE);
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

void gc_condemn(struct gc_collector *collector, const struct gc_request *request)
{
    unsigned sparse = GC_BLOCK_LINES + 1;

    for (int kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++)
        collector->spaces.young_holes[kind] = GC_NO_BLOCK;
    if (request->generation == GC_OLD) {
        collector->spaces.old_holes = GC_NO_BLOCK;
        if (!(collector->stress & GC_STRESS_IN_PLACE))
            sparse = sparse_from(collector, request);
    }
    for (unsigned generation = 0; generation <= request->generation; generation++) {
        condemn_small(collector, request, generation, sparse);
        condemn_large(collector, request, generation);
    }
}
