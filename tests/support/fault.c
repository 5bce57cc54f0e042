/* SPDX-License-Identifier: MIT */
#include "support/fault.h"

#include <pthread.h>

#include "os/os.h"

enum { FAULT_KINDS = 8 };

static struct {
    pthread_mutex_t lock; /* guards the rest but `system` */
    struct gc_os system;  /* the table below */
    unsigned mask;
    unsigned before;
    unsigned to_fail;
    unsigned gap; /* let through before one more fails; UINT_MAX: none does */
    unsigned failed;
    unsigned calls[FAULT_KINDS];
    size_t reservations;
    size_t reserved_bytes;
    size_t allocations;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Counts one call of the kind with this bit; true if it must fail. */
static bool must_fail(unsigned bit)
{
    bool fails = false;

    pthread_mutex_lock(&fault.lock);
    fault.calls[__builtin_ctz(bit)]++;
    if (fault.mask & bit) {
        if (fault.before > 0) {
            fault.before--;
        } else if (fault.to_fail > 0) {
            fault.to_fail -= fault.to_fail != UINT_MAX;
            fault.failed++;
            fails = true;
            if (fault.to_fail == 0 && fault.gap != UINT_MAX) {
                fault.to_fail = 1;
                fault.before = fault.gap;
                fault.gap = UINT_MAX;
            }
        }
    }
    pthread_mutex_unlock(&fault.lock);
    return fails;
}

/* Counts wrap below zero when more is given back than was taken: not clean. */
static void account(size_t *counter, size_t change)
{
    pthread_mutex_lock(&fault.lock);
    *counter += change;
    pthread_mutex_unlock(&fault.lock);
}

static void *reserve(size_t bytes, size_t alignment)
{
    void *start = must_fail(FAULT_RESERVE) ? NULL : fault.system.reserve(bytes, alignment);

    if (start != NULL) {
        account(&fault.reservations, 1);
        account(&fault.reserved_bytes, bytes);
    }
    return start;
}

static bool release(void *start, size_t bytes)
{
    bool done = fault.system.release(start, bytes);

    if (done) {
        account(&fault.reservations, (size_t)-1);
        account(&fault.reserved_bytes, -bytes);
    }
    return done;
}

static bool commit(void *start, size_t bytes)
{
    return !must_fail(FAULT_COMMIT) && fault.system.commit(start, bytes);
}

static bool decommit(void *start, size_t bytes)
{
    return !must_fail(FAULT_DECOMMIT) && fault.system.decommit(start, bytes);
}

static bool protect(void *start, size_t bytes, bool accessible)
{
    return !must_fail(FAULT_PROTECT) && fault.system.protect(start, bytes, accessible);
}

static bool advise_huge(void *start, size_t bytes, bool wanted)
{
    return !must_fail(FAULT_ADVISE) && fault.system.advise_huge(start, bytes, wanted);
}

static bool random_bytes(void *bytes, size_t count)
{
    return !must_fail(FAULT_RANDOM) && fault.system.random(bytes, count);
}

static void *allocate(size_t bytes)
{
    void *memory = must_fail(FAULT_ALLOCATE) ? NULL : fault.system.allocate(bytes);

    account(&fault.allocations, memory != NULL);
    return memory;
}

static void *resize(void *old, size_t bytes)
{
    bool is_new = old == NULL;
    void *memory = must_fail(FAULT_RESIZE) ? NULL : fault.system.resize(old, bytes);

    account(&fault.allocations, is_new && memory != NULL);
    return memory;
}

static void free_memory(void *old)
{
    account(&fault.allocations, old != NULL ? (size_t)-1 : 0);
    fault.system.free(old);
}

static bool is_installed(void)
{
    return gc_os.reserve == reserve;
}

void fault_install(void)
{
    /* A test that failed may have left it there. */
    fault_remove();
    fault.system = gc_os;
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        fault.calls[kind] = 0;
    }
    fault.reservations = 0;
    fault.reserved_bytes = 0;
    fault.allocations = 0;
    fault_arm(0, 0, 0);
    gc_os = (struct gc_os){
        .reserve = reserve,
        .release = release,
        .commit = commit,
        .decommit = decommit,
        .protect = protect,
        .advise_huge = advise_huge,
        .allocate = allocate,
        .resize = resize,
        .free = free_memory,
        .random = random_bytes,
    };
}

void fault_remove(void)
{
    if (is_installed()) {
        gc_os = fault.system;
    }
}

void fault_arm(unsigned calls_before_failure, unsigned how_many_fail, unsigned mask)
{
    pthread_mutex_lock(&fault.lock);
    fault.before = calls_before_failure;
    fault.to_fail = how_many_fail;
    fault.gap = UINT_MAX;
    fault.mask = mask;
    fault.failed = 0;
    pthread_mutex_unlock(&fault.lock);
}

void fault_arm_twice(unsigned calls_before_failure, unsigned gap, unsigned mask)
{
    fault_arm(calls_before_failure, 1, mask);
    pthread_mutex_lock(&fault.lock);
    fault.gap = gap;
    pthread_mutex_unlock(&fault.lock);
}

void fault_disarm(void)
{
    pthread_mutex_lock(&fault.lock);
    fault.mask = 0;
    pthread_mutex_unlock(&fault.lock);
}

unsigned fault_calls(void)
{
    return fault_calls_of(FAULT_ALL);
}

unsigned fault_calls_of(unsigned mask)
{
    unsigned calls = 0;

    pthread_mutex_lock(&fault.lock);
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++) {
        calls += mask & (1u << kind) ? fault.calls[kind] : 0;
    }
    pthread_mutex_unlock(&fault.lock);
    return calls;
}

unsigned fault_failed(void)
{
    pthread_mutex_lock(&fault.lock);
    unsigned failed = fault.failed;

    pthread_mutex_unlock(&fault.lock);
    return failed;
}

static size_t read_count(const size_t *counter)
{
    pthread_mutex_lock(&fault.lock);
    size_t count = *counter;

    pthread_mutex_unlock(&fault.lock);
    return count;
}

size_t fault_live_reservations(void)
{
    return read_count(&fault.reservations);
}

size_t fault_live_reserved_bytes(void)
{
    return read_count(&fault.reserved_bytes);
}

size_t fault_live_allocations(void)
{
    return read_count(&fault.allocations);
}

bool fault_is_clean(void)
{
    return fault_live_reservations() == 0 && fault_live_reserved_bytes() == 0 &&
           fault_live_allocations() == 0;
}
