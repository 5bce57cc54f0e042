/* SPDX-License-Identifier: MIT
 *
 * Weak references, ephemerons and identity hashes, as the API has them.
 */
#include "heap/heap.h"
#include "trace/ephemerons.h"

static const gc_type *type_of(const void *object)
{
    return gc_header_type(gc_header_of((uintptr_t)object));
}

static void check_flags(unsigned flags, const char *function)
{
    if (flags > GC_WEAK_TRACKING)
        gc_misuse(function, "there is no such flag");
}

static void check_weakref(const gc_mutator *mutator, const gc_weakref *weakref,
                          const char *function)
{
    gc_check_mutator(mutator, function);
    if (weakref == NULL)
        gc_misuse(function, "the weak reference is NULL");
    if (!gc_has_header(mutator->heap, weakref) || !gc_is_weakref_type(type_of(weakref)))
        gc_misuse(function, "this is not a weak reference of the heap");
}

/* Another thread may clear it. */
static void *referent_of(const gc_weakref *weakref)
{
    return (void *)__atomic_load_n(&weakref->referent, __ATOMIC_RELAXED);
}

/* ---- Weak references ---- */

/* The lock is held. */
static gc_weakref *find_shared(const gc_heap *heap, const void *object, unsigned flags)
{
    gc_weakref *weakref = gc_weakrefs_of(&heap->collector.weakrefs, (uintptr_t)object);

    while (weakref != NULL &&
           (weakref->referent != (uintptr_t)object || type_of(weakref) != &gc_weakref_types[flags]))
        weakref = (gc_weakref *)weakref->chain;
    return weakref;
}

static gc_weakref *allocate(gc_mutator *mutator, void **object, unsigned flags)
{
    gc_weakref *weakref;

    GC_FRAME(mutator, frame, object);
    gc_frame_own(&frame);
    weakref = gc_alloc(mutator, &gc_weakref_types[flags]);
    gc_frame_pop(mutator, &frame);
    if (weakref != NULL)
        weakref->referent = (uintptr_t)*object;
    return weakref;
}

gc_weakref *gc_weakref_create(gc_mutator *mutator, void *object, unsigned flags)
{
    gc_weakref *weakref, *made;

    gc_check_mutator(mutator, "gc_weakref_create");
    gc_check_object_quickly(mutator->heap, object, "gc_weakref_create");
    check_flags(flags, "gc_weakref_create");
    gc_heap_lock(mutator->heap);
    weakref = find_shared(mutator->heap, object, flags);
    gc_heap_unlock(mutator->heap);
    if (weakref != NULL)
        return weakref;
    made = allocate(mutator, &object, flags);
    if (made == NULL)
        return NULL;
    gc_heap_lock(mutator->heap);
    weakref = find_shared(mutator->heap, object, flags); /* another thread's */
    if (weakref == NULL) {
        gc_weakrefs_add(&mutator->heap->collector.weakrefs, made);
        weakref = made;
    } else {
        made->referent = 0;
    }
    gc_heap_unlock(mutator->heap);
    return weakref;
}

static gc_weakref *add_watching(gc_mutator *mutator, void *object, unsigned flags,
                                struct gc_call *call)
{
    gc_weakref *weakref = allocate(mutator, &object, flags | GC_WEAK_WATCHING);
    struct gc_collector *collector = &mutator->heap->collector;

    gc_heap_lock(mutator->heap);
    if (weakref == NULL) {
        gc_call_give(&collector->calls, call);
    } else {
        ((struct gc_watching_weakref *)weakref)->call = call;
        gc_weakrefs_add(&collector->weakrefs, weakref);
    }
    gc_heap_unlock(mutator->heap);
    return weakref;
}

gc_weakref *gc_weakref_create_watching(gc_mutator *mutator, void *object, unsigned flags,
                                       gc_weakref_fn *callback, void *data)
{
    struct gc_call *call;

    gc_check_mutator(mutator, "gc_weakref_create_watching");
    gc_check_object_quickly(mutator->heap, object, "gc_weakref_create_watching");
    check_flags(flags, "gc_weakref_create_watching");
    if (callback == NULL)
        gc_misuse("gc_weakref_create_watching", "the callback is NULL");
    gc_heap_lock(mutator->heap);
    call = gc_call_take(&mutator->heap->collector.calls);
    if (call != NULL) {
        call->kind = GC_CALL_WEAKREF;
        call->run.weakref = callback;
        call->data = data;
    }
    gc_heap_unlock(mutator->heap);
    return call == NULL ? NULL : add_watching(mutator, object, flags, call);
}

void *gc_weakref_get(gc_mutator *mutator, const gc_weakref *weakref)
{
    check_weakref(mutator, weakref, "gc_weakref_get");
    return referent_of(weakref);
}

gc_handle *gc_weakref_upgrade(gc_mutator *mutator, const gc_weakref *weakref)
{
    void *referent;

    check_weakref(mutator, weakref, "gc_weakref_upgrade");
    referent = referent_of(weakref);
    return referent == NULL ? NULL : gc_handle_create(mutator, referent);
}

static void clear(struct gc_collector *collector, gc_weakref *weakref)
{
    struct gc_watching_weakref *watching = (struct gc_watching_weakref *)weakref;

    if (weakref->referent == 0)
        return;
    gc_weakrefs_remove(&collector->weakrefs, weakref);
    if (!(gc_weakref_flags(type_of(weakref)) & GC_WEAK_WATCHING) || watching->call == NULL)
        return;
    gc_call_give(&collector->calls, watching->call);
    watching->call = NULL;
}

void gc_weakref_clear(gc_mutator *mutator, gc_weakref *weakref)
{
    check_weakref(mutator, weakref, "gc_weakref_clear");
    gc_heap_lock(mutator->heap);
    clear(&mutator->heap->collector, weakref);
    gc_heap_unlock(mutator->heap);
}

/* Without callback before those with one; these the newest first. */
static uint64_t rank_of(const gc_weakref *weakref)
{
    if (!(gc_weakref_flags(type_of(weakref)) & GC_WEAK_WATCHING))
        return UINT64_MAX;
    return ((const struct gc_watching_weakref *)weakref)->call->serial;
}

/* Puts one where its rank says among the `count` best, at most `most`. */
static void insert_ranked(gc_weakref **refs, size_t count, size_t most, gc_weakref *weakref)
{
    size_t i = count < most ? count : most;

    while (i > 0 && rank_of(refs[i - 1]) < rank_of(weakref)) {
        if (i < most)
            refs[i] = refs[i - 1];
        i--;
    }
    if (i < most)
        refs[i] = weakref;
}

size_t gc_weakref_list(gc_mutator *mutator, const void *object, gc_weakref **refs, size_t most)
{
    gc_weakref *weakref;
    size_t count = 0;

    gc_check_mutator(mutator, "gc_weakref_list");
    gc_check_object_quickly(mutator->heap, object, "gc_weakref_list");
    gc_heap_lock(mutator->heap);
    weakref = gc_weakrefs_of(&mutator->heap->collector.weakrefs, (uintptr_t)object);
    for (; weakref != NULL; weakref = (gc_weakref *)weakref->chain) {
        if (weakref->referent != (uintptr_t)object)
            continue;
        if (refs != NULL)
            insert_ranked(refs, count, most, weakref);
        count++;
    }
    gc_heap_unlock(mutator->heap);
    return count;
}

/* ---- Ephemerons ---- */

static void check_ephemeron(const gc_mutator *mutator, const gc_ephemeron *ephemeron,
                            const char *function)
{
    gc_check_mutator(mutator, function);
    if (ephemeron == NULL)
        gc_misuse(function, "the ephemeron is NULL");
    if (!gc_has_header(mutator->heap, ephemeron) || type_of(ephemeron) != &gc_ephemeron_type)
        gc_misuse(function, "this is not an ephemeron of the heap");
}

gc_ephemeron *gc_ephemeron_create(gc_mutator *mutator, void *key, void *value)
{
    gc_ephemeron *ephemeron;

    gc_check_mutator(mutator, "gc_ephemeron_create");
    gc_check_object_quickly(mutator->heap, key, "gc_ephemeron_create");
    if (value != NULL)
        gc_check_object_quickly(mutator->heap, value, "gc_ephemeron_create");
    GC_FRAME(mutator, frame, &key, &value);
    gc_frame_own(&frame);
    ephemeron = gc_alloc(mutator, &gc_ephemeron_type);
    gc_frame_pop(mutator, &frame);
    if (ephemeron == NULL)
        return NULL;
    ephemeron->key = (uintptr_t)key;
    ephemeron->value = (uintptr_t)value;
    gc_heap_lock(mutator->heap);
    gc_ephemerons_expect(&mutator->heap->collector.tracer.ephemerons, 1);
    gc_heap_unlock(mutator->heap);
    return ephemeron;
}

void *gc_ephemeron_key(gc_mutator *mutator, const gc_ephemeron *ephemeron)
{
    check_ephemeron(mutator, ephemeron, "gc_ephemeron_key");
    return (void *)ephemeron->key;
}

void *gc_ephemeron_value(gc_mutator *mutator, const gc_ephemeron *ephemeron)
{
    check_ephemeron(mutator, ephemeron, "gc_ephemeron_value");
    return (void *)ephemeron->value;
}

bool gc_ephemeron_set(gc_mutator *mutator, gc_ephemeron *ephemeron, void *value)
{
    check_ephemeron(mutator, ephemeron, "gc_ephemeron_set");
    if (value != NULL)
        gc_check_object_quickly(mutator->heap, value, "gc_ephemeron_set");
    if (ephemeron->key == 0)
        return false;
    gc_write(mutator, ephemeron, &ephemeron->value, value);
    return true;
}

void gc_ephemeron_clear(gc_mutator *mutator, gc_ephemeron *ephemeron)
{
    check_ephemeron(mutator, ephemeron, "gc_ephemeron_clear");
    ephemeron->key = ephemeron->value = 0;
}

/* ---- Identity hash ---- */

/* Steele, Lea and Flood 2014: splitmix64. */
static uint64_t draw_hash(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

static void find_hash(const gc_heap *heap, struct gc_hash *record)
{
    unsigned generation = gc_age_of(&heap->collector.tables, record->key.first);
    const struct gc_hash *known =
        gc_attachment_find(&heap->collector.hashes, generation, record->key);

    if (known == NULL)
        gc_misuse("gc_hash", "this is not a reference to an object of the heap");
    record->hash = known->hash;
}

static bool add_hash(gc_heap *heap, struct gc_hash *record)
{
    unsigned generation = gc_age_of(&heap->collector.tables, record->key.first);

    record->hash = draw_hash(&heap->hash_state);
    if (gc_attachment_add(&heap->collector.hashes, generation, record) == NULL)
        return false;
    gc_state_byte_add(record->key.first, GC_STATE_HASHED);
    return true;
}

gc_status gc_hash(gc_mutator *mutator, const void *object, uint64_t *hash)
{
    struct gc_hash record = {.key = {(uintptr_t)object, 0}};
    struct gc_heap *heap;
    bool done = true;

    gc_check_mutator(mutator, "gc_hash");
    heap = mutator->heap;
    if (!gc_has_header(heap, object))
        gc_misuse("gc_hash", "this is not a reference to an object of the heap");
    if (!gc_has_hash(record.key.first))
        gc_check_object_quickly(heap, object, "gc_hash");
    gc_heap_lock(heap);
    if (gc_has_hash(record.key.first))
        find_hash(heap, &record);
    else
        done = add_hash(heap, &record);
    gc_heap_unlock(heap);
    *hash = record.hash;
    return done ? GC_OK : GC_NO_MEMORY;
}
