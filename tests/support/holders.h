/* SPDX-License-Identifier: MIT
 *
 * Old objects to store young ones into, and remembered sets without room for them.
 */
#ifndef STRATA_TEST_HOLDERS_H
#define STRATA_TEST_HOLDERS_H

#include "heap/heap.h"
#include "support/graph.h"

/* An old node, or an old array of references, in root[index]. */
struct node *old_node(struct world *world, int index);
void **old_array(struct world *world, int index, size_t length);

void store_new_node(struct world *world, void *object, void *slot, uint64_t value);

/* Fails the test unless it is a node with this value, in this generation. */
void check_node(struct world *world, const struct node *node, uint64_t value, unsigned generation);

/* Nothing more fits into a lane of the remembered set; what it was like before. */
struct gc_lane fill_up(struct gc_lane *lane);

/* As it was before. A collection may have swapped it with another. */
void give_room(struct world *world, struct gc_lane before);

#endif
