/* SPDX-License-Identifier: MIT
 *
 * An allocator storm: the parameter's number of threads share 8 million
 * operations; each replaces a random one of its thread's 10,000 short lists of
 * cells by a new one. The check does not depend on the number of threads'
 * order, for each thread has a seed of its own.
 */
#include "bench.h"

#include <pthread.h>

typedef struct cell {
    struct cell *next;
    unsigned char *bytes;
    uint64_t length;
} cell;

TYPE_STRUCT(cell, offsetof(cell, next), offsetof(cell, bytes));

enum { MAX_THREADS = 64 };

/* What belongs to one thread; static, so that every collector can see it. */
typedef struct lane {
    cell **slots;
    subject *parent;
    size_t slot_count, operations;
    uint64_t chance, check;
    pthread_t thread;
} lane;

static lane lanes[MAX_THREADS];

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

static void *run_lane(void *argument)
{
    lane *l = argument;
    subject *s = subject_thread_open(l->parent);

    subject_root(s, &l->slots);
    l->slots = new_references(s, l->slot_count);
    for (size_t i = 0; i < l->operations; i++) {
        size_t slot = random_below(&l->chance, l->slot_count);
        cell *list = new_list(s, &l->chance);

        drop_list(s, l->slots[slot]);
        STORE(s, l->slots, l->slots[slot], list);
    }
    for (size_t i = 0; i < l->slot_count; i++)
        l->check = digest(l->check, sum_of_list(l->slots[i]));
    l->slots = NULL;
    subject_thread_close(s);
    return NULL;
}

static void *join_lanes(void *threads)
{
    for (size_t i = 0; i < *(size_t *)threads; i++)
        pthread_join(lanes[i].thread, NULL);
    return NULL;
}

static uint64_t work(subject *s, bench *b)
{
    size_t threads = b->parameter > 0 ? (size_t)b->parameter : 1;
    uint64_t check = 0;

    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    for (size_t i = 0; i < threads; i++) {
        lane *l = &lanes[i];

        l->parent = s;
        l->slot_count = bench_scaled(b, 10e3, 100);
        l->operations = bench_scaled(b, 8e6 / (double)threads, 1000);
        l->chance = i;
        b->live_bytes += l->slot_count * (sizeof(cell *) + 5 * (sizeof(cell) + 72) / 2);
        if (pthread_create(&l->thread, NULL, run_lane, l) != 0)
            subject_no_memory();
    }
    subject_wait(s, join_lanes, &threads);
    for (size_t i = 0; i < threads; i++)
        check = digest(check, lanes[i].check);
    return check;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
