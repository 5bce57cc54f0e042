/* SPDX-License-Identifier: MIT */
#include "space/spaces.h"

#include "base/check.h"
#include "memory/forbid.h"
#include "memory/seals.h"

enum {
    MOST_AT_ONCE = 8, /* blocks that one of several mutators takes with the lock taken once */
    LINES_AHEAD = 16  /* of a block with holes, of which the free ones are fetched */
};

void gc_spaces_create(struct gc_spaces *spaces, struct gc_tables *tables, struct gc_blocks *blocks)
{
    *spaces =
        (struct gc_spaces){.tables = tables,
                           .blocks = blocks,
                           .births = GC_NO_BLOCK,
                           .young_holes = {GC_NO_BLOCK, GC_NO_BLOCK, GC_NO_BLOCK, GC_NO_BLOCK},
                           .pinning_holes = {GC_NO_BLOCK, GC_NO_BLOCK, GC_NO_BLOCK, GC_NO_BLOCK},
                           .old_holes = GC_NO_BLOCK};
    for (int i = 0; i < GC_AGES; i++)
        spaces->generations[i] = (struct gc_generation){.small = GC_NO_BLOCK, .large = GC_NO_BLOCK};
}

void gc_generation_add(struct gc_spaces *spaces, uint32_t block, unsigned generation)
{
    struct gc_generation *list = &spaces->generations[generation];
    struct gc_block *info = &spaces->tables->blocks[block];

    info->generation = (uint8_t)generation;
    gc_state_set(spaces->tables, block, gc_state(generation, GC_LEAVE));
    if (info->kind == GC_BLOCK_LARGE) {
        info->next = list->large;
        list->large = block;
        for (uint32_t i = block + 1; i < block + info->count; i++)
            gc_state_set(spaces->tables, i, gc_state(generation, GC_LEAVE));
    } else {
        info->next = list->small;
        list->small = block;
        list->block_count++;
    }
}

void gc_generation_add_all(struct gc_spaces *spaces, uint32_t list, unsigned generation)
{
    while (list != GC_NO_BLOCK) {
        uint32_t next = spaces->tables->blocks[list].next;

        gc_generation_add(spaces, list, generation);
        list = next;
    }
}

/* No room any more; what was copied through the run stays counted. */
static void end_run(struct gc_run *run)
{
    run->bump = run->limit = run->end = run->from = run->tallied = 0;
    run->occupied = 0;
    run->block = GC_NO_BLOCK;
}

/* Each time twice as many as before, so that none is given more than it has used. */
static uint32_t take_near(struct gc_spaces *spaces, struct gc_run *run, uint32_t *count)
{
    uint32_t block;

    *count = (uint32_t)gc_min(2 * run->blocks + (run->blocks == 0), MOST_AT_ONCE);
    block = gc_block_take_near(spaces->blocks, run->near, count);
    run->near = block + *count;
    run->blocks = *count;
    if (run->home == GC_NO_BLOCK)
        run->home = block;
    return block;
}

/* Takes a free block, or several, into a generation and opens it whole. */
static bool open_free_block(struct gc_spaces *spaces, struct gc_run *run, unsigned generation,
                            enum gc_block_kind kind, enum gc_taker taker)
{
    bool near = spaces->apart && generation == GC_YOUNG && kind == GC_BLOCK_SMALL &&
                taker == GC_FOR_MUTATOR; /* others' runs are of one block */
    uint32_t count = 1;
    uint32_t block = near ? take_near(spaces, run, &count) : gc_block_take(spaces->blocks, taker);
    uintptr_t start;

    if (block == GC_NO_BLOCK)
        return false;
    start = gc_block_start(spaces->tables, block);
    for (uint32_t i = block; i < block + count; i++) {
        spaces->tables->blocks[i] = (struct gc_block){.kind = (uint8_t)kind,
                                                      .flags = GC_BLOCK_UNPARSED | GC_BLOCK_OPEN,
                                                      .next_hole = GC_NO_BLOCK};
        gc_generation_add(spaces, i, generation);
    }
    run->bump = run->from = run->tallied = start;
    run->limit = start + count * GC_BLOCK_BYTES;
    run->block = block;
    run->line = GC_BLOCK_LINES;
    run->whole = true;
    return true;
}

/* The holes behind `line`, to which the run will come, have left the cache: their lines are
 * fetched while this one is filled, so far ahead that they are there by then. */
static void fetch_holes(const struct gc_spaces *spaces, struct gc_run *run, uint32_t line)
{
    const uint8_t *lines = gc_block_lines(spaces->tables, run->block);
    uintptr_t start = gc_block_start(spaces->tables, run->block);
    uint32_t end = (uint32_t)gc_min(line + LINES_AHEAD, GC_BLOCK_LINES);

    for (line = (uint32_t)gc_max(line, run->fetched); line < end; line++)
        for (size_t at = 0; lines[line] == 0 && at < GC_LINE_BYTES; at += GC_CACHE_LINE_BYTES)
            gc_prefetch((const void *)(start + (size_t)line * GC_LINE_BYTES + at));
    run->fetched = end;
}

/* What a run can go on over. */
struct room {
    uintptr_t from;
    uintptr_t to;
};

/* The next hole of at least `bytes` of the block that the run fills. Holes passed over
 * by a mutator (`young`) are zeroed: a parse will read them (T4). */
static bool find_hole(const struct gc_spaces *spaces, struct gc_run *run, size_t bytes, bool young,
                      struct room *hole)
{
    const uint8_t *lines = gc_block_lines(spaces->tables, run->block);
    uintptr_t start = gc_block_start(spaces->tables, run->block);
    uint32_t line = run->line;

    while (line < GC_BLOCK_LINES) {
        uint32_t first = line;

        while (line < GC_BLOCK_LINES && lines[line] == 0)
            line++;
        if ((size_t)(line - first) * GC_LINE_BYTES >= bytes) {
            hole->from = start + (size_t)first * GC_LINE_BYTES;
            hole->to = start + (size_t)line * GC_LINE_BYTES;
            run->line = line;
            fetch_holes(spaces, run, line);
            return true;
        }
        if (young && line > first)
            gc_zero(start + (size_t)first * GC_LINE_BYTES, start + (size_t)line * GC_LINE_BYTES);
        while (line < GC_BLOCK_LINES && lines[line] != 0)
            line++;
    }
    run->line = GC_BLOCK_LINES;
    return false;
}

static bool open_hole(const struct gc_spaces *spaces, struct gc_run *run, size_t bytes, bool young)
{
    struct room hole;

    if (!find_hole(spaces, run, bytes, young, &hole))
        return false;
    run->from = run->bump = run->tallied = hole.from;
    run->limit = hole.to;
    run->whole = false;
    return true;
}

static bool open_listed_hole(struct gc_spaces *spaces, struct gc_run *run, uint32_t *list,
                             size_t bytes, bool young)
{
    while (*list != GC_NO_BLOCK) {
        struct gc_block *info = &spaces->tables->blocks[*list];

        run->block = *list;
        run->line = run->fetched = 0;
        *list = info->next_hole;
        info->next_hole = GC_NO_BLOCK;
        info->flags |= GC_BLOCK_OPEN;
        if (open_hole(spaces, run, bytes, young)) {
            info->free_lines = 0; /* as far as is known before the next sweep */
            return true;
        }
        info->flags &= (uint8_t)~GC_BLOCK_OPEN;
    }
    end_run(run);
    return false;
}

static void close_run(struct gc_spaces *spaces, struct gc_run *run)
{
    uint32_t end = gc_run_end_block(spaces->tables, run);

    for (uint32_t block = run->block; block < end; block++)
        spaces->tables->blocks[block].flags &= (uint8_t)~GC_BLOCK_OPEN;
    end_run(run);
}

/* Of what was born in gen2 nothing else is known till it is visited. */
static void count_born(struct gc_spaces *spaces, const struct gc_run *run)
{
    size_t bytes = run->bump - run->from - run->skipped;

    spaces->tables->live[run->block] += (uint32_t)(bytes >> GC_GRANULE_LOG2);
    spaces->born_bytes += bytes;
}

/* What was handed out but not used does not count. */
static void take_back(struct gc_spaces *spaces, struct gc_run *run)
{
    spaces->handed_bytes -= gc_run_unused(run, run->bump);
    if (run->block != GC_NO_BLOCK && spaces->tables->blocks[run->block].born)
        count_born(spaces, run);
    run->skipped = 0;
}

void gc_young_run_close(struct gc_spaces *spaces, struct gc_run *run)
{
    take_back(spaces, run);
    close_run(spaces, run);
    if (run->home != GC_NO_BLOCK)
        run->near = run->home;
    run->home = GC_NO_BLOCK;
    run->blocks = 0;
}

/* They become holes of their generation, which is gen0: see open_free_block. */
static void list_not_opened(struct gc_spaces *spaces, const struct gc_run *run)
{
    uint32_t end = gc_run_end_block(spaces->tables, run);

    for (uint32_t block = end - (uint32_t)((run->limit - run->end) >> GC_BLOCK_LOG2); block < end;
         block++) {
        struct gc_block *info = &spaces->tables->blocks[block];

        info->flags = 0;
        info->free_lines = GC_BLOCK_LINES;
        info->next_hole = spaces->young_holes[info->kind];
        spaces->young_holes[info->kind] = block;
    }
}

void gc_young_run_give_up(struct gc_spaces *spaces, struct gc_run *run)
{
    list_not_opened(spaces, run);
    gc_young_run_close(spaces, run);
}

void gc_run_zero(const struct gc_run *run)
{
    GC_CHECK_ANEW((void *)run->bump, run->end - run->bump);
    gc_zero(run->bump, run->end);
}

/* The room, which lies in one block, is open: up to its end that can be parsed. */
static void begin_room(const struct gc_spaces *spaces, struct gc_run *run, struct room room)
{
    uint32_t block = gc_block_of(spaces->tables, room.from);
    uintptr_t start = gc_block_start(spaces->tables, block);

    run->bump = room.from;
    run->end = room.to;
    __atomic_store_n(&spaces->tables->blocks[block].fresh_end, (uint32_t)(room.to - start),
                     __ATOMIC_RELAXED);
}

bool gc_young_run_advance(const struct gc_spaces *spaces, struct gc_run *run, size_t bytes)
{
    struct room next = {run->end, run->end + GC_BLOCK_BYTES};

    if (run->end == run->limit || (!run->whole && !find_hole(spaces, run, bytes, true, &next)))
        return false;
    begin_room(spaces, run, next);
    return true;
}

static size_t occupied_bytes(const uint8_t *lines, uint32_t from)
{
    size_t count = 0;

    for (uint32_t line = from; line < GC_BLOCK_LINES; line++)
        count += lines[line];
    return count * GC_LINE_BYTES;
}

/* Of a block with holes, all holes from the first on are. */
static void hand_out(struct gc_spaces *spaces, struct gc_run *run)
{
    const uint8_t *lines = gc_block_lines(spaces->tables, run->block);
    uintptr_t end = gc_block_start(spaces->tables, run->block) + GC_BLOCK_BYTES;

    begin_room(spaces, run, (struct room){run->bump, gc_min(run->limit, end)});
    run->occupied = run->whole ? 0 : occupied_bytes(lines, run->line);
    if (!run->whole)
        run->limit = end;
    spaces->tables->blocks[run->block].flags |= GC_BLOCK_UNPARSED;
    spaces->handed_bytes += run->limit - run->bump - run->occupied;
}

uint32_t *gc_old_holes(struct gc_spaces *spaces, enum gc_block_kind kind)
{
    return kind == GC_BLOCK_SMALL ? &spaces->old_holes : &spaces->pinning_holes[kind];
}

void gc_old_holes_forget(struct gc_spaces *spaces)
{
    for (int kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++)
        spaces->pinning_holes[kind] = GC_NO_BLOCK;
    spaces->old_holes = GC_NO_BLOCK;
}

/* The block just opened is gen2's. */
static bool list_births(struct gc_spaces *spaces, const struct gc_run *run)
{
    struct gc_block *info = &spaces->tables->blocks[run->block];

    info->next_hole = spaces->births;
    info->born = 1;
    spaces->births = run->block;
    return true;
}

uint32_t gc_births_take(struct gc_spaces *spaces)
{
    uint32_t block = spaces->births;
    struct gc_block *info;

    if (block == GC_NO_BLOCK) {
        spaces->births_bytes = 0;
        return block;
    }
    info = &spaces->tables->blocks[block];
    spaces->births = info->next_hole;
    info->next_hole = GC_NO_BLOCK;
    info->born = 0;
    return block;
}

static bool open_old(struct gc_spaces *spaces, struct gc_run *run, enum gc_block_kind kind,
                     size_t bytes)
{
    return open_listed_hole(spaces, run, gc_old_holes(spaces, kind), bytes, true) &&
           list_births(spaces, run);
}

static bool open_block(struct gc_spaces *spaces, struct gc_run *run, enum gc_block_kind kind,
                       size_t bytes)
{
    if (spaces->pretenures)
        return open_old(spaces, run, kind, bytes) ||
               (open_free_block(spaces, run, GC_OLD, kind, GC_FOR_MUTATOR) &&
                list_births(spaces, run));
    return open_listed_hole(spaces, run, &spaces->young_holes[kind], bytes, true) ||
           (kind != GC_BLOCK_SMALL && open_old(spaces, run, kind, bytes)) ||
           open_free_block(spaces, run, GC_YOUNG, kind, GC_FOR_MUTATOR);
}

bool gc_young_run_next(struct gc_spaces *spaces, struct gc_run *run, enum gc_block_kind kind,
                       size_t bytes)
{
    take_back(spaces, run);
    close_run(spaces, run);
    if (!open_block(spaces, run, kind, bytes))
        return false;
    hand_out(spaces, run);
    return true;
}

void gc_copy_run_sync(struct gc_spaces *spaces, struct gc_run *run)
{
    if (run->block == GC_NO_BLOCK)
        return;
    if (spaces->tables->seals != NULL)
        gc_seal_run(spaces->tables, run->from, run->bump);
    run->bytes += run->bump - run->tallied;
    run->tallied = run->bump;
    if (run->whole) {
        struct gc_block *info = &spaces->tables->blocks[run->block];

        info->fresh_end = (uint32_t)(run->bump - gc_block_start(spaces->tables, run->block));
        spaces->tables->live[run->block] = info->fresh_end >> GC_GRANULE_LOG2;
    } else {
        gc_run_record(spaces->tables, run->from, run->bump);
        spaces->tables->live[run->block] += (uint32_t)((run->bump - run->from) >> GC_GRANULE_LOG2);
        run->from = run->bump;
    }
}

void gc_copy_run_close(struct gc_spaces *spaces, struct gc_run *run)
{
    gc_copy_run_sync(spaces, run);
    close_run(spaces, run);
}

bool gc_copy_run_next(struct gc_spaces *spaces, struct gc_run *run, unsigned generation,
                      size_t bytes, bool holes)
{
    gc_copy_run_sync(spaces, run);
    if (run->block != GC_NO_BLOCK && !run->whole && open_hole(spaces, run, bytes, false))
        return true;
    close_run(spaces, run);
    return (holes && open_listed_hole(spaces, run, &spaces->old_holes, bytes, false)) ||
           open_free_block(spaces, run, generation, GC_BLOCK_SMALL, GC_FOR_COLLECTOR);
}

void gc_large_zero(const struct gc_spaces *spaces, uintptr_t start, size_t bytes)
{
    gc_blocks_zero(spaces->blocks, gc_block_of(spaces->tables, start), bytes);
}

uintptr_t gc_large_take(struct gc_spaces *spaces, size_t bytes)
{
    uint32_t block = gc_block_take_run(spaces->blocks, bytes, GC_FOR_MUTATOR);

    if (block == GC_NO_BLOCK)
        return 0;
    gc_generation_add(spaces, block, GC_YOUNG);
    spaces->handed_bytes += bytes;
    return gc_block_start(spaces->tables, block);
}
