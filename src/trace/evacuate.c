/* SPDX-License-Identifier: MIT
 *
 * Where copies go, and what happens when there is no room for them.
 */
#include "memory/forbid.h"
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
    uintptr_t end = start + padding + bytes;

    if (run->block == GC_NO_BLOCK || run->limit - start < padding + bytes + GC_REDZONE_BYTES)
        return 0;
    gc_zero(start, start + padding);
    gc_zero(end, end + GC_REDZONE_BYTES);
    run->bump = end + GC_REDZONE_BYTES;
    run->tallied += padding + GC_REDZONE_BYTES; /* no object's */
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

uintptr_t gc_evacuate_odd(struct gc_tracer *tracer, uintptr_t object, unsigned state)
{
    uint64_t header = *gc_header(object);
    const gc_type *type = gc_header_type(header);
    size_t prefix = gc_prefix_bytes(type), bytes = gc_extent_bytes(type, object);
    struct gc_run *run = tracer->run_for[gc_state_age(state)];
    uintptr_t start = run->bump, copy;

    if (GC_FORBIDS || bytes > run->limit - start || type->alignment != GC_GRANULE_BYTES) {
        start = gc_copy_room(tracer, type, (unsigned)(run - tracer->to), bytes);
        if (start == 0) {
            gc_keep_in_place(tracer, object, state);
            return object;
        }
    } else {
        run->bump = start + bytes;
    }
    copy = start + prefix + GC_HEADER_BYTES;
    gc_copy_whole(start, object - GC_HEADER_BYTES - prefix, bytes);
    *gc_header(copy) = gc_header_of_copy(header);
    gc_forward(object, copy);
    run->objects++;
    if (tracer->compacting)
        gc_count_compacted(tracer, object, bytes);
    if (type->kind != GC_KIND_LEAF)
        gc_push_object(tracer, copy);
    return copy;
}

void gc_keep_in_place(struct gc_tracer *tracer, uintptr_t object, unsigned state)
{
    uint8_t *bits = gc_state_byte(object);

    tracer->tables->blocks[gc_block_of(tracer->tables, object)].flags |= GC_BLOCK_HAS_PINS;
    if (!(*bits & (GC_STATE_PINNED | GC_STATE_PINNED_ONCE))) {
        *bits |= GC_STATE_PINNED_ONCE;
        tracer->counts.copy_failures++;
    }
    gc_mark_in_place(tracer, object, state);
}
