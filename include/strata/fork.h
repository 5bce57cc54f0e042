/* SPDX-License-Identifier: MIT
 *
 * Freezing a heap, so that its memory stays shared with processes that fork
 * makes. See <strata/gc.h> for how to read the comments.
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

#ifdef __cplusplus
}
#endif

#endif
