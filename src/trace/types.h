/* SPDX-License-Identifier: MIT
 *
 * Descriptors made at run time. Each may have a class object of the embedder:
 * a root until the type is retired, then alive as long as an instance is.
 *
 * In a full collection a retired descriptor's kind is GC_KIND_RETIRED, so that
 * the first instance scanned takes the slow way: it is noted, the class object
 * is traced, and the kind set right. No other object pays for it.
 */
#ifndef STRATA_TYPES_H
#define STRATA_TYPES_H

#include "trace/tracer.h"

enum {
    GC_KIND_RETIRED = GC_KIND_INTERNAL,
    GC_KIND_EPHEMERON, /* see trace/ephemerons.h */
    GC_KIND_WEAK_PAIR,
    GC_KIND_LAST = GC_KIND_WEAK_PAIR
};

/* In gc_type.reserved, which is 0 in a static one. */
enum { GC_TYPE_IS_MADE = 0x5d };

struct gc_made_type {
    gc_type type; /* first: a gc_type leads here */
    struct gc_made_type *next;
    const struct gc_types *owner;
    uintptr_t class_object;
    void (*retired)(void *data);
    void *retired_data;
    uint8_t kind; /* the true one */
    uint8_t is_retired;
    uint8_t is_seen; /* an instance was, in the collection under way */
};

/* What object_bytes must be at most, and may be if it is not GC_OUT_OF_LINE. */
size_t gc_inline_bytes(const gc_type *type);

struct gc_types {
    struct gc_made_type *young; /* class object not in gen2, or not known to be */
    struct gc_made_type *old;
    struct gc_made_type *frozen; /* may have frozen instances: not looked at */
    struct gc_made_type *gone;   /* retired and without instances; only if `keeps_gone` */
    size_t bytes;                /* of all of them */
    bool keeps_gone;             /* stress: what was an instance shall lead to no freed memory */
};

/* The descriptor made at run time that this is, or NULL. */
static inline struct gc_made_type *gc_made_type(const gc_type *type)
{
    return type->reserved == GC_TYPE_IS_MADE ? (struct gc_made_type *)(uintptr_t)type : NULL;
}

struct gc_made_type *gc_made_type_create(struct gc_types *types, const gc_type *layout,
                                         uintptr_t class_object);
void gc_types_destroy(struct gc_types *types);

/* Class objects as roots; a full collection also prepares retired types. */
void gc_types_trace(struct gc_types *types, struct gc_tracer *tracer);

/* An instance of a retired type is scanned for the first time. */
void gc_type_seen(struct gc_tracer *tracer, const gc_type *type);

/* All become frozen, with their class objects; or of gen2. */
void gc_types_freeze(struct gc_types *types);
void gc_types_unfreeze(struct gc_types *types);

/* After a trace: sorts by the age of class objects; after a full one, frees
 * retired types without instances and tells their owners. */
void gc_types_settle(struct gc_types *types, const struct gc_tracer *tracer);

#endif
