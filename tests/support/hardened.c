/* SPDX-License-Identifier: MIT */
#include "support/hardened.h"

const gc_type text_type = GC_TYPE_LEAF("text", struct text);

gc_options hardened_options(void)
{
    gc_options options = test_options();

    options.harden = GC_HARDEN_ON;
    options.check = GC_CHECK_OFF;
    options.stacks = GC_STACKS_EXACT;
    return options;
}

int hardened_setup(void **state)
{
    gc_options options = hardened_options();

    *state = world_make(&options);
    return 0;
}

struct scene set_scene(struct world *world)
{
    struct scene scene = {.world = world};

    world->root[0] = scene.other = make_node(world->mutator, 1);
    world->root[4] = make_array(world->mutator, &gc_type_bytes, 10);
    world->root[1] = scene.text = make_object(world->mutator, &text_type);
    world->root[2] = scene.node = make_node(world->mutator, 2);
    world->root[3] = scene.array = make_array(world->mutator, &gc_type_bytes, 100);
    return scene;
}
