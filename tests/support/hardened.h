/* SPDX-License-Identifier: MIT
 *
 * What the tests of hardened heaps share.
 */
#ifndef STRATA_TEST_HARDENED_H
#define STRATA_TEST_HARDENED_H

#include "support/heap.h"

#include "heap/heap.h"

struct text {
    char bytes[16];
};
extern const gc_type text_type;

/* A hardened heap with exact stacks, without other checks. */
gc_options hardened_options(void);

/* A fixture: *state is a world with these. */
int hardened_setup(void **state);

/* One after another in the nursery; the first tells what the others were. */
struct scene {
    struct world *world;
    struct node *other;
    struct text *text;
    struct node *node;
    unsigned char *array; /* of 100 bytes */
};

struct scene set_scene(struct world *world);

static inline struct gc_tables *tables_of(const struct world *world)
{
    return &world->heap->collector.tables;
}

#endif
