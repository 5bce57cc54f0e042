/* SPDX-License-Identifier: MIT
 *
 * Strata: an embeddable, generational, moving garbage collector for C. How a heap
 * shall be is in options.h, how objects are laid out in type.h; both come with
 * this file. guides/api.md lists all functions.
 *
 * A program creates a heap, attaches its thread as a mutator, allocates with
 * gc_alloc and stores references with gc_write. It never frees. What C stacks,
 * registers and registered roots reach stays alive; the rest is reclaimed.
 *
 * Reading the comments: each gives parameters with their units, what is
 * returned on failure, and, unless the function is "the same" as the one above it,
 *   Owner   who owns what is passed or returned (left out where nothing is),
 *   GC      never collects | may collect; what may move,
 *   Thread  who may call it.
 * Misuse (a foreign pointer, a root registered twice, a wrong thread) prints a
 * message that names the function and the cause, and aborts. The inline
 * functions do not check, and what is marked "checked on request" is found with
 * GC_CHECK_CHEAP only. Expected failure (no memory, a bad option) returns a
 * status or NULL and changes nothing.
 *
 * Callbacks that run during a collection (trace, root and retired callbacks)
 * call nothing of this library but what their comments allow: all else that
 * takes a mutator, or changes a heap, is misuse there. They return; leaving
 * them by longjmp is not possible.
 */
#ifndef STRATA_GC_H
#define STRATA_GC_H

#include "options.h"
#include "type.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STRATA_VERSION "0.1.0"

/* Grows with each change of what the inline fast paths rely on; a program and
 * a library that disagree do not link. */
#define gc_heap_create gc_heap_create_abi4

typedef struct gc_heap gc_heap;     /* objects, roots, generations: one whole */
typedef struct gc_handle gc_handle; /* a root slot that the heap owns */
typedef struct gc_frame gc_frame;   /* exact roots on the C stack */

typedef enum gc_status {
    GC_OK = 0,
    GC_NO_MEMORY,  /* the system, or the limit, gave nothing */
    GC_BAD_OPTION, /* an option has no such value; see gc_options_explain */
    GC_BAD_SIZE,   /* a struct's size is not one this library knows */
    GC_NOT_FOUND,  /* no such root, pin or registration */
    GC_BUSY        /* not possible in this state; the function says which */
} gc_status;

enum {
    GC_YOUNG = 0,  /* gen0 */
    GC_MIDDLE = 1, /* gen1 */
    GC_OLD = 2,    /* gen2 */
    GC_GENERATIONS = 3
};

/* ---- Heaps -------------------------------------------------------------- */

/* Makes a heap. `options` (options.h) may be NULL. The environment's
 * STRATA_OPTIONS is read last and wins.
 *
 * Returns  GC_OK and the heap; GC_BAD_SIZE, GC_BAD_OPTION (gc_options_explain
 *          has the reason, which is also printed if STRATA_OPTIONS is set) or
 *          GC_NO_MEMORY leave *heap as it was.
 * GC       never collects.
 * Thread   any.
 */
STRATA_API gc_status gc_heap_create(const gc_options *options, gc_heap **heap);

/* Returns all memory and address space to the system. Misuse while a mutator
 * is attached, hence from any callback. GC never collects. Thread: any, the
 * last. */
STRATA_API void gc_heap_destroy(gc_heap *heap);

/* Attaches the calling thread, at any time, besides any number of others: it may
 * wait until a collection is over. One mutator for a thread and a heap; a
 * thread may be attached to several heaps, and a safepoint of one is a
 * safepoint of all. With ambiguous stacks the thread's stack is scanned from
 * where it stops to its base.
 *
 * Returns  GC_OK; GC_NO_MEMORY; GC_BUSY if this thread has one in this heap.
 * GC       never collects; others may, in all heaps of this thread.
 * Thread   any.
 */
STRATA_API gc_status gc_mutator_attach(gc_heap *heap, gc_mutator **mutator);

/* Detaches; the mutator is not to be used any more. Misuse with frames left,
 * from another thread, while parked, and from a callback. Handles are the
 * heap's, and stay. A thread that ends without it is detached when it ends,
 * whatever frames it has, and counted in gc_stats.lost_threads.
 * GC never collects. Thread: the mutator's own. */
STRATA_API void gc_mutator_detach(gc_mutator *mutator);

/* Calls act(data), during which the thread does not count as one of the heap's:
 * collections do not wait for it. For what may block or take long: input, locks,
 * sleep. `act` must not touch objects of the heap, nor use the mutator (other
 * heaps it may use). The frames of its callers stay roots as they are: they may
 * be written, but the references that they hold must be there when `act` is
 * called. It returns, or the thread ends.
 *
 * Returns  what `act` does.
 * GC       may collect; may move what is not pinned.
 * Thread   the mutator's own.
 */
STRATA_API void *gc_call_parked(gc_mutator *mutator, void *(*act)(void *data), void *data);

/* The same in two steps, for heaps with GC_STACKS_EXACT only: on other stacks a
 * compiler may reuse a slot between the two. Misuse if they do not alternate. A
 * thread that may end between them, or be cancelled, has no frames then.
 * GC, Thread: as gc_call_parked. */
STRATA_API void gc_park(gc_mutator *mutator);
STRATA_API void gc_unpark(gc_mutator *mutator);

/* The heap that a mutator is of. GC never collects. Thread: any. */
STRATA_API gc_heap *gc_mutator_heap(const gc_mutator *mutator);

/* The embedder's own word in a heap; no root. Thread: any; those that set it and
 * read it at once order themselves. */
STRATA_API void gc_heap_set_data(gc_heap *heap, void *data);
STRATA_API void *gc_heap_data(const gc_heap *heap);

/* ---- Objects ------------------------------------------------------------ */

/* Allocates a zeroed object of `type`, which has no array part.
 *
 * Returns  the object, or NULL: when there is no room even after a full
 *          compacting collection, and the limit callback could not help; and
 *          without that, when the object is larger than the limit, or when
 *          collecting near it took more than gc_share_percent of the time.
 * Owner    the heap. Without a root the pointer is good until the next
 *          safepoint.
 * GC       may collect; may move what is not pinned.
 * Thread   the mutator's own.
 */
static inline void *gc_alloc(gc_mutator *mutator, const gc_type *type);

/* The same for a type with an array part of `length` elements, which is kept
 * with the object and never changes. NULL also if the size overflows. */
static inline void *gc_alloc_array(gc_mutator *mutator, const gc_type *type, size_t length);

/* What an object is. `object` is a reference, of any heap: only that it is not
 * NULL is checked. GC never collects. Thread: any attached. */
STRATA_API const gc_type *gc_type_of(const void *object);
STRATA_API size_t gc_length(const void *object);  /* elements; 0 without array part */
STRATA_API size_t gc_size_of(const void *object); /* bytes of payload */

/* 0 to 2, or GC_FROZEN (fork.h). Where nearly all of the young last, objects are
 * born in 2. Misuse unless `object` is one of the heap's.
 * GC never collects. Thread: the mutator's own. */
STRATA_API unsigned gc_generation_of(gc_mutator *mutator, const void *object);

/* Whether `address`, which may be anything, is a reference to an object of
 * this heap. An object that is dead but not yet reclaimed is one still.
 * GC, Thread: as gc_generation_of. */
STRATA_API bool gc_is_object(gc_mutator *mutator, const void *address);

/* The object in which `address` lies (interior, or one past its end), or NULL.
 * GC, Thread: as gc_generation_of. */
STRATA_API void *gc_object_at(gc_mutator *mutator, const void *address);

/* Calls `visit` for every object, dead ones not yet reclaimed included, in no
 * order, with all other threads of the heap stopped. `visit` calls nothing that
 * may collect (gc_alloc, gc_safepoint, gc_collect, gc_compact), nor
 * gc_mutator_detach, and uses no other heap; and it returns.
 * GC      never collects by itself; others may before, in all heaps of the thread.
 * Thread  the mutator's own. */
typedef void gc_visit_fn(void *object, void *data);
STRATA_API void gc_heap_visit(gc_mutator *mutator, gc_visit_fn *visit, void *data);

/* ---- Stores ------------------------------------------------------------- */

/* Stores `value` in the field at `slot`, which lies in `object`. Needed for
 * every store of a reference but those into an object that was allocated with
 * no safepoint since. A store of NULL may be plain. Foreign objects and slots
 * are found on request, if the store is one that must be noted.
 * GC never collects. Thread: the mutator's own. */
static inline void gc_write(gc_mutator *mutator, void *object, void *slot, const void *value);

/* The same for a word that may carry a tag. */
static inline void gc_write_word(gc_mutator *mutator, void *object, void *slot, uintptr_t word);

/* The same after any number of plain stores into `object`, before the next
 * safepoint. */
static inline void gc_write_barrier(gc_mutator *mutator, void *object);

/* Copies `count` words of references to `to`, in `object`, from anywhere; the
 * ranges may overlap; without any, `from` may be NULL. That they end in the
 * object is checked on request.
 * GC never collects. Thread: the mutator's own. */
STRATA_API void gc_copy(gc_mutator *mutator, void *object, void *to, const void *from,
                        size_t count);

/* ---- Roots -------------------------------------------------------------- */

typedef enum gc_exactness {
    GC_EXACT = 0, /* references (tagged as the heap says); updated on a move */
    GC_AMBIGUOUS  /* words that may be references; they pin, and are not written */
} gc_exactness;

/* A slot anywhere outside the heap, aligned to a word: a global, a field of a
 * malloc block. The slot must stay readable until removed. O(1).
 *
 * Returns  GC_OK or GC_NO_MEMORY; removing an unknown one GC_NOT_FOUND.
 *          Misuse if it is registered already.
 * Owner    the caller, of the slot.
 * GC       never collects.
 * Thread   any attached to the heap; checked on request.
 */
STRATA_API gc_status gc_root_add(gc_heap *heap, void *slot);
STRATA_API gc_status gc_root_remove(gc_heap *heap, void *slot);

/* `count` words from `start`, all of which each collection reads; the range is
 * known by its start. Else as gc_root_add. */
STRATA_API gc_status gc_root_range_add(gc_heap *heap, void *start, size_t count,
                                       gc_exactness exactness);
STRATA_API gc_status gc_root_range_remove(gc_heap *heap, void *start);

/* A callback that reports roots with gc_trace_slot and gc_trace_reference, or,
 * if ambiguous, with gc_trace_word, at each collection, of the young too. Known
 * by both its arguments. Else as gc_root_add. */
typedef void gc_root_fn(gc_tracer *tracer, void *data);
STRATA_API gc_status gc_root_callback_add(gc_heap *heap, gc_root_fn *roots, void *data,
                                          gc_exactness exactness);
STRATA_API gc_status gc_root_callback_remove(gc_heap *heap, gc_root_fn *roots, void *data);

/* A root that the heap keeps: for references held in foreign structures.
 * gc_handle_create returns NULL without memory. `object` may be NULL; that it is
 * an object, not something else in the heap, is checked on request. Destroying
 * NULL does nothing. O(1).
 * Owner   the heap, until gc_handle_destroy; those left go with it.
 * GC      never collects.
 * Thread  the mutator's own. */
STRATA_API gc_handle *gc_handle_create(gc_mutator *mutator, void *object);
STRATA_API void gc_handle_destroy(gc_mutator *mutator, gc_handle *handle);
STRATA_API void gc_handle_set(gc_mutator *mutator, gc_handle *handle, void *object);
static inline void *gc_handle_get(const gc_handle *handle);

/* Exact roots in C locals: the only way with GC_STACKS_EXACT, harmless else.
 *
 *     struct node *a = NULL, *b = NULL;
 *     GC_FRAME(mutator, frame, &a, &b);
 *     ...
 *     gc_frame_pop(mutator, &frame);
 *
 * The locals are initialised before. No allocation; nesting is checked. A
 * program that leaves by longjmp notes gc_frame_top before and calls
 * gc_frame_unwind with it after, before the next safepoint; that `top` is still
 * pushed is not checked, unless no frame is. GC never collects. Thread: the
 * mutator's own. */
struct gc_frame {
    gc_frame *below;
    void *const *slots;
    size_t count;
};
#define GC_FRAME(mutator, frame, ...)                                               \
    void *const frame##_slots[] = {__VA_ARGS__};                                    \
    gc_frame frame = {NULL, frame##_slots, sizeof(frame##_slots) / sizeof(void *)}; \
    gc_frame_push(mutator, &frame)
static inline void gc_frame_push(gc_mutator *mutator, gc_frame *frame);
static inline void gc_frame_pop(gc_mutator *mutator, gc_frame *frame);
static inline gc_frame *gc_frame_top(gc_mutator *mutator);
STRATA_API void gc_frame_unwind(gc_mutator *mutator, gc_frame *top);

/* The same, popped when the block is left, by return, break, goto and an exception
 * of C++ too, but not by longjmp. */
typedef struct gc_scope {
    gc_mutator *owner;
    gc_frame *pushed;
} gc_scope;
#define GC_SCOPE(mutator, frame, ...)            \
    gc_mutator *const frame##_owner = (mutator); \
    GC_FRAME(frame##_owner, frame, __VA_ARGS__); \
    gc_scope frame##_scope                       \
        __attribute__((cleanup(gc_scope_leave), unused)) = {frame##_owner, &frame}
static inline void gc_scope_leave(gc_scope *scope);

/* Keeps `object` from moving, not alive, until as many unpins; the pin for the
 * next collection only ends by itself. gc_pin returns GC_NO_MEMORY if it
 * cannot note the pin; gc_unpin GC_NOT_FOUND if there is none.
 * GC never collects. Thread: the mutator's own. */
STRATA_API gc_status gc_pin(gc_mutator *mutator, void *object);
STRATA_API gc_status gc_unpin(gc_mutator *mutator, void *object);
STRATA_API gc_status gc_pin_once(gc_mutator *mutator, void *object);

/* ---- Collections -------------------------------------------------------- */

typedef enum gc_reason {
    GC_REASON_NONE = 0,
    GC_REASON_NURSERY,   /* gen0's threshold of bytes */
    GC_REASON_COUNT,     /* as many younger collections as the threshold says */
    GC_REASON_GROWTH,    /* the old generation grew; above the soft limit, sooner */
    GC_REASON_LIMIT,     /* no room under the hard limit */
    GC_REASON_EXTERNAL,  /* bytes held outside the heap grew */
    GC_REASON_REQUESTED, /* gc_collect or gc_compact */
    GC_REASON_STRESS,    /* a stress option */
    GC_REASON_COUNT_OF   /* how many reasons there are */
} gc_reason;

/* What a collection did. */
typedef struct gc_report {
    size_t size;         /* set by the caller: sizeof(gc_report) */
    unsigned generation; /* the oldest collected */
    gc_reason reason;
    uint64_t pause_ns;
    size_t reclaimed_bytes; /* of objects, headers included */
    size_t survived_bytes;
    size_t survived_objects;
    size_t moved_bytes;
    size_t promoted_bytes; /* now one generation up, in place or not */
    size_t promoted_in_place_bytes;
} gc_report;

/* Collects generations 0 to `generation` (more are taken as 2) now, even when
 * disabled. While nearly all that is allocated lasts, objects are born in generation
 * 2, and those before it have little or nothing to free. A full collection that finds
 * much of the old generation's memory free in blocks that are more than half free runs
 * once more, to compact these: it reports, and is counted as, one. `report` may be NULL;
 * misuse if its size is not set.
 * GC collects. Thread: the mutator's own. */
STRATA_API void gc_collect(gc_mutator *mutator, unsigned generation, gc_report *report);

/* A full collection that moves everything not pinned together, and gives the
 * rest of the memory back. It may take several rounds, as many as there is need
 * for room; then an object moves more than once, and moved_bytes may exceed
 * survived_bytes. Else as gc_collect. */
STRATA_API void gc_compact(gc_mutator *mutator, gc_report *report);

/* Gives all free memory back to the system now; returns how many bytes.
 * GC never collects. Thread: the mutator's own. */
STRATA_API size_t gc_trim(gc_mutator *mutator);

/* A place where a collection may happen and others may stop this thread.
 * GC may collect; may move what is not pinned. Thread: the mutator's own. */
static inline void gc_safepoint(gc_mutator *mutator);

/* Disabling nests, and is the heap's: what one thread disables, any may enable.
 * While disabled only gc_collect, gc_compact, gc_freeze and the hard limit
 * collect. gc_enable without a gc_disable is misuse.
 * GC never collects. Thread: the mutator's own; to ask, any, which waits while
 * another collects. */
STRATA_API void gc_disable(gc_mutator *mutator);
STRATA_API void gc_enable(gc_mutator *mutator);
STRATA_API bool gc_is_enabled(const gc_heap *heap);

/* Thresholds and counts, as CPython's: [0] bytes allocated before a gen0
 * collection, [1] gen0 collections before one of gen1, [2] gen1 collections
 * before one of gen2 (and growth). Setting [0] fixes the nursery; 0 there lets
 * it adapt again. GC_BAD_OPTION for more than the hard limit there, and for 0,
 * or more than UINT32_MAX, elsewhere. Misuse for a generation that there is not.
 * GC never collects. Thread: any, which waits while another collects; to set,
 * any attached, which is checked on request. */
STRATA_API size_t gc_threshold(const gc_heap *heap, unsigned generation);
STRATA_API gc_status gc_threshold_set(gc_heap *heap, unsigned generation, size_t value);
STRATA_API size_t gc_count(const gc_heap *heap, unsigned generation);

/* What the next collection would be if it came by itself now, and why; and why
 * the last one ran. `reason` may be NULL; `bytes_left` (may be NULL): how much
 * can be allocated before it.
 * GC never collects. Thread: any, which waits while another collects. */
STRATA_API unsigned gc_next_generation(const gc_heap *heap, gc_reason *reason, size_t *bytes_left);
STRATA_API gc_reason gc_last_reason(const gc_heap *heap);

/* Static strings; "unknown" for what is none. Thread: any. */
STRATA_API const char *gc_reason_name(gc_reason reason);
STRATA_API const char *gc_status_name(gc_status status);

/* ---- Limits and bytes outside ------------------------------------------- */

/* Sets the limits in bytes; 0 leaves one as it is, and SIZE_MAX is no soft limit.
 * GC_BAD_OPTION if the hard limit would be under 1 MiB, under what is committed
 * now, or over the addresses that are reserved: as a rule twice the hard limit
 * that the heap was made with, or 16 MiB if that is more.
 * GC never collects. Thread: any attached; checked on request. */
STRATA_API gc_status gc_limit_set(gc_heap *heap, size_t soft, size_t hard);

/* Says that `object` (NULL: the program at large) holds `change` more, or
 * fewer, bytes outside the heap. They count in pacing; an object's charge is
 * dropped with it. GC_NO_MEMORY if a new charge cannot be noted, or if there
 * would be more than SIZE_MAX / 8 bytes in all; misuse to take away more than
 * `object`, or the program at large, was charged. GC never collects. Thread: the
 * mutator's own. */
STRATA_API gc_status gc_external_adjust(gc_mutator *mutator, void *object, ptrdiff_t change);

/* ---- Statistics --------------------------------------------------------- */

enum { GC_PAUSE_BUCKETS = 32 };

typedef struct gc_generation_stats {
    uint64_t collections;    /* whose oldest generation this was */
    size_t bytes;            /* of objects, headers included; gen0: handed out */
    size_t objects;          /* at the last collection that counted them */
    uint64_t survived_bytes; /* total over the collections of this generation */
    uint64_t promoted_in_place_bytes;
    uint64_t pause_total_ns;
    uint64_t pause_max_ns;
    uint64_t pauses[GC_PAUSE_BUCKETS]; /* [i]: pauses of 2^i to 2^(i+1) ns */
} gc_generation_stats;

typedef struct gc_stats {
    size_t size; /* set by the caller: sizeof(gc_stats) */
    gc_generation_stats generations[GC_GENERATIONS];
    size_t committed_bytes; /* all memory the heap holds, metadata included */
    size_t metadata_bytes;
    size_t live_bytes; /* estimate: what the last collections found, and what came since */
    size_t external_bytes;
    size_t large_bytes;
    size_t nursery_bytes; /* gen0's threshold now */
    size_t hard_limit;
    size_t soft_limit;
    uint64_t allocated_bytes; /* handed out to mutators, since the heap was made */
    uint64_t moved_bytes;
    uint64_t pinned_objects; /* found by the last collection */
    uint64_t logged_objects; /* holders that the write barrier noted, in all */
    uint64_t mark_overflows; /* times the mark stack was full */
    uint64_t copy_failures;  /* objects marked in place for want of room */
    uint64_t stops;          /* times that all threads were stopped for one */
    uint64_t stop_total_ns;  /* from the wish to stop them until they had; not part of pauses */
    uint64_t stop_max_ns;
    uint64_t lost_threads; /* that ended without gc_mutator_detach */
} gc_stats;

/* GC_BAD_SIZE unless stats->size is right. Cheap, but for waiting while another
 * thread collects. GC never collects. Thread: any. */
STRATA_API gc_status gc_stats_get(const gc_heap *heap, gc_stats *stats);

/* ---- Checking ----------------------------------------------------------- */

/* Whether the calling thread is within this library where it holds a lock,
 * collects, or waits for others that do. What a signal handler may ask, before
 * it does what waits for this thread. (Handlers call nothing else here, and do
 * not leave by longjmp: the inline paths, which are not counted, may be half
 * done.) Thread: any; async-signal-safe. */
STRATA_API bool gc_is_inside(void);

/* Verifies the whole heap: every reference leads to an object, every
 * old-to-young edge is remembered, lists, marks and counts agree. Prints each
 * fault and returns their number. GC, Thread: as gc_heap_visit. */
STRATA_API size_t gc_verify(gc_mutator *mutator);

#ifdef __cplusplus
}
#endif

#include "gc_inline.h"

#endif
