/* SPDX-License-Identifier: MIT
 *
 * Under AddressSanitizer with detect_stack_use_after_return=1 a function's
 * variables live in a fake frame, away from the stack, which holds no more than
 * its address. What they refer to is kept all the same.
 */
#include "base/annotate.h"
#include "os/os.h"
#include "support/heap.h"
#include "thread/stack.h"

#include <string.h>

/* Read by the sanitizer when the program starts. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}

enum { WORDS = 16 };

/* Whether the variable is in a fake frame. */
static bool is_in_fake_frame(const void *variable)
{
#if GC_UNDER_ASAN
    return __asan_addr_is_in_fake_stack(__asan_get_current_fake_stack(),
                                        (void *)(uintptr_t)variable, NULL, NULL) != NULL;
#else
    (void)variable;
    return false;
#endif
}

static NOINLINE void put(uintptr_t *slot, uintptr_t hidden)
{
    *slot = (uintptr_t)reveal(hidden);
}

/* Runs `act` in a frame whose array alone has the hidden word, in plain form;
 * false if the array is on the stack. */
static NOINLINE bool hold(uintptr_t hidden, void (*act)(void *data), void *data)
{
    uintptr_t words[WORDS];

    memset(words, 0, sizeof words);
    if (!is_in_fake_frame(words))
        return false;
    put(&words[WORDS / 2], hidden);
    clobber_stack();
    act(data);
    return hide((void *)words[WORDS / 2]) == hidden;
}

struct search {
    uintptr_t hidden;
    size_t in_stack; /* times found in the words of the stack itself */
    size_t in_all;
};

static void count_in_stack(const uintptr_t *words, size_t count, void *data)
{
    struct search *search = data;

    for (size_t i = 0; i < count; i++)
        search->in_stack += hide((const void *)words[i]) == search->hidden;
}

static void count_in_all(const uintptr_t *words, size_t count, void *data)
{
    struct search *search = data;

    for (size_t i = 0; i < count; i++)
        search->in_all += hide((const void *)words[i]) == search->hidden;
}

static NOINLINE void search_both(void *data)
{
    uintptr_t base = gc_os_stack_base();

    gc_words_scan((uintptr_t)__builtin_frame_address(0), base, count_in_stack, data);
    gc_stack_scan(base, count_in_all, data);
}

/* Without the sanitizer there are none. */
static void skip_unless_faked(bool held)
{
    if (!GC_UNDER_ASAN)
        skip();
    assert_true(held);
}

static void a_scan_finds_what_only_a_fake_frame_holds(void **state)
{
    struct search search = {.hidden = UINT64_C(0x9e3779b97f4a7c15)};

    (void)state;
    skip_unless_faked(hold(search.hidden, search_both, &search));
    assert_int_equal(search.in_stack, 0);
    assert_true(search.in_all > 0);
}

static void collect_all_ages(void *data)
{
    gc_mutator *mutator = data;

    clobber_stack();
    make_garbage(mutator, (size_t)2 << 20);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        gc_collect(mutator, generation, NULL);
}

static void an_object_that_only_a_fake_frame_holds_survives(void **state)
{
    struct world *world = *state;
    uintptr_t hidden = hidden_node(world->mutator, 7);
    bool held = hold(hidden, collect_all_ages, world->mutator);

    skip_unless_faked(held);
    assert_true(is_still_object(world->mutator, hidden));
    assert_int_equal(((struct node *)reveal(hidden))->value, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ambiguous_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_scan_finds_what_only_a_fake_frame_holds),
        TEST(an_object_that_only_a_fake_frame_holds_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
