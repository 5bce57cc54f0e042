/* SPDX-License-Identifier: MIT
 *
 * Types: what each kind keeps, and trace callbacks.
 */
#include "support/heap.h"

#include <string.h>

/* ---- Kinds: what is kept ------------------------------------------------- */

struct blob {
    uintptr_t words[4];
};
static const gc_type blob_type = GC_TYPE_LEAF("blob", struct blob);
static const gc_type name_type = GC_TYPE_LEAF_TRAILING("name", struct blob, char);

struct pair {
    struct node *kept;
    uintptr_t ignored; /* holds an address, but is no reference */
};
static const uint32_t pair_refs[] = {offsetof(struct pair, kept)};
static const gc_type pair_type = GC_TYPE_STRUCT("pair", struct pair, pair_refs);
static const gc_type pairs_type = GC_TYPE_ARRAY("pairs", struct pair, pair_refs);

struct row {
    struct node *name;
    uintptr_t ignored;
    struct pair cells[];
};
static const uint32_t row_refs[] = {offsetof(struct row, name)};
static const gc_type row_type =
    GC_TYPE_TRAILING("row", struct row, row_refs, struct pair, pair_refs);
static const gc_type text_type = GC_TYPE_TRAILING_LEAF("text", struct row, row_refs, uintptr_t);

static void leaf_keeps_nothing(void **state)
{
    struct world *world = *state;
    struct blob *blob = make_object(world->mutator, &blob_type);

    world->root[0] = blob;
    blob->words[2] = (uintptr_t)make_node(world->mutator, 1);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &blob_type), 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void struct_keeps_what_its_offsets_name_and_no_more(void **state)
{
    struct world *world = *state;
    struct pair *pair = make_object(world->mutator, &pair_type);

    world->root[0] = pair;
    pair->kept = make_node(world->mutator, 1);
    pair->ignored = (uintptr_t)make_node(world->mutator, 2);
    collect(world->mutator, 2);
    pair = world->root[0];
    assert_int_equal(pair->kept->value, 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

static void array_of_references_keeps_every_element(void **state)
{
    enum { COUNT = 700 };
    struct world *world = *state;
    struct node **array;

    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        struct node *node = make_node(world->mutator, i);

        array = world->root[0];
        gc_write(world->mutator, array, &array[i], node);
    }
    collect(world->mutator, 2);
    array = world->root[0];
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(array[i]->value, i);
    assert_int_equal(count_objects(world->mutator, &node_type), COUNT);
}

static void array_of_structs_keeps_the_references_of_each(void **state)
{
    enum { COUNT = 100 };
    struct world *world = *state;
    struct pair *array;

    world->root[0] = make_array(world->mutator, &pairs_type, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        uintptr_t ignored = (uintptr_t)make_node(world->mutator, 1000);
        struct node *kept = make_node(world->mutator, i);

        array = world->root[0];
        array[i].ignored = ignored;
        gc_write(world->mutator, array, &array[i].kept, kept);
    }
    collect(world->mutator, 2);
    array = world->root[0];
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(array[i].kept->value, i);
    assert_int_equal(count_objects(world->mutator, &node_type), COUNT);
}

static void trailing_array_keeps_fixed_and_element_references(void **state)
{
    enum { COUNT = 50 };
    struct world *world = *state;
    struct row *row = make_array(world->mutator, &row_type, COUNT);

    world->root[0] = row;
    row->name = make_node(world->mutator, 7);
    row->ignored = (uintptr_t)make_node(world->mutator, 8);
    for (size_t i = 0; i < COUNT; i++)
        row->cells[i].kept = make_node(world->mutator, i);
    collect(world->mutator, 2);
    row = world->root[0];
    assert_int_equal(row->name->value, 7);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(row->cells[i].kept->value, i);
    assert_int_equal(count_objects(world->mutator, &node_type), COUNT + 1);
}

static void trailing_leaf_array_keeps_fixed_references_only(void **state)
{
    struct world *world = *state;
    struct row *text = make_array(world->mutator, &text_type, 2);

    world->root[0] = text;
    text->name = make_node(world->mutator, 7);
    text->cells[0].kept = make_node(world->mutator, 8);
    collect(world->mutator, 2);
    text = world->root[0];
    assert_int_equal(text->name->value, 7);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

static void leaf_with_a_trailing_array_keeps_nothing_and_holds_its_bytes(void **state)
{
    struct world *world = *state;
    struct blob *name = make_array(world->mutator, &name_type, 100);
    char *text = (char *)(name + 1);

    world->root[0] = name;
    memset(text, 'x', 100);
    name->words[0] = (uintptr_t)make_node(world->mutator, 1);
    collect(world->mutator, 2);
    name = world->root[0];
    text = (char *)(name + 1);
    assert_int_equal(gc_length(name), 100);
    assert_int_equal(gc_size_of(name), sizeof *name + 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(text[i], 'x');
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void empty_arrays_of_every_kind_survive(void **state)
{
    static const gc_type *const types[] = {&gc_type_bytes, &gc_type_references, &gc_type_words,
                                           &pairs_type,    &row_type,           &text_type};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(types); i++)
        world->root[i] = make_array(world->mutator, types[i], 0);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    for (unsigned i = 0; i < GC_COUNT(types); i++) {
        assert_ptr_equal(gc_type_of(world->root[i]), types[i]);
        assert_int_equal(gc_length(world->root[i]), 0);
    }
}

/* ---- Trace callbacks ----------------------------------------------------- */

/* One reference as it is, one kept complemented, and how many to report. */
struct shy {
    struct node *plain;
    uintptr_t complemented;
    uint64_t reported;
};

static void trace_shy(gc_tracer *tracer, void *object)
{
    struct shy *shy = object;

    if (shy->reported > 0)
        gc_trace_slot(tracer, &shy->plain);
    if (shy->reported > 1) {
        void *now = gc_trace_reference(tracer, (void *)~shy->complemented);

        shy->complemented = ~(uintptr_t)now;
    }
}

static const gc_type shy_type = GC_TYPE_TRACED("shy", struct shy, trace_shy);

static void traced_type_keeps_what_it_reports_and_no_more(void **state)
{
    struct world *world = *state;

    for (uint64_t reported = 0; reported < 3; reported++) {
        struct shy *shy = make_object(world->mutator, &shy_type);

        world->root[reported] = shy;
        shy->reported = reported;
        shy->plain = make_node(world->mutator, 1);
        shy->complemented = ~(uintptr_t)make_node(world->mutator, 2);
    }
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0 + 1 + 2);
}

static void traced_references_are_updated_when_they_move(void **state)
{
    struct world *world = *state;
    struct shy *shy = make_object(world->mutator, &shy_type);
    uintptr_t before;

    world->root[0] = shy;
    shy->reported = 2;
    shy->plain = make_node(world->mutator, 1);
    shy->complemented = ~(uintptr_t)make_node(world->mutator, 2);
    before = shy->complemented;
    collect(world->mutator, 0);
    shy = world->root[0];
    assert_true(shy->complemented != before);
    assert_int_equal(shy->plain->value, 1);
    assert_int_equal(((struct node *)~shy->complemented)->value, 2);
}

/* Asks of itself and, after reporting it, of what it refers to: questions that
 * must be answered while objects move. */
struct curious {
    void **array;
    uint64_t asked;
    uint64_t wrong;
};

static const gc_type curious_type;

static void trace_curious(gc_tracer *tracer, void *object)
{
    struct curious *curious = object;
    void **old = curious->array;

    gc_trace_slot(tracer, &curious->array);
    curious->asked++;
    if (gc_type_of(object) != &curious_type || gc_size_of(object) != sizeof *curious ||
        gc_length(object) != 0)
        curious->wrong++;
    for (int i = 0; i < 2; i++, old = curious->array) {
        if (gc_type_of(old) != &gc_type_references || gc_length(old) != 5 ||
            gc_size_of(old) != 5 * sizeof(void *))
            curious->wrong++;
    }
}

static const gc_type curious_type = GC_TYPE_TRACED("curious", struct curious, trace_curious);

static void trace_callback_may_ask_for_type_length_and_size(void **state)
{
    struct world *world = *state;
    struct curious *curious = make_object(world->mutator, &curious_type);

    world->root[0] = curious;
    curious->array = make_array(world->mutator, &gc_type_references, 5);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    curious = world->root[0];
    assert_true(curious->asked >= 1);
    assert_int_equal(curious->wrong, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(leaf_keeps_nothing),
        TEST(struct_keeps_what_its_offsets_name_and_no_more),
        TEST(array_of_references_keeps_every_element),
        TEST(array_of_structs_keeps_the_references_of_each),
        TEST(trailing_array_keeps_fixed_and_element_references),
        TEST(trailing_leaf_array_keeps_fixed_references_only),
        TEST(leaf_with_a_trailing_array_keeps_nothing_and_holds_its_bytes),
        TEST(empty_arrays_of_every_kind_survive),
        TEST(traced_type_keeps_what_it_reports_and_no_more),
        MOVING(traced_references_are_updated_when_they_move),
        TEST(trace_callback_may_ask_for_type_length_and_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
