/* SPDX-License-Identifier: MIT
 *
 * Where nearly all of the young last, objects are born in gen2. What is
 * registered on them, and what they refer to, must not notice.
 */
#include "memory/seals.h"
#include "support/births.h"
#include "support/child.h"
#include "support/holders.h"
#include "support/threads.h"

#include <strata/fork.h>
#include <strata/weak.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { LARGE = 20000 };

/* ---- When ----------------------------------------------------------------- */

static void what_lasts_is_born_old(void **state)
{
    struct world *world = make_adaptive();
    size_t length = fill_till_on(world);

    (void)state;
    assert_true(length * sizeof(struct node) > 8 * MIB);
    push(world, length++);
    assert_int_equal(generation_of(world, world->root[0]), GC_OLD);
    for (size_t more = scaled(2 * MIB); more > 0; more--)
        push(world, length++);
    assert_int_equal(list_length(world->root[0]), length);
    world_end(world);
}

static void a_small_heap_has_a_nursery(void **state)
{
    struct world *world = make_adaptive();

    (void)state;
    while (gc_live_bytes(&world->heap->collector) < 12 * MIB)
        push(world, 0);
    assert_false(is_on(world));
    world_end(world);
}

static void it_ends_where_the_young_die_again(void **state)
{
    struct world *world = make_adaptive();
    size_t made = 0;

    (void)state;
    fill_till_on(world);
    while (is_on(world) && made++ < 64 * MIB)
        make_node(world->mutator, 0);
    assert_false(is_on(world));
    run_collections(world, 10);
    assert_false(is_on(world));
    assert_int_equal(generation_of(world, make_node(world->mutator, 0)), GC_YOUNG);
    world_end(world);
}

/* Garbage by the heapful costs one full collection, not one each time that it
 * has filled the room for growth. */
static void a_full_collection_tries_the_nursery(void **state)
{
    struct world *world = make_adaptive();
    uint64_t before;

    (void)state;
    fill_till_on(world);
    world->heap->collector.pace.patience_left = 1 << 20;
    before = stats_of(world->heap).generations[GC_OLD].collections;
    make_garbage(world->mutator, 512 * MIB);
    assert_in_range(stats_of(world->heap).generations[GC_OLD].collections, before, before + 2);
    assert_false(is_on(world));
    world_end(world);
}

/* What is promoted unvisited counts as surviving; a full collection finds the dead. */
static void the_dead_go_at_the_next_full_collection(void **state)
{
    struct world *world = make_always();
    gc_report report = {.size = sizeof report};

    (void)state;
    await_collection(world);
    report = world->heap->collector.last;
    assert_in_range(report.promoted_in_place_bytes, 200 * KIB, 300 * KIB);
    assert_int_equal(report.moved_bytes, 0);
    assert_true(report.reclaimed_bytes < 8 * KIB);
    await_collection(world);
    report = world->heap->collector.last;
    assert_in_range(report.promoted_in_place_bytes, 200 * KIB, 300 * KIB); /* since the first */
    assert_true(report.reclaimed_bytes < 8 * KIB);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_true(recount(world->mutator).all_objects > 1000);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(recount(world->mutator).all_objects, 0);
    world_end(world);
}

static void holes_are_filled_again(void **state)
{
    struct world *world = make_with("stress=pretenure+in-place,check=deep");
    size_t blocks;

    (void)state;
    for (size_t i = 0; i < 20000; i++)
        push(world, i);
    thin_out(world, 64);
    gc_collect(world->mutator, GC_OLD, NULL);
    blocks = world->heap->collector.spaces.generations[GC_OLD].block_count;
    assert_true(blocks > 10);
    for (size_t i = 0; i < 1000; i++)
        push(world, i);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_in_range(world->heap->collector.spaces.generations[GC_OLD].block_count, 1, blocks + 1);
    world_end(world);
}

/* Whatever visits what was born, and when: as many bytes as objects were made of. */
static void all_that_was_born_was_allocated(void **state)
{
    struct world *world = make_always();
    uint64_t before = stats_of(world->heap).allocated_bytes;
    size_t bytes = 0;

    (void)state;
    for (size_t i = 0; i < 50000; i++) {
        push(world, i);
        bytes += bytes_of(world->root[0]);
        if (i % 9000 == 0)
            gc_collect(world->mutator, (unsigned)(i / 9000 % 3), NULL);
    }
    assert_true(collections_of(world->heap) > 6);
    assert_int_equal(stats_of(world->heap).allocated_bytes - before, bytes);
    world_end(world);
}

/* What is young is visited by a collection that is asked for, and counted when it is
 * promoted unvisited. */
static void what_is_young_is_visited_on_request(void **state)
{
    struct world *world = make_always();
    void *dead;

    (void)state;
    push(world, 1);
    dead = make_array(world->mutator, &gc_type_references, LARGE);
    assert_int_equal(generation_of(world, dead), GC_YOUNG);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_false(gc_is_object(world->mutator, dead));
    world->root[1] = make_array(world->mutator, &gc_type_references, LARGE);
    gc_collect(world->mutator, GC_OLD, NULL);
    world->root[2] = make_array(world->mutator, &gc_type_references, LARGE);
    await_collection(world);
    assert_int_equal(generation_of(world, world->root[2]), GC_OLD);
    assert_true(world->heap->collector.last.survived_objects >= 1);
    world_end(world);
}

/* ---- Edges ---------------------------------------------------------------- */

/* B1: a newborn of gen2 that refers to what is young is a holder. */
static void a_newborn_keeps_a_young_large_object(void **state)
{
    struct world *world = make_always();
    void **array;

    (void)state;
    world->root[0] = make_node(world->mutator, 1);
    array = make_array(world->mutator, &gc_type_references, LARGE);
    ((struct node *)world->root[0])->left = (void *)array;
    array[LARGE - 1] = make_node(world->mutator, 77);
    assert_int_equal(generation_of(world, world->root[0]), GC_OLD);
    assert_int_equal(generation_of(world, array), GC_YOUNG);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        gc_collect(world->mutator, generation, NULL);
        assert_int_equal(gc_verify(world->mutator), 0);
        array = (void **)((struct node *)world->root[0])->left;
        assert_int_equal(((struct node *)array[LARGE - 1])->value, 77);
    }
    world_end(world);
}

/* Promoted unvisited, its cards say nothing; stores into it are seen all the same. */
static void a_large_array_goes_up_with_the_others(void **state)
{
    struct world *world = make_always();
    void **array;
    struct node *node;

    (void)state;
    world->root[1] = make_array(world->mutator, &gc_type_references, LARGE);
    array = world->root[1];
    array[5] = make_node(world->mutator, 5);
    await_collection(world);
    array = world->root[1];
    assert_int_equal(generation_of(world, array), GC_OLD);
    world->heap->collector.stress = 0;
    run_collections(world, 1);
    node = make_node(world->mutator, 6);
    assert_int_equal(generation_of(world, node), GC_YOUNG);
    array = world->root[1];
    gc_write(world->mutator, array, &array[LARGE / 2], node);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(((struct node *)array[5])->value, 5);
    assert_int_equal(((struct node *)array[LARGE / 2])->value, 6);
    world_end(world);
}

static void the_verifier_may_look_between_collections(void **state)
{
    struct world *world = make_always();

    (void)state;
    for (int i = 0; i < 3000; i++) {
        push(world, 0);
        if (i % 100 == 0)
            assert_int_equal(gc_verify(world->mutator), 0);
    }
    assert_int_equal(list_length(world->root[0]), 3000);
    world_end(world);
}

/* ---- What is kept outside of objects -------------------------------------- */

static void pins_hashes_and_charges_follow(void **state)
{
    struct world *world = make_always();
    uint64_t before = 0, after = 1;

    (void)state;
    world->root[1] = make_array(world->mutator, &gc_type_references, LARGE);
    world->root[2] = make_node(world->mutator, 2);
    assert_int_equal(gc_hash(world->mutator, world->root[1], &before), GC_OK);
    assert_int_equal(gc_pin(world->mutator, world->root[1]), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[1], 1000), GC_OK);
    await_collection(world);
    assert_int_equal(generation_of(world, world->root[1]), GC_OLD);
    assert_int_equal(gc_hash(world->mutator, world->root[1], &after), GC_OK);
    assert_int_equal(before, after);
    gc_unpin(world->mutator, world->root[1]);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[1], -1000), GC_OK);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
}

static void a_pin_for_one_collection_ends_with_it(void **state)
{
    struct world *world = make_always();

    (void)state;
    world->root[1] = make_node(world->mutator, 1);
    assert_int_equal(gc_pin_once(world->mutator, world->root[1]), GC_OK);
    await_collection(world);
    assert_int_equal(*gc_state_byte((uintptr_t)world->root[1]) & GC_STATE_PINNED_ONCE, 0);
    assert_int_equal(world->heap->collector.pinned_once.count, 0);
    world_end(world);
}

static void weak_references_to_newborns_are_cleared(void **state)
{
    struct world *world = make_always();
    struct node *node = make_node(world->mutator, 9);

    (void)state;
    world->root[2] = node;
    world->root[1] = gc_weakref_create(world->mutator, node, 0);
    assert_non_null(world->root[1]);
    await_collection(world);
    assert_ptr_equal(gc_weakref_get(world->mutator, world->root[1]), world->root[2]);
    world->root[2] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_null(gc_weakref_get(world->mutator, world->root[1]));
    world_end(world);
}

/* ---- Beside other things --------------------------------------------------- */

static void not_beside_the_frozen(void **state)
{
    struct world *world = make_always();

    (void)state;
    push(world, 1);
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
    run_collections(world, 2);
    assert_false(is_on(world));
    assert_int_equal(generation_of(world, make_node(world->mutator, 2)), GC_YOUNG);
    gc_unfreeze(world->mutator);
    run_collections(world, 2);
    assert_true(is_on(world));
    world_end(world);
}

static void not_beside_a_large_frozen_object_alone(void **state)
{
    struct world *world = make_always();

    (void)state;
    world->root[1] = make_array(world->mutator, &gc_type_references, LARGE);
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
    run_collections(world, 2);
    assert_false(is_on(world));
    world->root[1] = NULL;
    gc_unfreeze(world->mutator);
    run_collections(world, 2);
    assert_true(is_on(world));
    world_end(world);
}

/* What is promoted unvisited leaves no holder in the log; one that found no room
 * there would not be armed again. */
static void not_while_holders_are_lost(void **state)
{
    struct world *world = make_always();
    struct gc_lane before;
    struct node *holder;
    void **array;

    (void)state;
    world->root[1] = make_node(world->mutator, 1);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_true(is_on(world) && !is_calm(world));
    before = fill_up(&world->heap->collector.remembered.log);
    world->root[2] = make_array(world->mutator, &gc_type_references, LARGE);
    holder = world->root[1];
    gc_write(world->mutator, holder, &holder->left, world->root[2]);
    await_collection(world);
    assert_int_equal(generation_of(world, world->root[2]), GC_MIDDLE); /* it was visited */
    assert_false(is_calm(world));
    give_room(world, before);
    assert_int_equal(gc_verify(world->mutator), 0);
    array = make_array(world->mutator, &gc_type_references, LARGE);
    array[5] = make_node(world->mutator, 5);
    holder = world->root[1];
    gc_write(world->mutator, holder, &holder->left, array);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    array = (void **)((struct node *)world->root[1])->left;
    assert_int_equal(((struct node *)array[5])->value, 5);
    world_end(world);
}

/* Their seals are looked at when they become known. */
static void newborns_of_a_hardened_heap_are_sealed(void **state)
{
    struct world *world = make_with("stress=pretenure,harden=on");

    (void)state;
    run_collections(world, 1);
    push(world, 1);
    for (int i = 0; i < 3; i++) {
        run_collections(world, 1);
        push(world, 2);
        assert_int_equal(generation_of(world, world->root[0]), GC_OLD);
        assert_int_equal(gc_verify(world->mutator), 0);
    }
    world_end(world);
}

static void spoil_and_collect(void *data)
{
    struct world *world = data;
    uint64_t *header = gc_header((uintptr_t)world->root[0]);

    end_by_faults();
    do
        *header += 8; /* a seal has 13 bits: one of some thousand others fits */
    while (gc_seal_fits(&world->heap->collector.tables, (uintptr_t)world->root[0]));
    gc_collect(world->mutator, GC_YOUNG, NULL);
}

/* Before a newborn is visited its seal is. */
static void a_newborn_that_was_overwritten_ends_the_program(void **state)
{
    struct world *world = make_with("stress=pretenure,harden=on");
    char said[400];
    int status;

    (void)state;
    push(world, 1);
    status = run_in_child(spoil_and_collect, world, said, sizeof said);
    assert_non_null(strstr(said, "strata: hardened heap: the header of"));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    world_end(world);
}

static void fill_and_check(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *list = NULL;

    (void)data;
    GC_FRAME(mutator, frame, &list);
    for (size_t round = 0; round < scaled(40); round++) {
        list = build_list(mutator, 2000 + index);
        if (round % 8 == index)
            gc_collect(mutator, (unsigned)round % 3, NULL);
        assert_true(is_intact_list(list, 2000 + index));
    }
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_are_born_into_one_generation(void **state)
{
    struct world *world = make_always();

    (void)state;
    run_threads(world, 3, fill_and_check, NULL);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lasts_is_born_old),
        cmocka_unit_test(a_small_heap_has_a_nursery),
        cmocka_unit_test(it_ends_where_the_young_die_again),
        cmocka_unit_test(a_full_collection_tries_the_nursery),
        cmocka_unit_test(the_dead_go_at_the_next_full_collection),
        cmocka_unit_test(holes_are_filled_again),
        cmocka_unit_test(all_that_was_born_was_allocated),
        cmocka_unit_test(what_is_young_is_visited_on_request),
        cmocka_unit_test(a_newborn_keeps_a_young_large_object),
        cmocka_unit_test(a_large_array_goes_up_with_the_others),
        cmocka_unit_test(the_verifier_may_look_between_collections),
        cmocka_unit_test(pins_hashes_and_charges_follow),
        cmocka_unit_test(a_pin_for_one_collection_ends_with_it),
        cmocka_unit_test(weak_references_to_newborns_are_cleared),
        cmocka_unit_test(not_beside_the_frozen),
        cmocka_unit_test(not_beside_a_large_frozen_object_alone),
        cmocka_unit_test(not_while_holders_are_lost),
        cmocka_unit_test(newborns_of_a_hardened_heap_are_sealed),
        cmocka_unit_test(a_newborn_that_was_overwritten_ends_the_program),
        cmocka_unit_test(threads_are_born_into_one_generation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
