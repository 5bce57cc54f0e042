/* SPDX-License-Identifier: MIT
 *
 * An old generation of as many MB as the parameter says, in objects of 256
 * bytes; beside it 40 million objects of 64 bytes that die at once, but for one
 * in 200, which an old object chosen at random refers to from then on. Only
 * that is measured: neither the price of an allocation nor the pause of a young
 * collection should depend on the parameter.
 */
#include "bench.h"

typedef struct young {
    struct young *link;
    uint64_t values[7];
} young;

typedef struct old {
    struct old *next;
    young *latest;
    uint64_t values[30];
} old;

TYPE_STRUCT(young, offsetof(young, link));
TYPE_STRUCT(old, offsetof(old, next), offsetof(old, latest));

enum { MEGABYTES = 100, KEPT = 200, COLLECTIONS_UNTIL_OLD = 3, STEP = 100 };

static old **olds;

static young *new_young(subject *s, uint64_t value)
{
    young *y = NEW(s, young);

    y->link = NULL;
    for (int i = 0; i < 7; i++)
        y->values[i] = value;
    return y;
}

static void make_old(subject *s, size_t count)
{
    olds = new_references(s, count);
    for (size_t i = 0; i < count; i++) {
        old *o = NEW(s, old);

        o->next = i > 0 ? olds[i - 1] : NULL;
        o->latest = NULL;
        for (size_t k = 0; k < 30; k++)
            o->values[k] = i + k;
        STORE(s, olds, olds[i], o);
    }
    for (int i = 0; i < COLLECTIONS_UNTIL_OLD; i++)
        subject_collect(s);
}

/* STEP allocations: what is timed as one operation. */
static uint64_t step(subject *s, size_t from, size_t count, uint64_t *chance)
{
    uint64_t sum = 0;

    for (size_t i = from; i < from + STEP; i++) {
        young *y = new_young(s, i);

        sum += y->values[6];
        if (i % KEPT == 0) {
            old *holder = olds[random_below(chance, count)];

            DROP(s, holder->latest);
            STORE(s, holder, holder->latest, y);
        } else {
            bench_escape(y);
            DROP(s, y);
        }
    }
    return sum;
}

static void measure(subject *s, bench *b, size_t count, uint64_t *check)
{
    size_t steps = bench_scaled(b, 40e6 / STEP, 100);
    subject_pauses before = subject_young_pauses(s), after;
    uint64_t chance = 17;

    bench_start(b);
    bench_tick(b);
    for (size_t i = 0; i < steps; i++) {
        *check = digest(*check, step(s, i * STEP, count, &chance));
        bench_tick(b);
    }
    bench_stop(b);
    after = subject_young_pauses(s);
    bench_figure(b, "ns_per_allocation",
                 (double)(b->stop_ns - b->start_ns) / (double)(steps * STEP));
    if (after.count > before.count)
        bench_figure(b, "mean_pause_us",
                     (double)(after.total_ns - before.total_ns) /
                         (double)(after.count - before.count) / 1e3);
}

static uint64_t work(subject *s, bench *b)
{
    double megabytes = b->parameter > 0 ? b->parameter : MEGABYTES;
    size_t count = bench_scaled(b, megabytes * 1e6 / (double)sizeof(old), 100);
    uint64_t check = 0;

    subject_root(s, &olds);
    b->live_bytes = count * (sizeof(old) + sizeof(old *));
    make_old(s, count);
    measure(s, b, count, &check);
    for (size_t i = 0; i < count; i++)
        check = digest(check, olds[i]->values[29] +
                                  (olds[i]->latest != NULL ? olds[i]->latest->values[0] : 0));
    return check;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
