/* SPDX-License-Identifier: MIT
 *
 * An allocator storm: the parameter's number of threads share 8 million
 * operations; each replaces a random one of its thread's 10,000 short lists of
 * cells by a new one. The clock is read at every sixteenth. The check does not
 * depend on the threads' order, for each has a seed of its own.
 */
#include "threads.h"

typedef struct cell {
    struct cell *next;
    unsigned char *bytes;
    uint64_t length;
} cell;

TYPE_STRUCT(cell, offsetof(cell, next), offsetof(cell, bytes));

enum { TIMED = 16 };

/* Of each thread; static, so that every collector can see them. */
static cell **slots[BENCH_MOST_THREADS];

static cell *new_cell(subject *s, cell *next, size_t length)
{
    unsigned char *bytes = NULL;
    cell *c;

    FRAME(s, frame, &next, &bytes);
    bytes = new_bytes(s, length);
    memset(bytes, (int)(length & 0xff), length);
    c = NEW(s, cell);
    c->next = next;
    c->bytes = bytes;
    c->length = length;
    FRAME_POP(s, frame);
    return c;
}

static cell *new_list(subject *s, uint64_t *chance)
{
    size_t length = 1 + random_below(chance, 4);
    cell *list = NULL;

    FRAME(s, frame, &list);
    for (size_t i = 0; i < length; i++)
        list = new_cell(s, list, 16 + random_below(chance, 113));
    FRAME_POP(s, frame);
    return list;
}

static void drop_list(subject *s, cell *list)
{
    while (SUBJECT_DROPS && list != NULL) {
        cell *next = list->next;

        DROP(s, list->bytes);
        DROP(s, list);
        list = next;
    }
}

static uint64_t sum_of_list(const cell *list)
{
    uint64_t sum = 0;

    for (; list != NULL; list = list->next)
        sum += list->bytes[list->length - 1] + list->length;
    return sum;
}

static uint64_t share(subject *s, bench *b)
{
    cell ***own = &slots[b->lane];
    size_t count = bench_scaled(b, 10e3, 100), operations = bench_shared(b, 8e6, 1000);
    uint64_t chance = b->lane, check = 0;

    subject_root(s, own);
    *own = new_references(s, count);
    b->live_bytes = count * (sizeof(cell *) + 5 * (sizeof(cell) + 72) / 2);
    for (size_t i = 0; i < operations; i++) {
        size_t slot = random_below(&chance, count);
        cell *list = new_list(s, &chance);

        drop_list(s, (*own)[slot]);
        STORE(s, *own, (*own)[slot], list);
        if (i % TIMED == 0)
            bench_tick(b);
    }
    for (size_t i = 0; i < count; i++)
        check = digest(check, sum_of_list((*own)[i]));
    *own = NULL;
    return check;
}

static uint64_t work(subject *s, bench *b)
{
    return bench_threads(s, b, share);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
