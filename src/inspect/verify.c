/* SPDX-License-Identifier: MIT */
#include "inspect/verify.h"

#include "inspect/missing_root.h"
#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_PRINTED = 20 };

static bool shall_print(struct gc_verifier *verifier)
{
    return verifier->faults++ < MOST_PRINTED;
}

static const char *name_of(const gc_type *type)
{
    return type != NULL && type->name != NULL ? type->name : "?";
}

static unsigned generation_at(const struct gc_verifier *verifier, uintptr_t address)
{
    return verifier->tables->blocks[gc_block_of(verifier->tables, address)].generation;
}

void gc_fault_object(struct gc_verifier *verifier, const char *what)
{
    if (shall_print(verifier))
        fprintf(stderr, "strata: verify: %s at %p in gen%u: %s\n", name_of(verifier->type),
                (void *)verifier->object, generation_at(verifier, verifier->object), what);
}

void gc_fault_slot(struct gc_verifier *verifier, uintptr_t slot, uintptr_t target, const char *what)
{
    if (!shall_print(verifier))
        return;
    if (verifier->object == 0)
        fprintf(stderr, "strata: verify: root %p -> %p: %s\n", (void *)slot, (void *)target, what);
    else
        fprintf(stderr, "strata: verify: %s at %p in gen%u, offset %zu -> %p: %s\n",
                name_of(verifier->type), (void *)verifier->object,
                generation_at(verifier, verifier->object), (size_t)(slot - verifier->object),
                (void *)target, what);
}

void gc_fault_block(struct gc_verifier *verifier, uint32_t block, const char *what)
{
    if (!shall_print(verifier))
        return;
    if (block == GC_NO_BLOCK)
        fprintf(stderr, "strata: verify: heap: %s\n", what);
    else
        fprintf(stderr, "strata: verify: block %u at %p in gen%u: %s\n", block,
                (void *)gc_block_start(verifier->tables, block),
                verifier->tables->blocks[block].generation, what);
}

static bool add_holder(struct gc_set *set, uintptr_t holder)
{
    struct gc_key key = {holder, 0};

    return gc_set_find(set, key) != NULL || gc_set_add(set, &key) != NULL;
}

static bool add_lane(struct gc_set *set, const struct gc_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++)
        if (!add_holder(set, lane->words[i]))
            return false;
    return true;
}

/* Without memory for them, log bytes are believed. */
static void know_sets(struct gc_verifier *verifier)
{
    struct gc_collector *collector = verifier->collector;
    bool known = add_lane(&verifier->logged, &collector->remembered.log) &&
                 add_lane(&verifier->remembered, &collector->remembered.old) &&
                 add_lane(&verifier->frozen, &collector->remembered.frozen);

    for (struct gc_mutator *mutator = collector->world.mutators; mutator != NULL;
         mutator = mutator->next)
        for (size_t i = 0; known && i < mutator->log_count; i++)
            known = add_holder(&verifier->logged, mutator->log[i]);
    verifier->sets_known = known;
}

/* Between collections what gen1 and gen2 hold does not change, nor what is frozen. */
static void verify_counts(struct gc_verifier *verifier)
{
    const struct gc_generation *generations = verifier->collector->spaces.generations;

    static const char *const faults[GC_AGES] = {
        NULL, "gen1's objects are not as many as it counts",
        "gen2's objects are not as many as it counts",
        "the frozen objects are not as many as are counted"};

    for (unsigned i = GC_MIDDLE; i < GC_AGES; i++)
        if (verifier->bytes[i] != generations[i].bytes ||
            verifier->objects[i] != generations[i].objects)
            gc_fault_block(verifier, GC_NO_BLOCK, faults[i]);
}

size_t gc_verify_heap(struct gc_collector *collector)
{
    struct gc_verifier verifier = {.collector = collector, .tables = &collector->tables};

    gc_set_create(&verifier.logged, sizeof(struct gc_key));
    gc_set_create(&verifier.remembered, sizeof(struct gc_key));
    gc_set_create(&verifier.frozen, sizeof(struct gc_key));
    know_sets(&verifier);
    gc_verify_blocks(&verifier);
    if (verifier.faults == 0) { /* else objects cannot be found */
        gc_verify_objects(&verifier);
        gc_verify_roots(&verifier);
        verify_counts(&verifier);
    }
    gc_set_destroy(&verifier.logged);
    gc_set_destroy(&verifier.remembered);
    gc_set_destroy(&verifier.frozen);
    return verifier.faults;
}

static bool verify_stopped(gc_mutator *mutator, void *faults)
{
    *(size_t *)faults = gc_verify_heap(&mutator->heap->collector);
    return true;
}

size_t gc_verify(gc_mutator *mutator)
{
    size_t faults = 0;

    gc_check_mutator(mutator, "gc_verify");
    if (mutator->visits == 0) {
        gc_world_stop(mutator, verify_stopped, &faults);
    } else { /* all others are stopped */
        gc_heap_lock(mutator->heap);
        verify_stopped(mutator, &faults);
        gc_heap_unlock(mutator->heap);
    }
    return faults;
}

/* The heap is whole before the first phase and after the last. */
static void verify_phase(struct gc_collector *collector, enum gc_phase phase)
{
    if (phase != GC_PHASE_STOPPED && phase != GC_PHASE_SWEPT)
        return;
    if (gc_verify_heap(collector) != 0) {
        fprintf(stderr, "strata: verify: %s collection %llu\n",
                phase == GC_PHASE_STOPPED ? "before" : "after",
                (unsigned long long)collector->collections);
        abort();
    }
}

const struct gc_inspection gc_inspection = {verify_phase, gc_explain_fault};
