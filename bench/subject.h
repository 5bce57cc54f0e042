/* SPDX-License-Identifier: MIT
 *
 * The one layer between the workloads and what allocates for them. A workload
 * is one source; what it is built with says who is judged:
 *
 *   SUBJECT_MALLOC   malloc and free: of the C library, or of mimalloc or
 *                    jemalloc when the program is linked with one of them
 *   SUBJECT_BDWGC    the Boehm-Demers-Weiser collector; with BDWGC_INCREMENTAL
 *                    in its incremental mode
 *   SUBJECT_STRATA   this library; with STRATA_EXACT stacks are exact, with
 *                    STRATA_NO_BARRIERS stores are plain, with STRATA_WORKERS
 *                    so many threads mark
 *
 * Rules that keep it fair. A workload sets every field of what NEW and
 * new_bytes give, for under malloc they hold rubbish; new_references gives
 * zeroes to everyone. It hands back with DROP what it has no more use for, as
 * a C program must; under a collector that is nothing at all. Nobody is asked
 * to tear down at the end. All calls vanish at compile time but the subject's
 * own.
 */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exit status of a subject that ran out of memory: the heap-size curve takes
 * it for "does not run in so little", not for a fault. */
enum { SUBJECT_NO_MEMORY = 3 };

static inline _Noreturn void subject_no_memory(void)
{
    fputs("no memory\n", stderr);
    exit(SUBJECT_NO_MEMORY);
}

static inline void *subject_need(void *memory)
{
    if (__builtin_expect(memory == NULL, 0))
        subject_no_memory();
    return memory;
}

/* The most that the subject may hold, in bytes; 0 if nobody limits it. */
static inline size_t subject_limit(void)
{
    const char *text = getenv("BENCH_HEAP_MAX");

    return text == NULL ? 0 : (size_t)strtoull(text, NULL, 10);
}

/* Pauses of the least kind of collection that the subject has. */
typedef struct subject_pauses {
    uint64_t count, total_ns;
} subject_pauses;

/* Of all collections; and what it took to stop the threads for them. */
typedef struct subject_times {
    uint64_t collecting_ns, stops, stopping_ns;
} subject_times;

/* ---- Strata ------------------------------------------------------------- */

#if defined SUBJECT_STRATA

#include <strata/gc.h>

typedef gc_mutator subject;

enum { SUBJECT_COLLECTS = 1, SUBJECT_DROPS = 0 };

/* `name` is a typedef; the rest are offsets of its references. */
#define TYPE_STRUCT(name, ...)                              \
    static const uint32_t name##_offsets[] = {__VA_ARGS__}; \
    static const gc_type name##_type = GC_TYPE_STRUCT(#name, name, name##_offsets)
#define TYPE_LEAF(name) static const gc_type name##_type = GC_TYPE_LEAF_UNZEROED(#name, name)
/* A struct that ends in an array of references. */
#define TYPE_TRAILING(name, ...)                            \
    static const uint32_t name##_offsets[] = {__VA_ARGS__}; \
    static const uint32_t name##_element_offsets[] = {0};   \
    static const gc_type name##_type =                      \
        GC_TYPE_TRAILING(#name, name, name##_offsets, void *, name##_element_offsets)

#define NEW(s, name) ((name *)subject_need(gc_alloc(s, &name##_type)))
#define NEW_TRAILING(s, name, length) \
    ((name *)subject_need(gc_alloc_array(s, &name##_type, length)))

static inline void *new_references(subject *s, size_t count)
{
    return subject_need(gc_alloc_array(s, &gc_type_references, count));
}

static inline void *new_bytes(subject *s, size_t bytes)
{
    static const gc_type type = GC_TYPE_LEAF_ARRAY_UNZEROED("bytes", unsigned char);

    return subject_need(gc_alloc_array(s, &type, bytes));
}

#define DROP(s, object) ((void)(s), (void)(object))

/* Stores a reference in a field of `object`. */
#ifdef STRATA_NO_BARRIERS
#define STORE(s, object, field, value) ((void)(s), (void)((field) = (value)))
#else
#define STORE(s, object, field, value) gc_write(s, object, &(field), value)
#endif

/* Locals that hold references across an allocation. Strata's default finds
 * them on the stack; where stacks are exact, a frame names them. */
#ifdef STRATA_EXACT
#define FRAME(s, frame, ...) GC_FRAME(s, frame, __VA_ARGS__)
#define FRAME_POP(s, frame) gc_frame_pop(s, &(frame))
#else
#define FRAME(s, frame, ...) ((void)(s))
#define FRAME_POP(s, frame) ((void)(s))
#endif

static inline void subject_options(gc_options *options)
{
    gc_options_init(options);
    options->hard_limit = subject_limit();
#ifdef STRATA_EXACT
    options->stacks = GC_STACKS_EXACT;
#endif
#ifdef STRATA_NO_BARRIERS
    options->barriers = GC_BARRIERS_NONE;
#endif
#ifdef STRATA_WORKERS
    options->workers = STRATA_WORKERS;
#endif
}

static inline subject *subject_open(void)
{
    gc_options options;
    gc_heap *heap;
    gc_mutator *mutator;

    subject_options(&options);
    if (gc_heap_create(&options, &heap) != GC_OK || gc_mutator_attach(heap, &mutator) != GC_OK)
        subject_no_memory();
    return mutator;
}

static inline void subject_close(subject *s)
{
    gc_heap *heap = gc_mutator_heap(s);

    gc_mutator_detach(s);
    gc_heap_destroy(heap);
}

/* A slot in static memory that holds a reference. */
static inline void subject_root(subject *s, void *slot)
{
    if (gc_root_add(gc_mutator_heap(s), slot) != GC_OK)
        subject_no_memory();
}

/* A reference kept from somewhere that the collector does not see. */
typedef gc_handle handle;

static inline handle *handle_new(subject *s, void *object)
{
    return subject_need(gc_handle_create(s, object));
}

static inline void *handle_get(const handle *h)
{
    return gc_handle_get(h);
}

static inline void handle_free(subject *s, handle *h)
{
    gc_handle_destroy(s, h);
}

static inline void subject_collect(subject *s)
{
    gc_collect(s, GC_OLD, NULL);
}

static inline void subject_trim(subject *s)
{
    gc_trim(s);
}

/* Longest pause of the collector in microseconds; below 0 if it cannot say. */
static inline double subject_pause_max_us(subject *s)
{
    gc_stats stats = {.size = sizeof stats};
    uint64_t most = 0;

    if (gc_stats_get(gc_mutator_heap(s), &stats) != GC_OK)
        return -1;
    for (int g = 0; g < GC_GENERATIONS; g++)
        if (stats.generations[g].pause_max_ns > most)
            most = stats.generations[g].pause_max_ns;
    return (double)most / 1e3;
}

/* Handed out so far; 0 if the subject does not count. */
static inline double subject_allocated_bytes(subject *s)
{
    gc_stats stats = {.size = sizeof stats};

    return gc_stats_get(gc_mutator_heap(s), &stats) == GC_OK ? (double)stats.allocated_bytes : 0;
}

static inline subject_pauses subject_young_pauses(subject *s)
{
    gc_stats stats = {.size = sizeof stats};

    if (gc_stats_get(gc_mutator_heap(s), &stats) != GC_OK)
        return (subject_pauses){0, 0};
    return (subject_pauses){stats.generations[GC_YOUNG].collections,
                            stats.generations[GC_YOUNG].pause_total_ns};
}

static inline subject_times subject_time(subject *s)
{
    gc_stats stats = {.size = sizeof stats};
    subject_times times = {0};

    if (gc_stats_get(gc_mutator_heap(s), &stats) != GC_OK)
        return times;
    for (int g = 0; g < GC_GENERATIONS; g++)
        times.collecting_ns += stats.generations[g].pause_total_ns;
    times.stops = stats.stops;
    times.stopping_ns = stats.stop_total_ns;
    return times;
}

/* Stops all threads for a collection that is as small as there are. */
static inline void subject_collect_least(subject *s)
{
    gc_collect(s, GC_YOUNG, NULL);
}

static inline void subject_poll(subject *s)
{
    gc_safepoint(s);
}

/* Threads share the heap. */
static inline subject *subject_thread_open(subject *parent)
{
    gc_mutator *mutator;

    if (gc_mutator_attach(gc_mutator_heap(parent), &mutator) != GC_OK)
        subject_no_memory();
    return mutator;
}

static inline void subject_thread_close(subject *s)
{
    gc_mutator_detach(s);
}

/* Something that blocks: nobody has to wait for this thread meanwhile. */
static inline void subject_wait(subject *s, void *(*act)(void *data), void *data)
{
    (void)gc_call_parked(s, act, data);
}

/* ---- Everyone else ------------------------------------------------------ */

#else

/* What the others need to know of a type: a constant that folds away. */
typedef struct subject_type {
    size_t size;
    bool leaf;
} subject_type;

typedef struct subject subject; /* they have no context: always NULL */

#define TYPE_STRUCT(name, ...) static const subject_type name##_type = {sizeof(name), false}
#define TYPE_LEAF(name) static const subject_type name##_type = {sizeof(name), true}
#define TYPE_TRAILING(name, ...) static const subject_type name##_type = {sizeof(name), false}

#define NEW(s, name) ((name *)subject_allocate(s, &name##_type, 0))
#define NEW_TRAILING(s, name, length) \
    ((name *)subject_allocate(s, &name##_type, (length) * sizeof(void *)))

#define STORE(s, object, field, value) ((void)(s), (void)((field) = (value)))
#define FRAME(s, frame, ...) ((void)(s))
#define FRAME_POP(s, frame) ((void)(s))

/* Nothing is registered and nothing torn down: static data is scanned, or
 * nobody looks. */
static inline void subject_nothing(subject *s, const void *what)
{
    (void)s;
    (void)what;
}

#define subject_close(s) subject_nothing(s, NULL)
#define subject_root(s, slot) subject_nothing(s, slot)
#define subject_thread_open(parent) (parent)
#define subject_thread_close(s) subject_nothing(s, NULL)
#define subject_wait(s, act, data) ((void)(s), (void)act(data))

/* A handle is a word that the subject's own means keep: see handle_new. */
typedef struct handle {
    void *object;
} handle;

static inline void *handle_get(const handle *h)
{
    return h->object;
}

#if defined SUBJECT_MALLOC

#include <malloc.h>

enum { SUBJECT_COLLECTS = 0, SUBJECT_DROPS = 1 };

static inline void *subject_allocate(subject *s, const subject_type *type, size_t more)
{
    (void)s;
    return subject_need(malloc(type->size + more));
}

static inline void *new_references(subject *s, size_t count)
{
    (void)s;
    return subject_need(calloc(count, sizeof(void *)));
}

static inline void *new_bytes(subject *s, size_t bytes)
{
    (void)s;
    return subject_need(malloc(bytes));
}

#define DROP(s, object) ((void)(s), free(object))

#define subject_open() NULL
#define subject_collect(s) subject_nothing(s, NULL)

/* Each has a call of its own for it: those of the libraries linked in are
 * found by name, so that one source serves all three. */
#pragma weak mi_collect
#pragma weak mallctl
void mi_collect(bool force);
int mallctl(const char *name, void *old, size_t *old_length, void *new, size_t new_length);

static inline void subject_trim(subject *s)
{
    (void)s;
    if (mi_collect != NULL)
        mi_collect(true);
    else if (mallctl != NULL)
        (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* 4096: all arenas */
    else
        malloc_trim(0);
}

static inline double subject_pause_max_us(subject *s)
{
    (void)s;
    return -1;
}

#define subject_allocated_bytes(s) (subject_nothing(s, NULL), 0.0)

static inline subject_pauses subject_young_pauses(subject *s)
{
    (void)s;
    return (subject_pauses){0, 0};
}

static inline subject_times subject_time(subject *s)
{
    (void)s;
    return (subject_times){0};
}

static inline handle *handle_new(subject *s, void *object)
{
    handle *h = subject_need(malloc(sizeof *h));

    (void)s;
    h->object = object;
    return h;
}

static inline void handle_free(subject *s, handle *h)
{
    (void)s;
    free(h);
}

#elif defined SUBJECT_BDWGC

#include "subject_bdwgc.h"

#else
#error "define SUBJECT_STRATA, SUBJECT_MALLOC or SUBJECT_BDWGC"
#endif

#endif

#endif
