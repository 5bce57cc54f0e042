/* SPDX-License-Identifier: MIT
 *
 * Every call of the system fails, once and for ever, at every point of what the
 * embedder registers with a heap: stores, roots, handles, pins, types.
 */
#include "support/sweep.h"

static void arrange_list(struct world *world)
{
    world->root[0] = build_list(world->mutator, 3000);
}

static void check_list(struct world *world)
{
    assert_true(is_intact_list(world->root[0], 3000));
}

/* ---- The barrier -------------------------------------------------------- */

/* Many old holders, each stored into: the log wants to grow, and cannot. */
static void arrange_holders(struct world *world)
{
    void **array = world->root[1] = make_array(world->mutator, &gc_type_references, scaled(40000));

    for (uint64_t i = 0; i < scaled(40000); i++)
        gc_write(world->mutator, array, &array[i], make_node(world->mutator, i));
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    gc_disable(world->mutator);
    world->root[0] = build_list(world->mutator, scaled(40000));
}

static void act_store(struct world *world)
{
    struct node *young = world->root[0];

    for (struct node **holder = world->root[1]; young != NULL; holder++, young = young->right)
        gc_write(world->mutator, *holder, &(*holder)->left, young);
    world->root[0] = NULL;
}

static void check_stored(struct world *world)
{
    struct node **array = world->root[1];

    gc_collect(world->mutator, GC_YOUNG, NULL);
    for (uint64_t i = 0; i < scaled(40000); i++)
        assert_true(array[i]->value == i && array[i]->left->value == i);
}

static void the_barrier_never_fails(void **state)
{
    static const struct scenario scenario = {"barrier", arrange_holders, act_store, check_stored,
                                             NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* ---- Holders that could not be noted ------------------------------------ */

enum { HOLDERS = 2000, HOLDER_SLOTS = 20000 };

/* Old holders of every other sort: words, and a large array, which comes last,
 * when the log is full. */
static void arrange_other_holders(struct world *world)
{
    void **array = world->root[1] = make_array(world->mutator, &gc_type_references, HOLDERS);

    for (size_t i = 0; i + 1 < HOLDERS; i++) {
        void *words = make_array(world->mutator, &gc_type_words, 2);

        array = world->root[1];
        gc_write(world->mutator, array, &array[i], words);
    }
    world->root[2] = make_array(world->mutator, &gc_type_references, HOLDER_SLOTS);
    array = world->root[1];
    gc_write(world->mutator, array, &array[HOLDERS - 1], world->root[2]);
    world->root[2] = NULL;
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    gc_disable(world->mutator);
    world->root[0] = build_list(world->mutator, HOLDERS);
}

static void act_store_into_others(struct world *world)
{
    struct node *young = world->root[0];
    void ***holders = world->root[1];

    for (size_t i = 0; i < HOLDERS; i++, young = young->right)
        gc_write(world->mutator, holders[i], &holders[i][i % 2], young);
    world->root[0] = NULL;
}

static void check_other_holders(struct world *world)
{
    struct node ***holders = world->root[1];

    gc_collect(world->mutator, GC_YOUNG, NULL);
    for (size_t i = 0; i < HOLDERS; i++)
        assert_int_equal(holders[i][i % 2]->value, i);
}

static void what_unnoted_holders_know_is_kept(void **state)
{
    static const struct scenario scenario = {"other holders", arrange_other_holders,
                                             act_store_into_others, check_other_holders, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* ---- Roots, pins, types ------------------------------------------------- */

static struct {
    void *slots[500];
    gc_handle *handles[500];
    size_t refused;
} registry;

static void trace_nothing(gc_tracer *tracer, void *data)
{
    (void)tracer;
    (void)data;
}

static bool is_added(gc_status status)
{
    assert_true(status == GC_OK || status == GC_NO_MEMORY);
    registry.refused += status != GC_OK;
    return status == GC_OK;
}

/* Registers all that can be registered. What is refused is refused with
 * GC_NO_MEMORY and is not there. */
static void act_register(struct world *world)
{
    gc_heap *heap = world->heap;

    registry.refused = 0;
    for (size_t i = 0; i < 500; i++) {
        struct node *node = world->root[0];

        registry.slots[i] = is_added(gc_root_add(heap, &registry.slots[i])) ? node : NULL;
        registry.handles[i] = gc_handle_create(world->mutator, node);
        registry.refused += registry.handles[i] == NULL;
        for (size_t skip = 0; skip < i; skip++)
            node = node->right;
        is_added(gc_pin(world->mutator, node));
        is_added(gc_pin_once(world->mutator, node));
        is_added(gc_external_adjust(world->mutator, node, 10));
        is_added(gc_root_callback_add(heap, trace_nothing, &registry.slots[i], GC_EXACT));
        is_added(gc_root_range_add(heap, &registry.slots[i], 1, GC_AMBIGUOUS));
    }
}

static void check_registered(struct world *world)
{
    if (fault_failed() == 0)
        assert_int_equal(registry.refused, 0);
    check_list(world);
    for (size_t i = 0; i < 500; i++) {
        if (registry.slots[i] != NULL)
            assert_ptr_equal(registry.slots[i], world->root[0]);
        if (registry.handles[i] != NULL)
            assert_ptr_equal(gc_handle_get(registry.handles[i]), world->root[0]);
    }
}

static void registration_fails_cleanly_at_every_call(void **state)
{
    static const struct scenario scenario = {"register", arrange_list, act_register,
                                             check_registered, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* Each is pinned, or refused; both happen. */
static void a_pin_that_cannot_be_noted_is_refused(void **state)
{
    struct world *world = make_plain(0);
    size_t pinned[2] = {0, 0};

    (void)state;
    world->root[0] = build_list(world->mutator, 3000);
    fault_arm(0, UINT_MAX, FAULT_ALLOCATE | FAULT_RESIZE);
    for (struct node *node = world->root[0]; node != NULL; node = node->right) {
        gc_status status =
            node->value % 2 == 0 ? gc_pin(world->mutator, node) : gc_pin_once(world->mutator, node);

        assert_true(status == GC_OK || status == GC_NO_MEMORY);
        pinned[node->value % 2] += status == GC_OK;
    }
    fault_disarm();
    assert_true(pinned[0] < 1500 && pinned[1] < 1500);
    for (struct node *node = world->root[0]; node != NULL; node = node->right)
        if (node->value % 2 == 0 && gc_unpin(world->mutator, node) == GC_OK)
            pinned[0]--;
    assert_int_equal(pinned[0], 0);
    world_end(world);
}

static void act_types(struct world *world)
{
    static const uint32_t refs[] = {0, 8};
    static const gc_type layout = GC_TYPE_STRUCT("made", struct node, refs);

    for (size_t i = 0; i < 100; i++) {
        gc_type *type = gc_type_create(world->mutator, &layout, world->root[0]);
        struct node *node = type != NULL ? gc_alloc(world->mutator, type) : NULL;

        world->root[1 + i % 7] = node;
        if (node != NULL)
            node->left = world->root[0];
        if (type != NULL)
            gc_type_retire(world->mutator, type, NULL, NULL);
        if (i % 25 == 0)
            gc_collect(world->mutator, GC_OLD, NULL);
    }
}

static void gc_type_create_fails_cleanly_at_every_call(void **state)
{
    static const struct scenario scenario = {"types", arrange_list, act_types, check_list, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULTY(the_barrier_never_fails),
        FAULTY(what_unnoted_holders_know_is_kept),
        FAULTY(registration_fails_cleanly_at_every_call),
        FAULTY(a_pin_that_cannot_be_noted_is_refused),
        FAULTY(gc_type_create_fails_cleanly_at_every_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
