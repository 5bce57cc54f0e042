/* SPDX-License-Identifier: MIT
 *
 * Who may call, and with what: each check ends the program with a message that
 * names the function and the cause.
 */
#include "heap/heap.h"
#include "memory/seals.h"
#include "os/os.h"
#include "thread/parking.h"

const char gc_not_from_here[] = "called from a callback that may not call it";
static const char prepared[] = "the heap is prepared for a fork";
static const char no_reference[] = "this is not a reference to an object of the heap";

/* ---- Callers ---- */

void gc_check_heap(const gc_heap *heap, const char *function)
{
    if (heap == NULL)
        gc_misuse(function, "the heap is NULL");
    if (gc_world_is_mine(&heap->collector.world))
        gc_misuse(function, heap->is_prepared ? prepared : gc_not_from_here);
}

void gc_check_attached(const gc_heap *heap, const char *function)
{
    gc_check_heap(heap, function);
    if (gc_is_checking(heap) && gc_world_own(&heap->collector.world) == NULL)
        gc_misuse(function, "this thread is not attached to the heap");
}

void gc_check_mutator(const gc_mutator *mutator, const char *function)
{
    if (mutator == NULL)
        gc_misuse(function, "the mutator is NULL");
    if (mutator->thread != gc_os_thread())
        gc_misuse(function, "this mutator belongs to another thread, or is detached");
    gc_check_heap(mutator->heap, function);
    if (GC_UNLIKELY(gc_mutator_is_parked(mutator)))
        gc_misuse(function, mutator->aside ? gc_not_from_here : "this mutator is parked");
}

void gc_check_may_collect(const gc_mutator *mutator, const char *function)
{
    gc_check_mutator(mutator, function);
    if (mutator->visits != 0)
        gc_misuse(function, gc_not_from_here);
}

void gc_check_may_end(const gc_mutator *mutator, const char *function)
{
    gc_check_may_collect(mutator, function);
    if (mutator->in_limit_callback)
        gc_misuse(function, gc_not_from_here);
}

/* ---- Objects ---- */

void gc_check_object(gc_heap *heap, const void *object, const char *function)
{
    if (object == NULL)
        gc_misuse(function, "the object is NULL");
    if ((uintptr_t)object % GC_GRANULE_BYTES != 0 ||
        gc_heap_object_at(heap, (uintptr_t)object) != (uintptr_t)object)
        gc_misuse(function, no_reference);
}

/* A hardened heap knows at once where its objects are. */
static void check_sealed(const struct gc_tables *tables, uintptr_t address, const char *function)
{
    if (!gc_is_sealed(tables, address))
        gc_misuse(function, no_reference);
    gc_seal_check(tables, address);
}

void gc_check_object_quickly(gc_heap *heap, const void *object, const char *function)
{
    const struct gc_tables *tables = &heap->collector.tables;

    if (object == NULL || gc_is_checking(heap))
        gc_check_object(heap, object, function);
    else if (!gc_has_header(heap, object))
        gc_misuse(function, no_reference);
    else if (tables->seals != NULL)
        check_sealed(tables, (uintptr_t)object, function);
}

void gc_check_slots(const void *object, const void *slots, size_t count, const char *function)
{
    uintptr_t start = (uintptr_t)object, at = (uintptr_t)slots;
    uintptr_t end = start + gc_payload_bytes(gc_object_type(start), start);

    if (at < start || at > end || count > (end - at) / sizeof(void *))
        gc_misuse(function, "the slot does not lie in the object");
}

void gc_check_outside(const gc_heap *heap, const void *slots, size_t count, const char *function)
{
    const struct gc_tables *tables = &heap->collector.tables;
    uintptr_t start = (uintptr_t)slots;

    if (slots == NULL)
        gc_misuse(function, "the slot is NULL");
    if (start % sizeof(void *) != 0)
        gc_misuse(function, "the slot is not aligned to a word");
    if (count > (UINTPTR_MAX - start) / sizeof(void *))
        gc_misuse(function, "the range reaches past the last address");
    if (start < tables->base + tables->bytes && start + count * sizeof(void *) > tables->base)
        gc_misuse(function, "the slot lies in the heap");
}

void gc_check_handle(gc_heap *heap, const gc_handle *handle, const char *function)
{
    if (handle == NULL)
        gc_misuse(function, "the handle is NULL");
    if (!gc_handles_own(&heap->collector.handles, handle))
        gc_misuse(function, "this is not a handle of the heap");
    if (gc_handle_is_free(gc_load_word(handle)))
        gc_misuse(function, "this handle was destroyed already");
}
