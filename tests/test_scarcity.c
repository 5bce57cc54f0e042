/* SPDX-License-Identifier: MIT
 *
 * What the system has too little of: address space, swept by setrlimit;
 * mappings; memory at two moments of one run. Nothing aborts, nothing leaks, the
 * heap verifies, and work is resumed when there is enough again.
 *
 * STRATA_PAIRS=n samples n pairs of faults in each trace.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "support/child.h"
#include "support/fault.h"
#include "support/shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- A heap in need ----------------------------------------------------- */

/* How far a program came before it was refused something. */
enum outcome { NO_HEAP, REFUSED, HAD_ALL, OUTCOMES };

static gc_options needy_options(const char *settings)
{
    gc_options options = plain_options(128 * KIB);

    options.hard_limit = 16 * MIB;
    options.settings = settings;
    return options;
}

/* Allocates, links and collects, whatever is refused: nodes in a list, whose
 * values fall, and large arrays. */
static bool work(struct world *world)
{
    bool refused = false;

    for (int i = 0; i < WORLD_ROOTS; i++)
        world->root[i] = NULL;
    for (uint64_t i = 0; i < 40000; i++) {
        struct node *node = gc_alloc(world->mutator, &node_type);

        if (node != NULL && i % 8 == 0) {
            node->value = i;
            node->right = world->root[0];
            world->root[0] = node;
        }
        if (i % 1000 == 0) {
            void *large = gc_alloc_array(world->mutator, &gc_type_bytes, MIB);

            refused |= large == NULL;
            world->root[1 + i / 1000 % 7] = large;
        }
        refused |= node == NULL;
    }
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_compact(world->mutator, NULL);
    (void)gc_trim(world->mutator);
    return refused;
}

static void check(struct world *world)
{
    uint64_t last = UINT64_MAX;

    for (const struct node *node = world->root[0]; node != NULL; node = node->right) {
        assert_true(node->value < last);
        last = node->value;
    }
    assert_int_equal(gc_verify(world->mutator), 0);
}

/* With enough again, all is had. */
static void resume(struct world *world)
{
    assert_false(work(world));
    check(world);
    assert_int_equal(list_length(world->root[0]), 5000);
}

/* ---- Children ----------------------------------------------------------- */

struct trial {
    enum outcome (*act)(size_t amount);
    size_t amount;
};

static void try_it(void *data)
{
    const struct trial *trial = data;

    end_by_faults();
    _exit((int)trial->act(trial->amount));
}

/* Runs `act` in a child that must end well; what it returned. */
static enum outcome in_child(enum outcome (*act)(size_t amount), size_t amount)
{
    struct trial trial = {act, amount};
    char said[1024];
    int status = run_in_child(try_it, &trial, said, sizeof said);

    if (!WIFEXITED(status) || WEXITSTATUS(status) >= OUTCOMES)
        fail_msg("with %zu bytes, or mappings: status %#x\n%s", amount, (unsigned)status, said);
    return (enum outcome)WEXITSTATUS(status);
}

/* ---- Address space ------------------------------------------------------ */

static size_t used_addresses(void)
{
    return count_mappings().bytes;
}

static void limit_addresses(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

static enum outcome live_with_addresses(size_t more)
{
    gc_options options = needy_options(NULL);
    struct world world = {.heap = NULL};
    bool refused;

    limit_addresses(used_addresses() + more);
    if (gc_heap_create(&options, &world.heap) != GC_OK)
        return NO_HEAP;
    if (gc_mutator_attach(world.heap, &world.mutator) != GC_OK ||
        gc_root_range_add(world.heap, world.root, WORLD_ROOTS, GC_EXACT) != GC_OK)
        return REFUSED;
    refused = work(&world);
    check(&world);
    limit_addresses(RLIM_INFINITY);
    if (!refused)
        resume(&world);
    gc_mutator_detach(world.mutator);
    gc_heap_destroy(world.heap);
    return refused ? REFUSED : HAD_ALL;
}

/* A heap takes what range it is given: a small one holds less. */
static void any_limit_of_addresses_is_lived_with(void **state)
{
    size_t seen[OUTCOMES] = {0};

    (void)state;
    if (is_slowed())
        skip();
    for (size_t more = 0; more < 80 * MIB; more += MIB / 2 + more / 64)
        seen[in_child(live_with_addresses, more)]++;
    print_message("no heap %zu, refused %zu, all %zu\n", seen[NO_HEAP], seen[REFUSED],
                  seen[HAD_ALL]);
    assert_true(seen[NO_HEAP] > 0);
    assert_true(seen[REFUSED] > 0);
    assert_true(seen[HAD_ALL] > 0);
}

/* ---- Mappings ----------------------------------------------------------- */

/* Takes mappings, two a piece, until there is none left but `spare`; where
 * they are, or NULL if the limit is too high to come to. */
static char *exhaust_mappings(size_t spare, size_t *bytes)
{
    enum { PAGE = 4096, MOST = 1 << 20 };
    char *start;
    size_t at = 0;

    *bytes = (size_t)MOST * PAGE;
    start = mmap(NULL, *bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(start != MAP_FAILED);
    while (at < *bytes && mprotect(start + at, PAGE, PROT_READ) == 0)
        at += (size_t)2 * PAGE;
    if (at >= *bytes)
        return NULL;
    for (; spare > 0; spare--) {
        at -= (size_t)2 * PAGE;
        assert_int_equal(mprotect(start + at, PAGE, PROT_NONE), 0);
    }
    return start;
}

static enum outcome live_without_mappings(size_t spare, const char *settings)
{
    gc_options options = needy_options(settings);
    struct world *world = world_make(&options);
    gc_heap *other = NULL;
    size_t bytes;
    char *taken;
    bool refused;
    gc_status status;

    (void)work(world);
    taken = exhaust_mappings(spare, &bytes);
    if (taken == NULL)
        return HAD_ALL;
    status = gc_heap_create(&options, &other);
    if (status == GC_OK)
        gc_heap_destroy(other);
    refused = work(world);
    check(world);
    assert_int_equal(munmap(taken, bytes), 0);
    resume(world);
    world_end(world);
    return status != GC_OK ? NO_HEAP : refused ? REFUSED : HAD_ALL;
}

static enum outcome live_plainly(size_t spare)
{
    return live_without_mappings(spare, NULL);
}

static enum outcome live_moving(size_t spare)
{
    return live_without_mappings(spare, "stress=evacuate-all");
}

static void a_heap_lives_without_another_mapping(void **state)
{
    size_t seen[OUTCOMES] = {0};

    (void)state;
    if (is_slowed())
        skip();
    for (size_t spare = 0; spare < 24; spare += 3) {
        seen[in_child(live_plainly, spare)]++;
        seen[in_child(live_moving, spare)]++;
    }
    print_message("no heap %zu, refused %zu, all %zu\n", seen[NO_HEAP], seen[REFUSED],
                  seen[HAD_ALL]);
    assert_true(seen[NO_HEAP] + seen[REFUSED] > 0);
}

/* ---- Two faults --------------------------------------------------------- */

enum { STEPS = 200, TRACES = 12 };

/* A trace with two calls failing; how many calls there were without. */
static unsigned run_trace(uint64_t seed, unsigned first, unsigned gap, unsigned *failed)
{
    static const struct shadow_config config = {.name = "pairs of faults",
                                                .stacks = GC_STACKS_EXACT,
                                                .barriers = GC_BARRIERS_ALL,
                                                .nursery = 64 * KIB,
                                                .hard_limit = 16 * MIB,
                                                .tags = 1,
                                                .traits = SHADOW_BRIEF | SHADOW_MAY_FAIL};
    struct shadow_choices choices = {.state = seed * 2 + 1};
    unsigned before;

    fault_install();
    assert_true(shadow_start(&config, &choices));
    before = fault_calls();
    fault_arm_twice(first, gap, FAULT_ALL);
    for (int i = 0; i < STEPS; i++)
        shadow_step();
    before = fault_calls() - before;
    *failed = fault_failed();
    fault_disarm();
    (void)shadow_finish();
    assert_true(fault_is_clean());
    fault_remove();
    return before;
}

static void two_faults_in_a_trace_are_survived(void **state)
{
    const char *wanted = getenv("STRATA_PAIRS");
    uint64_t pairs = wanted != NULL ? strtoull(wanted, NULL, 10) : scaled(60);
    uint64_t chance = 1;
    uint64_t met = 0;
    unsigned failed;

    (void)state;
    for (uint64_t seed = 1; seed <= TRACES; seed++) {
        unsigned calls = run_trace(seed, UINT_MAX, 0, &failed);

        assert_true(calls > 0 && failed == 0);
        for (uint64_t pair = 0; pair < pairs; pair++) {
            unsigned first = (unsigned)(next_random(&chance) % calls);

            (void)run_trace(seed, first, (unsigned)(next_random(&chance) % 20), &failed);
            met += failed == 2;
        }
    }
    print_message("%llu pairs met\n", (unsigned long long)met);
    assert_true(met > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_limit_of_addresses_is_lived_with),
        cmocka_unit_test(a_heap_lives_without_another_mapping),
        cmocka_unit_test(two_faults_in_a_trace_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
