/* SPDX-License-Identifier: MIT
 *
 * Allocation past the inline path: a new run, an odd type, a large object; and
 * what is tried, in which order, when there is no room.
 */
#include "heap/heap.h"
#include "os/os.h"

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
    size_t padding; /* most bytes that alignment may cost */
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
    request->padding = request->type->alignment - GC_GRANULE_BYTES;
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

static uintptr_t take_large(const struct request *request)
{
    struct gc_collector *collector = &request->heap->collector;
    bool zeroed = !(request->type->flags & GC_TYPE_UNZEROED) || request->type->kind != GC_KIND_LEAF;
    uintptr_t start = gc_large_take(&collector->spaces, request->bytes + request->padding, zeroed);

    return start == 0 ? 0 : aligned(request, start);
}

static uintptr_t take_born_pinned(const struct request *request, enum gc_block_kind kind)
{
    struct gc_collector *collector = &request->heap->collector;
    struct gc_run *run = &collector->born_pinned[kind];
    size_t needed = request->bytes + request->padding;
    uintptr_t start;

    if ((run->block == GC_NO_BLOCK || run->limit - run->bump < needed) &&
        !gc_young_run_next(&collector->spaces, run, kind, needed))
        return 0;
    start = aligned(request, run->bump);
    run->bump = start + request->bytes;
    return start;
}

static uintptr_t take_from_run(const struct request *request)
{
    gc_mutator *mutator = request->mutator;
    uintptr_t start;

    if (mutator->run.block == GC_NO_BLOCK ||
        mutator->run.limit - mutator->fast.bump < request->bytes + request->padding)
        return 0;
    start = aligned(request, mutator->fast.bump);
    mutator->fast.bump = start + request->bytes;
    return start;
}

static uintptr_t take(const struct request *request)
{
    struct gc_spaces *spaces = &request->heap->collector.spaces;
    enum gc_block_kind kind = block_kind(request->type);

    if (is_large(request))
        return take_large(request);
    if (kind != GC_BLOCK_SMALL)
        return take_born_pinned(request, kind);
    if (!gc_mutator_refill(request->mutator, spaces, request->bytes + request->padding))
        return 0;
    return take_from_run(request);
}

/* ---- When there is no room ---- */

/* Whether collecting at the limit took more than its share for some time. */
static bool is_crawling(gc_heap *heap)
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

static void collect_at_limit(gc_heap *heap, unsigned generation, bool compact)
{
    uint64_t started = gc_os_now_ns();

    if (heap->limit_collections == 0)
        heap->limit_started_ns = started;
    if (compact)
        gc_heap_compact(heap, GC_REASON_LIMIT);
    else
        gc_heap_collect(heap, generation, GC_REASON_LIMIT);
    heap->limit_collecting_ns += gc_os_now_ns() - started;
    heap->limit_collections++;
    if (gc_blocks_room(&heap->collector.blocks, GC_FOR_MUTATOR) >
        heap->options.hard_limit / ROOM_SHARE)
        end_limit_run(heap);
}

static bool ask_embedder(const struct request *request)
{
    gc_heap *heap = request->heap;
    bool again;

    if (heap->options.limit_callback == NULL || heap->in_limit_callback)
        return false;
    heap->in_limit_callback = true;
    heap->callback_collected = false;
    again =
        heap->options.limit_callback(request->mutator, request->bytes, heap->options.limit_data);
    heap->in_limit_callback = false;
    return again;
}

/* A full collection, then a compacting one, then what the embedder can do. */
static uintptr_t take_after_full(const struct request *request)
{
    gc_heap *heap = request->heap;
    uintptr_t start;

    collect_at_limit(heap, GC_OLD, false);
    start = take(request);
    if (start == 0) {
        collect_at_limit(heap, GC_OLD, true);
        start = take(request);
    }
    if (start == 0 && ask_embedder(request)) {
        collect_at_limit(heap, GC_OLD, true);
        start = take(request);
    }
    return start;
}

/* Within the callback one full collection is tried, not one an allocation. */
static bool may_try_full(gc_heap *heap)
{
    if (!heap->in_limit_callback)
        return !is_crawling(heap);
    if (heap->callback_collected)
        return false;
    heap->callback_collected = true;
    return true;
}

/* From the cheapest that may help to the last. */
static uintptr_t take_after_collecting(const struct request *request)
{
    gc_heap *heap = request->heap;
    size_t handed = heap->collector.spaces.handed_bytes;
    uintptr_t start = 0;

    if (request->bytes + request->padding > heap->options.hard_limit)
        return 0;
    if (handed > heap->options.nursery_min / 2 && heap->options.barriers == GC_BARRIERS_ALL) {
        collect_at_limit(heap, GC_YOUNG, false);
        start = take(request);
    }
    if (start == 0 && may_try_full(heap))
        start = take_after_full(request);
    if (start == 0)
        end_limit_run(heap); /* what is dropped now shall count at once */
    return start;
}

/* ---- The slow path, whole ---- */

static bool is_due(const gc_heap *heap)
{
    const struct gc_collector *collector = &heap->collector;

    return heap->disabled == 0 && collector->spaces.handed_bytes >= collector->pace.nursery;
}

static void collect_as_due(gc_heap *heap, gc_reason stress)
{
    gc_reason reason;
    unsigned generation = gc_pace_choose(&heap->collector.pace, gc_middle_bytes(&heap->collector),
                                         gc_held_bytes(&heap->collector), &reason);

    if (heap->collector.stress & GC_STRESS_FULL)
        generation = GC_OLD;
    gc_heap_collect(heap, generation, stress != GC_REASON_NONE ? stress : reason);
}

/* What a mutator was made to watch for: finalizers that are due, stress, and
 * charges that grew. */
static void collect_if_asked(gc_mutator *mutator)
{
    gc_heap *heap = mutator->heap;

    if (mutator->watching & GC_WATCH_FINALIZERS)
        gc_heap_finalize_due(mutator);
    if (heap->disabled != 0)
        return;
    if (gc_pace_external_due(&heap->collector.pace, heap->collector.external_since))
        collect_as_due(heap, GC_REASON_EXTERNAL);
    else if ((mutator->watching & GC_WATCH_STRESS) && gc_stress_is_due(heap))
        collect_as_due(heap, GC_REASON_STRESS);
    gc_mutator_unwatch(mutator, GC_WATCH_EXTERNAL);
}

static void *finish(const struct request *request, uintptr_t start)
{
    struct gc_collector *collector = &request->heap->collector;
    uintptr_t object = start + gc_prefix_bytes(request->type) + GC_HEADER_BYTES;

    if (request->type->element_size != 0)
        gc_header(object)[-1] = (uint64_t)request->length << 2 | GC_LENGTH_TAG;
    *gc_header(object) = (uint64_t)(uintptr_t)request->type;
    if (is_large(request)) {
        gc_bit_set(collector->tables.starts, gc_granule_of(&collector->tables, object));
        collector->spaces.generations[GC_YOUNG].large_bytes += request->bytes;
    }
    if (is_ambiguous(request->type))
        collector->has_ambiguous = true;
    return (void *)object;
}

void *gc_alloc_slow(gc_mutator *mutator, const gc_type *type, size_t length)
{
    struct request request = {.mutator = mutator, .type = type, .length = length};
    uintptr_t start = 0;
    gc_heap *heap;

    gc_check_may_collect(mutator, "gc_alloc");
    heap = request.heap = mutator->heap;
    gc_check_type(heap, type, "gc_alloc");
    if (length != 0 && type->element_size == 0)
        gc_misuse("gc_alloc_array", "the type has no array part");
    if (!measure(&request))
        return NULL;
    if (mutator->watching)
        collect_if_asked(mutator);
    if (!is_large(&request) && block_kind(type) == GC_BLOCK_SMALL)
        start = take_from_run(&request);
    if (start == 0) {
        if (is_due(heap))
            collect_as_due(heap, GC_REASON_NONE);
        start = take(&request);
    }
    if (start == 0)
        start = take_after_collecting(&request);
    return start == 0 ? NULL : finish(&request, start);
}

void gc_safepoint_slow(gc_mutator *mutator)
{
    gc_check_may_collect(mutator, "gc_safepoint");
    if (mutator->watching)
        collect_if_asked(mutator);
}
