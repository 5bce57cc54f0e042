/* SPDX-License-Identifier: MIT
 *
 * Weak references. They are leaves to the trace; afterwards those that it may
 * concern are walked: a list for each age, linked through the objects, an
 * entry being as young as the younger of the weak reference and its referent.
 * So an old weak reference to an old object costs a younger collection
 * nothing, and none needs a barrier, for a referent never changes. An index by
 * referent, chained through the objects too, finds an object's.
 *
 * W1  Between collections a weak reference with a referent is in its age's
 *     list and in its referent's chain; one without may be in a list still.
 * W2  A list's entry has the address that it had before the trace until
 *     gc_weakrefs_settle has passed it.
 */
#ifndef STRATA_WEAK_REFERENCES_H
#define STRATA_WEAK_REFERENCES_H

#include "trace/calls.h"

struct gc_weakref {
    uintptr_t referent; /* 0 if cleared; in a collection, bit 0: shall be cleared */
    uintptr_t chain;    /* the next with the same hash of its referent, or 0 */
    uintptr_t next;     /* in its list, or 0 */
};

struct gc_watching_weakref {
    struct gc_weakref weakref;
    struct gc_call *call; /* NULL once it was queued or cleared */
};

/* By flags: GC_WEAK_TRACKING, and whether it has a callback. */
enum { GC_WEAK_WATCHING = 2, GC_WEAK_TYPES = 4 };
extern const gc_type gc_weakref_types[GC_WEAK_TYPES];

enum { GC_WEAK_FEW = 4 };

struct gc_weakrefs {
    uintptr_t lists[GC_AGES];
    uintptr_t *buckets; /* `few` at first */
    size_t mask;
    size_t count;    /* in the index */
    bool is_emptied; /* the index was, by the collection under way */
    uintptr_t few[GC_WEAK_FEW];
};

void gc_weakrefs_create(struct gc_weakrefs *weakrefs);
void gc_weakrefs_destroy(struct gc_weakrefs *weakrefs);
size_t gc_weakrefs_bytes(const struct gc_weakrefs *weakrefs);

static inline bool gc_is_weakref_type(const gc_type *type)
{
    return type >= gc_weakref_types && type < gc_weakref_types + GC_WEAK_TYPES;
}

static inline unsigned gc_weakref_flags(const gc_type *type)
{
    return (unsigned)(type - gc_weakref_types);
}

/* The mutator's side. A new one is young. */
void gc_weakrefs_add(struct gc_weakrefs *weakrefs, struct gc_weakref *weakref);
void gc_weakrefs_remove(struct gc_weakrefs *weakrefs, struct gc_weakref *weakref);
struct gc_weakref *gc_weakrefs_of(const struct gc_weakrefs *weakrefs, uintptr_t referent);

/* All of them and their referents become frozen; or of gen2. What is frozen
 * stands last in its chain, where making and dropping others does not write. */
void gc_weakrefs_freeze(struct gc_weakrefs *weakrefs);
void gc_weakrefs_unfreeze(struct gc_weakrefs *weakrefs);

/* Before finalizers revive anything: ordinary weak references to the dead
 * shall be cleared. Callbacks of those that are alive are put in front of the
 * list `due`. */
void gc_weakrefs_condemn(struct gc_weakrefs *weakrefs, struct gc_tracer *tracer,
                         struct gc_calls *calls, struct gc_call **due);

/* When all that will live is known: clears, and files what lives under its new
 * address and age. */
void gc_weakrefs_settle(struct gc_weakrefs *weakrefs, struct gc_tracer *tracer,
                        struct gc_calls *calls, struct gc_call **due);

#endif
