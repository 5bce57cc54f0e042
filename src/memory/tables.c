/* SPDX-License-Identifier: MIT
 *
 * The memory of the tables: had, given back, cleared.
 */
#include "memory/tables.h"

#include "os/os.h"

#include <string.h>

struct table_part {
    size_t offset;    /* in struct gc_tables: where its address is kept */
    size_t per_block; /* bytes */
};

static const struct table_part parts[] = {
    {offsetof(struct gc_tables, starts), GC_BLOCK_WORDS * sizeof(uint64_t)},
    {offsetof(struct gc_tables, marks), GC_BLOCK_WORDS * sizeof(uint64_t)},
    {offsetof(struct gc_tables, lines), GC_BLOCK_LINES},
    {offsetof(struct gc_tables, seals), GC_BLOCK_SEALS * sizeof(uint16_t)},
    {offsetof(struct gc_tables, blocks), sizeof(struct gc_block)},
    /* Looked up for any address in the range, hence committed whole: */
    {offsetof(struct gc_tables, state), sizeof(uint8_t)},
    {offsetof(struct gc_tables, live), sizeof(uint32_t)},
};

enum {
    PARTS = sizeof parts / sizeof parts[0],
    CHUNK_PARTS = PARTS - 2,
    MARKS = 1,
    LINES = 2,
    SEALS = 3, /* of no bytes, unless the heap is hardened */
    GIVEN_PARTS = SEALS + 1
};

static size_t part_per_block(const struct gc_tables *tables, int part)
{
    return part == SEALS && tables->seals == NULL ? 0 : parts[part].per_block;
}

size_t gc_tables_bytes_per_block(const struct gc_tables *tables)
{
    size_t bytes = 0;

    for (int i = 0; i < PARTS; i++)
        bytes += part_per_block(tables, i);
    return bytes;
}

static uintptr_t part_address(const struct gc_tables *tables, int part)
{
    return gc_load_word((const char *)tables + parts[part].offset);
}

/* Whether a part is in huge pages there: what a trace looks up for one object here, one
 * there. Not from its beginning, for a smaller heap would have one that it does not fill. */
static bool is_huge(const struct gc_tables *tables, int part, uintptr_t start)
{
    return (part == MARKS || part == LINES) &&
           start - part_address(tables, part) >= 2 * GC_CHUNK_BYTES;
}

/* The pages that one chunk's share of a part touches. Neighbours share a page
 * of the small parts, and a huge page; those are committed more than once and never
 * given back. */
static bool part_pages(const struct gc_tables *tables, int part, size_t chunk, uintptr_t *from,
                       uintptr_t *to)
{
    size_t bytes = part_per_block(tables, part) * GC_CHUNK_BLOCKS;
    uintptr_t start = part_address(tables, part) + chunk * bytes;
    bool huge = is_huge(tables, part, start);
    size_t page = huge ? GC_CHUNK_BYTES : gc_os_page_bytes();

    *from = gc_round_down(start, page);
    *to = gc_round_up(start + bytes, page);
    return huge;
}

/* Addresses for one part, and the guard page behind it. Chunks are as large as huge
 * pages, so these are whole. */
static size_t part_room(int part, size_t blocks, bool hardened)
{
    size_t per_block = part != SEALS || hardened ? parts[part].per_block : 0;

    return gc_round_up(per_block * blocks + gc_os_page_bytes(), GC_CHUNK_BYTES);
}

bool gc_tables_create(struct gc_tables *tables, uintptr_t base, size_t bytes,
                      const uint64_t *seal_key)
{
    size_t blocks = bytes >> GC_BLOCK_LOG2, total = GC_CHUNK_BYTES;
    uintptr_t next;

    for (int i = 0; i < PARTS; i++)
        total += part_room(i, blocks, seal_key != NULL);
    tables->reservation = gc_os.reserve(total, GC_CHUNK_BYTES);
    if (tables->reservation == NULL)
        return false;
    tables->reservation_bytes = total;
    tables->base = base;
    tables->bytes = bytes;
    tables->block_count = blocks;
    next = (uintptr_t)tables->reservation + GC_CHUNK_BYTES; /* a guard, too */
    for (int i = 0; i < PARTS; i++) {
        gc_store_word((char *)tables + parts[i].offset, next);
        next += part_room(i, blocks, seal_key != NULL);
    }
    if (seal_key == NULL)
        tables->seals = NULL;
    else
        memcpy(tables->seal_key, seal_key, sizeof tables->seal_key);
    for (int i = CHUNK_PARTS; i < PARTS; i++) {
        size_t part_bytes = gc_round_up(parts[i].per_block * blocks, gc_os_page_bytes());

        if (!gc_os.commit((void *)part_address(tables, i), part_bytes)) {
            gc_tables_destroy(tables);
            return false;
        }
    }
    return true;
}

void gc_tables_destroy(struct gc_tables *tables)
{
    if (tables->reservation != NULL)
        gc_os.release(tables->reservation, tables->reservation_bytes);
    tables->reservation = NULL;
}

bool gc_tables_commit(struct gc_tables *tables, size_t chunk)
{
    for (int i = 0; i < CHUNK_PARTS; i++) {
        uintptr_t from, to;

        part_pages(tables, i, chunk, &from, &to);
        if (from < to && !gc_os.commit((void *)from, to - from))
            return false;
    }
    return true;
}

void gc_tables_advise_huge(struct gc_tables *tables, size_t chunk, bool wanted)
{
    for (int i = 0; i < CHUNK_PARTS; i++) {
        uintptr_t from, to;

        if (part_pages(tables, i, chunk, &from, &to))
            gc_os.advise_huge((void *)from, to - from, wanted);
    }
}

/* Starts, marks, lines and seals; the rest is small. */
void gc_tables_decommit(struct gc_tables *tables, uint32_t first, uint32_t count)
{
    for (int i = 0; i < GIVEN_PARTS; i++) {
        size_t bytes = part_per_block(tables, i);
        uintptr_t start = part_address(tables, i) + first * bytes;
        uintptr_t from = gc_round_up(start, gc_os_page_bytes());
        uintptr_t to = gc_round_down(start + count * bytes, gc_os_page_bytes());

        if (from < to)
            gc_os.decommit((void *)from, to - from);
    }
}

/* Pages of tables that were never written stay untouched. */
static void clear_if_set(void *table, size_t bytes)
{
    const uint64_t *words = table;
    uint64_t any = 0;

    for (size_t i = 0; i < bytes / sizeof *words; i++)
        any |= words[i];
    if (any != 0)
        memset(table, 0, bytes);
}

/* Nothing is in the tables for what was bumped and died before anyone looked.
 * A quarantine forgets the flags. */
static bool is_clear(const struct gc_block *info)
{
    return info->kind == GC_BLOCK_SMALL && !info->recorded &&
           !(info->flags & (GC_BLOCK_SWEPT | GC_BLOCK_HAS_PINS | GC_BLOCK_PROTECTED));
}

/* Its lines were cleared then, and nothing was marked, or it would not be free now. A
 * large object's are cards. */
static bool was_condemned(const struct gc_tables *tables, uint32_t block)
{
    unsigned action = gc_state_action(tables->state[block]);

    return action == GC_EVACUATE || action == GC_IN_PLACE;
}

void gc_tables_clear(struct gc_tables *tables, uint32_t block)
{
    if (!is_clear(&tables->blocks[block])) {
        clear_if_set(gc_block_bits(tables->starts, block), GC_BLOCK_WORDS * sizeof(uint64_t));
        if (!was_condemned(tables, block)) {
            clear_if_set(gc_block_bits(tables->marks, block), GC_BLOCK_WORDS * sizeof(uint64_t));
            clear_if_set(gc_block_lines(tables, block), GC_BLOCK_LINES);
        }
    }
    tables->blocks[block] = (struct gc_block){.next = GC_NO_BLOCK, .next_hole = GC_NO_BLOCK};
    gc_state_set(tables, block, 0);
}
