/* SPDX-License-Identifier: MIT
 *
 * Weak references: they do not keep, they follow, they are cleared in time,
 * and their callbacks come once.
 */
#include "heap/heap.h"
#include "support/heap.h"

#include <strata/weak.h>

#include <string.h>

enum { MOST = 16 };

static struct {
    int count;
    int order[MOST];
    bool cleared[MOST];
} called;

static int setup(void **state)
{
    memset(&called, 0, sizeof called);
    return exact_setup(state);
}

static int setup_moving(void **state)
{
    memset(&called, 0, sizeof called);
    return moving_setup(state);
}

static void note(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    called.cleared[called.count] = gc_weakref_get(mutator, weakref) == NULL;
    called.order[called.count++] = (int)(intptr_t)data;
}

static struct node *kept_node(struct world *world, int root, uint64_t value)
{
    world->root[root] = make_node(world->mutator, value);
    return world->root[root];
}

/* A weak reference, in root[to], to root[from]. */
static void refer(struct world *world, int to, int from, unsigned flags)
{
    world->root[to] = gc_weakref_create(world->mutator, world->root[from], flags);
    assert_non_null(world->root[to]);
}

static void refer_watching(struct world *world, int to, int from, unsigned flags, int number)
{
    world->root[to] = gc_weakref_create_watching(world->mutator, world->root[from], flags, note,
                                                 (void *)(intptr_t)number);
    assert_non_null(world->root[to]);
}

static void *get(struct world *world, int root)
{
    return gc_weakref_get(world->mutator, world->root[root]);
}

static void weak_reference_follows_what_is_alive(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 7);
    refer(world, 1, 0, 0);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_ptr_equal(get(world, 1), world->root[0]);
        assert_int_equal(((struct node *)get(world, 1))->value, 7);
    }
    compact(world->mutator);
    assert_ptr_equal(get(world, 1), world->root[0]);
}

static void weak_reference_does_not_keep(void **state)
{
    struct world *world = *state;

    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        kept_node(world, 0, 7);
        refer(world, 1, 0, 0);
        world->root[0] = NULL;
        collect(world->mutator, generation);
        assert_null(get(world, 1));
        assert_int_equal(count_objects(world->mutator, &node_type), 0);
    }
}

static void weak_reference_to_old_object_waits_for_its_collection(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 7);
    refer(world, 1, 0, 0);
    collect(world->mutator, 0);
    collect(world->mutator, 1);
    assert_int_equal(gc_generation_of(world->mutator, world->root[0]), GC_OLD);
    world->root[0] = NULL;
    collect(world->mutator, 1);
    assert_non_null(get(world, 1));
    collect(world->mutator, 2);
    assert_null(get(world, 1));
}

static void old_weak_reference_to_young_object_is_seen(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 1);
    refer(world, 1, 0, 0);
    collect(world->mutator, 2);
    collect(world->mutator, 2);
    kept_node(world, 2, 2);
    refer(world, 3, 2, 0);
    assert_int_equal(gc_pin(world->mutator, world->root[2]), GC_OK);
    collect(world->mutator, 0); /* a pinned one may stay young while the reference goes up */
    assert_ptr_equal(get(world, 3), world->root[2]);
    collect(world->mutator, 1);
    assert_int_equal(gc_unpin(world->mutator, world->root[2]), GC_OK);
    world->root[2] = NULL;
    collect(world->mutator, 2);
    assert_null(get(world, 3));
    assert_ptr_equal(get(world, 1), world->root[0]);
}

static void without_callback_it_is_shared(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 1);
    refer(world, 1, 0, 0);
    refer(world, 2, 0, 0);
    refer(world, 3, 0, GC_WEAK_TRACKING);
    assert_ptr_equal(world->root[1], world->root[2]);
    assert_ptr_not_equal(world->root[1], world->root[3]);
    collect(world->mutator, 0);
    refer(world, 2, 0, 0);
    assert_ptr_equal(world->root[1], world->root[2]);
    refer_watching(world, 4, 0, 0, 1);
    refer_watching(world, 5, 0, 0, 2);
    assert_ptr_not_equal(world->root[4], world->root[5]);
}

static void weak_references_of_an_object_are_listed_newest_first(void **state)
{
    struct world *world = *state;
    gc_weakref *refs[4] = {NULL};

    kept_node(world, 0, 1);
    refer_watching(world, 1, 0, 0, 1);
    refer(world, 2, 0, 0);
    refer_watching(world, 3, 0, 0, 2);
    refer_watching(world, 4, 0, GC_WEAK_TRACKING, 3);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(gc_weakref_list(world->mutator, world->root[0], refs, 4), 4);
        assert_ptr_equal(refs[0], world->root[2]);
        assert_ptr_equal(refs[1], world->root[4]);
        assert_ptr_equal(refs[2], world->root[3]);
        assert_ptr_equal(refs[3], world->root[1]);
        refs[2] = NULL;
        assert_int_equal(gc_weakref_list(world->mutator, world->root[0], refs, 2), 4);
        assert_ptr_equal(refs[1], world->root[4]);
        assert_null(refs[2]);
        assert_int_equal(gc_weakref_list(world->mutator, world->root[0], NULL, 0), 4);
        collect(world->mutator, (unsigned)round);
    }
}

static void callbacks_run_newest_first_after_the_clearing(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 1);
    for (int i = 1; i <= 5; i++) {
        refer_watching(world, i, 0, i == 3 ? GC_WEAK_TRACKING : 0, i);
        if (i == 2)
            collect(world->mutator, 0);
    }
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(called.count, 0);
    assert_int_equal(gc_finalizers_pending(world->heap), 5);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(called.order[i], 5 - i);
        assert_true(called.cleared[i]);
    }
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 0);
}

static void callback_dies_with_its_weak_reference(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 1);
    refer_watching(world, 1, 0, 0, 1);
    world->root[0] = world->root[1] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 0);

    kept_node(world, 0, 1);
    refer_watching(world, 1, 0, 0, 2);
    world->root[1] = NULL;
    collect(world->mutator, 2);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 0);
}

static void queued_callback_keeps_its_weak_reference(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 1);
    refer_watching(world, 1, 0, 0, 4);
    world->root[0] = NULL;
    collect(world->mutator, 0);
    world->root[1] = NULL;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 1);
    assert_true(called.cleared[0]);
    assert_int_equal(called.order[0], 4);
}

static void cleared_one_is_forgotten(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 1);
    refer_watching(world, 1, 0, 0, 1);
    gc_weakref_clear(world->mutator, world->root[1]);
    gc_weakref_clear(world->mutator, world->root[1]);
    assert_null(get(world, 1));
    assert_int_equal(gc_weakref_list(world->mutator, world->root[0], NULL, 0), 0);
    collect(world->mutator, 1);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 0);
}

static void upgraded_one_is_a_root(void **state)
{
    struct world *world = *state;
    gc_handle *handle;

    kept_node(world, 0, 9);
    refer(world, 1, 0, 0);
    handle = gc_weakref_upgrade(world->mutator, world->root[1]);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_ptr_equal(get(world, 1), gc_handle_get(handle));
    gc_handle_destroy(world->mutator, handle);
    collect(world->mutator, 2);
    assert_null(gc_weakref_upgrade(world->mutator, world->root[1]));
}

/* Thousands, in every age, every third of which dies at each turn. */
static void many_are_right_at_every_age(void **state)
{
    enum { COUNT = 3000 };
    struct world *world = *state;
    void **objects, **refs;

    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    world->root[1] = make_array(world->mutator, &gc_type_references, COUNT);
    for (int turn = 0; turn < 9; turn++) {
        for (int i = turn % 3; i < COUNT; i += 3) {
            world->root[2] = make_node(world->mutator, (uint64_t)i);
            world->root[3] = gc_weakref_create(world->mutator, world->root[2], 0);
            objects = world->root[0];
            refs = world->root[1];
            gc_write(world->mutator, objects, &objects[i], world->root[2]);
            gc_write(world->mutator, refs, &refs[i], world->root[3]);
        }
        world->root[2] = world->root[3] = NULL;
        collect(world->mutator, (unsigned)turn % 2);
        objects = world->root[0];
        refs = world->root[1];
        for (int i = 0; i < COUNT; i++)
            if (refs[i] != NULL)
                assert_ptr_equal(gc_weakref_get(world->mutator, refs[i]), objects[i]);
        for (int i = (turn + 1) % 3; i < COUNT; i += 3)
            objects[i] = NULL;
        collect(world->mutator, turn % 3 == 2 ? 2 : 0);
        objects = world->root[0];
        refs = world->root[1];
        for (int i = 0; i < COUNT; i++)
            if (objects[i] != NULL)
                assert_ptr_equal(gc_weakref_get(world->mutator, refs[i]), objects[i]);
    }
    for (int i = 0; i < COUNT; i++)
        objects[i] = NULL;
    collect(world->mutator, 2);
    refs = world->root[1];
    for (int i = 0; i < COUNT; i++)
        assert_null(gc_weakref_get(world->mutator, refs[i]));
}

static void finalize_nothing(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
}

/* Nothing that a minor or middle collection walks leads to what is old. */
static void what_is_old_costs_a_younger_collection_nothing(void **state)
{
    enum { COUNT = 500 };
    struct world *world = *state;
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = finalize_nothing};
    const struct gc_collector *collector = &world->heap->collector;
    void **objects, **refs;

    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    world->root[1] = make_array(world->mutator, &gc_type_references, COUNT);
    for (int i = 0; i < COUNT; i++) {
        uint64_t hash;

        kept_node(world, 2, (uint64_t)i);
        refer_watching(world, 3, 2, 0, i);
        assert_int_equal(gc_finalizer_add(world->mutator, world->root[2], &finalizer, NULL), GC_OK);
        assert_int_equal(gc_hash(world->mutator, world->root[2], &hash), GC_OK);
        objects = world->root[0];
        refs = world->root[1];
        gc_write(world->mutator, objects, &objects[i], world->root[2]);
        gc_write(world->mutator, refs, &refs[i], world->root[3]);
    }
    assert_non_null(collector->calls.by_age[GC_YOUNG]);
    collect(world->mutator, 2);
    collect(world->mutator, 2);
    for (unsigned age = GC_YOUNG; age < GC_OLD; age++) {
        assert_null(collector->calls.by_age[age]);
        assert_int_equal(collector->weakrefs.lists[age], 0);
        assert_int_equal(collector->hashes.generations[age].count, 0);
    }
    assert_non_null(collector->calls.by_age[GC_OLD]);
    kept_node(world, 2, 1);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[2], &finalizer, NULL), GC_OK);
    assert_non_null(collector->calls.by_age[GC_YOUNG]);
    assert_null(collector->calls.by_age[GC_YOUNG]->next_of_age);
}

static void takes_32_bytes_of_the_heap(void **state)
{
    struct world *world = *state;

    kept_node(world, 0, 1);
    refer(world, 1, 0, 0);
    assert_int_equal(gc_size_of(world->root[1]) + GC_HEADER_BYTES, 32);
}

/* ---- Bad input ---------------------------------------------------------- */

static struct world *doomed;

static void make_doomed(void)
{
    gc_options options = test_options();

    options.stacks = GC_STACKS_EXACT;
    doomed = world_make(&options);
    doomed->root[0] = make_node(doomed->mutator, 1);
}

static void refer_to_null(void)
{
    make_doomed();
    (void)gc_weakref_create(doomed->mutator, NULL, 0);
}

static void refer_to_foreign(void)
{
    static struct node outside;

    make_doomed();
    (void)gc_weakref_create(doomed->mutator, &outside, 0);
}

static void refer_to_dead(void)
{
    struct node *node;

    make_doomed();
    node = doomed->root[0];
    collect(doomed->mutator, 0);
    (void)gc_weakref_create(doomed->mutator, node, 0);
}

static void get_from_node(void)
{
    make_doomed();
    (void)gc_weakref_get(doomed->mutator, doomed->root[0]);
}

static void get_from_null(void)
{
    make_doomed();
    (void)gc_weakref_get(doomed->mutator, NULL);
}

static void flags_unknown(void)
{
    make_doomed();
    (void)gc_weakref_create(doomed->mutator, doomed->root[0], 2);
}

static void callback_missing(void)
{
    make_doomed();
    (void)gc_weakref_create_watching(doomed->mutator, doomed->root[0], 0, NULL, NULL);
}

static void misuse_is_told(void **state)
{
    (void)state;
    expect_abort(refer_to_null, "strata: gc_weakref_create: the object is NULL");
    expect_abort(refer_to_foreign, "strata: gc_weakref_create: this is not a reference to an "
                                   "object of the heap");
    expect_abort(refer_to_dead, "strata: gc_weakref_create: this is not a reference to an "
                                "object of the heap");
    expect_abort(get_from_node, "strata: gc_weakref_get: this is not a weak reference of the heap");
    expect_abort(get_from_null, "strata: gc_weakref_get: the weak reference is NULL");
    expect_abort(flags_unknown, "strata: gc_weakref_create: there is no such flag");
    expect_abort(callback_missing, "strata: gc_weakref_create_watching: the callback is NULL");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
#define TEST_MOVING(name) cmocka_unit_test_setup_teardown(name, setup_moving, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(weak_reference_follows_what_is_alive),
        TEST_MOVING(weak_reference_follows_what_is_alive),
        TEST(weak_reference_does_not_keep),
        TEST_MOVING(weak_reference_does_not_keep),
        TEST(weak_reference_to_old_object_waits_for_its_collection),
        TEST(old_weak_reference_to_young_object_is_seen),
        TEST_MOVING(old_weak_reference_to_young_object_is_seen),
        TEST(without_callback_it_is_shared),
        TEST(weak_references_of_an_object_are_listed_newest_first),
        TEST_MOVING(weak_references_of_an_object_are_listed_newest_first),
        TEST(callbacks_run_newest_first_after_the_clearing),
        TEST_MOVING(callbacks_run_newest_first_after_the_clearing),
        TEST(callback_dies_with_its_weak_reference),
        TEST(queued_callback_keeps_its_weak_reference),
        TEST_MOVING(queued_callback_keeps_its_weak_reference),
        TEST(cleared_one_is_forgotten),
        TEST(upgraded_one_is_a_root),
        TEST(many_are_right_at_every_age),
        TEST_MOVING(many_are_right_at_every_age),
        TEST(what_is_old_costs_a_younger_collection_nothing),
        TEST_MOVING(what_is_old_costs_a_younger_collection_nothing),
        TEST(takes_32_bytes_of_the_heap),
        cmocka_unit_test(misuse_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
