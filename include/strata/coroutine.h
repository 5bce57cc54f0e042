/* SPDX-License-Identifier: MIT
 *
 * Stacks that the embedder owns: coroutines, fibers, green threads. The heap
 * must know where they are, and on which of them a thread runs. See
 * <strata/gc.h> for how to read the comments.
 */
#ifndef STRATA_COROUTINE_H
#define STRATA_COROUTINE_H

#include <strata/gc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A stack that was registered with a heap, and what it was left with. */
typedef struct gc_coroutine gc_coroutine;

/* Makes a stack known, `bytes` from `low` up, on which nothing has run yet. Its
 * words are roots while it is switched away from, unless it is GC_EXACT or the
 * heap's stacks are; its frames (GC_FRAME) always are.
 *
 * Returns  the coroutine; NULL without memory.
 * Owner    the embedder, of the stack; it must stay readable until unregistered.
 * GC       never collects.
 * Thread   the mutator's own; any that is attached may switch to it.
 */
STRATA_API gc_coroutine *gc_coroutine_register(gc_mutator *mutator, void *low, size_t bytes,
                                               gc_exactness exactness);

/* Says that this thread leaves the stack that it is on for that of `to`, or, with
 * NULL, for its own. Called on the stack that is left, immediately before the
 * embedder's own switch; no safepoint may come in between. Each stack has its
 * frames. Misuse if `to` runs on a thread already, which may be this one.
 * GC never collects. Thread: the mutator's own. */
STRATA_API void gc_coroutine_switch(gc_mutator *mutator, gc_coroutine *to);

/* Forgets a stack, whatever is on it: it will not be switched to again. Misuse
 * while a thread is on it. GC never collects. Thread: any mutator's own. */
STRATA_API void gc_coroutine_unregister(gc_mutator *mutator, gc_coroutine *coroutine);

#ifdef __cplusplus
}
#endif

#endif
