/* SPDX-License-Identifier: MIT
 *
 * What runs in the middle of a put: it allocates, so finalizers may run in it,
 * and the limit's callback, and these may change the same table.
 */
#include "support/graph.h"

#include <strata/table.h>
#include <strata/weak.h>

enum { ALL = 200, PAGE = 16 };

static const gc_table_kind kinds[] = {GC_TABLE_STRONG, GC_TABLE_WEAK_KEYS, GC_TABLE_WEAK_VALUES,
                                      GC_TABLE_WEAK_SET};

/* root[0]: the table; root[1]: keys, each its own value. */
static void put(struct world *world, size_t i)
{
    void **keys = world->root[1];

    assert_int_equal(gc_table_put(world->mutator, world->root[0], keys[i], keys[i]), GC_OK);
}

static struct world *make_filled(gc_table_kind kind, size_t count)
{
    struct world *world = make_plain(0);
    void **keys;

    world->root[0] = gc_table_create(world->mutator, kind, NULL, NULL, NULL);
    world->root[1] = make_array(world->mutator, &gc_type_references, ALL);
    for (size_t i = 0; i < ALL; i++) {
        void *key = make_node(world->mutator, i);

        keys = world->root[1];
        gc_write(world->mutator, keys, &keys[i], key);
    }
    for (size_t i = 0; i < count; i++)
        put(world, i);
    return world;
}

static void check_all_there(struct world *world, size_t count)
{
    void **keys = world->root[1];

    assert_int_equal(gc_table_count(world->mutator, world->root[0]), count);
    for (size_t i = 0; i < count; i++)
        assert_true(gc_table_get(world->mutator, world->root[0], keys[i], NULL));
    assert_int_equal(gc_verify(world->mutator), 0);
}

struct errand {
    struct world *world;
    void (*act)(struct world *world, size_t count);
    size_t count;
    size_t runs;
};

static void run_errand(gc_mutator *mutator, void *object, void *data)
{
    struct errand *errand = data;

    (void)mutator;
    (void)object;
    errand->runs++;
    errand->act(errand->world, errand->count);
}

/* It runs in the next allocation. */
static void make_due(struct errand *errand)
{
    struct world *world = errand->world;
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = run_errand, .data = errand};

    world->root[2] = make_node(world->mutator, 0);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[2], &finalizer, NULL), GC_OK);
    world->root[2] = NULL;
    gc_finalizers_at_safepoints(world->mutator, true);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(errand->runs, 0);
}

static void put_the_rest(struct world *world, size_t count)
{
    for (size_t i = count + 1; i < ALL; i++)
        put(world, i);
}

static void put_all_that_follow(struct world *world, size_t count)
{
    for (size_t i = count; i < ALL; i++)
        put(world, i);
}

static void put_one(struct world *world, size_t count)
{
    put(world, count + 1);
}

static void clear(struct world *world, size_t count)
{
    (void)count;
    gc_table_clear(world->mutator, world->root[0]);
}

static void interrupt(gc_table_kind kind, size_t count, void (*act)(struct world *, size_t),
                      size_t left)
{
    struct errand errand = {.world = make_filled(kind, count), .act = act, .count = count};

    make_due(&errand);
    put(errand.world, count);
    if (errand.runs == 0) /* this one did not allocate */
        make_node(errand.world->mutator, 0);
    assert_int_equal(errand.runs, 1);
    if (left != 0)
        check_all_there(errand.world, left);
    assert_int_equal(gc_verify(errand.world->mutator), 0);
    world_end(errand.world);
}

static void a_finalizer_may_put_into_a_table_that_is_being_put_into(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (size_t count = 0; count <= 2 * PAGE; count++) {
            interrupt(kinds[kind], count, put_one, count + 2);
            interrupt(kinds[kind], count, put_the_rest, ALL);
        }
}

static void it_may_put_the_same_key(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (size_t count = 0; count <= 2 * PAGE; count++)
            interrupt(kinds[kind], count, put_all_that_follow, ALL);
}

static void it_may_clear_the_table(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (size_t count = 0; count <= 2 * PAGE; count++)
            interrupt(kinds[kind], count, clear, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finalizer_may_put_into_a_table_that_is_being_put_into),
        cmocka_unit_test(it_may_put_the_same_key),
        cmocka_unit_test(it_may_clear_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
