/* SPDX-License-Identifier: MIT
 *
 * Differential runs (after CakeML's collector tests): one random trace of the
 * shadow graph, run in heaps of many kinds, leaves the same graph in all of
 * them. Each heap is compared with its model besides.
 *
 * STRATA_TRACES=n tries n traces, and STRATA_SEED=n begins with that one.
 */
#include "support/shadow.h"

#include <stdlib.h>

enum {
    STEPS = 150,
    TRAITS = SHADOW_BRIEF | SHADOW_FIXED | SHADOW_LAZY,
    TAGS = 1 | 1 << 2 | 1 << 5 | 1 << 7
};

struct variant {
    struct shadow_config config;
    unsigned share; /* one trace of so many is run in it */
};

#define EXACT GC_STACKS_EXACT, GC_BARRIERS_ALL
#define SMALL 64 * KIB, 16 * MIB, TAGS, TRAITS

static const struct variant variants[] = {
    {{"as it comes", EXACT, SMALL, NULL}, 1},
    {{"full only", EXACT, SMALL, "stress=full"}, 1},
    {{"in place", EXACT, SMALL, "stress=in-place"}, 1},
    {{"tiny mark stack", EXACT, SMALL, "stress=tiny-stack"}, 1},
    {{"prefetching", EXACT, SMALL, "stress=prefetch"}, 1},
    {{"without barriers", GC_STACKS_EXACT, GC_BARRIERS_NONE, SMALL, NULL}, 1},
    {{"ambiguous stacks", GC_STACKS_AMBIGUOUS, GC_BARRIERS_ALL, SMALL, NULL}, 1},
    {{"a large nursery", EXACT, MIB, 16 * MIB, TAGS, TRAITS, NULL}, 1},
    {{"always moving", EXACT, SMALL, "stress=evacuate-all"}, 4},
    {{"always collecting", EXACT, SMALL, "stress=collect"}, 8},
    {{"born old", EXACT, SMALL, "stress=pretenure"}, 1},
    {{"deep checks", EXACT, SMALL, "check=deep"}, 8},
    {{"one worker", EXACT, SMALL, "workers=1"}, 1},
    {{"two workers", EXACT, SMALL, "workers=2"}, 1},
    {{"two workers at work", EXACT, SMALL, "workers=2,stress=prefetch"}, 2},
};

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t hash_of_trace(const struct shadow_config *config, uint64_t seed)
{
    struct shadow_choices choices = {.state = seed * 2 + 1};

    assert_true(shadow_start(config, &choices));
    for (int i = 0; i < STEPS; i++)
        shadow_step();
    return shadow_finish();
}

static void a_trace_leaves_the_same_graph_in_all_heaps(void **state)
{
    uint64_t first = number_from("STRATA_SEED", 1);
    uint64_t traces = number_from("STRATA_TRACES", scaled(400));
    uint64_t runs[GC_COUNT(variants)] = {0};
    uint64_t before = 0;

    (void)state;
    for (uint64_t seed = first; seed < first + traces; seed++) {
        uint64_t hash = hash_of_trace(&variants[0].config, seed);

        assert_int_not_equal(hash, before);
        before = hash;
        for (size_t i = 1; i < GC_COUNT(variants); i++) {
            if (seed % variants[i].share != 0)
                continue;
            runs[i]++;
            if (hash_of_trace(&variants[i].config, seed) != hash)
                fail_msg("STRATA_SEED=%llu: another graph %s", (unsigned long long)seed,
                         variants[i].config.name);
        }
    }
    for (size_t i = 1; i < GC_COUNT(variants); i++) {
        print_message("%s: %llu traces\n", variants[i].config.name, (unsigned long long)runs[i]);
        assert_true(runs[i] > 0 || traces < variants[i].share);
    }
    assert_true(shadow_tally.collections > 0 && shadow_tally.cleared_weakrefs > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_leaves_the_same_graph_in_all_heaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
