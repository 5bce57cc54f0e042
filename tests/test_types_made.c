/* SPDX-License-Identifier: MIT
 *
 * Types made at run time, and what becomes of them.
 */
#include "support/heap.h"

#include <stdlib.h>
#include <string.h>

struct blob {
    uintptr_t words[4];
};

struct pair {
    struct node *kept;
    uintptr_t ignored; /* holds an address, but is no reference */
};
static const uint32_t pair_refs[] = {offsetof(struct pair, kept)};

static void count_call(void *data)
{
    ++*(int *)data;
}

static gc_type *create_pair_type(gc_mutator *mutator, void *class_object)
{
    uint32_t refs[] = {offsetof(struct pair, kept)};
    gc_type layout = GC_TYPE_STRUCT("made pair", struct pair, refs);
    gc_type *type = gc_type_create(mutator, &layout, class_object);

    assert_non_null(type);
    memset(refs, 0xff, sizeof refs);
    memset(&layout, 0xff, sizeof layout);
    return type;
}

static void made_type_is_a_copy_of_its_layout(void **state)
{
    struct world *world = *state;
    gc_type *type = create_pair_type(world->mutator, NULL);
    struct pair *pair = make_object(world->mutator, type);

    world->root[0] = pair;
    pair->kept = make_node(world->mutator, 5);
    collect(world->mutator, 2);
    pair = world->root[0];
    assert_ptr_equal(gc_type_of(pair), type);
    assert_int_equal(type->size, sizeof(struct pair));
    assert_null(gc_type_class(type));
    assert_int_equal(pair->kept->value, 5);
}

static void made_array_type_copies_element_offsets(void **state)
{
    struct world *world = *state;
    uint32_t refs[] = {offsetof(struct pair, kept)};
    gc_type layout = GC_TYPE_ARRAY("made pairs", struct pair, refs);
    gc_type *type = gc_type_create(world->mutator, &layout, NULL);
    struct pair *pairs;

    assert_non_null(type);
    refs[0] = UINT32_MAX;
    world->root[0] = pairs = make_array(world->mutator, type, 3);
    pairs[2].kept = make_node(world->mutator, 5);
    collect(world->mutator, 2);
    pairs = world->root[0];
    assert_int_equal(pairs[2].kept->value, 5);
}

struct pieces {
    uint64_t before;
    struct node *nodes[3];
};

static void made_array_type_copies_all_element_offsets(void **state)
{
    struct world *world = *state;
    uint32_t refs[] = {8, 16, 24};
    gc_type layout = GC_TYPE_ARRAY("made pieces", struct pieces, refs);
    gc_type *type = gc_type_create(world->mutator, &layout, NULL);
    struct pieces *pieces;

    assert_non_null(type);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(type->element_refs[i], refs[i]);
    world->root[0] = pieces = make_array(world->mutator, type, 2);
    for (unsigned i = 0; i < 3; i++) {
        struct node *node = make_node(world->mutator, i);

        pieces = world->root[0];
        pieces[1].nodes[i] = node;
    }
    collect(world->mutator, 2);
    pieces = world->root[0];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pieces[1].nodes[i]->value, i);
}

/* The macros fill in what the inline path needs for plain objects; a copy that
 * asks for more must not go that way. */
static void made_type_has_the_flags_and_alignment_it_asks_for(void **state)
{
    struct world *world = *state;
    gc_type layout = GC_TYPE_STRUCT("made fixed pair", struct pair, pair_refs);
    gc_type *type;
    struct pair *pair;

    layout.flags = GC_TYPE_PINNED;
    layout.alignment = 64;
    type = gc_type_create(world->mutator, &layout, NULL);
    assert_non_null(type);
    for (int i = 0; i < 3; i++) {
        (void)make_node(world->mutator, 0);
        pair = make_object(world->mutator, type);
        world->root[0] = pair;
        assert_int_equal((uintptr_t)pair % 64, 0);
        collect(world->mutator, 0);
        assert_ptr_equal(world->root[0], pair);
    }
}

static void instance_keeps_the_class_object_and_it_may_move(void **state)
{
    struct world *world = *state;
    struct node *class_object = make_node(world->mutator, 77);
    gc_type *type = create_pair_type(world->mutator, class_object);

    world->root[0] = make_object(world->mutator, type);
    collect(world->mutator, 0);
    assert_ptr_not_equal(gc_type_class(type), class_object);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    class_object = gc_type_class(type);
    assert_true(gc_is_object(world->mutator, class_object));
    assert_int_equal(class_object->value, 77);
}

/* The class object is kept young by a pin while its instance grows old: then
 * only the old instance's descriptor refers to it. */
static void young_class_of_an_old_instance_survives_young_collections(void **state)
{
    struct world *world = *state;
    struct node *class_object = make_node(world->mutator, 77);
    gc_type *type = create_pair_type(world->mutator, class_object);

    world->root[0] = make_object(world->mutator, type);
    assert_int_equal(gc_pin(world->mutator, class_object), GC_OK);
    collect(world->mutator, 1);
    collect(world->mutator, 1);
    assert_int_equal(gc_generation_of(world->mutator, world->root[0]), GC_OLD);
    assert_int_equal(gc_unpin(world->mutator, gc_type_class(type)), GC_OK);
    collect(world->mutator, 0);
    collect(world->mutator, 1);
    class_object = gc_type_class(type);
    assert_true(gc_is_object(world->mutator, class_object));
    assert_int_equal(class_object->value, 77);
}

static void class_object_outlives_retirement_while_an_instance_lives(void **state)
{
    struct world *world = *state;
    int calls = 0;
    gc_type *type = create_pair_type(world->mutator, make_node(world->mutator, 77));

    world->root[0] = make_object(world->mutator, type);
    gc_type_retire(world->mutator, type, count_call, &calls);
    for (int i = 0; i < 5; i++) {
        collect(world->mutator, 2);
        assert_int_equal(calls, 0);
        assert_int_equal(((struct node *)gc_type_class(type))->value, 77);
    }
}

static void retired_type_goes_with_its_last_instance(void **state)
{
    struct world *world = *state;
    int calls = 0;
    gc_type *type = create_pair_type(world->mutator, make_node(world->mutator, 77));

    world->root[0] = make_object(world->mutator, type);
    gc_type_retire(world->mutator, type, count_call, &calls);
    collect(world->mutator, 2);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(calls, 1);
    collect(world->mutator, 2);
    collect(world->mutator, 2);
    assert_int_equal(calls, 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void retired_type_without_instances_goes_at_the_next_full_collection(void **state)
{
    struct world *world = *state;
    int calls = 0;

    gc_type_retire(world->mutator, create_pair_type(world->mutator, NULL), count_call, &calls);
    gc_type_retire(world->mutator, create_pair_type(world->mutator, NULL), NULL, NULL);
    assert_int_equal(calls, 0);
    collect(world->mutator, 2);
    assert_int_equal(calls, 1);
}

/* A leaf is never scanned: it must be noticed all the same, however it is
 * reached. */
static void leaf_instance_keeps_a_retired_type(void **state)
{
    struct world *world = *state;
    gc_type layout = GC_TYPE_LEAF("made blob", struct blob);
    int calls = 0;

    for (unsigned i = 0; i < 3; i++) {
        gc_type *type = gc_type_create(world->mutator, &layout, make_node(world->mutator, i));
        struct node *node = make_node(world->mutator, 10);

        assert_non_null(type);
        world->root[i] = i == 0 ? (void *)node : make_object(world->mutator, type);
        if (i == 0)
            gc_write(world->mutator, node, &node->left, make_object(world->mutator, type));
        gc_type_retire(world->mutator, type, count_call, &calls);
    }
    assert_int_equal(gc_pin(world->mutator, world->root[2]), GC_OK);
    for (int i = 0; i < 4; i++) {
        collect(world->mutator, 2);
        assert_int_equal(calls, 0);
        assert_int_equal(count_objects(world->mutator, &node_type), 1 + 3);
    }
}

/* Those that find no room on the mark stack are found again. */
static void pinned_leaf_instances_keep_their_types_when_the_stack_is_full(void **state)
{
    enum { COUNT = 2000 };
    gc_options options = {.size = sizeof options, .settings = "check=deep,stress=tiny-stack"};
    gc_type layout = GC_TYPE_LEAF("made blob", struct blob);
    uintptr_t *words = calloc(COUNT, sizeof *words);
    struct world *world;
    int calls = 0;

    (void)state;
    options.stacks = GC_STACKS_EXACT;
    world = world_make(&options);
    assert_non_null(words);
    assert_int_equal(gc_root_range_add(world->heap, words, COUNT, GC_AMBIGUOUS), GC_OK);
    for (size_t i = 0; i < COUNT; i++) {
        gc_type *type = gc_type_create(world->mutator, &layout, NULL);

        assert_non_null(type);
        words[i] = (uintptr_t)make_object(world->mutator, type);
        gc_type_retire(world->mutator, type, count_call, &calls);
    }
    collect(world->mutator, 2);
    collect(world->mutator, 2);
    assert_int_equal(calls, 0);
    assert_true(stats_of(world->heap).mark_overflows > 0);
    memset(words, 0, COUNT * sizeof *words);
    collect(world->mutator, 2);
    assert_int_equal(calls, COUNT);
    assert_int_equal(gc_root_range_remove(world->heap, words), GC_OK);
    world_free(world);
    free(words);
}

static void large_leaf_instance_keeps_a_retired_type(void **state)
{
    struct world *world = *state;
    gc_type layout = GC_TYPE_LEAF_ARRAY("made bytes", char);
    gc_type *type = gc_type_create(world->mutator, &layout, NULL);
    int calls = 0;

    assert_non_null(type);
    world->root[0] = make_array(world->mutator, type, 100000);
    gc_type_retire(world->mutator, type, count_call, &calls);
    collect(world->mutator, 2);
    collect(world->mutator, 2);
    assert_int_equal(calls, 0);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(calls, 1);
}

static void retired_array_type_keeps_its_elements_traced(void **state)
{
    struct world *world = *state;
    uint32_t refs[] = {offsetof(struct pair, kept)};
    gc_type layout = GC_TYPE_ARRAY("made pairs", struct pair, refs);
    static const size_t lengths[] = {3, 5000};

    for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
        gc_type *type = gc_type_create(world->mutator, &layout, NULL);
        struct pair *pairs = make_array(world->mutator, type, lengths[i]);

        world->root[i] = pairs;
        pairs[lengths[i] - 1].kept = make_node(world->mutator, i);
        gc_type_retire(world->mutator, type, NULL, NULL);
    }
    for (unsigned round = 0; round < 4; round++) {
        collect(world->mutator, 2);
        for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
            struct pair *pairs = world->root[i];

            assert_int_equal(pairs[lengths[i] - 1].kept->value, i);
        }
    }
}

static void young_instance_keeps_a_retired_type(void **state)
{
    struct world *world = *state;
    int calls = 0;
    gc_type *type = create_pair_type(world->mutator, NULL);
    struct pair *pair;

    world->root[0] = make_object(world->mutator, type);
    gc_type_retire(world->mutator, type, count_call, &calls);
    collect(world->mutator, 0);
    collect(world->mutator, 1);
    collect(world->mutator, 2);
    pair = world->root[0];
    assert_int_equal(calls, 0);
    assert_ptr_equal(gc_type_of(pair), type);
}

static void a_thousand_types_come_and_go(void **state)
{
    enum { COUNT = 1000 };
    struct world *world = *state;
    int calls = 0;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            gc_type *type = create_pair_type(world->mutator, make_node(world->mutator, 1));

            (void)make_object(world->mutator, type);
            gc_type_retire(world->mutator, type, count_call, &calls);
        }
        collect(world->mutator, 2);
        assert_int_equal(calls, COUNT * (round + 1));
    }
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(made_type_is_a_copy_of_its_layout),
        TEST(made_array_type_copies_element_offsets),
        TEST(made_array_type_copies_all_element_offsets),
        MOVING(made_type_has_the_flags_and_alignment_it_asks_for),
        MOVING(instance_keeps_the_class_object_and_it_may_move),
        TEST(young_class_of_an_old_instance_survives_young_collections),
        TEST(class_object_outlives_retirement_while_an_instance_lives),
        TEST(retired_type_goes_with_its_last_instance),
        TEST(retired_type_without_instances_goes_at_the_next_full_collection),
        TEST(leaf_instance_keeps_a_retired_type),
        cmocka_unit_test(pinned_leaf_instances_keep_their_types_when_the_stack_is_full),
        TEST(large_leaf_instance_keeps_a_retired_type),
        TEST(retired_array_type_keeps_its_elements_traced),
        TEST(young_instance_keeps_a_retired_type),
        TEST(a_thousand_types_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
