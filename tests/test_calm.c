/* SPDX-License-Identifier: MIT
 *
 * Where objects are born in gen2 and nothing is visited till a full collection comes,
 * barriers note nothing, and newborns are known to no table. When that ends, nobody
 * must have noticed.
 */
#include "support/births.h"
#include "support/holders.h"
#include "support/threads.h"

enum { LARGE = 20000 };

/* Where nothing is visited till a full collection comes, no store need be noted. */
static void barriers_note_nothing_in_a_calm_heap(void **state)
{
    struct world *world = make_always();
    struct node *old;
    uint64_t before;

    (void)state;
    world->root[1] = make_node(world->mutator, 1);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_false(is_calm(world));
    await_collection(world);
    assert_true(is_calm(world));
    old = world->root[1];
    assert_int_not_equal(*gc_log_byte((uintptr_t)old) & GC_LOG_ARMED, 0);
    before = stats_of(world->heap).logged_objects;
    world->root[2] = make_array(world->mutator, &gc_type_references, LARGE);
    assert_int_equal(generation_of(world, world->root[2]), GC_YOUNG);
    gc_write(world->mutator, old, &old->left, world->root[2]);
    world->root[2] = NULL;
    assert_int_equal(stats_of(world->heap).logged_objects, before);
    assert_int_equal(gc_verify(world->mutator), 0);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    old = world->root[1];
    assert_int_equal(generation_of(world, old->left), GC_OLD);
    assert_int_equal(gc_length(old->left), LARGE);
    assert_true(is_calm(world));
    world_end(world);
}

static void a_full_collection_ends_the_calm(void **state)
{
    struct world *world = make_always();
    struct node *old;
    uint64_t before;

    (void)state;
    world->root[1] = make_node(world->mutator, 1);
    await_collection(world);
    assert_true(is_calm(world));
    world->heap->collector.stress = 0;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_false(is_calm(world) || is_on(world));
    old = world->root[1];
    before = stats_of(world->heap).logged_objects;
    gc_write(world->mutator, old, &old->left, make_node(world->mutator, 2));
    assert_int_equal(stats_of(world->heap).logged_objects, before + 1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    old = world->root[1];
    check_node(world, old->left, 2, GC_MIDDLE);
    world_end(world);
}

/* Nor does it go on where growth calls for one, but the counts never do. */
static void it_ends_where_no_full_collection_comes(void **state)
{
    struct world *world = make_adaptive();
    uint64_t before;

    (void)state;
    assert_int_equal(gc_threshold_set(world->heap, GC_OLD, UINT32_MAX), GC_OK);
    fill_till_on(world);
    gc_collect(world->mutator, GC_OLD, NULL);
    fill_till_on(world);
    await_collection(world);
    assert_true(is_calm(world));
    before = stats_of(world->heap).generations[GC_OLD].collections;
    for (size_t made = 0; is_calm(world) && made < 8 * MIB; made++)
        make_node(world->mutator, 0);
    assert_false(is_calm(world) || is_on(world));
    assert_int_equal(stats_of(world->heap).generations[GC_OLD].collections, before);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
}

/* So does the end of pretenuring without one: what was born till then is armed. */
static void newborns_are_armed_when_the_calm_ends(void **state)
{
    struct world *world = make_always();
    struct node *old;

    (void)state;
    world->root[1] = make_node(world->mutator, 1);
    await_collection(world);
    old = world->root[1];
    assert_true(is_calm(world) && world->heap->collector.spaces.births != GC_NO_BLOCK);
    assert_int_equal(*gc_log_byte((uintptr_t)old) & GC_LOG_ARMED, 0);
    world->heap->collector.stress = 0;
    await_collection(world);
    assert_false(is_calm(world));
    assert_int_equal(world->heap->collector.spaces.births, GC_NO_BLOCK);
    gc_write(world->mutator, old, &old->left, make_node(world->mutator, 2));
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_node(world, old->left, 2, GC_MIDDLE);
    world_end(world);
}

/* Nothing but large objects is young then. */
static void what_is_pinned_is_born_old_in_a_calm_heap(void **state)
{
    static const gc_type pinned = {.name = "pinned",
                                   .size = 24,
                                   .alignment = 8,
                                   .kind = GC_KIND_LEAF,
                                   .flags = GC_TYPE_PINNED,
                                   .object_bytes = GC_OUT_OF_LINE};
    struct world *world = make_always();
    void *object;

    (void)state;
    await_collection(world);
    object = gc_alloc(world->mutator, &pinned);
    assert_non_null(object);
    assert_int_equal(generation_of(world, object), GC_OLD);
    world->root[1] = object;
    await_collection(world);
    assert_true(is_calm(world));
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_ptr_equal(world->root[1], object);
    world_end(world);
}

/* A full collection meets newborns that nothing has visited, in holes between older
 * objects: an ambiguous word finds them all the same, and between them nothing. */
static void an_ambiguous_word_finds_a_newborn_in_a_hole(void **state)
{
    struct world *world = make_with("stress=pretenure+in-place,check=deep");
    const struct gc_tables *tables = &world->heap->collector.tables;
    uintptr_t word = 0;
    struct node *node;

    (void)state;
    assert_int_equal(gc_root_range_add(world->heap, &word, 1, GC_AMBIGUOUS), GC_OK);
    for (size_t i = 0; i < 5000; i++)
        push(world, i);
    thin_out(world, 32);
    gc_collect(world->mutator, GC_OLD, NULL);
    for (int round = 0; round < 8; round++) {
        node = make_node(world->mutator, 99);
        word = (uintptr_t)node + 16;
        assert_true(tables->blocks[gc_block_of(tables, (uintptr_t)node)].flags & GC_BLOCK_SWEPT);
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_true(gc_is_object(world->mutator, (void *)(word - 16)));
        assert_int_equal(((struct node *)(word - 16))->value, 99);
        word = 0;
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_false(gc_is_object(world->mutator, node));
    }
    gc_root_range_remove(world->heap, &word);
    world_end(world);
}

/* Each stores into an array of its own, whichever way its heap is meanwhile. */
static void store_and_check(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node **array = make_array(mutator, &gc_type_references, 64);

    (void)data;
    GC_FRAME(mutator, frame, &array);
    for (size_t round = 0; round < scaled(4000); round++) {
        size_t at = round % 64;
        struct node *node = make_node(mutator, index * 1000000 + round);

        gc_write(mutator, array, &array[at], node);
        if (round % 512 == index)
            gc_collect(mutator, (unsigned)round / 512 % 3, NULL);
        for (size_t i = 0; round >= 64 && round % 16 == 0 && i < 64; i++)
            assert_int_equal(array[i]->value % 64, (index * 1000000 + i) % 64);
    }
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_come_and_go_in_a_calm_heap(void **state)
{
    struct world *world = make_adaptive();

    (void)state;
    fill_till_on(world);
    await_collection(world);
    assert_true(is_calm(world));
    run_threads(world, 3, store_and_check, NULL);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_note_nothing_in_a_calm_heap),
        cmocka_unit_test(a_full_collection_ends_the_calm),
        cmocka_unit_test(it_ends_where_no_full_collection_comes),
        cmocka_unit_test(newborns_are_armed_when_the_calm_ends),
        cmocka_unit_test(what_is_pinned_is_born_old_in_a_calm_heap),
        cmocka_unit_test(an_ambiguous_word_finds_a_newborn_in_a_hole),
        cmocka_unit_test(threads_come_and_go_in_a_calm_heap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
