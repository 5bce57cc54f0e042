/* SPDX-License-Identifier: MIT */
#include "thread/mutator.h"

static void set_limit(struct gc_mutator *mutator)
{
    uintptr_t limit = mutator->watching ? 0 : mutator->run.limit;

    __atomic_store_n(&mutator->fast.limit, limit, __ATOMIC_RELAXED);
}

bool gc_mutator_refill(struct gc_mutator *mutator, struct gc_spaces *spaces, size_t bytes)
{
    mutator->run.bump = mutator->fast.bump;
    if (!gc_young_run_next(spaces, &mutator->run, GC_BLOCK_SMALL, bytes)) {
        mutator->fast.bump = 0;
        set_limit(mutator);
        return false;
    }
    mutator->fast.bump = mutator->run.bump;
    set_limit(mutator);
    return true;
}

void gc_mutator_retire_run(struct gc_mutator *mutator, struct gc_spaces *spaces)
{
    mutator->run.bump = mutator->fast.bump;
    gc_young_run_close(spaces, &mutator->run);
    mutator->fast.bump = 0;
    set_limit(mutator);
}

void gc_mutator_give_run(struct gc_mutator *mutator, struct gc_spaces *spaces, struct gc_run *idle)
{
    if (idle->block != GC_NO_BLOCK) {
        gc_mutator_retire_run(mutator, spaces);
        return;
    }
    mutator->run.bump = mutator->fast.bump;
    *idle = mutator->run;
    gc_run_reset(&mutator->run);
}

void gc_mutator_take_run(struct gc_mutator *mutator, struct gc_run *idle)
{
    mutator->run = *idle;
    mutator->fast.bump = idle->bump;
    gc_run_reset(idle);
    set_limit(mutator);
}

void gc_mutator_watch(struct gc_mutator *mutator, uint8_t reason)
{
    mutator->watching |= reason;
    set_limit(mutator);
}

void gc_mutator_unwatch(struct gc_mutator *mutator, uint8_t reason)
{
    mutator->watching &= (uint8_t)~reason;
    set_limit(mutator);
}
