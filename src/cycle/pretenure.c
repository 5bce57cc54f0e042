/* SPDX-License-Identifier: MIT
 *
 * Pretenuring: where nearly all of the young last however large the nursery is,
 * what mutators allocate is born in gen2, in its holes first. A collection that
 * comes for the nursery's sake visits nothing then: it promotes what else is
 * young. Only full ones find what died, and now and then the nursery is tried again
 * (cycle/pace.c). The term is Jones, Hosking and Moss'; that the decision is the
 * heap's, not an allocation site's, makes it cheap to take back.
 *
 * From the first such collection till the next full one the heap is calm: what is
 * young, large objects alone, will be promoted unvisited whatever refers to it, so
 * barriers note nothing (mutators' fast.calm).
 *
 * B1  What was born in gen2 is not armed, and need not be while the heap is calm:
 *     before anything is young again it is visited, and armed, or put in the log. A
 *     full collection, whose trace arms what it scans, visits none of it.
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

static void adopt_block(struct gc_collector *collector, uint32_t block, gc_settled_fn *visit)
{
    struct gc_generation *old = &collector->spaces.generations[GC_OLD];
    struct births births = {.collector = collector};

    if (collector->tables.seals != NULL)
        gc_seals_check(&collector->tables, block, !collector->quarantine.keeps);
    gc_block_settle(&collector->tables, block, visit, &births);
    old->bytes += births.bytes;
    old->objects += births.objects;
}

void gc_count_births(struct gc_collector *collector)
{
    struct gc_spaces *spaces = &collector->spaces;

    collector->stats.allocated_bytes += spaces->born_bytes;
    spaces->handed_bytes -= spaces->born_bytes;
    spaces->generations[GC_OLD].bytes += spaces->born_bytes;
    spaces->births_bytes += spaces->born_bytes;
    spaces->born_bytes = 0;
}

void gc_adopt_births(struct gc_collector *collector, bool promotes)
{
    struct gc_spaces *spaces = &collector->spaces;
    uint32_t block;

    gc_count_births(collector);
    spaces->generations[GC_OLD].bytes -= spaces->births_bytes;
    while ((block = gc_births_take(spaces)) != GC_NO_BLOCK)
        adopt_block(collector, block, promotes ? arm : enter_in_log);
}

void gc_condemn_births(struct gc_collector *collector)
{
    while (gc_births_take(&collector->spaces) != GC_NO_BLOCK)
        ;
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

/* Those that are asked for visit what is young, but where barriers noted nothing. */
bool gc_shall_promote_all(const struct gc_collector *collector, const struct gc_request *request)
{
    bool is_due = request->reason == GC_REASON_NURSERY || request->reason == GC_REASON_COUNT ||
                  request->reason == GC_REASON_STRESS;

    if (collector->calm)
        return request->generation < GC_OLD;
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
    gc_count_births(collector);
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
