/* SPDX-License-Identifier: MIT
 *
 * Pins: they hold an object in its place, and not alive. In a heap where all
 * that is not pinned moves at every collection.
 */
#include "heap/heap.h"
#include "support/heap.h"

#include <stdlib.h>

static void pinned_object_stays_until_unpinned(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);

    world->root[0] = node;
    assert_int_equal(gc_pin(world->mutator, node), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_ptr_equal(world->root[0], node);
    }
    collect(world->mutator, 2);
    assert_ptr_equal(world->root[0], node);
    assert_int_equal(node->value, 5);

    assert_int_equal(gc_unpin(world->mutator, node), GC_OK);
    collect(world->mutator, 2);
    assert_ptr_not_equal(world->root[0], node);
    assert_int_equal(((struct node *)world->root[0])->value, 5);
}

static void pin_does_not_keep_alive(void **state)
{
    struct world *world = *state;

    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        struct node *node = make_node(world->mutator, 5);

        assert_int_equal(gc_pin(world->mutator, node), GC_OK);
        collect(world->mutator, generation);
        assert_int_equal(count_objects(world->mutator, &node_type), 0);
    }
    assert_int_equal(gc_verify(world->mutator), 0);
}

/* A pin that its object took along when it died must not hold what is made in
 * the same place later. */
static void pin_dies_with_its_object(void **state)
{
    enum { COUNT = 1000 };
    struct world *world = *state;
    gc_report report;

    for (uint64_t i = 0; i < COUNT; i++)
        assert_int_equal(gc_pin(world->mutator, make_node(world->mutator, i)), GC_OK);
    collect(world->mutator, 2);
    world->root[0] = build_list(world->mutator, COUNT);
    report = collect(world->mutator, 2);
    assert_int_equal(report.moved_bytes, report.survived_bytes);
    assert_int_equal(gc_unpin(world->mutator, world->root[0]), GC_NOT_FOUND);
    assert_true(is_intact_list(world->root[0], COUNT));
}

static void pins_count(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);

    world->root[0] = node;
    for (int i = 0; i < 3; i++)
        assert_int_equal(gc_pin(world->mutator, node), GC_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gc_unpin(world->mutator, node), GC_OK);
        collect(world->mutator, 2);
        assert_ptr_equal(world->root[0], node);
    }
    assert_int_equal(gc_unpin(world->mutator, node), GC_OK);
    assert_int_equal(gc_unpin(world->mutator, node), GC_NOT_FOUND);
    collect(world->mutator, 2);
    assert_ptr_not_equal(world->root[0], node);
}

static void unpinning_what_was_never_pinned_is_not_found(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);

    assert_int_equal(gc_unpin(world->mutator, node), GC_NOT_FOUND);
    assert_int_equal(gc_pin(world->mutator, make_node(world->mutator, 6)), GC_OK);
    assert_int_equal(gc_unpin(world->mutator, node), GC_NOT_FOUND);
}

static void pin_once_lasts_for_one_collection(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);

    world->root[0] = node;
    assert_int_equal(gc_pin_once(world->mutator, node), GC_OK);
    collect(world->mutator, 2);
    assert_ptr_equal(world->root[0], node);
    collect(world->mutator, 2);
    assert_ptr_not_equal(world->root[0], node);
    assert_int_equal(((struct node *)world->root[0])->value, 5);
}

static void pin_once_in_each_generation_moves_afterwards(void **state)
{
    struct world *world = *state;

    for (unsigned age = 0; age < GC_GENERATIONS; age++) {
        struct node *node;

        world->root[0] = make_node(world->mutator, age);
        for (unsigned i = 0; i < age; i++)
            collect(world->mutator, i);
        node = world->root[0];
        assert_int_equal(gc_pin_once(world->mutator, node), GC_OK);
        collect(world->mutator, age);
        assert_ptr_equal(world->root[0], node);
        collect(world->mutator, 2);
        assert_ptr_not_equal(world->root[0], node);
        assert_int_equal(((struct node *)world->root[0])->value, age);
    }
}

/* A compaction is one collection to its caller, however many it takes. */
static void pin_once_lasts_through_a_compaction(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);

    world->root[0] = node;
    assert_int_equal(gc_pin_once(world->mutator, node), GC_OK);
    compact(world->mutator);
    assert_ptr_equal(world->root[0], node);
    collect(world->mutator, 2);
    assert_ptr_not_equal(world->root[0], node);
}

static void pin_once_adds_nothing_to_the_count(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);

    world->root[0] = node;
    assert_int_equal(gc_pin_once(world->mutator, node), GC_OK);
    assert_int_equal(gc_unpin(world->mutator, node), GC_NOT_FOUND);
    assert_int_equal(gc_pin(world->mutator, node), GC_OK);
    collect(world->mutator, 2);
    collect(world->mutator, 2);
    assert_ptr_equal(world->root[0], node);
    assert_int_equal(gc_unpin(world->mutator, node), GC_OK);
    collect(world->mutator, 2);
    assert_ptr_not_equal(world->root[0], node);
}

static void pinned_once_twice_is_pinned_once(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);

    world->root[0] = node;
    assert_int_equal(gc_pin_once(world->mutator, node), GC_OK);
    assert_int_equal(gc_pin_once(world->mutator, node), GC_OK);
    assert_int_equal(world->heap->collector.pinned_once.count, 1);
    collect(world->mutator, 2);
    assert_ptr_equal(world->root[0], node);
    collect(world->mutator, 2);
    assert_ptr_not_equal(world->root[0], node);
}

static void large_and_born_pinned_objects_may_be_pinned(void **state)
{
    struct world *world = *state;

    world->root[0] = make_array(world->mutator, &gc_type_bytes, 100000);
    world->root[1] = make_array(world->mutator, &gc_type_words, 10);
    for (unsigned i = 0; i < 2; i++) {
        void *object = world->root[i];

        assert_int_equal(gc_pin(world->mutator, object), GC_OK);
        collect(world->mutator, 2);
        assert_ptr_equal(world->root[i], object);
        assert_int_equal(gc_unpin(world->mutator, object), GC_OK);
        assert_int_equal(gc_unpin(world->mutator, object), GC_NOT_FOUND);
    }
}

static void pinned_object_refers_to_what_moves(void **state)
{
    struct world *world = *state;
    struct node *list = build_list(world->mutator, 100);

    world->root[0] = list;
    assert_int_equal(gc_pin(world->mutator, list), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_ptr_equal(world->root[0], list);
        assert_true(is_intact_list(list, 100));
    }
    collect(world->mutator, 2);
    assert_true(is_intact_list(list, 100));
    assert_int_equal(gc_unpin(world->mutator, list), GC_OK);
}

/* Pinned ones among garbage: new objects must go round them. */
static void allocation_goes_round_pinned_objects(void **state)
{
    enum { COUNT = 500 };
    struct world *world = *state;
    void **array = make_array(world->mutator, &gc_type_references, COUNT);

    world->root[0] = array;
    assert_int_equal(gc_pin(world->mutator, array), GC_OK);
    for (size_t i = 0; i < COUNT; i++) {
        struct node *node = make_node(world->mutator, i);

        gc_write(world->mutator, array, &array[i], node);
        assert_int_equal(gc_pin(world->mutator, node), GC_OK);
        make_garbage(world->mutator, 1000);
    }
    for (unsigned round = 0; round < 12; round++) {
        collect(world->mutator, round % GC_GENERATIONS);
        make_garbage(world->mutator, (size_t)1 << 20);
        for (size_t i = 0; i < COUNT; i++) {
            assert_true(gc_is_object(world->mutator, array[i]));
            assert_int_equal(((struct node *)array[i])->value, i);
        }
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(gc_unpin(world->mutator, array[i]), GC_OK);
    assert_int_equal(gc_unpin(world->mutator, array), GC_OK);
}

/* Pinned objects far apart: their blocks' free lines must feed the nursery. */
static void pins_cost_lines_not_blocks(void **state)
{
    enum { COUNT = 1000, APART = 32 << 10 };
    gc_options options = test_options();
    struct world *world;
    gc_stats before;
    gc_stats after;

    (void)state;
    options.check = GC_CHECK_OFF;
    options.stacks = GC_STACKS_EXACT;
    world = world_make(&options);
    make_garbage(world->mutator, (size_t)4 << 20);
    before = stats_of(world->heap);
    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        struct node *node = make_node(world->mutator, i);
        void **array = world->root[0];

        gc_write(world->mutator, array, &array[i], node);
        assert_int_equal(gc_pin(world->mutator, node), GC_OK);
        make_garbage(world->mutator, APART);
    }
    after = stats_of(world->heap);
    assert_true(after.committed_bytes <= before.committed_bytes + ((size_t)4 << 20));
    world_free(world);
}

static void hundred_thousand_pins_come_and_go(void **state)
{
    struct world *world = *state;
    struct node **array;
    size_t count = is_slowed() ? 10000 : 100000, at = 0;

    world->root[0] = make_array(world->mutator, &gc_type_references, count);
    for (size_t i = 0; i < count; i++) {
        struct node *node = make_node(world->mutator, i);

        array = world->root[0];
        gc_write(world->mutator, array, &array[i], node);
        assert_int_equal(gc_pin(world->mutator, node), GC_OK);
    }
    collect(world->mutator, 2);
    array = world->root[0];
    for (size_t i = 0; i < count; i++, at = (at + 61803) % count) {
        assert_int_equal(array[at]->value, at);
        assert_int_equal(gc_unpin(world->mutator, array[at]), GC_OK);
    }
    collect(world->mutator, 2);
    array = world->root[0];
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(array[i]->value, i);
        assert_int_equal(gc_unpin(world->mutator, array[i]), GC_NOT_FOUND);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pinned_object_stays_until_unpinned),
        TEST(pin_does_not_keep_alive),
        TEST(pin_dies_with_its_object),
        TEST(pins_count),
        TEST(unpinning_what_was_never_pinned_is_not_found),
        TEST(pin_once_lasts_for_one_collection),
        TEST(pin_once_in_each_generation_moves_afterwards),
        TEST(pin_once_lasts_through_a_compaction),
        TEST(pin_once_adds_nothing_to_the_count),
        TEST(pinned_once_twice_is_pinned_once),
        TEST(large_and_born_pinned_objects_may_be_pinned),
        TEST(pinned_object_refers_to_what_moves),
        TEST(allocation_goes_round_pinned_objects),
        cmocka_unit_test(pins_cost_lines_not_blocks),
        TEST(hundred_thousand_pins_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
