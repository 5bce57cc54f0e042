/* SPDX-License-Identifier: MIT
 *
 * A queue of a few words that wait while what they lead to is fetched. What
 * leaves a full one has waited its length, which is for its user to say.
 *
 * What is put in by the batch is fetched by the batch, too: a prefetch whose page the
 * core does not know waits for its translation, and holds up what comes after it, but
 * translations that are asked for close together are found together.
 */
#ifndef STRATA_RING_H
#define STRATA_RING_H

#include "base/bits.h"

#include <stdint.h>

enum { GC_RING = 64, GC_EDGES = GC_RING / 2, GC_BATCH = 8 };

struct gc_ring {
    uintptr_t entries[GC_RING];
    unsigned first;
    unsigned count;
};

/* There is room. */
GC_ALWAYS_INLINE void gc_ring_put(struct gc_ring *ring, uintptr_t entry)
{
    ring->entries[(ring->first + ring->count++) % GC_RING] = entry;
}

/* Whether a batch makes it no longer than `most`. */
GC_ALWAYS_INLINE bool gc_ring_takes_batch(const struct gc_ring *ring, unsigned most)
{
    return ring->count <= most - GC_BATCH;
}

/* So many edges wait: puts one in for the oldest, which it returns. */
GC_ALWAYS_INLINE uintptr_t gc_ring_exchange_edge(struct gc_ring *ring, uintptr_t entry)
{
    uintptr_t oldest = ring->entries[ring->first];

    ring->entries[(ring->first + GC_EDGES) % GC_RING] = entry;
    ring->first = (ring->first + 1) % GC_RING;
    return oldest;
}

/* It is not empty. */
GC_ALWAYS_INLINE uintptr_t gc_ring_take(struct gc_ring *ring)
{
    uintptr_t entry = ring->entries[ring->first];

    ring->first = (ring->first + 1) % GC_RING;
    ring->count--;
    return entry;
}

#endif
