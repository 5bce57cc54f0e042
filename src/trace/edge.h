/* SPDX-License-Identifier: MIT
 *
 * One edge of the object graph: the innermost step of a trace, inline.
 */
#ifndef STRATA_EDGE_H
#define STRATA_EDGE_H

#include "base/bits.h"
#include "memory/forbid.h"
#include "trace/tracer.h"

/* Out of line: room for a copy, or 0 to mark it in place; a full stack. */
uintptr_t gc_copy_room(struct gc_tracer *tracer, const gc_type *type, unsigned generation,
                       size_t bytes);
void gc_stack_overflow(struct gc_tracer *tracer, uintptr_t object);

/* A full stack, for an object that is not settled; an edge that a team may take. */
void gc_marked_overflow(struct gc_tracer *tracer, uintptr_t object);
bool gc_queue_aside(struct gc_tracer *tracer, uintptr_t object);

/* The trace, watching, comes to an object with GC_STATE_KEY, not marked yet
 * (ephemerons.c). */
void gc_ephemeron_fire(struct gc_tracer *tracer, uintptr_t key);

GC_ALWAYS_INLINE void gc_push_object(struct gc_tracer *tracer, uintptr_t object)
{
    if (GC_UNLIKELY(!gc_lane_push(&tracer->stack, object | GC_STACK_OBJECT)))
        gc_stack_overflow(tracer, object);
}

GC_ALWAYS_INLINE uint64_t *gc_mark_word(const struct gc_tracer *tracer, uintptr_t object)
{
    return &tracer->marks[(object - GC_HEADER_BYTES - tracer->base) >> (GC_GRANULE_LOG2 + 6)];
}

/* Whether it was not marked yet. There is no branch in it: see gc_edge_arrives. */
GC_ALWAYS_INLINE bool gc_test_and_mark(struct gc_tracer *tracer, uintptr_t object)
{
    size_t granule = (object - GC_HEADER_BYTES - tracer->base) >> GC_GRANULE_LOG2;
    uint64_t *word = gc_mark_word(tracer, object), old = *word;

    *word = old | (uint64_t)1 << (granule & 63);
    return ~(old >> (granule & 63)) & 1;
}

/* What of an object its scan will need. */
GC_ALWAYS_INLINE void gc_prefetch_object(const struct gc_tracer *tracer, uintptr_t object)
{
    gc_prefetch(gc_header(object));
    gc_prefetch(&tracer->lines[(object - tracer->base) >> GC_LINE_LOG2]);
    if (tracer->reach != 0)
        gc_prefetch((const void *)(object + tracer->reach));
}

/* How many objects wait for that. More if they are large: then less of each is fetched,
 * and sooner scanned. */
GC_ALWAYS_INLINE unsigned gc_most_waiting(const struct gc_tracer *tracer)
{
    return tracer->reach == 0 ? GC_RING : GC_RING / 2;
}

/* From its first byte to its end. Most types say it in one word. */
GC_ALWAYS_INLINE size_t gc_traced_bytes(const gc_type *type, uintptr_t object)
{
    if (GC_LIKELY(type->object_bytes <= GC_SMALL_BYTES))
        return type->object_bytes;
    return gc_extent_bytes(type, object);
}

/* Stamps the lines of an object just marked, and counts it and its granules. */
GC_ALWAYS_INLINE void gc_settle_in_place(struct gc_tracer *tracer, uintptr_t object,
                                         const gc_type *type, unsigned state)
{
    size_t bytes = gc_traced_bytes(type, object);
    size_t from = object - GC_HEADER_BYTES - gc_prefix_bytes(type) - tracer->base;
    size_t line = from >> GC_LINE_LOG2, last = (from + bytes - 1) >> GC_LINE_LOG2;

    if (GC_UNLIKELY(gc_state_action(state) == GC_IN_PLACE_LARGE))
        return;
    tracer->lines[last] = 1;
    for (; line + 8 <= last; line += 8)
        __builtin_memset(&tracer->lines[line], 1, 8); /* one store */
    for (; line < last; line++)
        tracer->lines[line] = 1;
    tracer->live[from >> GC_BLOCK_LOG2] += GC_LIVE_OBJECT + (uint32_t)(bytes >> GC_GRANULE_LOG2);
}

/* The same for one that waited since; returns its type. */
GC_ALWAYS_INLINE const gc_type *gc_settle_marked(struct gc_tracer *tracer, uintptr_t object)
{
    const gc_type *type = gc_header_type(*gc_header(object));

    gc_settle_in_place(tracer, object, type,
                       tracer->state[(object - tracer->base) >> GC_BLOCK_LOG2]);
    return type;
}

static inline void gc_mark_in_place(struct gc_tracer *tracer, uintptr_t object, unsigned state)
{
    const gc_type *type;

    if (!gc_test_and_mark(tracer, object))
        return;
    type = gc_header_type(*gc_header(object));
    gc_settle_in_place(tracer, object, type, state);
    if (type->kind != GC_KIND_LEAF)
        gc_push_object(tracer, object);
}

/* Copies words, at least one; objects are short. */
GC_ALWAYS_INLINE void gc_copy_words(uint64_t *to, const uint64_t *from, size_t count)
{
    if (GC_UNLIKELY(count > 16)) {
        __builtin_memcpy(to, from, count * sizeof *to);
        return;
    }
    if (count & 1) {
        *to++ = *from++;
        count--;
    }
    for (; count != 0; count -= 2, to += 2, from += 2)
        __builtin_memcpy(to, from, 2 * sizeof *to);
}

/* What moves within its generation is not promoted. A block kept young sends up what
 * moves. */
static inline void gc_count_compacted(struct gc_tracer *tracer, uintptr_t object, size_t bytes)
{
    uint32_t block = gc_block_of(tracer->tables, object);
    unsigned generation = tracer->tables->blocks[block].generation;

    if (generation != GC_YOUNG && generation == gc_state_age(tracer->state[block]))
        tracer->counts.compacted_bytes += bytes;
}

/* An object that cannot be copied stays, and its block with it. */
void gc_keep_in_place(struct gc_tracer *tracer, uintptr_t object, unsigned state);

/* The header of a copy: armed, as most are once they have been scanned, and in no set. */
GC_ALWAYS_INLINE uint64_t gc_header_of_copy(uint64_t header)
{
    return (header & ~((uint64_t)0xff << 48)) | (uint64_t)GC_LOG_ARMED << 48;
}

/* A copy of what is not simply so many words from its header on. */
uintptr_t gc_evacuate_odd(struct gc_tracer *tracer, uintptr_t object, unsigned state);

GC_ALWAYS_INLINE uintptr_t gc_evacuate(struct gc_tracer *tracer, uintptr_t object, uint64_t header,
                                       unsigned state)
{
    const gc_type *type = gc_header_type(header);
    size_t bytes = type->object_bytes;
    struct gc_run *run = tracer->run_for[gc_state_age(state)];
    uintptr_t copy = run->bump + GC_HEADER_BYTES, end = run->bump + bytes;

    if (GC_FORBIDS || GC_UNLIKELY(end > run->limit)) /* GC_OUT_OF_LINE is more than any room */
        return gc_evacuate_odd(tracer, object, state);
    gc_fetch_ahead(copy);
    run->bump = end;
    run->objects++;
    *gc_header(copy) = gc_header_of_copy(header);
    gc_copy_words((uint64_t *)copy, (const uint64_t *)object, bytes / sizeof(uint64_t) - 1);
    gc_forward(object, copy);
    if (GC_UNLIKELY(tracer->compacting))
        gc_count_compacted(tracer, object, bytes);
    if (type->kind != GC_KIND_LEAF)
        gc_push_object(tracer, copy);
    return copy;
}

/* Follows an edge to a condemned object; returns where the object is now. */
GC_ALWAYS_INLINE uintptr_t gc_resolve(struct gc_tracer *tracer, uintptr_t object, unsigned state)
{
    uint64_t header;

    if (gc_state_action(state) != GC_EVACUATE) {
        gc_mark_in_place(tracer, object, state);
        return object;
    }
    header = *gc_header(object);
    if (header & (GC_FORWARDED | GC_PINNED_BITS)) {
        if (gc_is_forwarded(header))
            return gc_forwarding(header);
        gc_keep_in_place(tracer, object, state);
        return object;
    }
    return gc_evacuate(tracer, object, header, state);
}

/* Notes the age of what a reference leads to; whether that is condemned. */
GC_ALWAYS_INLINE bool gc_note_target(struct gc_tracer *tracer, unsigned state)
{
    if (gc_state_age(state) < tracer->youngest)
        tracer->youngest = gc_state_age(state);
    return gc_state_action(state) != GC_LEAVE;
}

/* The granule of what a plain reference leads to; more than there are if the
 * word is none. The rotation tests alignment and range at once: low bits that
 * are set make the number too large. */
GC_ALWAYS_INLINE uintptr_t gc_plain_granule(const struct gc_tracer *tracer, uintptr_t word)
{
    uintptr_t offset = word - tracer->base;

    return offset >> GC_GRANULE_LOG2 | offset << (64 - GC_GRANULE_LOG2);
}

GC_ALWAYS_INLINE unsigned gc_granule_state(const struct gc_tracer *tracer, uintptr_t granule)
{
    return tracer->state[granule >> (GC_BLOCK_LOG2 - GC_GRANULE_LOG2)];
}

/* The state of the block that any word leads to, 0 if that is nothing of the heap. */
static inline unsigned gc_state_of_target(const struct gc_tracer *tracer, uintptr_t word)
{
    uintptr_t offset = word - tracer->base;

    if (offset >= tracer->bytes || !(tracer->tags >> (word & 7) & 1))
        return 0;
    return tracer->state[offset >> GC_BLOCK_LOG2];
}

/* Out of line: gc_follow, gc_queue and gc_slot_arrives for a slot that holds no
 * plain reference. */
void gc_follow_tagged(struct gc_tracer *tracer, void *slot);
void gc_queue_tagged(struct gc_tracer *tracer, void *slot);
void gc_arrives_tagged(struct gc_tracer *tracer, void *slot);

GC_ALWAYS_INLINE void gc_follow(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot), granule = gc_plain_granule(tracer, word), now;
    unsigned state;

    if (granule >= tracer->granules) {
        if (GC_UNLIKELY(tracer->other_tags != 0))
            gc_follow_tagged(tracer, slot);
        return;
    }
    state = gc_granule_state(tracer, granule);
    if (!gc_note_target(tracer, state))
        return;
    now = gc_resolve(tracer, word, state);
    if (now != word)
        gc_store_word(slot, now);
}

/* The same, and if it leads to a key that ephemerons wait for, they fire. */
void gc_follow_watching(struct gc_tracer *tracer, void *slot);

static inline void gc_follow_as_due(struct gc_tracer *tracer, void *slot)
{
    if (GC_UNLIKELY(tracer->ephemerons.watching))
        gc_follow_watching(tracer, slot);
    else
        gc_follow(tracer, slot);
}

/* Before a reference to a condemned object is resolved. */
static inline void gc_watch_key(struct gc_tracer *tracer, uintptr_t object)
{
    uint64_t header = *gc_header(object);

    if (!gc_is_forwarded(header) && (header >> 56 & GC_STATE_KEY))
        gc_ephemeron_fire(tracer, object);
}

/* A slot that has waited: its holder has noted the target's age. */
GC_ALWAYS_INLINE void gc_slot_arrives(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot), granule = gc_plain_granule(tracer, word), now;
    unsigned state;

    if (GC_UNLIKELY(granule >= tracer->granules)) {
        gc_arrives_tagged(tracer, slot);
        return;
    }
    state = gc_granule_state(tracer, granule);
    if (gc_state_action(state) == GC_LEAVE)
        return;
    now = gc_resolve(tracer, word, state);
    if (now != word)
        gc_store_word(slot, now);
}

/* An edge has waited: it is followed, but that what it marks is settled later. Whether
 * it marks anything cannot be foretold in a large graph, so no branch asks: it is put on
 * the stack, which is a word longer only if it does. */
GC_ALWAYS_INLINE void gc_edge_arrives(struct gc_tracer *tracer, uintptr_t entry)
{
    struct gc_lane *stack = &tracer->stack;

    if (entry & GC_STACK_SLOT) {
        gc_slot_arrives(tracer, (void *)(entry - GC_STACK_SLOT));
    } else if (GC_LIKELY(gc_lane_has_room(stack))) {
        stack->words[stack->count] = entry | GC_STACK_MARKED;
        stack->count += gc_test_and_mark(tracer, entry);
    } else if (gc_test_and_mark(tracer, entry)) {
        gc_marked_overflow(tracer, entry);
    }
}

GC_ALWAYS_INLINE void gc_edge_waits(struct gc_tracer *tracer, uintptr_t entry)
{
    if (GC_LIKELY(tracer->edges.count == GC_EDGES))
        gc_edge_arrives(tracer, gc_ring_exchange_edge(&tracer->edges, entry));
    else
        gc_ring_put(&tracer->edges, entry);
}

/* An edge to an object in place waits till the word of its mark is fetched. */
GC_ALWAYS_INLINE void gc_queue_object(struct gc_tracer *tracer, uintptr_t object)
{
    gc_prefetch(gc_mark_word(tracer, object));
    gc_edge_waits(tracer, object);
}

/* What of an object its copy will need, but for its end if it is long. Old objects that
 * are compacted have left the cache; the young may still be there. */
GC_ALWAYS_INLINE void gc_prefetch_source(const struct gc_tracer *tracer, uintptr_t object)
{
    gc_prefetch(gc_header(object));
    if (GC_UNLIKELY(tracer->compacting)) {
        gc_prefetch((const void *)(object + GC_CACHE_LINE_BYTES - GC_HEADER_BYTES));
        gc_prefetch((const void *)(object + 2 * GC_CACHE_LINE_BYTES - GC_HEADER_BYTES));
    }
}

/* One to a condemned object, till what it touches is. */
GC_ALWAYS_INLINE void gc_queue_edge(struct gc_tracer *tracer, void *slot, uintptr_t object,
                                    unsigned state)
{
    if (gc_state_action(state) == GC_EVACUATE) {
        gc_prefetch_source(tracer, object);
        gc_edge_waits(tracer, (uintptr_t)slot | GC_STACK_SLOT);
    } else if (GC_LIKELY(tracer->team == NULL) || !gc_queue_aside(tracer, object)) {
        gc_queue_object(tracer, object);
    }
}

/* Of a holder that is condemned, and so not frozen, nothing need be noted for an edge to
 * an object of gen2 in place, which most lead to. */
GC_ALWAYS_INLINE void gc_queue_from(struct gc_tracer *tracer, void *slot, bool condemned)
{
    uintptr_t word = gc_load_word(slot), granule = gc_plain_granule(tracer, word);
    unsigned state;

    if (granule >= tracer->granules) {
        if (GC_UNLIKELY(tracer->other_tags != 0))
            gc_queue_tagged(tracer, slot);
        return;
    }
    state = gc_granule_state(tracer, granule);
    if (condemned && state == gc_state(GC_OLD, GC_IN_PLACE))
        gc_queue_object(tracer, word);
    else if (gc_note_target(tracer, state))
        gc_queue_edge(tracer, slot, word, state);
}

GC_ALWAYS_INLINE void gc_queue(struct gc_tracer *tracer, void *slot)
{
    gc_queue_from(tracer, slot, false);
}

#endif
