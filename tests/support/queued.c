/* SPDX-License-Identifier: MIT */
#include "support/queued.h"

#include <string.h>

struct ran ran;

int queued_setup(void **state)
{
    int failed = exact_setup(state);

    memset(&ran, 0, sizeof ran);
    ran.world = *state;
    return failed;
}

int queued_moving_setup(void **state)
{
    int failed = moving_setup(state);

    memset(&ran, 0, sizeof ran);
    ran.world = *state;
    return failed;
}

void note_call(int number)
{
    assert_true(ran.count < MOST_RAN);
    ran.order[ran.count++] = number;
}

void note_weakref(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    assert_null(gc_weakref_get(mutator, weakref));
    note_call((int)(intptr_t)data);
}

void note_finalizer(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    note_call((int)(intptr_t)data);
}

void note_watch(gc_mutator *mutator, void *data)
{
    (void)mutator;
    note_call((int)(intptr_t)data);
}

gc_finalizer_id add_finalizer(gc_mutator *mutator, void *object, gc_finalizer_fn *run, int number)
{
    gc_finalizer finalizer = {
        .size = sizeof finalizer, .run = run, .data = (void *)(intptr_t)number};
    gc_finalizer_id id = 0;

    assert_int_equal(gc_finalizer_add(mutator, object, &finalizer, &id), GC_OK);
    return id;
}

void add_watch(gc_mutator *mutator, void *object, gc_watch_fn *run, int number)
{
    assert_int_equal(gc_watch_add(mutator, object, run, (void *)(intptr_t)number, NULL), GC_OK);
}

/* One object with a callback, a watch and a finalizer: all queued, it dead. */
void queue_all(struct world *world, gc_weakref_fn *callback, gc_watch_fn *watcher,
               gc_finalizer_fn *finalizer)
{
    world->root[0] = make_node(world->mutator, 1);
    world->root[1] =
        gc_weakref_create_watching(world->mutator, world->root[0], 0, callback, (void *)2);
    assert_non_null(world->root[1]);
    add_watch(world->mutator, world->root[0], watcher, 1);
    (void)add_finalizer(world->mutator, world->root[0], finalizer, 3);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(gc_finalizers_pending(world->heap), 3);
}

void check_ran(int count)
{
    assert_int_equal(ran.count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(ran.order[i], i + 1);
}

struct world *other_world(void)
{
    gc_options options = test_options();

    memset(&ran, 0, sizeof ran);
    options.stacks = GC_STACKS_EXACT;
    return ran.world = world_make(&options);
}
