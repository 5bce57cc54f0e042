/* SPDX-License-Identifier: MIT
 *
 * Worlds whose objects are born in gen2, and what to ask of them.
 */
#ifndef STRATA_TEST_BIRTHS_H
#define STRATA_TEST_BIRTHS_H

#include "heap/heap.h"
#include "support/graph.h"

/* Whether what is allocated next is born in gen2; whether barriers note nothing. */
static inline bool is_on(const struct world *world)
{
    return world->heap->collector.spaces.pretenures;
}

static inline bool is_calm(const struct world *world)
{
    return world->heap->collector.calm;
}

static inline size_t generation_of(const struct world *world, const void *object)
{
    return gc_generation_of(world->mutator, object);
}

/* A nursery that adapts, as in a program. */
struct world *make_adaptive(void);

/* With a nursery of 256 KiB; and where objects are born so from the first on, whatever
 * lasts, every phase of a collection verified. */
struct world *make_with(const char *settings);
struct world *make_always(void);

/* A node in front of the list in root 0; such a list till newborns are gen2's, whose
 * length it returns; or till the next collection that the nursery brings. */
void push(struct world *world, uint64_t value);
size_t fill_till_on(struct world *world);
void await_collection(struct world *world);

/* Of the list in root 0 only each n-th node stays. */
void thin_out(struct world *world, int n);

#endif
