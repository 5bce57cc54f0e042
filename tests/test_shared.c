/* SPDX-License-Identifier: MIT
 *
 * What several threads change at the same time: roots, handles, pins, types,
 * hashes, weak things, finalizers, charges, limits and figures.
 */
#include "support/threads.h"

#include <strata/table.h>
#include <strata/weak.h>

enum { THREADS = 4 };

static size_t rounds_of(size_t count)
{
    return is_slowed() ? count / 8 + 8 : count;
}

/* Runs it on four threads, with collections that move everything, and checks
 * the whole heap afterwards. */
static void share(const char *settings, thread_fn *act, void *data)
{
    struct world *world = make_shared(settings);

    run_threads(world, THREADS, act, data);
    assert_true(collections_of(world->heap) > 0);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_free(world);
}

/* ---- Roots -------------------------------------------------------------- */

static void change_roots(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    void *slots[8] = {NULL};

    (void)data;
    for (size_t i = 0; i < rounds_of(2000); i++) {
        size_t which = i % 8;

        slots[which] = make_node(mutator, index);
        assert_int_equal(gc_root_add(heap, &slots[which]), GC_OK);
        make_garbage(mutator, KIB);
        assert_int_equal(((struct node *)slots[which])->value, index);
        assert_int_equal(gc_root_remove(heap, &slots[which]), GC_OK);
    }
    gc_mutator_detach(mutator);
}

static void threads_add_and_remove_roots(void **state)
{
    (void)state;
    share("stress=evacuate-all", change_roots, NULL);
}

static void change_handles(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    gc_handle *handles[100] = {NULL};

    (void)data;
    for (size_t i = 0; i < rounds_of(10000); i++) {
        size_t which = i % 100;

        gc_handle_destroy(mutator, handles[which]);
        handles[which] = gc_handle_create(mutator, make_node(mutator, index * 100 + which));
        make_garbage(mutator, 512);
        gc_handle_set(mutator, handles[which], gc_handle_get(handles[which]));
    }
    for (size_t i = 0; i < 100; i++) {
        const struct node *node = handles[i] == NULL ? NULL : gc_handle_get(handles[i]);

        if (node != NULL)
            assert_int_equal(node->value, index * 100 + i);
        gc_handle_destroy(mutator, handles[i]);
    }
    gc_mutator_detach(mutator);
}

static void threads_create_and_destroy_handles(void **state)
{
    (void)state;
    share("stress=evacuate-all", change_handles, NULL);
}

/* ---- Facts about objects ------------------------------------------------ */

static void note_facts(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *node = NULL;

    (void)data;
    GC_FRAME(mutator, frame, &node);
    for (size_t i = 0; i < rounds_of(3000); i++) {
        uint64_t first, second;
        struct node *before;

        node = before = make_node(mutator, i + index);
        assert_int_equal(gc_pin(mutator, node), GC_OK);
        assert_int_equal(gc_hash(mutator, node, &first), GC_OK);
        assert_int_equal(gc_external_adjust(mutator, node, 100), GC_OK);
        make_garbage(mutator, 2 * KIB);
        assert_ptr_equal(node, before);
        assert_true(gc_is_object(mutator, node));
        assert_ptr_equal(gc_object_at(mutator, &node->value), node);
        assert_int_equal(gc_hash(mutator, node, &second), GC_OK);
        assert_int_equal(first, second);
        assert_int_equal(gc_unpin(mutator, node), GC_OK);
    }
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_note_facts_about_objects(void **state)
{
    (void)state;
    share("stress=evacuate-all,check=cheap", note_facts, NULL);
}

static void make_types(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *node = NULL;

    (void)data;
    (void)index;
    GC_FRAME(mutator, frame, &node);
    for (size_t i = 0; i < rounds_of(500); i++) {
        struct node *class_object = make_node(mutator, i);
        gc_type *type = gc_type_create(mutator, &node_type, class_object);

        assert_non_null(type);
        node = make_object(mutator, type);
        make_garbage(mutator, 8 * KIB);
        class_object = gc_type_class(gc_type_of(node));
        assert_int_equal(class_object->value, i);
        gc_type_retire(mutator, type, NULL, NULL);
    }
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_make_and_retire_types(void **state)
{
    (void)state;
    share("stress=evacuate-all+full", make_types, NULL);
}

/* ---- Weak things -------------------------------------------------------- */

static size_t finalized;

static void count_finalized(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
    __atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static void count_cleared(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    assert_null(gc_weakref_get(mutator, weakref));
    __atomic_fetch_add((size_t *)data, 1, __ATOMIC_RELAXED);
}

/* Half of the objects are dropped; all are finalized in the end. */
static void make_weak(gc_heap *heap, size_t index, void *data)
{
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = count_finalized};
    gc_mutator *mutator = attach(heap);
    struct node *node = NULL;
    gc_weakref *weakref = NULL, *watching = NULL;
    gc_table *table = NULL;

    (void)index;
    finalizer.priority = GC_PRIORITY_NORMAL;
    GC_FRAME(mutator, frame, &node, &weakref, &watching, &table);
    table = gc_table_create(mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    for (size_t i = 0; i < rounds_of(2000); i++) {
        node = make_node(mutator, i);
        weakref = gc_weakref_create(mutator, node, 0);
        watching = gc_weakref_create_watching(mutator, node, 0, count_cleared, data);
        assert_int_equal(gc_finalizer_add(mutator, node, &finalizer, NULL), GC_OK);
        assert_int_equal(gc_table_put(mutator, table, node, node), GC_OK);
        make_garbage(mutator, KIB);
        assert_ptr_equal(gc_weakref_get(mutator, weakref), node);
        assert_true(gc_table_get(mutator, table, node, NULL));
        if (i % 3 == 0)
            gc_weakref_clear(mutator, weakref);
        if (i % 64 != 0)
            continue;
        node = NULL; /* the weak references alone are kept */
        gc_collect(mutator, GC_YOUNG, NULL);
        (void)gc_finalizers_run(mutator, 10);
    }
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_make_weak_things_and_finalizers(void **state)
{
    struct world *world = make_shared("stress=evacuate-all");
    size_t cleared = 0;

    (void)state;
    finalized = 0;
    run_threads(world, THREADS, make_weak, &cleared);
    gc_collect(world->mutator, GC_OLD, NULL);
    (void)gc_finalizers_run(world->mutator, 0);
    assert_int_equal(finalized, THREADS * rounds_of(2000));
    assert_true(cleared > 0);
    assert_int_equal(gc_verify(world->mutator), 0);
    world_free(world);
}

/* All ask for the weak reference to the same objects: there is one each. */
static void share_weakrefs(gc_heap *heap, size_t index, void *data)
{
    struct node *const *shared = data;
    gc_mutator *mutator = attach(heap);

    (void)index;
    for (size_t i = 0; i < rounds_of(4000); i++) {
        const gc_weakref *weakref = gc_weakref_create(mutator, shared[i % WORLD_ROOTS], 0);

        assert_ptr_equal(gc_weakref_get(mutator, weakref), shared[i % WORLD_ROOTS]);
        if (i % 32 == 0)
            gc_collect(mutator, GC_YOUNG, NULL);
    }
    gc_mutator_detach(mutator);
}

static void threads_share_weak_references(void **state)
{
    struct world *world = make_shared("stress=evacuate-all");

    (void)state;
    for (size_t i = 0; i < WORLD_ROOTS; i++)
        world->root[i] = make_node(world->mutator, i);
    run_threads(world, THREADS, share_weakrefs, world->root);
    gc_collect(world->mutator, GC_OLD, NULL);
    for (size_t i = 0; i < WORLD_ROOTS; i++)
        assert_true(gc_weakref_list(world->mutator, world->root[i], NULL, 0) <= 1);
    world_free(world);
}

/* ---- Figures ------------------------------------------------------------ */

static void change_and_ask(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)data;
    for (size_t i = 0; i < rounds_of(1000); i++) {
        gc_stats stats = stats_of(heap);
        size_t left;

        assert_true(stats.committed_bytes > 0);
        assert_true(gc_count(heap, GC_YOUNG) < 64 * MIB);
        (void)gc_next_generation(heap, NULL, &left);
        (void)gc_last_reason(heap);
        if (index == 0) {
            assert_int_equal(gc_threshold_set(heap, GC_YOUNG, MIB + i * 100), GC_OK);
            assert_int_equal(gc_limit_set(heap, 512 * MIB, 1024 * MIB), GC_OK);
        }
        make_garbage(mutator, 4 * KIB);
        gc_disable(mutator); /* for all threads */
        gc_enable(mutator);
        make_garbage(mutator, 4 * KIB);
        if (i % 100 == index) {
            (void)gc_trim(mutator);
            assert_int_equal(gc_verify(mutator), 0);
        }
        (void)count_objects(mutator, &node_type);
    }
    gc_mutator_detach(mutator);
}

static void threads_ask_for_figures(void **state)
{
    (void)state;
    share("check=off", change_and_ask, NULL);
}

/* ---- The limit ---------------------------------------------------------- */

static size_t asked;

static bool drop_something(gc_mutator *mutator, size_t needed, void *data)
{
    gc_handle **kept = data;

    (void)needed;
    __atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
    gc_handle_set(mutator, *kept, NULL);
    return true;
}

/* Each thread fills the heap, keeps what it can in a list, and drops it when
 * there is no more room. */
static void fill_up(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);
    struct node *list = NULL;
    size_t length = 0;

    (void)index;
    (void)data;
    GC_FRAME(mutator, frame, &list);
    for (size_t i = 0; i < rounds_of(400000); i++) {
        struct node *node = gc_alloc(mutator, &node_type);

        if (node == NULL) {
            list = NULL;
            length = 0;
            continue;
        }
        node->right = list;
        list = node;
        length++;
    }
    assert_int_equal(list_length(list), length);
    gc_frame_pop(mutator, &frame);
    gc_mutator_detach(mutator);
}

static void threads_meet_the_limit_together(void **state)
{
    gc_options options = plain_options(MIB);
    struct world *world;
    gc_handle *kept;

    (void)state;
    options.hard_limit = 8 * MIB;
    options.limit_callback = drop_something;
    options.limit_data = &kept;
    world = world_make(&options);
    kept = gc_handle_create(world->mutator, build_list(world->mutator, 10000));
    run_threads(world, THREADS, fill_up, NULL);
    assert_true(is_slowed() || asked > 0);
    assert_int_equal(gc_verify(world->mutator), 0);
    gc_handle_destroy(world->mutator, kept);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_add_and_remove_roots),
        cmocka_unit_test(threads_create_and_destroy_handles),
        cmocka_unit_test(threads_note_facts_about_objects),
        cmocka_unit_test(threads_make_and_retire_types),
        cmocka_unit_test(threads_make_weak_things_and_finalizers),
        cmocka_unit_test(threads_share_weak_references),
        cmocka_unit_test(threads_ask_for_figures),
        cmocka_unit_test(threads_meet_the_limit_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
