/* SPDX-License-Identifier: MIT
 *
 * What shall be called when an object dies: finalizers, entries of guardians,
 * watches, and the callbacks of weak references. Records of one size, in pages
 * that stay where they are, so that a collection moves records between queues
 * by links and allocates nothing. Pages are listed by the age of the youngest
 * object that their records refer to, so that a minor collection meets none of
 * those with old ones only.
 *
 * K1  WAITING: `object` is weak. QUEUED: `object` is a root, or 0. IDLE: the
 *     record is a weak reference's, which refers to it.
 * K2  A page's `youngest` is no older than any object of its records; it is in
 *     the list of that age, and in none if that is GC_FROZEN.
 */
#ifndef STRATA_CALLS_H
#define STRATA_CALLS_H

#include "trace/tracer.h"

#include <strata/weak.h>

enum { GC_CALL_PAGE_SLOTS = 63 };

enum gc_call_state {
    GC_CALL_FREE = 0,
    GC_CALL_IDLE,
    GC_CALL_WAITING,
    GC_CALL_DYING, /* found dead in the collection under way */
    GC_CALL_QUEUED
};

enum gc_call_kind {
    GC_CALL_FINALIZER, /* gets the object, alive */
    GC_CALL_GUARDED,   /* ... through a guardian */
    GC_CALL_WATCH,     /* does without */
    GC_CALL_WEAKREF    /* gets the weak reference */
};

struct gc_call_queue;

struct gc_call {
    uintptr_t object;
    union {
        gc_finalizer_fn *finalizer;
        gc_watch_fn *watch;
        gc_weakref_fn *weakref;
    } run;
    void *data;
    struct gc_call *next;
    struct gc_call_queue *queue; /* where it goes */
    size_t external_bytes;
    uint64_t serial; /* in order of registration */
    uint32_t position;
    uint8_t state;
    uint8_t kind;
};

struct gc_call_queue {
    struct gc_call *first;
    struct gc_call *last;
    size_t count;
};

struct gc_call_page {
    uint32_t used;
    struct gc_call *free;
    struct gc_call_page *next_free; /* pages with a free record */
    bool listed;                    /* in that list */
    uint8_t youngest;               /* an age */
    struct gc_call_page *next_of_age;
    struct gc_call_page **link_of_age; /* what refers to this one */
    struct gc_call records[GC_CALL_PAGE_SLOTS];
};

struct gc_guardian {
    struct gc_call_queue queue;
    struct gc_guardian *next;
};

struct gc_calls {
    struct gc_call_page **pages;
    size_t page_count;
    size_t page_capacity;
    struct gc_call_page *free_pages;
    struct gc_call_page *by_age[GC_GENERATIONS]; /* K2 */
    struct gc_call_queue callbacks;              /* of weak references and watches */
    struct gc_call_queue finalizers[GC_PRIORITIES];
    struct gc_guardian *guardians;
    uint64_t serial;
    size_t count; /* records in use */
};

void gc_calls_destroy(struct gc_calls *calls);
size_t gc_calls_bytes(const struct gc_calls *calls);

/* A record with a serial of its own and the page's age young; NULL without
 * memory. */
struct gc_call *gc_call_take(struct gc_calls *calls);
void gc_call_give(struct gc_calls *calls, struct gc_call *call);

/* A name for the record that stays its own, and the record of a name; NULL if
 * that is no longer in use. */
uint64_t gc_call_name(const struct gc_call *call);
struct gc_call *gc_call_named(const struct gc_calls *calls, uint64_t name);

/* The record's object is of this age. */
void gc_call_note_age(struct gc_calls *calls, const struct gc_call *call, unsigned age);

void gc_call_enqueue(struct gc_call_queue *queue, struct gc_call *call);
struct gc_call *gc_call_dequeue(struct gc_call_queue *queue);

/* Takes a queued record out of the middle. */
void gc_call_unqueue(struct gc_call_queue *queue, struct gc_call *call);

/* Sorts a list, linked through next, by serial: the oldest first, or the newest. */
struct gc_call *gc_calls_sort(struct gc_call *list, bool newest_first);

/* All their objects are frozen; or of gen2, as far as is known. */
void gc_calls_freeze(struct gc_calls *calls);
void gc_calls_unfreeze(struct gc_calls *calls);

/* Queued objects, as roots. */
void gc_calls_trace(struct gc_calls *calls, struct gc_tracer *tracer);

/* After a trace: waiting records follow their objects; those whose objects are
 * dead are DYING and are returned, linked, in no order. */
struct gc_call *gc_calls_find_dead(struct gc_calls *calls, struct gc_tracer *tracer);

#endif
