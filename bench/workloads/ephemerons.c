/* SPDX-License-Identifier: MIT
 *
 * A chain of 700,000 ephemerons: the value of each is the key of the next. In
 * an array in that order, and then in reverse: in one of the two a scan meets
 * each before its key is known to live, the worst for a collector that goes over
 * them again until nothing changes. Each chain is built, collected while it is
 * alive, again once it is old, and when its head is gone, so that it all dies; what
 * a word on a conservatively scanned stack keeps nevertheless is a figure.
 */
#include "weak.h"

#include <strata/weak.h>

typedef struct thing {
    struct thing *link;
    uint64_t number;
} thing;

TYPE_STRUCT(thing, offsetof(thing, link));

static gc_ephemeron **chain;
static thing *head; /* the key of the ephemeron made last */

static size_t place(size_t i, size_t count, bool reverse)
{
    return reverse ? i : count - 1 - i;
}

/* Not inlined, nor is what follows the chain: a word that they left in the caller's
 * frame would keep it where stacks are scanned conservatively. */
static __attribute__((noinline)) void build(subject *s, size_t count, bool reverse)
{
    chain = (gc_ephemeron **)new_references(s, count);
    for (size_t i = 0; i < count; i++) {
        gc_ephemeron *e;
        thing *key = NEW(s, thing);

        FRAME(s, frame, &key);
        key->link = NULL;
        key->number = i;
        e = subject_need(gc_ephemeron_create(s, key, head));
        STORE(s, chain, chain[place(i, count, reverse)], e);
        head = key;
        FRAME_POP(s, frame);
    }
}

static void collect_timed(subject *s, bench *b, const char *figure, size_t count)
{
    uint64_t start = bench_now();

    subject_collect(s);
    bench_figure(b, figure, (double)(bench_now() - start) / (double)count);
}

/* The numbers of the values; counts the ephemerons that still have one. */
static __attribute__((noinline)) uint64_t look_at_all(subject *s, size_t count, bool reverse,
                                                      size_t *alive)
{
    uint64_t check = 0;

    for (size_t i = 0; i < count; i++) {
        const thing *value = gc_ephemeron_value(s, chain[place(i, count, reverse)]);

        check = digest(check, value == NULL ? count : value->number);
        *alive += value != NULL;
    }
    return check;
}

static uint64_t one_chain(subject *s, bench *b, size_t count, bool reverse)
{
    size_t alive = 0, left = 0;
    uint64_t check;

    build(s, count, reverse);
    collect_timed(s, b, reverse ? "ns_first_reverse" : "ns_first", count);
    check = look_at_all(s, count, reverse, &alive);
    collect_timed(s, b, reverse ? "ns_again_reverse" : "ns_again", count);
    head = NULL;
    collect_timed(s, b, reverse ? "ns_dying_reverse" : "ns_dying", count);
    (void)look_at_all(s, count, reverse, &left);
    bench_figure(b, reverse ? "left_reverse" : "left", (double)left);
    return digest(check, alive);
}

static uint64_t work(subject *s, bench *b)
{
    size_t count = bench_scaled(b, 700e3, 1000);
    uint64_t check;

    subject_root(s, &chain);
    subject_root(s, &head);
    b->live_bytes = count * (sizeof(thing) + 3 * sizeof(void *));
    check = one_chain(s, b, count, false);
    return digest(check, one_chain(s, b, count, true));
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
