/* SPDX-License-Identifier: MIT
 *
 * What does not keep: weak references, and what shall be called when objects
 * die; and descriptors made at run time.
 */
#include "inspect/verify.h"

static const char weakref_note[] = "weak reference";

static bool is_weakref(const struct gc_verifier *verifier, uintptr_t address)
{
    return gc_in_range(verifier->tables, address) && gc_is_reference(verifier->tables, address) &&
           gc_is_weakref_type(gc_object_type(address));
}

/* ---- Weak references (W1) ---- */

/* One of a list: false if the list cannot be walked on. */
static bool verify_listed(struct gc_verifier *verifier, uintptr_t address, unsigned age)
{
    const struct gc_weakref *weakref = (const struct gc_weakref *)address;
    struct gc_key key = {address, 0};

    if (!is_weakref(verifier, address)) {
        gc_fault_note(verifier, weakref_note, address, "it is in a list, and is none (W1)");
        return false;
    }
    if (gc_verify_is_in(&verifier->weakrefs, address)) {
        gc_fault_note(verifier, weakref_note, address, "it is in a list twice (W1)");
        return false;
    }
    if (gc_verify_generation(verifier, address) < age ||
        (weakref->referent != 0 && gc_in_range(verifier->tables, weakref->referent) &&
         gc_verify_generation(verifier, weakref->referent) < age))
        gc_fault_note(verifier, weakref_note, address,
                      "it is in a list that is older than it, or than its referent (W1)");
    if (gc_set_add(&verifier->weakrefs, &key) == NULL)
        verifier->sets_known = false;
    return verifier->sets_known;
}

/* One of a chain of the index: false if the chain cannot be walked on. */
static bool verify_indexed(struct gc_verifier *verifier, uintptr_t address, size_t bucket)
{
    const struct gc_weakrefs *weakrefs = &verifier->collector->weakrefs;
    const struct gc_weakref *weakref = (const struct gc_weakref *)address;

    if (!is_weakref(verifier, address) || weakref->referent == 0) {
        gc_fault_note(verifier, weakref_note, address, "it is in the index, and refers to nothing");
        return false;
    }
    if ((uintptr_t)gc_weakrefs_of(weakrefs, weakref->referent) != weakrefs->buckets[bucket])
        gc_fault_note(verifier, weakref_note, address,
                      "it is not where the index has its referent");
    return true;
}

static void verify_weakrefs(struct gc_verifier *verifier)
{
    const struct gc_weakrefs *weakrefs = &verifier->collector->weakrefs;
    size_t count = 0;

    for (unsigned age = 0; age < GC_AGES; age++)
        for (uintptr_t at = weakrefs->lists[age]; at != 0 && verify_listed(verifier, at, age);)
            at = ((const struct gc_weakref *)at)->next;
    for (size_t i = 0; i <= weakrefs->mask; i++)
        for (uintptr_t at = weakrefs->buckets[i];
             at != 0 && count <= weakrefs->count && verify_indexed(verifier, at, i);) {
            count++;
            at = ((const struct gc_weakref *)at)->chain;
        }
    if (count != weakrefs->count)
        gc_fault_heap(verifier, "the index of weak references miscounts them");
}

/* ---- Calls (K1, K2) ---- */

static void verify_call(struct gc_verifier *verifier, const struct gc_call_page *page,
                        const struct gc_call *call)
{
    bool has_object = call->state >= GC_CALL_WAITING && call->object != 0;

    if (call->state > GC_CALL_QUEUED || call->state == GC_CALL_DYING)
        gc_fault_note(verifier, "call", call->object, "it is in no state");
    if (call->state == GC_CALL_WAITING && call->object == 0)
        gc_fault_note(verifier, "call", call->object, "it waits for no object (K1)");
    if (!has_object)
        return;
    if (!gc_in_range(verifier->tables, call->object) ||
        !gc_is_reference(verifier->tables, call->object))
        gc_fault_note(verifier, "call", call->object, "it is no object (K1)");
    else if (gc_verify_generation(verifier, call->object) < page->youngest)
        gc_fault_note(verifier, "call", call->object, "it is younger than its page knows (K2)");
}

static void verify_queue(struct gc_verifier *verifier, const struct gc_call_queue *queue)
{
    const struct gc_call *call = queue->first;
    size_t count = 0;

    for (; call != NULL && count <= queue->count; call = call->next, count++)
        if (call->state != GC_CALL_QUEUED || call->queue != queue)
            gc_fault_note(verifier, "call", call->object, "it is in a queue that is not its own");
    if (count != queue->count)
        gc_fault_heap(verifier, "a queue of calls miscounts them");
}

static void verify_calls(struct gc_verifier *verifier)
{
    const struct gc_calls *calls = &verifier->collector->calls;
    const struct gc_guardian *guardian = calls->guardians;
    size_t all = 0;

    for (size_t i = 0; i < calls->page_count; i++) {
        uint32_t used = 0;

        for (int slot = 0; slot < GC_CALL_PAGE_SLOTS; slot++) {
            used += calls->pages[i]->records[slot].state != GC_CALL_FREE;
            verify_call(verifier, calls->pages[i], &calls->pages[i]->records[slot]);
        }
        if (used != calls->pages[i]->used)
            gc_fault_heap(verifier, "a page of calls miscounts them");
        all += used;
    }
    if (all != calls->count)
        gc_fault_heap(verifier, "calls are not as many as their count");
    verify_queue(verifier, &calls->callbacks);
    for (int i = 0; i < GC_PRIORITIES; i++)
        verify_queue(verifier, &calls->finalizers[i]);
    for (; guardian != NULL; guardian = guardian->next)
        verify_queue(verifier, &guardian->queue);
}

/* ---- Types ---- */

/* Those of one list: class objects are of so old a generation, or older. */
static void verify_types(struct gc_verifier *verifier, const struct gc_made_type *made,
                         unsigned generation)
{
    for (; made != NULL; made = made->next) {
        uintptr_t object = made->class_object;

        if (made->type.kind != made->kind)
            gc_fault_note(verifier, "type", (uintptr_t)made,
                          "it is marked as in a full collection");
        if (object == 0)
            continue;
        if (!gc_in_range(verifier->tables, object) || !gc_is_reference(verifier->tables, object))
            gc_fault_note(verifier, "class object", object, "it is no object");
        else if (gc_verify_generation(verifier, object) < generation)
            gc_fault_note(verifier, "class object", object, "it is younger than its type's list");
    }
}

/* ---- All ---- */

/* Nothing is left of a trace. */
static void verify_tracer(struct gc_verifier *verifier)
{
    const struct gc_tracer *tracer = &verifier->collector->tracer;

    gc_verify_no_edges(verifier, false);
    if (tracer->ephemerons.pending.count != 0 || tracer->ephemerons.pairs.count != 0 ||
        tracer->ephemerons.watching)
        gc_fault_heap(verifier, "ephemerons are put aside between collections");
}

void gc_verify_weak(struct gc_verifier *verifier)
{
    verify_tracer(verifier);
    verify_weakrefs(verifier);
    verify_calls(verifier);
    verify_types(verifier, verifier->collector->types.young, GC_YOUNG);
    verify_types(verifier, verifier->collector->types.old, GC_OLD);
    verify_types(verifier, verifier->collector->types.frozen, GC_FROZEN);
}
