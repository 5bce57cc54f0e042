/* SPDX-License-Identifier: MIT
 *
 * The limits of containers, and the machine's.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

#define GIB ((size_t)1 << 30)

#define V1_UNLIMITED "9223372036854771712\n"

static int make_root(void **state)
{
    const char *parent = getenv("TMPDIR");
    char *root = calloc(1, 256);

    snprintf(root, 256, "%s/strata-os-XXXXXX", parent != NULL ? parent : "/tmp");
    *state = root;
    return mkdtemp(root) == NULL;
}

static int remove_one(const char *name, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(name);
}

static int remove_root(void **state)
{
    int failed = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);

    free(*state);
    return failed;
}

/* Writes root/sys/fs/cgroup/`name`, and makes the directories that it needs. */
static void put(const char *root, const char *name, const char *text)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/sys/fs/cgroup/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void v2_limit_of_own_group_is_found(void **state)
{
    put(*state, "a/memory.max", "1000000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/a\n"), 1000000);
}

static void v2_limit_of_each_ancestor_counts(void **state)
{
    static const char *const tightest[] = {"memory.max", "a/memory.max", "a/b/memory.max",
                                           "a/b/c/memory.max"};

    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            put(*state, tightest[j], i == j ? "70000\n" : "80000\n");
        }
        assert_int_equal(gc_os_container_limit(*state, "0::/a/b/c\n"), 70000);
    }
}

static void v2_limit_of_a_sibling_does_not_count(void **state)
{
    put(*state, "a/memory.max", "80000\n");
    put(*state, "b/memory.max", "70000\n");
    put(*state, "a/c/memory.max", "60000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/a\n"), 80000);
}

static void v2_throttling_limit_counts_too(void **state)
{
    put(*state, "a/memory.max", "80000\n");
    put(*state, "a/memory.high", "70000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/a\n"), 70000);
}

static void v2_max_is_no_limit(void **state)
{
    put(*state, "a/memory.max", "max\n");
    put(*state, "a/memory.high", "max\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/a\n"), SIZE_MAX);
    put(*state, "memory.max", "70000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/a\n"), 70000);
}

static void v2_group_at_the_mount_point_is_found(void **state)
{
    put(*state, "memory.max", "70000");
    assert_int_equal(gc_os_container_limit(*state, "0::/\n"), 70000);
    assert_int_equal(gc_os_container_limit(*state, "0::/"), 70000);
}

/* A container without a cgroup namespace: the host's path, the container's mount. */
static void host_path_falls_back_to_the_mount_point(void **state)
{
    put(*state, "memory.max", "70000\n");
    put(*state, "memory/memory.limit_in_bytes", "60000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/docker/1234\n"), 70000);
    assert_int_equal(gc_os_container_limit(*state, "4:memory:/docker/1234\n"), 60000);
}

static void tail_of_host_path_that_exists_is_used(void **state)
{
    put(*state, "memory.max", "90000\n");
    put(*state, "service/memory.max", "80000\n");
    put(*state, "service/worker/memory.max", "70000\n");
    put(*state, "worker/memory.max", "60000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/host/1234/service/worker\n"), 70000);
}

static void path_outside_of_the_namespace_is_not_followed(void **state)
{
    put(*state, "memory.max", "90000\n");
    put(*state, "../memory.max", "60000\n");
    put(*state, "../other/memory.max", "70000\n");
    put(*state, "other/memory.max", "80000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/../other\n"), 90000);
    assert_int_equal(gc_os_container_limit(*state, "0::/..\n"), 90000);
}

static void group_whose_name_begins_with_dots_is_followed(void **state)
{
    put(*state, "..a/memory.max", "70000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/..a\n"), 70000);
}

static void v1_limit_of_each_ancestor_counts(void **state)
{
    const char *groups = "5:cpu,cpuacct:/x\n4:memory:/a/b\n1:name=systemd:/y\n";

    put(*state, "memory/memory.limit_in_bytes", V1_UNLIMITED);
    put(*state, "memory/a/memory.limit_in_bytes", "70000\n");
    put(*state, "memory/a/b/memory.limit_in_bytes", "80000\n");
    assert_int_equal(gc_os_container_limit(*state, groups), 70000);
    put(*state, "memory/a/b/memory.limit_in_bytes", "60000\n");
    assert_int_equal(gc_os_container_limit(*state, groups), 60000);
}

static void v1_huge_value_is_no_limit(void **state)
{
    static const char *const huge[] = {V1_UNLIMITED, "9223372036854710272\n",
                                       "9223372036854775807\n", "18446744073709551615\n",
                                       "184467440737095516150\n"};

    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        put(*state, "memory/a/memory.limit_in_bytes", huge[i]);
        assert_int_equal(gc_os_container_limit(*state, "4:memory:/a\n"), SIZE_MAX);
    }
}

static void v1_memory_is_found_among_joined_controllers(void **state)
{
    put(*state, "memory/a/memory.limit_in_bytes", "70000\n");
    assert_int_equal(gc_os_container_limit(*state, "4:cpu,memory:/a\n"), 70000);
    assert_int_equal(gc_os_container_limit(*state, "4:memory,cpu:/a\n"), 70000);
    assert_int_equal(gc_os_container_limit(*state, "4:memoryx,xmemory,mem:/a\n"), SIZE_MAX);
}

static void tightest_of_both_versions_counts(void **state)
{
    const char *groups = "4:memory:/a\n0::/b\n";

    put(*state, "memory/a/memory.limit_in_bytes", "70000\n");
    put(*state, "unified/b/memory.max", "80000\n");
    assert_int_equal(gc_os_container_limit(*state, groups), 70000);
    put(*state, "unified/b/memory.max", "60000\n");
    assert_int_equal(gc_os_container_limit(*state, groups), 60000);
}

static void garbage_in_a_limit_file_is_no_limit(void **state)
{
    static const char *const garbage[] = {"",
                                          "\n",
                                          "-1\n",
                                          "12 kB\n",
                                          "0x1000\n",
                                          "MAX\n",
                                          "+5\n",
                                          " 12\n",
                                          "12.5\n",
                                          "max",
                                          "12\r\n",
                                          "0\n",
                                          "999999999999999999999999\n"};

    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        put(*state, "a/memory.max", garbage[i]);
        assert_int_equal(gc_os_container_limit(*state, "0::/a\n"), SIZE_MAX);
    }
}

static void directory_in_place_of_a_limit_file_is_no_limit(void **state)
{
    put(*state, "a/memory.max/x", "70000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/a\n"), SIZE_MAX);
}

static void garbage_in_the_group_list_is_passed_over(void **state)
{
    put(*state, "memory.max", "80000\n");
    put(*state, "a/memory.max", "70000\n");
    assert_int_equal(gc_os_container_limit(*state, "\n\n:\n::\n0:\n0::\nx\n0::/a\n"), 70000);
    assert_int_equal(gc_os_container_limit(*state, ":"), SIZE_MAX);
    assert_int_equal(gc_os_container_limit(*state, "::"), SIZE_MAX);
    assert_int_equal(gc_os_container_limit(*state, "0::a\n"), SIZE_MAX);
    assert_int_equal(gc_os_container_limit(*state, ""), SIZE_MAX);
}

static void group_name_with_colons_is_followed(void **state)
{
    put(*state, "a:b:c/memory.max", "70000\n");
    assert_int_equal(gc_os_container_limit(*state, "0::/a:b:c\n"), 70000);
}

static void missing_files_are_no_limit(void **state)
{
    assert_int_equal(gc_os_container_limit(*state, "4:memory:/a\n0::/a/b\n"), SIZE_MAX);
    assert_int_equal(gc_os_container_limit("/nowhere", "4:memory:/a\n0::/a/b\n"), SIZE_MAX);
}

static void path_too_long_for_the_system_is_no_failure(void **state)
{
    char groups[3 * 4096];

    put(*state, "memory.max", "70000\n");
    for (size_t i = 0; i < sizeof groups - 1; i++) {
        groups[i] = i % 100 == 0 ? '/' : 'x';
    }
    memcpy(groups, "0::/", 4);
    groups[sizeof groups - 1] = '\0';
    assert_int_equal(gc_os_container_limit(*state, groups), 70000);
    memset(groups, 'r', sizeof groups - 1);
    assert_int_equal(gc_os_container_limit(groups, "0::/a\n"), SIZE_MAX);
}

static void memory_limit_is_at_most_the_machine(void **state)
{
    size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * gc_os_page_bytes();

    (void)state;
    assert_in_range(gc_os_memory_limit(), MIB, machine);
}

static void cache_size_is_plausible(void **state)
{
    (void)state;
    assert_in_range(gc_os_cache_bytes(), (size_t)256 << 10, GIB);
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(v2_limit_of_own_group_is_found),
        WITH_ROOT(v2_limit_of_each_ancestor_counts),
        WITH_ROOT(v2_limit_of_a_sibling_does_not_count),
        WITH_ROOT(v2_throttling_limit_counts_too),
        WITH_ROOT(v2_max_is_no_limit),
        WITH_ROOT(v2_group_at_the_mount_point_is_found),
        WITH_ROOT(host_path_falls_back_to_the_mount_point),
        WITH_ROOT(tail_of_host_path_that_exists_is_used),
        WITH_ROOT(path_outside_of_the_namespace_is_not_followed),
        WITH_ROOT(group_whose_name_begins_with_dots_is_followed),
        WITH_ROOT(v1_limit_of_each_ancestor_counts),
        WITH_ROOT(v1_huge_value_is_no_limit),
        WITH_ROOT(v1_memory_is_found_among_joined_controllers),
        WITH_ROOT(tightest_of_both_versions_counts),
        WITH_ROOT(garbage_in_a_limit_file_is_no_limit),
        WITH_ROOT(directory_in_place_of_a_limit_file_is_no_limit),
        WITH_ROOT(garbage_in_the_group_list_is_passed_over),
        WITH_ROOT(group_name_with_colons_is_followed),
        WITH_ROOT(missing_files_are_no_limit),
        WITH_ROOT(path_too_long_for_the_system_is_no_failure),
        cmocka_unit_test(memory_limit_is_at_most_the_machine),
        cmocka_unit_test(cache_size_is_plausible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
