/* SPDX-License-Identifier: MIT
 *
 * The handshake.
 *
 * Each mutator has a word, `watching`, that its own thread and others change
 * by atomic operations. Two of its bits matter here:
 *
 *   PARKED  set and cleared by its own thread: it does not use the heap, and
 *           its stack stays as it is from its top on. Whoever wants its thread
 *           stopped need not wait for it.
 *   STOP    set and cleared by a thread that stops the heap, under the lock:
 *           a mutator that runs shall park, one that is parked shall stay so.
 *
 * stop     park in all heaps. Take the lock. While there is a stopper, wait to
 *          be released. Be the stopper. Set STOP in every other mutator; those
 *          that were not parked before are pending. Wait until none is pending.
 *          The lock is kept till the end.
 * release  clear STOP in every mutator, be the stopper no longer, wake all that
 *          wait to be released, give the lock. Unpark in all heaps.
 * park     set PARKED. If STOP was set, this one was pending: take the lock,
 *          count it off, wake the stopper if it was the last.
 * unpark   clear PARKED by compare-and-swap, unless STOP is set. If it is: park
 *          what this thread has unparked already, wait until STOP is clear, a
 *          while by looking, then under the lock, and begin again. So a thread
 *          that waits runs nowhere (W4), and of two heaps that are being stopped
 *          each gets its turn.
 * poll     STOP makes fast.limit 0 (M1), so that the next allocation or safepoint
 *          takes the slow path: it parks in all heaps, and unparks.
 * attach   wait, parked in all other heaps, until there is no stopper.
 * detach   under the lock; if STOP is set, count it off as by parking.
 *
 * PARKED and STOP are changed by read-modify-write operations on one word: of a
 * mutator that parks while it is asked to stop, either its thread sees STOP and
 * counts itself off, or the stopper sees PARKED and does not count it.
 */
#include "thread/handshake.h"

#include "base/check.h"
#include "os/os.h"

GC_SIGNAL_SAFE_LOCAL volatile int gc_inside;

/* The mutators of this thread, one for each heap. */
static _Thread_local struct gc_mutator *own_mutators;

/* Waits that it is in, one within another: what a visit calls may wait, too. Each
 * unparks what it has parked, and no other. */
static _Thread_local unsigned waits;

bool gc_world_create(struct gc_world *world, void (*ended)(struct gc_mutator *mutator))
{
    *world = (struct gc_world){.ended = ended, .cores = gc_os_cores()};
    if (!gc_lock_create(&world->lock))
        return false;
    if (gc_signal_create(&world->stopped)) {
        world->is_made = gc_signal_create(&world->released);
        if (world->is_made)
            return true;
        gc_signal_destroy(&world->stopped);
    }
    gc_lock_destroy(&world->lock);
    return false;
}

void gc_world_destroy(struct gc_world *world)
{
    if (!world->is_made)
        return;
    gc_signal_destroy(&world->released);
    gc_signal_destroy(&world->stopped);
    gc_lock_destroy(&world->lock);
}

/* ---- Parking ---- */

/* Stops and short collections are over sooner than a thread is woken; but where
 * threads have to share cores, looking keeps the others from going on. */
enum { SPINS = 1000 };

/* One that was waited for stops, or goes. The lock is held. */
static void count_off(struct gc_world *world)
{
    GC_CHECK(world->pending > 0, "W2");
    if (__atomic_sub_fetch(&world->pending, 1, __ATOMIC_RELAXED) == 0)
        gc_signal_all(&world->stopped);
}

static void park(struct gc_mutator *mutator)
{
    struct gc_world *world = mutator->world;
    unsigned before = __atomic_fetch_or(&mutator->watching, GC_WATCH_PARKED, __ATOMIC_SEQ_CST);

    __atomic_store_n(&mutator->fast.limit, 0, __ATOMIC_RELAXED);
    if (before & GC_WATCH_STOP) {
        gc_world_lock(world);
        count_off(world);
        gc_world_unlock(world);
    }
}

/* False if it must stay parked. */
static bool try_unpark(struct gc_mutator *mutator)
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
    waits++;
    for (struct gc_mutator *mutator = own_mutators; mutator != NULL;
         mutator = mutator->next_of_thread) {
        if (gc_mutator_is_parked(mutator))
            continue;
        mutator->top = top;
        mutator->aside = waits;
        park(mutator);
    }
}

static void park_again(const struct gc_mutator *end)
{
    for (struct gc_mutator *mutator = own_mutators; mutator != end;
         mutator = mutator->next_of_thread)
        if (mutator->aside == waits)
            park(mutator);
}

/* Unparks what the last park_all parked: all, or, while one must wait, none. */
static void unpark_all(void)
{
    struct gc_mutator *mutator = own_mutators;

    while (mutator != NULL) {
        if (mutator->aside == waits && !try_unpark(mutator)) {
            park_again(mutator);
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
}

/* ---- Coming and going ---- */

struct joining {
    struct gc_world *world;
    struct gc_mutator *mutator;
};

static void await_no_stopper(struct gc_stack_top top, void *data)
{
    struct gc_world *world = data;

    gc_inside++;
    park_all(top);
    gc_world_lock(world);
    while (world->stopper != NULL)
        gc_signal_wait(&world->released, &world->lock);
    gc_world_unlock(world);
    unpark_all();
    gc_inside--;
}

/* The thread ends, with mutators left: from a destructor of a thread key. */
static void end_thread(void)
{
    while (own_mutators != NULL)
        own_mutators->world->ended(own_mutators);
}

/* Another may stop the heap again before this thread has the lock. */
bool gc_world_join(struct gc_world *world, struct gc_mutator *mutator)
{
    if (!gc_os_at_thread_end(end_thread)) {
        gc_world_lock(world);
        return false;
    }
    gc_world_lock(world);
    while (world->stopper != NULL) {
        gc_world_unlock(world);
        gc_stack_freeze(await_no_stopper, world);
        gc_world_lock(world);
    }
    mutator->world = world;
    mutator->next = world->mutators;
    world->mutators = mutator;
    mutator->next_of_thread = own_mutators;
    own_mutators = mutator;
    return true;
}

void gc_world_leave(struct gc_mutator *mutator)
{
    struct gc_world *world = mutator->world;
    struct gc_mutator **link = &world->mutators;

    while (*link != mutator)
        link = &(*link)->next;
    *link = mutator->next;
    for (link = &own_mutators; *link != mutator;)
        link = &(*link)->next_of_thread;
    *link = mutator->next_of_thread;
    if ((gc_mutator_watching(mutator) & (GC_WATCH_STOP | GC_WATCH_PARKED)) == GC_WATCH_STOP)
        count_off(world);
}

struct gc_mutator *gc_world_own(const struct gc_world *world)
{
    struct gc_mutator *mutator = own_mutators;

    while (mutator != NULL && mutator->world != world)
        mutator = mutator->next_of_thread;
    return mutator;
}

/* ---- Stopping ---- */

bool gc_world_is_mine(const struct gc_world *world)
{
    return __atomic_load_n(&world->collecting, __ATOMIC_RELAXED) == gc_os_thread();
}

static void request(struct gc_world *world, struct gc_mutator *stopper)
{
    struct gc_mutator *mutator = world->mutators;
    size_t others = 0;

    for (; mutator != NULL; mutator = mutator->next) {
        unsigned before;

        if (mutator == stopper)
            continue;
        before = __atomic_fetch_or(&mutator->watching, GC_WATCH_STOP, __ATOMIC_SEQ_CST);
        __atomic_store_n(&mutator->fast.limit, 0, __ATOMIC_SEQ_CST);
        if (before & GC_WATCH_PARKED)
            continue;
        __atomic_add_fetch(&world->pending, 1, __ATOMIC_RELAXED);
        others++;
    }
    __atomic_store_n(&world->spins, others < world->cores ? SPINS : 0, __ATOMIC_RELAXED);
}

/* Names those that are late, each once. The lock is held while the embedder is told,
 * who may do what is a point of cancellation. */
static void name_late(struct gc_world *world, uint64_t waited_ns)
{
    int cancels = gc_os_hold_cancels();

    for (struct gc_mutator *mutator = world->mutators; mutator != NULL; mutator = mutator->next) {
        unsigned watching = gc_mutator_watching(mutator) & (GC_WATCH_STOP | GC_WATCH_PARKED);

        if (watching != GC_WATCH_STOP || mutator->was_named)
            continue;
        mutator->was_named = true;
        world->late(world, mutator, waited_ns);
    }
    gc_os_let_cancels(cancels);
}

static void spin_for_stops(struct gc_world *world)
{
    unsigned spins = __atomic_load_n(&world->spins, __ATOMIC_RELAXED);

    gc_world_unlock(world);
    for (; spins > 0 && __atomic_load_n(&world->pending, __ATOMIC_RELAXED) != 0; spins--)
        GC_RELAX();
    gc_world_lock(world);
}

static void await_stops(struct gc_world *world, uint64_t started)
{
    if (world->pending != 0)
        spin_for_stops(world);
    while (world->pending != 0)
        if (world->watchdog_ns == 0)
            gc_signal_wait(&world->stopped, &world->lock);
        else if (!gc_signal_wait_ns(&world->stopped, &world->lock, world->watchdog_ns))
            name_late(world, gc_os_now_ns() - started);
}

static void release(struct gc_world *world)
{
    for (struct gc_mutator *mutator = world->mutators; mutator != NULL; mutator = mutator->next) {
        mutator->was_named = false;
        __atomic_fetch_and(&mutator->watching, ~(unsigned)GC_WATCH_STOP, __ATOMIC_SEQ_CST);
    }
    world->stopper = NULL;
    gc_signal_all(&world->released);
}

static void note_stop(struct gc_world *world, uint64_t ns)
{
    world->stops++;
    world->stop_total_ns += ns;
    if (ns > world->stop_max_ns)
        world->stop_max_ns = ns;
}

/* The calling thread is parked in all heaps; the lock is held from here on. */
static void begin_stop(struct gc_world *world, struct gc_mutator *stopper)
{
    uint64_t started;

    gc_world_lock(world);
    while (world->stopper != NULL)
        gc_signal_wait(&world->released, &world->lock);
    started = gc_os_now_ns();
    world->stopper = stopper;
    request(world, stopper);
    await_stops(world, started);
    note_stop(world, gc_os_now_ns() - started);
    __atomic_store_n(&world->collecting, gc_os_thread(), __ATOMIC_RELAXED);
}

static void end_stop(struct gc_world *world)
{
    __atomic_store_n(&world->collecting, 0, __ATOMIC_RELAXED);
    release(world);
    gc_world_unlock(world);
}

struct stopping {
    struct gc_mutator *mutator;
    gc_stopped_fn *act;
    void *data;
    bool result;
};

static void stop_and_act(struct gc_stack_top top, void *data)
{
    struct stopping *stopping = data;
    struct gc_world *world = stopping->mutator->world;

    gc_inside++;
    park_all(top);
    begin_stop(world, stopping->mutator);
    stopping->result = stopping->act(stopping->mutator, stopping->data);
    end_stop(world);
    unpark_all();
    gc_inside--;
}

bool gc_world_stop(struct gc_mutator *mutator, gc_stopped_fn *act, void *data)
{
    struct stopping stopping = {mutator, act, data, false};

    gc_stack_freeze(stop_and_act, &stopping);
    return stopping.result;
}

/* In no other heap: there the thread would have to wait for who has stopped it,
 * who may be waiting for this one. Nobody asks the stopper to stop. */
void gc_world_loosen(struct gc_mutator *stopper)
{
    bool unparked;

    __atomic_store_n(&stopper->world->collecting, 0, __ATOMIC_RELAXED);
    gc_world_unlock(stopper->world);
    unparked = try_unpark(stopper);
    GC_CHECK(unparked, "W3");
    gc_inside--;
}

/* The frame that froze the stack is still there. A wait in between has parked and
 * unparked the mutator; it is again this stop's to unpark. */
void gc_world_tighten(struct gc_mutator *stopper)
{
    gc_inside++;
    stopper->aside = waits;
    park(stopper);
    gc_world_lock(stopper->world);
    __atomic_store_n(&stopper->world->collecting, gc_os_thread(), __ATOMIC_RELAXED);
}

/* ---- Fork ---- */

/* The stopper where the thread has no mutator. */
static struct gc_mutator outsider;

static void hold_frozen(struct gc_stack_top top, void *data)
{
    struct gc_world *world = data;
    struct gc_mutator *own = gc_world_own(world);

    gc_inside++;
    park_all(top);
    begin_stop(world, own != NULL ? own : &outsider);
    gc_world_unlock(world);
    unpark_all();
    gc_inside--;
}

void gc_world_hold(struct gc_world *world)
{
    gc_stack_freeze(hold_frozen, world);
}

void gc_world_shut(struct gc_world *world)
{
    gc_world_lock(world);
}

void gc_world_let_go(struct gc_world *world)
{
    end_stop(world);
}

/* Who waited in the parent waits no more. */
bool gc_world_recreate(struct gc_world *world)
{
    if (!gc_lock_create(&world->lock) || !gc_signal_create(&world->stopped) ||
        !gc_signal_create(&world->released))
        return false;
    gc_lock_take(&world->lock);
    return true;
}

void gc_world_drop(struct gc_mutator *mutator)
{
    struct gc_mutator **link = &mutator->world->mutators;

    while (*link != mutator)
        link = &(*link)->next;
    *link = mutator->next;
}

struct waiting {
    void (*await)(void *data);
    void *data;
};

static void wait_frozen(struct gc_stack_top top, void *data)
{
    const struct waiting *waiting = data;

    gc_inside++;
    park_all(top);
    waiting->await(waiting->data);
    unpark_all();
    gc_inside--;
}

void gc_thread_wait(void (*await)(void *data), void *data)
{
    struct waiting waiting = {await, data};

    gc_stack_freeze(wait_frozen, &waiting);
}

/* ---- Yielding ---- */

static void yield_frozen(struct gc_stack_top top, void *data)
{
    (void)data;
    gc_inside++;
    park_all(top);
    unpark_all();
    gc_inside--;
}

void gc_world_yield(struct gc_mutator *mutator)
{
    if (gc_mutator_watching(mutator) & GC_WATCH_STOP)
        gc_stack_freeze(yield_frozen, NULL);
}

/* ---- Parked by the embedder ---- */

struct parked_call {
    struct gc_mutator *mutator;
    void (*act)(void *data);
    void *data;
};

/* The mutator is parked; if it cannot be unparked at once, the thread waits,
 * and runs nowhere meanwhile. */
static void unpark_frozen(struct gc_stack_top top, void *data)
{
    struct gc_mutator *mutator = data;

    gc_inside++;
    park_all(top);
    mutator->aside = waits;
    unpark_all();
    gc_inside--;
}

static void call_frozen(struct gc_stack_top top, void *data)
{
    struct parked_call *call = data;

    call->mutator->top = top;
    park(call->mutator);
    call->act(call->data);
    if (!try_unpark(call->mutator))
        unpark_frozen(top, call->mutator);
}

void gc_mutator_call_parked(struct gc_mutator *mutator, void (*act)(void *data), void *data)
{
    struct parked_call call = {mutator, act, data};

    gc_stack_freeze(call_frozen, &call);
}

void gc_mutator_park(struct gc_mutator *mutator)
{
    park(mutator);
}

void gc_mutator_unpark(struct gc_mutator *mutator)
{
    if (!try_unpark(mutator))
        gc_stack_freeze(unpark_frozen, mutator);
}
