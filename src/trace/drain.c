/* SPDX-License-Identifier: MIT
 *
 * Following everything that is on the stack.
 *
 * A trace of what fits the cache is a plain loop: an edge is followed when it
 * is seen. A trace of more waits for memory most of its time, so it keeps many
 * misses under way by two queues: each edge that is seen goes through the first,
 * untested, while the bitmap word of its target is fetched, and what it marks is
 * pushed on the stack; what is popped goes through the second, a batch at a time, while
 * its header and what follows it are. So an object is on the stack once at most, however many
 * edges lead to it. (Cher, Hosking and Vitek 2004 put a queue before the mark; the
 * second is ours.) A large trace is shared by a team (team.h), if the heap has one.
 */
#include "trace/cards.h"
#include "trace/edge.h"
#include "trace/ephemerons.h"
#include "trace/holder.h"
#include "trace/scan.h"
#include "trace/team.h"
#include "trace/types.h"

enum { ARRAY_PIECE = 256 };

/* Both words or none. */
static bool push_rest(struct gc_lane *stack, uintptr_t array, size_t from)
{
    size_t count = stack->count;

    if (gc_lane_push(stack, from) && gc_lane_push(stack, array | GC_STACK_ARRAY))
        return true;
    stack->count = count;
    return false;
}

/* Scans part of an array and leaves the rest on the stack, so that a large
 * array does not fill it. */
GC_ALWAYS_INLINE void scan_piece(struct gc_tracer *tracer, uintptr_t object, const gc_type *type,
                                 size_t from, gc_scan_slot_fn *visit)
{
    size_t length = gc_object_length(object), to = gc_min(from + ARRAY_PIECE, length);

    if (to < length && !push_rest(&tracer->stack, object, to))
        gc_stack_overflow(tracer, object);
    gc_scan_elements(tracer, object, type, (struct gc_span){from, to}, visit);
}

static void scan_traced(struct gc_tracer *tracer, uintptr_t object, const gc_type *type)
{
    if (type->kind == GC_KIND_CONSERVATIVE)
        gc_scan_words(tracer, object, type, gc_trace_ambiguous);
    else if (type->kind == GC_KIND_TRACED)
        gc_trace_object(tracer, object, type);
}

/* The first instance of a retired type: scanned when the kind is right. */
GC_NEVER_INLINE static void note_retired(struct gc_tracer *tracer, uintptr_t object,
                                         const gc_type *type)
{
    gc_type_seen(tracer, type);
    gc_push_object(tracer, object);
}

GC_ALWAYS_INLINE void scan_object(struct gc_tracer *tracer, uintptr_t object, const gc_type *type,
                                  gc_scan_slot_fn *visit)
{
    tracer->youngest = GC_GENERATIONS;
    if (GC_LIKELY(type->kind == GC_KIND_STRUCT)) {
        gc_scan_offsets(tracer, object, type->refs, type->ref_count, visit);
    } else if (type->kind == GC_KIND_REFERENCES || type->kind == GC_KIND_ARRAY) {
        if (GC_UNLIKELY(gc_has_cards(tracer->tables, object))) {
            gc_cards_scan_all(tracer, object);
            return;
        }
        gc_scan_offsets(tracer, object, type->refs, type->ref_count, visit);
        if (gc_has_elements(type))
            scan_piece(tracer, object, type, 0, visit);
    } else if (GC_UNLIKELY(type->kind == GC_KIND_RETIRED)) {
        note_retired(tracer, object, type);
        return;
    } else if (type->kind > GC_KIND_RETIRED) {
        gc_ephemeron_scan(tracer, object);
        return;
    } else {
        scan_traced(tracer, object, type);
    }
    gc_holder_scanned(tracer, object);
}

/* Goes on with an array; what it is must be remembered for may grow. */
GC_ALWAYS_INLINE void scan_on(struct gc_tracer *tracer, uintptr_t object, size_t from,
                              gc_scan_slot_fn *visit)
{
    tracer->youngest = GC_GENERATIONS;
    scan_piece(tracer, object, gc_header_type(*gc_header(object)), from, visit);
    if (tracer->youngest < gc_age_of(tracer->tables, object))
        gc_holder_scanned_on(tracer, object);
}

/* Settles and scans an object that was marked. */
GC_ALWAYS_INLINE void scan_marked(struct gc_tracer *tracer, uintptr_t object,
                                  gc_scan_slot_fn *visit)
{
    const gc_type *type = gc_settle_marked(tracer, object);

    if (type->kind != GC_KIND_LEAF)
        scan_object(tracer, object, type, visit);
}

/* An entry of any other kind. */
GC_ALWAYS_INLINE void scan_entry(struct gc_tracer *tracer, uintptr_t entry, gc_scan_slot_fn *visit)
{
    uintptr_t target = entry & ~(uintptr_t)3;

    if ((entry & 3) == GC_STACK_OBJECT)
        scan_object(tracer, target, gc_header_type(*gc_header(target)), visit);
    else if ((entry & 3) == GC_STACK_ARRAY)
        scan_on(tracer, target, tracer->stack.words[--tracer->stack.count], visit);
    else
        visit(tracer, (void *)target);
}

static void drain_plain(struct gc_tracer *tracer)
{
    while (tracer->stack.count > 0) {
        uintptr_t entry = tracer->stack.words[--tracer->stack.count];

        if (GC_LIKELY((entry & 3) != GC_STACK_MARKED))
            scan_entry(tracer, entry, gc_follow);
        else
            scan_marked(tracer, entry, gc_follow);
    }
}

/* The same on the way to the fixpoint of ephemerons. Nothing is pinned then. */
static void drain_watching(struct gc_tracer *tracer)
{
    while (tracer->stack.count > 0)
        scan_entry(tracer, tracer->stack.words[--tracer->stack.count], gc_follow_watching);
}

/* Pops a batch of entries; those that were marked wait, and as many that did are
 * scanned. */
GC_ALWAYS_INLINE void pop_queued(struct gc_tracer *tracer, struct gc_ring *marked,
                                 gc_scan_slot_fn *visit)
{
    for (int i = 0; i < GC_BATCH && tracer->stack.count > 0; i++) {
        uintptr_t entry = tracer->stack.words[--tracer->stack.count];

        if (GC_UNLIKELY((entry & 3) != GC_STACK_MARKED)) {
            scan_entry(tracer, entry, visit);
            continue;
        }
        gc_prefetch_object(tracer, entry);
        gc_ring_put(marked, entry);
    }
    while (!gc_ring_takes_batch(marked, gc_most_waiting(tracer)))
        scan_marked(tracer, gc_ring_take(marked), visit);
}

/* With nothing on the stack the oldest of a queue goes at once: a list has one
 * edge at a time. */
GC_ALWAYS_INLINE bool pass_oldest(struct gc_tracer *tracer, struct gc_ring *marked,
                                  gc_scan_slot_fn *visit)
{
    if (GC_UNLIKELY(tracer->card_scan_count > 0))
        gc_cards_scan_on(tracer);
    else if (tracer->edges.count > 0)
        gc_edge_arrives(tracer, gc_ring_take(&tracer->edges));
    else if (marked->count > 0)
        scan_marked(tracer, gc_ring_take(marked), visit);
    else
        return false;
    return true;
}

/* Follows the edges that wait; `visit` takes those met on the way. */
GC_ALWAYS_INLINE void drain_queued(struct gc_tracer *tracer, gc_scan_slot_fn *visit)
{
    struct gc_ring marked = {.count = 0};

    do
        while (tracer->stack.count > 0)
            pop_queued(tracer, &marked, visit);
    while (pass_oldest(tracer, &marked, visit));
}

/* There is no team, which would be asked first. */
GC_ALWAYS_INLINE void queue(struct gc_tracer *tracer, void *slot)
{
    gc_queue_from(tracer, slot, true);
}

static void drain_all_queued(struct gc_tracer *tracer)
{
    drain_queued(tracer, queue);
}

static void drain_shallow(struct gc_tracer *tracer)
{
    drain_queued(tracer, gc_follow);
}

/* Edges to what stays are for the team. If it has enough, it is time for it: but
 * here an object is being scanned. */
GC_NEVER_INLINE bool gc_queue_aside(struct gc_tracer *tracer, uintptr_t object)
{
    return gc_team_put_aside(tracer->team, object);
}

static void drain_with_team(struct gc_tracer *tracer)
{
    struct gc_ring marked = {.count = 0};

    do {
        if (GC_UNLIKELY(gc_team_is_full(tracer->team)))
            gc_team_mark(tracer->team, tracer);
        if (tracer->stack.count > 0)
            pop_queued(tracer, &marked, gc_queue);
    } while (tracer->stack.count > 0 || pass_oldest(tracer, &marked, gc_queue) ||
             gc_team_mark(tracer->team, tracer));
}

/* ---- A full stack ---- */

GC_NEVER_INLINE void gc_stack_overflow(struct gc_tracer *tracer, uintptr_t object)
{
    tracer->tables->blocks[gc_block_of(tracer->tables, object)].flags |= GC_BLOCK_OVERFLOWED;
    tracer->overflowed = true;
    tracer->counts.overflows++;
}

GC_NEVER_INLINE void gc_marked_overflow(struct gc_tracer *tracer, uintptr_t object)
{
    if (gc_settle_marked(tracer, object)->kind != GC_KIND_LEAF)
        gc_stack_overflow(tracer, object);
}

static void drain_stack(struct gc_tracer *tracer)
{
    if (tracer->ephemerons.watching)
        drain_watching(tracer);
    else if (tracer->prefetch == GC_PREFETCH_SHALLOW)
        drain_shallow(tracer);
    else if (tracer->team != NULL) /* which is for traces that prefetch all */
        drain_with_team(tracer);
    else if (tracer->prefetch == GC_PREFETCH_ALL)
        drain_all_queued(tracer);
    else
        drain_plain(tracer);
}

static void scan_again(uintptr_t object, void *data)
{
    struct gc_tracer *tracer = data;
    uint64_t header = *gc_header(object);

    if (!gc_is_forwarded(header) && gc_header_type(header)->kind != GC_KIND_LEAF)
        scan_object(tracer, object, gc_header_type(header), gc_follow_as_due);
    drain_stack(tracer);
}

/* Scans every live object of a flagged block again. What was scanned before
 * leads to nothing new; what was not goes on from here. */
static void scan_block_again(struct gc_tracer *tracer, uint32_t block)
{
    struct gc_tables *tables = tracer->tables;

    if (gc_state_action(tables->state[block]) == GC_LEAVE)
        gc_block_visit_objects(tables, block, scan_again, tracer);
    else
        gc_block_visit(tables, block, tables->marks, scan_again, tracer);
}

static void sync_runs(struct gc_tracer *tracer)
{
    for (int i = 0; i < GC_GENERATIONS; i++) {
        gc_copy_run_sync(tracer->spaces, &tracer->to[i]);
        gc_copy_run_sync(tracer->spaces, &tracer->medium[i]);
    }
}

static void scan_flagged(struct gc_tracer *tracer)
{
    size_t blocks = tracer->spaces->blocks->chunks_high * GC_CHUNK_BLOCKS;

    tracer->overflowed = false;
    for (uint32_t block = 0; block < blocks; block++) {
        struct gc_block *info = &tracer->tables->blocks[block];

        if (tracer->state[block] == 0 || !(info->flags & GC_BLOCK_OVERFLOWED))
            continue;
        info->flags &= (uint8_t)~GC_BLOCK_OVERFLOWED;
        sync_runs(tracer);
        scan_block_again(tracer, block);
    }
}

void gc_trace_drain(struct gc_tracer *tracer)
{
    drain_stack(tracer);
    while (tracer->overflowed)
        scan_flagged(tracer);
}
