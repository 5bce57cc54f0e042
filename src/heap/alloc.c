/* SPDX-License-Identifier: MIT
 *
 * Allocation past the inline path: a new run, an odd type, a large object; and
 * what is tried, in which order, when there is no room.
 */
#include "heap/heap.h"
#include "memory/forbid.h"
#include "memory/seals.h"
#include "os/os.h"
#include "thread/parking.h"

const gc_type gc_type_bytes = GC_TYPE_LEAF_ARRAY("bytes", unsigned char);
const gc_type gc_type_references = GC_TYPE_REFERENCES("references");
const gc_type gc_type_words = GC_TYPE_WORDS("words");

/* One allocation on its way. */
struct request {
    gc_heap *heap;
    gc_mutator *mutator;
    const gc_type *type;
    size_t length;
    size_t bytes;   /* length word, header and payload */
    size_t padding; /* most bytes that alignment may cost, and a red zone if there is one */
};

enum { LEAST_LIMIT_COLLECTIONS = 8, ROOM_SHARE = 16 };

/* False if the size overflows. */
static bool measure(struct request *request)
{
    size_t payload;

    if (__builtin_mul_overflow(request->length, (size_t)request->type->element_size, &payload) ||
        __builtin_add_overflow(payload, request->type->size, &payload) || payload > SIZE_MAX / 4)
        return false;
    request->bytes = gc_prefix_bytes(request->type) + GC_OBJECT_BYTES(payload);
    request->padding = request->type->alignment - GC_GRANULE_BYTES + GC_REDZONE_BYTES;
    return request->length <= SIZE_MAX >> 2;
}

static bool is_ambiguous(const gc_type *type)
{
    return type->kind == GC_KIND_CONSERVATIVE ||
           (type->kind == GC_KIND_TRACED && (type->flags & GC_TYPE_AMBIGUOUS));
}

static enum gc_block_kind block_kind(const gc_type *type)
{
    if (is_ambiguous(type))
        return GC_BLOCK_AMBIGUOUS;
    return type->flags & GC_TYPE_PINNED ? GC_BLOCK_PINNED : GC_BLOCK_SMALL;
}

static bool is_large(const struct request *request)
{
    return request->bytes + request->padding > GC_LARGE_BYTES;
}

/* The first byte such that the payload is aligned. */
static uintptr_t aligned(const struct request *request, uintptr_t start)
{
    size_t before = gc_prefix_bytes(request->type) + GC_HEADER_BYTES;

    return gc_round_up(start + before, request->type->alignment) - before;
}

/* ---- One attempt ---- */

/* Writes the header, and what else makes an object known. */
static void *finish(const struct request *request, uintptr_t start)
{
    const struct gc_tables *tables = &request->heap->collector.tables;
    uintptr_t object = start + gc_prefix_bytes(request->type) + GC_HEADER_BYTES;

    gc_allow(start, object + request->type->size + request->length * request->type->element_size);
    if (request->type->element_size != 0)
        gc_header(object)[-1] = (uint64_t)request->length << 2 | GC_LENGTH_TAG;
    *gc_header(object) = (uint64_t)(uintptr_t)request->type;
    if (tables->seals != NULL)
        gc_seal(tables, object);
    return (void *)object;
}

/* The memory is zeroed without the lock: this thread does not stop meanwhile. */
static void *take_large(const struct request *request)
{
    struct gc_collector *collector = &request->heap->collector;
    bool zeroed = !(request->type->flags & GC_TYPE_UNZEROED) || request->type->kind != GC_KIND_LEAF;
    size_t bytes = request->bytes + request->padding;
    uintptr_t start;
    void *object;

    gc_heap_lock(request->heap);
    start = gc_large_take(&collector->spaces, bytes);
    gc_heap_unlock(request->heap);
    if (start == 0)
        return NULL;
    if (zeroed)
        gc_large_zero(&collector->spaces, start, bytes);
    gc_heap_lock(request->heap);
    object = finish(request, aligned(request, start));
    gc_bit_set(collector->tables.starts, gc_granule_of(&collector->tables, (uintptr_t)object));
    collector->spaces.generations[GC_YOUNG].large_bytes += request->bytes;
    if (is_ambiguous(request->type))
        collector->has_ambiguous = true;
    gc_heap_unlock(request->heap);
    return object;
}

static bool open_for_pinned(struct gc_spaces *spaces, struct gc_run *run, enum gc_block_kind kind,
                            size_t bytes)
{
    uintptr_t bump = run->bump;

    if (gc_young_run_advance(spaces, run, bytes))
        gc_run_skip(run, run->bump - bump);
    else if (!gc_young_run_next(spaces, run, kind, bytes))
        return false;
    gc_run_zero(run);
    return true;
}

/* Runs of pinning blocks are shared. */
static void *take_born_pinned(const struct request *request, enum gc_block_kind kind)
{
    struct gc_collector *collector = &request->heap->collector;
    struct gc_run *run = &collector->born_pinned[kind];
    size_t needed = request->bytes + request->padding;
    void *object = NULL;

    gc_heap_lock(request->heap);
    if ((run->block != GC_NO_BLOCK && run->end - run->bump >= needed) ||
        open_for_pinned(&collector->spaces, run, kind, needed)) {
        uintptr_t start = aligned(request, run->bump);

        object = finish(request, start);
        run->bump = start + request->bytes + GC_REDZONE_BYTES;
        if (GC_FORBIDS)
            gc_run_skip(run, GC_REDZONE_BYTES);
        if (is_ambiguous(request->type))
            collector->has_ambiguous = true;
    }
    gc_heap_unlock(request->heap);
    return object;
}

static void *take_from_run(const struct request *request)
{
    gc_mutator *mutator = request->mutator;
    uintptr_t start;
    void *object;

    if (gc_mutator_room(mutator) < request->bytes + request->padding)
        return NULL;
    gc_mutator_zero(mutator, request->bytes + request->padding);
    start = aligned(request, gc_mutator_bump(mutator));
    object = finish(request, start);
    gc_mutator_set_bump(mutator, start + request->bytes + GC_REDZONE_BYTES);
    if (GC_FORBIDS)
        gc_run_skip(&mutator->run, GC_REDZONE_BYTES);
    return object;
}

/* Where the open run has room, the inline path lacked but zeroed memory. The first
 * object of a run is no reason to zero more than it: where compilers know the types,
 * nothing else needs it. */
static void *take_zeroing_ahead(const struct request *request)
{
    void *object = take_from_run(request);

    if (object != NULL) {
        gc_mutator_zero_rest(request->mutator);
        gc_mutator_set_limit(request->mutator);
    }
    return object;
}

static bool is_due(const gc_heap *heap)
{
    const struct gc_collector *collector = &heap->collector;

    return heap->disabled == 0 && collector->spaces.handed_bytes >= collector->pace.nursery;
}

static void *take_from_next_run(const struct request *request)
{
    struct gc_spaces *spaces = &request->heap->collector.spaces;
    bool open;

    gc_heap_lock(request->heap);
    open = gc_mutator_refill(request->mutator, spaces, request->bytes + request->padding);
    gc_heap_unlock(request->heap);
    gc_mutator_open(request->mutator);
    return open ? take_from_run(request) : NULL;
}

/* The same unless a collection is due, with the lock taken once. */
static void *take_unless_due(const struct request *request, bool *due)
{
    struct gc_spaces *spaces = &request->heap->collector.spaces;
    bool open = false;

    gc_heap_lock(request->heap);
    *due = is_due(request->heap);
    if (!*due)
        open = gc_mutator_refill(request->mutator, spaces, request->bytes + request->padding);
    gc_heap_unlock(request->heap);
    if (*due)
        return NULL;
    gc_mutator_open(request->mutator);
    return open ? take_from_run(request) : NULL;
}

static void *take(const struct request *request)
{
    enum gc_block_kind kind = block_kind(request->type);

    if (is_large(request))
        return take_large(request);
    return kind == GC_BLOCK_SMALL ? take_from_next_run(request) : take_born_pinned(request, kind);
}

/* ---- When there is no room ---- */

/* Whether collecting at the limit took more than its share for some time. */
static bool is_crawling(const gc_heap *heap)
{
    uint64_t now = gc_os_now_ns(), elapsed;

    if (heap->limit_collections < LEAST_LIMIT_COLLECTIONS)
        return false;
    elapsed = now - heap->limit_started_ns + 1;
    return heap->limit_collecting_ns / (elapsed / 100 + 1) >= heap->options.gc_share_percent;
}

static void end_limit_run(gc_heap *heap)
{
    heap->limit_started_ns = heap->limit_collecting_ns = 0;
    heap->limit_collections = 0;
}

enum effort { YOUNG, FULL, COMPACT };

/* All threads are stopped. */
static void collect_at_limit(gc_heap *heap, enum effort effort)
{
    uint64_t started = gc_os_now_ns();

    if (heap->limit_collections == 0)
        heap->limit_started_ns = started;
    if (effort == COMPACT)
        gc_heap_compact(heap, GC_REASON_LIMIT);
    else
        gc_heap_collect(heap, effort == YOUNG ? GC_YOUNG : GC_OLD, GC_REASON_LIMIT);
    heap->limit_collecting_ns += gc_os_now_ns() - started;
    heap->limit_collections++;
    if (gc_blocks_room(&heap->collector.blocks, GC_FOR_MUTATOR) >
        heap->options.hard_limit / ROOM_SHARE)
        end_limit_run(heap);
}

struct limit_request {
    const struct request *request;
    enum effort effort;
    uint64_t collections; /* of the heap, before this thread found no room */
};

/* Nothing, if another thread has collected meanwhile. */
static bool collect_unless_done(gc_mutator *mutator, void *data)
{
    const struct limit_request *limit = data;
    gc_heap *heap = mutator->heap;

    if (heap->collector.collections != limit->collections)
        return false;
    collect_at_limit(heap, limit->effort);
    return true;
}

static uint64_t collections_of(const gc_heap *heap)
{
    uint64_t count;

    gc_heap_lock(heap);
    count = heap->collector.collections;
    gc_heap_unlock(heap);
    return count;
}

/* Collects, and tries again: as long as others collect in between, the same
 * anew. */
static void *take_after(const struct request *request, enum effort effort)
{
    struct limit_request limit = {.request = request, .effort = effort};
    void *object;
    bool done;

    do {
        limit.collections = collections_of(request->heap);
        done = gc_world_stop(request->mutator, collect_unless_done, &limit);
        object = take(request);
    } while (object == NULL && !done);
    return object;
}

static bool ask_embedder(const struct request *request)
{
    const gc_options *options = &request->heap->options;
    gc_mutator *mutator = request->mutator;
    bool again;

    if (options->limit_callback == NULL || mutator->in_limit_callback)
        return false;
    mutator->in_limit_callback = true;
    mutator->callback_collected = false;
    again = options->limit_callback(mutator, request->bytes, options->limit_data);
    mutator->in_limit_callback = false;
    return again;
}

/* A full collection, then a compacting one, then what the embedder can do. */
static void *take_after_full(const struct request *request)
{
    void *object = take_after(request, FULL);

    if (object == NULL)
        object = take_after(request, COMPACT);
    if (object == NULL && ask_embedder(request))
        object = take_after(request, COMPACT);
    return object;
}

/* Within the callback one full collection is tried, not one an allocation. */
static bool may_try_full(const struct request *request)
{
    gc_mutator *mutator = request->mutator;
    bool crawling;

    if (!mutator->in_limit_callback) {
        gc_heap_lock(request->heap);
        crawling = is_crawling(request->heap);
        gc_heap_unlock(request->heap);
        return !crawling;
    }
    if (mutator->callback_collected)
        return false;
    mutator->callback_collected = true;
    return true;
}

static bool may_help_young(const gc_heap *heap)
{
    size_t handed;

    gc_heap_lock(heap);
    handed = heap->collector.spaces.handed_bytes;
    gc_heap_unlock(heap);
    return handed > heap->options.nursery_min / 2 && heap->options.barriers == GC_BARRIERS_ALL;
}

static bool is_within_limit(const struct request *request)
{
    bool within;

    gc_heap_lock(request->heap);
    within = request->bytes + request->padding <= request->heap->options.hard_limit;
    gc_heap_unlock(request->heap);
    return within;
}

/* From the cheapest that may help to the last. */
static void *take_after_collecting(const struct request *request)
{
    gc_heap *heap = request->heap;
    void *object = NULL;

    if (!is_within_limit(request))
        return NULL;
    if (may_help_young(heap))
        object = take_after(request, YOUNG);
    if (object == NULL && may_try_full(request))
        object = take_after_full(request);
    if (object == NULL) {
        gc_heap_lock(heap);
        end_limit_run(heap); /* what is dropped now shall count at once */
        gc_heap_unlock(heap);
    }
    return object;
}

/* ---- The slow path, whole ---- */

/* All threads are stopped. */
static void collect_as_due(gc_heap *heap, gc_reason asked)
{
    gc_reason reason;
    unsigned generation = gc_pace_choose(&heap->collector.pace, gc_middle_bytes(&heap->collector),
                                         gc_held_bytes(&heap->collector), &reason);

    if (heap->collector.stress & GC_STRESS_FULL)
        generation = GC_OLD;
    gc_heap_collect(heap, generation, asked != GC_REASON_NONE ? asked : reason);
}

static bool collect_if_due(gc_mutator *mutator, void *data)
{
    (void)data;
    if (is_due(mutator->heap))
        collect_as_due(mutator->heap,
                       gc_heap_is_charged(mutator->heap) ? GC_REASON_EXTERNAL : GC_REASON_NONE);
    return true;
}

/* Nothing, if another thread has collected, or disabled collections, meanwhile. */
static bool collect_if_asked(gc_mutator *mutator, void *data)
{
    gc_heap *heap = mutator->heap;

    (void)data;
    if (heap->disabled != 0)
        return false;
    if (gc_heap_is_charged(heap))
        collect_as_due(heap, GC_REASON_EXTERNAL);
    else if ((gc_mutator_watching(mutator) & GC_WATCH_STRESS) && gc_stress_is_due(heap))
        collect_as_due(heap, GC_REASON_STRESS);
    return true;
}

/* Whether a mutator that is watched for these reasons is to stop the others and see. */
static bool shall_ask(const gc_heap *heap, unsigned watching)
{
    bool asks;

    if (!(watching & (GC_WATCH_STRESS | GC_WATCH_EXTERNAL)))
        return false;
    gc_heap_lock(heap);
    asks = heap->disabled == 0 && ((watching & GC_WATCH_STRESS) || gc_heap_is_charged(heap));
    gc_heap_unlock(heap);
    return asks;
}

/* Another thread's stop, finalizers that are due, stress, charges that grew: for
 * which it is watched no longer before it is seen what they are, as they may grow on.
 * gc_enable watches it again. */
void gc_heap_attend(gc_mutator *mutator)
{
    unsigned watching = gc_mutator_watching(mutator);

    if (watching & GC_WATCH_STOP)
        gc_mutator_yield(mutator);
    if (watching & GC_WATCH_FINALIZERS)
        gc_heap_finalize_due(mutator);
    if (watching & GC_WATCH_EXTERNAL)
        gc_mutator_unwatch(mutator, GC_WATCH_EXTERNAL);
    if (shall_ask(mutator->heap, watching))
        gc_world_stop(mutator, collect_if_asked, NULL);
    else if (watching == 0)
        gc_mutator_set_limit(mutator);
}

static bool is_due_now(const gc_heap *heap)
{
    bool due;

    gc_heap_lock(heap);
    due = is_due(heap);
    gc_heap_unlock(heap);
    return due;
}

void *gc_alloc_slow(gc_mutator *mutator, const gc_type *type, size_t length)
{
    struct request request = {.mutator = mutator, .type = type, .length = length};
    void *object = NULL;
    bool due;

    gc_check_may_collect(mutator, "gc_alloc");
    request.heap = mutator->heap;
    gc_check_type(request.heap, type, "gc_alloc");
    if (length != 0 && type->element_size == 0)
        gc_misuse("gc_alloc_array", "the type has no array part");
    if (!measure(&request))
        return NULL;
    if (gc_mutator_watching(mutator))
        gc_heap_attend(mutator);
    if (!is_large(&request) && block_kind(type) == GC_BLOCK_SMALL) {
        object = take_zeroing_ahead(&request);
        if (object == NULL && gc_mutator_advance(mutator, &request.heap->collector.spaces,
                                                 request.bytes + request.padding))
            object = take_from_run(&request);
        if (object == NULL)
            object = take_unless_due(&request, &due);
    } else {
        due = is_due_now(request.heap);
    }
    if (object == NULL) {
        if (due)
            gc_world_stop(mutator, collect_if_due, NULL);
        object = take(&request);
    }
    return object != NULL ? object : take_after_collecting(&request);
}

void gc_safepoint_slow(gc_mutator *mutator)
{
    gc_check_may_collect(mutator, "gc_safepoint");
    gc_heap_attend(mutator);
}
