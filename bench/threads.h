/* SPDX-License-Identifier: MIT
 *
 * A workload by several threads: the parameter says how many, and each does its
 * share of it (bench_shared) in one heap, with a `bench` of its own; b->lane
 * tells them apart. Without a parameter the main thread does all, as everywhere.
 */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#include "bench.h"

#include <pthread.h>

enum { BENCH_MOST_THREADS = 64 };

typedef uint64_t bench_work(subject *s, bench *b);

typedef struct bench_lane {
    bench b;
    subject *parent;
    bench_work *work;
    uint64_t check;
    pthread_t thread;
} bench_lane;

typedef struct bench_lanes {
    bench_lane *lanes;
    unsigned count;
} bench_lanes;

static void *bench_run_lane(void *argument)
{
    bench_lane *l = argument;
    subject *s = subject_thread_open(l->parent);

    l->check = l->work(s, &l->b);
    subject_thread_close(s);
    return NULL;
}

static void *bench_join(void *data)
{
    bench_lanes *lanes = data;

    for (unsigned i = 0; i < lanes->count; i++)
        pthread_join(lanes->lanes[i].thread, NULL);
    return NULL;
}

/* Adds what one lane has measured. */
static inline void bench_merge(bench *b, const bench *lane)
{
    b->live_bytes += lane->live_bytes;
    b->objects += lane->objects;
    b->operations += lane->operations;
    if (lane->worst_ns > b->worst_ns)
        b->worst_ns = lane->worst_ns;
    for (int i = 0; i < BENCH_BUCKETS; i++)
        b->latencies[i] += lane->latencies[i];
}

/* What part of the time was collecting, which threads do not share. */
static inline void bench_note_collecting(bench *b, subject *s)
{
    subject_times times = subject_time(s);
    double wall_ns;

    bench_stop(b);
    wall_ns = (double)(b->stop_ns - b->start_ns);
    if (times.stops == 0)
        return;
    bench_figure(b, "collecting_share", (double)times.collecting_ns / wall_ns);
    bench_figure(b, "stopping_share", (double)times.stopping_ns / wall_ns);
    bench_figure(b, "stops", (double)times.stops);
}

/* Runs `work` in as many threads as the parameter says. */
static inline uint64_t bench_threads(subject *s, bench *b, bench_work *work)
{
    bench_lanes all = {.count = (unsigned)b->parameter};
    uint64_t check = 0;

    if (b->parameter <= 0)
        return work(s, b);
    if (all.count > BENCH_MOST_THREADS)
        all.count = BENCH_MOST_THREADS;
    all.lanes = calloc(all.count, sizeof *all.lanes);
    for (unsigned i = 0; i < all.count; i++) {
        bench_lane *l = &all.lanes[i];

        *l = (bench_lane){
            .b = {.scale = b->scale, .lane = i, .threads = all.count}, .parent = s, .work = work};
        l->b.parameter = b->parameter;
        if (pthread_create(&l->thread, NULL, bench_run_lane, l) != 0)
            subject_no_memory();
    }
    subject_wait(s, bench_join, &all);
    bench_note_collecting(b, s);
    for (unsigned i = 0; i < all.count; i++) {
        bench_merge(b, &all.lanes[i].b);
        check = digest(check, all.lanes[i].check);
    }
    free(all.lanes);
    return check;
}

#endif
