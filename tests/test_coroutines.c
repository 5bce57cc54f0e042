/* SPDX-License-Identifier: MIT
 *
 * Stacks that the embedder owns and switches, here with the C library's
 * contexts.
 */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): contexts */

#include "heap/heap.h"
#include "support/doomed.h"
#include "support/fault.h"
#include "support/threads.h"

#include <strata/coroutine.h>
#include <strata/weak.h>

#include <stdlib.h>
#include <ucontext.h>

enum { STACK_BYTES = 64 << 10, MOST_FIBERS = 64 };

struct fiber {
    ucontext_t context;
    ucontext_t *back; /* to whom it yields */
    gc_coroutine *coroutine;
    gc_mutator *mutator; /* on whose thread it runs */
    void (*act)(struct fiber *fiber);
    size_t index;
    bool is_done;
    char *stack;
};

static struct fiber fibers[MOST_FIBERS];

static void run_fiber(unsigned index)
{
    struct fiber *fiber = &fibers[index];

    fiber->act(fiber);
    fiber->is_done = true;
    gc_coroutine_switch(fiber->mutator, NULL);
    (void)setcontext(fiber->back);
}

static void make_fiber(gc_mutator *mutator, size_t index, void (*act)(struct fiber *),
                       gc_exactness exactness)
{
    struct fiber *fiber = &fibers[index];

    *fiber = (struct fiber){.act = act, .index = index};
    fiber->stack = malloc(STACK_BYTES);
    assert_non_null(fiber->stack);
    fiber->coroutine = gc_coroutine_register(mutator, fiber->stack, STACK_BYTES, exactness);
    assert_non_null(fiber->coroutine);
    assert_int_equal(getcontext(&fiber->context), 0);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&fiber->context, (void (*)(void))run_fiber, 1, (unsigned)index);
}

static void free_fiber(gc_mutator *mutator, struct fiber *fiber)
{
    gc_coroutine_unregister(mutator, fiber->coroutine);
    free(fiber->stack);
}

/* Runs it until it yields, on the calling thread. */
static NOINLINE void resume(gc_mutator *mutator, struct fiber *fiber)
{
    ucontext_t here;

    fiber->mutator = mutator;
    fiber->back = &here;
    gc_coroutine_switch(mutator, fiber->coroutine);
    (void)swapcontext(&here, &fiber->context);
}

static NOINLINE void yield(struct fiber *fiber)
{
    gc_coroutine_switch(fiber->mutator, NULL);
    (void)swapcontext(&fiber->context, fiber->back);
}

static size_t run_all(gc_mutator *mutator, size_t count)
{
    size_t rounds = 0;
    bool busy = true;

    while (busy) {
        busy = false;
        for (size_t i = 0; i < count; i++)
            if (!fibers[i].is_done) {
                resume(mutator, &fibers[i]);
                busy = true;
            }
        gc_collect(mutator, (unsigned)(rounds++ % 3), NULL);
    }
    return rounds;
}

/* ---- Roots -------------------------------------------------------------- */

static NOINLINE uintptr_t list_of(struct fiber *fiber, size_t length)
{
    return (uintptr_t)build_list(fiber->mutator, length);
}

/* A list in a local alone, over several switches. */
static void keep_in_locals(struct fiber *fiber)
{
    struct node *list = (struct node *)list_of(fiber, 50 + fiber->index);

    for (int i = 0; i < 5; i++) {
        yield(fiber);
        make_garbage(fiber->mutator, 4 * KIB);
        if (fiber->index % 8 == 0) /* on this stack, with the thread's own below */
            gc_collect(fiber->mutator, GC_YOUNG, NULL);
        assert_true(is_intact_list(list, 50 + fiber->index));
    }
}

static void keep_in_frames(struct fiber *fiber)
{
    struct node *list = NULL;

    GC_FRAME(fiber->mutator, frame, &list);
    list = build_list(fiber->mutator, 50 + fiber->index);
    for (int i = 0; i < 5; i++) {
        yield(fiber);
        if (fiber->index % 8 == 0) /* also the frames of the stack that it was resumed from */
            gc_collect(fiber->mutator, (unsigned)i % GC_GENERATIONS, NULL);
        assert_true(is_intact_list(list, 50 + fiber->index));
    }
    gc_frame_pop(fiber->mutator, &frame);
}

static void check_fibers(const char *settings, void (*act)(struct fiber *), gc_exactness exactness)
{
    struct world *world = make_shared(settings);
    struct node *own = NULL;

    GC_FRAME(world->mutator, frame, &own);
    own = build_list(world->mutator, 33);
    for (size_t i = 0; i < MOST_FIBERS; i++)
        make_fiber(world->mutator, i, act, exactness);
    assert_int_equal(run_all(world->mutator, MOST_FIBERS), 7);
    assert_true(is_intact_list(own, 33));
    for (size_t i = 0; i < MOST_FIBERS; i++)
        free_fiber(world->mutator, &fibers[i]);
    gc_frame_pop(world->mutator, &frame);
    world_free(world);
}

static void ambiguous_stacks_keep_what_locals_hold(void **state)
{
    (void)state;
    if (has_sanitizer() || getenv("STRATA_UNDER_VALGRIND") != NULL)
        skip(); /* memory tools must be told of switches */
    check_fibers("stacks=ambiguous,stress=evacuate-all", keep_in_locals, GC_AMBIGUOUS);
}

static void frames_are_of_the_stack_that_they_are_on(void **state)
{
    (void)state;
    if (has_sanitizer())
        skip();
    check_fibers("stress=evacuate-all,check=deep", keep_in_frames, GC_AMBIGUOUS);
    check_fibers("stacks=ambiguous,stress=evacuate-all", keep_in_frames, GC_EXACT);
}

static void what_an_unregistered_stack_held_is_garbage(void **state)
{
    struct world *world = *state;

    if (has_sanitizer())
        skip();
    make_fiber(world->mutator, 0, keep_in_frames, GC_AMBIGUOUS);
    resume(world->mutator, &fibers[0]);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 50);
    free_fiber(world->mutator, &fibers[0]);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

/* ---- Threads ------------------------------------------------------------ */

static void resume_on_this_thread(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)data;
    resume(mutator, &fibers[0]);
    gc_collect(mutator, GC_YOUNG, NULL);
    gc_mutator_detach(mutator);
}

static void a_coroutine_goes_on_on_another_thread(void **state)
{
    struct world *world = make_shared("stress=evacuate-all");

    (void)state;
    if (!has_sanitizer()) {
        make_fiber(world->mutator, 0, keep_in_frames, GC_AMBIGUOUS);
        while (!fibers[0].is_done)
            run_threads(world, 1, resume_on_this_thread, NULL);
        free_fiber(world->mutator, &fibers[0]);
    }
    world_free(world);
}

/* ---- Misuse ------------------------------------------------------------- */

static char some_stack[1 << 12];

static gc_coroutine *registered(void)
{
    return gc_coroutine_register(doomed->mutator, some_stack, sizeof some_stack, GC_AMBIGUOUS);
}

static void switch_to_none(void)
{
    make_doomed();
    gc_coroutine_switch(doomed->mutator, NULL);
}

static void switch_twice(void)
{
    gc_coroutine *coroutine;

    make_doomed();
    coroutine = registered();
    gc_coroutine_switch(doomed->mutator, coroutine);
    gc_coroutine_switch(doomed->mutator, coroutine);
}

static void unregister_running(void)
{
    gc_coroutine *coroutine;

    make_doomed();
    coroutine = registered();
    gc_coroutine_switch(doomed->mutator, coroutine);
    gc_coroutine_unregister(doomed->mutator, coroutine);
}

static void detach_on_a_coroutine(void)
{
    make_doomed();
    gc_coroutine_switch(doomed->mutator, registered());
    gc_mutator_detach(doomed->mutator);
}

static void collect_elsewhere(void)
{
    gc_options options = test_options();

    doomed = world_make(&options);
    gc_coroutine_switch(doomed->mutator, registered());
    gc_collect(doomed->mutator, GC_YOUNG, NULL);
}

static void register_nothing(void)
{
    make_doomed();
    (void)gc_coroutine_register(doomed->mutator, NULL, 100, GC_EXACT);
}

static void register_less_than_a_word(void)
{
    make_doomed();
    (void)gc_coroutine_register(doomed->mutator, some_stack, sizeof(void *) - 1, GC_EXACT);
}

static void register_past_all_addresses(void)
{
    make_doomed();
    (void)gc_coroutine_register(doomed->mutator, some_stack, UINTPTR_MAX, GC_EXACT);
}

static void register_as_neither(void)
{
    make_doomed();
    (void)gc_coroutine_register(doomed->mutator, some_stack, sizeof some_stack, (gc_exactness)7);
}

static gc_coroutine *registered_elsewhere(void)
{
    struct world *other = make_plain(MIB);

    return gc_coroutine_register(other->mutator, some_stack, sizeof some_stack, GC_EXACT);
}

static void switch_to_another_heaps(void)
{
    make_doomed();
    gc_coroutine_switch(doomed->mutator, registered_elsewhere());
}

/* It was taken off the list of the wrong heap. */
static void unregister_another_heaps(void)
{
    make_doomed();
    gc_coroutine_unregister(doomed->mutator, registered_elsewhere());
}

static void unregister_null(void)
{
    make_doomed();
    gc_coroutine_unregister(doomed->mutator, NULL);
}

static void misuse_is_named(void **state)
{
    (void)state;
    expect_misuse(switch_to_none, "gc_coroutine_switch", "the thread is on its own stack already");
    expect_misuse(switch_twice, "gc_coroutine_switch", "a thread is on this stack already");
    expect_misuse(unregister_running, "gc_coroutine_unregister", "a thread is on this stack");
    expect_misuse(detach_on_a_coroutine, "gc_mutator_detach",
                  "the thread is on a coroutine's stack");
    expect_misuse(collect_elsewhere, "gc_coroutine_switch",
                  "a thread is not on the stack that it switched to");
    expect_misuse(register_nothing, "gc_coroutine_register", "there is no such stack");
    expect_misuse(register_less_than_a_word, "gc_coroutine_register", "there is no such stack");
    expect_misuse(register_past_all_addresses, "gc_coroutine_register", "there is no such stack");
    expect_misuse(register_as_neither, "gc_coroutine_register",
                  "the exactness is not GC_EXACT or GC_AMBIGUOUS");
    expect_misuse(unregister_null, "gc_coroutine_unregister", "the coroutine is NULL");
    expect_misuse(switch_to_another_heaps, "gc_coroutine_switch",
                  "the coroutine is of another heap");
    expect_misuse(unregister_another_heaps, "gc_coroutine_unregister",
                  "the coroutine is of another heap");
}

static void those_left_go_with_the_heap(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_non_null(
            gc_coroutine_register(world->mutator, some_stack, sizeof some_stack, GC_AMBIGUOUS));
    gc_collect(world->mutator, GC_OLD, NULL);
    world_free(world);
}

static void yield_in_finalizer(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    yield(data);
}

static void finalize(struct fiber *fiber)
{
    assert_int_equal(gc_finalizers_run(fiber->mutator, 0), 1);
}

/* The thread's own stack lies above that one, as if the finalizer had been left. */
static void a_finalizer_may_leave_its_stack(void **state)
{
    struct world *world = *state;
    gc_finalizer finalizer = {
        .size = sizeof finalizer, .run = yield_in_finalizer, .data = &fibers[0]};

    world->root[0] = make_node(world->mutator, 1);
    assert_int_equal(gc_finalizer_add(world->mutator, world->root[0], &finalizer, NULL), GC_OK);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    make_fiber(world->mutator, 0, finalize, GC_EXACT);
    resume(world->mutator, &fibers[0]);
    assert_false(fibers[0].is_done);
    assert_int_equal(gc_finalizers_run(world->mutator, 0), 0);
    resume(world->mutator, &fibers[0]);
    assert_true(fibers[0].is_done);
    free_fiber(world->mutator, &fibers[0]);
}

static void end_on(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    gc_coroutine_switch(mutator, data);
}

/* The stack is nobody's then, and another may go on on it. */
static void a_thread_may_end_on_a_coroutine(void **state)
{
    struct world *world = *state;
    gc_coroutine *coroutine =
        gc_coroutine_register(world->mutator, some_stack, sizeof some_stack, GC_EXACT);

    run_threads(world, 1, end_on, coroutine);
    assert_int_equal(stats_of(world->heap).lost_threads, 1);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_coroutine_switch(world->mutator, coroutine);
    gc_coroutine_switch(world->mutator, NULL);
    gc_coroutine_unregister(world->mutator, coroutine);
}

static struct node *stale;
static gc_frame stale_frame = {NULL, (void *const[]){&stale}, 1};

/* Leaves a stack with a frame pushed, comes back, and pops it: then the frame's
 * memory is used for something else. */
static void end_after_a_frame(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    gc_coroutine_switch(mutator, data);
    gc_frame_push(mutator, &stale_frame);
    gc_coroutine_switch(mutator, NULL);
    gc_coroutine_switch(mutator, data);
    gc_frame_pop(mutator, &stale_frame);
    stale = make_node(mutator, 1);
}

/* They were as it was last left, and collections wrote through them. */
static void frames_go_with_the_thread_that_ends_on_a_coroutine(void **state)
{
    struct world *world = *state;
    gc_coroutine *coroutine =
        gc_coroutine_register(world->mutator, some_stack, sizeof some_stack, GC_EXACT);

    run_threads(world, 1, end_after_a_frame, coroutine);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
    gc_coroutine_switch(world->mutator, coroutine);
    assert_null(gc_frame_top(world->mutator));
    gc_coroutine_switch(world->mutator, NULL);
    gc_coroutine_unregister(world->mutator, coroutine);
}

static void they_leave_in_any_order(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}};
    struct world *world = *state;
    gc_coroutine *coroutines[3];

    for (size_t order = 0; order < GC_COUNT(orders); order++) {
        for (int i = 0; i < 3; i++)
            coroutines[i] =
                gc_coroutine_register(world->mutator, some_stack, sizeof some_stack, GC_AMBIGUOUS);
        for (int i = 0; i < 3; i++) {
            gc_coroutine_unregister(world->mutator, coroutines[orders[order][i]]);
            gc_collect(world->mutator, GC_OLD, NULL);
        }
        assert_null(world->heap->collector.coroutines);
    }
}

static void without_memory_none_is_registered(void **state)
{
    struct world *world;

    (void)state;
    fault_install();
    world = make_plain(MIB);
    fault_arm(0, 1, FAULT_ALLOCATE);
    assert_null(gc_coroutine_register(world->mutator, some_stack, sizeof some_stack, GC_EXACT));
    assert_int_equal(fault_failed(), 1);
    fault_disarm();
    assert_null(world->heap->collector.coroutines);
    world_free(world);
    assert_true(fault_is_clean());
    fault_remove();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ambiguous_stacks_keep_what_locals_hold),
        cmocka_unit_test(frames_are_of_the_stack_that_they_are_on),
        TEST(what_an_unregistered_stack_held_is_garbage),
        cmocka_unit_test(a_coroutine_goes_on_on_another_thread),
        cmocka_unit_test(misuse_is_named),
        cmocka_unit_test(those_left_go_with_the_heap),
        TEST(a_finalizer_may_leave_its_stack),
        TEST(a_thread_may_end_on_a_coroutine),
        TEST(frames_go_with_the_thread_that_ends_on_a_coroutine),
        TEST(they_leave_in_any_order),
        cmocka_unit_test_setup_teardown(they_leave_in_any_order, ambiguous_setup, world_teardown),
        cmocka_unit_test(without_memory_none_is_registered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
