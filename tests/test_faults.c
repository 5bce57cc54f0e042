/* SPDX-License-Identifier: MIT
 *
 * Every call of the system fails, once and for ever, at every point of the life
 * of a heap: making it, allocating, collecting, destroying it.
 */
#include "heap/heap.h"
#include "support/sweep.h"

#include <strata/weak.h>

#include <limits.h>

/* ---- Making heaps ------------------------------------------------------- */

static const char *create_settings;

/* Makes a heap with the n-th call failing; whether that point was met. */
static bool create_once(unsigned point, unsigned times, unsigned mask)
{
    gc_options options = plain_options(256 * KIB);
    gc_heap *const untouched = (gc_heap *)&options;
    gc_heap *heap = untouched;
    gc_mutator *mutator = NULL;
    gc_status status;
    unsigned failed;

    options.settings = create_settings;
    fault_arm(point, times, mask);
    status = gc_heap_create(&options, &heap);
    failed = fault_failed();
    fault_disarm();
    if (status != GC_OK) {
        assert_int_equal(status, GC_NO_MEMORY);
        assert_ptr_equal(heap, untouched);
        assert_true(failed > 0);
    } else {
        const struct gc_remembered *remembered = &heap->collector.remembered;

        assert_true(remembered->log.committed > 0 && remembered->log_before.committed > 0);
        assert_true(remembered->old.committed > 0 && remembered->old_before.committed > 0);
        assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
        assert_int_equal(list_length(build_list(mutator, 1000)), 1000);
        gc_collect(mutator, GC_OLD, NULL);
        assert_int_equal(gc_verify(mutator), 0);
        gc_mutator_detach(mutator);
        gc_heap_destroy(heap);
    }
    assert_true(fault_is_clean());
    return failed > 0;
}

/* With all that a heap can have. */
static void gc_heap_create_fails_cleanly_with_a_team(void **state)
{
    (void)state;
    create_settings = "workers=2,stress=quarantine,stress-every=1000";
    for (unsigned point = 0; create_once(point, 1, FAULT_ALL); point++)
        assert_true(create_once(point, UINT_MAX, FAULT_ALL));
    create_settings = NULL;
}

static void gc_heap_create_fails_cleanly_at_every_call(void **state)
{
    (void)state;
    for (unsigned mask = FAULT_ALL; mask != 0;
         mask = mask == FAULT_ALL ? 1 : mask << 1 & FAULT_ALL) {
        unsigned point = 0;

        while (create_once(point, 1, mask))
            assert_true(create_once(point++, UINT_MAX, mask));
        assert_true(point > 0 || mask != FAULT_ALL);
    }
}

/* Attaches with the n-th call failing; whether that point was met. */
static bool attach_once(unsigned point, unsigned times, unsigned mask)
{
    gc_options options = plain_options(256 * KIB);
    gc_mutator *const untouched = (gc_mutator *)&options;
    gc_mutator *mutator = untouched;
    gc_heap *heap = NULL;
    gc_status status;
    unsigned failed;

    assert_int_equal(gc_heap_create(&options, &heap), GC_OK);
    fault_arm(point, times, mask);
    status = gc_mutator_attach(heap, &mutator);
    failed = fault_failed();
    fault_disarm();
    if (status != GC_OK) {
        assert_int_equal(status, GC_NO_MEMORY);
        assert_ptr_equal(mutator, untouched);
        assert_int_equal(gc_mutator_attach(heap, &mutator), GC_OK);
    }
    assert_int_equal(list_length(build_list(mutator, 1000)), 1000);
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
    assert_true(fault_is_clean());
    return failed > 0;
}

static void gc_mutator_attach_fails_cleanly_at_every_call(void **state)
{
    (void)state;
    for (unsigned mask = FAULT_ALL; mask != 0;
         mask = mask == FAULT_ALL ? 1 : mask << 1 & FAULT_ALL) {
        unsigned point = 0;

        while (attach_once(point, 1, mask))
            assert_true(attach_once(point++, UINT_MAX, mask));
        assert_true(point > 0 || mask != FAULT_ALL);
    }
}

/* ---- Allocating --------------------------------------------------------- */

enum { SMALL = 20000, LARGE = 20 };

/* Allocates on, whatever is refused: nodes, and a large object now and then. */
static void act_allocate(struct world *world)
{
    for (uint64_t i = 0; i < SMALL; i++) {
        struct node *node;

        if (i % (SMALL / LARGE) == 0)
            world->root[1 + i % 7] =
                gc_alloc_array(world->mutator, &gc_type_bytes, 10000 * (i % 7));
        node = gc_alloc(world->mutator, &node_type);
        if (node != NULL && i % 4 == 0) {
            node->value = i;
            node->right = world->root[0];
            world->root[0] = node;
        }
    }
}

static void check_allocate(struct world *world)
{
    uint64_t last = SMALL;

    for (struct node *node = world->root[0]; node != NULL; node = node->right) {
        assert_true(node->value < last);
        last = node->value;
    }
    assert_int_equal(list_length(build_list(world->mutator, scaled(100000))), scaled(100000));
    assert_non_null(gc_alloc_array(world->mutator, &gc_type_references, 100000));
}

static void gc_alloc_survives_a_fault_at_every_call(void **state)
{
    static const struct scenario scenario = {"alloc", NULL, act_allocate, check_allocate, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* Objects of several chunks, each kept for a while and then dropped. */
static void act_allocate_huge(struct world *world)
{
    for (size_t i = 0; i < 6; i++)
        world->root[i % 2] = gc_alloc_array(world->mutator, &gc_type_words, (1 + i % 3) * MIB / 4);
}

static void check_huge(struct world *world)
{
    for (size_t i = 0; i < 2; i++) {
        const uintptr_t *words = world->root[i];
        size_t length = words == NULL ? 0 : gc_length(words);

        for (size_t at = 0; at < length; at += 512)
            assert_int_equal(words[at], 0);
    }
    assert_non_null(gc_alloc_array(world->mutator, &gc_type_words, MIB));
}

static void huge_objects_survive_a_fault_at_every_call(void **state)
{
    static const struct scenario scenario = {"huge", NULL, act_allocate_huge, check_huge, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* ---- Collecting --------------------------------------------------------- */

/* Live and dead objects in all generations, edges in both directions, large
 * arrays with cards, pins and charges: something for every phase to do. */
static void arrange_all(struct world *world)
{
    void **array;

    world->root[1] = make_array(world->mutator, &gc_type_references, 4000);
    for (unsigned g = 0; g < 2; g++) {
        array = world->root[1];
        for (size_t i = 0; i < 2000; i++)
            gc_write(world->mutator, array, &array[i * 2], make_node(world->mutator, i));
        gc_collect(world->mutator, g, NULL);
    }
    world->root[0] = build_list(world->mutator, 3000);
    array = world->root[1];
    for (size_t i = 0; i < 4000; i += 4) {
        struct node *young = make_node(world->mutator, i);
        struct node *node = array[i];

        gc_write(world->mutator, node, &node->left, young);
        array[i + 2] = NULL;
    }
    assert_int_equal(gc_pin(world->mutator, world->root[0]), GC_OK);
    assert_int_equal(gc_external_adjust(world->mutator, world->root[0], 100), GC_OK);
    (void)make_array(world->mutator, &gc_type_bytes, 100000);
}

static void check_all(struct world *world)
{
    struct node **array = world->root[1];

    assert_true(is_intact_list(world->root[0], 3000));
    for (size_t i = 0; i < 4000; i += 4) {
        assert_int_equal(array[i]->value, i / 2);
        assert_int_equal(array[i]->left->value, i);
        assert_null(array[i + 2]);
    }
    assert_int_equal(stats_of(world->heap).external_bytes, 100);
}

static void act_minor(struct world *world)
{
    gc_collect(world->mutator, GC_YOUNG, NULL);
}

static void act_middle(struct world *world)
{
    gc_collect(world->mutator, GC_MIDDLE, NULL);
}

static void act_full(struct world *world)
{
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void act_compact(struct world *world)
{
    gc_compact(world->mutator, NULL);
}

static void act_trim(struct world *world)
{
    gc_collect(world->mutator, GC_OLD, NULL);
    (void)gc_trim(world->mutator);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void a_minor_collection_survives_a_fault_at_every_call(void **state)
{
    static const struct scenario scenario = {"minor", arrange_all, act_minor, check_all, NULL};

    (void)state;
    sweep_all(&scenario, false);
}

static void a_middle_collection_survives_a_fault_at_every_call(void **state)
{
    static const struct scenario scenario = {"middle", arrange_all, act_middle, check_all, NULL};

    (void)state;
    sweep_all(&scenario, false);
}

static void a_full_collection_survives_a_fault_at_every_call(void **state)
{
    static const struct scenario scenario = {"full", arrange_all, act_full, check_all, NULL};

    (void)state;
    sweep_all(&scenario, false);
}

static void gc_compact_survives_a_fault_at_every_call(void **state)
{
    static const struct scenario scenario = {"compact", arrange_all, act_compact, check_all, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

static void giving_memory_back_survives_a_fault_at_every_call(void **state)
{
    static const struct scenario scenario = {"trim", arrange_all, act_trim, check_all, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

static void evacuation_under_stress_survives_a_fault_at_every_call(void **state)
{
    gc_options options = plain_options(256 * KIB);
    struct scenario scenario = {"evacuate-all", arrange_all, act_compact, check_all, &options};

    (void)state;
    options.settings = "stress=evacuate-all";
    sweep_all(&scenario, true);
    scenario.act = act_minor;
    sweep_all(&scenario, false);
}

/* Many survivors and no memory for their copies: they are marked in place. */
static void arrange_survivors(struct world *world)
{
    gc_disable(world->mutator);
    world->root[0] = build_list(world->mutator, scaled(200000));
    make_garbage(world->mutator, 4 * MIB);
    gc_enable(world->mutator);
}

static void check_survivors(struct world *world)
{
    assert_true(is_intact_list(world->root[0], scaled(200000)));
}

static void without_memory_to_copy_survivors_stay_in_place(void **state)
{
    static const struct scenario scenario = {"no copies", arrange_survivors, act_minor,
                                             check_survivors, NULL};
    unsigned mask = FAULT_COMMIT | FAULT_ALLOCATE | FAULT_RESIZE;

    (void)state;
    for (unsigned point = 0; point < 4; point++) {
        (void)sweep_once(&scenario, point, 1, mask);
        (void)sweep_once(&scenario, point, UINT_MAX, mask);
    }
}

/* A million objects that one array knows: the mark stack wants to grow. */
static void arrange_wide(struct world *world)
{
    size_t count = scaled(1000000);

    world->root[0] = make_array(world->mutator, &gc_type_references, count);
    for (uint64_t i = 0; i < count; i++) {
        struct node *node;
        void **array;

        world->root[1] = make_node(world->mutator, i);
        node = make_node(world->mutator, i);
        node->left = world->root[1];
        array = world->root[0];
        gc_write(world->mutator, array, &array[i], node);
    }
}

static void check_wide(struct world *world)
{
    struct node **array = world->root[0];

    for (uint64_t i = 0; i < scaled(1000000); i++)
        assert_true(array[i]->value == i && array[i]->left->value == i);
}

static void marking_goes_on_when_the_mark_stack_cannot_grow(void **state)
{
    static const struct scenario scenario = {"wide", arrange_wide, act_full, check_wide, NULL};

    (void)state;
    for (unsigned point = 0; point < 3; point++) {
        (void)sweep_once(&scenario, point, 1, FAULT_ALL);
        (void)sweep_once(&scenario, point, UINT_MAX, FAULT_ALL);
    }
}

/* ---- Destroying --------------------------------------------------------- */

static void ignore(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
}

/* It may be that no finalizer can be run. */
static void gc_heap_destroy_returns_all_whatever_fails(void **state)
{
    (void)state;
    for (unsigned mask = FAULT_ALL; mask != 0;
         mask = mask == FAULT_ALL ? 1 : mask << 1 & FAULT_ALL) {
        struct world *world = make_plain(256 * KIB);
        const gc_finalizer finalizer = {.size = sizeof finalizer, .run = ignore};

        arrange_all(world);
        gc_finalizers_at_destroy(world->heap, true);
        assert_int_equal(
            gc_finalizer_add(world->mutator, make_node(world->mutator, 1), &finalizer, NULL),
            GC_OK);
        fault_arm(0, UINT_MAX, mask);
        world_free(world);
        fault_disarm();
        assert_true(fault_is_clean());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULTY(gc_heap_create_fails_cleanly_at_every_call),
        FAULTY(gc_heap_create_fails_cleanly_with_a_team),
        FAULTY(gc_mutator_attach_fails_cleanly_at_every_call),
        FAULTY(gc_alloc_survives_a_fault_at_every_call),
        FAULTY(huge_objects_survive_a_fault_at_every_call),
        FAULTY(a_minor_collection_survives_a_fault_at_every_call),
        FAULTY(a_middle_collection_survives_a_fault_at_every_call),
        FAULTY(a_full_collection_survives_a_fault_at_every_call),
        FAULTY(gc_compact_survives_a_fault_at_every_call),
        FAULTY(giving_memory_back_survives_a_fault_at_every_call),
        FAULTY(evacuation_under_stress_survives_a_fault_at_every_call),
        FAULTY(without_memory_to_copy_survivors_stay_in_place),
        FAULTY(marking_goes_on_when_the_mark_stack_cannot_grow),
        FAULTY(gc_heap_destroy_returns_all_whatever_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
