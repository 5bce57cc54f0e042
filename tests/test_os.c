/* SPDX-License-Identifier: MIT
 *
 * The system's table of calls: memory and the clock.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/threads.h"
#include "support/pages.h"

#define MIB ((size_t)1 << 20)

/* The kernel's "rw-p" for the page at `address`; "" if nothing is mapped. */
static const char *permissions_at(const void *address)
{
    static char found[5];
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");

    found[0] = '\0';
    assert_non_null(maps);
    while (found[0] == '\0' && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from = 0;
        uintptr_t to = 0;
        char permissions[5];

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, permissions) == 3 &&
            from <= (uintptr_t)address && (uintptr_t)address < to) {
            memcpy(found, permissions, sizeof found);
        }
    }
    fclose(maps);
    return found;
}

static void page_size_is_a_power_of_two(void **state)
{
    size_t page = gc_os_page_bytes();

    (void)state;
    assert_true(page >= 4096);
    assert_int_equal(page & (page - 1), 0);
}

static void clock_never_goes_back(void **state)
{
    uint64_t last = gc_os_now_ns();

    (void)state;
    assert_true(last > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = gc_os_now_ns();

        assert_true(now >= last);
        last = now;
    }
}

static void clock_counts_nanoseconds(void **state)
{
    uint64_t before = gc_os_now_ns();

    (void)state;
    usleep(2000);
    assert_true(gc_os_now_ns() - before >= 2000000);
}

static void reservation_is_aligned_as_asked(void **state)
{
    const size_t bytes = 3 * gc_os_page_bytes();

    (void)state;
    for (size_t alignment = 1; alignment <= 64 * MIB; alignment *= 2) {
        void *start = gc_os.reserve(bytes, alignment);

        assert_non_null(start);
        assert_int_equal((uintptr_t)start % alignment, 0);
        assert_int_equal((uintptr_t)start % gc_os_page_bytes(), 0);
        assert_true(gc_os.release(start, bytes));
    }
}

static void reservation_is_inaccessible_from_first_to_last_page(void **state)
{
    const size_t bytes = 4 * MIB;
    char *start = gc_os.reserve(bytes, 2 * MIB);

    (void)state;
    assert_non_null(start);
    assert_string_equal(permissions_at(start), "---p");
    assert_string_equal(permissions_at(start + bytes - 1), "---p");
    assert_true(gc_os.release(start, bytes));
}

static void released_reservation_is_unmapped(void **state)
{
    const size_t bytes = 64 * MIB;
    char *start = gc_os.reserve(bytes, 4 * MIB);

    (void)state;
    assert_non_null(start);
    assert_true(gc_os.release(start, bytes));
    assert_string_equal(permissions_at(start + bytes / 2), "");
}

static size_t address_space_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    return pages * gc_os_page_bytes();
}

static void parts_cut_off_for_alignment_are_given_back(void **state)
{
    const size_t alignment = 64 * MIB;
    size_t before = address_space_bytes();

    (void)state;
    for (int i = 0; i < 50; i++) {
        void *start = gc_os.reserve(MIB, alignment);

        assert_non_null(start);
        assert_true(gc_os.release(start, MIB));
    }
    assert_true(address_space_bytes() < before + alignment / 2);
}

static void reservation_of_absurd_size_is_refused(void **state)
{
    const size_t page = gc_os_page_bytes();

    (void)state;
    assert_null(gc_os.reserve(SIZE_MAX, page));
    assert_null(gc_os.reserve(SIZE_MAX, 2 * MIB));
    assert_null(gc_os.reserve(SIZE_MAX - page + 1, 2 * MIB));
    assert_null(gc_os.reserve(SIZE_MAX / 2 + 1, page));
    assert_null(gc_os.reserve(SIZE_MAX / 16, 2 * MIB));
    assert_null(gc_os.reserve(page, SIZE_MAX / 2 + 1));
}

static void reservation_of_nothing_is_refused(void **state)
{
    (void)state;
    assert_null(gc_os.reserve(0, 2 * MIB));
}

static void call_on_unmapped_memory_says_so(void **state)
{
    const size_t page = gc_os_page_bytes();
    char *start = gc_os.reserve(page, page);

    (void)state;
    assert_non_null(start);
    assert_true(gc_os.release(start, page));
    assert_false(gc_os.commit(start, page));
    assert_false(gc_os.decommit(start, page));
    assert_false(gc_os.protect(start, page, false));
    assert_false(gc_os.release(start + 1, page));
}

static void committed_memory_reads_as_zero_and_can_be_written(void **state)
{
    const size_t bytes = MIB;
    unsigned char *start = reserve_and_commit(bytes);

    (void)state;
    assert_true(is_all(start, bytes, 0));
    memset(start, 0xa5, bytes);
    assert_true(is_all(start, bytes, 0xa5));
    assert_true(gc_os.release(start, bytes));
}

static void only_the_committed_part_is_accessible(void **state)
{
    const size_t page = gc_os_page_bytes();
    char *start = gc_os.reserve(3 * page, page);

    (void)state;
    assert_non_null(start);
    assert_true(gc_os.commit(start + page, page));
    assert_string_equal(permissions_at(start), "---p");
    assert_string_equal(permissions_at(start + page), "rw-p");
    assert_string_equal(permissions_at(start + 2 * page), "---p");
    assert_true(gc_os.release(start, 3 * page));
}

static void commit_again_keeps_the_contents(void **state)
{
    const size_t page = gc_os_page_bytes();
    unsigned char *start = reserve_and_commit(page);

    (void)state;
    memset(start, 7, page);
    assert_true(gc_os.commit(start, page));
    assert_true(is_all(start, page, 7));
    assert_true(gc_os.release(start, page));
}

static void decommitted_memory_reads_as_zero(void **state)
{
    const size_t bytes = 4 * MIB;
    unsigned char *start = reserve_and_commit(bytes);

    (void)state;
    memset(start, 0xff, bytes);
    assert_true(gc_os.decommit(start + MIB, MIB));
    assert_true(is_all(start, MIB, 0xff));
    assert_true(is_all(start + MIB, MIB, 0));
    assert_true(is_all(start + 2 * MIB, 2 * MIB, 0xff));
    assert_true(gc_os.release(start, bytes));
}

static void decommitted_memory_can_be_touched_without_commit(void **state)
{
    const size_t page = gc_os_page_bytes();
    unsigned char *start = reserve_and_commit(page);

    (void)state;
    assert_true(gc_os.decommit(start, page));
    memset(start, 9, page);
    assert_true(is_all(start, page, 9));
    assert_true(gc_os.release(start, page));
}

static void protected_memory_is_inaccessible_and_keeps_its_contents(void **state)
{
    const size_t page = gc_os_page_bytes();
    unsigned char *start = reserve_and_commit(2 * page);

    (void)state;
    memset(start, 3, 2 * page);
    assert_true(gc_os.protect(start, page, false));
    assert_string_equal(permissions_at(start), "---p");
    assert_string_equal(permissions_at(start + page), "rw-p");
    assert_true(gc_os.protect(start, page, true));
    assert_string_equal(permissions_at(start), "rw-p");
    assert_true(is_all(start, 2 * page, 3));
    assert_true(gc_os.release(start, 2 * page));
}

static void advice_on_huge_pages_leaves_the_contents(void **state)
{
    const size_t bytes = 4 * MIB;
    unsigned char *start = gc_os.reserve(bytes, 2 * MIB);

    (void)state;
    assert_non_null(start);
    assert_true(gc_os.commit(start, bytes));
    (void)gc_os.advise_huge(start, bytes, true); /* the kernel may know no such pages */
    memset(start, 5, bytes);
    (void)gc_os.advise_huge(start, bytes, false);
    assert_true(is_all(start, bytes, 5));
    assert_true(gc_os.release(start, bytes));
}

static void allocated_metadata_is_zeroed(void **state)
{
    unsigned char *memory = gc_os.allocate(1000);

    (void)state;
    assert_non_null(memory);
    assert_true(is_all(memory, 1000, 0));
    gc_os.free(memory);
}

static void resized_metadata_keeps_its_contents(void **state)
{
    unsigned char *memory = gc_os.resize(NULL, 100);

    (void)state;
    assert_non_null(memory);
    memset(memory, 8, 100);
    memory = gc_os.resize(memory, 100000);
    assert_non_null(memory);
    assert_true(is_all(memory, 100, 8));
    gc_os.free(memory);
}

static void metadata_of_no_bytes_is_not_a_failure(void **state)
{
    void *memory = gc_os.allocate(0);

    (void)state;
    assert_non_null(memory);
    memory = gc_os.resize(memory, 0);
    assert_non_null(memory);
    gc_os.free(memory);
    gc_os.free(NULL);
}

/* Threads that are bound to one core must not look at words that another of
 * them is to change. */
static void cores_are_those_that_may_be_used(void **state)
{
    cpu_set_t allowed, one;
    size_t core = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    assert_int_equal(gc_os_cores(), CPU_COUNT(&allowed));
    while (!CPU_ISSET(core, &allowed))
        core++;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(gc_os_cores(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_size_is_a_power_of_two),
        cmocka_unit_test(clock_never_goes_back),
        cmocka_unit_test(clock_counts_nanoseconds),
        cmocka_unit_test(reservation_is_aligned_as_asked),
        cmocka_unit_test(reservation_is_inaccessible_from_first_to_last_page),
        cmocka_unit_test(released_reservation_is_unmapped),
        cmocka_unit_test(parts_cut_off_for_alignment_are_given_back),
        cmocka_unit_test(reservation_of_absurd_size_is_refused),
        cmocka_unit_test(reservation_of_nothing_is_refused),
        cmocka_unit_test(call_on_unmapped_memory_says_so),
        cmocka_unit_test(committed_memory_reads_as_zero_and_can_be_written),
        cmocka_unit_test(only_the_committed_part_is_accessible),
        cmocka_unit_test(commit_again_keeps_the_contents),
        cmocka_unit_test(decommitted_memory_reads_as_zero),
        cmocka_unit_test(decommitted_memory_can_be_touched_without_commit),
        cmocka_unit_test(protected_memory_is_inaccessible_and_keeps_its_contents),
        cmocka_unit_test(advice_on_huge_pages_leaves_the_contents),
        cmocka_unit_test(allocated_metadata_is_zeroed),
        cmocka_unit_test(resized_metadata_keeps_its_contents),
        cmocka_unit_test(metadata_of_no_bytes_is_not_a_failure),
        cmocka_unit_test(cores_are_those_that_may_be_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
