/* SPDX-License-Identifier: MIT
 *
 * A thread attached to a heap: its run of free room, its frames, its stack and
 * what its write barrier noted.
 *
 * Its own thread alone reads and writes what is not said to be shared, unless it
 * is stopped or parked: then whoever has the heap's lock may.
 *
 * M1  With nothing to watch for, fast.limit is the run's end, and fast.zeroed no
 *     further than `zeroed`; else, and in a build that forbids (memory/forbid.h),
 *     both are 0, so that each allocation and each safepoint takes the slow path.
 *     Suspended between a change of `watching` and that of the limit.
 * M2  fast.bump lies in the open run, and all three words are GC_HEADER_BYTES ahead of
 *     the addresses that they stand for; GC_NO_ROOM and GC_NO_LIMIT if none is open.
 * M3  What lies between the run's beginning and fast.bump, but for occupied lines, is
 *     objects whose headers are written, so that another thread can walk them.
 * M4  From fast.bump up to `zeroed` the run is zeroed.
 */
#ifndef STRATA_MUTATOR_H
#define STRATA_MUTATOR_H

#include "os/threads.h"
#include "space/spaces.h"
#include "thread/stack.h"

enum { GC_MUTATOR_LOG = 512 };

/* What a mutator's slow path must look at; in `watching`. */
enum {
    GC_WATCH_STRESS = 1,     /* a collection at each allocation */
    GC_WATCH_EXTERNAL = 2,   /* bytes outside grew: a collection at the next */
    GC_WATCH_VISIT = 4,      /* the heap is being visited: an allocation is misuse */
    GC_WATCH_FINALIZERS = 8, /* some are due, and shall run at safepoints */
    GC_WATCH_STOP = 16,      /* another thread waits for this one to stop */
    GC_WATCH_PARKED = 32,    /* this one does not use the heap now */
    GC_WATCH_SEAL = 64       /* hardened: each object is sealed when it is made */
};

/* bump and limit of a mutator without a run: none for a type of no bytes, either,
 * which the general path refuses. */
enum { GC_NO_ROOM = GC_HEADER_BYTES, GC_NO_LIMIT = 1 };

enum { GC_SPILLED_WORDS = 48 };

/* What a stack was left with by a thread that switched to another; see
 * thread/coroutine.h. */
struct gc_left {
    gc_frame *frames;
    struct gc_stack_top top;             /* address 0: nothing has run on it */
    uintptr_t spilled[GC_SPILLED_WORDS]; /* registers among them: they go with the switch */
};

struct gc_mutator {
    gc_mutator_fast fast; /* limit and bump are shared; written by atomic stores */
    struct gc_heap *heap;
    struct gc_world *world;
    struct gc_mutator *next; /* in the world, or of those detached; under the lock */
    struct gc_mutator *next_of_thread;
    struct gc_run run; /* shared; changed under the lock, but its end, `line`, `skipped` and bump,
                          which is stale, by its thread without it */
    uintptr_t zeroed;  /* how far the run is; changed by its thread, or under the lock in a stop */
    bool is_cold;      /* the run is gen2's: its memory has left the cache */
    uintptr_t thread;
    uintptr_t stack_base;           /* of the stack it runs on: highest address, exclusive */
    uintptr_t home_base;            /* the same of the thread's own */
    struct gc_stack_top top;        /* while parked */
    struct gc_coroutine *coroutine; /* whose stack it runs on; NULL: the thread's own */
    struct gc_left home;            /* what the thread's own was left with, meanwhile */
    unsigned watching;              /* shared; atomic */
    unsigned aside;                 /* the wait (parking.c) that parked it; 0: none did */
    bool in_limit_callback;
    bool callback_collected;         /* ... and a full collection was tried in it */
    bool was_named;                  /* by the watchdog, in this stop */
    char name[GC_THREAD_NAME_BYTES]; /* for the watchdog, if there is one */
    unsigned visits;                 /* gc_heap_visit calls under way */
    uintptr_t draining;              /* address of the frame that runs finalizers; 0 if none */
    const struct gc_coroutine *draining_on; /* whose stack it is on; NULL: the thread's own */
    unsigned passed;                        /* stores that the barrier had nothing to note of */
    size_t log_count;                       /* shared; written by atomic stores */
    uintptr_t log[GC_MUTATOR_LOG];          /* holders, not yet in the heap's log */
};

/* ---- Frames ---- */

/* In the count of a frame of the library's own: its slots hold references as they
 * stand, also where the heap's tags do not take an untagged word for one. */
static const size_t GC_FRAME_IS_OWN = ~(SIZE_MAX >> 1);

/* Says so of a frame just pushed. */
static inline void gc_frame_own(gc_frame *frame)
{
    frame->count |= GC_FRAME_IS_OWN;
}

static inline size_t gc_frame_slots(const gc_frame *frame)
{
    return frame->count & ~GC_FRAME_IS_OWN;
}

/* ---- The run ---- */

/* Where the next object of the open run begins. */
static inline uintptr_t gc_mutator_bump(const struct gc_mutator *mutator)
{
    return __atomic_load_n(&mutator->fast.bump, __ATOMIC_ACQUIRE) - GC_HEADER_BYTES;
}

/* After the headers up to there were written (M3). */
static inline void gc_mutator_set_bump(struct gc_mutator *mutator, uintptr_t bump)
{
    __atomic_store_n(&mutator->fast.bump, bump + GC_HEADER_BYTES, __ATOMIC_RELEASE);
}

/* Bytes left in the hole or block that is being filled. */
static inline size_t gc_mutator_room(const struct gc_mutator *mutator)
{
    return mutator->run.block == GC_NO_BLOCK ? 0 : mutator->run.end - gc_mutator_bump(mutator);
}

/* Bytes of its run that are not used; the lock is held. */
static inline size_t gc_mutator_unused(const struct gc_mutator *mutator)
{
    size_t skipped = gc_run_skipped(&mutator->run);

    return mutator->run.block == GC_NO_BLOCK
               ? skipped
               : mutator->run.limit - gc_mutator_bump(mutator) + skipped - mutator->run.occupied;
}

/* Opens the mutator's next run, of at least `bytes`, with its bytes undefined;
 * false if there is none. The lock is held; then, without it, gc_mutator_open
 * lets the inline path use the run. Nothing of it is zeroed then, unless it is cold:
 * zeroing so much at once fetches it faster than the program's stores would. */
bool gc_mutator_refill(struct gc_mutator *mutator, struct gc_spaces *spaces, size_t bytes);
void gc_mutator_open(struct gc_mutator *mutator);

/* Opens the next hole of the run's block that has room for `bytes`, or the run's next
 * block, without the lock; false if there is none. */
bool gc_mutator_advance(struct gc_mutator *mutator, const struct gc_spaces *spaces, size_t bytes);

/* Zeroes what is not yet of the run's next `bytes`, or of all if they are fewer. */
void gc_mutator_zero(struct gc_mutator *mutator, size_t bytes);

/* Zeroes what is left of what is being filled: then it can be parsed (T4).
 * By its thread, or where that is stopped. */
void gc_mutator_zero_rest(struct gc_mutator *mutator);

/* Takes the run away: before a collection. */
void gc_mutator_retire_run(struct gc_mutator *mutator, struct gc_spaces *spaces);

/* Leaves the run, on detaching, in `idle`, where the next to attach finds it; if one
 * is there already, its blocks are for others. The lock is held. */
void gc_mutator_give_run(struct gc_mutator *mutator, struct gc_spaces *spaces, struct gc_run *idle);
void gc_mutator_take_run(struct gc_mutator *mutator, struct gc_run *idle);

/* ---- Watching ---- */

static inline unsigned gc_mutator_watching(const struct gc_mutator *mutator)
{
    return __atomic_load_n(&mutator->watching, __ATOMIC_RELAXED);
}

/* Makes every allocation take the slow path, for reasons of GC_WATCH_...; or
 * no longer for these. The first may be called by any thread that has the lock. */
void gc_mutator_watch(struct gc_mutator *mutator, unsigned reasons);
void gc_mutator_unwatch(struct gc_mutator *mutator, unsigned reasons);

/* Every allocation takes the slow path from now on; by any thread. */
static inline void gc_mutator_go_slow(struct gc_mutator *mutator)
{
    __atomic_store_n(&mutator->fast.zeroed, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&mutator->fast.limit, 0, __ATOMIC_SEQ_CST);
}

/* Makes M1 true. */
void gc_mutator_set_limit(struct gc_mutator *mutator);

#endif
