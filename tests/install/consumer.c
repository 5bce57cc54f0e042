/* SPDX-License-Identifier: MIT
 *
 * A program that has nothing of Strata but what is installed.
 */
#include <stdio.h>
#include <strata/gc.h>

struct node {
    struct node *next;
    size_t value;
};

enum { NODES = 1000 };

static const uint32_t node_refs[] = {offsetof(struct node, next)};
static const gc_type node_type = GC_TYPE_STRUCT("node", struct node, node_refs);

static struct node *make_list(gc_mutator *mutator)
{
    struct node *list = NULL;
    size_t i;

    for (i = 0; i < NODES; i++) {
        struct node *node = gc_alloc(mutator, &node_type);

        if (node == NULL)
            return NULL;
        node->value = i;
        gc_write(mutator, node, &node->next, list);
        list = node;
    }
    return list;
}

int main(void)
{
    gc_heap *heap;
    gc_mutator *mutator;
    gc_report report = {.size = sizeof report};
    struct node *list;
    size_t count = 0;

    if (gc_heap_create(NULL, &heap) != GC_OK || gc_mutator_attach(heap, &mutator) != GC_OK)
        return 1;
    list = make_list(mutator);
    gc_collect(mutator, GC_OLD, &report);
    for (; list != NULL; list = list->next)
        count += list->value == NODES - 1 - count;
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
    printf("strata %s: %zu nodes\n", STRATA_VERSION, count);
    return count == NODES ? 0 : 1;
}
