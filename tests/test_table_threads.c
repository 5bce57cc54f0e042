/* SPDX-License-Identifier: MIT
 *
 * A table that several threads read at once, without a lock: none changes it.
 */
#include "support/threads.h"

#include <strata/table.h>

enum { READERS = 4, KEYS = 64, READS = 20000 };

/* root[0]: the table, by the values of its keys, nodes; root[1]: other nodes of the
 * same values, to look up by. */
static struct {
    struct world *world;
    struct barrier barrier;
    const gc_mutator *waiting; /* whose next callback waits till another has looked up */
} shared;

static uint64_t hash_value(gc_mutator *mutator, const void *key, void *data)
{
    (void)data;
    if (shared.waiting == mutator) {
        shared.waiting = NULL;
        meet(&shared.barrier);
        meet(&shared.barrier);
    }
    return ((const struct node *)key)->value % (KEYS / 4); /* some are compared in vain */
}

static bool equal_values(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    (void)mutator;
    (void)data;
    return ((const struct node *)a)->value == ((const struct node *)b)->value;
}

static void *lookup_key(size_t i)
{
    return ((void **)shared.world->root[1])[i];
}

static void begin(gc_table_kind kind)
{
    struct world *world = shared.world = make_shared(NULL);

    shared.waiting = NULL;
    make_barrier(&shared.barrier, 2);
    world->root[0] = gc_table_create(world->mutator, kind, hash_value, equal_values, NULL);
    world->root[1] = make_array(world->mutator, &gc_type_references, KEYS);
    world->root[2] = make_array(world->mutator, &gc_type_references, KEYS);
    for (size_t i = 0; i < KEYS; i++)
        for (int sort = 1; sort <= 2; sort++) {
            void *node = make_node(world->mutator, i);
            void **nodes = world->root[sort];

            gc_write(world->mutator, nodes, &nodes[i], node);
        }
    for (size_t i = 0; i < KEYS; i++) {
        void *key = ((void **)world->root[2])[i];

        assert_int_equal(gc_table_put(world->mutator, world->root[0], key, key), GC_OK);
    }
}

static void look_up(gc_mutator *mutator, size_t i)
{
    void *value = NULL;

    assert_true(gc_table_get(mutator, shared.world->root[0], lookup_key(i), &value));
    assert_int_equal(((struct node *)value)->value, i);
}

/* The first stays in its callback while the second looks up. */
static void overlap(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)data;
    if (index == 0)
        shared.waiting = mutator;
    else
        meet(&shared.barrier);
    look_up(mutator, index);
    if (index == 1)
        meet(&shared.barrier);
    gc_mutator_detach(mutator);
}

/* It was told that it called from a callback of the table: the other's. */
static void one_thread_looks_up_while_another_is_in_a_callback(void **state)
{
    (void)state;
    begin(GC_TABLE_STRONG);
    run_threads(shared.world, 2, overlap, NULL);
    world_end(shared.world);
}

static void read_often(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)data;
    for (size_t i = 0; i < scaled(READS); i++) {
        size_t position = 0;

        look_up(mutator, (i * 7 + index) % KEYS);
        gc_safepoint(mutator);
        if (i % 2000 != index)
            continue;
        gc_collect(mutator, GC_MIDDLE, NULL);
        assert_int_equal(gc_table_count(mutator, shared.world->root[0]), KEYS);
        assert_true(gc_table_next(mutator, shared.world->root[0], &position, NULL, NULL));
    }
    gc_mutator_detach(mutator);
}

static void threads_read_one_table(void **state)
{
    static const gc_table_kind kinds[] = {GC_TABLE_STRONG, GC_TABLE_WEAK_KEYS,
                                          GC_TABLE_WEAK_VALUES};

    (void)state;
    for (size_t kind = 0; kind < GC_COUNT(kinds); kind++) {
        begin(kinds[kind]);
        run_threads(shared.world, READERS, read_often, NULL);
        world_end(shared.world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_looks_up_while_another_is_in_a_callback),
        cmocka_unit_test(threads_read_one_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
