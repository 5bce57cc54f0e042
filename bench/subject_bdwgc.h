/* SPDX-License-Identifier: MIT
 *
 * The part of subject.h that is for the Boehm-Demers-Weiser collector; included
 * by it alone.
 */
#ifndef BENCH_SUBJECT_BDWGC_H
#define BENCH_SUBJECT_BDWGC_H

#define GC_THREADS
#include <gc/gc.h>
#include <time.h>

enum { SUBJECT_COLLECTS = 1, SUBJECT_DROPS = 0 };

static inline void *subject_allocate(subject *s, const subject_type *type, size_t more)
{
    (void)s;
    return subject_need(type->leaf ? GC_MALLOC_ATOMIC(type->size + more)
                                   : GC_MALLOC(type->size + more));
}

static inline void *new_references(subject *s, size_t count)
{
    (void)s;
    return subject_need(GC_MALLOC(count * sizeof(void *)));
}

static inline void *new_bytes(subject *s, size_t bytes)
{
    (void)s;
    return subject_need(GC_MALLOC_ATOMIC(bytes));
}

#define DROP(s, object) ((void)(s), (void)(object))

/* Pauses, from the collector's own events: a whole collection, or the part of
 * one that stops the world. */
static uint64_t subject_pause_start[2], subject_pause_max;
static subject_pauses subject_collections, subject_stops;

static inline uint64_t subject_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void subject_pause_end(uint64_t start)
{
    uint64_t pause = subject_clock() - start;

    if (start != 0 && pause > subject_pause_max)
        subject_pause_max = pause;
}

static inline void subject_collection_end(void)
{
    subject_collections.count++;
    subject_collections.total_ns += subject_clock() - subject_pause_start[0];
    subject_pause_end(subject_pause_start[0]);
}

static inline void subject_stopped(void)
{
    subject_stops.count++;
    subject_stops.total_ns += subject_clock() - subject_pause_start[1];
}

static void subject_event(GC_EventType event)
{
    if (event == GC_EVENT_START)
        subject_pause_start[0] = subject_clock();
    else if (event == GC_EVENT_PRE_STOP_WORLD)
        subject_pause_start[1] = subject_clock();
    else if (event == GC_EVENT_POST_STOP_WORLD)
        subject_stopped();
    else if (event == GC_EVENT_END)
        subject_collection_end();
    else if (event == GC_EVENT_POST_START_WORLD)
        subject_pause_end(subject_pause_start[1]);
}

static inline subject *subject_open(void)
{
    GC_INIT();
    if (subject_limit() != 0)
        GC_set_max_heap_size(subject_limit());
#ifdef BDWGC_INCREMENTAL
    GC_enable_incremental();
#endif
    GC_set_on_collection_event(subject_event);
    return NULL;
}

static inline void subject_collect(subject *s)
{
    (void)s;
    GC_gcollect();
}

static inline void subject_trim(subject *s)
{
    (void)s;
    GC_gcollect_and_unmap();
}

static inline double subject_pause_max_us(subject *s)
{
    (void)s;
    return (double)subject_pause_max / 1e3;
}

#define subject_allocated_bytes(s) (subject_nothing(s, NULL), (double)GC_get_total_bytes())

static inline subject_pauses subject_young_pauses(subject *s)
{
    (void)s;
    return subject_collections;
}

static inline subject_times subject_time(subject *s)
{
    (void)s;
    return (subject_times){.collecting_ns = subject_collections.total_ns,
                           .stops = subject_stops.count,
                           .stopping_ns = subject_stops.total_ns};
}

static inline void subject_collect_least(subject *s)
{
    (void)s;
    GC_gcollect();
}

/* Signals stop its threads wherever they are. */
#define subject_poll(s) subject_nothing(s, NULL)

/* Memory that is scanned and never reclaimed is what bdwgc has for it. */
static inline handle *handle_new(subject *s, void *object)
{
    handle *h = subject_need(GC_MALLOC_UNCOLLECTABLE(sizeof *h));

    (void)s;
    h->object = object;
    return h;
}

static inline void handle_free(subject *s, handle *h)
{
    (void)s;
    GC_FREE(h);
}

#endif
