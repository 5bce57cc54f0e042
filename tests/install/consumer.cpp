/* SPDX-License-Identifier: MIT
 *
 * The same from C++, with every macro that C++ may read otherwise than C.
 */
#include <cstdio>
#include <new>
#include <stdexcept>
#include <strata/gc.h>

namespace
{

struct node {
    node *next;
    std::size_t value;
};

struct pair {
    void *left;
    void *right;
};

constexpr std::size_t nodes = 1000;

void trace_pair(gc_tracer *tracer, void *object)
{
    gc_trace_slot(tracer, &static_cast<pair *>(object)->left);
}

const uint32_t node_refs[] = {offsetof(node, next)};
const uint32_t pair_refs[] = {offsetof(pair, left), offsetof(pair, right)};
const gc_type types[] = {
    GC_TYPE_STRUCT("node", node, node_refs),
    GC_TYPE_LEAF("leaf", double),
    GC_TYPE_LEAF_ARRAY("leaves", double),
    GC_TYPE_LEAF_TRAILING("text", double, char),
    GC_TYPE_REFERENCES("references"),
    GC_TYPE_ARRAY("pairs", pair, pair_refs),
    GC_TYPE_TRAILING("links", node, node_refs, pair, pair_refs),
    GC_TYPE_TRAILING_LEAF("string", node, node_refs, char),
    GC_TYPE_TRACED("traced", pair, trace_pair),
};

void fill(gc_mutator *mutator, node **list, std::size_t count)
{
    node *made = nullptr;

    GC_SCOPE(mutator, scope, &made);
    if (count == 0)
        throw std::invalid_argument("no nodes"); // the scope's frame is popped
    for (std::size_t i = 0; i < count; i++) {
        made = static_cast<node *>(gc_alloc(mutator, &types[0]));
        if (made == nullptr)
            throw std::bad_alloc();
        made->value = i;
        gc_write(mutator, made, &made->next, *list);
        *list = made;
    }
}

bool try_to_fill(gc_mutator *mutator, node **list, std::size_t count)
{
    try {
        fill(mutator, list, count);
    } catch (const std::exception &) {
        return false;
    }
    return true;
}

} // namespace

int main()
{
    gc_heap *heap;
    gc_mutator *mutator;
    node *list = nullptr;
    std::size_t count = 0;

    if (gc_heap_create(nullptr, &heap) != GC_OK || gc_mutator_attach(heap, &mutator) != GC_OK)
        return 1;
    GC_FRAME(mutator, frame, &list);
    if (!try_to_fill(mutator, &list, nodes) || try_to_fill(mutator, &list, 0) ||
        gc_frame_top(mutator) != &frame)
        return 1;
    gc_collect(mutator, GC_OLD, nullptr);
    for (node *at = list; at != nullptr; at = at->next)
        count += at->value == nodes - 1 - count;
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
    std::printf("strata %s: %zu nodes, C++\n", STRATA_VERSION, count);
    return count == nodes ? 0 : 1;
}
