/* SPDX-License-Identifier: MIT
 *
 * Misuse of roots, handles and frames, and of the tracer that callbacks get.
 */
#include "heap/heap.h"
#include "support/doomed.h"

/* ---- The registry ------------------------------------------------------- */

static void *slots[2];

static void no_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
}

static void add_root_twice(void)
{
    make_doomed();
    (void)gc_root_add(doomed->heap, slots);
    (void)gc_root_add(doomed->heap, slots);
}

static void add_range_twice(void)
{
    make_doomed();
    (void)gc_root_range_add(doomed->heap, slots, 2, GC_EXACT);
    (void)gc_root_range_add(doomed->heap, slots, 1, GC_AMBIGUOUS);
}

static void add_callback_twice(void)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, no_roots, NULL, GC_EXACT);
    (void)gc_root_callback_add(doomed->heap, no_roots, NULL, GC_EXACT);
}

static void roots_are_registered_once(void **state)
{
    (void)state;
    expect_misuse(add_root_twice, "gc_root_add", "this root is registered already");
    expect_misuse(add_range_twice, "gc_root_range_add", "this root is registered already");
    expect_misuse(add_callback_twice, "gc_root_callback_add", "this root is registered already");
}

static void add_null_root(void)
{
    make_doomed();
    (void)gc_root_add(doomed->heap, NULL);
}

static void add_null_range(void)
{
    make_doomed();
    (void)gc_root_range_add(doomed->heap, NULL, 1, GC_EXACT);
}

static void add_null_callback(void)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, NULL, NULL, GC_EXACT);
}

static void add_odd_root(void)
{
    make_doomed();
    (void)gc_root_add(doomed->heap, (char *)slots + 1);
}

static void add_odd_range(void)
{
    make_doomed();
    (void)gc_root_range_add(doomed->heap, (char *)slots + 4, 1, GC_AMBIGUOUS);
}

static void add_endless_range(void)
{
    make_doomed();
    (void)gc_root_range_add(doomed->heap, slots, SIZE_MAX / 8, GC_EXACT);
}

static void add_inexact_range(void)
{
    make_doomed();
    (void)gc_root_range_add(doomed->heap, slots, 1, (gc_exactness)2);
}

static void add_inexact_callback(void)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, no_roots, NULL, (gc_exactness)2);
}

static void add_root_in_the_heap(void)
{
    make_doomed_unchecked();
    (void)gc_root_add(doomed->heap, &doomed_node->left);
}

static void add_the_first_word_of_the_heap(void)
{
    make_doomed_unchecked();
    (void)gc_root_add(doomed->heap, (void *)gc_heap_tables(doomed->heap)->base);
}

static void add_range_over_the_heap(void)
{
    make_doomed_unchecked();
    (void)gc_root_range_add(doomed->heap, (void *)(uintptr_t)8, (uintptr_t)doomed_node / 8,
                            GC_AMBIGUOUS);
}

static void impossible_roots_are_refused(void **state)
{
    (void)state;
    expect_misuse(add_null_root, "gc_root_add", "the slot is NULL");
    expect_misuse(add_null_range, "gc_root_range_add", "the slot is NULL");
    expect_misuse(add_null_callback, "gc_root_callback_add", "the callback is NULL");
    expect_misuse(add_odd_root, "gc_root_add", "the slot is not aligned to a word");
    expect_misuse(add_odd_range, "gc_root_range_add", "the slot is not aligned to a word");
    expect_misuse(add_endless_range, "gc_root_range_add",
                  "the range reaches past the last address");
    expect_misuse(add_inexact_range, "gc_root_range_add",
                  "the exactness is not GC_EXACT or GC_AMBIGUOUS");
    expect_misuse(add_inexact_callback, "gc_root_callback_add",
                  "the exactness is not GC_EXACT or GC_AMBIGUOUS");
    expect_misuse(add_root_in_the_heap, "gc_root_add", "the slot lies in the heap");
    expect_misuse(add_the_first_word_of_the_heap, "gc_root_add", "the slot lies in the heap");
    expect_misuse(add_range_over_the_heap, "gc_root_range_add", "the slot lies in the heap");
}

static void unknown_roots_are_not_found(void **state)
{
    struct world *world = *state;
    void *slot = NULL;

    assert_int_equal(gc_root_remove(world->heap, &slot), GC_NOT_FOUND);
    assert_int_equal(gc_root_remove(world->heap, NULL), GC_NOT_FOUND);
    assert_int_equal(gc_root_range_remove(world->heap, &slot), GC_NOT_FOUND);
    assert_int_equal(gc_root_callback_remove(world->heap, no_roots, NULL), GC_NOT_FOUND);
    assert_int_equal(gc_root_remove(world->heap, world->root), GC_NOT_FOUND); /* a range */
    world->root[0] = make_node(world->mutator, 1);
    collect(world->mutator, 2);
    assert_int_equal(((struct node *)world->root[0])->value, 1);
}

static void an_empty_range_is_a_range(void **state)
{
    struct world *world = *state;

    assert_int_equal(gc_root_range_add(world->heap, slots, 0, GC_EXACT), GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(gc_root_range_remove(world->heap, slots), GC_OK);
    assert_int_equal(gc_root_range_add(world->heap, slots, 0, GC_AMBIGUOUS), GC_OK);
    collect(world->mutator, 2);
    assert_int_equal(gc_root_range_remove(world->heap, slots), GC_OK);
}

/* ---- Handles ------------------------------------------------------------ */

static void handle_of_foreign(void)
{
    make_doomed();
    (void)gc_handle_create(doomed->mutator, &foreign);
}

static void handle_of_foreign_unchecked(void)
{
    make_doomed_unchecked();
    (void)gc_handle_create(doomed->mutator, &foreign);
}

static void handle_of_tagged(void)
{
    make_doomed_unchecked();
    (void)gc_handle_create(doomed->mutator, (char *)doomed_node + 1);
}

static void handle_of_interior(void)
{
    make_doomed();
    (void)gc_handle_create(doomed->mutator, &doomed_node->right);
}

static void handle_set_to_foreign(void)
{
    make_doomed();
    gc_handle_set(doomed->mutator, gc_handle_create(doomed->mutator, NULL), &foreign);
}

static void handle_set_to_foreign_unchecked(void)
{
    make_doomed_unchecked();
    gc_handle_set(doomed->mutator, gc_handle_create(doomed->mutator, NULL), &foreign);
}

static void handles_to_foreign_pointers_are_refused(void **state)
{
    (void)state;
    expect_misuse(handle_of_foreign, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(handle_of_foreign_unchecked, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(handle_of_tagged, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(handle_of_interior, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(handle_set_to_foreign, "gc_handle_set", NOT_A_REFERENCE);
    expect_misuse(handle_set_to_foreign_unchecked, "gc_handle_set", NOT_A_REFERENCE);
}

static gc_handle *destroyed_handle(void)
{
    gc_handle *handle;

    make_doomed_unchecked();
    handle = gc_handle_create(doomed->mutator, NULL);
    gc_handle_destroy(doomed->mutator, handle);
    return handle;
}

static void destroy_handle_twice(void)
{
    gc_handle *handle = destroyed_handle();

    gc_handle_destroy(doomed->mutator, handle);
}

static void set_destroyed_handle(void)
{
    gc_handle *handle = destroyed_handle();

    gc_handle_set(doomed->mutator, handle, doomed_node);
}

static void set_null_handle(void)
{
    make_doomed();
    gc_handle_set(doomed->mutator, NULL, doomed_node);
}

static gc_handle *handle_of_another_heap(void)
{
    gc_handle *handle;

    make_doomed_unchecked();
    handle = gc_handle_create(doomed->mutator, NULL);
    make_doomed_unchecked();
    return handle;
}

static void set_handle_of_another_heap(void)
{
    gc_handle *handle = handle_of_another_heap();

    gc_handle_set(doomed->mutator, handle, doomed_node);
}

static void destroy_handle_of_another_heap(void)
{
    gc_handle *handle = handle_of_another_heap();

    gc_handle_destroy(doomed->mutator, handle);
}

/* Aligned, so that what is read around it is memory of this program. */
static void destroy_what_is_no_handle(void)
{
    static _Alignas(512) char memory[1024];

    make_doomed_unchecked();
    gc_handle_destroy(doomed->mutator, (gc_handle *)(void *)(memory + 600));
}

static void handles_are_used_while_they_live(void **state)
{
    (void)state;
    expect_misuse(destroy_handle_twice, "gc_handle_destroy", "this handle was destroyed already");
    expect_misuse(set_destroyed_handle, "gc_handle_set", "this handle was destroyed already");
    expect_misuse(set_null_handle, "gc_handle_set", "the handle is NULL");
}

static void handles_are_used_in_their_heap(void **state)
{
    (void)state;
    expect_misuse(set_handle_of_another_heap, "gc_handle_set", "this is not a handle of the heap");
    expect_misuse(destroy_handle_of_another_heap, "gc_handle_destroy",
                  "this is not a handle of the heap");
    expect_misuse(destroy_what_is_no_handle, "gc_handle_destroy",
                  "this is not a handle of the heap");
}

static void no_handle_may_be_destroyed(void **state)
{
    struct world *world = *state;

    gc_handle_destroy(world->mutator, NULL);
}

/* ---- Frames ------------------------------------------------------------- */

static void pop_the_lower_frame(void)
{
    struct node *a = NULL;
    struct node *b = NULL;

    make_doomed();
    GC_FRAME(doomed->mutator, one, &a);
    GC_FRAME(doomed->mutator, two, &b);
    gc_frame_pop(doomed->mutator, &one);
}

static void pop_a_frame_twice(void)
{
    struct node *a = NULL;

    make_doomed();
    GC_FRAME(doomed->mutator, frame, &a);
    gc_frame_pop(doomed->mutator, &frame);
    gc_frame_pop(doomed->mutator, &frame);
}

static void unwind_to_a_popped_frame(void)
{
    struct node *a = NULL;

    make_doomed();
    GC_FRAME(doomed->mutator, frame, &a);
    gc_frame_pop(doomed->mutator, &frame);
    gc_frame_unwind(doomed->mutator, &frame);
}

static void detach_with_a_frame(void)
{
    struct node *a = NULL;

    make_doomed();
    GC_FRAME(doomed->mutator, frame, &a);
    gc_mutator_detach(doomed->mutator);
}

#define NOT_PUSHED_LAST \
    "this frame is not the one pushed last; was a function left without gc_frame_pop?"

static void frames_must_nest(void **state)
{
    (void)state;
    expect_misuse(pop_the_lower_frame, "gc_frame_pop", NOT_PUSHED_LAST);
    expect_misuse(pop_a_frame_twice, "gc_frame_pop", NOT_PUSHED_LAST);
    expect_misuse(unwind_to_a_popped_frame, "gc_frame_unwind", "this frame is not pushed");
    expect_misuse(detach_with_a_frame, "gc_mutator_detach", "frames are still pushed");
}

/* ---- Reports of callbacks ----------------------------------------------- */

static void report_word(gc_tracer *tracer, void *data)
{
    gc_trace_word(tracer, (uintptr_t)data);
}

static void report_slot(gc_tracer *tracer, void *data)
{
    gc_trace_slot(tracer, data);
}

static void report_reference(gc_tracer *tracer, void *data)
{
    (void)gc_trace_reference(tracer, data);
}

static void collect_with_roots(gc_root_fn *roots, gc_exactness exactness)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, roots, doomed->root, exactness);
    gc_collect(doomed->mutator, 0, NULL);
}

static void word_from_exact_roots(void)
{
    collect_with_roots(report_word, GC_EXACT);
}

static void slot_from_ambiguous_roots(void)
{
    collect_with_roots(report_slot, GC_AMBIGUOUS);
}

static void reference_from_ambiguous_roots(void)
{
    collect_with_roots(report_reference, GC_AMBIGUOUS);
}

static const gc_type word_type = GC_TYPE_TRACED("word", struct node, report_word);

static void word_from_an_exact_type(void)
{
    make_doomed();
    doomed->root[0] = make_object(doomed->mutator, &word_type);
    gc_collect(doomed->mutator, 0, NULL);
}

/* Not condemned, but remembered. */
static void word_from_an_exact_holder(void)
{
    static gc_type type = GC_TYPE_TRACED("late", struct node, report_slot);

    make_doomed();
    doomed->root[0] = make_object(doomed->mutator, &type);
    gc_collect(doomed->mutator, 0, NULL);
    type.trace = report_word;
    gc_write_barrier(doomed->mutator, doomed->root[0]);
    gc_collect(doomed->mutator, 0, NULL);
}

static void word_to_the_verifier(void)
{
    make_doomed();
    doomed->root[0] = make_object(doomed->mutator, &word_type);
    (void)gc_verify(doomed->mutator);
}

static void callbacks_report_as_they_declared(void **state)
{
    static const char only_words[] = "only a callback declared ambiguous may call it";
    static const char only_exact[] = "only a trace callback of exact references may call it";

    (void)state;
    expect_misuse(word_from_exact_roots, "gc_trace_word", only_words);
    expect_misuse(slot_from_ambiguous_roots, "gc_trace_slot", only_exact);
    expect_misuse(reference_from_ambiguous_roots, "gc_trace_reference", only_exact);
    expect_misuse(word_from_an_exact_type, "gc_trace_word", only_words);
    expect_misuse(word_from_an_exact_holder, "gc_trace_word", only_words);
    expect_misuse(word_to_the_verifier, "gc_trace_word", only_words);
}

static gc_tracer *kept;

static void keep_tracer(gc_tracer *tracer, void *data)
{
    (void)data;
    kept = tracer;
}

static void slot_when_it_is_over(void)
{
    collect_with_roots(keep_tracer, GC_EXACT);
    gc_trace_slot(kept, doomed->root);
}

static void reference_when_it_is_over(void)
{
    collect_with_roots(keep_tracer, GC_EXACT);
    (void)gc_trace_reference(kept, doomed->root[0]);
}

static void word_when_it_is_over(void)
{
    collect_with_roots(keep_tracer, GC_AMBIGUOUS);
    gc_trace_word(kept, (uintptr_t)doomed->root[0]);
}

static void nothing_is_reported_outside_of_callbacks(void **state)
{
    (void)state;
    expect_misuse(slot_when_it_is_over, "gc_trace_slot",
                  "only a trace callback of exact references may call it");
    expect_misuse(reference_when_it_is_over, "gc_trace_reference",
                  "only a trace callback of exact references may call it");
    expect_misuse(word_when_it_is_over, "gc_trace_word",
                  "only a callback declared ambiguous may call it");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_registered_once),
        cmocka_unit_test(impossible_roots_are_refused),
        TEST(unknown_roots_are_not_found),
        TEST(an_empty_range_is_a_range),
        cmocka_unit_test(handles_to_foreign_pointers_are_refused),
        cmocka_unit_test(handles_are_used_while_they_live),
        cmocka_unit_test(handles_are_used_in_their_heap),
        TEST(no_handle_may_be_destroyed),
        cmocka_unit_test(frames_must_nest),
        cmocka_unit_test(callbacks_report_as_they_declared),
        cmocka_unit_test(nothing_is_reported_outside_of_callbacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
