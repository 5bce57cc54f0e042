/* SPDX-License-Identifier: MIT
 *
 * Stands between the library and the system's table: makes chosen calls fail,
 * and keeps account of what was taken and not given back. Any thread's calls
 * are seen; install and remove while no other thread uses the table.
 *
 *     fault_install();
 *     fault_arm(3, 1, FAULT_COMMIT);   // the fourth commit fails, once
 *     ... make a heap, use it, destroy it ...
 *     assert_true(fault_is_clean());   // everything was given back
 *     fault_remove();
 */
#ifndef STRATA_TEST_FAULT_H
#define STRATA_TEST_FAULT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The calls that can be made to fail, to be joined with |. */
enum {
    FAULT_RESERVE = 1 << 0,
    FAULT_COMMIT = 1 << 1,
    FAULT_DECOMMIT = 1 << 2,
    FAULT_PROTECT = 1 << 3,
    FAULT_ADVISE = 1 << 4,
    FAULT_ALLOCATE = 1 << 5,
    FAULT_RESIZE = 1 << 6,
    FAULT_RANDOM = 1 << 7,
    FAULT_ALL = (1 << 8) - 1
};

/* Puts the wrapper over `gc_os`, disarmed, with every count at 0. What was
 * reserved or allocated before must not be given back before `fault_remove`. */
void fault_install(void);

/* Puts the table back that was there; harmless if it is there already, so that
 * it can be a test's teardown. */
void fault_remove(void);

/* Of the calls in `mask`, lets `calls_before_failure` through and then makes
 * `how_many_fail` fail: UINT_MAX means for ever. Sets `fault_failed` to 0. */
void fault_arm(unsigned calls_before_failure, unsigned how_many_fail, unsigned mask);

/* The same for two calls: of those after the first that failed, `gap` are let
 * through, and the next fails. */
void fault_arm_twice(unsigned calls_before_failure, unsigned gap, unsigned mask);

/* Lets everything through; the counts stay. */
void fault_disarm(void);

unsigned fault_calls(void);             /* of FAULT_ALL, since installed */
unsigned fault_calls_of(unsigned mask); /* of those in `mask`, since installed */
unsigned fault_failed(void);            /* made to fail since last armed */
size_t fault_live_reservations(void);   /* reserved and not released */
size_t fault_live_reserved_bytes(void);
size_t fault_live_allocations(void); /* allocated and not freed */

/* Nothing is outstanding, and nothing was released that was not taken so. */
bool fault_is_clean(void);

#endif
