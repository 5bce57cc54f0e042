/* SPDX-License-Identifier: MIT
 *
 * Heaps that fork follows, and children that go on with them.
 */
#ifndef STRATA_TEST_FORKED_H
#define STRATA_TEST_FORKED_H

#include "support/graph.h"

#include <sys/types.h>

/* A shared world (support/threads.h) that fork follows, with a list of 1000 in
 * root[0]; its end, when it has lived on. */
struct world *make_followed(const char *settings);
void end_followed(struct world *world);

/* What a child does; whether all is well. It must not fail tests itself. */
typedef bool child_fn(struct world *world, gc_mutator *mutator);

/* Builds lists over collections of all kinds, and verifies. */
bool lives_on(struct world *world, gc_mutator *mutator);

/* A child of `pid` 0 ends here; the parent waits till it has, which must be well. */
void end_or_wait(pid_t pid, bool well);

/* Forks; the child acts. */
void fork_followed(struct world *world, gc_mutator *mutator, child_fn *act);

#endif
