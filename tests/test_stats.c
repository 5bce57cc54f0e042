/* SPDX-License-Identifier: MIT
 *
 * The statistics against what the test counts itself: by walking the heap, by
 * adding up what it allocated, by adding up the reports.
 */
#include "heap/heap.h"
#include "support/graph.h"

#include <string.h>

enum { LARGE_BYTES = 8192 }; /* the largest object that shares a block */

/* ---- Against a walk ----------------------------------------------------- */

struct large_sum {
    size_t bytes;
};

static void add_large(void *object, void *data)
{
    struct large_sum *sum = data;

    if (bytes_of(object) > LARGE_BYTES)
        sum->bytes += bytes_of(object);
}

static void check_against_walk(struct world *world)
{
    gc_stats stats = stats_of(world->heap);
    struct recount walk = recount(world->mutator);
    struct large_sum large = {0};

    gc_heap_visit(world->mutator, add_large, &large);
    assert_true(stats.generations[GC_YOUNG].bytes >= walk.bytes[GC_YOUNG]);
    assert_int_equal(stats.generations[GC_MIDDLE].bytes, walk.bytes[GC_MIDDLE]);
    assert_int_equal(stats.generations[GC_OLD].bytes, walk.bytes[GC_OLD]);
    assert_true(stats.large_bytes >= large.bytes);
    assert_true(stats.large_bytes == 0 || large.bytes > 0);
    assert_true(stats.committed_bytes >= walk.all_bytes + stats.metadata_bytes);
    assert_true(stats.metadata_bytes > 0);
    assert_true(stats.live_bytes <= stats.committed_bytes);
    assert_true(stats.committed_bytes <= stats.hard_limit);
}

static void check_after_full(struct world *world)
{
    gc_stats stats = stats_of(world->heap);
    struct recount walk = recount(world->mutator);

    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        assert_int_equal(stats.generations[g].objects, walk.objects[g]);
        assert_int_equal(stats.generations[g].bytes, walk.bytes[g]);
    }
    assert_int_equal(stats.live_bytes, walk.all_bytes);
}

/* One random step: replaces an element of a table of 200, by an object of any
 * size; or collects. */
static void step_at_random(struct world *world, uint64_t *chance)
{
    size_t slot = next_random(chance) % 200;
    size_t length = next_random(chance) % 40;
    void **table;
    void **array;

    if (next_random(chance) % 64 == 0)
        length *= 100;
    array = make_array(world->mutator, &gc_type_references, length + 1);
    table = world->root[0];
    array[0] = next_random(chance) % 2 == 0 ? table[next_random(chance) % 200] : NULL;
    gc_write(world->mutator, table, &table[slot], array);
    if (next_random(chance) % 100 == 0)
        gc_collect(world->mutator, (unsigned)(next_random(chance) % 3), NULL);
}

static void counters_equal_a_recount_after_every_operation(void **state)
{
    struct world *world = make_plain(256 * KIB);
    uint64_t chance = 20;

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, 200);
    for (size_t step = 0; step < scaled(20000); step++) {
        step_at_random(world, &chance);
        check_against_walk(world);
    }
    gc_collect(world->mutator, GC_OLD, NULL);
    check_after_full(world);
    world_end(world);
}

static void after_a_full_collection_all_counts_are_exact(void **state)
{
    struct world *world = make_plain(MIB);
    uint64_t chance = 21;

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, 200);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 500; i++)
            step_at_random(world, &chance);
        if (round % 2 == 0)
            gc_collect(world->mutator, GC_OLD, NULL);
        else
            gc_compact(world->mutator, NULL);
        check_after_full(world);
        check_against_walk(world);
    }
    world_end(world);
}

static void an_empty_heap_counts_nothing(void **state)
{
    struct world *world = make_plain(MIB);
    gc_stats stats = stats_of(world->heap);

    (void)state;
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        assert_int_equal(stats.generations[g].bytes, 0);
        assert_int_equal(stats.generations[g].objects, 0);
        assert_int_equal(stats.generations[g].collections, 0);
        assert_int_equal(stats.generations[g].pause_total_ns, 0);
    }
    assert_int_equal(stats.allocated_bytes, 0);
    assert_int_equal(stats.live_bytes, 0);
    assert_int_equal(stats.external_bytes, 0);
    assert_int_equal(stats.large_bytes, 0);
    assert_int_equal(stats.hard_limit, 1024 * MIB);
    assert_int_equal(stats.soft_limit, 0);
    world_end(world);
}

static void large_bytes_are_those_of_large_objects(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_bytes, 100000);
    world->root[1] = make_array(world->mutator, &gc_type_bytes, 8000);
    assert_in_range(stats_of(world->heap).large_bytes, 100000, 100000 + 32 * KIB);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(stats_of(world->heap).large_bytes, 0);
    world_end(world);
}

/* ---- Against what was allocated ----------------------------------------- */

static void allocated_bytes_are_those_handed_out(void **state)
{
    struct world *world = make_plain(MIB);
    uint64_t chance = 22;
    uint64_t sum = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        void *object = make_array(world->mutator, &gc_type_bytes, next_random(&chance) % 200);

        sum += bytes_of(object);
    }
    assert_in_range(stats_of(world->heap).allocated_bytes, sum, sum + sum / 20 + 64 * KIB);
    world_end(world);
}

static void allocated_bytes_count_large_objects(void **state)
{
    struct world *world = make_plain(MIB);

    (void)state;
    for (int i = 0; i < 100; i++)
        (void)make_array(world->mutator, &gc_type_bytes, MIB);
    assert_in_range(stats_of(world->heap).allocated_bytes, 100 * MIB, 104 * MIB);
    world_end(world);
}

/* A run of pinning blocks is a block, of which little is used. */
static void allocated_bytes_count_what_is_born_pinned(void **state)
{
    struct world *world = make_plain(MIB);
    size_t sum = 0;

    (void)state;
    for (int i = 0; i < 10; i++)
        sum += bytes_of(make_object(world->mutator, &pinned_leaf_type));
    assert_in_range(stats_of(world->heap).allocated_bytes, sum, sum + KIB);
    assert_in_range(gc_count(world->heap, GC_YOUNG), sum, sum + KIB);
    world_end(world);
}

static void allocated_bytes_never_fall(void **state)
{
    struct world *world = make_plain(256 * KIB);
    uint64_t chance = 23;
    uint64_t last = 0;

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, 200);
    for (size_t step = 0; step < 5000; step++) {
        uint64_t now;

        step_at_random(world, &chance);
        now = stats_of(world->heap).allocated_bytes;
        assert_true(now >= last);
        last = now;
    }
    world_end(world);
}

/* ---- Against the reports ------------------------------------------------ */

struct sums {
    uint64_t collections;
    uint64_t survived;
    uint64_t in_place;
    uint64_t pause;
    uint64_t longest;
    uint64_t buckets[GC_PAUSE_BUCKETS];
};

static void add_report(struct sums *sums, const gc_report *report)
{
    unsigned bucket = 63u - (unsigned)__builtin_clzll(report->pause_ns | 1);

    sums->collections++;
    sums->survived += report->survived_bytes;
    sums->in_place += report->promoted_in_place_bytes;
    sums->pause += report->pause_ns;
    sums->longest = report->pause_ns > sums->longest ? report->pause_ns : sums->longest;
    sums->buckets[bucket < GC_PAUSE_BUCKETS ? bucket : GC_PAUSE_BUCKETS - 1]++;
}

static void statistics_are_the_sums_of_the_reports(void **state)
{
    struct world *world = make_plain(64 * MIB);
    struct sums sums[GC_GENERATIONS];
    uint64_t moved = 0;
    gc_stats stats;

    (void)state;
    memset(sums, 0, sizeof sums);
    for (unsigned i = 0; i < 60; i++) {
        gc_report report;

        world->root[i % 8] = build_list(world->mutator, (size_t)100 * i);
        report = i % 10 == 9 ? compact(world->mutator) : collect(world->mutator, i % 3);
        add_report(&sums[report.generation], &report);
        moved += report.moved_bytes;
    }
    stats = stats_of(world->heap);
    assert_int_equal(stats.moved_bytes, moved);
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        const gc_generation_stats *of = &stats.generations[g];

        assert_int_equal(of->collections, sums[g].collections);
        assert_int_equal(of->survived_bytes, sums[g].survived);
        assert_int_equal(of->promoted_in_place_bytes, sums[g].in_place);
        assert_int_equal(of->pause_total_ns, sums[g].pause);
        assert_int_equal(of->pause_max_ns, sums[g].longest);
        assert_memory_equal(of->pauses, sums[g].buckets, sizeof sums[g].buckets);
    }
    world_end(world);
}

static void the_histogram_counts_every_pause_once(void **state)
{
    struct world *world = make_plain(256 * KIB);
    gc_stats stats;

    (void)state;
    world->root[0] = build_list(world->mutator, scaled(300000));
    make_garbage(world->mutator, 32 * MIB);
    stats = stats_of(world->heap);
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        uint64_t pauses = 0;

        for (size_t bucket = 0; bucket < GC_PAUSE_BUCKETS; bucket++)
            pauses += stats.generations[g].pauses[bucket];
        assert_int_equal(pauses, stats.generations[g].collections);
        assert_true(stats.generations[g].pause_max_ns <= stats.generations[g].pause_total_ns);
    }
    assert_true(stats.generations[GC_YOUNG].collections > 20);
    world_end(world);
}

static void pinned_objects_are_those_of_the_last_collection(void **state)
{
    struct world *world = make_plain(MIB);
    void *words[10];

    (void)state;
    for (size_t i = 0; i < 10; i++)
        words[i] = make_node(world->mutator, i);
    gc_root_range_add(world->heap, words, 10, GC_AMBIGUOUS);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(stats_of(world->heap).pinned_objects, 10);
    gc_root_range_remove(world->heap, words);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_int_equal(stats_of(world->heap).pinned_objects, 0);
    world_end(world);
}

static size_t parts, first_overflows, overflows;

static void add_overflows(struct gc_collector *collector, enum gc_phase phase)
{
    if (phase != GC_PHASE_SWEPT)
        return;
    overflows += collector->tracer.counts.overflows;
    if (parts++ == 0)
        first_overflows = overflows;
}

/* Those of the last part alone were. */
static void overflows_in_all_parts_of_a_compaction_are_counted(void **state)
{
    struct world *world = make_stressed("stress=tiny-stack");
    uint64_t before;

    (void)state;
    world->root[0] = build_comb(world->mutator, 2000, false);
    world->root[1] = build_comb(world->mutator, 2000, true);
    parts = overflows = 0;
    world->heap->collector.on_phase = add_overflows;
    before = stats_of(world->heap).mark_overflows;
    gc_compact(world->mutator, NULL);
    assert_true(parts >= 2 && first_overflows > 0);
    assert_int_equal(stats_of(world->heap).mark_overflows - before, overflows);
    world_end(world);
}

/* ---- The call itself ---------------------------------------------------- */

static void a_wrong_size_is_refused(void **state)
{
    struct world *world = make_plain(MIB);
    gc_stats stats;
    gc_stats before;

    (void)state;
    memset(&stats, 0x5a, sizeof stats);
    stats.size = sizeof stats + 8;
    before = stats;
    assert_int_equal(gc_stats_get(world->heap, &stats), GC_BAD_SIZE);
    assert_memory_equal(&stats, &before, sizeof stats);
    stats.size = 0;
    assert_int_equal(gc_stats_get(world->heap, &stats), GC_BAD_SIZE);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_equal_a_recount_after_every_operation),
        cmocka_unit_test(after_a_full_collection_all_counts_are_exact),
        cmocka_unit_test(an_empty_heap_counts_nothing),
        cmocka_unit_test(large_bytes_are_those_of_large_objects),
        cmocka_unit_test(allocated_bytes_are_those_handed_out),
        cmocka_unit_test(allocated_bytes_count_large_objects),
        cmocka_unit_test(allocated_bytes_count_what_is_born_pinned),
        cmocka_unit_test(allocated_bytes_never_fall),
        cmocka_unit_test(statistics_are_the_sums_of_the_reports),
        cmocka_unit_test(the_histogram_counts_every_pause_once),
        cmocka_unit_test(pinned_objects_are_those_of_the_last_collection),
        cmocka_unit_test(overflows_in_all_parts_of_a_compaction_are_counted),
        cmocka_unit_test(a_wrong_size_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
