/* SPDX-License-Identifier: MIT
 *
 * Weak references, hashes, weak tables, finalizers, guardians and watches of one
 * heap that several threads use: nothing is lost, done twice or seen half done.
 */
#include "support/threads.h"

#include <strata/table.h>
#include <strata/weak.h>

#include <string.h>

enum { THREADS = 4, EACH = 3000, SHARED = 64 };

/* What a test's threads share. Counters are atomic. */
static struct {
    struct world *world;
    size_t each;
    size_t ended; /* threads that have made all of theirs */
    size_t ran;
    size_t sum; /* of the numbers of what ran */
    unsigned char seen[THREADS * EACH];
    gc_guardian *guardian;
    struct barrier barrier;
} shared;

static void begin(void)
{
    shared.world = make_shared(NULL);
    shared.each = scaled(EACH);
    shared.ended = shared.ran = shared.sum = 0;
    memset(shared.seen, 0, sizeof shared.seen);
    make_barrier(&shared.barrier, THREADS);
}

static void add_to(size_t *counter, size_t more)
{
    (void)__atomic_fetch_add(counter, more, __ATOMIC_SEQ_CST);
}

static size_t value_of(const size_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* Number `number` ran: once. */
static void note(size_t number)
{
    assert_int_equal(__atomic_fetch_add(&shared.seen[number], 1, __ATOMIC_SEQ_CST), 0);
    add_to(&shared.ran, 1);
}

static void check_all_ran(size_t each)
{
    assert_int_equal(value_of(&shared.ran), THREADS * each);
    for (size_t thread = 0; thread < THREADS; thread++)
        for (size_t i = 0; i < each; i++)
            assert_int_equal(shared.seen[thread * EACH + i], 1);
}

/* ---- Finalizers, watches, callbacks --------------------------------------- */

static void run_finalizer(gc_mutator *mutator, void *object, void *data)
{
    assert_int_equal(((struct node *)object)->value, (size_t)data);
    assert_int_equal(gc_finalizers_run(mutator, 0), 0);
    note((size_t)data);
}

static void run_watch(gc_mutator *mutator, void *data)
{
    (void)make_node(mutator, 1);
    note((size_t)data);
}

static void run_callback(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    assert_null(gc_weakref_get(mutator, weakref));
    note((size_t)data);
}

/* One of three kinds; a cancelled or detached one besides. */
static void register_one(gc_mutator *mutator, struct node **node, size_t number)
{
    gc_finalizer finalizer = {
        .size = sizeof finalizer, .run = run_finalizer, .data = (void *)number};
    gc_finalizer_id id;
    gc_watch watch;

    assert_int_equal(gc_finalizer_add(mutator, *node, &finalizer, &id), GC_OK);
    assert_int_equal(gc_watch_add(mutator, *node, run_watch, (void *)number, &watch), GC_OK);
    if (number % 3 != 0)
        assert_int_equal(gc_finalizer_cancel(mutator, id), GC_OK);
    if (number % 3 != 1)
        assert_true(gc_watch_detach(mutator, watch));
    if (number % 3 == 2) {
        /* In the node's own field: the two die apart, for another holds it. */
        gc_weakref *weakref =
            gc_weakref_create_watching(mutator, *node, 0, run_callback, (void *)number);

        assert_non_null(weakref);
        GC_FRAME(mutator, frame, &weakref);
        *node = make_node(mutator, 0);
        gc_write(mutator, *node, &(*node)->left, weakref);
        gc_frame_pop(mutator, &frame);
    }
}

/* Keeps the holders of weak references till all has run. */
static void register_many(gc_mutator *mutator, size_t index)
{
    struct node *node = NULL, *kept = NULL;

    GC_FRAME(mutator, frame, &node, &kept);
    for (size_t i = 0; i < shared.each; i++) {
        size_t number = index * EACH + i;

        node = make_node(mutator, number);
        register_one(mutator, &node, number);
        if (number % 3 == 2) {
            gc_write(mutator, node, &node->right, kept);
            kept = node;
        }
        if (i % 500 == 0)
            gc_collect(mutator, (unsigned)(i / 500 % 3), NULL);
    }
    node = NULL;
    meet_parked(&shared.barrier, mutator);
    gc_collect(mutator, GC_OLD, NULL);
    meet_parked(&shared.barrier, mutator);
    while (gc_finalizers_run(mutator, 7) != 0)
        gc_safepoint(mutator);
    meet_parked(&shared.barrier, mutator);
    gc_frame_pop(mutator, &frame);
}

static void register_and_drain(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)data;
    register_many(mutator, index);
    gc_mutator_detach(mutator);
}

/* All threads register, and all drain at once. */
static void each_registration_runs_once_whoever_drains(void **state)
{
    (void)state;
    begin();
    run_threads(shared.world, THREADS, register_and_drain, NULL);
    check_all_ran(shared.each);
    assert_int_equal(gc_finalizers_pending(shared.world->heap), 0);
    world_end(shared.world);
}

static void at_safepoints_all_threads_drain(void **state)
{
    (void)state;
    begin();
    gc_finalizers_at_safepoints(shared.world->mutator, true);
    run_threads(shared.world, THREADS, register_and_drain, NULL);
    check_all_ran(shared.each);
    world_end(shared.world);
}

/* ---- A thread that does nothing but finalize ------------------------------ */

static void register_only(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)data;
    for (size_t i = 0; i < shared.each; i++) {
        size_t number = index * EACH + i;
        gc_finalizer finalizer = {.size = sizeof finalizer,
                                  .run = run_finalizer,
                                  .data = (void *)number,
                                  .external_bytes = 100};
        struct node *node = make_node(mutator, number);

        assert_int_equal(gc_finalizer_add(mutator, node, &finalizer, NULL), GC_OK);
        if (i % 400 == 0)
            gc_collect(mutator, GC_YOUNG, NULL);
    }
    add_to(&shared.ended, 1);
    gc_mutator_detach(mutator);
}

static void a_thread_of_the_embedders_may_finalize(void **state)
{
    struct threads threads;
    gc_mutator *mutator;

    (void)state;
    begin();
    mutator = shared.world->mutator;
    start_threads(&threads, shared.world->heap, THREADS, register_only, NULL);
    while (value_of(&shared.ended) < THREADS) {
        gc_finalizers_run(mutator, 10);
        gc_safepoint(mutator);
    }
    join_threads(&threads, mutator);
    gc_collect(mutator, GC_OLD, NULL);
    gc_finalizers_run(mutator, 0);
    check_all_ran(shared.each);
    assert_int_equal(stats_of(shared.world->heap).external_bytes, 0);
    world_end(shared.world);
}

/* ---- A guardian ----------------------------------------------------------- */

static void guard_and_take(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    const struct node *node;

    (void)data;
    for (size_t i = 0; i < shared.each; i++) {
        assert_int_equal(
            gc_guardian_add(mutator, shared.guardian, make_node(mutator, index * EACH + i)), GC_OK);
        if (i % 300 == 0)
            gc_collect(mutator, GC_YOUNG, NULL);
        node = gc_guardian_next(mutator, shared.guardian);
        if (node != NULL)
            note(node->value);
    }
    gc_mutator_detach(mutator);
}

static void a_guardian_gives_each_object_to_one_thread(void **state)
{
    const struct node *node;

    (void)state;
    begin();
    shared.guardian = gc_guardian_create(shared.world->mutator);
    run_threads(shared.world, THREADS, guard_and_take, NULL);
    gc_collect(shared.world->mutator, GC_OLD, NULL);
    while ((node = gc_guardian_next(shared.world->mutator, shared.guardian)) != NULL)
        note(node->value);
    check_all_ran(shared.each);
    gc_guardian_destroy(shared.world->mutator, shared.guardian);
    world_end(shared.world);
}

/* ---- Weak references and hashes of the same objects ------------------------ */

static void make_shared_objects(void)
{
    struct world *world = shared.world;

    world->root[0] = make_array(world->mutator, &gc_type_references, SHARED);
    for (size_t i = 0; i < SHARED; i++) {
        struct node *node = make_node(world->mutator, i);
        void **slots = world->root[0];

        gc_write(world->mutator, slots, &slots[i], node);
    }
}

static void *shared_object(size_t i)
{
    return ((void **)shared.world->root[0])[i];
}

/* All are alive throughout, as are the weak references. */
static void refer_and_hash(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    uint64_t *hashes = data;
    void **refs = NULL;

    GC_FRAME(mutator, frame, &refs);
    refs = make_array(mutator, &gc_type_references, SHARED);
    meet_parked(&shared.barrier, mutator);
    for (size_t i = 0; i < SHARED; i++) {
        gc_weakref *weakref = gc_weakref_create(mutator, shared_object(i), 0);

        assert_non_null(weakref);
        gc_write(mutator, refs, &refs[i], weakref);
        assert_ptr_equal(gc_weakref_get(mutator, weakref), shared_object(i));
        assert_int_equal(gc_hash(mutator, shared_object(i), &hashes[index * SHARED + i]), GC_OK);
        if (i % 16 == index)
            gc_collect(mutator, GC_MIDDLE, NULL);
    }
    meet_parked(&shared.barrier, mutator);
    for (size_t i = 0; i < SHARED; i++)
        assert_int_equal(gc_weakref_list(mutator, shared_object(i), NULL, 0), 1);
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_share_weak_references_and_hashes(void **state)
{
    static uint64_t hashes[THREADS * SHARED];

    (void)state;
    begin();
    make_shared_objects();
    run_threads(shared.world, THREADS, refer_and_hash, hashes);
    for (size_t i = 0; i < SHARED; i++)
        for (size_t thread = 1; thread < THREADS; thread++)
            assert_int_equal(hashes[thread * SHARED + i], hashes[i]);
    world_end(shared.world);
}

/* ---- Upgrading what others drop -------------------------------------------- */

/* Slot i holds a weak reference to a node of number i, which only handles keep.
 * A thread upgrades, looks, gives back; the last to let go lets it die. */
static void upgrade_and_drop(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    size_t rounds = shared.each, gone = 0;

    (void)data;
    for (size_t round = 0; round < rounds; round++) {
        size_t i = (round * 7 + index) % SHARED;
        gc_handle *handle = gc_weakref_upgrade(mutator, shared_object(i));

        if (handle == NULL) {
            gone++;
            continue;
        }
        if (round % 64 == index)
            gc_collect(mutator, (unsigned)(round / 64 % 3), NULL);
        assert_int_equal(((struct node *)gc_handle_get(handle))->value, i);
        if (i % 2 != 0) /* nobody clears it */
            assert_ptr_equal(gc_weakref_get(mutator, shared_object(i)), gc_handle_get(handle));
        gc_handle_destroy(mutator, handle);
        if (round % 5 == 0 && i % 2 == 0)
            gc_weakref_clear(mutator, shared_object(i));
    }
    add_to(&shared.sum, gone);
    gc_mutator_detach(mutator);
}

static void an_upgraded_object_is_whole_or_gone(void **state)
{
    struct world *world;

    (void)state;
    begin();
    world = shared.world;
    make_shared_objects();
    for (size_t i = 0; i < SHARED; i++) {
        gc_weakref *weakref = gc_weakref_create(world->mutator, shared_object(i), 0);
        void **slots = world->root[0];

        assert_non_null(weakref);
        gc_write(world->mutator, slots, &slots[i], weakref);
    }
    run_threads(world, THREADS, upgrade_and_drop, NULL);
    assert_true(value_of(&shared.sum) > 0);
    world_end(world);
}

/* ---- Tables of their own, keys shared -------------------------------------- */

static void fill_own_table(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    gc_table *table;
    void *own = NULL, *value = NULL;

    (void)data;
    table = gc_table_create(mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    GC_FRAME(mutator, frame, &table, &own, &value);
    for (size_t i = 0; i < shared.each; i++) {
        own = make_node(mutator, i); /* dies when the next one is made */
        assert_int_equal(gc_table_put(mutator, table, own, own), GC_OK);
        assert_int_equal(gc_table_put(mutator, table, shared_object(i % SHARED), own), GC_OK);
        assert_true(gc_table_get(mutator, table, shared_object(i % SHARED), &value));
        assert_ptr_equal(value, own);
        if (i % 700 == index)
            gc_collect(mutator, (unsigned)(index % 3), NULL);
    }
    own = value = NULL;
    gc_collect(mutator, GC_OLD, NULL);
    /* What a shared key's entry has as its value is some node's key. */
    assert_in_range(gc_table_count(mutator, table), SHARED, 2 * SHARED);
    for (size_t i = 0; i < SHARED; i++)
        assert_true(gc_table_get(mutator, table, shared_object(i), NULL));
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_have_tables_with_the_same_keys(void **state)
{
    (void)state;
    begin();
    make_shared_objects();
    run_threads(shared.world, THREADS, fill_own_table, NULL);
    world_end(shared.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_registration_runs_once_whoever_drains),
        cmocka_unit_test(at_safepoints_all_threads_drain),
        cmocka_unit_test(a_thread_of_the_embedders_may_finalize),
        cmocka_unit_test(a_guardian_gives_each_object_to_one_thread),
        cmocka_unit_test(threads_share_weak_references_and_hashes),
        cmocka_unit_test(an_upgraded_object_is_whole_or_gone),
        cmocka_unit_test(threads_have_tables_with_the_same_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
