/* SPDX-License-Identifier: MIT
 *
 * All ambiguous words of a heap, before anything moves.
 */
#include "base/check.h"
#include "cycle/phases.h"
#include "thread/stack.h"
#include "trace/scan.h"

enum {
    KEEP_YOUNG_LINES = GC_BLOCK_LINES * 3 / 4,
    WORDS_AHEAD = 64 /* that are looked at, and what they lead to is fetched */
};

/* Those whose predecessors lie in the range. */
static void pin_words(const uintptr_t *words, size_t count, void *data)
{
    struct gc_tracer *tracer = data;
    uintptr_t first = tracer->base + 1;

    for (size_t i = 0; i < count; i++) {
        if (i + WORDS_AHEAD < count && words[i + WORDS_AHEAD] - first < tracer->bytes)
            gc_prefetch((const void *)(words[i + WORDS_AHEAD] - GC_HEADER_BYTES));
        if (GC_UNLIKELY(words[i] - first < tracer->bytes))
            gc_pin_root(tracer, words[i]);
    }
}

/* All are parked, the one that collects too. */
static void pin_mutator(struct gc_collector *collector, const struct gc_mutator *mutator)
{
    const struct gc_coroutine *coroutine = mutator->coroutine;

    if (!gc_mutator_is_on_its_stack(mutator))
        gc_misuse("gc_coroutine_switch", "a thread is not on the stack that it switched to");
    if (coroutine == NULL || coroutine->exactness == GC_AMBIGUOUS)
        gc_stack_scan_frozen(mutator->top, mutator->stack_base, pin_words, &collector->tracer);
    if (coroutine != NULL)
        gc_left_scan(&mutator->home, mutator->home_base, pin_words, &collector->tracer);
}

static void pin_stacks(struct gc_collector *collector)
{
    const struct gc_mutator *mutator = collector->world.mutators;
    const struct gc_coroutine *coroutine = collector->coroutines;

    if (collector->stacks == GC_STACKS_EXACT)
        return;
    for (; mutator != NULL; mutator = mutator->next)
        pin_mutator(collector, mutator);
    for (; coroutine != NULL; coroutine = coroutine->next)
        if (coroutine->on == NULL && coroutine->exactness == GC_AMBIGUOUS)
            gc_left_scan(&coroutine->left, coroutine->base, pin_words, &collector->tracer);
}

static void pin_ranges(struct gc_collector *collector)
{
    for (size_t i = 0; i < collector->roots.ranges.count; i++) {
        const struct gc_root *root = gc_set_at(&collector->roots.ranges, i);
        uintptr_t start = root->key.first;

        if (root->exactness == GC_AMBIGUOUS)
            gc_words_scan(start, start + root->count * sizeof start, pin_words, &collector->tracer);
    }
}

static void ignore_slot(struct gc_tracer *tracer, void *slot)
{
    (void)tracer;
    (void)slot;
}

static uintptr_t ignore_reference(struct gc_tracer *tracer, uintptr_t reference)
{
    (void)tracer;
    return reference;
}

static void pin_by_callbacks(struct gc_collector *collector)
{
    static const struct gc_visitor visitor = {NULL, NULL, gc_pin_root};

    collector->tracer.visitor = &visitor;
    for (size_t i = 0; i < collector->roots.callbacks.count; i++) {
        const struct gc_root *root = gc_set_at(&collector->roots.callbacks, i);
        gc_root_fn *report = (gc_root_fn *)root->key.first;

        if (root->exactness == GC_AMBIGUOUS)
            report(&collector->tracer, (void *)root->key.second);
    }
    collector->tracer.visitor = NULL;
}

/* The words of a holder whose contents are ambiguous. */
static void pin_targets(uintptr_t holder, void *data)
{
    static const struct gc_visitor visitor = {ignore_slot, ignore_reference, gc_pin_target};
    struct gc_tracer *tracer = data;
    const gc_type *type = gc_object_type(holder);

    if (type->kind == GC_KIND_CONSERVATIVE) {
        gc_scan_words(tracer, holder, type, gc_pin_target);
    } else if (type->kind == GC_KIND_TRACED && (type->flags & GC_TYPE_AMBIGUOUS)) {
        tracer->visitor = &visitor;
        type->trace(tracer, (void *)holder);
        tracer->visitor = NULL;
    }
}

static void pin_from_blocks(struct gc_collector *collector, uint32_t block, bool large)
{
    struct gc_tables *tables = &collector->tables;

    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next)
        if (large || tables->blocks[block].kind == GC_BLOCK_AMBIGUOUS)
            gc_block_visit_objects(tables, block, pin_targets, &collector->tracer);
}

static void pin_from_lane(struct gc_collector *collector, const struct gc_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++)
        pin_targets(lane->words[i], &collector->tracer);
}

static void pin_from_lost(struct gc_collector *collector)
{
    size_t blocks = collector->blocks.chunks_high * GC_CHUNK_BLOCKS;

    for (uint32_t block = 0; block < blocks; block++)
        if (collector->tables.state[block] != 0 &&
            (collector->tables.blocks[block].flags & GC_BLOCK_ALL_REMEMBERED))
            gc_block_visit_objects(&collector->tables, block, pin_targets, &collector->tracer);
}

/* Ambiguous holders that the trace may come to: those condemned, alive or not,
 * and those remembered. */
static void pin_from_holders(struct gc_collector *collector)
{
    if (!collector->has_ambiguous)
        return;
    for (unsigned i = 0; i <= collector->tracer.oldest; i++) {
        pin_from_blocks(collector, collector->spaces.generations[i].small, false);
        pin_from_blocks(collector, collector->spaces.generations[i].large, true);
    }
    pin_from_lane(collector, &collector->remembered.log);
    pin_from_lane(collector, &collector->remembered.old);
    pin_from_lane(collector, &collector->remembered.frozen);
    if (collector->remembered.lost)
        pin_from_lost(collector);
}

static void count_pin(struct gc_collector *collector, uintptr_t object)
{
    uint32_t block = gc_block_of(&collector->tables, object);
    struct gc_block *info = &collector->tables.blocks[block];

    if (gc_state_action(collector->tables.state[block]) == GC_EVACUATE && info->pins < UINT16_MAX)
        info->pins++;
}

/* Young objects that gc_pin and gc_pin_once keep where they are. */
static void count_pins(struct gc_collector *collector)
{
    const struct gc_set *young = &collector->pins.generations[GC_YOUNG];
    const struct gc_set *once = &collector->pinned_once;

    for (size_t i = 0; i < young->count; i++)
        count_pin(collector, ((const struct gc_pin *)gc_set_at(young, i))->key.first);
    for (size_t i = 0; i < once->count; i++)
        count_pin(collector, ((const struct gc_key *)gc_set_at(once, i))->first);
}

/* A young block with few pins stays young, so that its free lines feed the
 * nursery; a full one goes up. */
static void choose_kept_young(struct gc_collector *collector)
{
    struct gc_tables *tables = &collector->tables;
    uint32_t block = collector->spaces.generations[GC_YOUNG].small;

    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next) {
        const struct gc_block *info = &tables->blocks[block];

        if (info->pins != 0 && info->pins < KEEP_YOUNG_LINES)
            tables->state[block] = gc_state(GC_YOUNG, GC_EVACUATE);
    }
}

void gc_pin_all(struct gc_collector *collector)
{
    pin_stacks(collector);
    pin_ranges(collector);
    pin_by_callbacks(collector);
    pin_from_holders(collector);
    count_pins(collector);
    choose_kept_young(collector);
}
