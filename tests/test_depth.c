/* SPDX-License-Identifier: MIT
 *
 * Depth: of the C stack, whose frames pin, and of the graph, which a collection
 * follows on a small stack. Built at -O0, -O2 and -O3, as test_stack is.
 */
#include "base/annotate.h"
#include "support/threads.h"

#include <stdlib.h>

enum {
    CELL_WORDS = 12, /* with its header, about a hundred bytes */
    GARBAGE_BYTES = 32 << 10,
    FRAMES = 100000,
    FRAMES_SLOWED = 1000
};

struct cell {
    uint64_t words[CELL_WORDS];
};
static const gc_type cell_type = GC_TYPE_LEAF("cell", struct cell);

struct descent {
    gc_mutator *mutator;
    size_t depth;
    size_t damaged;
    size_t committed_bytes;
    size_t live_bytes;
    size_t fixed_bytes;
    size_t nursery_bytes;
};

/* What is live is counted by a collection, after the rest was noted: without
 * optimisation frames hold old words, which keep some of the garbage. */
static void note_the_bottom(struct descent *descent)
{
    gc_stats stats = {.size = sizeof stats};

    if (gc_stats_get(gc_mutator_heap(descent->mutator), &stats) != GC_OK)
        abort();
    descent->committed_bytes = stats.committed_bytes;
    descent->nursery_bytes = stats.nursery_bytes;
    gc_collect(descent->mutator, 2, NULL);
    (void)gc_stats_get(gc_mutator_heap(descent->mutator), &stats);
    descent->live_bytes = stats.live_bytes;
}

static NOINLINE void waste(gc_mutator *mutator)
{
    for (size_t done = 0; done < GARBAGE_BYTES; done += 256) {
        if (gc_alloc_array(mutator, &gc_type_bytes, 240) == NULL)
            abort();
    }
}

static NOINLINE void descend(struct descent *descent, size_t level)
{
    struct cell *volatile cell = gc_alloc(descent->mutator, &cell_type);

    if (cell == NULL)
        abort();
    for (size_t i = 0; i < CELL_WORDS; i++)
        cell->words[i] = level + i;
    waste(descent->mutator);
    if (level + 1 < descent->depth)
        descend(descent, level + 1);
    else
        note_the_bottom(descent);
    for (size_t i = 0; i < CELL_WORDS; i++)
        descent->damaged += cell->words[i] != level + i;
}

static void *descend_on_a_big_stack(void *data)
{
    struct descent *descent = data;
    gc_heap *heap = NULL;
    gc_stats stats = {.size = sizeof stats};

    if (gc_heap_create(NULL, &heap) != GC_OK ||
        gc_mutator_attach(heap, &descent->mutator) != GC_OK || gc_stats_get(heap, &stats) != GC_OK)
        abort();
    descent->fixed_bytes = stats.committed_bytes;
    descend(descent, 0);
    gc_mutator_detach(descent->mutator);
    gc_heap_destroy(heap);
    return NULL;
}

/* Each frame pins one object among garbage: pins must cost lines, not blocks. */
static void deep_recursion_costs_lines_not_blocks(void **state)
{
    struct descent descent = {.depth = is_slowed() ? FRAMES_SLOWED : FRAMES};
    size_t held = descent.depth * (GC_HEADER_BYTES + sizeof(struct cell));
    size_t redzones;

    (void)state;
    (void)run_on_stack(512 * MIB, descend_on_a_big_stack, &descent);
    print_message(
        "deep recursion, KiB: held %zu, live %zu, nursery %zu, fixed %zu, committed %zu\n",
        held >> 10, descent.live_bytes >> 10, descent.nursery_bytes >> 10,
        descent.fixed_bytes >> 10, descent.committed_bytes >> 10);
    assert_int_equal(descent.damaged, 0);
    assert_in_range(descent.live_bytes, held, 4 * held);
    redzones = GC_FORBIDS ? descent.nursery_bytes / 8 : 0;
    assert_true(descent.committed_bytes <=
                4 * descent.live_bytes + descent.nursery_bytes + descent.fixed_bytes + redzones);
}

enum { LONG_LIST = 10000000, LONG_LIST_SLOWED = 100000 };

struct link {
    struct link *next;
    uint64_t value;
};
static const uint32_t link_refs[] = {offsetof(struct link, next)};
static const gc_type link_type = GC_TYPE_STRUCT("link", struct link, link_refs);

static bool is_intact_chain(const struct link *link, size_t length)
{
    for (size_t i = length; i > 0; i--, link = link->next) {
        if (link == NULL || link->value != i - 1)
            return false;
    }
    return link == NULL;
}

static void *build_and_collect_a_long_list(void *data)
{
    size_t length = *(size_t *)data;
    gc_options options;
    gc_heap *heap = NULL;
    gc_mutator *mutator = NULL;
    struct link *volatile list = NULL;
    bool intact;

    gc_options_init(&options);
    options.hard_limit = 2048 * MIB;
    if (gc_heap_create(&options, &heap) != GC_OK || gc_mutator_attach(heap, &mutator) != GC_OK)
        abort();
    for (size_t i = 0; i < length; i++) {
        struct link *link = gc_alloc(mutator, &link_type);

        if (link == NULL)
            abort();
        link->next = list;
        link->value = i;
        list = link;
    }
    gc_collect(mutator, 2, NULL);
    gc_compact(mutator, NULL);
    intact = is_intact_chain(list, length);
    list = NULL;
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
    return intact ? data : NULL;
}

static void long_list_is_traced_on_a_small_stack(void **state)
{
    size_t length = is_slowed() ? LONG_LIST_SLOWED : LONG_LIST;
    size_t stack_bytes = has_sanitizer() ? MIB : 64 * KIB;

    (void)state;
    assert_non_null(run_on_stack(stack_bytes, build_and_collect_a_long_list, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deep_recursion_costs_lines_not_blocks),
        cmocka_unit_test(long_list_is_traced_on_a_small_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
