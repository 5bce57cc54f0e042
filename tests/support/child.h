/* SPDX-License-Identifier: MIT
 *
 * Doing in a child process what may end it, and hearing what it says.
 */
#ifndef STRATA_TEST_CHILD_H
#define STRATA_TEST_CHILD_H

#include <stddef.h>

/* Runs `act` in a child, which ends with 0 if `act` returns; puts what it
 * writes to stderr into `text`, cut to `size`. Returns its status, as waitpid
 * has it. No core is left. */
int run_in_child(void (*act)(void *data), void *data, char *text, size_t size);

/* In a child: without cmocka's handlers, so that a fault, or an assertion that
 * fails, ends it and does not go on to the next test in it. */
void end_by_faults(void);

#endif
