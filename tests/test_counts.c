/* SPDX-License-Identifier: MIT
 *
 * What a heap counts stays true when something was done twice, or in vain.
 */
#include "heap/heap.h"
#include "support/graph.h"

#include <strata/table.h>
#include <strata/weak.h>

/* ---- Ephemerons --------------------------------------------------------- */

enum { MANY = 5000 };

static void make_ephemerons(struct world *world)
{
    world->root[0] = make_node(world->mutator, 1);
    world->root[2] = make_array(world->mutator, &gc_type_references, MANY);
    for (size_t i = 0; i < MANY; i++) {
        gc_ephemeron *made = gc_ephemeron_create(world->mutator, world->root[0], NULL);
        void **array = world->root[2];

        assert_non_null(made);
        gc_write(world->mutator, array, &array[i], made);
    }
}

static void put_values(struct world *world)
{
    world->root[1] = gc_table_create(world->mutator, GC_TABLE_WEAK_VALUES, NULL, NULL, NULL);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(gc_table_put(world->mutator, world->root[1], ((void **)world->root[2])[i],
                                      world->root[0]),
                         GC_OK);
}

/* The index has a place for each: those scanned again, and what is not indexed, made
 * it grow, and it was never made smaller. */
static void ephemerons_are_counted_once(void **state)
{
    struct world *world = make_exact("stress=tiny-stack");

    (void)state;
    make_ephemerons(world);
    put_values(world);
    for (int i = 0; i < 4; i++) {
        collect(world->mutator, GC_OLD);
        assert_int_equal(world->heap->collector.tracer.ephemerons.count, MANY);
    }
    assert_true(stats_of(world->heap).mark_overflows > 0);
    world->root[1] = world->root[2] = NULL;
    collect(world->mutator, GC_OLD);
    assert_int_equal(world->heap->collector.tracer.ephemerons.count, 0);
    world_free(world);
}

/* ---- Chunks ------------------------------------------------------------- */

static size_t idle_chunks(const struct gc_blocks *blocks)
{
    size_t count = 0;

    for (size_t i = 0; i < blocks->chunk_count; i++)
        count += blocks->chunks[i].use == GC_CHUNK_IDLE;
    return count;
}

/* There is room for blocks, but none for their tables. */
static void leave_room_without_tables(struct gc_blocks *blocks, size_t count)
{
    gc_blocks_trim(blocks, 0);
    blocks->lane_room_bytes = 0;
    blocks->limit_bytes = gc_blocks_committed(blocks) + count * GC_BLOCK_BYTES;
}

/* A chunk of which no block could be taken was of no use for large objects any more. */
static void a_chunk_that_was_opened_in_vain_is_idle(void **state)
{
    struct world *world = *state;
    struct gc_blocks *blocks = &world->heap->collector.blocks;
    size_t idle;

    collect(world->mutator, GC_OLD);
    assert_int_equal(blocks->used_blocks, 0);
    leave_room_without_tables(blocks, 1);
    idle = idle_chunks(blocks);
    assert_true(gc_blocks_room(blocks, GC_FOR_COLLECTOR) >= GC_BLOCK_BYTES);
    assert_int_equal(gc_block_take(blocks, GC_FOR_COLLECTOR), GC_NO_BLOCK);
    assert_int_equal(idle_chunks(blocks), idle);
    blocks->limit_bytes = world->heap->options.hard_limit;
    assert_int_not_equal(gc_block_take(blocks, GC_FOR_COLLECTOR), GC_NO_BLOCK);
    assert_int_equal(idle_chunks(blocks), idle - 1);
    gc_block_give(blocks, 0, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ephemerons_are_counted_once),
        TEST(a_chunk_that_was_opened_in_vain_is_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
