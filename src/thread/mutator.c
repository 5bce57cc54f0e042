/* SPDX-License-Identifier: MIT */
#include "thread/mutator.h"

#include "base/annotate.h"

/* Either this thread sees a reason that another has added, or the other's store
 * of 0 comes later: all four accesses are in one order. */
void gc_mutator_set_limit(struct gc_mutator *mutator)
{
    bool open = mutator->run.block != GC_NO_BLOCK;
    uintptr_t limit = open ? mutator->run.end + GC_HEADER_BYTES : GC_NO_LIMIT;

    __atomic_store_n(&mutator->fast.limit, limit, __ATOMIC_SEQ_CST);
    if (GC_FORBIDS || __atomic_load_n(&mutator->watching, __ATOMIC_SEQ_CST) != 0)
        __atomic_store_n(&mutator->fast.limit, 0, __ATOMIC_SEQ_CST);
}

void gc_mutator_watch(struct gc_mutator *mutator, unsigned reasons)
{
    __atomic_fetch_or(&mutator->watching, reasons, __ATOMIC_SEQ_CST);
    __atomic_store_n(&mutator->fast.limit, 0, __ATOMIC_SEQ_CST);
}

void gc_mutator_unwatch(struct gc_mutator *mutator, unsigned reasons)
{
    __atomic_fetch_and(&mutator->watching, ~reasons, __ATOMIC_SEQ_CST);
    gc_mutator_set_limit(mutator);
}

/* ---- The run ---- */

static void sync(struct gc_mutator *mutator)
{
    if (mutator->run.block != GC_NO_BLOCK)
        mutator->run.bump = gc_mutator_bump(mutator);
}

/* The inline path finds no room until a run is open. */
static void close_path(struct gc_mutator *mutator)
{
    sync(mutator);
    __atomic_store_n(&mutator->fast.bump, GC_NO_ROOM, __ATOMIC_RELAXED);
}

bool gc_mutator_refill(struct gc_mutator *mutator, struct gc_spaces *spaces, size_t bytes)
{
    bool open;

    sync(mutator);
    open = gc_young_run_next(spaces, &mutator->run, GC_BLOCK_SMALL, bytes);
    if (open)
        gc_mutator_set_bump(mutator, mutator->run.bump);
    else
        close_path(mutator);
    /* Not its limit yet: the room is not zeroed. */
    __atomic_store_n(&mutator->fast.limit, 0, __ATOMIC_RELAXED);
    return open;
}

void gc_mutator_open(struct gc_mutator *mutator)
{
    /* The limit first: its store waits for those before it. Nobody but this
     * thread allocates in the run. */
    gc_mutator_set_limit(mutator);
    if (mutator->run.block != GC_NO_BLOCK)
        gc_run_zero(&mutator->run);
}

bool gc_mutator_advance(struct gc_mutator *mutator, const struct gc_spaces *spaces)
{
    size_t left = gc_mutator_room(mutator);

    if (!gc_young_run_advance(spaces, &mutator->run))
        return false;
    gc_mutator_set_bump(mutator, mutator->run.bump);
    gc_run_skip(&mutator->run, left);
    gc_mutator_open(mutator);
    return true;
}

void gc_mutator_retire_run(struct gc_mutator *mutator, struct gc_spaces *spaces)
{
    close_path(mutator);
    gc_young_run_close(spaces, &mutator->run);
    gc_mutator_set_limit(mutator);
}

void gc_mutator_give_run(struct gc_mutator *mutator, struct gc_spaces *spaces, struct gc_run *idle)
{
    close_path(mutator);
    if (idle->block == GC_NO_BLOCK)
        *idle = mutator->run;
    else
        gc_young_run_give_up(spaces, &mutator->run);
    gc_run_reset(&mutator->run);
    gc_mutator_set_limit(mutator);
}

void gc_mutator_take_run(struct gc_mutator *mutator, struct gc_run *idle)
{
    mutator->run = *idle;
    gc_run_reset(idle);
    if (mutator->run.block != GC_NO_BLOCK)
        gc_mutator_set_bump(mutator, mutator->run.bump);
    else
        close_path(mutator);
    gc_mutator_set_limit(mutator);
}
