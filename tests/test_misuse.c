/* SPDX-License-Identifier: MIT
 *
 * Bad input: each documented precondition with its message, each expected
 * failure with its status, and nothing lost by either.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */

#include "support/heap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_A_REFERENCE "this is not a reference to an object of the heap"
#define NOT_MINE "this mutator belongs to another thread, or is detached"
#define NOT_FROM_HERE "called from a callback that may not call it"

/* What dies is made in the child, and seen from all of it. */
static struct world *doomed;
static struct node *node;
static struct node outside;

static void make_doomed(void)
{
    gc_options options = test_options();

    options.check = GC_CHECK_CHEAP;
    options.stacks = GC_STACKS_EXACT;
    doomed = world_make(&options);
    doomed->root[0] = node = make_node(doomed->mutator, 1);
}

/* ---- Foreign pointers --------------------------------------------------- */

static void pin_foreign(void)
{
    make_doomed();
    (void)gc_pin(doomed->mutator, &outside);
}

static void pin_null(void)
{
    make_doomed();
    (void)gc_pin(doomed->mutator, NULL);
}

static void pin_interior(void)
{
    make_doomed();
    (void)gc_pin(doomed->mutator, &node->right);
}

static void pin_moved(void)
{
    make_doomed();
    gc_collect(doomed->mutator, 0, NULL);
    (void)gc_pin(doomed->mutator, node);
}

static void pin_of_another_heap(void)
{
    struct node *other;

    make_doomed();
    other = node;
    make_doomed();
    (void)gc_pin(doomed->mutator, other);
}

static void pin_once_foreign(void)
{
    make_doomed();
    (void)gc_pin_once(doomed->mutator, &outside);
}

static void unpin_foreign(void)
{
    make_doomed();
    (void)gc_unpin(doomed->mutator, &outside);
}

static void generation_of_foreign(void)
{
    make_doomed();
    (void)gc_generation_of(doomed->mutator, &outside);
}

static void generation_of_null(void)
{
    make_doomed();
    (void)gc_generation_of(doomed->mutator, NULL);
}

static void charge_foreign(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, &outside, 100);
}

static void class_of_foreign(void)
{
    make_doomed();
    (void)gc_type_create(doomed->mutator, &node_type, &outside);
}

static void handle_of_foreign(void)
{
    make_doomed();
    (void)gc_handle_create(doomed->mutator, &outside);
}

static void handle_set_to_foreign(void)
{
    make_doomed();
    gc_handle_set(doomed->mutator, gc_handle_create(doomed->mutator, NULL), &outside);
}

static void copy_into_foreign(void)
{
    void *slot[2] = {NULL, NULL};

    make_doomed();
    gc_copy(doomed->mutator, &outside, slot, slot + 1, 1);
}

static void foreign_pointers_are_refused(void **state)
{
    (void)state;
    expect_abort(pin_foreign, "strata: gc_pin: " NOT_A_REFERENCE);
    expect_abort(pin_null, "strata: gc_pin: the object is NULL");
    expect_abort(pin_interior, "strata: gc_pin: " NOT_A_REFERENCE);
    expect_abort(pin_moved, "strata: gc_pin: " NOT_A_REFERENCE);
    expect_abort(pin_of_another_heap, "strata: gc_pin: " NOT_A_REFERENCE);
    expect_abort(pin_once_foreign, "strata: gc_pin_once: " NOT_A_REFERENCE);
    expect_abort(unpin_foreign, "strata: gc_unpin: " NOT_A_REFERENCE);
    expect_abort(generation_of_foreign, "strata: gc_generation_of: " NOT_A_REFERENCE);
    expect_abort(generation_of_null, "strata: gc_generation_of: the object is NULL");
    expect_abort(charge_foreign, "strata: gc_external_adjust: " NOT_A_REFERENCE);
    expect_abort(class_of_foreign, "strata: gc_type_create: " NOT_A_REFERENCE);
    expect_abort(copy_into_foreign, "strata: gc_copy: " NOT_A_REFERENCE);
}

static void handles_to_foreign_pointers_are_refused(void **state)
{
    (void)state;
    expect_abort(handle_of_foreign, "strata: gc_handle_create: " NOT_A_REFERENCE);
    expect_abort(handle_set_to_foreign, "strata: gc_handle_set: " NOT_A_REFERENCE);
}

/* ---- Roots and handles -------------------------------------------------- */

static void add_root_twice(void)
{
    static void *slot;

    make_doomed();
    (void)gc_root_add(doomed->heap, &slot);
    (void)gc_root_add(doomed->heap, &slot);
}

static void add_range_twice(void)
{
    static void *slots[2];

    make_doomed();
    (void)gc_root_range_add(doomed->heap, slots, 2, GC_EXACT);
    (void)gc_root_range_add(doomed->heap, slots, 1, GC_AMBIGUOUS);
}

static void no_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
}

static void add_callback_twice(void)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, no_roots, NULL, GC_EXACT);
    (void)gc_root_callback_add(doomed->heap, no_roots, NULL, GC_EXACT);
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
    static void *slots[2];

    make_doomed();
    (void)gc_root_add(doomed->heap, (char *)slots + 1);
}

static void roots_are_registered_once(void **state)
{
    (void)state;
    expect_abort(add_root_twice, "strata: gc_root_add: this root is registered already");
    expect_abort(add_range_twice, "strata: gc_root_range_add: this root is registered already");
    expect_abort(add_callback_twice,
                 "strata: gc_root_callback_add: this root is registered already");
}

static void impossible_roots_are_refused(void **state)
{
    (void)state;
    expect_abort(add_null_root, "strata: gc_root_add: the slot is NULL");
    expect_abort(add_null_range, "strata: gc_root_range_add: the slot is NULL");
    expect_abort(add_null_callback, "strata: gc_root_callback_add: the callback is NULL");
    expect_abort(add_odd_root, "strata: gc_root_add: the slot is not aligned to a word");
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

static void destroy_handle_twice(void)
{
    gc_handle *handle;

    make_doomed();
    handle = gc_handle_create(doomed->mutator, NULL);
    gc_handle_destroy(doomed->mutator, handle);
    gc_handle_destroy(doomed->mutator, handle);
}

static void handles_are_destroyed_once(void **state)
{
    (void)state;
    expect_abort(destroy_handle_twice,
                 "strata: gc_handle_destroy: this handle was destroyed already");
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

static void frames_must_nest(void **state)
{
    (void)state;
    expect_abort(pop_the_lower_frame,
                 "strata: gc_frame_pop: this frame is not the one pushed last");
    expect_abort(pop_a_frame_twice, "strata: gc_frame_pop: this frame is not the one pushed last");
    expect_abort(unwind_to_a_popped_frame, "strata: gc_frame_unwind: this frame is not pushed");
    expect_abort(detach_with_a_frame, "strata: gc_mutator_detach: frames are still pushed");
}

/* ---- Mutators: detached, NULL, another thread's ------------------------- */

static void allocate(gc_mutator *mutator)
{
    (void)gc_alloc(mutator, &node_type);
}

static void allocate_array(gc_mutator *mutator)
{
    (void)gc_alloc_array(mutator, &gc_type_bytes, 10);
}

static void collect_young(gc_mutator *mutator)
{
    gc_collect(mutator, 0, NULL);
}

static void compact_all(gc_mutator *mutator)
{
    gc_compact(mutator, NULL);
}

static void trim(gc_mutator *mutator)
{
    (void)gc_trim(mutator);
}

static void pin_the_node(gc_mutator *mutator)
{
    (void)gc_pin(mutator, node);
}

static void unpin_the_node(gc_mutator *mutator)
{
    (void)gc_unpin(mutator, node);
}

static void pin_the_node_once(gc_mutator *mutator)
{
    (void)gc_pin_once(mutator, node);
}

static void create_handle(gc_mutator *mutator)
{
    (void)gc_handle_create(mutator, NULL);
}

static void disable(gc_mutator *mutator)
{
    gc_disable(mutator);
}

static void enable(gc_mutator *mutator)
{
    gc_enable(mutator);
}

static void ask_for_an_object(gc_mutator *mutator)
{
    (void)gc_is_object(mutator, NULL);
}

static void ask_where(gc_mutator *mutator)
{
    (void)gc_object_at(mutator, NULL);
}

static void ask_generation(gc_mutator *mutator)
{
    (void)gc_generation_of(mutator, node);
}

static void ignore_object(void *object, void *data)
{
    (void)object;
    (void)data;
}

static void visit(gc_mutator *mutator)
{
    gc_heap_visit(mutator, ignore_object, NULL);
}

static void charge(gc_mutator *mutator)
{
    (void)gc_external_adjust(mutator, NULL, 1);
}

static void create_type(gc_mutator *mutator)
{
    (void)gc_type_create(mutator, &node_type, NULL);
}

static void verify(gc_mutator *mutator)
{
    (void)gc_verify(mutator);
}

static void unwind(gc_mutator *mutator)
{
    gc_frame_unwind(mutator, NULL);
}

static const struct call {
    void (*make)(gc_mutator *mutator);
    const char *function;
} calls[] = {
    {allocate, "gc_alloc"},
    {allocate_array, "gc_alloc"},
    {collect_young, "gc_collect"},
    {compact_all, "gc_compact"},
    {trim, "gc_trim"},
    {pin_the_node, "gc_pin"},
    {unpin_the_node, "gc_unpin"},
    {pin_the_node_once, "gc_pin_once"},
    {create_handle, "gc_handle_create"},
    {disable, "gc_disable"},
    {enable, "gc_enable"},
    {ask_for_an_object, "gc_is_object"},
    {ask_where, "gc_object_at"},
    {ask_generation, "gc_generation_of"},
    {visit, "gc_heap_visit"},
    {charge, "gc_external_adjust"},
    {create_type, "gc_type_create"},
    {verify, "gc_verify"},
    {unwind, "gc_frame_unwind"},
    {gc_mutator_detach, "gc_mutator_detach"},
};

static const struct call *call; /* the one to be made */

static void expect_each_call_to_abort(void (*act)(void), const char *cause)
{
    char message[200];

    for (unsigned i = 0; i < GC_COUNT(calls); i++) {
        call = &calls[i];
        (void)snprintf(message, sizeof message, "strata: %s: %s", call->function, cause);
        expect_abort(act, message);
    }
}

static void call_when_detached(void)
{
    make_doomed();
    gc_mutator_detach(doomed->mutator);
    call->make(doomed->mutator);
}

static void use_after_detach_is_refused(void **state)
{
    (void)state;
    expect_each_call_to_abort(call_when_detached, NOT_MINE);
}

static void *call_with_doomed(void *data)
{
    call->make(data);
    return NULL;
}

/* Fills the run first, so that an allocation cannot take the inline path, which
 * checks nothing. */
static void call_on_another_thread(void)
{
    pthread_t thread;

    make_doomed();
    gc_collect(doomed->mutator, 0, NULL);
    node = doomed->root[0];
    if (pthread_create(&thread, NULL, call_with_doomed, doomed->mutator) == 0)
        (void)pthread_join(thread, NULL);
}

static void another_threads_mutator_is_refused(void **state)
{
    (void)state;
    expect_each_call_to_abort(call_on_another_thread, NOT_MINE);
}

static void call_with_null(void)
{
    make_doomed();
    call->make(NULL);
}

/* All but what is inline: gc_alloc reads through the pointer at once. */
static void null_mutator_is_refused(void **state)
{
    char message[200];

    (void)state;
    for (unsigned i = 2; i < GC_COUNT(calls); i++) {
        call = &calls[i];
        (void)snprintf(message, sizeof message, "strata: %s: the mutator is NULL", call->function);
        expect_abort(call_with_null, message);
    }
}

static void destroy_with_a_mutator(void)
{
    make_doomed();
    gc_heap_destroy(doomed->heap);
}

static void heap_outlives_its_mutators(void **state)
{
    (void)state;
    expect_abort(destroy_with_a_mutator, "strata: gc_heap_destroy: a mutator is still attached");
}

static void second_attachment_is_busy(void **state)
{
    struct world *world = *state;
    gc_mutator *second = world->mutator;

    assert_int_equal(gc_mutator_attach(world->heap, &second), GC_BUSY);
    assert_ptr_equal(second, world->mutator);
    assert_non_null(gc_alloc(world->mutator, &node_type));
}

/* ---- Calls from callbacks ----------------------------------------------- */

static void call_from_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
    call->make(doomed->mutator);
}

static void collect_with_calling_roots(void)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, call_from_roots, NULL, GC_EXACT);
    gc_collect(doomed->mutator, 0, NULL);
}

static void collect_with_calling_ambiguous_roots(void)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, call_from_roots, NULL, GC_AMBIGUOUS);
    gc_collect(doomed->mutator, 0, NULL);
}

static void root_callbacks_may_not_call_the_api(void **state)
{
    (void)state;
    expect_each_call_to_abort(collect_with_calling_roots, NOT_FROM_HERE);
    expect_each_call_to_abort(collect_with_calling_ambiguous_roots, NOT_FROM_HERE);
}

static void call_from_trace(gc_tracer *tracer, void *object)
{
    (void)tracer;
    (void)object;
    call->make(doomed->mutator);
}

static const gc_type calling_type = GC_TYPE_TRACED("calling", struct node, call_from_trace);

static void collect_with_a_calling_object(void)
{
    make_doomed();
    doomed->root[0] = make_object(doomed->mutator, &calling_type);
    gc_collect(doomed->mutator, 0, NULL);
}

static void trace_callbacks_may_not_call_the_api(void **state)
{
    (void)state;
    expect_each_call_to_abort(collect_with_a_calling_object, NOT_FROM_HERE);
}

static void call_when_retired(void *data)
{
    (void)data;
    call->make(doomed->mutator);
}

static void retire_with_a_call(void)
{
    make_doomed();
    gc_type_retire(doomed->mutator, gc_type_create(doomed->mutator, &node_type, NULL),
                   call_when_retired, NULL);
    gc_collect(doomed->mutator, 2, NULL);
}

static void retired_callbacks_may_not_call_the_api(void **state)
{
    (void)state;
    expect_each_call_to_abort(retire_with_a_call, NOT_FROM_HERE);
}

static void collect_from_visit(void *object, void *data)
{
    (void)object;
    (void)data;
    gc_collect(doomed->mutator, 0, NULL);
}

static void visit_and_collect(void)
{
    make_doomed();
    gc_heap_visit(doomed->mutator, collect_from_visit, NULL);
}

static void visits_may_not_collect(void **state)
{
    (void)state;
    expect_abort(visit_and_collect, "strata: gc_collect: " NOT_FROM_HERE);
}

static void add_root_from_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)gc_root_add(doomed->heap, data);
}

static void collect_with_roots_that_add(void)
{
    static void *slot;

    make_doomed();
    (void)gc_root_callback_add(doomed->heap, add_root_from_roots, &slot, GC_EXACT);
    gc_collect(doomed->mutator, 0, NULL);
}

static void root_callbacks_may_not_change_the_roots(void **state)
{
    (void)state;
    expect_abort(collect_with_roots_that_add, "strata: gc_root_add: " NOT_FROM_HERE);
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

static void callbacks_report_as_they_declared(void **state)
{
    (void)state;
    expect_abort(word_from_exact_roots,
                 "strata: gc_trace_word: only a callback declared ambiguous may call it");
    expect_abort(slot_from_ambiguous_roots,
                 "strata: gc_trace_slot: only a trace callback of exact references may call it");
    expect_abort(
        reference_from_ambiguous_roots,
        "strata: gc_trace_reference: only a trace callback of exact references may call it");
    expect_abort(word_from_an_exact_type,
                 "strata: gc_trace_word: only a callback declared ambiguous may call it");
}

/* ---- Types -------------------------------------------------------------- */

static gc_type odd;

static void allocate_odd(uint8_t kind, uint8_t alignment, size_t length)
{
    make_doomed();
    odd = (gc_type)GC_TYPE_LEAF("odd", struct node);
    odd.object_bytes = GC_OUT_OF_LINE;
    odd.kind = kind;
    odd.alignment = alignment;
    (void)gc_alloc_array(doomed->mutator, &odd, length);
}

static void allocate_misaligned(void)
{
    allocate_odd(GC_KIND_LEAF, 24, 0);
}

static void allocate_overaligned(void)
{
    allocate_odd(GC_KIND_LEAF, 128, 0);
}

static void allocate_untraced(void)
{
    allocate_odd(GC_KIND_TRACED, 16, 0);
}

static void allocate_array_of_fixed(void)
{
    allocate_odd(GC_KIND_LEAF, 16, 5);
}

static void impossible_types_are_refused(void **state)
{
    (void)state;
    expect_abort(allocate_misaligned,
                 "strata: gc_alloc: the type's alignment is not 8, 16, 32 or 64");
    expect_abort(allocate_overaligned,
                 "strata: gc_alloc: the type's alignment is not 8, 16, 32 or 64");
    expect_abort(allocate_untraced, "strata: gc_alloc: a traced type has no trace callback");
    expect_abort(allocate_array_of_fixed, "strata: gc_alloc_array: the type has no array part");
}

static void retire_twice(void)
{
    gc_type *type;

    make_doomed();
    type = gc_type_create(doomed->mutator, &node_type, NULL);
    gc_type_retire(doomed->mutator, type, NULL, NULL);
    gc_type_retire(doomed->mutator, type, NULL, NULL);
}

static void retire_static(void)
{
    make_doomed();
    odd = node_type;
    gc_type_retire(doomed->mutator, &odd, NULL, NULL);
}

static void only_made_types_are_retired(void **state)
{
    (void)state;
    expect_abort(retire_static, "strata: gc_type_retire: this type was not made by gc_type_create");
}

static void types_are_retired_once(void **state)
{
    (void)state;
    expect_abort(retire_twice, "strata: gc_type_retire: this type is retired already");
}

/* ---- Numbers ------------------------------------------------------------ */

static void enable_enabled(void)
{
    make_doomed();
    gc_disable(doomed->mutator);
    gc_enable(doomed->mutator);
    gc_enable(doomed->mutator);
}

static void take_away_too_much(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, NULL, 100);
    (void)gc_external_adjust(doomed->mutator, NULL, -101);
}

static void take_away_the_least_number(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, NULL, PTRDIFF_MIN);
}

static void take_away_from_another(void)
{
    make_doomed();
    (void)gc_external_adjust(doomed->mutator, NULL, 100);
    (void)gc_external_adjust(doomed->mutator, node, 10);
    (void)gc_external_adjust(doomed->mutator, node, -11);
}

static void report_of_wrong_size(void)
{
    gc_report report = {.size = sizeof report - 8};

    make_doomed();
    gc_collect(doomed->mutator, 0, &report);
}

static void compact_report_of_wrong_size(void)
{
    gc_report report = {.size = 0};

    make_doomed();
    gc_compact(doomed->mutator, &report);
}

static void threshold_of_no_generation(void)
{
    make_doomed();
    (void)gc_threshold(doomed->heap, 3);
}

static void set_threshold_of_no_generation(void)
{
    make_doomed();
    (void)gc_threshold_set(doomed->heap, 3, 1);
}

static void count_of_no_generation(void)
{
    make_doomed();
    (void)gc_count(doomed->heap, 3);
}

static void impossible_numbers_are_refused(void **state)
{
    (void)state;
    expect_abort(enable_enabled, "strata: gc_enable: there was no gc_disable");
    expect_abort(take_away_too_much, "strata: gc_external_adjust: less is held outside than this");
    expect_abort(take_away_the_least_number,
                 "strata: gc_external_adjust: less is held outside than this");
    expect_abort(take_away_from_another,
                 "strata: gc_external_adjust: the object was charged less than this");
    expect_abort(report_of_wrong_size, "strata: gc_collect: report->size is not sizeof(gc_report)");
    expect_abort(compact_report_of_wrong_size,
                 "strata: gc_compact: report->size is not sizeof(gc_report)");
    expect_abort(threshold_of_no_generation,
                 "strata: gc_threshold: there are generations 0, 1 and 2");
    expect_abort(set_threshold_of_no_generation,
                 "strata: gc_threshold_set: there are generations 0, 1 and 2");
    expect_abort(count_of_no_generation, "strata: gc_count: there are generations 0, 1 and 2");
}

/* ---- Options ------------------------------------------------------------ */

/* Refused with this status and a reason; the heap pointer is as it was. */
static void assert_refused(const gc_options *options, gc_status status)
{
    gc_heap *const before = (gc_heap *)&outside;
    gc_heap *heap = before;

    assert_int_equal(gc_heap_create(options, &heap), status);
    assert_ptr_equal(heap, before);
    assert_true(strlen(gc_options_explain(options)) > 0);
}

static void options_of_wrong_size_are_refused(void **state)
{
    static const size_t sizes[] = {0, 1, sizeof(gc_options) - 8, sizeof(gc_options) + 8, SIZE_MAX};
    gc_options options = test_options();

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        options.size = sizes[i];
        assert_refused(&options, GC_BAD_SIZE);
    }
}

static void unknown_values_of_options_are_refused(void **state)
{
    gc_options options = test_options();

    (void)state;
    options.stacks = (gc_stacks)7;
    assert_refused(&options, GC_BAD_OPTION);
    options = test_options();
    options.barriers = (gc_barriers)7;
    assert_refused(&options, GC_BAD_OPTION);
    options = test_options();
    options.check = (gc_check)7;
    assert_refused(&options, GC_BAD_OPTION);
}

static void impossible_numbers_in_options_are_refused(void **state)
{
    gc_options options = test_options();

    (void)state;
    options.nursery_min = options.nursery_max + 1;
    assert_refused(&options, GC_BAD_OPTION);
    options = test_options();
    options.nursery_max = options.hard_limit + 1;
    assert_refused(&options, GC_BAD_OPTION);
    options = test_options();
    options.gc_share_percent = 101;
    assert_refused(&options, GC_BAD_OPTION);
    options = test_options();
    options.hard_limit = SIZE_MAX;
    assert_refused(&options, GC_BAD_OPTION);
    options = test_options();
    options.hard_limit = 1;
    assert_refused(&options, GC_BAD_OPTION);
}

static void malformed_settings_are_refused(void **state)
{
    static const char *const settings[] = {"nonsense=1",
                                           "check",
                                           "check=",
                                           "check=deeper",
                                           "hard-limit=",
                                           "hard-limit=-1",
                                           "hard-limit=1Q",
                                           "hard-limit=1MM",
                                           "threshold1=99999999999",
                                           "check=deep,,",
                                           "=",
                                           "stress=no-such-mode",
                                           "stacks=neither",
                                           "barriers=some"};
    gc_options options = test_options();

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(settings); i++) {
        options.settings = settings[i];
        assert_refused(&options, GC_BAD_OPTION);
    }
}

static void overlong_settings_are_refused(void **state)
{
    gc_options options = test_options();
    char text[100000];

    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    options.settings = text;
    assert_refused(&options, GC_BAD_OPTION);
}

static void malformed_environment_is_refused(void **state)
{
    const char *before = getenv("STRATA_OPTIONS");
    char *kept = before == NULL ? NULL : strdup(before);
    gc_options options = test_options();

    (void)state;
    assert_int_equal(setenv("STRATA_OPTIONS", "nonsense=1", 1), 0);
    assert_refused(&options, GC_BAD_OPTION);
    assert_refused(NULL, GC_BAD_OPTION);
    if (kept == NULL)
        assert_int_equal(unsetenv("STRATA_OPTIONS"), 0);
    else
        assert_int_equal(setenv("STRATA_OPTIONS", kept, 1), 0);
    free(kept);
}

static void good_options_need_no_explanation(void **state)
{
    gc_options options = test_options();

    (void)state;
    assert_string_equal(gc_options_explain(&options), "");
    assert_string_equal(gc_options_explain(NULL), "");
}

static void statistics_of_wrong_size_are_refused(void **state)
{
    struct world *world = *state;
    gc_stats stats = {.size = sizeof stats - 1, .live_bytes = 77};

    assert_int_equal(gc_stats_get(world->heap, &stats), GC_BAD_SIZE);
    assert_int_equal(stats.live_bytes, 77);
}

static void impossible_thresholds_are_refused(void **state)
{
    struct world *world = *state;
    size_t before = gc_threshold(world->heap, 1);

    assert_int_equal(gc_threshold_set(world->heap, 0, SIZE_MAX), GC_BAD_OPTION);
    assert_int_equal(gc_threshold_set(world->heap, 1, 0), GC_BAD_OPTION);
    assert_int_equal(gc_threshold_set(world->heap, 1, SIZE_MAX), GC_BAD_OPTION);
    assert_int_equal(gc_threshold(world->heap, 1), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_pointers_are_refused),
        cmocka_unit_test(handles_to_foreign_pointers_are_refused),
        cmocka_unit_test(roots_are_registered_once),
        cmocka_unit_test(impossible_roots_are_refused),
        TEST(unknown_roots_are_not_found),
        cmocka_unit_test(handles_are_destroyed_once),
        cmocka_unit_test(frames_must_nest),
        cmocka_unit_test(use_after_detach_is_refused),
        cmocka_unit_test(another_threads_mutator_is_refused),
        cmocka_unit_test(null_mutator_is_refused),
        cmocka_unit_test(heap_outlives_its_mutators),
        TEST(second_attachment_is_busy),
        cmocka_unit_test(root_callbacks_may_not_call_the_api),
        cmocka_unit_test(trace_callbacks_may_not_call_the_api),
        cmocka_unit_test(retired_callbacks_may_not_call_the_api),
        cmocka_unit_test(visits_may_not_collect),
        cmocka_unit_test(root_callbacks_may_not_change_the_roots),
        cmocka_unit_test(callbacks_report_as_they_declared),
        cmocka_unit_test(impossible_types_are_refused),
        cmocka_unit_test(types_are_retired_once),
        cmocka_unit_test(only_made_types_are_retired),
        cmocka_unit_test(impossible_numbers_are_refused),
        cmocka_unit_test(options_of_wrong_size_are_refused),
        cmocka_unit_test(unknown_values_of_options_are_refused),
        cmocka_unit_test(impossible_numbers_in_options_are_refused),
        cmocka_unit_test(malformed_settings_are_refused),
        cmocka_unit_test(overlong_settings_are_refused),
        cmocka_unit_test(malformed_environment_is_refused),
        cmocka_unit_test(good_options_need_no_explanation),
        TEST(statistics_of_wrong_size_are_refused),
        TEST(impossible_thresholds_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
