/* SPDX-License-Identifier: MIT
 *
 * The frozen generation: older than all others, never condemned, its pages and
 * what the side tables say of them never written by a collection. Nothing moves
 * when it is filled or emptied: blocks are relabelled, and what is kept outside
 * of objects is filed anew.
 *
 * Z1  A frozen object is armed unless the log holds it, and its block is parsed.
 * Z2  What is frozen refers to what is frozen, but for holders in a remembered
 *     set (R1).
 */
#include "cycle/phases.h"

static void arm(uintptr_t object, void *data)
{
    (void)data;
    *gc_log_byte(object) = GC_LOG_ARMED;
}

/* A frozen block whose holders could not be noted. */
static void forget_lost(struct gc_collector *collector, uint32_t block)
{
    struct gc_tables *tables = &collector->tables;

    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next)
        if (tables->blocks[block].flags & GC_BLOCK_ALL_REMEMBERED) {
            tables->blocks[block].flags &= (uint8_t)~GC_BLOCK_ALL_REMEMBERED;
            gc_block_visit_objects(tables, block, arm, NULL);
        }
}

static void freeze_small(struct gc_collector *collector, uint32_t block)
{
    struct gc_tables *tables = &collector->tables;

    while (block != GC_NO_BLOCK) {
        struct gc_block *info = &tables->blocks[block];
        uint32_t next = info->next;

        info->flags &= (uint8_t)~GC_BLOCK_ALL_REMEMBERED;
        info->next_hole = GC_NO_BLOCK;
        gc_block_visit_objects(tables, block, arm, NULL);
        gc_generation_add(&collector->spaces, block, GC_FROZEN);
        block = next;
    }
}

static void arm_large(uintptr_t object, void *tables)
{
    gc_arm(tables, object);
}

static void freeze_large(struct gc_collector *collector, uint32_t block)
{
    struct gc_tables *tables = &collector->tables;

    while (block != GC_NO_BLOCK) {
        uint32_t next = tables->blocks[block].next;

        tables->blocks[block].flags &= (uint8_t)~GC_BLOCK_ALL_REMEMBERED;
        gc_block_visit_objects(tables, block, arm_large, tables);
        gc_generation_add(&collector->spaces, block, GC_FROZEN);
        block = next;
    }
}

/* Its figures join the other's; its lists are the caller's. */
static struct gc_generation take_figures(struct gc_generation *from, struct gc_generation *to)
{
    struct gc_generation taken = *from;

    to->bytes += from->bytes;
    to->objects += from->objects;
    to->large_bytes += from->large_bytes;
    *from = (struct gc_generation){.small = GC_NO_BLOCK, .large = GC_NO_BLOCK};
    return taken;
}

/* Growth is counted from here. */
static void pace_anew(struct gc_collector *collector)
{
    struct gc_pace_now now = {.generation = GC_OLD,
                              .live_bytes = gc_live_bytes(collector),
                              .external_bytes = collector->external_bytes,
                              .room_bytes = gc_blocks_room(&collector->blocks, GC_FOR_MUTATOR),
                              .over_soft_limit =
                                  gc_blocks_committed(&collector->blocks) > collector->soft_limit,
                              .allocating = collector->allocating};

    gc_pace_after(&collector->pace, &now);
}

bool gc_cycle_expect_freeze(struct gc_collector *collector)
{
    return gc_remembered_expect_freeze(&collector->remembered) &&
           gc_attachments_expect_freeze(&collector->pins) &&
           gc_attachments_expect_freeze(&collector->hashes) &&
           gc_attachments_expect_freeze(&collector->charges);
}

void gc_cycle_freeze(struct gc_collector *collector)
{
    struct gc_generation *generations = collector->spaces.generations;
    struct gc_remembered *remembered = &collector->remembered;

    gc_remembered_forget(remembered, &remembered->log);
    gc_remembered_forget(remembered, &remembered->old);
    gc_remembered_forget(remembered, &remembered->frozen);
    if (remembered->lost) {
        forget_lost(collector, generations[GC_FROZEN].small);
        forget_lost(collector, generations[GC_FROZEN].large);
        remembered->lost = false;
    }
    for (int i = 0; i < GC_GENERATIONS; i++) {
        struct gc_generation taken = take_figures(&generations[i], &generations[GC_FROZEN]);

        freeze_small(collector, taken.small);
        freeze_large(collector, taken.large);
    }
    for (int kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++)
        collector->spaces.young_holes[kind] = GC_NO_BLOCK;
    gc_old_holes_forget(&collector->spaces);
    gc_attachments_freeze(&collector->pins);
    gc_attachments_freeze(&collector->hashes);
    gc_attachments_freeze(&collector->charges);
    gc_weakrefs_freeze(&collector->weakrefs);
    gc_calls_freeze(&collector->calls);
    gc_handles_freeze(&collector->handles);
    gc_types_freeze(&collector->types);
    gc_blocks_trim(&collector->blocks, 0);
    pace_anew(collector);
}

/* The frozen set's holders are remembered for nothing that gen2's are not. */
static void drop_frozen_set(struct gc_collector *collector)
{
    struct gc_lane *lane = &collector->remembered.frozen;

    for (size_t i = 0; i < lane->count; i++)
        *gc_log_byte(lane->words[i]) &= (uint8_t)~GC_LOG_FROZEN;
    lane->count = 0;
}

void gc_cycle_unfreeze(struct gc_collector *collector)
{
    struct gc_generation *generations = collector->spaces.generations;
    struct gc_generation taken = take_figures(&generations[GC_FROZEN], &generations[GC_OLD]);

    drop_frozen_set(collector);
    gc_generation_add_all(&collector->spaces, taken.small, GC_OLD);
    gc_generation_add_all(&collector->spaces, taken.large, GC_OLD);
    gc_attachments_unfreeze(&collector->pins);
    gc_attachments_unfreeze(&collector->hashes);
    gc_attachments_unfreeze(&collector->charges);
    gc_weakrefs_unfreeze(&collector->weakrefs);
    gc_calls_unfreeze(&collector->calls);
    gc_handles_unfreeze(&collector->handles);
    gc_types_unfreeze(&collector->types);
    pace_anew(collector);
}
