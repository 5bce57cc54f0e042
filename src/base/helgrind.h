/* SPDX-License-Identifier: MIT
 *
 * Atomic operations, told to helgrind: in a build for it (STRATA_HELGRIND) this is
 * included before everything else, the public headers and the tests too.
 *
 * helgrind knows locks, but not the atomics of C11: it takes each for a plain
 * access. Told here, for every one of them:
 *
 *   - its bytes are changed by atomic operations: they are not checked from now on.
 *     (ThreadSanitizer knows what helgrind does not: that plain accesses to such
 *     bytes race.) When their memory is handed out anew, to an object or by malloc,
 *     it is checked again.
 *   - what its order says: all that came before a release comes before what comes
 *     after an acquire of the same word. helgrind takes it so of all releases before,
 *     not of the one that was read; so it may miss a race, but invents none.
 *
 * Nothing else is told, so that a missing order is seen: a relaxed operation where
 * an acquire is needed, or a word read where no stop was asked for, is reported.
 */
#ifndef STRATA_HELGRIND_H
#define STRATA_HELGRIND_H

#include <valgrind/helgrind.h>

enum { GC_ACQUIRES = 1, GC_RELEASES = 2 };

static inline int gc_order_has(int order, int what)
{
    static const int has[] = {
        [__ATOMIC_RELAXED] = 0,
        [__ATOMIC_CONSUME] = GC_ACQUIRES,
        [__ATOMIC_ACQUIRE] = GC_ACQUIRES,
        [__ATOMIC_RELEASE] = GC_RELEASES,
        [__ATOMIC_ACQ_REL] = GC_ACQUIRES | GC_RELEASES,
        [__ATOMIC_SEQ_CST] = GC_ACQUIRES | GC_RELEASES,
    };

    return has[order] & what;
}

/* What is told before an operation, and after it. */
static inline void gc_tell_before(const volatile void *word, unsigned long bytes, int order)
{
    VALGRIND_HG_DISABLE_CHECKING(word, bytes);
    if (gc_order_has(order, GC_RELEASES))
        ANNOTATE_HAPPENS_BEFORE(word);
}

static inline void gc_tell_after(const volatile void *word, int order)
{
    if (gc_order_has(order, GC_ACQUIRES))
        ANNOTATE_HAPPENS_AFTER(word);
}

/* The names within are each operation's own: one may stand in another's operands. */
#define GC_TOLD(word, order, kept, operation)               \
    __extension__({                                         \
        const volatile void *kept##_word = (word);          \
        gc_tell_before(kept##_word, sizeof *(word), order); \
        __auto_type kept = operation;                       \
        gc_tell_after(kept##_word, order);                  \
        kept;                                               \
    })

#define __atomic_load_n(word, order) GC_TOLD(word, order, loaded, __atomic_load_n(word, order))

#define __atomic_store_n(word, value, order)         \
    __extension__({                                  \
        gc_tell_before(word, sizeof *(word), order); \
        __atomic_store_n(word, value, order);        \
    })

#define __atomic_exchange_n(word, value, order) \
    GC_TOLD(word, order, exchanged, __atomic_exchange_n(word, value, order))
#define __atomic_compare_exchange_n(word, old, value, weak, order, failed) \
    GC_TOLD(word, order, compared,                                         \
            __atomic_compare_exchange_n(word, old, value, weak, order, failed))
#define __atomic_fetch_or(word, bits, order) \
    GC_TOLD(word, order, joined, __atomic_fetch_or(word, bits, order))
#define __atomic_fetch_and(word, bits, order) \
    GC_TOLD(word, order, met, __atomic_fetch_and(word, bits, order))
#define __atomic_fetch_add(word, value, order) \
    GC_TOLD(word, order, counted, __atomic_fetch_add(word, value, order))
#define __atomic_fetch_sub(word, value, order) \
    GC_TOLD(word, order, uncounted, __atomic_fetch_sub(word, value, order))
#define __atomic_add_fetch(word, value, order) \
    GC_TOLD(word, order, added, __atomic_add_fetch(word, value, order))
#define __atomic_sub_fetch(word, value, order) \
    GC_TOLD(word, order, taken, __atomic_sub_fetch(word, value, order))

#endif
