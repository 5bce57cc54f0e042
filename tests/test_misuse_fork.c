/* SPDX-License-Identifier: MIT
 *
 * Misuse of what a program does before and after a fork: each ends with its
 * message.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "support/calls.h"
#include "support/threads.h"

#include <strata/fork.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREPARED "the heap is prepared for a fork"

static void parent_without_prepare(void)
{
    make_doomed();
    gc_fork_parent(doomed->heap);
}

static void child_without_prepare(void)
{
    make_doomed();
    gc_fork_child(doomed->heap);
}

static void parent_without_heap(void)
{
    gc_fork_parent(NULL);
}

static void freeze_as_nobody_knows(void)
{
    make_doomed();
    (void)gc_freeze(doomed->mutator, 2 * GC_FREEZE_COMPACT);
}

static void allocate_large_while_prepared(void)
{
    make_doomed();
    gc_fork_prepare(doomed->heap);
    gc_alloc_array(doomed->mutator, &gc_type_bytes, 1 << 20);
}

static void call_while_prepared(void)
{
    make_doomed();
    prepare_calls(doomed->mutator, doomed->root);
    gc_fork_prepare(doomed->heap);
    call->make(doomed->mutator);
}

/* Those that ask waited for ever for the lock that their own thread had. */
static void a_heap_that_is_prepared_is_not_used(void **state)
{
    unsigned all = (CALL_MUTATOR | CALL_HEAP) & ~(CALL_INLINE | CALL_POLLS | CALL_UNFORKS);

    (void)state;
    expect_refused(all, call_while_prepared, PREPARED);
}

static gc_heap *unfollowed;

static void follow_another(void)
{
    (void)gc_fork_follow(unfollowed);
}

static void fork_again(void)
{
    (void)fork();
}

/* Registered before the library's, it runs after them: within. */
static void fork_with_a_handler(void (*handler)(void))
{
    make_doomed();
    assert_int_equal(gc_heap_create(NULL, &unfollowed), GC_OK);
    assert_int_equal(pthread_atfork(handler, NULL, NULL), 0);
    assert_int_equal(gc_fork_follow(doomed->heap), GC_OK);
    (void)fork();
}

static void follow_while_forking(void)
{
    fork_with_a_handler(follow_another);
}

static void fork_while_forking(void)
{
    fork_with_a_handler(fork_again);
}

/* They waited for ever for a lock that their own thread had. */
static void handlers_that_run_within_a_fork_do_not_follow(void **state)
{
    static const char prepared[] = "called while fork has the heaps prepared";

    (void)state;
    expect_misuse(follow_while_forking, "gc_fork_follow", prepared);
    expect_misuse(fork_while_forking, "fork", prepared);
}

static void prepare_in_visit(void *object, void *data)
{
    (void)object;
    gc_fork_prepare(data);
}

static void prepare_while_visiting(void)
{
    make_doomed();
    doomed->root[0] = make_node(doomed->mutator, 1);
    gc_heap_visit(doomed->mutator, prepare_in_visit, doomed->heap);
}

static void prepare_in_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    gc_fork_prepare(data);
}

static void prepare_while_collecting(void)
{
    make_doomed();
    (void)gc_root_callback_add(doomed->heap, prepare_in_roots, doomed->heap, GC_EXACT);
    gc_collect(doomed->mutator, GC_YOUNG, NULL);
}

/* ---- Where another thread may wait for the one that forks --------------- */

static void fork_in_visit(void *object, void *data)
{
    (void)object;
    (void)data;
    (void)fork();
}

static void follow_in_visit(void *object, void *data)
{
    (void)object;
    (void)gc_fork_follow(data);
}

static void prepare_another_in_visit(void *object, void *data)
{
    (void)object;
    gc_fork_prepare(data);
}

static void destroy_in_visit(void *object, void *data)
{
    (void)object;
    gc_heap_destroy(data);
}

static void attach_and_park(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    gc_park(mutator);
    meet(data);
    meet(data); /* never */
}

/* Visits a heap that another thread is attached to. */
static void visit_shared(gc_visit_fn *visit, gc_heap *other)
{
    static struct threads threads;
    static struct barrier barrier;

    make_barrier(&barrier, 2);
    start_threads(&threads, doomed->heap, 1, attach_and_park, &barrier);
    meet(&barrier);
    gc_heap_visit(doomed->mutator, visit, other);
}

static gc_heap *make_doomed_and_followed(void)
{
    gc_heap *followed = NULL;

    make_doomed();
    (void)gc_heap_create(NULL, &followed);
    (void)gc_fork_follow(followed);
    return followed;
}

static void fork_while_visiting_what_is_shared(void)
{
    visit_shared(fork_in_visit, make_doomed_and_followed());
}

static void follow_while_visiting_what_is_shared(void)
{
    visit_shared(follow_in_visit, make_doomed_and_followed());
}

static void prepare_while_visiting_what_is_shared(void)
{
    visit_shared(prepare_another_in_visit, make_doomed_and_followed());
}

static void destroy_while_visiting_what_is_shared(void)
{
    visit_shared(destroy_in_visit, make_doomed_and_followed());
}

static void fork_while_visiting_what_is_followed(void)
{
    make_doomed();
    (void)gc_fork_follow(doomed->heap);
    gc_heap_visit(doomed->mutator, fork_in_visit, NULL);
}

static void fork_in_roots(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
    (void)fork();
}

static void fork_while_collecting_what_is_followed(void)
{
    make_doomed();
    (void)gc_fork_follow(doomed->heap);
    (void)gc_root_callback_add(doomed->heap, fork_in_roots, NULL, GC_EXACT);
    gc_collect(doomed->mutator, GC_YOUNG, NULL);
}

static void what_might_wait_for_itself_is_named(void **state)
{
    (void)state;
    expect_misuse(fork_while_visiting_what_is_shared, "fork", NOT_FROM_HERE);
    expect_misuse(follow_while_visiting_what_is_shared, "gc_fork_follow", NOT_FROM_HERE);
    expect_misuse(prepare_while_visiting_what_is_shared, "gc_fork_prepare", NOT_FROM_HERE);
    expect_misuse(destroy_while_visiting_what_is_shared, "gc_heap_destroy", NOT_FROM_HERE);
    expect_misuse(fork_while_visiting_what_is_followed, "fork", NOT_FROM_HERE);
    expect_misuse(fork_while_collecting_what_is_followed, "fork", NOT_FROM_HERE);
}

/* ---- By itself it may ---------------------------------------------------- */

static bool child_did_well;

static void fork_and_wait(void *object, void *data)
{
    int status = 1;
    pid_t child;

    (void)object;
    (void)data;
    child = fork();
    if (child == 0)
        _exit(0);
    child_did_well = child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void a_visit_of_a_heap_of_ones_own_may_fork(void **state)
{
    struct world *world = make_shared(NULL), *followed = make_shared(NULL);

    (void)state;
    assert_int_equal(gc_fork_follow(followed->heap), GC_OK);
    world->root[0] = make_node(world->mutator, 1);
    gc_heap_visit(world->mutator, fork_and_wait, NULL);
    assert_true(child_did_well);
    world_free(followed);
    world_free(world);
}

static void misuse_is_named(void **state)
{
    (void)state;
    expect_misuse(parent_without_prepare, "gc_fork_parent", "there was no gc_fork_prepare");
    expect_misuse(parent_without_heap, "gc_fork_parent", "the heap is NULL");
    expect_misuse(freeze_as_nobody_knows, "gc_freeze", "there is no such flag");
    expect_misuse(child_without_prepare, "gc_fork_child", "there was no gc_fork_prepare");
    expect_misuse(allocate_large_while_prepared, "gc_alloc", PREPARED);
    expect_misuse(prepare_while_visiting, "gc_fork_prepare", NOT_FROM_HERE);
    expect_misuse(prepare_while_collecting, "gc_fork_prepare", NOT_FROM_HERE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_is_named),
        cmocka_unit_test(a_heap_that_is_prepared_is_not_used),
        cmocka_unit_test(handlers_that_run_within_a_fork_do_not_follow),
        cmocka_unit_test(what_might_wait_for_itself_is_named),
        cmocka_unit_test(a_visit_of_a_heap_of_ones_own_may_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
