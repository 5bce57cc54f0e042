/* SPDX-License-Identifier: MIT
 *
 * Parking and unparking: what handshake.c says of them.
 */
#include "thread/parking.h"

#include "base/check.h"
#include "thread/handshake.h"

/* The mutators of this thread, one for each heap. */
static _Thread_local struct gc_mutator *own_mutators;

/* Calls of gc_thread_call_parked that it is in, one within another: what a visit
 * calls may wait, too. Each unparks what it has parked, and no other. */
static _Thread_local unsigned waits;

struct gc_mutator *gc_thread_mutators(void)
{
    return own_mutators;
}

struct gc_mutator *gc_world_own(const struct gc_world *world)
{
    struct gc_mutator *mutator = own_mutators;

    while (mutator != NULL && mutator->world != world)
        mutator = mutator->next_of_thread;
    return mutator;
}

void gc_thread_add(struct gc_mutator *mutator)
{
    mutator->next_of_thread = own_mutators;
    own_mutators = mutator;
}

void gc_thread_remove(struct gc_mutator *mutator)
{
    struct gc_mutator **link = &own_mutators;

    while (*link != mutator)
        link = &(*link)->next_of_thread;
    *link = mutator->next_of_thread;
}

/* ---- One mutator ---- */

void gc_world_count_off(struct gc_world *world)
{
    GC_CHECK(world->pending > 0, "W2");
    if (__atomic_sub_fetch(&world->pending, 1, __ATOMIC_RELAXED) == 0)
        gc_signal_all(&world->stopped);
}

void gc_mutator_park(struct gc_mutator *mutator)
{
    struct gc_world *world = mutator->world;
    unsigned before = __atomic_fetch_or(&mutator->watching, GC_WATCH_PARKED, __ATOMIC_SEQ_CST);

    __atomic_store_n(&mutator->fast.zeroed, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&mutator->fast.limit, 0, __ATOMIC_RELAXED);
    if (before & GC_WATCH_STOP) {
        gc_world_lock(world);
        gc_world_count_off(world);
        gc_world_unlock(world);
    }
}

bool gc_mutator_try_unpark(struct gc_mutator *mutator)
{
    unsigned before = gc_mutator_watching(mutator);

    do {
        if (before & GC_WATCH_STOP)
            return false;
    } while (!__atomic_compare_exchange_n(&mutator->watching, &before,
                                          before & ~(unsigned)GC_WATCH_PARKED, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    gc_mutator_set_limit(mutator);
    return true;
}

void gc_mutator_park_again(struct gc_mutator *mutator)
{
    mutator->aside = waits;
    gc_mutator_park(mutator);
}

/* ---- All of the thread ---- */

/* Who sees by looking that STOP is clear needs no lock: the others are being
 * released, too, and to stop them again takes the lock. */
static void await_release(struct gc_mutator *mutator)
{
    struct gc_world *world = mutator->world;
    unsigned spins = __atomic_load_n(&world->spins, __ATOMIC_RELAXED);

    for (; spins > 0; spins--) {
        if (!(gc_mutator_watching(mutator) & GC_WATCH_STOP))
            return;
        GC_RELAX();
    }
    gc_world_lock(world);
    while (gc_mutator_watching(mutator) & GC_WATCH_STOP)
        gc_signal_wait(&world->released, &world->lock);
    gc_world_unlock(world);
}

/* Parks in every heap in which the thread runs. */
static void park_all(struct gc_stack_top top)
{
    gc_inside++;
    waits++;
    for (struct gc_mutator *mutator = own_mutators; mutator != NULL;
         mutator = mutator->next_of_thread) {
        if (gc_mutator_is_parked(mutator))
            continue;
        mutator->top = top;
        mutator->aside = waits;
        gc_mutator_park(mutator);
    }
}

static void park_all_before(const struct gc_mutator *end)
{
    for (struct gc_mutator *mutator = own_mutators; mutator != end;
         mutator = mutator->next_of_thread)
        if (mutator->aside == waits)
            gc_mutator_park(mutator);
}

/* Unparks what the last park_all parked: all, or, while one must wait, none. */
static void unpark_all(void)
{
    struct gc_mutator *mutator = own_mutators;

    while (mutator != NULL) {
        if (mutator->aside == waits && !gc_mutator_try_unpark(mutator)) {
            park_all_before(mutator);
            await_release(mutator);
            mutator = own_mutators;
        } else {
            mutator = mutator->next_of_thread;
        }
    }
    for (mutator = own_mutators; mutator != NULL; mutator = mutator->next_of_thread)
        if (mutator->aside == waits)
            mutator->aside = 0;
    waits--;
    gc_inside--;
}

struct parked_call {
    struct gc_mutator *mutator; /* NULL: all that run */
    void (*act)(void *data);
    void *data;
};

static void call_all_parked(struct gc_stack_top top, void *data)
{
    const struct parked_call *call = data;

    park_all(top);
    call->act(call->data);
    unpark_all();
}

void gc_thread_call_parked(void (*act)(void *data), void *data)
{
    struct parked_call call = {NULL, act, data};

    gc_stack_freeze(call_all_parked, &call);
}

/* ---- Yielding ---- */

static void do_nothing(void *data)
{
    (void)data;
}

void gc_mutator_yield(const struct gc_mutator *mutator)
{
    if (gc_mutator_watching(mutator) & GC_WATCH_STOP)
        gc_thread_call_parked(do_nothing, NULL);
}

/* ---- Parked by the embedder ---- */

/* As if the call under way had parked it: so that unparks it, too. */
static void unpark_with_all(void *data)
{
    struct gc_mutator *mutator = data;

    mutator->aside = waits;
}

/* If it cannot be unparked at once, the thread waits, and runs nowhere meanwhile. */
void gc_mutator_unpark(struct gc_mutator *mutator)
{
    if (!gc_mutator_try_unpark(mutator))
        gc_thread_call_parked(unpark_with_all, mutator);
}

static void act_parked(void *data)
{
    const struct parked_call *call = data;

    call->act(call->data);
}

static void unpark_after(void *data)
{
    const struct parked_call *call = data;

    gc_mutator_unpark(call->mutator);
}

/* A thread that ends in the call runs from here on: its frames are roots until it is
 * detached, but are not what they were. */
static void call_frozen(struct gc_stack_top top, void *data)
{
    const struct parked_call *call = data;

    call->mutator->top = top;
    gc_mutator_park(call->mutator);
    gc_os_call(act_parked, unpark_after, data);
}

void gc_mutator_call_parked(struct gc_mutator *mutator, void (*act)(void *data), void *data)
{
    struct parked_call call = {mutator, act, data};

    gc_stack_freeze(call_frozen, &call);
}
