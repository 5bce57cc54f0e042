/* SPDX-License-Identifier: MIT
 *
 * How a heap shall be. A part of <strata/gc.h>, which says how to read the
 * comments; guides/tuning.md says what to set for what.
 */
#ifndef STRATA_GC_OPTIONS_H
#define STRATA_GC_OPTIONS_H

#include "type.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gc_stacks {
    GC_STACKS_AMBIGUOUS = 0, /* C stacks and registers are scanned (default) */
    GC_STACKS_EXACT          /* only frames, handles and registered roots */
} gc_stacks;

typedef enum gc_barriers {
    GC_BARRIERS_ALL = 0, /* every store of a reference goes through gc_write */
    GC_BARRIERS_NONE     /* plain stores; every collection is full */
} gc_barriers;

typedef enum gc_check {
    GC_CHECK_OFF = 0,
    GC_CHECK_CHEAP, /* arguments of every call that is not inline, where looking at
                       them takes more than a few loads: what is "checked on request" */
    GC_CHECK_DEEP   /* ... and the whole heap, before and after each collection */
} gc_check;

typedef enum gc_harden {
    GC_HARDEN_OFF = 0,
    GC_HARDEN_ON /* a header that an overflow has overwritten ends the program before a
                    collection believes it; what was freed is zeroed; guides/hardening.md */
} gc_harden;

/* Called near the limit (in the mutator that allocates; never nested), before
 * a full collection gives up: `needed` bytes could not be had. The whole API is
 * legal in it but gc_mutator_detach and gc_heap_destroy. It may drop
 * references, run finalizers, or raise the limit. Returns, and not by longjmp:
 * true if it did something worth another try. */
typedef bool gc_limit_fn(gc_mutator *mutator, size_t needed, void *data);

/* Called when a thread that shall stop for a collection has not for
 * `watchdog_ms`, once for each such thread and collection, after a message that
 * says the same: by the thread that collects, with `name`, the late thread's
 * number and name when it was attached. It calls nothing of this library, and
 * returns; the collection waits on. */
typedef void gc_watchdog_fn(const char *name, uint64_t waited_ms, void *data);

/* Zero in a field means its default. */
typedef struct gc_options {
    size_t size; /* sizeof(gc_options) */

    size_t hard_limit;         /* bytes, metadata included, at least 1 MiB; default three quarters
                                  of what the container, or else the machine, has */
    size_t soft_limit;         /* bytes; above it old collections come sooner; default none */
    size_t nursery_min;        /* bytes for each thread that allocates, of which 8 count at most;
                                  half as much again where there are several; default 1 MiB */
    size_t nursery_max;        /* bytes; default a quarter of the hard limit, at most 64 MiB */
    uint32_t threshold1;       /* gen0 collections between those of gen1, at most; default 8 */
    uint32_t threshold2;       /* gen1 collections between those of gen2, at least; default 2 */
    uint32_t growth_percent;   /* growth of the old generation before a collection, doubled,
                                  by 128 MiB at most, where the last that it called for found
                                  next to nothing dead, and two fifths more while several
                                  threads allocate and soft_limit is kept; default 75 */
    uint32_t gc_share_percent; /* of the time, spent collecting near the hard limit: from there on
                                  what finds no room gets NULL without a full collection;
                                  default 90 */
    uint32_t workers;          /* threads that mark a large heap together, the one that collects
                                  included, at most 64; default: while several threads allocate,
                                  as many as cores that the one that collects may run on, at most
                                  4, else 1. A heap has no more of them than MiB of its hard
                                  limit. The others are started by the first collection that is
                                  large enough (by default once it is over), and see no signals.
                                  They call nothing of the program's. On busy cores they may
                                  gain nothing */
    uint32_t decommit_delay;   /* full collections that free memory waits to be given back, at
                                  most 255; default 1, or none where one that is asked for
                                  leaves less than half of it in use */
    uint8_t reference_tags;    /* bit t set: words whose low three bits are t are references
                                  (the tag is kept when the object moves); default 1: only
                                  untagged */
    gc_stacks stacks;
    gc_barriers barriers;
    gc_check check;
    gc_harden harden; /* default off: allocation is many times as dear with it */
    gc_limit_fn *limit_callback;
    void *limit_data;
    uint32_t watchdog_ms; /* after which a thread that does not stop is named; default never */
    gc_watchdog_fn *watchdog;
    void *watchdog_data;
    const char *settings; /* as STRATA_OPTIONS: "check=deep,stress=evacuate-all" */
} gc_options;

/* Fills `options` with zeroes and its size. Thread: any. */
STRATA_API void gc_options_init(gc_options *options);

/* The reason why gc_heap_create refuses these options (NULL: the defaults), with
 * what STRATA_OPTIONS says now: one sentence; or "". Good until this thread's next
 * call of it. Thread: any. */
STRATA_API const char *gc_options_explain(const gc_options *options);

#ifdef __cplusplus
}
#endif

#endif
