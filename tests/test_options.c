/* SPDX-License-Identifier: MIT
 *
 * Options: what is refused is refused with a status and a reason, and nothing
 * is made.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */

#include "support/child.h"
#include "support/heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

/* Refused with this status and a reason; the heap pointer is as it was. */
static void assert_refused(const gc_options *options, gc_status status)
{
    static max_align_t nothing;
    gc_heap *const before = (gc_heap *)&nothing;
    gc_heap *heap = before;

    assert_int_equal(gc_heap_create(options, &heap), status);
    assert_ptr_equal(heap, before);
    assert_true(strlen(gc_options_explain(options)) > 0);
}

static void assert_refused_for(const gc_options *options, const char *reason)
{
    assert_refused(options, GC_BAD_OPTION);
    assert_string_equal(gc_options_explain(options), reason);
}

/* ---- Fields ------------------------------------------------------------- */

static void options_of_wrong_size_are_refused(void **state)
{
    static const size_t sizes[] = {0, 1, sizeof(gc_options) - 8, sizeof(gc_options) + 8, SIZE_MAX};
    gc_options options = test_options();
    char reason[100];

    (void)state;
    (void)snprintf(reason, sizeof reason, "size: must be sizeof(gc_options), %zu", sizeof options);
    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        options.size = sizes[i];
        assert_refused(&options, GC_BAD_SIZE);
        assert_string_equal(gc_options_explain(&options), reason);
    }
}

static void unknown_values_of_options_are_refused(void **state)
{
    gc_options options = test_options();

    (void)state;
    options.stacks = (gc_stacks)7;
    assert_refused_for(&options, "stacks=7: must be one of ambiguous exact");
    options = test_options();
    options.barriers = (gc_barriers)7;
    assert_refused_for(&options, "barriers=7: must be one of all none");
    options = test_options();
    options.check = (gc_check)7;
    assert_refused_for(&options, "check=7: must be one of off cheap deep");
    options = test_options();
    options.harden = (gc_harden)2;
    assert_refused_for(&options, "harden=2: must be one of off on");
}

static void impossible_limits_are_refused(void **state)
{
    static const size_t limits[] = {1, MIB - 1, SIZE_MAX / 8 + 1, SIZE_MAX};
    gc_options options = test_options();

    (void)state;
    options.nursery_min = options.nursery_max = 0;
    for (unsigned i = 0; i < GC_COUNT(limits); i++) {
        options.hard_limit = limits[i];
        assert_refused_for(&options,
                           "hard_limit: must be at least 1 MiB, and in the address space");
    }
}

static void impossible_numbers_are_refused(void **state)
{
    gc_options options = test_options();

    (void)state;
    options.nursery_min = options.nursery_max + 1;
    assert_refused_for(&options, "nursery_min: must not be above nursery_max");
    options = test_options();
    options.nursery_max = options.hard_limit + 1;
    assert_refused_for(&options, "nursery_max: must not be above hard_limit");
    options = test_options();
    options.gc_share_percent = 101;
    assert_refused_for(&options, "gc_share_percent: must be 1 to 100");
    options = test_options();
    options.decommit_delay = 256;
    assert_refused_for(&options, "decommit_delay: must be at most 255");
    options = test_options();
    options.workers = 65;
    assert_refused_for(&options, "workers: must be at most 64");
}

static void the_least_of_limits_makes_a_heap_or_has_no_memory(void **state)
{
    gc_options options;
    gc_heap *heap = NULL;
    gc_status status;

    (void)state;
    gc_options_init(&options);
    options.hard_limit = MIB;
    status = gc_heap_create(&options, &heap);
    assert_true(status == GC_OK || status == GC_NO_MEMORY);
    if (status == GC_OK)
        gc_heap_destroy(heap);
    options.hard_limit = 4 * MIB;
    assert_int_equal(gc_heap_create(&options, &heap), GC_OK);
    gc_heap_destroy(heap);
}

static void good_options_need_no_explanation(void **state)
{
    gc_options options = test_options();

    (void)state;
    assert_string_equal(gc_options_explain(&options), "");
    assert_string_equal(gc_options_explain(NULL), "");
}

/* ---- Settings ----------------------------------------------------------- */

#define MODES "none collect evacuate-all full in-place tiny-stack prefetch pretenure quarantine"

static const struct setting {
    const char *text;
    const char *reason; /* NULL: any */
} malformed[] = {
    {"nonsense=1",
     "nonsense: no such option: there are check, stress, stacks, barriers, harden, hard-limit, "
     "soft-limit, nursery-min, nursery-max, threshold1, threshold2, growth, gc-share, "
     "decommit-delay, workers, watchdog-ms, stress-every, stress-seed"},
    {"check", "check: must be name=value"},
    {"check=", "check=: must be one of off cheap deep"},
    {"check=deeper", "check=deeper: must be one of off cheap deep"},
    {"hard-limit=", "hard-limit=: must be a number, K, M or G may follow"},
    {"hard-limit=-1", "hard-limit=-1: must be a number, K, M or G may follow"},
    {"hard-limit=:", "hard-limit=:: must be a number, K, M or G may follow"},
    {"hard-limit=18446744073709551616",
     "hard-limit=18446744073709551616: must be a number, K, M or G may follow"},
    {"hard-limit=1Q", "hard-limit=1Q: must be a number, K, M or G may follow"},
    {"hard-limit=1MM", "hard-limit=1MM: must be a number, K, M or G may follow"},
    {"hard-limit=99999999999999999999",
     "hard-limit=99999999999999999999: must be a number, K, M or G may follow"},
    {"hard-limit=99999999999G", "hard-limit=99999999999G: must be a number, K, M or G may follow"},
    {"threshold1=99999999999", "threshold1=99999999999: must be a number, K, M or G may follow"},
    {"check=deep,,", ": must be name=value"},
    {"=", NULL},
    {"stress=no-such-mode", "stress=no-such-mode: must be one of " MODES},
    {"stress=collect+", "stress=: must be one of " MODES},
    {"stress=collect+full+on", "stress=on: must be one of " MODES},
    {"stress-every=0", "stress-every=0: must be at least 1"},
    {"workers=65", "workers: must be at most 64"},
    {"decommit-delay=256", "decommit_delay: must be at most 255"},
    {"gc-share=101", "gc_share_percent: must be 1 to 100"},
    {"harden=yes", "harden=yes: must be one of off on"},
    {"stacks=neither", "stacks=neither: must be one of ambiguous exact"},
    {"barriers=some", "barriers=some: must be one of all none"},
};

static void malformed_settings_are_refused(void **state)
{
    gc_options options = test_options();

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(malformed); i++) {
        options.settings = malformed[i].text;
        assert_refused(&options, GC_BAD_OPTION);
        if (malformed[i].reason != NULL)
            assert_string_equal(gc_options_explain(&options), malformed[i].reason);
    }
}

/* Every option that is a number, with everything that is none, or too large. */
static void numbers_are_numbers_in_every_option(void **state)
{
    static const char *const names[] = {
        "hard-limit",  "soft-limit",   "nursery-min", "nursery-max", "threshold1",
        "threshold2",  "growth",       "gc-share",    "workers",     "decommit-delay",
        "watchdog-ms", "stress-every", "stress-seed"};
    static const char *const values[] = {"",
                                         " 1",
                                         "1 ",
                                         "-1",
                                         "+1",
                                         "x",
                                         "0x10",
                                         "1e3",
                                         "1k",
                                         "1KK",
                                         "K",
                                         "1.5",
                                         "18446744073709551616",
                                         "18446744073709551615K",
                                         "99999999999G"};
    gc_options options = test_options();
    char text[100], reason[200];

    (void)state;
    options.settings = text;
    for (unsigned i = 0; i < GC_COUNT(names); i++)
        for (unsigned j = 0; j < GC_COUNT(values); j++) {
            (void)snprintf(text, sizeof text, "%s=%s", names[i], values[j]);
            (void)snprintf(reason, sizeof reason, "%s: must be a number, K, M or G may follow",
                           text);
            assert_refused_for(&options, reason);
        }
}

/* These are of 32 bits. */
static void narrow_numbers_do_not_wrap(void **state)
{
    static const char *const names[] = {"threshold1", "threshold2",     "growth",     "gc-share",
                                        "workers",    "decommit-delay", "watchdog-ms"};
    gc_options options = test_options();
    char text[100], reason[200];

    (void)state;
    options.settings = text;
    for (unsigned i = 0; i < GC_COUNT(names); i++) {
        (void)snprintf(text, sizeof text, "%s=4294967297", names[i]);
        (void)snprintf(reason, sizeof reason, "%s: must be a number, K, M or G may follow", text);
        assert_refused_for(&options, reason);
    }
}

static void settings_take_the_units_of_bytes(void **state)
{
    static const struct {
        const char *text;
        size_t limit;
    } settings[] = {
        {"hard-limit=134217728", (size_t)128 << 20},
        {"hard-limit=131072K", (size_t)128 << 20},
        {"hard-limit=128M", (size_t)128 << 20},
        {"hard-limit=2G", (size_t)2 << 30},
        {"", (size_t)256 << 20},
    };
    gc_options options = test_options();

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(settings); i++) {
        struct world *world;

        options.settings = settings[i].text;
        world = world_make(&options);
        assert_int_equal(stats_of(world->heap).hard_limit, settings[i].limit);
        world_free(world);
    }
}

static void overlong_settings_are_refused(void **state)
{
    gc_options options = test_options();
    char text[100000];

    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    options.settings = text;
    assert_refused_for(&options, "settings: must be at most 511 characters");
    text[511] = '\0';
    assert_refused(&options, GC_BAD_OPTION);
}

static void set_environment(const char *value)
{
    if (value == NULL)
        assert_int_equal(unsetenv("STRATA_OPTIONS"), 0);
    else
        assert_int_equal(setenv("STRATA_OPTIONS", value, 1), 0);
}

static void malformed_environment_is_refused(void **state)
{
    const char *before = getenv("STRATA_OPTIONS");
    char *kept = before == NULL ? NULL : strdup(before);
    gc_options options = test_options();

    (void)state;
    set_environment("nonsense=1");
    assert_refused(&options, GC_BAD_OPTION);
    assert_refused(NULL, GC_BAD_OPTION);
    set_environment(kept);
    free(kept);
}

static void create_refused(void *environment)
{
    gc_options options = test_options();
    gc_heap *heap = NULL;

    options.workers = 65;
    set_environment(environment);
    (void)gc_heap_create(&options, &heap);
}

static void assert_prints(const char *environment, const char *expected)
{
    char copy[20], text[200];

    (void)snprintf(copy, sizeof copy, "%s", environment);
    assert_int_equal(run_in_child(create_refused, copy, text, sizeof text), 0);
    assert_string_equal(text, expected);
}

/* Who sets the environment may not have written the program. */
static void a_refusal_with_an_environment_is_printed(void **state)
{
    (void)state;
    assert_prints("check=deeper",
                  "strata: gc_heap_create: check=deeper: must be one of off cheap deep "
                  "(STRATA_OPTIONS is check=deeper)\n");
    assert_prints("check=deep", "strata: gc_heap_create: workers: must be at most 64 "
                                "(STRATA_OPTIONS is check=deep)\n");
    assert_prints("", "");
}

static void environment_wins(void **state)
{
    const char *before = getenv("STRATA_OPTIONS");
    char *kept = before == NULL ? NULL : strdup(before);
    gc_options options = test_options();
    gc_heap *heap = NULL;

    (void)state;
    options.threshold1 = 5;
    options.settings = "threshold1=6,threshold2=8";
    set_environment("threshold1=7");
    assert_int_equal(gc_heap_create(&options, &heap), GC_OK);
    set_environment(kept);
    free(kept);
    assert_int_equal(gc_threshold(heap, 1), 7);
    assert_int_equal(gc_threshold(heap, 2), 8);
    gc_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_wrong_size_are_refused),
        cmocka_unit_test(unknown_values_of_options_are_refused),
        cmocka_unit_test(impossible_limits_are_refused),
        cmocka_unit_test(impossible_numbers_are_refused),
        cmocka_unit_test(the_least_of_limits_makes_a_heap_or_has_no_memory),
        cmocka_unit_test(good_options_need_no_explanation),
        cmocka_unit_test(malformed_settings_are_refused),
        cmocka_unit_test(numbers_are_numbers_in_every_option),
        cmocka_unit_test(narrow_numbers_do_not_wrap),
        cmocka_unit_test(settings_take_the_units_of_bytes),
        cmocka_unit_test(overlong_settings_are_refused),
        cmocka_unit_test(malformed_environment_is_refused),
        cmocka_unit_test(a_refusal_with_an_environment_is_printed),
        cmocka_unit_test(environment_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
