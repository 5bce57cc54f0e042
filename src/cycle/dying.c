/* SPDX-License-Identifier: MIT
 *
 * What follows from the death of objects, in the order of CPython's PEP 442:
 * weak references and ephemerons to the dead are cleared, callbacks queued;
 * finalizers are queued, and keep their objects for as long as they wait;
 * then, what refers weakly to the dead that are left is cleared. The first
 * step is left out when there is no finalizer, for the last does it as well.
 */
#include "cycle/phases.h"
#include "trace/ephemerons.h"

/* Callbacks of one step, newest first. */
static void enqueue_callbacks(struct gc_calls *calls, struct gc_call *due)
{
    due = gc_calls_sort(due, true);
    while (due != NULL) {
        struct gc_call *next = due->next;

        gc_call_enqueue(&calls->callbacks, due);
        due = next;
    }
}

/* Watches do without their objects: they are callbacks. The rest is returned. */
static struct gc_call *part_watches(struct gc_call *dead, struct gc_call **due)
{
    struct gc_call *rest = NULL;

    while (dead != NULL) {
        struct gc_call *next = dead->next;
        struct gc_call **list = dead->kind == GC_CALL_WATCH ? due : &rest;

        if (dead->kind == GC_CALL_WATCH)
            dead->object = 0;
        dead->next = *list;
        *list = dead;
        dead = next;
    }
    return rest;
}

/* All are queued before anything is traced: that one's object is reached from
 * another's does not spare it. */
static void revive(struct gc_collector *collector, struct gc_call *dying)
{
    struct gc_tracer *tracer = &collector->tracer;

    dying = gc_calls_sort(dying, false);
    while (dying != NULL) {
        struct gc_call *next = dying->next;

        dying->object = gc_trace_kept(tracer, dying->object);
        gc_call_note_age(&collector->calls, dying, gc_age_of(tracer->tables, dying->object));
        gc_call_enqueue(dying->queue, dying);
        dying = next;
    }
    gc_trace_drain(tracer);
    gc_trace_ephemerons(tracer);
}

void gc_queue_finalizers(struct gc_collector *collector)
{
    struct gc_tracer *tracer = &collector->tracer;
    struct gc_call *due = NULL, *dying;

    dying = part_watches(gc_calls_find_dead(&collector->calls, tracer), &due);
    if (dying != NULL) {
        gc_weakrefs_condemn(&collector->weakrefs, tracer, &collector->calls, &due);
        gc_clear_ephemerons(tracer);
    }
    enqueue_callbacks(&collector->calls, due);
    if (dying != NULL)
        revive(collector, dying);
}

void gc_clear_weak(struct gc_collector *collector)
{
    struct gc_tracer *tracer = &collector->tracer;
    struct gc_call *due = NULL;

    gc_clear_ephemerons(tracer);
    gc_ephemerons_settle(tracer);
    gc_weakrefs_settle(&collector->weakrefs, tracer, &collector->calls, &due);
    enqueue_callbacks(&collector->calls, due);
}
