/* SPDX-License-Identifier: MIT
 *
 * The helper that stands over the system's table in the other tests.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fault.h"
#include "support/pages.h"

#define MIB ((size_t)1 << 20)

enum { THREADS = 8 };

static int install_faults(void **state)
{
    (void)state;
    fault_install();
    return 0;
}

static int remove_faults(void **state)
{
    (void)state;
    fault_remove();
    return 0;
}

static void disarmed_calls_do_their_work(void **state)
{
    unsigned char *start = reserve_and_commit(MIB);

    (void)state;
    memset(start, 1, MIB);
    assert_true(gc_os.decommit(start, MIB));
    assert_true(is_all(start, MIB, 0));
    assert_true(gc_os.protect(start, MIB, false));
    assert_true(gc_os.release(start, MIB));
    assert_int_equal(fault_calls(), 4);
    assert_int_equal(fault_failed(), 0);
}

static void armed_call_fails_after_so_many(void **state)
{
    void *kept[2];

    (void)state;
    fault_arm(2, 1, FAULT_ALLOCATE);
    kept[0] = gc_os.allocate(8);
    kept[1] = gc_os.allocate(8);
    assert_non_null(kept[0]);
    assert_non_null(kept[1]);
    assert_null(gc_os.allocate(8));
    gc_os.free(kept[0]);
    kept[0] = gc_os.allocate(8);
    assert_non_null(kept[0]);
    assert_int_equal(fault_failed(), 1);
    assert_int_equal(fault_calls_of(FAULT_ALLOCATE), 4);
    gc_os.free(kept[0]);
    gc_os.free(kept[1]);
    assert_true(fault_is_clean());
}

static void armed_for_ever_fails_until_disarmed(void **state)
{
    (void)state;
    fault_arm(0, UINT_MAX, FAULT_RESERVE);
    for (int i = 0; i < 1000; i++) {
        assert_null(gc_os.reserve(MIB, MIB));
    }
    assert_int_equal(fault_failed(), 1000);
    fault_disarm();
    void *start = gc_os.reserve(MIB, MIB);

    assert_non_null(start);
    assert_int_equal(fault_failed(), 1000);
    assert_true(gc_os.release(start, MIB));
}

static void only_calls_in_the_mask_fail(void **state)
{
    unsigned char *start = reserve_and_commit(MIB);
    void *memory = gc_os.allocate(8);

    (void)state;
    fault_arm(0, UINT_MAX, FAULT_DECOMMIT | FAULT_RESIZE);
    assert_false(gc_os.decommit(start, MIB));
    assert_null(gc_os.resize(memory, 16));
    assert_true(gc_os.commit(start, MIB));
    assert_true(gc_os.protect(start, MIB, true));
    gc_os.free(memory);
    assert_true(gc_os.release(start, MIB));
    assert_int_equal(fault_failed(), 2);
    assert_true(fault_is_clean());
}

static void every_kind_of_call_can_fail(void **state)
{
    unsigned char *start = reserve_and_commit(MIB);

    (void)state;
    fault_arm(0, UINT_MAX, FAULT_ALL);
    assert_null(gc_os.reserve(MIB, MIB));
    assert_false(gc_os.commit(start, MIB));
    assert_false(gc_os.decommit(start, MIB));
    assert_false(gc_os.protect(start, MIB, false));
    assert_false(gc_os.advise_huge(start, MIB, true));
    assert_null(gc_os.allocate(8));
    assert_null(gc_os.resize(NULL, 8));
    assert_int_equal(fault_failed(), 7);
    assert_true(gc_os.release(start, MIB));
    assert_true(fault_is_clean());
}

static void call_made_to_fail_changes_nothing(void **state)
{
    unsigned char *start = reserve_and_commit(MIB);
    unsigned char *memory = gc_os.allocate(8);

    (void)state;
    memset(start, 6, MIB);
    memset(memory, 6, 8);
    fault_arm(0, UINT_MAX, FAULT_ALL);
    assert_false(gc_os.decommit(start, MIB));
    assert_false(gc_os.protect(start, MIB, false));
    assert_null(gc_os.resize(memory, 8000));
    assert_true(is_all(start, MIB, 6));
    assert_true(is_all(memory, 8, 6));
    gc_os.free(memory);
    assert_true(gc_os.release(start, MIB));
}

static void what_is_not_given_back_is_counted(void **state)
{
    void *first = gc_os.reserve(MIB, MIB);
    void *second = gc_os.reserve(2 * MIB, MIB);
    void *memory = gc_os.resize(NULL, 8);

    (void)state;
    assert_int_equal(fault_live_reservations(), 2);
    assert_int_equal(fault_live_reserved_bytes(), 3 * MIB);
    assert_int_equal(fault_live_allocations(), 1);
    memory = gc_os.resize(memory, 800);
    assert_int_equal(fault_live_allocations(), 1);
    gc_os.free(memory);
    gc_os.free(NULL);
    assert_int_equal(fault_live_allocations(), 0);
    assert_true(gc_os.release(first, MIB));
    assert_int_equal(fault_live_reservations(), 1);
    assert_false(fault_is_clean());
    assert_true(gc_os.release(second, 2 * MIB));
    assert_true(fault_is_clean());
}

static void reservation_released_in_part_is_not_clean(void **state)
{
    char *start = gc_os.reserve(2 * MIB, MIB);

    (void)state;
    assert_true(gc_os.release(start, MIB));
    assert_int_equal(fault_live_reservations(), 0);
    assert_false(fault_is_clean());
    assert_true(gc_os.release(start + MIB, MIB));
    assert_int_equal(fault_live_reserved_bytes(), 0);
    assert_false(fault_is_clean());
}

static void install_starts_every_count_afresh(void **state)
{
    void *memory = gc_os.allocate(8);

    (void)state;
    fault_arm(0, UINT_MAX, FAULT_ALL);
    assert_null(gc_os.allocate(8));
    gc_os.free(memory);
    fault_install();
    assert_int_equal(fault_calls(), 0);
    assert_int_equal(fault_failed(), 0);
    memory = gc_os.allocate(8);
    assert_non_null(memory);
    gc_os.free(memory);
}

static void remove_puts_the_system_back(void **state)
{
    struct gc_os wrapper = gc_os;

    (void)state;
    fault_remove();
    assert_true(gc_os.allocate != wrapper.allocate);
    struct gc_os system = gc_os;

    fault_remove();
    assert_memory_equal(&gc_os, &system, sizeof system);
}

static void *allocate_often(void *data)
{
    (void)data;
    for (int i = 0; i < 1000; i++) {
        gc_os.free(gc_os.allocate(8));
    }
    return NULL;
}

static void calls_of_all_threads_are_counted(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    fault_arm(500, 700, FAULT_ALLOCATE);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_often, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(fault_calls(), THREADS * 1000);
    assert_int_equal(fault_failed(), 700);
    assert_true(fault_is_clean());
}

#define WITH_FAULTS(test) cmocka_unit_test_setup_teardown(test, install_faults, remove_faults)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FAULTS(disarmed_calls_do_their_work),
        WITH_FAULTS(armed_call_fails_after_so_many),
        WITH_FAULTS(armed_for_ever_fails_until_disarmed),
        WITH_FAULTS(only_calls_in_the_mask_fail),
        WITH_FAULTS(every_kind_of_call_can_fail),
        WITH_FAULTS(call_made_to_fail_changes_nothing),
        WITH_FAULTS(what_is_not_given_back_is_counted),
        WITH_FAULTS(reservation_released_in_part_is_not_clean),
        WITH_FAULTS(install_starts_every_count_afresh),
        WITH_FAULTS(remove_puts_the_system_back),
        WITH_FAULTS(calls_of_all_threads_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
