/* SPDX-License-Identifier: MIT
 *
 * What a hardened heap does before anything else in a collection: every header
 * that the collection will believe must fit its seal. Those are the headers of
 * what is condemned, and of the holders that are remembered. (What was born in
 * gen2 is checked when it is adopted.)
 */
#include "cycle/phases.h"

#include "memory/seals.h"

static void check_blocks(const struct gc_collector *collector, uint32_t block)
{
    const struct gc_tables *tables = &collector->tables;

    for (; block != GC_NO_BLOCK; block = tables->blocks[block].next)
        gc_seals_check(tables, block, !collector->quarantine.keeps);
}

static void check_lane(const struct gc_collector *collector, const struct gc_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++)
        gc_seal_check(&collector->tables, lane->words[i]);
}

/* Blocks each of whose objects is taken for a holder. */
static void check_lost(const struct gc_collector *collector)
{
    const struct gc_tables *tables = &collector->tables;
    size_t blocks = collector->blocks.chunks_high * GC_CHUNK_BLOCKS;

    for (uint32_t block = 0; block < blocks; block++)
        if (tables->state[block] != 0 && (tables->blocks[block].flags & GC_BLOCK_ALL_REMEMBERED))
            gc_seals_check(tables, block, false);
}

void gc_check_seals(const struct gc_collector *collector, unsigned oldest)
{
    const struct gc_remembered *remembered = &collector->remembered;

    if (collector->tables.seals == NULL)
        return;
    for (unsigned i = 0; i <= oldest; i++) {
        check_blocks(collector, collector->spaces.generations[i].small);
        check_blocks(collector, collector->spaces.generations[i].large);
    }
    check_lane(collector, &remembered->log);
    check_lane(collector, &remembered->old);
    check_lane(collector, &remembered->frozen);
    if (remembered->lost)
        check_lost(collector);
}
