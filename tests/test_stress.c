/* SPDX-License-Identifier: MIT
 *
 * The stress modes do what they say. A mode that has decayed finds nothing, so
 * each test asserts that collections ran, that addresses changed, that a stale
 * pointer faults.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "heap/heap.h"
#include "support/graph.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void exit_with(int sign)
{
    _exit(sign);
}

/* Runs `act` in a child; the signal that ended it, or 0. The child catches it,
 * for tools that report each uncaught one. */
static int signal_of(void (*act)(struct world *), struct world *world)
{
    struct rlimit no_core = {0, 0};
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGSEGV, exit_with);
        (void)signal(SIGBUS, exit_with);
        (void)signal(SIGABRT, exit_with);
        act(world);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- stress=collect ----------------------------------------------------- */

static void stress_collect_collects_at_every_allocation(void **state)
{
    struct world *world = make_stressed("stress=collect");
    uint64_t before = collections_of(world->heap);
    size_t count = scaled(2000);

    (void)state;
    for (size_t i = 0; i < count; i++)
        (void)make_node(world->mutator, i);
    assert_true(collections_of(world->heap) - before >= count);
    assert_int_equal(gc_last_reason(world->heap), GC_REASON_STRESS);
    for (size_t i = 0; i < count; i++)
        (void)make_array(world->mutator, &gc_type_bytes, i);
    assert_true(collections_of(world->heap) - before >= 2 * count);
    world_end(world);
}

static void stress_collect_leaves_only_the_last_object(void **state)
{
    struct world *world = make_stressed("stress=collect");

    (void)state;
    for (uint64_t i = 0; i < 500; i++) {
        (void)make_node(world->mutator, i);
        assert_true(recount(world->mutator).all_objects <= 2);
    }
    world_end(world);
}

static void stress_collect_keeps_what_is_rooted(void **state)
{
    struct world *world = make_stressed("stress=collect");

    (void)state;
    world->root[0] = build_list(world->mutator, 1000);
    world->root[1] = build_tree(world->mutator, 7);
    assert_true(is_intact_list(world->root[0], 1000));
    assert_int_equal(tree_count(world->root[1]), 255);
    world_end(world);
}

/* Without a root the node moves or dies at the next allocation: this is how
 * the mode finds what a program forgot to root. */
static void stress_collect_shows_a_missing_root(void **state)
{
    struct world *world = make_stressed("stress=collect");
    uintptr_t hidden = hidden_node(world->mutator, 1);

    (void)state;
    (void)make_array(world->mutator, &gc_type_bytes, 100);
    (void)make_array(world->mutator, &gc_type_bytes, 100);
    assert_false(is_still_object(world->mutator, hidden));
    world_end(world);
}

static void without_stress_few_collections_run(void **state)
{
    struct world *world = make_stressed(NULL);

    (void)state;
    for (uint64_t i = 0; i < 2000; i++)
        (void)make_node(world->mutator, i);
    assert_int_equal(collections_of(world->heap), 0);
    world_end(world);
}

/* ---- stress=evacuate-all ------------------------------------------------ */

static void evacuate_all_moves_everything_at_every_collection(void **state)
{
    enum { COUNT = 100 };
    struct world *world = make_stressed("stress=evacuate-all");
    void *was[COUNT];

    (void)state;
    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct node *node = make_node(world->mutator, i);

        gc_write(world->mutator, world->root[0], (void **)world->root[0] + i, node);
    }
    for (unsigned round = 0; round < 12; round++) {
        void *array = world->root[0];
        gc_report report;

        memcpy(was, array, sizeof was);
        report = collect(world->mutator, round % 3 == 0 ? GC_OLD : round % 3);
        if (round % 3 == 0 || round == 1) {
            assert_ptr_not_equal(world->root[0], array);
            for (uint64_t i = 0; i < COUNT; i++)
                assert_ptr_not_equal(((void **)world->root[0])[i], was[i]);
            assert_true(report.moved_bytes >= COUNT * 32);
        }
        assert_int_equal(report.promoted_in_place_bytes, 0);
        for (uint64_t i = 0; i < COUNT; i++)
            assert_int_equal(((struct node **)world->root[0])[i]->value, i);
    }
    world_end(world);
}

static void evacuate_all_moves_nothing_that_is_pinned(void **state)
{
    struct world *world = make_stressed("stress=evacuate-all");
    struct node *pinned;
    struct node *other;

    (void)state;
    world->root[0] = pinned = make_node(world->mutator, 1);
    world->root[1] = other = make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, pinned), GC_OK);
    for (unsigned round = 0; round < 6; round++) {
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_ptr_equal(world->root[0], pinned);
        assert_ptr_not_equal(world->root[1], other);
        assert_int_equal(pinned->value, 1);
        other = world->root[1];
        assert_int_equal(other->value, 2);
    }
    world_end(world);
}

static uintptr_t stale; /* an address that the collection left */
static volatile uint64_t sink;

static void read_stale(struct world *world)
{
    (void)world;
    sink = ((volatile struct node *)stale)->value;
}

static void write_stale(struct world *world)
{
    (void)world;
    ((volatile struct node *)stale)->value = 1;
}

static void read_current(struct world *world)
{
    sink = ((volatile struct node *)world->root[0])->value;
}

/* A tool that saw the access may end the child in a way of its own. */
static bool is_fault(int sign)
{
    return sign == SIGSEGV || sign == SIGBUS || (is_slowed() && sign != 0);
}

static void a_stale_pointer_faults(void **state)
{
    struct world *world = make_stressed("stress=evacuate-all");

    (void)state;
    world->root[0] = make_node(world->mutator, 1);
    for (unsigned round = 0; round < 4; round++) {
        int sign;

        stale = (uintptr_t)world->root[0];
        gc_collect(world->mutator, round % 2 == 0 ? GC_OLD : GC_YOUNG, NULL);
        if ((uintptr_t)world->root[0] == stale)
            continue; /* a young collection, an old object */
        sign = signal_of(read_stale, world);
        assert_true(is_fault(sign));
        sign = signal_of(write_stale, world);
        assert_true(is_fault(sign));
        assert_int_equal(signal_of(read_current, world), 0);
    }
    assert_true(stale != 0);
    world_end(world);
}

/* The mode must not eat the address space, nor the limit: what is made
 * inaccessible comes back. */
static void evacuate_all_goes_on_for_long(void **state)
{
    gc_options options = plain_options(256 * KIB);
    struct world *world;

    (void)state;
    options.hard_limit = 64 * MIB;
    options.settings = "stress=evacuate-all";
    world = world_make(&options);
    world->root[0] = build_list(world->mutator, 100000);
    for (size_t i = 0; i < scaled(500); i++) {
        make_garbage(world->mutator, 100 * KIB);
        gc_collect(world->mutator, (unsigned)(i % 3), NULL);
        assert_true(stats_of(world->heap).committed_bytes <= 64 * MIB);
    }
    assert_true(is_intact_list(world->root[0], 100000));
    world_end(world);
}

/* ---- The other modes ---------------------------------------------------- */

static void stress_in_place_moves_nothing(void **state)
{
    struct world *world = make_stressed("stress=in-place");
    void *was;

    (void)state;
    was = world->root[0] = build_list(world->mutator, 1000);
    make_garbage(world->mutator, MIB);
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        assert_int_equal(collect(world->mutator, g).moved_bytes, 0);
        assert_ptr_equal(world->root[0], was);
    }
    assert_int_equal(gc_generation_of(world->mutator, was), GC_OLD);
    assert_true(is_intact_list(was, 1000));
    world_end(world);
}

static void stress_full_makes_every_collection_full(void **state)
{
    gc_options options = plain_options(256 * KIB);
    struct world *world;

    (void)state;
    options.settings = "stress=full";
    world = world_make(&options);
    world->root[0] = build_list(world->mutator, 100000);
    assert_int_equal(stats_of(world->heap).generations[GC_YOUNG].collections, 0);
    assert_int_equal(stats_of(world->heap).generations[GC_MIDDLE].collections, 0);
    assert_true(stats_of(world->heap).generations[GC_OLD].collections > 5);
    assert_int_equal(collect(world->mutator, GC_YOUNG).generation, GC_OLD);
    assert_true(is_intact_list(world->root[0], 100000));
    world_end(world);
}

/* Many combs: where edges wait in a queue, those of one alone come out of it too
 * late to leave anything on the stack. */
static void **build_grove(struct world *world, size_t combs, size_t teeth)
{
    void **grove = make_array(world->mutator, &gc_type_references, combs);

    GC_FRAME(world->mutator, frame, &grove);
    for (size_t i = 0; i < combs; i++) {
        struct node *comb = build_comb(world->mutator, teeth, i % 2);

        gc_write(world->mutator, grove, &grove[i], comb);
    }
    gc_frame_pop(world->mutator, &frame);
    return grove;
}

/* 10,000 lists of ten nodes, all known to one array; young combs, one and many: far
 * more than a page. */
static void stress_tiny_stack_overflows_and_loses_nothing(void **state)
{
    enum { LISTS = 10000, TEETH = 2000 };
    struct world *world = make_stressed("stress=tiny-stack");
    void **array = world->root[0] = make_array(world->mutator, &gc_type_references, LISTS);

    (void)state;
    for (size_t i = 0; i < LISTS; i++)
        gc_write(world->mutator, array, &array[i], build_list(world->mutator, 10));
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        uint64_t before;

        world->root[1] = build_comb(world->mutator, TEETH, false);
        world->root[2] = build_comb(world->mutator, TEETH, true);
        world->root[3] = build_grove(world, 100, 100);
        before = stats_of(world->heap).mark_overflows;
        gc_collect(world->mutator, g, NULL);
        assert_true(stats_of(world->heap).mark_overflows > before);
        assert_int_equal(gc_verify(world->mutator), 0);
    }
    for (size_t i = 0; i < LISTS; i++)
        assert_true(is_intact_list(array[i], 10));
    world_end(world);
}

/* The last trace's way, of a heap that is in the cache. */
static enum gc_prefetch prefetch_of(const char *settings, unsigned generation)
{
    struct world *world = make_stressed(settings);
    enum gc_prefetch prefetch;

    world->root[0] = build_list(world->mutator, 1000);
    gc_collect(world->mutator, generation, NULL);
    assert_true(is_intact_list(world->root[0], 1000));
    prefetch = world->heap->collector.tracer.prefetch;
    world_end(world);
    return prefetch;
}

static void stress_prefetch_has_every_trace_prefetch(void **state)
{
    (void)state;
    for (unsigned g = 0; g < GC_GENERATIONS; g++) {
        assert_int_equal(prefetch_of("stress=prefetch", g), GC_PREFETCH_ALL);
        assert_int_equal(prefetch_of("stress=none", g), GC_PREFETCH_NONE);
    }
}

/* ---- check=deep --------------------------------------------------------- */

/* A store past the barrier, into an old object: the verifier reports it at the
 * next phase boundary, and the program ends. */
static void forget_the_barrier(struct world *world)
{
    struct node *holder = world->root[0];

    (void)freopen("/dev/null", "w", stderr);
    holder->left = make_node(world->mutator, 7);
    gc_collect(world->mutator, GC_YOUNG, NULL);
}

static struct world *make_with_old_node(const char *settings)
{
    struct world *world = make_stressed(settings);

    world->root[0] = make_node(world->mutator, 1);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    return world;
}

static void deep_checks_end_a_program_that_forgets_the_barrier(void **state)
{
    struct world *world = make_with_old_node("check=deep");

    (void)state;
    assert_int_equal(signal_of(forget_the_barrier, world), SIGABRT);
    world_end(world);
}

static void without_checks_the_same_program_goes_on(void **state)
{
    struct world *world = make_with_old_node("check=off");

    (void)state;
    assert_int_equal(signal_of(forget_the_barrier, world), 0);
    world_end(world);
}

static void deep_checks_pass_a_sound_program(void **state)
{
    struct world *world = make_stressed("check=deep");

    (void)state;
    world->root[0] = build_list(world->mutator, 5000);
    for (unsigned i = 0; i < 12; i++) {
        struct node *fresh = make_node(world->mutator, i);
        struct node *node = world->root[0];

        gc_write(world->mutator, node, &node->left, fresh);
        if (i % 4 == 3)
            gc_compact(world->mutator, NULL);
        else
            gc_collect(world->mutator, i % 4, NULL);
    }
    assert_int_equal(list_length(world->root[0]), 5000);
    world_end(world);
}

/* ---- Where modes come from ---------------------------------------------- */

static void modes_combine(void **state)
{
    struct world *world = make_stressed("check=deep,stress=collect,stress=evacuate-all");
    uint64_t before = collections_of(world->heap);
    void *was;

    (void)state;
    world->root[0] = build_list(world->mutator, 50);
    assert_true(collections_of(world->heap) - before >= 50);
    was = world->root[0];
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_ptr_not_equal(world->root[0], was);
    assert_true(is_intact_list(world->root[0], 50));
    world_end(world);
}

static void the_environment_wins(void **state)
{
    struct world *world;
    uint64_t before;

    (void)state;
    assert_int_equal(setenv("STRATA_OPTIONS", "stress=collect", 1), 0);
    world = make_stressed("check=off");
    assert_int_equal(unsetenv("STRATA_OPTIONS"), 0);
    before = collections_of(world->heap);
    for (uint64_t i = 0; i < 50; i++)
        (void)make_node(world->mutator, i);
    assert_true(collections_of(world->heap) - before >= 50);
    world_end(world);
}

static void an_unknown_mode_is_refused(void **state)
{
    gc_options options = plain_options(MIB);
    gc_heap *heap = NULL;

    (void)state;
    options.settings = "stress=everything-at-once";
    assert_int_equal(gc_heap_create(&options, &heap), GC_BAD_OPTION);
    assert_null(heap);
    assert_true(gc_options_explain(&options)[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stress_collect_collects_at_every_allocation),
        cmocka_unit_test(stress_collect_leaves_only_the_last_object),
        cmocka_unit_test(stress_collect_keeps_what_is_rooted),
        cmocka_unit_test(stress_collect_shows_a_missing_root),
        cmocka_unit_test(without_stress_few_collections_run),
        cmocka_unit_test(evacuate_all_moves_everything_at_every_collection),
        cmocka_unit_test(evacuate_all_moves_nothing_that_is_pinned),
        cmocka_unit_test(a_stale_pointer_faults),
        cmocka_unit_test(evacuate_all_goes_on_for_long),
        cmocka_unit_test(stress_in_place_moves_nothing),
        cmocka_unit_test(stress_full_makes_every_collection_full),
        cmocka_unit_test(stress_tiny_stack_overflows_and_loses_nothing),
        cmocka_unit_test(stress_prefetch_has_every_trace_prefetch),
        cmocka_unit_test(deep_checks_end_a_program_that_forgets_the_barrier),
        cmocka_unit_test(without_checks_the_same_program_goes_on),
        cmocka_unit_test(deep_checks_pass_a_sound_program),
        cmocka_unit_test(modes_combine),
        cmocka_unit_test(the_environment_wins),
        cmocka_unit_test(an_unknown_mode_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
