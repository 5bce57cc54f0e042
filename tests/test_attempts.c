/* SPDX-License-Identifier: MIT
 *
 * What is tried when there is no room: in which order, and how often.
 */
#include "base/annotate.h"
#include "heap/heap.h"
#include "os/os.h"
#include "support/graph.h"

enum { LIMIT_MIB = 16 };

/* One request, and the collections that it led to. */
struct attempt {
    void *object;
    uint64_t young;
    uint64_t full; /* a compaction is one of them */
};

static struct attempt ask(gc_mutator *mutator, size_t length)
{
    gc_heap *heap = gc_mutator_heap(mutator);
    gc_stats before = stats_of(heap), after;
    struct attempt attempt = {.object = gc_alloc_array(mutator, &gc_type_bytes, length)};

    after = stats_of(heap);
    attempt.young =
        after.generations[GC_YOUNG].collections - before.generations[GC_YOUNG].collections;
    attempt.full = after.generations[GC_OLD].collections - before.generations[GC_OLD].collections;
    return attempt;
}

static void assert_refused(struct attempt attempt, uint64_t young, uint64_t full)
{
    assert_null(attempt.object);
    assert_int_equal(attempt.young, young);
    assert_int_equal(attempt.full, full);
}

/* All but a part of the limit is live, and nothing is new. */
static struct world *make_nearly_full(size_t nursery, size_t live_bytes)
{
    gc_options options = plain_options(nursery);
    struct world *world;

    options.hard_limit = LIMIT_MIB * MIB;
    world = world_make(&options);
    world->root[0] = make_array(world->mutator, &gc_type_bytes, live_bytes);
    gc_collect(world->mutator, GC_OLD, NULL);
    world->heap->collector.spaces.handed_bytes = 0;
    return world;
}

static void what_is_larger_than_the_limit_is_refused_at_once(void **state)
{
    struct world *world = make_nearly_full(MIB, 1);
    size_t largest = LIMIT_MIB * MIB - GC_HEADER_BYTES - sizeof(uint64_t) - GC_REDZONE_BYTES;

    (void)state;
    assert_refused(ask(world->mutator, largest), 0, 2);
    assert_refused(ask(world->mutator, largest + 1), 0, 0);
    assert_refused(ask(world->mutator, SIZE_MAX), 0, 0);
    world_end(world);
}

static void the_young_are_tried_first_if_half_a_nursery_is_new(void **state)
{
    struct world *world = make_nearly_full(MIB, 10 * MIB);

    (void)state;
    world->heap->collector.spaces.handed_bytes = MIB / 2;
    assert_refused(ask(world->mutator, 10 * MIB), 0, 2);
    world->heap->collector.spaces.handed_bytes = MIB / 2 + 1;
    assert_refused(ask(world->mutator, 10 * MIB), 1, 2);
    world_end(world);
}

static void what_helped_is_the_last_that_is_tried(void **state)
{
    struct world *world = make_nearly_full(8 * MIB, 8 * MIB);
    struct attempt attempt;

    (void)state;
    (void)make_array(world->mutator, &gc_type_bytes, 5 * MIB);
    attempt = ask(world->mutator, 5 * MIB);
    assert_non_null(attempt.object);
    assert_int_equal(attempt.young, 1);
    assert_int_equal(attempt.full, 0);

    world->root[0] = NULL;
    gc_collect(world->mutator, GC_YOUNG, NULL);
    attempt = ask(world->mutator, 10 * MIB);
    assert_non_null(attempt.object);
    assert_int_equal(attempt.young, 0);
    assert_int_equal(attempt.full, 1);
    world_end(world);
}

/* ---- The share of time --------------------------------------------------- */

/* As if so many collections at the limit had taken `percent` of the last ten
 * thousand seconds. */
static void pretend(struct world *world, unsigned collections, uint64_t percent)
{
    world->heap->limit_collections = collections;
    world->heap->limit_started_ns = gc_os_now_ns() - UINT64_C(10000000000000);
    world->heap->limit_collecting_ns = percent * UINT64_C(100000000000);
}

static void assert_no_run(const struct world *world)
{
    assert_int_equal(world->heap->limit_collections, 0);
    assert_int_equal(world->heap->limit_started_ns, 0);
    assert_int_equal(world->heap->limit_collecting_ns, 0);
}

static void after_eight_that_took_the_share_no_full_one_is_tried(void **state)
{
    struct world *world = make_nearly_full(MIB, 10 * MIB);
    static const struct {
        unsigned collections;
        uint64_t percent;
        uint64_t full;
    } cases[] = {{8, 92, 0}, {7, 92, 2}, {8, 88, 2}, {9, 92, 0}, {0, 0, 2}};

    (void)state;
    assert_int_equal(world->heap->options.gc_share_percent, 90);
    for (unsigned i = 0; i < GC_COUNT(cases); i++) {
        pretend(world, cases[i].collections, cases[i].percent);
        assert_refused(ask(world->mutator, 10 * MIB), 0, cases[i].full);
        assert_no_run(world); /* what is dropped now counts at once */
    }
    world_end(world);
}

static void collections_at_the_limit_are_counted_until_there_is_room(void **state)
{
    struct world *world = make_nearly_full(12 * MIB, 14 * MIB + 256 * KIB);
    uint64_t before = gc_os_now_ns(), full = 0;

    (void)state;
    gc_disable(world->mutator); /* what is due at the nursery's end */
    for (int i = 0; i < 40; i++) {
        struct attempt attempt = ask(world->mutator, 150 * KIB);

        assert_non_null(attempt.object);
        full += attempt.full;
        assert_int_equal(world->heap->limit_collections, full);
        if (full > 0) {
            uint64_t started = world->heap->limit_started_ns, now = gc_os_now_ns();

            assert_in_range(started, before, now);
            assert_in_range(world->heap->limit_collecting_ns, 1, now - started);
        }
    }
    assert_in_range(full, 10, 30);

    world->root[0] = NULL;
    while (ask(world->mutator, 150 * KIB).full == 0)
        ;
    assert_no_run(world);
    gc_enable(world->mutator);
    world_end(world);
}

/* ---- The callback -------------------------------------------------------- */

struct callback {
    bool helps;
    unsigned calls;
    size_t bytes;
    struct attempt inside[3];
};

static bool near_limit(gc_mutator *mutator, size_t bytes, void *data)
{
    struct callback *callback = data;

    callback->calls++;
    callback->bytes = bytes;
    for (unsigned i = 0; i < GC_COUNT(callback->inside); i++)
        callback->inside[i] = ask(mutator, 10 * MIB);
    return callback->helps;
}

static void within_the_callback_one_full_collection_is_tried(void **state)
{
    struct callback callback = {.helps = false};
    gc_options options = plain_options(MIB);
    struct world *world;

    (void)state;
    options.hard_limit = LIMIT_MIB * MIB;
    options.limit_callback = near_limit;
    options.limit_data = &callback;
    world = world_make(&options);
    world->root[0] = make_array(world->mutator, &gc_type_bytes, 10 * MIB);
    for (int round = 0; round < 3; round++) {
        callback.helps = round == 1;
        gc_collect(world->mutator, GC_OLD, NULL);
        /* Two before it is asked, two within it, and one if it says so. */
        assert_refused(ask(world->mutator, 12 * MIB), 0, callback.helps ? 5 : 4);
        assert_int_equal(callback.calls, round + 1);
        assert_int_equal(callback.bytes, 12 * MIB + GC_HEADER_BYTES + sizeof(uint64_t));
        assert_refused(callback.inside[0], 0, 2);
        assert_refused(callback.inside[1], 0, 0);
        assert_refused(callback.inside[2], 0, 0);
    }
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_larger_than_the_limit_is_refused_at_once),
        cmocka_unit_test(the_young_are_tried_first_if_half_a_nursery_is_new),
        cmocka_unit_test(what_helped_is_the_last_that_is_tried),
        cmocka_unit_test(after_eight_that_took_the_share_no_full_one_is_tried),
        cmocka_unit_test(collections_at_the_limit_are_counted_until_there_is_room),
        cmocka_unit_test(within_the_callback_one_full_collection_is_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
