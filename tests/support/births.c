/* SPDX-License-Identifier: MIT */
#include "support/births.h"

struct world *make_adaptive(void)
{
    gc_options options = plain_options(256 * KIB);

    options.nursery_max = 16 * MIB;
    return world_make(&options);
}

struct world *make_with(const char *settings)
{
    gc_options options = plain_options(256 * KIB);

    options.settings = settings;
    return world_make(&options);
}

struct world *make_always(void)
{
    return make_with("stress=pretenure,check=deep");
}

void push(struct world *world, uint64_t value)
{
    struct node *node = make_node(world->mutator, value);

    node->right = world->root[0];
    world->root[0] = node;
}

size_t fill_till_on(struct world *world)
{
    size_t length = 0;

    while (!is_on(world) && length < 4 * MIB)
        push(world, length++);
    assert_true(is_on(world));
    return length;
}

void thin_out(struct world *world, int n)
{
    for (struct node *node = world->root[0]; node != NULL && node->right != NULL;) {
        struct node *kept = node;

        for (int i = 0; i < n && node != NULL; i++)
            node = node->right;
        gc_write(world->mutator, kept, &kept->right, node);
    }
}

void await_collection(struct world *world)
{
    uint64_t before = collections_of(world->heap);

    while (collections_of(world->heap) == before)
        push(world, 0);
}
