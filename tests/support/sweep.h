/* SPDX-License-Identifier: MIT
 *
 * A sweep repeats one operation with the n-th call of the system failing, once
 * and for ever, for n = 0, 1, ... until the operation is over without having
 * come to it. Nothing aborts, nothing leaks, nothing is lost; the heap verifies
 * and works on.
 */
#ifndef STRATA_TEST_SWEEP_H
#define STRATA_TEST_SWEEP_H

#include "support/fault.h"
#include "support/graph.h"

struct scenario {
    const char *name;
    void (*arrange)(struct world *world); /* may be NULL */
    void (*act)(struct world *world);     /* with faults: may not assert success */
    void (*check)(struct world *world);   /* without: the work can be resumed */
    const gc_options *options;            /* NULL: plain, with a nursery of 256 KiB */
};

/* One run with `times` calls of `mask` failing from that point on; whether a
 * fault was met. */
bool sweep_once(const struct scenario *scenario, unsigned point, unsigned times, unsigned mask);

/* All kinds of calls together, and each alone. `is_met`: the operation makes
 * calls at all, so that the sweep is not empty. */
void sweep_all(const struct scenario *scenario, bool is_met);

/* Setup and teardown: the table of calls that can fail is there for one test. A
 * test that failed leaves its heap behind; the next starts afresh. */
int fault_setup(void **state);
int fault_teardown(void **state);

#define FAULTY(test) cmocka_unit_test_setup_teardown(test, fault_setup, fault_teardown)

#endif
