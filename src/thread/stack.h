/* SPDX-License-Identifier: MIT
 *
 * The words of a thread's stack and registers.
 */
#ifndef STRATA_STACK_H
#define STRATA_STACK_H

#include <stddef.h>
#include <stdint.h>

typedef void gc_words_fn(const uintptr_t *words, size_t count, void *data);

/* Where a stack ends that does not move for a while. */
struct gc_stack_top {
    uintptr_t address; /* lowest, inclusive */
    void *fake_stack;  /* of AddressSanitizer, or NULL */
};

/* Spills every register that a callee must preserve, then calls `act`. While
 * that runs, all that its callers keep lies between the top and the base. */
void gc_stack_freeze(void (*act)(struct gc_stack_top top, void *data), void *data);

/* Calls `scan` for a stack that is frozen, its own thread's or another's. */
void gc_stack_scan_frozen(struct gc_stack_top top, uintptr_t base, gc_words_fn *scan, void *data);

/* Calls `scan` for the calling thread's stack from here to `base`. */
void gc_stack_scan(uintptr_t base, gc_words_fn *scan, void *data);

/* Calls `scan` for a range that may hold undefined words. */
void gc_words_scan(uintptr_t from, uintptr_t to, gc_words_fn *scan, void *data);

#endif
