/* SPDX-License-Identifier: MIT
 *
 * Old objects to store young ones into.
 */
#ifndef STRATA_TEST_HOLDERS_H
#define STRATA_TEST_HOLDERS_H

#include "support/graph.h"

/* An old node, or an old array of references, in root[index]. */
struct node *old_node(struct world *world, int index);
void **old_array(struct world *world, int index, size_t length);

void store_new_node(struct world *world, void *object, void *slot, uint64_t value);

/* Fails the test unless it is a node with this value, in this generation. */
void check_node(struct world *world, const struct node *node, uint64_t value, unsigned generation);

#endif
