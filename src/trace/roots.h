/* SPDX-License-Identifier: MIT
 *
 * The root registry: slots, ranges and callbacks outside the heap, each found
 * again by its address, so that adding and removing take constant time.
 */
#ifndef STRATA_ROOTS_H
#define STRATA_ROOTS_H

#include "memory/set.h"

#include <strata/gc.h>

struct gc_root {
    struct gc_key key; /* slot; range start; or callback and its data */
    size_t count;      /* words of a range; 0 for a callback */
    uint8_t exactness;
};

struct gc_roots {
    struct gc_set slots; /* bare keys: exact slots, the most frequent */
    struct gc_set ranges;
    struct gc_set callbacks;
};

void gc_roots_create(struct gc_roots *roots);
void gc_roots_destroy(struct gc_roots *roots);
size_t gc_roots_bytes(const struct gc_roots *roots);

#endif
