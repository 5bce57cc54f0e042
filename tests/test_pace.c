/* SPDX-License-Identifier: MIT
 *
 * How large the nursery becomes, and what growth is due when: arithmetic, without a
 * heap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cycle/pace.h"

static const size_t mib = 1 << 20;

enum { ROUNDS = 20 };

static struct gc_pace start(void)
{
    struct gc_pace pace = {.nursery_min = mib, .nursery_max = 64 * mib, .growth_percent = 50};

    gc_pace_start(&pace);
    return pace;
}

/* The nursery after many minor collections of which so much survives, beside so
 * much that is live. */
static size_t settled(size_t allocating, unsigned survival_percent, size_t live_bytes)
{
    struct gc_pace pace = start();

    for (int i = 0; i < ROUNDS; i++) {
        struct gc_pace_now now = {.generation = GC_YOUNG,
                                  .handed_bytes = pace.nursery,
                                  .young_before = pace.nursery,
                                  .young_survived = pace.nursery / 100 * survival_percent,
                                  .live_bytes = live_bytes,
                                  .room_bytes = SIZE_MAX,
                                  .allocating = allocating};

        gc_pace_after(&pace, &now);
    }
    return pace.nursery;
}

/* ... and half as much again where there are several. */
static void where_all_dies_it_is_the_least_for_each_mutator(void **state)
{
    (void)state;
    assert_int_equal(settled(0, 0, 0), mib);
    assert_int_equal(settled(1, 0, 100 * mib), mib);
    assert_int_equal(settled(2, 0, 100 * mib), 3 * mib);
    assert_int_equal(settled(4, 0, 100 * mib), 6 * mib);
    assert_int_equal(settled(100, 0, 100 * mib), 12 * mib);
}

/* A small heap that is changed fast: with three quarters of what is live, most
 * of each nursery survived. */
static void where_little_is_live_it_grows_to_12_mib_for_each_mutator(void **state)
{
    (void)state;
    assert_int_equal(settled(1, 30, mib), 12 * mib);
    assert_int_equal(settled(2, 30, mib), 24 * mib);
    assert_int_equal(settled(4, 30, mib), 48 * mib);
}

static void where_much_is_live_it_grows_to_three_quarters_of_it(void **state)
{
    (void)state;
    assert_in_range(settled(1, 30, 40 * mib), 29 * mib, 30 * mib);
    assert_in_range(settled(2, 30, 40 * mib), 29 * mib, 30 * mib);
    assert_int_equal(settled(1, 30, 1000 * mib), 64 * mib);
}

/* Whether objects are still born old after a collection that promoted all, unvisited. */
static bool is_lasting_after(struct gc_pace pace, size_t live_bytes, size_t born_bytes)
{
    struct gc_pace_now now = {.generation = GC_MIDDLE,
                              .all_promoted = true,
                              .live_bytes = live_bytes,
                              .born_bytes = born_bytes,
                              .room_bytes = SIZE_MAX,
                              .allocating = 1};

    gc_pace_after(&pace, &now);
    return pace.is_lasting;
}

static void newborns_are_not_left_unvisited_for_ever(void **state)
{
    struct gc_pace pace = start();

    (void)state;
    pace.is_lasting = true;
    pace.live_full = 1000 * mib;
    pace.threshold2 = 10;
    assert_true(is_lasting_after(pace, 1200 * mib, 511 * mib));
    assert_false(is_lasting_after(pace, 1200 * mib, 512 * mib));
    assert_true(is_lasting_after(pace, 1500 * mib, 10 * mib));
    assert_false(
        is_lasting_after(pace, 1501 * mib, 10 * mib)); /* growth calls, but not the count */
    pace.count2 = 9;                                   /* it makes the tenth */
    assert_true(is_lasting_after(pace, 1501 * mib, 10 * mib));
    assert_false(is_lasting_after(pace, 8 * mib, mib));
}

/* A full collection of so many MiB that left so many, and what calls for the next one. */
static size_t next_trigger(struct gc_pace *pace, gc_reason reason, size_t before, size_t after,
                           bool over_soft_limit)
{
    struct gc_pace_now now = {.generation = GC_OLD,
                              .reason = reason,
                              .condemned = before * mib,
                              .survived = after * mib,
                              .live_bytes = after * mib,
                              .room_bytes = SIZE_MAX,
                              .over_soft_limit = over_soft_limit};

    gc_pace_after(pace, &now);
    return pace->trigger;
}

static void where_next_to_nothing_died_the_old_generation_may_grow_twice_as_much(void **state)
{
    struct gc_pace pace = start();

    (void)state;
    assert_in_range(next_trigger(&pace, GC_REASON_GROWTH, 100, 90, false), 134 * mib, 135 * mib);
    assert_in_range(next_trigger(&pace, GC_REASON_GROWTH, 100, 96, false), 191 * mib, 192 * mib);
    assert_in_range(next_trigger(&pace, GC_REASON_GROWTH, 100, 94, false), 140 * mib, 141 * mib);
}

/* It is for programs that build their data, not for all that a machine has. */
static void a_large_one_may_grow_by_128_mib_more(void **state)
{
    struct gc_pace pace = start();

    (void)state;
    assert_in_range(next_trigger(&pace, GC_REASON_GROWTH, 1000, 1000, false), 1627 * mib,
                    1628 * mib);
}

/* Others come where nothing may have been allocated since the last. */
static void only_collections_for_growth_tell_that(void **state)
{
    struct gc_pace pace = start();

    (void)state;
    assert_in_range(next_trigger(&pace, GC_REASON_REQUESTED, 100, 100, false), 149 * mib,
                    150 * mib);
    assert_in_range(next_trigger(&pace, GC_REASON_GROWTH, 100, 100, false), 199 * mib, 200 * mib);
    assert_in_range(next_trigger(&pace, GC_REASON_LIMIT, 100, 40, false), 79 * mib, 80 * mib);
}

static void above_the_soft_limit_growth_stays_small(void **state)
{
    struct gc_pace pace = start();

    (void)state;
    assert_in_range(next_trigger(&pace, GC_REASON_GROWTH, 100, 100, true), 114 * mib, 115 * mib);
}

/* A collection stops two threads, then, which allocate twice as fast. */
static void where_several_allocate_it_may_grow_two_fifths_more(void **state)
{
    struct gc_pace pace = start();
    struct gc_pace_now now = {
        .generation = GC_OLD, .live_bytes = 100 * mib, .room_bytes = SIZE_MAX, .allocating = 2};

    (void)state;
    gc_pace_after(&pace, &now);
    assert_in_range(pace.trigger, 169 * mib, 170 * mib);
    now.over_soft_limit = true;
    gc_pace_after(&pace, &now);
    assert_in_range(pace.trigger, 114 * mib, 115 * mib);
    now.over_soft_limit = false;
    now.allocating = 1;
    gc_pace_after(&pace, &now);
    assert_in_range(pace.trigger, 149 * mib, 150 * mib);
}

/* What wraps would call for a collection soon. */
static void growth_by_more_than_there_are_addresses_is_never_due(void **state)
{
    struct gc_pace pace = start();
    struct gc_pace_now now = {
        .generation = GC_OLD, .live_bytes = 600 * 1024 * mib, .room_bytes = SIZE_MAX};

    (void)state;
    pace.growth_percent = 4000000000;
    gc_pace_after(&pace, &now);
    assert_true(pace.trigger == SIZE_MAX);
    now.reason = GC_REASON_GROWTH;
    now.survived = now.live_bytes;
    gc_pace_after(&pace, &now);
    assert_true(pace.trigger == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_all_dies_it_is_the_least_for_each_mutator),
        cmocka_unit_test(where_little_is_live_it_grows_to_12_mib_for_each_mutator),
        cmocka_unit_test(where_much_is_live_it_grows_to_three_quarters_of_it),
        cmocka_unit_test(where_next_to_nothing_died_the_old_generation_may_grow_twice_as_much),
        cmocka_unit_test(a_large_one_may_grow_by_128_mib_more),
        cmocka_unit_test(newborns_are_not_left_unvisited_for_ever),
        cmocka_unit_test(only_collections_for_growth_tell_that),
        cmocka_unit_test(above_the_soft_limit_growth_stays_small),
        cmocka_unit_test(where_several_allocate_it_may_grow_two_fifths_more),
        cmocka_unit_test(growth_by_more_than_there_are_addresses_is_never_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
