/* SPDX-License-Identifier: MIT */
#include "support/finalized.h"

#include <strata/weak.h>

#include <string.h>

struct finalized finalized;

int finalized_setup(void **state)
{
    memset(&finalized, 0, sizeof finalized);
    return exact_setup(state);
}

int finalized_setup_moving(void **state)
{
    memset(&finalized, 0, sizeof finalized);
    return moving_setup(state);
}

void note_finalized(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    finalized.value[finalized.count] = ((struct node *)object)->value;
    finalized.order[finalized.count++] = (int)(intptr_t)data;
    if (finalized.keep != NULL)
        *finalized.keep = object;
}

size_t run_finalizers(struct world *world)
{
    return gc_finalizers_run(world->mutator, 0);
}
