/* SPDX-License-Identifier: MIT
 *
 * The handshake: how a heap is stopped. A thread's side of it, how it parks,
 * unparks and polls, is in parking.c.
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
#include "thread/parking.h"

GC_SIGNAL_SAFE_LOCAL volatile int gc_inside;

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

/* ---- Coming and going ---- */

static void await_no_stopper(void *data)
{
    struct gc_world *world = data;

    gc_world_lock(world);
    while (world->stopper != NULL)
        gc_signal_wait(&world->released, &world->lock);
    gc_world_unlock(world);
}

/* The thread ends, with mutators left: from a destructor of a thread key. */
static void end_thread(void)
{
    for (struct gc_mutator *own; (own = gc_thread_mutators()) != NULL;)
        own->world->ended(own);
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
        gc_thread_call_parked(await_no_stopper, world);
        gc_world_lock(world);
    }
    mutator->world = world;
    mutator->next = world->mutators;
    world->mutators = mutator;
    gc_thread_add(mutator);
    return true;
}

void gc_world_leave(struct gc_mutator *mutator)
{
    struct gc_world *world = mutator->world;
    struct gc_mutator **link = &world->mutators;

    while (*link != mutator)
        link = &(*link)->next;
    *link = mutator->next;
    gc_thread_remove(mutator);
    if ((gc_mutator_watching(mutator) & (GC_WATCH_STOP | GC_WATCH_PARKED)) == GC_WATCH_STOP)
        gc_world_count_off(world);
}

/* ---- Stopping ---- */

/* Stops and short collections are over sooner than a thread is woken; but where
 * threads have to share cores, looking keeps the others from going on. */
enum { SPINS = 1000 };

bool gc_world_is_mine(const struct gc_world *world)
{
    return __atomic_load_n(&world->collecting, __ATOMIC_RELAXED) == gc_os_thread();
}

bool gc_world_has_others(struct gc_world *world)
{
    bool is_mine = gc_world_is_mine(world), has_others;

    if (!is_mine)
        gc_world_lock(world);
    has_others = world->mutators->next != NULL;
    if (!is_mine)
        gc_world_unlock(world);
    return has_others;
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
        gc_mutator_go_slow(mutator);
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

static void stop_and_act(void *data)
{
    struct stopping *stopping = data;
    struct gc_world *world = stopping->mutator->world;

    begin_stop(world, stopping->mutator);
    stopping->result = stopping->act(stopping->mutator, stopping->data);
    end_stop(world);
}

bool gc_world_stop(struct gc_mutator *mutator, gc_stopped_fn *act, void *data)
{
    struct stopping stopping = {mutator, act, data, false};

    gc_thread_call_parked(stop_and_act, &stopping);
    return stopping.result;
}

/* In no other heap: there the thread would have to wait for who has stopped it,
 * who may be waiting for this one. Nobody asks the stopper to stop. */
void gc_world_zero_rests(struct gc_world *world)
{
    for (struct gc_mutator *mutator = world->mutators; mutator != NULL; mutator = mutator->next)
        gc_mutator_zero_rest(mutator);
}

void gc_world_loosen(struct gc_mutator *stopper)
{
    bool unparked;

    __atomic_store_n(&stopper->world->collecting, 0, __ATOMIC_RELAXED);
    gc_world_unlock(stopper->world);
    unparked = gc_mutator_try_unpark(stopper);
    GC_CHECK(unparked, "W3");
    gc_inside--;
}

/* The frame that froze the stack is still there. A wait in between has parked and
 * unparked the mutator; it is again this stop's to unpark. */
void gc_world_tighten(struct gc_mutator *stopper)
{
    gc_inside++;
    gc_mutator_park_again(stopper);
    gc_world_lock(stopper->world);
    __atomic_store_n(&stopper->world->collecting, gc_os_thread(), __ATOMIC_RELAXED);
}

/* ---- Fork ---- */

/* The stopper where the thread has no mutator. */
static struct gc_mutator outsider;

static void stop_and_hold(void *data)
{
    struct gc_world *world = data;
    struct gc_mutator *own = gc_world_own(world);

    begin_stop(world, own != NULL ? own : &outsider);
    gc_world_unlock(world);
}

void gc_world_hold(struct gc_world *world)
{
    gc_thread_call_parked(stop_and_hold, world);
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
