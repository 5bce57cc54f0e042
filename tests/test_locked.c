/* SPDX-License-Identifier: MIT
 *
 * The sets of a heap that every thread may change: one at a time.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "heap/heap.h"
#include "support/threads.h"

#include <time.h>

static void *slot_of_all;
static gc_handle *handle_of_all;

static void add_slot(gc_mutator *mutator, void *object)
{
    (void)object;
    assert_int_equal(gc_root_add(gc_mutator_heap(mutator), &slot_of_all), GC_OK);
}

static void remove_slot(gc_mutator *mutator, void *object)
{
    (void)object;
    assert_int_equal(gc_root_remove(gc_mutator_heap(mutator), &slot_of_all), GC_OK);
}

static void make_handle(gc_mutator *mutator, void *object)
{
    handle_of_all = gc_handle_create(mutator, object);
    assert_non_null(handle_of_all);
}

static void drop_handle(gc_mutator *mutator, void *object)
{
    (void)object;
    gc_handle_destroy(mutator, handle_of_all);
}

static void pin(gc_mutator *mutator, void *object)
{
    assert_int_equal(gc_pin(mutator, object), GC_OK);
}

static void unpin(gc_mutator *mutator, void *object)
{
    assert_int_equal(gc_unpin(mutator, object), GC_OK);
}

static void pin_once(gc_mutator *mutator, void *object)
{
    assert_int_equal(gc_pin_once(mutator, object), GC_OK);
}

static void (*const changes[])(gc_mutator *mutator, void *object) = {
    add_slot, remove_slot, make_handle, drop_handle, pin, unpin, pin_once};

enum { CHANGES = sizeof changes / sizeof *changes };

struct changing {
    struct barrier barrier;
    size_t begun;
    size_t done;
};

static void change_all(gc_heap *heap, size_t index, void *data)
{
    struct changing *changing = data;
    gc_mutator *mutator = attach(heap);
    struct node *node = make_node(mutator, index);

    meet(&changing->barrier);
    for (size_t i = 0; i < CHANGES; i++) {
        meet(&changing->barrier);
        __atomic_store_n(&changing->begun, i + 1, __ATOMIC_RELEASE);
        changes[i](mutator, node);
        __atomic_store_n(&changing->done, i + 1, __ATOMIC_RELEASE);
        meet(&changing->barrier);
    }
    gc_mutator_detach(mutator);
}

/* While this thread has the heap's lock, none of them goes on. */
static void what_changes_a_set_waits_for_the_lock(void **state)
{
    static const struct timespec moment = {0, 50000000};
    struct changing changing = {.done = 0};
    struct world *world = make_shared(NULL);
    struct threads threads;

    (void)state;
    make_barrier(&changing.barrier, 2);
    start_threads(&threads, world->heap, 1, change_all, &changing);
    meet_parked(&changing.barrier, world->mutator); /* the other allocates, hence may collect */
    for (size_t i = 0; i < CHANGES; i++) {
        gc_heap_lock(world->heap);
        meet(&changing.barrier);
        while (__atomic_load_n(&changing.begun, __ATOMIC_ACQUIRE) == i)
            (void)nanosleep(&moment, NULL);
        (void)nanosleep(&moment, NULL);
        assert_int_equal(__atomic_load_n(&changing.done, __ATOMIC_ACQUIRE), i);
        gc_heap_unlock(world->heap);
        meet_parked(&changing.barrier, world->mutator);
        assert_int_equal(changing.done, i + 1);
    }
    join_threads(&threads, world->mutator);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_a_set_waits_for_the_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
