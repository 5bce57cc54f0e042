/* SPDX-License-Identifier: MIT
 *
 * The root registry, handles, frames and pins, as the API has them.
 */
#include "heap/heap.h"

static void check_exactness(gc_exactness exactness, const char *function)
{
    if ((unsigned)exactness > GC_AMBIGUOUS)
        gc_misuse(function, "the exactness is not GC_EXACT or GC_AMBIGUOUS");
}

static gc_status add(gc_heap *heap, struct gc_set *set, const struct gc_root *root,
                     const char *function)
{
    gc_status status;

    gc_heap_lock(heap);
    if (gc_set_find(set, root->key) != NULL)
        gc_misuse(function, "this root is registered already");
    status = gc_set_add(set, root) == NULL ? GC_NO_MEMORY : GC_OK;
    gc_heap_unlock(heap);
    return status;
}

static gc_status take_away(gc_heap *heap, struct gc_set *set, uintptr_t first, uintptr_t second)
{
    void *record;

    gc_heap_lock(heap);
    record = gc_set_find(set, (struct gc_key){first, second});
    if (record != NULL)
        gc_set_remove(set, record);
    gc_heap_unlock(heap);
    return record == NULL ? GC_NOT_FOUND : GC_OK;
}

gc_status gc_root_add(gc_heap *heap, void *slot)
{
    struct gc_root root = {.key = {(uintptr_t)slot, 0}};

    gc_check_attached(heap, "gc_root_add");
    gc_check_outside(heap, slot, 1, "gc_root_add");
    return add(heap, &heap->collector.roots.slots, &root, "gc_root_add");
}

gc_status gc_root_remove(gc_heap *heap, void *slot)
{
    gc_check_attached(heap, "gc_root_remove");
    return take_away(heap, &heap->collector.roots.slots, (uintptr_t)slot, 0);
}

gc_status gc_root_range_add(gc_heap *heap, void *start, size_t count, gc_exactness exactness)
{
    struct gc_root root = {
        .key = {(uintptr_t)start, 0}, .count = count, .exactness = (uint8_t)exactness};

    gc_check_attached(heap, "gc_root_range_add");
    gc_check_outside(heap, start, count, "gc_root_range_add");
    check_exactness(exactness, "gc_root_range_add");
    return add(heap, &heap->collector.roots.ranges, &root, "gc_root_range_add");
}

gc_status gc_root_range_remove(gc_heap *heap, void *start)
{
    gc_check_attached(heap, "gc_root_range_remove");
    return take_away(heap, &heap->collector.roots.ranges, (uintptr_t)start, 0);
}

gc_status gc_root_callback_add(gc_heap *heap, gc_root_fn *roots, void *data, gc_exactness exactness)
{
    struct gc_root root = {.key = {(uintptr_t)roots, (uintptr_t)data},
                           .exactness = (uint8_t)exactness};

    gc_check_attached(heap, "gc_root_callback_add");
    if (roots == NULL)
        gc_misuse("gc_root_callback_add", "the callback is NULL");
    check_exactness(exactness, "gc_root_callback_add");
    return add(heap, &heap->collector.roots.callbacks, &root, "gc_root_callback_add");
}

gc_status gc_root_callback_remove(gc_heap *heap, gc_root_fn *roots, void *data)
{
    gc_check_attached(heap, "gc_root_callback_remove");
    return take_away(heap, &heap->collector.roots.callbacks, (uintptr_t)roots, (uintptr_t)data);
}

/* ---- Handles ---- */

static void check_referent(gc_mutator *mutator, const void *object, const char *function)
{
    gc_check_mutator(mutator, function);
    if (object != NULL)
        gc_check_object_quickly(mutator->heap, object, function);
}

static void refer(uintptr_t *slot, const void *object)
{
    *slot = (uintptr_t)object;
    __atomic_store_n(&gc_handle_page_of(slot)->youngest, GC_YOUNG, __ATOMIC_RELAXED);
}

gc_handle *gc_handle_create(gc_mutator *mutator, void *object)
{
    uintptr_t *slot;

    check_referent(mutator, object, "gc_handle_create");
    gc_heap_lock(mutator->heap);
    slot = gc_handles_take(&mutator->heap->collector.handles);
    if (slot != NULL)
        refer(slot, object);
    gc_heap_unlock(mutator->heap);
    return (gc_handle *)slot;
}

void gc_handle_destroy(gc_mutator *mutator, gc_handle *handle)
{
    gc_check_mutator(mutator, "gc_handle_destroy");
    if (handle == NULL)
        return;
    gc_check_handle(mutator->heap, handle, "gc_handle_destroy");
    gc_heap_lock(mutator->heap);
    gc_handles_give(&mutator->heap->collector.handles, (uintptr_t *)handle);
    gc_heap_unlock(mutator->heap);
}

void gc_handle_set(gc_mutator *mutator, gc_handle *handle, void *object)
{
    check_referent(mutator, object, "gc_handle_set");
    gc_check_handle(mutator->heap, handle, "gc_handle_set");
    refer((uintptr_t *)handle, object);
}

/* ---- Frames ---- */

void gc_frame_misnested(gc_mutator *mutator, gc_frame *frame)
{
    (void)mutator;
    (void)frame;
    gc_misuse("gc_frame_pop",
              "this frame is not the one pushed last; was a function left without gc_frame_pop?");
}

/* The frames above `top` lie in stack that is left, and may be overwritten:
 * nothing is read there. So a frame that is not among those below goes unseen,
 * unless there are none. */
void gc_frame_unwind(gc_mutator *mutator, gc_frame *top)
{
    gc_check_mutator(mutator, "gc_frame_unwind");
    if (top != NULL && mutator->fast.frames == NULL)
        gc_misuse("gc_frame_unwind", "this frame is not pushed");
    mutator->fast.frames = top;
}

/* ---- Pins ---- */

static void check_pinned(gc_mutator *mutator, const void *object, const char *function)
{
    gc_check_mutator(mutator, function);
    gc_check_object(mutator->heap, object, function);
}

static gc_status pin(gc_heap *heap, uintptr_t object)
{
    struct gc_pin pin = {.key = {object, 0}, .count = 1}, *known;
    struct gc_attachments *pins = &heap->collector.pins;
    unsigned generation = gc_heap_generation(heap, (void *)object);

    known = gc_attachment_find(pins, generation, pin.key);
    if (known != NULL) {
        known->count++;
        return GC_OK;
    }
    if (gc_attachment_add(pins, generation, &pin) == NULL)
        return GC_NO_MEMORY;
    gc_state_byte_add(object, GC_STATE_PINNED);
    return GC_OK;
}

gc_status gc_pin(gc_mutator *mutator, void *object)
{
    gc_status status;

    check_pinned(mutator, object, "gc_pin");
    gc_heap_lock(mutator->heap);
    status = pin(mutator->heap, (uintptr_t)object);
    gc_heap_unlock(mutator->heap);
    return status;
}

static gc_status unpin(gc_heap *heap, uintptr_t object)
{
    struct gc_key key = {object, 0};
    struct gc_attachments *pins = &heap->collector.pins;
    unsigned generation = gc_heap_generation(heap, (void *)object);
    struct gc_pin *pin = gc_attachment_find(pins, generation, key);

    if (pin == NULL)
        return GC_NOT_FOUND;
    if (--pin->count > 0)
        return GC_OK;
    gc_state_byte_take(object, GC_STATE_PINNED);
    gc_attachment_remove(pins, generation, pin);
    return GC_OK;
}

gc_status gc_unpin(gc_mutator *mutator, void *object)
{
    gc_status status;

    check_pinned(mutator, object, "gc_unpin");
    gc_heap_lock(mutator->heap);
    status = unpin(mutator->heap, (uintptr_t)object);
    gc_heap_unlock(mutator->heap);
    return status;
}

static gc_status pin_once(struct gc_set *set, uintptr_t object)
{
    struct gc_key key = {object, 0};

    if (gc_set_find(set, key) != NULL)
        return GC_OK;
    if (gc_set_add(set, &key) == NULL)
        return GC_NO_MEMORY;
    gc_state_byte_add(object, GC_STATE_PINNED_ONCE);
    return GC_OK;
}

gc_status gc_pin_once(gc_mutator *mutator, void *object)
{
    gc_status status;

    check_pinned(mutator, object, "gc_pin_once");
    gc_heap_lock(mutator->heap);
    status = pin_once(&mutator->heap->collector.pinned_once, (uintptr_t)object);
    gc_heap_unlock(mutator->heap);
    return status;
}
