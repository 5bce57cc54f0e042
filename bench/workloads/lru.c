/* SPDX-License-Identifier: MIT
 *
 * A cache of 500,000 entries that evicts what was used longest ago: a chained
 * hash table and a doubly linked list. 3 million operations with keys from
 * twice as many; a hit moves its entry to the front and gives it a new value,
 * so old objects come to refer to young ones all the time.
 */
#include "bench.h"

typedef struct value {
    uint64_t words[22];
} value;

typedef struct entry {
    uint64_t key;
    struct entry *chain;
    struct entry *newer, *older;
    value *value;
} entry;

TYPE_LEAF(value);
TYPE_STRUCT(entry, offsetof(entry, chain), offsetof(entry, newer), offsetof(entry, older),
            offsetof(entry, value));

static entry **buckets;
static entry *list; /* sentinel of the circular list: newer is the oldest, older the newest */
static size_t bucket_mask;

static value *new_value(subject *s, uint64_t seed)
{
    value *v = NEW(s, value);

    for (size_t i = 0; i < sizeof v->words / sizeof v->words[0]; i++)
        v->words[i] = seed + i;
    return v;
}

static size_t bucket_of(uint64_t key)
{
    return mix(key) & bucket_mask;
}

static entry *find(uint64_t key)
{
    entry *e = buckets[bucket_of(key)];

    while (e != NULL && e->key != key)
        e = e->chain;
    return e;
}

static void unlink_entry(subject *s, entry *e)
{
    STORE(s, e->newer, e->newer->older, e->older);
    STORE(s, e->older, e->older->newer, e->newer);
}

static void link_newest(subject *s, entry *e)
{
    STORE(s, e, e->newer, list);
    STORE(s, e, e->older, list->older);
    STORE(s, list->older, list->older->newer, e);
    STORE(s, list, list->older, e);
}

static void unchain(subject *s, const entry *gone)
{
    size_t bucket = bucket_of(gone->key);
    entry *before = buckets[bucket];

    if (before == gone) {
        STORE(s, buckets, buckets[bucket], gone->chain);
        return;
    }
    while (before->chain != gone)
        before = before->chain;
    STORE(s, before, before->chain, gone->chain);
}

static void evict_oldest(subject *s)
{
    entry *oldest = list->newer;

    unlink_entry(s, oldest);
    unchain(s, oldest);
    DROP(s, oldest->value);
    DROP(s, oldest);
}

static void insert(subject *s, uint64_t key)
{
    value *v = new_value(s, key);
    entry *e;

    FRAME(s, frame, &v);
    e = NEW(s, entry);
    FRAME_POP(s, frame);
    e->key = key;
    e->value = v;
    e->chain = buckets[bucket_of(key)];
    link_newest(s, e);
    STORE(s, buckets, buckets[bucket_of(key)], e);
}

static void use(subject *s, entry *e, uint64_t operation)
{
    value *v;

    unlink_entry(s, e);
    link_newest(s, e);
    FRAME(s, frame, &e);
    v = new_value(s, e->key + operation);
    FRAME_POP(s, frame);
    DROP(s, e->value);
    STORE(s, e, e->value, v);
}

static void open_cache(subject *s, size_t entries)
{
    size_t count = 16;

    while (count < entries)
        count *= 2;
    bucket_mask = count - 1;
    subject_root(s, &buckets);
    subject_root(s, &list);
    buckets = new_references(s, count);
    list = NEW(s, entry);
    list->key = 0;
    list->chain = NULL;
    list->value = NULL;
    list->newer = list->older = list;
}

static uint64_t sum_of_cache(void)
{
    uint64_t check = 0;

    for (const entry *e = list->older; e != list; e = e->older)
        check = digest(check, e->key ^ e->value->words[21]);
    return check;
}

static uint64_t work(subject *s, bench *b)
{
    size_t entries = bench_scaled(b, 500e3, 100), used = 0, hits = 0;
    size_t operations = bench_scaled(b, 3e6, 600);
    uint64_t chance = 1;

    open_cache(s, entries);
    b->live_bytes = entries * (sizeof(entry) + sizeof(value)) + (bucket_mask + 1) * sizeof(entry *);
    bench_tick(b);
    for (uint64_t operation = 0; operation < operations; operation++) {
        uint64_t key = random_below(&chance, 2 * entries);
        entry *e = find(key);

        if (e != NULL) {
            use(s, e, operation);
            hits++;
        } else {
            if (used == entries)
                evict_oldest(s);
            else
                used++;
            insert(s, key);
        }
        bench_tick(b);
    }
    bench_stop(b);
    return digest(sum_of_cache(), hits);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
