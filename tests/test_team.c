/* SPDX-License-Identifier: MIT
 *
 * Threads that mark together: whatever their number, the same lives, and the
 * heap is whole. The mode "prefetch" has them mark small heaps, too.
 */
#include "heap/heap.h"
#include "os/threads.h"
#include "support/threads.h"

#include <stdio.h>
#include <strata/weak.h>

enum { OBJECTS = 60000, FIELDS = 3 };

struct item {
    struct item *fields[FIELDS];
    uint64_t value;
};

static const uint32_t item_offsets[] = {0, 8, 16};
static const gc_type item_type = GC_TYPE_STRUCT("item", struct item, item_offsets);

static void trace_item(gc_tracer *tracer, void *object)
{
    struct item *item = object;

    for (int i = 0; i < FIELDS; i++)
        gc_trace_slot(tracer, &item->fields[i]);
}

static const gc_type traced_type = GC_TYPE_TRACED("traced", struct item, trace_item);

static struct world *make_team_world(unsigned workers, const char *more)
{
    char settings[128];
    gc_options options = plain_options(0);
    struct world *world;

    snprintf(settings, sizeof settings, "workers=%u%s", workers, more);
    options.settings = settings;
    world = world_make(&options);
    return world;
}

static void *make_some(gc_mutator *mutator, uint64_t chance)
{
    if (chance % 16 == 0)
        return make_array(mutator, &gc_type_references, chance / 16 % 400);
    if (chance % 512 == 1)
        return make_array(mutator, &gc_type_references, 2000);
    if (chance % 16 == 2)
        return make_array(mutator, &gc_type_bytes, chance / 16 % 300);
    return make_object(mutator, chance % 16 == 3 ? &traced_type : &item_type);
}

static void **slots_of(void *object, size_t *count)
{
    const gc_type *type = gc_type_of(object);

    *count = type == &gc_type_references ? gc_length(object) : type == &gc_type_bytes ? 0 : FIELDS;
    return object;
}

/* Objects of all kinds, each referring to some at random, a third of them from
 * the root array. */
static void fill(struct world *world)
{
    uint64_t chance = 12345;
    void **all;

    world->root[0] = make_array(world->mutator, &gc_type_references, OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        void *made = make_some(world->mutator, next_random(&chance));

        all = world->root[0];
        gc_write(world->mutator, all, &all[i], made);
    }
    all = world->root[0];
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t count;
        void **slots = slots_of(all[i], &count);

        for (size_t k = 0; k < count && k < 4; k++)
            gc_write(world->mutator, slots, &slots[k], all[next_random(&chance) % OBJECTS]);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        if (i % 3 != 0)
            gc_write(world->mutator, all, &all[i], NULL);
}

/* What is alive, after each generation was collected in turn. */
static struct recount survivors(unsigned workers, const char *more)
{
    struct world *world = make_team_world(workers, more);
    struct recount counted;

    fill(world);
    for (int generation = GC_YOUNG; generation <= GC_OLD; generation++) {
        gc_collect(world->mutator, (unsigned)generation, NULL);
        assert_int_equal(gc_verify(world->mutator), 0);
    }
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(gc_verify(world->mutator), 0);
    if (workers > 1)
        assert_true(world->heap->collector.team.helpers > 0);
    counted = recount(world->mutator);
    world_end(world);
    return counted;
}

static void check_same(const char *more)
{
    struct recount alone = survivors(1, more);

    for (unsigned workers = 2; workers <= 5; workers++) {
        struct recount together = survivors(workers, more);

        assert_int_equal(together.all_objects, alone.all_objects);
        assert_int_equal(together.all_bytes, alone.all_bytes);
    }
}

static void a_team_keeps_what_one_keeps(void **state)
{
    (void)state;
    check_same(",stress=prefetch");
}

static void so_it_does_where_nothing_moves(void **state)
{
    (void)state;
    check_same(",stress=prefetch+in-place");
}

static void so_it_does_where_all_moves(void **state)
{
    (void)state;
    check_same(",stress=prefetch+evacuate-all");
}

static void so_it_does_without_room_for_edges(void **state)
{
    (void)state;
    check_same(",stress=prefetch+tiny-stack+in-place");
}

struct spread {
    void *fields[FIELDS];
    uint64_t room[29];
};

static const gc_type spread_type = GC_TYPE_STRUCT("spread", struct spread, item_offsets);

enum { SLOTS = 900 };

static void **slot_at(const struct world *world, size_t i, size_t count)
{
    i = i * 7919 % count; /* a prime: in no order */
    return &((void **)((void **)world->root[0])[i / SLOTS])[i % SLOTS];
}

/* Arrays of holders, each in a block with few others, of a few leaves each. */
static void fill_spread(struct world *world, size_t arrays)
{
    size_t count = arrays * SLOTS;
    void **all;

    world->root[0] = make_array(world->mutator, &gc_type_references, arrays);
    for (size_t i = 0; i < arrays; i++) {
        void *array = make_array(world->mutator, &gc_type_references, SLOTS);

        all = world->root[0];
        gc_write(world->mutator, all, &all[i], array);
    }
    for (size_t i = 0; i < count; i++) {
        void *holder = make_object(world->mutator, &spread_type), **slot = slot_at(world, i, count);

        gc_write(world->mutator, ((void **)world->root[0])[i * 7919 % count / SLOTS], slot, holder);
    }
    for (size_t i = 0; i < count * FIELDS; i++) {
        void *leaf = make_node(world->mutator, i);
        struct spread *holder = *slot_at(world, i * 31, count);

        gc_write(world->mutator, holder, &holder->fields[i / count], leaf);
    }
}

/* Their lanes are short: holders give more edges than others can take. */
static void no_edge_is_lost_when_all_lanes_are_full(void **state)
{
    size_t most = is_slowed() ? 20 : 80;

    (void)state;
    for (size_t arrays = 10; arrays <= most; arrays += 10) {
        struct world *world = make_team_world(3, ",stress=prefetch+tiny-stack+in-place");
        size_t count = arrays * SLOTS;

        fill_spread(world, arrays);
        for (int round = 0; round < 3; round++) {
            gc_collect(world->mutator, GC_OLD, NULL);
            assert_int_equal(gc_verify(world->mutator), 0);
            assert_int_equal(count_objects(world->mutator, &node_type), count * FIELDS);
        }
        world_end(world);
    }
}

/* Two pieces, with more or fewer edges than the lanes have room for: the array and
 * what it refers to are in parts of different workers. */
static void no_edge_of_a_piece_is_lost(void **state)
{
    enum { LENGTH = 16000 };

    (void)state;
    for (unsigned share = 3; share <= 8; share += is_slowed() ? 5 : 1) {
        struct world *world = make_team_world(2, ",stress=prefetch+tiny-stack+in-place");
        size_t count = 0;

        world->root[0] = make_array(world->mutator, &gc_type_references, LENGTH);
        for (size_t i = 0; i < LENGTH; i++) {
            void *node = i % 8 < share ? make_node(world->mutator, i) : NULL;
            void **slots = world->root[0];

            gc_write(world->mutator, slots, &slots[i], node);
            count += node != NULL;
        }
        for (int round = 0; round < 3; round++) {
            gc_collect(world->mutator, GC_OLD, NULL);
            assert_int_equal(gc_verify(world->mutator), 0);
            assert_int_equal(count_objects(world->mutator, &node_type), count);
        }
        world_end(world);
    }
}

static void tagged_slots_are_followed(void **state)
{
    gc_options options = plain_options(0);
    struct world *world;
    uintptr_t *slots;

    (void)state;
    options.settings = "workers=2,stress=prefetch+in-place";
    options.reference_tags = 1 | 1 << 3;
    world = world_make(&options);
    world->root[0] = make_array(world->mutator, &gc_type_references, 100);
    for (size_t i = 0; i < 100; i++) {
        struct node *node = make_node(world->mutator, i);

        slots = world->root[0];
        gc_write_word(world->mutator, slots, &slots[i], (uintptr_t)node | (i % 2 == 0 ? 3 : 0));
    }
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    slots = world->root[0];
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(slots[i] & 7, i % 2 == 0 ? 3 : 0);
        assert_int_equal(((struct node *)(slots[i] & ~(uintptr_t)7))->value, i);
    }
    world_end(world);
}

enum { LONG = 100000, SPARSE = 997 };

/* It is scanned in pieces, and what it refers to moves later. */
static void a_long_array_that_all_scan_is_remembered(void **state)
{
    struct world *world = make_team_world(2, ",stress=prefetch");
    void **slots;

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, LONG);
    for (int i = 0; i < 3; i++)
        gc_collect(world->mutator, GC_OLD, NULL);
    for (size_t i = 0; i < LONG; i += SPARSE) {
        void *node = make_node(world->mutator, i);

        slots = world->root[0];
        gc_write(world->mutator, slots, &slots[i], node);
    }
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(world->heap->collector.team.helpers, 1);
    for (unsigned generation = GC_MIDDLE; generation <= GC_OLD; generation++) {
        assert_int_equal(gc_verify(world->mutator), 0);
        for (size_t i = 0; i < LONG; i += SPARSE) {
            slots = world->root[0];
            assert_int_equal(((struct node *)slots[i])->value, i);
        }
        gc_collect(world->mutator, generation, NULL);
    }
    world_end(world);
}

static void ephemerons_and_weak_references_are_as_alone(void **state)
{
    struct world *world = make_team_world(3, ",stress=prefetch");

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, 1000);
    world->root[1] = make_array(world->mutator, &gc_type_references, 1000);
    for (size_t i = 0; i < 1000; i++) {
        void **slots, *made;

        world->root[2] = make_node(world->mutator, i);
        made = gc_weakref_create(world->mutator, world->root[2], 0);
        slots = world->root[0];
        gc_write(world->mutator, slots, &slots[i], made);
        slots = world->root[1];
        if (i % 2 == 0)
            gc_write(world->mutator, slots, &slots[i], world->root[2]);
    }
    world->root[2] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    for (size_t i = 0; i < 1000; i++) {
        gc_weakref **refs = world->root[0];
        void **kept = world->root[1];

        assert_ptr_equal(gc_weakref_get(world->mutator, refs[i]), kept[i]);
    }
    world_end(world);
}

static void a_small_heap_starts_no_thread(void **state)
{
    struct world *world = make_team_world(4, "");

    (void)state;
    world->root[0] = build_list(world->mutator, 1000);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(world->heap->collector.team.helpers, 0);
    world_end(world);
}

static void a_large_heap_is_marked_by_all(void **state)
{
    struct world *world = make_team_world(2, "");
    size_t length = 32 * MIB / 32;

    (void)state;
    world->root[0] = build_list(world->mutator, length);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(world->heap->collector.team.helpers, 1);
    assert_true(is_intact_list(world->root[0], length));
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
}

enum { ROUNDS = 3 };

/* Before each full collection, which it waits for, it allocates something. */
static void allocate_between(gc_heap *heap, size_t index, void *data)
{
    struct barrier *meeting = data;
    gc_mutator *mutator = attach(heap);

    (void)index;
    for (int i = 0; i < ROUNDS; i++) {
        (void)make_node(mutator, 0);
        meet_parked(meeting, mutator);
        meet_parked(meeting, mutator);
    }
    gc_mutator_detach(mutator);
}

/* What the team of a large heap has in helpers where two threads allocate; once one
 * does, it marks alone. */
static unsigned helpers_of_two_threads(const char *settings)
{
    struct world *world = make_shared(settings);
    struct threads threads;
    struct barrier meeting;
    size_t length = 32 * MIB / 32;
    unsigned helpers;

    world->root[0] = build_list(world->mutator, length);
    make_barrier(&meeting, 2);
    start_threads(&threads, world->heap, 1, allocate_between, &meeting);
    for (int i = 0; i < ROUNDS; i++) {
        (void)make_node(world->mutator, 0);
        meet_parked(&meeting, world->mutator);
        gc_collect(world->mutator, GC_OLD, NULL);
        meet_parked(&meeting, world->mutator);
    }
    helpers = world->heap->collector.team.helpers;
    assert_int_equal(world->heap->collector.tracer.team != NULL, helpers > 0);
    join_threads(&threads, world->mutator);
    run_collections(world, 32);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_null(world->heap->collector.tracer.team);
    assert_true(is_intact_list(world->root[0], length));
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
    return helpers;
}

static void where_several_threads_allocate_there_is_a_team_unasked(void **state)
{
    (void)state;
    assert_int_equal(helpers_of_two_threads(NULL), gc_min(gc_os_cores(), 4) - 1);
}

static void but_not_where_one_worker_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(helpers_of_two_threads("workers=1"), 0);
}

static void the_helpers_can_be_ended_and_start_again(void **state)
{
    struct world *world = make_team_world(3, ",stress=prefetch");

    (void)state;
    world->root[0] = build_list(world->mutator, 10000);
    for (int round = 0; round < 20; round++) {
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_int_equal(world->heap->collector.team.helpers, 2);
        gc_team_stop(&world->heap->collector.team);
        assert_int_equal(world->heap->collector.team.helpers, 0);
    }
    assert_true(is_intact_list(world->root[0], 10000));
    world_end(world);
}

static void too_many_workers_are_refused(void **state)
{
    gc_options options = plain_options(0);
    gc_heap *heap;

    (void)state;
    options.workers = 65;
    assert_int_equal(gc_heap_create(&options, &heap), GC_BAD_OPTION);
    assert_string_equal(gc_options_explain(&options), "workers: must be at most 64");
    options.workers = 64;
    assert_int_equal(gc_heap_create(&options, &heap), GC_OK);
    gc_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_team_keeps_what_one_keeps),
        cmocka_unit_test(so_it_does_where_nothing_moves),
        cmocka_unit_test(so_it_does_where_all_moves),
        cmocka_unit_test(so_it_does_without_room_for_edges),
        cmocka_unit_test(no_edge_is_lost_when_all_lanes_are_full),
        cmocka_unit_test(no_edge_of_a_piece_is_lost),
        cmocka_unit_test(tagged_slots_are_followed),
        cmocka_unit_test(a_long_array_that_all_scan_is_remembered),
        cmocka_unit_test(ephemerons_and_weak_references_are_as_alone),
        cmocka_unit_test(a_small_heap_starts_no_thread),
        cmocka_unit_test(a_large_heap_is_marked_by_all),
        cmocka_unit_test(where_several_threads_allocate_there_is_a_team_unasked),
        cmocka_unit_test(but_not_where_one_worker_was_asked_for),
        cmocka_unit_test(the_helpers_can_be_ended_and_start_again),
        cmocka_unit_test(too_many_workers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
