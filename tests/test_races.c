/* SPDX-License-Identifier: MIT
 *
 * Planted races: helgrind, in a build for it, reports what threads of a heap do that
 * the handshake does not order, and is silent about what it orders.
 */
#define _DEFAULT_SOURCE /* NOLINT(bugprone-reserved-identifier) */

#include "base/annotate.h"
#include "support/child.h"
#include "support/threads.h"

#include <sys/wait.h>
#include <unistd.h>

enum { REPORTED = 99 };

#if GC_UNDER_HELGRIND
static bool is_watched(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

static unsigned errors_so_far(void)
{
    return (unsigned)VALGRIND_COUNT_ERRORS;
}
#else
static bool is_watched(void)
{
    return false;
}

static unsigned errors_so_far(void)
{
    return 0;
}
#endif

/* ---- Two threads -------------------------------------------------------- */

/* A heap, and an old object in root 0 that a full collection reads where it lies.
 * Steps are told by relaxed operations: one comes after the other, and nothing
 * is ordered by it. */
static struct world *world;
static struct node *shared;
static unsigned step;

static void await_step(unsigned which)
{
    while (__atomic_load_n(&step, __ATOMIC_RELAXED) < which)
        usleep(1000);
}

static void take_step(unsigned which)
{
    __atomic_store_n(&step, which, __ATOMIC_RELAXED);
}

struct planted {
    void (*act)(void);
    thread_fn *other;
};

static void act_in_child(void *data)
{
    const struct planted *planted = data;
    unsigned before = errors_so_far();
    struct threads threads;

    end_by_faults();
    world = make_shared(NULL);
    world->root[0] = make_node(world->mutator, 1);
    make_old(world);
    shared = world->root[0];
    assert_int_equal(gc_pin(world->mutator, shared), GC_OK); /* it is no root */
    start_threads(&threads, world->heap, 1, planted->other, NULL);
    planted->act();
    join_threads(&threads, world->mutator);
    world_free(world);
    if (errors_so_far() != before)
        _exit(REPORTED);
}

/* Whether helgrind objects to what the two do: the test's thread, attached, `act`,
 * another one `other`. */
static bool is_reported(void (*act)(void), thread_fn *other)
{
    struct planted planted = {act, other};
    char text[2000];
    int status;

    if (!is_watched())
        skip();
    status = run_in_child(act_in_child, &planted, text, sizeof text);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != REPORTED))
        fail_msg("%s", text);
    return WEXITSTATUS(status) == REPORTED;
}

/* ---- Reported ----------------------------------------------------------- */

static void store_after_a_step(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)data;
    take_step(1);
    await_step(2);
    shared->value = 2;
    gc_mutator_detach(mutator);
}

static void store_before_a_step(void)
{
    await_step(1);
    shared->value = 3;
    take_step(2);
}

static void two_threads_that_store_into_one_word(void **state)
{
    (void)state;
    assert_true(is_reported(store_before_a_step, store_after_a_step));
}

static void *store_later(void *data)
{
    take_step(1);
    await_step(2);
    shared->left = NULL;
    return data;
}

static void store_while_parked(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    gc_call_parked(mutator, store_later, data);
    gc_mutator_detach(mutator);
}

static void collect_before_a_step(void)
{
    await_step(1);
    gc_collect(world->mutator, GC_OLD, NULL);
    take_step(2);
}

static void a_thread_that_stores_while_it_is_parked(void **state)
{
    (void)state;
    assert_true(is_reported(collect_before_a_step, store_while_parked));
}

static void store_unattached(gc_heap *heap, size_t index, void *data)
{
    (void)heap;
    (void)index;
    (void)data;
    take_step(1);
    await_step(2);
    world->root[1] = NULL;
}

static void a_thread_that_stores_into_a_root_and_is_not_attached(void **state)
{
    (void)state;
    assert_true(is_reported(collect_before_a_step, store_unattached));
}

/* ---- Not reported ------------------------------------------------------- */

static void store_then_park(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *node = make_node(mutator, 7);

    (void)index;
    (void)data;
    gc_write(mutator, shared, &shared->left, node);
    gc_park(mutator);
    take_step(1);
    await_step(2);
    gc_unpark(mutator);
    assert_int_equal(shared->left->value, 7);
    gc_mutator_detach(mutator);
}

static void look_after_a_collection(void)
{
    await_step(1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(shared->left->value, 7);
    take_step(2);
}

static void a_store_before_its_thread_parks(void **state)
{
    (void)state;
    assert_false(is_reported(look_after_a_collection, store_then_park));
}

static void store_till_a_step(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    (void)data;
    take_step(1);
    for (uint64_t i = 0; __atomic_load_n(&step, __ATOMIC_RELAXED) < 2; i++) {
        struct node *node = make_node(mutator, i);

        gc_write(mutator, shared, &shared->left, node);
        gc_safepoint(mutator);
        assert_int_equal(shared->left->value, i);
    }
    gc_mutator_detach(mutator);
}

static void collect_meanwhile(void)
{
    await_step(1);
    for (unsigned i = 0; i < 6; i++)
        gc_collect(world->mutator, i % 3, NULL);
    take_step(2);
}

static void stores_between_safepoints(void **state)
{
    (void)state;
    assert_false(is_reported(collect_meanwhile, store_till_a_step));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_that_store_into_one_word),
        cmocka_unit_test(a_thread_that_stores_while_it_is_parked),
        cmocka_unit_test(a_thread_that_stores_into_a_root_and_is_not_attached),
        cmocka_unit_test(a_store_before_its_thread_parks),
        cmocka_unit_test(stores_between_safepoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
