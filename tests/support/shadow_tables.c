/* SPDX-License-Identifier: MIT
 *
 * The shadow graph's tables. All keys have a hash, by which a walk knows them.
 */
#include "support/shadow_model.h"

#include <stdlib.h>
#include <string.h>

/* ---- Callbacks: by identity, with many collisions ------------------------ */

static uint64_t hash_badly(gc_mutator *mutator, const void *key, void *data)
{
    uint64_t hash = 0;

    (void)data;
    (void)gc_hash(mutator, key, &hash);
    return hash & 3;
}

static bool is_same(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    (void)mutator;
    (void)data;
    return a == b;
}

/* ---- The model's entries ------------------------------------------------- */

/* Where the pair with this key begins, or `links`. */
static uint32_t find_pair(const struct shadow *shadow, uint32_t key)
{
    uint32_t i = 0;

    while (i < shadow->links && shadow->refs[i] != key)
        i += 2;
    return i;
}

static void remove_pair(struct shadow *shadow, uint32_t i)
{
    shadow->links -= 2;
    shadow->refs[i] = shadow->refs[shadow->links];
    shadow->refs[i + 1] = shadow->refs[shadow->links + 1];
}

static void set_pair(struct shadow *shadow, uint32_t key, uint32_t value)
{
    uint32_t i = find_pair(shadow, key);

    if (i == shadow->links) {
        shadow->links += 2;
        shadow->refs[i] = key;
    }
    shadow->refs[i + 1] = table_kind(shadow) == GC_TABLE_WEAK_SET ? 0 : value;
}

/* ---- The walk ----------------------------------------------------------- */

/* The pair whose key has the hash of the object at `key`. */
static uint32_t pair_of(uint32_t id, const void *key)
{
    const struct shadow *shadow = &run.shadows[id];
    uint64_t hash = 0;

    if (gc_hash(run.mutator, key, &hash) != GC_OK)
        wrong(id, "has a key without a hash");
    for (uint32_t i = 0; i < shadow->links; i += 2)
        if (run.shadows[shadow->refs[i]].hash == hash)
            return i;
    wrong(id, "has a key that was not put there");
}

/* Whether an entry must still be there. */
static bool must_stay(const struct shadow *shadow, uint32_t i)
{
    unsigned kind = table_kind(shadow);

    if (!shadow->seen_before)
        return false;
    return kind == GC_TABLE_STRONG || is_strong(shadow->refs[i + (kind == GC_TABLE_WEAK_VALUES)]);
}

void look_at_table(uint32_t id)
{
    struct shadow *shadow = &run.shadows[id];
    gc_table *table = shadow->found;
    bool is_there[MOST_PAIRS] = {false};
    size_t position = 0;
    size_t count = 0;
    void *key;
    void *value;

    while (gc_table_next(run.mutator, table, &position, &key, &value)) {
        uint32_t i = pair_of(id, key);

        if (is_there[i / 2])
            wrong(id, "has a key twice");
        is_there[i / 2] = true;
        count++;
        if ((value == NULL) != (shadow->refs[i + 1] == 0))
            wrong(id, "has another value");
        reach(shadow->refs[i], key);
        if (value != NULL)
            reach(shadow->refs[i + 1], value);
        if (!gc_table_get(run.mutator, table, key, NULL))
            wrong(id, "does not find its key");
    }
    if (gc_table_count(run.mutator, table) != count)
        wrong(id, "has another count");
    for (uint32_t i = shadow->links; i > 0; i -= 2) {
        if (is_there[i / 2 - 1])
            continue;
        if (must_stay(shadow, i - 2))
            suspect(id, "has lost an entry that is alive");
        run.dropped += !shadow->seen_before || table_kind(shadow) == GC_TABLE_WEAK_VALUES;
        shadow_tally.dropped_entries++;
        remove_pair(shadow, i - 2);
        is_there[i / 2 - 1] = is_there[shadow->links / 2];
    }
}

/* ---- Steps -------------------------------------------------------------- */

void do_table(void)
{
    unsigned kind = (unsigned)below(4);
    bool collides = below(2) == 0;
    uint32_t root = (uint32_t)below(ROOTS);
    gc_table *table =
        gc_table_create(run.mutator, (gc_table_kind)kind, collides ? hash_badly : NULL,
                        collides ? is_same : NULL, NULL);
    uint32_t id;

    compare_if_collected();
    assert_true(table != NULL || may_fail());
    if (table == NULL)
        return;
    id = new_shadow(TABLE, 0, 2 * MOST_PAIRS);
    run.shadows[id].variety = (uint8_t)(kind | (collides ? TABLE_COLLIDES : 0));
    run.shadows[id].links = 0;
    root_set(root, id, table);
}

static void put(uint32_t root, uint32_t key, uint32_t value)
{
    uint32_t id = run.roots[root];
    uint32_t key_id = run.roots[key];
    uint32_t value_id = run.roots[value];
    gc_status status;

    if (run.shadows[id].links == 2 * MOST_PAIRS || !hash_of(key_id, root_get(key)))
        return;
    run.held[0] = id;
    run.held[1] = key_id;
    run.held[2] = value_id;
    status = gc_table_put(run.mutator, root_get(root), root_get(key), root_get(value));
    if (is_done(status))
        set_pair(&run.shadows[id], key_id, value_id);
    compare_if_collected();
    memset(run.held, 0, sizeof run.held);
}

/* Whether the key is in the model's table, and how the heap may see it. */
static void get(uint32_t root, uint32_t key, uint32_t to)
{
    struct shadow *shadow = &run.shadows[run.roots[root]];
    uint32_t i = find_pair(shadow, run.roots[key]);
    void *value = NULL;
    bool is_there;

    if (has_trait(SHADOW_FIXED)) {
        mark_strong(true);
        if (i < shadow->links && shadow->refs[i + 1] != 0 && !is_strong(shadow->refs[i + 1]))
            return;
    }
    is_there = gc_table_get(run.mutator, root_get(root), root_get(key), &value);
    assert_true(!is_there || i < shadow->links);
    if (!is_there && shadow->walk == run.walk && i < shadow->links)
        wrong(run.roots[root], "has lost an entry between collections");
    if (value != NULL) /* of a set, the key */
        root_set(to, shadow->refs[table_kind(shadow) == GC_TABLE_WEAK_SET ? i : i + 1], value);
}

static void drop(uint32_t root, uint32_t key)
{
    struct shadow *shadow = &run.shadows[run.roots[root]];
    uint32_t i = find_pair(shadow, run.roots[key]);
    bool was_there = gc_table_remove(run.mutator, root_get(root), root_get(key));

    assert_true(!was_there || i < shadow->links);
    if (!was_there && shadow->walk == run.walk && i < shadow->links)
        wrong(run.roots[root], "has lost an entry between collections");
    if (i < shadow->links)
        remove_pair(shadow, i);
}

static uint32_t table_root(void)
{
    uint32_t root = (uint32_t)below(ROOTS);

    for (uint32_t tries = 0; tries < ROOTS; tries++, root = (root + 1) % ROOTS)
        if (run.roots[root] != 0 && run.shadows[run.roots[root]].kind == TABLE)
            return root;
    return ROOTS;
}

void do_table_use(void)
{
    uint32_t use = (uint32_t)below(32);
    uint32_t root = table_root();
    uint32_t key = full_root();
    uint32_t value = full_root();
    uint32_t to = (uint32_t)below(ROOTS);

    if (root == ROOTS)
        return;
    if (use < 20) {
        put(root, key, value);
    } else if (use < 25) {
        get(root, key, to);
    } else if (use < 29) {
        drop(root, key);
    } else if (use < 30) {
        gc_table_clear(run.mutator, root_get(root));
        run.shadows[run.roots[root]].links = 0;
    } else {
        run.held[0] = run.roots[root];
        (void)is_done(gc_table_fit(run.mutator, root_get(root), to));
        compare_if_collected();
        run.held[0] = 0;
    }
}
