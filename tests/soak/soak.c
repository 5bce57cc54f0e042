/* SPDX-License-Identifier: MIT
 *
 * soak SECONDS: a heap that works for as long as is asked, in rounds that each
 * make, change and drop a bit of everything. At the end of a round nothing is
 * left: the heap and the process must not hold more than they did after the
 * first rounds. Prints a line now and then, and "soak: ..." as the last one.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include <stdio.h>
#include <stdlib.h>

#include <strata/table.h>
#include <strata/weak.h>

#include "support/graph.h"

enum {
    WARM_ROUNDS = 8,  /* what a round may need is known after so many */
    SLOTS = 1000,     /* of the array that all hangs on */
    STEPS = 100000,   /* of a round */
    PINS = 100,       /* at a time, and handles */
    SLACK_KIB = 1024, /* the C library's own, and fragments of it */
};

/* What is held at the end of a round, in KiB. */
struct held {
    size_t resident;
    size_t committed;
    size_t mappings; /* not KiB: a count */
};

struct soak {
    struct world *world;
    uint64_t chance;
    uint64_t finalized, registered;
    void *pinned[PINS];
    gc_handle *handles[PINS];
};

static void note_finalized(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    ++((struct soak *)data)->finalized;
}

static void put(struct soak *soak, size_t slot, void *value)
{
    void **array = soak->world->root[0];

    gc_write(soak->world->mutator, array, &array[slot], value);
}

static void register_finalizer(struct soak *soak, void *object)
{
    const gc_finalizer finalizer = {sizeof finalizer, note_finalized, soak, GC_PRIORITY_NORMAL, 64};

    assert_int_equal(gc_finalizer_add(soak->world->mutator, object, &finalizer, NULL), GC_OK);
    soak->registered++;
}

static void pin_another(struct soak *soak, size_t i)
{
    struct node *node = make_node(soak->world->mutator, i);

    if (soak->pinned[i] != NULL)
        assert_int_equal(gc_unpin(soak->world->mutator, soak->pinned[i]), GC_OK);
    gc_handle_destroy(soak->world->mutator, soak->handles[i]);
    assert_int_equal(gc_pin(soak->world->mutator, node), GC_OK);
    soak->pinned[i] = node;
    soak->handles[i] = gc_handle_create(soak->world->mutator, node);
    assert_non_null(soak->handles[i]);
}

/* One step: something is made, and takes the place of something else. */
static void step(struct soak *soak)
{
    gc_mutator *mutator = soak->world->mutator;
    uint64_t chance = next_random(&soak->chance);
    size_t slot = chance % SLOTS, kind = chance >> 32 & 63;

    if (kind < 40) {
        struct node *node = make_node(mutator, slot);

        node->left = ((void **)soak->world->root[0])[(slot * 7 + 1) % SLOTS];
        put(soak, slot, kind < 20 ? node : NULL);
    } else if (kind < 52) {
        put(soak, slot, make_array(mutator, &gc_type_references, chance >> 40 & 511));
    } else if (kind == 52) {
        put(soak, slot, make_array(mutator, &gc_type_bytes, chance >> 40 & 0xffff));
    } else if (kind < 58) {
        register_finalizer(soak, make_node(mutator, slot));
    } else if (kind < 60) {
        pin_another(soak, slot % PINS);
    } else {
        struct node *key = soak->world->root[2] = make_node(mutator, slot);

        put(soak, slot, key);
        assert_int_equal(
            gc_table_put(mutator, soak->world->root[1], soak->world->root[2], soak->world->root[2]),
            GC_OK);
        assert_non_null(gc_weakref_create(mutator, soak->world->root[2], 0));
    }
}

static void drop_all(struct soak *soak)
{
    gc_mutator *mutator = soak->world->mutator;

    for (size_t i = 0; i < PINS; i++) {
        if (soak->pinned[i] != NULL)
            assert_int_equal(gc_unpin(mutator, soak->pinned[i]), GC_OK);
        gc_handle_destroy(mutator, soak->handles[i]);
        soak->pinned[i] = NULL;
        soak->handles[i] = NULL;
    }
    for (size_t i = 0; i < WORLD_ROOTS; i++)
        soak->world->root[i] = NULL;
    for (int i = 0; i < 3; i++) {
        gc_compact(mutator, NULL);
        gc_finalizers_run(mutator, 0);
    }
    assert_int_equal(soak->finalized, soak->registered);
    assert_int_equal(recount(mutator).all_objects, 0);
    assert_int_equal(gc_verify(mutator), 0);
    gc_trim(mutator);
}

static struct held run_round(struct soak *soak)
{
    gc_mutator *mutator = soak->world->mutator;

    soak->world->root[0] = make_array(mutator, &gc_type_references, SLOTS);
    soak->world->root[1] = gc_table_create(mutator, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL);
    assert_non_null(soak->world->root[1]);
    for (int i = 0; i < STEPS; i++) {
        step(soak);
        if (i % 1000 == 0)
            gc_finalizers_run(mutator, 0);
    }
    drop_all(soak);
    return (struct held){resident_bytes() / KIB, stats_of(soak->world->heap).committed_bytes / KIB,
                         count_mappings().count};
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* A heap's numbers vary within what the first rounds showed; they do not climb. */
static void soak_for(uint64_t seconds)
{
    struct soak soak = {.world = make_plain(0), .chance = 2026};
    uint64_t begun = now_ns(), said = begun, rounds = 0;
    struct held warm = {0, 0, 0}, most = {0, 0, 0};

    while (rounds < 2 * WARM_ROUNDS || now_ns() - begun < seconds * 1000000000) {
        struct held held = run_round(&soak);
        struct held *top = rounds++ < WARM_ROUNDS ? &warm : &most;

        top->resident = larger(top->resident, held.resident);
        top->committed = larger(top->committed, held.committed);
        top->mappings = larger(top->mappings, held.mappings);
        if (now_ns() - said > 10000000000) {
            said = now_ns();
            printf("%llu s, %llu rounds: %zu KiB resident, %zu committed, %zu mappings\n",
                   (unsigned long long)((said - begun) / 1000000000), (unsigned long long)rounds,
                   held.resident, held.committed, held.mappings);
            (void)fflush(stdout);
        }
    }
    printf("soak: %llu rounds, %llu collections; most after %d rounds and after all: "
           "%zu and %zu KiB resident, %zu and %zu committed, %zu and %zu mappings\n",
           (unsigned long long)rounds, (unsigned long long)collections_of(soak.world->heap),
           WARM_ROUNDS, warm.resident, most.resident, warm.committed, most.committed, warm.mappings,
           most.mappings);
    assert_true(most.resident <= warm.resident + SLACK_KIB);
    assert_true(most.committed <= warm.committed + SLACK_KIB / 4);
    assert_true(most.mappings <= warm.mappings + 4);
    world_end(soak.world);
}

static uint64_t asked;

static void memory_does_not_grow(void **state)
{
    (void)state;
    soak_for(asked);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_does_not_grow)};

    asked = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
