/* SPDX-License-Identifier: MIT
 *
 * Random operations on heaps of many kinds, each compared with its shadow
 * graph (support/shadow.h) after every collection.
 *
 * Each run is determined by its configuration and its seed, printed before it:
 * STRATA_SEED=n repeats a run, STRATA_ROUNDS=n tries that many seeds.
 */
#include "support/fault.h"
#include "support/shadow.h"

#include <stdlib.h>

struct job {
    struct shadow_config config;
    size_t steps;
};

static void run_once(const struct job *job, uint64_t seed)
{
    struct shadow_choices choices = {.state = seed * 2 + 1};

    bool is_faulty = (job->config.traits & SHADOW_FAULTS) != 0;

    print_message("STRATA_SEED=%llu\n", (unsigned long long)seed);
    if (is_faulty)
        fault_install();
    assert_true(shadow_start(&job->config, &choices));
    for (size_t i = 0; i < scaled(job->steps); i++)
        shadow_step();
    assert_true(shadow_collections() > 0);
    (void)shadow_finish();
    if (is_faulty) {
        assert_true(fault_is_clean());
        fault_remove();
    }
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void equals_its_shadow(void **state)
{
    uint64_t first = number_from("STRATA_SEED", 1);
    uint64_t rounds = number_from("STRATA_ROUNDS", getenv("STRATA_SEED") != NULL ? 1 : 3);

    for (uint64_t seed = first; seed < first + rounds; seed++)
        run_once(*state, seed);
}

enum { TAGS = 1 | 1 << 2 | 1 << 5 | 1 << 7 };

#define EXACT GC_STACKS_EXACT, GC_BARRIERS_ALL

static const struct job jobs[] = {
    {{"a_default_heap_equals_its_shadow", GC_STACKS_AMBIGUOUS, GC_BARRIERS_ALL, 0, 0, 1, 0, NULL},
     15000},
    {{"an_exact_heap_equals_its_shadow", EXACT, MIB, 0, 1, 0, NULL}, 15000},
    {{"a_tiny_nursery_equals_its_shadow", EXACT, 64 * KIB, 0, 1, 0, NULL}, 15000},
    {{"tagged_references_equal_their_shadow", EXACT, 256 * KIB, 0, TAGS, 0, NULL}, 15000},
    {{"a_heap_without_barriers_equals_its_shadow", GC_STACKS_EXACT, GC_BARRIERS_NONE, MIB, 0, 1, 0,
      NULL},
     15000},
    {{"evacuating_all_equals_its_shadow", EXACT, MIB, 0, TAGS, 0, "stress=evacuate-all"}, 10000},
    {{"promoting_in_place_equals_its_shadow", EXACT, 64 * KIB, 0, TAGS, 0, "stress=in-place"},
     10000},
    {{"a_tiny_mark_stack_equals_its_shadow", EXACT, 64 * KIB, 0, TAGS, 0, "stress=tiny-stack"},
     10000},
    {{"prefetching_equals_its_shadow", GC_STACKS_AMBIGUOUS, GC_BARRIERS_ALL, 64 * KIB, 0, TAGS, 0,
      "stress=prefetch+tiny-stack"},
     10000},
    {{"what_is_born_old_equals_its_shadow", EXACT, 64 * KIB, 0, TAGS, 0,
      "stress=pretenure,check=deep"},
     6000},
    {{"deep_checks_equal_their_shadow", EXACT, 64 * KIB, 0, TAGS, 0, "check=deep"}, 6000},
    {{"always_collecting_equals_its_shadow", EXACT, MIB, 0, TAGS, SHADOW_LAZY, "stress=collect"},
     3000},
    {{"a_full_heap_equals_its_shadow", EXACT, 64 * KIB, 3 * MIB, TAGS, SHADOW_MAY_FAIL, NULL},
     3000},
    {{"faults_leave_a_heap_equal_to_its_shadow", EXACT, 64 * KIB, 0, TAGS, SHADOW_FAULTS, NULL},
     10000},
};

static void the_runs_were_not_idle(void **state)
{
    (void)state;
    assert_true(shadow_tally.collections > 0);
    assert_true(shadow_tally.cleared_weakrefs > 0);
    assert_true(shadow_tally.cleared_ephemerons > 0);
    assert_true(shadow_tally.dropped_entries > 0);
    assert_true(shadow_tally.finalized > 0);
    assert_true(shadow_tally.watched > 0);
    assert_true(shadow_tally.called_back > 0);
    assert_true(shadow_tally.guarded > 0);
    assert_true(shadow_tally.frozen > 0);
    assert_true(shadow_tally.types_gone > 0);
    /* A small run may end before its heap is full. */
    assert_true(shadow_tally.refused > 0 || is_slowed());
}

int main(void)
{
    struct CMUnitTest tests[GC_COUNT(jobs) + 1];

    for (size_t i = 0; i < GC_COUNT(jobs); i++)
        tests[i] = (struct CMUnitTest){.name = jobs[i].config.name,
                                       .test_func = equals_its_shadow,
                                       .initial_state = (void *)(uintptr_t)&jobs[i]};
    tests[GC_COUNT(jobs)] = (struct CMUnitTest)cmocka_unit_test(the_runs_were_not_idle);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
