/* SPDX-License-Identifier: MIT
 *
 * Finalizers that revive, against all that refers weakly: rows of the guide's
 * table, and all orders of clear, finalize, resurrect and collect.
 */
#include "support/finalized.h"

#include <strata/weak.h>

#include <string.h>

static void finalize(struct world *world, void *object)
{
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = note_finalized};

    assert_int_equal(gc_finalizer_add(world->mutator, object, &finalizer, NULL), GC_OK);
}

static void *get(struct world *world, int root)
{
    return gc_weakref_get(world->mutator, world->root[root]);
}

static void weak_references_are_cleared_before_finalizers_run(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = gc_weakref_create(world->mutator, world->root[0], 0);
    world->root[2] = gc_weakref_create(world->mutator, world->root[0], GC_WEAK_TRACKING);
    world->root[4] = gc_ephemeron_create(world->mutator, world->root[0], NULL);
    finalize(world, world->root[0]);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_null(get(world, 1));
    assert_null(gc_ephemeron_key(world->mutator, world->root[4]));
    assert_non_null(get(world, 2)); /* tracking: it is not really gone */
    finalized.keep = &world->root[3];
    assert_int_equal(run_finalizers(world), 1);
    assert_null(get(world, 1));
    assert_ptr_equal(get(world, 2), world->root[3]);
    world->root[3] = NULL;
    collect(world->mutator, 2);
    assert_null(get(world, 2));
}

/* What refers weakly inside the graph that a finalizer revives. */
static void weak_references_in_a_revived_graph_are_cleared(void **state)
{
    struct world *world = *state;
    struct node *a;

    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = make_node(world->mutator, 2);
    world->root[2] = gc_weakref_create(world->mutator, world->root[1], 0);
    world->root[3] = gc_ephemeron_create(world->mutator, world->root[1], world->root[1]);
    world->root[4] = make_node(world->mutator, 3);
    a = world->root[0];
    gc_write(world->mutator, a, &a->left, world->root[4]);
    gc_write(world->mutator, a, &a->right, world->root[1]);
    a = world->root[4];
    gc_write(world->mutator, a, &a->left, world->root[2]);
    gc_write(world->mutator, a, &a->right, world->root[3]);
    finalize(world, world->root[0]);
    memset(world->root, 0, sizeof world->root);
    collect(world->mutator, 2);
    finalized.keep = &world->root[0];
    assert_int_equal(run_finalizers(world), 1);
    a = world->root[0];
    assert_int_equal(a->right->value, 2);
    world->root[2] = a->left->left;
    world->root[3] = a->left->right;
    assert_null(get(world, 2));
    /* Its key is alive again before the ephemeron is looked at. */
    assert_ptr_equal(gc_ephemeron_key(world->mutator, world->root[3]), a->right);
    assert_ptr_equal(gc_ephemeron_value(world->mutator, world->root[3]), a->right);
}

/* ---- All orders of clear, finalize, resurrect, collect ------------------- */

enum step { CLEAR, FINALIZE, RESURRECT, COLLECT, STEPS };

struct model {
    bool dropped; /* no root refers to it */
    bool queued;
    bool cleared;
    bool tracking_cleared;
};

/* The finalizer keeps its object if RESURRECT came before it ran; RESURRECT
 * later takes it from the tracking weak reference, while that has it. */
static void take_step(struct world *world, enum step step, struct model *model)
{
    if (step == CLEAR) {
        gc_weakref_clear(world->mutator, world->root[1]);
        model->cleared = true;
    } else if (step == FINALIZE) {
        assert_int_equal(run_finalizers(world), model->queued ? 1 : 0);
        model->queued = false;
    } else if (step == RESURRECT) {
        finalized.keep = &world->root[0];
        world->root[0] = get(world, 2);
        model->dropped = world->root[0] == NULL;
    } else {
        collect(world->mutator, 2);
        if (model->dropped && finalized.count == 0)
            model->queued = model->cleared = true;
        else if (model->dropped)
            model->tracking_cleared = model->cleared = true;
    }
}

static void check_order(struct world *world, const enum step *order)
{
    struct model model = {.dropped = true};

    memset(&finalized, 0, sizeof finalized);
    memset(world->root, 0, sizeof world->root);
    world->root[0] = make_node(world->mutator, 77);
    world->root[1] = gc_weakref_create(world->mutator, world->root[0], 0);
    world->root[2] = gc_weakref_create(world->mutator, world->root[0], GC_WEAK_TRACKING);
    finalize(world, world->root[0]);
    world->root[0] = NULL;
    for (int i = 0; i < STEPS; i++) {
        take_step(world, order[i], &model);
        if (finalized.count != 0 && world->root[0] != NULL)
            model.dropped = false;
        assert_true((get(world, 1) == NULL) == model.cleared);
        assert_true((get(world, 2) == NULL) == model.tracking_cleared);
    }
    world->root[0] = NULL;
    finalized.keep = NULL;
    collect(world->mutator, 2);
    (void)run_finalizers(world);
    collect(world->mutator, 2);
    assert_int_equal(finalized.count, 1); /* exactly once, whatever the order */
    assert_null(get(world, 1));
    assert_null(get(world, 2));
}

static void all_24_orders_are_as_the_guide_says(void **state)
{
    enum step order[STEPS];
    int orders = 0;

    for (int code = 0; code < 256; code++) {
        unsigned seen = 0;

        for (int i = 0; i < STEPS; i++) {
            order[i] = (enum step)(code >> 2 * i & 3);
            seen |= 1u << order[i];
        }
        if (seen != 15)
            continue;
        check_order(*state, order);
        orders++;
    }
    assert_int_equal(orders, 24);
}

#define TEST(name)                                                          \
    cmocka_unit_test_setup_teardown(name, finalized_setup, world_teardown), \
        cmocka_unit_test_setup_teardown(name, finalized_setup_moving, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(weak_references_are_cleared_before_finalizers_run),
        TEST(weak_references_in_a_revived_graph_are_cleared),
        TEST(all_24_orders_are_as_the_guide_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
