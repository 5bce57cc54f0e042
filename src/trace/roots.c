/* SPDX-License-Identifier: MIT */
#include "trace/roots.h"

void gc_roots_create(struct gc_roots *roots)
{
    gc_set_create(&roots->slots, sizeof(struct gc_key));
    gc_set_create(&roots->ranges, sizeof(struct gc_root));
    gc_set_create(&roots->callbacks, sizeof(struct gc_root));
}

void gc_roots_destroy(struct gc_roots *roots)
{
    gc_set_destroy(&roots->slots);
    gc_set_destroy(&roots->ranges);
    gc_set_destroy(&roots->callbacks);
}

size_t gc_roots_bytes(const struct gc_roots *roots)
{
    return gc_set_bytes(&roots->slots) + gc_set_bytes(&roots->ranges) +
           gc_set_bytes(&roots->callbacks);
}
