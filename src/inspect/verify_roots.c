/* SPDX-License-Identifier: MIT
 *
 * Exact roots lead to objects, and handles are in order.
 */
#include "inspect/verify.h"

/* ---- Handles (D1) ---- */

static void verify_free_handles(struct gc_verifier *verifier, const struct gc_handle_page *page)
{
    unsigned next = page->first_free, count = 0;

    while (next != 0 && next <= GC_HANDLE_SLOTS && count <= GC_HANDLE_SLOTS) {
        uintptr_t slot = page->slots[next - 1];

        if (!gc_handle_is_free(slot))
            break;
        next = (unsigned)(slot >> 1);
        count++;
    }
    if (next != 0 || count != (unsigned)GC_HANDLE_SLOTS - page->used)
        gc_fault_heap(verifier, "a page of handles has a broken list of free ones (D1)");
}

static void verify_handle(struct gc_verifier *verifier, const struct gc_handle_page *page,
                          const uintptr_t *slot)
{
    size_t before = verifier->faults;

    gc_verify_edge(verifier, (uintptr_t)slot, *slot);
    if (verifier->faults == before && gc_in_range(verifier->tables, *slot) &&
        gc_verify_generation(verifier, *slot) < page->youngest)
        gc_fault_slot(verifier, (uintptr_t)slot, *slot,
                      "leads to an object that is younger than the handle's page knows");
}

static void verify_handles(struct gc_verifier *verifier)
{
    const struct gc_handles *handles = &verifier->collector->handles;
    const struct gc_handle_page *page = handles->pages;
    size_t count = 0;

    for (; page != NULL && count <= handles->page_count; page = page->next, count++) {
        unsigned used = 0;

        for (int i = 0; i < GC_HANDLE_SLOTS; i++) {
            if (gc_handle_is_free(page->slots[i]))
                continue;
            used++;
            verify_handle(verifier, page, &page->slots[i]);
        }
        if (used != page->used || page->owner != handles)
            gc_fault_heap(verifier, "a page of handles miscounts them");
        else
            verify_free_handles(verifier, page);
    }
    if (count != handles->page_count)
        gc_fault_heap(verifier, "pages of handles are not as many as their count");
}

/* ---- Others ---- */

static void verify_slots(struct gc_verifier *verifier)
{
    const struct gc_set *slots = &verifier->collector->roots.slots;

    for (size_t i = 0; i < slots->count; i++) {
        const struct gc_key *key = gc_set_at(slots, i);

        gc_verify_edge(verifier, key->first, gc_load_word((const void *)key->first));
    }
}

static void verify_ranges(struct gc_verifier *verifier)
{
    const struct gc_set *ranges = &verifier->collector->roots.ranges;

    for (size_t i = 0; i < ranges->count; i++) {
        const struct gc_root *root = gc_set_at(ranges, i);
        const uintptr_t *words = (const uintptr_t *)root->key.first;

        for (size_t word = 0; root->exactness == GC_EXACT && word < root->count; word++)
            gc_verify_edge(verifier, (uintptr_t)&words[word], words[word]);
    }
}

static void verify_queued(struct gc_verifier *verifier)
{
    const struct gc_calls *calls = &verifier->collector->calls;

    for (size_t i = 0; i < calls->page_count; i++)
        for (int slot = 0; slot < GC_CALL_PAGE_SLOTS; slot++) {
            const struct gc_call *call = &calls->pages[i]->records[slot];

            if (call->object != 0 && call->state == GC_CALL_QUEUED)
                gc_verify_edge(verifier, (uintptr_t)&call->object, call->object);
        }
}

/* The second frame goes twice as fast: in a ring it meets the first (Floyd). */
static bool has_end(const gc_frame *frame)
{
    const gc_frame *fast = frame;

    while (fast != NULL && fast->below != NULL) {
        frame = frame->below;
        fast = fast->below->below;
        if (fast != NULL && fast == frame)
            return false;
    }
    return true;
}

static void verify_frame(gc_frame *frame, void *data)
{
    for (size_t i = 0; i < gc_frame_slots(frame); i++)
        gc_verify_edge(data, (uintptr_t)frame->slots[i], gc_load_word(frame->slots[i]));
}

static void verify_frames(struct gc_verifier *verifier)
{
    const struct gc_mutator *mutator = verifier->collector->world.mutators;

    for (; mutator != NULL; mutator = mutator->next)
        if (!has_end(mutator->fast.frames)) {
            gc_fault_heap(verifier, "a mutator's frames have no end: one was pushed twice");
            return;
        }
    gc_visit_frames(verifier->collector, verify_frame, verifier);
}

void gc_verify_roots(struct gc_verifier *verifier)
{
    verify_slots(verifier);
    verify_ranges(verifier);
    verify_handles(verifier);
    verify_queued(verifier);
    verify_frames(verifier);
}
