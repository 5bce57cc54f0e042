/* SPDX-License-Identifier: MIT
 *
 * Tables: against a plain model, through deaths, moves and resizing.
 */
#include "support/heap.h"

#include <strata/fork.h>
#include <strata/table.h>
#include <strata/weak.h>

#include <string.h>

enum { COUNT = 700 };

/* root[0]: keys, root[1]: values, root[2]: the table. */
static void **keys(struct world *world)
{
    return world->root[0];
}

static void **values(struct world *world)
{
    return world->root[1];
}

static void make_table(struct world *world, gc_table_kind kind)
{
    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    world->root[1] = make_array(world->mutator, &gc_type_references, COUNT);
    world->root[2] = gc_table_create(world->mutator, kind, NULL, NULL, NULL);
    assert_non_null(world->root[2]);
}

static void fill(struct world *world, int from, int to)
{
    for (int i = from; i < to; i++) {
        world->root[3] = make_node(world->mutator, (uint64_t)i);
        gc_write(world->mutator, keys(world), &keys(world)[i], world->root[3]);
        world->root[4] = make_node(world->mutator, (uint64_t)i + 1000);
        gc_write(world->mutator, values(world), &values(world)[i], world->root[4]);
        assert_int_equal(
            gc_table_put(world->mutator, world->root[2], world->root[3], world->root[4]), GC_OK);
    }
    world->root[3] = world->root[4] = NULL;
}

static size_t count(struct world *world)
{
    return gc_table_count(world->mutator, world->root[2]);
}

/* Every entry is met once by the iteration, and found. */
static void check_entries(struct world *world, bool has_values)
{
    size_t position = 0, met = 0;
    void *key, *value, *found = NULL;

    while (gc_table_next(world->mutator, world->root[2], &position, &key, &value)) {
        uint64_t number = ((struct node *)key)->value;

        if (has_values)
            assert_int_equal(((struct node *)value)->value, number + 1000);
        assert_true(gc_table_get(world->mutator, world->root[2], key, &found));
        assert_ptr_equal(found, has_values ? value : key);
        met++;
    }
    assert_int_equal(met, count(world));
}

static void every_kind_keeps_what_is_alive(void **state)
{
    struct world *world = *state;

    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_SET; kind++) {
        make_table(world, (gc_table_kind)kind);
        for (int part = 0; part < 5; part++) {
            fill(world, COUNT * part / 5, COUNT * (part + 1) / 5);
            collect(world->mutator, (unsigned)part % 3);
            assert_int_equal(count(world), COUNT * (part + 1) / 5);
            check_entries(world, kind != GC_TABLE_WEAK_SET);
        }
        for (int i = 0; i < COUNT; i++)
            assert_true(gc_table_get(world->mutator, world->root[2], keys(world)[i], NULL));
    }
}

static void weak_keys_die_with_their_values(void **state)
{
    struct world *world = *state;
    struct node *value;

    make_table(world, GC_TABLE_WEAK_KEYS);
    fill(world, 0, COUNT);
    for (int i = 0; i < COUNT; i++) { /* values refer to their keys */
        value = values(world)[i];
        gc_write(world->mutator, value, &value->left, keys(world)[i]);
    }
    world->root[1] = NULL;
    for (int i = 0; i < COUNT; i += 2)
        keys(world)[i] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count(world), COUNT / 2);
    check_entries(world, true);
    collect(world->mutator, 1);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count(world), 0);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void weak_values_and_sets_let_go(void **state)
{
    struct world *world = *state;

    make_table(world, GC_TABLE_WEAK_VALUES);
    fill(world, 0, COUNT);
    world->root[0] = NULL;
    for (int i = 0; i < COUNT; i += 7)
        values(world)[i] = NULL;
    collect(world->mutator, 0);
    assert_int_equal(count(world), COUNT - COUNT / 7);
    check_entries(world, true);
    make_table(world, GC_TABLE_WEAK_SET);
    fill(world, 0, COUNT);
    world->root[1] = NULL;
    collect(world->mutator, 1);
    assert_int_equal(count(world), COUNT);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count(world), 0);
}

/* A value put anew in a table that has grown old. */
static void old_tables_take_young_entries(void **state)
{
    struct world *world = *state;

    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_VALUES; kind++) {
        void *value = NULL;

        make_table(world, (gc_table_kind)kind);
        fill(world, 0, COUNT);
        collect(world->mutator, 1);
        collect(world->mutator, 1);
        world->root[3] = make_node(world->mutator, 1000);
        assert_int_equal(
            gc_table_put(world->mutator, world->root[2], keys(world)[0], world->root[3]), GC_OK);
        assert_int_equal(count(world), COUNT);
        collect(world->mutator, 0);
        assert_true(gc_table_get(world->mutator, world->root[2], keys(world)[0], &value));
        assert_ptr_equal(value, world->root[3]);
        collect(world->mutator, 2);
        check_entries(world, true);
    }
}

/* The strong half of an entry that waits is followed with all it reaches. */
static void weak_values_keep_what_their_keys_reach(void **state)
{
    struct world *world = *state;
    size_t position = 0;
    void *key;

    make_table(world, GC_TABLE_WEAK_VALUES);
    for (int i = 0; i < 40; i++) {
        void **slot;

        world->root[3] = build_list(world->mutator, 20);
        world->root[4] = make_node(world->mutator, (uint64_t)i);
        slot = &values(world)[i];
        gc_write(world->mutator, values(world), slot, world->root[4]);
        assert_int_equal(
            gc_table_put(world->mutator, world->root[2], world->root[3], world->root[4]), GC_OK);
    }
    world->root[3] = world->root[4] = NULL;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_int_equal(count(world), 40);
    while (gc_table_next(world->mutator, world->root[2], &position, &key, NULL))
        assert_true(is_intact_list(key, 20));
}

enum { LINKS = 12, WIDTH = 256, DEPTH = 3 };

/* In root[1]: an array whose last element is such an array, DEPTH times, and the
 * others nodes, the first of which is in root[4]: a stack of a page overflows. */
static void make_wide(struct world *world, uint64_t value)
{
    void **array;

    world->root[1] = NULL;
    for (int depth = 0; depth < DEPTH; depth++) {
        world->root[5] = world->root[1];
        world->root[1] = make_array(world->mutator, &gc_type_references, WIDTH);
        for (int i = WIDTH - 1; i-- > 0;) {
            world->root[4] = make_node(world->mutator, value);
            array = world->root[1];
            gc_write(world->mutator, array, &array[i], world->root[4]);
        }
        array = world->root[1];
        gc_write(world->mutator, array, &array[WIDTH - 1], world->root[5]);
    }
}

/* Each value leads to the next key, and its trace makes blocks be scanned again
 * while their pages are put aside. */
static void pages_met_again_are_put_aside_once(void **state)
{
    struct world *world = make_exact("stress=tiny-stack");

    (void)state;
    world->root[2] = gc_table_create(world->mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    world->root[0] = world->root[3] = make_node(world->mutator, 0);
    for (uint64_t link = 1; link <= LINKS; link++) {
        make_wide(world, link);
        assert_int_equal(
            gc_table_put(world->mutator, world->root[2], world->root[3], world->root[1]), GC_OK);
        world->root[3] = world->root[4];
    }
    for (int i = 1; i < WORLD_ROOTS; i++)
        world->root[i] = i == 2 ? world->root[i] : NULL;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_int_equal(count(world), LINKS);
    }
    assert_true(stats_of(world->heap).mark_overflows > 0);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count(world), 0);
    world_free(world);
}

static void removed_entries_are_gone_and_room_comes_back(void **state)
{
    struct world *world = *state;
    size_t position = 0, before;
    void *key;

    make_table(world, GC_TABLE_WEAK_KEYS);
    fill(world, 0, COUNT);
    before = stats_of(world->heap).live_bytes;
    for (size_t i = 0; i < COUNT; i++)
        assert_true(gc_table_next(world->mutator, world->root[2], &position, NULL, NULL));
    assert_false(gc_table_next(world->mutator, world->root[2], &position, NULL, NULL));
    position = 0;
    while (gc_table_next(world->mutator, world->root[2], &position, &key, NULL)) {
        assert_true(gc_table_remove(world->mutator, world->root[2], key));
        assert_false(gc_table_remove(world->mutator, world->root[2], key));
        if (position % 64 == 0)
            collect(world->mutator, 1); /* the loop goes on */
    }
    assert_int_equal(count(world), 0);
    assert_int_equal(gc_table_fit(world->mutator, world->root[2], 0), GC_OK);
    collect(world->mutator, 2);
    assert_true(stats_of(world->heap).live_bytes < before);
    fill(world, 0, COUNT);
    check_entries(world, true);
    gc_table_clear(world->mutator, world->root[2]);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count(world), 0);
}

/* Weakness outlives a removal: the entry was still in a log, and died. */
static void entries_removed_before_their_keys_die_are_not_counted(void **state)
{
    struct world *world = *state;

    make_table(world, GC_TABLE_WEAK_KEYS);
    collect(world->mutator, 2);
    fill(world, 0, 10);
    collect(world->mutator, 0);
    assert_true(gc_table_remove(world->mutator, world->root[2], keys(world)[3]));
    gc_table_clear(world->mutator, world->root[2]);
    fill(world, 10, 12);
    memset(keys(world), 0, 10 * sizeof(void *));
    collect(world->mutator, 2);
    assert_int_equal(count(world), 2);
}

/* What is frozen stays, reached or not: arrays that a table had before it grew keep
 * nothing of what was put into them since. */
static void what_a_frozen_table_gives_up_dies(void **state)
{
    struct world *world = *state;

    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_SET; kind++)
        for (int clears = 0; clears < 2; clears++) {
            make_table(world, (gc_table_kind)kind);
            fill(world, 0, 3);
            assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
            fill(world, 3, 5);
            if (clears) {
                gc_table_clear(world->mutator, world->root[2]);
            } else {
                assert_int_equal(gc_table_fit(world->mutator, world->root[2], 100), GC_OK);
                for (int i = 3; i < 5; i++)
                    assert_true(gc_table_remove(world->mutator, world->root[2], keys(world)[i]));
            }
            for (int i = 3; i < 5; i++)
                keys(world)[i] = values(world)[i] = NULL;
            gc_collect(world->mutator, GC_OLD, NULL);
            assert_int_equal(count_objects(world->mutator, &node_type), 6);
            assert_int_equal(count(world), clears ? 0 : 3);
            gc_unfreeze(world->mutator);
        }
}

static void a_table_that_is_garbage_is_collected(void **state)
{
    struct world *world = *state;

    make_table(world, GC_TABLE_WEAK_KEYS);
    fill(world, 0, COUNT);
    world->root[1] = world->root[2] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), COUNT);
}

/* ---- By content --------------------------------------------------------- */

static uint64_t hash_node(gc_mutator *mutator, const void *key, void *data)
{
    (void)mutator;
    (void)data;
    return ((const struct node *)key)->value % 100;
}

static bool equal_nodes(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    (void)mutator;
    (void)data;
    return ((const struct node *)a)->value == ((const struct node *)b)->value;
}

static void keys_compare_as_the_callbacks_say(void **state)
{
    struct world *world = *state;
    void *value = NULL;

    make_table(world, GC_TABLE_WEAK_KEYS);
    world->root[2] =
        gc_table_create(world->mutator, GC_TABLE_WEAK_KEYS, hash_node, equal_nodes, NULL);
    fill(world, 0, COUNT);
    collect(world->mutator, 0);
    world->root[3] = make_node(world->mutator, 123);
    assert_true(gc_table_get(world->mutator, world->root[2], world->root[3], &value));
    assert_ptr_equal(value, values(world)[123]);
    keys(world)[123] = NULL;
    collect(world->mutator, 2);
    assert_false(gc_table_get(world->mutator, world->root[2], world->root[3], &value));
    assert_int_equal(count(world), COUNT - 1);
}

#define TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown), \
        cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_keeps_what_is_alive),
        TEST(weak_keys_die_with_their_values),
        TEST(weak_values_and_sets_let_go),
        TEST(old_tables_take_young_entries),
        TEST(weak_values_keep_what_their_keys_reach),
        cmocka_unit_test(pages_met_again_are_put_aside_once),
        TEST(removed_entries_are_gone_and_room_comes_back),
        TEST(entries_removed_before_their_keys_die_are_not_counted),
        TEST(what_a_frozen_table_gives_up_dies),
        TEST(a_table_that_is_garbage_is_collected),
        TEST(keys_compare_as_the_callbacks_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
