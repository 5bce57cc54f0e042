/* SPDX-License-Identifier: MIT
 *
 * What registrations cost: it is counted, and it is used again; and huge pages, which
 * cost memory that is not.
 */
#include <strata/weak.h>

#include "heap/heap.h"
#include "os/os.h"
#include "support/graph.h"

enum { MANY = 20000 };

static struct {
    void *slots[MANY];
    gc_handle *handles[MANY];
} registry;

static size_t metadata(struct world *world)
{
    gc_collect(world->mutator, GC_OLD, NULL);
    return stats_of(world->heap).metadata_bytes;
}

static void make_handles(struct world *world)
{
    for (size_t i = 0; i < MANY; i++) {
        registry.handles[i] = gc_handle_create(world->mutator, NULL);
        assert_non_null(registry.handles[i]);
    }
}

static void destroy_handles(struct world *world)
{
    for (size_t i = 0; i < MANY; i++)
        gc_handle_destroy(world->mutator, registry.handles[i]);
}

static void handles_are_counted_and_used_again(void **state)
{
    struct world *world = *state;
    size_t before = metadata(world), with;

    make_handles(world);
    with = metadata(world);
    assert_true(with >= before + MANY * sizeof(void *));
    assert_true(with <= before + 2 * MANY * sizeof(void *));
    for (int round = 0; round < 5; round++) {
        destroy_handles(world);
        make_handles(world);
    }
    /* One at a time, from pages that are full. */
    for (size_t i = 0; i < MANY; i++) {
        gc_handle_destroy(world->mutator, registry.handles[i]);
        registry.handles[i] = gc_handle_create(world->mutator, NULL);
    }
    assert_int_equal(metadata(world), with);
    destroy_handles(world);
}

/* They were counted when the next collection came. */
static void handles_are_counted_at_once(void **state)
{
    struct world *world = *state;
    size_t before = stats_of(world->heap).committed_bytes;

    make_handles(world);
    assert_true(stats_of(world->heap).committed_bytes >= before + MANY * sizeof(void *));
    destroy_handles(world);
}

static void types_are_counted_while_they_are_there(void **state)
{
    struct world *world = *state;
    size_t before = metadata(world);
    gc_type *types[100];

    for (size_t i = 0; i < GC_COUNT(types); i++) {
        types[i] = gc_type_create(world->mutator, &node_type, NULL);
        assert_non_null(types[i]);
    }
    assert_true(metadata(world) >= before + GC_COUNT(types) * sizeof(gc_type));
    for (size_t i = 0; i < GC_COUNT(types); i++)
        gc_type_retire(world->mutator, types[i], NULL, NULL);
    (void)metadata(world);
    assert_int_equal(metadata(world), before);
}

static void trace_nothing(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
}

static void roots_of_each_sort_are_counted(void **state)
{
    struct world *world = *state;
    size_t before[4];

    for (int sort = 0; sort < 3; sort++) {
        before[sort] = metadata(world);
        for (size_t i = 0; i < MANY; i++) {
            gc_status status =
                sort == 0   ? gc_root_add(world->heap, &registry.slots[i])
                : sort == 1 ? gc_root_range_add(world->heap, &registry.slots[i], 1, GC_AMBIGUOUS)
                            : gc_root_callback_add(world->heap, trace_nothing, &registry.slots[i],
                                                   GC_EXACT);

            assert_int_equal(status, GC_OK);
        }
        before[sort + 1] = metadata(world);
        assert_true(before[sort + 1] >= before[sort] + MANY * sizeof(void *));
    }
}

static void finalize_nothing(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
}

static void finalizers_are_counted_and_used_again(void **state)
{
    static const gc_finalizer finalizer = {sizeof finalizer, finalize_nothing, NULL,
                                           GC_PRIORITY_NORMAL, 0};
    struct world *world = *state;
    size_t before = metadata(world), with = 0;

    for (int round = 0; round < (is_slowed() ? 2 : 5); round++) {
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(
                gc_finalizer_add(world->mutator, make_node(world->mutator, i), &finalizer, NULL),
                GC_OK);
        gc_collect(world->mutator, GC_OLD, NULL);
        gc_finalizers_run(world->mutator, 0);
        with = round == 0 ? metadata(world) : with;
        assert_true(metadata(world) <= with + with / 8);
    }
    assert_true(with >= before + MANY * sizeof(void *));
}

/* Where huge pages were asked for. */
static struct {
    uintptr_t chunks[16];
    size_t count;
} advised;

static bool note_advice(void *start, size_t bytes, bool wanted)
{
    assert_true(bytes == GC_CHUNK_BYTES && advised.count < GC_COUNT(advised.chunks));
    if (wanted)
        advised.chunks[advised.count++] = (uintptr_t)start;
    return true;
}

/* The chunk in which it ends is touched by a few bytes: a huge page there would hold
 * memory that nobody counts. */
static void a_large_object_asks_for_huge_pages_that_it_fills(void **state)
{
    struct world *world = *state;
    bool (*advise)(void *, size_t, bool) = gc_os.advise_huge;
    uintptr_t last;

    world->root[0] = make_array(world->mutator, &gc_type_bytes, 40 * MIB);
    gc_os.advise_huge = note_advice;
    world->root[1] = make_array(world->mutator, &gc_type_bytes, 2 * GC_CHUNK_BYTES + 1000);
    gc_os.advise_huge = advise;
    last = (uintptr_t)world->root[1] + gc_size_of(world->root[1]) - 1;
    assert_int_equal(advised.count, 2);
    for (size_t i = 0; i < advised.count; i++)
        assert_true(last - advised.chunks[i] >= GC_CHUNK_BYTES);
}

/* Tables, and what advice there is about them. */
static struct table_advice {
    const struct gc_tables *tables;
    size_t marks, lines, others;
    bool wanted;
} tables_advised;

static bool is_in(uintptr_t address, const void *table, size_t bytes)
{
    return address - (uintptr_t)table < bytes;
}

static bool note_table_advice(void *start, size_t bytes, bool wanted)
{
    struct table_advice *advice = &tables_advised;
    size_t blocks = advice->tables->block_count;

    assert_int_equal((uintptr_t)start % GC_CHUNK_BYTES, 0);
    assert_int_equal(bytes, GC_CHUNK_BYTES);
    if (is_in((uintptr_t)start, advice->tables->marks, blocks * GC_BLOCK_BYTES / 64)) {
        advice->marks++;
        advice->wanted = wanted;
    } else if (is_in((uintptr_t)start, advice->tables->lines, blocks * GC_BLOCK_LINES)) {
        advice->lines++;
        advice->wanted = wanted;
    } else {
        advice->others++;
    }
    return true;
}

static void assert_advised(struct gc_tables *tables, size_t chunk, size_t marks, size_t lines)
{
    bool (*advise)(void *, size_t, bool) = gc_os.advise_huge;

    for (int wanted = 0; wanted < 2; wanted++) {
        tables_advised = (struct table_advice){.tables = tables};
        gc_os.advise_huge = note_table_advice;
        gc_tables_advise_huge(tables, chunk, wanted != 0);
        gc_os.advise_huge = advise;
        assert_int_equal(tables_advised.marks, marks);
        assert_int_equal(tables_advised.lines, lines);
        assert_int_equal(tables_advised.others, 0);
        assert_int_equal(tables_advised.wanted, marks + lines > 0 && wanted != 0);
    }
}

/* A mebibyte's marks take 16 KiB, its lines 8: a huge page of them is for 128 and for
 * 256 MiB, and the first two are not asked for. */
static void tables_of_a_large_heap_ask_for_huge_pages(void **state)
{
    size_t chunks = 1024 * MIB / GC_CHUNK_BYTES, marks = chunks / 4, lines = chunks / 2;
    struct gc_tables tables;
    uint8_t *first;

    (void)state;
    assert_true(gc_tables_create(&tables, GC_CHUNK_BYTES, 1024 * MIB, NULL));
    assert_advised(&tables, 0, 0, 0);
    assert_advised(&tables, marks - 1, 0, 0);
    assert_advised(&tables, marks, 1, 0);
    assert_advised(&tables, lines - 1, 1, 0);
    assert_advised(&tables, lines, 1, 1);
    assert_advised(&tables, chunks - 1, 1, 1);
    assert_true(gc_tables_commit(&tables, lines + 1)); /* with its neighbours' */
    first = gc_block_lines(&tables, (uint32_t)(lines * GC_CHUNK_BLOCKS));
    first[0] = 1;
    first[GC_CHUNK_BYTES - 1] = 1;
    gc_tables_destroy(&tables);
}

/* After the memory that they describe was given back, and when there is some again. */
static void tables_ask_again_for_what_is_used_again(void **state)
{
    struct world *world = *state;
    bool (*advise)(void *, size_t, bool) = gc_os.advise_huge;

    assert_int_equal(gc_limit_set(world->heap, 0, 400 * MIB), GC_OK);
    world->root[0] = make_array(world->mutator, &gc_type_bytes, 260 * MIB);
    world->root[0] = NULL;
    tables_advised = (struct table_advice){.tables = &world->heap->collector.tables};
    gc_os.advise_huge = note_table_advice;
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_trim(world->mutator);
    gc_os.advise_huge = advise;
    assert_int_not_equal(tables_advised.marks, 0);
    assert_false(tables_advised.wanted);

    tables_advised.marks = 0;
    gc_os.advise_huge = note_table_advice;
    world->root[0] = make_array(world->mutator, &gc_type_bytes, 260 * MIB);
    gc_os.advise_huge = advise;
    assert_int_not_equal(tables_advised.marks, 0);
    assert_true(tables_advised.wanted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handles_are_counted_and_used_again),
        TEST(handles_are_counted_at_once),
        TEST(types_are_counted_while_they_are_there),
        TEST(roots_of_each_sort_are_counted),
        TEST(finalizers_are_counted_and_used_again),
        TEST(a_large_object_asks_for_huge_pages_that_it_fills),
        TEST(tables_of_a_large_heap_ask_for_huge_pages),
        TEST(tables_ask_again_for_what_is_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
