/* SPDX-License-Identifier: MIT
 *
 * NULL, foreign and dead targets of all that refers weakly: each is told with
 * the name of the function, and none does harm.
 */
#include "heap/heap.h"
#include "support/doomed.h"

#include <strata/table.h>
#include <strata/weak.h>

#define NO_WEAKREF "this is not a weak reference of the heap"

enum { TABLE = 1, EPHEMERON }; /* roots of one */

static void *target;

static void finalize_nothing(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
}

static void watch_nothing(gc_mutator *mutator, void *data)
{
    (void)mutator;
    (void)data;
}

static void call_back_nothing(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    (void)mutator;
    (void)weakref;
    (void)data;
}

static void refer(gc_mutator *mutator)
{
    (void)gc_weakref_create(mutator, target, 0);
}

static void refer_watching(gc_mutator *mutator)
{
    (void)gc_weakref_create_watching(mutator, target, 0, call_back_nothing, NULL);
}

static void list(gc_mutator *mutator)
{
    (void)gc_weakref_list(mutator, target, NULL, 0);
}

static void make_ephemeron(gc_mutator *mutator)
{
    (void)gc_ephemeron_create(mutator, target, NULL);
}

static void add_finalizer(gc_mutator *mutator)
{
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = finalize_nothing};

    (void)gc_finalizer_add(mutator, target, &finalizer, NULL);
}

static void guard(gc_mutator *mutator)
{
    (void)gc_guardian_add(mutator, gc_guardian_create(mutator), target);
}

static void watch(gc_mutator *mutator)
{
    (void)gc_watch_add(mutator, target, watch_nothing, NULL, NULL);
}

static void put(gc_mutator *mutator)
{
    (void)gc_table_put(mutator, doomed->root[TABLE], target, NULL);
}

static void get(gc_mutator *mutator)
{
    (void)gc_table_get(mutator, doomed->root[TABLE], target, NULL);
}

static void take_out(gc_mutator *mutator)
{
    (void)gc_table_remove(mutator, doomed->root[TABLE], target);
}

static void set_ephemeron(gc_mutator *mutator)
{
    /* NULL is a value. */
    (void)gc_ephemeron_set(mutator, doomed->root[EPHEMERON], target != NULL ? target : &target);
}

static const struct use {
    void (*make)(gc_mutator *mutator);
    const char *function;
} uses[] = {
    {refer, "gc_weakref_create"},
    {refer_watching, "gc_weakref_create_watching"},
    {list, "gc_weakref_list"},
    {make_ephemeron, "gc_ephemeron_create"},
    {add_finalizer, "gc_finalizer_add"},
    {guard, "gc_guardian_add"},
    {watch, "gc_watch_add"},
    {put, "gc_table_put"},
    {get, "gc_table_get"},
    {take_out, "gc_table_remove"},
    {set_ephemeron, "gc_ephemeron_set"},
};

static const struct use *use;

static void make_world(void)
{
    make_doomed();
    doomed->root[TABLE] = gc_table_create(doomed->mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    doomed->root[EPHEMERON] = gc_ephemeron_create(doomed->mutator, doomed->root[0], NULL);
}

static void use_null(void)
{
    make_world();
    target = NULL;
    use->make(doomed->mutator);
}

static void use_foreign(void)
{
    make_world();
    target = &foreign;
    use->make(doomed->mutator);
}

static void use_unaligned(void)
{
    make_world();
    target = (char *)doomed->root[0] + 4;
    use->make(doomed->mutator);
}

/* The rooted node has moved: nothing is left where it was. */
static void use_dead(void)
{
    make_world();
    target = doomed->root[0];
    collect(doomed->mutator, 0);
    use->make(doomed->mutator);
}

static void what_is_no_live_object_is_told(void **state)
{
    static const char no_reference[] = "this is not a reference to an object of the heap";

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(uses); i++) {
        use = &uses[i];
        expect_misuse(use_null, use->function,
                      use->make == set_ephemeron ? no_reference : "the object is NULL");
        expect_misuse(use_foreign, use->function, no_reference);
        expect_misuse(use_unaligned, use->function, no_reference);
        expect_misuse(use_dead, use->function, no_reference);
    }
}

/* ---- What is not what it should be ---------------------------------------- */

static void watch_without_function(void)
{
    make_world();
    (void)gc_watch_add(doomed->mutator, doomed->root[0], NULL, NULL, NULL);
}

static void finalizer_without_function(void)
{
    gc_finalizer finalizer = {.size = sizeof finalizer};

    make_world();
    (void)gc_finalizer_add(doomed->mutator, doomed->root[0], &finalizer, NULL);
}

static void guardian_destroyed(void)
{
    gc_guardian *guardian;

    make_world();
    guardian = gc_guardian_create(doomed->mutator);
    gc_guardian_destroy(doomed->mutator, guardian);
    (void)gc_guardian_next(doomed->mutator, guardian);
}

static void guardian_null(void)
{
    make_world();
    (void)gc_guardian_add(doomed->mutator, NULL, doomed->root[0]);
}

static void table_that_is_none(void)
{
    make_world();
    (void)gc_table_count(doomed->mutator, doomed->root[0]);
}

static void table_of_no_kind(void)
{
    make_world();
    (void)gc_table_create(doomed->mutator, (gc_table_kind)9, NULL, NULL, NULL);
}

static bool equal(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    (void)mutator;
    (void)data;
    return a == b;
}

static void table_with_equal_alone(void)
{
    make_world();
    (void)gc_table_create(doomed->mutator, GC_TABLE_STRONG, NULL, equal, NULL);
}

static void weak_value_null(void)
{
    make_world();
    doomed->root[TABLE] = gc_table_create(doomed->mutator, GC_TABLE_WEAK_VALUES, NULL, NULL, NULL);
    (void)gc_table_put(doomed->mutator, doomed->root[TABLE], doomed->root[0], NULL);
}

static void ephemeron_that_is_none(void)
{
    make_world();
    (void)gc_ephemeron_value(doomed->mutator, doomed->root[0]);
}

static void ephemeron_null(void)
{
    make_world();
    (void)gc_ephemeron_value(doomed->mutator, NULL);
}

static void ephemeron_outside(void)
{
    make_world();
    (void)gc_ephemeron_value(doomed->mutator, (gc_ephemeron *)&foreign);
}

/* In a block that is free, where nothing but its state tells. */
static void refer_to_a_free_block(void)
{
    const struct gc_tables *tables;
    uint32_t block = 0;

    make_doomed_unchecked();
    tables = &doomed->heap->collector.tables;
    while (tables->state[block] != 0)
        block++;
    (void)gc_weakref_create(doomed->mutator, (void *)(gc_block_start(tables, block) + 8), 0);
}

/* Of the heap's range, where no memory is yet. */
static void *not_yet_used(void)
{
    const struct gc_tables *tables = &doomed->heap->collector.tables;

    return (void *)(tables->base + tables->bytes - 64);
}

static void weakref_not_yet_used(void)
{
    make_world();
    (void)gc_weakref_get(doomed->mutator, not_yet_used());
}

static void ephemeron_not_yet_used(void)
{
    make_world();
    (void)gc_ephemeron_value(doomed->mutator, not_yet_used());
}

static void table_not_yet_used(void)
{
    make_world();
    (void)gc_table_count(doomed->mutator, not_yet_used());
}

static void hash_not_yet_used(void)
{
    uint64_t hash;

    make_world();
    (void)gc_hash(doomed->mutator, not_yet_used(), &hash);
}

/* Its header would lie before the heap's range. */
static void weakref_at_the_base(void)
{
    make_world();
    (void)gc_weakref_get(doomed->mutator, (void *)doomed->heap->collector.tables.base);
}

static void weakref_unaligned(void)
{
    make_world();
    doomed->root[2] = gc_weakref_create(doomed->mutator, doomed->root[0], 0);
    (void)gc_weakref_get(doomed->mutator, (void *)((char *)doomed->root[2] + 4));
}

static void hash_outside(void)
{
    uint64_t hash;

    make_world();
    (void)gc_hash(doomed->mutator, &foreign, &hash);
}

/* The bytes before it look like a header of an object that was hashed. */
static void hash_of_what_looks_hashed(void)
{
    uint64_t *words, hash;

    make_world();
    words = make_array(doomed->mutator, &gc_type_bytes, 64);
    words[2] = UINT64_MAX;
    (void)gc_hash(doomed->mutator, &words[3], &hash);
}

static bool equal_collecting(gc_mutator *mutator, const void *a, const void *b, void *data)
{
    (void)data;
    gc_collect(mutator, GC_YOUNG, NULL);
    return a == b;
}

static uint64_t hash_as_all(gc_mutator *mutator, const void *key, void *data)
{
    (void)mutator;
    (void)key;
    (void)data;
    return 7;
}

static void equal_that_collects(void)
{
    make_world();
    doomed->root[TABLE] =
        gc_table_create(doomed->mutator, GC_TABLE_STRONG, hash_as_all, equal_collecting, NULL);
    doomed->root[2] = make_node(doomed->mutator, 2);
    (void)gc_table_put(doomed->mutator, doomed->root[TABLE], doomed->root[0], NULL);
    (void)gc_table_get(doomed->mutator, doomed->root[TABLE], doomed->root[2], NULL);
}

static void hash_of_null(void)
{
    uint64_t hash;

    make_world();
    (void)gc_hash(doomed->mutator, NULL, &hash);
}

static void wrong_arguments_are_told(void **state)
{
    (void)state;
    expect_misuse(watch_without_function, "gc_watch_add", "the function is NULL");
    expect_misuse(finalizer_without_function, "gc_finalizer_add", "the finalizer is NULL");
    expect_misuse(guardian_destroyed, "gc_guardian_next", "there is no such guardian");
    expect_misuse(guardian_null, "gc_guardian_add", "there is no such guardian");
    expect_misuse(table_that_is_none, "gc_table_count", "this is not a table of the heap");
    expect_misuse(table_of_no_kind, "gc_table_create", "there is no such kind of table");
    expect_misuse(table_with_equal_alone, "gc_table_create", "hash and equal come together");
    expect_misuse(weak_value_null, "gc_table_put", "a weak value is NULL");
    expect_misuse(ephemeron_that_is_none, "gc_ephemeron_value",
                  "this is not an ephemeron of the heap");
    expect_misuse(ephemeron_null, "gc_ephemeron_value", "the ephemeron is NULL");
    expect_misuse(ephemeron_outside, "gc_ephemeron_value", "this is not an ephemeron of the heap");
    expect_misuse(refer_to_a_free_block, "gc_weakref_create", NOT_A_REFERENCE);
    expect_misuse(weakref_not_yet_used, "gc_weakref_get", NO_WEAKREF);
    expect_misuse(weakref_at_the_base, "gc_weakref_get", NO_WEAKREF);
    expect_misuse(weakref_unaligned, "gc_weakref_get", NO_WEAKREF);
    expect_misuse(ephemeron_not_yet_used, "gc_ephemeron_value",
                  "this is not an ephemeron of the heap");
    expect_misuse(table_not_yet_used, "gc_table_count", "this is not a table of the heap");
    expect_misuse(hash_not_yet_used, "gc_hash", NOT_A_REFERENCE);
    expect_misuse(hash_of_null, "gc_hash", NOT_A_REFERENCE);
    expect_misuse(hash_outside, "gc_hash", NOT_A_REFERENCE);
    expect_misuse(hash_of_what_looks_hashed, "gc_hash", NOT_A_REFERENCE);
    expect_misuse(equal_that_collects, "gc_table", "the equality callback collected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_live_object_is_told),
        cmocka_unit_test(wrong_arguments_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
