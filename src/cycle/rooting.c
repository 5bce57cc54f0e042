/* SPDX-License-Identifier: MIT
 *
 * Where a trace begins: the holders that were remembered, and the exact roots.
 */
#include "cycle/phases.h"

#include "trace/edge.h"
#include "trace/holder.h"

enum { AHEAD = 8 }; /* entries of a lane to prefetch ahead */

static void swap(struct gc_lane *a, struct gc_lane *b)
{
    struct gc_lane kept = *a;

    *a = *b;
    *b = kept;
}

static bool is_condemned(const struct gc_tracer *tracer, uintptr_t holder)
{
    return gc_state_action(tracer->state[gc_block_of(tracer->tables, holder)]) != GC_LEAVE;
}

/* Drops condemned holders (what says that an array is in the log goes when its cards
 * are scanned) and sets `bits` aside in the log bytes of the others. */
static void begin_lane(struct gc_tracer *tracer, struct gc_lane *lane, uint8_t clear, uint8_t set)
{
    size_t kept = 0;

    for (size_t i = 0; i < lane->count; i++) {
        uintptr_t holder = lane->words[i];

        if (i + AHEAD < lane->count)
            gc_prefetch_object(tracer, lane->words[i + AHEAD]);
        if (is_condemned(tracer, holder)) {
            *gc_log_byte(holder) &= (uint8_t)~GC_LOG_REMEMBERED;
            continue;
        }
        *gc_log_byte(holder) = (uint8_t)((*gc_log_byte(holder) & ~clear) | set);
        lane->words[kept++] = holder;
    }
    lane->count = kept;
}

/* An entry that occurs twice is disarmed by the first if it is logged again. */
static void trace_log(struct gc_tracer *tracer, struct gc_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++)
        if (*gc_log_byte(lane->words[i]) & GC_LOG_ARMED)
            gc_trace_holder(tracer, lane->words[i]);
    lane->count = 0;
}

/* One whose bit is set was filed anew by now. */
static void trace_set(struct gc_tracer *tracer, struct gc_lane *lane, uint8_t bit)
{
    for (size_t i = 0; i < lane->count; i++)
        if (!(*gc_log_byte(lane->words[i]) & bit))
            gc_trace_holder(tracer, lane->words[i]);
    lane->count = 0;
}

static void trace_lost_holder(uintptr_t holder, void *data)
{
    struct gc_tracer *tracer = data;

    if (gc_has_cards(tracer->tables, holder))
        *gc_log_byte(holder) &= (uint8_t)~GC_LOG_NOTED; /* it found no room in the log */
    gc_trace_holder(tracer, holder);
}

/* Every object of a block whose holders could not be noted is one. */
static void trace_lost(struct gc_collector *collector)
{
    struct gc_tables *tables = &collector->tables;
    size_t blocks = collector->blocks.chunks_high * GC_CHUNK_BLOCKS;

    if (!collector->remembered.lost)
        return;
    collector->remembered.lost = false;
    for (uint32_t block = 0; block < blocks; block++) {
        struct gc_block *info = &tables->blocks[block];

        if (tables->state[block] == 0 || !(info->flags & GC_BLOCK_ALL_REMEMBERED))
            continue;
        info->flags &= (uint8_t)~GC_BLOCK_ALL_REMEMBERED;
        gc_block_visit_objects(tables, block, trace_lost_holder, &collector->tracer);
    }
}

/* The frozen set goes first, then the old one: what one keeps, the next need
 * not add again. */
void gc_trace_remembered(struct gc_collector *collector)
{
    struct gc_remembered *remembered = &collector->remembered;
    struct gc_tracer *tracer = &collector->tracer;

    swap(&remembered->log, &remembered->log_before);
    begin_lane(tracer, &remembered->log_before, GC_LOG_NOTED, GC_LOG_ARMED);
    if (tracer->oldest >= GC_MIDDLE) {
        swap(&remembered->old, &remembered->old_before);
        begin_lane(tracer, &remembered->old_before, GC_LOG_REMEMBERED, 0);
    }
    if (tracer->oldest == GC_OLD) {
        swap(&remembered->frozen, &remembered->frozen_before);
        begin_lane(tracer, &remembered->frozen_before, GC_LOG_FROZEN, 0);
        trace_set(tracer, &remembered->frozen_before, GC_LOG_FROZEN);
    }
    trace_set(tracer, &remembered->old_before, GC_LOG_REMEMBERED);
    trace_log(tracer, &remembered->log_before);
    trace_lost(collector);
}

static void trace_ranges(struct gc_collector *collector)
{
    for (size_t i = 0; i < collector->roots.ranges.count; i++) {
        const struct gc_root *root = gc_set_at(&collector->roots.ranges, i);
        uintptr_t slot = root->key.first;

        if (root->exactness == GC_EXACT)
            for (size_t word = 0; word < root->count; word++)
                gc_trace_root(&collector->tracer, (void *)(slot + word * sizeof slot));
    }
}

static void trace_callbacks(struct gc_collector *collector)
{
    static const struct gc_visitor visitor = {gc_trace_edge, gc_trace_kept, NULL};

    collector->tracer.visitor = &visitor;
    for (size_t i = 0; i < collector->roots.callbacks.count; i++) {
        const struct gc_root *root = gc_set_at(&collector->roots.callbacks, i);
        gc_root_fn *report = (gc_root_fn *)root->key.first;

        if (root->exactness == GC_EXACT)
            report(&collector->tracer, (void *)root->key.second);
    }
    collector->tracer.visitor = NULL;
}

static void trace_handles(struct gc_collector *collector)
{
    struct gc_tracer *tracer = &collector->tracer;
    struct gc_handle_page *page = collector->handles.pages;

    for (; page != NULL; page = page->next) {
        if (page->used == 0 || page->youngest > tracer->oldest)
            continue;
        tracer->youngest = GC_FROZEN;
        for (int i = 0; i < GC_HANDLE_SLOTS; i++)
            if (!gc_handle_is_free(page->slots[i]))
                page->slots[i] = gc_trace_kept(tracer, page->slots[i]);
        page->youngest = (uint8_t)tracer->youngest;
    }
}

static void trace_own_slot(struct gc_tracer *tracer, void *slot)
{
    gc_store_word(slot, gc_trace_kept(tracer, gc_load_word(slot)));
}

static void trace_slots(gc_frame *frame, void *data)
{
    bool is_own = (frame->count & GC_FRAME_IS_OWN) != 0;

    for (size_t i = 0; i < gc_frame_slots(frame); i++)
        if (is_own)
            trace_own_slot(data, frame->slots[i]);
        else
            gc_trace_root(data, frame->slots[i]);
}

static void visit_frames(gc_frame *frame, gc_frame_fn *visit, void *data)
{
    for (; frame != NULL; frame = frame->below)
        visit(frame, data);
}

void gc_visit_frames(const struct gc_collector *collector, gc_frame_fn *visit, void *data)
{
    const struct gc_mutator *mutator = collector->world.mutators;
    const struct gc_coroutine *coroutine = collector->coroutines;

    for (; mutator != NULL; mutator = mutator->next) {
        visit_frames(mutator->fast.frames, visit, data);
        if (mutator->coroutine != NULL)
            visit_frames(mutator->home.frames, visit, data);
    }
    for (; coroutine != NULL; coroutine = coroutine->next)
        if (coroutine->on == NULL)
            visit_frames(coroutine->left.frames, visit, data);
}

void gc_trace_roots(struct gc_collector *collector)
{
    for (size_t i = 0; i < collector->roots.slots.count; i++) {
        const struct gc_key *key = gc_set_at(&collector->roots.slots, i);

        gc_trace_root(&collector->tracer, (void *)key->first);
    }
    trace_ranges(collector);
    trace_callbacks(collector);
    trace_handles(collector);
    gc_visit_frames(collector, trace_slots, &collector->tracer);
    gc_calls_trace(&collector->calls, &collector->tracer);
}
