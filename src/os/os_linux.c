/* SPDX-License-Identifier: MIT
 *
 * The table of calls, for Linux: anonymous mappings, and malloc for metadata.
 *
 * OS1  The system knows its page size.
 * OS2  The system has a monotonic clock.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/check.h"

/* Address space that no one may touch yet, so that it is not charged. With
 * MAP_NORESERVE, what becomes writable later is charged page by page, when it is
 * touched, unless the administrator forbids overcommitment. */
static void *map_inaccessible(size_t bytes)
{
    void *start = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return start == MAP_FAILED ? NULL : start;
}

static bool unmap(char *start, size_t bytes)
{
    return bytes == 0 || munmap(start, bytes) == 0;
}

/* Cuts a mapping down to its aligned part, or gives all of it back. */
static void *trim(char *start, size_t mapped, size_t bytes, size_t alignment)
{
    size_t before = (size_t)(-(uintptr_t)start & (alignment - 1));
    size_t after = mapped - before - bytes;

    if (unmap(start, before) && unmap(start + before + bytes, after)) {
        return start + before;
    }
    /* Unmapping a hole again is no error, so the whole range can be named. */
    (void)munmap(start, mapped);
    return NULL;
}

static void *reserve(size_t bytes, size_t alignment)
{
    size_t page = gc_os_page_bytes();

    /* The kernel aligns to a page only, so enough is taken to hold an aligned
     * start wherever the mapping lands. */
    size_t slack = alignment > page ? alignment - page : 0;

    if (bytes == 0 || bytes > SIZE_MAX - page - slack) {
        return NULL;
    }
    bytes = gc_round_up(bytes, page);
    char *start = map_inaccessible(bytes + slack);

    return start == NULL || slack == 0 ? start : trim(start, bytes + slack, bytes, alignment);
}

static bool release(void *start, size_t bytes)
{
    return munmap(start, bytes) == 0;
}

static bool commit(void *start, size_t bytes)
{
    return mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0;
}

/* Not MADV_FREE: pages must read as zero at once, and be seen to be gone. */
static bool decommit(void *start, size_t bytes)
{
    return madvise(start, bytes, MADV_DONTNEED) == 0;
}

static bool protect(void *start, size_t bytes, bool accessible)
{
    return mprotect(start, bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) == 0;
}

static bool advise_huge(void *start, size_t bytes, bool wanted)
{
    return madvise(start, bytes, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0;
}

/* At least one byte, so that NULL always means that there was no memory. */
static void *allocate(size_t bytes)
{
    return calloc(1, gc_max(bytes, 1));
}

static void *resize(void *old, size_t bytes)
{
    return realloc(old, gc_max(bytes, 1));
}

static bool random_bytes(void *bytes, size_t count)
{
    return getentropy(bytes, count) == 0;
}

struct gc_os gc_os = {
    .reserve = reserve,
    .release = release,
    .commit = commit,
    .decommit = decommit,
    .protect = protect,
    .advise_huge = advise_huge,
    .allocate = allocate,
    .resize = resize,
    .free = free,
    .random = random_bytes,
};

size_t gc_os_page_bytes(void)
{
    long bytes = sysconf(_SC_PAGESIZE);

    GC_CHECK(bytes > 0, "OS1");
    return (size_t)bytes;
}

uint64_t gc_os_now_ns(void)
{
    static const uint64_t ns_per_second = 1000000000;
    struct timespec now;
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);

    GC_CHECK(failed == 0, "OS2");
    return (uint64_t)now.tv_sec * ns_per_second + (uint64_t)now.tv_nsec;
}
