/* SPDX-License-Identifier: MIT
 *
 * What a hardened heap holds: a seal for each object and for nothing else, under
 * a key of its own, and zeroes where something died.
 */
#include "memory/seals.h"
#include "support/child.h"
#include "support/fault.h"
#include "support/hardened.h"

#include <stdio.h>
#include <string.h>

enum { TEXT = 400, LARGE = 100000 };

static size_t count_seals(const struct world *world)
{
    const struct gc_tables *tables = tables_of(world);
    size_t all = world->heap->collector.blocks.chunks_high * GC_CHUNK_BLOCKS * GC_BLOCK_SEALS;
    size_t count = 0;

    for (size_t i = 0; i < all; i++)
        count += tables->seals[i] != 0;
    return count;
}

static void count_object(void *object, void *data)
{
    const struct gc_tables *tables = data;

    assert_true(gc_is_sealed(tables, (uintptr_t)object));
    assert_true(gc_seal_fits(tables, (uintptr_t)object));
}

static size_t objects_of(struct world *world)
{
    return count_objects(world->mutator, &node_type) + count_objects(world->mutator, &text_type) +
           count_objects(world->mutator, &gc_type_bytes);
}

static void objects_are_sealed_and_nothing_else_is(void **state)
{
    struct world *world = *state;

    (void)set_scene(world);
    for (unsigned round = 0; round < 6; round++) {
        world->root[5] = build_list(world->mutator, 5000);
        make_garbage(world->mutator, 300000);
        world->root[6] = make_array(world->mutator, &gc_type_bytes, LARGE);
        collect(world->mutator, round % 3);
        gc_heap_visit(world->mutator, count_object, tables_of(world));
        assert_int_equal(count_seals(world), objects_of(world));
    }
    compact(world->mutator);
    assert_int_equal(count_seals(world), objects_of(world));
    assert_int_equal(gc_verify(world->mutator), 0);
}

/* What died beside pinned objects is poisoned there, not zeroed. */
static void under_quarantine_what_lives_is_sealed(void **state)
{
    gc_options options = hardened_options();
    struct world *world;
    struct text *dead;

    (void)state;
    if (GC_FORBIDS)
        skip();
    options.settings = "stress=quarantine,stress-every=1000000000";
    world = world_make(&options);
    gc_safepoint(world->mutator);
    world->root[0] = make_node(world->mutator, 1);
    dead = make_object(world->mutator, &text_type);
    world->root[1] = make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, world->root[0]), GC_OK);
    collect(world->mutator, 0);
    assert_true(gc_is_sealed(tables_of(world), (uintptr_t)world->root[0]));
    assert_false(gc_is_sealed(tables_of(world), (uintptr_t)dead));
    assert_int_not_equal(*(uint64_t *)(void *)dead, 0);
    for (unsigned round = 0; round < 6; round++) {
        world->root[5] = build_list(world->mutator, 500);
        collect(world->mutator, round % 3);
        gc_heap_visit(world->mutator, count_object, tables_of(world));
    }
    world_free(world);
}

static void verify_with_a_seal_changed(void *data)
{
    struct world *world = data;

    tables_of(world)->seals[(gc_granule_of(tables_of(world), (uintptr_t)world->root[0])) >> 1] ^= 1;
    (void)gc_verify(world->mutator);
}

static void the_verifier_looks_at_seals(void **state)
{
    struct world *world = *state;
    char expected[TEXT], said[TEXT];

    world->root[0] = make_node(world->mutator, 1);
    (void)snprintf(expected, sizeof expected,
                   "strata: verify: ? at %p in gen0: has a header that does not fit its seal "
                   "(E1)\n",
                   world->root[0]);
    assert_int_equal(run_in_child(verify_with_a_seal_changed, world, said, sizeof said), 0);
    assert_string_equal(said, expected);
}

static bool is_zero(uintptr_t from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (((const unsigned char *)from)[i] != 0)
            return false;
    return true;
}

/* Secrets in an object between two that stay, in a block that is emptied, and
 * in a large object. */
static void what_dies_reads_zero_at_once(void **state)
{
    struct world *world = *state;
    struct text *between, *moved;
    unsigned char *large;

    if (GC_FORBIDS)
        skip();
    world->root[0] = make_node(world->mutator, 1);
    between = make_object(world->mutator, &text_type);
    world->root[1] = make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, world->root[0]), GC_OK);
    assert_int_equal(gc_pin(world->mutator, world->root[1]), GC_OK);
    make_garbage(world->mutator, GC_BLOCK_BYTES);
    world->root[2] = moved = make_object(world->mutator, &text_type);
    large = make_array(world->mutator, &gc_type_bytes, LARGE);
    memset(between, 's', sizeof *between);
    memset(moved, 's', sizeof *moved);
    memset(large, 's', LARGE);
    collect(world->mutator, 0);
    assert_ptr_not_equal(world->root[2], moved);
    assert_true(is_zero((uintptr_t)between - GC_HEADER_BYTES, sizeof *between + GC_HEADER_BYTES));
    assert_true(is_zero((uintptr_t)moved - GC_HEADER_BYTES, sizeof *moved + GC_HEADER_BYTES));
    assert_true(is_zero((uintptr_t)large - 2 * GC_HEADER_BYTES, LARGE + 2 * GC_HEADER_BYTES));
}

static void each_heap_has_a_key_of_its_own(void **state)
{
    gc_options options = hardened_options();
    struct world *a = *state, *b = world_make(&options);

    assert_memory_not_equal(tables_of(a)->seal_key, tables_of(b)->seal_key,
                            sizeof tables_of(a)->seal_key);
    assert_memory_not_equal(&tables_of(a)->seal_key[0], &tables_of(a)->seal_key[1],
                            sizeof(uint64_t));
    world_free(b);
}

static void no_heap_without_a_key(void **state)
{
    gc_options options = hardened_options();
    gc_heap *heap = NULL;

    (void)state;
    fault_install();
    fault_arm(0, UINT_MAX, FAULT_RANDOM);
    assert_int_equal(gc_heap_create(&options, &heap), GC_NO_MEMORY);
    assert_true(fault_failed() > 0);
    options.harden = GC_HARDEN_OFF;
    assert_int_equal(gc_heap_create(&options, &heap), GC_OK);
    gc_heap_destroy(heap);
    assert_true(fault_is_clean());
    fault_remove();
}

static void a_heap_that_is_not_hardened_has_no_seals(void **state)
{
    gc_options options = hardened_options();
    struct world *world;
    size_t sealed = gc_tables_bytes_per_block(tables_of(*state));

    options.harden = GC_HARDEN_OFF;
    world = world_make(&options);
    assert_null(tables_of(world)->seals);
    assert_int_equal(sealed - gc_tables_bytes_per_block(tables_of(world)), GC_BLOCK_BYTES / 8);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(objects_are_sealed_and_nothing_else_is, hardened_setup,
                                        world_teardown),
        cmocka_unit_test(under_quarantine_what_lives_is_sealed),
        cmocka_unit_test_setup_teardown(the_verifier_looks_at_seals, hardened_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(what_dies_reads_zero_at_once, hardened_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(each_heap_has_a_key_of_its_own, hardened_setup,
                                        world_teardown),
        cmocka_unit_test(no_heap_without_a_key),
        cmocka_unit_test_setup_teardown(a_heap_that_is_not_hardened_has_no_seals, hardened_setup,
                                        world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
