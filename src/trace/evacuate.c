/* SPDX-License-Identifier: MIT
 *
 * Where copies go, and what happens when there is no room for them.
 */
#include "trace/edge.h"

/* Bytes to leave out so that the payload is aligned; they are zeroed, for a
 * parse passes over zeroes. */
static size_t padding_for(const gc_type *type, uintptr_t start)
{
    uintptr_t payload = start + gc_prefix_bytes(type) + GC_HEADER_BYTES;

    return gc_round_up(payload, type->alignment) - payload;
}

static uintptr_t bump(struct gc_run *run, const gc_type *type, size_t bytes)
{
    uintptr_t start = run->bump;
    size_t padding = padding_for(type, start);

    if (run->block == GC_NO_BLOCK || run->limit - start < bytes + padding)
        return 0;
    for (size_t i = 0; i < padding; i += GC_GRANULE_BYTES)
        *(uint64_t *)(start + i) = 0;
    run->bump = start + padding + bytes;
    run->tallied += padding; /* no object's */
    return start + padding;
}

enum { MEDIUM_BYTES = 8 * GC_LINE_BYTES };

/* An object much longer than a line does not make its run skip holes: it goes
 * through a run of free blocks (Immix's overflow allocation, Blackburn and
 * McKinley 2008). */
uintptr_t gc_copy_room(struct gc_tracer *tracer, const gc_type *type, unsigned generation,
                       size_t bytes)
{
    bool holes = generation == GC_OLD && tracer->fill_holes;
    bool medium = holes && bytes > MEDIUM_BYTES;
    struct gc_run *run = medium ? &tracer->medium[generation] : &tracer->to[generation];
    uintptr_t start = bump(run, type, bytes);

    if (start != 0 || tracer->mark_only)
        return start;
    if (!gc_copy_run_next(tracer->spaces, run, generation, bytes + type->alignment,
                          holes && !medium)) {
        tracer->mark_only = true;
        return 0;
    }
    return bump(run, type, bytes);
}

void gc_keep_in_place(struct gc_tracer *tracer, uintptr_t object, uint8_t state)
{
    uint8_t *bits = gc_state_byte(object);

    tracer->tables->blocks[gc_block_of(tracer->tables, object)].flags |= GC_BLOCK_HAS_PINS;
    if (!(*bits & (GC_STATE_PINNED | GC_STATE_PINNED_ONCE))) {
        *bits |= GC_STATE_PINNED_ONCE;
        tracer->counts.copy_failures++;
    }
    gc_mark_in_place(tracer, object, state);
}
