/* SPDX-License-Identifier: MIT
 *
 * Finalizers that are to run at safepoints: who runs them when the thread that was
 * to do so has gone, or could not.
 */
#include "support/finalized.h"

#include <strata/weak.h>

static void add(struct world *world, gc_finalizer_fn *run, int number)
{
    gc_finalizer finalizer = {.size = sizeof finalizer,
                              .run = run,
                              .data = (void *)(intptr_t)number,
                              .priority = GC_PRIORITY_NORMAL};
    void *node = make_node(world->mutator, 1);

    assert_int_equal(gc_finalizer_add(world->mutator, node, &finalizer, NULL), GC_OK);
}

/* Watched were those who were attached when the collection found them. */
static void who_attaches_runs_what_is_due(void **state)
{
    struct world *world = *state;

    gc_finalizers_at_safepoints(world->mutator, true);
    add(world, note_finalized, 1);
    collect(world->mutator, GC_OLD);
    gc_mutator_detach(world->mutator);
    assert_int_equal(finalized.count, 0);
    assert_int_equal(gc_mutator_attach(world->heap, &world->mutator), GC_OK);
    gc_safepoint(world->mutator);
    assert_int_equal(finalized.count, 1);
}

static void reach_a_safepoint(gc_mutator *mutator, void *object, void *data)
{
    note_finalized(mutator, object, data);
    gc_safepoint(mutator);
}

/* It came while another ran, and was forgotten. */
static void a_safepoint_in_one_is_none_for_the_others(void **state)
{
    struct world *world = *state;

    gc_finalizers_at_safepoints(world->mutator, true);
    add(world, reach_a_safepoint, 1);
    add(world, reach_a_safepoint, 2);
    collect(world->mutator, GC_OLD);
    assert_int_equal(gc_finalizers_run(world->mutator, 1), 1);
    assert_int_equal(finalized.count, 1);
    gc_safepoint(world->mutator);
    assert_int_equal(finalized.count, 2);
    assert_int_equal(gc_finalizers_pending(world->heap), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, finalized_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_attaches_runs_what_is_due),
        TEST(a_safepoint_in_one_is_none_for_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
