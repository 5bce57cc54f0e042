/* SPDX-License-Identifier: MIT */
#include "trace/tracer.h"

#include "base/check.h"
#include "trace/edge.h"
#include "trace/ephemerons.h"

enum {
    SECOND_LINE = 40, /* bytes into an object: most end here or before, often on another line */
    LARGE_MEAN = 256  /* bytes */
};

bool gc_tracer_create(struct gc_tracer *tracer, struct gc_spaces *spaces,
                      struct gc_remembered *remembered, size_t capacity, size_t first)
{
    struct gc_tables *tables = spaces->tables;

    *tracer = (struct gc_tracer){.spaces = spaces,
                                 .tables = tables,
                                 .remembered = remembered,
                                 .base = tables->base,
                                 .bytes = tables->bytes,
                                 .state = tables->state,
                                 .marks = tables->marks,
                                 .lines = tables->lines,
                                 .live = tables->live};
    /* A block kept young sends up what moves out of it all the same. */
    tracer->run_for[GC_YOUNG] = tracer->run_for[GC_MIDDLE] = &tracer->to[GC_MIDDLE];
    tracer->run_for[GC_OLD] = &tracer->to[GC_OLD];
    gc_tracer_set_tags(tracer, 1);
    return gc_ephemerons_create(&tracer->ephemerons, tables->bytes) &&
           gc_lane_create(&tracer->stack, capacity, first);
}

void gc_tracer_destroy(struct gc_tracer *tracer)
{
    gc_ephemerons_destroy(&tracer->ephemerons);
    gc_lane_destroy(&tracer->stack);
}

void gc_tracer_set_tags(struct gc_tracer *tracer, unsigned tags)
{
    tracer->tags = tags;
    tracer->other_tags = tags & ~1u;
    tracer->granules = tags & 1 ? tracer->bytes >> GC_GRANULE_LOG2 : 0;
}

/* Most objects are leaves, or have their references in front, where the mean is large:
 * their second line is fetched for nothing. */
static unsigned choose_reach(const struct gc_spaces *spaces)
{
    const struct gc_generation *old = &spaces->generations[GC_OLD];
    size_t counted = old->bytes - old->large_bytes - spaces->births_bytes;

    return counted > old->objects * LARGE_MEAN ? 0 : SECOND_LINE;
}

void gc_tracer_begin(struct gc_tracer *tracer, unsigned oldest, enum gc_prefetch prefetch)
{
    tracer->oldest = oldest;
    tracer->prefetch = prefetch;
    tracer->overflowed = false;
    tracer->mark_only = false;
    tracer->fill_holes = oldest < GC_OLD;
    tracer->compacting = false;
    tracer->reach = choose_reach(tracer->spaces);
    tracer->counts = (struct gc_trace_counts){0};
    for (int i = 0; i < GC_GENERATIONS; i++) {
        gc_run_reset(&tracer->to[i]);
        gc_run_reset(&tracer->medium[i]);
    }
}

/* What a run counted joins what was marked in place. */
static void count_run(struct gc_tracer *tracer, int generation, const struct gc_run *run)
{
    tracer->counts.moved_bytes += run->bytes;
    tracer->counts.bytes[generation] += run->bytes;
    tracer->counts.objects[generation] += run->objects;
}

void gc_tracer_end(struct gc_tracer *tracer)
{
    for (int i = 0; i < GC_GENERATIONS; i++) {
        gc_copy_run_close(tracer->spaces, &tracer->to[i]);
        gc_copy_run_close(tracer->spaces, &tracer->medium[i]);
        count_run(tracer, i, &tracer->to[i]);
        count_run(tracer, i, &tracer->medium[i]);
    }
}

void gc_trace_edge(struct gc_tracer *tracer, void *slot)
{
    gc_follow_as_due(tracer, slot);
}

/* The tag stays with the slot. */
static void resolve_tagged(struct gc_tracer *tracer, void *slot, unsigned state)
{
    uintptr_t word = gc_load_word(slot), object = word & ~(uintptr_t)7;
    uintptr_t now = gc_resolve(tracer, object, state);

    if (now != object)
        gc_store_word(slot, now | (word & 7));
}

void gc_follow_tagged(struct gc_tracer *tracer, void *slot)
{
    unsigned state = gc_state_of_target(tracer, gc_load_word(slot));

    if (gc_note_target(tracer, state))
        resolve_tagged(tracer, slot, state);
}

void gc_queue_tagged(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot);
    unsigned state = gc_state_of_target(tracer, word);

    if (gc_note_target(tracer, state))
        gc_queue_edge(tracer, slot, word & ~(uintptr_t)7, state);
}

void gc_arrives_tagged(struct gc_tracer *tracer, void *slot)
{
    unsigned state = gc_state_of_target(tracer, gc_load_word(slot));

    if (gc_state_action(state) != GC_LEAVE)
        resolve_tagged(tracer, slot, state);
}

void gc_follow_watching(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot);
    unsigned state = gc_state_of_target(tracer, word);

    if (!gc_note_target(tracer, state))
        return;
    gc_watch_key(tracer, word & ~(uintptr_t)7);
    resolve_tagged(tracer, slot, state);
}

uintptr_t gc_trace_kept(struct gc_tracer *tracer, uintptr_t object)
{
    uintptr_t offset = object - tracer->base;
    unsigned state;

    if (offset >= tracer->bytes)
        return object;
    state = tracer->state[offset >> GC_BLOCK_LOG2];
    if (gc_state_age(state) < tracer->youngest)
        tracer->youngest = gc_state_age(state);
    if (gc_state_action(state) == GC_LEAVE)
        return object;
    if (GC_UNLIKELY(tracer->ephemerons.watching))
        gc_watch_key(tracer, object);
    return gc_resolve(tracer, object, state);
}

void gc_trace_root(struct gc_tracer *tracer, void *slot)
{
    if (tracer->prefetch == GC_PREFETCH_NONE)
        gc_follow(tracer, slot);
    else
        gc_queue(tracer, slot);
}

void gc_trace_object(struct gc_tracer *tracer, uintptr_t object, const gc_type *type)
{
    static const struct gc_visitor exact = {gc_trace_edge, gc_trace_kept, NULL};
    static const struct gc_visitor mixed = {gc_trace_edge, gc_trace_kept, gc_trace_ambiguous};

    tracer->visitor = type->flags & GC_TYPE_AMBIGUOUS ? &mixed : &exact;
    type->trace(tracer, (void *)object);
    tracer->visitor = NULL;
}

uintptr_t gc_trace_survivor(const struct gc_tracer *tracer, uintptr_t object)
{
    uint8_t state = tracer->state[gc_block_of(tracer->tables, object)];
    uint64_t header;

    if (gc_state_action(state) == GC_LEAVE)
        return object;
    header = *gc_header(object);
    if (gc_is_forwarded(header))
        return gc_forwarding(header);
    return gc_bit_get(tracer->marks, gc_granule_of(tracer->tables, object)) ? object : 0;
}

void gc_trace_slot(gc_tracer *tracer, void *slot)
{
    if (tracer->visitor == NULL || tracer->visitor->slot == NULL)
        gc_misuse("gc_trace_slot", "only a trace callback of exact references may call it");
    tracer->visitor->slot(tracer, slot);
}

void *gc_trace_reference(gc_tracer *tracer, void *reference)
{
    if (tracer->visitor == NULL || tracer->visitor->reference == NULL)
        gc_misuse("gc_trace_reference", "only a trace callback of exact references may call it");
    return (void *)tracer->visitor->reference(tracer, (uintptr_t)reference);
}

void gc_trace_word(gc_tracer *tracer, uintptr_t word)
{
    if (tracer->visitor == NULL || tracer->visitor->word == NULL)
        gc_misuse("gc_trace_word", "only a callback declared ambiguous may call it");
    tracer->visitor->word(tracer, word);
}
