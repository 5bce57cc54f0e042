/* SPDX-License-Identifier: MIT
 *
 * The fast paths of <strata/gc.h>; include that. What is written here is part
 * of the ABI: a change of it changes gc_heap_create's symbol.
 */
#ifndef STRATA_GC_INLINE_H
#define STRATA_GC_INLINE_H

#ifndef STRATA_GC_H
#error "include <strata/gc.h>"
#endif

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first words of every gc_mutator. Memory from `bump` to `limit` is zeroed
 * and this thread's alone; `limit` is 0 when the slow path is wanted (a
 * safepoint is requested, or a stress mode watches each allocation). */
typedef struct gc_mutator_fast {
    uintptr_t bump;
    uintptr_t limit;
    gc_frame *frames;
} gc_mutator_fast;

/* An object's header is the word before it: the type in the low 48 bits, then
 * the log byte, then a byte of state that the collector owns. Bit 0 of the log
 * byte says that the next store of a reference must be noted. */
enum { GC_LOG_OFFSET = -2, GC_LOG_ARMED = 1 };

STRATA_API void *gc_alloc_slow(gc_mutator *mutator, const gc_type *type, size_t length);
STRATA_API void gc_write_slow(gc_mutator *mutator, void *object, void *slot);
STRATA_API void gc_safepoint_slow(gc_mutator *mutator);
STRATA_API void gc_frame_misnested(gc_mutator *mutator, gc_frame *frame);

static inline gc_mutator_fast *gc_fast(gc_mutator *mutator)
{
    return (gc_mutator_fast *)(void *)mutator;
}

static inline void *gc_alloc(gc_mutator *mutator, const gc_type *type)
{
    gc_mutator_fast *fast = gc_fast(mutator);
    uintptr_t start = fast->bump;
    uintptr_t end = start + type->object_bytes;

    if (__builtin_expect(end > fast->limit, 0))
        return gc_alloc_slow(mutator, type, 0);
    fast->bump = end;
    *(uint64_t *)start = (uint64_t)(uintptr_t)type;
    return (void *)(start + GC_HEADER_BYTES);
}

/* An array's length stands before its header, shifted by two and tagged with
 * binary 10, which no header's first bits are. */
static inline void *gc_alloc_array(gc_mutator *mutator, const gc_type *type, size_t length)
{
    gc_mutator_fast *fast = gc_fast(mutator);
    uintptr_t start = fast->bump;
    size_t bytes;

    if (__builtin_expect(length > GC_SMALL_BYTES || type->element_size == 0 || type->flags != 0 ||
                             type->alignment != 8 || type->kind == GC_KIND_CONSERVATIVE,
                         0))
        return gc_alloc_slow(mutator, type, length);
    bytes = GC_OBJECT_BYTES(type->size + length * type->element_size) + sizeof(uint64_t);
    if (__builtin_expect(bytes > GC_SMALL_BYTES || start + bytes > fast->limit, 0))
        return gc_alloc_slow(mutator, type, length);
    fast->bump = start + bytes;
    ((uint64_t *)start)[0] = (uint64_t)length << 2 | 2;
    ((uint64_t *)start)[1] = (uint64_t)(uintptr_t)type;
    return (void *)(start + sizeof(uint64_t) + GC_HEADER_BYTES);
}

static inline void gc_write(gc_mutator *mutator, void *object, void *slot, const void *value)
{
    memcpy(slot, &value, sizeof value);
    if (__builtin_expect(((const unsigned char *)object)[GC_LOG_OFFSET] & GC_LOG_ARMED, 0))
        gc_write_slow(mutator, object, slot);
}

static inline void gc_write_word(gc_mutator *mutator, void *object, void *slot, uintptr_t word)
{
    memcpy(slot, &word, sizeof word);
    if (__builtin_expect(((const unsigned char *)object)[GC_LOG_OFFSET] & GC_LOG_ARMED, 0))
        gc_write_slow(mutator, object, slot);
}

static inline void gc_write_barrier(gc_mutator *mutator, void *object)
{
    if (__builtin_expect(((const unsigned char *)object)[GC_LOG_OFFSET] & GC_LOG_ARMED, 0))
        gc_write_slow(mutator, object, NULL);
}

static inline void gc_safepoint(gc_mutator *mutator)
{
    if (__builtin_expect(__atomic_load_n(&gc_fast(mutator)->limit, __ATOMIC_RELAXED) == 0, 0))
        gc_safepoint_slow(mutator);
}

static inline void *gc_handle_get(const gc_handle *handle)
{
    void *object;

    memcpy(&object, handle, sizeof object);
    return object;
}

static inline void gc_frame_push(gc_mutator *mutator, gc_frame *frame)
{
    frame->below = gc_fast(mutator)->frames;
    gc_fast(mutator)->frames = frame;
}

static inline void gc_frame_pop(gc_mutator *mutator, gc_frame *frame)
{
    if (__builtin_expect(gc_fast(mutator)->frames != frame, 0))
        gc_frame_misnested(mutator, frame);
    gc_fast(mutator)->frames = frame->below;
}

static inline gc_frame *gc_frame_top(gc_mutator *mutator)
{
    return gc_fast(mutator)->frames;
}

#ifdef __cplusplus
}
#endif

#endif
