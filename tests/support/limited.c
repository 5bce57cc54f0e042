/* SPDX-License-Identifier: MIT */
#include "support/limited.h"

struct world *make_limited(size_t hard_limit)
{
    gc_options options = plain_options(0);

    options.hard_limit = hard_limit;
    options.nursery_min = 256 * KIB;
    options.nursery_max = MIB;
    return world_make(&options);
}

size_t part_of(size_t bytes)
{
    return is_slowed() ? bytes / 4 : bytes;
}

size_t fill(struct world *world)
{
    size_t count = 0;

    for (;;) {
        struct node *node = gc_alloc(world->mutator, &node_type);

        if (node == NULL)
            return count;
        node->value = count++;
        node->right = world->root[0];
        world->root[0] = node;
    }
}

bool is_intact_fill(const struct world *world, size_t count)
{
    const struct node *node = world->root[0];

    for (; count > 0; count--, node = node->right)
        if (node == NULL || node->value != count - 1)
            return false;
    return node == NULL;
}
