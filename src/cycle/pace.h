/* SPDX-License-Identifier: MIT
 *
 * When the next collection comes, and which: arithmetic alone, so that a test
 * needs no heap.
 */
#ifndef STRATA_PACE_H
#define STRATA_PACE_H

#include <strata/gc.h>

struct gc_pace {
    /* Settings. */
    size_t nursery_min;
    size_t nursery_max;
    size_t nursery_fixed; /* 0: it adapts */
    uint32_t threshold1;
    uint32_t threshold2;
    uint32_t growth_percent;
    bool full_only; /* no barriers: every collection is full */

    /* State. */
    size_t nursery;               /* bytes handed out before the next collection */
    uint32_t count1;              /* gen0 collections since one of gen1 or gen2 */
    uint32_t count2;              /* gen1 collections since one of gen2 */
    bool is_pressed;              /* more than the soft limit is held */
    size_t live_full;             /* bytes, outside ones included, that the last full one left */
    size_t trigger;               /* ... at which the next full one comes */
    bool only_grows;              /* the last that growth called for found next to none dead */
    bool several;                 /* mutators allocate */
    unsigned survival_percent[2]; /* of gen0 and gen1, at their last collection */
    unsigned middle_passes;       /* collections in a row that promoted gen1 unvisited */
    unsigned lasting_run;         /* collections in a row that nearly all survived */
    unsigned patience;            /* collections to wait after the next such run */
    unsigned patience_left;       /* ... and still to wait */
    bool is_lasting;              /* nearly all survives, and will be taken to */
};

/* What the heap holds when a collection is over. */
struct gc_pace_now {
    unsigned generation;   /* collected */
    gc_reason reason;      /* why */
    size_t condemned;      /* bytes of what it looked at */
    size_t survived;       /* ... and of what of that lives */
    size_t handed_bytes;   /* to mutators before it */
    size_t young_before;   /* gen0's bytes before it */
    size_t young_survived; /* ... and after, wherever they are */
    size_t middle_before;  /* the same of gen1, if it was collected */
    size_t middle_survived;
    bool middle_passed; /* gen1 was promoted unvisited */
    bool all_promoted;  /* ... and gen0, which says nothing of survival */
    size_t born_bytes;  /* in gen2, since the last collection that visited it */
    size_t live_bytes;  /* in all generations */
    size_t external_bytes;
    size_t room_bytes; /* that mutators can still take */
    bool over_soft_limit;
    size_t allocating; /* mutators that took room since the last collection */
};

void gc_pace_start(struct gc_pace *pace);

/* Sets the next thresholds. */
void gc_pace_after(struct gc_pace *pace, const struct gc_pace_now *now);

/* Whether so many bytes charged since the last collection call for one. */
bool gc_pace_external_due(const struct gc_pace *pace, size_t charged);

/* Which generation the next collection takes, and why. `middle_bytes` is what
 * gen1 holds now, `held_bytes` what gen1 and gen2 do, outside bytes included. */
unsigned gc_pace_choose(const struct gc_pace *pace, size_t middle_bytes, size_t held_bytes,
                        gc_reason *reason);

#endif
