/* SPDX-License-Identifier: MIT
 *
 * What is kept outside of frozen objects: weak references, ephemerons,
 * finalizers, hashes, pins, charges, types, handles, tables.
 */
#include "support/graph.h"

#include <strata/fork.h>
#include <strata/table.h>
#include <strata/weak.h>

#include <string.h>

static int runs;

static int setup(void **state)
{
    runs = 0;
    return exact_setup(state);
}

static int setup_moving(void **state)
{
    runs = 0;
    return moving_setup(state);
}

static void freeze(struct world *world)
{
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
}

static void collect_each(struct world *world)
{
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        gc_collect(world->mutator, generation, NULL);
}

static void *referent(struct world *world, int root)
{
    return gc_weakref_get(world->mutator, world->root[root]);
}

/* ---- Weak references ---------------------------------------------------- */

static void note_weakref(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    (void)data;
    assert_null(gc_weakref_get(mutator, weakref));
    runs++;
}

static void weak_references_among_the_frozen_stay(void **state)
{
    struct world *world = *state;

    world->root[1] = make_node(world->mutator, 7);
    world->root[0] = gc_weakref_create_watching(world->mutator, world->root[1], 0, note_weakref, 0);
    freeze(world);
    world->root[1] = NULL;
    collect_each(world);
    assert_int_equal(((struct node *)referent(world, 0))->value, 7);
    gc_unfreeze(world->mutator);
    assert_int_equal(((struct node *)referent(world, 0))->value, 7);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_null(referent(world, 0));
    gc_finalizers_run(world->mutator, 0);
    assert_int_equal(runs, 1);
}

/* Into the array that is that root, wherever it is by now. */
static void store_at(struct world *world, size_t root, size_t i, void *value)
{
    void **array = world->root[root];

    gc_write(world->mutator, array, &array[i], value);
}

static void weak_references_to_the_frozen_and_beside_them_work(void **state)
{
    enum { MANY = 300 };
    struct world *world = *state;
    void **nodes, **refs;

    world->root[0] = make_array(world->mutator, &gc_type_references, MANY);
    world->root[1] = make_array(world->mutator, &gc_type_references, 3 * MANY);
    for (size_t i = 0; i < MANY; i++) {
        store_at(world, 0, i, make_node(world->mutator, i));
        store_at(world, 1, i, gc_weakref_create(world->mutator, ((void **)world->root[0])[i], 0));
    }
    freeze(world);
    nodes = world->root[0]; /* the frozen do not move */
    refs = world->root[1];
    for (size_t i = 0; i < MANY; i++) {
        store_at(world, 1, MANY + i, gc_weakref_create(world->mutator, nodes[i], GC_WEAK_TRACKING));
        world->root[2] = make_node(world->mutator, i);
        store_at(world, 1, 2 * MANY + i, gc_weakref_create(world->mutator, world->root[2], 0));
    }
    collect_each(world);
    for (size_t i = 0; i < MANY; i++) {
        gc_weakref *same = gc_weakref_create(world->mutator, nodes[i], 0);

        assert_ptr_equal(same, refs[i]); /* found in the index */
        assert_ptr_equal(gc_weakref_get(world->mutator, refs[MANY + i]), nodes[i]);
        assert_int_equal(gc_weakref_list(world->mutator, nodes[i], NULL, 0), 2);
        assert_true((gc_weakref_get(world->mutator, refs[2 * MANY + i]) != NULL) ==
                    (i == MANY - 1));
    }
    world->root[0] = NULL;
    gc_unfreeze(world->mutator);
    collect_each(world);
    for (size_t i = 0; i < 2 * (size_t)MANY; i++)
        assert_null(gc_weakref_get(world->mutator, ((void **)world->root[1])[i]));
}

static void a_frozen_weak_reference_can_be_cleared(void **state)
{
    struct world *world = *state;

    world->root[1] = make_node(world->mutator, 7);
    world->root[0] = gc_weakref_create_watching(world->mutator, world->root[1], 0, note_weakref, 0);
    freeze(world);
    gc_weakref_clear(world->mutator, world->root[0]);
    assert_null(referent(world, 0));
    collect_each(world);
    gc_unfreeze(world->mutator);
    world->root[1] = NULL;
    collect_each(world);
    gc_finalizers_run(world->mutator, 0);
    assert_int_equal(runs, 0);
}

/* ---- Ephemerons and tables ---------------------------------------------- */

static void a_frozen_ephemeron_keeps_its_new_value(void **state)
{
    struct world *world = *state;

    world->root[1] = make_node(world->mutator, 1);
    world->root[0] =
        gc_ephemeron_create(world->mutator, world->root[1], make_node(world->mutator, 2));
    world->root[1] = NULL;
    gc_collect(world->mutator, GC_YOUNG, NULL);
    world->root[1] = make_node(world->mutator, 3);
    world->root[0] = gc_ephemeron_create(world->mutator, world->root[1], NULL);
    freeze(world);
    world->root[1] = NULL;
    assert_true(gc_ephemeron_set(world->mutator, world->root[0], make_node(world->mutator, 4)));
    for (int i = 0; i < 2; i++) {
        collect_each(world);
        assert_int_equal(((struct node *)gc_ephemeron_key(world->mutator, world->root[0]))->value,
                         3);
        assert_int_equal(((struct node *)gc_ephemeron_value(world->mutator, world->root[0]))->value,
                         4);
    }
    gc_unfreeze(world->mutator);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_null(gc_ephemeron_key(world->mutator, world->root[0]));
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void *value_of(struct world *world, const void *key)
{
    void *value = NULL;

    assert_true(gc_table_get(world->mutator, world->root[0], key, &value));
    return value;
}

static void put(struct world *world, void *key, void *value)
{
    assert_int_equal(gc_table_put(world->mutator, world->root[0], key, value), GC_OK);
}

static void frozen_tables_take_new_entries(void **state)
{
    struct world *world = *state;

    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_VALUES; kind++) {
        world->root[0] = gc_table_create(world->mutator, (gc_table_kind)kind, NULL, NULL, NULL);
        world->root[1] = build_list(world->mutator, 2);
        put(world, world->root[1], ((struct node *)world->root[1])->right);
        freeze(world);
        world->root[2] = make_node(world->mutator, 50);
        for (int i = 0; i < 2; i++) {
            put(world, world->root[1], world->root[2]);
            put(world, world->root[2], world->root[1]);
            collect_each(world);
            assert_ptr_equal(value_of(world, world->root[1]), world->root[2]);
            assert_ptr_equal(value_of(world, world->root[2]), world->root[1]);
        }
        assert_true(gc_table_remove(world->mutator, world->root[0], world->root[2]));
        world->root[2] = NULL;
        collect_each(world);
        /* A weak value is not kept by the frozen entry. */
        assert_int_equal(gc_table_count(world->mutator, world->root[0]),
                         kind == GC_TABLE_WEAK_VALUES ? 0 : 1);
        gc_unfreeze(world->mutator);
        collect_each(world);
        assert_int_equal(gc_verify(world->mutator), 0);
    }
}

/* ---- Finalizers --------------------------------------------------------- */

static void run_finalizer(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)data;
    runs += (int)((struct node *)object)->value;
}

static void add_finalizer(struct world *world, void *object)
{
    gc_finalizer finalizer = {sizeof finalizer, run_finalizer, NULL, GC_PRIORITY_NORMAL, 0};

    assert_int_equal(gc_finalizer_add(world->mutator, object, &finalizer, NULL), GC_OK);
}

static void finalizers_of_the_frozen_wait(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = make_node(world->mutator, 10);
    add_finalizer(world, world->root[0]);
    freeze(world);
    add_finalizer(world, world->root[1]); /* registered later, on a frozen object */
    world->root[0] = world->root[1] = NULL;
    world->root[2] = make_node(world->mutator, 100);
    add_finalizer(world, world->root[2]);
    world->root[2] = NULL;
    collect_each(world);
    gc_finalizers_run(world->mutator, 0);
    assert_int_equal(runs, 100);
    gc_unfreeze(world->mutator);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_finalizers_run(world->mutator, 0);
    assert_int_equal(runs, 111);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

/* Its object was found dead by the collection before, and is kept by the queue. */
static void a_queued_finalizer_runs_while_its_object_is_frozen(void **state)
{
    struct world *world = *state;

    add_finalizer(world, make_node(world->mutator, 1));
    freeze(world);
    assert_int_equal(gc_frozen_objects(world->heap), 1);
    collect_each(world);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 1);
    assert_int_equal(runs, 1);
    gc_unfreeze(world->mutator);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

/* ---- Hashes, pins, charges ---------------------------------------------- */

static void hashes_pins_and_charges_go_with_the_frozen(void **state)
{
    struct world *world = *state;
    uint64_t hash[3] = {0, 0, 0};
    struct node *node;

    world->root[0] = make_node(world->mutator, 1);
    assert_int_equal(gc_hash(world->mutator, world->root[0], &hash[0]), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], 1000), GC_OK);
    assert_int_equal(gc_pin(world->mutator, world->root[0]), GC_OK);
    freeze(world);
    node = world->root[0];
    assert_int_equal(gc_hash(world->mutator, node, &hash[1]), GC_OK);
    assert_int_equal(gc_pin(world->mutator, node), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, node, 500), GC_OK);
    collect_each(world);
    gc_unfreeze(world->mutator);
    collect_each(world);
    assert_ptr_equal(world->root[0], node); /* pinned twice */
    assert_int_equal(gc_unpin(world->mutator, node), GC_OK);
    assert_int_equal(gc_unpin(world->mutator, node), GC_OK);
    assert_int_equal(gc_unpin(world->mutator, node), GC_NOT_FOUND);
    assert_int_equal(gc_hash(world->mutator, node, &hash[2]), GC_OK);
    assert_true(hash[0] == hash[1] && hash[1] == hash[2]);
    assert_int_equal(stats_of(world->heap).external_bytes, 1500);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(stats_of(world->heap).external_bytes, 0);
}

static void they_can_begin_on_a_frozen_object(void **state)
{
    struct world *world = *state;
    uint64_t hash[2] = {0, 1};

    world->root[0] = make_node(world->mutator, 1);
    freeze(world);
    assert_int_equal(gc_hash(world->mutator, world->root[0], &hash[0]), GC_OK);
    assert_int_equal(gc_pin(world->mutator, world->root[0]), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], 1000), GC_OK);
    collect_each(world);
    freeze(world);
    gc_unfreeze(world->mutator);
    collect_each(world);
    assert_int_equal(gc_hash(world->mutator, world->root[0], &hash[1]), GC_OK);
    assert_int_equal(hash[0], hash[1]);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], -1000), GC_OK);
    assert_int_equal(gc_unpin(world->mutator, world->root[0]), GC_OK);
}

/* ---- Types, roots ------------------------------------------------------- */

static void note_retired(void *data)
{
    ++*(int *)data;
}

static void a_type_with_frozen_instances_is_not_retired(void **state)
{
    struct world *world = *state;
    gc_type *type = gc_type_create(world->mutator, &node_type, make_node(world->mutator, 5));

    world->root[0] = make_object(world->mutator, type);
    freeze(world);
    world->root[0] = NULL;
    gc_type_retire(world->mutator, type, note_retired, &runs);
    collect_each(world);
    assert_int_equal(runs, 0);
    assert_int_equal(count_objects(world->mutator, type), 1);
    assert_int_equal(((struct node *)gc_type_class(type))->value, 5);
    gc_unfreeze(world->mutator);
    collect_each(world);
    assert_int_equal(runs, 1);
    collect_each(world);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void handles_go_from_frozen_to_young_and_back(void **state)
{
    struct world *world = *state;
    gc_handle *handle;

    world->root[0] = make_node(world->mutator, 1);
    handle = gc_handle_create(world->mutator, world->root[0]);
    freeze(world);
    collect_each(world);
    assert_ptr_equal(gc_handle_get(handle), world->root[0]);
    gc_handle_set(world->mutator, handle, make_node(world->mutator, 2));
    collect_each(world);
    assert_int_equal(((struct node *)gc_handle_get(handle))->value, 2);
    freeze(world);
    gc_unfreeze(world->mutator);
    collect_each(world);
    assert_int_equal(((struct node *)gc_handle_get(handle))->value, 2);
    assert_true(gc_is_object(world->mutator, gc_handle_get(handle)));
    gc_handle_destroy(world->mutator, handle);
}

/* A frozen array of words that may be references pins what it reaches. */
static void a_frozen_ambiguous_holder_pins_what_it_reaches(void **state)
{
    struct world *world = *state;
    uintptr_t *words;
    void *before;

    world->root[0] = make_array(world->mutator, &gc_type_words, 4);
    freeze(world);
    words = world->root[0];
    words[2] = (uintptr_t)make_node(world->mutator, 9);
    before = (void *)words[2];
    gc_write_barrier(world->mutator, words);
    for (int i = 0; i < 3; i++) {
        collect_each(world);
        gc_compact(world->mutator, NULL);
        assert_ptr_equal(words[2], before);
        assert_int_equal(((struct node *)before)->value, 9);
        assert_true(gc_is_object(world->mutator, before));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define BOTH(test)                                                \
    cmocka_unit_test_setup_teardown(test, setup, world_teardown), \
        cmocka_unit_test_setup_teardown(test, setup_moving, world_teardown)
        BOTH(weak_references_among_the_frozen_stay),
        BOTH(weak_references_to_the_frozen_and_beside_them_work),
        BOTH(a_frozen_weak_reference_can_be_cleared),
        BOTH(a_frozen_ephemeron_keeps_its_new_value),
        BOTH(frozen_tables_take_new_entries),
        BOTH(finalizers_of_the_frozen_wait),
        BOTH(a_queued_finalizer_runs_while_its_object_is_frozen),
        BOTH(hashes_pins_and_charges_go_with_the_frozen),
        BOTH(they_can_begin_on_a_frozen_object),
        BOTH(a_type_with_frozen_instances_is_not_retired),
        BOTH(handles_go_from_frozen_to_young_and_back),
        BOTH(a_frozen_ambiguous_holder_pins_what_it_reaches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
