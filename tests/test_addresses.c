/* SPDX-License-Identifier: MIT
 *
 * Which address is an object, visits of all of them, and sizes too big to be one.
 */
#include "support/heap.h"

#include <stdlib.h>
#include <string.h>

/* ---- Which address is what ----------------------------------------------- */

static void only_references_are_objects(void **state)
{
    struct world *world = *state;
    static struct node in_data;
    struct node on_stack;
    struct node *in_malloc = malloc(sizeof *in_malloc);
    char *object = (char *)make_node(world->mutator, 1);

    assert_true(gc_is_object(world->mutator, object));
    for (ptrdiff_t at = -16; at <= (ptrdiff_t)sizeof(struct node); at++)
        assert_int_equal(gc_is_object(world->mutator, object + at), at == 0);
    assert_false(gc_is_object(world->mutator, NULL));
    assert_false(gc_is_object(world->mutator, (void *)UINTPTR_MAX));
    assert_false(gc_is_object(world->mutator, (void *)(UINTPTR_MAX - 7)));
    assert_false(gc_is_object(world->mutator, (void *)8));
    assert_false(gc_is_object(world->mutator, &in_data));
    assert_false(gc_is_object(world->mutator, &on_stack));
    assert_false(gc_is_object(world->mutator, in_malloc));
    free(in_malloc);
}

static void any_address_of_the_heap_may_be_asked(void **state)
{
    enum { SPAN = 6 << 20, STEP = 997 };
    struct world *world = *state;
    char *small = (char *)make_node(world->mutator, 1);
    char *large = make_array(world->mutator, &gc_type_bytes, 500000);
    size_t found = 0;

    world->root[0] = small;
    world->root[1] = large;
    for (ptrdiff_t at = -SPAN; at < SPAN; at += STEP) {
        void *object = gc_object_at(world->mutator, large + at);

        found += object != NULL;
        assert_true(object == NULL || gc_is_object(world->mutator, object));
        assert_true(!gc_is_object(world->mutator, small + at) ||
                    gc_object_at(world->mutator, small + at) == small + at);
    }
    assert_true(found >= 500000 / STEP);
}

static void object_at_finds_interior_and_one_past_the_end(void **state)
{
    static const size_t sizes[] = {1, 8, 100, 8000, 9000, 70000};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        char *object = make_array(world->mutator, &gc_type_bytes, sizes[i]);

        world->root[i] = object;
        for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
            object = world->root[i];
            assert_ptr_equal(gc_object_at(world->mutator, object), object);
            assert_ptr_equal(gc_object_at(world->mutator, object + 1), object);
            assert_ptr_equal(gc_object_at(world->mutator, object + sizes[i] / 2), object);
            assert_ptr_equal(gc_object_at(world->mutator, object + sizes[i] - 1), object);
            assert_ptr_equal(gc_object_at(world->mutator, object + sizes[i]), object);
            collect(world->mutator, generation);
        }
    }
}

static void object_at_finds_nothing_where_nothing_is(void **state)
{
    struct world *world = *state;
    char *object = (char *)make_node(world->mutator, 1);
    int local = 0;

    assert_null(gc_object_at(world->mutator, NULL));
    assert_null(gc_object_at(world->mutator, &local));
    assert_null(gc_object_at(world->mutator, (void *)UINTPTR_MAX));
    assert_null(gc_object_at(world->mutator, object + sizeof(struct node) + 1000));
    assert_null(gc_object_at(world->mutator, object - GC_HEADER_BYTES - 1000));
}

static void dead_objects_are_none_after_a_collection(void **state)
{
    struct world *world = *state;
    char *small = (char *)make_node(world->mutator, 1);
    char *large = make_array(world->mutator, &gc_type_bytes, 100000);

    assert_true(gc_is_object(world->mutator, large));
    collect(world->mutator, 0);
    assert_false(gc_is_object(world->mutator, small));
    assert_false(gc_is_object(world->mutator, large));
    assert_null(gc_object_at(world->mutator, small + 8));
    assert_null(gc_object_at(world->mutator, large + 50000));
}

static void address_of_another_heap_is_no_object(void **state)
{
    struct world *world = *state;
    gc_options options = test_options();
    struct world *other;
    struct node *node;

    options.stacks = GC_STACKS_EXACT;
    other = world_make(&options);
    node = make_node(other->mutator, 1);
    assert_false(gc_is_object(world->mutator, node));
    assert_null(gc_object_at(world->mutator, node));
    assert_true(gc_is_object(other->mutator, node));
    world_free(other);
}

static void address_of_a_destroyed_heap_is_no_object(void **state)
{
    struct world *world = *state;
    struct world *other = world_make(NULL);
    struct node *node = make_node(other->mutator, 1);

    world_free(other);
    assert_false(gc_is_object(world->mutator, node));
    assert_null(gc_object_at(world->mutator, node));
}

/* ---- Visits -------------------------------------------------------------- */

static void count_value(void *object, void *data)
{
    unsigned char *seen = data;

    if (gc_type_of(object) == &node_type)
        seen[((struct node *)object)->value]++;
}

static void visit_meets_each_object_once(void **state)
{
    enum { LENGTH = 2000 };
    struct world *world = *state;
    unsigned char seen[LENGTH];

    world->root[0] = build_list(world->mutator, LENGTH);
    world->root[1] = make_array(world->mutator, &gc_type_bytes, 100000);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        memset(seen, 0, sizeof seen);
        gc_heap_visit(world->mutator, count_value, seen);
        for (size_t i = 0; i < LENGTH; i++)
            assert_int_equal(seen[i], 1);
        assert_int_equal(count_objects(world->mutator, &gc_type_bytes), 1);
        collect(world->mutator, generation);
    }
}

static void visit_of_an_empty_heap_meets_nothing(void **state)
{
    struct world *world = *state;

    assert_int_equal(count_objects(world->mutator, &node_type), 0);
    assert_int_equal(gc_verify(world->mutator), 0);
}

/* ---- Too big ------------------------------------------------------------- */

static void assert_refused(const struct world *world, const gc_type *type, size_t length)
{
    assert_null(gc_alloc_array(world->mutator, type, length));
    assert_int_equal(count_objects(world->mutator, type), 0);
}

static void sizes_that_overflow_or_exceed_the_limit_give_null(void **state)
{
    static const uint32_t offsets[] = {0};
    static const gc_type wide = GC_TYPE_ARRAY("wide", struct node, offsets);
    struct world *world = *state;
    static const size_t lengths[] = {SIZE_MAX,
                                     SIZE_MAX - 7,
                                     SIZE_MAX / 2,
                                     SIZE_MAX / 2 + 1,
                                     SIZE_MAX / 4 + 1,
                                     SIZE_MAX / 8,
                                     SIZE_MAX / 8 + 1,
                                     SIZE_MAX / sizeof(struct node),
                                     SIZE_MAX / sizeof(struct node) + 1,
                                     (size_t)1 << 48,
                                     (size_t)300 << 20};

    world->root[0] = build_list(world->mutator, 100);
    for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
        assert_refused(world, &gc_type_bytes, lengths[i]);
        assert_refused(world, &gc_type_references, lengths[i]);
        assert_refused(world, &gc_type_words, lengths[i]);
        assert_refused(world, &wide, lengths[i]);
    }
    assert_true(is_intact_list(world->root[0], 100));
    assert_int_equal(gc_verify(world->mutator), 0);
}

static void huge_fixed_sizes_give_null(void **state)
{
    static gc_type huge = GC_TYPE_LEAF("huge", struct node);
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 7, SIZE_MAX - 15, SIZE_MAX / 2,
                                   (size_t)1 << 47};
    struct world *world = *state;

    huge.object_bytes = GC_OUT_OF_LINE;
    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        huge.size = sizes[i];
        assert_null(gc_alloc(world->mutator, &huge));
    }
    assert_non_null(gc_alloc(world->mutator, &node_type));
}

/* Before the elements, what an array begins with. */
static void huge_beginnings_of_arrays_give_null(void **state)
{
    static gc_type huge = GC_TYPE_LEAF_ARRAY("huge", uint64_t);
    static const size_t sizes[] = {SIZE_MAX,      SIZE_MAX - 7, SIZE_MAX - 15,  SIZE_MAX - 31,
                                   SIZE_MAX - 63, SIZE_MAX / 2, (size_t)1 << 47};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        huge.size = sizes[i];
        assert_non_null(gc_alloc(world->mutator, &node_type)); /* a run is open */
        assert_null(gc_alloc_array(world->mutator, &huge, 0));
        assert_null(gc_alloc_array(world->mutator, &huge, 3));
        assert_null(gc_alloc_array(world->mutator, &huge, 1000));
    }
    assert_int_equal(gc_verify(world->mutator), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_references_are_objects),
        TEST(any_address_of_the_heap_may_be_asked),
        TEST(object_at_finds_interior_and_one_past_the_end),
        TEST(object_at_finds_nothing_where_nothing_is),
        TEST(dead_objects_are_none_after_a_collection),
        TEST(address_of_another_heap_is_no_object),
        TEST(address_of_a_destroyed_heap_is_no_object),
        TEST(visit_meets_each_object_once),
        TEST(visit_of_an_empty_heap_meets_nothing),
        TEST(sizes_that_overflow_or_exceed_the_limit_give_null),
        TEST(huge_fixed_sizes_give_null),
        TEST(huge_beginnings_of_arrays_give_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
