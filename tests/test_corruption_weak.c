/* SPDX-License-Identifier: MIT
 *
 * The verifier sees what does not keep: each corruption of weak references,
 * ephemerons, calls, types made at run time, and of what a trace leaves is found,
 * and named.
 */
#include "support/corruption.h"

/* ---- Weak references ----------------------------------------------------- */

static struct gc_weakref *weak(const struct seeded *s)
{
    return (struct gc_weakref *)s->weakref;
}

static void weakly_to_none(struct seeded *s)
{
    at(s, s->weakref);
    s->target = weak(s)->referent = (uintptr_t)&s->young->value;
}

static void weakref_in_no_list(struct seeded *s)
{
    uintptr_t *link = &s->collector->weakrefs.lists[GC_YOUNG];

    while (*link != (uintptr_t)s->weakref)
        link = &((struct gc_weakref *)*link)->next;
    *link = weak(s)->next;
    at(s, s->weakref);
}

static void weakref_in_older_list(struct seeded *s)
{
    weakref_in_no_list(s);
    weak(s)->next = s->collector->weakrefs.lists[GC_MIDDLE];
    s->collector->weakrefs.lists[GC_MIDDLE] = (uintptr_t)s->weakref;
}

static void list_of_no_weakref(struct seeded *s)
{
    s->object = s->collector->weakrefs.lists[GC_MIDDLE] = (uintptr_t)s->old;
}

static void list_of_none(struct seeded *s)
{
    s->object = s->collector->weakrefs.lists[GC_MIDDLE] = (uintptr_t)&s->old->value;
}

static void list_of_elsewhere(struct seeded *s)
{
    s->object = s->collector->weakrefs.lists[GC_MIDDLE] = (uintptr_t)s->elsewhere;
}

static void weakref_of_elsewhere(struct seeded *s)
{
    at(s, s->weakref);
    s->target = weak(s)->referent = (uintptr_t)s->elsewhere;
}

static void old_weakref_to_young(struct seeded *s)
{
    s->object = (uintptr_t)s->old_weakref;
    ((struct gc_weakref *)s->old_weakref)->referent = (uintptr_t)s->young;
}

static void weakref_twice(struct seeded *s)
{
    s->object = (uintptr_t)s->weakref;
    s->collector->weakrefs.lists[GC_MIDDLE] = s->object;
}

static void indexed_without_referent(struct seeded *s)
{
    s->object = (uintptr_t)s->weakref;
    weak(s)->referent = 0;
}

static void indexed_elsewhere(struct seeded *s)
{
    struct gc_weakrefs *weakrefs = &s->collector->weakrefs;
    size_t i = 0;

    while (weakrefs->buckets[i] == 0)
        i++;
    s->object = weakrefs->buckets[i];
    weakrefs->buckets[i] = 0;
    while (weakrefs->buckets[++i & weakrefs->mask] != 0)
        ;
    weakrefs->buckets[i & weakrefs->mask] = s->object;
}

static uintptr_t *first_bucket(struct seeded *s)
{
    uintptr_t *bucket = s->collector->weakrefs.buckets;

    while (*bucket == 0)
        bucket++;
    return bucket;
}

static void indexed_is_none(struct seeded *s)
{
    s->object = *first_bucket(s) = (uintptr_t)s->old;
}

static void chain_is_ring(struct seeded *s)
{
    uintptr_t weakref = *first_bucket(s);

    ((struct gc_weakref *)weakref)->chain = weakref;
}

static void index_miscounts(struct seeded *s)
{
    s->collector->weakrefs.count++;
}

static void weakref_callback_taken(struct seeded *s)
{
    at(s, s->watching);
    ((struct gc_watching_weakref *)s->watching)->call->state = GC_CALL_FREE;
}

static void weakref_callback_of_others(struct seeded *s)
{
    at(s, s->watching);
    ((struct gc_watching_weakref *)s->watching)->call->kind = GC_CALL_FINALIZER;
}

static void ephemeron_aside(struct seeded *s)
{
    at(s, s->ephemeron);
    ((uintptr_t *)s->ephemeron)[2] = 1;
}

static void ephemeron_value(struct seeded *s)
{
    at(s, s->ephemeron);
    s->other = (uintptr_t)s->old;
    s->target = (uintptr_t)&s->old->value;
    ((uintptr_t *)s->ephemeron)[1] = s->target;
}

/* ---- Calls --------------------------------------------------------------- */

static struct gc_call *finalizer_call(struct seeded *s)
{
    return gc_call_named(&s->collector->calls, s->finalizer);
}

static void call_of_no_state(struct seeded *s)
{
    s->object = (uintptr_t)s->old;
    finalizer_call(s)->state = GC_CALL_DYING;
}

static void call_of_unknown_state(struct seeded *s)
{
    s->object = (uintptr_t)s->old;
    finalizer_call(s)->state = GC_CALL_QUEUED + 1;
}

static void call_of_elsewhere(struct seeded *s)
{
    s->object = finalizer_call(s)->object = (uintptr_t)s->elsewhere;
}

static void call_for_nothing(struct seeded *s)
{
    finalizer_call(s)->object = 0;
    s->object = 0;
}

static void call_of_none(struct seeded *s)
{
    s->object = finalizer_call(s)->object = (uintptr_t)&s->old->value;
}

static void call_younger(struct seeded *s)
{
    s->object = finalizer_call(s)->object = (uintptr_t)s->young;
    s->collector->calls.pages[0]->youngest = GC_OLD;
}

static void call_page_miscounts(struct seeded *s)
{
    s->collector->calls.pages[0]->used++;
    s->collector->calls.count++;
}

static void calls_miscounted(struct seeded *s)
{
    s->collector->calls.count++;
}

static void queue_miscounts(struct seeded *s)
{
    s->collector->calls.finalizers[0].count = 1;
}

/* The queue of callbacks holds the finalizer's call. */
static struct gc_call *queue_one(struct seeded *s)
{
    struct gc_call_queue *queue = &s->collector->calls.callbacks;

    queue->first = queue->last = finalizer_call(s);
    queue->count = 1;
    s->object = (uintptr_t)s->old;
    queue->first->state = GC_CALL_QUEUED;
    return queue->first;
}

static void queue_of_others_queued(struct seeded *s)
{
    (void)queue_one(s);
}

static void queue_is_ring(struct seeded *s)
{
    struct gc_call *call = queue_one(s);

    call->queue = &s->collector->calls.callbacks;
    call->next = call;
}

static void queue_of_others(struct seeded *s)
{
    struct gc_call_queue *queue = &s->collector->calls.callbacks;

    queue->first = queue->last = finalizer_call(s);
    queue->count = 1;
    s->object = (uintptr_t)s->old;
}

/* ---- Types, tracer ------------------------------------------------------- */

static void class_of_none(struct seeded *s)
{
    s->object = (uintptr_t)&s->old->value;
    gc_made_type(s->type)->class_object = s->object;
}

static void class_of_elsewhere(struct seeded *s)
{
    s->object = (uintptr_t)s->elsewhere;
    gc_made_type(s->type)->class_object = s->object;
}

static void unused_type_left_retired(struct seeded *s)
{
    gc_type *type = gc_type_create(s->world->mutator, &node_type, NULL);

    type->kind = GC_KIND_RETIRED;
    s->object = (uintptr_t)gc_made_type(type);
}

/* The type goes to this list, and its class object is that one. */
static void put_type(struct seeded *s, struct gc_made_type **list, struct node *class_object)
{
    struct gc_made_type *made = gc_made_type(s->type);

    s->collector->types.young = made->next;
    made->next = *list;
    *list = made;
    s->object = made->class_object = (uintptr_t)class_object;
}

static void class_too_young(struct seeded *s)
{
    put_type(s, &s->collector->types.old, s->young);
}

static void frozen_class_too_young(struct seeded *s)
{
    put_type(s, &s->collector->types.frozen, s->old);
}

static void stack_left(struct seeded *s)
{
    s->collector->tracer.stack.count = 1;
}

static void edge_left(struct seeded *s)
{
    s->collector->tracer.edges.count = 1;
}

static void card_scan_left(struct seeded *s)
{
    s->collector->tracer.card_scan_count = 1;
}

static void aside_left(struct seeded *s)
{
    s->collector->tracer.ephemerons.pending.count = 1;
}

static void pairs_left(struct seeded *s)
{
    s->collector->tracer.ephemerons.pairs.count = 1;
}

static void still_watching(struct seeded *s)
{
    s->collector->tracer.ephemerons.watching = true;
}

#define NO_OBJECT " of {object}: it is no object"

static const struct corruption of_weak[] = {
    {"weakly to none", weakly_to_none,
     "weak reference at {object} in gen0, offset 0 -> {target}: leads weakly to no object", true},
    {"weak reference in no list", weakref_in_no_list,
     "weak reference at {object} in gen0: is in no list of weak references (W1)", false},
    {"weak reference in an older list", weakref_in_older_list,
     "weak reference of {object}: it is in a list that is older than it, or than its referent (W1)",
     false},
    {"list of no weak reference", list_of_no_weakref,
     "weak reference of {object}: it is in a list, and is none (W1)", false},
    {"list of no object", list_of_none,
     "weak reference of {object}: it is in a list, and is none (W1)", false},
    {"list of another heap's", list_of_elsewhere,
     "weak reference of {object}: it is in a list, and is none (W1)", false},
    {"weakly to another heap", weakref_of_elsewhere,
     "weak reference at {object} in gen0, offset 0 -> {target}: leads weakly to no object", true},
    {"old weak reference to a young object", old_weakref_to_young,
     "weak reference of {object}: it is in a list that is older than it, or than its referent (W1)",
     true},
    {"weak reference twice", weakref_twice,
     "weak reference of {object}: it is in a list twice (W1)", true},
    {"indexed without referent", indexed_without_referent,
     "weak reference of {object}: it is in the index, and refers to nothing", true},
    {"indexed elsewhere", indexed_elsewhere,
     "weak reference of {object}: it is not where the index has its referent", true},
    {"indexed is none", indexed_is_none,
     "weak reference of {object}: it is in the index, and refers to nothing", true},
    {"chain is a ring", chain_is_ring, "heap: the index of weak references miscounts them", true},
    {"index miscounts", index_miscounts, "heap: the index of weak references miscounts them",
     false},
    {"callback of a weak reference taken", weakref_callback_taken,
     "weak reference with callback at {object} in gen0: has a callback that is not a weak "
     "reference's (K1)",
     true},
    {"callback of a weak reference is another's", weakref_callback_of_others,
     "weak reference with callback at {object} in gen0: has a callback that is not a weak "
     "reference's (K1)",
     false},
    {"ephemeron put aside", ephemeron_aside,
     "ephemeron at {object} in gen0: is put aside between collections (F1)", false},
    {"ephemeron's value", ephemeron_value,
     "ephemeron at {object} in gen0, offset 8 -> {target}: leads into the middle of the node at "
     "{other}",
     false},
    {"call of no state", call_of_no_state, "call of {object}: it is in no state", false},
    {"call of unknown state", call_of_unknown_state, "call of {object}: it is in no state", false},
    {"call of another heap's", call_of_elsewhere, "call of {object}: it is no object (K1)", false},
    {"call for nothing", call_for_nothing, "call of (nil): it waits for no object (K1)", false},
    {"call of none", call_of_none, "call of {object}: it is no object (K1)", false},
    {"call younger than its page", call_younger,
     "call of {object}: it is younger than its page knows (K2)", false},
    {"page of calls miscounts", call_page_miscounts, "heap: a page of calls miscounts them", true},
    {"calls miscounted", calls_miscounted, "heap: calls are not as many as their count", false},
    {"queue miscounts", queue_miscounts, "heap: a queue of calls miscounts them", false},
    {"queue of others", queue_of_others, "call of {object}: it is in a queue that is not its own",
     false},
    {"queue of others, queued", queue_of_others_queued,
     "call of {object}: it is in a queue that is not its own", false},
    {"queue is a ring", queue_is_ring, "heap: a queue of calls miscounts them", false},
    {"class object is another heap's", class_of_elsewhere, "class object" NO_OBJECT, false},
    {"unused type left as retired", unused_type_left_retired,
     "type of {object}: it is marked as in a full collection", false},
    {"class object is none", class_of_none, "class object" NO_OBJECT, false},
    {"class object too young", class_too_young,
     "class object of {object}: it is younger than its type's list", false},
    {"class object of a frozen type not frozen", frozen_class_too_young,
     "class object of {object}: it is younger than its type's list", false},
    {"mark stack left", stack_left, "heap: the mark stack is not empty", false},
    {"edge left", edge_left, "heap: edges wait", false},
    {"array half scanned", card_scan_left, "heap: edges wait", false},
    {"ephemerons left aside", aside_left, "heap: ephemerons are put aside between collections",
     false},
    {"pairs left aside", pairs_left, "heap: ephemerons are put aside between collections", false},
    {"still watching", still_watching, "heap: ephemerons are put aside between collections", false},
};

static void broken_weak_things_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_weak, GC_COUNT(of_weak), 38);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_weak_things_are_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
