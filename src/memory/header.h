/* SPDX-License-Identifier: MIT
 *
 * An object's header, and what can be told from it.
 *
 * The header is the word before the payload:
 *
 *   bits 0 to 47   the type's address, or, with bit 0 set, the object's new one
 *   bits 48 to 55  the log byte (GC_LOG_...), written by plain byte stores
 *   bits 56 to 63  the state byte (GC_STATE_...)
 *
 * An object with an array part has its length in the word before the header,
 * shifted left by two and tagged with binary 10: so a walk from low addresses
 * to high can tell a length from a header and both from zeroed room.
 *
 * H1  A header whose bit 0 is clear names a type; types are 8-byte aligned and
 *     below 2^48.
 * H2  Forwarding overwrites the header alone: the old payload and length stay.
 */
#ifndef STRATA_HEADER_H
#define STRATA_HEADER_H

#include "base/bits.h"
#include "memory/layout.h"

#include <strata/gc.h>

enum {
    GC_LOG_REMEMBERED = 2, /* an entry of the old set holds it */
    GC_LOG_NOTED = 4,      /* an array with cards that the log holds */
    GC_LOG_FROZEN = 8      /* an entry of the frozen set holds it */
};

enum {
    GC_STATE_PINNED = 1,      /* by gc_pin, until the last gc_unpin */
    GC_STATE_PINNED_ONCE = 2, /* for one collection */
    GC_STATE_ATTACHED = 4,    /* has entries in the attachment table */
    GC_STATE_HASHED = 8,      /* its identity hash was asked for */
    GC_STATE_KEY = 16         /* an ephemeron waits for the trace to reach it */
};

enum { GC_FORWARDED = 1, GC_LENGTH_TAG = 2, GC_WORD_TAGS = 3 };

static const uint64_t GC_TYPE_MASK = ((uint64_t)1 << 48) - 1;
static const uint64_t GC_PINNED_BITS = (uint64_t)(GC_STATE_PINNED | GC_STATE_PINNED_ONCE) << 56;

static inline uint64_t *gc_header(uintptr_t object)
{
    return (uint64_t *)(object - GC_HEADER_BYTES);
}

/* Mutators may look at a header while others change its log and state bytes. */
static inline uint64_t gc_header_of(uintptr_t object)
{
    return __atomic_load_n(gc_header(object), __ATOMIC_RELAXED);
}

static inline uint8_t *gc_log_byte(uintptr_t object)
{
    return (uint8_t *)object + GC_LOG_OFFSET;
}

static inline uint8_t *gc_state_byte(uintptr_t object)
{
    return (uint8_t *)object - 1;
}

static inline const gc_type *gc_header_type(uint64_t header)
{
    return (const gc_type *)(uintptr_t)(header & GC_TYPE_MASK);
}

/* Sets bits of the state byte, or clears them, between collections. */
static inline void gc_state_byte_add(uintptr_t object, uint8_t bits)
{
    __atomic_fetch_or(gc_state_byte(object), bits, __ATOMIC_RELAXED);
}

static inline void gc_state_byte_take(uintptr_t object, uint8_t bits)
{
    __atomic_fetch_and(gc_state_byte(object), (uint8_t)~bits, __ATOMIC_RELAXED);
}

/* Whether the identity hash was asked for. */
static inline bool gc_has_hash(uintptr_t object)
{
    return (__atomic_load_n(gc_state_byte(object), __ATOMIC_RELAXED) & GC_STATE_HASHED) != 0;
}

static inline bool gc_is_forwarded(uint64_t header)
{
    return (header & GC_FORWARDED) != 0;
}

static inline uintptr_t gc_forwarding(uint64_t header)
{
    return (uintptr_t)header & ~(uintptr_t)GC_FORWARDED;
}

static inline void gc_forward(uintptr_t object, uintptr_t copy)
{
    *gc_header(object) = copy | GC_FORWARDED;
}

/* The type, also of an object that has moved in this collection. */
static inline const gc_type *gc_object_type(uintptr_t object)
{
    uint64_t header = gc_header_of(object);

    return gc_header_type(gc_is_forwarded(header) ? *gc_header(gc_forwarding(header)) : header);
}

static inline size_t gc_object_length(uintptr_t object)
{
    return (size_t)(gc_header(object)[-1] >> 2);
}

static inline size_t gc_prefix_bytes(const gc_type *type)
{
    return type->element_size != 0 ? sizeof(uint64_t) : 0;
}

static inline size_t gc_payload_bytes(const gc_type *type, uintptr_t object)
{
    if (type->element_size == 0)
        return type->size;
    return type->size + gc_object_length(object) * type->element_size;
}

/* From its first byte, the length's if it has one, to its end. */
static inline size_t gc_extent_bytes(const gc_type *type, uintptr_t object)
{
    return gc_prefix_bytes(type) + GC_OBJECT_BYTES(gc_payload_bytes(type, object));
}

static inline uintptr_t gc_object_end(const gc_type *type, uintptr_t object)
{
    return object - GC_HEADER_BYTES + GC_OBJECT_BYTES(gc_payload_bytes(type, object));
}

static inline uintptr_t gc_load_word(const void *slot)
{
    uintptr_t word;

    __builtin_memcpy(&word, slot, sizeof word);
    return word;
}

static inline void gc_store_word(void *slot, uintptr_t word)
{
    __builtin_memcpy(slot, &word, sizeof word);
}

#endif
