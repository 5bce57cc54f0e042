/* SPDX-License-Identifier: MIT
 *
 * Finalizers, guardians and watches: once each, in order, never inside a
 * collection.
 */
#include "support/finalized.h"

#include <strata/weak.h>

#include <setjmp.h>
#include <string.h>

/* What reenter did. */
static gc_status reentered_status;
static size_t reentered_runs;

static void note_watch(gc_mutator *mutator, void *data)
{
    (void)mutator;
    finalized.order[finalized.count++] = (int)(intptr_t)data;
}

static gc_finalizer_id add(struct world *world, void *object, gc_finalizer_fn *run, int number,
                           unsigned priority)
{
    gc_finalizer finalizer = {.size = sizeof finalizer,
                              .run = run,
                              .data = (void *)(intptr_t)number,
                              .priority = priority};
    gc_finalizer_id id = 0;

    assert_int_equal(gc_finalizer_add(world->mutator, object, &finalizer, &id), GC_OK);
    assert_int_not_equal(id, 0);
    return id;
}

static void runs_once_after_its_object_died(void **state)
{
    struct world *world = *state;

    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        finalized.count = 0;
        world->root[0] = make_node(world->mutator, 40 + generation);
        (void)add(world, world->root[0], note_finalized, 1, GC_PRIORITY_NORMAL);
        for (unsigned i = 0; i < generation; i++)
            collect(world->mutator, i);
        assert_int_equal(run_finalizers(world), 0);
        world->root[0] = NULL;
        collect(world->mutator, generation);
        assert_int_equal(finalized.count, 0);
        assert_int_equal(run_finalizers(world), 1);
        assert_int_equal(finalized.value[0], 40 + generation);
        collect(world->mutator, 2);
        assert_int_equal(run_finalizers(world), 0);
        assert_int_equal(count_objects(world->mutator, &node_type), 0);
    }
}

static void queued_object_lives_with_all_it_reaches(void **state)
{
    struct world *world = *state;

    world->root[0] = build_list(world->mutator, 100);
    (void)add(world, world->root[0], note_finalized, 1, GC_PRIORITY_NORMAL);
    world->root[0] = NULL;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    collect(world->mutator, 2);
    finalized.keep = &world->root[1];
    assert_int_equal(run_finalizers(world), 1);
    assert_true(is_intact_list(world->root[1], 100));
}

static void order_is_by_priority_then_registration(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 0);
    world->root[1] = make_node(world->mutator, 1);
    (void)add(world, world->root[0], note_finalized, 5, GC_PRIORITY_LAST);
    (void)add(world, world->root[1], note_finalized, 3, GC_PRIORITY_NORMAL);
    collect(world->mutator, 0);
    (void)add(world, world->root[0], note_finalized, 4, GC_PRIORITY_NORMAL);
    (void)add(world, world->root[1], note_finalized, 1, GC_PRIORITY_FIRST);
    (void)add(world, world->root[0], note_finalized, 2, GC_PRIORITY_FIRST);
    world->root[0] = world->root[1] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(run_finalizers(world), 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(finalized.order[i], i + 1);
}

static void cycle_with_finalizers_is_collected(void **state)
{
    struct world *world = *state;
    struct node *a, *b;

    world->root[0] = a = make_node(world->mutator, 1);
    world->root[1] = b = make_node(world->mutator, 2);
    a = world->root[0];
    gc_write(world->mutator, a, &a->left, b);
    gc_write(world->mutator, b, &b->left, a);
    (void)add(world, a, note_finalized, 1, GC_PRIORITY_NORMAL);
    (void)add(world, b, note_finalized, 2, GC_PRIORITY_NORMAL);
    world->root[0] = world->root[1] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(run_finalizers(world), 2);
    assert_int_equal(finalized.order[0], 1);
    assert_int_equal(finalized.order[1], 2);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void cancelled_one_does_not_run(void **state)
{
    struct world *world = *state;
    gc_finalizer_id first, second, third;

    world->root[0] = make_node(world->mutator, 0);
    first = add(world, world->root[0], note_finalized, 1, GC_PRIORITY_NORMAL);
    second = add(world, world->root[0], note_finalized, 2, GC_PRIORITY_NORMAL);
    third = add(world, world->root[0], note_finalized, 3, GC_PRIORITY_NORMAL);
    assert_int_equal(gc_finalizer_cancel(world->mutator, first), GC_OK);
    assert_int_equal(gc_finalizer_cancel(world->mutator, first), GC_NOT_FOUND);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizer_cancel(world->mutator, third), GC_OK);
    assert_int_equal(gc_finalizers_pending(world->heap), 1);
    assert_int_equal(run_finalizers(world), 1);
    assert_int_equal(finalized.order[0], 2);
    assert_int_equal(gc_finalizer_cancel(world->mutator, second), GC_NOT_FOUND);
    assert_int_equal(gc_finalizer_cancel(world->mutator, 0), GC_NOT_FOUND);
    assert_int_equal(gc_finalizer_cancel(world->mutator, UINT64_MAX), GC_NOT_FOUND);
}

static void register_again(gc_mutator *mutator, void *object, void *data)
{
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = register_again, .data = data};

    finalized.count++;
    reentered_runs += gc_finalizers_run(mutator, 0);
    reentered_status = gc_finalizer_add(mutator, object, &finalizer, NULL);
    gc_collect(mutator, GC_OLD, NULL);
}

/* While it runs; and what it queues itself waits for the budget. */
static void registered_again_it_runs_again(void **state)
{
    struct world *world = *state;

    (void)add(world, make_node(world->mutator, 1), register_again, 1, GC_PRIORITY_NORMAL);
    collect(world->mutator, 2);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(gc_finalizers_run(world->mutator, 1), 1);
        assert_int_equal(finalized.count, i);
        assert_int_equal(reentered_status, GC_OK);
        assert_int_equal(reentered_runs, 0);
        assert_int_equal(gc_finalizers_pending(world->heap), 1);
    }
    assert_int_equal(gc_finalizers_run(world->mutator, 7), 7);
}

static void bytes_outside_count_until_it_ran(void **state)
{
    struct world *world = *state;
    gc_finalizer finalizer = {
        .size = sizeof finalizer, .run = note_finalized, .external_bytes = 5000};
    gc_finalizer_id id;

    world->root[0] = make_node(world->mutator, 1);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[0], &finalizer, &id), GC_OK);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[0], &finalizer, NULL), GC_OK);
    assert_int_equal(stats_of(world->heap).external_bytes, 10000);
    assert_int_equal(gc_finalizer_cancel(world->mutator, id), GC_OK);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(stats_of(world->heap).external_bytes, 5000);
    assert_int_equal(run_finalizers(world), 1);
    assert_int_equal(stats_of(world->heap).external_bytes, 0);
}

static void at_safepoints_they_run_by_themselves(void **state)
{
    struct world *world = *state;

    gc_finalizers_at_safepoints(world->mutator, true);
    (void)add(world, make_node(world->mutator, 1), note_finalized, 1, GC_PRIORITY_NORMAL);
    collect(world->mutator, 2);
    assert_int_equal(finalized.count, 0);
    gc_safepoint(world->mutator);
    assert_int_equal(finalized.count, 1);
    (void)add(world, make_node(world->mutator, 1), note_finalized, 2, GC_PRIORITY_NORMAL);
    collect(world->mutator, 2);
    (void)make_node(world->mutator, 3);
    assert_int_equal(finalized.count, 2);
    gc_finalizers_at_safepoints(world->mutator, false);
    (void)add(world, make_node(world->mutator, 1), note_finalized, 3, GC_PRIORITY_NORMAL);
    collect(world->mutator, 2);
    gc_safepoint(world->mutator);
    assert_int_equal(finalized.count, 2);
}

static void what_is_left_runs_at_destruction(void **state)
{
    gc_options options = test_options();
    struct world *world = world_make(&options);

    (void)state;
    memset(&finalized, 0, sizeof finalized);
    world->root[0] = make_node(world->mutator, 1);
    gc_finalizers_at_destroy(world->heap, true);
    (void)add(world, world->root[0], note_finalized, 4, GC_PRIORITY_LAST);
    (void)add(world, world->root[0], note_finalized, 3, GC_PRIORITY_NORMAL);
    assert_int_equal(gc_watch_add(world->mutator, world->root[0], note_watch, (void *)2, NULL),
                     GC_OK);
    assert_int_equal(gc_watch_add(world->mutator, world->root[0], note_watch, (void *)1, NULL),
                     GC_OK);
    world_free(world);
    assert_int_equal(finalized.count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(finalized.order[i], i + 1);
}

static void a_thousand_in_every_age_run_once_each(void **state)
{
    enum { COUNT = 1000 };
    struct world *world = *state;
    size_t count = 0;

    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    for (int turn = 0; turn < 6; turn++) {
        void **objects;

        for (int i = turn; i < COUNT; i += 6) {
            world->root[1] = make_node(world->mutator, (uint64_t)i);
            (void)add(world, world->root[1], note_finalized, i, GC_PRIORITY_NORMAL);
            objects = world->root[0];
            gc_write(world->mutator, objects, &objects[i], world->root[1]);
        }
        collect(world->mutator, (unsigned)turn % 3);
        objects = world->root[0];
        for (int i = turn / 2; i < COUNT; i += 7)
            objects[i] = NULL;
        world->root[1] = NULL;
        collect(world->mutator, (unsigned)turn % 2);
        for (finalized.count = 0; gc_finalizers_run(world->mutator, 1) == 1; finalized.count = 0) {
            assert_int_equal(finalized.value[0], finalized.order[0]);
            count++;
        }
    }
    world->root[0] = NULL;
    collect(world->mutator, 2);
    for (finalized.count = 0; gc_finalizers_run(world->mutator, 1) == 1; finalized.count = 0)
        count++;
    assert_int_equal(count, COUNT);
}

/* ---- Guardians ---------------------------------------------------------- */

static void guardian_gives_the_dead_back(void **state)
{
    struct world *world = *state;
    gc_guardian *guardian = gc_guardian_create(world->mutator);
    gc_guardian *other = gc_guardian_create(world->mutator);

    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = make_node(world->mutator, 2);
    assert_int_equal(gc_guardian_add(world->mutator, guardian, world->root[0]), GC_OK);
    assert_int_equal(gc_guardian_add(world->mutator, guardian, world->root[1]), GC_OK);
    assert_int_equal(gc_guardian_add(world->mutator, guardian, world->root[1]), GC_OK);
    assert_int_equal(gc_guardian_add(world->mutator, other, world->root[1]), GC_OK);
    collect(world->mutator, 1);
    assert_null(gc_guardian_next(world->mutator, guardian));
    world->root[1] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(run_finalizers(world), 0);
    world->root[2] = gc_guardian_next(world->mutator, guardian);
    assert_int_equal(((struct node *)world->root[2])->value, 2);
    assert_ptr_equal(gc_guardian_next(world->mutator, guardian), world->root[2]);
    assert_null(gc_guardian_next(world->mutator, guardian));
    assert_ptr_equal(gc_guardian_next(world->mutator, other), world->root[2]);
    gc_guardian_destroy(world->mutator, guardian);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    gc_guardian_destroy(world->mutator, other);
}

/* ---- Watches ------------------------------------------------------------ */

static void watch_runs_without_its_object(void **state)
{
    struct world *world = *state;
    gc_watch first = 0, second = 0, third = 0;
    void *data = NULL;

    world->root[0] = make_node(world->mutator, 1);
    assert_int_equal(gc_watch_add(world->mutator, world->root[0], note_watch, (void *)1, &first),
                     GC_OK);
    assert_int_equal(gc_watch_add(world->mutator, world->root[0], note_watch, (void *)2, &second),
                     GC_OK);
    assert_int_equal(gc_watch_add(world->mutator, world->root[0], note_watch, (void *)3, &third),
                     GC_OK);
    collect(world->mutator, 0);
    assert_ptr_equal(gc_watch_peek(world->mutator, first, &data), world->root[0]);
    assert_ptr_equal(data, (void *)1);
    assert_true(gc_watch_detach(world->mutator, second));
    assert_false(gc_watch_detach(world->mutator, second));
    assert_false(gc_watch_is_alive(world->mutator, second));
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
    assert_true(gc_watch_is_alive(world->mutator, first));
    assert_null(gc_watch_peek(world->mutator, first, NULL));
    assert_true(gc_watch_run(world->mutator, first));
    assert_false(gc_watch_run(world->mutator, first));
    assert_int_equal(run_finalizers(world), 1);
    assert_int_equal(finalized.count, 2);
    assert_int_equal(finalized.order[1], 3);
    assert_false(gc_watch_is_alive(world->mutator, third));
}

/* ---- Bad input ---------------------------------------------------------- */

static struct world *doomed;
static jmp_buf out;

static void leave(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
    longjmp(out, 1);
}

static void destroy(gc_mutator *mutator, void *object, void *data)
{
    (void)object;
    (void)data;
    gc_heap_destroy(gc_mutator_heap(mutator));
}

static void detach(gc_mutator *mutator, void *object, void *data)
{
    (void)object;
    (void)data;
    gc_mutator_detach(mutator);
}

static void make_doomed(gc_finalizer_fn *function)
{
    gc_options options = test_options();

    options.stacks = GC_STACKS_EXACT;
    doomed = world_make(&options);
    (void)add(doomed, make_node(doomed->mutator, 1), function, 1, GC_PRIORITY_NORMAL);
    collect(doomed->mutator, 2);
}

static void left_by_longjmp(void)
{
    make_doomed(leave);
    if (setjmp(out) == 0)
        (void)run_finalizers(doomed);
    (void)run_finalizers(doomed);
}

static void destroys_the_heap(void)
{
    make_doomed(destroy);
    (void)run_finalizers(doomed);
}

static void detaches(void)
{
    make_doomed(detach);
    (void)run_finalizers(doomed);
}

static void object_is_null(void)
{
    make_doomed(note_finalized);
    (void)add(doomed, NULL, note_finalized, 1, GC_PRIORITY_NORMAL);
}

static void misuse_is_told(void **state)
{
    (void)state;
    expect_abort(left_by_longjmp,
                 "strata: gc_finalizers_run: a finalizer or callback was left by longjmp");
    expect_abort(destroys_the_heap, "strata: gc_heap_destroy: a mutator is still attached");
    expect_abort(detaches, "strata: gc_mutator_detach: called from a finalizer, or one was left "
                           "by longjmp");
    expect_abort(object_is_null, "strata: gc_finalizer_add: the object is NULL");
}

static void bad_numbers_are_refused(void **state)
{
    struct world *world = *state;
    gc_finalizer finalizer = {.size = 3, .run = note_finalized};
    void *node = world->root[0] = make_node(world->mutator, 1);

    assert_int_equal(gc_finalizer_add(world->mutator, node, &finalizer, NULL), GC_BAD_SIZE);
    finalizer.size = sizeof finalizer;
    finalizer.priority = GC_PRIORITIES;
    assert_int_equal(gc_finalizer_add(world->mutator, node, &finalizer, NULL), GC_BAD_OPTION);
}

#define TEST(name)                                                          \
    cmocka_unit_test_setup_teardown(name, finalized_setup, world_teardown), \
        cmocka_unit_test_setup_teardown(name, finalized_setup_moving, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_once_after_its_object_died),
        TEST(queued_object_lives_with_all_it_reaches),
        TEST(order_is_by_priority_then_registration),
        TEST(cycle_with_finalizers_is_collected),
        TEST(cancelled_one_does_not_run),
        TEST(registered_again_it_runs_again),
        TEST(bytes_outside_count_until_it_ran),
        TEST(at_safepoints_they_run_by_themselves),
        cmocka_unit_test(what_is_left_runs_at_destruction),
        TEST(a_thousand_in_every_age_run_once_each),
        TEST(guardian_gives_the_dead_back),
        TEST(watch_runs_without_its_object),
        TEST(bad_numbers_are_refused),
        cmocka_unit_test(misuse_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
