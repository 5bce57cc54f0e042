/* SPDX-License-Identifier: MIT
 *
 * Memory straight from the system's table, for tests of that table.
 */
#ifndef STRATA_TEST_PAGES_H
#define STRATA_TEST_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Whole pages, which the caller releases; fails the test without them. */
unsigned char *reserve_and_commit(size_t bytes);

/* Whether each byte is `value`. */
bool is_all(const unsigned char *bytes, size_t count, unsigned char value);

#endif
