/* SPDX-License-Identifier: MIT
 *
 * Questions about objects, and stores into them.
 */
#include "heap/heap.h"
#include "os/os.h"

#include <string.h>

/* Which heap it would be of is not known here: anything else is believed. */
static uintptr_t check_given(const void *object, const char *function)
{
    if (object == NULL)
        gc_misuse(function, "the object is NULL");
    return (uintptr_t)object;
}

const gc_type *gc_type_of(const void *object)
{
    return gc_object_type(check_given(object, "gc_type_of"));
}

size_t gc_length(const void *object)
{
    uintptr_t at = check_given(object, "gc_length");

    return gc_object_type(at)->element_size == 0 ? 0 : gc_object_length(at);
}

size_t gc_size_of(const void *object)
{
    uintptr_t at = check_given(object, "gc_size_of");

    return gc_payload_bytes(gc_object_type(at), at);
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
    return address != NULL && (uintptr_t)address % GC_GRANULE_BYTES == 0 &&
           gc_heap_object_at(mutator->heap, (uintptr_t)address) == (uintptr_t)address;
}

void *gc_object_at(gc_mutator *mutator, const void *address)
{
    gc_check_mutator(mutator, "gc_object_at");
    return (void *)gc_heap_object_at(mutator->heap, (uintptr_t)address);
}

static bool fills(const gc_mutator *mutator, const struct gc_tables *tables, uint32_t block)
{
    return block >= mutator->run.block && block < gc_run_end_block(tables, &mutator->run);
}

/* The mutator that fills the block, or NULL. */
static gc_mutator *filler_of(const gc_heap *heap, uint32_t block)
{
    gc_mutator *mutator = heap->collector.world.mutators;

    while (mutator != NULL && !fills(mutator, &heap->collector.tables, block))
        mutator = mutator->next;
    return mutator;
}

uintptr_t gc_heap_object_at(gc_heap *heap, uintptr_t word)
{
    struct gc_tables *tables = gc_heap_tables(heap);
    gc_mutator *filler;
    uintptr_t object;

    if (!gc_in_range(tables, word - 1))
        return 0;
    gc_heap_lock(heap);
    filler = filler_of(heap, gc_block_of(tables, word - 1));
    if (filler != NULL && filler->thread != gc_os_thread()) {
        object = gc_object_before(tables, word, gc_mutator_bump(filler)); /* M3 */
    } else {
        if (filler != NULL)
            gc_mutator_zero_rest(filler);
        object = gc_object_containing(tables, word);
    }
    gc_heap_unlock(heap);
    return object;
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

static bool visit_stopped(gc_mutator *mutator, void *data)
{
    gc_world_zero_rests(mutator->world);
    gc_world_loosen(mutator);
    visit_blocks(&mutator->heap->collector, data);
    gc_world_tighten(mutator);
    return true;
}

/* Meanwhile the mutator is watched, so that each allocation takes the path
 * that finds it to be misuse. A visit within a visit finds all stopped. */
void gc_heap_visit(gc_mutator *mutator, gc_visit_fn *visit, void *data)
{
    struct visiting visiting = {visit, data};

    gc_check_mutator(mutator, "gc_heap_visit");
    if (visit == NULL)
        gc_misuse("gc_heap_visit", "the callback is NULL");
    if (mutator->visits++ != 0) {
        visit_blocks(&mutator->heap->collector, &visiting);
    } else {
        gc_mutator_watch(mutator, GC_WATCH_VISIT);
        gc_world_stop(mutator, visit_stopped, &visiting);
        gc_mutator_unwatch(mutator, GC_WATCH_VISIT);
    }
    mutator->visits--;
}

/* ---- Stores ---- */

enum { STORES_PASSED = 32 };

static void check_store(gc_mutator *mutator, const void *object, const void *slot)
{
    const char *function = slot == NULL ? "gc_write_barrier" : "gc_write";

    gc_check_mutator(mutator, function);
    gc_check_object(mutator->heap, object, function);
    if (slot != NULL)
        gc_check_slots(object, slot, 1, function);
}

GC_NEVER_INLINE static void note_store(gc_mutator *mutator, void *object, const void *slot)
{
    struct gc_collector *collector = &mutator->heap->collector;
    size_t count = mutator->log_count;

    if (!gc_barrier_notes(&collector->tables, (uintptr_t)object, slot))
        return;
    mutator->log[count] = (uintptr_t)object;
    __atomic_store_n(&mutator->log_count, count + 1, __ATOMIC_RELAXED);
    if (count + 1 < GC_MUTATOR_LOG)
        return;
    gc_heap_lock(mutator->heap);
    gc_flush_log(collector, mutator);
    gc_heap_unlock(mutator->heap);
}

/* Whether a store needs no note. One in STORES_PASSED is noted all the same: a
 * holder that is stored into again and again is soon disarmed, so that its stores
 * take the fast path until a collection has scanned it. An array with cards stays
 * armed whatever is noted. */
static inline bool passes(gc_mutator *mutator, const void *object, const void *slot)
{
    const struct gc_tables *tables = &mutator->heap->collector.tables;

    return gc_barrier_passes(tables, (uintptr_t)object, slot) &&
           (GC_LIKELY(++mutator->passed % STORES_PASSED != 0) ||
            gc_has_cards(tables, (uintptr_t)object));
}

GC_NEVER_INLINE static void write_checked(gc_mutator *mutator, void *object, void *slot)
{
    check_store(mutator, object, slot);
    if (!passes(mutator, object, slot))
        note_store(mutator, object, slot);
}

/* An old program stores old into old all day: that way saves no register. */
void gc_write_slow(gc_mutator *mutator, void *object, void *slot)
{
    if (GC_UNLIKELY(gc_is_checking(mutator->heap)))
        write_checked(mutator, object, slot);
    else if (!passes(mutator, object, slot))
        note_store(mutator, object, slot);
}

void gc_copy(gc_mutator *mutator, void *object, void *to, const void *from, size_t count)
{
    gc_check_mutator(mutator, "gc_copy");
    gc_check_object_quickly(mutator->heap, object, "gc_copy");
    if (gc_is_checking(mutator->heap))
        gc_check_slots(object, to, count, "gc_copy");
    if (count == 0) /* of an array that there is not, say: `from` may be NULL */
        return;
    memmove(to, from, count * sizeof(void *));
    gc_write_barrier(mutator, object);
}
