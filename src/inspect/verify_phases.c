/* SPDX-License-Identifier: MIT
 *
 * What holds inside a collection, at the boundaries between its phases:
 *
 *   condemned  each used block has an age and an action that fit its generation
 *              and its kind, and nothing is marked
 *   pinned     the same, but for what ambiguous words pinned: that is marked, and
 *              may wait on the mark stack
 *   marked     what is marked stands in a condemned block and has not moved; what
 *              it refers to, and what exact roots refer to, survives, and is not
 *              referred to where it was
 *   traced     the same, after finalizers revived and weak references were
 *              cleared; weak references that are left, and their referents, survive
 *   settled    no run fills a block; what is noted about objects follows them
 */
#include "inspect/verify.h"

#include "trace/ephemerons.h"
#include "trace/scan.h"

static size_t block_count(const struct gc_verifier *verifier)
{
    return verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS;
}

/* ---- Condemned ---- */

static bool has_marks(const struct gc_tables *tables, uint32_t block)
{
    const uint64_t *marks = gc_block_bits(tables->marks, block);

    for (int i = 0; i < GC_BLOCK_WORDS; i++)
        if (marks[i] != 0)
            return true;
    return false;
}

static void verify_action(struct gc_verifier *verifier, uint32_t block)
{
    const struct gc_block *info = &verifier->tables->blocks[block];
    unsigned state = verifier->tables->state[block], age = gc_state_age(state);
    bool is_large = info->kind == GC_BLOCK_LARGE;

    if (gc_state_action(state) == GC_LEAVE) {
        if (age != info->generation)
            gc_fault_block(verifier, block, "is left, but changes its age");
        return;
    }
    if (info->generation > verifier->collector->tracer.oldest)
        gc_fault_block(verifier, block, "is condemned, but of an older generation");
    else if (age > GC_OLD || age < info->generation || age > info->generation + 1u)
        gc_fault_block(verifier, block, "is condemned to an age that it cannot be of");
    if (is_large != (gc_state_action(state) == GC_IN_PLACE_LARGE))
        gc_fault_block(verifier, block, "has an action that is not its kind's");
    else if (gc_state_action(state) == GC_EVACUATE && info->kind != GC_BLOCK_SMALL)
        gc_fault_block(verifier, block, "is to be evacuated, but holds what must not move");
}

static void verify_condemned(struct gc_verifier *verifier, bool is_unmarked)
{
    for (uint32_t block = 0; block < block_count(verifier); block++) {
        const struct gc_block *info = &verifier->tables->blocks[block];

        if (verifier->tables->state[block] == 0)
            continue;
        if (is_unmarked && has_marks(verifier->tables, block))
            gc_fault_block(verifier, block, "has marks before the trace");
        if (info->kind != GC_BLOCK_FOLLOWER)
            verify_action(verifier, block);
        else if (verifier->tables->state[block] != verifier->tables->state[info->head])
            gc_fault_block(verifier, block, "has a state that is not its large object's");
    }
}

static bool is_busy(const struct gc_worker *worker)
{
    return worker->tracer.stack.count != 0 || worker->tracer.edges.count != 0 ||
           worker->left.count != 0 || worker->received != NULL || worker->inbox != NULL;
}

static bool has_waiting_edges(const struct gc_collector *collector)
{
    const struct gc_tracer *tracer = &collector->tracer;
    const struct gc_team *team = &collector->team;

    for (unsigned i = 0; team->helpers > 0 && i <= team->helpers; i++)
        if (is_busy(&team->workers[i]))
            return true;
    return tracer->edges.count != 0 || tracer->card_scan_count != 0;
}

void gc_verify_no_edges(struct gc_verifier *verifier, bool stack_may_hold_pinned)
{
    if (verifier->collector->tracer.stack.count != 0 && !stack_may_hold_pinned)
        gc_fault_heap(verifier, "the mark stack is not empty");
    if (has_waiting_edges(verifier->collector))
        gc_fault_heap(verifier, "edges wait");
}

/* ---- Marked ---- */

/* A word that a survivor holds, or a root, is as the trace should have left it. */
static void verify_followed(struct gc_verifier *verifier, uintptr_t slot, uintptr_t word)
{
    const struct gc_tracer *tracer = &verifier->collector->tracer;
    uintptr_t target = word & ~(uintptr_t)7, now;

    if (!gc_in_range(verifier->tables, word) || !(tracer->tags >> (word & 7) & 1) ||
        verifier->tables->state[gc_block_of(verifier->tables, target)] == 0)
        return;
    now = gc_trace_survivor(tracer, target);
    if (now == 0)
        gc_fault_slot(verifier, slot, word, "leads to an object that the trace did not reach");
    else if (now != target)
        gc_fault_slot(verifier, slot, word, "leads to where an object has moved from");
}

static void verify_slot(struct gc_tracer *tracer, void *slot)
{
    verify_followed(tracer->client, (uintptr_t)slot, gc_load_word(slot));
}

/* Kinds whose slots are all exact, and all strong. */
static bool is_plain(const gc_type *type)
{
    return type->kind == GC_KIND_STRUCT || type->kind == GC_KIND_REFERENCES ||
           type->kind == GC_KIND_ARRAY;
}

static void verify_marked(uintptr_t object, void *data)
{
    struct gc_verifier *verifier = data;
    struct gc_tracer tracer = {.client = verifier};
    uint64_t header = *gc_header(object);

    verifier->object = object;
    verifier->type = NULL;
    if (gc_is_forwarded(header)) {
        gc_fault_object(verifier, "is marked where it was, and has moved");
        return;
    }
    verifier->type = gc_header_type(header);
    if (is_plain(verifier->type))
        gc_scan_slots(&tracer, object, verifier->type, verify_slot);
}

static void verify_marks(struct gc_verifier *verifier)
{
    struct gc_tables *tables = verifier->tables;

    for (uint32_t block = 0; block < block_count(verifier); block++) {
        enum gc_action action = gc_state_action(tables->state[block]);

        if (tables->state[block] == 0 || !has_marks(tables, block))
            continue;
        if (action == GC_LEAVE)
            gc_fault_block(verifier, block, "has marks, but is not condemned");
        else if (action == GC_EVACUATE && !(tables->blocks[block].flags & GC_BLOCK_HAS_PINS))
            gc_fault_block(verifier, block, "is evacuated, but has marks and no pins");
        else
            gc_block_visit(tables, block, tables->marks, verify_marked, verifier);
    }
    verifier->object = 0;
    verifier->type = NULL;
}

static void verify_frame(gc_frame *frame, void *data)
{
    for (size_t i = 0; i < gc_frame_slots(frame); i++)
        verify_followed(data, (uintptr_t)frame->slots[i], gc_load_word(frame->slots[i]));
}

static void verify_traced_roots(struct gc_verifier *verifier)
{
    const struct gc_roots *roots = &verifier->collector->roots;
    const struct gc_handle_page *page = verifier->collector->handles.pages;

    for (size_t i = 0; i < roots->slots.count; i++) {
        uintptr_t slot = ((const struct gc_key *)gc_set_at(&roots->slots, i))->first;

        verify_followed(verifier, slot, gc_load_word((const void *)slot));
    }
    for (size_t i = 0; i < roots->ranges.count; i++) {
        const struct gc_root *root = gc_set_at(&roots->ranges, i);
        const uintptr_t *words = (const uintptr_t *)root->key.first;

        for (size_t word = 0; root->exactness == GC_EXACT && word < root->count; word++)
            verify_followed(verifier, (uintptr_t)&words[word], words[word]);
    }
    for (; page != NULL; page = page->next)
        for (int i = 0; i < GC_HANDLE_SLOTS; i++)
            if (!gc_handle_is_free(page->slots[i]))
                verify_followed(verifier, (uintptr_t)&page->slots[i], page->slots[i]);
    gc_visit_frames(verifier->collector, verify_frame, verifier);
}

/* ---- Traced ---- */

/* False if the rest of the list cannot be believed. */
static bool verify_weak_list(struct gc_verifier *verifier, uintptr_t at)
{
    const struct gc_tracer *tracer = &verifier->collector->tracer;
    static const char note[] = "weak reference";

    while (at != 0) {
        const struct gc_weakref *weakref = (const struct gc_weakref *)at;

        if (gc_trace_survivor(tracer, at) != at) {
            gc_fault_note(verifier, note, at, "it is in a list, and does not survive there");
            return false;
        }
        if (weakref->referent != 0 &&
            gc_trace_survivor(tracer, weakref->referent) != weakref->referent)
            gc_fault_note(verifier, note, at, "its referent does not survive, or has moved");
        at = weakref->next;
    }
    return true;
}

static void verify_weak_left(struct gc_verifier *verifier)
{
    for (unsigned age = 0; age < GC_AGES; age++)
        if (!verify_weak_list(verifier, verifier->collector->weakrefs.lists[age]))
            return;
}

/* ---- Settled ---- */

static void verify_records(struct gc_verifier *verifier, const struct gc_set *set, const char *note)
{
    for (size_t i = 0; i < set->count; i++) {
        uintptr_t object = ((const struct gc_key *)gc_set_at(set, i))->first;

        if (gc_trace_survivor(&verifier->collector->tracer, object) != object)
            gc_fault_note(verifier, note, object, "it does not survive, or has moved");
    }
}

static void verify_settled(struct gc_verifier *verifier)
{
    const struct gc_collector *collector = verifier->collector;

    for (int i = 0; i < GC_AGES; i++) {
        verify_records(verifier, &collector->pins.generations[i], "pin");
        verify_records(verifier, &collector->hashes.generations[i], "hash");
        verify_records(verifier, &collector->charges.generations[i], "charge");
    }
    verify_records(verifier, &collector->pinned_once, "pin for one collection");
    for (uint32_t block = 0; block < block_count(verifier); block++)
        if (verifier->tables->state[block] != 0 &&
            (verifier->tables->blocks[block].flags & GC_BLOCK_OPEN))
            gc_fault_block(verifier, block, "is open when the trace has ended");
}

/* ---- All ---- */

size_t gc_verify_boundary(struct gc_collector *collector, enum gc_phase phase)
{
    struct gc_verifier verifier = {.collector = collector, .tables = &collector->tables};

    gc_verify_no_edges(&verifier, phase == GC_PHASE_PINNED);
    if (phase == GC_PHASE_CONDEMNED || phase == GC_PHASE_PINNED)
        verify_condemned(&verifier, phase == GC_PHASE_CONDEMNED);
    if (phase == GC_PHASE_MARKED || phase == GC_PHASE_TRACED) {
        verify_marks(&verifier);
        verify_traced_roots(&verifier);
    }
    if (phase == GC_PHASE_TRACED)
        verify_weak_left(&verifier);
    if (phase == GC_PHASE_SETTLED)
        verify_settled(&verifier);
    return verifier.faults;
}
