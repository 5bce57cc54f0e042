/* SPDX-License-Identifier: MIT
 *
 * The layout of objects: descriptors, which a program writes as constants or
 * makes at run time. A part of <strata/gc.h>, which says how to read the
 * comments.
 */
#ifndef STRATA_TYPE_H
#define STRATA_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef STRATA_API
#define STRATA_API
#endif

typedef struct gc_mutator gc_mutator; /* a thread attached to a heap */
typedef struct gc_tracer gc_tracer;   /* a collection, as callbacks see it */
typedef struct gc_type gc_type;       /* layout of an object */

/* Reports the references of `object` through gc_trace_slot, gc_trace_reference
 * and gc_trace_word, to a collection or to gc_verify. May read the object's
 * payload, gc_type_of, gc_length and gc_size_of; calls nothing else of this
 * library. Called also of objects that are dead, but not reclaimed yet: what a
 * finalizer frees that this reads, it takes out of the object as well.
 * Thread  any that collects. */
typedef void gc_trace_fn(gc_tracer *tracer, void *object);

/* For these callbacks and those of roots (gc_root_fn), while they run. The first
 * reports a slot and updates it; the second a reference that is kept in another
 * form (a NaN box), and returns where the object is now, to be stored back; the
 * third a word that may be a reference and cannot change.
 * GC: within one. Thread: the callback's. */
STRATA_API void gc_trace_slot(gc_tracer *tracer, void *slot);
STRATA_API void *gc_trace_reference(gc_tracer *tracer, void *reference);
STRATA_API void gc_trace_word(gc_tracer *tracer, uintptr_t word);

typedef enum gc_kind {
    GC_KIND_LEAF = 0,     /* no references */
    GC_KIND_STRUCT,       /* references at fixed offsets */
    GC_KIND_REFERENCES,   /* an array of references, and nothing else */
    GC_KIND_ARRAY,        /* fixed references, then elements that have some */
    GC_KIND_TRACED,       /* a callback reports the references */
    GC_KIND_CONSERVATIVE, /* every word may be one; pins what it reaches */
    GC_KIND_INTERNAL      /* first of the library's own kinds */
} gc_kind;

enum {
    GC_TYPE_PINNED = 1,   /* instances never move, from birth */
    GC_TYPE_UNZEROED = 2, /* leaf types: contents are undefined at birth */
    GC_TYPE_AMBIGUOUS = 4 /* traced types: the callback uses gc_trace_word */
};

/* A layout descriptor. Fill it with the macros below; it may be static const,
 * needs no registration, and may be shared by all heaps. The offsets count
 * from the first byte of the object (refs), or of an element (element_refs),
 * are multiples of sizeof(void *), and lie inside the fixed part or inside one
 * element. A wrong offset in a static type is found on request. */
struct gc_type {
    const char *name;
    size_t size;         /* bytes of the fixed part */
    size_t object_bytes; /* GC_INLINE_BYTES(size), or GC_OUT_OF_LINE: see there */
    const uint32_t *refs;
    const uint32_t *element_refs;
    gc_trace_fn *trace;
    void *data; /* the embedder's own */
    uint32_t ref_count;
    uint32_t element_ref_count;
    uint32_t element_size; /* bytes; 0 for what has no array part */
    uint8_t kind;          /* a gc_kind */
    uint8_t flags;         /* GC_TYPE_... */
    uint8_t alignment;     /* of the payload, bytes: 8, 16, 32 or 64 */
    uint8_t reserved;      /* 0 */
};

enum {
    GC_HEADER_BYTES = 8,
    GC_SMALL_BYTES = 8192 /* the most that the inline path allocates */
};

/* Header and payload of an object of `size` bytes, at least one word of
 * payload, in whole words. */
#define GC_OBJECT_BYTES(size) (GC_HEADER_BYTES + ((size) < 8 ? 8 : (((size) + 7) & ~(size_t)7)))

/* What makes the inline allocation path give way to the general one: the
 * object_bytes of a type that has an array part, an alignment above 8, a flag other than
 * GC_TYPE_UNZEROED, or more than GC_SMALL_BYTES; and of a conservative type. The inline path
 * would ignore all that; gc_verify finds instances that it misplaced. */
#define GC_OUT_OF_LINE (SIZE_MAX / 2)

#define GC_INLINE_BYTES(size) \
    (GC_OBJECT_BYTES(size) > GC_SMALL_BYTES ? GC_OUT_OF_LINE : GC_OBJECT_BYTES(size))

#define GC_COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

/* A struct without references. */
#define GC_TYPE_LEAF(name, type)                                                            \
    {                                                                                       \
        name, sizeof(type), GC_INLINE_BYTES(sizeof(type)), NULL, NULL, NULL, NULL, 0, 0, 0, \
            GC_KIND_LEAF, 0, 8, 0                                                           \
    }

/* The same with a trailing array of elements without references (a string with
 * its hash). `type` ends where the array begins. */
#define GC_TYPE_LEAF_TRAILING(name, type, element)                        \
    {                                                                     \
        name, sizeof(type), GC_OUT_OF_LINE, NULL, NULL, NULL, NULL, 0, 0, \
            (uint32_t)sizeof(element), GC_KIND_LEAF, 0, 8, 0              \
    }

/* A struct, or an array of elements, without references, whose contents are undefined
 * at birth: for what is written over at once. */
#define GC_TYPE_LEAF_UNZEROED(name, type)                                                   \
    {                                                                                       \
        name, sizeof(type), GC_INLINE_BYTES(sizeof(type)), NULL, NULL, NULL, NULL, 0, 0, 0, \
            GC_KIND_LEAF, GC_TYPE_UNZEROED, 8, 0                                            \
    }
#define GC_TYPE_LEAF_ARRAY_UNZEROED(name, element)                                        \
    {                                                                                     \
        name, 0, GC_OUT_OF_LINE, NULL, NULL, NULL, NULL, 0, 0, (uint32_t)sizeof(element), \
            GC_KIND_LEAF, GC_TYPE_UNZEROED, 8, 0                                          \
    }

/* A struct; `offsets` is an array of uint32_t: where its references are. */
#define GC_TYPE_STRUCT(name, type, offsets)                                           \
    {                                                                                 \
        name, sizeof(type), GC_INLINE_BYTES(sizeof(type)), offsets, NULL, NULL, NULL, \
            GC_COUNT(offsets), 0, 0, GC_KIND_STRUCT, 0, 8, 0                          \
    }

/* An array of elements without references. */
#define GC_TYPE_LEAF_ARRAY(name, element)                                                 \
    {                                                                                     \
        name, 0, GC_OUT_OF_LINE, NULL, NULL, NULL, NULL, 0, 0, (uint32_t)sizeof(element), \
            GC_KIND_LEAF, 0, 8, 0                                                         \
    }

/* An array of references. */
#define GC_TYPE_REFERENCES(name)                                                         \
    {                                                                                    \
        name, 0, GC_OUT_OF_LINE, NULL, NULL, NULL, NULL, 0, 0, (uint32_t)sizeof(void *), \
            GC_KIND_REFERENCES, 0, 8, 0                                                  \
    }

/* An array of structs whose references are at `offsets` in each. */
#define GC_TYPE_ARRAY(name, element, offsets)                                     \
    {                                                                             \
        name, 0, GC_OUT_OF_LINE, NULL, offsets, NULL, NULL, 0, GC_COUNT(offsets), \
            (uint32_t)sizeof(element), GC_KIND_ARRAY, 0, 8, 0                     \
    }

/* A struct with a trailing array: references of the struct at `offsets`, of
 * each element at `element_offsets`. `type` ends where the array begins. */
#define GC_TYPE_TRAILING(name, type, offsets, element, element_offsets)              \
    {                                                                                \
        name, sizeof(type), GC_OUT_OF_LINE, offsets, element_offsets, NULL, NULL,    \
            GC_COUNT(offsets), GC_COUNT(element_offsets), (uint32_t)sizeof(element), \
            GC_KIND_ARRAY, 0, 8, 0                                                   \
    }

/* The same with elements that hold no references (a string with links). */
#define GC_TYPE_TRAILING_LEAF(name, type, offsets, element)                                  \
    {                                                                                        \
        name, sizeof(type), GC_OUT_OF_LINE, offsets, NULL, NULL, NULL, GC_COUNT(offsets), 0, \
            (uint32_t)sizeof(element), GC_KIND_ARRAY, 0, 8, 0                                \
    }

/* A struct whose references a callback reports. */
#define GC_TYPE_TRACED(name, type, trace)                                                    \
    {                                                                                        \
        name, sizeof(type), GC_INLINE_BYTES(sizeof(type)), NULL, NULL, trace, NULL, 0, 0, 0, \
            GC_KIND_TRACED, 0, 8, 0                                                          \
    }

/* An array of words any of which may be a reference. */
#define GC_TYPE_WORDS(name)                                                              \
    {                                                                                    \
        name, 0, GC_OUT_OF_LINE, NULL, NULL, NULL, NULL, 0, 0, (uint32_t)sizeof(void *), \
            GC_KIND_CONSERVATIVE, GC_TYPE_AMBIGUOUS, 8, 0                                \
    }

/* A type with other flags, or an alignment above 8, is written out field by field,
 * with object_bytes = GC_OUT_OF_LINE. */

/* Ready-made: bytes without references; an array of references; an array of
 * words each of which may be a reference (scanned conservatively, never
 * moved, pins what it reaches). */
STRATA_API extern const gc_type gc_type_bytes;
STRATA_API extern const gc_type gc_type_references;
STRATA_API extern const gc_type gc_type_words;

/* Makes a descriptor at run time: copies `layout` with its offset tables, but not
 * its name, which stays until the descriptor goes; and keeps `class_object` (may
 * be NULL) alive until the type is retired, and then as long as an instance is.
 * Read the object back with gc_type_class (NULL for a static type): it may move.
 * `layout` is as a static type would be, but for object_bytes, which is not
 * looked at. The descriptor is for this heap only.
 *
 * Returns  the descriptor, or NULL without memory.
 * Owner    the heap, until gc_type_retire; its memory is reused when a full
 *          collection finds no instance.
 * GC       never collects.
 * Thread   the mutator's own.
 */
STRATA_API gc_type *gc_type_create(gc_mutator *mutator, const gc_type *layout, void *class_object);
STRATA_API void *gc_type_class(const gc_type *type);

/* Says that no new instance of `type`, which gc_type_create made, will be
 * made; once only. When none is left, `retired` (may be NULL) is called with
 * the embedder's data at the end of the full collection that found so; it calls
 * nothing of this library. The descriptor is gone after it. A heap that is
 * destroyed before does not call it.
 * GC never collects. Thread: the mutator's own. */
STRATA_API void gc_type_retire(gc_mutator *mutator, gc_type *type, void (*retired)(void *data),
                               void *data);

#ifdef __cplusplus
}
#endif

#endif
