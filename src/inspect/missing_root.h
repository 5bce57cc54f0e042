/* SPDX-License-Identifier: MIT */
#ifndef STRATA_MISSING_ROOT_H
#define STRATA_MISSING_ROOT_H

#include "heap/heap.h"

/* Says what a stale address was: "offset 8 of an object of type node, 24
 * bytes, at ..., which moved to ... in collection 7". */
void gc_stale_describe(const struct gc_stale *stale, uintptr_t address, char *text, size_t bytes);

/* The report, if the address is one that a collection of the heap left. */
bool gc_explain_fault(uintptr_t address, void *heap);

#endif
