/* SPDX-License-Identifier: MIT
 *
 * Frames: exact roots in C locals, nested, unwound, counted by nobody.
 */
#include "support/heap.h"

#include <setjmp.h>

static void frame_keeps_and_updates_its_locals(void **state)
{
    struct world *world = *state;
    struct node *a = NULL;
    struct node *b = NULL;
    uintptr_t before;

    GC_FRAME(world->mutator, frame, &a, &b);
    a = make_node(world->mutator, 1);
    b = make_node(world->mutator, 2);
    before = hide(a);
    collect(world->mutator, 0);
    assert_true(hide(a) != before);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_int_equal(a->value, 1);
    assert_int_equal(b->value, 2);
    assert_int_equal(stats_of(world->heap).pinned_objects, 0);
    gc_frame_pop(world->mutator, &frame);
}

static void popped_frame_keeps_nothing(void **state)
{
    struct world *world = *state;
    struct node *a = NULL;

    GC_FRAME(world->mutator, frame, &a);
    a = make_node(world->mutator, 1);
    gc_frame_pop(world->mutator, &frame);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void frame_without_values_is_harmless(void **state)
{
    struct world *world = *state;
    static struct node outside;
    struct node *null = NULL;
    struct node *foreign = &outside;

    GC_FRAME(world->mutator, frame, &null, &foreign);
    collect(world->mutator, 2);
    assert_null(null);
    assert_ptr_equal(foreign, &outside);
    gc_frame_pop(world->mutator, &frame);
}

static size_t sum_of_nested(gc_mutator *mutator, size_t depth)
{
    struct node *local = NULL;
    size_t sum = 0;

    GC_FRAME(mutator, frame, &local);
    local = make_node(mutator, depth);
    if (depth > 0)
        sum = sum_of_nested(mutator, depth - 1);
    else
        collect(mutator, 0);
    sum += local->value;
    gc_frame_pop(mutator, &frame);
    return sum;
}

static void nested_frames_all_keep(void **state)
{
    struct world *world = *state;

    assert_int_equal(sum_of_nested(world->mutator, 5000), 5000 * 5001 / 2);
    assert_null(gc_frame_top(world->mutator));
}

static void frames_of_one_function_nest_in_blocks(void **state)
{
    struct world *world = *state;
    struct node *outer = NULL;

    GC_FRAME(world->mutator, outer_frame, &outer);
    outer = make_node(world->mutator, 1);
    for (uint64_t i = 0; i < 100; i++) {
        struct node *inner = NULL;

        GC_FRAME(world->mutator, inner_frame, &inner);
        inner = make_node(world->mutator, i);
        collect(world->mutator, 0);
        assert_int_equal(inner->value, i);
        assert_ptr_equal(gc_frame_top(world->mutator), &inner_frame);
        gc_frame_pop(world->mutator, &inner_frame);
    }
    assert_ptr_equal(gc_frame_top(world->mutator), &outer_frame);
    assert_int_equal(outer->value, 1);
    gc_frame_pop(world->mutator, &outer_frame);
}

static void one_local_in_two_frames_is_updated_once(void **state)
{
    struct world *world = *state;
    struct node *local = NULL;

    GC_FRAME(world->mutator, one, &local, &local);
    GC_FRAME(world->mutator, two, &local);
    local = make_node(world->mutator, 7);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_int_equal(local->value, 7);
    }
    gc_frame_pop(world->mutator, &two);
    gc_frame_pop(world->mutator, &one);
}

/* ---- Scopes ------------------------------------------------------------- */

enum way { RETURN, BREAK, GOTO, END };

/* What the local was found to be, after a collection that moves it. */
static uint64_t leave_by(gc_mutator *mutator, enum way way)
{
    uint64_t value = 0;

    for (int i = 0; i < 2; i++) {
        struct node *local = NULL;

        GC_SCOPE(mutator, scope, &local);
        local = make_node(mutator, (uint64_t)way + 1);
        collect(mutator, 0);
        if (way == RETURN)
            return local->value;
        value = local->value;
        if (way == BREAK)
            break;
        if (way == GOTO)
            goto out;
    }
out:
    return value;
}

static void scope_is_popped_whichever_way_it_is_left(void **state)
{
    struct world *world = *state;
    struct node *local = NULL;

    GC_SCOPE(world->mutator, scope, &local);
    local = make_node(world->mutator, 10);
    for (enum way way = RETURN; way <= END; way++) {
        assert_int_equal(leave_by(world->mutator, way), way + 1);
        assert_ptr_equal(gc_frame_top(world->mutator), &scope);
    }
    assert_int_equal(local->value, 10);
}

/* ---- Leaving by longjmp ------------------------------------------------- */

static void fail_deep_down(gc_mutator *mutator, int depth, jmp_buf *way_out)
{
    struct node *local = NULL;

    GC_FRAME(mutator, frame, &local);
    local = make_node(mutator, 1000);
    if (depth > 0)
        fail_deep_down(mutator, depth - 1, way_out);
    else if (way_out != NULL)
        longjmp(*way_out, 1);
    gc_frame_pop(mutator, &frame);
}

static void unwinding_after_longjmp_drops_the_frames_above(void **state)
{
    struct world *world = *state;
    struct node *local = NULL;
    gc_frame *top;
    jmp_buf way_out;

    GC_FRAME(world->mutator, frame, &local);
    local = make_node(world->mutator, 1);
    top = gc_frame_top(world->mutator);
    if (setjmp(way_out) == 0)
        fail_deep_down(world->mutator, 50, &way_out);
    clobber_stack(); /* what was left may be overwritten before it is unwound */
    gc_frame_unwind(world->mutator, top);
    assert_ptr_equal(gc_frame_top(world->mutator), &frame);
    collect(world->mutator, 2);
    assert_int_equal(local->value, 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
    gc_frame_pop(world->mutator, &frame);
}

static void unwinding_to_the_top_changes_nothing(void **state)
{
    struct world *world = *state;
    struct node *local = NULL;

    gc_frame_unwind(world->mutator, gc_frame_top(world->mutator));
    assert_null(gc_frame_top(world->mutator));
    GC_FRAME(world->mutator, frame, &local);
    gc_frame_unwind(world->mutator, gc_frame_top(world->mutator));
    assert_ptr_equal(gc_frame_top(world->mutator), &frame);
    gc_frame_pop(world->mutator, &frame);
}

static void unwinding_to_nothing_drops_all(void **state)
{
    struct world *world = *state;
    struct node *a = NULL;
    struct node *b = NULL;

    GC_FRAME(world->mutator, one, &a);
    GC_FRAME(world->mutator, two, &b);
    a = make_node(world->mutator, 1);
    b = make_node(world->mutator, 2);
    gc_frame_unwind(world->mutator, NULL);
    assert_null(gc_frame_top(world->mutator));
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

/* ---- On ambiguous heaps ------------------------------------------------- */

static void frames_do_no_harm_where_stacks_are_scanned(void **state)
{
    struct world *world = *state;
    struct node *local = NULL;

    GC_FRAME(world->mutator, frame, &local);
    local = build_list(world->mutator, 100);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_true(is_intact_list(local, 100));
    }
    gc_frame_pop(world->mutator, &frame);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOVING(frame_keeps_and_updates_its_locals),
        TEST(popped_frame_keeps_nothing),
        TEST(frame_without_values_is_harmless),
        TEST(nested_frames_all_keep),
        TEST(frames_of_one_function_nest_in_blocks),
        TEST(one_local_in_two_frames_is_updated_once),
        MOVING(scope_is_popped_whichever_way_it_is_left),
        TEST(unwinding_after_longjmp_drops_the_frames_above),
        TEST(unwinding_to_the_top_changes_nothing),
        TEST(unwinding_to_nothing_drops_all),
        cmocka_unit_test_setup_teardown(frames_do_no_harm_where_stacks_are_scanned, ambiguous_setup,
                                        world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
