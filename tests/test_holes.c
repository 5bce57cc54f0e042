/* SPDX-License-Identifier: MIT
 *
 * The holes of a block, which its thread opens one after another without the lock,
 * while others look at what lies in it.
 */
#include "heap/heap.h"
#include "support/threads.h"

enum { NODES = 4000, EACH = 20, FILLED = 400, MANY = 40000 };

/* What one thread did, and what the other saw of it. */
struct view {
    struct barrier barrier;
    struct node *pinned[NODES / EACH]; /* an ambiguous range */
    struct node *filled[MANY];
    size_t count; /* of these; atomic */
    uintptr_t first_hole;
    uintptr_t hole;
    uintptr_t ahead;
    void *seen[FILLED];
    void *seen_at_end[FILLED];
    void *seen_behind;
    size_t pinned_seen;
    size_t missed;
    void *seen_ahead;
    size_t counted;
    size_t bytes;
    bool has_looked; /* atomic */
};

/* Blocks of gen0 with a node in EACH, which stays, and holes between them. */
static void make_holes(gc_mutator *mutator, struct view *view)
{
    gc_heap *heap = gc_mutator_heap(mutator);

    assert_int_equal(gc_root_range_add(heap, (void **)view->pinned, NODES / EACH, GC_AMBIGUOUS),
                     GC_OK);
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = make_node(mutator, i);

        if (i % EACH == 0)
            view->pinned[i / EACH] = node;
    }
    gc_collect(mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_generation_of(mutator, view->pinned[0]), GC_YOUNG);
}

/* The address behind the occupied lines that follow the open hole: in the next one. */
static uintptr_t find_ahead(const gc_mutator *mutator)
{
    const struct gc_tables *tables = gc_heap_tables(mutator->heap);
    uintptr_t at = mutator->run.end;

    while (tables->lines[gc_line_of(tables, at)] != 0)
        at += GC_LINE_BYTES;
    return at + GC_LINE_BYTES / 2;
}

static void fill_some(gc_mutator *mutator, struct view *view)
{
    size_t before = gc_count(gc_mutator_heap(mutator), GC_YOUNG);

    for (size_t i = 0; i < FILLED; i++)
        view->filled[i] = make_node(mutator, i);
    view->bytes = before + FILLED * bytes_of(view->filled[0]);
    view->first_hole = mutator->run.from;
    view->hole = mutator->run.end - 1;
    view->ahead = find_ahead(mutator);
}

static void look(gc_mutator *mutator, struct view *view)
{
    for (int i = 0; i < FILLED; i++) {
        view->seen[i] = gc_object_at(mutator, view->filled[i]);
        view->seen_at_end[i] = gc_object_at(mutator, view->filled[i] + 1);
    }
    view->seen_behind = gc_object_at(mutator, (char *)(view->filled[FILLED - 1] + 1) + 1);
    for (int i = 0; i < NODES / EACH; i++)
        view->pinned_seen += gc_object_at(mutator, &view->pinned[i]->value) == view->pinned[i];
    view->seen_ahead = gc_object_at(mutator, (void *)view->ahead);
    view->counted = gc_count(gc_mutator_heap(mutator), GC_YOUNG);
}

static void fill_or_look(gc_heap *heap, size_t index, void *data)
{
    struct view *view = data;
    gc_mutator *mutator = attach(heap);

    if (index == 0) {
        make_holes(mutator, view);
        fill_some(mutator, view);
    }
    meet_parked(&view->barrier, mutator);
    if (index == 1)
        look(mutator, view);
    meet_parked(&view->barrier, mutator);
    gc_mutator_detach(mutator);
}

static void objects_in_all_holes_of_a_block_are_found_by_others(void **state)
{
    static struct view view;
    struct world *world = make_shared(NULL);

    (void)state;
    make_barrier(&view.barrier, 2);
    run_threads(world, 2, fill_or_look, &view);
    assert_true(view.hole - view.first_hole > (size_t)2 * EACH * sizeof(struct node));
    for (int i = 0; i < FILLED; i++) {
        assert_ptr_equal(view.seen[i], view.filled[i]);
        assert_ptr_equal(view.seen_at_end[i], view.filled[i]);
    }
    assert_null(view.seen_behind);
    assert_int_equal(view.pinned_seen, NODES / EACH);
    assert_null(view.seen_ahead);
    assert_int_equal(view.counted, view.bytes);
    gc_root_range_remove(world->heap, (void **)view.pinned);
    world_free(world);
}

/* It publishes what it has made, which nobody collects meanwhile. */
static void fill_many(gc_mutator *mutator, struct view *view)
{
    gc_disable(mutator);
    meet_parked(&view->barrier, mutator);
    for (size_t i = 0; i < MANY; i++) {
        view->filled[i] = make_node(mutator, i);
        __atomic_store_n(&view->count, i + 1, __ATOMIC_RELEASE);
    }
    while (!__atomic_load_n(&view->has_looked, __ATOMIC_RELAXED))
        gc_safepoint(mutator);
    gc_enable(mutator);
}

static void look_meanwhile(gc_mutator *mutator, struct view *view)
{
    size_t count = 0;

    meet_parked(&view->barrier, mutator);
    while (count < MANY) {
        count = __atomic_load_n(&view->count, __ATOMIC_ACQUIRE);
        for (size_t i = count < 8 ? 0 : count - 8; i < count; i++)
            view->missed += gc_object_at(mutator, &view->filled[i]->value) != view->filled[i];
    }
    __atomic_store_n(&view->has_looked, true, __ATOMIC_RELAXED);
}

static void fill_and_look(gc_heap *heap, size_t index, void *data)
{
    struct view *view = data;
    gc_mutator *mutator = attach(heap);

    if (index == 0) {
        make_holes(mutator, view);
        fill_many(mutator, view);
    } else {
        look_meanwhile(mutator, view);
    }
    gc_mutator_detach(mutator);
}

static void so_they_are_while_it_fills_them(void **state)
{
    static struct view view;
    struct world *world = make_shared(NULL);

    (void)state;
    make_barrier(&view.barrier, 2);
    run_threads(world, 2, fill_and_look, &view);
    assert_int_equal(view.missed, 0);
    gc_root_range_remove(world->heap, (void **)view.pinned);
    world_free(world);
}

/* Else a collection would be due before its time. */
static void what_lives_between_holes_is_not_handed_out(void **state)
{
    static struct view view;
    struct world *world = make_shared(NULL);
    const struct gc_spaces *spaces = &world->heap->collector.spaces;
    const struct gc_run *run = &world->mutator->run;

    (void)state;
    make_holes(world->mutator, &view);
    assert_int_equal(spaces->handed_bytes, 0);
    (void)make_node(world->mutator, 0);
    assert_true(run->occupied > 0);
    assert_int_equal(spaces->handed_bytes, run->limit - run->from - run->occupied);
    gc_root_range_remove(world->heap, (void **)view.pinned);
    world_end(world);
}

/* Of what lies between what lives: holes too small for an object are passed over, and
 * the block is parsed with them. */
static void holes_too_small_are_passed_over(void **state)
{
    static struct view view;
    struct world *world = make_shared(NULL);
    void **slots;

    (void)state;
    make_holes(world->mutator, &view);
    world->root[0] = make_array(world->mutator, &gc_type_references, 2 * EACH);
    for (size_t i = 0; i < 2 * EACH; i++) {
        void *bytes = make_array(world->mutator, &gc_type_bytes, i % 2 == 0 ? 3000 : 8);

        memset(bytes, 0xee, 8);
        slots = world->root[0];
        gc_write(world->mutator, slots, &slots[i], bytes);
    }
    assert_int_equal(gc_verify(world->mutator), 0);
    assert_int_equal(recount(world->mutator).all_objects, NODES / EACH + 1 + 2 * EACH);
    for (size_t i = 0; i < NODES / EACH; i++)
        assert_int_equal(view.pinned[i]->value, i * EACH);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    slots = world->root[0];
    for (size_t i = 0; i < 2 * EACH; i++)
        assert_int_equal(gc_length(slots[i]), i % 2 == 0 ? 3000 : 8);
    gc_root_range_remove(world->heap, (void **)view.pinned);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_in_all_holes_of_a_block_are_found_by_others),
        cmocka_unit_test(so_they_are_while_it_fills_them),
        cmocka_unit_test(what_lives_between_holes_is_not_handed_out),
        cmocka_unit_test(holes_too_small_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
