/* SPDX-License-Identifier: MIT
 *
 * After the trace: blocks without an occupied line are free, the others belong
 * to their new generation, and their marks become their starts. Eager, for it
 * costs a look at 256 bytes a block: 8 MiB for a heap of 1 GiB.
 */
#include "cycle/phases.h"

#include "memory/forbid.h"
#include "memory/seals.h"

#include <string.h>

enum { LEAST_HOLE_LINES = 4 };

/* Bytes side by side, of 0 or 1, are added eight at a time. */
static unsigned occupied_lines(const struct gc_tables *tables, uint32_t block)
{
    const uint8_t *lines = gc_block_lines(tables, block);
    uint64_t sums = 0, eight;

    for (int i = 0; i < GC_BLOCK_LINES; i += 8) {
        memcpy(&eight, &lines[i], sizeof eight);
        sums += eight;
    }
    return gc_sum_bytes(sums);
}

/* Marks become starts. */
static void adopt_marks(struct gc_tables *tables, uint32_t block)
{
    uint64_t *restrict starts = gc_block_bits(tables->starts, block);
    uint64_t *restrict marks = gc_block_bits(tables->marks, block);

    for (int i = 0; i < GC_BLOCK_WORDS; i++) {
        starts[i] = marks[i];
        marks[i] = 0;
    }
}

/* What survived where it was. */
static void count_in_place(struct gc_collector *collector, unsigned age, size_t objects,
                           size_t bytes)
{
    struct gc_trace_counts *counts = &collector->tracer.counts;

    counts->in_place_bytes += bytes;
    counts->bytes[age] += bytes;
    counts->objects[age] += objects;
}

static void free_large(struct gc_collector *collector, uint32_t block)
{
    uint32_t count = collector->tables.blocks[block].count;

    if (collector->quarantine.keeps)
        gc_quarantine_add(&collector->quarantine, block, count, collector->collections + 1);
    else
        gc_block_give(&collector->blocks, block, count);
}

static void free_block(struct gc_collector *collector, uint32_t block)
{
    if (collector->quarantine.ring != NULL)
        gc_quarantine_add(&collector->quarantine, block, 1, collector->collections + 1);
    else
        gc_block_give(&collector->blocks, block, 1);
}

static void fetch(uintptr_t object, void *data)
{
    (void)data;
    gc_prefetch(gc_header(object));
}

static void unpin(uintptr_t object, void *data)
{
    (void)data;
    *gc_state_byte(object) &= (uint8_t)~GC_STATE_PINNED_ONCE;
}

/* Poisoned objects stay where they are while there is room elsewhere. */
static bool withholds(const struct gc_collector *collector)
{
    return collector->quarantine.keeps &&
           gc_blocks_room(&collector->blocks, GC_FOR_MUTATOR) > collector->blocks.limit_bytes / 2;
}

static void list_holes(struct gc_spaces *spaces, uint32_t block, unsigned age)
{
    struct gc_block *info = &spaces->tables->blocks[block];
    uint32_t *list = NULL;

    if (age == GC_YOUNG)
        list = &spaces->young_holes[info->kind];
    else if (age == GC_OLD)
        list = gc_old_holes(spaces, (enum gc_block_kind)info->kind);
    if (list == NULL || info->free_lines < LEAST_HOLE_LINES)
        return;
    info->next_hole = *list;
    *list = block;
}

/* A block with survivors: it is what its age says from now on. */
static void keep_block(struct gc_collector *collector, uint32_t block, unsigned occupied)
{
    struct gc_tables *tables = &collector->tables;
    struct gc_block *info = &tables->blocks[block];
    unsigned age = gc_state_age(tables->state[block]);
    size_t bytes = gc_live_bytes_in(tables, block);

    if (collector->quarantine.keeps)
        gc_quarantine_poison(&collector->quarantine, block, collector->collections + 1);
    count_in_place(collector, age, tables->live[block] / GC_LIVE_OBJECT, bytes);
    adopt_marks(tables, block);
    if (tables->seals != NULL)
        gc_scrub_gaps(tables, block, !collector->quarantine.keeps);
    if (GC_FORBIDS && !collector->quarantine.keeps)
        gc_forbid_gaps(tables, block);
    if (info->flags & GC_BLOCK_HAS_PINS) {
        gc_block_visit(tables, block, tables->starts, fetch, NULL);
        gc_block_visit(tables, block, tables->starts, unpin, NULL);
    }
    if (age > info->generation)
        collector->tracer.counts.promoted_in_place_bytes += bytes;
    info->flags &= (uint8_t) ~(GC_BLOCK_UNPARSED | GC_BLOCK_HAS_PINS);
    info->flags |= GC_BLOCK_SWEPT;
    info->fresh_end = 0;
    info->free_lines = (uint16_t)(GC_BLOCK_LINES - occupied);
    gc_generation_add(&collector->spaces, block, age);
    if (!withholds(collector))
        list_holes(&collector->spaces, block, age);
}

static void sweep_small(struct gc_collector *collector, uint32_t block)
{
    struct gc_tables *tables = &collector->tables;

    while (block != GC_NO_BLOCK) {
        struct gc_block *info = &tables->blocks[block];
        uint32_t next = info->next;
        bool emptied = gc_state_action(tables->state[block]) == GC_EVACUATE &&
                       !(info->flags & GC_BLOCK_HAS_PINS);
        unsigned occupied = emptied ? 0 : occupied_lines(tables, block);

        if (occupied == 0)
            free_block(collector, block);
        else
            keep_block(collector, block, occupied);
        block = next;
    }
}

static void keep_large(struct gc_collector *collector, uint32_t block, uintptr_t object)
{
    struct gc_tables *tables = &collector->tables;
    unsigned age = gc_state_age(tables->state[block]);
    size_t bytes = gc_extent_bytes(gc_object_type(object), object);
    size_t granule = gc_granule_of(tables, object);

    tables->marks[granule >> 6] &= ~((uint64_t)1 << (granule & 63));
    count_in_place(collector, age, 1, bytes);
    if (age > tables->blocks[block].generation)
        collector->tracer.counts.promoted_in_place_bytes += bytes;
    gc_generation_add(&collector->spaces, block, age);
    collector->spaces.generations[age].large_bytes += bytes;
}

static void sweep_large(struct gc_collector *collector, uint32_t block)
{
    struct gc_tables *tables = &collector->tables;

    while (block != GC_NO_BLOCK) {
        uint32_t next = tables->blocks[block].next;
        uintptr_t object = gc_large_object(tables, block);

        if (gc_bit_get(tables->marks, gc_granule_of(tables, object)))
            keep_large(collector, block, object);
        else
            free_large(collector, block);
        block = next;
    }
}

/* The condemned lists are taken whole; blocks filled by copies, which joined
 * the same lists while the trace ran, are told by their action. */
static uint32_t take_condemned(struct gc_collector *collector, unsigned generation)
{
    struct gc_generation *list = &collector->spaces.generations[generation];
    struct gc_tables *tables = &collector->tables;
    uint32_t block = list->small, condemned = GC_NO_BLOCK;

    list->small = GC_NO_BLOCK;
    list->block_count = 0;
    while (block != GC_NO_BLOCK) {
        uint32_t next = tables->blocks[block].next;

        if (gc_state_action(tables->state[block]) == GC_LEAVE) {
            gc_generation_add(&collector->spaces, block, generation);
        } else {
            tables->blocks[block].next = condemned;
            condemned = block;
        }
        block = next;
    }
    return condemned;
}

/* Lists are detached first: a block that stays young or old returns to the
 * list that it was in. */
void gc_sweep(struct gc_collector *collector)
{
    struct gc_generation *generations = collector->spaces.generations;
    uint32_t small[GC_GENERATIONS], large[GC_GENERATIONS];
    unsigned oldest = collector->tracer.oldest;

    for (unsigned i = 0; i <= oldest; i++) {
        small[i] = take_condemned(collector, i);
        large[i] = generations[i].large;
        generations[i].large = GC_NO_BLOCK;
        generations[i].large_bytes = 0;
        generations[i].bytes = generations[i].objects = 0;
    }
    for (unsigned i = 0; i <= oldest; i++) {
        sweep_small(collector, small[i]);
        sweep_large(collector, large[i]);
    }
    for (unsigned i = 0; i < GC_GENERATIONS; i++) {
        generations[i].bytes += collector->tracer.counts.bytes[i];
        generations[i].objects += collector->tracer.counts.objects[i];
    }
}
