/* SPDX-License-Identifier: MIT
 *
 * Weak sets that make equal strings one: what is asked for by a key that is
 * equal is the member.
 */
#include "support/heap.h"

#include <strata/table.h>

#include <string.h>

static uint64_t hash_text(gc_mutator *mutator, const void *key, void *data)
{
    uint64_t hash = 0;

    (void)mutator;
    (void)data;
    for (const char *byte = key; *byte != '\0'; byte++)
        hash = hash * 31 + (unsigned char)*byte;
    return hash;
}

static bool is_same_text(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    (void)mutator;
    (void)data;
    return strcmp(a, b) == 0;
}

static char *make_text(struct world *world, const char *text)
{
    char *made = gc_alloc_array(world->mutator, &gc_type_bytes, strlen(text) + 1);

    assert_non_null(made);
    memcpy(made, text, strlen(text) + 1);
    return made;
}

/* root[0]: the set; root[1]: a scratch slot. */
static void *intern(struct world *world, const char *text)
{
    void *made = world->root[1] = make_text(world, text), *member = NULL;

    if (!gc_table_get(world->mutator, world->root[0], made, &member)) {
        assert_int_equal(gc_table_put(world->mutator, world->root[0], made, NULL), GC_OK);
        member = world->root[1];
    }
    world->root[1] = NULL;
    return member;
}

static void make_set(struct world *world)
{
    world->root[0] =
        gc_table_create(world->mutator, GC_TABLE_WEAK_SET, hash_text, is_same_text, NULL);
    assert_non_null(world->root[0]);
}

static void equal_strings_become_one(void **state)
{
    struct world *world = *state;

    make_set(world);
    world->root[2] = intern(world, "one");
    world->root[3] = intern(world, "two");
    gc_collect(world->mutator, GC_OLD, NULL);
    world->root[4] = intern(world, "one");
    world->root[5] = intern(world, "two");
    assert_ptr_equal(world->root[4], world->root[2]);
    assert_ptr_equal(world->root[5], world->root[3]);
    assert_ptr_not_equal(world->root[2], world->root[3]);
    assert_int_equal(gc_table_count(world->mutator, world->root[0]), 2);
}

static void a_string_that_nobody_has_goes(void **state)
{
    struct world *world = *state;
    void *member = NULL;

    make_set(world);
    world->root[2] = intern(world, "kept");
    (void)intern(world, "dropped");
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(gc_table_count(world->mutator, world->root[0]), 1);
    world->root[3] = make_text(world, "kept");
    assert_true(gc_table_get(world->mutator, world->root[0], world->root[3], &member));
    assert_ptr_equal(member, world->root[2]);
    world->root[3] = make_text(world, "dropped");
    assert_false(gc_table_get(world->mutator, world->root[0], world->root[3], &member));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_strings_become_one),
        TEST(a_string_that_nobody_has_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
