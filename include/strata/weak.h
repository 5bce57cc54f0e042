/* SPDX-License-Identifier: MIT
 *
 * What depends on whether an object is alive: weak references, ephemerons,
 * identity hashes, finalizers, guardians, and watches.
 *
 * The order of events, when a collection finds objects dead (as CPython 3.13
 * and its PEP 442 have it; guides/weak.md has the table):
 *
 *   1. Ordinary weak references and ephemerons to them are cleared; callbacks
 *      of those weak references that are alive themselves are queued.
 *   2. Their finalizers are queued; a queued finalizer keeps its object, and
 *      all that it reaches, alive until it has run.
 *   3. Tracking weak references to what is dead even so are cleared.
 *
 * Nothing of the embedder's runs inside a collection: what is queued runs when
 * gc_finalizers_run is called. See <strata/gc.h> for how to read the comments;
 * Thread is, where it is not said, the mutator's own.
 */
#ifndef STRATA_WEAK_H
#define STRATA_WEAK_H

#include <strata/gc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Weak references ---------------------------------------------------- */

/* A weak reference is itself an object of the heap: a gc_weakref * is a
 * reference, to be kept in fields and roots like any other, and it moves. It
 * takes 32 bytes, header included, and up to 8 of an index outside; 40 and a
 * record outside if it has a callback. */
typedef struct gc_weakref gc_weakref;

/* Called once, after the object is gone, with the weak reference, by then
 * cleared. May call everything; must return (no longjmp). `weakref` is good
 * until the next safepoint. */
typedef void gc_weakref_fn(gc_mutator *mutator, gc_weakref *weakref, void *data);

enum {
    GC_WEAK_TRACKING = 1 /* cleared when the object is really gone, not when it is finalized */
};

/* A weak reference to `object` without callback. There is one of each kind
 * (tracking or not) to an object: a second call returns the first's.
 *
 * Returns  the weak reference, or NULL without memory. Misuse unless `object`
 *          is an object of the heap.
 * Owner    the heap.
 * GC       may collect; may move `object` too, unless it is pinned.
 * Thread   the mutator's own.
 */
STRATA_API gc_weakref *gc_weakref_create(gc_mutator *mutator, void *object, unsigned flags);

/* The same with a callback, never shared. If the weak reference dies before
 * its object, the callback is not called. Callbacks of one collection run
 * newest first, before its finalizers. `data` is the embedder's. */
STRATA_API gc_weakref *gc_weakref_create_watching(gc_mutator *mutator, void *object, unsigned flags,
                                                  gc_weakref_fn *callback, void *data);

/* The object, or NULL if it is gone. A strong reference from now on: good
 * until the next safepoint unless it is rooted. GC never collects. */
STRATA_API void *gc_weakref_get(gc_mutator *mutator, const gc_weakref *weakref);

/* The same as a root, in one step with respect to collections: NULL if the
 * object is gone, or without memory (then gc_weakref_get is not NULL). GC never
 * collects. */
STRATA_API gc_handle *gc_weakref_upgrade(gc_mutator *mutator, const gc_weakref *weakref);

/* Forgets the object; a callback that is not queued yet will not be. GC never
 * collects. Clearing twice does nothing. */
STRATA_API void gc_weakref_clear(gc_mutator *mutator, gc_weakref *weakref);

/* The weak references to `object` that are not cleared: those without callback
 * first, then the newest first. Fills `refs` (may be NULL) with `most` of them
 * at most, and returns how many there are. Some may be garbage themselves,
 * not yet collected. GC never collects. */
STRATA_API size_t gc_weakref_list(gc_mutator *mutator, const void *object, gc_weakref **refs,
                                  size_t most);

/* ---- Ephemerons --------------------------------------------------------- */

/* An object with a key and a value. It keeps the value alive while both it and
 * the key are alive, and never the key: so a value that refers to its key does
 * not keep it. When the key dies, both are cleared. 40 bytes. */
typedef struct gc_ephemeron gc_ephemeron;

/* Returns  the ephemeron, or NULL without memory. Misuse unless `key` is an
 *          object of the heap; `value` may be NULL.
 * GC       may collect; may move key and value.
 * Thread   the mutator's own. */
STRATA_API gc_ephemeron *gc_ephemeron_create(gc_mutator *mutator, void *key, void *value);

/* NULL once the key is gone. GC never collects. */
STRATA_API void *gc_ephemeron_key(gc_mutator *mutator, const gc_ephemeron *ephemeron);
STRATA_API void *gc_ephemeron_value(gc_mutator *mutator, const gc_ephemeron *ephemeron);

/* Sets the value; does nothing, and returns false, if the key is gone. GC never
 * collects. */
STRATA_API bool gc_ephemeron_set(gc_mutator *mutator, gc_ephemeron *ephemeron, void *value);

/* Forgets both. GC never collects. */
STRATA_API void gc_ephemeron_clear(gc_mutator *mutator, gc_ephemeron *ephemeron);

/* ---- Identity hash ------------------------------------------------------ */

/* A hash of the object's identity: random, different in each heap and run,
 * the same wherever the object moves; an object that is never asked has none.
 *
 * Returns  GC_OK, or GC_NO_MEMORY if a first hash cannot be noted.
 * GC       never collects.
 * Thread   the mutator's own.
 */
STRATA_API gc_status gc_hash(gc_mutator *mutator, const void *object, uint64_t *hash);

/* ---- Finalizers --------------------------------------------------------- */

/* Names a registration, for ever: none is used twice, 0 is none. */
typedef uint64_t gc_finalizer_id;

/* Called once with the object, which is alive, whole, and good until the next
 * safepoint unless it is rooted. May store it somewhere (resurrection), and
 * register it again. May call everything but gc_finalizers_run, which does
 * nothing then; must return (no longjmp). */
typedef void gc_finalizer_fn(gc_mutator *mutator, void *object, void *data);

enum { GC_PRIORITY_FIRST = 0, GC_PRIORITY_NORMAL = 1, GC_PRIORITY_LAST = 2, GC_PRIORITIES = 3 };

typedef struct gc_finalizer {
    size_t size; /* sizeof(gc_finalizer) */
    gc_finalizer_fn *run;
    void *data;
    unsigned priority;     /* GC_PRIORITY_... */
    size_t external_bytes; /* that running it will free outside the heap; they count in pacing */
} gc_finalizer;

/* Registers a finalizer for `object`, which may have several, also while one
 * of them runs. `id` may be NULL.
 *
 * Order    by priority; of one priority, what earlier collections queued goes
 *          before. Of all that a collection finds dead, however they refer to
 *          each other: in order of registration.
 * Returns  GC_OK; GC_NO_MEMORY; GC_BAD_SIZE; GC_BAD_OPTION for a priority that
 *          does not exist, or external_bytes above PTRDIFF_MAX. Misuse unless
 *          `object` is an object of the heap.
 * GC       never collects.
 * Thread   the mutator's own.
 */
STRATA_API gc_status gc_finalizer_add(gc_mutator *mutator, void *object,
                                      const gc_finalizer *finalizer, gc_finalizer_id *id);

/* Takes a registration back, also one that is queued. GC_NOT_FOUND if it has
 * run, or runs, or was cancelled before. GC never collects. */
STRATA_API gc_status gc_finalizer_cancel(gc_mutator *mutator, gc_finalizer_id id);

/* Runs what is queued: callbacks of weak references and watches, newest first,
 * then finalizers. At most `budget` of them (0: all, also those queued
 * meanwhile). Returns how many ran. Called from one of them, or while one waits
 * on a stack that the thread has left, it returns 0 at once; misuse if one was
 * left by longjmp.
 *
 * GC       what they do.
 * Thread   the mutator's own: any that is attached, at a time of its choosing.
 */
STRATA_API size_t gc_finalizers_run(gc_mutator *mutator, size_t budget);

/* How many callbacks and finalizers are queued. GC never collects. Thread: any,
 * which waits while another collects. */
STRATA_API size_t gc_finalizers_pending(const gc_heap *heap);

/* Whether gc_alloc's slow path and safepoints run what is queued, before they
 * go on (default no: a program may hold a lock while it allocates). Never
 * nested. It is the heap's. GC never collects. Thread: the mutator's own. */
STRATA_API void gc_finalizers_at_safepoints(gc_mutator *mutator, bool enabled);

/* Whether gc_heap_destroy first runs the callbacks that are queued and the watches
 * of all that is left (newest first), then the finalizers (by priority; of one
 * priority those that are queued, then the others in order of registration), in a
 * mutator of its own (default no: they are dropped, as they are if there is no
 * memory for it). Registrations made meanwhile are dropped. GC never collects.
 * Thread: any. */
STRATA_API void gc_finalizers_at_destroy(gc_heap *heap, bool enabled);

/* ---- Guardians ---------------------------------------------------------- */

/* The other face of finalizers: a queue of one's own, from which a client
 * takes dead objects back when it likes (after Dybvig, Bruggeman and Eby,
 * 1993). Belongs to the embedder until gc_guardian_destroy, which drops its
 * registrations; those left go with the heap. GC never collects. */
typedef struct gc_guardian gc_guardian;

STRATA_API gc_guardian *gc_guardian_create(gc_mutator *mutator); /* NULL without memory */
STRATA_API void gc_guardian_destroy(gc_mutator *mutator, gc_guardian *guardian);

/* Misuse unless `object` is an object of the heap; registered twice it comes
 * twice. GC_OK, or GC_NO_MEMORY if it cannot be noted. GC never collects. */
STRATA_API gc_status gc_guardian_add(gc_mutator *mutator, gc_guardian *guardian, void *object);

/* The next object found dead, or NULL. Alive again, and good until the next
 * safepoint unless rooted. GC never collects. */
STRATA_API void *gc_guardian_next(gc_mutator *mutator, gc_guardian *guardian);

/* ---- Watches: something to do when an object goes ------------------------ */

/* As Python's weakref.finalize: `run` is called once when the object is dead,
 * without it, whether or not a finalizer revives it; or by gc_watch_run. It may
 * call everything; must return (no longjmp). */
typedef void gc_watch_fn(gc_mutator *mutator, void *data);
typedef uint64_t gc_watch; /* names a watch, for ever; 0 is none */

/* Misuse unless `object` is an object of the heap. `watch` may be NULL. GC_OK, or
 * GC_NO_MEMORY if it cannot be noted. GC never collects. */
STRATA_API gc_status gc_watch_add(gc_mutator *mutator, void *object, gc_watch_fn *run, void *data,
                                  gc_watch *watch);

/* Whether it has not run, nor been detached. GC never collects. */
STRATA_API bool gc_watch_is_alive(gc_mutator *mutator, gc_watch watch);

/* The object, or NULL if it is dead or the watch is not alive; `data` (may be
 * NULL) is set to the embedder's if the watch is alive. GC never collects. */
STRATA_API void *gc_watch_peek(gc_mutator *mutator, gc_watch watch, void **data);

/* Takes it back: true if it was alive. GC never collects. */
STRATA_API bool gc_watch_detach(gc_mutator *mutator, gc_watch watch);

/* Runs it now: true if it was alive, and it is not any more. GC: what it does. */
STRATA_API bool gc_watch_run(gc_mutator *mutator, gc_watch watch);

#ifdef __cplusplus
}
#endif

#endif
