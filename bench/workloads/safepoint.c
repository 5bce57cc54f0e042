/* SPDX-License-Identifier: MIT
 *
 * Time to safepoint: how long it takes until all threads have stopped, from the
 * wish to collect on. The main thread collects 2000 times, a tenth of a
 * millisecond apart, while the parameter's number of others run: in turn one
 * that allocates, and one that computes and polls every 100 steps.
 */
#include "threads.h"

typedef struct object {
    struct object *next;
    uint64_t values[3];
} object;

TYPE_STRUCT(object, offsetof(object, next));

enum { STEPS = 100 };

static const uint64_t apart_ns = 100000;

static bool over; /* atomic */

static void allocate(subject *s)
{
    object *o = NEW(s, object);

    o->next = NULL;
    o->values[0] = o->values[1] = o->values[2] = 0;
    bench_escape(o);
}

static void compute(subject *s, uint64_t *state)
{
    for (int i = 0; i < STEPS; i++)
        random_next(state);
    bench_escape(state);
    subject_poll(s);
}

static void *run_other(void *argument)
{
    bench_lane *l = argument;
    subject *s = subject_thread_open(l->parent);
    uint64_t state = 0;

    while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
        if (l->b.lane % 2 == 0)
            allocate(s);
        else
            compute(s, &state);
    subject_thread_close(s);
    return NULL;
}

static void collect(subject *s, bench *b)
{
    uint64_t before = subject_time(s).stopping_ns, start = bench_now();

    subject_collect_least(s);
    bench_record(b, subject_time(s).stopping_ns - before);
    while (bench_now() - start < apart_ns)
        subject_poll(s);
}

static uint64_t work(subject *s, bench *b)
{
    static bench_lane lanes[BENCH_MOST_THREADS];
    bench_lanes all = {.lanes = lanes, .count = (unsigned)b->parameter % BENCH_MOST_THREADS};
    size_t count = bench_scaled(b, 2000, BENCH_LEAST_OPERATIONS);

    for (unsigned i = 0; i < all.count; i++) {
        lanes[i].parent = s;
        lanes[i].b.lane = i;
        if (pthread_create(&lanes[i].thread, NULL, run_other, &lanes[i]) != 0)
            subject_no_memory();
    }
    for (size_t i = 0; i < count; i++)
        collect(s, b);
    bench_stop(b);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    subject_wait(s, bench_join, &all);
    return digest(0, count);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
