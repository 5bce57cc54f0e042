/* SPDX-License-Identifier: MIT
 *
 * Heaps in programs that fork; and freezing, so that what a heap holds stays
 * shared with the processes that fork makes. See <strata/gc.h> for how to read
 * the comments, and guides/fork.md for a program.
 */
#ifndef STRATA_FORK_H
#define STRATA_FORK_H

#include <strata/gc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What gc_generation_of says of a frozen object. */
enum { GC_FROZEN = GC_GENERATIONS };

enum { GC_FREEZE_COMPACT = 1 /* move all that is not pinned together first */ };

/* Collects, even when disabled, then moves everything that lives to a
 * generation that no collection traces, moves or writes, and gives the rest of
 * the memory back to the system. Frozen objects live until gc_unfreeze,
 * reached or not; so weak references to them stay, and their finalizers wait.
 * They may be used, stored into and pinned as before: what is stored into them
 * is kept alive, and a page that is stored into is shared no more. Freezing
 * again adds what was made since. `flags`: of GC_FREEZE_...
 *
 * Returns  GC_OK; GC_NO_MEMORY; GC_BUSY in a heap without write barriers. What
 *          was not frozen before is not then.
 * GC       collects; may move.
 * Thread   the mutator's own.
 */
STRATA_API gc_status gc_freeze(gc_mutator *mutator, unsigned flags);

/* Makes all that is frozen part of gen2 again. Nothing moves. GC never
 * collects. Thread: the mutator's own. */
STRATA_API void gc_unfreeze(gc_mutator *mutator);

/* How much is frozen: objects, and their bytes with headers. It counts as live
 * in gc_stats, and in none of the generations. Thread: any. */
STRATA_API size_t gc_frozen_objects(const gc_heap *heap);
STRATA_API size_t gc_frozen_bytes(const gc_heap *heap);

/* ---- Fork --------------------------------------------------------------- */

/* Around fork(): the first before it, then the second in the parent (also if
 * fork failed), the third in the child. The first waits until every thread of
 * the heap has stopped; from there to the other two the heap is not used. In
 * the child the forking thread's mutator goes on as it was, if it had one; those
 * of other threads are detached, with their frames. Roots and handles that
 * other threads made stay, as do gc_disable's of theirs.
 *
 * Several heaps that threads share are left to gc_fork_follow: prepared one by
 * one, a thread that uses one of them waits, while it attaches to another, for
 * the thread that waits for it.
 *
 * Misuse from callbacks of a collection or a visit, of this heap, or of one that
 * is followed or that other threads are attached to: each would wait for the
 * other; and the last two without the first. From finalizers, callbacks of weak
 * references and gc_call_parked it may be called.
 * GC       the heap does not collect; others of this thread may.
 * Thread   any, attached or not; all three the same.
 */
STRATA_API void gc_fork_prepare(gc_heap *heap);
STRATA_API void gc_fork_parent(gc_heap *heap);
STRATA_API void gc_fork_child(gc_heap *heap);

/* Has fork() call these three for the heap until it is destroyed, by
 * pthread_atfork. Handlers of the embedder's own that use the heap are
 * registered after this was called first in the process. Calling it twice does
 * nothing more. Returns GC_OK or GC_NO_MEMORY. Misuse where gc_fork_prepare is, and
 * so is fork() from then on; and from handlers that were registered before.
 * GC       never collects; others may, in all heaps of this thread.
 * Thread   any. */
STRATA_API gc_status gc_fork_follow(gc_heap *heap);

#ifdef __cplusplus
}
#endif

#endif
