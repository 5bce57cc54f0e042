/* SPDX-License-Identifier: MIT
 *
 * Heaps with little room, and what fills them.
 */
#ifndef STRATA_TEST_LIMITED_H
#define STRATA_TEST_LIMITED_H

#include "support/graph.h"

struct world *make_limited(size_t hard_limit);

/* `bytes`, or a quarter where the run is slowed. */
size_t part_of(size_t bytes);

/* Puts nodes in front of root[0]'s list until there is no room; how many. */
size_t fill(struct world *world);

/* Whether root[0] has `count` nodes as fill left them. */
bool is_intact_fill(const struct world *world, size_t count);

#endif
