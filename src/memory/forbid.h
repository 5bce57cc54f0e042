/* SPDX-License-Identifier: MIT
 *
 * Which bytes of the range a tool that watches memory lets the program touch,
 * in a build for one (GC_FORBIDS; see base/annotate.h).
 *
 * There allocation goes out of line, so that it can allow what it hands out,
 * and each object is followed by a red zone, as if it were padding (see T4). In
 * any other build nothing is done, and nothing costs.
 *
 * P1  Of the committed range everything is forbidden but objects that no
 *     collection has found dead: their length word, header and payload, to the
 *     byte. An object that was moved is forbidden when its block is swept. What
 *     a quarantine keeps speaks for itself (cycle/quarantine.h).
 */
#ifndef STRATA_FORBID_H
#define STRATA_FORBID_H

#include "base/annotate.h"
#include "memory/tables.h"

#include <string.h>

/* Zeroes room that may be forbidden, and stays so. */
static inline void gc_zero(uintptr_t from, uintptr_t to)
{
    if (GC_FORBIDS)
        gc_allow(from, to);
    memset((void *)from, 0, to - from);
    if (GC_FORBIDS)
        gc_forbid(from, to);
}

uint64_t gc_peek_forbidden(uintptr_t at);

/* Reads a word that may be forbidden, or that another thread may write. */
static inline uint64_t gc_peek(uintptr_t at)
{
    return GC_FORBIDS ? gc_peek_forbidden(at)
                      : __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

/* Forbids all of a swept block that lies between its objects. */
void gc_forbid_gaps(struct gc_tables *tables, uint32_t block);

void gc_copy_forbidden(uintptr_t to, uintptr_t from, size_t bytes);

/* Copies an object, from its length or header to its end, to room that may be
 * forbidden. */
static inline void gc_copy_whole(uintptr_t to, uintptr_t from, size_t bytes)
{
    if (GC_FORBIDS)
        gc_copy_forbidden(to, from, bytes);
    else
        memcpy((void *)to, (const void *)from, bytes);
}

#endif
