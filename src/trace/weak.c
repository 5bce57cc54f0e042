/* SPDX-License-Identifier: MIT */
#include "trace/weak.h"

#include "os/os.h"

#include <string.h>

enum { GC_SHALL_CLEAR = 1, MOST_CHAIN = 2 };

#define WEAKREF_TYPE(name, type)                                                            \
    {                                                                                       \
        name, sizeof(type), GC_OBJECT_BYTES(sizeof(type)), NULL, NULL, NULL, NULL, 0, 0, 0, \
            GC_KIND_LEAF, 0, 8, 0                                                           \
    }

const gc_type gc_weakref_types[GC_WEAK_TYPES] = {
    WEAKREF_TYPE("weak reference", struct gc_weakref),
    WEAKREF_TYPE("tracking weak reference", struct gc_weakref),
    WEAKREF_TYPE("weak reference with callback", struct gc_watching_weakref),
    WEAKREF_TYPE("tracking weak reference with callback", struct gc_watching_weakref)};

static struct gc_weakref *at(uintptr_t address)
{
    return (struct gc_weakref *)address;
}

void gc_weakrefs_create(struct gc_weakrefs *weakrefs)
{
    *weakrefs = (struct gc_weakrefs){.mask = GC_WEAK_FEW - 1};
    weakrefs->buckets = weakrefs->few;
}

void gc_weakrefs_destroy(struct gc_weakrefs *weakrefs)
{
    if (weakrefs->buckets != weakrefs->few)
        gc_os.free(weakrefs->buckets);
    gc_weakrefs_create(weakrefs);
}

size_t gc_weakrefs_bytes(const struct gc_weakrefs *weakrefs)
{
    return weakrefs->buckets == weakrefs->few ? 0
                                              : (weakrefs->mask + 1) * sizeof *weakrefs->buckets;
}

/* ---- The index ---- */

/* Near objects have near buckets; blocks are spread. */
static uintptr_t *bucket_of(const struct gc_weakrefs *weakrefs, uintptr_t referent)
{
    size_t place = (referent >> GC_GRANULE_LOG2 >> 1) + (referent >> GC_BLOCK_LOG2) * 0x9e3779b1u;

    return &weakrefs->buckets[place & weakrefs->mask];
}

static void link_in(struct gc_weakrefs *weakrefs, struct gc_weakref *weakref)
{
    uintptr_t *bucket = bucket_of(weakrefs, weakref->referent);

    weakref->chain = *bucket;
    *bucket = (uintptr_t)weakref;
    weakrefs->count++;
}

static void unlink_from(struct gc_weakrefs *weakrefs, const struct gc_weakref *weakref)
{
    uintptr_t *link = bucket_of(weakrefs, weakref->referent & ~(uintptr_t)GC_SHALL_CLEAR);

    while (*link != (uintptr_t)weakref)
        link = &at(*link)->chain;
    *link = weakref->chain;
    weakrefs->count--;
}

/* Twice the buckets; without memory the chains get longer. */
static void grow(struct gc_weakrefs *weakrefs)
{
    size_t old_mask = weakrefs->mask, slots = 2 * (old_mask + 1);
    uintptr_t *old = weakrefs->buckets, *buckets = gc_os.allocate(slots * sizeof *buckets);

    if (buckets == NULL)
        return;
    weakrefs->buckets = buckets;
    weakrefs->mask = slots - 1;
    weakrefs->count = 0;
    for (size_t i = 0; i <= old_mask; i++)
        for (uintptr_t entry = old[i]; entry != 0;) {
            uintptr_t next = at(entry)->chain;

            link_in(weakrefs, at(entry));
            entry = next;
        }
    if (old != weakrefs->few)
        gc_os.free(old);
}

/* ---- The mutator's side ---- */

void gc_weakrefs_add(struct gc_weakrefs *weakrefs, struct gc_weakref *weakref)
{
    if (weakrefs->count > MOST_CHAIN * weakrefs->mask)
        grow(weakrefs);
    link_in(weakrefs, weakref);
    weakref->next = weakrefs->lists[GC_YOUNG];
    weakrefs->lists[GC_YOUNG] = (uintptr_t)weakref;
}

void gc_weakrefs_remove(struct gc_weakrefs *weakrefs, struct gc_weakref *weakref)
{
    unlink_from(weakrefs, weakref);
    /* The list drops it when it is walked; other threads may look at it. */
    __atomic_store_n(&weakref->referent, 0, __ATOMIC_RELAXED);
}

struct gc_weakref *gc_weakrefs_of(const struct gc_weakrefs *weakrefs, uintptr_t referent)
{
    return at(*bucket_of(weakrefs, referent));
}

/* ---- In a collection ---- */

/* An entry of a list with what became of it. */
struct entry {
    struct gc_weakref *old; /* before the trace; its links are the ones that count */
    uintptr_t now;          /* 0 if it is dead */
    uintptr_t referent;     /* now; 0 if it is dead */
    unsigned flags;
};

static struct entry look_at(const struct gc_tracer *tracer, uintptr_t address)
{
    struct entry entry = {.old = at(address), .now = gc_trace_survivor(tracer, address)};

    entry.flags = gc_weakref_flags(gc_object_type(address));
    if (entry.old->referent != 0 && !(entry.old->referent & GC_SHALL_CLEAR))
        entry.referent = gc_trace_survivor(tracer, entry.old->referent);
    return entry;
}

static struct gc_call *call_of(const struct entry *entry)
{
    if (!(entry->flags & GC_WEAK_WATCHING))
        return NULL;
    return ((const struct gc_watching_weakref *)entry->old)->call;
}

static void forget_call(const struct entry *entry)
{
    ((struct gc_watching_weakref *)entry->old)->call = NULL;
    if (entry->now != 0)
        ((struct gc_watching_weakref *)entry->now)->call = NULL;
}

/* What it refers to is dead; it is alive. */
static void queue_callback(const struct entry *entry, struct gc_tracer *tracer,
                           struct gc_calls *calls, struct gc_call **due)
{
    struct gc_call *call = call_of(entry);

    if (call == NULL)
        return;
    forget_call(entry);
    call->object = entry->now;
    call->state = GC_CALL_QUEUED;
    gc_call_note_age(calls, call, gc_age_of(tracer->tables, entry->now));
    call->next = *due;
    *due = call;
}

static void drop_call(const struct entry *entry, struct gc_calls *calls)
{
    struct gc_call *call = call_of(entry);

    if (call != NULL) {
        forget_call(entry);
        gc_call_give(calls, call);
    }
}

/* Also a weak reference that is dead itself: a finalizer may revive it, and
 * it must not lead to what was dead with it (as PEP 442 has it). */
static void condemn_one(struct entry *entry, struct gc_tracer *tracer, struct gc_calls *calls,
                        struct gc_call **due)
{
    if (entry->old->referent == 0 || entry->referent != 0 || (entry->flags & GC_WEAK_TRACKING))
        return;
    entry->old->referent |= GC_SHALL_CLEAR;
    if (entry->now != 0)
        queue_callback(entry, tracer, calls, due);
    else
        drop_call(entry, calls);
}

void gc_weakrefs_condemn(struct gc_weakrefs *weakrefs, struct gc_tracer *tracer,
                         struct gc_calls *calls, struct gc_call **due)
{
    for (unsigned age = 0; age <= tracer->oldest; age++)
        for (uintptr_t a = weakrefs->lists[age]; a != 0; a = at(a)->next) {
            struct entry entry = look_at(tracer, a);

            condemn_one(&entry, tracer, calls, due);
        }
}

/* Files a weak reference that lives, with a referent that lives. */
static void file(struct gc_weakrefs *weakrefs, const struct gc_tracer *tracer,
                 const struct entry *entry)
{
    struct gc_weakref *weakref = at(entry->now);
    unsigned age = gc_age_of(tracer->tables, entry->now);
    unsigned referent_age = gc_age_of(tracer->tables, entry->referent);

    age = referent_age < age ? referent_age : age;
    weakref->referent = entry->referent;
    weakref->next = weakrefs->lists[age];
    weakrefs->lists[age] = entry->now;
    link_in(weakrefs, weakref);
}

static void settle_one(struct gc_weakrefs *weakrefs, struct gc_tracer *tracer,
                       struct gc_calls *calls, uintptr_t address, struct gc_call **due)
{
    struct entry entry = look_at(tracer, address);

    if (entry.old->referent != 0 && !weakrefs->is_emptied)
        unlink_from(weakrefs, entry.old);
    if (entry.now == 0) {
        drop_call(&entry, calls);
    } else if (entry.referent != 0) {
        file(weakrefs, tracer, &entry);
    } else {
        at(entry.now)->referent = 0;
        queue_callback(&entry, tracer, calls, due);
    }
}

/* Puts the list of `from` in front of that of `to`. */
static void join(struct gc_weakrefs *weakrefs, unsigned from, unsigned to)
{
    uintptr_t *link = &weakrefs->lists[from];

    while (*link != 0)
        link = &at(*link)->next;
    *link = weakrefs->lists[to];
    weakrefs->lists[to] = weakrefs->lists[from];
    weakrefs->lists[from] = 0;
}

void gc_weakrefs_freeze(struct gc_weakrefs *weakrefs)
{
    for (unsigned age = 0; age < GC_GENERATIONS; age++)
        join(weakrefs, age, GC_FROZEN);
}

void gc_weakrefs_unfreeze(struct gc_weakrefs *weakrefs)
{
    join(weakrefs, GC_FROZEN, GC_OLD);
}

/* Lists are taken before any is filled again. A full collection files all
 * anew, so it empties the index instead of unlinking each, unless there are
 * frozen ones, which stay. */
void gc_weakrefs_settle(struct gc_weakrefs *weakrefs, struct gc_tracer *tracer,
                        struct gc_calls *calls, struct gc_call **due)
{
    uintptr_t lists[GC_GENERATIONS] = {0};

    for (unsigned age = 0; age <= tracer->oldest; age++) {
        lists[age] = weakrefs->lists[age];
        weakrefs->lists[age] = 0;
    }
    weakrefs->is_emptied = tracer->oldest == GC_OLD && weakrefs->lists[GC_FROZEN] == 0;
    if (weakrefs->is_emptied) {
        memset(weakrefs->buckets, 0, (weakrefs->mask + 1) * sizeof *weakrefs->buckets);
        weakrefs->count = 0;
    }
    for (unsigned age = 0; age <= tracer->oldest; age++)
        for (uintptr_t a = lists[age]; a != 0;) {
            uintptr_t next = at(a)->next;

            gc_prefetch(gc_header(next));
            settle_one(weakrefs, tracer, calls, a, due);
            a = next;
        }
}
