/* SPDX-License-Identifier: MIT */
#include "trace/ephemerons.h"

#include "os/os.h"
#include "trace/edge.h"
#include "trace/holder.h"
#include "trace/types.h"

#include <string.h>

enum { LIST_END = 1, SETTLED = 2, FIRST_WORDS = 512, KEPT_WORDS = 32 << 10, AHEAD = 8 };

enum { WITHIN_SHIFT = 48, HEAP_BYTES_EACH = 128 };

static const uintptr_t HOLDER_MASK = ((uintptr_t)1 << WITHIN_SHIFT) - 1;

static const uint32_t refs[] = {offsetof(struct gc_ephemeron, key),
                                offsetof(struct gc_ephemeron, value)};
static const uint32_t owner_ref[] = {offsetof(struct gc_weak_page, owner)};

#define PAGE_TYPE(name, kind)                                                                 \
    {                                                                                         \
        name, sizeof(struct gc_weak_page), GC_OUT_OF_LINE, owner_ref, refs, NULL, NULL, 1, 2, \
            sizeof(struct gc_ephemeron), kind, 0, 8, 0                                        \
    }

const gc_type gc_ephemeron_type = {"ephemeron",
                                   sizeof(struct gc_ephemeron),
                                   GC_OBJECT_BYTES(sizeof(struct gc_ephemeron)),
                                   refs,
                                   NULL,
                                   NULL,
                                   NULL,
                                   2,
                                   0,
                                   0,
                                   GC_KIND_EPHEMERON,
                                   0,
                                   8,
                                   0};
const gc_type gc_weak_key_page_type = PAGE_TYPE("weak key entries", GC_KIND_EPHEMERON);
const gc_type gc_weak_value_page_type = PAGE_TYPE("weak value entries", GC_KIND_WEAK_PAIR);

/* ---- References to them: see the header ---- */

static uintptr_t holder_of(uintptr_t ref)
{
    return ref & HOLDER_MASK;
}

static struct gc_ephemeron *at(uintptr_t ref)
{
    return (struct gc_ephemeron *)(holder_of(ref) + (ref >> WITHIN_SHIFT) * sizeof(uintptr_t));
}

static bool is_in_page(uintptr_t ref)
{
    return ref >> WITHIN_SHIFT != 0;
}

static uintptr_t ref_in_page(uintptr_t page, size_t i)
{
    size_t within = offsetof(struct gc_weak_page, entries) + i * sizeof(struct gc_ephemeron);

    return page | within / sizeof(uintptr_t) << WITHIN_SHIFT;
}

/* A holder is an object with one of them, or a page. */
static bool is_pair(uintptr_t ref)
{
    return gc_header_type(*gc_header(holder_of(ref)))->kind == GC_KIND_WEAK_PAIR;
}

/* ---- All of them ---- */

/* If a lane is too short, what goes on is linked, and not prefetched. */
bool gc_ephemerons_create(struct gc_ephemerons *ephemerons, size_t heap_bytes)
{
    size_t capacity = gc_max(heap_bytes / HEAP_BYTES_EACH, FIRST_WORDS);

    *ephemerons = (struct gc_ephemerons){
        .no_room = LIST_END, .fired = LIST_END, .capacity = GC_EPHEMERONS_FEW};
    ephemerons->buckets = ephemerons->few;
    return gc_lane_create(&ephemerons->pending, capacity, FIRST_WORDS) &&
           gc_lane_create(&ephemerons->pairs, capacity, FIRST_WORDS);
}

void gc_ephemerons_destroy(struct gc_ephemerons *ephemerons)
{
    gc_lane_destroy(&ephemerons->pending);
    gc_lane_destroy(&ephemerons->pairs);
    if (ephemerons->buckets != ephemerons->few)
        gc_os.free(ephemerons->buckets);
    ephemerons->buckets = ephemerons->few;
}

size_t gc_ephemerons_bytes(const struct gc_ephemerons *ephemerons)
{
    size_t words = ephemerons->pending.committed + ephemerons->pairs.committed;

    if (ephemerons->buckets != ephemerons->few)
        words += ephemerons->capacity;
    return words * sizeof(uintptr_t);
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

    if (tracer->oldest == GC_OLD) /* some are scanned more than once, by a full stack's fault */
        ephemerons->count = gc_min(ephemerons->count, ephemerons->scanned);
    ephemerons->scanned = 0;
}

/* ---- One of them ---- */

static void follow(struct gc_tracer *tracer, uintptr_t *slot)
{
    *slot = gc_trace_kept(tracer, *slot);
}

/* All that it refers to is alive, or was cleared. Its page was scanned before. */
static void settle(struct gc_tracer *tracer, uintptr_t ref)
{
    tracer->youngest = GC_GENERATIONS;
    follow(tracer, &at(ref)->key);
    follow(tracer, &at(ref)->value);
    if (!is_in_page(ref))
        gc_holder_scanned(tracer, ref);
    else if (tracer->youngest < gc_age_of(tracer->tables, holder_of(ref)))
        gc_holder_scanned_on(tracer, holder_of(ref));
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

static void put_aside(struct gc_ephemerons *ephemerons, uintptr_t ref, uint8_t kind)
{
    struct gc_lane *lane = kind == GC_KIND_EPHEMERON ? &ephemerons->pending : &ephemerons->pairs;

    if (kind == GC_KIND_EPHEMERON && ephemerons->watching)
        index_by_key(ephemerons, ref);
    at(ref)->link = LIST_END;
    if (GC_LIKELY(gc_lane_push(lane, ref)))
        return;
    at(ref)->link = ephemerons->no_room;
    ephemerons->no_room = ref;
}

/* Keys that may have to be waited for are looked at later, all together, if
 * that waits for memory. */
static bool is_settled_at_once(const struct gc_tracer *tracer, uintptr_t key)
{
    bool condemned =
        key != 0 && gc_state_action(tracer->state[gc_block_of(tracer->tables, key)]) != GC_LEAVE;

    return !condemned ||
           (tracer->prefetch == GC_PREFETCH_NONE && gc_trace_survivor(tracer, key) != 0);
}

static bool is_key_known_alive(const struct gc_tracer *tracer, uintptr_t ref)
{
    return at(ref)->key == 0 || gc_trace_survivor(tracer, at(ref)->key) != 0;
}

static void scan_page(struct gc_tracer *tracer, uintptr_t object, uint8_t kind)
{
    struct gc_weak_page *page = (struct gc_weak_page *)object;
    size_t length = gc_object_length(object);

    tracer->ephemerons.scanned += kind == GC_KIND_EPHEMERON ? length : 0;
    tracer->youngest = GC_GENERATIONS;
    follow(tracer, &page->owner);
    for (size_t i = 0; i < length; i++) {
        struct gc_ephemeron *entry = &page->entries[i];
        bool waits;

        if (entry->key == 0 || entry->link != 0)
            continue;
        waits = !is_settled_at_once(tracer, entry->key);
        if (!waits)
            follow(tracer, &entry->key);
        if (!waits || kind == GC_KIND_WEAK_PAIR)
            follow(tracer, &entry->value);
        if (waits)
            put_aside(&tracer->ephemerons, ref_in_page(object, i), kind);
    }
    gc_holder_scanned(tracer, object);
}

/* What is put aside already is met again by way of the log or of a flagged
 * block. */
void gc_ephemeron_scan(struct gc_tracer *tracer, uintptr_t object)
{
    const gc_type *type = gc_header_type(*gc_header(object));

    if (type->element_size != 0) {
        scan_page(tracer, object, type->kind);
    } else if (at(object)->link == 0) {
        tracer->ephemerons.scanned++;
        if (is_settled_at_once(tracer, at(object)->key))
            settle(tracer, object);
        else
            put_aside(&tracer->ephemerons, object, type->kind);
    }
}

/* ---- To the fixpoint ---- */

void gc_ephemeron_fire(struct gc_tracer *tracer, uintptr_t key)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;
    uintptr_t *link = bucket_of(ephemerons, key);

    *gc_state_byte(key) &= (uint8_t)~GC_STATE_KEY;
    while (*link != LIST_END) {
        uintptr_t ref = *link;

        if (at(ref)->key != key) {
            link = &at(ref)->chain;
            continue;
        }
        *link = at(ref)->chain;
        at(ref)->chain = ephemerons->fired;
        ephemerons->fired = ref;
    }
}

/* Fetches what a walk through the lane will look at: first the ephemerons,
 * then their keys. */
static void prefetch_ahead(const struct gc_lane *lane, size_t i)
{
    if (i + 2 * AHEAD < lane->count)
        gc_prefetch((const void *)lane->words[i + 2 * AHEAD]);
    if (i + AHEAD < lane->count)
        gc_prefetch(gc_header(at(lane->words[i + AHEAD])->key));
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

/* Those whose keys were reached meanwhile are done with at once; the others are
 * indexed. Nothing is put aside meanwhile. */
static void index_lane(struct gc_tracer *tracer)
{
    struct gc_lane *pending = &tracer->ephemerons.pending;
    size_t kept = 0;

    for (size_t i = 0; i < pending->count; i++) {
        uintptr_t ref = pending->words[i];

        prefetch_ahead(pending, i);
        if (is_key_known_alive(tracer, ref)) {
            at(ref)->link = 0;
            settle(tracer, ref);
        } else {
            index_by_key(&tracer->ephemerons, ref);
            pending->words[kept++] = ref;
        }
    }
    pending->count = kept;
}

static void index_list(struct gc_tracer *tracer)
{
    uintptr_t *list = &tracer->ephemerons.no_room, ref;

    while ((ref = *list) != LIST_END) {
        if (!is_pair(ref) && is_key_known_alive(tracer, ref)) {
            *list = at(ref)->link;
            at(ref)->link = 0;
            settle(tracer, ref);
            continue;
        }
        if (!is_pair(ref))
            index_by_key(&tracer->ephemerons, ref);
        list = &at(ref)->link;
    }
}

static void fire_all(struct gc_tracer *tracer)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;

    do {
        gc_trace_drain(tracer);
        while (ephemerons->fired != LIST_END) {
            uintptr_t ref = ephemerons->fired;

            ephemerons->fired = at(ref)->chain;
            at(ref)->chain = SETTLED;
            settle(tracer, ref);
        }
    } while (tracer->stack.count != 0 || tracer->overflowed);
}

enum outcome { DROPPED, WAITS, MISSED };

/* An ephemeron that did not fire waits on; its key is an ordinary object again,
 * or was reached by a way that does not watch. */
static enum outcome outcome_of(struct gc_tracer *tracer, uintptr_t ref)
{
    bool settled = at(ref)->chain == SETTLED;

    at(ref)->chain = 0;
    if (settled)
        return DROPPED;
    if (is_key_known_alive(tracer, ref))
        return MISSED;
    *gc_state_byte(at(ref)->key) &= (uint8_t)~GC_STATE_KEY;
    return WAITS;
}

static bool drop_settled_in_lane(struct gc_tracer *tracer)
{
    struct gc_lane *pending = &tracer->ephemerons.pending;
    size_t kept = 0;
    bool missed = false;

    for (size_t i = 0; i < pending->count; i++) {
        uintptr_t ref = pending->words[i];
        enum outcome outcome;

        prefetch_ahead(pending, i);
        outcome = outcome_of(tracer, ref);
        if (outcome == DROPPED)
            at(ref)->link = 0;
        else
            pending->words[kept++] = ref;
        missed = missed || outcome == MISSED;
    }
    pending->count = kept;
    return missed;
}

static bool drop_settled_in_list(struct gc_tracer *tracer)
{
    uintptr_t *list = &tracer->ephemerons.no_room, ref;
    bool missed = false;

    while ((ref = *list) != LIST_END) {
        enum outcome outcome = is_pair(ref) ? WAITS : outcome_of(tracer, ref);

        if (outcome == DROPPED) {
            *list = at(ref)->link;
            at(ref)->link = 0;
        } else {
            list = &at(ref)->link;
        }
        missed = missed || outcome == MISSED;
    }
    return missed;
}

/* Is done with those whose keys were reached; true if one of their values was
 * not, or if some cannot be told. Else nothing more can be reached. */
static bool settle_reached(struct gc_tracer *tracer)
{
    struct gc_lane *pending = &tracer->ephemerons.pending;
    bool more = tracer->ephemerons.no_room != LIST_END;
    size_t kept = 0;

    for (size_t i = 0; i < pending->count; i++) {
        uintptr_t ref = pending->words[i], value = at(ref)->value;

        prefetch_ahead(pending, i);
        if (!is_key_known_alive(tracer, ref)) {
            pending->words[kept++] = ref;
            continue;
        }
        more = more || (value != 0 && gc_trace_survivor(tracer, value) == 0);
        at(ref)->link = 0;
        settle(tracer, ref);
    }
    pending->count = kept;
    return more;
}

void gc_trace_ephemerons(struct gc_tracer *tracer)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;
    enum gc_prefetch prefetch = tracer->prefetch;
    bool again = settle_reached(tracer);

    if (again)
        gc_trace_drain(tracer);
    tracer->prefetch = GC_PREFETCH_NONE;
    while (again) {
        empty_index(ephemerons, ephemerons->pending.count);
        ephemerons->watching = true;
        index_lane(tracer);
        index_list(tracer);
        fire_all(tracer);
        ephemerons->watching = false;
        again = drop_settled_in_lane(tracer);
        again = drop_settled_in_list(tracer) || again;
    }
    tracer->prefetch = prefetch;
}

/* ---- What has a dead key ---- */

static void clear_one(struct gc_tracer *tracer, uintptr_t ref)
{
    bool cleared = !is_key_known_alive(tracer, ref);

    at(ref)->link = 0;
    if (cleared)
        at(ref)->key = at(ref)->value = 0;
    settle(tracer, ref);
    if (cleared && is_in_page(ref))
        ++*(size_t *)((struct gc_weak_page *)holder_of(ref))->owner;
}

static void clear_lane(struct gc_tracer *tracer, struct gc_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++) {
        prefetch_ahead(lane, i);
        clear_one(tracer, lane->words[i]);
    }
    gc_lane_shrink(lane, KEPT_WORDS);
}

void gc_clear_ephemerons(struct gc_tracer *tracer)
{
    struct gc_ephemerons *ephemerons = &tracer->ephemerons;
    uintptr_t ref = ephemerons->no_room;

    clear_lane(tracer, &ephemerons->pending);
    clear_lane(tracer, &ephemerons->pairs);
    ephemerons->no_room = LIST_END;
    while (ref != LIST_END) {
        uintptr_t next = at(ref)->link;

        clear_one(tracer, ref);
        ref = next;
    }
}
