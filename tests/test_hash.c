/* SPDX-License-Identifier: MIT
 *
 * Identity hashes: they stay with the object, and cost nobody else.
 */
#include "support/heap.h"

#include <strata/weak.h>

static uint64_t hash_of(struct world *world, const void *object)
{
    uint64_t hash = 0;

    assert_int_equal(gc_hash(world->mutator, object, &hash), GC_OK);
    return hash;
}

static void hash_follows_its_object(void **state)
{
    struct world *world = *state;
    uint64_t hash;

    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = make_array(world->mutator, &gc_type_bytes, 100000);
    hash = hash_of(world, world->root[0]) ^ 3 * hash_of(world, world->root[1]);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_int_equal(hash_of(world, world->root[0]) ^ 3 * hash_of(world, world->root[1]), hash);
    }
    compact(world->mutator);
    assert_int_equal(hash_of(world, world->root[0]) ^ 3 * hash_of(world, world->root[1]), hash);
}

/* An object made where a hashed one was has no part of it. */
static void hashes_differ_in_one_place(void **state)
{
    enum { COUNT = 200 };
    struct world *world = *state;
    uint64_t hashes[COUNT];

    for (int i = 0; i < COUNT; i++) {
        hashes[i] = hash_of(world, make_node(world->mutator, 1));
        collect(world->mutator, 0);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(hashes[i], hashes[j]);
    }
}

static void heaps_hash_differently(void **state)
{
    struct world *one = *state;
    gc_options options = test_options();
    struct world *other = world_make(&options);

    assert_int_not_equal(hash_of(one, make_node(one->mutator, 1)),
                         hash_of(other, make_node(other->mutator, 1)));
    world_free(other);
}

static void hashed_object_is_no_larger(void **state)
{
    struct world *world = *state;
    size_t before;

    world->root[0] = make_node(world->mutator, 1);
    collect(world->mutator, 1);
    before = stats_of(world->heap).live_bytes;
    (void)hash_of(world, world->root[0]);
    collect(world->mutator, 2);
    assert_int_equal(stats_of(world->heap).live_bytes, before);
}

#define TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown), \
        cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hash_follows_its_object),
        TEST(hashes_differ_in_one_place),
        TEST(heaps_hash_differently),
        TEST(hashed_object_is_no_larger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
