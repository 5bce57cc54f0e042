/* SPDX-License-Identifier: MIT
 *
 * Who may call what: not what is detached, NULL, or another thread's.
 */
#include "support/calls.h"

#include <strata/weak.h>

static void prepare(void)
{
    make_doomed();
    prepare_calls(doomed->mutator, doomed->root);
}

static void call_when_detached(void)
{
    prepare();
    gc_mutator_detach(doomed->mutator);
    call->make(doomed->mutator);
}

static void use_after_detach_is_refused(void **state)
{
    (void)state;
    expect_refused(CALL_MUTATOR, call_when_detached, NOT_MINE);
}

static void call_with_doomed(void)
{
    call->make(doomed->mutator);
}

/* A collection retires the run, so that an allocation cannot take the inline
 * path, which checks nothing. */
static void call_on_another_thread(void)
{
    prepare();
    gc_collect(doomed->mutator, 0, NULL);
    on_another_thread(call_with_doomed);
}

static void another_threads_mutator_is_refused(void **state)
{
    (void)state;
    expect_refused(CALL_MUTATOR & ~CALL_POLLS, call_on_another_thread, NOT_MINE);
}

static void call_with_null(void)
{
    prepare();
    call->make(NULL);
}

static void null_mutator_is_refused(void **state)
{
    (void)state;
    expect_refused(CALL_MUTATOR & ~(CALL_INLINE | CALL_POLLS), call_with_null,
                   "the mutator is NULL");
}

static void second_attachment_is_busy(void **state)
{
    struct world *world = *state;
    gc_mutator *second = world->mutator;

    assert_int_equal(gc_mutator_attach(world->heap, &second), GC_BUSY);
    assert_ptr_equal(second, world->mutator);
    assert_non_null(gc_alloc(world->mutator, &node_type));
}

/* ---- Functions that take a heap ----------------------------------------- */

static void call_with_null_heap(void)
{
    heap_to_call = NULL;
    call->make(NULL);
}

static void ask_no_heap_for_its_data(void)
{
    (void)gc_heap_data(NULL);
}

static void give_no_heap_data(void)
{
    gc_heap_set_data(NULL, NULL);
}

static void null_heap_is_refused(void **state)
{
    (void)state;
    expect_refused(CALL_HEAP, call_with_null_heap, "the heap is NULL");
    expect_misuse(ask_no_heap_for_its_data, "gc_heap_data", "the heap is NULL");
    expect_misuse(give_no_heap_data, "gc_heap_set_data", "the heap is NULL");
}

static void change_unattached(void)
{
    prepare();
    on_another_thread(call_with_doomed);
}

static void only_attached_threads_change_a_heap(void **state)
{
    (void)state;
    expect_refused(CALL_CHANGES, change_unattached, "this thread is not attached to the heap");
}

static void destroy_with_a_mutator(void)
{
    make_doomed();
    gc_heap_destroy(doomed->heap);
}

static void detach_here(gc_mutator *mutator, void *object, void *data)
{
    (void)object;
    (void)data;
    gc_mutator_detach(mutator);
}

static void detach_in_a_finalizer(void)
{
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = detach_here};

    make_doomed();
    (void)gc_finalizer_add(doomed->mutator, doomed_node, &finalizer, NULL);
    doomed->root[0] = NULL;
    gc_collect(doomed->mutator, GC_OLD, NULL);
    (void)gc_finalizers_run(doomed->mutator, 1);
}

static void a_finalizer_does_not_detach(void **state)
{
    (void)state;
    expect_misuse(detach_in_a_finalizer, "gc_mutator_detach",
                  "called from a finalizer, or one was left by longjmp");
}

static void ask_no_ephemeron(void)
{
    make_doomed();
    (void)gc_ephemeron_key(doomed->mutator, NULL);
}

static void a_null_ephemeron_is_refused(void **state)
{
    (void)state;
    expect_misuse(ask_no_ephemeron, "gc_ephemeron_key", "the ephemeron is NULL");
}

static void heap_outlives_its_mutators(void **state)
{
    (void)state;
    expect_misuse(destroy_with_a_mutator, "gc_heap_destroy", "a mutator is still attached");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(use_after_detach_is_refused),
        cmocka_unit_test(another_threads_mutator_is_refused),
        cmocka_unit_test(null_mutator_is_refused),
        TEST(second_attachment_is_busy),
        cmocka_unit_test(null_heap_is_refused),
        cmocka_unit_test(only_attached_threads_change_a_heap),
        cmocka_unit_test(heap_outlives_its_mutators),
        cmocka_unit_test(a_finalizer_does_not_detach),
        cmocka_unit_test(a_null_ephemeron_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
