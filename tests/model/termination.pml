/* SPDX-License-Identifier: MIT
 *
 * How workers that steal from each other find out that a trace is over, for
 * spin: by counting the idle (as Flood, Detlefs, Shavit and Zhang 2001 do).
 *
 * A worker without work says that it is idle, and looks at the others' stacks.
 * Where it sees work, it says that it is busy before it takes any. It ends when
 * all are idle. Objects are numbers: 1 refers to nothing, 2 and 3 to a 1, and 3
 * to another.
 *
 *   safety    when a worker ends, nothing is left on a stack or in a hand;
 *   liveness  all end (`ended`, weak fairness).
 *
 * BROKEN_ORDER    takes the work first, and says that it is busy then
 * BROKEN_ONCE     goes home when there was nothing to steal, idle or not
 * BROKEN_STAYS    does not say again that it is idle after a theft that failed
 */
#define WORKERS 3
#define SLOTS 4

byte stack[WORKERS * SLOTS];
byte count[WORKERS];
byte hand[WORKERS];
byte idle;
bool over[WORKERS];

#define S(w, i) ((w) * SLOTS + (i))

inline push(object)
{
    d_step { stack[S(me, count[me])] = object; count[me]++ }
}

/* One compare-and-swap: the owner takes the newest, a thief the oldest. */
inline pop()
{
    d_step {
        if
        :: count[me] > 0 ->
            count[me]--;
            hand[me] = stack[S(me, count[me])];
            stack[S(me, count[me])] = 0
        :: else -> hand[me] = 0
        fi
    }
}

inline steal(victim)
{
    d_step {
        if
        :: count[victim] > 0 ->
            hand[me] = stack[S(victim, 0)];
            k = 1;
            do
            :: k == SLOTS -> break
            :: k < SLOTS -> stack[S(victim, k - 1)] = stack[S(victim, k)]; k++
            od;
            k = 0;
            stack[S(victim, SLOTS - 1)] = 0;
            count[victim]--
        :: else -> hand[me] = 0
        fi
    }
}

inline scan()
{
    do
    :: hand[me] == 0 -> break
    :: hand[me] == 1 -> hand[me] = 0
    :: hand[me] > 1 ->
        push(hand[me] / 2);
        hand[me] = (hand[me] - 1) / 2
    od
}

proctype worker(byte me)
{
    byte k, victim;

work:
    pop();
    if
    :: hand[me] != 0 -> scan(); goto work
    :: hand[me] == 0
    fi;
#ifndef BROKEN_ONCE
    idle++;
#endif
search:
    victim = (me + 1) % WORKERS;
    do
    :: victim == me -> break
    :: victim != me ->
        if
        :: count[victim] > 0 ->
#ifdef BROKEN_ORDER
            steal(victim);
            if
            :: hand[me] != 0 -> idle--; scan(); goto work
            :: hand[me] == 0
            fi
#else
#ifndef BROKEN_ONCE
            idle--;
#endif
            steal(victim);
            if
            :: hand[me] != 0 -> scan(); goto work
            :: hand[me] == 0
            fi;
#if !defined BROKEN_STAYS && !defined BROKEN_ONCE
            idle++
#endif
#endif
        :: count[victim] == 0
        fi;
        victim = (victim + 1) % WORKERS
    od;
#ifndef BROKEN_ONCE
    if
    :: idle == WORKERS
    :: idle != WORKERS -> goto search
    fi;
#endif
    victim = 0;
    do
    :: victim == WORKERS -> break
    :: victim < WORKERS -> assert(count[victim] == 0 && hand[victim] == 0); victim++
    od;
    over[me] = true
}

init
{
    atomic {
        stack[S(0, 0)] = 3;
        stack[S(0, 1)] = 2;
        count[0] = 2;
        run worker(0);
        run worker(1);
        run worker(2)
    }
}

ltl ended { <> (over[0] && over[1] && over[2]) }
