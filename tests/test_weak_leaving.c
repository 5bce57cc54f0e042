/* SPDX-License-Identifier: MIT
 *
 * Callbacks, finalizers and watches that never return: by longjmp, which is
 * misuse and detected, or because they end the program.
 */
#include "support/child.h"
#include "support/queued.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static jmp_buf out;

static void leave_callback(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    (void)mutator;
    (void)weakref;
    (void)data;
    longjmp(out, 1);
}

static void leave_watch(gc_mutator *mutator, void *data)
{
    (void)mutator;
    (void)data;
    longjmp(out, 1);
}

static void leave_finalizer(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
    longjmp(out, 1);
}

static gc_weakref_fn *bad_callback;
static gc_watch_fn *bad_watch;
static gc_finalizer_fn *bad_finalizer;

/* Out of whichever is bad, into a frame that called gc_finalizers_run. */
static void leave_one(void)
{
    struct world *world = other_world();

    queue_all(world, bad_callback, bad_watch, bad_finalizer);
    if (setjmp(out) == 0)
        (void)gc_finalizers_run(world->mutator, 0);
}

static void leave_and_run(void)
{
    leave_one();
    (void)gc_finalizers_run(ran.world->mutator, 0);
}

static void leave_and_detach(void)
{
    leave_one();
    gc_mutator_detach(ran.world->mutator);
}

static void leave_at_safepoint(void)
{
    struct world *world = other_world();

    gc_finalizers_at_safepoints(world->mutator, true);
    queue_all(world, bad_callback, bad_watch, bad_finalizer);
    if (setjmp(out) == 0)
        gc_safepoint(world->mutator);
    gc_mutator_detach(world->mutator);
}

static void expect_detected(void)
{
    expect_abort(leave_and_run,
                 "strata: gc_finalizers_run: a finalizer or callback was left by longjmp");
    expect_abort(leave_and_detach, "strata: gc_mutator_detach: called from a finalizer, or one "
                                   "was left by longjmp");
    expect_abort(leave_at_safepoint, "strata: gc_mutator_detach: called from a finalizer, or one "
                                     "was left by longjmp");
}

static void leaving_by_longjmp_is_detected(void **state)
{
    (void)state;
    for (int bad = 0; bad < 3; bad++) {
        bad_callback = bad == 0 ? leave_callback : note_weakref;
        bad_watch = bad == 1 ? leave_watch : note_watch;
        bad_finalizer = bad == 2 ? leave_finalizer : note_finalizer;
        expect_detected();
    }
}

static void exit_callback(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    (void)mutator;
    (void)weakref;
    (void)data;
    exit(41);
}

static void exit_watch(gc_mutator *mutator, void *data)
{
    (void)mutator;
    (void)data;
    exit(42);
}

static void exit_finalizer(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
    exit(43);
}

/* What exit calls may still ask, and allocate; draining does nothing. */
static void use_heap_at_exit(void)
{
    if (gc_finalizers_run(ran.world->mutator, 0) != 0 ||
        gc_alloc(ran.world->mutator, &node_type) == NULL)
        _exit(1);
}

struct leaving {
    gc_weakref_fn *callback;
    gc_watch_fn *watcher;
    gc_finalizer_fn *finalizer;
};

static void leave(void *data)
{
    const struct leaving *leaving = data;
    struct world *world = other_world();

    (void)atexit(use_heap_at_exit);
    queue_all(world, leaving->callback, leaving->watcher, leaving->finalizer);
    (void)gc_finalizers_run(world->mutator, 0);
    _exit(2);
}

static int status_of_exit_from(gc_weakref_fn *callback, gc_watch_fn *watcher,
                               gc_finalizer_fn *finalizer)
{
    struct leaving leaving = {callback, watcher, finalizer};
    char said[1024];
    int status = run_in_child(leave, &leaving, said, sizeof said);

    assert_true(WIFEXITED(status));
    assert_string_equal(said, "");
    return WEXITSTATUS(status);
}

static void a_callback_may_end_the_program(void **state)
{
    (void)state;
    if (has_sanitizer())
        skip(); /* what the child leaves behind would be called a leak */
    assert_int_equal(status_of_exit_from(exit_callback, note_watch, note_finalizer), 41);
    assert_int_equal(status_of_exit_from(note_weakref, exit_watch, note_finalizer), 42);
    assert_int_equal(status_of_exit_from(note_weakref, note_watch, exit_finalizer), 43);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaving_by_longjmp_is_detected),
        cmocka_unit_test(a_callback_may_end_the_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
