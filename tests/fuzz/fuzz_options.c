/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the string of settings, as a field and as the environment's
 * STRATA_OPTIONS: it is taken, or refused with a reason that names what is
 * wrong with it. What is taken is taken again in the other form.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */

#include "fuzz/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <strata/gc.h>

static const char *const names[] = {
    "check",       "stress",      "stacks",         "barriers",         "hard-limit",
    "soft-limit",  "nursery-min", "nursery-max",    "threshold1",       "threshold2",
    "growth",      "gc-share",    "hard_limit",     "gc_share_percent", "decommit-delay",
    "nursery_min", "nursery_max", "decommit_delay", "settings",         "harden",
    "workers",     "watchdog-ms", "stress-every",   "stress-seed",
};

/* The reason begins with the name of an option, or with a piece of the text. */
static void check_reason(const char *reason, const char *text)
{
    size_t length = strcspn(reason, ":=");

    assert_true(strlen(reason) > 0 && strstr(reason, ": ") != NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == length && strncmp(names[i], reason, length) == 0)
            return;
    assert_true(strlen(text) >= length);
    while (strncmp(text, reason, length) != 0) {
        assert_true(*text != '\0');
        text++;
    }
}

static gc_status explain(const char *text, const gc_options *options)
{
    const char *reason = gc_options_explain(options);

    if (*reason == '\0')
        return GC_OK;
    check_reason(reason, text);
    return GC_BAD_OPTION;
}

/* Makes the heap, unless it would be a large one. */
static void make(const gc_options *options, gc_status expected)
{
    gc_heap *heap = NULL;
    gc_mutator *mutator;
    gc_status status = gc_heap_create(options, &heap);

    assert_true(status == expected || (expected == GC_OK && status == GC_NO_MEMORY));
    if (status != GC_OK)
        return;
    assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
    assert_non_null(gc_alloc_array(mutator, &gc_type_bytes, 100));
    assert_int_equal(gc_verify(mutator), 0);
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char text[1024];
    gc_options options;
    gc_status as_field, as_environment;

    if (size >= sizeof text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';
    gc_options_init(&options);
    (void)unsetenv("STRATA_OPTIONS");
    options.settings = text;
    as_field = explain(text, &options);
    if (as_field != GC_OK || strstr(text, "limit") == NULL)
        make(&options, as_field);
    options.settings = NULL;
    (void)setenv("STRATA_OPTIONS", text, 1);
    as_environment = explain(text, &options);
    assert_int_equal(as_field, as_environment);
    (void)unsetenv("STRATA_OPTIONS");
    return 0;
}
