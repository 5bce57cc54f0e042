/* SPDX-License-Identifier: MIT */
#include "thread/coroutine.h"

#include "base/annotate.h"
#include "base/bits.h"
#include <string.h>

/* The registers that the callers count on were spilled to just above the top.
 * Those words are overwritten when this returns, and the registers are kept
 * wherever the embedder's switch puts them: so they are copied. */
GC_UNCHECKED_BY_ASAN GC_UNCHECKED_BY_TSAN static void copy_spilled(struct gc_left *left,
                                                                   uintptr_t base)
{
    const volatile uintptr_t *from = (const volatile uintptr_t *)left->top.address;
    size_t count = gc_min((base - left->top.address) / sizeof *from, GC_SPILLED_WORDS);

    for (size_t i = 0; i < count; i++)
        left->spilled[i] = from[i];
    for (size_t i = count; i < GC_SPILLED_WORDS; i++)
        left->spilled[i] = 0;
}

struct switching {
    struct gc_mutator *mutator;
    struct gc_left *left;
};

static void leave(struct gc_stack_top top, void *data)
{
    const struct switching *switching = data;

    switching->left->top = top;
    switching->left->frames = switching->mutator->fast.frames;
    copy_spilled(switching->left, switching->mutator->stack_base);
}

void gc_mutator_switch(struct gc_mutator *mutator, struct gc_coroutine *to)
{
    struct gc_coroutine *from = mutator->coroutine;
    struct gc_left *home = &mutator->home;
    struct switching switching = {mutator, from == NULL ? home : &from->left};

    gc_stack_freeze(leave, &switching);
    mutator->coroutine = to;
    mutator->stack_base = to == NULL ? mutator->home_base : to->base;
    mutator->fast.frames = to == NULL ? home->frames : to->left.frames;
    if (to != NULL) { /* Y1: the thread may end on it */
        to->left.frames = NULL;
        to->left.top = (struct gc_stack_top){0};
    }
    if (from != NULL)
        __atomic_store_n(&from->on, NULL, __ATOMIC_RELEASE);
}

void gc_left_scan(const struct gc_left *left, uintptr_t base, gc_words_fn *scan, void *data)
{
    if (left->top.address == 0)
        return;
    gc_stack_scan_frozen(left->top, base, scan, data);
    gc_words_scan((uintptr_t)left->spilled, (uintptr_t)(left->spilled + GC_SPILLED_WORDS), scan,
                  data);
}

bool gc_mutator_is_on_its_stack(const struct gc_mutator *mutator)
{
    uintptr_t low = mutator->coroutine == NULL ? 0 : mutator->coroutine->low;

    return mutator->top.address >= low && mutator->top.address < mutator->stack_base;
}
