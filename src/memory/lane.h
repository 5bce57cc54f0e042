/* SPDX-License-Identifier: MIT
 *
 * A growing array of words that never moves: a reservation, committed from its
 * beginning as it fills. Mark stack, log and remembered set are lanes. Growing
 * may fail; each user says what it does then. The page before it and the one
 * behind it are never accessible, so that what runs past it faults.
 *
 * L1  count <= committed <= capacity <= reserved, in words.
 */
#ifndef STRATA_LANE_H
#define STRATA_LANE_H

#include "base/bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gc_lane {
    uintptr_t *words;
    size_t count;
    size_t committed;
    size_t capacity; /* it grows no further */
    size_t reserved; /* what that was at first, and may be again */
};

/* Reserves room for `capacity` words and commits the first `first`. */
bool gc_lane_create(struct gc_lane *lane, size_t capacity, size_t first);
void gc_lane_destroy(struct gc_lane *lane);

/* Commits twice as much; false if that cannot be. */
bool gc_lane_grow(struct gc_lane *lane);

/* Lets it grow to `words`, as far as that was reserved; gives back what it has
 * committed beyond, but for what it holds. */
void gc_lane_limit(struct gc_lane *lane, size_t words);

/* Empties it, and gives back what it holds beyond `keep` words. */
void gc_lane_shrink(struct gc_lane *lane, size_t keep);

/* For one word; it grows if need be. */
GC_ALWAYS_INLINE bool gc_lane_has_room(struct gc_lane *lane)
{
    return GC_LIKELY(lane->count < lane->committed) || gc_lane_grow(lane);
}

GC_ALWAYS_INLINE bool gc_lane_push(struct gc_lane *lane, uintptr_t word)
{
    if (GC_UNLIKELY(!gc_lane_has_room(lane)))
        return false;
    lane->words[lane->count++] = word;
    return true;
}

#endif
