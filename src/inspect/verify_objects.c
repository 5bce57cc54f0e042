/* SPDX-License-Identifier: MIT
 *
 * Objects and their references: each leads to an object, and each that leads
 * to a younger one is remembered.
 */
#include "inspect/verify.h"

#include "trace/ephemerons.h"
#include "trace/scan.h"

static struct gc_verifier *verifier_of(struct gc_tracer *tracer)
{
    return tracer->client;
}

static bool is_in(const struct gc_set *set, uintptr_t holder)
{
    return gc_set_find(set, (struct gc_key){holder, 0}) != NULL;
}

static unsigned generation_of(const struct gc_verifier *verifier, uintptr_t object)
{
    return verifier->tables->blocks[gc_block_of(verifier->tables, object)].generation;
}

/* Whether the next collection of `target`'s generation will look at the holder. */
static bool is_remembered(const struct gc_verifier *verifier, uintptr_t slot, unsigned target)
{
    uintptr_t holder = verifier->object;
    const struct gc_tables *tables = verifier->tables;
    uint8_t log = *gc_log_byte(holder);
    bool in_log, in_old, in_frozen;

    if (tables->blocks[gc_block_of(tables, holder)].flags & GC_BLOCK_ALL_REMEMBERED)
        return true;
    in_log = verifier->sets_known ? is_in(&verifier->logged, holder) : true;
    in_old = (log & GC_LOG_REMEMBERED) &&
             (!verifier->sets_known || is_in(&verifier->remembered, holder));
    in_frozen =
        (log & GC_LOG_FROZEN) && (!verifier->sets_known || is_in(&verifier->frozen, holder));
    if (gc_has_cards(tables, holder)) {
        if (tables->lines[gc_line_of(tables, slot)] < gc_card_for(target))
            return false;
        in_log = in_log && (log & GC_LOG_NOTED);
    } else {
        in_log = in_log && !(log & GC_LOG_ARMED);
    }
    return in_log || (target >= GC_MIDDLE && in_old) || (target == GC_OLD && in_frozen);
}

static void verify_edge(struct gc_verifier *verifier, uintptr_t slot, uintptr_t word)
{
    const struct gc_collector *collector = verifier->collector;
    uintptr_t target = word & ~(uintptr_t)7;
    uint32_t block;

    if (!gc_in_range(verifier->tables, word) || !(collector->tracer.tags >> (word & 7) & 1))
        return;
    block = gc_block_of(verifier->tables, target);
    if (verifier->tables->state[block] == 0) {
        gc_fault_slot(verifier, slot, word, "leads to memory that was freed or evacuated");
        return;
    }
    if (!gc_is_reference(verifier->tables, target)) {
        gc_fault_slot(verifier, slot, word, "leads to no object");
        return;
    }
    if (verifier->object == 0 || collector->pace.full_only)
        return;
    if (generation_of(verifier, target) < generation_of(verifier, verifier->object) &&
        !is_remembered(verifier, slot, generation_of(verifier, target)))
        gc_fault_slot(verifier, slot, word,
                      "leads to a younger object and is not remembered (a missed write barrier?)");
}

static void verify_slot(struct gc_tracer *tracer, void *slot)
{
    verify_edge(verifier_of(tracer), (uintptr_t)slot, gc_load_word(slot));
}

static uintptr_t verify_reference(struct gc_tracer *tracer, uintptr_t reference)
{
    verify_edge(verifier_of(tracer), verifier_of(tracer)->object, reference);
    return reference;
}

static void verify_word(struct gc_tracer *tracer, uintptr_t word)
{
    (void)tracer;
    (void)word; /* may be anything */
}

static const struct gc_visitor exact = {verify_slot, verify_reference, NULL};
static const struct gc_visitor mixed = {verify_slot, verify_reference, verify_word};

static bool is_plausible_type(const gc_type *type)
{
    return type != NULL && (uintptr_t)type % 8 == 0 && type->kind <= GC_KIND_LAST &&
           type->alignment >= 8 && type->alignment <= 64;
}

/* What must not move, or holds words that may be anything, is not among what
 * moves. A static type whose object_bytes lets the inline path allocate it
 * puts it there. */
static void verify_kind(struct gc_verifier *verifier)
{
    const gc_type *type = verifier->type;
    uint32_t block = gc_block_of(verifier->tables, verifier->object);
    bool is_own_kind = type->kind == GC_KIND_CONSERVATIVE || (type->flags & GC_TYPE_PINNED) ||
                       (type->kind == GC_KIND_TRACED && (type->flags & GC_TYPE_AMBIGUOUS));

    if (is_own_kind && verifier->tables->blocks[block].kind == GC_BLOCK_SMALL)
        gc_fault_object(verifier, "is allocated inline, though its type is pinned or ambiguous "
                                  "(its object_bytes must be GC_OUT_OF_LINE)");
}

/* An object ends within its block, or within its large object's blocks. */
static void verify_extent(struct gc_verifier *verifier)
{
    const struct gc_tables *tables = verifier->tables;
    uintptr_t end = gc_object_end(verifier->type, verifier->object);
    uint32_t block = gc_block_of(tables, verifier->object);
    const struct gc_block *info = &tables->blocks[block];
    uint32_t blocks = info->kind == GC_BLOCK_LARGE ? info->count : 1;

    if (end > gc_block_start(tables, block + blocks))
        gc_fault_object(verifier, "reaches past the end of its block");
    if (verifier->object % verifier->type->alignment != 0)
        gc_fault_object(verifier, "is not aligned as its type asks");
    if (info->kind < GC_BLOCK_LARGE && (info->flags & GC_BLOCK_SWEPT) &&
        !(info->flags & GC_BLOCK_UNPARSED) && info->fresh_end == 0 &&
        tables->lines[gc_line_of(tables, verifier->object)] == 0)
        gc_fault_object(verifier, "lies in a line that is not occupied");
}

/* W1: what is not cleared is there. It need not be remembered. */
static void verify_weakref(struct gc_verifier *verifier)
{
    const struct gc_weakref *weakref = (const struct gc_weakref *)verifier->object;
    uintptr_t referent = weakref->referent;

    if (referent != 0 && !gc_is_reference(verifier->tables, referent))
        gc_fault_slot(verifier, (uintptr_t)&weakref->referent, referent,
                      "leads weakly to no object");
}

/* F1 */
static void verify_ephemerons(struct gc_verifier *verifier)
{
    const struct gc_ephemeron *first = (const struct gc_ephemeron *)verifier->object;
    size_t count = 1;

    if (verifier->type->element_size != 0) {
        first = ((const struct gc_weak_page *)verifier->object)->entries;
        count = gc_object_length(verifier->object);
    }
    for (size_t i = 0; i < count; i++)
        if (first[i].link != 0)
            gc_fault_object(verifier, "is put aside between collections (F1)");
}

static void verify_references(struct gc_verifier *verifier)
{
    bool is_mixed = (verifier->type->flags & GC_TYPE_AMBIGUOUS) != 0;
    struct gc_tracer tracer = {.visitor = is_mixed ? &mixed : &exact, .client = verifier};

    if (gc_is_weakref_type(verifier->type))
        verify_weakref(verifier);
    else if (verifier->type->kind > GC_KIND_RETIRED)
        verify_ephemerons(verifier);
    if (verifier->type->kind == GC_KIND_TRACED)
        verifier->type->trace(&tracer, (void *)verifier->object);
    else if (verifier->type->kind != GC_KIND_LEAF && verifier->type->kind != GC_KIND_CONSERVATIVE)
        gc_scan_slots(&tracer, verifier->object, verifier->type, verify_slot);
}

static void verify_object(uintptr_t object, void *data)
{
    struct gc_verifier *verifier = data;
    uint64_t header = *gc_header(object);
    unsigned generation = generation_of(verifier, object);

    verifier->object = object;
    verifier->type = NULL;
    if (gc_is_forwarded(header) || !is_plausible_type(gc_header_type(header))) {
        gc_fault_object(verifier, "has a broken header");
        return;
    }
    verifier->type = gc_header_type(header);
    verifier->bytes[generation] += gc_extent_bytes(verifier->type, object);
    verifier->objects[generation]++;
    if (*gc_state_byte(object) & GC_STATE_KEY)
        gc_fault_object(verifier, "is waited for as a key between collections (F2)");
    if (*gc_log_byte(object) >= 2 * GC_LOG_FROZEN)
        gc_fault_object(verifier, "has a log byte of no meaning");
    if (generation == GC_YOUNG && *gc_log_byte(object) != 0)
        gc_fault_object(verifier, "is young, but its log byte is set");
    verify_kind(verifier);
    verify_extent(verifier);
    verify_references(verifier);
}

void gc_verify_objects(struct gc_verifier *verifier)
{
    size_t blocks = verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS;

    for (uint32_t block = 0; block < blocks; block++)
        if (verifier->tables->state[block] != 0 &&
            verifier->tables->blocks[block].kind != GC_BLOCK_FOLLOWER)
            gc_block_visit_objects(verifier->tables, block, verify_object, verifier);
    verifier->object = 0;
}

static void verify_handles(struct gc_verifier *verifier)
{
    struct gc_handle_page *page = verifier->collector->handles.pages;

    for (; page != NULL; page = page->next)
        for (int i = 0; i < GC_HANDLE_SLOTS; i++)
            if (!gc_handle_is_free(page->slots[i]))
                verify_edge(verifier, (uintptr_t)&page->slots[i], page->slots[i]);
}

static void verify_ranges(struct gc_verifier *verifier)
{
    const struct gc_set *ranges = &verifier->collector->roots.ranges;

    for (size_t i = 0; i < ranges->count; i++) {
        const struct gc_root *root = gc_set_at(ranges, i);
        const uintptr_t *words = (const uintptr_t *)root->key.first;

        for (size_t word = 0; root->exactness == GC_EXACT && word < root->count; word++)
            verify_edge(verifier, (uintptr_t)&words[word], words[word]);
    }
}

static void verify_queued(struct gc_verifier *verifier)
{
    const struct gc_calls *calls = &verifier->collector->calls;

    for (size_t i = 0; i < calls->page_count; i++)
        for (int slot = 0; slot < GC_CALL_PAGE_SLOTS; slot++) {
            const struct gc_call *call = &calls->pages[i]->records[slot];

            if (call->object != 0 && call->state != GC_CALL_FREE)
                verify_edge(verifier, (uintptr_t)&call->object, call->object);
        }
}

static void verify_frame(gc_frame *frame, void *data)
{
    for (size_t i = 0; i < frame->count; i++)
        verify_edge(data, (uintptr_t)frame->slots[i], gc_load_word(frame->slots[i]));
}

void gc_verify_roots(struct gc_verifier *verifier)
{
    const struct gc_set *slots = &verifier->collector->roots.slots;

    for (size_t i = 0; i < slots->count; i++) {
        const struct gc_key *key = gc_set_at(slots, i);

        verify_edge(verifier, key->first, gc_load_word((const void *)key->first));
    }
    verify_ranges(verifier);
    verify_handles(verifier);
    verify_queued(verifier);
    gc_visit_frames(verifier->collector, verify_frame, verifier);
}
