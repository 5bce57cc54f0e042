/* SPDX-License-Identifier: MIT
 *
 * The verifier sees how memory is handed out: each corruption of the lists of
 * blocks and holes, and of runs, is found, and named.
 */
#include "support/corruption.h"

/* ---- Lists --------------------------------------------------------------- */

static void list_of_other_generation(struct seeded *s)
{
    uint32_t first = generation(s, GC_OLD)->small;

    s->block = first;
    s->tables->blocks[first].generation = GC_MIDDLE;
    s->tables->state[first] = gc_state(GC_MIDDLE, GC_LEAVE);
}

static void large_in_small_list(struct seeded *s)
{
    s->block = block_of(s, s->array);
    s->tables->blocks[s->block].next = generation(s, GC_OLD)->small;
    generation(s, GC_OLD)->small = s->block;
    generation(s, GC_OLD)->block_count++;
}

static void list_is_ring(struct seeded *s)
{
    uint32_t first = generation(s, GC_OLD)->small;

    s->tables->blocks[first].next = first;
}

static void block_count_wrong(struct seeded *s)
{
    generation(s, GC_MIDDLE)->block_count++;
}

static void small_in_no_list(struct seeded *s)
{
    struct gc_generation *old = generation(s, GC_OLD);

    old->small = s->tables->blocks[old->small].next;
    old->block_count--;
}

static void large_in_no_list(struct seeded *s)
{
    struct gc_generation *old = generation(s, GC_OLD);

    old->large = s->tables->blocks[old->large].next;
}

static void hole_of_other_kind(struct seeded *s)
{
    s->block = s->collector->spaces.old_holes;
    s->collector->spaces.old_holes = GC_NO_BLOCK;
    s->collector->spaces.young_holes[GC_BLOCK_SMALL] = s->block;
    s->tables->blocks[s->block].next_hole = GC_NO_BLOCK;
}

static void hole_of_other_kind_of_block(struct seeded *s)
{
    info_of(s, s->words)->next_hole = GC_NO_BLOCK;
    s->collector->spaces.young_holes[GC_BLOCK_SMALL] = s->block;
}

static void hole_is_free_block(struct seeded *s)
{
    s->tables->blocks[s->collector->spaces.old_holes].next_hole = free_block(s);
}

static void hole_is_open(struct seeded *s)
{
    s->block = s->collector->spaces.old_holes;
    s->tables->blocks[s->block].flags |= GC_BLOCK_OPEN;
}

static void hole_has_none(struct seeded *s)
{
    s->block = s->collector->spaces.old_holes;
    s->tables->blocks[s->block].free_lines = 0;
}

static void holes_are_ring(struct seeded *s)
{
    uint32_t first = s->collector->spaces.old_holes;

    s->tables->blocks[first].next_hole = first;
}

/* ---- Runs ---------------------------------------------------------------- */

static void run_without_block(struct seeded *s)
{
    s->collector->idle_run.limit = 64;
}

static void run_without_block_begins(struct seeded *s)
{
    s->collector->idle_run.bump = 64;
}

static void run_not_open(struct seeded *s)
{
    s->block = s->world->mutator->run.block;
    s->tables->blocks[s->block].flags &= (uint8_t)~GC_BLOCK_OPEN;
}

static void run_leaves_block(struct seeded *s)
{
    s->block = s->world->mutator->run.block;
    s->world->mutator->fast.bump = s->world->mutator->run.limit + 2 * GC_HEADER_BYTES;
}

static void run_begins_before_its_block(struct seeded *s)
{
    s->block = s->world->mutator->run.block;
    s->world->mutator->fast.bump = gc_block_start(s->tables, s->block);
}

static void run_ends_past_its_block(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;

    s->block = mutator->run.block;
    mutator->run.limit = gc_block_start(s->tables, s->block) + GC_BLOCK_BYTES + 8;
    mutator->run.end = mutator->run.limit;
    mutator->fast.limit = mutator->run.end + GC_HEADER_BYTES;
}

static void run_goes_on_past_its_chunk(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;

    s->block = mutator->run.block;
    mutator->run.limit = gc_block_start(s->tables, s->block) + GC_CHUNK_BYTES;
}

static void run_opens_more_than_it_has(struct seeded *s)
{
    s->block = s->world->mutator->run.block;
    s->world->mutator->run.limit -= 64;
}

/* It has two blocks, and what is open of them ends in the midst of the second. */
static void run_opens_a_part_of_a_block(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;
    uintptr_t start;

    s->block = mutator->run.block;
    start = gc_block_start(s->tables, s->block);
    mutator->run.limit = start + 2 * (uintptr_t)GC_BLOCK_BYTES;
    mutator->run.end = start + GC_BLOCK_BYTES + 64;
    mutator->fast.limit = mutator->run.end + GC_HEADER_BYTES;
    s->tables->blocks[s->block + 1].flags |= GC_BLOCK_OPEN;
}

/* The open room would be two blocks. */
static void run_opens_less_than_is_fresh(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;

    s->block = mutator->run.block;
    mutator->run.end -= 64;
    mutator->fast.limit = mutator->run.end + GC_HEADER_BYTES;
    mutator->fast.zeroed = 0;
}

static void run_opens_two_blocks(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;

    s->block = mutator->run.block;
    mutator->run.limit += GC_BLOCK_BYTES;
    mutator->run.end = mutator->run.limit;
    mutator->fast.limit = mutator->run.end + GC_HEADER_BYTES;
    s->tables->blocks[s->block + 1].flags |= GC_BLOCK_OPEN;
}

/* Its block's tables say gen1, all of them. */
static void run_of_gen1(struct seeded *s)
{
    s->block = s->world->mutator->run.block;
    s->tables->blocks[s->block].generation = GC_MIDDLE;
    s->tables->state[s->block] = gc_state(GC_MIDDLE, GC_LEAVE);
}

static void limit_past_run(struct seeded *s)
{
    s->world->mutator->fast.limit += 8;
}

static void zeroed_past_what_is(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;

    mutator->fast.zeroed = mutator->zeroed + 2 * GC_HEADER_BYTES;
}

static void zeroed_past_run(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;

    mutator->zeroed = mutator->run.end + 8;
    mutator->fast.zeroed = mutator->zeroed + GC_HEADER_BYTES;
}

static void limit_past_watch(struct seeded *s)
{
    gc_mutator *mutator = s->world->mutator;

    mutator->watching = GC_WATCH_STRESS;
    mutator->fast.limit = mutator->run.limit + GC_HEADER_BYTES;
}

static void room_without_run(struct seeded *s)
{
    gc_run_reset(&s->world->mutator->run);
}

static void log_too_long(struct seeded *s)
{
    s->world->mutator->log_count = GC_MUTATOR_LOG + 1;
}

static void open_without_run(struct seeded *s)
{
    info_of(s, s->middle)->flags |= GC_BLOCK_OPEN;
}

static void handed_bytes_wrong(struct seeded *s)
{
    s->collector->spaces.handed_bytes = 0;
}

#define BLOCK(generation) "block {block} at {start} in gen" generation ": "

static const struct corruption of_lists[] = {
    {"list of another generation", list_of_other_generation,
     BLOCK("1") "is in another generation's list (S1)", true},
    {"large in the small list", large_in_small_list,
     BLOCK("2") "is in the list of another kind (S1, S2)", true},
    {"list is a ring", list_is_ring, "heap: a list of blocks has no end", true},
    {"block count", block_count_wrong, "heap: a generation miscounts its blocks", false},
    {"small block in no list", small_in_no_list, "heap: a used block is in no list (S1, S2)",
     false},
    {"large object in no list", large_in_no_list, "heap: a used block is in no list (S1, S2)",
     false},
    {"hole of another kind", hole_of_other_kind,
     BLOCK("2") "is in a list of holes that are of another kind (S3)", false},
    {"hole of another kind of block", hole_of_other_kind_of_block,
     BLOCK("0") "is in a list of holes that are of another kind (S3)", true},
    {"hole is a free block", hole_is_free_block,
     BLOCK("0") "is in a list of holes that are of another kind (S3)", true},
    {"hole is open", hole_is_open, BLOCK("2") "is open, and in a list of holes (S3)", true},
    {"hole has none", hole_has_none, BLOCK("2") "is in a list of holes, but has none", false},
    {"holes are a ring", holes_are_ring, "heap: a list of holes has no end", false},
    {"run without block", run_without_block, "heap: a run without a block has room", false},
    {"run without a block begins", run_without_block_begins, "heap: a run without a block has room",
     false},
    {"run of gen1", run_of_gen1, BLOCK("1") "is filled by a run, but is not open", true},
    {"run begins before its block", run_begins_before_its_block,
     BLOCK("0") "is filled by a run that leaves it", false},
    {"run ends past its block", run_ends_past_its_block,
     BLOCK("0") "is filled by a run that leaves it", false},
    {"run goes on past its chunk", run_goes_on_past_its_chunk,
     BLOCK("0") "is filled by a run that leaves it", false},
    {"run opens two blocks", run_opens_two_blocks, BLOCK("0") "is filled by a run that leaves it",
     true},
    {"run opens more than it has", run_opens_more_than_it_has,
     BLOCK("0") "is filled by a run that leaves it", false},
    {"run opens a part of a block", run_opens_a_part_of_a_block,
     BLOCK("0") "is filled by a run that leaves it", true},
    {"run opens less than is fresh", run_opens_less_than_is_fresh,
     BLOCK("0") "is filled by a run that opens more, or less (T4)", false},
    {"run not open", run_not_open, BLOCK("0") "is filled by a run, but is not open", true},
    {"run leaves its block", run_leaves_block, BLOCK("0") "is filled by a run that leaves it",
     false},
    {"limit past the run", limit_past_run,
     "heap: a mutator allocates past its run, or past what it is to watch for (M1)", false},
    {"zeroed past what is", zeroed_past_what_is,
     "heap: a mutator allocates past its run, or past what it is to watch for (M1)", false},
    {"zeroed past the run", zeroed_past_run,
     "heap: a mutator allocates past its run, or past what it is to watch for (M1)", false},
    {"limit in spite of a watch", limit_past_watch,
     "heap: a mutator allocates past its run, or past what it is to watch for (M1)", false},
    {"room without a run", room_without_run, "heap: a mutator without a run has room (M2)", true},
    {"log too long", log_too_long, "heap: a mutator's log is longer than it can be", false},
    {"open without a run", open_without_run, "heap: a block is open that no run fills", false},
    {"handed bytes", handed_bytes_wrong, "heap: runs have more room than was handed out", false},
};

static void broken_lists_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_lists, GC_COUNT(of_lists), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_lists_are_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
