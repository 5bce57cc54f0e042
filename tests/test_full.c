/* SPDX-License-Identifier: MIT
 *
 * A heap that is full: what cannot be made is refused, nothing is lost, and
 * when there is room again all of it can be.
 */
#include "support/limited.h"

#include <strata/table.h>
#include <strata/weak.h>

enum { FULL_BYTES = 4 * MIB, WEAK_ROWS = 12 };

enum { NODES, KEYS, STRONG, WEAK, KEY }; /* roots */

static void watch_nothing(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    (void)mutator;
    (void)weakref;
    (void)data;
}

static struct node *key_at(struct world *world, size_t i)
{
    struct node **keys = world->root[KEYS];

    return keys[i];
}

static void make_keys(struct world *world)
{
    world->root[KEYS] = make_array(world->mutator, &gc_type_references, 2 * WEAK_ROWS);
    for (size_t i = 0; i < 2 * WEAK_ROWS; i++) {
        struct node *key = make_node(world->mutator, i);
        struct node **keys = world->root[KEYS];

        gc_write(world->mutator, keys, &keys[i], key);
    }
}

/* As many as fit without growing. */
static struct world *make_full(size_t *count)
{
    struct world *world = make_limited(FULL_BYTES);

    make_keys(world);
    world->root[KEY] = key_at(world, 0);
    world->root[WEAK] = gc_table_create(world->mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    for (size_t i = 0; i < WEAK_ROWS; i++)
        assert_int_equal(gc_table_put(world->mutator, world->root[WEAK], key_at(world, i), NULL),
                         GC_OK);
    *count = fill(world);
    return world;
}

/* Weak references, ephemerons, tables: each made, or refused. */
static size_t count_made(struct world *world)
{
    gc_mutator *mutator = world->mutator;
    size_t made = 0;

    made += gc_weakref_create(mutator, world->root[KEY], 0) != NULL;
    made += gc_weakref_create_watching(mutator, world->root[KEY], 0, watch_nothing, NULL) != NULL;
    made += gc_ephemeron_create(mutator, world->root[KEY], NULL) != NULL;
    made += gc_table_create(mutator, GC_TABLE_STRONG, NULL, NULL, NULL) != NULL;
    return made;
}

static void what_cannot_be_made_is_refused(void **state)
{
    size_t count;
    struct world *world = make_full(&count);

    (void)state;
    assert_int_equal(count_made(world), 0);
    assert_true(is_intact_fill(world, count));
    assert_int_equal(gc_verify(world->mutator), 0);
    world->root[NODES] = NULL;
    assert_int_equal(count_made(world), 4);
    world_end(world);
}

/* Rows are added until the table would grow: what it holds stays. */
static void a_table_that_cannot_grow_keeps_its_rows(void **state)
{
    size_t count, rows = WEAK_ROWS;
    struct world *world = make_full(&count);
    gc_status status = GC_OK;

    (void)state;
    for (; rows < 2 * (size_t)WEAK_ROWS && status == GC_OK; rows += status == GC_OK)
        status = gc_table_put(world->mutator, world->root[WEAK], key_at(world, rows), NULL);
    assert_int_equal(status, GC_NO_MEMORY);
    for (size_t i = 0; i < rows; i++)
        assert_true(gc_table_get(world->mutator, world->root[WEAK], key_at(world, i), NULL));
    assert_int_equal(gc_table_count(world->mutator, world->root[WEAK]), rows);
    world->root[NODES] = NULL;
    assert_int_equal(gc_table_put(world->mutator, world->root[WEAK], key_at(world, rows), NULL),
                     GC_OK);
    world_end(world);
}

/* With room for some of what a larger table consists of, but not for all. */
static void a_table_that_grows_in_part_keeps_its_rows(void **state)
{
    size_t tries = 0, refused = 0;

    (void)state;
    for (size_t room = 0; room < 90; room += is_slowed() ? 7 : 1, tries++) {
        size_t count;
        struct world *world = make_full(&count);
        struct node *first = world->root[NODES];
        gc_status status;

        for (size_t i = 0; i < room * 50 && first != NULL; i++)
            first = first->right;
        world->root[NODES] = first;
        status = gc_table_fit(world->mutator, world->root[WEAK], 2000);
        assert_true(status == GC_OK || status == GC_NO_MEMORY);
        refused += status != GC_OK;
        for (size_t i = 0; i < WEAK_ROWS; i++)
            assert_true(gc_table_get(world->mutator, world->root[WEAK], key_at(world, i), NULL));
        assert_int_equal(gc_verify(world->mutator), 0);
        world_end(world);
    }
    assert_in_range(refused, 1, tries - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_made_is_refused),
        cmocka_unit_test(a_table_that_cannot_grow_keeps_its_rows),
        cmocka_unit_test(a_table_that_grows_in_part_keeps_its_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
