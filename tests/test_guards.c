/* SPDX-License-Identifier: MIT
 *
 * Guard pages: what runs past a lane or a table faults, and harms nobody.
 */
#include "heap/heap.h"
#include "os/os.h"
#include "support/heap.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void write_in_child(uintptr_t address)
{
    struct rlimit no_core = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    *(volatile uint8_t *)address = 1;
    _exit(0);
}

static bool may_be_written(uintptr_t address)
{
    pid_t child;
    int status = 0;

    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        write_in_child(address);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void assert_guarded(uintptr_t first, uintptr_t end)
{
    assert_true(may_be_written(first));
    assert_true(may_be_written(end - 1));
    assert_false(may_be_written(first - 1));
    assert_false(may_be_written(end));
}

static void a_full_lane_is_guarded(void **state)
{
    size_t words = 4 * gc_os_page_bytes() / sizeof(uintptr_t);
    struct gc_lane before, lane, behind;

    (void)state;
    /* Neighbours, as the system gives adjacent addresses. */
    assert_true(gc_lane_create(&behind, words, words));
    assert_true(gc_lane_create(&lane, words, words));
    assert_true(gc_lane_create(&before, words, words));
    assert_guarded((uintptr_t)lane.words, (uintptr_t)(lane.words + words));
    gc_lane_destroy(&before);
    gc_lane_destroy(&lane);
    gc_lane_destroy(&behind);
}

static void each_stack_and_set_of_a_heap_is_guarded(void **state)
{
    struct world *world = *state;
    const struct gc_collector *collector = &world->heap->collector;
    const struct gc_lane *lanes[] = {
        &collector->tracer.stack,           &collector->remembered.log,
        &collector->remembered.log_before,  &collector->remembered.old,
        &collector->remembered.old_before,  &collector->tracer.ephemerons.pending,
        &collector->tracer.ephemerons.pairs};

    for (size_t i = 0; i < GC_COUNT(lanes); i++) {
        assert_false(may_be_written((uintptr_t)lanes[i]->words - 1));
        assert_false(may_be_written((uintptr_t)(lanes[i]->words + lanes[i]->capacity)));
    }
}

static void each_table_of_a_heap_is_guarded(void **state)
{
    struct world *world = *state;
    const struct gc_tables *tables = &world->heap->collector.tables;
    const void *parts[] = {tables->starts, tables->marks, tables->lines,
                           tables->blocks, tables->state, tables->live};

    (void)make_node(world->mutator, 1); /* the first chunk's tables are there */
    for (size_t i = 0; i < GC_COUNT(parts); i++) {
        assert_true(may_be_written((uintptr_t)parts[i]));
        assert_false(may_be_written((uintptr_t)parts[i] - 1));
    }
    assert_false(may_be_written((uintptr_t)tables->reservation + tables->reservation_bytes - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_lane_is_guarded),
        cmocka_unit_test_setup_teardown(each_stack_and_set_of_a_heap_is_guarded, exact_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(each_table_of_a_heap_is_guarded, exact_setup,
                                        world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
