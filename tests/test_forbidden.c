/* SPDX-License-Identifier: MIT
 *
 * Planted bugs: what a program does to a heap's memory that it may not is
 * reported by AddressSanitizer, and by memcheck in a build for it, as if it had
 * been malloc's; and what stands next to it is not.
 */
#define _DEFAULT_SOURCE

#include "base/annotate.h"
#include "heap/heap.h"
#include "support/child.h"
#include "support/doomed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGE = 100000, REPORTED = 99 };

/* ---- Whether a tool objects --------------------------------------------- */

static unsigned errors_so_far(void)
{
#if GC_FORBIDS && !GC_UNDER_ASAN
    return (unsigned)VALGRIND_COUNT_ERRORS;
#else
    return 0;
#endif
}

static bool is_watched(void)
{
    return GC_UNDER_ASAN || (GC_FORBIDS && GC_UNDER_MEMCHECK());
}

struct access {
    void (*act)(void);
};

static void access_in_child(void *data)
{
    const struct access *access = data;
    unsigned before = errors_so_far();

    end_by_faults();
    access->act();
    if (errors_so_far() != before)
        _exit(REPORTED);
}

/* Runs `act` in a child; puts what it prints into `text`. */
static bool is_reported(void (*act)(void), char *text, size_t size)
{
    struct access access = {act};
    int status = run_in_child(access_in_child, &access, text, size);

    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) != 0;
}

/* `access`: as AddressSanitizer names it. memcheck counts its errors only. */
static void expect_report(void (*act)(void), const char *access)
{
    char text[2000];

    if (!is_watched())
        skip();
    assert_true(is_reported(act, text, sizeof text));
    if (!GC_UNDER_ASAN)
        return;
    assert_non_null(strstr(text, "AddressSanitizer: use-after-poison"));
    assert_non_null(strstr(text, access));
}

static void expect_silence(void (*act)(void))
{
    char text[2000];

    if (!is_watched())
        skip();
    if (is_reported(act, text, sizeof text))
        fail_msg("%s", text);
}

/* ---- Accesses that no compiler sees through ----------------------------- */

static volatile uint64_t sink;

static NOINLINE void read_byte(const void *start, size_t offset)
{
    sink = ((const volatile unsigned char *)start)[offset];
}

static NOINLINE void write_byte(void *start, size_t offset)
{
    ((volatile unsigned char *)start)[offset] = 1;
}

static NOINLINE void read_word(const void *start)
{
    sink = *(const volatile uint64_t *)start;
}

static void touch_all(void *start, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        read_byte(start, i);
        write_byte(start, i);
    }
}

/* A world to plant in: exact stacks; root[0] is a node, among others. */
static void plant(void)
{
    make_doomed_unchecked();
    doomed->root[1] = make_node(doomed->mutator, 2);
    doomed_node = doomed->root[1];
    doomed->root[2] = make_node(doomed->mutator, 3);
}

static void collect_times(unsigned generation, unsigned times)
{
    while (times-- > 0)
        gc_collect(doomed->mutator, generation, NULL);
}

/* ---- Past the end ------------------------------------------------------- */

static void read_past_a_node(void)
{
    plant();
    read_word(doomed_node + 1);
}

static void write_past_a_node(void)
{
    plant();
    write_byte(doomed_node, sizeof *doomed_node);
}

static void read_past_a_moved_node(void)
{
    plant();
    collect_times(GC_YOUNG, 1);
    assert_ptr_not_equal(doomed_node, doomed->root[1]);
    read_word((struct node *)doomed->root[1] + 1);
}

static void *make_bytes(size_t length)
{
    doomed->root[3] = make_array(doomed->mutator, &gc_type_bytes, length);
    doomed->root[4] = make_array(doomed->mutator, &gc_type_bytes, length);
    return doomed->root[3];
}

/* Within its last word, which it does not fill. */
static void read_past_thirteen_bytes(void)
{
    plant();
    read_byte(make_bytes(13), 13);
}

static void read_past_thirteen_moved_bytes(void)
{
    plant();
    (void)make_bytes(13);
    collect_times(GC_MIDDLE, 2);
    read_byte(doomed->root[3], 13);
}

static void write_past_a_large_object(void)
{
    plant();
    write_byte(make_bytes(LARGE), LARGE);
}

/* Its last block is full; another large object follows. */
static void read_past_a_large_object_that_fills_its_blocks(void)
{
    size_t length = 4 * GC_BLOCK_BYTES - 2 * GC_HEADER_BYTES;

    plant();
    read_byte(make_bytes(length), length);
}

static void read_aligned_past_the_end(void)
{
    static const gc_type aligned = {.name = "aligned",
                                    .size = 24,
                                    .object_bytes = GC_OUT_OF_LINE,
                                    .kind = GC_KIND_LEAF,
                                    .alignment = 64};

    plant();
    doomed->root[3] = make_object(doomed->mutator, &aligned);
    doomed->root[4] = make_object(doomed->mutator, &aligned);
    collect_times(GC_YOUNG, 1);
    read_byte(doomed->root[3], 24);
}

static void read_past_a_born_pinned_object(void)
{
    plant();
    doomed->root[3] = make_array(doomed->mutator, &gc_type_words, 3);
    doomed->root[4] = make_array(doomed->mutator, &gc_type_words, 3);
    read_word((void **)doomed->root[3] + 3);
}

static void an_access_past_the_end_is_reported(void **state)
{
    (void)state;
    expect_report(read_past_a_node, "READ of size 8");
    expect_report(write_past_a_node, "WRITE of size 1");
    expect_report(read_past_a_moved_node, "READ of size 8");
    expect_report(read_past_thirteen_bytes, "READ of size 1");
    expect_report(read_past_thirteen_moved_bytes, "READ of size 1");
    expect_report(write_past_a_large_object, "WRITE of size 1");
    expect_report(read_past_a_large_object_that_fills_its_blocks, "READ of size 1");
    expect_report(read_aligned_past_the_end, "READ of size 1");
    expect_report(read_past_a_born_pinned_object, "READ of size 8");
}

/* Room that was handed out, and holds no object yet. */
static void write_what_was_not_allocated(void)
{
    plant();
    write_byte((char *)doomed->root[2] + 2000, 0);
}

static void an_access_to_free_room_is_reported(void **state)
{
    (void)state;
    expect_report(write_what_was_not_allocated, "WRITE of size 1");
}

/* ---- After death -------------------------------------------------------- */

static void read_a_dead_node(void)
{
    uintptr_t hidden;

    plant();
    hidden = hidden_node(doomed->mutator, 4);
    collect_times(GC_YOUNG, 1);
    read_word(reveal(hidden));
}

/* It stands between two that stay where they are. */
static void read_a_dead_node_among_pinned_ones(void)
{
    uintptr_t hidden;

    plant();
    hidden = hide(doomed_node);
    assert_int_equal(gc_pin(doomed->mutator, doomed->root[0]), GC_OK);
    assert_int_equal(gc_pin(doomed->mutator, doomed->root[2]), GC_OK);
    doomed->root[1] = NULL;
    collect_times(GC_YOUNG, 1);
    read_word(reveal(hidden));
}

/* ... and is marked no more in a generation that is marked in place. */
static void read_a_dead_old_node(void)
{
    uintptr_t hidden;

    plant();
    collect_times(GC_MIDDLE, 3);
    assert_int_equal(gc_generation_of(doomed->mutator, doomed->root[1]), GC_OLD);
    assert_int_equal(gc_pin(doomed->mutator, doomed->root[0]), GC_OK);
    hidden = hide(doomed->root[1]);
    doomed->root[1] = NULL;
    collect_times(GC_OLD, 1);
    read_word(reveal(hidden));
}

static void write_a_dead_large_object(void)
{
    uintptr_t hidden;

    plant();
    hidden = hide(make_bytes(LARGE));
    doomed->root[3] = NULL;
    collect_times(GC_YOUNG, 1);
    write_byte(reveal(hidden), LARGE / 2);
}

static void an_access_after_death_is_reported(void **state)
{
    (void)state;
    expect_report(read_a_dead_node, "READ of size 8");
    expect_report(read_a_dead_node_among_pinned_ones, "READ of size 8");
    expect_report(read_a_dead_old_node, "READ of size 8");
    expect_report(write_a_dead_large_object, "WRITE of size 1");
}

/* ---- After a move ------------------------------------------------------- */

static void read_the_old_copy(void)
{
    plant();
    collect_times(GC_YOUNG, 1);
    assert_ptr_not_equal(doomed_node, doomed->root[1]);
    read_word(doomed_node);
}

static void write_the_old_copy_in_a_block_that_stays(void)
{
    plant();
    assert_int_equal(gc_pin(doomed->mutator, doomed->root[0]), GC_OK);
    collect_times(GC_YOUNG, 1);
    assert_ptr_not_equal(doomed_node, doomed->root[1]);
    gc_write(doomed->mutator, doomed->root[1], &doomed_node->left, NULL);
}

static void an_access_to_the_old_copy_is_reported(void **state)
{
    (void)state;
    expect_report(read_the_old_copy, "READ of size 8");
    expect_report(write_the_old_copy_in_a_block_that_stays, "WRITE of size 8");
}

/* ---- What is no bug ----------------------------------------------------- */

/* Arrays of these lengths, each in its slot of one large array. */
enum { LENGTHS = 300 };

static void **arrays(void)
{
    return doomed->root[5];
}

static void make_arrays(void)
{
    doomed->root[5] = make_array(doomed->mutator, &gc_type_references, LENGTHS);
    for (size_t length = 0; length < LENGTHS; length++) {
        void *array = make_array(doomed->mutator, &gc_type_bytes, length);

        gc_write(doomed->mutator, arrays(), &arrays()[length], array);
    }
}

static void touch_arrays(void)
{
    for (size_t length = 0; length < LENGTHS; length++)
        touch_all(arrays()[length], length);
}

static void touch_what_lives(void)
{
    plant();
    touch_all(make_bytes(LARGE), LARGE);
    make_arrays();
    touch_arrays();
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(gc_pin_once(doomed->mutator, arrays()[i]), GC_OK);
        make_garbage(doomed->mutator, 50000);
        collect_times(i % GC_GENERATIONS, 1);
        touch_arrays();
    }
    gc_compact(doomed->mutator, NULL);
    touch_arrays();
    touch_all(doomed->root[3], LARGE);
}

/* What dies leaves room, which is handed out again. */
static void touch_reused_memory(void)
{
    plant();
    for (unsigned i = 0; i < 8; i++) {
        make_arrays();
        touch_all(make_bytes(LARGE + i), LARGE + i);
        touch_arrays();
        collect_times(i % GC_GENERATIONS, 1);
        touch_arrays();
    }
}

static void map_where_a_heap_was(void)
{
    void *range, *again;

    plant();
    range = doomed->heap->collector.range;
    world_free(doomed);
    again = mmap(range, GC_CHUNK_BYTES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(again, range);
    touch_all(again, GC_BLOCK_BYTES);
}

static void the_living_may_be_touched_to_the_last_byte(void **state)
{
    (void)state;
    expect_silence(touch_what_lives);
    expect_silence(touch_reused_memory);
}

static void nothing_is_left_behind_a_heap(void **state)
{
    (void)state;
    expect_silence(map_where_a_heap_was);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_access_past_the_end_is_reported),
        cmocka_unit_test(an_access_to_free_room_is_reported),
        cmocka_unit_test(an_access_after_death_is_reported),
        cmocka_unit_test(an_access_to_the_old_copy_is_reported),
        cmocka_unit_test(the_living_may_be_touched_to_the_last_byte),
        cmocka_unit_test(nothing_is_left_behind_a_heap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
