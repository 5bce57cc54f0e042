/* SPDX-License-Identifier: MIT
 *
 * How a phase of src/trace/team.c ends, for spin. Each worker marks what lies
 * in its own parts and sends edges into others' parts to their inboxes. What is
 * done under the team's lock is one step. Edges are counted only; any may lead
 * to one more, for any worker, as long as there is `fuel`.
 *
 *   safety    when the first worker says that the phase is over, no edge is left
 *             in a hand, a parcel or an inbox (J3);
 *   liveness  it says so (`ended`, weak fairness).
 *
 * BROKEN_FILLED   does not look whether an inbox is filled: one that has not
 *                 woken yet counts as waiting
 * BROKEN_DELIVER  waits with parcels that were not delivered
 * BROKEN_SIGNAL   a helper that waits tells nobody
 */
#define WORKERS 3
#define HELPERS 2
#define P(from, to) ((from) * WORKERS + (to))

byte inbox[WORKERS];
byte hand[WORKERS];
byte parcel[WORKERS * WORKERS];
bool asleep[WORKERS];
byte waiting;
byte filled;
byte fuel = 3;
bool over;

inline wake_all() { asleep[0] = false; asleep[1] = false; asleep[2] = false }

inline open_inbox() { hand[me] = inbox[me]; inbox[me] = 0; filled-- }

inline deliver(to)
{
    d_step {
        if
        :: inbox[to] == 0 -> filled++
        :: else
        fi;
        inbox[to] = inbox[to] + parcel[P(me, to)];
        parcel[P(me, to)] = 0;
        wake_all()
    }
}

inline lead_to(to)
{
    if
    :: to == me -> hand[me]++
    :: to != me -> parcel[P(me, to)]++
    fi
}

inline work()
{
    do
    :: hand[me] == 0 -> break
    :: hand[me] > 0 ->
        hand[me]--;
        if
        :: true
        :: d_step { fuel > 0 -> fuel-- };
            if
            :: lead_to(0)
            :: lead_to(1)
            :: lead_to(2)
            fi
        fi
    :: parcel[P(me, (me + 1) % WORKERS)] > 0 -> deliver((me + 1) % WORKERS) /* it waits */
    od;
#ifndef BROKEN_DELIVER
    to = 0;
    do
    :: to == WORKERS -> break
    :: to < WORKERS && parcel[P(me, to)] > 0 -> deliver(to); to++
    :: to < WORKERS && parcel[P(me, to)] == 0 -> to++
    od;
    to = 0
#endif
}

proctype helper(byte me)
{
    byte to;
    bool ok;

    do
    :: d_step {
            ok = inbox[me] > 0;
            if
            :: ok -> open_inbox()
            :: !ok ->
                waiting++;
#ifndef BROKEN_SIGNAL
                wake_all();
#endif
                asleep[me] = true
            fi
        };
        do
        :: ok -> break
        :: !ok && !asleep[me] ->
            d_step {
                ok = inbox[me] > 0;
                if
                :: ok -> waiting--; open_inbox()
                :: !ok -> asleep[me] = true
                fi
            }
        od;
        work()
    od
}

proctype first(byte me)
{
    byte to;
    bool ok;

    waiting == HELPERS; /* J1 */
    hand[me] = 1;
    parcel[P(me, 1)] = 1;
    do
    :: work();
        do
        :: d_step {
#ifdef BROKEN_FILLED
                ok = inbox[me] > 0 || waiting == HELPERS;
#else
                ok = inbox[me] > 0 || (waiting == HELPERS && filled == 0);
#endif
                if
                :: ok
                :: !ok -> asleep[me] = true
                fi
            };
            if
            :: ok -> break
            :: !ok -> !asleep[me]
            fi
        od;
        skip;
        d_step {
            ok = inbox[me] > 0;
            if
            :: ok -> open_inbox()
            :: !ok ->
                assert(hand[0] + hand[1] + hand[2] == 0);
                assert(inbox[0] + inbox[1] + inbox[2] == 0);
                to = 0;
                do
                :: to == WORKERS * WORKERS -> break
                :: to < WORKERS * WORKERS -> assert(parcel[to] == 0); to++
                od;
                to = 0
            fi
        };
        if
        :: ok
        :: !ok -> break
        fi
    od;
    over = true
}

init { atomic { run first(0); run helper(1); run helper(2) } }

ltl ended { <> over }
