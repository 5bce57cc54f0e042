/* SPDX-License-Identifier: MIT
 *
 * Attaching and detaching: what comes and goes costs nothing that stays.
 */
#include "base/annotate.h"
#include "support/graph.h"

#include "support/fault.h"

static gc_heap *make_heap(void)
{
    gc_options options = plain_options(MIB);
    gc_heap *heap = NULL;

    assert_int_equal(gc_heap_create(&options, &heap), GC_OK);
    return heap;
}

static void attach_and_allocate(gc_heap *heap)
{
    gc_mutator *mutator = NULL;

    assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
    (void)make_node(mutator, 1);
    gc_mutator_detach(mutator);
}

static void a_million_attachments_take_no_memory(void **state)
{
    gc_heap *heap = make_heap();
    size_t committed, resident, allocations;

    (void)state;
    fault_install();
    attach_and_allocate(heap);
    committed = stats_of(heap).committed_bytes;
    resident = resident_bytes();
    allocations = fault_live_allocations();
    for (size_t i = 0; i < scaled(1000000); i++)
        attach_and_allocate(heap);
    assert_int_equal(fault_live_allocations(), allocations);
    fault_remove();
    assert_true(stats_of(heap).committed_bytes <= committed + 4 * MIB);
    assert_true(resident_bytes() <= resident + 8 * MIB);
    assert_true(collections_of(heap) <= 1000000 * 32 / MIB + 1);
    gc_heap_destroy(heap);
}

static void a_run_goes_on_where_it_was_left(void **state)
{
    gc_heap *heap = make_heap();
    gc_mutator *mutator = NULL;
    struct node *first, *second;

    (void)state;
    assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
    first = make_node(mutator, 1);
    gc_mutator_detach(mutator);
    assert_int_equal(gc_count(heap, 0), GC_OBJECT_BYTES(sizeof *first));
    assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
    second = make_node(mutator, 2);
    assert_ptr_equal((char *)first + GC_OBJECT_BYTES(sizeof *first) + GC_REDZONE_BYTES, second);
    assert_int_equal(gc_count(heap, 0), 2 * GC_OBJECT_BYTES(sizeof *first));
    assert_int_equal(count_objects(mutator, &node_type), 2);
    assert_int_equal(gc_verify(mutator), 0);
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
}

/* The run that was left is retired like any other. */
static void a_collection_between_attachments_is_as_any(void **state)
{
    gc_heap *heap = make_heap();
    gc_mutator *mutator = NULL;
    void *root = NULL;

    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
        if (i == 0)
            assert_int_equal(gc_root_add(heap, &root), GC_OK);
        collect(mutator, (unsigned)(i % 3));
        assert_int_equal(gc_verify(mutator), 0);
        assert_true(i == 0 || ((struct node *)root)->value == i - 1);
        root = make_node(mutator, i);
        gc_mutator_detach(mutator);
    }
    gc_heap_destroy(heap);
}

static void the_next_to_attach_starts_afresh(void **state)
{
    gc_heap *heap = make_heap();
    gc_mutator *mutator = NULL;
    struct node *node;
    void *root = NULL;

    (void)state;
    assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
    assert_int_equal(gc_root_add(heap, &root), GC_OK);
    root = make_node(mutator, 1);
    collect(mutator, 2);
    node = root;
    gc_write(mutator, node, &node->left, make_node(mutator, 2)); /* in its log */
    gc_mutator_detach(mutator);
    assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
    assert_null(gc_frame_top(mutator));
    collect(mutator, 0);
    node = root;
    assert_int_equal(node->left->value, 2);
    assert_int_equal(gc_verify(mutator), 0);
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_attachments_take_no_memory),
        cmocka_unit_test(a_run_goes_on_where_it_was_left),
        cmocka_unit_test(a_collection_between_attachments_is_as_any),
        cmocka_unit_test(the_next_to_attach_starts_afresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
