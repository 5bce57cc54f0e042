/* SPDX-License-Identifier: MIT
 *
 * The system's table, the stack's bounds, the container's limits; and the
 * helper that stands over the table in the other tests.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fault.h"

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

static bool is_all(const unsigned char *bytes, size_t count, unsigned char value)
{
    size_t equal = 0;

    while (equal < count && bytes[equal] == value) {
        equal++;
    }
    return equal == count;
}

static unsigned char *reserve_and_commit(size_t bytes)
{
    unsigned char *start = gc_os.reserve(bytes, gc_os_page_bytes());

    assert_non_null(start);
    assert_true(gc_os.commit(start, bytes));
    return start;
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

/* What follows is about the stack. */

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

/* What follows is about the container. */

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
    static const char *const garbage[] = {"",     "\n",    "-1\n",   "12 kB\n", "0x1000\n", "MAX\n",
                                          "+5\n", " 12\n", "12.5\n", "max",     "12\r\n",   "0\n"};

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

/* What follows is about the helper that makes calls fail. */

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

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
#define WITH_FAULTS(test) cmocka_unit_test_setup_teardown(test, install_faults, remove_faults)

static int run_memory(void)
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
    };

    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}

static int run_stack(void)
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

    return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}

static int run_container(void)
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

    return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}

static int run_fault(void)
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

    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}

int main(void)
{
    int failed = run_stack(); /* first: it wants the stack unasked for */

    failed += run_memory();
    failed += run_container();
    return failed + run_fault();
}
