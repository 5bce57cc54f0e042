/* SPDX-License-Identifier: MIT
 *
 * A heap: a collector, and when to use it. The API's entry points live in this
 * folder, a file for each subject.
 */
#ifndef STRATA_HEAP_H
#define STRATA_HEAP_H

#include "base/check.h"
#include "cycle/collector.h"
#include "os/fault.h"

struct gc_heap {
    struct gc_collector collector;
    gc_options options; /* as completed; workers 0 until a team is given unasked */
    void *data;
    unsigned disabled;    /* gc_disable calls not undone */
    gc_mutator *detached; /* kept for the next to attach, and to know misuse by */
    bool is_stuck;        /* the last compaction of what was sparse freed nothing */
    bool finalize_at_safepoints;
    bool finalize_at_destroy;
    uint64_t hash_state; /* of the generator of identity hashes */
    gc_heap *next_followed;
    bool is_followed; /* fork prepares it; atomic */
    bool is_prepared; /* for a fork; its stopper's */
    /* Stress. */
    size_t stress_every;    /* safepoints from one collection to the next */
    uint64_t stress_chance; /* 0: exactly so many; else as many on average */
    size_t stress_left;     /* ... until the next */
    struct gc_fault_watcher fault_watcher;
    gc_heap *next_heap; /* of those of this process (heaps.c) */
    /* Share of time near the limit. */
    uint64_t limit_started_ns; /* when the present run of limit collections began; 0 if none */
    uint64_t limit_collecting_ns;
    unsigned limit_collections;
};

/* What the inspecting floor puts into a heap that asks for it; defined there. */
struct gc_inspection {
    void (*on_phase)(struct gc_collector *collector, enum gc_phase phase);
    /* Explains an access that the system refused; false if the address is
     * nothing that a collection left. Called in a signal's handler. */
    bool (*on_fault)(uintptr_t address, void *heap);
};
extern const struct gc_inspection gc_inspection;

/* ---- The lock ---- */

/* Of all that threads share in the heap, the heap's own words included; held
 * for a short time, or by whoever has stopped all threads. Nothing that takes
 * it, allocates or stops is called with it. */
static inline void gc_heap_lock(const gc_heap *heap)
{
    gc_world_lock((struct gc_world *)(uintptr_t)&heap->collector.world);
}

static inline void gc_heap_unlock(const gc_heap *heap)
{
    gc_world_unlock((struct gc_world *)(uintptr_t)&heap->collector.world);
}

/* Coroutines that were not unregistered (coroutines.c). */
void gc_heap_free_coroutines(gc_heap *heap);
size_t gc_heap_coroutine_bytes(const gc_heap *heap);

/* Takes the heap from those that fork prepares (fork.c). */
void gc_heap_unfollow(gc_heap *heap);

/* Drops a mutator whose thread a fork has left behind; the lock is held
 * (mutators.c). */
void gc_heap_drop_mutator(gc_mutator *mutator);

/* Has threads named that do not stop in time, as the options say (mutators.c). */
void gc_heap_set_watchdog(gc_heap *heap);

/* Detaches what a thread has left attached at its end (mutators.c). */
void gc_heap_clean_up(gc_mutator *mutator);

/* ---- Misuse, unless ... (checks.c) ---- */

/* What is said of a call from a callback of a collection or visit. */
extern const char gc_not_from_here[];

/* Whether checks that cost something were asked for. */
static inline bool gc_is_checking(const gc_heap *heap)
{
    return heap->options.check >= GC_CHECK_CHEAP;
}

/* Whether there are bytes before `object` that may be its header. */
static inline bool gc_has_header(const gc_heap *heap, const void *object)
{
    const struct gc_tables *tables = &heap->collector.tables;
    uintptr_t header = (uintptr_t)object - GC_HEADER_BYTES;

    return (uintptr_t)object % GC_GRANULE_BYTES == 0 && gc_in_range(tables, header) &&
           gc_state_of(tables, gc_block_of(tables, header)) != 0;
}

/* ... there is a heap, and no collection of it under way. */
void gc_check_heap(const gc_heap *heap, const char *function);

/* ... the calling thread is attached, too; that is checked when asked for. */
void gc_check_attached(const gc_heap *heap, const char *function);

/* ... the calling thread is the mutator's, and no collection is under way; ...
 * nor a visit of the heap; ... nor the limit callback. */
void gc_check_mutator(const gc_mutator *mutator, const char *function);
void gc_check_may_collect(const gc_mutator *mutator, const char *function);
void gc_check_may_end(const gc_mutator *mutator, const char *function);

/* ... `object` is a reference to an object of the heap. The second looks no
 * further than at its block, unless checks were asked for. */
void gc_check_object(gc_heap *heap, const void *object, const char *function);
void gc_check_object_quickly(gc_heap *heap, const void *object, const char *function);

/* ... these words lie in the object, which is one of the heap's. */
void gc_check_slots(const void *object, const void *slots, size_t count, const char *function);

/* ... these words are whole ones outside of the heap. */
void gc_check_outside(const gc_heap *heap, const void *slots, size_t count, const char *function);

/* ... the handle is one of the heap's, and in use. */
void gc_check_handle(gc_heap *heap, const gc_handle *handle, const char *function);

/* ... instances can be made as the type says (types.c). */
void gc_check_type(gc_heap *heap, const gc_type *type, const char *function);

/* ---- Collections (collecting.c) ---- */

/* Runs a collection of generations 0 to `generation`, now. All threads are
 * stopped. */
void gc_heap_collect(gc_heap *heap, unsigned generation, gc_reason reason);

/* Runs a full collection, then one that moves all together. The same. */
void gc_heap_compact(gc_heap *heap, gc_reason reason);

/* Bytes handed out to mutators and since used: not what runs still hold, their own
 * and those of what is born pinned. The lock is held. */
size_t gc_heap_young_bytes(const gc_heap *heap);

/* The object in which the word's predecessor lies, or 0; also while other
 * threads allocate. Takes the lock. */
uintptr_t gc_heap_object_at(gc_heap *heap, uintptr_t word);

/* Makes a watched mutator's slow path do what it is watched for. */
void gc_heap_attend(gc_mutator *mutator);

/* Sets the hard limit, and the reserve that is a share of it (limits.c). */
void gc_heap_limit(gc_heap *heap, size_t hard);

/* Counts what a finalizer will free outside; GC_NO_MEMORY if that is too much. The
 * lock is held. */
gc_status gc_heap_charge(gc_mutator *mutator, size_t bytes);

/* Runs finalizers that are due, if that is what the heap is to do at safepoints. */
void gc_heap_finalize_due(gc_mutator *mutator);

/* Makes mutators take the slow path if finalizers are due. The lock is held. */
void gc_heap_watch_for_finalizers(gc_heap *heap);

/* Runs what is queued and left, if the heap is to do so. Nobody is attached. */
void gc_heap_finalize_all(gc_heap *heap);

/* Bytes that the heap holds besides blocks and their tables; counts them, and room
 * for more of them in a collection, in the limit. The lock is held. */
size_t gc_heap_overhead_bytes(const gc_heap *heap);
void gc_heap_count_overhead(gc_heap *heap);

/* Lets lanes grow as far as the limit has room for them, and counts anew. The lock
 * is held, and no collection under way. */
void gc_heap_limit_lanes(gc_heap *heap);

/* Whether its team is as large as its limit allows, and was not lost. */
bool gc_heap_has_team(const gc_heap *heap);

/* Makes and starts the team that the last large collection missed, unless the options say
 * how many workers there are, or there is little room. All threads are stopped. */
void gc_heap_give_team(gc_heap *heap);

/* ---- All heaps (heaps.c). Thread: any. ---- */

struct gc_heap_range {
    uintptr_t base;
    size_t bytes;
};

void gc_heaps_add(gc_heap *heap);
void gc_heaps_remove(gc_heap *heap);

/* The ranges of at most so many heaps; returns how many. */
size_t gc_heaps_list(struct gc_heap_range *ranges, size_t most);

/* ---- Stress (stress.c) ---- */

/* What stress modes need; false without memory. */
bool gc_stress_create(gc_heap *heap, unsigned stress);
void gc_stress_destroy(gc_heap *heap);

/* At a safepoint of a heap that is to collect at every n-th: whether this is it. */
bool gc_stress_is_due(gc_heap *heap);

static inline struct gc_tables *gc_heap_tables(gc_heap *heap)
{
    return &heap->collector.tables;
}

/* Makes mutators take the slow path if a collection is due for bytes charged, and may
 * come. The lock is held (limits.c). */
void gc_heap_watch_for_charges(gc_heap *heap);

/* Whether bytes charged since the last collection call for one. The lock is held. */
static inline bool gc_heap_is_charged(const gc_heap *heap)
{
    return gc_pace_external_due(&heap->collector.pace, heap->collector.external_since);
}

static inline unsigned gc_heap_generation(gc_heap *heap, const void *object)
{
    struct gc_tables *tables = gc_heap_tables(heap);

    return tables->blocks[gc_block_of(tables, (uintptr_t)object)].generation;
}

#endif
