/* SPDX-License-Identifier: MIT */
#include "trace/post.h"

#include "base/annotate.h"

#include <string.h>

enum {
    SPINS = 1000,
    MOST_EMPTY = 32 /* parcels that a worker keeps; more are for all */
};

/* ---- Empty parcels ---- */

static struct gc_parcel *carve(struct gc_lane *pool)
{
    struct gc_parcel *parcel = (struct gc_parcel *)(pool->words + pool->count);

    while (pool->committed - pool->count < GC_PARCEL_WORDS)
        if (!gc_lane_grow(pool))
            return NULL;
    pool->count += GC_PARCEL_WORDS;
    parcel->count = 0;
    return parcel;
}

static struct gc_parcel *take(struct gc_parcel **list)
{
    struct gc_parcel *parcel = *list;

    *list = parcel->next;
    return parcel;
}

/* The lock is held. */
static struct gc_parcel *take_common(struct gc_team *team)
{
    return team->empty != NULL ? take(&team->empty) : carve(&team->pool);
}

/* The lock is held. */
static void return_empty(struct gc_worker *worker)
{
    while (worker->empty != NULL) {
        struct gc_parcel *parcel = take(&worker->empty);

        parcel->next = worker->team->empty;
        worker->team->empty = parcel;
    }
    worker->empty_count = 0;
}

static void keep_empty(struct gc_worker *worker, struct gc_parcel *parcel)
{
    parcel->count = 0;
    parcel->next = worker->empty;
    worker->empty = parcel;
    if (++worker->empty_count < MOST_EMPTY)
        return;
    gc_lock_take(&worker->team->lock);
    return_empty(worker);
    gc_lock_give(&worker->team->lock);
}

/* With none to spare no parcel could be handed over: see gc_post_deliver. */
static bool has_spare(struct gc_team *team)
{
    if (team->empty == NULL) {
        team->empty = carve(&team->pool);
        if (team->empty != NULL)
            team->empty->next = NULL;
    }
    return team->empty != NULL;
}

void gc_post_gather(struct gc_team *team)
{
    for (unsigned i = 0; i <= team->helpers; i++)
        return_empty(&team->workers[i]);
}

bool gc_post_begin(struct gc_team *team)
{
    for (unsigned from = 0; from <= team->helpers; from++)
        for (unsigned to = 0; to <= team->helpers; to++) {
            struct gc_parcel **parcel = &team->workers[from].parcels[to];

            if (from != to && *parcel == NULL)
                *parcel = take_common(team);
            if (from != to && *parcel == NULL)
                return false;
        }
    return has_spare(team);
}

void gc_post_end(struct gc_team *team)
{
    for (unsigned i = 0; i < team->size; i++) {
        struct gc_worker *worker = &team->workers[i];

        memset(worker->parcels, 0, team->size * sizeof(struct gc_parcel *));
        worker->empty = NULL;
        worker->empty_count = 0;
    }
    team->empty = NULL;
}

/* ---- Sending ---- */

void gc_post_tell(struct gc_team *team)
{
    __atomic_store_n(&team->changes, team->changes + 1, __ATOMIC_RELAXED);
    if (team->sleeping > 0)
        gc_signal_all(&team->changed);
}

/* The lock is held. */
static void hand_over(struct gc_team *team, struct gc_parcel *parcel, unsigned to)
{
    struct gc_parcel **inbox = &team->workers[to].inbox;

    team->filled += *inbox == NULL;
    parcel->next = *inbox;
    __atomic_store_n(inbox, parcel, __ATOMIC_RELAXED);
    gc_post_tell(team);
}

static struct gc_parcel *take_own(struct gc_worker *worker)
{
    worker->empty_count--;
    return take(&worker->empty);
}

static void leave_all(struct gc_worker *worker, struct gc_parcel *parcel)
{
    for (size_t i = 0; i < parcel->count; i++)
        worker->has_lost |= !gc_lane_push(&worker->left, parcel->edges[i]);
    parcel->count = 0;
}

GC_NEVER_INLINE void gc_post_deliver(struct gc_worker *worker, unsigned to)
{
    struct gc_team *team = worker->team;
    struct gc_parcel *parcel = worker->parcels[to];
    struct gc_parcel *next = worker->empty != NULL ? take_own(worker) : NULL;

    gc_lock_take(&team->lock);
    if (next == NULL)
        next = take_common(team);
    if (next != NULL)
        hand_over(team, parcel, to);
    gc_lock_give(&team->lock);
    if (next != NULL)
        worker->parcels[to] = next;
    else
        leave_all(worker, parcel);
}

static bool has_for(const struct gc_worker *worker, unsigned to)
{
    return to != worker->index && worker->parcels[to]->count > 0;
}

void gc_post_deliver_all(struct gc_worker *worker)
{
    for (unsigned i = 0; i < worker->shares; i++)
        if (has_for(worker, i))
            gc_post_deliver(worker, i);
}

GC_NEVER_INLINE void gc_post_deliver_to_waiting(struct gc_worker *worker)
{
    for (unsigned i = 0; i < worker->shares; i++)
        if (has_for(worker, i) &&
            __atomic_load_n(&worker->team->workers[i].waits, __ATOMIC_RELAXED))
            gc_post_deliver(worker, i);
}

/* ---- Receiving ---- */

/* Another core wrote it. */
static void prefetch_parcel(const struct gc_parcel *parcel)
{
    for (size_t i = 0; i < GC_PARCEL_EDGES; i += GC_CACHE_LINE_BYTES / sizeof parcel->edges[0])
        gc_prefetch(&parcel->edges[i]);
}

void gc_post_unpacked(struct gc_worker *worker)
{
    struct gc_parcel *parcel = take(&worker->received);

    keep_empty(worker, parcel);
    if (worker->received != NULL)
        prefetch_parcel(worker->received);
}

void gc_post_open(struct gc_worker *worker)
{
    worker->received = worker->inbox;
    __atomic_store_n(&worker->inbox, NULL, __ATOMIC_RELAXED);
    worker->team->filled--;
}

void gc_post_fetch(struct gc_worker *worker)
{
    if (__atomic_load_n(&worker->inbox, __ATOMIC_RELAXED) == NULL)
        return;
    gc_lock_take(&worker->team->lock);
    gc_post_open(worker);
    gc_lock_give(&worker->team->lock);
}

/* Mostly it changes soon: to sleep and be woken takes as long as to mark a
 * thousand objects. */
void gc_post_wait(struct gc_worker *worker)
{
    struct gc_team *team = worker->team;
    unsigned seen = __atomic_load_n(&team->changes, __ATOMIC_RELAXED);

    __atomic_store_n(&worker->waits, true, __ATOMIC_RELAXED);
    gc_lock_give(&team->lock);
    for (int i = 0; i < SPINS && __atomic_load_n(&team->changes, __ATOMIC_RELAXED) == seen; i++)
        GC_RELAX();
    gc_lock_take(&team->lock);
    if (team->changes == seen) {
        team->sleeping++;
        gc_signal_wait(&team->changed, &team->lock);
        team->sleeping--;
    }
    __atomic_store_n(&worker->waits, false, __ATOMIC_RELAXED);
}
