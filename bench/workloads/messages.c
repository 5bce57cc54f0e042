/* SPDX-License-Identifier: MIT
 *
 * A ring of 200,000 live messages of 1 KiB, 2 million of which are replaced by
 * new ones, oldest first: a large heap that ages evenly. What counts is the
 * worst push. After the benchmark of J. Fisher, W. Sewell and G. Scherer.
 */
#include "bench.h"

typedef struct message {
    unsigned char bytes[1024];
} message;

TYPE_LEAF(message);

static message **ring;

static void push(subject *s, size_t at, size_t number)
{
    message *m = NEW(s, message);

    memset(m->bytes, (int)(number & 0xff), sizeof m->bytes);
    DROP(s, ring[at]);
    STORE(s, ring, ring[at], m);
}

static uint64_t sum_of_message(const message *m)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof m->bytes; i++)
        sum += m->bytes[i];
    return sum;
}

static uint64_t work(subject *s, bench *b)
{
    size_t live = bench_scaled(b, 200e3, 100);
    size_t pushes = bench_scaled(b, 2.2e6, 1100);
    uint64_t check = 0;

    subject_root(s, &ring);
    ring = new_references(s, live);
    b->live_bytes = live * (sizeof(message) + sizeof(message *));
    b->objects = (double)pushes;
    bench_tick(b);
    for (size_t number = 0; number < pushes; number++) {
        push(s, number % live, number);
        bench_tick(b);
    }
    bench_stop(b);
    for (size_t i = 0; i < live; i++)
        check = digest(check, sum_of_message(ring[i]));
    return check;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
