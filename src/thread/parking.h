/* SPDX-License-Identifier: MIT
 *
 * A thread's side of the handshake: its mutators, one in each heap that it is
 * attached to, and how they are parked and unparked, one or all.
 */
#ifndef STRATA_PARKING_H
#define STRATA_PARKING_H

#include "thread/mutator.h"

/* ---- One mutator ---- */

static inline bool gc_mutator_is_parked(const struct gc_mutator *mutator)
{
    return (gc_mutator_watching(mutator) & GC_WATCH_PARKED) != 0;
}

/* Calls `act` with the mutator parked, and the stack frozen. */
void gc_mutator_call_parked(struct gc_mutator *mutator, void (*act)(void *data), void *data);

/* The same in two steps, for a heap that does not scan stacks. */
void gc_mutator_park(struct gc_mutator *mutator);
void gc_mutator_unpark(struct gc_mutator *mutator);

/* Stops for whoever has asked for it, if anybody has. */
void gc_mutator_yield(const struct gc_mutator *mutator);

/* ---- All of the calling thread ---- */

/* Calls what waits for something that another thread must do, or for a lock that
 * another may hold while it stops worlds: the thread is parked in all heaps. */
void gc_thread_call_parked(void (*act)(void *data), void *data);

/* The first; the others follow as `next_of_thread`. */
struct gc_mutator *gc_thread_mutators(void);

/* The one in this world, or NULL. */
struct gc_mutator *gc_world_own(const struct gc_world *world);

/* ---- For handshake.c alone ---- */

void gc_thread_add(struct gc_mutator *mutator);
void gc_thread_remove(struct gc_mutator *mutator);

/* One that was waited for stops, or goes. The lock is held. */
void gc_world_count_off(struct gc_world *world);

/* Unparks, unless the mutator must stay parked: then false. */
bool gc_mutator_try_unpark(struct gc_mutator *mutator);

/* Within gc_thread_call_parked, which parked it: parks it again, to be unparked
 * when that is over. */
void gc_mutator_park_again(struct gc_mutator *mutator);

#endif
