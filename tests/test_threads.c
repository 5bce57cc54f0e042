/* SPDX-License-Identifier: MIT
 *
 * Several threads in one heap: they come and go, allocate, and stop for each
 * other's collections.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "support/threads.h"

#include <stdlib.h>

/* ---- Several attached --------------------------------------------------- */

enum { MANY = 256 };

static void stay_until_all_are_here(gc_heap *heap, size_t index, void *data)
{
    struct barrier *barrier = data;
    gc_mutator *mutator = attach(heap);
    struct node *list = NULL;

    GC_FRAME(mutator, frame, &list);
    list = build_list(mutator, 10 + index);
    meet_parked(barrier, mutator);
    gc_collect(mutator, GC_YOUNG, NULL);
    assert_true(is_intact_list(list, 10 + index));
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void two_hundred_fifty_six_threads_are_attached_at_once(void **state)
{
    size_t count = is_slowed() ? MANY / 8 : MANY;
    struct world *world = make_shared(NULL);
    struct barrier barrier;

    (void)state;
    make_barrier(&barrier, count);
    run_threads(world, count, stay_until_all_are_here, &barrier);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(stats_of(world->heap).lost_threads, 0);
    world_free(world);
}

static void attach_and_detach(gc_heap *heap, size_t index, void *data)
{
    size_t rounds = *(size_t *)data;

    for (size_t i = 0; i < rounds; i++) {
        gc_mutator *mutator = attach(heap);

        if (i % 16 == index % 16)
            assert_non_null(make_node(mutator, i));
        if (i % 256 == index)
            gc_collect(mutator, GC_YOUNG, NULL);
        gc_mutator_detach(mutator);
    }
}

/* STRATA_ROUNDS=250000 makes it a million. */
static void threads_come_and_go(void **state)
{
    const char *text = getenv("STRATA_ROUNDS");
    size_t rounds = text != NULL ? (size_t)strtoull(text, NULL, 10) : scaled(5000);
    struct world *world = make_shared(NULL);
    size_t before;

    (void)state;
    run_threads(world, 4, attach_and_detach, &rounds);
    before = stats_of(world->heap).metadata_bytes;
    run_threads(world, 4, attach_and_detach, &rounds);
    assert_true(stats_of(world->heap).metadata_bytes < before + MIB); /* mutators are reused */
    world_free(world);
}

static void attach_twice(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap), *second = mutator;

    (void)index;
    (void)data;
    assert_int_equal(gc_mutator_attach(heap, &second), GC_BUSY);
    assert_ptr_equal(second, mutator);
    gc_mutator_detach(mutator);
}

static void each_thread_has_one_mutator(void **state)
{
    struct world *world = make_shared(NULL);

    (void)state;
    run_threads(world, 2, attach_twice, NULL);
    world_free(world);
}

/* So much that several collections come of it also where all is slow. */
static size_t slowed(size_t count)
{
    return is_slowed() ? count / 4 : count;
}

/* ---- Allocating --------------------------------------------------------- */

/* Keeps lists in a frame, drops and rebuilds them, and looks at them all. */
static void churn(gc_heap *heap, size_t index, void *data)
{
    enum { LISTS = 8 };
    size_t rounds = *(size_t *)data;
    gc_mutator *mutator = attach(heap);
    struct node *lists[LISTS] = {NULL};
    size_t lengths[LISTS] = {0};

    GC_FRAME(mutator, frame, &lists[0], &lists[1], &lists[2], &lists[3], &lists[4], &lists[5],
             &lists[6], &lists[7]);
    for (size_t i = 0; i < rounds; i++) {
        size_t which = (i + index) % LISTS;

        lengths[which] = (i * 7 + index) % 300;
        lists[which] = build_list(mutator, lengths[which]);
        make_garbage(mutator, 8 * KIB);
        for (size_t j = 0; j < LISTS; j++)
            assert_true(is_intact_list(lists[j], lengths[j]));
    }
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void churn_with(const char *settings, size_t threads, size_t rounds)
{
    struct world *world = make_shared(settings);

    rounds = slowed(rounds);
    run_threads(world, threads, churn, &rounds);
    assert_true(collections_of(world->heap) > 1);
    assert_true(stats_of(world->heap).stops >= collections_of(world->heap));
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(recount(world->mutator).all_objects, 0);
    world_free(world);
}

static void threads_allocate_at_the_same_time(void **state)
{
    (void)state;
    churn_with("check=off", 4, 2000);
}

static void threads_allocate_under_the_verifier(void **state)
{
    (void)state;
    churn_with("check=deep", 3, 400);
}

static void threads_allocate_while_everything_moves(void **state)
{
    (void)state;
    churn_with("stress=evacuate-all,check=cheap", 3, 400);
}

static void threads_allocate_while_every_collection_is_full(void **state)
{
    (void)state;
    churn_with("stress=full+prefetch", 3, 400);
}

/* On ambiguous stacks nothing but locals and registers keeps the lists. */
static void churn_unframed(gc_heap *heap, size_t index, void *data)
{
    size_t rounds = *(size_t *)data;
    gc_mutator *mutator = attach(heap);

    for (size_t i = 0; i < rounds; i++) {
        size_t length = (i * 7 + index) % 300;
        struct node *list = NULL;

        for (size_t j = length; j > 0; j--) {
            struct node *node = make_node(mutator, j - 1);

            node->right = list;
            list = node;
        }
        make_garbage(mutator, 8 * KIB);
        assert_true(is_intact_list(list, length));
    }
    gc_mutator_detach(mutator);
}

static void stacks_of_stopped_threads_are_roots(void **state)
{
    size_t rounds = slowed(1500);
    struct world *world = make_shared("stacks=ambiguous,stress=evacuate-all");

    (void)state;
    run_threads(world, 4, churn_unframed, &rounds);
    assert_true(collections_of(world->heap) > 2);
    world_free(world);
}

/* A collection at each allocation of each thread. */
static void threads_survive_a_collection_at_each_allocation(void **state)
{
    size_t rounds = is_slowed() ? 2 : 10;
    struct world *world = make_shared("stress=collect");

    (void)state;
    run_threads(world, 3, churn, &rounds);
    assert_true(collections_of(world->heap) > rounds);
    world_free(world);
}

/* ---- Large objects, and the limit ---------------------------------------- */

static void allocate_large(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    size_t rounds = *(size_t *)data;
    void *array = NULL;

    GC_FRAME(mutator, frame, &array);
    for (size_t i = 0; i < rounds; i++) {
        array = make_array(mutator, &gc_type_references, 10000 + 1000 * index);
        for (size_t j = 0; j < 100; j++) {
            struct node *node = make_node(mutator, j);

            gc_write(mutator, array, (void **)array + j * 50, node);
        }
        for (size_t j = 0; j < 100; j++)
            assert_int_equal(((struct node **)array)[j * 50]->value, j);
    }
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_share_room_for_large_objects(void **state)
{
    size_t rounds = scaled(500);
    struct world *world = make_shared("hard-limit=32M");

    (void)state;
    run_threads(world, 4, allocate_large, &rounds);
    if (!is_slowed())
        assert_true(collections_of(world->heap) > 0); /* 4 * 500 * 80 KiB do not fit in the limit */
    world_free(world);
}

/* ---- One array, written by all ------------------------------------------ */

enum { SLOTS_OF_EACH = 64, WRITERS = 4 };

/* Young nodes into an old array that all share: barriers race. */
static void write_shared(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    void **root = data;

    for (size_t i = 0; i < slowed(60000); i++) {
        struct node *node = make_node(mutator, index * SLOTS_OF_EACH + i % SLOTS_OF_EACH);
        void **slot = (void **)*root + index + WRITERS * (i % SLOTS_OF_EACH);

        gc_write(mutator, *root, slot, node);
    }
    gc_mutator_detach(mutator);
}

static void check_shared(void *const *array)
{
    for (size_t i = 0; i < WRITERS * SLOTS_OF_EACH; i++) {
        const struct node *node = array[i];

        assert_int_equal(node->value, i % WRITERS * SLOTS_OF_EACH + i / WRITERS);
    }
}

static void write_an_old_array(size_t length)
{
    struct world *world = make_shared("check=deep");

    world->root[0] = make_array(world->mutator, &gc_type_references, length);
    for (int i = 0; i < 3; i++)
        gc_collect(world->mutator, GC_OLD, NULL);
    run_threads(world, WRITERS, write_shared, &world->root[0]);
    assert_true(collections_of(world->heap) > 3);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    check_shared(world->root[0]);
    world_free(world);
}

static void barriers_of_several_threads_note_one_object(void **state)
{
    (void)state;
    write_an_old_array(WRITERS * SLOTS_OF_EACH);
}

static void barriers_of_several_threads_mark_cards(void **state)
{
    (void)state;
    write_an_old_array(100000);
}

/* ---- Threads that end --------------------------------------------------- */

static void end_without_detaching(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *node = make_node(mutator, index);

    (void)data;
    gc_frame_push(mutator, &(gc_frame){NULL, (void *const[]){&node}, 1});
}

static void a_thread_that_ends_is_cleaned_up(void **state)
{
    struct world *world = make_shared(NULL);

    (void)state;
    run_threads(world, 8, end_without_detaching, NULL);
    assert_int_equal(stats_of(world->heap).lost_threads, 8);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(recount(world->mutator).all_objects, 0);
    world_free(world);
}

static void end_while_stopping(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)data;
    for (size_t i = 0; i < index % 7; i++)
        (void)make_node(mutator, i);
}

static void collect_and_watch(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)index;
    while (__atomic_load_n((bool *)data, __ATOMIC_RELAXED) == false)
        gc_collect(mutator, GC_YOUNG, NULL);
    gc_mutator_detach(mutator);
}

/* The end of a thread counts as a stop of it. */
static void threads_may_end_while_others_stop_them(void **state)
{
    struct world *world = make_shared(NULL);
    bool done = false;
    struct threads collecting;

    (void)state;
    start_threads(&collecting, world->heap, 1, collect_and_watch, &done);
    for (size_t i = 0; i < scaled(50); i++)
        run_threads(world, 8, end_while_stopping, NULL);
    __atomic_store_n(&done, true, __ATOMIC_RELAXED);
    join_threads(&collecting, world->mutator);
    assert_int_equal(stats_of(world->heap).lost_threads, 8 * scaled(50));
    world_free(world);
}

/* ---- What another thread fills -------------------------------------------- */

struct filling {
    struct barrier barrier;
    char *pinned; /* before the run, in its block */
    char *array;  /* in the run */
};

/* A hole behind an object that a collection left where it was. */
static void fill_a_hole(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct filling *filling = data;
    gc_handle *handle;

    (void)index;
    filling->pinned = (char *)make_node(mutator, 1);
    handle = gc_handle_create(mutator, filling->pinned);
    assert_int_equal(gc_pin(mutator, filling->pinned), GC_OK);
    gc_collect(mutator, GC_YOUNG, NULL);
    filling->array = make_array(mutator, &gc_type_bytes, 100);
    meet_parked(&filling->barrier, mutator);
    meet_parked(&filling->barrier, mutator);
    assert_int_equal(gc_unpin(mutator, filling->pinned), GC_OK);
    gc_handle_destroy(mutator, handle);
    gc_mutator_detach(mutator);
}

static void objects_of_another_threads_run_are_found(void **state)
{
    struct world *world = make_shared("check=deep");
    struct filling filling;
    struct threads threads;
    gc_mutator *m = world->mutator;

    (void)state;
    make_barrier(&filling.barrier, 2);
    start_threads(&threads, world->heap, 1, fill_a_hole, &filling);
    meet_parked(&filling.barrier, m);
    assert_ptr_equal(gc_object_at(m, filling.array), filling.array);
    assert_ptr_equal(gc_object_at(m, filling.array + 50), filling.array);
    assert_null(gc_object_at(m, filling.array + 1000)); /* not handed out */
    assert_ptr_equal(gc_object_at(m, filling.pinned), filling.pinned);
    assert_ptr_equal(gc_object_at(m, filling.pinned + 20), filling.pinned);
    assert_null(gc_object_at(m, filling.pinned + 64)); /* free, of the same line */
    meet_parked(&filling.barrier, m);
    join_threads(&threads, m);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hundred_fifty_six_threads_are_attached_at_once),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(each_thread_has_one_mutator),
        cmocka_unit_test(threads_allocate_at_the_same_time),
        cmocka_unit_test(threads_allocate_under_the_verifier),
        cmocka_unit_test(threads_allocate_while_everything_moves),
        cmocka_unit_test(threads_allocate_while_every_collection_is_full),
        cmocka_unit_test(stacks_of_stopped_threads_are_roots),
        cmocka_unit_test(threads_survive_a_collection_at_each_allocation),
        cmocka_unit_test(threads_share_room_for_large_objects),
        cmocka_unit_test(barriers_of_several_threads_note_one_object),
        cmocka_unit_test(barriers_of_several_threads_mark_cards),
        cmocka_unit_test(objects_of_another_threads_run_are_found),
        cmocka_unit_test(a_thread_that_ends_is_cleaned_up),
        cmocka_unit_test(threads_may_end_while_others_stop_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
