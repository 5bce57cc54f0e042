/* SPDX-License-Identifier: MIT
 *
 * Which blocks threads get that allocate in one heap at the same time.
 */
#include "heap/heap.h"
#include "support/threads.h"

enum { THREADS = 2, TAKEN = 8, ROUNDS = 4, PAYLOAD = 224 };

struct turns {
    struct barrier barrier;
    uint32_t blocks[ROUNDS][THREADS][TAKEN];
};

static uint32_t block_filled(gc_mutator *mutator)
{
    const struct gc_run *run = &mutator->run;

    return run->block == GC_NO_BLOCK ? GC_NO_BLOCK
                                     : gc_block_of(gc_heap_tables(mutator->heap), run->end - 1);
}

/* Fills what is left of the block, so that another must be opened. */
static uint32_t take_block(gc_mutator *mutator)
{
    uint32_t before = block_filled(mutator);

    while (block_filled(mutator) == before || block_filled(mutator) == GC_NO_BLOCK)
        make_garbage(mutator, 256);
    return block_filled(mutator);
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

/* What one thread did, and what the other saw of it. */
struct view {
    struct barrier barrier;
    size_t refills; /* runs opened */
    size_t bytes;   /* of objects */
    void *objects[TAKEN];
    uintptr_t not_open;
    void *seen[TAKEN];
    void *seen_not_open;
    size_t counted;
};

/* Until TAKEN blocks were filled, which PAYLOAD does not do to the last byte. */
static void fill_blocks(gc_mutator *mutator, struct view *view)
{
    uint32_t before = GC_NO_BLOCK, run = GC_NO_BLOCK;

    for (size_t filled = 0; filled < TAKEN; view->bytes += PAYLOAD + 2 * GC_HEADER_BYTES) {
        void *object = make_array(mutator, &gc_type_bytes, PAYLOAD);

        if (block_filled(mutator) != before)
            view->objects[filled++] = object;
        view->refills += mutator->run.block != run;
        before = block_filled(mutator);
        run = mutator->run.block;
    }
    if (mutator->run.end < mutator->run.limit)
        view->not_open = mutator->run.end + GC_LINE_BYTES;
}

static void look(gc_heap *heap, gc_mutator *mutator, struct view *view)
{
    for (int i = 0; i < TAKEN; i++)
        view->seen[i] = gc_object_at(mutator, (char *)view->objects[i] + PAYLOAD / 2);
    view->seen_not_open = gc_object_at(mutator, (void *)view->not_open);
    view->counted = gc_count(heap, GC_YOUNG);
}

/* Both allocate before the collection, so that the heap knows of two; then one
 * does, and the other looks. */
static void fill_or_look(gc_heap *heap, size_t index, void *data)
{
    struct view *view = data;
    gc_mutator *mutator = attach(heap);

    make_garbage(mutator, 12 * GC_BLOCK_BYTES);
    meet_parked(&view->barrier, mutator);
    if (index == 0)
        gc_collect(mutator, GC_YOUNG, NULL);
    meet_parked(&view->barrier, mutator);
    if (index == 0)
        fill_blocks(mutator, view);
    meet_parked(&view->barrier, mutator);
    if (index == 1)
        look(heap, mutator, view);
    meet_parked(&view->barrier, mutator);
    gc_mutator_detach(mutator);
}

static void share_view(struct view *view)
{
    struct world *world = make_shared(NULL);

    *view = (struct view){0};
    make_barrier(&view->barrier, THREADS);
    run_threads(world, THREADS, fill_or_look, view);
    world_free(world);
}

/* 1, 2, 4 and 8 of them. */
static void blocks_are_handed_out_by_ever_more(void **state)
{
    static struct view view;

    (void)state;
    share_view(&view);
    assert_int_equal(view.refills, 4);
}

static void objects_in_all_blocks_of_a_run_are_found_by_others(void **state)
{
    static struct view view;

    (void)state;
    share_view(&view);
    for (int i = 0; i < TAKEN; i++)
        assert_ptr_equal(view.seen[i], view.objects[i]);
    assert_int_not_equal(view.not_open, 0);
    assert_null(view.seen_not_open);
}

static void blocks_not_opened_and_their_ends_are_not_counted(void **state)
{
    static struct view view;

    (void)state;
    share_view(&view);
    assert_int_equal(view.counted, view.bytes);
}

/* ---- Detaching -------------------------------------------------------------- */

struct left {
    struct barrier barrier;
    size_t blocks[THREADS]; /* not opened */
};

static size_t not_opened(const gc_mutator *mutator)
{
    return (mutator->run.limit - mutator->run.end) / GC_BLOCK_BYTES;
}

/* One after another. */
static void fill_and_detach(gc_heap *heap, size_t index, void *data)
{
    struct left *left = data;
    gc_mutator *mutator = attach(heap);

    make_garbage(mutator, 12 * GC_BLOCK_BYTES);
    meet_parked(&left->barrier, mutator);
    if (index == 0)
        gc_collect(mutator, GC_YOUNG, NULL);
    for (size_t turn = 0; turn < THREADS; turn++) {
        meet_parked(&left->barrier, mutator);
        for (int i = 0; turn == index && i < 2 * TAKEN && not_opened(mutator) < 2; i++)
            take_block(mutator);
    }
    left->blocks[index] = not_opened(mutator);
    gc_mutator_detach(mutator);
}

/* They were nobody's until the next collection. */
static void blocks_not_opened_are_others_when_a_thread_detaches(void **state)
{
    static struct left left;
    struct world *world = make_shared(NULL);
    struct gc_blocks *blocks = &world->heap->collector.blocks;
    size_t used, count;

    (void)state;
    make_barrier(&left.barrier, THREADS);
    run_threads(world, THREADS, fill_and_detach, &left);
    count = gc_min(left.blocks[0], left.blocks[1]);
    used = blocks->used_blocks;
    assert_true(count > 1);
    assert_int_equal(gc_verify(world->mutator), 0);
    for (size_t i = 0; i < count; i++)
        take_block(world->mutator);
    assert_int_equal(blocks->used_blocks, used);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
}

/* ---- What is born pinned --------------------------------------------------- */

enum { PINNED = 4000 };

static bool was_apart; /* when they were made */

static const uint32_t node_refs[] = {offsetof(struct node, left), offsetof(struct node, right)};

static void make_pinned(gc_mutator *mutator)
{
    static gc_type type = GC_TYPE_STRUCT("pinned", struct node, node_refs);
    static void *kept[PINNED];
    gc_heap *heap = gc_mutator_heap(mutator);
    uint8_t kind = GC_BLOCK_PINNED;

    type.flags |= GC_TYPE_PINNED;
    type.object_bytes = GC_OUT_OF_LINE;
    assert_int_equal(gc_root_range_add(heap, kept, PINNED, GC_AMBIGUOUS), GC_OK);
    was_apart = heap->collector.spaces.apart;
    for (size_t i = 0; i < PINNED; i++) {
        struct node *node = gc_alloc(mutator, &type);

        assert_non_null(node);
        assert_true(is_zeroed(node, sizeof *node));
        assert_true(gc_is_object(mutator, node));
        assert_int_equal(
            gc_heap_tables(heap)->blocks[gc_block_of(gc_heap_tables(heap), (uintptr_t)node)].kind,
            kind);
        node->value = i + 1;
        kept[i] = node;
    }
    gc_collect(mutator, GC_OLD, NULL);
    for (size_t i = 0; i < PINNED; i++) {
        assert_true(gc_is_object(mutator, kept[i]));
        assert_int_equal(((struct node *)kept[i])->value, i + 1);
    }
    assert_int_equal(gc_verify(mutator), 0);
    gc_root_range_remove(heap, kept);
}

/* Blocks that died full of other words. */
static void soil_then_make_pinned(gc_heap *heap, size_t index, void *data)
{
    struct turns *turns = data;
    gc_mutator *mutator = attach(heap);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++)
            memset(gc_alloc_array(mutator, &gc_type_bytes, PAYLOAD), 0xee, PAYLOAD);
        meet_parked(&turns->barrier, mutator);
        if (index == 0)
            gc_collect(mutator, GC_YOUNG, NULL);
        meet_parked(&turns->barrier, mutator);
    }
    if (index == 0)
        make_pinned(mutator);
    meet_parked(&turns->barrier, mutator);
    gc_mutator_detach(mutator);
}

static void what_is_born_pinned_fills_one_block_at_a_time(void **state)
{
    static struct turns turns;
    struct world *world = make_shared(NULL);

    (void)state;
    make_barrier(&turns.barrier, THREADS);
    run_threads(world, THREADS, soil_then_make_pinned, &turns);
    assert_true(was_apart);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_takes_the_blocks_it_had_before),
        cmocka_unit_test(one_thread_takes_the_lowest_free_block),
        cmocka_unit_test(blocks_are_handed_out_by_ever_more),
        cmocka_unit_test(objects_in_all_blocks_of_a_run_are_found_by_others),
        cmocka_unit_test(blocks_not_opened_and_their_ends_are_not_counted),
        cmocka_unit_test(blocks_not_opened_are_others_when_a_thread_detaches),
        cmocka_unit_test(what_is_born_pinned_fills_one_block_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
