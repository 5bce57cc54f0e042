/* SPDX-License-Identifier: MIT
 *
 * Tables against a plain model: long random runs of every kind; iteration while
 * entries die, are removed and are set; and where there is no memory.
 */
#include "heap/heap.h"
#include "support/limited.h"

#include <strata/table.h>
#include <strata/weak.h>

#include <string.h>

enum { KEYS = 400, ABSENT = -1 };

/* root[0]: keys by number, or NULL; root[1]: values by number, or NULL;
 * root[2]: the table. What the table should hold: for each key, the number of
 * its value. A dead object's number is kept by none. */
static struct {
    struct world *world;
    gc_table_kind kind;
    int value_of[KEYS];
    uint64_t chance;
    bool by_content;
} model;

static unsigned draw(unsigned below)
{
    model.chance = model.chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(model.chance >> 33) % below;
}

static void **slot(int array, int number)
{
    return &((void **)model.world->root[array])[number];
}

static uint64_t hash_node(gc_mutator *mutator, const void *key, void *data)
{
    (void)mutator;
    (void)data;
    return ((const struct node *)key)->value % 64; /* many alike */
}

static bool equal_nodes(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    (void)mutator;
    (void)data;
    return ((const struct node *)a)->value == ((const struct node *)b)->value;
}

static void begin(struct world *world, gc_table_kind kind, bool by_content)
{
    memset(&model, 0, sizeof model);
    model.world = world;
    model.kind = kind;
    model.by_content = by_content;
    model.chance = 12345 + (uint64_t)kind;
    memset(world->root, 0, sizeof world->root);
    for (int i = 0; i < KEYS; i++)
        model.value_of[i] = ABSENT;
    world->root[0] = make_array(world->mutator, &gc_type_references, KEYS);
    world->root[1] = make_array(world->mutator, &gc_type_references, KEYS);
    world->root[2] = gc_table_create(world->mutator, kind, by_content ? hash_node : NULL,
                                     by_content ? equal_nodes : NULL, NULL);
    assert_non_null(world->root[2]);
}

static void make_object_of(int array, int number)
{
    struct node *node = make_node(model.world->mutator, (uint64_t)number);

    gc_write(model.world->mutator, model.world->root[array], slot(array, number), node);
}

static void put(int key, int value)
{
    if (*slot(0, key) == NULL)
        make_object_of(0, key);
    if (*slot(1, value) == NULL)
        make_object_of(1, value);
    assert_int_equal(
        gc_table_put(model.world->mutator, model.world->root[2], *slot(0, key), *slot(1, value)),
        GC_OK);
    model.value_of[key] = model.kind == GC_TABLE_WEAK_SET ? 0 : value;
}

/* An entry whose weak value no root refers to may be there till it is collected. */
static void take_out(int key)
{
    bool there = *slot(0, key) != NULL &&
                 gc_table_remove(model.world->mutator, model.world->root[2], *slot(0, key));

    if (model.value_of[key] != ABSENT)
        assert_true(there);
    else
        assert_true(!there || model.kind == GC_TABLE_WEAK_VALUES);
    model.value_of[key] = ABSENT;
}

/* The key's only root is gone. It is taken out first if the table keeps it; and
 * by content, where another of its number would be found to be it. */
static void drop_key(int key)
{
    if (model.kind == GC_TABLE_STRONG || model.kind == GC_TABLE_WEAK_VALUES || model.by_content)
        take_out(key);
    *slot(0, key) = NULL;
    model.value_of[key] = ABSENT;
}

static bool is_value_used(int value)
{
    for (int key = 0; key < KEYS; key++)
        if (model.value_of[key] == value)
            return true;
    return false;
}

static void drop_value(int value)
{
    if (model.kind == GC_TABLE_WEAK_VALUES) {
        *slot(1, value) = NULL;
        for (int key = 0; key < KEYS; key++)
            if (model.value_of[key] == value)
                model.value_of[key] = ABSENT;
    } else if (!is_value_used(value)) {
        *slot(1, value) = NULL;
    }
}

/* After a full collection, which lets go of all that is dead. */
static void check(void)
{
    gc_mutator *mutator = model.world->mutator;
    size_t count = 0, met = 0, position = 0;
    void *key = NULL, *value = NULL;

    collect(mutator, 2);
    for (int i = 0; i < KEYS; i++) {
        bool there = model.value_of[i] != ABSENT;

        count += there;
        if (*slot(0, i) == NULL)
            continue;
        assert_true(gc_table_get(mutator, model.world->root[2], *slot(0, i), &value) == there);
        if (there && model.kind != GC_TABLE_WEAK_SET)
            assert_ptr_equal(value, *slot(1, model.value_of[i]));
    }
    assert_int_equal(gc_table_count(mutator, model.world->root[2]), count);
    while (gc_table_next(mutator, model.world->root[2], &position, &key, &value)) {
        int number = (int)((struct node *)key)->value;

        assert_ptr_equal(key, *slot(0, number));
        assert_int_not_equal(model.value_of[number], ABSENT);
        met++;
    }
    assert_int_equal(met, count);
    assert_false(gc_table_next(mutator, model.world->root[2], &position, &key, &value));
}

static void step(void)
{
    unsigned what = draw(100);

    if (what < 45)
        put((int)draw(KEYS), (int)draw(KEYS));
    else if (what < 60)
        take_out((int)draw(KEYS));
    else if (what < 75)
        drop_key((int)draw(KEYS));
    else if (what < 92)
        drop_value((int)draw(KEYS));
    else if (what < 98)
        collect(model.world->mutator, draw(3));
    else
        assert_int_equal(gc_table_fit(model.world->mutator, model.world->root[2], draw(2 * KEYS)),
                         GC_OK);
}

static void every_kind_agrees_with_a_model(void **state)
{
    int steps = is_slowed() ? 300 : 2500;

    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_SET; kind++)
        for (int by_content = 0; by_content < 2; by_content++) {
            begin(*state, (gc_table_kind)kind, by_content != 0);
            for (int i = 0; i < steps; i++) {
                step();
                if (i % 100 == 99)
                    check();
            }
            for (int key = 0; key < KEYS; key++)
                take_out(key);
            check();
        }
}

/* ---- Iteration ------------------------------------------------------------ */

/* Some die, some are removed ahead of the loop and behind it, some are set. What
 * lives throughout is met once, what is met is there. */
static void what_lives_throughout_is_met_once(void **state)
{
    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_SET; kind++) {
        int met[KEYS] = {0};
        bool stayed[KEYS];
        size_t position = 0;
        void *key;

        begin(*state, (gc_table_kind)kind, false);
        for (int i = 0; i < KEYS; i++)
            put(i, i);
        memset(stayed, 1, sizeof stayed);
        while (gc_table_next(model.world->mutator, model.world->root[2], &position, &key, NULL)) {
            int number = (int)((struct node *)key)->value, victim = (int)draw(KEYS);

            assert_int_not_equal(model.value_of[number], ABSENT);
            met[number]++;
            if (draw(3) == 0) {
                stayed[victim] = false;
                take_out(victim);
            } else if (draw(3) == 0) {
                stayed[victim] = false;
                drop_key(victim);
                collect(model.world->mutator, 2);
            } else if (model.value_of[victim] != ABSENT) {
                put(victim, (int)draw(KEYS));
            }
            if (draw(8) == 0)
                collect(model.world->mutator, draw(3));
        }
        for (int i = 0; i < KEYS; i++)
            assert_true(stayed[i] ? met[i] == 1 : met[i] <= 1);
        check();
    }
}

static void a_loop_may_remove_what_it_meets(void **state)
{
    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_SET; kind++) {
        size_t position = 0, met = 0;
        void *key;

        begin(*state, (gc_table_kind)kind, false);
        for (int i = 0; i < KEYS; i++)
            put(i, i);
        while (gc_table_next(model.world->mutator, model.world->root[2], &position, &key, NULL)) {
            take_out((int)((struct node *)key)->value);
            met++;
        }
        assert_int_equal(met, KEYS);
        assert_int_equal(gc_table_count(model.world->mutator, model.world->root[2]), 0);
        check();
    }
}

/* The loop clears the table, or the table is made smaller: it ends. */
static void a_loop_ends_when_its_table_is_cleared(void **state)
{
    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_SET; kind++) {
        size_t position = 0;
        void *key;

        begin(*state, (gc_table_kind)kind, false);
        for (int i = 0; i < KEYS; i++)
            put(i, i);
        assert_true(
            gc_table_next(model.world->mutator, model.world->root[2], &position, &key, NULL));
        gc_table_clear(model.world->mutator, model.world->root[2]);
        assert_int_equal(gc_table_fit(model.world->mutator, model.world->root[2], 0), GC_OK);
        assert_false(
            gc_table_next(model.world->mutator, model.world->root[2], &position, &key, NULL));
    }
}

/* ---- Without memory ------------------------------------------------------- */

/* Until the heap is full: what was refused is not there, what was put is. */
static void without_memory_a_table_is_as_it_was(void **state)
{
    (void)state;
    for (int kind = GC_TABLE_STRONG; kind <= GC_TABLE_WEAK_SET; kind++) {
        gc_options options = test_options();
        struct world *world;
        size_t count = 0, found = 0, position = 0;
        gc_status status;
        void *key;

        options.stacks = GC_STACKS_EXACT;
        options.hard_limit = part_of((size_t)8 << 20);
        options.check = GC_CHECK_CHEAP;
        world = world_make(&options);
        world->root[2] = gc_table_create(world->mutator, (gc_table_kind)kind, NULL, NULL, NULL);
        for (;;) {
            struct node *node = gc_alloc(world->mutator, &node_type);

            if (node == NULL)
                break;
            node->left = world->root[0];
            world->root[0] = node;
            status = gc_table_put(world->mutator, world->root[2], node, node);
            if (status != GC_OK)
                break;
            count++;
        }
        assert_true(count > 1000);
        assert_int_equal(gc_table_count(world->mutator, world->root[2]), count);
        while (gc_table_next(world->mutator, world->root[2], &position, &key, NULL))
            found += gc_table_get(world->mutator, world->root[2], key, NULL);
        assert_int_equal(found, count);
        assert_int_equal(gc_table_fit(world->mutator, world->root[2], (size_t)1 << 40),
                         GC_NO_MEMORY);
        assert_int_equal(gc_table_fit(world->mutator, world->root[2], SIZE_MAX), GC_NO_MEMORY);
        assert_int_equal(gc_table_count(world->mutator, world->root[2]), count);
        world_free(world);
    }
}

/* An entry of a weak table costs little more than that of a strong one. */
static void weak_entries_take_at_most_80_bytes(void **state)
{
    struct world *world = *state;
    enum { MANY = 6000 };
    size_t before, after;

    world->root[0] = make_array(world->mutator, &gc_type_references, MANY);
    world->root[2] = gc_table_create(world->mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    for (int i = 0; i < MANY; i++)
        ((void **)world->root[0])[i] = NULL;
    for (int i = 0; i < MANY; i++) {
        struct node *node = make_node(world->mutator, (uint64_t)i);

        gc_write(world->mutator, world->root[0], &((void **)world->root[0])[i], node);
    }
    collect(world->mutator, 2);
    before = stats_of(world->heap).live_bytes;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(
            gc_table_put(world->mutator, world->root[2], ((void **)world->root[0])[i], NULL),
            GC_OK);
    collect(world->mutator, 2);
    after = stats_of(world->heap).live_bytes;
    assert_true(after - before <= (size_t)MANY * 80);
}

#define TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown), \
        cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_agrees_with_a_model),
        TEST(what_lives_throughout_is_met_once),
        TEST(a_loop_may_remove_what_it_meets),
        TEST(a_loop_ends_when_its_table_is_cleared),
        cmocka_unit_test(without_memory_a_table_is_as_it_was),
        TEST(weak_entries_take_at_most_80_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
