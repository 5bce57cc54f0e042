/* SPDX-License-Identifier: MIT
 *
 * Threads for tests of one heap that several use. A test's own thread is parked
 * while it waits for others.
 */
#ifndef STRATA_TEST_THREADS_H
#define STRATA_TEST_THREADS_H

#include "support/graph.h"

#include <pthread.h>

/* Exact stacks, nursery 1 MiB, limit 1 GiB, no checks; then these settings. */
struct world *make_shared(const char *settings);

/* Attaches the calling thread, or fails the test. */
gc_mutator *attach(gc_heap *heap);

typedef void thread_fn(gc_heap *heap, size_t index, void *data);

enum { MOST_THREADS = 256 };

struct threads {
    size_t count;
    struct thread_start {
        pthread_t thread;
        thread_fn *act;
        gc_heap *heap;
        size_t index;
        void *data;
    } starts[MOST_THREADS];
};

/* Starts threads that call `act` with their index. */
void start_threads(struct threads *threads, gc_heap *heap, size_t count, thread_fn *act,
                   void *data);

/* Waits for their end, with the mutator (may be NULL) parked. */
void join_threads(struct threads *threads, gc_mutator *mutator);

/* Both. */
void run_threads(const struct world *world, size_t count, thread_fn *act, void *data);

/* Runs `act` on a thread whose stack has so many bytes; what it returned. */
void *run_on_stack(size_t stack_bytes, void *(*act)(void *), void *data);

/* ---- Meeting ------------------------------------------------------------ */

/* A pthread_barrier_t that ThreadSanitizer and other systems know, too. */
struct barrier {
    pthread_mutex_t mutex;
    pthread_cond_t met;
    size_t count;
    size_t missing;
    size_t round;
};

void make_barrier(struct barrier *barrier, size_t count);
void meet(struct barrier *barrier);

/* The same with the mutator parked, so that collections do not wait for it. */
void meet_parked(struct barrier *barrier, gc_mutator *mutator);

#endif
