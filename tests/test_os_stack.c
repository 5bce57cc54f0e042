/* SPDX-License-Identifier: MIT
 *
 * The stack's bounds, threads' identities, fake frames.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fault.h"
#include "support/pages.h"

#define MIB ((size_t)1 << 20)

#define GIB ((size_t)1 << 30)

/* Fake frames are off by default with some compilers. The sanitizer calls this,
 * wherever symbols are hidden too. */
/* NOLINTNEXTLINE(readability-identifier-naming) */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}

/* The frame's own address: under AddressSanitizer a local's may be elsewhere. */
static bool is_below_stack_base(uintptr_t frame)
{
    uintptr_t base = gc_os_stack_base();

    return base > frame && base - frame < GIB && base % sizeof(void *) == 0;
}

/* A child of which `works` returned true ends with status 0. */
static bool holds_in_child(bool (*works)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        _exit(works() ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static bool finds_stack_without_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return false;
    }
    files.rlim_cur = 0;
    return setrlimit(RLIMIT_NOFILE, &files) == 0 &&
           is_below_stack_base((uintptr_t)__builtin_frame_address(0));
}

/* Runs before the base of this thread is known: it is kept, in the child too. */
static void stack_base_of_main_thread_needs_no_file(void **state)
{
    (void)state;
    assert_true(holds_in_child(finds_stack_without_files));
}

static void stack_base_of_main_thread_is_above_its_frames(void **state)
{
    (void)state;
    assert_true(is_below_stack_base((uintptr_t)__builtin_frame_address(0)));
}

static void stack_base_stays_the_same(void **state)
{
    (void)state;
    assert_int_equal(gc_os_stack_base(), gc_os_stack_base());
}

struct seen {
    bool is_below_base;
    bool is_on_given_stack;
    uintptr_t base;
    uintptr_t thread;
    void *stack; /* or NULL: the library's choice */
    size_t stack_bytes;
    pthread_barrier_t *all_alive;
};

static void *look_from_thread(void *data)
{
    struct seen *seen = data;

    seen->is_below_base = is_below_stack_base((uintptr_t)__builtin_frame_address(0));
    seen->base = gc_os_stack_base();
    seen->thread = gc_os_thread();
    seen->is_on_given_stack = seen->base > (uintptr_t)seen->stack &&
                              seen->base <= (uintptr_t)seen->stack + seen->stack_bytes;
    pthread_barrier_wait(seen->all_alive);
    return NULL;
}

enum { THREADS = 8 };

static void look_from_threads(struct seen seen[THREADS])
{
    pthread_t threads[THREADS];
    pthread_barrier_t all_alive;

    assert_int_equal(pthread_barrier_init(&all_alive, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        seen[i] = (struct seen){.all_alive = &all_alive};
        assert_int_equal(pthread_create(&threads[i], NULL, look_from_thread, &seen[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    pthread_barrier_destroy(&all_alive);
}

static void stack_base_of_each_thread_is_above_its_frames(void **state)
{
    struct seen seen[THREADS];

    (void)state;
    look_from_threads(seen);
    for (int i = 0; i < THREADS; i++) {
        assert_true(seen[i].is_below_base);
        assert_int_not_equal(seen[i].base, gc_os_stack_base());
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(seen[i].base, seen[j].base);
        }
    }
}

static void stack_base_lies_in_a_stack_given_by_the_program(void **state)
{
    const size_t bytes = MIB;
    struct seen seen = {.stack = reserve_and_commit(bytes), .stack_bytes = bytes};
    pthread_barrier_t all_alive;
    pthread_attr_t attributes;
    pthread_t thread;

    (void)state;
    seen.all_alive = &all_alive;
    assert_int_equal(pthread_barrier_init(&all_alive, NULL, 1), 0);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, seen.stack, bytes), 0);
    assert_int_equal(pthread_create(&thread, &attributes, look_from_thread, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(seen.is_below_base);
    assert_true(seen.is_on_given_stack);
    pthread_attr_destroy(&attributes);
    pthread_barrier_destroy(&all_alive);
    assert_true(gc_os.release(seen.stack, bytes));
}

static void threads_have_distinct_identities(void **state)
{
    struct seen seen[THREADS];
    uintptr_t own = gc_os_thread();

    (void)state;
    look_from_threads(seen);
    assert_int_not_equal(own, 0);
    assert_int_equal(gc_os_thread(), own);
    for (int i = 0; i < THREADS; i++) {
        assert_int_not_equal(seen[i].thread, 0);
        assert_int_not_equal(seen[i].thread, own);
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(seen[i].thread, seen[j].thread);
        }
    }
}

struct search {
    uintptr_t wanted;
    unsigned areas;
    bool is_found;
};

static void look_into_area(uintptr_t from, uintptr_t to, void *data)
{
    struct search *search = data;

    search->areas++;
    search->is_found |= from <= search->wanted && search->wanted + sizeof(void *) <= to;
}

__attribute__((noinline)) static void search_from_here(struct search *search)
{
    gc_os_fake_frames(gc_os_fake_stack(), (uintptr_t)__builtin_frame_address(0), gc_os_stack_base(),
                      look_into_area, search);
}

/* The address of a caller's fake frame may be in a register alone, so registers
 * are saved in this frame, and the search begins in a frame below. */
__attribute__((noinline)) static struct search search_fake_frames(void *const volatile *local)
{
    struct search search = {.wanted = (uintptr_t)local};

    __builtin_unwind_init();
    search_from_here(&search);
    return search;
}

static void local_is_on_the_stack_or_in_a_fake_frame(void **state)
{
    void *volatile local = state;
    struct search search = search_fake_frames(&local);
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    bool is_on_stack = (uintptr_t)&local <= gc_os_stack_base() && (uintptr_t)&local + MIB >= frame;

    assert_ptr_equal(local, state);
    assert_int_not_equal(search.is_found, is_on_stack);
}

static void empty_range_has_no_fake_frames(void **state)
{
    struct search search = {.wanted = 0};
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    (void)state;
    gc_os_fake_frames(gc_os_fake_stack(), here, here, look_into_area, &search);
    assert_int_equal(search.areas, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stack_base_of_main_thread_needs_no_file),
        cmocka_unit_test(stack_base_of_main_thread_is_above_its_frames),
        cmocka_unit_test(stack_base_stays_the_same),
        cmocka_unit_test(stack_base_of_each_thread_is_above_its_frames),
        cmocka_unit_test(stack_base_lies_in_a_stack_given_by_the_program),
        cmocka_unit_test(threads_have_distinct_identities),
        cmocka_unit_test(local_is_on_the_stack_or_in_a_fake_frame),
        cmocka_unit_test(empty_range_has_no_fake_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
