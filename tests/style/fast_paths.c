/* SPDX-License-Identifier: MIT
 *
 * What tests/style/instructions disassembles; it is never run.
 */
#include <strata/gc.h>

struct node {
    struct node *left;
    struct node *right;
    uint64_t value;
};

static const uint32_t node_refs[] = {offsetof(struct node, left), offsetof(struct node, right)};
static const gc_type node_type = GC_TYPE_STRUCT("node", struct node, node_refs);

struct node *allocate_filled(gc_mutator *mutator);
struct node *allocate_zeroed(gc_mutator *mutator);
void *allocate_any(gc_mutator *mutator, const gc_type *type);
void store_left(gc_mutator *mutator, struct node *node, struct node *left);

/* With the program's own three stores. */
struct node *allocate_filled(gc_mutator *mutator)
{
    struct node *node = gc_alloc(mutator, &node_type);

    if (node == NULL)
        return NULL;
    node->left = node;
    node->right = node;
    node->value = 1;
    return node;
}

struct node *allocate_zeroed(gc_mutator *mutator)
{
    return gc_alloc(mutator, &node_type);
}

void *allocate_any(gc_mutator *mutator, const gc_type *type)
{
    return gc_alloc(mutator, type);
}

void store_left(gc_mutator *mutator, struct node *node, struct node *left)
{
    gc_write(mutator, node, &node->left, left);
}
