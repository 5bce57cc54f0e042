/* SPDX-License-Identifier: MIT
 *
 * Threads that mark together.
 *
 * The heap's addresses are dealt out among them, a chunk at a time, and each
 * marks and scans what lies in its own parts: so no mark, line or count is shared,
 * and none needs an atomic operation, which would wait for every store under way.
 * An edge into another's part is sent there, in parcels (post.h).
 *
 * What stays where it is can be marked so. What moves, and what has a say of its
 * own (trace callbacks, ephemerons, holders to be remembered), is left to the
 * collecting thread. So the two alternate: that thread alone follows the slots
 * into evacuating blocks, and puts the edges to what stays aside; then all mark
 * from these, and leave it what it must do; until nothing is left.
 *
 * J1  Between phases all helpers wait, and all inboxes are empty.
 * J2  In a phase a worker writes the log bytes, marks, lines and live counts of
 *     its own parts of the heap alone, and the cards of the pieces of arrays that
 *     it was given; nothing else of the heap is written.
 * J3  A phase is over when all wait and no inbox holds an edge: only one that
 *     does not wait can fill one, and it waits with its parcels delivered.
 */
#ifndef STRATA_TEAM_H
#define STRATA_TEAM_H

#include "os/threads.h"
#include "trace/tracer.h"

enum {
    GC_MOST_WORKERS = 64,
    GC_MOST_ASIDE = 16 << 10,
    GC_PARCEL_WORDS = 256,
    GC_PARCEL_EDGES = GC_PARCEL_WORDS - 2
};

/* What two threads write stands so many bytes apart: lines are fetched in pairs. */
enum { GC_APART = 128 };

struct gc_team;

/* Beside what a tracer's stack holds, in parcels and among what is put aside or
 * left: a reference to an object in place, not tested yet. */
enum { GC_STACK_EDGE = 0 };

/* Edges on their way to another worker. */
struct gc_parcel {
    struct gc_parcel *next;
    size_t count;
    uintptr_t edges[GC_PARCEL_EDGES];
};

/* One of them: its own part, and what others read and write, on lines of its own. */
struct gc_worker { /* NOLINT(clang-analyzer-optin.performance.Padding) */
    _Alignas(GC_APART) struct gc_tracer tracer; /* first; the heap's tables, a stack of its own */
    struct gc_lane left;                        /* entries for the collecting thread */
    struct gc_parcel **parcels;                 /* to be sent, by worker */
    struct gc_parcel *received;                 /* a list */
    struct gc_parcel *empty;                    /* a list */
    unsigned empty_count;
    struct gc_team *team;
    unsigned index;
    unsigned shares;         /* into which the heap is dealt */
    bool is_lost;            /* an edge of the object at hand found no room */
    bool has_lost;           /* ... or one of some object scanned in this phase */
    struct gc_thread thread; /* not of the first, which is the collecting thread */

    _Alignas(GC_APART) struct gc_parcel *inbox; /* a list; written under the lock */
    _Alignas(GC_APART) bool waits;              /* atomic */
};

struct gc_team {
    struct gc_lock lock;
    struct gc_signal changed;  /* an inbox, or `waiting`, or `ends` */
    struct gc_lane pool;       /* of parcels; under the lock */
    struct gc_parcel *empty;   /* a list, under the lock */
    void *memory;              /* of workers and their tables of parcels */
    struct gc_worker *workers; /* the first is the collecting thread */
    unsigned size;             /* of these, as wished; 1: there is no team */
    unsigned helpers;          /* threads that run */
    unsigned waiting;          /* of the helpers */
    unsigned filled;           /* inboxes that are not empty */
    unsigned changes;          /* counted under the lock, read without */
    unsigned sleeping;         /* of those that wait */
    bool ends;
    bool is_made;
};

/* A team of so many threads, the collecting one included; none is started yet.
 * Each has lanes of up to `capacity` words. False without memory. */
bool gc_team_create(struct gc_team *team, unsigned size, size_t capacity);
void gc_team_destroy(struct gc_team *team);

/* Starts the helpers, if they do not run, for a collection; false if there is
 * none, or no memory for parcels. */
bool gc_team_start(struct gc_team *team);

/* Ends them: before a fork. The next start begins anew. */
void gc_team_stop(struct gc_team *team);

/* A helper's life: waits for edges, marks from them. */
void gc_team_help(void *worker);

/* Before the first phase of a collection. */
void gc_team_begin(struct gc_team *team, const struct gc_tracer *tracer);

/* Whether enough was put aside, and it is time for a phase. If none can be sent they
 * go into `left`, which is empty until then: so there are no more than that has room
 * for. */
static inline bool gc_team_is_full(const struct gc_team *team)
{
    const struct gc_worker *first = &team->workers[0];
    size_t aside = first->tracer.stack.count;

    return aside >= GC_MOST_ASIDE || aside >= first->left.committed;
}

/* Puts an edge to what stays aside for the next phase; false if there are enough. */
static inline bool gc_team_put_aside(struct gc_team *team, uintptr_t object)
{
    return !gc_team_is_full(team) &&
           gc_lane_push(&team->workers[0].tracer.stack, object | GC_STACK_EDGE);
}

/* Marks from what was put aside. What is left is on the tracer's stack then:
 * false if that is nothing. */
bool gc_team_mark(struct gc_team *team, struct gc_tracer *tracer);

/* Gives back most of what its lanes have committed. Between collections. */
void gc_team_shrink(struct gc_team *team);

/* Words that its lanes have committed, or may. */
size_t gc_team_words(const struct gc_team *team, bool at_most);

#endif
