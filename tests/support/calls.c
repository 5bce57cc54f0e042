/* SPDX-License-Identifier: MIT */
#include "support/calls.h"

#include <strata/coroutine.h>
#include <strata/fork.h>
#include <strata/table.h>
#include <strata/weak.h>

gc_heap *heap_to_call;
const struct call *call;

/* What the calls are about, made before they are. */
static gc_handle *handle;
static gc_type *made_type;
static void *array;
static void *table;
static max_align_t stack[64];
static gc_coroutine *coroutine;

void prepare_calls(gc_mutator *mutator, void **roots)
{
    handle = gc_handle_create(mutator, NULL);
    made_type = gc_type_create(mutator, &node_type, NULL);
    roots[1] = make_array(mutator, &gc_type_references, 2);
    roots[2] = gc_table_create(mutator, GC_TABLE_STRONG, NULL, NULL, NULL);
    table = roots[2];
    heap_to_call = gc_mutator_heap(mutator);
    array = roots[1];
    assert_int_equal(gc_pin(mutator, array), GC_OK);
    assert_int_equal(gc_pin(mutator, table), GC_OK);
    coroutine = gc_coroutine_register(mutator, stack, sizeof stack, GC_EXACT);
    assert_non_null(coroutine);
}

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

static void freeze_all(gc_mutator *mutator)
{
    gc_freeze(mutator, 0);
}

static void unfreeze_all(gc_mutator *mutator)
{
    gc_unfreeze(mutator);
}

static void compact_all(gc_mutator *mutator)
{
    gc_compact(mutator, NULL);
}

static void trim(gc_mutator *mutator)
{
    (void)gc_trim(mutator);
}

static void pin_the_array(gc_mutator *mutator)
{
    (void)gc_pin(mutator, array);
}

static void unpin_the_array(gc_mutator *mutator)
{
    (void)gc_unpin(mutator, array);
}

static void pin_the_array_once(gc_mutator *mutator)
{
    (void)gc_pin_once(mutator, array);
}

static void create_handle(gc_mutator *mutator)
{
    (void)gc_handle_create(mutator, NULL);
}

static void set_handle(gc_mutator *mutator)
{
    gc_handle_set(mutator, handle, NULL);
}

static void destroy_handle(gc_mutator *mutator)
{
    gc_handle_destroy(mutator, handle);
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
    (void)gc_generation_of(mutator, array);
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

static void copy(gc_mutator *mutator)
{
    void *nothing = NULL;

    gc_copy(mutator, array, array, &nothing, 1);
}

static void create_type(gc_mutator *mutator)
{
    (void)gc_type_create(mutator, &node_type, NULL);
}

static void retire_type(gc_mutator *mutator)
{
    gc_type_retire(mutator, made_type, NULL, NULL);
}

static void verify(gc_mutator *mutator)
{
    (void)gc_verify(mutator);
}

static void unwind(gc_mutator *mutator)
{
    gc_frame_unwind(mutator, NULL);
}

static void *slot;

static void no_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
}

static void add_root(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_root_add(heap_to_call, &slot);
}

static void remove_root(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_root_remove(heap_to_call, &slot);
}

static void add_range(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_root_range_add(heap_to_call, &slot, 1, GC_EXACT);
}

static void remove_range(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_root_range_remove(heap_to_call, &slot);
}

static void add_callback(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_root_callback_add(heap_to_call, no_roots, NULL, GC_EXACT);
}

static void remove_callback(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_root_callback_remove(heap_to_call, no_roots, NULL);
}

static void set_limit(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_limit_set(heap_to_call, 0, 0);
}

static void set_threshold(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_threshold_set(heap_to_call, 0, 0);
}

static void register_stack(gc_mutator *mutator)
{
    (void)gc_coroutine_register(mutator, stack, sizeof stack, GC_EXACT);
}

static void unregister_stack(gc_mutator *mutator)
{
    gc_coroutine_unregister(mutator, coroutine);
}

static void switch_stack(gc_mutator *mutator)
{
    gc_coroutine_switch(mutator, coroutine);
}

static void create_table(gc_mutator *mutator)
{
    (void)gc_table_create(mutator, GC_TABLE_STRONG, NULL, NULL, NULL);
}

static void put(gc_mutator *mutator)
{
    (void)gc_table_put(mutator, table, array, NULL);
}

static void get(gc_mutator *mutator)
{
    (void)gc_table_get(mutator, table, array, NULL);
}

static void take_out(gc_mutator *mutator)
{
    (void)gc_table_remove(mutator, table, array);
}

static void clear_table(gc_mutator *mutator)
{
    gc_table_clear(mutator, table);
}

static void count_table(gc_mutator *mutator)
{
    (void)gc_table_count(mutator, table);
}

static void step(gc_mutator *mutator)
{
    size_t position = 0;

    (void)gc_table_next(mutator, table, &position, NULL, NULL);
}

static void fit(gc_mutator *mutator)
{
    (void)gc_table_fit(mutator, table, 1);
}

static void follow(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_fork_follow(heap_to_call);
}

static void prepare_fork(gc_mutator *mutator)
{
    (void)mutator;
    gc_fork_prepare(heap_to_call);
}

static void end_in_parent(gc_mutator *mutator)
{
    (void)mutator;
    gc_fork_parent(heap_to_call);
}

static void end_in_child(gc_mutator *mutator)
{
    (void)mutator;
    gc_fork_child(heap_to_call);
}

static void ask_figures(gc_mutator *mutator)
{
    gc_stats stats = {.size = sizeof stats};

    (void)mutator;
    (void)gc_stats_get(heap_to_call, &stats);
}

static void ask_threshold(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_threshold(heap_to_call, GC_YOUNG);
}

static void ask_count(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_count(heap_to_call, GC_YOUNG);
}

static void ask_what_is_next(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_next_generation(heap_to_call, NULL, NULL);
}

static void ask_reason(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_last_reason(heap_to_call);
}

static void ask_whether_enabled(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_is_enabled(heap_to_call);
}

static void ask_what_is_pending(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_finalizers_pending(heap_to_call);
}

static void ask_frozen_objects(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_frozen_objects(heap_to_call);
}

static void ask_frozen_bytes(gc_mutator *mutator)
{
    (void)mutator;
    (void)gc_frozen_bytes(heap_to_call);
}

static void finalize_at_the_end(gc_mutator *mutator)
{
    (void)mutator;
    gc_finalizers_at_destroy(heap_to_call, true);
}

static void attach(gc_mutator *mutator)
{
    (void)gc_mutator_attach(heap_to_call, &mutator);
}

static void destroy(gc_mutator *mutator)
{
    (void)mutator;
    gc_heap_destroy(heap_to_call);
}

/* In this order, they undo each other. */
static const struct call calls[] = {
    {allocate, "gc_alloc", CALL_INLINE},
    {allocate_array, "gc_alloc", CALL_INLINE},
    {gc_safepoint, "gc_safepoint", CALL_POLLS},
    {collect_young, "gc_collect", CALL_COLLECTS},
    {compact_all, "gc_compact", CALL_COLLECTS},
    {freeze_all, "gc_freeze", CALL_COLLECTS},
    {unfreeze_all, "gc_unfreeze", CALL_COLLECTS},
    {gc_mutator_detach, "gc_mutator_detach", CALL_DETACHES},
    {trim, "gc_trim", CALL_OTHER},
    {pin_the_array, "gc_pin", CALL_OTHER},
    {unpin_the_array, "gc_unpin", CALL_OTHER},
    {pin_the_array_once, "gc_pin_once", CALL_OTHER},
    {create_handle, "gc_handle_create", CALL_OTHER},
    {set_handle, "gc_handle_set", CALL_OTHER},
    {destroy_handle, "gc_handle_destroy", CALL_OTHER},
    {gc_disable, "gc_disable", CALL_OTHER},
    {enable, "gc_enable", CALL_OTHER},
    {ask_for_an_object, "gc_is_object", CALL_OTHER},
    {ask_where, "gc_object_at", CALL_OTHER},
    {ask_generation, "gc_generation_of", CALL_OTHER},
    {visit, "gc_heap_visit", CALL_OTHER},
    {charge, "gc_external_adjust", CALL_OTHER},
    {copy, "gc_copy", CALL_OTHER},
    {create_type, "gc_type_create", CALL_OTHER},
    {retire_type, "gc_type_retire", CALL_OTHER},
    {verify, "gc_verify", CALL_OTHER},
    {unwind, "gc_frame_unwind", CALL_OTHER},
    {add_root, "gc_root_add", CALL_CHANGES},
    {remove_root, "gc_root_remove", CALL_CHANGES},
    {add_range, "gc_root_range_add", CALL_CHANGES},
    {remove_range, "gc_root_range_remove", CALL_CHANGES},
    {add_callback, "gc_root_callback_add", CALL_CHANGES},
    {remove_callback, "gc_root_callback_remove", CALL_CHANGES},
    {set_limit, "gc_limit_set", CALL_CHANGES},
    {set_threshold, "gc_threshold_set", CALL_CHANGES},
    {register_stack, "gc_coroutine_register", CALL_OTHER},
    {switch_stack, "gc_coroutine_switch", CALL_SWITCHES},
    {unregister_stack, "gc_coroutine_unregister", CALL_OTHER},
    {create_table, "gc_table_create", CALL_TABLES},
    {put, "gc_table_put", CALL_TABLES},
    {get, "gc_table_get", CALL_TABLES},
    {take_out, "gc_table_remove", CALL_TABLES},
    {clear_table, "gc_table_clear", CALL_TABLES},
    {count_table, "gc_table_count", CALL_TABLES},
    {step, "gc_table_next", CALL_TABLES},
    {fit, "gc_table_fit", CALL_TABLES},
    {follow, "gc_fork_follow", CALL_FORKS},
    {prepare_fork, "gc_fork_prepare", CALL_FORKS},
    {end_in_parent, "gc_fork_parent", CALL_UNFORKS},
    {end_in_child, "gc_fork_child", CALL_UNFORKS},
    {ask_figures, "gc_stats_get", CALL_ASKS},
    {ask_threshold, "gc_threshold", CALL_ASKS},
    {ask_count, "gc_count", CALL_ASKS},
    {ask_what_is_next, "gc_next_generation", CALL_ASKS},
    {ask_reason, "gc_last_reason", CALL_ASKS},
    {ask_whether_enabled, "gc_is_enabled", CALL_ASKS},
    {ask_what_is_pending, "gc_finalizers_pending", CALL_ASKS},
    {ask_frozen_objects, "gc_frozen_objects", CALL_ASKS},
    {ask_frozen_bytes, "gc_frozen_bytes", CALL_ASKS},
    {finalize_at_the_end, "gc_finalizers_at_destroy", CALL_ASKS},
    {attach, "gc_mutator_attach", CALL_ATTACHES},
    {destroy, "gc_heap_destroy", CALL_DESTROYS},
};

void make_calls(unsigned kinds, gc_mutator *mutator)
{
    for (unsigned i = 0; i < GC_COUNT(calls); i++)
        if (calls[i].kind & kinds)
            calls[i].make(mutator);
}

void expect_refused(unsigned kinds, void (*act)(void), const char *cause)
{
    for (unsigned i = 0; i < GC_COUNT(calls); i++) {
        if (!(calls[i].kind & kinds))
            continue;
        call = &calls[i];
        expect_misuse(act, call->function, cause);
    }
}
