/* SPDX-License-Identifier: MIT
 *
 * Ephemerons: the value lives while ephemeron and key do, whatever the value
 * refers to, and however they are chained and aged.
 */
#include "heap/heap.h"
#include "support/heap.h"

#include <strata/table.h>
#include <strata/weak.h>

enum { CHAIN = 500 };

static void *key_of(struct world *world, int root)
{
    return gc_ephemeron_key(world->mutator, world->root[root]);
}

static void *value_of(struct world *world, int root)
{
    return gc_ephemeron_value(world->mutator, world->root[root]);
}

static void entry(struct world *world, int to, int key, int value)
{
    world->root[to] = gc_ephemeron_create(world->mutator, world->root[key], world->root[value]);
    assert_non_null(world->root[to]);
}

static void value_lives_with_its_key(void **state)
{
    struct world *world = *state;

    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        world->root[0] = make_node(world->mutator, 1);
        world->root[1] = make_node(world->mutator, 2);
        entry(world, 2, 0, 1);
        world->root[1] = NULL;
        collect(world->mutator, generation);
        assert_ptr_equal(key_of(world, 2), world->root[0]);
        assert_int_equal(((struct node *)value_of(world, 2))->value, 2);
        world->root[0] = NULL;
        collect(world->mutator, 2);
        assert_null(key_of(world, 2));
        assert_null(value_of(world, 2));
        assert_int_equal(count_objects(world->mutator, &node_type), 0);
    }
}

static void value_that_refers_to_its_key_does_not_keep_it(void **state)
{
    struct world *world = *state;
    struct node *value;

    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        world->root[0] = make_node(world->mutator, 1);
        world->root[1] = value = make_node(world->mutator, 2);
        gc_write(world->mutator, value, &value->left, world->root[0]);
        entry(world, 2, 0, 1);
        world->root[0] = world->root[1] = NULL;
        collect(world->mutator, generation);
        assert_null(key_of(world, 2));
    }
}

static void value_dies_with_its_ephemeron(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = make_node(world->mutator, 2);
    entry(world, 2, 0, 1);
    world->root[1] = world->root[2] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

static void old_ephemeron_keeps_a_young_value_set_later(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    entry(world, 2, 0, 0);
    collect(world->mutator, 1);
    collect(world->mutator, 1);
    world->root[1] = make_node(world->mutator, 5);
    assert_true(gc_ephemeron_set(world->mutator, world->root[2], NULL));
    assert_null(value_of(world, 2));
    assert_true(gc_ephemeron_set(world->mutator, world->root[2], world->root[1]));
    world->root[1] = NULL;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_int_equal(((struct node *)value_of(world, 2))->value, 5);
    }
    gc_ephemeron_clear(world->mutator, world->root[2]);
    assert_null(key_of(world, 2));
    assert_false(gc_ephemeron_set(world->mutator, world->root[2], world->root[0]));
}

/* An ephemeron of root[0]'s key and root[1]'s value, kept by root[2]'s array of
 * CHAIN: the i-th from the beginning or, reversed, from the end. */
static void entry_in_array(struct world *world, int i, bool reversed)
{
    void **array;

    entry(world, 3, 0, 1);
    array = world->root[2];
    gc_write(world->mutator, array, &array[reversed ? CHAIN - 1 - i : i], world->root[3]);
}

/* Key i's ephemeron has key i + 1 as its value; they stand in an array in the
 * order that `reversed` says, and were made over several collections. */
static void build_chain(struct world *world, bool reversed, int collections)
{
    world->root[2] = make_array(world->mutator, &gc_type_references, CHAIN);
    world->root[1] = NULL; /* the key after */
    for (int i = CHAIN; i-- > 0;) {
        world->root[0] = make_node(world->mutator, (uint64_t)i);
        entry_in_array(world, i, reversed);
        world->root[1] = world->root[0];
        if (collections > 0 && i % (CHAIN / collections) == 0)
            collect(world->mutator, (unsigned)(i / (CHAIN / collections)) % 2);
    }
    world->root[1] = world->root[3] = NULL;
}

static int count_alive(struct world *world)
{
    void **array = world->root[2];
    int count = 0;

    for (int i = 0; i < CHAIN; i++)
        count += gc_ephemeron_key(world->mutator, array[i]) != NULL;
    return count;
}

/* As long as root[0] keeps the first key, all keys live; then none does. */
static void live_and_die_whole(struct world *world)
{
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_int_equal(count_alive(world), CHAIN);
    }
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(count_alive(world), 0);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void chains_live_and_die_whole(void **state)
{
    struct world *world = *state;

    for (int shape = 0; shape < 8; shape++) {
        build_chain(world, shape & 1, shape & 2 ? 5 : 0);
        if (shape & 4)
            collect(world->mutator, 2);
        live_and_die_whole(world);
    }
}

/* Each ephemeron's value leads to the next one's key by an ambiguous word only. */
static void an_ambiguous_word_reaches_a_key(void **state)
{
    struct world *world = *state;

    for (int reversed = 0; reversed < 2; reversed++) {
        world->root[2] = make_array(world->mutator, &gc_type_references, CHAIN);
        world->root[0] = NULL; /* the key after */
        for (int i = CHAIN; i-- > 0;) {
            void **words = world->root[1] = make_array(world->mutator, &gc_type_words, 2);

            words[0] = world->root[0];
            world->root[0] = make_node(world->mutator, (uint64_t)i);
            entry_in_array(world, i, reversed);
        }
        world->root[1] = world->root[3] = NULL;
        live_and_die_whole(world);
    }
}

/* Each ephemeron's value is the next ephemeron, found only in the fixpoint. */
static void ephemerons_behind_ephemerons_are_found(void **state)
{
    struct world *world = *state;

    world->root[4] = make_array(world->mutator, &gc_type_references, CHAIN);
    world->root[2] = NULL;
    for (int i = 0; i < CHAIN; i++) {
        void **keys;

        world->root[0] = make_node(world->mutator, (uint64_t)i);
        entry(world, 2, 0, 2);
        keys = world->root[4];
        gc_write(world->mutator, keys, &keys[i], world->root[0]);
    }
    world->root[0] = NULL;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    world->root[3] = world->root[2];
    for (int i = CHAIN; i-- > 0;) {
        assert_int_equal(((struct node *)key_of(world, 3))->value, i);
        world->root[3] = value_of(world, 3);
    }
    assert_null(world->root[3]);
    world->root[4] = NULL;
    collect(world->mutator, 2);
    assert_null(key_of(world, 2));
}

/* A leaf as the key, a large array as the value, pinned keys, several
 * ephemerons of one key. */
static void keys_and_values_of_all_kinds_work(void **state)
{
    struct world *world = *state;

    world->root[0] = make_array(world->mutator, &gc_type_bytes, 5);
    world->root[1] = make_array(world->mutator, &gc_type_references, 5000);
    entry(world, 2, 0, 1);
    ((void **)world->root[1])[4321] = world->root[0];
    world->root[1] = make_array(world->mutator, &gc_type_bytes, 100000);
    entry(world, 3, 1, 0);
    entry(world, 4, 1, 2);
    entry(world, 5, 2, 3); /* kept by 4 */
    assert_int_equal(gc_pin(world->mutator, world->root[0]), GC_OK);
    world->root[0] = world->root[2] = world->root[3] = NULL;
    world->root[6] = world->root[1];
    world->root[1] = NULL;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_ptr_equal(key_of(world, 4), world->root[6]);
        assert_ptr_equal(key_of(world, 5), value_of(world, 4));
        world->root[1] = value_of(world, 5);
        assert_ptr_equal(key_of(world, 1), world->root[6]);
        world->root[3] = value_of(world, 4);
        assert_int_equal(gc_length(value_of(world, 3)), 5000);
        assert_ptr_equal(((void **)value_of(world, 3))[4321], key_of(world, 3));
        world->root[1] = world->root[3] = NULL;
    }
    world->root[6] = NULL;
    collect(world->mutator, 2);
    assert_null(key_of(world, 4));
    assert_null(key_of(world, 5));
}

/* A weak table's entries beside them, so that pages are put aside too. */
static void put_chain_in_tables(struct world *world)
{
    for (int kind = GC_TABLE_WEAK_KEYS; kind <= GC_TABLE_WEAK_VALUES; kind++) {
        void *table = gc_table_create(world->mutator, (gc_table_kind)kind, NULL, NULL, NULL);

        world->root[3 + kind] = table;
        for (int i = 0; i < CHAIN; i++) {
            void *ephemeron = ((void **)world->root[2])[i];
            void *node = gc_ephemeron_key(world->mutator, ephemeron);
            void *key = kind == GC_TABLE_WEAK_KEYS ? node : ephemeron;

            assert_int_equal(gc_table_put(world->mutator, world->root[3 + kind], key, node), GC_OK);
        }
    }
}

static void check_chain(struct world *world, int alive)
{
    assert_int_equal(count_alive(world), alive);
    assert_int_equal(gc_table_count(world->mutator, world->root[4]), alive);
    assert_int_equal(gc_table_count(world->mutator, world->root[5]), alive);
}

/* What finds no room in the lanes is linked instead. */
static void lanes_without_room_lose_nothing(void **state)
{
    struct world *world = *state;
    struct gc_ephemerons *ephemerons = &world->heap->collector.tracer.ephemerons;
    struct gc_lane pending = ephemerons->pending, pairs = ephemerons->pairs;

    for (size_t room = 0; room <= CHAIN / 2; room += CHAIN / 2) {
        build_chain(world, true, 5);
        put_chain_in_tables(world);
        ephemerons->pending.committed = ephemerons->pending.capacity = room;
        ephemerons->pairs.committed = ephemerons->pairs.capacity = room;
        for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
            collect(world->mutator, generation);
            check_chain(world, CHAIN);
        }
        world->root[0] = NULL;
        collect(world->mutator, 2);
        check_chain(world, 0);
        assert_int_equal(count_objects(world->mutator, &node_type), 0);
        ephemerons->pending = pending;
        ephemerons->pairs = pairs;
    }
}

static struct world *volatile doomed; /* in sight of what looks for leaks */

static void key_is_null(void)
{
    gc_options options = test_options();

    doomed = world_make(&options);
    (void)gc_ephemeron_create(doomed->mutator, NULL, NULL);
}

static void key_is_foreign(void)
{
    static struct node outside;
    gc_options options = test_options();

    doomed = world_make(&options);
    (void)gc_ephemeron_create(doomed->mutator, &outside, NULL);
}

static void misuse_is_told(void **state)
{
    (void)state;
    expect_abort(key_is_null, "strata: gc_ephemeron_create: the object is NULL");
    expect_abort(key_is_foreign, "strata: gc_ephemeron_create: this is not a reference to an "
                                 "object of the heap");
}

#define TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown), \
        cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(value_lives_with_its_key),
        TEST(value_that_refers_to_its_key_does_not_keep_it),
        TEST(value_dies_with_its_ephemeron),
        TEST(old_ephemeron_keeps_a_young_value_set_later),
        TEST(chains_live_and_die_whole),
        TEST(an_ambiguous_word_reaches_a_key),
        TEST(ephemerons_behind_ephemerons_are_found),
        TEST(keys_and_values_of_all_kinds_work),
        TEST(lanes_without_room_lose_nothing),
        cmocka_unit_test(misuse_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
