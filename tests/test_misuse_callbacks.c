/* SPDX-License-Identifier: MIT
 *
 * What callbacks may call: those of a collection nothing, visits what neither
 * collects nor waits for other threads, the limit callback all but what ends the
 * mutator or the heap.
 */
#include "base/annotate.h"
#include "support/calls.h"

static void prepare(void)
{
    make_doomed();
    prepare_calls(doomed->mutator, doomed->root);
}

/* ---- From callbacks of a collection ------------------------------------- */

static void call_from_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
    call->make(doomed->mutator);
}

static void collect_with_calling_roots(void)
{
    prepare();
    (void)gc_root_callback_add(doomed->heap, call_from_roots, NULL, GC_EXACT);
    gc_collect(doomed->mutator, 0, NULL);
}

static void collect_with_calling_ambiguous_roots(void)
{
    prepare();
    (void)gc_root_callback_add(doomed->heap, call_from_roots, NULL, GC_AMBIGUOUS);
    gc_collect(doomed->mutator, 0, NULL);
}

static void root_callbacks_may_not_call_the_api(void **state)
{
    (void)state;
    expect_refused(CALL_MUTATOR | CALL_HEAP, collect_with_calling_roots, NOT_FROM_HERE);
    expect_refused(CALL_MUTATOR | CALL_HEAP, collect_with_calling_ambiguous_roots, NOT_FROM_HERE);
}

static void call_from_trace(gc_tracer *tracer, void *object)
{
    call_from_roots(tracer, object);
}

static const gc_type calling_type = GC_TYPE_TRACED("calling", struct node, call_from_trace);

static void collect_with_a_calling_object(void)
{
    prepare();
    doomed->root[0] = make_object(doomed->mutator, &calling_type);
    gc_collect(doomed->mutator, 0, NULL);
}

static void trace_callbacks_may_not_call_the_api(void **state)
{
    (void)state;
    expect_refused(CALL_MUTATOR | CALL_HEAP, collect_with_a_calling_object, NOT_FROM_HERE);
}

static void call_when_retired(void *data)
{
    call_from_roots(NULL, data);
}

static void retire_with_a_call(void)
{
    prepare();
    gc_type_retire(doomed->mutator, gc_type_create(doomed->mutator, &node_type, NULL),
                   call_when_retired, NULL);
    gc_collect(doomed->mutator, 2, NULL);
}

static void retired_callbacks_may_not_call_the_api(void **state)
{
    (void)state;
    expect_refused(CALL_MUTATOR | CALL_HEAP, retire_with_a_call, NOT_FROM_HERE);
}

/* ---- From a visit ------------------------------------------------------- */

static void call_from_visit(void *object, void *data)
{
    (void)object;
    call->make(data);
}

static void visit_and_call(void)
{
    prepare();
    gc_heap_visit(doomed->mutator, call_from_visit, doomed->mutator);
}

static void visits_may_not_collect(void **state)
{
    (void)state;
    expect_refused(CALL_INLINE | CALL_POLLS | CALL_COLLECTS | CALL_DETACHES | CALL_FORKS,
                   visit_and_call, NOT_FROM_HERE);
}

static void visit_with_nothing(void)
{
    make_doomed();
    gc_heap_visit(doomed->mutator, NULL, NULL);
}

static void a_visit_needs_a_callback(void **state)
{
    (void)state;
    expect_misuse(visit_with_nothing, "gc_heap_visit", "the callback is NULL");
}

static unsigned visited;

static void call_all_from_visit(void *object, void *data)
{
    (void)object;
    if (visited++ == 0)
        make_calls(CALL_OTHER | CALL_CHANGES | CALL_ASKS, data);
}

static void what_does_not_collect_may_be_called_in_a_visit(void **state)
{
    bool is_open; /* the inline path; not in all stress modes */

    (void)state;
    prepare();
    assert_non_null(gc_alloc(doomed->mutator, &node_type));
    is_open = gc_fast(doomed->mutator)->limit != 0;
    visited = 0;
    gc_heap_visit(doomed->mutator, call_all_from_visit, doomed->mutator);
    assert_true(visited >= 2);
    assert_non_null(gc_alloc(doomed->mutator, &node_type));
    assert_int_equal(gc_fast(doomed->mutator)->limit != 0, is_open);
    collect(doomed->mutator, 2);
    world_free(doomed);
}

/* ---- From the limit callback -------------------------------------------- */

static unsigned asked;

static bool call_at_limit(gc_mutator *mutator, size_t needed, void *data)
{
    (void)needed;
    (void)data;
    asked++;
    call->make(mutator);
    return false;
}

static bool call_all_at_limit(gc_mutator *mutator, size_t needed, void *data)
{
    (void)needed;
    (void)data;
    asked++;
    make_calls(CALL_INLINE | CALL_POLLS | CALL_COLLECTS | CALL_OTHER | CALL_CHANGES | CALL_ASKS,
               mutator);
    return false;
}

enum { LIMIT = 16 << 20 };

static void ask_for_too_much(gc_limit_fn *callback)
{
    gc_options options = test_options();

    options.stacks = GC_STACKS_EXACT;
    options.hard_limit = LIMIT;
    options.limit_callback = callback;
    doomed = world_make(&options);
    doomed->root[0] = make_node(doomed->mutator, 1);
    prepare_calls(doomed->mutator, doomed->root);
    asked = 0;
    assert_null(gc_alloc_array(doomed->mutator, &gc_type_bytes, LIMIT - 4096));
}

static void end_at_limit(void)
{
    ask_for_too_much(call_at_limit);
}

static void limit_callback_may_not_end_anything(void **state)
{
    (void)state;
    expect_refused(CALL_DETACHES, end_at_limit, NOT_FROM_HERE);
    expect_refused(CALL_DESTROYS, end_at_limit, "a mutator is still attached");
}

static void limit_callback_may_call_all_else(void **state)
{
    (void)state;
    ask_for_too_much(call_all_at_limit);
    assert_int_equal(asked, 1);
    assert_int_equal(((struct node *)doomed->root[0])->value, 1);
    collect(doomed->mutator, 2);
    world_free(doomed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_callbacks_may_not_call_the_api),
        cmocka_unit_test(trace_callbacks_may_not_call_the_api),
        cmocka_unit_test(retired_callbacks_may_not_call_the_api),
        cmocka_unit_test(visits_may_not_collect),
        cmocka_unit_test(a_visit_needs_a_callback),
        cmocka_unit_test(what_does_not_collect_may_be_called_in_a_visit),
        cmocka_unit_test(limit_callback_may_not_end_anything),
        cmocka_unit_test(limit_callback_may_call_all_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
