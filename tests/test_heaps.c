/* SPDX-License-Identifier: MIT
 *
 * Heaps as wholes: several at once, none when destroyed, and the threads that
 * come to them and go.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "heap/heap.h"
#include "support/graph.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Several ------------------------------------------------------------ */

static void two_heaps_on_one_thread_do_not_mix(void **state)
{
    struct world *a = make_plain(MIB);
    struct world *b = make_plain(MIB);
    struct node *of_a;

    (void)state;
    a->root[0] = build_list(a->mutator, 1000);
    b->root[0] = build_list(b->mutator, 2000);
    of_a = a->root[0];
    assert_true(gc_is_object(a->mutator, of_a));
    assert_false(gc_is_object(b->mutator, of_a));
    assert_null(gc_object_at(b->mutator, of_a));
    gc_collect(b->mutator, GC_OLD, NULL);
    assert_ptr_equal(a->root[0], of_a);
    assert_int_equal(collections_of(a->heap), 0);
    assert_int_equal(recount(a->mutator).all_objects, 1000);
    assert_int_equal(recount(b->mutator).all_objects, 2000);
    world_end(a);
    assert_true(is_intact_list(b->root[0], 2000));
    gc_collect(b->mutator, GC_OLD, NULL);
    assert_true(is_intact_list(b->root[0], 2000));
    world_end(b);
}

/* An object of one heap may hold a word that points into another: it is left
 * alone, and keeps nothing. */
static void a_reference_into_another_heap_is_left_alone(void **state)
{
    struct world *a = make_plain(MIB);
    struct world *b = make_plain(MIB);
    struct node *of_a;
    struct node *of_b;

    (void)state;
    of_b = b->root[0] = make_node(b->mutator, 1);
    of_a = a->root[0] = make_node(a->mutator, 2);
    of_a->left = of_b;
    gc_collect(a->mutator, GC_OLD, NULL);
    of_a = a->root[0];
    assert_ptr_equal(of_a->left, of_b);
    b->root[0] = NULL;
    gc_collect(b->mutator, GC_OLD, NULL);
    assert_int_equal(recount(b->mutator).all_objects, 0);
    of_a->left = NULL;
    world_end(a);
    world_end(b);
}

static void a_hundred_heaps_live_at_once(void **state)
{
    enum { HEAPS = 100 };
    static struct world *worlds[HEAPS];
    size_t count = is_slowed() ? 10 : HEAPS;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        worlds[i] = make_plain(256 * KIB);
        worlds[i]->root[0] = build_list(worlds[i]->mutator, 10 * i);
    }
    for (size_t i = 0; i < count; i++) {
        make_garbage(worlds[i]->mutator, MIB);
        gc_collect(worlds[i]->mutator, (unsigned)(i % 3), NULL);
    }
    for (size_t i = 0; i < count; i++) {
        assert_true(is_intact_list(worlds[i]->root[0], 10 * i));
        world_end(worlds[i]);
    }
}

static void types_are_shared_by_heaps_of_all_kinds(void **state)
{
    struct world *exact = make_plain(MIB);
    gc_options options = test_options();
    struct world *ambiguous;

    (void)state;
    options.barriers = GC_BARRIERS_NONE;
    ambiguous = world_make(&options);
    exact->root[0] = build_list(exact->mutator, 10);
    ambiguous->root[0] = build_list(ambiguous->mutator, 10);
    gc_compact(exact->mutator, NULL);
    gc_compact(ambiguous->mutator, NULL);
    assert_ptr_equal(gc_type_of(exact->root[0]), gc_type_of(ambiguous->root[0]));
    assert_true(is_intact_list(exact->root[0], 10));
    assert_true(is_intact_list(ambiguous->root[0], 10));
    world_end(exact);
    world_end(ambiguous);
}

/* ---- Destroyed ---------------------------------------------------------- */

/* A heap's whole life: all kinds of memory, roots of all kinds left behind. */
static void live_and_die(const gc_options *options)
{
    struct world *world = world_make(options);
    static void *slots[100];
    gc_handle *handle;

    world->root[0] = build_list(world->mutator, 20000);
    world->root[1] = make_array(world->mutator, &gc_type_references, MIB);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    memset(slots, 0, sizeof slots);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(gc_root_add(world->heap, &slots[i]), GC_OK);
    handle = gc_handle_create(world->mutator, world->root[0]);
    assert_non_null(handle);
    assert_int_equal(gc_pin(world->mutator, world->root[0]), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], 1000), GC_OK);
    make_garbage(world->mutator, 20 * MIB);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(list_length(gc_handle_get(handle)), 20000);
    world_end(world);
}

static void check_nothing_is_left(const gc_options *options)
{
    struct mappings before;
    struct mappings after;

    for (int i = 0; i < 5; i++) /* whatever malloc and stdio take, they have then */
        live_and_die(options);
    before = count_mappings();
    for (int i = 0; i < 10; i++)
        live_and_die(options);
    after = count_mappings();
    assert_int_equal(after.count, before.count);
    assert_int_equal(after.bytes, before.bytes);
}

static void destroying_a_heap_returns_every_mapping(void **state)
{
    gc_options options = plain_options(MIB);

    (void)state;
    if (is_slowed())
        skip(); /* the tool's own mappings come and go */
    check_nothing_is_left(&options);
    check_nothing_is_left(NULL);
    options.barriers = GC_BARRIERS_NONE;
    check_nothing_is_left(&options);
    options = plain_options(MIB);
    options.settings = "stress=evacuate-all";
    check_nothing_is_left(&options);
}

static void destroying_a_heap_returns_resident_memory(void **state)
{
    size_t before;
    size_t after;

    (void)state;
    if (is_slowed())
        skip();
    live_and_die(NULL);
    before = resident_bytes();
    for (int i = 0; i < 10; i++)
        live_and_die(NULL);
    after = resident_bytes();
    assert_true(after <= before + MIB);
}

static void a_heap_may_be_destroyed_unused(void **state)
{
    (void)state;
    for (size_t i = 0; i < scaled(1000); i++) {
        gc_heap *heap = NULL;

        assert_int_equal(gc_heap_create(NULL, &heap), GC_OK);
        gc_heap_destroy(heap);
    }
}

static void a_heap_takes_few_mappings(void **state)
{
    struct mappings before = count_mappings();
    struct world *world;

    (void)state;
    if (is_slowed())
        skip();
    world = make_plain(MIB);
    world->root[0] = build_list(world->mutator, 200000);
    for (uint64_t i = 0; i < 200; i++) {
        world->root[1 + i % 7] = make_array(world->mutator, &gc_type_bytes, 10000 * i);
        gc_collect(world->mutator, (unsigned)(i % 3), NULL);
    }
    assert_true(count_mappings().count <= before.count + 64);
    world_end(world);
}

/* ---- Mutators ----------------------------------------------------------- */

static void a_second_mutator_for_the_same_thread_is_refused(void **state)
{
    struct world *world = make_plain(MIB);
    gc_mutator *second = NULL;

    (void)state;
    assert_int_equal(gc_mutator_attach(world->heap, &second), GC_BUSY);
    assert_null(second);
    world_end(world);
}

static void a_heap_keeps_its_objects_while_nobody_is_attached(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    world->root[0] = build_list(world->mutator, 10000);
    for (int i = 0; i < 100; i++) {
        gc_mutator_detach(world->mutator);
        assert_int_equal(gc_mutator_attach(world->heap, &world->mutator), GC_OK);
        (void)make_node(world->mutator, 0);
        gc_collect(world->mutator, (unsigned)(i % 3), NULL);
    }
    assert_true(is_intact_list(world->root[0], 10000));
    world_end(world);
}

static void what_a_mutator_left_of_its_run_is_no_object(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        struct node *node = make_node(world->mutator, i);

        node->right = world->root[0];
        world->root[0] = node;
        gc_mutator_detach(world->mutator);
        assert_int_equal(gc_mutator_attach(world->heap, &world->mutator), GC_OK);
    }
    assert_int_equal(recount(world->mutator).all_objects, 200);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(recount(world->mutator).all_objects, 200);
    assert_int_equal(list_length(world->root[0]), 200);
    world_end(world);
}

static void a_mutator_knows_its_heap(void **state)
{
    struct world *world = make_plain(MIB);
    int word = 0;

    (void)state;
    assert_ptr_equal(gc_mutator_heap(world->mutator), world->heap);
    assert_null(gc_heap_data(world->heap));
    gc_heap_set_data(world->heap, &word);
    assert_ptr_equal(gc_heap_data(world->heap), &word);
    world_end(world);
}

/* On a thread of its own: attaches, adds a node to root[0], detaches. */
static void *add_one(void *data)
{
    struct world *world = data;
    struct node *node = NULL;

    if (gc_mutator_attach(world->heap, &world->mutator) != GC_OK)
        return NULL;
    node = gc_alloc(world->mutator, &node_type);
    node->right = world->root[0];
    world->root[0] = node;
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_mutator_detach(world->mutator);
    return world;
}

static void one_thread_after_another_may_use_a_heap(void **state)
{
    gc_options options = test_options();
    struct world *world = world_make(&options);

    (void)state;
    gc_mutator_detach(world->mutator);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *done = NULL;

        assert_int_equal(pthread_create(&thread, NULL, add_one, world), 0);
        assert_int_equal(pthread_join(thread, &done), 0);
        assert_non_null(done);
    }
    assert_int_equal(gc_mutator_attach(world->heap, &world->mutator), GC_OK);
    assert_int_equal(list_length(world->root[0]), 50);
    world_end(world);
}

/* On a thread of its own: a heap's whole life. */
static void *whole_life(void *data)
{
    gc_options options = plain_options(256 * KIB);
    gc_heap *heap = NULL;
    gc_mutator *mutator = NULL;
    struct node *list = NULL;
    void *intact;

    if (gc_heap_create(&options, &heap) != GC_OK || gc_mutator_attach(heap, &mutator) != GC_OK)
        return NULL;
    GC_FRAME(mutator, frame, &list);
    for (int i = 0; i < 20; i++) {
        list = build_list(mutator, 10000);
        gc_collect(mutator, (unsigned)(i % 3), NULL);
    }
    intact = is_intact_list(list, 10000) && gc_verify(mutator) == 0 ? data : NULL;
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
    return intact;
}

static void heaps_on_several_threads_are_independent(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, whole_life, threads), 0);
    for (size_t i = 0; i < 4; i++) {
        void *intact = NULL;

        assert_int_equal(pthread_join(threads[i], &intact), 0);
        assert_non_null(intact);
    }
}

/* ---- Their list, after a fork --------------------------------------------- */

/* Whether the child ended well: one that spins is ended after ten seconds. */
static bool ends_well(pid_t pid)
{
    int status = -1;

    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void what_another_process_has_is_free(void **state)
{
    static struct gc_spin spin;
    pid_t pid;

    (void)state;
    gc_spin_take(&spin);
    pid = fork();
    if (pid == 0) {
        (void)alarm(10);
        for (int i = 0; i < 2; i++) {
            gc_spin_take(&spin);
            gc_spin_give(&spin);
        }
        _exit(0);
    }
    assert_true(ends_well(pid));
    gc_spin_give(&spin);
    gc_spin_take(&spin);
}

static atomic_bool is_over;

static void *list_all_the_time(void *data)
{
    struct gc_heap_range ranges[8];

    while (!atomic_load(&is_over))
        (void)gc_heaps_list(ranges, 8);
    return data;
}

/* Who had the list when another thread forked is not there to give it. */
static void a_child_makes_heaps_whoever_had_their_list(void **state)
{
    gc_options options = plain_options(MIB);
    pthread_t thread;
    bool well = true;

    (void)state;
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&thread, NULL, list_all_the_time, NULL), 0);
    for (int i = 0; i < 20 && well; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            gc_heap *heap;

            (void)alarm(10);
            if (gc_heap_create(&options, &heap) != GC_OK)
                _exit(1);
            gc_heap_destroy(heap);
            _exit(0);
        }
        well = ends_well(pid);
    }
    atomic_store(&is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(well);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_heaps_on_one_thread_do_not_mix),
        cmocka_unit_test(a_reference_into_another_heap_is_left_alone),
        cmocka_unit_test(a_hundred_heaps_live_at_once),
        cmocka_unit_test(types_are_shared_by_heaps_of_all_kinds),
        cmocka_unit_test(destroying_a_heap_returns_every_mapping),
        cmocka_unit_test(destroying_a_heap_returns_resident_memory),
        cmocka_unit_test(a_heap_may_be_destroyed_unused),
        cmocka_unit_test(a_heap_takes_few_mappings),
        cmocka_unit_test(a_second_mutator_for_the_same_thread_is_refused),
        cmocka_unit_test(a_heap_keeps_its_objects_while_nobody_is_attached),
        cmocka_unit_test(what_a_mutator_left_of_its_run_is_no_object),
        cmocka_unit_test(a_mutator_knows_its_heap),
        cmocka_unit_test(one_thread_after_another_may_use_a_heap),
        cmocka_unit_test(heaps_on_several_threads_are_independent),
        cmocka_unit_test(what_another_process_has_is_free),
        cmocka_unit_test(a_child_makes_heaps_whoever_had_their_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
