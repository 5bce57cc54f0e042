/* SPDX-License-Identifier: MIT
 *
 * Misuse of objects, stores and numbers: each documented precondition with its
 * message. Roots, callers and types have files of their own.
 */
#include "base/annotate.h"
#include "support/doomed.h"

#include <strata/weak.h>

#include <string.h>

/* ---- Foreign pointers --------------------------------------------------- */

static void pin_foreign(void)
{
    make_doomed();
    (void)gc_pin(doomed->mutator, &foreign);
}

static void pin_null(void)
{
    make_doomed();
    (void)gc_pin(doomed->mutator, NULL);
}

static void pin_interior(void)
{
    make_doomed();
    (void)gc_pin(doomed->mutator, &doomed_node->right);
}

static void pin_moved(void)
{
    make_doomed();
    gc_collect(doomed->mutator, 0, NULL);
    (void)gc_pin(doomed->mutator, doomed_node);
}

static void pin_of_another_heap(void)
{
    struct node *other;

    make_doomed();
    other = doomed_node;
    make_doomed();
    (void)gc_pin(doomed->mutator, other);
}

static void pin_once_foreign(void)
{
    make_doomed();
    (void)gc_pin_once(doomed->mutator, &foreign);
}

static void unpin_foreign(void)
{
    make_doomed();
    (void)gc_unpin(doomed->mutator, &foreign);
}

static void generation_of_foreign(void)
{
    make_doomed();
    (void)gc_generation_of(doomed->mutator, &foreign);
}

static void generation_of_null(void)
{
    make_doomed();
    (void)gc_generation_of(doomed->mutator, NULL);
}

static void charge_foreign(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, &foreign, 100);
}

static void class_of_foreign(void)
{
    make_doomed();
    (void)gc_type_create(doomed->mutator, &node_type, &foreign);
}

static void foreign_pointers_are_refused(void **state)
{
    (void)state;
    expect_misuse(pin_foreign, "gc_pin", NOT_A_REFERENCE);
    expect_misuse(pin_null, "gc_pin", "the object is NULL");
    expect_misuse(pin_interior, "gc_pin", NOT_A_REFERENCE);
    expect_misuse(pin_moved, "gc_pin", NOT_A_REFERENCE);
    expect_misuse(pin_of_another_heap, "gc_pin", NOT_A_REFERENCE);
    expect_misuse(pin_once_foreign, "gc_pin_once", NOT_A_REFERENCE);
    expect_misuse(unpin_foreign, "gc_unpin", NOT_A_REFERENCE);
    expect_misuse(generation_of_foreign, "gc_generation_of", NOT_A_REFERENCE);
    expect_misuse(generation_of_null, "gc_generation_of", "the object is NULL");
    expect_misuse(charge_foreign, "gc_external_adjust", NOT_A_REFERENCE);
    expect_misuse(class_of_foreign, "gc_type_create", NOT_A_REFERENCE);
}

/* ---- Stores ------------------------------------------------------------- */

/* An object that no heap has, whose log byte says that stores are noted. */
static struct {
    unsigned char header[GC_HEADER_BYTES];
    struct node node;
} armed = {.header = {[GC_HEADER_BYTES + GC_LOG_OFFSET] = GC_LOG_ARMED}};

static void make_old_doomed(void)
{
    make_doomed();
    gc_collect(doomed->mutator, 2, NULL);
    gc_collect(doomed->mutator, 2, NULL);
    doomed_node = doomed->root[0];
}

static void write_into_foreign(void)
{
    make_doomed();
    gc_write(doomed->mutator, &armed.node, &armed.node.left, NULL);
}

static void write_word_into_foreign(void)
{
    make_doomed();
    gc_write_word(doomed->mutator, &armed.node, &armed.node.left, 0);
}

static void bar_foreign(void)
{
    make_doomed();
    gc_write_barrier(doomed->mutator, &armed.node);
}

static void write_outside(void)
{
    make_old_doomed();
    gc_write(doomed->mutator, doomed_node, &foreign.left, doomed_node);
}

static void write_past_the_end(void)
{
    void **next;

    make_old_doomed();
    next = (void **)(doomed_node + 1);
    gc_write(doomed->mutator, doomed_node, next, *next);
}

static void write_beyond_the_end(void)
{
    make_old_doomed();
    gc_write(doomed->mutator, doomed_node, (void **)(doomed_node + 2), NULL);
}

static void write_when_detached(void)
{
    make_old_doomed();
    gc_mutator_detach(doomed->mutator);
    gc_write(doomed->mutator, doomed_node, &doomed_node->left, NULL);
}

static void noted_stores_are_checked(void **state)
{
    (void)state;
    expect_misuse(write_into_foreign, "gc_write", NOT_A_REFERENCE);
    expect_misuse(write_word_into_foreign, "gc_write", NOT_A_REFERENCE);
    expect_misuse(bar_foreign, "gc_write_barrier", NOT_A_REFERENCE);
    expect_misuse(write_outside, "gc_write", "the slot does not lie in the object");
    if (!GC_FORBIDS) { /* else the store itself is reported */
        expect_misuse(write_past_the_end, "gc_write", "the slot does not lie in the object");
        expect_misuse(write_beyond_the_end, "gc_write", "the slot does not lie in the object");
    }
    expect_misuse(write_when_detached, "gc_write", NOT_MINE);
}

static void copy_into_foreign(void)
{
    make_doomed();
    gc_copy(doomed->mutator, &foreign, &foreign.left, &foreign.right, 1);
}

static void copy_into_foreign_unchecked(void)
{
    make_doomed_unchecked();
    gc_copy(doomed->mutator, &foreign, &foreign.left, &foreign.right, 1);
}

static void copy_into_null(void)
{
    make_doomed_unchecked();
    gc_copy(doomed->mutator, NULL, &foreign.left, &foreign.right, 1);
}

static void copy_past_the_end(void)
{
    make_doomed();
    gc_copy(doomed->mutator, doomed_node, &doomed_node->right, &foreign, 3);
}

static void copy_before_the_start(void)
{
    make_doomed();
    gc_copy(doomed->mutator, doomed_node, (void **)(void *)doomed_node - 1, &foreign, 1);
}

static void copy_more_than_there_is(void)
{
    make_doomed();
    gc_copy(doomed->mutator, doomed_node, &doomed_node->left, &foreign, SIZE_MAX);
}

static void copies_stay_in_their_object(void **state)
{
    (void)state;
    expect_misuse(copy_into_foreign, "gc_copy", NOT_A_REFERENCE);
    expect_misuse(copy_into_foreign_unchecked, "gc_copy", NOT_A_REFERENCE);
    expect_misuse(copy_into_null, "gc_copy", "the object is NULL");
    expect_misuse(copy_past_the_end, "gc_copy", "the slot does not lie in the object");
    expect_misuse(copy_before_the_start, "gc_copy", "the slot does not lie in the object");
    expect_misuse(copy_more_than_there_is, "gc_copy", "the slot does not lie in the object");
}

/* As far as an object goes; and none at its end. */
static void whole_objects_may_be_copied(void **state)
{
    struct world *world = *state;
    void *links[2] = {NULL, NULL};
    struct node *copy;

    world->root[0] = copy = make_node(world->mutator, 1);
    links[0] = links[1] = copy;
    gc_copy(world->mutator, copy, copy, links, 2);
    gc_copy(world->mutator, copy, copy + 1, links, 0);
    assert_ptr_equal(copy->left, copy);
    assert_ptr_equal(copy->right, copy);
    collect(world->mutator, 2);
}

/* ---- Numbers ------------------------------------------------------------ */

static void enable_enabled(void)
{
    make_doomed();
    gc_disable(doomed->mutator);
    gc_enable(doomed->mutator);
    gc_enable(doomed->mutator);
}

static void finalize_nothing(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
}

static void take_away_too_much(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, NULL, 100);
    (void)gc_external_adjust(doomed->mutator, NULL, -101);
}

static void take_away_what_an_object_holds(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, doomed_node, 100);
    (void)gc_external_adjust(doomed->mutator, NULL, 5);
    (void)gc_external_adjust(doomed->mutator, NULL, -6);
}

static void take_away_what_a_finalizer_frees(void)
{
    gc_finalizer finalizer = {
        .size = sizeof finalizer, .run = finalize_nothing, .external_bytes = 100};

    make_doomed();
    (void)gc_finalizer_add(doomed->mutator, doomed_node, &finalizer, NULL);
    (void)gc_external_adjust(doomed->mutator, NULL, -100);
}

static void take_away_the_least_number(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, NULL, PTRDIFF_MIN);
}

static void take_away_from_another(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, NULL, 100);
    (void)gc_external_adjust(doomed->mutator, doomed_node, 10);
    (void)gc_external_adjust(doomed->mutator, doomed_node, -11);
}

static void take_away_from_uncharged(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, NULL, 100);
    (void)gc_external_adjust(doomed->mutator, doomed_node, -1);
}

static void report_of_wrong_size(void)
{
    gc_report report = {.size = sizeof report - 8};

    make_doomed();
    gc_collect(doomed->mutator, 0, &report);
}

static void compact_report_of_wrong_size(void)
{
    gc_report report = {.size = 0};

    make_doomed();
    gc_compact(doomed->mutator, &report);
}

static void threshold_of_no_generation(void)
{
    make_doomed();
    (void)gc_threshold(doomed->heap, 3);
}

static void set_threshold_of_no_generation(void)
{
    make_doomed();
    (void)gc_threshold_set(doomed->heap, 3, 1);
}

static void count_of_no_generation(void)
{
    make_doomed();
    (void)gc_count(doomed->heap, 3);
}

static void type_of_null(void)
{
    (void)gc_type_of(NULL);
}

static void length_of_null(void)
{
    (void)gc_length(NULL);
}

static void size_of_null(void)
{
    (void)gc_size_of(NULL);
}

static void null_is_no_object(void **state)
{
    (void)state;
    expect_misuse(type_of_null, "gc_type_of", "the object is NULL");
    expect_misuse(length_of_null, "gc_length", "the object is NULL");
    expect_misuse(size_of_null, "gc_size_of", "the object is NULL");
}

static void impossible_numbers_are_refused(void **state)
{
    (void)state;
    expect_misuse(enable_enabled, "gc_enable", "there was no gc_disable");
    expect_misuse(take_away_too_much, "gc_external_adjust", "less is held outside than this");
    expect_misuse(take_away_what_an_object_holds, "gc_external_adjust",
                  "less is held outside than this");
    expect_misuse(take_away_what_a_finalizer_frees, "gc_external_adjust",
                  "less is held outside than this");
    expect_misuse(take_away_the_least_number, "gc_external_adjust",
                  "less is held outside than this");
    expect_misuse(take_away_from_another, "gc_external_adjust",
                  "the object was charged less than this");
    expect_misuse(take_away_from_uncharged, "gc_external_adjust",
                  "the object was charged less than this");
    expect_misuse(report_of_wrong_size, "gc_collect", "report->size is not sizeof(gc_report)");
    expect_misuse(compact_report_of_wrong_size, "gc_compact",
                  "report->size is not sizeof(gc_report)");
    expect_misuse(threshold_of_no_generation, "gc_threshold", "there are generations 0, 1 and 2");
    expect_misuse(set_threshold_of_no_generation, "gc_threshold_set",
                  "there are generations 0, 1 and 2");
    expect_misuse(count_of_no_generation, "gc_count", "there are generations 0, 1 and 2");
}

/* What was refused leaves the count as it was. */
static void more_bytes_than_addresses_are_not_noted(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 1);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], 100), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, NULL, PTRDIFF_MAX), GC_NO_MEMORY);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], PTRDIFF_MAX), GC_NO_MEMORY);
    assert_int_equal(stats_of(world->heap).external_bytes, 100);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], -100), GC_OK);
    assert_int_equal(stats_of(world->heap).external_bytes, 0);
}

static void statistics_of_wrong_size_are_refused(void **state)
{
    struct world *world = *state;
    gc_stats stats = {.size = sizeof stats - 1, .live_bytes = 77};

    assert_int_equal(gc_stats_get(world->heap, &stats), GC_BAD_SIZE);
    assert_int_equal(stats.live_bytes, 77);
}

static void impossible_thresholds_are_refused(void **state)
{
    struct world *world = *state;
    size_t before = gc_threshold(world->heap, 1);

    assert_int_equal(gc_threshold_set(world->heap, 0, SIZE_MAX), GC_BAD_OPTION);
    assert_int_equal(gc_threshold_set(world->heap, 1, 0), GC_BAD_OPTION);
    assert_int_equal(gc_threshold_set(world->heap, 1, SIZE_MAX), GC_BAD_OPTION);
    assert_int_equal(gc_threshold(world->heap, 1), before);
}

static void impossible_limits_are_refused(void **state)
{
    struct world *world = *state;
    size_t before = stats_of(world->heap).hard_limit;

    assert_int_equal(gc_limit_set(world->heap, 0, ((size_t)1 << 20) - 1), GC_BAD_OPTION);
    assert_int_equal(gc_limit_set(world->heap, 5, SIZE_MAX), GC_BAD_OPTION);
    assert_int_equal(stats_of(world->heap).hard_limit, before);
    assert_int_equal(stats_of(world->heap).soft_limit, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_pointers_are_refused),
        cmocka_unit_test(null_is_no_object),
        cmocka_unit_test(noted_stores_are_checked),
        cmocka_unit_test(copies_stay_in_their_object),
        TEST(whole_objects_may_be_copied),
        cmocka_unit_test(impossible_numbers_are_refused),
        TEST(more_bytes_than_addresses_are_not_noted),
        TEST(statistics_of_wrong_size_are_refused),
        TEST(impossible_thresholds_are_refused),
        TEST(impossible_limits_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
