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

/* The first words of every gc_mutator. The next object's payload is to be at
 * `bump`; memory from its header on, up to GC_HEADER_BYTES before `limit`, is
 * this thread's alone, and zeroed up to as much before `zeroed`, which may lie
 * behind `bump`. Both are 0 when the slow path is wanted: a stop is requested, or
 * a stress mode watches each allocation. Another thread may set them to 0 at any
 * time, and read `bump`: so a header is written before `bump` passes it. On most
 * machines these atomic accesses are plain ones. While `calm` is not 0 no store need be
 * noted; it changes in stops only. */
typedef struct gc_mutator_fast {
    uintptr_t bump;
    uintptr_t limit;
    uintptr_t zeroed;
    gc_frame *frames;
    uintptr_t calm;
} gc_mutator_fast;

/* An object's header is the word before it: the type in the low 48 bits, then
 * the log byte, then a byte of state that the collector owns. Bit 0 of the log
 * byte says that the next store of a reference must be noted. */
enum {
    GC_LOG_OFFSET = -2,
    GC_LOG_ARMED = 1,
    GC_ZEROED_HERE_BYTES = 64,
    GC_FETCHED_AHEAD_BYTES = 2048
};

STRATA_API void *gc_alloc_slow(gc_mutator *mutator, const gc_type *type, size_t length);
STRATA_API void gc_write_slow(gc_mutator *mutator, void *object, void *slot);
STRATA_API void gc_safepoint_slow(gc_mutator *mutator);
STRATA_API void gc_frame_misnested(gc_mutator *mutator, gc_frame *frame);

static inline gc_mutator_fast *gc_fast(gc_mutator *mutator)
{
    return (gc_mutator_fast *)(void *)mutator;
}

/* An object of a type that the compiler knows, and of few words, is zeroed where it
 * is allocated: there the compiler leaves out what the program stores at once. Any
 * other is bumped out of memory that was zeroed ahead; if it is not to be zeroed, as
 * far as the compiler can tell, out of any. */
#define GC_IS_ZEROED_HERE(type)                    \
    (__builtin_constant_p((type)->object_bytes) && \
     (type)->object_bytes - 2 * GC_HEADER_BYTES < GC_ZEROED_HERE_BYTES && (type)->flags == 0)
#define GC_STAYS_UNZEROED(type)                                                  \
    (__builtin_constant_p((type)->flags) && (type)->flags == GC_TYPE_UNZEROED && \
     (type)->kind == GC_KIND_LEAF)

/* Up to where the next object may end. The load is plain, so that it is compared from
 * memory; behind each follows an atomic store of `bump`, or a call, so that no compiler
 * keeps it for the next. */
__attribute__((no_sanitize_thread)) static inline uintptr_t gc_fast_end(const gc_mutator_fast *fast,
                                                                        bool unzeroed)
{
    return unzeroed ? fast->limit : fast->zeroed;
}

/* What will be allocated in a while: a nursery does not fit in the nearest caches. It
 * may lie behind the run, where a prefetch is harmless. */
static inline void gc_fetch_ahead(uintptr_t bump)
{
    __builtin_prefetch((const void *)(bump + GC_FETCHED_AHEAD_BYTES), 1);
}

static inline void *gc_alloc(gc_mutator *mutator, const gc_type *type)
{
    gc_mutator_fast *fast = gc_fast(mutator);
    void *object = (void *)fast->bump;
    uintptr_t next = fast->bump + type->object_bytes;

    if (__builtin_expect(
            next > gc_fast_end(fast, GC_IS_ZEROED_HERE(type) || GC_STAYS_UNZEROED(type)), 0)) {
        object = gc_alloc_slow(mutator, type, 0);
        if (!GC_IS_ZEROED_HERE(type) || object == NULL)
            return object;
    } else {
        if (object == NULL)
            __builtin_unreachable();
        ((uint64_t *)object)[-1] = (uint64_t)(uintptr_t)type;
        __atomic_store_n(&fast->bump, next, __ATOMIC_RELEASE);
        gc_fetch_ahead((uintptr_t)object);
    }
    if (GC_IS_ZEROED_HERE(type))
        memset(object, 0, type->object_bytes - GC_HEADER_BYTES);
    return object;
}

/* An array's length stands before its header, shifted by two and tagged with
 * binary 10, which no header's first bits are. */
static inline void *gc_alloc_array(gc_mutator *mutator, const gc_type *type, size_t length)
{
    gc_mutator_fast *fast = gc_fast(mutator);
    uintptr_t object = fast->bump + sizeof(uint64_t);
    size_t bytes;

    if (__builtin_expect(length > GC_SMALL_BYTES || type->size > GC_SMALL_BYTES ||
                             type->element_size == 0 || (type->flags & ~GC_TYPE_UNZEROED) != 0 ||
                             type->alignment != 8 || type->kind == GC_KIND_CONSERVATIVE,
                         0))
        return gc_alloc_slow(mutator, type, length);
    bytes = GC_OBJECT_BYTES(type->size + length * type->element_size);
    if (__builtin_expect(bytes > GC_SMALL_BYTES - sizeof(uint64_t) ||
                             object + bytes > gc_fast_end(fast, GC_STAYS_UNZEROED(type)),
                         0))
        return gc_alloc_slow(mutator, type, length);
    ((uint64_t *)object)[-2] = (uint64_t)length << 2 | 2;
    ((uint64_t *)object)[-1] = (uint64_t)(uintptr_t)type;
    __atomic_store_n(&fast->bump, object + bytes, __ATOMIC_RELEASE);
    return (void *)object;
}

/* Another thread may disarm it. The load is plain, so that it is tested in memory; if a
 * compiler keeps it for the next store, a call is between them, or nothing re-arms it. */
__attribute__((no_sanitize_thread)) static inline bool gc_is_armed(const void *object)
{
    return (((const unsigned char *)object)[GC_LOG_OFFSET] & GC_LOG_ARMED) != 0;
}

static inline bool gc_must_note(gc_mutator *mutator, const void *object)
{
    return __builtin_expect(gc_fast(mutator)->calm == 0, 1) &&
           __builtin_expect(gc_is_armed(object), 0);
}

static inline void gc_write(gc_mutator *mutator, void *object, void *slot, const void *value)
{
    memcpy(slot, &value, sizeof value);
    if (gc_must_note(mutator, object))
        gc_write_slow(mutator, object, slot);
}

static inline void gc_write_word(gc_mutator *mutator, void *object, void *slot, uintptr_t word)
{
    memcpy(slot, &word, sizeof word);
    if (gc_must_note(mutator, object))
        gc_write_slow(mutator, object, slot);
}

static inline void gc_write_barrier(gc_mutator *mutator, void *object)
{
    if (gc_must_note(mutator, object))
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

static inline void gc_scope_leave(gc_scope *scope)
{
    gc_frame_pop(scope->owner, scope->pushed);
}

static inline gc_frame *gc_frame_top(gc_mutator *mutator)
{
    return gc_fast(mutator)->frames;
}

#ifdef __cplusplus
}
#endif

#endif
