/* SPDX-License-Identifier: MIT
 *
 * Arithmetic on bits and sizes, and what the compiler must be told.
 */
#ifndef STRATA_BITS_H
#define STRATA_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GC_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define GC_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define GC_ALWAYS_INLINE static inline __attribute__((always_inline))
#define GC_NEVER_INLINE __attribute__((noinline))

static inline unsigned gc_lowest_bit(uint64_t word)
{
    return (unsigned)__builtin_ctzll(word);
}

static inline unsigned gc_highest_bit(uint64_t word)
{
    return 63u - (unsigned)__builtin_clzll(word);
}

static inline unsigned gc_bit_count(uint64_t word)
{
    return (unsigned)__builtin_popcountll(word);
}

/* The sum of a word's bytes. */
static inline unsigned gc_sum_bytes(uint64_t word)
{
    word = (word & 0x00ff00ff00ff00ffu) + (word >> 8 & 0x00ff00ff00ff00ffu);
    return (unsigned)(word * 0x0001000100010001u >> 48);
}

/* `unit` is a power of two. */
static inline size_t gc_round_up(size_t value, size_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

static inline size_t gc_round_down(size_t value, size_t unit)
{
    return value & ~(unit - 1);
}

static inline size_t gc_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t gc_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Word `low` bits set from bit `first`; `count` from 1 to 64. */
static inline uint64_t gc_bit_run(unsigned first, unsigned count)
{
    return (UINT64_MAX >> (-count & 63)) << first;
}

/* What is fetched at once, on most machines. */
enum { GC_CACHE_LINE_BYTES = 64 };

/* Always inline: gcc takes a function of a prefetch alone for one without effect,
 * and drops its calls. */
GC_ALWAYS_INLINE void gc_prefetch(const void *address)
{
    __builtin_prefetch(address, 1);
}

#endif
