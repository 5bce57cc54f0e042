/* SPDX-License-Identifier: MIT */
#include "thread/mutator.h"

#include "base/annotate.h"
#include "memory/forbid.h"

/* Either this thread sees a reason that another has added, or the other's store
 * of 0 comes later: all these accesses are in one order. */
void gc_mutator_set_limit(struct gc_mutator *mutator)
{
    bool open = mutator->run.block != GC_NO_BLOCK;
    uintptr_t limit = open ? mutator->run.end + GC_HEADER_BYTES : GC_NO_LIMIT;
    uintptr_t zeroed = open ? mutator->zeroed + GC_HEADER_BYTES : GC_NO_LIMIT;

    __atomic_store_n(&mutator->fast.zeroed, zeroed, __ATOMIC_SEQ_CST);
    __atomic_store_n(&mutator->fast.limit, limit, __ATOMIC_SEQ_CST);
    if (GC_FORBIDS || __atomic_load_n(&mutator->watching, __ATOMIC_SEQ_CST) != 0)
        gc_mutator_go_slow(mutator);
}

void gc_mutator_watch(struct gc_mutator *mutator, unsigned reasons)
{
    __atomic_fetch_or(&mutator->watching, reasons, __ATOMIC_SEQ_CST);
    gc_mutator_go_slow(mutator);
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

void gc_mutator_zero(struct gc_mutator *mutator, size_t bytes)
{
    uintptr_t bump = gc_mutator_bump(mutator);
    uintptr_t from = gc_max(bump, mutator->zeroed);
    uintptr_t to = gc_min(bump + bytes, mutator->run.end);

    if (from >= to)
        return;
    gc_zero(from, to);
    mutator->zeroed = to;
}

void gc_mutator_zero_rest(struct gc_mutator *mutator)
{
    if (mutator->run.block != GC_NO_BLOCK)
        gc_mutator_zero(mutator, GC_BLOCK_BYTES);
}

/* The run's next hole or block, or another run, is open: nothing of it is zeroed. */
static void begin(struct gc_mutator *mutator)
{
    mutator->zeroed = mutator->run.bump;
    gc_mutator_set_bump(mutator, mutator->run.bump);
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

    gc_mutator_zero_rest(mutator);
    mutator->is_cold = spaces->pretenures;
    sync(mutator);
    open = gc_young_run_next(spaces, &mutator->run, GC_BLOCK_SMALL, bytes);
    if (open)
        begin(mutator);
    else
        close_path(mutator);
    return open;
}

/* The limit is set before memory that is cold is zeroed: setting it waits for what was
 * stored before. Nobody else reads what is ahead of `bump`. */
void gc_mutator_open(struct gc_mutator *mutator)
{
    uintptr_t unzeroed = gc_max(gc_mutator_bump(mutator), mutator->zeroed);
    bool is_open = mutator->run.block != GC_NO_BLOCK, zeroes = is_open && mutator->is_cold;

    if (is_open)
        GC_CHECK_ANEW((void *)mutator->run.bump, mutator->run.end - mutator->run.bump);
    if (zeroes)
        mutator->zeroed = mutator->run.end;
    gc_mutator_set_limit(mutator);
    if (zeroes)
        gc_zero(unzeroed, mutator->run.end);
}

bool gc_mutator_advance(struct gc_mutator *mutator, const struct gc_spaces *spaces, size_t bytes)
{
    uintptr_t bump = gc_mutator_bump(mutator);

    gc_mutator_zero_rest(mutator);
    if (!gc_young_run_advance(spaces, &mutator->run, bytes))
        return false;
    begin(mutator);
    gc_run_skip(&mutator->run, mutator->run.bump - bump);
    gc_mutator_open(mutator);
    return true;
}

void gc_mutator_retire_run(struct gc_mutator *mutator, struct gc_spaces *spaces)
{
    gc_mutator_zero_rest(mutator);
    close_path(mutator);
    gc_young_run_close(spaces, &mutator->run);
    gc_mutator_set_limit(mutator);
}

void gc_mutator_give_run(struct gc_mutator *mutator, struct gc_spaces *spaces, struct gc_run *idle)
{
    gc_mutator_zero_rest(mutator);
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
    if (mutator->run.block != GC_NO_BLOCK) {
        begin(mutator);
        mutator->zeroed = mutator->run.end;
    } else {
        close_path(mutator);
    }
    gc_mutator_set_limit(mutator);
}
