/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "threads.h"

struct world *make_shared(const char *settings)
{
    gc_options options = plain_options(MIB);

    options.settings = settings;
    return world_make(&options);
}

gc_mutator *attach(gc_heap *heap)
{
    gc_mutator *mutator = NULL;

    assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
    return mutator;
}

static void *start(void *data)
{
    struct thread_start *start = data;

    start->act(start->heap, start->index, start->data);
    return NULL;
}

void *run_on_stack(size_t stack_bytes, void *(*act)(void *), void *data)
{
    pthread_attr_t attributes;
    pthread_t thread;
    void *result = NULL;

    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, stack_bytes), 0);
    assert_int_equal(pthread_create(&thread, &attributes, act, data), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);
    return result;
}

void start_threads(struct threads *threads, gc_heap *heap, size_t count, thread_fn *act, void *data)
{
    assert_true(count <= MOST_THREADS);
    threads->count = count;
    for (size_t i = 0; i < count; i++) {
        struct thread_start *one = &threads->starts[i];

        *one = (struct thread_start){.act = act, .heap = heap, .index = i, .data = data};
        assert_int_equal(pthread_create(&one->thread, NULL, start, one), 0);
    }
}

static void *join_all(void *data)
{
    struct threads *threads = data;

    for (size_t i = 0; i < threads->count; i++)
        assert_int_equal(pthread_join(threads->starts[i].thread, NULL), 0);
    return NULL;
}

void join_threads(struct threads *threads, gc_mutator *mutator)
{
    if (mutator == NULL)
        join_all(threads);
    else
        gc_call_parked(mutator, join_all, threads);
}

void run_threads(const struct world *world, size_t count, thread_fn *act, void *data)
{
    struct threads threads;

    start_threads(&threads, world->heap, count, act, data);
    join_threads(&threads, world->mutator);
}

void make_barrier(struct barrier *barrier, size_t count)
{
    *barrier = (struct barrier){.mutex = PTHREAD_MUTEX_INITIALIZER,
                                .met = PTHREAD_COND_INITIALIZER,
                                .count = count,
                                .missing = count};
}

void meet(struct barrier *barrier)
{
    size_t round;

    (void)pthread_mutex_lock(&barrier->mutex);
    round = barrier->round;
    if (--barrier->missing == 0) {
        barrier->missing = barrier->count;
        barrier->round++;
        (void)pthread_cond_broadcast(&barrier->met);
    }
    while (round == barrier->round)
        (void)pthread_cond_wait(&barrier->met, &barrier->mutex);
    (void)pthread_mutex_unlock(&barrier->mutex);
}

static void *meet_there(void *data)
{
    meet(data);
    return NULL;
}

void meet_parked(struct barrier *barrier, gc_mutator *mutator)
{
    gc_call_parked(mutator, meet_there, barrier);
}
