/* SPDX-License-Identifier: MIT */
#include "support/items.h"

#include <string.h>

static const uint32_t item_refs[] = {offsetof(struct item, next)};
const gc_type item_type = GC_TYPE_TRAILING_LEAF("item", struct item, item_refs, unsigned char);

static unsigned char *item_bytes(struct item *item)
{
    return (unsigned char *)(item + 1);
}

struct item *make_item(struct world *world, uint64_t seed, size_t bytes)
{
    struct item *item = make_array(world->mutator, &item_type, bytes);

    item->seed = seed;
    memset(item_bytes(item), (int)(seed & 0xff), bytes);
    return item;
}

bool is_intact_item(struct item *item)
{
    size_t length = gc_length(item);
    unsigned char *bytes = item_bytes(item);

    return length == 0 ||
           (bytes[0] == (item->seed & 0xff) && memcmp(bytes, bytes + 1, length - 1) == 0);
}

void add_items(struct world *world, size_t count, size_t least, size_t most)
{
    uint64_t chance = count + least + most;

    for (size_t i = 0; i < count; i++) {
        size_t bytes = least + next_random(&chance) % (most - least + 1);
        struct item *item = make_item(world, i, bytes);

        gc_write(world->mutator, item, &item->next, world->root[0]);
        world->root[0] = item;
    }
}

void drop_items(struct world *world, uint64_t share)
{
    uint64_t chance = 17;
    struct item *last = NULL;
    struct item *item = world->root[0];

    world->root[0] = NULL;
    for (; item != NULL; item = item->next) {
        if (next_random(&chance) % share != 0)
            continue;
        if (last == NULL)
            world->root[0] = item;
        else
            gc_write(world->mutator, last, &last->next, item);
        last = item;
    }
    if (last != NULL)
        last->next = NULL;
}

size_t live_items(struct world *world)
{
    size_t live = 0;

    for (struct item *item = world->root[0]; item != NULL; item = item->next) {
        if (!is_intact_item(item))
            fail_msg("item %llu is not as it was made", (unsigned long long)item->seed);
        live += bytes_of(item);
    }
    return live;
}

size_t committed(const struct world *world)
{
    return stats_of(world->heap).committed_bytes;
}
