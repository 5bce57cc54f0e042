/* SPDX-License-Identifier: MIT
 *
 * The hard limit, the callback near it, sizes that cannot be, and a program that
 * must fail rather than crawl.
 */
#include "support/limited.h"

#include <string.h>

/* Cuts root[0]'s list after `count` nodes. */
static void cut(struct world *world, size_t count)
{
    struct node *node = world->root[0];

    for (; count > 1; count--)
        node = node->right;
    node->right = NULL;
}

/* ---- The hard limit ------------------------------------------------------ */

static void null_at_the_limit_leaves_the_heap_as_it_was(void **state)
{
    struct world *world = make_limited(part_of(16 * MIB));
    size_t count = fill(world);
    struct recount before = recount(world->mutator);

    (void)state;
    assert_true(count * sizeof(struct node) > part_of(16 * MIB) / 2);
    assert_true(is_intact_fill(world, count));
    assert_int_equal(before.all_objects, count);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_LIMIT);
    for (int i = 0; i < 3; i++)
        assert_null(gc_alloc_array(world->mutator, &gc_type_bytes, 8 * MIB));
    assert_int_equal(recount(world->mutator).all_objects, before.all_objects);
    assert_int_equal(recount(world->mutator).all_bytes, before.all_bytes);
    assert_true(is_intact_fill(world, count));
    world_end(world);
}

static void committed_bytes_never_pass_the_limit(void **state)
{
    struct world *world = make_limited(24 * MIB);
    uint64_t chance = 5;

    (void)state;
    for (size_t step = 0; step < scaled(100000); step++) {
        size_t bytes = next_random(&chance) % 100 == 0 ? MIB : next_random(&chance) % 2000;
        void **array = gc_alloc_array(world->mutator, &gc_type_references, bytes / 8 + 1);

        if (step % 50 == 0)
            assert_true(stats_of(world->heap).committed_bytes <= 24 * MIB);
        if (array == NULL) {
            memset(world->root, 0, sizeof world->root);
            continue;
        }
        array[0] = world->root[step % 8];
        world->root[step % 8] = array;
    }
    assert_int_equal(stats_of(world->heap).hard_limit, 24 * MIB);
    world_end(world);
}

static void room_that_is_made_is_found(void **state)
{
    struct world *world = make_limited(part_of(8 * MIB));

    (void)state;
    for (int round = 0; round < 10; round++) {
        size_t count = fill(world);

        assert_true(count > part_of(8 * MIB) / 2 / sizeof(struct node));
        cut(world, 100);
        world->root[0] = NULL;
    }
    world_end(world);
}

static void a_fragmented_heap_is_compacted_before_null(void **state)
{
    struct world *world = make_limited(part_of(16 * MIB));
    struct node *node;

    (void)state;
    fill(world);
    for (node = world->root[0]; node != NULL && node->right != NULL; node = node->right)
        gc_write(world->mutator, node, &node->right, node->right->right);
    world->root[1] = gc_alloc_array(world->mutator, &gc_type_bytes, part_of(4 * MIB));
    assert_non_null(world->root[1]);
    world_end(world);
}

/* A table of nodes at the limit; what cannot be had is dropped for and tried
 * again. */
static void a_million_allocations_at_the_limit(void **state)
{
    enum { SLOTS = 5000 };
    struct world *world = make_limited(4 * MIB);
    uint64_t chance = 11;
    size_t refused = 0;

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, SLOTS);
    for (size_t step = 0; step < (is_slowed() ? 20000 : 1000000); step++) {
        size_t slot = next_random(&chance) % SLOTS;
        size_t length = next_random(&chance) % 250;
        void **array = gc_alloc_array(world->mutator, &gc_type_references, length + 1);
        void **table = world->root[0];

        if (array == NULL) {
            refused++;
            for (size_t i = 0; i < SLOTS / 5; i++)
                table[next_random(&chance) % SLOTS] = NULL;
            array = gc_alloc_array(world->mutator, &gc_type_references, length + 1);
            table = world->root[0];
            assert_non_null(array);
        }
        assert_null(array[length]);
        array[length] = array;
        gc_write(world->mutator, table, &table[slot], array);
    }
    assert_true(refused > 0);
    world_end(world);
}

/* Objects born pinned fill whole blocks that nothing can empty. */
static void objects_born_pinned_meet_the_limit_too(void **state)
{
    struct world *world = make_limited(4 * MIB);
    void **array;
    size_t count = 0;
    void *object;

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, 30000);
    while ((object = gc_alloc(world->mutator, &pinned_leaf_type)) != NULL) {
        array = world->root[0];
        gc_write(world->mutator, array, &array[count++], object);
    }
    assert_true(count * 200 > MIB);
    assert_true(stats_of(world->heap).committed_bytes <= 4 * MIB);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_non_null(gc_alloc(world->mutator, &pinned_leaf_type));
    world_end(world);
}

/* Without barriers a minor collection would miss edges: the whole heap is
 * collected, also at the limit. */
static void without_barriers_the_limit_collects_all(void **state)
{
    gc_options options = plain_options(0);

    (void)state;
    options.barriers = GC_BARRIERS_NONE;
    /* The limit is met at any point of a nursery. */
    for (options.hard_limit = 4 * MIB; options.hard_limit < 5 * MIB;
         options.hard_limit += MIB / 8) {
        struct world *world = world_make(&options);
        size_t count = fill(world);

        assert_true(is_intact_fill(world, count));
        cut(world, count / 2);
        assert_non_null(gc_alloc(world->mutator, &node_type));
        assert_int_equal(stats_of(world->heap).generations[GC_YOUNG].collections, 0);
        world_end(world);
    }
}

static void nothing_fits_means_null_at_once_not_a_dead_heap(void **state)
{
    struct world *world = make_limited(8 * MIB);

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_null(gc_alloc_array(world->mutator, &gc_type_bytes, 16 * MIB));
        assert_non_null(gc_alloc(world->mutator, &node_type));
    }
    world_end(world);
}

static void the_limit_collects_even_when_disabled(void **state)
{
    struct world *world = make_limited(16 * MIB);

    (void)state;
    gc_disable(world->mutator);
    make_garbage(world->mutator, 64 * MIB);
    assert_true(collections_of(world->heap) > 0);
    gc_enable(world->mutator);
    world_end(world);
}

static void a_limited_heap_works_down_to_small_limits(void **state)
{
    (void)state;
    for (size_t limit = part_of(16 * MIB); limit >= 2 * MIB; limit -= limit / 8) {
        struct world *world = make_limited(limit);
        size_t count = fill(world);

        assert_true(is_intact_fill(world, count));
        if (count * sizeof(struct node) < limit / 2)
            fail_msg("%zu nodes fit in %zu bytes", count, limit);
        world_end(world);
    }
}

/* ---- Sizes that cannot be ------------------------------------------------ */

struct wide {
    uint64_t words[3];
};

static const gc_type wide_array_type = GC_TYPE_LEAF_ARRAY("wide", struct wide);
static const gc_type giant_element_type = {.name = "giant",
                                           .object_bytes = GC_OUT_OF_LINE,
                                           .element_size = UINT32_MAX - 7,
                                           .kind = GC_KIND_LEAF,
                                           .alignment = 8};

static void a_size_that_overflows_gives_null(void **state)
{
    static const gc_type headed = {.name = "headed",
                                   .size = 16,
                                   .object_bytes = GC_OUT_OF_LINE,
                                   .element_size = 1,
                                   .kind = GC_KIND_LEAF,
                                   .alignment = 8};

    static const size_t lengths[] = {
        SIZE_MAX,
        SIZE_MAX - 1,
        SIZE_MAX - 7,
        SIZE_MAX - 8,
        SIZE_MAX - 15,
        SIZE_MAX - 16,
        SIZE_MAX - 4096,
        SIZE_MAX / 2,
        SIZE_MAX / 2 + 1,
        SIZE_MAX / 4 + 1, /* the length's two tag bits */
        SIZE_MAX / 8,
        SIZE_MAX / 8 + 1,
        SIZE_MAX / 8 + 2,
        SIZE_MAX / 24,
        SIZE_MAX / 24 + 1,
        SIZE_MAX / 24 + 2,
        SIZE_MAX / (UINT32_MAX - 7),
        SIZE_MAX / (UINT32_MAX - 7) + 1,
        (size_t)1 << 47,
        (size_t)1 << 48,
        (size_t)1 << 61,
    };
    static const gc_type *const types[] = {&headed,        &gc_type_bytes,   &gc_type_references,
                                           &gc_type_words, &wide_array_type, &giant_element_type};
    struct world *world = make_limited(16 * MIB);
    struct recount before;

    (void)state;
    world->root[0] = build_list(world->mutator, 1000);
    gc_collect(world->mutator, GC_OLD, NULL);
    before = recount(world->mutator);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
            assert_null(gc_alloc_array(world->mutator, types[t], lengths[l]));
    assert_int_equal(recount(world->mutator).all_objects, before.all_objects);
    assert_true(is_intact_list(world->root[0], 1000));
    world_end(world);
}

static void an_object_that_fills_the_heap_can_be_had_and_had_again(void **state)
{
    struct world *world = make_limited(64 * MIB);

    (void)state;
    for (int round = 0; round < 10; round++) {
        unsigned char *bytes = gc_alloc_array(world->mutator, &gc_type_bytes, 48 * MIB);

        assert_non_null(bytes);
        assert_int_equal(bytes[0] | bytes[24 * MIB] | bytes[48 * MIB - 1], 0);
        memset(bytes, 0xff, 48 * MIB);
    }
    world_end(world);
}

/* The least that is taken off a heap's bytes to find room for one object. */
static void the_largest_object_and_its_tables_stay_under_the_limit(void **state)
{
    static const gc_harden hardens[] = {GC_HARDEN_OFF, GC_HARDEN_ON};
    size_t limit = 64 * MIB;

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(hardens); i++) {
        gc_options options = plain_options(0);
        struct world *world;

        options.hard_limit = limit;
        options.harden = hardens[i];
        world = world_make(&options);
        for (size_t bytes = limit; world->root[0] == NULL; bytes -= 256 * KIB)
            world->root[0] = gc_alloc_array(world->mutator, &gc_type_bytes, bytes);
        assert_true(stats_of(world->heap).committed_bytes <= limit);
        assert_true(stats_of(world->heap).committed_bytes > limit / 16 * 15);
        world_end(world);
    }
}

/* ---- The callback -------------------------------------------------------- */

struct callback {
    struct world *world;
    size_t calls;
    size_t drops;     /* how often it drops root[1] */
    size_t raise_to;  /* bytes; 0: not */
    size_t allocates; /* nodes */
    bool nested;
    bool inside;
};

static bool near_limit(gc_mutator *mutator, size_t needed, void *data)
{
    struct callback *callback = data;
    bool helped = false;

    assert_true(needed > 0);
    callback->calls++;
    callback->nested |= callback->inside;
    callback->inside = true;
    if (callback->drops > 0) {
        callback->drops--;
        callback->world->root[1] = NULL;
        helped = true;
    }
    if (callback->raise_to != 0) {
        helped |= gc_limit_set(callback->world->heap, 0, callback->raise_to) == GC_OK;
        callback->raise_to = 0;
    }
    for (size_t i = 0; i < callback->allocates; i++)
        (void)gc_alloc(mutator, &node_type);
    callback->inside = false;
    return helped;
}

static struct world *make_with_callback(struct callback *callback, size_t hard_limit)
{
    gc_options options = plain_options(MIB);

    options.hard_limit = hard_limit;
    options.limit_callback = near_limit;
    options.limit_data = callback;
    callback->world = world_make(&options);
    return callback->world;
}

static void the_callback_may_drop_what_it_can(void **state)
{
    struct callback callback = {.drops = 1};
    struct world *world = make_with_callback(&callback, 64 * MIB);

    (void)state;
    world->root[1] = make_array(world->mutator, &gc_type_bytes, 30 * MIB);
    world->root[2] = make_array(world->mutator, &gc_type_bytes, 20 * MIB);
    assert_int_equal(callback.calls, 0);
    world->root[3] = gc_alloc_array(world->mutator, &gc_type_bytes, 25 * MIB);
    assert_non_null(world->root[3]);
    assert_int_equal(callback.calls, 1);
    world_end(world);
}

static void the_callback_may_raise_the_limit(void **state)
{
    struct callback callback = {.raise_to = part_of(60 * MIB)};
    struct world *world = make_with_callback(&callback, part_of(64 * MIB));

    (void)state;
    assert_int_equal(gc_limit_set(world->heap, 0, part_of(30 * MIB)), GC_OK);
    assert_true(fill(world) * sizeof(struct node) > part_of(25 * MIB));
    assert_true(callback.calls >= 2);
    assert_int_equal(stats_of(world->heap).hard_limit, part_of(60 * MIB));
    world_end(world);
}

static void a_callback_that_cannot_help_leads_to_null(void **state)
{
    struct callback callback = {.calls = 0};
    struct world *world = make_with_callback(&callback, part_of(16 * MIB));
    size_t count = fill(world);

    (void)state;
    assert_in_range(callback.calls, 1, 10);
    assert_true(is_intact_fill(world, count));
    world_end(world);
}

static void the_callback_is_never_nested(void **state)
{
    struct callback callback = {.allocates = 20};
    struct world *world = make_with_callback(&callback, part_of(8 * MIB));

    (void)state;
    fill(world);
    assert_true(callback.calls > 0);
    assert_false(callback.nested);
    world_end(world);
}

/* ---- Failing rather than crawling ---------------------------------------- */

/* Fills the heap, makes very little room, and goes on allocating: it must be
 * told NULL, soon. */
static void a_program_near_its_limit_fails_clearly(void **state)
{
    struct world *world = make_limited(part_of(16 * MIB));
    size_t count = fill(world);
    uint64_t start = now_ns();
    uint64_t done = 0;
    bool failed = false;

    (void)state;
    cut(world, count - 50);
    while (!failed && done < 100000000 && now_ns() - start < UINT64_C(20000000000)) {
        failed = gc_alloc(world->mutator, &node_type) == NULL;
        done++;
    }
    assert_true(failed);
    assert_true(now_ns() - start < UINT64_C(10000000000));
    assert_int_equal(list_length(world->root[0]), count - 50);
    world_end(world);
}

/* With half the heap free the share of time is small, and nothing fails. */
static void a_program_with_room_never_fails(void **state)
{
    struct world *world = make_limited(part_of(16 * MIB));
    size_t count = fill(world);

    (void)state;
    cut(world, count / 2);
    for (size_t i = 0; i < scaled(5000000); i++)
        assert_non_null(gc_alloc(world->mutator, &node_type));
    world_end(world);
}

static void after_failing_a_program_that_drops_works_on(void **state)
{
    struct world *world = make_limited(part_of(16 * MIB));
    size_t count = fill(world);

    (void)state;
    cut(world, count - 50);
    for (int i = 0; i < 5; i++)
        (void)gc_alloc(world->mutator, &node_type);
    cut(world, count / 2);
    for (size_t i = 0; i < scaled(5000000); i++)
        assert_non_null(gc_alloc(world->mutator, &node_type));
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_at_the_limit_leaves_the_heap_as_it_was),
        cmocka_unit_test(committed_bytes_never_pass_the_limit),
        cmocka_unit_test(room_that_is_made_is_found),
        cmocka_unit_test(a_fragmented_heap_is_compacted_before_null),
        cmocka_unit_test(a_million_allocations_at_the_limit),
        cmocka_unit_test(objects_born_pinned_meet_the_limit_too),
        cmocka_unit_test(without_barriers_the_limit_collects_all),
        cmocka_unit_test(nothing_fits_means_null_at_once_not_a_dead_heap),
        cmocka_unit_test(the_limit_collects_even_when_disabled),
        cmocka_unit_test(a_limited_heap_works_down_to_small_limits),
        cmocka_unit_test(a_size_that_overflows_gives_null),
        cmocka_unit_test(an_object_that_fills_the_heap_can_be_had_and_had_again),
        cmocka_unit_test(the_largest_object_and_its_tables_stay_under_the_limit),
        cmocka_unit_test(the_callback_may_drop_what_it_can),
        cmocka_unit_test(the_callback_may_raise_the_limit),
        cmocka_unit_test(a_callback_that_cannot_help_leads_to_null),
        cmocka_unit_test(the_callback_is_never_nested),
        cmocka_unit_test(a_program_near_its_limit_fails_clearly),
        cmocka_unit_test(a_program_with_room_never_fails),
        cmocka_unit_test(after_failing_a_program_that_drops_works_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
