/* SPDX-License-Identifier: MIT */
#include "inspect/verify.h"

#include "inspect/missing_root.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_PRINTED = 20 };

/* ---- Messages ---- */

static bool shall_print(struct gc_verifier *verifier)
{
    return verifier->faults++ < MOST_PRINTED;
}

static const char *name_of(const gc_type *type)
{
    return type != NULL && type->name != NULL ? type->name : "?";
}

void gc_fault_object(struct gc_verifier *verifier, const char *what)
{
    if (shall_print(verifier))
        fprintf(stderr, "strata: verify: %s at %p in gen%u: %s\n", name_of(verifier->type),
                (void *)verifier->object, gc_verify_generation(verifier, verifier->object), what);
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
                gc_verify_generation(verifier, verifier->object), (size_t)(slot - verifier->object),
                (void *)target, what);
}

void gc_fault_block(struct gc_verifier *verifier, uint32_t block, const char *what)
{
    if (shall_print(verifier))
        fprintf(stderr, "strata: verify: block %u at %p in gen%u: %s\n", block,
                (void *)gc_block_start(verifier->tables, block),
                verifier->tables->blocks[block].generation, what);
}

void gc_fault_heap(struct gc_verifier *verifier, const char *what)
{
    if (shall_print(verifier))
        fprintf(stderr, "strata: verify: heap: %s\n", what);
}

void gc_fault_note(struct gc_verifier *verifier, const char *note, uintptr_t object,
                   const char *what)
{
    if (shall_print(verifier))
        fprintf(stderr, "strata: verify: %s of %p: %s\n", note, (void *)object, what);
}

/* ---- What the parts share ---- */

static bool add_holder(struct gc_set *set, uintptr_t holder)
{
    struct gc_key key = {holder, 0};

    return gc_set_find(set, key) != NULL || gc_set_add(set, &key) != NULL;
}

/* One that is too long is found later, and is read no further than it can be. */
static bool add_lane(struct gc_set *set, const struct gc_lane *lane)
{
    for (size_t i = 0; i < gc_min(lane->count, lane->committed); i++)
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
        for (size_t i = 0; known && i < gc_min(mutator->log_count, GC_MUTATOR_LOG); i++)
            known = add_holder(&verifier->logged, mutator->log[i]);
    verifier->sets_known = known;
}

static void know_other_heaps(struct gc_verifier *verifier)
{
    size_t count = gc_heaps_list(verifier->others, GC_VERIFY_HEAPS);

    for (size_t i = 0; i < count; i++)
        if (verifier->others[i].base != verifier->tables->base)
            verifier->others[verifier->other_count++] = verifier->others[i];
}

void gc_verify_each(struct gc_verifier *verifier, gc_verify_object_fn *visit)
{
    size_t blocks = verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS;

    for (uint32_t block = 0; block < blocks; block++)
        if (verifier->tables->state[block] != 0 &&
            verifier->tables->blocks[block].kind != GC_BLOCK_FOLLOWER)
            gc_block_visit_objects(verifier->tables, block, visit, verifier);
    verifier->object = 0;
    verifier->type = NULL;
}

/* ---- All of it ---- */

/* Between collections what gen1 and gen2 hold does not change, nor what is frozen. */
static void verify_counts(struct gc_verifier *verifier)
{
    const struct gc_generation *generations = verifier->collector->spaces.generations;
    size_t births_bytes = verifier->collector->spaces.births_bytes;
    static const char *const faults[GC_AGES] = {
        NULL, "gen1's objects are not as many as it counts",
        "gen2's objects are not as many as it counts",
        "the frozen objects are not as many as are counted"};

    for (unsigned i = GC_MIDDLE; i < GC_AGES; i++)
        if (verifier->bytes[i] + (i == GC_OLD ? births_bytes : 0) != generations[i].bytes ||
            verifier->objects[i] != generations[i].objects)
            gc_fault_heap(verifier, faults[i]);
    for (unsigned i = GC_YOUNG; i < GC_AGES; i++)
        if (verifier->large_bytes[i] != generations[i].large_bytes)
            gc_fault_heap(verifier, "a generation miscounts the bytes of its large objects");
    if (verifier->births_bytes > births_bytes)
        gc_fault_heap(verifier, "more was born in gen2 than is counted (S4)");
}

static void verify_parts(struct gc_verifier *verifier)
{
    gc_verify_blocks(verifier);
    if (verifier->faults == 0)
        gc_verify_lists(verifier);
    if (verifier->faults == 0)
        gc_verify_layout(verifier);
    if (verifier->faults != 0)
        return;
    know_sets(verifier);
    know_other_heaps(verifier);
    verify_counts(verifier);
    gc_verify_weak(verifier);
    gc_verify_objects(verifier);
    gc_verify_sets(verifier);
    gc_verify_roots(verifier);
}

size_t gc_verify_heap(struct gc_collector *collector)
{
    struct gc_verifier verifier = {.collector = collector, .tables = &collector->tables};

    gc_set_create(&verifier.logged, sizeof(struct gc_key));
    gc_set_create(&verifier.remembered, sizeof(struct gc_key));
    gc_set_create(&verifier.frozen, sizeof(struct gc_key));
    gc_set_create(&verifier.weakrefs, sizeof(struct gc_key));
    verify_parts(&verifier);
    gc_set_destroy(&verifier.logged);
    gc_set_destroy(&verifier.remembered);
    gc_set_destroy(&verifier.frozen);
    gc_set_destroy(&verifier.weakrefs);
    return verifier.faults;
}

static bool verify_stopped(gc_mutator *mutator, void *faults)
{
    gc_close_births(&mutator->heap->collector);
    gc_world_zero_rests(mutator->world);
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
    static const char *const when[GC_PHASES] = {"in",
                                                "before",
                                                "after condemning in",
                                                "after pinning in",
                                                "after the trace in",
                                                "after weak references were cleared in",
                                                "before the sweep of",
                                                "after"};
    bool is_whole = phase == GC_PHASE_STOPPED || phase == GC_PHASE_SWEPT;
    bool is_counted = phase != GC_PHASE_SWEPT || !collector->goes_on;
    size_t faults = is_whole ? gc_verify_heap(collector) : gc_verify_boundary(collector, phase);

    if (faults != 0) {
        fprintf(stderr, "strata: verify: %s collection %llu\n", when[phase],
                (unsigned long long)collector->collections + !is_counted);
        abort();
    }
}

const struct gc_inspection gc_inspection = {verify_phase, gc_explain_fault};
