/* SPDX-License-Identifier: MIT
 *
 * 10 million objects of four references and two words, wired at random, all
 * reachable; then full collections, which are what is timed. The figure is
 * nanoseconds per object of the median collection. Programs that free by hand
 * have nothing to measure here.
 */
#include "bench.h"

typedef struct vertex {
    struct vertex *to[4];
    uint64_t number;
    uint64_t sum;
} vertex;

TYPE_STRUCT(vertex, offsetof(vertex, to[0]), offsetof(vertex, to[1]), offsetof(vertex, to[2]),
            offsetof(vertex, to[3]));

enum { COLLECTIONS = 5 };

static vertex **vertices;
static vertex *first;

static void make_vertices(subject *s, size_t count)
{
    vertices = new_references(s, count);
    for (size_t i = 0; i < count; i++) {
        vertex *v = NEW(s, vertex);

        memset(v->to, 0, sizeof v->to);
        v->number = i;
        v->sum = 0;
        STORE(s, vertices, vertices[i], v);
    }
}

static void shuffle(subject *s, size_t count, uint64_t *chance)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = random_below(chance, i + 1);
        vertex *v = vertices[i];

        STORE(s, vertices, vertices[i], vertices[j]);
        STORE(s, vertices, vertices[j], v);
    }
}

/* The first references form one cycle in random order, so that all is
 * reachable from any; the other three go anywhere. */
static void wire(subject *s, size_t count, uint64_t *chance)
{
    for (size_t i = 0; i < count; i++) {
        vertex *v = vertices[i];

        STORE(s, v, v->to[0], vertices[(i + 1) % count]);
        for (int k = 1; k < 4; k++)
            STORE(s, v, v->to[k], vertices[random_below(chance, count)]);
    }
}

static uint64_t walk_cycle(void)
{
    const vertex *v = first;
    uint64_t check = 0;

    do {
        check = digest(check, v->number + v->to[3]->number);
        v = v->to[0];
    } while (v != first);
    return check;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void measure_collections(subject *s, bench *b, size_t count)
{
    uint64_t times[COLLECTIONS];

    for (int i = 0; i < COLLECTIONS; i++) {
        uint64_t start = bench_now();

        subject_collect(s);
        times[i] = bench_now() - start;
        bench_record(b, times[i]);
    }
    qsort(times, COLLECTIONS, sizeof times[0], compare);
    bench_figure(b, "ns_per_object", (double)times[COLLECTIONS / 2] / (double)count);
}

static uint64_t work(subject *s, bench *b)
{
    size_t count = bench_scaled(b, 10e6, 1000);
    uint64_t chance = 7;

    if (!SUBJECT_COLLECTS) {
        fputs("random_graph: nothing to collect\n", stderr);
        exit(2);
    }
    subject_root(s, &vertices);
    subject_root(s, &first);
    b->live_bytes = count * sizeof(vertex);
    make_vertices(s, count);
    shuffle(s, count, &chance);
    wire(s, count, &chance);
    first = vertices[0];
    vertices = NULL;
    subject_collect(s); /* of the array, and of what else building left */
    bench_start(b);
    measure_collections(s, b, count);
    bench_stop(b);
    return walk_cycle();
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
