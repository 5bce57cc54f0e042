/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void gc_check_failed(const char *tag, const char *condition, const char *file, int line)
{
    fprintf(stderr, "strata: invariant %s broken: %s (%s:%d)\n", tag, condition, file, line);
    abort();
}

void gc_misuse(const char *function, const char *cause)
{
    fprintf(stderr, "strata: %s: %s\n", function, cause);
    abort();
}
