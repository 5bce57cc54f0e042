/* SPDX-License-Identifier: MIT
 *
 * Preloaded into a test program: runs only the test $STRATA_TEST of it. What that
 * starts, or is started by, may be no program of tests. */
#include <stdlib.h>

void cmocka_set_test_filter(const char *pattern) __attribute__((weak));

__attribute__((constructor)) static void choose(void)
{
    if (cmocka_set_test_filter != NULL && getenv("STRATA_TEST") != NULL)
        cmocka_set_test_filter(getenv("STRATA_TEST"));
}
