/* SPDX-License-Identifier: MIT
 *
 * Objects and their references: each leads to an object, and each that leads
 * to a younger one is remembered.
 */
#include "inspect/verify.h"

#include "inspect/missing_root.h"
#include "trace/ephemerons.h"
#include "trace/scan.h"

#include <stdio.h>

enum { TEXT_BYTES = 400 };

static struct gc_verifier *verifier_of(struct gc_tracer *tracer)
{
    return tracer->client;
}

/* ---- What is remembered ---- */

static bool is_all_remembered(const struct gc_verifier *verifier, uintptr_t holder)
{
    uint32_t block = gc_block_of(verifier->tables, holder);

    return (verifier->tables->blocks[block].flags & GC_BLOCK_ALL_REMEMBERED) != 0;
}

/* Whether a holder's log byte and a set agree that it is in there. */
static bool is_noted(const struct gc_verifier *verifier, uint8_t bit, const struct gc_set *set)
{
    return (*gc_log_byte(verifier->object) & bit) != 0 &&
           (!verifier->sets_known || gc_verify_is_in(set, verifier->object));
}

/* Whether the next collection of `target`'s generation will look at the holder. */
static bool is_remembered(const struct gc_verifier *verifier, uintptr_t slot, unsigned target)
{
    uintptr_t holder = verifier->object;
    const struct gc_tables *tables = verifier->tables;
    uint8_t log = *gc_log_byte(holder);
    bool in_log = !verifier->sets_known || gc_verify_is_in(&verifier->logged, holder);

    if (verifier->collector->calm || is_all_remembered(verifier, holder) ||
        gc_verify_is_birth(verifier, holder))
        return true;
    if (gc_has_cards(tables, holder)) {
        if (tables->lines[gc_line_of(tables, slot)] < gc_card_for(target))
            return false;
        in_log = in_log && (log & GC_LOG_NOTED);
    } else {
        in_log = in_log && !(log & GC_LOG_ARMED);
    }
    return in_log ||
           (target >= GC_MIDDLE && is_noted(verifier, GC_LOG_REMEMBERED, &verifier->remembered)) ||
           (target == GC_OLD && is_noted(verifier, GC_LOG_FROZEN, &verifier->frozen));
}

/* R2: the log byte says what the sets have. A leaf is never armed. */
static void verify_log_byte(struct gc_verifier *verifier, unsigned generation)
{
    uintptr_t object = verifier->object;
    uint8_t log = *gc_log_byte(object);
    bool has_cards = gc_has_cards(verifier->tables, object), in_log;

    if (log & ~(GC_LOG_ARMED | GC_LOG_REMEMBERED | GC_LOG_NOTED | GC_LOG_FROZEN))
        gc_fault_object(verifier, "has a log byte of no meaning");
    if (generation == GC_YOUNG && log != 0)
        gc_fault_object(verifier, "is young, but its log byte is set");
    if (generation == GC_YOUNG || !verifier->sets_known || is_all_remembered(verifier, object) ||
        gc_verify_is_birth(verifier, object)) /* B1 */
        return;
    in_log = gc_verify_is_in(&verifier->logged, object);
    if ((log & GC_LOG_NOTED) && (!has_cards || !in_log))
        gc_fault_object(verifier, "says that the log holds it, but it does not (R2)");
    if (verifier->type->kind != GC_KIND_LEAF && !(log & GC_LOG_ARMED) && (has_cards || !in_log))
        gc_fault_object(verifier, "is disarmed, but the log does not hold it: stores into it would "
                                  "be missed (R2)");
    if ((log & GC_LOG_REMEMBERED) && !gc_verify_is_in(&verifier->remembered, object))
        gc_fault_object(verifier, "says that the set of old holders has it, but it has not");
    if ((log & GC_LOG_FROZEN) && !gc_verify_is_in(&verifier->frozen, object))
        gc_fault_object(verifier, "says that the set of frozen holders has it, but it has not");
}

/* ---- References ---- */

/* To what was left, and how it was left, if that is known. */
static void fault_stale(struct gc_verifier *verifier, uintptr_t slot, uintptr_t word)
{
    char text[TEXT_BYTES] = "leads to ";
    size_t used = sizeof "leads to " - 1;
    struct gc_stale stale;

    if (!gc_quarantine_explain(&verifier->collector->quarantine, word & ~(uintptr_t)7, &stale)) {
        gc_fault_slot(verifier, slot, word, "leads to memory that was freed or evacuated");
        return;
    }
    gc_stale_describe(&stale, word & ~(uintptr_t)7, text + used, sizeof text - used);
    gc_fault_slot(verifier, slot, word, text);
}

static void fault_target(struct gc_verifier *verifier, uintptr_t slot, uintptr_t word)
{
    uintptr_t target = word & ~(uintptr_t)7;
    uintptr_t object = gc_object_containing(verifier->tables, target + 1);
    char text[TEXT_BYTES];

    if (object == 0) {
        gc_fault_slot(verifier, slot, word, "leads to no object");
        return;
    }
    (void)snprintf(text, sizeof text, "leads into the middle of the %.100s at %p",
                   gc_object_type(object)->name, (void *)object);
    gc_fault_slot(verifier, slot, word, text);
}

static bool is_in_other_heap(const struct gc_verifier *verifier, uintptr_t word)
{
    for (size_t i = 0; i < verifier->other_count; i++)
        if (word - verifier->others[i].base < verifier->others[i].bytes)
            return true;
    return false;
}

void gc_verify_edge(struct gc_verifier *verifier, uintptr_t slot, uintptr_t word)
{
    const struct gc_collector *collector = verifier->collector;
    uintptr_t target = word & ~(uintptr_t)7;

    if (!(collector->tracer.tags >> (word & 7) & 1))
        return;
    if (!gc_in_range(verifier->tables, word)) {
        if (verifier->object != 0 && is_in_other_heap(verifier, word))
            gc_fault_slot(verifier, slot, word, "leads into another heap");
        return;
    }
    if (verifier->tables->state[gc_block_of(verifier->tables, target)] == 0) {
        fault_stale(verifier, slot, word);
        return;
    }
    if (!gc_is_reference(verifier->tables, target)) {
        fault_target(verifier, slot, word);
        return;
    }
    if (verifier->object == 0 || collector->pace.full_only)
        return;
    if (gc_verify_generation(verifier, target) < gc_verify_generation(verifier, verifier->object) &&
        !is_remembered(verifier, slot, gc_verify_generation(verifier, target)))
        gc_fault_slot(verifier, slot, word,
                      "leads to a younger object and is not remembered (a missed write barrier?)");
}

static void verify_slot(struct gc_tracer *tracer, void *slot)
{
    gc_verify_edge(verifier_of(tracer), (uintptr_t)slot, gc_load_word(slot));
}

static uintptr_t verify_reference(struct gc_tracer *tracer, uintptr_t reference)
{
    gc_verify_edge(verifier_of(tracer), verifier_of(tracer)->object, reference);
    return reference;
}

static void verify_word(struct gc_tracer *tracer, uintptr_t word)
{
    (void)tracer;
    (void)word; /* may be anything */
}

static const struct gc_visitor exact = {verify_slot, verify_reference, NULL};
static const struct gc_visitor mixed = {verify_slot, verify_reference, verify_word};

/* ---- Objects ---- */

/* W1: what is not cleared is there, and in a list. It need not be remembered. */
static void verify_weakref(struct gc_verifier *verifier)
{
    const struct gc_watching_weakref *weakref =
        (const struct gc_watching_weakref *)verifier->object;
    uintptr_t referent = weakref->weakref.referent;

    if ((gc_weakref_flags(verifier->type) & GC_WEAK_WATCHING) && weakref->call != NULL &&
        (weakref->call->state != GC_CALL_IDLE || weakref->call->kind != GC_CALL_WEAKREF))
        gc_fault_object(verifier, "has a callback that is not a weak reference's (K1)");
    if (referent == 0)
        return;
    if (!gc_is_reference(verifier->tables, referent))
        gc_fault_slot(verifier, (uintptr_t)&weakref->weakref.referent, referent,
                      "leads weakly to no object");
    else if (verifier->sets_known && !gc_verify_is_in(&verifier->weakrefs, verifier->object))
        gc_fault_object(verifier, "is in no list of weak references (W1)");
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
    uint8_t state = *gc_state_byte(object);

    verifier->object = object;
    verifier->type = gc_header_type(*gc_header(object));
    verifier->pinned += (state & GC_STATE_PINNED) != 0;
    verifier->pinned_once += (state & GC_STATE_PINNED_ONCE) != 0;
    verifier->hashed += (state & GC_STATE_HASHED) != 0;
    verify_log_byte(verifier, gc_verify_generation(verifier, object));
    verify_references(verifier);
}

void gc_verify_objects(struct gc_verifier *verifier)
{
    gc_verify_each(verifier, verify_object);
}
