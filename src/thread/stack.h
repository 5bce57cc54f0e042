/* SPDX-License-Identifier: MIT
 *
 * The words of a thread's stack and registers.
 */
#ifndef STRATA_STACK_H
#define STRATA_STACK_H

#include <stddef.h>
#include <stdint.h>

typedef void gc_words_fn(const uintptr_t *words, size_t count, void *data);

/* Calls `scan` for the calling thread's stack from here to `base`, with every
 * register that a callee must preserve spilled into it. */
void gc_stack_scan(uintptr_t base, gc_words_fn *scan, void *data);

/* Calls `scan` for a range that may hold undefined words. */
void gc_words_scan(uintptr_t from, uintptr_t to, gc_words_fn *scan, void *data);

#endif
