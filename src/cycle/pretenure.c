/* SPDX-License-Identifier: MIT
 *
 * Pretenuring: where nearly all of the young last however large the nursery is,
 * what mutators allocate is born in gen2, in its holes first. A collection that
 * comes for the nursery's sake visits nothing then: it makes what was born
 * known, and promotes what else is young. Only full ones find what died, and
 * now and then the nursery is tried again (cycle/pace.c). The term is Jones,
 * Hosking and Moss'; that the decision is the heap's, not an allocation site's,
 * makes it cheap to take back.
 *
 * B1  What is born in gen2 is not armed, and stands as if it were in the log,
 *     till the collection that comes next arms it or puts it there.
 */
#include "cycle/phases.h"

#include "memory/seals.h"

/* ---- What was born ---- */

struct births {
    struct gc_collector *collector;
    size_t objects;
    size_t bytes;
};

static void arm(uintptr_t object, size_t bytes, void *data)
{
    struct births *births = data;

    *gc_log_byte(object) |= GC_LOG_ARMED;
    births->objects++;
    births->bytes += bytes;
}

static void enter_in_log(uintptr_t object, size_t bytes, void *data)
{
    struct births *births = data;

    gc_log_add(&births->collector->remembered, object);
    births->objects++;
    births->bytes += bytes;
}

/* Returns the bytes of what was born in it. */
static size_t adopt_block(struct gc_collector *collector, uint32_t block, gc_settled_fn *visit)
{
    struct gc_generation *old = &collector->spaces.generations[GC_OLD];
    struct births births = {.collector = collector};

    if (collector->tables.seals != NULL)
        gc_seals_check(&collector->tables, block, !collector->quarantine.keeps);
    gc_block_settle(&collector->tables, block, visit, &births);
    collector->tables.live[block] += (uint16_t)(births.bytes >> GC_GRANULE_LOG2);
    old->bytes += births.bytes;
    old->objects += births.objects;
    return births.bytes;
}

void gc_adopt_births(struct gc_collector *collector, bool promotes)
{
    struct gc_spaces *spaces = &collector->spaces;
    size_t born = 0;

    while (spaces->births != GC_NO_BLOCK) {
        struct gc_block *info = &collector->tables.blocks[spaces->births];
        uint32_t block = spaces->births;

        spaces->births = info->next_hole;
        info->next_hole = GC_NO_BLOCK;
        born += adopt_block(collector, block, promotes ? arm : enter_in_log);
    }
    collector->stats.allocated_bytes += born;
    spaces->handed_bytes -= gc_min(born, spaces->handed_bytes);
}

/* ---- The others ---- */

static bool is_frozen(const struct gc_spaces *spaces)
{
    const struct gc_generation *frozen = &spaces->generations[GC_FROZEN];

    return frozen->small != GC_NO_BLOCK || frozen->large != GC_NO_BLOCK;
}

/* Not beside gen0's pinning blocks, which wait for what fills their holes, nor
 * beside what is frozen, which may refer to what is younger. */
bool gc_may_pretenure(const struct gc_collector *collector)
{
    const struct gc_spaces *spaces = &collector->spaces;

    return spaces->generations[GC_YOUNG].small == GC_NO_BLOCK && !is_frozen(spaces);
}

bool gc_shall_promote_all(const struct gc_collector *collector, const struct gc_request *request)
{
    bool is_due = request->reason == GC_REASON_NURSERY || request->reason == GC_REASON_COUNT ||
                  request->reason == GC_REASON_STRESS;

    return collector->spaces.pretenures && is_due && request->generation < GC_OLD &&
           !collector->remembered.lost && gc_may_pretenure(collector);
}

/* gen0's; those of gen1 are armed, or were in the log. */
static void promote_large(struct gc_collector *collector, uint32_t block, struct births *large)
{
    struct gc_tables *tables = &collector->tables;

    while (block != GC_NO_BLOCK) {
        uint32_t next = tables->blocks[block].next;
        uintptr_t object = gc_large_object(tables, block);

        gc_arm(tables, object);
        large->objects++;
        large->bytes += gc_extent_bytes(gc_object_type(object), object);
        gc_generation_add(&collector->spaces, block, GC_OLD);
        block = next;
    }
}

/* All of it counts as having survived. */
static void count_promoted(struct gc_collector *collector, size_t objects, size_t bytes)
{
    struct gc_trace_counts *counts = &collector->tracer.counts;

    *counts = (struct gc_trace_counts){.in_place_bytes = bytes, .promoted_in_place_bytes = bytes};
    counts->bytes[GC_OLD] = bytes;
    counts->objects[GC_OLD] = objects;
}

void gc_promote_all(struct gc_collector *collector)
{
    struct gc_generation *generations = collector->spaces.generations, *old = &generations[GC_OLD];
    struct gc_generation young = generations[GC_YOUNG], middle = generations[GC_MIDDLE];
    struct births large = {.collector = collector};
    size_t objects = old->objects, bytes = old->bytes;

    for (int i = 0; i < GC_OLD; i++)
        generations[i] = (struct gc_generation){.small = GC_NO_BLOCK, .large = GC_NO_BLOCK};
    gc_adopt_births(collector, true);
    gc_remembered_forget(&collector->remembered, &collector->remembered.log);
    gc_remembered_forget(&collector->remembered, &collector->remembered.old);
    gc_generation_add_all(&collector->spaces, middle.small, GC_OLD);
    gc_generation_add_all(&collector->spaces, middle.large, GC_OLD);
    promote_large(collector, young.large, &large);
    old->objects += middle.objects + large.objects;
    old->bytes += middle.bytes + large.bytes;
    old->large_bytes += middle.large_bytes + large.bytes;
    gc_attachments_promote(&collector->pins);
    gc_attachments_promote(&collector->hashes);
    gc_attachments_promote(&collector->charges);
    gc_end_pins_once(collector);
    count_promoted(collector, old->objects - objects, old->bytes - bytes);
}
