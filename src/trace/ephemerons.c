/* SPDX-License-Identifier: MIT */
#include "trace/ephemerons.h"

#include "os/os.h"
#include "trace/edge.h"
#include "trace/holder.h"
#include "trace/types.h"

#include <string.h>

enum { LIST_END = 1, SETTLED = 2 };

static const uint32_t refs[] = {offsetof(struct gc_ephemeron, key),
                                offsetof(struct gc_ephemeron, value),
                                offsetof(struct gc_weak_entry, owner)};

#define PAIR_TYPE(name, type, count, kind)                                                      \
    {                                                                                           \
        name, sizeof(type), GC_OBJECT_BYTES(sizeof(type)), refs, NULL, NULL, NULL, count, 0, 0, \
            kind, 0, 8, 0                                                                       \
    }

const gc_type gc_ephemeron_type = PAIR_TYPE("ephemeron", struct gc_ephemeron, 2, GC_KIND_EPHEMERON);
const gc_type gc_weak_key_entry_type =
    PAIR_TYPE("weak key entry", struct gc_weak_entry, 3, GC_KIND_EPHEMERON);
const gc_type gc_weak_value_entry_type =
    PAIR_TYPE("weak value entry", struct gc_weak_entry, 3, GC_KIND_WEAK_PAIR);

static struct gc_ephemeron *at(uintptr_t address)
{
    return (struct gc_ephemeron *)address;
}

static bool has_owner(const gc_type *type)
{
    return type->size == sizeof(struct gc_weak_entry);
}

void gc_ephemerons_create(struct gc_ephemerons *ephemerons)
{
    *ephemerons = (struct gc_ephemerons){
        .pending = LIST_END, .pairs = LIST_END, .fired = LIST_END, .capacity = GC_EPHEMERONS_FEW};
    ephemerons->buckets = ephemerons->few;
}

void gc_ephemerons_destroy(struct gc_ephemerons *ephemerons)
{
    if (ephemerons->buckets != ephemerons->few)
        gc_os.free(ephemerons->buckets);
    gc_ephemerons_create(ephemerons);
}

size_t gc_ephemerons_bytes(const struct gc_ephemerons *ephemerons)
{
    return ephemerons->buckets == ephemerons->few
               ? 0
               : ephemerons->capacity * sizeof *ephemerons->buckets;
}

void gc_ephemerons_expect(struct gc_ephemerons *ephemerons, size_t more)
{
    size_t capacity = ephemerons->capacity;
    uintptr_t *buckets;

    ephemerons->count += more;
    while (capacity < ephemerons->count)
        capacity *= 2;
    if (capacity == ephemerons->capacity)
        return;
    buckets = gc_os.allocate(capacity * sizeof *buckets);
    if (buckets == NULL)
        return;
    if (ephemerons->buckets != ephemerons->few)
        gc_os.free(ephemerons->buckets);
    ephemerons->buckets = buckets;
    ephemerons->capacity = capacity;
}

void gc_ephemerons_settle(struct gc_tracer *tracer)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;

    if (tracer->oldest == GC_OLD)
        ephemerons->count = ephemerons->scanned;
    ephemerons->scanned = 0;
}

/* ---- One of them ---- */

static void follow(struct gc_tracer *tracer, uintptr_t *slot)
{
    *slot = gc_trace_kept(tracer, *slot);
}

/* All that it refers to is alive, or was cleared. */
static void settle(struct gc_tracer *tracer, uintptr_t object)
{
    tracer->youngest = GC_GENERATIONS;
    follow(tracer, &at(object)->key);
    follow(tracer, &at(object)->value);
    if (has_owner(gc_header_type(*gc_header(object))))
        follow(tracer, &((struct gc_weak_entry *)object)->owner);
    gc_holder_scanned(tracer, object);
}

/* Keys near each other have buckets near each other, for they are often met in
 * that order; blocks are spread. */
static uintptr_t *bucket_of(const struct gc_ephemerons *ephemerons, uintptr_t key)
{
    size_t place = (key >> GC_GRANULE_LOG2 >> 1) + (key >> GC_BLOCK_LOG2) * 0x9e3779b1u;

    return &ephemerons->buckets[place & ephemerons->mask];
}

static void index_by_key(struct gc_ephemerons *ephemerons, uintptr_t object)
{
    uintptr_t key = at(object)->key, *bucket = bucket_of(ephemerons, key);

    *gc_state_byte(key) |= GC_STATE_KEY;
    at(object)->chain = *bucket;
    *bucket = object;
}

static void put_aside(struct gc_ephemerons *ephemerons, uintptr_t object, uint8_t kind)
{
    uintptr_t *list = kind == GC_KIND_EPHEMERON ? &ephemerons->pending : &ephemerons->pairs;

    if (kind == GC_KIND_EPHEMERON && ephemerons->watching)
        index_by_key(ephemerons, object);
    at(object)->link = *list;
    *list = object;
}

static bool is_key_known_alive(const struct gc_tracer *tracer, uintptr_t object)
{
    return at(object)->key == 0 || gc_trace_survivor(tracer, at(object)->key) != 0;
}

void gc_ephemeron_scan(struct gc_tracer *tracer, uintptr_t object)
{
    const gc_type *type = gc_header_type(*gc_header(object));

    if (at(object)->link != 0)
        return; /* met again, by way of the log or of a flagged block */
    tracer->ephemerons.scanned++;
    if (is_key_known_alive(tracer, object)) {
        settle(tracer, object);
        return;
    }
    if (type->kind == GC_KIND_WEAK_PAIR)
        follow(tracer, &at(object)->value);
    if (has_owner(type))
        follow(tracer, &((struct gc_weak_entry *)object)->owner);
    put_aside(&tracer->ephemerons, object, type->kind);
}

/* ---- To the fixpoint ---- */

void gc_ephemeron_fire(struct gc_tracer *tracer, uintptr_t key)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;
    uintptr_t *link = bucket_of(ephemerons, key);

    *gc_state_byte(key) &= (uint8_t)~GC_STATE_KEY;
    while (*link != LIST_END) {
        uintptr_t object = *link;

        if (at(object)->key != key) {
            link = &at(object)->chain;
            continue;
        }
        *link = at(object)->chain;
        at(object)->chain = ephemerons->fired;
        ephemerons->fired = object;
    }
}

static size_t list_length(uintptr_t list)
{
    size_t length = 0;

    for (; list != LIST_END; list = at(list)->link)
        length++;
    return length;
}

static void empty_index(struct gc_ephemerons *ephemerons, size_t expected)
{
    size_t slots = GC_EPHEMERONS_FEW;

    while (slots < expected && slots < ephemerons->capacity)
        slots *= 2;
    ephemerons->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        ephemerons->buckets[i] = LIST_END;
}

/* Those whose keys were reached meanwhile fire; the others are indexed. */
static void index_pending(struct gc_tracer *tracer)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;
    uintptr_t object = ephemerons->pending;

    for (; object != LIST_END; object = at(object)->link) {
        if (at(object)->link != LIST_END)
            gc_prefetch(gc_header(at(at(object)->link)->key));
        if (is_key_known_alive(tracer, object)) {
            at(object)->chain = ephemerons->fired;
            ephemerons->fired = object;
        } else {
            index_by_key(ephemerons, object);
        }
    }
}

static void fire_all(struct gc_tracer *tracer)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;

    while (ephemerons->fired != LIST_END) {
        while (ephemerons->fired != LIST_END) {
            uintptr_t object = ephemerons->fired;

            ephemerons->fired = at(object)->chain;
            at(object)->chain = SETTLED;
            settle(tracer, object);
        }
        gc_trace_drain(tracer);
    }
}

/* Leaves those in the list that did not fire; their keys are ordinary objects
 * again. True if a key was reached all the same, by a way that does not watch. */
static bool drop_settled(struct gc_tracer *tracer)
{
    uintptr_t *list = &tracer->ephemerons.pending, object;
    bool missed = false;

    while ((object = *list) != LIST_END) {
        uintptr_t next = at(object)->link;
        bool settled = at(object)->chain == SETTLED;

        if (next != LIST_END)
            gc_prefetch(gc_header(at(next)->key));
        at(object)->chain = 0;
        if (settled) {
            *list = next;
            at(object)->link = 0;
            continue;
        }
        if (is_key_known_alive(tracer, object))
            missed = true;
        else
            *gc_state_byte(at(object)->key) &= (uint8_t)~GC_STATE_KEY;
        list = &at(object)->link;
    }
    return missed;
}

void gc_trace_ephemerons(struct gc_tracer *tracer)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;
    bool prefetching = tracer->prefetching, again = ephemerons->pending != LIST_END;

    tracer->prefetching = false;
    while (again) {
        empty_index(ephemerons, list_length(ephemerons->pending));
        ephemerons->watching = true;
        index_pending(tracer);
        fire_all(tracer);
        ephemerons->watching = false;
        again = drop_settled(tracer);
    }
    tracer->prefetching = prefetching;
}

/* ---- What has a dead key ---- */

static void clear_one(struct gc_tracer *tracer, uintptr_t object)
{
    at(object)->key = at(object)->value = 0;
    settle(tracer, object);
    if (has_owner(gc_header_type(*gc_header(object))))
        ++*(size_t *)((struct gc_weak_entry *)object)->owner;
}

static void clear_list(struct gc_tracer *tracer, uintptr_t object)
{
    while (object != LIST_END) {
        uintptr_t next = at(object)->link;

        if (next != LIST_END)
            gc_prefetch(gc_header(at(next)->key));
        at(object)->link = 0;
        if (is_key_known_alive(tracer, object))
            settle(tracer, object);
        else
            clear_one(tracer, object);
        object = next;
    }
}

void gc_clear_ephemerons(struct gc_tracer *tracer)
{
    uintptr_t pending = tracer->ephemerons.pending, pairs = tracer->ephemerons.pairs;

    tracer->ephemerons.pending = tracer->ephemerons.pairs = LIST_END;
    clear_list(tracer, pending);
    clear_list(tracer, pairs);
}
