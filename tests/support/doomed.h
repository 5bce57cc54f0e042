/* SPDX-License-Identifier: MIT
 *
 * A world to die in, for expect_abort: made in the child, and seen from all of
 * it, callbacks too.
 */
#ifndef STRATA_TEST_DOOMED_H
#define STRATA_TEST_DOOMED_H

#include "support/heap.h"

#define NOT_A_REFERENCE "this is not a reference to an object of the heap"
#define NOT_MINE "this mutator belongs to another thread, or is detached"
#define NOT_FROM_HERE "called from a callback that may not call it"

extern struct world *doomed;
extern struct node *doomed_node; /* young, and root[0] */
extern struct node foreign;      /* no object */

/* With exact stacks, and check=cheap or check=off. */
void make_doomed(void);
void make_doomed_unchecked(void);

/* Runs `act` on a thread of its own. */
void on_another_thread(void (*act)(void));

/* Expects that `act` dies of "strata: FUNCTION: CAUSE". */
void expect_misuse(void (*act)(void), const char *function, const char *cause);

#endif
