/* SPDX-License-Identifier: MIT
 *
 * A limit that changes, and what a collection needs of any: the room that mutators
 * leave it.
 */
#include "heap/heap.h"
#include "support/fault.h"
#include "support/limited.h"

static struct gc_collector *collector_of(const struct world *world)
{
    return &world->heap->collector;
}

/* Lanes in proportion to the first limit left nothing of the second. */
static void a_limit_that_is_lowered_far_can_be_used(void **state)
{
    static const size_t parts[] = {16, 64, 256};

    (void)state;
    for (size_t i = 0; i < GC_COUNT(parts); i++) {
        struct world *world = make_limited(1024 * MIB);
        size_t limit = 1024 * MIB / parts[i];
        size_t count;

        world->root[1] = build_list(world->mutator, 1000);
        assert_int_equal(gc_limit_set(world->heap, 0, limit), GC_OK);
        if (limit <= part_of(16 * MIB)) {
            count = fill(world);
            assert_true(count * sizeof(struct node) > limit / 2);
            assert_true(is_intact_fill(world, count));
        } else {
            assert_true(gc_blocks_room(&collector_of(world)->blocks, GC_FOR_MUTATOR) >
                        limit / 8 * 7);
        }
        assert_true(stats_of(world->heap).committed_bytes <= limit);
        assert_true(is_intact_list(world->root[1], 1000));
        world_end(world);
    }
}

/* Each lane of the remembered set, those that a collection swaps in too. */
static void check_remembered(const struct world *world, size_t capacity, bool is_frozen)
{
    const struct gc_remembered *r = &collector_of(world)->remembered;
    const struct gc_lane *lanes[] = {&r->log,        &r->log_before, &r->old,
                                     &r->old_before, &r->frozen,     &r->frozen_before};

    assert_int_equal(r->capacity, capacity);
    for (size_t i = 0; i < (is_frozen ? 6 : 4); i++)
        assert_int_equal(lanes[i]->capacity, capacity);
}

/* What they were reserved for, they may hold again. */
static void lanes_follow_the_limit_down_and_up(void **state)
{
    struct world *world = make_limited(1024 * MIB);
    const struct gc_lane *stack = &collector_of(world)->tracer.stack;
    const size_t reserved = collector_of(world)->remembered.log.reserved;
    size_t room = collector_of(world)->blocks.lane_room_bytes;

    (void)state;
    assert_int_equal(gc_limit_set(world->heap, 0, 128 * MIB), GC_OK);
    assert_int_equal(stack->capacity, stack->reserved / 8);
    check_remembered(world, reserved / 8, false);
    assert_true(collector_of(world)->blocks.lane_room_bytes <= room / 8);
    assert_int_equal(gc_limit_set(world->heap, 0, 1024 * MIB), GC_OK);
    assert_int_equal(stack->capacity, stack->reserved);
    assert_int_equal(collector_of(world)->blocks.lane_room_bytes, room);
    assert_int_equal(gc_limit_set(world->heap, 0, 2048 * MIB), GC_OK);
    assert_int_equal(stack->capacity, stack->reserved);
    assert_int_equal(gc_limit_set(world->heap, 0, 128 * MIB), GC_OK);
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK); /* makes lanes */
    check_remembered(world, reserved / 8, true);
    assert_int_equal(gc_limit_set(world->heap, 0, 1024 * MIB), GC_OK);
    check_remembered(world, reserved, true);
    assert_int_equal(gc_limit_set(world->heap, 0, 128 * MIB), GC_OK);
    check_remembered(world, reserved / 8, true);
    world_end(world);
}

/* A hundred kilobytes for each worker would be more than there is. */
static void a_small_heap_with_many_workers_can_be_used(void **state)
{
    static const char *const settings[] = {"workers=16,stress=prefetch",
                                           "workers=64,stress=prefetch"};

    (void)state;
    for (size_t i = is_slowed() ? 1 : 0; i < GC_COUNT(settings); i++)
        for (size_t limit = MIB; limit <= 16 * MIB; limit *= 4)
            for (int lowered = 0; lowered <= (limit == 16 * MIB); lowered++) {
                gc_options options = plain_options(0);
                struct world *world;

                options.hard_limit = lowered ? 256 * MIB : limit;
                options.nursery_min = options.nursery_max = 256 * KIB;
                options.settings = settings[i];
                world = world_make(&options);
                if (lowered) {
                    gc_collect(world->mutator, GC_OLD, NULL); /* they all run */
                    assert_int_equal(gc_limit_set(world->heap, 0, limit), GC_OK);
                }
                assert_true(fill(world) * sizeof(struct node) > limit / 3);
                assert_true(stats_of(world->heap).committed_bytes <= limit);
                world_end(world);
            }
}

/* Its lanes are made anew. */
static void without_memory_a_limit_is_set_and_the_team_is_gone(void **state)
{
    gc_options options = plain_options(0);
    struct world *world;

    (void)state;
    options.settings = "workers=2,stress=prefetch";
    fault_install();
    world = world_make(&options);
    for (unsigned call = 0; call < 6; call++) {
        size_t limit = (128 + call) * MIB;

        fault_arm(call, 1, FAULT_RESERVE | FAULT_ALLOCATE | FAULT_COMMIT);
        assert_int_equal(gc_limit_set(world->heap, 0, limit), GC_OK);
        assert_int_equal(collector_of(world)->team.size, fault_failed() == 0 ? 2 : 1);
        assert_true(call > 0 || fault_failed() == 1);
        fault_disarm();
        assert_non_null(build_list(world->mutator, 100));
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_int_equal(gc_limit_set(world->heap, 0, limit), GC_OK);
        assert_int_equal(collector_of(world)->team.size, 2); /* it is back */
    }
    world_end(world);
    assert_true(fault_is_clean());
    fault_remove();
}

/* The team was made with memory that the limit did not allow. */
static void a_lost_team_comes_back_when_there_is_room_for_it(void **state)
{
    gc_options options = plain_options(0);
    struct world *world;

    (void)state;
    options.hard_limit = 17 * MIB;
    options.settings = "workers=16";
    fault_install();
    world = world_make(&options);
    fault_arm(0, 1, FAULT_ALLOCATE);
    assert_int_equal(gc_limit_set(world->heap, 0, 16 * MIB), GC_OK);
    assert_int_equal(fault_failed(), 1);
    fault_disarm();
    fill(world);
    assert_int_equal(gc_limit_set(world->heap, 0, 16 * MIB), GC_OK);
    assert_int_equal(collector_of(world)->team.size, 1);
    assert_true(stats_of(world->heap).committed_bytes <= 16 * MIB);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(gc_limit_set(world->heap, 0, 16 * MIB), GC_OK);
    assert_int_equal(collector_of(world)->team.size, 16);
    assert_true(stats_of(world->heap).committed_bytes <= 16 * MIB);
    world_end(world);
    fault_remove();
}

/* A frozen heap has two lanes more. */
static void a_collection_has_room_to_begin_compacting(void **state)
{
    static const char *const settings[] = {"workers=1", "workers=2", "workers=3", "workers=4"};

    (void)state;
    for (size_t i = 0; i < GC_COUNT(settings); i++)
        for (size_t limit = MIB; limit <= 1024 * MIB; limit *= 2) {
            gc_options options = plain_options(0);
            const struct gc_blocks *blocks;
            struct world *world;

            options.hard_limit = limit;
            options.settings = settings[i];
            world = world_make(&options);
            blocks = &collector_of(world)->blocks;
            for (int frozen = 0; frozen < 2; frozen++) {
                assert_true(gc_blocks_room(blocks, GC_FOR_COLLECTOR) >=
                            gc_blocks_room(blocks, GC_FOR_MUTATOR) +
                                gc_max(blocks->reserve_bytes / 2, 3 * GC_BLOCK_BYTES));
                assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
            }
            world_end(world);
        }
}

static void drop_every_second(const struct world *world)
{
    struct node *node = world->root[0];

    for (; node != NULL && node->right != NULL; node = node->right)
        gc_write(world->mutator, node, &node->right, node->right->right);
}

/* Half of the reserve was less than a block: half of the heap was free, and in no
 * place enough of it. */
static void a_small_heap_is_compacted_before_null(void **state)
{
    (void)state;
    for (size_t limit = MIB; limit < 4 * MIB; limit += (is_slowed() ? 500 : 100) * KIB) {
        struct world *world = make_limited(limit);
        size_t count = fill(world);

        drop_every_second(world);
        world->root[1] =
            gc_alloc_array(world->mutator, &gc_type_bytes, count * sizeof(struct node) / 4);
        assert_non_null(world->root[1]);
        world_end(world);
    }
}

/* Without a free block nothing can be copied, and what is sparse stays so. */
static void a_heap_with_a_team_is_compacted_before_null(void **state)
{
    gc_options options = plain_options(0);
    struct world *world;

    (void)state;
    if (is_slowed()) /* a heap that is small enough has the room by chance */
        skip();
    options.hard_limit = 96 * MIB;
    options.nursery_max = MIB;
    options.settings = "workers=2";
    world = world_make(&options);
    fill(world);
    drop_every_second(world);
    world->root[1] = gc_alloc_array(world->mutator, &gc_type_bytes, 24 * MIB);
    assert_non_null(world->root[1]);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_that_is_lowered_far_can_be_used),
        cmocka_unit_test(lanes_follow_the_limit_down_and_up),
        cmocka_unit_test(a_small_heap_with_many_workers_can_be_used),
        cmocka_unit_test(without_memory_a_limit_is_set_and_the_team_is_gone),
        cmocka_unit_test(a_lost_team_comes_back_when_there_is_room_for_it),
        cmocka_unit_test(a_collection_has_room_to_begin_compacting),
        cmocka_unit_test(a_small_heap_is_compacted_before_null),
        cmocka_unit_test(a_heap_with_a_team_is_compacted_before_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
