/* SPDX-License-Identifier: MIT
 *
 * 32 arrays of references of 1 MiB each. 6 million times a random element of
 * one is replaced by a new object, and every 60,000 times a whole array by an
 * empty one: large objects that refer to young ones in a few places.
 */
#include "bench.h"

typedef struct object {
    struct object *link;
    uint64_t value;
} object;

TYPE_STRUCT(object, offsetof(object, link));

enum {
    ARRAYS = 32,
    LENGTH = (1 << 20) / sizeof(void *),
    STORES_PER_ARRAY = 60000,
    OBJECTS_PER_ARRAY = 26000 /* mean, over the ages that arrays have; those hit twice aside */
};

static object **arrays[ARRAYS];

static void replace_element(subject *s, object **array, size_t at, uint64_t value)
{
    object *o;

    FRAME(s, frame, &array);
    o = NEW(s, object);
    FRAME_POP(s, frame);
    o->link = NULL;
    o->value = value;
    DROP(s, array[at]);
    STORE(s, array, array[at], o);
}

static void replace_array(subject *s, size_t which)
{
    for (size_t i = 0; SUBJECT_DROPS && i < LENGTH; i++)
        DROP(s, arrays[which][i]);
    DROP(s, arrays[which]);
    arrays[which] = NULL; /* or the new one would stand beside it */
    arrays[which] = new_references(s, LENGTH);
}

static uint64_t sum_of_array(object **array)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < LENGTH; i++)
        sum = digest(sum, array[i] == NULL ? 0 : array[i]->value);
    return sum;
}

static uint64_t work(subject *s, bench *b)
{
    size_t stores = bench_scaled(b, 6e6, 1000);
    uint64_t chance = 9, check = 0;

    b->live_bytes = ARRAYS * (LENGTH * sizeof(void *) + OBJECTS_PER_ARRAY * sizeof(object));
    for (size_t i = 0; i < ARRAYS; i++) {
        subject_root(s, &arrays[i]);
        arrays[i] = new_references(s, LENGTH);
    }
    bench_tick(b);
    for (size_t i = 0; i < stores; i++) {
        size_t which = random_below(&chance, ARRAYS);

        replace_element(s, arrays[which], random_below(&chance, LENGTH), i);
        if (i % STORES_PER_ARRAY == STORES_PER_ARRAY - 1)
            replace_array(s, i / STORES_PER_ARRAY % ARRAYS);
        bench_tick(b);
    }
    bench_stop(b);
    for (size_t i = 0; i < ARRAYS; i++)
        check = digest(check, sum_of_array(arrays[i]));
    return check;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
