/* SPDX-License-Identifier: MIT
 *
 * Locks and signals: POSIX threads.
 *
 * OS3  A lock that was created can be taken and given.
 */
#define _GNU_SOURCE
#include "os/threads.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/annotate.h"
#include "base/check.h"

bool gc_lock_create(struct gc_lock *lock)
{
    return pthread_mutex_init(&lock->mutex, NULL) == 0;
}

void gc_lock_destroy(struct gc_lock *lock)
{
    (void)pthread_mutex_destroy(&lock->mutex);
}

/* Most locks are held for less time than it takes to wake a thread: a few
 * microseconds are spent on trying. */
enum { LOCK_TRIES = 32, LOCK_PAUSES = 4 };

void gc_lock_take(struct gc_lock *lock)
{
    int failed = pthread_mutex_trylock(&lock->mutex);

    for (int i = 0; failed == EBUSY && i < LOCK_TRIES; i++) {
        for (int j = 0; j < LOCK_PAUSES; j++)
            GC_RELAX();
        failed = pthread_mutex_trylock(&lock->mutex);
    }
    if (failed == EBUSY)
        failed = pthread_mutex_lock(&lock->mutex);
    GC_CHECK(failed == 0, "OS3");
}

void gc_lock_give(struct gc_lock *lock)
{
    int failed = pthread_mutex_unlock(&lock->mutex);

    GC_CHECK(failed == 0, "OS3");
}

/* Waiting is measured by the clock that nobody sets. */
bool gc_signal_create(struct gc_signal *signal)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&signal->condition, &attributes) == 0;

    (void)pthread_condattr_destroy(&attributes);
    return made;
}

void gc_signal_destroy(struct gc_signal *signal)
{
    (void)pthread_cond_destroy(&signal->condition);
}

/* A thread that was cancelled with a lock would keep it for ever. */
int gc_os_hold_cancels(void)
{
    int before;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

void gc_os_let_cancels(int before)
{
    (void)pthread_setcancelstate(before, NULL);
}

void gc_signal_wait(struct gc_signal *signal, struct gc_lock *lock)
{
    int before = gc_os_hold_cancels();
    int failed = pthread_cond_wait(&signal->condition, &lock->mutex);

    GC_CHECK(failed == 0, "OS3");
    gc_os_let_cancels(before);
}

bool gc_signal_wait_ns(struct gc_signal *signal, struct gc_lock *lock, uint64_t ns)
{
    static const uint64_t ns_per_second = 1000000000;
    struct timespec end;
    int before, failed;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    ns += (uint64_t)end.tv_nsec;
    end.tv_sec += (time_t)(ns / ns_per_second);
    end.tv_nsec = (long)(ns % ns_per_second);
    before = gc_os_hold_cancels();
    failed = pthread_cond_timedwait(&signal->condition, &lock->mutex, &end);
    GC_CHECK(failed == 0 || failed == ETIMEDOUT, "OS3");
    gc_os_let_cancels(before);
    return failed == 0;
}

void gc_signal_all(struct gc_signal *signal)
{
    (void)pthread_cond_broadcast(&signal->condition);
}

/* A child has another number than its parent, which lives while it forks. */
void gc_spin_take(struct gc_spin *spin)
{
    int own = (int)getpid(), holder = 0;

    while (!__atomic_compare_exchange_n(&spin->holder, &holder, own, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        if (holder == own) {
            holder = 0;
            GC_RELAX();
        }
    }
}

void gc_spin_give(struct gc_spin *spin)
{
    __atomic_store_n(&spin->holder, 0, __ATOMIC_RELEASE);
}

/* Those that this thread may run on; there may be more than a set holds. */
unsigned gc_os_cores(void)
{
    cpu_set_t allowed;
    long cores;

    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        return (unsigned)CPU_COUNT(&allowed);
    cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (unsigned)cores : 1;
}

/* ---- The end of a thread ------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;
static _Thread_local void (*at_end)(void);

static void end_thread(void *value)
{
    (void)value;
    at_end();
}

static void create_key(void)
{
    has_key = pthread_key_create(&key, end_thread) == 0;
}

bool gc_os_at_thread_end(void (*ended)(void))
{
    at_end = ended;
    (void)pthread_once(&once, create_key);
    return has_key && pthread_setspecific(key, (void *)&key) == 0;
}

/* NOLINTNEXTLINE(readability-function-size): the macros nest blocks */
void gc_os_call(void (*act)(void *data), void (*after)(void *data), void *data)
{
    pthread_cleanup_push(after, data);
    act(data);
    pthread_cleanup_pop(1);
}

bool gc_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return pthread_atfork(prepare, parent, child) == 0;
}

void gc_os_thread_name(char name[GC_THREAD_NAME_BYTES])
{
    char own[16] = "";

    (void)pthread_getname_np(pthread_self(), own, sizeof own);
    (void)snprintf(name, GC_THREAD_NAME_BYTES, "%ld (%s)", (long)syscall(SYS_gettid), own);
}

/* ---- Threads of the library's own ----------------------------------------- */

static void *run_thread(void *data)
{
    const struct gc_thread *thread = data;

    thread->run(thread->data);
    return NULL;
}

/* Born with all signals blocked: they are for the program's threads. */
bool gc_os_thread_start(struct gc_thread *thread, void (*run)(void *data), void *data)
{
    sigset_t all, before;
    bool made;

    thread->run = run;
    thread->data = data;
    (void)sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    made = pthread_create(&thread->id, NULL, run_thread, thread) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return made;
}

void gc_os_thread_join(struct gc_thread *thread)
{
    int before = gc_os_hold_cancels();
    int failed = pthread_join(thread->id, NULL);

    GC_CHECK(failed == 0, "OS3");
    gc_os_let_cancels(before);
}
