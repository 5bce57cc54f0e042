/* SPDX-License-Identifier: MIT
 *
 * What is noted about objects elsewhere: holders that are remembered; pins,
 * charges and hashes.
 */
#include "inspect/verify.h"

/* ---- Logs ---- */

static void verify_holder(struct gc_verifier *verifier, uintptr_t holder, const char *note,
                          unsigned least)
{
    if (!gc_in_range(verifier->tables, holder) || !gc_is_reference(verifier->tables, holder))
        gc_fault_note(verifier, note, holder, "it is no object");
    else if (gc_verify_generation(verifier, holder) < least)
        gc_fault_note(verifier, note, holder, "it is too young to be remembered");
}

static void verify_lane(struct gc_verifier *verifier, const struct gc_lane *lane, const char *note,
                        unsigned least)
{
    if (lane->count > lane->committed || lane->committed > lane->capacity) {
        gc_fault_heap(verifier, "a lane holds more than it has committed (L1)");
        return;
    }
    for (size_t i = 0; i < lane->count; i++)
        verify_holder(verifier, lane->words[i], note, least);
}

static void verify_remembered(struct gc_verifier *verifier)
{
    const struct gc_remembered *remembered = &verifier->collector->remembered;
    const struct gc_mutator *mutator = verifier->collector->world.mutators;

    verify_lane(verifier, &remembered->log, "log entry", GC_MIDDLE);
    verify_lane(verifier, &remembered->old, "entry of the set of old holders", GC_OLD);
    verify_lane(verifier, &remembered->frozen, "entry of the set of frozen holders", GC_FROZEN);
    if (remembered->log_before.count != 0 || remembered->old_before.count != 0 ||
        remembered->frozen_before.count != 0)
        gc_fault_heap(verifier, "holders of an earlier collection are left");
    for (; mutator != NULL; mutator = mutator->next)
        for (size_t i = 0; i < mutator->log_count; i++)
            verify_holder(verifier, mutator->log[i], "mutator's log entry", GC_MIDDLE);
    if (remembered->lost)
        return;
    for (size_t i = 0; i < verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS; i++)
        if (verifier->tables->state[i] != 0 &&
            (verifier->tables->blocks[i].flags & GC_BLOCK_ALL_REMEMBERED))
            gc_fault_block(verifier, (uint32_t)i,
                           "is all remembered, but no collection would look for it");
}

/* ---- Attachments ---- */

/* A record that its set cannot find. */
static void verify_index(struct gc_verifier *verifier, const struct gc_set *set, const char *note)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct gc_key *key = gc_set_at(set, i);

        if (gc_set_find(set, *key) != (const void *)key)
            gc_fault_note(verifier, note, key->first, "its set does not find it, or has it twice");
    }
}

/* Notes of one kind, and the state bit that goes with them, or 0. */
struct notes {
    const char *name;
    const struct gc_attachments *attachments;
    uint8_t state;
    size_t objects; /* whose state bytes say so */
};

static void verify_record(struct gc_verifier *verifier, const struct notes *notes, uintptr_t object,
                          unsigned generation)
{
    if (!gc_in_range(verifier->tables, object) || !gc_is_reference(verifier->tables, object))
        gc_fault_note(verifier, notes->name, object, "it is no object");
    else if (gc_verify_generation(verifier, object) != generation)
        gc_fault_note(verifier, notes->name, object, "it is filed under another generation (A1)");
    else if ((*gc_state_byte(object) & notes->state) != notes->state)
        gc_fault_note(verifier, notes->name, object, "its state byte does not say so");
}

static void verify_notes(struct gc_verifier *verifier, const struct notes *notes)
{
    size_t count = 0;

    for (unsigned generation = 0; generation < GC_AGES; generation++) {
        const struct gc_set *set = &notes->attachments->generations[generation];

        verify_index(verifier, set, notes->name);
        for (size_t i = 0; i < set->count; i++)
            verify_record(verifier, notes, gc_load_word(gc_set_at(set, i)), generation);
        count += set->count;
        if (generation < GC_GENERATIONS && set->capacity < notes->attachments->count)
            gc_fault_heap(verifier, "a set of attachments has no room for all (A1)");
    }
    if (count != notes->attachments->count)
        gc_fault_heap(verifier, "attachments are not as many as their count");
    if (notes->state != 0 && count != notes->objects)
        gc_fault_heap(verifier, notes->state == GC_STATE_PINNED
                                    ? "an object says that it is pinned, but no pin is noted"
                                    : "an object says that it has a hash, but none is noted");
}

static void verify_pins(struct gc_verifier *verifier)
{
    const struct gc_collector *collector = verifier->collector;
    struct notes pins = {"pin", &collector->pins, GC_STATE_PINNED, verifier->pinned};

    verify_notes(verifier, &pins);
    for (int g = 0; g < GC_AGES; g++)
        for (size_t i = 0; i < collector->pins.generations[g].count; i++) {
            const struct gc_pin *pin = gc_set_at(&collector->pins.generations[g], i);

            if (pin->count == 0)
                gc_fault_note(verifier, "pin", pin->key.first, "it was taken back, and is noted");
        }
}

static void verify_pins_once(struct gc_verifier *verifier)
{
    const struct gc_set *once = &verifier->collector->pinned_once;

    verify_index(verifier, once, "pin for one collection");
    for (size_t i = 0; i < once->count; i++) {
        uintptr_t object = gc_load_word(gc_set_at(once, i));

        if (!gc_in_range(verifier->tables, object) || !gc_is_reference(verifier->tables, object))
            gc_fault_note(verifier, "pin for one collection", object, "it is no object");
    }
    if (once->count != verifier->pinned_once)
        gc_fault_heap(verifier, "objects pinned for one collection are not as many as are noted");
}

/* What is held is what was charged to the program, to objects and to finalizers. */
static void verify_charges(struct gc_verifier *verifier)
{
    const struct gc_collector *collector = verifier->collector;
    struct notes charges = {"charge", &collector->charges, 0, 0};
    size_t bytes = collector->external_at_large;

    verify_notes(verifier, &charges);
    for (int g = 0; g < GC_AGES; g++)
        for (size_t i = 0; i < collector->charges.generations[g].count; i++)
            bytes +=
                ((const struct gc_charge *)gc_set_at(&collector->charges.generations[g], i))->bytes;
    for (size_t page = 0; page < collector->calls.page_count; page++)
        for (int slot = 0; slot < GC_CALL_PAGE_SLOTS; slot++)
            bytes += collector->calls.pages[page]->records[slot].external_bytes;
    if (bytes != collector->external_bytes)
        gc_fault_heap(verifier, "bytes outside are not as many as were charged");
}

void gc_verify_sets(struct gc_verifier *verifier)
{
    const struct gc_collector *collector = verifier->collector;
    struct notes hashes = {"hash", &collector->hashes, GC_STATE_HASHED, verifier->hashed};

    verify_remembered(verifier);
    verify_pins(verifier);
    verify_pins_once(verifier);
    verify_charges(verifier);
    verify_notes(verifier, &hashes);
    verify_index(verifier, &collector->roots.slots, "root slot");
    verify_index(verifier, &collector->roots.ranges, "root range");
    verify_index(verifier, &collector->roots.callbacks, "root callback");
}
