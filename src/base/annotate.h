/* SPDX-License-Identifier: MIT
 *
 * What tools that watch memory must be told. Scanning a stack reads words that
 * were never written, and red zones, on purpose. And in a build for
 * AddressSanitizer, or for memcheck (STRATA_MEMCHECK), the tool learns which
 * bytes of a heap may be touched: see memory/forbid.h. In any other build all
 * of this is nothing.
 */
#ifndef STRATA_ANNOTATE_H
#define STRATA_ANNOTATE_H

#include <stdint.h>

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define STRATA_HAS_MEMCHECK 1
#endif
#endif

#ifdef STRATA_HAS_MEMCHECK
#define GC_UNDER_MEMCHECK() (RUNNING_ON_VALGRIND != 0)
#define GC_MAKE_DEFINED(address, bytes) ((void)VALGRIND_MAKE_MEM_DEFINED(address, bytes))
#else
#define GC_UNDER_MEMCHECK() 0
#define GC_MAKE_DEFINED(address, bytes) ((void)(address), (void)(bytes))
#endif

#if defined(__SANITIZE_ADDRESS__)
#define GC_UNDER_ASAN 1
#define GC_UNCHECKED_BY_ASAN __attribute__((no_sanitize_address, noinline))
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GC_UNDER_ASAN 1
#define GC_UNCHECKED_BY_ASAN __attribute__((no_sanitize("address"), noinline))
#endif
#endif

/* Lets the other thread of a core go on, where the processor knows how. */
#if defined(__x86_64__) || defined(__i386__)
#define GC_RELAX() __builtin_ia32_pause()
#else
#define GC_RELAX() __asm__ volatile("" ::: "memory")
#endif

/* A word of each thread's own that a signal handler may look at: it is there
 * from the thread's beginning. */
#define GC_SIGNAL_SAFE_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

/* A stack may be written by its thread while others scan it. */
#if defined(__SANITIZE_THREAD__)
#define GC_UNDER_TSAN 1
#define GC_UNCHECKED_BY_TSAN __attribute__((no_sanitize_thread, noinline))
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GC_UNDER_TSAN 1
#define GC_UNCHECKED_BY_TSAN __attribute__((no_sanitize("thread"), noinline))
#endif
#endif

/* In a build for helgrind: memory may be written by one thread and read by others
 * as it comes, or is one thread's own from now on; and a lock, taken before a fork,
 * is made anew in the child. base/helgrind.h tells it of atomic operations. */
#ifdef STRATA_HELGRIND
#define GC_UNDER_HELGRIND 1
#define GC_SHARE_UNCHECKED(start, bytes) VALGRIND_HG_DISABLE_CHECKING(start, bytes)
#define GC_CHECK_ANEW(start, bytes) VALGRIND_HG_ENABLE_CHECKING(start, bytes)
#define GC_LOCK_IS_GIVEN(mutex)               \
    do {                                      \
        VALGRIND_HG_MUTEX_UNLOCK_PRE(mutex);  \
        VALGRIND_HG_MUTEX_UNLOCK_POST(mutex); \
    } while (0)
#else
#define GC_UNDER_HELGRIND 0
#define GC_SHARE_UNCHECKED(start, bytes) ((void)(start), (void)(bytes))
#define GC_CHECK_ANEW(start, bytes) ((void)(start), (void)(bytes))
#define GC_LOCK_IS_GIVEN(mutex) ((void)(mutex))
#endif

#ifndef GC_UNDER_TSAN
#define GC_UNDER_TSAN 0
#define GC_UNCHECKED_BY_TSAN
#endif

#ifndef GC_UNDER_ASAN
#define GC_UNDER_ASAN 0
#define GC_UNCHECKED_BY_ASAN
#endif

#if GC_UNDER_ASAN

#include <sanitizer/asan_interface.h>
#define GC_FORBID(start, bytes) __asan_poison_memory_region(start, bytes)
#define GC_ALLOW(start, bytes) __asan_unpoison_memory_region(start, bytes)
#define GC_SILENCE() ((void)0)
#define GC_UNSILENCE() ((void)0)

#elif defined(STRATA_MEMCHECK)

#ifndef STRATA_HAS_MEMCHECK
#error "STRATA_MEMCHECK needs <valgrind/memcheck.h>"
#endif
#define GC_FORBID(start, bytes) ((void)VALGRIND_MAKE_MEM_NOACCESS(start, bytes))
#define GC_ALLOW(start, bytes) ((void)VALGRIND_MAKE_MEM_DEFINED(start, bytes))
#define GC_SILENCE() VALGRIND_DISABLE_ERROR_REPORTING
#define GC_UNSILENCE() VALGRIND_ENABLE_ERROR_REPORTING

#endif

#ifdef GC_FORBID
#define GC_FORBIDS 1
#else
#define GC_FORBIDS 0
#define GC_FORBID(start, bytes) ((void)(start), (void)(bytes))
#define GC_ALLOW(start, bytes) ((void)(start), (void)(bytes))
#define GC_SILENCE() ((void)0)
#define GC_UNSILENCE() ((void)0)
#endif

/* Forbidden bytes between an object and the next, so that what runs past the
 * one does not meet the other's header unnoticed. */
enum { GC_REDZONE_BYTES = GC_FORBIDS ? 8 : 0 };

/* From now on touching these bytes is an error of the program, or is none. An
 * end that is no multiple of 8 is kept exactly if it is the end of what is
 * allowed. */
static inline void gc_forbid(uintptr_t from, uintptr_t to)
{
    GC_FORBID((void *)from, to - from);
}

static inline void gc_allow(uintptr_t from, uintptr_t to)
{
    GC_ALLOW((void *)from, to - from);
}

#endif
