/* SPDX-License-Identifier: MIT
 *
 * A table with weak keys that gives each of 500,000 objects a property: filled,
 * then 4 million times looked up, and once in four an object is replaced by a
 * new one, so that the entry of the old one has to go by itself.
 */
#include "weak.h"

typedef struct thing {
    struct thing *link;
    uint64_t number;
} thing;

TYPE_STRUCT(thing, offsetof(thing, link));

static thing **keys;
static weak_table *properties;

static thing *new_thing(subject *s, uint64_t number)
{
    thing *t = NEW(s, thing);

    t->link = NULL;
    t->number = number;
    return t;
}

/* The table may collect and move: what it is given is read again from roots. */
static void replace(subject *s, size_t at, uint64_t number)
{
    thing *property;

    {
        thing *key = new_thing(s, number);

        STORE(s, keys, keys[at], key);
    }
    property = new_thing(s, number * 3);
    weak_table_put(s, properties, keys[at], property);
}

static uint64_t look_up(subject *s, size_t at)
{
    const thing *property = weak_table_get(s, properties, keys[at]);

    return property == NULL ? 1 : property->number - 3 * keys[at]->number;
}

static uint64_t work(subject *s, bench *b)
{
    size_t count = bench_scaled(b, 500e3, 1000), operations = bench_scaled(b, 4e6, 8000);
    uint64_t chance = 19, check = 0, wrong = 0;

    subject_root(s, &keys);
    subject_root(s, &properties);
    keys = new_references(s, count);
    properties = weak_table_new(s);
    b->live_bytes = count * (2 * sizeof(thing) + 4 * sizeof(void *));
    for (size_t i = 0; i < count; i++)
        replace(s, i, i);
    bench_tick(b);
    for (size_t i = 0; i < operations; i++) {
        wrong += look_up(s, random_below(&chance, count)) != 0;
        if (i % 4 == 0)
            replace(s, random_below(&chance, count), count + i);
        bench_tick(b);
    }
    bench_stop(b);
    for (size_t i = 0; i < count; i++)
        check = digest(check, keys[i]->number + look_up(s, i));
    return digest(check, wrong);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
