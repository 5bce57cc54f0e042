/* SPDX-License-Identifier: MIT
 *
 * The references of an object: one walk, shared by everything that needs it.
 * `visit` is a function known where this is inlined, so it costs no call.
 */
#ifndef STRATA_SCAN_H
#define STRATA_SCAN_H

#include "base/bits.h"
#include "memory/header.h"

typedef void gc_scan_slot_fn(struct gc_tracer *tracer, void *slot);
typedef void gc_scan_word_fn(struct gc_tracer *tracer, uintptr_t word);

GC_ALWAYS_INLINE void gc_scan_offsets(struct gc_tracer *tracer, uintptr_t base,
                                      const uint32_t *offsets, uint32_t count,
                                      gc_scan_slot_fn *visit)
{
    for (uint32_t i = 0; i < count; i++)
        visit(tracer, (void *)(base + offsets[i]));
}

/* Slots that stand one after another. */
GC_ALWAYS_INLINE void gc_scan_range(struct gc_tracer *tracer, uintptr_t from, uintptr_t to,
                                    gc_scan_slot_fn *visit)
{
    for (uintptr_t slot = from; slot < to; slot += sizeof slot)
        visit(tracer, (void *)slot);
}

struct gc_span {
    size_t from;
    size_t to; /* exclusive */
};

/* Some elements of an array part. */
GC_ALWAYS_INLINE void gc_scan_elements(struct gc_tracer *tracer, uintptr_t object,
                                       const gc_type *type, struct gc_span span,
                                       gc_scan_slot_fn *visit)
{
    uintptr_t elements = object + type->size;

    if (type->kind == GC_KIND_REFERENCES) {
        for (size_t i = span.from; i < span.to; i++)
            visit(tracer, (void *)(elements + i * sizeof(uintptr_t)));
        return;
    }
    for (size_t i = span.from; i < span.to; i++)
        gc_scan_offsets(tracer, elements + i * type->element_size, type->element_refs,
                        type->element_ref_count, visit);
}

/* Besides arrays, pages of weak tables. */
static inline bool gc_has_elements(const gc_type *type)
{
    return type->kind == GC_KIND_REFERENCES ||
           (type->element_ref_count != 0 &&
            (type->kind == GC_KIND_ARRAY || type->kind > GC_KIND_INTERNAL));
}

/* Every slot of an object of a kind with exact, visible slots. */
GC_ALWAYS_INLINE void gc_scan_slots(struct gc_tracer *tracer, uintptr_t object, const gc_type *type,
                                    gc_scan_slot_fn *visit)
{
    gc_scan_offsets(tracer, object, type->refs, type->ref_count, visit);
    if (gc_has_elements(type))
        gc_scan_elements(tracer, object, type, (struct gc_span){0, gc_object_length(object)},
                         visit);
}

/* Every word of a conservative object. */
GC_ALWAYS_INLINE void gc_scan_words(struct gc_tracer *tracer, uintptr_t object, const gc_type *type,
                                    gc_scan_word_fn *visit)
{
    size_t words = gc_payload_bytes(type, object) / sizeof(uintptr_t);

    for (size_t i = 0; i < words; i++)
        visit(tracer, gc_load_word((const void *)(object + i * sizeof(uintptr_t))));
}

#endif
