/* SPDX-License-Identifier: MIT
 *
 * C stacks and registers as roots. Built at -O0, -O2 and -O3, by gcc and by
 * clang: where a reference is kept is the compiler's choice.
 */
#define _POSIX_C_SOURCE 200809L

#include "os/os.h"
#include "support/threads.h"
#include "thread/stack.h"

#include <stdlib.h>

/* ---- Callee-saved registers --------------------------------------------- */

/* `hold_in_REG(hidden, mask, act, data)` puts hidden ^ mask into the register,
 * nowhere else, calls act(data), and returns what the register holds then,
 * hidden again. Written in assembly, so that no compiler keeps a copy; the
 * registers that pass arguments are cleared or overwritten. */
typedef uintptr_t hold_fn(uintptr_t hidden, uintptr_t mask, void (*act)(void *), void *data);

#if defined(__x86_64__)

#define HOLD_IN(reg)                      \
    ".globl hold_in_" #reg "\n"           \
    ".type hold_in_" #reg ", @function\n" \
    "hold_in_" #reg ":\n"                 \
    "    pushq %" #reg "\n"               \
    "    pushq %rsi\n"                    \
    "    subq $8, %rsp\n"                 \
    "    movq %rdi, %" #reg "\n"          \
    "    xorq %rsi, %" #reg "\n"          \
    "    movq %rcx, %rdi\n"               \
    "    xorl %esi, %esi\n"               \
    "    xorl %ecx, %ecx\n"               \
    "    call *%rdx\n"                    \
    "    movq %" #reg ", %rax\n"          \
    "    addq $8, %rsp\n"                 \
    "    popq %rsi\n"                     \
    "    xorq %rsi, %rax\n"               \
    "    popq %" #reg "\n"                \
    "    ret\n"                           \
    ".size hold_in_" #reg ", . - hold_in_" #reg "\n"

__asm__(".text\n" HOLD_IN(rbx) HOLD_IN(rbp) HOLD_IN(r12) HOLD_IN(r13) HOLD_IN(r14)
            HOLD_IN(r15) ".section .note.GNU-stack,\"\",@progbits\n.text\n");

hold_fn hold_in_rbx, hold_in_rbp, hold_in_r12, hold_in_r13, hold_in_r14, hold_in_r15;

static hold_fn *const holders[] = {hold_in_rbx, hold_in_rbp, hold_in_r12,
                                   hold_in_r13, hold_in_r14, hold_in_r15};
#else

static hold_fn *const holders[] = {NULL};

#endif

static void collect_all_ages(void *data)
{
    gc_mutator *mutator = data;

    clobber_stack();
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        gc_collect(mutator, generation, NULL);
}

static void compact_only(void *data)
{
    clobber_stack();
    gc_compact(data, NULL);
}

static void allocate_until_collected(void *data)
{
    gc_mutator *mutator = data;

    clobber_stack();
    make_garbage(mutator, (size_t)4 << 20);
}

/* The mask that makes a hidden address plain, and the one that leaves it. */
static uintptr_t mask_of(bool plain)
{
    return plain ? hide(NULL) : 0;
}

static void assert_each_register_keeps(gc_mutator *mutator, void (*act)(void *))
{
    volatile uintptr_t hidden; /* so that it is not revealed ahead of time */

    if (holders[0] == NULL)
        skip();
    for (unsigned i = 0; i < GC_COUNT(holders); i++) {
        hidden = hidden_node(mutator, 40 + i);
        clobber_stack();
        assert_int_equal(holders[i](hidden, mask_of(true), act, mutator), hidden);
        assert_true(is_still_object(mutator, hidden));
        assert_int_equal(((struct node *)reveal(hidden))->value, 40 + i);
    }
}

static void each_register_keeps_its_object(void **state)
{
    struct world *world = *state;

    assert_each_register_keeps(world->mutator, collect_all_ages);
}

static void each_register_keeps_its_object_in_a_compaction(void **state)
{
    struct world *world = *state;

    assert_each_register_keeps(world->mutator, compact_only);
}

static void each_register_keeps_its_object_while_allocating(void **state)
{
    struct world *world = *state;

    assert_each_register_keeps(world->mutator, allocate_until_collected);
    assert_true(stats_of(world->heap).generations[0].collections > 0);
}

struct search {
    uintptr_t hidden;
    size_t found;
};

static void count_found(const uintptr_t *words, size_t count, void *data)
{
    struct search *search = data;

    for (size_t i = 0; i < count; i++)
        search->found += hide((void *)words[i]) == search->hidden;
}

/* A collection's own frames save most registers on the way; here nothing
 * stands between the register and the scan. The word is any; only its hidden
 * form is known here. */
static void search_stack(void *data)
{
    gc_stack_scan(gc_os_stack_base(), count_found, data);
}

static void stack_scan_itself_finds_each_register(void **state)
{
    struct search search;

    (void)state;
    if (holders[0] == NULL)
        skip();
    (void)gc_os_stack_base(); /* known from now on */
    for (unsigned i = 0; i < GC_COUNT(holders); i++) {
        search = (struct search){UINT64_C(0x9e3779b97f4a7c15) + i, 0};
        clobber_stack();
        (void)holders[i](search.hidden, mask_of(false), search_stack, &search);
        assert_int_equal(search.found, 0);
        clobber_stack();
        (void)holders[i](search.hidden, mask_of(true), search_stack, &search);
        assert_true(search.found > 0);
    }
}

/* The control: the same path with the address still hidden. If this object
 * lived, the tests above would show nothing. */
static void hidden_address_in_a_register_keeps_nothing(void **state)
{
    struct world *world = *state;

    if (has_sanitizer() || holders[0] == NULL)
        skip();
    for (unsigned i = 0; i < GC_COUNT(holders); i++) {
        uintptr_t hidden = hidden_node(world->mutator, i);

        clobber_stack();
        (void)holders[i](hidden, mask_of(false), collect_all_ages, world->mutator);
        assert_false(is_still_object(world->mutator, hidden));
    }
}

/* ---- Locals ------------------------------------------------------------- */

static void local_keeps_its_object_and_pins_it(void **state)
{
    struct world *world = *state;
    struct node *volatile local = make_node(world->mutator, 5);
    struct node *before = local;

    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        assert_ptr_equal(local, before);
        assert_true(gc_is_object(world->mutator, local));
        assert_int_equal(local->value, 5);
        assert_true(stats_of(world->heap).pinned_objects >= 1);
    }
}

static NOINLINE uintptr_t word_into_bytes(gc_mutator *mutator, size_t bytes, size_t offset)
{
    return (uintptr_t)make_array(mutator, &gc_type_bytes, bytes) + offset;
}

static NOINLINE void assert_word_keeps(gc_mutator *mutator, size_t bytes, size_t offset)
{
    volatile uintptr_t word = word_into_bytes(mutator, bytes, offset);

    clobber_stack();
    collect_all_ages(mutator);
    assert_true(gc_is_object(mutator, (void *)(word - offset)));
    assert_int_equal(gc_length((void *)(word - offset)), bytes);
}

static void interior_and_one_past_the_end_words_on_the_stack_keep(void **state)
{
    static const size_t sizes[] = {1, 8, 120, 8000, 9000, 100000};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        assert_word_keeps(world->mutator, sizes[i], 0);
        assert_word_keeps(world->mutator, sizes[i], sizes[i] / 2);
        assert_word_keeps(world->mutator, sizes[i], sizes[i]);
    }
}

static NOINLINE void forget_nodes(gc_mutator *mutator, uintptr_t *hidden, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hidden[i] = hidden_node(mutator, i);
}

static void dead_frames_keep_nothing(void **state)
{
    enum { COUNT = 100 };
    struct world *world = *state;
    uintptr_t hidden[COUNT];
    size_t alive = 0;

    if (has_sanitizer())
        skip();
    forget_nodes(world->mutator, hidden, COUNT);
    clobber_stack();
    collect_all_ages(world->mutator);
    for (size_t i = 0; i < COUNT; i++)
        alive += is_still_object(world->mutator, hidden[i]);
    assert_int_equal(alive, 0);
}

static void everything_a_local_reaches_survives(void **state)
{
    struct world *world = *state;
    struct node *list = build_list(world->mutator, 5000);
    struct node *tree = build_tree(world->mutator, 8);

    for (unsigned i = 0; i < 2 * GC_GENERATIONS; i++) {
        make_garbage(world->mutator, 300000);
        collect(world->mutator, i % GC_GENERATIONS);
    }
    assert_true(is_intact_list(list, 5000));
    assert_int_equal(tree_count(tree), 511);
}

/* ---- Where a stack begins and ends -------------------------------------- */

struct visitor {
    gc_stacks stacks;
    bool kept;
};

static NOINLINE void attach_and_make_node(struct world *world, struct visitor *visitor,
                                          uintptr_t *hidden)
{
    gc_options options = test_options();

    options.stacks = visitor->stacks;
    if (gc_heap_create(&options, &world->heap) != GC_OK ||
        gc_mutator_attach(world->heap, &world->mutator) != GC_OK)
        abort();
    *hidden = hidden_node(world->mutator, 1);
}

static NOINLINE bool survives_collections(struct world *world, uintptr_t hidden)
{
    bool alive;

    collect_all_ages(world->mutator);
    alive = is_still_object(world->mutator, hidden);
    gc_mutator_detach(world->mutator);
    gc_heap_destroy(world->heap);
    return alive;
}

/* The local stands in a frame that is older than the attachment. */
static void *hold_above_the_attachment(void *data)
{
    struct visitor *visitor = data;
    volatile uintptr_t local;
    struct world world;
    uintptr_t hidden = 0;

    attach_and_make_node(&world, visitor, &hidden);
    local = (uintptr_t)reveal(hidden);
    clobber_stack();
    visitor->kept = survives_collections(&world, hidden);
    (void)local;
    return NULL;
}

static void frames_older_than_the_attachment_keep(void **state)
{
    struct visitor visitor = {GC_STACKS_AMBIGUOUS, false};

    (void)state;
    (void)hold_above_the_attachment(&visitor);
    assert_true(visitor.kept);
    visitor.kept = false;
    (void)run_on_stack(MIB, hold_above_the_attachment, &visitor);
    assert_true(visitor.kept);
}

static void exact_heaps_do_not_look_at_the_stack(void **state)
{
    struct visitor visitor = {GC_STACKS_EXACT, true};

    (void)state;
    (void)hold_above_the_attachment(&visitor);
    assert_false(visitor.kept);
}

static void exact_heaps_move_everything_and_pin_nothing(void **state)
{
    struct world *world = *state;
    struct node *list = build_list(world->mutator, 1000);
    uintptr_t before = hide(list);
    gc_report report;

    world->root[0] = list;
    report = collect(world->mutator, 0);
    assert_int_equal(stats_of(world->heap).pinned_objects, 0);
    assert_int_equal(report.moved_bytes, report.survived_bytes);
    assert_true(hide(world->root[0]) != before);
    report = compact(world->mutator); /* may move things twice */
    assert_int_equal(stats_of(world->heap).pinned_objects, 0);
    assert_true(report.moved_bytes >= report.survived_bytes);
    assert_true(is_intact_list(world->root[0], 1000));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ambiguous_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_register_keeps_its_object),
        TEST(each_register_keeps_its_object_in_a_compaction),
        TEST(each_register_keeps_its_object_while_allocating),
        cmocka_unit_test(stack_scan_itself_finds_each_register),
        TEST(hidden_address_in_a_register_keeps_nothing),
        TEST(local_keeps_its_object_and_pins_it),
        TEST(interior_and_one_past_the_end_words_on_the_stack_keep),
        TEST(dead_frames_keep_nothing),
        TEST(everything_a_local_reaches_survives),
        cmocka_unit_test(frames_older_than_the_attachment_keep),
        cmocka_unit_test(exact_heaps_do_not_look_at_the_stack),
        cmocka_unit_test_setup_teardown(exact_heaps_move_everything_and_pin_nothing, exact_setup,
                                        world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
