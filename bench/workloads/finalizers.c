/* SPDX-License-Identifier: MIT
 *
 * A million objects with a finalizer each, 100,000 of them alive at a time: a
 * new one takes the oldest one's place. What is due is run after every 10,000,
 * and the rest at the end. A finalizer that runs early, or twice, spoils the
 * check; what a collector that scans conservatively never finalizes is a figure.
 */
#include "weak.h"

typedef struct resource {
    struct resource *self; /* a circle: no order can be found for it */
    uint64_t number;
} resource;

TYPE_STRUCT(resource, offsetof(resource, self));

enum { RUN_EVERY = 10000 };

static resource **slots;
static unsigned char *runs; /* of each number's finalizer */

static void release(void *object)
{
    runs[((resource *)object)->number]++;
}

static void acquire(subject *s, size_t slot, uint64_t number)
{
    resource *r = NEW(s, resource);

    FRAME(s, frame, &r);
    r->self = r;
    r->number = number;
    weak_finalize(s, r, release);
    STORE(s, slots, slots[slot], r);
    FRAME_POP(s, frame);
}

static uint64_t work(subject *s, bench *b)
{
    size_t count = bench_scaled(b, 1e6, 1000), alive = bench_scaled(b, 1e5, 100);
    uint64_t early = 0, twice = 0, never = 0;

    runs = calloc(count, 1);
    subject_need(runs);
    subject_root(s, &slots);
    slots = new_references(s, alive);
    b->live_bytes = alive * (sizeof(resource) + sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        if (i >= alive)
            early += runs[i - alive];
        acquire(s, i % alive, i);
        if (i % RUN_EVERY == RUN_EVERY - 1)
            weak_run_finalizers(s);
    }
    for (size_t i = 0; i < alive; i++)
        STORE(s, slots, slots[i], NULL);
    subject_collect(s);
    weak_run_finalizers(s);
    bench_stop(b);
    for (size_t i = 0; i < count; i++) {
        twice += runs[i] > 1;
        never += runs[i] == 0;
    }
    bench_figure(b, "not_finalized", (double)never);
    return digest(digest(count, early), twice);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
