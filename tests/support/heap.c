/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include "heap.h"

#include "child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint32_t node_refs[] = {offsetof(struct node, left), offsetof(struct node, right)};
const gc_type node_type = GC_TYPE_STRUCT("node", struct node, node_refs);
const gc_type pinned_leaf_type = {.name = "pinned",
                                  .size = 200,
                                  .object_bytes = GC_OUT_OF_LINE,
                                  .kind = GC_KIND_LEAF,
                                  .flags = GC_TYPE_PINNED,
                                  .alignment = 8};

gc_options test_options(void)
{
    gc_options options;

    gc_options_init(&options);
    options.hard_limit = (size_t)256 << 20;
    options.nursery_min = (size_t)1 << 20;
    options.nursery_max = (size_t)1 << 20;
    options.check = GC_CHECK_DEEP;
    return options;
}

struct world *world_make(const gc_options *options)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    assert_int_equal(gc_heap_create(options, &world->heap), GC_OK);
    assert_int_equal(gc_mutator_attach(world->heap, &world->mutator), GC_OK);
    assert_int_equal(gc_root_range_add(world->heap, world->root, WORLD_ROOTS, GC_EXACT), GC_OK);
    return world;
}

void world_free(struct world *world)
{
    gc_frame_unwind(world->mutator, NULL);
    assert_int_equal(gc_root_range_remove(world->heap, world->root), GC_OK);
    gc_mutator_detach(world->mutator);
    gc_heap_destroy(world->heap);
    free(world);
}

static struct world *make_world(gc_stacks stacks, const char *settings)
{
    gc_options options = test_options();

    options.stacks = stacks;
    options.settings = settings;
    return world_make(&options);
}

struct world *make_exact(const char *settings)
{
    return make_world(GC_STACKS_EXACT, settings);
}

int exact_setup(void **state)
{
    *state = make_exact(NULL);
    return 0;
}

int ambiguous_setup(void **state)
{
    *state = make_world(GC_STACKS_AMBIGUOUS, NULL);
    return 0;
}

int moving_setup(void **state)
{
    *state = make_exact("stress=evacuate-all");
    return 0;
}

int world_teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* ---- Objects ------------------------------------------------------------ */

void *make_object(gc_mutator *mutator, const gc_type *type)
{
    void *object = gc_alloc(mutator, type);

    assert_non_null(object);
    return object;
}

void *make_array(gc_mutator *mutator, const gc_type *type, size_t length)
{
    void *object = gc_alloc_array(mutator, type, length);

    assert_non_null(object);
    return object;
}

struct node *make_node(gc_mutator *mutator, uint64_t value)
{
    struct node *node = make_object(mutator, &node_type);

    node->value = value;
    return node;
}

struct node *build_list(gc_mutator *mutator, size_t length)
{
    struct node *list = NULL;

    GC_FRAME(mutator, frame, &list);
    for (size_t i = length; i > 0; i--) {
        struct node *node = make_node(mutator, i - 1);

        node->right = list;
        list = node;
    }
    gc_frame_pop(mutator, &frame);
    return list;
}

size_t list_length(const struct node *list)
{
    size_t length = 0;

    for (; list != NULL; list = list->right)
        length++;
    return length;
}

bool is_intact_list(const struct node *list, size_t length)
{
    for (size_t i = 0; i < length; i++, list = list->right) {
        if (list == NULL || list->value != i)
            return false;
    }
    return list == NULL;
}

struct node *build_comb(gc_mutator *mutator, size_t length, bool mirrored)
{
    struct node *comb = NULL, *tooth = NULL, *node;

    GC_FRAME(mutator, frame, &comb, &tooth);
    for (size_t i = 0; i < length; i++) {
        tooth = make_node(mutator, i);
        node = make_node(mutator, i);
        node->left = mirrored ? comb : tooth;
        node->right = mirrored ? tooth : comb;
        comb = node;
    }
    gc_frame_pop(mutator, &frame);
    return comb;
}

struct node *build_tree(gc_mutator *mutator, unsigned depth)
{
    struct node *left = NULL;
    struct node *right = NULL;
    struct node *tree;

    GC_FRAME(mutator, frame, &left, &right);
    if (depth > 0) {
        left = build_tree(mutator, depth - 1);
        right = build_tree(mutator, depth - 1);
    }
    tree = make_node(mutator, depth);
    tree->left = left;
    tree->right = right;
    gc_frame_pop(mutator, &frame);
    return tree;
}

size_t tree_count(const struct node *tree)
{
    if (tree == NULL)
        return 0;
    return 1 + tree_count(tree->left) + tree_count(tree->right);
}

void make_garbage(gc_mutator *mutator, size_t bytes)
{
    enum { PIECE = 256 };

    for (size_t done = 0; done < bytes; done += PIECE)
        (void)make_array(mutator, &gc_type_bytes, PIECE - 2 * GC_HEADER_BYTES);
}

/* ---- Questions ---------------------------------------------------------- */

struct census {
    const gc_type *type;
    size_t count;
};

static void count_if_of_type(void *object, void *data)
{
    struct census *census = data;

    if (gc_type_of(object) == census->type)
        census->count++;
}

bool is_zeroed(const void *start, size_t bytes)
{
    const unsigned char *at = start;

    while (bytes > 0 && at[bytes - 1] == 0)
        bytes--;
    return bytes == 0;
}

size_t count_objects(gc_mutator *mutator, const gc_type *type)
{
    struct census census = {type, 0};

    gc_heap_visit(mutator, count_if_of_type, &census);
    return census.count;
}

gc_report collect(gc_mutator *mutator, unsigned generation)
{
    gc_report report = {.size = sizeof report};

    gc_collect(mutator, generation, &report);
    return report;
}

gc_report compact(gc_mutator *mutator)
{
    gc_report report = {.size = sizeof report};

    gc_compact(mutator, &report);
    return report;
}

gc_stats stats_of(const gc_heap *heap)
{
    gc_stats stats = {.size = sizeof stats};

    assert_int_equal(gc_stats_get(heap, &stats), GC_OK);
    return stats;
}

NOINLINE uintptr_t hidden_node(gc_mutator *mutator, uint64_t value)
{
    return hide(make_node(mutator, value));
}

NOINLINE bool is_still_object(gc_mutator *mutator, uintptr_t hidden)
{
    return gc_is_object(mutator, reveal(hidden));
}

NOINLINE void clobber_stack(void)
{
    volatile unsigned char area[16 << 10];

    for (size_t i = 0; i < sizeof area; i++)
        area[i] = 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#else
enum { SANITIZED = 0 };
#endif

bool has_sanitizer(void)
{
    return SANITIZED != 0;
}

bool is_slowed(void)
{
    return has_sanitizer() || getenv("STRATA_UNDER_VALGRIND") != NULL ||
           getenv("STRATA_SMALL") != NULL;
}

/* ---- Death -------------------------------------------------------------- */

struct death {
    void (*act)(void);
};

static void die(void *data)
{
    const struct death *death = data;

    end_by_faults();
    death->act();
}

void expect_abort(void (*act)(void), const char *message)
{
    struct death death = {act};
    char expected[512];
    char text[4096];
    int status = run_in_child(die, &death, text, sizeof text);

    (void)snprintf(expected, sizeof expected, "%s\n", message);
    assert_string_equal(text, expected);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
