/* SPDX-License-Identifier: MIT
 *
 * 93.75 million objects of 32 bytes (3 GB) that die at once: what an
 * allocation costs when nothing survives. The parameter's number of threads
 * share them.
 */
#include "threads.h"

typedef struct object {
    struct object *next;
    uint64_t values[3];
} object;

TYPE_STRUCT(object, offsetof(object, next));

static uint64_t share(subject *s, bench *b)
{
    size_t count = bench_shared(b, 93.75e6, 1);
    uint64_t sum = 0;

    b->live_bytes = sizeof(object);
    b->objects = (double)count;
    for (size_t i = 0; i < count; i++) {
        object *o = NEW(s, object);

        o->next = NULL;
        o->values[0] = i;
        o->values[1] = 1;
        o->values[2] = 2;
        bench_escape(o);
        sum += o->values[0] + o->values[1];
        DROP(s, o);
    }
    return digest(0, sum);
}

static uint64_t work(subject *s, bench *b)
{
    return bench_threads(s, b, share);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
