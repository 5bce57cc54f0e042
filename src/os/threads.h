/* SPDX-License-Identifier: MIT
 *
 * What threads of this process share: locks, signals to wait for, and what
 * shall happen when a thread ends.
 */
#ifndef STRATA_THREADS_H
#define STRATA_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gc_lock {
    pthread_mutex_t mutex;
};

/* A condition that threads wait for under a lock. */
struct gc_signal {
    pthread_cond_t condition;
};

bool gc_lock_create(struct gc_lock *lock);
void gc_lock_destroy(struct gc_lock *lock);
void gc_lock_take(struct gc_lock *lock);
void gc_lock_give(struct gc_lock *lock);

bool gc_signal_create(struct gc_signal *signal);
void gc_signal_destroy(struct gc_signal *signal);

/* Waits, with the lock given meanwhile; may return for no reason. No thread is
 * cancelled in it. */
void gc_signal_wait(struct gc_signal *signal, struct gc_lock *lock);

/* The same for at most so long; false if the time has passed. */
bool gc_signal_wait_ns(struct gc_signal *signal, struct gc_lock *lock, uint64_t ns);

void gc_signal_all(struct gc_signal *signal);

/* A lock for moments, which is never made, so that a process has it from its
 * beginning. In the child of a fork it is free, whoever had it in the parent: what
 * it guards must be whole at each moment, as a list that one store changes is. */
struct gc_spin {
    int holder; /* the process whose thread has it; 0: none. Atomic */
};

void gc_spin_take(struct gc_spin *spin);
void gc_spin_give(struct gc_spin *spin);

/* How many of the process's threads can run at the same time, as far as the calling
 * one knows: at least 1. */
unsigned gc_os_cores(void);

/* Has `ended` called, the one given last, when the calling thread ends; false if
 * that cannot be arranged. */
bool gc_os_at_thread_end(void (*ended)(void));

/* Calls `act`, then `after`: also if the thread ends in `act`, while the frames of
 * those who call this are still whole. */
void gc_os_call(void (*act)(void *data), void (*after)(void *data), void *data);

/* From here on the calling thread is not cancelled, until what this returned is
 * given back: for calls that are points of cancellation, made with a lock held. */
int gc_os_hold_cancels(void);
void gc_os_let_cancels(int before);

/* A thread of the library's own; it sees no signals. */
struct gc_thread {
    pthread_t id;
    void (*run)(void *data);
    void *data;
};

/* False if the system gives none. `thread` must stay until it was joined. */
bool gc_os_thread_start(struct gc_thread *thread, void (*run)(void *data), void *data);
void gc_os_thread_join(struct gc_thread *thread);

/* Has these called around each fork from now on; for one caller, once. False
 * without memory. */
bool gc_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/* A name for the calling thread: its number, and what the program calls it. */
enum { GC_THREAD_NAME_BYTES = 40 };
void gc_os_thread_name(char name[GC_THREAD_NAME_BYTES]);

#endif
