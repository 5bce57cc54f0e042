/* SPDX-License-Identifier: MIT
 *
 * Small pieces of work to count the instructions of: `costs MODE N ROUNDS`
 * sets up for N operations and does them ROUNDS times (0 or 1). bench/run
 * --callgrind takes differences over both, so that neither the start nor the
 * setting up counts. Prints what shows that the mode did its work.
 */
#include <strata/gc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct node {
    struct node *left, *right;
    uint64_t words[2];
} node;

static const uint32_t node_offsets[] = {offsetof(node, left), offsetof(node, right)};
static const gc_type node_type = GC_TYPE_STRUCT("node", node, node_offsets);

enum { GARBAGE_BETWEEN = 3, COLLECTIONS_UNTIL_OLD = 3 };

static gc_mutator *mutator;
static node *list; /* a registered root: of a list or a tree */
static node *young;

static void allocate_dead(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        node *dead = gc_alloc(mutator, &node_type);

        __asm__ volatile("" : : "r"(dead) : "memory");
    }
}

/* A list of n among garbage, so that the survivors are worth moving. */
static void allocate_list(size_t n)
{
    list = NULL;
    for (size_t i = 0; i < n; i++) {
        node *next = gc_alloc(mutator, &node_type);

        next->left = list;
        list = next;
        allocate_dead(GARBAGE_BETWEEN);
    }
}

/* A complete binary tree of n nodes, with the same garbage. Nothing collects
 * meanwhile, so nothing moves, and a C array may hold the nodes. */
static void allocate_tree(size_t n)
{
    node **nodes = malloc(n * sizeof *nodes);

    if (nodes == NULL)
        exit(1);
    for (size_t i = 0; i < n; i++) {
        nodes[i] = gc_alloc(mutator, &node_type);
        if (i % 2 == 1)
            nodes[i / 2]->left = nodes[i];
        else if (i > 0)
            nodes[i / 2 - 1]->right = nodes[i];
        allocate_dead(GARBAGE_BETWEEN);
    }
    list = nodes[0];
    free(nodes);
}

static void make_old(void)
{
    for (int i = 0; i < COLLECTIONS_UNTIL_OLD; i++)
        gc_collect(mutator, GC_OLD, NULL);
}

static void store_into_all(size_t n, node *value)
{
    node *at = list;

    for (size_t i = 0; i < n; i++, at = at->left)
        gc_write(mutator, at, &at->right, value);
}

static void old_list_and_young_value(size_t n)
{
    allocate_list(n);
    make_old();
    young = gc_alloc(mutator, &node_type);
}

/* ---- The modes: each a setting up, and what is counted ------------------------ */

static void set_up_nothing(size_t n)
{
    (void)n;
}

static void count_loop(size_t n)
{
    for (size_t i = 0; i < n; i++)
        __asm__ volatile("" : : : "memory");
}

static void count_barrier_young(size_t n)
{
    node *holder = young;

    for (size_t i = 0; i < n; i++)
        gc_write(mutator, holder, &holder->right, holder);
}

static void set_up_young(size_t n)
{
    (void)n;
    young = gc_alloc(mutator, &node_type);
}

static void count_first_store(size_t n)
{
    store_into_all(n, young);
}

/* Every object has been stored into already: the second store finds it noted. */
static void set_up_noted(size_t n)
{
    old_list_and_young_value(n);
    store_into_all(n, young);
}

static void set_up_old_value(size_t n)
{
    allocate_list(n);
    make_old();
    young = list;
}

static void set_up_old_list(size_t n)
{
    allocate_list(n);
    make_old();
}

static void set_up_old_tree(size_t n)
{
    allocate_tree(n);
    make_old();
}

static void count_full_collection(size_t n)
{
    gc_report report = {.size = sizeof report};

    (void)n;
    gc_collect(mutator, GC_OLD, &report);
    printf("survived %zu moved %zu\n", report.survived_objects, report.moved_bytes);
}

static void count_young_collection(size_t n)
{
    gc_report report = {.size = sizeof report};

    (void)n;
    gc_collect(mutator, GC_YOUNG, &report);
    printf("survived %zu moved %zu\n", report.survived_objects, report.moved_bytes);
}

static const struct mode {
    const char *name;
    void (*set_up)(size_t n);
    void (*count)(size_t n);
} modes[] = {
    {"loop", set_up_nothing, count_loop},
    {"allocate", set_up_nothing, allocate_dead},
    {"barrier-young", set_up_young, count_barrier_young},
    {"barrier-old-first", old_list_and_young_value, count_first_store},
    {"barrier-old-noted", set_up_noted, count_first_store},
    {"barrier-old-to-old", set_up_old_value, count_first_store},
    {"walk", set_up_old_list, NULL},
    {"mark-tree", set_up_old_tree, count_full_collection},
    {"mark-list", set_up_old_list, count_full_collection},
    {"copy-tree", allocate_tree, count_young_collection},
    {"copy-list", allocate_list, count_young_collection},
};

/* The walk along the list alone, to be taken off the barriers' counts. */
static void count_walk(size_t n)
{
    node *at = list;

    for (size_t i = 0; i < n; i++, at = at->left)
        __asm__ volatile("" : : "r"(at) : "memory");
}

static void run(const struct mode *mode, size_t n, int rounds)
{
    bool collects = mode->set_up != set_up_nothing;

    if (collects)
        gc_disable(mutator); /* only what the mode asks for */
    mode->set_up(n);
    for (int i = 0; i < rounds; i++)
        (mode->count != NULL ? mode->count : count_walk)(n);
    if (collects)
        gc_enable(mutator);
}

int main(int argc, char **argv)
{
    gc_options options;
    gc_heap *heap;

    gc_options_init(&options);
    options.stacks = GC_STACKS_EXACT; /* everything may move */
    if (argc != 4 || gc_heap_create(&options, &heap) != GC_OK ||
        gc_mutator_attach(heap, &mutator) != GC_OK || gc_root_add(heap, &list) != GC_OK ||
        gc_root_add(heap, &young) != GC_OK)
        return 2;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, argv[1]) == 0)
            run(&modes[i], strtoul(argv[2], NULL, 10), atoi(argv[3]));
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
    return 0;
}
