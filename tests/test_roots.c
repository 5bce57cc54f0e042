/* SPDX-License-Identifier: MIT
 *
 * Roots: slots and callbacks.
 */
#include "heap/heap.h"
#include "support/heap.h"

#include <stdlib.h>
#include <time.h>

/* ---- Slots --------------------------------------------------------------- */

static struct node *global;

static void slot_keeps_and_is_updated_until_removed(void **state)
{
    struct world *world = *state;
    struct node *before = make_node(world->mutator, 5);

    global = before;
    assert_int_equal(gc_root_add(world->heap, &global), GC_OK);
    collect(world->mutator, 0);
    assert_ptr_not_equal(global, before);
    assert_int_equal(global->value, 5);

    assert_int_equal(gc_root_remove(world->heap, &global), GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void slots_to_one_object_stay_equal(void **state)
{
    enum { COUNT = 50 };
    struct world *world = *state;
    struct node *slots[COUNT];

    slots[0] = make_node(world->mutator, 5);
    for (size_t i = 0; i < COUNT; i++) {
        slots[i] = slots[0];
        assert_int_equal(gc_root_add(world->heap, &slots[i]), GC_OK);
    }
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        for (size_t i = 0; i < COUNT; i++)
            assert_ptr_equal(slots[i], slots[0]);
        assert_int_equal(slots[0]->value, 5);
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(gc_root_remove(world->heap, &slots[i]), GC_OK);
}

static void null_and_foreign_references_are_left_alone(void **state)
{
    static struct node outside;
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 1);
    void *null = NULL;
    void *foreign = &outside;

    assert_int_equal(gc_root_add(world->heap, &null), GC_OK);
    assert_int_equal(gc_root_add(world->heap, &foreign), GC_OK);
    world->root[0] = node;
    node->left = &outside;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    node = world->root[0];
    assert_null(null);
    assert_ptr_equal(foreign, &outside);
    assert_ptr_equal(node->left, &outside);
    assert_int_equal(gc_root_remove(world->heap, &null), GC_OK);
    assert_int_equal(gc_root_remove(world->heap, &foreign), GC_OK);
}

static void slot_may_be_added_again_after_removal(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(gc_root_add(world->heap, &global), GC_OK);
        assert_int_equal(gc_root_remove(world->heap, &global), GC_OK);
        assert_int_equal(gc_root_remove(world->heap, &global), GC_NOT_FOUND);
    }
}

/* Nothing reads them: no collection comes while they are registered. */
static void words_beside_the_heap_may_be_roots(void **state)
{
    struct world *world = *state;
    const struct gc_tables *tables = gc_heap_tables(world->heap);
    void **below = (void *)(tables->base - sizeof *below);
    void **above = (void *)(tables->base + tables->bytes);

    assert_int_equal(gc_root_add(world->heap, below), GC_OK);
    assert_int_equal(gc_root_add(world->heap, above), GC_OK);
    assert_int_equal(gc_root_range_add(world->heap, below, 1, GC_EXACT), GC_OK);
    assert_int_equal(gc_root_remove(world->heap, below), GC_OK);
    assert_int_equal(gc_root_remove(world->heap, above), GC_OK);
    assert_int_equal(gc_root_range_remove(world->heap, below), GC_OK);
}

/* Each heap on this thread follows its own roots and leaves the other's. */
static void heaps_keep_their_roots_apart(void **state)
{
    struct world *world = *state;
    gc_options options = test_options();
    struct world *other;

    options.stacks = GC_STACKS_EXACT;
    other = world_make(&options);
    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = make_node(other->mutator, 2);
    other->root[0] = world->root[1];
    collect(world->mutator, 2);
    assert_int_equal(((struct node *)world->root[0])->value, 1);
    assert_ptr_equal(world->root[1], other->root[0]);
    world->root[1] = NULL;
    collect(other->mutator, 2);
    assert_int_equal(((struct node *)other->root[0])->value, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
    world_free(other);
}

/* ---- A hundred thousand -------------------------------------------------- */

enum { MANY = 100000 };

static void remove_slots(const struct world *world, void **slots, size_t first, size_t stride)
{
    size_t at = first;

    for (size_t i = 0; i < MANY; i++, at = (at + stride) % MANY)
        assert_int_equal(gc_root_remove(world->heap, &slots[at]), GC_OK);
}

static void add_slots(const struct world *world, void **slots)
{
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(gc_root_add(world->heap, &slots[i]), GC_OK);
}

/* First to last, last to first, and in no order. Anything that searches would
 * take 15 thousand million steps. */
static void many_slots_are_added_and_removed_in_any_order(void **state)
{
    struct world *world = *state;
    void **slots = calloc(MANY, sizeof *slots);
    clock_t start = clock();

    assert_non_null(slots);
    add_slots(world, slots);
    remove_slots(world, slots, 0, 1);
    add_slots(world, slots);
    remove_slots(world, slots, MANY - 1, MANY - 1);
    add_slots(world, slots);
    remove_slots(world, slots, 0, 61803); /* coprime to MANY: meets all */
    assert_true(is_slowed() || (clock() - start) / CLOCKS_PER_SEC < 10);
    free(slots);
}

static void many_slots_all_keep(void **state)
{
    struct world *world = *state;
    void **slots = calloc(MANY, sizeof *slots);

    assert_non_null(slots);
    add_slots(world, slots);
    for (size_t i = 0; i < MANY; i += 100)
        slots[i] = make_node(world->mutator, i);
    collect(world->mutator, 2);
    for (size_t i = 0; i < MANY; i += 100)
        assert_int_equal(((struct node *)slots[i])->value, i);
    assert_int_equal(count_objects(world->mutator, &node_type), MANY / 100);
    remove_slots(world, slots, 0, 61803);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
    free(slots);
}

/* ---- Callbacks ----------------------------------------------------------- */

struct machine {
    struct node *registers[2];
    uintptr_t complemented;
    unsigned used;
    unsigned calls;
};

static void trace_machine(gc_tracer *tracer, void *data)
{
    struct machine *machine = data;

    machine->calls++;
    for (unsigned i = 0; i < machine->used; i++)
        gc_trace_slot(tracer, &machine->registers[i]);
    if (machine->complemented != 0) {
        void *now = gc_trace_reference(tracer, (void *)~machine->complemented);

        machine->complemented = ~(uintptr_t)now;
    }
}

static void exact_callback_keeps_what_it_reports_and_is_updated(void **state)
{
    struct world *world = *state;
    struct machine machine = {.used = 1};
    struct node *before = make_node(world->mutator, 1);

    machine.registers[0] = before;
    machine.registers[1] = make_node(world->mutator, 2);
    machine.complemented = ~(uintptr_t)make_node(world->mutator, 3);
    assert_int_equal(gc_root_callback_add(world->heap, trace_machine, &machine, GC_EXACT), GC_OK);
    collect(world->mutator, 0);
    assert_true(machine.calls >= 1);
    assert_ptr_not_equal(machine.registers[0], before);
    assert_int_equal(machine.registers[0]->value, 1);
    assert_int_equal(((struct node *)~machine.complemented)->value, 3);
    assert_int_equal(count_objects(world->mutator, &node_type), 2);

    assert_int_equal(gc_root_callback_remove(world->heap, trace_machine, &machine), GC_OK);
    machine.calls = 0;
    collect(world->mutator, 2);
    assert_int_equal(machine.calls, 0);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void callbacks_are_told_apart_by_their_data(void **state)
{
    struct world *world = *state;
    struct machine a = {.used = 1};
    struct machine b = {.used = 1};

    a.registers[0] = make_node(world->mutator, 1);
    b.registers[0] = make_node(world->mutator, 2);
    assert_int_equal(gc_root_callback_add(world->heap, trace_machine, &a, GC_EXACT), GC_OK);
    assert_int_equal(gc_root_callback_add(world->heap, trace_machine, &b, GC_EXACT), GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(a.registers[0]->value, 1);
    assert_int_equal(b.registers[0]->value, 2);
    assert_int_equal(gc_root_callback_remove(world->heap, trace_machine, &a), GC_OK);
    assert_int_equal(gc_root_callback_remove(world->heap, trace_machine, &a), GC_NOT_FOUND);
    collect(world->mutator, 2);
    assert_int_equal(b.registers[0]->value, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
    assert_int_equal(gc_root_callback_remove(world->heap, trace_machine, &b), GC_OK);
}

static void trace_word_twice(gc_tracer *tracer, void *data)
{
    const uintptr_t *word = data;

    gc_trace_word(tracer, *word);
    gc_trace_word(tracer, *word + 1);
}

static void ambiguous_callback_keeps_and_pins(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);
    uintptr_t word = (uintptr_t)node;

    world->root[0] = node;
    assert_int_equal(gc_root_callback_add(world->heap, trace_word_twice, &word, GC_AMBIGUOUS),
                     GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_ptr_equal(world->root[0], node);
    }
    world->root[0] = NULL;
    compact(world->mutator);
    assert_true(gc_is_object(world->mutator, node));
    assert_int_equal(node->value, 5);

    assert_int_equal(gc_root_callback_remove(world->heap, trace_word_twice, &word), GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void trace_nothing(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
}

static void many_ranges_and_callbacks_come_and_go(void **state)
{
    struct world *world = *state;
    void **words = calloc(MANY, sizeof *words);
    clock_t start = clock();
    size_t at = 0;

    assert_non_null(words);
    for (size_t i = 0; i < MANY; i++) {
        gc_exactness exactness = i % 2 == 0 ? GC_EXACT : GC_AMBIGUOUS;

        assert_int_equal(gc_root_range_add(world->heap, &words[i], 1, exactness), GC_OK);
        assert_int_equal(gc_root_callback_add(world->heap, trace_nothing, &words[i], exactness),
                         GC_OK);
    }
    collect(world->mutator, 0);
    for (size_t i = 0; i < MANY; i++, at = (at + 61803) % MANY) {
        assert_int_equal(gc_root_range_remove(world->heap, &words[at]), GC_OK);
        assert_int_equal(gc_root_callback_remove(world->heap, trace_nothing, &words[at]), GC_OK);
    }
    assert_true(is_slowed() || (clock() - start) / CLOCKS_PER_SEC < 10);
    free(words);
}

static void a_list_from_one_root_survives_every_collection(void **state)
{
    struct world *world = *state;

    world->root[0] = build_list(world->mutator, 10000);
    world->root[1] = build_tree(world->mutator, 10);
    for (unsigned i = 0; i < 9; i++) {
        collect(world->mutator, i % GC_GENERATIONS);
        make_garbage(world->mutator, 100000);
    }
    compact(world->mutator);
    assert_true(is_intact_list(world->root[0], 10000));
    assert_int_equal(tree_count(world->root[1]), 2047);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOVING(slot_keeps_and_is_updated_until_removed),
        TEST(slots_to_one_object_stay_equal),
        TEST(null_and_foreign_references_are_left_alone),
        TEST(slot_may_be_added_again_after_removal),
        TEST(words_beside_the_heap_may_be_roots),
        TEST(heaps_keep_their_roots_apart),
        TEST(many_slots_are_added_and_removed_in_any_order),
        TEST(many_slots_all_keep),
        MOVING(exact_callback_keeps_what_it_reports_and_is_updated),
        TEST(callbacks_are_told_apart_by_their_data),
        TEST(ambiguous_callback_keeps_and_pins),
        TEST(many_ranges_and_callbacks_come_and_go),
        TEST(a_list_from_one_root_survives_every_collection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
