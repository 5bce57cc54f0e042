/* SPDX-License-Identifier: MIT
 *
 * The limits of a heap, and the bytes that a program holds outside of it.
 */
#include "heap/heap.h"
#include "heap/options.h"

enum { RESERVE_SHARE = 32 }; /* of the limit, for the collector alone */

/* Pacing adds to it, and takes shares of it. */
static const size_t MOST_EXTERNAL = SIZE_MAX / 8;

void gc_heap_limit(gc_heap *heap, size_t hard)
{
    struct gc_blocks *blocks = &heap->collector.blocks;

    heap->options.hard_limit = blocks->limit_bytes = hard;
    blocks->reserve_bytes = gc_max(hard / RESERVE_SHARE, GC_BLOCK_BYTES);
}

static bool may_be_hard(gc_heap *heap, size_t hard)
{
    gc_heap_count_overhead(heap);
    return hard >= GC_LEAST_LIMIT && hard >= gc_blocks_committed(&heap->collector.blocks) &&
           hard <= heap->collector.range_bytes;
}

/* A team that was lost for lack of memory comes back, perhaps, with the same limit. */
static void set_hard(gc_heap *heap, size_t hard)
{
    if (hard == heap->options.hard_limit && gc_heap_has_team(heap))
        return;
    gc_heap_limit(heap, hard);
    gc_heap_limit_lanes(heap);
}

gc_status gc_limit_set(gc_heap *heap, size_t soft, size_t hard)
{
    bool good;

    gc_check_attached(heap, "gc_limit_set");
    gc_heap_lock(heap);
    good = hard == 0 || may_be_hard(heap, hard);
    if (good && hard != 0)
        set_hard(heap, hard);
    if (good && soft != 0)
        heap->options.soft_limit = heap->collector.soft_limit = soft;
    gc_heap_unlock(heap);
    return good ? GC_OK : GC_BAD_OPTION;
}

/* How many bytes are taken away; 0 if none are. Not -change: that may not be a
 * number of its type. */
static size_t decrease(ptrdiff_t change)
{
    return change < 0 ? 0 - (size_t)change : 0;
}

static gc_status charge_object(gc_mutator *mutator, uintptr_t object, ptrdiff_t change)
{
    struct gc_attachments *charges = &mutator->heap->collector.charges;
    struct gc_charge new_charge = {.key = {object, 0}}, *charge;
    unsigned generation = gc_heap_generation(mutator->heap, (void *)object);

    charge = gc_attachment_find(charges, generation, new_charge.key);
    if (charge == NULL)
        charge = gc_attachment_add(charges, generation, &new_charge);
    if (charge == NULL)
        return GC_NO_MEMORY;
    if (decrease(change) > charge->bytes)
        gc_misuse("gc_external_adjust", "the object was charged less than this");
    charge->bytes += (size_t)change;
    if (charge->bytes == 0)
        gc_attachment_remove(charges, generation, charge);
    return GC_OK;
}

static void charge_program(struct gc_collector *collector, ptrdiff_t change)
{
    if (decrease(change) > collector->external_at_large)
        gc_misuse("gc_external_adjust", "less is held outside than this");
    collector->external_at_large += (size_t)change;
}

void gc_heap_watch_for_charges(gc_heap *heap)
{
    gc_mutator *mutator = heap->collector.world.mutators;

    if (heap->disabled != 0 || !gc_heap_is_charged(heap))
        return;
    for (; mutator != NULL; mutator = mutator->next)
        gc_mutator_watch(mutator, GC_WATCH_EXTERNAL);
}

/* Charges that grow fast call for a collection at the next safepoint, whichever
 * thread's: the one that charged may be waiting for long, or go. */
static void note_change(gc_mutator *mutator, ptrdiff_t change)
{
    struct gc_collector *collector = &mutator->heap->collector;

    collector->external_bytes += (size_t)change;
    if (change <= 0)
        return;
    collector->external_since += (size_t)change;
    gc_heap_watch_for_charges(mutator->heap);
}

static bool is_too_much(const gc_mutator *mutator, size_t more)
{
    return more > MOST_EXTERNAL - mutator->heap->collector.external_bytes;
}

gc_status gc_heap_charge(gc_mutator *mutator, size_t bytes)
{
    if (is_too_much(mutator, bytes))
        return GC_NO_MEMORY;
    note_change(mutator, (ptrdiff_t)bytes);
    return GC_OK;
}

static gc_status adjust(gc_mutator *mutator, void *object, ptrdiff_t change)
{
    gc_status status = GC_OK;

    if (change > 0 && is_too_much(mutator, (size_t)change))
        return GC_NO_MEMORY;
    if (object != NULL)
        status = charge_object(mutator, (uintptr_t)object, change);
    else
        charge_program(&mutator->heap->collector, change);
    if (status == GC_OK)
        note_change(mutator, change);
    return status;
}

gc_status gc_external_adjust(gc_mutator *mutator, void *object, ptrdiff_t change)
{
    gc_status status;

    gc_check_mutator(mutator, "gc_external_adjust");
    if (object != NULL)
        gc_check_object(mutator->heap, object, "gc_external_adjust");
    gc_heap_lock(mutator->heap);
    status = adjust(mutator, object, change);
    gc_heap_unlock(mutator->heap);
    return status;
}
