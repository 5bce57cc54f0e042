/* SPDX-License-Identifier: MIT
 *
 * What freezing is for: collections write nothing of what is frozen, so that
 * after a fork its pages stay shared.
 */
#define _POSIX_C_SOURCE 200809L

#include "support/graph.h"

#include "base/annotate.h"
#include "heap/heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <strata/fork.h>
#include <strata/weak.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Bytes -------------------------------------------------------------- */

/* One piece of memory, and what was in it. */
struct piece {
    const void *at;
    size_t bytes;
    void *copy;
};

enum { PIECES = 7 }; /* of a block */

struct snapshot {
    struct piece *pieces;
    size_t count;
};

static void add_piece(struct snapshot *snapshot, const void *at, size_t bytes)
{
    struct piece *piece = &snapshot->pieces[snapshot->count++];

    *piece = (struct piece){at, bytes, malloc(bytes)};
    assert_non_null(piece->copy);
    memcpy(piece->copy, at, bytes);
}

/* All frozen blocks, and what the side tables say of them. */
static struct snapshot take_snapshot(gc_heap *heap)
{
    struct gc_tables *tables = &heap->collector.tables;
    size_t blocks = heap->collector.blocks.chunks_high * GC_CHUNK_BLOCKS;
    struct snapshot snapshot = {calloc(blocks, PIECES * sizeof(struct piece)), 0};

    assert_non_null(snapshot.pieces);
    for (uint32_t block = 0; block < blocks; block++) {
        if (tables->state[block] == 0 || gc_state_age(tables->state[block]) != GC_FROZEN)
            continue;
        add_piece(&snapshot, (const void *)gc_block_start(tables, block), GC_BLOCK_BYTES);
        add_piece(&snapshot, &tables->state[block], sizeof *tables->state);
        add_piece(&snapshot, &tables->live[block], sizeof *tables->live);
        add_piece(&snapshot, &tables->blocks[block], sizeof *tables->blocks);
        add_piece(&snapshot, gc_block_bits(tables->starts, block), GC_BLOCK_WORDS * 8);
        add_piece(&snapshot, gc_block_bits(tables->marks, block), GC_BLOCK_WORDS * 8);
        add_piece(&snapshot, gc_block_lines(tables, block), GC_BLOCK_LINES);
    }
    return snapshot;
}

static size_t count_changes(const struct snapshot *snapshot)
{
    size_t changes = 0;

    for (size_t i = 0; i < snapshot->count; i++)
        changes += memcmp(snapshot->pieces[i].at, snapshot->pieces[i].copy,
                          snapshot->pieces[i].bytes) != 0;
    return changes;
}

static void drop_snapshot(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        free(snapshot->pieces[i].copy);
    free(snapshot->pieces);
}

static void run_nothing(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
}

/* Some of everything that the collector keeps words about in or beside objects:
 * root[0] to root[5]. */
static void make_some_of_all(struct world *world)
{
    gc_finalizer finalizer = {sizeof finalizer, run_nothing, NULL, GC_PRIORITY_NORMAL, 0};
    gc_weakref *weakref;
    struct node *node;
    uint64_t hash;

    world->root[0] = build_list(world->mutator, scaled(20000));
    world->root[1] = build_tree(world->mutator, 10);
    world->root[2] = make_array(world->mutator, &gc_type_references, 30000);
    world->root[3] = make_array(world->mutator, &gc_type_bytes, 100000);
    world->root[4] = make_array(world->mutator, &gc_type_words, 10);
    for (node = world->root[0]; node != NULL; node = node->right)
        if (node->value % 100 == 0) {
            world->root[5] = node;
            assert_int_equal(gc_finalizer_add(world->mutator, node, &finalizer, NULL), GC_OK);
            assert_int_equal(gc_hash(world->mutator, node, &hash), GC_OK);
            weakref = gc_weakref_create(world->mutator, node, 0);
            node = world->root[5];
            gc_write(world->mutator, node, &node->left, weakref);
        }
    world->root[5] = gc_ephemeron_create(world->mutator, world->root[1], world->root[5]);
}

/* Collections of all kinds, beside what is frozen and referring to it. */
static void live_on(struct world *world)
{
    struct node *frozen = world->root[0];

    for (unsigned round = 0; round < 12; round++) {
        struct node *node;

        world->root[6] = build_list(world->mutator, 5000);
        for (node = world->root[6]; node != NULL; node = node->right)
            node->left = frozen;
        world->root[7] = gc_weakref_create(world->mutator, frozen->right, GC_WEAK_TRACKING);
        world->root[7] = gc_ephemeron_create(world->mutator, frozen, world->root[6]);
        gc_collect(world->mutator, round % GC_GENERATIONS, NULL);
        if (round % 4 == 3)
            gc_compact(world->mutator, NULL);
        assert_int_equal(gc_verify(world->mutator), 0);
        gc_finalizers_run(world->mutator, 0);
    }
}

static void collections_write_nothing_of_what_is_frozen(void **state)
{
    struct world *world = *state;
    struct snapshot snapshot;

    if (GC_FORBIDS) /* what is between objects cannot be read */
        skip();
    make_some_of_all(world);
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
    snapshot = take_snapshot(world->heap);
    assert_true(snapshot.count > 8 * PIECES);
    live_on(world);
    assert_int_equal(count_changes(&snapshot), 0);
    ((struct node *)world->root[0])->value++;
    assert_int_equal(count_changes(&snapshot), 1); /* it sees */
    drop_snapshot(&snapshot);
}

/* ---- Pages -------------------------------------------------------------- */

/* Of this process, in KiB; 0 where the system does not say. */
static size_t private_dirty_kib(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    size_t found = 0;
    char line[256];

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        (void)sscanf(line, "Private_Dirty: %zu kB", &found);
    (void)fclose(file);
    return found;
}

/* In a child: collects, and says how many KiB are its own then. */
static size_t dirty_in_child(struct world *world)
{
    size_t found = 0;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < 3; i++) {
            world->root[6] = build_list(world->mutator, 10000);
            gc_collect(world->mutator, GC_OLD, NULL);
        }
        found = private_dirty_kib();
        _exit(write(ends[1], &found, sizeof found) != (ssize_t)sizeof found);
    }
    assert_int_equal(read(ends[0], &found, sizeof found), sizeof found);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return found;
}

static void leave(gc_mutator *mutator)
{
    (void)mutator;
}

static void compact_first(gc_mutator *mutator)
{
    gc_compact(mutator, NULL);
}

static void freeze_first(gc_mutator *mutator)
{
    assert_int_equal(gc_freeze(mutator, GC_FREEZE_COMPACT), GC_OK);
}

enum { LISTS = 40, LENGTH = 32 << 10 /* 1 MiB */ };

/* KiB that a child makes its own, of a heap that was prepared so. */
static size_t dirty_after(void (*prepare)(gc_mutator *mutator))
{
    struct world *world = make_plain(4 * MIB);
    void **lists = world->root[0] = make_array(world->mutator, &gc_type_references, LISTS);
    size_t dirty;

    for (size_t i = 0; i < LISTS; i++) {
        struct node *list = build_list(world->mutator, LENGTH);

        lists = world->root[0];
        gc_write(world->mutator, lists, &lists[i], list);
    }
    prepare(world->mutator);
    dirty = dirty_in_child(world);
    lists = world->root[0];
    assert_true(is_intact_list(lists[7], LENGTH));
    world_end(world);
    return dirty;
}

static void a_frozen_heap_stays_shared_after_a_fork(void **state)
{
    size_t left, compacted, frozen;

    (void)state;
    if (is_slowed() || private_dirty_kib() == 0)
        skip();
    left = dirty_after(leave);
    compacted = dirty_after(compact_first);
    frozen = dirty_after(freeze_first);
    print_message("%d MiB; a child that collected owns %.1f MiB, compacted before %.1f MiB, "
                  "frozen %.1f MiB\n",
                  LISTS, (double)left / 1024, (double)compacted / 1024, (double)frozen / 1024);
    assert_true(frozen < 8 * 1024);
    assert_true(frozen + 1024 < compacted);
    assert_true(frozen * 4 < left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(collections_write_nothing_of_what_is_frozen, exact_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(collections_write_nothing_of_what_is_frozen, moving_setup,
                                        world_teardown),
        cmocka_unit_test(a_frozen_heap_stays_shared_after_a_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
