/* SPDX-License-Identifier: MIT
 *
 * Where the calling thread's frames are.
 *
 * Under AddressSanitizer a frame's variables may live in a "fake frame" on the
 * heap, so that a use after return is noticed; the real frame then holds only
 * its address. Every word of the real stack is therefore offered to the
 * sanitizer, which knows its fake frames.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif

#ifdef UNDER_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Kept because the C library reads /proc to answer for the main thread. 0 until
 * known. Its address serves as the thread's identity. */
static _Thread_local uintptr_t known_base;

static uintptr_t base_from_attributes(void)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t bytes = 0;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return 0;
    }
    int failed = pthread_attr_getstack(&attributes, &low, &bytes);

    (void)pthread_attr_destroy(&attributes);
    return failed ? 0 : (uintptr_t)low + bytes;
}

/* For a main thread where /proc is missing or no file can be opened: the kernel
 * puts the program's name above every frame, as the last thing on that stack. A
 * child that was forked by another thread runs on that one's stack, which is
 * farther away than a main stack can reach. */
static uintptr_t base_from_program_name(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const char *name = (const char *)getauxval(AT_EXECFN);
    struct rlimit limit;

    if (name == NULL || syscall(SYS_gettid) != getpid() || getrlimit(RLIMIT_STACK, &limit) != 0) {
        return 0;
    }
    uintptr_t base = (uintptr_t)name + strlen(name) + 1;

    base &= ~(uintptr_t)(sizeof(uintptr_t) - 1);
    return base > here && base - here <= limit.rlim_cur ? base : 0;
}

uintptr_t gc_os_stack_base(void)
{
    if (known_base == 0) {
        known_base = base_from_attributes();
    }
    if (known_base == 0) {
        known_base = base_from_program_name();
    }
    return known_base;
}

uintptr_t gc_os_thread(void)
{
    return (uintptr_t)&known_base;
}

#ifdef UNDER_ASAN

void *gc_os_fake_stack(void)
{
    return __asan_get_current_fake_stack();
}

/* Uninstrumented: it reads the red zones between variables too. */
__attribute__((no_sanitize("address"))) void
gc_os_fake_frames(void *fake_stack, uintptr_t low, uintptr_t high,
                  void (*found)(uintptr_t from, uintptr_t to, void *data), void *data)
{
    const uintptr_t word_bytes = sizeof(void *);
    void *last = NULL;

    for (uintptr_t at = (low + word_bytes - 1) & -word_bytes; at + word_bytes <= high;
         at += word_bytes) {
        void *from = NULL;
        void *to = NULL;

        /* A frame often holds the same fake frame's address many times over. */
        if (__asan_addr_is_in_fake_stack(fake_stack, *(void **)at, &from, &to) && from != last) {
            found((uintptr_t)from, (uintptr_t)to, data);
            last = from;
        }
    }
}

#else

void *gc_os_fake_stack(void)
{
    return NULL;
}

void gc_os_fake_frames(void *fake_stack, uintptr_t low, uintptr_t high,
                       void (*found)(uintptr_t from, uintptr_t to, void *data), void *data)
{
    (void)fake_stack;
    (void)low;
    (void)high;
    (void)found;
    (void)data;
}

#endif
