/* SPDX-License-Identifier: MIT
 *
 * How the threads of a heap stop for one of them. The protocol is told in
 * handshake.c; what a thread does to stop is in parking.h.
 */
#ifndef STRATA_HANDSHAKE_H
#define STRATA_HANDSHAKE_H

#include "base/annotate.h"
#include "os/threads.h"
#include "thread/mutator.h"

/* W1  While `stopper` is set and `pending` is 0, no mutator of the world runs but
 *     the stopper's, if that has loosened; if it has not, it has the lock. Ends
 *     with the first whose GC_WATCH_STOP is cleared.
 * W2  `pending` counts the mutators with GC_WATCH_STOP that are not parked yet.
 * W3  GC_WATCH_STOP is set only while `stopper` is.
 * W4  No thread waits, for anything but a lock held for a short time, with a
 *     mutator of its own that runs. */
struct gc_world {
    struct gc_lock lock;      /* of all that the heap's threads share */
    struct gc_signal stopped; /* pending is 0 */
    struct gc_signal released;
    struct gc_mutator *mutators;
    struct gc_mutator *stopper;
    uintptr_t collecting; /* the thread in whose hands the stopped heap is; atomic */
    size_t pending;       /* changed under the lock; atomic */
    unsigned spins;       /* looks before a thread sleeps, in the stop under way; atomic */
    unsigned cores;
    uint64_t watchdog_ns; /* after which a thread that does not stop is named; 0: never */
    void (*late)(struct gc_world *world, const struct gc_mutator *mutator, uint64_t waited_ns);
    uint64_t stops;
    uint64_t stop_max_ns; /* from the request until all have stopped */
    uint64_t stop_total_ns;
    bool is_made;
    void (*ended)(struct gc_mutator *mutator);
    uint64_t lost; /* threads that ended without detaching */
};

/* `ended` is called for the mutator of a thread that ends without leaving. */
bool gc_world_create(struct gc_world *world, void (*ended)(struct gc_mutator *mutator));
void gc_world_destroy(struct gc_world *world);

/* ---- The lock: short, and never two of them ---- */

/* How deep the thread is in what a signal handler must not come across. */
extern GC_SIGNAL_SAFE_LOCAL volatile int gc_inside;

static inline void gc_world_lock(struct gc_world *world)
{
    gc_inside++;
    gc_lock_take(&world->lock);
}

static inline void gc_world_unlock(struct gc_world *world)
{
    gc_lock_give(&world->lock);
    gc_inside--;
}

/* ---- Coming and going ---- */

/* Adds the calling thread's mutator, as soon as nobody is stopped; false if the
 * thread's end could not be seen. Returns with the lock held. */
bool gc_world_join(struct gc_world *world, struct gc_mutator *mutator);

/* Removes it. The lock is held, and stays so. */
void gc_world_leave(struct gc_mutator *mutator);

/* ---- Stopping ---- */

/* Calls `act` with every mutator of the world stopped and the lock held. All
 * heaps of the calling thread may collect before, and while, it runs. Returns
 * what it does. */
typedef bool gc_stopped_fn(struct gc_mutator *mutator, void *data);
bool gc_world_stop(struct gc_mutator *mutator, gc_stopped_fn *act, void *data);

/* Within `act`, before blocks are parsed that mutators fill: what is left of them is
 * zeroed. */
void gc_world_zero_rests(struct gc_world *world);

/* Within `act`, around calls of the embedder's that may use the heap, and no
 * other: the thread's mutator runs and the lock is given, but the others stay
 * stopped. */
void gc_world_loosen(struct gc_mutator *stopper);
void gc_world_tighten(struct gc_mutator *stopper);

/* Whether the calling thread is in such an `act`, and has not loosened. */
bool gc_world_is_mine(const struct gc_world *world);

/* Whether threads are attached but the calling one, which is. */
bool gc_world_has_others(struct gc_world *world);

/* Stops a world for the calling thread, attached or not, until it is let go of.
 * A thread that holds several takes them in the order in which all threads do,
 * and only then shuts each: takes its lock, for which a thread that has not
 * stopped in another of them may be waiting. */
void gc_world_hold(struct gc_world *world);
void gc_world_shut(struct gc_world *world);
void gc_world_let_go(struct gc_world *world);

/* In the child of a fork, which has the calling thread alone: makes the lock
 * anew, and takes it; false if that cannot be. Removes one of another thread. */
bool gc_world_recreate(struct gc_world *world);
void gc_world_drop(struct gc_mutator *mutator);

#endif
