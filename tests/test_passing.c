/* SPDX-License-Identifier: MIT
 *
 * gen1 that nearly all lives goes up unvisited, a few times in a row: what it
 * holds, and what is registered on it, must not notice.
 */
#include "base/annotate.h"
#include "heap/heap.h"
#include "support/graph.h"

#include <strata/weak.h>

enum { NODES = 400000 };

static bool was_passed(const struct world *world)
{
    return world->heap->collector.passed_middle;
}

static struct world *make_passing(void)
{
    gc_options options = plain_options(256 * KIB);
    struct world *world;

    options.threshold1 = 2;
    world = world_make(&options);
    return world;
}

/* Fills the heap with a list that lives, in root 0, till gen1 was passed. */
static size_t fill_till_passed(struct world *world)
{
    size_t length = 0;

    while (!was_passed(world) && length < NODES) {
        struct node *node = make_node(world->mutator, length++);

        node->right = world->root[0];
        world->root[0] = node;
    }
    assert_true(was_passed(world));
    return length;
}

static void all_that_lives_is_there_afterwards(void **state)
{
    struct world *world = make_passing();
    size_t length, passes = 0, in_a_row = 0;
    uint64_t seen = 0;

    (void)state;
    for (length = 0; length < NODES; length++) {
        struct node *node = make_node(world->mutator, length);

        node->right = world->root[0];
        world->root[0] = node;
        if (collections_of(world->heap) == seen)
            continue;
        seen = collections_of(world->heap);
        if (world->heap->collector.last.generation != GC_MIDDLE)
            continue;
        in_a_row = was_passed(world) ? in_a_row + 1 : 0;
        passes += was_passed(world);
        assert_in_range(in_a_row, 0, 3);
    }
    assert_true(passes > 3);
    assert_int_equal(list_length(world->root[0]), NODES);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
}

static void what_is_passed_counts_as_promoted(void **state)
{
    struct world *world = make_passing();
    const gc_report *report = &world->heap->collector.last;

    (void)state;
    fill_till_passed(world);
    assert_int_equal(report->generation, GC_MIDDLE);
    assert_int_equal(report->reason, GC_REASON_COUNT);
    assert_true(report->promoted_in_place_bytes > 256 * KIB);
    assert_true(report->survived_bytes >= report->promoted_in_place_bytes);
    assert_in_range(report->reclaimed_bytes, 0, 4 * KIB);
    world_end(world);
}

static void its_dead_go_at_the_next_full_collection(void **state)
{
    struct world *world = make_passing();
    struct recount counted;

    (void)state;
    fill_till_passed(world);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    counted = recount(world->mutator);
    assert_int_equal(counted.all_objects, 0);
    world_end(world);
}

static void a_request_visits_gen1(void **state)
{
    struct world *world = make_passing();
    gc_report report = {.size = sizeof report};

    (void)state;
    fill_till_passed(world);
    for (int i = 0; i < 1000; i++)
        make_node(world->mutator, 0);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_MIDDLE, &report);
    assert_false(was_passed(world));
    world_end(world);
}

static void stores_into_what_was_passed_are_seen(void **state)
{
    struct world *world = make_passing();
    size_t length = fill_till_passed(world);
    struct node *holder = world->root[0];

    (void)state;
    /* Of the list's newest, some are young; its middle is not. */
    for (size_t i = 0; i < length / 2; i++)
        holder = holder->right;
    world->root[1] = holder;
    gc_write(world->mutator, holder, &holder->left, make_node(world->mutator, 77));
    for (int generation = GC_YOUNG; generation <= GC_OLD; generation++) {
        gc_collect(world->mutator, (unsigned)generation, NULL);
        holder = world->root[1];
        assert_int_equal(holder->left->value, 77);
    }
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
}

static size_t finalized;

static void note_finalized(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
    finalized++;
}

static void what_is_registered_on_it_stays(void **state)
{
    struct world *world = make_passing();
    uint64_t hash, again;

    (void)state;
    finalized = 0;
    /* Where the first pass will find it: in gen1. */
    for (int i = 0; i < NODES && !was_passed(world); i++) {
        struct node *node = make_node(world->mutator, 1);

        node->right = world->root[0];
        world->root[0] = node;
        if (world->root[1] == NULL || gc_generation_of(world->mutator, world->root[1]) == GC_OLD) {
            world->root[1] = node;
            world->root[2] = gc_weakref_create(world->mutator, world->root[1], 0);
            gc_hash(world->mutator, world->root[1], &hash);
            assert_int_equal(gc_finalizer_add(world->mutator, world->root[1],
                                              &(gc_finalizer){.size = sizeof(gc_finalizer),
                                                              .run = note_finalized},
                                              NULL),
                             GC_OK);
        }
    }
    assert_true(was_passed(world));
    assert_ptr_equal(gc_weakref_get(world->mutator, world->root[2]), world->root[1]);
    gc_hash(world->mutator, world->root[1], &again);
    assert_int_equal(hash, again);
    world->root[0] = world->root[1] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_null(gc_weakref_get(world->mutator, world->root[2]));
    gc_finalizers_run(world->mutator, SIZE_MAX);
    assert_true(finalized >= 1);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_lives_is_there_afterwards),
        cmocka_unit_test(what_is_passed_counts_as_promoted),
        cmocka_unit_test(its_dead_go_at_the_next_full_collection),
        cmocka_unit_test(a_request_visits_gen1),
        cmocka_unit_test(stores_into_what_was_passed_are_seen),
        cmocka_unit_test(what_is_registered_on_it_stays),
    };

    if (GC_FORBIDS) /* red zones count as dead: nothing is dense */
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
