/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the heap: an input is a configuration and a program of the shadow
 * graph (support/shadow.h). Every string of bytes is a valid one.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */

#include "fuzz/target.h"

#include <stdlib.h>

#include "support/fault.h"
#include "support/shadow.h"

enum { TAGS = 1 | 1 << 2 | 1 << 5 | 1 << 7 };

static const char *const settings[] = {
    NULL,
    "stress=tiny-stack",
    "stress=prefetch",
    "stress=prefetch+tiny-stack",
    "stress=in-place",
    "stress=evacuate-all",
    "stress=full",
    "stress=evacuate-all+prefetch",
    "stress=in-place+tiny-stack",
    "stress=pretenure,check=deep",
    "check=deep",
    "check=deep,stress=tiny-stack",
    "threshold1=1,threshold2=1",
    "growth=1,decommit-delay=2",
    "stress=collect,check=cheap",
    "stress=collect+evacuate-all",
};

static struct shadow_config decode(struct shadow_choices *choices)
{
    uint64_t bits = shadow_choose(choices, 256);
    struct shadow_config config = {
        .name = "fuzz",
        .stacks = GC_STACKS_EXACT,
        .barriers = GC_BARRIERS_ALL,
        .nursery = ((size_t)32 << (bits & 1)) * KIB,
        .hard_limit = 8 * MIB,
        .tags = bits & 2 ? TAGS : 1,
        .traits = SHADOW_BRIEF,
        .settings = settings[bits >> 4],
    };

    if ((bits & 12) == 12)
        config.barriers = GC_BARRIERS_NONE;
    bits = shadow_choose(choices, 16);
    if (bits >= 8)
        config.traits |= SHADOW_LAZY;
    bits %= 8;
    if (bits == 1)
        config.stacks = GC_STACKS_AMBIGUOUS;
    if (bits == 2 || bits == 3) {
        config.hard_limit = bits * MIB;
        config.traits |= SHADOW_MAY_FAIL;
    }
    if (bits == 4)
        config.traits |= SHADOW_FAULTS;
    return config;
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    /* An assertion that fails aborts, rather than go on to the next test. */
    return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct shadow_choices choices = {.bytes = bytes, .left = size};
    struct shadow_config config = decode(&choices);
    bool is_faulty = (config.traits & SHADOW_FAULTS) != 0;

    if (size == 0)
        return 0;
    if (is_faulty)
        fault_install();
    if (shadow_start(&config, &choices)) {
        while (shadow_goes_on())
            shadow_step();
        (void)shadow_finish();
    }
    if (is_faulty) {
        assert_true(fault_is_clean());
        fault_remove();
    }
    return 0;
}
