/* SPDX-License-Identifier: MIT
 *
 * How the workers of a team send each other edges, and wait for them. A parcel is
 * filled without a lock and handed over under the team's: a pointer, whose reader
 * alone touches what is in it from then on, and keeps it for its own edges. (A copy
 * made under the lock, two kilobytes into what the other core read last, took a
 * third of the time of marking a random graph.)
 */
#ifndef STRATA_POST_H
#define STRATA_POST_H

#include "trace/team.h"

/* Hands over what there is for that worker. What finds no parcel is left to the
 * collecting thread; without room for that, whose edge it was is not known any
 * more, and the worker `has_lost`. */
void gc_post_deliver(struct gc_worker *worker, unsigned to);
void gc_post_deliver_all(struct gc_worker *worker);

/* A parcel need not be full for one who waits. */
void gc_post_deliver_to_waiting(struct gc_worker *worker);

/* Sends an edge to another worker. */
GC_ALWAYS_INLINE void gc_post_send(struct gc_worker *worker, unsigned to, uintptr_t edge)
{
    struct gc_parcel *parcel = worker->parcels[to];

    parcel->edges[parcel->count++] = edge;
    if (GC_UNLIKELY(parcel->count == GC_PARCEL_EDGES))
        gc_post_deliver(worker, to);
}

/* The first parcel that was received is unpacked, and empty. */
void gc_post_unpacked(struct gc_worker *worker);

/* Receives all that the inbox holds. The lock is held. */
void gc_post_open(struct gc_worker *worker);

/* The same while it works, if it holds any; the lock is not held. */
void gc_post_fetch(struct gc_worker *worker);

/* Waits for something to change. The lock is held, and given meanwhile. */
void gc_post_wait(struct gc_worker *worker);

/* Something that others may wait for has changed. The lock is held. */
void gc_post_tell(struct gc_team *team);

/* A phase is over: what parcels there are can be had by all. So one at least can be
 * handed over in the next, and each phase gets somewhere. The lock is held. */
void gc_post_gather(struct gc_team *team);

/* Finds each of the workers that run a parcel for each other, and one to spare;
 * false without memory. No phase is under way. */
bool gc_post_begin(struct gc_team *team);

/* Forgets all parcels: between collections, before the pool shrinks. */
void gc_post_end(struct gc_team *team);

#endif
