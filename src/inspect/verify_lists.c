/* SPDX-License-Identifier: MIT
 *
 * Lists of blocks, and the runs through which memory is handed out.
 */
#include "inspect/verify.h"

/* ---- Generations ---- */

/* Counts a list's blocks; a list longer than the heap is a ring. */
static size_t verify_list(struct gc_verifier *verifier, uint32_t block, unsigned generation,
                          bool large)
{
    const struct gc_tables *tables = verifier->tables;
    size_t count = 0, most = verifier->collector->blocks.used_blocks;

    for (; block != GC_NO_BLOCK && count <= most; block = tables->blocks[block].next, count++) {
        const struct gc_block *info = &tables->blocks[block];

        if (info->generation != generation)
            gc_fault_block(verifier, block, "is in another generation's list (S1)");
        if ((info->kind == GC_BLOCK_LARGE) != large)
            gc_fault_block(verifier, block, "is in the list of another kind (S1, S2)");
    }
    if (count > most)
        gc_fault_heap(verifier, "a list of blocks has no end");
    return count;
}

static void count_used(const struct gc_verifier *verifier, size_t *small, size_t *large)
{
    const struct gc_tables *tables = verifier->tables;

    for (size_t i = 0; i < verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS; i++) {
        if (tables->state[i] == 0)
            continue;
        *large += tables->blocks[i].kind == GC_BLOCK_LARGE;
        *small += tables->blocks[i].kind < GC_BLOCK_LARGE;
    }
}

static void verify_generations(struct gc_verifier *verifier)
{
    size_t small = 0, large = 0, listed_small = 0, listed_large = 0;

    for (unsigned i = 0; i < GC_AGES; i++) {
        const struct gc_generation *list = &verifier->collector->spaces.generations[i];
        size_t count = verify_list(verifier, list->small, i, false);

        if (count != list->block_count)
            gc_fault_heap(verifier, "a generation miscounts its blocks");
        listed_small += count;
        listed_large += verify_list(verifier, list->large, i, true);
    }
    count_used(verifier, &small, &large);
    if (listed_small != small || listed_large != large)
        gc_fault_heap(verifier, "a used block is in no list (S1, S2)");
}

/* ---- Holes ---- */

static void verify_holes(struct gc_verifier *verifier, uint32_t block, unsigned generation,
                         unsigned kind)
{
    const struct gc_tables *tables = verifier->tables;
    size_t count = 0, most = verifier->collector->blocks.used_blocks;

    for (; block != GC_NO_BLOCK && count <= most; count++) {
        const struct gc_block *info = &tables->blocks[block];

        if (tables->state[block] == 0 || info->generation != generation || info->kind != kind)
            gc_fault_block(verifier, block, "is in a list of holes that are of another kind (S3)");
        if (info->flags & GC_BLOCK_OPEN)
            gc_fault_block(verifier, block, "is open, and in a list of holes (S3)");
        if (info->free_lines == 0)
            gc_fault_block(verifier, block, "is in a list of holes, but has none");
        block = info->next_hole;
    }
    if (count > most)
        gc_fault_heap(verifier, "a list of holes has no end");
}

/* S4 */
static void verify_births(struct gc_verifier *verifier)
{
    const struct gc_tables *tables = verifier->tables;
    uint32_t block = verifier->collector->spaces.births;
    size_t listed = 0, born = 0, most = verifier->collector->blocks.used_blocks;

    for (; block != GC_NO_BLOCK && listed <= most; block = tables->blocks[block].next_hole) {
        if (tables->state[block] == 0 || tables->blocks[block].generation != GC_OLD)
            gc_fault_block(verifier, block, "is in the list of births, but not of gen2 (S4)");
        listed++;
    }
    for (size_t i = 0; i < verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS; i++)
        born += tables->state[i] != 0 && tables->blocks[i].born;
    if (listed != born)
        gc_fault_heap(verifier, "the list of births is not of the blocks that are flagged (S4)");
}

/* ---- Runs ---- */

struct runs {
    size_t open;
    size_t room; /* bytes handed out and not used */
};

static void verify_open(struct gc_verifier *verifier, const struct gc_run *run, struct runs *runs)
{
    const struct gc_block *blocks = verifier->tables->blocks;
    uint32_t end = gc_run_end_block(verifier->tables, run);

    for (uint32_t block = run->block; block < end; block++, runs->open++)
        if (!(blocks[block].flags & GC_BLOCK_OPEN) || blocks[block].generation != GC_YOUNG)
            gc_fault_block(verifier, block, "is filled by a run, but is not open");
}

/* It ends in its first block, or where one of the same chunk does. */
static bool is_end(const struct gc_tables *tables, const struct gc_run *run, uintptr_t end)
{
    uintptr_t start = gc_block_start(tables, run->block);

    return end - start <= GC_BLOCK_BYTES ||
           (end % GC_BLOCK_BYTES == 0 && (end - 1) >> GC_CHUNK_LOG2 == start >> GC_CHUNK_LOG2);
}

/* What is open lies in one block. */
static bool is_in_blocks(const struct gc_tables *tables, const struct gc_run *run, uintptr_t bump)
{
    return bump >= gc_block_start(tables, run->block) && bump <= run->end &&
           run->end - bump <= GC_BLOCK_BYTES && run->end <= run->limit &&
           is_end(tables, run, run->end);
}

/* T4: the block that is being filled can be parsed up to the end of what is open. */
static bool is_fresh_so_far(const struct gc_tables *tables, const struct gc_run *run)
{
    uint32_t block = gc_block_of(tables, run->end - 1);

    return run->end - gc_block_start(tables, block) == tables->blocks[block].fresh_end;
}

static void verify_run(struct gc_verifier *verifier, const struct gc_run *run, uintptr_t bump,
                       struct runs *runs)
{
    const struct gc_tables *tables = verifier->tables;

    if (run->block == GC_NO_BLOCK) {
        if (bump != 0 || run->limit != 0)
            gc_fault_heap(verifier, "a run without a block has room");
        return;
    }
    if (!is_end(tables, run, run->limit)) {
        gc_fault_block(verifier, run->block, "is filled by a run that leaves it");
        runs->open++;
        return;
    }
    verify_open(verifier, run, runs);
    if (!is_in_blocks(tables, run, bump))
        gc_fault_block(verifier, run->block, "is filled by a run that leaves it");
    else if (!is_fresh_so_far(tables, run))
        gc_fault_block(verifier, run->block, "is filled by a run that opens more, or less (T4)");
    else
        runs->room += gc_run_unused(run, bump);
}

/* M1, M2. Each is stopped, or the one that asks. */
static void verify_mutators(struct gc_verifier *verifier, struct runs *runs)
{
    struct gc_mutator *mutator = verifier->collector->world.mutators;

    for (; mutator != NULL; mutator = mutator->next) {
        bool is_open = mutator->run.block != GC_NO_BLOCK;
        uintptr_t limit = __atomic_load_n(&mutator->fast.limit, __ATOMIC_RELAXED);
        uintptr_t zeroed = __atomic_load_n(&mutator->fast.zeroed, __ATOMIC_RELAXED);
        uintptr_t known = mutator->zeroed + GC_HEADER_BYTES;
        uintptr_t due = is_open ? mutator->run.end + GC_HEADER_BYTES : GC_NO_LIMIT;

        if (is_open)
            verify_run(verifier, &mutator->run, gc_mutator_bump(mutator), runs);
        else if (gc_mutator_bump(mutator) != 0)
            gc_fault_heap(verifier, "a mutator without a run has room (M2)");
        if ((limit | zeroed) != 0 && (gc_mutator_watching(mutator) != 0 || limit != due ||
                                      zeroed > limit || (is_open && zeroed > known)))
            gc_fault_heap(verifier, "a mutator allocates past its run, or past what it is to "
                                    "watch for (M1)");
        if (mutator->log_count > GC_MUTATOR_LOG)
            gc_fault_heap(verifier, "a mutator's log is longer than it can be");
    }
}

static size_t count_open(const struct gc_verifier *verifier)
{
    const struct gc_tables *tables = verifier->tables;
    size_t count = 0;

    for (size_t i = 0; i < verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS; i++)
        count += tables->state[i] != 0 && (tables->blocks[i].flags & GC_BLOCK_OPEN);
    return count;
}

static void verify_runs(struct gc_verifier *verifier)
{
    const struct gc_collector *collector = verifier->collector;
    struct runs runs = {0, 0};

    verify_mutators(verifier, &runs);
    for (int kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++)
        verify_run(verifier, &collector->born_pinned[kind], collector->born_pinned[kind].bump,
                   &runs);
    verify_run(verifier, &collector->idle_run, collector->idle_run.bump, &runs);
    if (runs.open != count_open(verifier))
        gc_fault_heap(verifier, "a block is open that no run fills");
    if (runs.room > collector->spaces.handed_bytes)
        gc_fault_heap(verifier, "runs have more room than was handed out");
}

void gc_verify_lists(struct gc_verifier *verifier)
{
    const struct gc_spaces *spaces = &verifier->collector->spaces;

    verify_generations(verifier);
    for (unsigned kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++) {
        verify_holes(verifier, spaces->young_holes[kind], GC_YOUNG, kind);
        verify_holes(verifier, spaces->pinning_holes[kind], GC_OLD, kind);
    }
    verify_holes(verifier, spaces->old_holes, GC_OLD, GC_BLOCK_SMALL);
    verify_births(verifier);
    verify_runs(verifier);
}
