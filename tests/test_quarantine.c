/* SPDX-License-Identifier: MIT
 *
 * stress=quarantine: what a collection leaves is inaccessible or poisoned, and
 * a stale pointer is explained: which object it meant, and what became of it.
 */
#define _XOPEN_SOURCE 700 /* NOLINT(bugprone-reserved-identifier): sigaltstack */

#include "support/child.h"
#include "support/graph.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT_IT                                                                                   \
    "strata: a local by GC_FRAME, a global or a field of a malloc block by gc_root_add, or by a " \
    "handle;\n"                                                                                   \
    "strata: or read it again from its holder after every safepoint. See "                        \
    "guides/missing-root.md.\n"
#define NOT_UPDATED                                                                         \
    "strata: the pointer that was used is kept where the collector does not see it, so it " \
    "was not updated. Root it:\n" ROOT_IT
#define NOT_KNOWN                                                                                 \
    "strata: nothing that the collector knows of referred to it then. Root the pointer that was " \
    "used:\n" ROOT_IT

static volatile uint64_t sink;
static volatile uintptr_t stale;

/* A stack for the handler: valgrind cannot extend this one in a child. */
static void use_signal_stack(void)
{
    static char area[64 << 10];
    stack_t stack = {.ss_sp = area, .ss_size = sizeof area};

    (void)sigaltstack(&stack, NULL);
}

struct ending {
    void (*act)(struct world *world);
    struct world *world;
};

static void end_in_child(void *data)
{
    const struct ending *ending = data;

    use_signal_stack();
    ending->act(ending->world);
}

/* Runs `act` in a child, with what it writes to stderr in `text`; the signal
 * that ended it, or 0. */
static int end_of(void (*act)(struct world *), struct world *world, char *text, size_t size)
{
    struct ending ending = {act, world};
    int status = run_in_child(end_in_child, &ending, text, size);

    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* Ends by SIGSEGV, having said `first` (a line), `rest`, and how many
 * collections there were. */
static void assert_report(void (*act)(struct world *), struct world *world, const char *first,
                          const char *rest)
{
    char text[4096], expected[4096];

    assert_int_equal(end_of(act, world, text, sizeof text), SIGSEGV);
    (void)snprintf(expected, sizeof expected,
                   "strata: missing root: %s\n%sstrata: collections so far: %llu\n", first, rest,
                   (unsigned long long)collections_of(world->heap));
    assert_string_equal(text, expected);
}

static void read_value(struct world *world)
{
    (void)world;
    sink = ((volatile struct node *)stale)->value;
}

static void read_left(struct world *world)
{
    (void)world;
    sink = (uintptr_t)((struct node *volatile *)stale)[0];
}

static void follow_right(struct world *world)
{
    struct node *volatile *fields = (struct node *volatile *)stale;

    (void)world;
    sink = fields[1]->value;
}

/* ---- What became of it -------------------------------------------------- */

static void an_object_that_moved_is_named_with_its_new_address(void **state)
{
    struct world *world = make_quarantined();
    char line[200];

    (void)state;
    world->root[0] = make_node(world->mutator, 1);
    stale = (uintptr_t)world->root[0];
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_ptr_not_equal(world->root[0], stale);
    (void)snprintf(
        line, sizeof line,
        "access to offset 16 of an object of type node, 24 bytes, at %p, which moved to %p in "
        "collection 2",
        (void *)stale, world->root[0]);
    assert_report(read_value, world, line, NOT_UPDATED);
    (void)snprintf(
        line, sizeof line,
        "access to an object of type node, 24 bytes, at %p, which moved to %p in collection 2",
        (void *)stale, world->root[0]);
    assert_report(read_left, world, line, NOT_UPDATED);
    world_end(world);
}

static void an_object_that_died_is_named_with_its_collection(void **state)
{
    struct world *world = make_quarantined();
    char line[200];

    (void)state;
    stale = (uintptr_t)make_node(world->mutator, 1);
    world->root[0] = make_node(world->mutator, 2);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    (void)snprintf(line, sizeof line,
                   "access to offset 16 of an object of type node, 24 bytes, at %p, which died in "
                   "collection 2",
                   (void *)stale);
    assert_report(read_value, world, line, NOT_KNOWN);
    world_end(world);
}

static void moves_are_followed_to_where_the_object_is(void **state)
{
    struct world *world = make_quarantined();
    char line[200];
    void *first;

    (void)state;
    world->root[0] = make_node(world->mutator, 1);
    stale = (uintptr_t)world->root[0];
    gc_collect(world->mutator, GC_OLD, NULL);
    first = world->root[0];
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
    (void)snprintf(line, sizeof line,
                   "access to an object of type node, 24 bytes, at %p, which moved to %p in "
                   "collection 2 (and is "
                   "at %p now)",
                   (void *)stale, first, world->root[0]);
    assert_report(read_left, world, line, NOT_UPDATED);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    (void)snprintf(
        line, sizeof line,
        "access to an object of type node, 24 bytes, at %p, which moved to %p in collection 2 (and "
        "died in collection 5)",
        (void *)stale, first);
    assert_report(read_left, world, line, NOT_UPDATED);
    world_end(world);
}

static void a_large_object_that_died_is_named(void **state)
{
    struct world *world = make_quarantined();
    char line[200];

    (void)state;
    stale = (uintptr_t)make_array(world->mutator, &gc_type_bytes, MIB);
    gc_collect(world->mutator, GC_OLD, NULL);
    (void)snprintf(
        line, sizeof line,
        "access to offset 500016 of an object of type bytes, 1048576 bytes, at %p, which died in "
        "collection 2",
        (void *)stale);
    stale += 500000;
    assert_report(read_value, world, line, NOT_KNOWN);
    world_end(world);
}

static void note_name(void *data)
{
    memset(data, 'x', strlen(data)); /* the embedder's, and free to change now */
}

static void an_object_of_a_retired_type_is_explained_still(void **state)
{
    char name[] = "fleeting";
    struct world *world = make_quarantined();
    gc_type layout = node_type, *type;
    char line[200];

    (void)state;
    layout.name = name;
    type = gc_type_create(world->mutator, &layout, NULL);
    stale = (uintptr_t)make_object(world->mutator, type);
    gc_type_retire(world->mutator, type, note_name, name);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_string_equal(name, "xxxxxxxx");
    (void)snprintf(
        line, sizeof line,
        "access to an object of type (retired), 24 bytes, at %p, which died in collection 2",
        (void *)stale);
    assert_report(read_left, world, line, NOT_KNOWN);
    world_end(world);
}

/* ---- Beside what is pinned ---------------------------------------------- */

static void beside_a_pinned_object_the_others_are_poisoned(void **state)
{
    struct world *world = make_quarantined();
    struct node *pinned;
    char line[200];

    (void)state;
    world->root[0] = pinned = make_node(world->mutator, 1);
    pinned->left = world->root[1] = make_node(world->mutator, 2);
    stale = (uintptr_t)world->root[1];
    assert_int_equal(gc_pin(world->mutator, pinned), GC_OK);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_ptr_equal(world->root[0], pinned);
    assert_int_equal(pinned->value, 1);
    assert_ptr_not_equal(world->root[1], stale);
    (void)snprintf(
        line, sizeof line,
        "a pointer was followed that was read from an object of type node, 24 bytes, at %p, which "
        "moved to %p in collection 2",
        (void *)stale, world->root[1]);
    assert_report(follow_right, world, line, NOT_UPDATED);
    assert_int_equal(gc_unpin(world->mutator, pinned), GC_OK);
    world_end(world);
}

static void ask_for_size(struct world *world)
{
    (void)world;
    sink = gc_size_of((const void *)stale);
}

static void what_died_beside_a_pinned_object_is_poisoned(void **state)
{
    struct world *world = make_quarantined();
    char line[200];

    (void)state;
    world->root[0] = make_node(world->mutator, 1);
    stale = (uintptr_t)make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, world->root[0]), GC_OK);
    gc_collect(world->mutator, GC_OLD, NULL);
    (void)snprintf(
        line, sizeof line,
        "a pointer was followed that was read from an object of type node, 24 bytes, at %p, which "
        "died in collection 2",
        (void *)stale);
    assert_report(follow_right, world, line, NOT_KNOWN);
    assert_report(ask_for_size, world, line, NOT_KNOWN);
    world_end(world);
}

/* ---- In the verifier ---------------------------------------------------- */

static void verify(struct world *world)
{
    _exit(gc_verify(world->mutator) == 1 ? 0 : 1);
}

static void the_verifier_says_where_a_stale_reference_led(void **state)
{
    struct world *world = make_quarantined();
    char text[4096], expected[4096];
    struct node *holder;

    (void)state;
    world->root[0] = make_node(world->mutator, 1);
    stale = (uintptr_t)world->root[0];
    gc_collect(world->mutator, GC_OLD, NULL);
    world->root[1] = holder = make_node(world->mutator, 2);
    gc_write(world->mutator, holder, &holder->right, (void *)stale);
    assert_int_equal(end_of(verify, world, text, sizeof text), 0);
    (void)snprintf(expected, sizeof expected,
                   "strata: verify: node at %p in gen0, offset 8 -> %p: leads to an object of type "
                   "node, 24 bytes, "
                   "at %p, which moved to %p in collection 2\n",
                   (void *)holder, (void *)stale, (void *)stale, world->root[0]);
    assert_string_equal(text, expected);
    holder->right = NULL;
    world_end(world);
}

/* ---- The handler -------------------------------------------------------- */

static void say_mine(int sign)
{
    (void)sign;
    (void)!write(STDERR_FILENO, "mine", 4);
    _exit(1);
}

static void touch_nothing(struct world *world)
{
    (void)world;
    sink = *(volatile uint64_t *)(uintptr_t)stale;
}

static struct sigaction handler_now(void)
{
    struct sigaction now;

    assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
    return now;
}

static void a_fault_elsewhere_goes_to_the_handler_that_was_there(void **state)
{
    struct sigaction mine = {.sa_handler = say_mine}, before;
    struct world *world;
    char text[4096];

    (void)state;
    assert_int_equal(sigaction(SIGSEGV, &mine, &before), 0);
    world = make_quarantined();
    assert_true(handler_now().sa_handler != say_mine);
    stale = 64;
    assert_int_not_equal(end_of(touch_nothing, world, text, sizeof text), 0);
    assert_string_equal(text, "mine");
    world_end(world);
    assert_true(handler_now().sa_handler == say_mine);
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
}

static void without_another_handler_a_fault_elsewhere_ends_the_program(void **state)
{
    struct sigaction none = {.sa_handler = SIG_DFL}, before;
    struct world *world;
    char text[4096];

    (void)state;
    assert_int_equal(sigaction(SIGSEGV, &none, &before), 0);
    world = make_quarantined();
    stale = 64;
    assert_int_equal(end_of(touch_nothing, world, text, sizeof text), SIGSEGV);
    assert_string_equal(text, "");
    world_end(world);
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
}

static void the_handler_is_installed_in_this_mode_only(void **state)
{
    struct sigaction before = handler_now(), now;
    struct world *world = make_stressed("stress=evacuate-all"), *other;

    (void)state;
    now = handler_now();
    assert_memory_equal(&now.sa_handler, &before.sa_handler, sizeof now.sa_handler);
    world_end(world);
    world = make_quarantined();
    other = make_quarantined();
    now = handler_now();
    assert_memory_not_equal(&now.sa_handler, &before.sa_handler, sizeof now.sa_handler);
    world_end(world);
    now = handler_now();
    assert_memory_not_equal(&now.sa_handler, &before.sa_handler, sizeof now.sa_handler);
    world_end(other);
    now = handler_now();
    assert_memory_equal(&now.sa_handler, &before.sa_handler, sizeof now.sa_handler);
}

static void of_two_heaps_the_right_one_explains(void **state)
{
    struct world *world = make_quarantined(), *other = make_quarantined();
    char line[200];

    (void)state;
    stale = (uintptr_t)make_node(world->mutator, 1);
    gc_collect(world->mutator, GC_OLD, NULL);
    (void)snprintf(line, sizeof line,
                   "access to an object of type node, 24 bytes, at %p, which died in collection 2",
                   (void *)stale);
    assert_report(read_left, world, line, NOT_KNOWN);
    world_end(other);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_that_moved_is_named_with_its_new_address),
        cmocka_unit_test(an_object_that_died_is_named_with_its_collection),
        cmocka_unit_test(moves_are_followed_to_where_the_object_is),
        cmocka_unit_test(a_large_object_that_died_is_named),
        cmocka_unit_test(an_object_of_a_retired_type_is_explained_still),
        cmocka_unit_test(beside_a_pinned_object_the_others_are_poisoned),
        cmocka_unit_test(what_died_beside_a_pinned_object_is_poisoned),
        cmocka_unit_test(the_verifier_says_where_a_stale_reference_led),
        cmocka_unit_test(a_fault_elsewhere_goes_to_the_handler_that_was_there),
        cmocka_unit_test(without_another_handler_a_fault_elsewhere_ends_the_program),
        cmocka_unit_test(the_handler_is_installed_in_this_mode_only),
        cmocka_unit_test(of_two_heaps_the_right_one_explains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
