/* SPDX-License-Identifier: MIT
 *
 * Objects are zeroed: those of types that the compiler knows where they are
 * allocated, others out of memory that was zeroed ahead, in any order, whatever is
 * asked of the heap in between; and what is not zeroed is an object all the same.
 */
#include "heap/heap.h"
#include "support/threads.h"

#include <string.h>

struct three {
    uint64_t words[3];
};

struct eight {
    uint64_t words[8];
};

struct nine {
    uint64_t words[9];
};

static const gc_type three_type = GC_TYPE_LEAF("three", struct three);
static const gc_type eight_type = GC_TYPE_LEAF("eight", struct eight);
static const gc_type nine_type = GC_TYPE_LEAF("nine", struct nine);
static const gc_type raw_type = GC_TYPE_LEAF_UNZEROED("raw", struct nine);
static const gc_type raw_bytes_type = GC_TYPE_LEAF_ARRAY_UNZEROED("raw bytes", unsigned char);
static const gc_type aligned_type = {.name = "aligned",
                                     .size = sizeof(struct three),
                                     .object_bytes = GC_OUT_OF_LINE,
                                     .kind = GC_KIND_LEAF,
                                     .alignment = 64};

/* Each is zeroed where it should be, then spoiled for whoever comes after. */
static void *spoil(void *object, size_t bytes, bool zeroed)
{
    assert_non_null(object);
    assert_true(!zeroed || is_zeroed(object, bytes));
    return memset(object, 0xff, bytes);
}

enum { WAYS = 8 };

static void *make(gc_mutator *mutator, size_t way, size_t length)
{
    switch (way) {
    case 0:
        return spoil(gc_alloc(mutator, &three_type), sizeof(struct three), true);
    case 1:
        return spoil(gc_alloc(mutator, &eight_type), sizeof(struct eight), true);
    case 2:
        return spoil(gc_alloc(mutator, &nine_type), sizeof(struct nine), true);
    case 3:
        return spoil(gc_alloc_array(mutator, &gc_type_bytes, length), length, true);
    case 4: /* of a type that the compiler does not know */
        return spoil(make_object(mutator, &three_type), sizeof(struct three), true);
    case 5:
        return spoil(gc_alloc(mutator, &aligned_type), sizeof(struct three), true);
    case 6:
        return spoil(gc_alloc(mutator, &raw_type), sizeof(struct nine), false);
    default:
        return spoil(gc_alloc_array(mutator, &raw_bytes_type, length), length, false);
    }
}

typedef void ask_fn(struct world *world, const void *object);

static void ask_where(struct world *world, const void *object)
{
    assert_ptr_equal(gc_object_at(world->mutator, (const char *)object + 1), object);
    assert_false(gc_is_object(world->mutator, (const char *)object + 8));
}

static void ask_all(struct world *world, const void *object)
{
    (void)object;
    assert_true(count_objects(world->mutator, &three_type) > 0);
}

static void verify(struct world *world, const void *object)
{
    (void)object;
    assert_int_equal(gc_verify(world->mutator), 0);
}

static void leave_and_come_back(struct world *world, const void *object)
{
    gc_heap *heap = world->heap;

    (void)object;
    gc_mutator_detach(world->mutator);
    assert_int_equal(gc_mutator_attach(heap, &world->mutator), GC_OK);
}

static void collect_young(struct world *world, const void *object)
{
    (void)object;
    collect(world->mutator, 0);
}

/* At times only what needs nothing zeroed ahead, so that what is left of a run is as
 * spoiled as it was. */
static size_t choose_way(size_t draw, bool any)
{
    static const size_t known[] = {0, 1, 6, 7};

    return any ? draw % WAYS : known[draw % GC_COUNT(known)];
}

static struct world *make_with(const char *settings)
{
    gc_options options = plain_options(128 * KIB);

    options.settings = settings;
    return world_make(&options);
}

static void mix(struct world *world)
{
    static ask_fn *const questions[] = {ask_where, ask_all, verify, leave_and_come_back,
                                        collect_young};
    uint64_t seed = 1;

    for (size_t i = 0; i < scaled(60000); i++) {
        size_t draw = next_random(&seed) >> 40;
        void *object;

        (void)make(world->mutator, 0, 0);
        object = make(world->mutator, choose_way(draw, i / 5000 % 2), draw / WAYS % 200);
        if (draw % 9 == 0)
            world->root[draw % WORLD_ROOTS] = object;
        if (i % 500 == 0)
            questions[i / 500 % GC_COUNT(questions)](world, object);
    }
    world_end(world);
}

static void all_ways_in_any_order(void **state)
{
    (void)state;
    mix(make_with("check=deep"));
}

static void all_ways_where_objects_are_born_old(void **state)
{
    (void)state;
    mix(make_with("stress=pretenure,check=deep"));
}

/* As long as nothing else is allocated, nothing is zeroed but objects. */
static void known_types_need_nothing_zeroed_ahead(void **state)
{
    struct world *world;
    const gc_mutator *mutator;

    (void)state;
    if (GC_FORBIDS)
        skip(); /* there is no inline path */
    world = make_plain(MIB);
    mutator = world->mutator;
    make(world->mutator, 0, 0);
    if (gc_fast(world->mutator)->limit == 0 || world->heap->collector.spaces.pretenures) {
        world_free(world); /* a stress mode leaves no inline path, or all is born old */
        skip();
    }
    for (int i = 0; i < 10000; i++) {
        make(world->mutator, (size_t)i % 2, 0);
        assert_true(mutator->zeroed <= gc_mutator_bump(mutator));
    }
    make(world->mutator, 3, 1); /* the next of a type that may be any */
    make(world->mutator, 3, 1);
    assert_int_equal(mutator->zeroed, mutator->run.end);
    world_end(world);
}

/* It has left the cache: all that is left of a run is zeroed at once. */
static void what_is_born_old_is_zeroed_ahead(void **state)
{
    struct world *world;

    (void)state;
    if (GC_FORBIDS)
        skip();
    world = make_with("stress=pretenure");
    make(world->mutator, 0, 0);
    assert_int_equal(world->mutator->zeroed, world->mutator->run.end);
    world_end(world);
}

/* Several blocks at once, which are opened without the lock. */
static void allocate_known(gc_heap *heap, size_t index, void *data)
{
    gc_mutator *mutator = attach(heap);

    (void)data;
    for (size_t i = 0; i < scaled(100000); i++)
        make(mutator, choose_way(i + index, false), i % 200);
    gc_mutator_detach(mutator);
}

static void threads_leave_zeroes_behind_what_they_fill(void **state)
{
    struct world *world = make_shared("check=deep");

    (void)state;
    run_threads(world, 2, allocate_known, NULL);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ways_in_any_order),
        cmocka_unit_test(all_ways_where_objects_are_born_old),
        cmocka_unit_test(what_is_born_old_is_zeroed_ahead),
        cmocka_unit_test(threads_leave_zeroes_behind_what_they_fill),
        cmocka_unit_test(known_types_need_nothing_zeroed_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
