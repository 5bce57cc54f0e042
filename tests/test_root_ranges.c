/* SPDX-License-Identifier: MIT
 *
 * Ranges of roots, exact and ambiguous.
 */
#include "heap/heap.h"
#include "support/heap.h"

#include <string.h>
#include <time.h>

static void exact_range_keeps_and_updates_each_word(void **state)
{
    enum { COUNT = 300 };
    struct world *world = *state;
    struct node *words[COUNT] = {NULL};
    struct node *before;

    assert_int_equal(gc_root_range_add(world->heap, words, COUNT, GC_EXACT), GC_OK);
    for (size_t i = 0; i < COUNT; i++)
        words[i] = make_node(world->mutator, i);
    before = words[7];
    collect(world->mutator, 0);
    assert_ptr_not_equal(words[7], before);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(words[i]->value, i);
    assert_int_equal(gc_root_range_remove(world->heap, words), GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void exact_range_ends_where_it_says(void **state)
{
    struct world *world = *state;
    struct node *words[3] = {NULL};

    assert_int_equal(gc_root_range_add(world->heap, words + 1, 1, GC_EXACT), GC_OK);
    for (size_t i = 0; i < 3; i++)
        words[i] = make_node(world->mutator, i);
    collect(world->mutator, 2);
    assert_int_equal(words[1]->value, 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
    assert_int_equal(gc_root_range_remove(world->heap, words + 1), GC_OK);
}

static void range_is_known_by_its_start_alone(void **state)
{
    struct world *world = *state;
    void *words[4] = {NULL};

    assert_int_equal(gc_root_range_add(world->heap, words, 4, GC_AMBIGUOUS), GC_OK);
    assert_int_equal(gc_root_range_remove(world->heap, words + 1), GC_NOT_FOUND);
    assert_int_equal(gc_root_range_remove(world->heap, words), GC_OK);
    assert_int_equal(gc_root_range_remove(world->heap, words), GC_NOT_FOUND);
}

static void slot_and_range_of_one_address_are_two_roots(void **state)
{
    struct world *world = *state;
    struct node *words[2] = {NULL};

    assert_int_equal(gc_root_add(world->heap, &words[0]), GC_OK);
    assert_int_equal(gc_root_range_add(world->heap, words, 2, GC_EXACT), GC_OK);
    words[0] = make_node(world->mutator, 1);
    collect(world->mutator, 0);
    assert_int_equal(words[0]->value, 1);
    assert_int_equal(gc_root_range_remove(world->heap, words), GC_OK);
    collect(world->mutator, 1);
    assert_int_equal(words[0]->value, 1);
    assert_int_equal(gc_root_remove(world->heap, &words[0]), GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void ambiguous_range_keeps_pins_and_is_not_written(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);
    uintptr_t words[5] = {(uintptr_t)node, 3, UINTPTR_MAX, (uintptr_t)node | 5, 0};
    uintptr_t before[5];

    memcpy(before, words, sizeof words);
    assert_int_equal(gc_root_range_add(world->heap, words, 5, GC_AMBIGUOUS), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_memory_equal(words, before, sizeof words);
        assert_true(gc_is_object(world->mutator, node));
        assert_int_equal(node->value, 5);
        assert_true(stats_of(world->heap).pinned_objects >= 1);
    }
    compact(world->mutator);
    assert_int_equal(node->value, 5);
    assert_true(gc_is_object(world->mutator, node));

    assert_int_equal(gc_root_range_remove(world->heap, words), GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void assert_kept_by_word(const struct world *world, uintptr_t word, const char *object)
{
    assert_int_equal(gc_root_range_add(world->heap, &word, 1, GC_AMBIGUOUS), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_true(gc_is_object(world->mutator, object));
    }
    assert_int_equal(gc_root_range_remove(world->heap, &word), GC_OK);
    collect(world->mutator, 2);
    assert_false(gc_is_object(world->mutator, object));
}

static void interior_and_one_past_the_end_words_keep(void **state)
{
    static const size_t sizes[] = {8, 100, 8000, 9000, 70000};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        size_t offsets[] = {0, 1, sizes[i] / 2, sizes[i] - 1, sizes[i]};

        for (unsigned at = 0; at < GC_COUNT(offsets); at++) {
            char *object = make_array(world->mutator, &gc_type_bytes, sizes[i]);

            assert_kept_by_word(world, (uintptr_t)object + offsets[at], object);
        }
    }
}

/* Objects of a chunk and some bytes take the addresses of two, till one of a chunk
 * ends where the range does. */
static void one_past_the_end_of_the_range_keeps(void **state)
{
    enum { CHUNK = GC_CHUNK_BYTES, PREFIX = 2 * GC_HEADER_BYTES };
    gc_options options = {.size = sizeof options, .hard_limit = 8 * CHUNK};
    struct world *world;
    uintptr_t end, word = 0;

    (void)state;
    if (GC_FORBIDS)
        skip(); /* a red zone lies between the two ends */
    options.stacks = GC_STACKS_EXACT;
    world = world_make(&options);
    end = world->heap->collector.tables.base + world->heap->collector.tables.bytes;
    assert_int_equal(gc_limit_set(world->heap, 0, world->heap->collector.tables.bytes), GC_OK);
    world->root[0] = make_array(world->mutator, &gc_type_references, 16);
    for (size_t i = 0; word != end; i++) {
        size_t bytes = i < 7 ? CHUNK + GC_BLOCK_BYTES : CHUNK - PREFIX;
        char *object = make_array(world->mutator, &gc_type_bytes, bytes);
        void **kept = world->root[0];

        gc_write(world->mutator, kept, &kept[i], object);
        word = (uintptr_t)object + bytes;
    }
    world->root[0] = NULL;
    assert_int_equal(gc_root_range_add(world->heap, &word, 1, GC_AMBIGUOUS), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_non_null(gc_object_at(world->mutator, (void *)word));
    world_free(world);
}

static void word_one_past_the_end_does_not_keep_the_next_object(void **state)
{
    struct world *world = *state;
    struct node *first = make_node(world->mutator, 1);
    struct node *second = make_node(world->mutator, 2);
    uintptr_t word = (uintptr_t)(first + 1);

    assert_int_equal(gc_root_range_add(world->heap, &word, 1, GC_AMBIGUOUS), GC_OK);
    collect(world->mutator, 2);
    assert_true(gc_is_object(world->mutator, first));
    assert_false(gc_is_object(world->mutator, second));
    assert_int_equal(gc_root_range_remove(world->heap, &word), GC_OK);
}

static void ambiguous_words_to_nothing_do_no_harm(void **state)
{
    enum { COUNT = 4096 };
    struct world *world = *state;
    uintptr_t words[COUNT];
    uintptr_t around;

    world->root[0] = build_list(world->mutator, 1000);
    around = (uintptr_t)world->root[0];
    for (size_t i = 0; i < COUNT; i++)
        words[i] = around + (i - COUNT / 2) * 4099;
    assert_int_equal(gc_root_range_add(world->heap, words, COUNT, GC_AMBIGUOUS), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_true(is_intact_list(world->root[0], 1000));
    assert_int_equal(gc_root_range_remove(world->heap, words), GC_OK);
}

/* The ambiguous word must win: the exact slot finds its object unmoved. */
static void ambiguous_and_exact_root_on_one_object_pin_it(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 5);
    uintptr_t word = (uintptr_t)&node->right;

    world->root[0] = node;
    world->root[1] = make_node(world->mutator, 6);
    assert_int_equal(gc_root_range_add(world->heap, &word, 1, GC_AMBIGUOUS), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_ptr_equal(world->root[0], node);
        assert_int_equal(node->value, 5);
    }
    assert_int_equal(gc_root_range_remove(world->heap, &word), GC_OK);
    compact(world->mutator);
    assert_int_equal(((struct node *)world->root[0])->value, 5);
    assert_int_equal(((struct node *)world->root[1])->value, 6);
}

/* The target cannot go up, so its old holder must stay remembered; when it can
 * move again, the holder's field must follow. */
static void old_holder_follows_a_young_object_that_was_pinned(void **state)
{
    struct world *world = *state;
    struct node *target;
    struct node *holder;
    uintptr_t word;

    world->root[0] = make_node(world->mutator, 1);
    collect(world->mutator, 1);
    collect(world->mutator, 1);
    target = make_node(world->mutator, 2);
    holder = world->root[0];
    gc_write(world->mutator, holder, &holder->left, target);
    word = (uintptr_t)target;
    assert_int_equal(gc_root_range_add(world->heap, &word, 1, GC_AMBIGUOUS), GC_OK);
    for (int round = 0; round < 5; round++) {
        make_garbage(world->mutator, 100000);
        collect(world->mutator, round == 3 ? 1 : 0);
        holder = world->root[0];
        assert_ptr_equal(holder->left, target);
        assert_int_equal(target->value, 2);
    }
    assert_int_equal(gc_root_range_remove(world->heap, &word), GC_OK);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        holder = world->root[0];
        assert_true(gc_is_object(world->mutator, holder->left));
        assert_int_equal(holder->left->value, 2);
    }
}

static void pinned_object_keeps_moving_ones(void **state)
{
    struct world *world = *state;
    struct node *list = build_list(world->mutator, 100);
    uintptr_t word = (uintptr_t)list;
    struct node *next = list->right;

    assert_int_equal(gc_root_range_add(world->heap, &word, 1, GC_AMBIGUOUS), GC_OK);
    collect(world->mutator, 0);
    assert_ptr_not_equal(list->right, next);
    assert_true(is_intact_list(list, 100));
    collect(world->mutator, 0);
    assert_true(is_intact_list(list, 100));
    collect(world->mutator, 1);
    assert_true(is_intact_list(list, 100));
    collect(world->mutator, 2);
    assert_true(is_intact_list(list, 100));
    assert_int_equal(gc_root_range_remove(world->heap, &word), GC_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOVING(exact_range_keeps_and_updates_each_word),
        TEST(exact_range_ends_where_it_says),
        TEST(range_is_known_by_its_start_alone),
        TEST(slot_and_range_of_one_address_are_two_roots),
        TEST(ambiguous_range_keeps_pins_and_is_not_written),
        TEST(interior_and_one_past_the_end_words_keep),
        cmocka_unit_test(one_past_the_end_of_the_range_keeps),
        TEST(word_one_past_the_end_does_not_keep_the_next_object),
        TEST(ambiguous_words_to_nothing_do_no_harm),
        TEST(ambiguous_and_exact_root_on_one_object_pin_it),
        MOVING(old_holder_follows_a_young_object_that_was_pinned),
        MOVING(pinned_object_keeps_moving_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
