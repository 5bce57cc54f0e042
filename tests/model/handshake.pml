/* SPDX-License-Identifier: MIT
 *
 * The handshake of src/thread (handshake.c, parking.c), step by step, for spin.
 *
 * Threads attach, poll, stop a heap, park, detach, fork and end, BUDGET actions
 * each, in every order; one thread may poll for ever. Checked are
 *
 *   safety    while a heap is collected no other thread runs in it, and those
 *             that are waited for are counted right (assertions);
 *   liveness  every thread gets to its end, however the others are scheduled, as
 *             long as none is left out for ever (`served`, weak fairness).
 *
 * One step is what one atomic operation does, or what is done from taking a
 * lock to giving it where that touches only what the lock protects. A signal
 * that comes before the wait is lost. Memory is sequentially consistent.
 *
 * HEAPS, THREADS, BUDGET and the actions (STOPS, PARKS, EXITS, ATTACHES, FORKS,
 * VISITS, POLLER) are given on the command line; so is one of BROKEN_..., each
 * of which leaves out one thing that the protocol needs. tests/model/run knows
 * them all.
 */
#define PARKED 1
#define STOP 2
#define NOBODY 9

#define M(h, t) ((h) * THREADS + (t))
#define STOPPED(h) (2 * (h) + 1)
#define RELEASED(h) (2 * (h) + 2)

/* Of a mutator. */
byte watching[HEAPS * THREADS];
bool attached[HEAPS * THREADS];
bool aside[HEAPS * THREADS]; /* parked by a slow path, not by the embedder */
bool slow[HEAPS * THREADS];  /* fast.limit is 0 */
bool runs[HEAPS * THREADS];  /* as the thread itself sees it */

/* Of a heap. */
bool locked[HEAPS];
byte stopper[HEAPS];
byte pending[HEAPS];

/* Of a thread. */
byte waits_for[THREADS]; /* a signal; 0: none */
bool done[THREADS];

/* Of the process. */
byte forker = NOBODY; /* in the child: the thread that forked */
bool registry;        /* the lock that a fork holds while it stops heap after heap */

#define IS_DEAD(me) (forker != NOBODY && forker != me)

inline wake(signal)
{
    t = 0;
    do
    :: t == THREADS -> break
    :: t < THREADS ->
        if
        :: waits_for[t] == signal -> waits_for[t] = 0
        :: else
        fi;
        t++
    od;
    t = 0
}

/* ---- Parking ---- */

inline set_limit(h)
{
    slow[M(h, me)] = false;
#ifndef BROKEN_LIMIT
    if
    :: watching[M(h, me)] != 0 -> slow[M(h, me)] = true
    :: else
    fi
#endif
}

inline count_off(h)
{
    assert(pending[h] > 0);
    pending[h]--;
    if
    :: pending[h] == 0 -> wake(STOPPED(h))
    :: else
    fi
}

/* One operation on the word; then, if it was asked to stop, under the lock. */
inline park(h)
{
    d_step {
        runs[M(h, me)] = false;
        ok = (watching[M(h, me)] & STOP) != 0;
        watching[M(h, me)] = watching[M(h, me)] | PARKED;
        slow[M(h, me)] = true
    };
    if
#ifndef BROKEN_COUNT
    :: ok -> d_step { !locked[h] -> count_off(h) }
#else
    :: ok
#endif
    :: !ok
    fi
}

/* `ok` tells whether it was. */
inline try_unpark(h)
{
#ifdef BROKEN_UNPARK
    ok = !(watching[M(h, me)] & STOP); /* and only then: */
    if
    :: ok -> watching[M(h, me)] = watching[M(h, me)] & ~PARKED
    :: !ok
    fi;
#else
    d_step {
        ok = !(watching[M(h, me)] & STOP);
        if
        :: ok -> watching[M(h, me)] = watching[M(h, me)] & ~PARKED
        :: !ok
        fi
    };
#endif
    if
    :: ok -> runs[M(h, me)] = true; set_limit(h)
    :: !ok
    fi
}

/* It looks for a while without the lock. */
inline await_release(h)
{
    do
    :: !(watching[M(h, me)] & STOP) -> break
    :: d_step {
            !locked[h] ->
            ok = (watching[M(h, me)] & STOP) != 0;
            if
            :: ok -> waits_for[me] = RELEASED(h)
            :: !ok
            fi
        };
        if
        :: ok -> waits_for[me] == 0
        :: !ok -> break
        fi
    od
}

#define SHALL_PARK(h) (attached[M(h, me)] && !(watching[M(h, me)] & PARKED))
#define SHALL_UNPARK(h) (attached[M(h, me)] && aside[M(h, me)] && !runs[M(h, me)])

/* `mine`: the heap that is stopped for this thread, if one is. */
inline park_all(mine)
{
    i = 0;
    do
    :: i == HEAPS -> break
#ifdef BROKEN_OTHER_HEAPS
    :: i < HEAPS && i != mine -> i++
    :: i < HEAPS && i == mine && SHALL_PARK(i) -> aside[M(i, me)] = true; park(i); i++
    :: i < HEAPS && i == mine && !SHALL_PARK(i) -> i++
#else
    :: i < HEAPS && SHALL_PARK(i) -> aside[M(i, me)] = true; park(i); i++
    :: i < HEAPS && !SHALL_PARK(i) -> i++
#endif
    od
}

inline unpark_all()
{
    i = 0;
    do
    :: i == HEAPS -> break
    :: i < HEAPS && !SHALL_UNPARK(i) -> i++
    :: i < HEAPS && SHALL_UNPARK(i) ->
        try_unpark(i);
        if
        :: ok -> i++
        :: !ok ->
#ifndef BROKEN_PARK_AGAIN
            j = 0;
            do
            :: j == i -> break
            :: j < i && attached[M(j, me)] && aside[M(j, me)] -> park(j); j++
            :: j < i && !(attached[M(j, me)] && aside[M(j, me)]) -> j++
            od;
            j = 0;
#endif
            await_release(i);
#ifndef BROKEN_PARK_AGAIN
            i = 0
#endif
        fi
    od;
    skip;
    d_step {
        i = 0;
        do
        :: i == HEAPS -> break
        :: i < HEAPS -> aside[M(i, me)] = false; i++
        od;
        i = 0
    }
}

/* ---- Stopping ---- */

/* Others see the request in their words, one after another. */
inline request(h)
{
    n = 0;
    do
    :: n == THREADS -> break
    :: n < THREADS && (n == me || !attached[M(h, n)]) -> n++
    :: n < THREADS && n != me && attached[M(h, n)] ->
        d_step {
            ok = (watching[M(h, n)] & PARKED) != 0;
            watching[M(h, n)] = watching[M(h, n)] | STOP;
            pending[h] = pending[h] + (ok -> 0 : 1)
        };
        slow[M(h, n)] = true;
        n++
    od;
    n = 0
}

/* Ends with the lock held. */
inline begin_stop(h)
{
    do
    :: d_step {
            !locked[h] ->
            ok = stopper[h] == NOBODY;
            if
            :: ok -> stopper[h] = me; locked[h] = true
            :: !ok -> waits_for[me] = RELEASED(h)
            fi
        };
        if
        :: ok -> break
        :: !ok -> waits_for[me] == 0
        fi
    od;
    request(h);
    do
    :: pending[h] == 0 -> break
    :: pending[h] != 0 ->
        d_step { locked[h] = false; waits_for[me] = STOPPED(h) };
        waits_for[me] == 0;
        d_step { !locked[h] -> locked[h] = true }
    od
}

inline end_stop(h)
{
    n = 0;
    do
    :: n == THREADS -> break
    :: n < THREADS && !attached[M(h, n)] -> n++
    :: n < THREADS && attached[M(h, n)] -> watching[M(h, n)] = watching[M(h, n)] & ~STOP; n++
    od;
    skip;
    d_step {
        n = 0;
        stopper[h] = NOBODY;
#ifndef BROKEN_WAKE
        wake(RELEASED(h));
#endif
        locked[h] = false
    }
}

/* The collection: no other may run beside it, and none may be a thread that
 * there is not, for its stack will be scanned. */
inline collect(h)
{
    skip;
    d_step {
        n = 0;
        do
        :: n == THREADS -> break
        :: n < THREADS ->
            assert(n == me || !attached[M(h, n)] || (!runs[M(h, n)] && !IS_DEAD(n)));
            n++
        od;
        n = 0
    }
}

inline stop(h)
{
    park_all(h);
    begin_stop(h);
    collect(h);
    end_stop(h);
    unpark_all()
}

/* A visit: the thread runs in this heap again, while the others stay stopped and
 * the lock is free. BROKEN_LOOSEN: it runs in all its heaps, or waits to. */
inline visit(h)
{
    park_all(h);
    begin_stop(h);
    locked[h] = false;
#ifdef BROKEN_LOOSEN
    unpark_all();
#else
    try_unpark(h);
    assert(ok);
#endif
    collect(h);
#ifdef BROKEN_LOOSEN
    park_all(h);
#else
    park(h);
#endif
    skip;
    d_step { !locked[h] -> locked[h] = true };
    end_stop(h);
    unpark_all()
}

/* The inline path goes on, or takes the slow one: that stops, or takes the
 * lock, for room, while it runs. */
inline poll(h)
{
    if
    :: !attached[M(h, me)] || !slow[M(h, me)]
    :: attached[M(h, me)] && slow[M(h, me)] ->
        if
        :: watching[M(h, me)] & STOP -> park_all(h); unpark_all()
        :: !(watching[M(h, me)] & STOP) -> !locked[h]; set_limit(h)
        fi
    fi
}

/* ---- Coming and going ---- */

inline attach(h)
{
    do
    :: d_step {
            !locked[h] ->
#ifdef BROKEN_ATTACH
            ok = true;
#else
            ok = stopper[h] == NOBODY;
#endif
            if
            :: ok ->
                attached[M(h, me)] = true;
                watching[M(h, me)] = 0;
                aside[M(h, me)] = false;
                slow[M(h, me)] = false;
                runs[M(h, me)] = true
            :: !ok
            fi
        };
        if
        :: ok -> break
        :: !ok ->
            park_all(HEAPS);
            do
            :: d_step {
                    !locked[h] ->
                    ok = stopper[h] == NOBODY;
                    if
                    :: ok
                    :: !ok -> waits_for[me] = RELEASED(h)
                    fi
                };
                if
                :: ok -> break
                :: !ok -> waits_for[me] == 0
                fi
            od;
            unpark_all()
        fi
    od
}

/* From a thread that runs, or from one that ends while it is parked. */
inline detach(h)
{
    d_step {
        !locked[h] ->
        runs[M(h, me)] = false;
        attached[M(h, me)] = false;
        aside[M(h, me)] = false;
#ifndef BROKEN_DETACH
        if
        :: (watching[M(h, me)] & (STOP | PARKED)) == STOP -> count_off(h)
        :: else
        fi
#endif
    }
}

/* ---- Fork ---- */

/* Heap after heap is stopped, all in one order; then all are locked. */
inline prepare_fork()
{
    park_all(HEAPS);
    skip;
#ifndef BROKEN_FORK_ORDER
    d_step { !registry -> registry = true };
#endif
    k = 0;
    do
    :: k == HEAPS -> break
    :: k < HEAPS ->
#ifdef BROKEN_FORK_ORDER
        h = (me + k) % HEAPS;
#else
        h = k;
#endif
#ifdef BROKEN_FORK
        d_step { !locked[h] -> locked[h] = true; stopper[h] = me };
#else
        begin_stop(h);
#ifndef BROKEN_FORK_LOCKS
        locked[h] = false;
#endif
#endif
        k++
    od;
    k = 0;
    do
    :: k == HEAPS -> break
#if !defined(BROKEN_FORK_LOCKS) && !defined(BROKEN_FORK)
    :: k < HEAPS -> d_step { !locked[k] -> locked[k] = true }; k++
#else
    :: k < HEAPS -> k++
#endif
    od;
    k = 0
}

/* The child has this thread alone: the mutators of the others are dropped,
 * whatever they did. */
inline become_child()
{
    d_step {
        forker = me;
        k = 0;
        do
        :: k == HEAPS * THREADS -> break
        :: k < HEAPS * THREADS ->
            if
#ifndef BROKEN_CHILD
            :: k % THREADS != me ->
                attached[k] = false;
                watching[k] = 0;
                runs[k] = false
#endif
            :: else
            fi;
            k++
        od;
        k = 0
    }
}

inline fork()
{
    prepare_fork();
    if
    :: true
    :: forker == NOBODY -> become_child()
    fi;
    k = 0;
    do
    :: k == HEAPS -> break
    :: k < HEAPS -> collect(k); end_stop(k); k++
    od;
    k = 0;
    registry = false;
    unpark_all();
    h = 0
}

/* ---- Threads ---- */

proctype thread(byte me)
{
    byte i, j, k, n, t, h, budget = BUDGET;
    bool ok;

    {
        if
        :: h = 0
        :: HEAPS > 1 -> h = 1
        fi;
        attach(h);
        if
        :: HEAPS > 1 -> h = 1 - h; attach(h)
        :: HEAPS == 1
        fi;
        h = 0;
        do
        :: budget == 0 -> break
        :: budget > 0 ->
            budget--;
            if
            :: h = 0
            :: HEAPS > 1 -> h = 1
            fi;
            if
            :: poll(h)
#ifdef STOPS
            :: attached[M(h, me)] -> stop(h)
#endif
#ifdef VISITS
            :: attached[M(h, me)] -> visit(h)
#endif
#ifdef PARKS
            :: attached[M(h, me)] ->
                park(h);
                try_unpark(h);
                if
                :: ok
                :: !ok -> aside[M(h, me)] = true; park_all(HEAPS); unpark_all()
                fi
#endif
#ifdef ATTACHES
            :: !attached[M(h, me)] -> attach(h)
            :: attached[M(h, me)] -> detach(h)
#endif
#ifdef EXITS
            :: attached[M(h, me)] -> park(h); break /* it ends within a parked call */
#endif
#ifdef FORKS
            :: fork()
#endif
            fi
        od;
        h = 0;
        do
        :: h == HEAPS -> break
        :: h < HEAPS && attached[M(h, me)] -> detach(h); h++
        :: h < HEAPS && !attached[M(h, me)] -> h++
        od
    } unless { IS_DEAD(me) };
    done[me] = true
}

/* A thread that polls for ever: it must hold up nobody. */
proctype poller(byte me)
{
    byte i, j, t, h;
    bool ok, parked;

    {
        attach(h);
        done[me] = true;
        do
        :: poll(h)
#ifdef PARKS
        :: !parked ->
            parked = true;
            park(h);
            try_unpark(h);
            if
            :: ok
            :: !ok -> aside[M(h, me)] = true; unpark_all()
            fi
#endif
        od
    } unless { IS_DEAD(me) };
    done[me] = true
}

init
{
    byte n = 0;

    d_step {
        do
        :: n == HEAPS -> break
        :: n < HEAPS -> stopper[n] = NOBODY; n++
        od;
        n = 0
    };
    atomic {
#ifdef POLLER
        run poller(0);
        n = 1;
#endif
        do
        :: n == THREADS -> break
        :: n < THREADS -> run thread(n); n++
        od;
        n = 0
    }
}

#if THREADS == 2
ltl served { <> (done[0] && done[1]) }
#else
ltl served { <> (done[0] && done[1] && done[2]) }
#endif
