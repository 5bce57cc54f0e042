/* SPDX-License-Identifier: MIT
 *
 * What is said of a stale address, in every state of what is known of it; and
 * what the quarantine knows of addresses at its edges. (That a fault is
 * explained at all: test_quarantine.c.)
 */
#include "support/child.h"
#include "support/fault.h"
#include "support/graph.h"

#include "inspect/missing_root.h"
#include "inspect/verify.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Words --------------------------------------------------------------- */

static void expect_description(struct gc_stale stale, uintptr_t address, const char *expected)
{
    char text[400];

    gc_stale_describe(&stale, address, text, sizeof text);
    assert_string_equal(text, expected);
}

static void what_is_known_is_said_and_no_more(void **state)
{
    static const gc_type nameless = {0};
    struct gc_stale stale = {.collection = 7};

    (void)state;
    expect_description(stale, 0x1008, "memory that collection 7 left");
    stale.object = 0x1000;
    stale.bytes = 24;
    expect_description(stale, 0x1000,
                       "an object of type ?, 24 bytes, at 0x1000, which died in collection 7");
    stale.type = &nameless;
    expect_description(stale, 0x1008,
                       "offset 8 of an object of type ?, 24 bytes, at 0x1000, which died in "
                       "collection 7");
    stale.type = &node_type;
    expect_description(stale, 0x1018, /* past its end */
                       "an object of type node, 24 bytes, at 0x1000, which died in collection 7");
    stale.first_move = stale.now = 0x2000;
    expect_description(stale, 0x1000,
                       "an object of type node, 24 bytes, at 0x1000, which moved to 0x2000 in "
                       "collection 7");
    stale.now = 0;
    stale.died = 9;
    expect_description(stale, 0x1000,
                       "an object of type node, 24 bytes, at 0x1000, which moved to 0x2000 in "
                       "collection 7 (and died in collection 9)");
}

/* ---- In a heap ----------------------------------------------------------- */

static struct gc_quarantine *quarantine_of(struct world *world)
{
    return &world->heap->collector.quarantine;
}

static uintptr_t leave_a_node(struct world *world)
{
    uintptr_t left = (uintptr_t)(world->root[0] = make_node(world->mutator, 1));

    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true((uintptr_t)world->root[0] != left);
    return left;
}

static void what_lies_between_objects_is_told_by_its_collection(void **state)
{
    static const gc_type aligned = {.name = "aligned",
                                    .size = 64,
                                    .object_bytes = GC_OUT_OF_LINE,
                                    .kind = GC_KIND_LEAF,
                                    .alignment = 64};
    struct world *world = make_quarantined();
    uintptr_t left = (uintptr_t)(world->root[0] = make_object(world->mutator, &aligned));
    uintptr_t start = gc_round_down(left, GC_BLOCK_BYTES);
    struct gc_stale stale;

    (void)state;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(left - start > GC_HEADER_BYTES);
    assert_true(gc_quarantine_explain(quarantine_of(world), left, &stale));
    assert_int_equal(stale.object, left);
    assert_true(gc_quarantine_explain(quarantine_of(world), start, &stale));
    assert_int_equal(stale.object, 0);
    assert_int_equal(stale.collection, 2);
    assert_true(gc_quarantine_explain(quarantine_of(world), start + GC_BLOCK_BYTES - 8, &stale));
    assert_int_equal(stale.object, 0);
    world_free(world);
}

static void what_was_never_left_is_not_explained(void **state)
{
    struct world *world = make_quarantined();
    struct gc_quarantine *quarantine = quarantine_of(world);
    const struct gc_tables *tables = &world->heap->collector.tables;
    struct gc_stale stale;

    (void)state;
    (void)leave_a_node(world);
    assert_false(gc_quarantine_explain(quarantine, (uintptr_t)&stale, &stale));
    assert_false(gc_quarantine_explain(quarantine, (uintptr_t)world->root[0], &stale));
    assert_false(gc_quarantine_explain(quarantine, tables->base + tables->bytes - 8, &stale));
    /* Of the addresses that poison may be, the first that is none yet. */
    assert_false(gc_quarantine_explain(
        quarantine, quarantine->poison + (quarantine->poisoned << GC_POISON_LOG2), &stale));
    world_free(world);
}

/* A poisoned word is explained where it stands, too. */
static void a_poisoned_place_is_explained(void **state)
{
    struct world *world = make_quarantined();
    struct gc_stale stale;
    struct node *pinned;
    uintptr_t left;

    (void)state;
    world->root[0] = pinned = make_node(world->mutator, 1);
    left = (uintptr_t)make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, pinned), GC_OK);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(gc_quarantine_explain(quarantine_of(world), left + 8, &stale));
    assert_int_equal(stale.object, left);
    assert_int_equal(stale.first_move, 0);
    assert_false(stale.was_read);
    world_free(world);
}

/* An object that has moved more often than the quarantine follows. */
static void moves_are_followed_so_far(void **state)
{
    struct world *world = make_quarantined();
    uintptr_t left = leave_a_node(world);
    struct gc_stale stale;

    (void)state;
    for (int i = 0; i < 80; i++)
        gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(gc_quarantine_explain(quarantine_of(world), left, &stale));
    assert_int_equal(stale.object, left);
    assert_int_equal(stale.died, 0);
    world_free(world);
}

/* A large object of more blocks than the quarantine may hold is given back. */
static void what_is_larger_than_the_quarantine_is_not_kept(void **state)
{
    struct world *world = make_quarantined();
    struct gc_quarantine *quarantine = quarantine_of(world);
    struct gc_stale stale;
    uintptr_t left;

    (void)state;
    quarantine->most_blocks = 20;
    left = (uintptr_t)make_array(world->mutator, &gc_type_bytes, 21 * (size_t)GC_BLOCK_BYTES);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_false(gc_quarantine_explain(quarantine, left, &stale));
    assert_int_equal(gc_verify(world->mutator), 0);
    world_free(world);
}

static void a_ring_that_is_full_gives_back_its_oldest(void **state)
{
    struct world *world = make_quarantined();
    struct gc_quarantine *quarantine = quarantine_of(world);
    struct gc_stale stale;
    uintptr_t left = leave_a_node(world);

    (void)state;
    quarantine->capacity = quarantine->count; /* it begins at the ring's first entry */
    assert_int_equal(quarantine->first, 0);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_false(gc_quarantine_explain(quarantine, left, &stale) && stale.object == left &&
                 stale.collection == 2);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_free(world);
}

/* Where the system does not let it look, the collection is all that is known. */
static void a_block_that_cannot_be_read_is_told_by_its_collection(void **state)
{
    struct gc_stale stale;
    struct world *world;
    uintptr_t left;

    (void)state;
    fault_install();
    world = make_quarantined();
    left = leave_a_node(world);
    fault_arm(0, 1, FAULT_PROTECT);
    assert_true(gc_quarantine_explain(quarantine_of(world), left, &stale));
    assert_int_equal(fault_failed(), 1);
    assert_int_equal(stale.object, 0);
    assert_int_equal(stale.collection, 2);
    fault_disarm();
    world_free(world);
    fault_remove();
}

/* ---- Without the quarantine's memory -------------------------------------- */

struct stale_case {
    struct world *world;
    struct node *holder;
    uintptr_t left;
};

static void verify(void *data)
{
    struct stale_case *stale = data;

    stale->holder->left = (struct node *)stale->left;
    _exit(gc_verify(stale->world->mutator) == 1 ? 0 : 1);
}

/* evacuate-all makes what was left inaccessible, and does not know what it was. */
static void evacuated_memory_is_told_by_its_collection(void **state)
{
    struct world *world = make_stressed("stress=evacuate-all");
    struct stale_case stale = {.world = world};
    char text[1000], expected[1000];

    (void)state;
    stale.left = leave_a_node(world);
    stale.holder = world->root[1] = make_node(world->mutator, 2);
    assert_int_equal(run_in_child(verify, &stale, text, sizeof text), 0);
    (void)snprintf(expected, sizeof expected,
                   "strata: verify: node at %p in gen0, offset 0 -> %p: leads to memory that "
                   "collection 1 left\n",
                   (void *)stale.holder, (void *)stale.left);
    assert_string_equal(text, expected);
    /* What no collection left is not said to be poison, either. */
    stale.left = (uintptr_t)stale.holder + 8;
    assert_int_equal(run_in_child(verify, &stale, text, sizeof text), 0);
    assert_non_null(strstr(text, "leads into the middle of the node"));
    world_free(world);
}

static void explain(void *data)
{
    struct stale_case *stale = data;

    stale->world->heap->collector.phase = GC_PHASE_SWEPT;
    _exit(gc_explain_fault(stale->left, stale->world->heap) ? 0 : 1);
}

static void a_fault_during_a_collection_is_said_to_be_one(void **state)
{
    struct world *world = make_quarantined();
    struct stale_case stale = {.world = world, .left = leave_a_node(world)};
    char text[3000];

    (void)state;
    assert_int_equal(run_in_child(explain, &stale, text, sizeof text), 0);
    assert_non_null(strstr(text, "strata: collections so far: 2, and one under way\n"));
    world_free(world);
}

/* ---- After a collection ---------------------------------------------------- */

/* A root's callback that breaks the heap under the collection's hands. */
static void miscount(gc_tracer *tracer, void *data)
{
    (void)tracer;
    ((struct world *)data)->heap->collector.handles.page_count++;
}

static void collect_broken(void)
{
    struct world *world = make_stressed("check=deep");

    (void)gc_root_callback_add(world->heap, miscount, world, GC_EXACT);
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void what_a_collection_broke_is_found_after_it(void **state)
{
    (void)state;
    expect_abort(collect_broken,
                 "strata: verify: heap: pages of handles are not as many as their count\n"
                 "strata: verify: after collection 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_known_is_said_and_no_more),
        cmocka_unit_test(what_lies_between_objects_is_told_by_its_collection),
        cmocka_unit_test(what_was_never_left_is_not_explained),
        cmocka_unit_test(a_poisoned_place_is_explained),
        cmocka_unit_test(moves_are_followed_so_far),
        cmocka_unit_test(what_is_larger_than_the_quarantine_is_not_kept),
        cmocka_unit_test(a_ring_that_is_full_gives_back_its_oldest),
        cmocka_unit_test(a_block_that_cannot_be_read_is_told_by_its_collection),
        cmocka_unit_test(evacuated_memory_is_told_by_its_collection),
        cmocka_unit_test(a_fault_during_a_collection_is_said_to_be_one),
        cmocka_unit_test(what_a_collection_broke_is_found_after_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
