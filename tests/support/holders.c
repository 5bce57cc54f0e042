/* SPDX-License-Identifier: MIT */
#include "support/holders.h"

struct node *old_node(struct world *world, int index)
{
    world->root[index] = make_node(world->mutator, 1000 + (uint64_t)index);
    make_old(world);
    assert_int_equal(gc_generation_of(world->mutator, world->root[index]), GC_OLD);
    return world->root[index];
}

void **old_array(struct world *world, int index, size_t length)
{
    world->root[index] = make_array(world->mutator, &gc_type_references, length);
    make_old(world);
    assert_int_equal(gc_generation_of(world->mutator, world->root[index]), GC_OLD);
    return world->root[index];
}

void store_new_node(struct world *world, void *object, void *slot, uint64_t value)
{
    gc_write(world->mutator, object, slot, make_node(world->mutator, value));
}

void check_node(struct world *world, const struct node *node, uint64_t value, unsigned generation)
{
    assert_true(gc_is_object(world->mutator, node));
    assert_ptr_equal(gc_type_of(node), &node_type);
    assert_int_equal(node->value, value);
    assert_int_equal(gc_generation_of(world->mutator, node), generation);
}

struct gc_lane fill_up(struct gc_lane *lane)
{
    struct gc_lane before = *lane;

    lane->committed = lane->capacity = lane->count;
    return before;
}

void give_room(struct world *world, struct gc_lane before)
{
    struct gc_remembered *r = &world->heap->collector.remembered;
    struct gc_lane *lanes[] = {&r->log, &r->log_before, &r->old, &r->old_before};

    for (unsigned i = 0; i < GC_COUNT(lanes); i++)
        if (lanes[i]->words == before.words) {
            lanes[i]->committed = before.committed;
            lanes[i]->capacity = before.capacity;
        }
}
