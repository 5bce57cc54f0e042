/* SPDX-License-Identifier: MIT
 *
 * What the tests share: a heap with this thread in it, nodes, lists and trees
 * to fill it with, ways to ask whether an object is still there, and a way to
 * die and be heard.
 *
 * Tests of what dies use exact stacks: there, nothing but the roots keeps. Tests
 * on ambiguous stacks `hide` their addresses and `clobber_stack` before they
 * collect, so that no stale word keeps an object by luck.
 */
#ifndef STRATA_TEST_HEAP_H
#define STRATA_TEST_HEAP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <strata/gc.h>

#define NOINLINE __attribute__((noinline))

enum { WORLD_ROOTS = 8 };

/* A heap, and this thread attached to it. `root` is a registered exact range:
 * the quickest way to keep something, and to see it move. Lives in malloc
 * memory, which nobody scans. */
struct world {
    gc_heap *heap;
    gc_mutator *mutator;
    void *root[WORLD_ROOTS];
};

/* Options for tests: limit 256 MiB, nursery fixed at 1 MiB, check=deep. */
gc_options test_options(void);

/* Made with these options; fails the test if that cannot be. */
struct world *world_make(const gc_options *options);
void world_free(struct world *world);

/* With test_options, exact stacks and these settings (may be NULL). */
struct world *make_exact(const char *settings);

/* For cmocka_unit_test_setup_teardown; the world is in *state. In a moving
 * world (stress=evacuate-all, exact stacks) each collection moves all that it
 * condemns but large objects and what is pinned. */
int exact_setup(void **state);
int ambiguous_setup(void **state);
int moving_setup(void **state);
int world_teardown(void **state);

/* ---- Objects ------------------------------------------------------------ */

struct node {
    struct node *left;
    struct node *right;
    uint64_t value;
};

extern const gc_type node_type;

/* 200 bytes that never move. */
extern const gc_type pinned_leaf_type;

/* All fail the test rather than return NULL. What they return is good until
 * the next safepoint; what they take may have moved when they return. */
struct node *make_node(gc_mutator *mutator, uint64_t value);
void *make_object(gc_mutator *mutator, const gc_type *type);
void *make_array(gc_mutator *mutator, const gc_type *type, size_t length);

/* Nodes with values 0, 1, ... length - 1, linked by `right`. */
struct node *build_list(gc_mutator *mutator, size_t length);
size_t list_length(const struct node *list);
/* As build_list left it: so many nodes, with these values. */
bool is_intact_list(const struct node *list, size_t length);

/* A list whose nodes have one more each, on one side or, mirrored, on the other:
 * whichever a trace follows first, of the two one fills its stack. */
struct node *build_comb(gc_mutator *mutator, size_t length, bool mirrored);

/* A complete binary tree; a tree of depth 0 is one node. Values are depths. */
struct node *build_tree(gc_mutator *mutator, unsigned depth);
size_t tree_count(const struct node *tree);

/* Leaf bytes that nobody keeps, in objects of at most 256 bytes, about
 * `bytes` in all. */
void make_garbage(gc_mutator *mutator, size_t bytes);

/* ---- Questions ---------------------------------------------------------- */

bool is_zeroed(const void *start, size_t bytes);

/* How many objects of `type` the heap has, dead ones not yet reclaimed too. */
size_t count_objects(gc_mutator *mutator, const gc_type *type);

gc_report collect(gc_mutator *mutator, unsigned generation);
gc_report compact(gc_mutator *mutator);
gc_stats stats_of(const gc_heap *heap);

/* An address in a form that no scan takes for one. */
static inline uintptr_t hide(const void *object)
{
    return (uintptr_t)object ^ UINT64_C(0xa5a5a5a5a5a5a5a5);
}

static inline void *reveal(uintptr_t hidden)
{
    return (void *)(hidden ^ UINT64_C(0xa5a5a5a5a5a5a5a5));
}

/* Makes a node and returns nothing that keeps it. */
uintptr_t hidden_node(gc_mutator *mutator, uint64_t value);
/* Whether there is an object at the hidden address. Weak: another may have
 * been made there. */
bool is_still_object(gc_mutator *mutator, uintptr_t hidden);

/* Overwrites what earlier calls left on the stack below the caller. */
void clobber_stack(void);

/* Whether the run is slowed by valgrind (the environment's
 * STRATA_UNDER_VALGRIND) or by a sanitizer, or STRATA_SMALL is set, so that big
 * tests should be small; and whether stale copies of locals may outlive their frames. */
bool is_slowed(void);
bool has_sanitizer(void);

/* Runs `act` in a child process, which must abort; what it prints must be
 * `message` and a newline, nothing else. `act` makes its own heap. */
void expect_abort(void (*act)(void), const char *message);

#endif
