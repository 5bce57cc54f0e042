/* SPDX-License-Identifier: MIT
 *
 * Misuse by threads: of what is parked, and of what is another's.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "support/calls.h"
#include "support/threads.h"

#define PARKED "this mutator is parked"

/* ---- Parked ------------------------------------------------------------- */

static void call_when_parked(void)
{
    make_doomed();
    prepare_calls(doomed->mutator, doomed->root);
    gc_park(doomed->mutator);
    call->make(doomed->mutator);
}

static void a_parked_mutator_is_not_used(void **state)
{
    (void)state;
    expect_refused(CALL_MUTATOR, call_when_parked, PARKED);
}

static void *call_there(void *data)
{
    call->make(data);
    return NULL;
}

static void call_in_a_parked_call(void)
{
    make_doomed();
    prepare_calls(doomed->mutator, doomed->root);
    gc_call_parked(doomed->mutator, call_there, doomed->mutator);
}

static void a_parked_call_does_not_use_its_mutator(void **state)
{
    (void)state;
    expect_refused(CALL_MUTATOR, call_in_a_parked_call, PARKED);
}

static void park_twice(void)
{
    make_doomed();
    gc_park(doomed->mutator);
    gc_park(doomed->mutator);
}

static void unpark_unparked(void)
{
    make_doomed();
    gc_unpark(doomed->mutator);
}

static void unpark_twice(void)
{
    make_doomed();
    gc_park(doomed->mutator);
    gc_unpark(doomed->mutator);
    gc_unpark(doomed->mutator);
}

static void parking_alternates(void **state)
{
    (void)state;
    expect_misuse(park_twice, "gc_park", PARKED);
    expect_misuse(unpark_unparked, "gc_unpark", "there was no gc_park");
    expect_misuse(unpark_twice, "gc_unpark", "there was no gc_park");
}

static void park_ambiguous(void)
{
    gc_options options = test_options();

    doomed = world_make(&options);
    gc_park(doomed->mutator);
}

static void bare_parking_is_for_exact_stacks(void **state)
{
    (void)state;
    expect_misuse(park_ambiguous, "gc_park", "the heap scans stacks; see gc_call_parked");
}

static void unpark_null(void)
{
    gc_unpark(NULL);
}

static void unpark_doomed(void)
{
    gc_unpark(doomed->mutator);
}

static void unpark_anothers(void)
{
    make_doomed();
    gc_park(doomed->mutator);
    on_another_thread(unpark_doomed);
}

static void unparking_is_the_threads_own(void **state)
{
    (void)state;
    expect_misuse(unpark_null, "gc_unpark", "the mutator is NULL");
    expect_misuse(unpark_anothers, "gc_unpark", NOT_MINE);
}

static void destroy_when_parked(void)
{
    make_doomed();
    gc_park(doomed->mutator);
    gc_heap_destroy(doomed->heap);
}

static void a_parked_mutator_is_attached(void **state)
{
    (void)state;
    expect_misuse(destroy_when_parked, "gc_heap_destroy", "a mutator is still attached");
}

/* ---- A visit ------------------------------------------------------------ */

static void allocate_in(void *object, void *other)
{
    (void)object;
    (void)gc_alloc(((struct world *)other)->mutator, &node_type);
}

static void use_another_heap_in_a_visit(void)
{
    struct world *other = make_shared(NULL);

    make_doomed();
    gc_heap_visit(doomed->mutator, allocate_in, other);
}

/* Two threads that visited two heaps would wait for each other in them. */
static void a_visit_uses_no_other_heap(void **state)
{
    (void)state;
    expect_misuse(use_another_heap_in_a_visit, "gc_alloc", NOT_FROM_HERE);
}

/* ---- Left behind -------------------------------------------------------- */

static void park_and_end(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)data;
    gc_park(mutator);
}

static void a_thread_may_end_parked(void **state)
{
    struct world *world = *state;

    run_threads(world, 4, park_and_end, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(stats_of(world->heap).lost_threads, 4);
}

static void *end_here(void *data)
{
    (void)data;
    pthread_exit(NULL);
}

static void end_in_a_parked_call(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)data;
    gc_call_parked(mutator, end_here, NULL);
}

static void a_thread_may_end_in_a_parked_call(void **state)
{
    struct world *world = *state;

    run_threads(world, 4, end_in_a_parked_call, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(stats_of(world->heap).lost_threads, 4);
}

static void leave_a_handle(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    gc_handle **handles = data;

    handles[index] = gc_handle_create(mutator, make_node(mutator, 100 + index));
    gc_mutator_detach(mutator);
}

static void handles_outlive_the_thread_that_made_them(void **state)
{
    struct world *world = *state;
    gc_handle *handles[4];

    run_threads(world, 4, leave_a_handle, handles);
    gc_collect(world->mutator, GC_OLD, NULL);
    for (size_t i = 0; i < 4; i++) {
        const struct node *node = gc_handle_get(handles[i]);

        assert_int_equal(node->value, 100 + i);
        gc_handle_destroy(world->mutator, handles[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parked_mutator_is_not_used),
        cmocka_unit_test(a_parked_call_does_not_use_its_mutator),
        cmocka_unit_test(parking_alternates),
        cmocka_unit_test(bare_parking_is_for_exact_stacks),
        cmocka_unit_test(unparking_is_the_threads_own),
        cmocka_unit_test(a_parked_mutator_is_attached),
        cmocka_unit_test(a_visit_uses_no_other_heap),
        TEST(a_thread_may_end_parked),
        TEST(a_thread_may_end_in_a_parked_call),
        TEST(handles_outlive_the_thread_that_made_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
