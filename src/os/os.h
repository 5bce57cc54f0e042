/* SPDX-License-Identifier: MIT
 *
 * Everything asked of the operating system goes through one table, so that a
 * test can make the n-th call fail, and another system is one more file.
 */
#ifndef STRATA_OS_H
#define STRATA_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes and addresses are in bytes, whole pages where memory is meant. A bool
 * says whether it was done; a pointer is NULL if it was not. */
struct gc_os {
    /* Address space of `bytes` at a multiple of `alignment` (a power of two),
     * neither readable nor charged to the process. */
    void *(*reserve)(size_t bytes, size_t alignment);
    /* Gives a whole reservation back. */
    bool (*release)(void *start, size_t bytes);
    /* Makes part of a reservation readable and writable; it reads as zero if
     * it was never touched, or not since `decommit`. */
    bool (*commit)(void *start, size_t bytes);
    /* Gives the memory, not the addresses, back; it stays committed in the
     * sense that it can be touched, and reads as zero then. */
    bool (*decommit)(void *start, size_t bytes);
    /* Makes committed memory inaccessible, or accessible again. */
    bool (*protect)(void *start, size_t bytes, bool accessible);
    /* Wishes for huge pages here, or for none. A wish may be refused. */
    bool (*advise_huge)(void *start, size_t bytes, bool wanted);
    /* Small metadata: zeroed, resized (contents kept, the rest undefined), freed. */
    void *(*allocate)(size_t bytes);
    void *(*resize)(void *old, size_t bytes);
    void (*free)(void *old);
    /* Fills memory with what nobody can guess. */
    bool (*random)(void *bytes, size_t count);
};

extern struct gc_os gc_os; /* the system's own; tests put theirs here */

size_t gc_os_page_bytes(void);
uint64_t gc_os_now_ns(void); /* monotonic */

/* The most memory this process may use: the container's limit (cgroup v2 or
 * v1, the tightest on the path), else the machine's memory; bytes. */
size_t gc_os_memory_limit(void);

/* What the parser behind it does, with the root of the file system and the
 * text of /proc/self/cgroup given, for tests: SIZE_MAX if there is no limit. */
size_t gc_os_container_limit(const char *root, const char *cgroup_text);

/* Bytes of the largest cache that belongs to one core (L2), at least 256 KiB. */
size_t gc_os_cache_bytes(void);

/* The calling thread's stack: its highest address (exclusive), or 0. */
uintptr_t gc_os_stack_base(void);

/* An identity of the calling thread, never 0, not reused while it lives. */
uintptr_t gc_os_thread(void);

/* What AddressSanitizer keeps the calling thread's fake frames in; or NULL. */
void *gc_os_fake_stack(void);

/* Calls `found` for each extra area that may hold the locals of a thread's
 * frames: the fake frames that AddressSanitizer keeps for the words of the real
 * stack from `low` to `high`. The thread is the calling one, or does not run.
 * Nothing without that sanitizer. */
void gc_os_fake_frames(void *fake_stack, uintptr_t low, uintptr_t high,
                       void (*found)(uintptr_t from, uintptr_t to, void *data), void *data);

#endif
