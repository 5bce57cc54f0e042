/* SPDX-License-Identifier: MIT
 *
 * Which blocks threads get that allocate in one heap at the same time.
 */
#include "heap/heap.h"
#include "support/threads.h"

enum { THREADS = 2, TAKEN = 8, ROUNDS = 4 };

struct turns {
    struct barrier barrier;
    uint32_t blocks[ROUNDS][THREADS][TAKEN];
};

/* Fills what is left of the run's block, so that another must be taken. */
static uint32_t take_block(gc_mutator *mutator)
{
    uint32_t before = mutator->run.block;

    while (mutator->run.block == before || mutator->run.block == GC_NO_BLOCK)
        make_garbage(mutator, 256);
    return mutator->run.block;
}

/* The threads take blocks in turn, all of which dies. */
static void take_in_turn(gc_heap *heap, size_t index, void *data)
{
    struct turns *turns = data;
    gc_mutator *mutator = attach(heap);

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < TAKEN * THREADS; i++) {
            if ((size_t)i % THREADS == index)
                turns->blocks[round][index][i / THREADS] = take_block(mutator);
            meet_parked(&turns->barrier, mutator);
        }
        if (index == 0)
            gc_collect(mutator, GC_YOUNG, NULL);
        meet_parked(&turns->barrier, mutator);
    }
    gc_mutator_detach(mutator);
}

/* They would take each other's from the cache. */
static void each_thread_takes_the_blocks_it_had_before(void **state)
{
    static struct turns turns;
    struct world *world = make_shared(NULL);

    (void)state;
    make_barrier(&turns.barrier, THREADS);
    run_threads(world, THREADS, take_in_turn, &turns);
    for (int thread = 0; thread < THREADS; thread++)
        for (int i = 0; i < TAKEN; i++) {
            uint32_t block = turns.blocks[ROUNDS - 1][thread][i];

            assert_int_equal(block, turns.blocks[ROUNDS - 2][thread][i]);
            if (i > 0)
                assert_int_equal(block, turns.blocks[ROUNDS - 1][thread][i - 1] + 1);
        }
    world_free(world);
}

static void one_thread_takes_the_lowest_free_block(void **state)
{
    struct world *world = make_shared(NULL);
    uint32_t first = take_block(world->mutator);

    (void)state;
    for (uint32_t i = 1; i < TAKEN; i++)
        assert_int_equal(take_block(world->mutator), first + i);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(take_block(world->mutator), first);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_takes_the_blocks_it_had_before),
        cmocka_unit_test(one_thread_takes_the_lowest_free_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
