/* SPDX-License-Identifier: MIT
 *
 * One edge of the object graph: the innermost step of a trace, inline.
 */
#ifndef STRATA_EDGE_H
#define STRATA_EDGE_H

#include "base/bits.h"
#include "trace/tracer.h"

/* Out of line: room for a copy, or 0 to mark it in place; a full stack. */
uintptr_t gc_copy_room(struct gc_tracer *tracer, const gc_type *type, unsigned generation,
                       size_t bytes);
void gc_stack_overflow(struct gc_tracer *tracer, uintptr_t object);

/* The trace, watching, comes to an object with GC_STATE_KEY, not marked yet
 * (ephemerons.c). */
void gc_ephemeron_fire(struct gc_tracer *tracer, uintptr_t key);

GC_ALWAYS_INLINE void gc_push_object(struct gc_tracer *tracer, uintptr_t object)
{
    if (GC_UNLIKELY(!gc_lane_push(&tracer->stack, object | GC_STACK_OBJECT)))
        gc_stack_overflow(tracer, object);
}

GC_ALWAYS_INLINE void gc_count_survivor(struct gc_tracer *tracer, unsigned age, size_t bytes)
{
    tracer->counts.bytes[age] += bytes;
    tracer->counts.objects[age]++;
}

GC_ALWAYS_INLINE bool gc_test_and_mark(struct gc_tracer *tracer, uintptr_t object)
{
    size_t granule = (object - GC_HEADER_BYTES - tracer->base) >> GC_GRANULE_LOG2;
    uint64_t *word = &tracer->marks[granule >> 6], bit = (uint64_t)1 << (granule & 63);

    if (*word & bit)
        return false;
    *word |= bit;
    return true;
}

/* Stamps the lines of an object just marked, and counts it. */
GC_ALWAYS_INLINE void gc_settle_in_place(struct gc_tracer *tracer, uintptr_t object,
                                         const gc_type *type, uint8_t state)
{
    uintptr_t end = gc_object_end(type, object);
    uintptr_t start = object - GC_HEADER_BYTES - gc_prefix_bytes(type);

    if (gc_state_action(state) != GC_IN_PLACE_LARGE) {
        gc_lines_occupy(tracer->tables, start, end);
        tracer->tables->live[gc_block_of(tracer->tables, object)] +=
            (uint16_t)((end - start) >> GC_GRANULE_LOG2);
    }
    tracer->counts.in_place_bytes += end - start;
    gc_count_survivor(tracer, gc_state_age(state), end - start);
}

static inline void gc_mark_in_place(struct gc_tracer *tracer, uintptr_t object, uint8_t state)
{
    const gc_type *type;

    if (!gc_test_and_mark(tracer, object))
        return;
    type = gc_header_type(*gc_header(object));
    gc_settle_in_place(tracer, object, type, state);
    if (type->kind != GC_KIND_LEAF)
        gc_push_object(tracer, object);
}

/* Copies words; objects are short. */
GC_ALWAYS_INLINE void gc_copy_words(uint64_t *to, const uint64_t *from, size_t bytes)
{
    if (GC_UNLIKELY(bytes > 128)) {
        __builtin_memcpy(to, from, bytes);
        return;
    }
    for (size_t i = 0; i < bytes / sizeof *to; i++)
        to[i] = from[i];
}

/* Of what moves to gen2, that which was there before is not promoted. */
static inline void gc_count_compacted(struct gc_tracer *tracer, uintptr_t object, size_t bytes)
{
    if (tracer->tables->blocks[gc_block_of(tracer->tables, object)].generation == GC_OLD)
        tracer->counts.compacted_bytes += bytes;
}

/* An object that cannot be copied stays, and its block with it. */
void gc_keep_in_place(struct gc_tracer *tracer, uintptr_t object, uint8_t state);

GC_ALWAYS_INLINE uintptr_t gc_evacuate(struct gc_tracer *tracer, uintptr_t object, uint64_t header,
                                       uint8_t state)
{
    const gc_type *type = gc_header_type(header);
    size_t prefix = gc_prefix_bytes(type), bytes = gc_extent_bytes(type, object);
    /* A block kept young sends up what moves out of it all the same. */
    unsigned generation = gc_state_age(state) == GC_YOUNG ? GC_MIDDLE : gc_state_age(state);
    struct gc_run *run = &tracer->to[generation];
    uintptr_t start = run->bump, copy;

    if (GC_UNLIKELY(bytes > run->limit - start || type->alignment != GC_GRANULE_BYTES)) {
        start = gc_copy_room(tracer, type, generation, bytes);
        if (start == 0) {
            gc_keep_in_place(tracer, object, state);
            return object;
        }
    } else {
        run->bump = start + bytes;
    }
    copy = start + prefix + GC_HEADER_BYTES;
    gc_copy_words((uint64_t *)start, (const uint64_t *)(object - GC_HEADER_BYTES - prefix), bytes);
    *gc_log_byte(copy) = 0;
    gc_forward(object, copy);
    run->objects++;
    if (GC_UNLIKELY(tracer->compacting))
        gc_count_compacted(tracer, object, bytes);
    if (type->kind != GC_KIND_LEAF)
        gc_push_object(tracer, copy);
    return copy;
}

/* Follows an edge to a condemned object; returns where the object is now. */
GC_ALWAYS_INLINE uintptr_t gc_resolve(struct gc_tracer *tracer, uintptr_t object, uint8_t state)
{
    uint64_t header;

    if (gc_state_action(state) != GC_EVACUATE) {
        gc_mark_in_place(tracer, object, state);
        return object;
    }
    header = *gc_header(object);
    if (gc_is_forwarded(header))
        return gc_forwarding(header);
    if (GC_UNLIKELY(gc_is_pinned(header))) {
        gc_keep_in_place(tracer, object, state);
        return object;
    }
    return gc_evacuate(tracer, object, header, state);
}

/* What a word leads to: false if that is nothing of this collection. Notes the
 * age of what it leads to. */
GC_ALWAYS_INLINE bool gc_is_condemned(struct gc_tracer *tracer, uintptr_t word, uint8_t *state)
{
    uintptr_t offset = word - tracer->base;

    if (offset >= tracer->bytes || !(tracer->tags >> (word & 7) & 1))
        return false;
    *state = tracer->state[offset >> GC_BLOCK_LOG2];
    if (gc_state_age(*state) < tracer->youngest)
        tracer->youngest = gc_state_age(*state);
    return gc_state_action(*state) != GC_LEAVE;
}

GC_ALWAYS_INLINE void gc_follow(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot), object = word & ~(uintptr_t)7, now;
    uint8_t state;

    if (!gc_is_condemned(tracer, word, &state))
        return;
    now = gc_resolve(tracer, object, state);
    if (now != object)
        gc_store_word(slot, now | (word & 7));
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

/* Queues an edge to be followed when what it touches has been fetched. */
GC_ALWAYS_INLINE void gc_queue(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot), entry;
    uint8_t state;

    if (!gc_is_condemned(tracer, word, &state))
        return;
    entry = gc_state_action(state) == GC_EVACUATE ? (uintptr_t)slot | GC_STACK_SLOT
                                                  : (word & ~(uintptr_t)7) | GC_STACK_EDGE;
    if (GC_UNLIKELY(!gc_lane_push(&tracer->stack, entry)))
        gc_follow(tracer, slot);
}

#endif
