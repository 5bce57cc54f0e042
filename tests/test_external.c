/* SPDX-License-Identifier: MIT
 *
 * The soft limit, and bytes outside the heap.
 */
#include "support/limited.h"
#include "support/threads.h"

/* ---- gc_limit_set and the soft limit ------------------------------------- */

static void a_lowered_limit_holds(void **state)
{
    struct world *world = make_limited(128 * MIB);
    size_t count;

    (void)state;
    assert_int_equal(gc_limit_set(world->heap, 0, part_of(32 * MIB)), GC_OK);
    count = fill(world);
    assert_true(stats_of(world->heap).committed_bytes <= part_of(32 * MIB));
    assert_true(is_intact_fill(world, count));
    assert_int_equal(gc_limit_set(world->heap, 0, part_of(64 * MIB)), GC_OK);
    assert_true(fill(world) > count / 2);
    world_end(world);
}

static void impossible_limits_are_refused(void **state)
{
    struct world *world = make_limited(64 * MIB);
    gc_stats before;

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_bytes, 20 * MIB);
    before = stats_of(world->heap);
    assert_int_equal(gc_limit_set(world->heap, 0, 10 * MIB), GC_BAD_OPTION);
    assert_int_equal(gc_limit_set(world->heap, 0, SIZE_MAX), GC_BAD_OPTION);
    assert_int_equal(gc_limit_set(world->heap, 0, (size_t)1 << 50), GC_BAD_OPTION);
    assert_int_equal(stats_of(world->heap).hard_limit, before.hard_limit);
    assert_int_equal(gc_limit_set(world->heap, 0, 0), GC_OK);
    assert_int_equal(stats_of(world->heap).hard_limit, before.hard_limit);
    assert_int_equal(stats_of(world->heap).soft_limit, before.soft_limit);
    world_end(world);
}

/* Rounds of 5 MiB that live for two rounds, over 10 MiB that stay: how many
 * old collections. */
static uint64_t old_collections(size_t soft_limit)
{
    gc_options options = plain_options(MIB);
    struct world *world;
    uint64_t count;

    options.soft_limit = soft_limit;
    world = world_make(&options);
    assert_int_equal(stats_of(world->heap).soft_limit, soft_limit);
    world->root[0] = build_list(world->mutator, part_of(10 * MIB) / 32);
    gc_collect(world->mutator, GC_OLD, NULL);
    for (int round = 0; round < 20; round++)
        world->root[1 + round % 2] = build_list(world->mutator, part_of(5 * MIB) / 32);
    count = stats_of(world->heap).generations[GC_OLD].collections;
    world_end(world);
    return count;
}

static void above_the_soft_limit_old_collections_come_sooner(void **state)
{
    (void)state;
    assert_true(old_collections(part_of(8 * MIB)) > old_collections(0));
    assert_true(old_collections(900 * MIB) == old_collections(0));
}

static void a_soft_limit_that_is_set_is_kept(void **state)
{
    struct world *world = make_limited(64 * MIB);
    size_t hard = stats_of(world->heap).hard_limit;

    (void)state;
    assert_int_equal(gc_limit_set(world->heap, 8 * MIB, 0), GC_OK);
    assert_int_equal(stats_of(world->heap).soft_limit, 8 * MIB);
    assert_int_equal(stats_of(world->heap).hard_limit, hard);
    assert_int_equal(gc_limit_set(world->heap, 0, 0), GC_OK);
    assert_int_equal(stats_of(world->heap).soft_limit, 8 * MIB);
    world_end(world);
}

static void the_soft_limit_refuses_nothing(void **state)
{
    gc_options options = plain_options(MIB);
    struct world *world;

    (void)state;
    options.soft_limit = 8 * MIB;
    world = world_make(&options);
    world->root[0] = build_list(world->mutator, scaled(2000000));
    assert_true(is_intact_list(world->root[0], scaled(2000000)));
    world_end(world);
}

/* ---- Bytes outside the heap ---------------------------------------------- */

static size_t external(const struct world *world)
{
    return stats_of(world->heap).external_bytes;
}

static void an_objects_charge_goes_with_it(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    world->root[0] = make_node(world->mutator, 1);
    world->root[1] = make_node(world->mutator, 2);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], 1000), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[1], 500), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[1], -200), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, NULL, 7), GC_OK);
    assert_int_equal(external(world), 1307);
    for (unsigned g = 0; g < GC_GENERATIONS; g++)
        gc_collect(world->mutator, g, NULL);
    assert_int_equal(external(world), 1307);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(external(world), 307);
    world->root[1] = NULL;
    gc_compact(world->mutator, NULL);
    assert_int_equal(external(world), 7);
    assert_int_equal(gc_external_adjust(world->mutator, NULL, -7), GC_OK);
    assert_int_equal(external(world), 0);
    world_end(world);
}

static void a_charge_follows_its_object(void **state)
{
    struct world *world = make_plain(MIB);
    struct node *was;

    (void)state;
    world->root[0] = was = make_node(world->mutator, 1);
    assert_int_equal(gc_external_adjust(world->mutator, was, 1000), GC_OK);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_ptr_not_equal(world->root[0], was);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], -1000), GC_OK);
    assert_int_equal(external(world), 0);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(external(world), 0);
    world_end(world);
}

static void young_charges_are_dropped_by_a_minor_collection(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(gc_external_adjust(world->mutator, make_node(world->mutator, 0), 10),
                         GC_OK);
    assert_int_equal(external(world), 10000);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(external(world), 0);
    world_end(world);
}

/* Small objects that each hold 1 MiB outside: the nursery alone would let a
 * whole MiB of them, 32 GiB outside, pile up. */
static void bytes_outside_bring_collections(void **state)
{
    struct world *world = make_plain(MIB);
    bool seen = false;
    size_t most = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct node *node = make_node(world->mutator, 0);

        assert_int_equal(gc_external_adjust(world->mutator, node, MIB), GC_OK);
        gc_safepoint(world->mutator);
        seen |= gc_last_reason(world->heap) == GC_REASON_EXTERNAL;
        most = external(world) > most ? external(world) : most;
    }
    assert_true(seen);
    assert_true(most <= 1024 * MIB);
    world_end(world);
}

static void bytes_outside_bring_none_while_disabled(void **state)
{
    struct world *world = make_plain(MIB);
    uint64_t before = collections_of(world->heap);

    (void)state;
    gc_disable(world->mutator);
    world->root[0] = make_node(world->mutator, 0);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], 1024 * MIB), GC_OK);
    gc_safepoint(world->mutator);
    assert_int_equal(collections_of(world->heap), before);
    gc_enable(world->mutator);
    gc_safepoint(world->mutator);
    assert_true(collections_of(world->heap) > before);
    world_end(world);
}

/* A ring of 200 such objects: they die old. */
static void old_charges_bring_full_collections(void **state)
{
    enum { RING = 200 };
    struct world *world = make_plain(MIB);
    size_t most = 0;

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, RING);
    for (size_t i = 0; i < 20000; i++) {
        struct node *node = make_node(world->mutator, 0);
        void **ring = world->root[0];

        gc_write(world->mutator, ring, &ring[i % RING], node);
        assert_int_equal(gc_external_adjust(world->mutator, node, MIB), GC_OK);
        gc_safepoint(world->mutator);
        most = external(world) > most ? external(world) : most;
    }
    assert_true(stats_of(world->heap).generations[GC_OLD].collections > 0);
    assert_true(most <= 2048 * MIB);
    world_end(world);
}

/* ---- Charges of other threads -------------------------------------------- */

static void charge_much(gc_mutator *mutator)
{
    assert_int_equal(gc_external_adjust(mutator, NULL, 1024 * MIB), GC_OK);
}

static void charge_and_go(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)data;
    charge_much(mutator);
    gc_mutator_detach(mutator);
}

static void charge_and_wait(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    charge_much(mutator);
    meet_parked(data, mutator);
    meet_parked(data, mutator);
    gc_mutator_detach(mutator);
}

static void assert_safepoint_collects_once(const struct world *world)
{
    uint64_t before = collections_of(world->heap);

    gc_safepoint(world->mutator);
    assert_int_equal(collections_of(world->heap), before + 1);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_EXTERNAL);
    gc_safepoint(world->mutator);
    assert_int_equal(collections_of(world->heap), before + 1);
}

/* It was forgotten with the thread. */
static void a_charge_whose_thread_is_gone_brings_a_collection(void **state)
{
    struct world *world = make_shared(NULL);

    (void)state;
    run_threads(world, 1, charge_and_go, NULL);
    assert_safepoint_collects_once(world);
    world_free(world);
}

/* It waited for as long as the thread did. */
static void a_charge_whose_thread_waits_brings_a_collection(void **state)
{
    struct world *world = make_shared(NULL);
    struct barrier barrier;
    struct threads threads;

    (void)state;
    make_barrier(&barrier, 2);
    start_threads(&threads, world->heap, 1, charge_and_wait, &barrier);
    meet_parked(&barrier, world->mutator);
    assert_safepoint_collects_once(world);
    meet_parked(&barrier, world->mutator);
    join_threads(&threads, world->mutator);
    world_free(world);
}

static void collect_at_a_safepoint(gc_heap *heap, size_t index, void *data)
{
    struct world here = {.heap = heap, .mutator = attach(heap)};

    (void)index;
    (void)data;
    assert_safepoint_collects_once(&here);
    gc_mutator_detach(here.mutator);
}

static void a_charge_brings_a_collection_in_a_thread_that_comes(void **state)
{
    struct world *world = make_shared(NULL);

    (void)state;
    charge_much(world->mutator);
    run_threads(world, 1, collect_at_a_safepoint, NULL);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lowered_limit_holds),
        cmocka_unit_test(impossible_limits_are_refused),
        cmocka_unit_test(above_the_soft_limit_old_collections_come_sooner),
        cmocka_unit_test(a_soft_limit_that_is_set_is_kept),
        cmocka_unit_test(the_soft_limit_refuses_nothing),
        cmocka_unit_test(an_objects_charge_goes_with_it),
        cmocka_unit_test(a_charge_follows_its_object),
        cmocka_unit_test(young_charges_are_dropped_by_a_minor_collection),
        cmocka_unit_test(bytes_outside_bring_collections),
        cmocka_unit_test(bytes_outside_bring_none_while_disabled),
        cmocka_unit_test(old_charges_bring_full_collections),
        cmocka_unit_test(a_charge_whose_thread_is_gone_brings_a_collection),
        cmocka_unit_test(a_charge_whose_thread_waits_brings_a_collection),
        cmocka_unit_test(a_charge_brings_a_collection_in_a_thread_that_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
