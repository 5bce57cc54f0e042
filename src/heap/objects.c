/* SPDX-License-Identifier: MIT
 *
 * Questions about objects, and stores into them.
 */
#include "heap/heap.h"

#include <string.h>

const gc_type *gc_type_of(const void *object)
{
    return gc_object_type((uintptr_t)object);
}

size_t gc_length(const void *object)
{
    const gc_type *type = gc_object_type((uintptr_t)object);

    return type->element_size == 0 ? 0 : gc_object_length((uintptr_t)object);
}

size_t gc_size_of(const void *object)
{
    return gc_payload_bytes(gc_object_type((uintptr_t)object), (uintptr_t)object);
}

unsigned gc_generation_of(gc_mutator *mutator, const void *object)
{
    gc_check_mutator(mutator, "gc_generation_of");
    gc_check_object(mutator->heap, object, "gc_generation_of");
    return gc_heap_generation(mutator->heap, object);
}

bool gc_is_object(gc_mutator *mutator, const void *address)
{
    gc_check_mutator(mutator, "gc_is_object");
    return gc_is_reference(gc_heap_tables(mutator->heap), (uintptr_t)address);
}

void *gc_object_at(gc_mutator *mutator, const void *address)
{
    gc_check_mutator(mutator, "gc_object_at");
    return (void *)gc_object_containing(gc_heap_tables(mutator->heap), (uintptr_t)address);
}

struct visiting {
    gc_visit_fn *visit;
    void *data;
};

static void visit_one(uintptr_t object, void *data)
{
    const struct visiting *visiting = data;

    visiting->visit((void *)object, visiting->data);
}

static void visit_blocks(struct gc_collector *collector, struct visiting *visiting)
{
    size_t blocks = collector->blocks.chunks_high * GC_CHUNK_BLOCKS;

    for (uint32_t block = 0; block < blocks; block++)
        if (collector->tables.state[block] != 0 &&
            collector->tables.blocks[block].kind != GC_BLOCK_FOLLOWER)
            gc_block_visit_objects(&collector->tables, block, visit_one, visiting);
}

/* Meanwhile the mutator is watched, so that each allocation takes the path
 * that finds it to be misuse. */
void gc_heap_visit(gc_mutator *mutator, gc_visit_fn *visit, void *data)
{
    struct visiting visiting = {visit, data};

    gc_check_mutator(mutator, "gc_heap_visit");
    if (visit == NULL)
        gc_misuse("gc_heap_visit", "the callback is NULL");
    if (mutator->heap->visits++ == 0)
        gc_mutator_watch(mutator, GC_WATCH_VISIT);
    visit_blocks(&mutator->heap->collector, &visiting);
    if (--mutator->heap->visits == 0)
        gc_mutator_unwatch(mutator, GC_WATCH_VISIT);
}

/* ---- Stores ---- */

static void check_store(gc_mutator *mutator, const void *object, const void *slot)
{
    const char *function = slot == NULL ? "gc_write_barrier" : "gc_write";

    gc_check_mutator(mutator, function);
    gc_check_object(mutator->heap, object, function);
    if (slot != NULL)
        gc_check_slots(object, slot, 1, function);
}

void gc_write_slow(gc_mutator *mutator, void *object, void *slot)
{
    struct gc_collector *collector = &mutator->heap->collector;

    if (GC_UNLIKELY(gc_is_checking(mutator->heap)))
        check_store(mutator, object, slot);
    if (!gc_barrier_notes(&collector->tables, (uintptr_t)object, slot))
        return;
    mutator->log[mutator->log_count++] = (uintptr_t)object;
    if (mutator->log_count == GC_MUTATOR_LOG)
        gc_flush_logs(collector);
}

void gc_copy(gc_mutator *mutator, void *object, void *to, const void *from, size_t count)
{
    gc_check_mutator(mutator, "gc_copy");
    gc_check_object_quickly(mutator->heap, object, "gc_copy");
    if (gc_is_checking(mutator->heap))
        gc_check_slots(object, to, count, "gc_copy");
    memmove(to, from, count * sizeof(void *));
    gc_write_barrier(mutator, object);
}
