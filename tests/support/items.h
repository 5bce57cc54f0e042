/* SPDX-License-Identifier: MIT
 *
 * A list of items of any size, each full of bytes that its seed determines: what
 * the tests of the old generation fill it with.
 */
#ifndef STRATA_TEST_ITEMS_H
#define STRATA_TEST_ITEMS_H

#include "support/graph.h"

struct item {
    struct item *next;
    uint64_t seed;
};

extern const gc_type item_type;

struct item *make_item(struct world *world, uint64_t seed, size_t bytes);

bool is_intact_item(struct item *item);

/* Puts items in front of root[0]'s list: `count` of `least` to `most` bytes. */
void add_items(struct world *world, size_t count, size_t least, size_t most);

/* Keeps about one in `share` of root[0]'s list, by chance. */
void drop_items(struct world *world, uint64_t share);

/* Checks each item of root[0]'s list and returns the bytes they take. */
size_t live_items(struct world *world);

size_t committed(const struct world *world);

#endif
