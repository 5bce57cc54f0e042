/* SPDX-License-Identifier: MIT
 *
 * What tools that watch memory must be told. Scanning a stack reads words that
 * were never written, and red zones, on purpose.
 */
#ifndef STRATA_ANNOTATE_H
#define STRATA_ANNOTATE_H

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

#ifndef GC_UNDER_TSAN
#define GC_UNDER_TSAN 0
#define GC_UNCHECKED_BY_TSAN
#endif

#ifndef GC_UNDER_ASAN
#define GC_UNDER_ASAN 0
#define GC_UNCHECKED_BY_ASAN
#endif

#endif
