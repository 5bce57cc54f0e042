/* SPDX-License-Identifier: MIT
 *
 * Tables that are used as they must not be: NULL, and by what they call.
 */
#include "support/doomed.h"

#include <strata/table.h>

#include <setjmp.h>

#define FROM_A_CALLBACK "called from a callback of the table, or one was left by longjmp"

static bool same(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    (void)mutator;
    (void)data;
    return a == b;
}

static uint64_t hash_to_one(gc_mutator *mutator, const void *key, void *data)
{
    (void)mutator;
    (void)key;
    (void)data;
    return 1;
}

/* A table in root[1] by these callbacks; then it is given two keys. */
static void put_two(gc_table_hash_fn *hash, gc_table_equal_fn *equal)
{
    make_doomed();
    doomed->root[1] = gc_table_create(doomed->mutator, GC_TABLE_STRONG, hash, equal, NULL);
    (void)gc_table_put(doomed->mutator, doomed->root[1], doomed->root[0], NULL);
    doomed->root[2] = make_node(doomed->mutator, 2);
    (void)gc_table_put(doomed->mutator, doomed->root[1], doomed->root[2], NULL);
}

static uint64_t hash_and_get(gc_mutator *mutator, const void *key, void *data)
{
    (void)data;
    (void)gc_table_get(mutator, doomed->root[1], key, NULL);
    return 1;
}

static void used_from_its_callback(void)
{
    put_two(hash_and_get, same);
}

static uint64_t hash_and_collect(gc_mutator *mutator, const void *key, void *data)
{
    (void)key;
    (void)data;
    gc_collect(mutator, GC_YOUNG, NULL);
    return 1;
}

static void hash_collects(void)
{
    put_two(hash_and_collect, same);
}

static bool collect_and_compare(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    gc_collect(mutator, GC_YOUNG, NULL);
    return same(mutator, a, b, data);
}

static void equality_collects(void)
{
    put_two(hash_to_one, collect_and_compare);
}

static jmp_buf before;

static uint64_t hash_and_leave(gc_mutator *mutator, const void *key, void *data)
{
    (void)mutator;
    (void)key;
    (void)data;
    longjmp(before, 1);
}

static void used_after_a_callback_was_left(void)
{
    make_doomed();
    doomed->root[1] =
        gc_table_create(doomed->mutator, GC_TABLE_WEAK_KEYS, hash_and_leave, same, NULL);
    if (setjmp(before) == 0)
        (void)gc_table_get(doomed->mutator, doomed->root[1], doomed->root[0], NULL);
    (void)gc_table_count(doomed->mutator, doomed->root[1]);
}

static void callbacks_leave_the_table_alone(void **state)
{
    (void)state;
    expect_misuse(used_from_its_callback, "gc_table_get", FROM_A_CALLBACK);
    expect_misuse(used_after_a_callback_was_left, "gc_table_count", FROM_A_CALLBACK);
    expect_misuse(hash_collects, "gc_table", "the hash callback collected");
    expect_misuse(equality_collects, "gc_table", "the equality callback collected");
}

static void table_is_null(void)
{
    make_doomed();
    (void)gc_table_count(doomed->mutator, NULL);
}

static void key_is_null(void)
{
    make_doomed();
    doomed->root[1] = gc_table_create(doomed->mutator, GC_TABLE_STRONG, NULL, NULL, NULL);
    (void)gc_table_put(doomed->mutator, doomed->root[1], NULL, NULL);
}

static void null_is_no_table_and_no_key(void **state)
{
    (void)state;
    expect_misuse(table_is_null, "gc_table_count", "the table is NULL");
    expect_misuse(key_is_null, "gc_table_put", "the object is NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callbacks_leave_the_table_alone),
        cmocka_unit_test(null_is_no_table_and_no_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
