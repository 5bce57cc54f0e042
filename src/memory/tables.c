/* SPDX-License-Identifier: MIT */
#include "memory/tables.h"

#include "memory/forbid.h"
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

/* Steps over what stands at `at` in a run: an object, or a zeroed word (false). */
GC_ALWAYS_INLINE bool next_object(uintptr_t *at, uintptr_t *object)
{
    uint64_t word = gc_peek(*at);

    if (word == 0) {
        *at += GC_GRANULE_BYTES;
        return false;
    }
    if (GC_LIKELY((word & GC_WORD_TAGS) == 0) &&
        GC_LIKELY(gc_header_type(word)->object_bytes <= GC_SMALL_BYTES)) {
        *object = *at + GC_HEADER_BYTES;
        *at += gc_header_type(word)->object_bytes;
        return true;
    }
    *object = *at + GC_HEADER_BYTES + ((word & GC_WORD_TAGS) == GC_LENGTH_TAG ? sizeof word : 0);
    *at = gc_object_end(gc_object_type(*object), *object);
    return true;
}

/* Of a nursery of some MiB little is in a core's cache: it is fetched ahead, from
 * `fetched` on, to which it returns. */
enum { FETCHED_AHEAD_BYTES = 1024 };

GC_ALWAYS_INLINE uintptr_t fetch_ahead(uintptr_t fetched, uintptr_t at)
{
    for (; fetched < at + FETCHED_AHEAD_BYTES; fetched += GC_CACHE_LINE_BYTES)
        gc_prefetch((const void *)fetched);
    return fetched;
}

void gc_run_visit(uintptr_t from, uintptr_t to, void (*visit)(uintptr_t object, void *data),
                  void *data)
{
    uintptr_t object, at = from;

    while (at < to)
        if (next_object(&at, &object))
            visit(object, data);
}

static void record_start(const struct gc_tables *tables, uintptr_t object)
{
    gc_bit_set(tables->starts, gc_granule_of(tables, object));
}

/* Objects of one size often stand together: where those will begin that come after so
 * many more is fetched. */
enum { OBJECTS_AHEAD = 16 };

/* Records starts and lines; `settled` may be NULL. */
GC_ALWAYS_INLINE void record_run(struct gc_tables *tables, uintptr_t from, uintptr_t to,
                                 gc_settled_fn *settled, void *data)
{
    uintptr_t object, at = from;

    while (at < to) {
        uintptr_t start = at;

        if (!next_object(&at, &object))
            continue;
        if (settled != NULL)
            gc_prefetch((const void *)(at + OBJECTS_AHEAD * (at - start)));
        record_start(tables, object);
        gc_lines_occupy(tables, start, at);
        if (settled != NULL)
            settled(object, at - start, data);
    }
}

void gc_run_record(struct gc_tables *tables, uintptr_t from, uintptr_t to)
{
    tables->blocks[gc_block_of(tables, from)].recorded = 1;
    record_run(tables, from, to, NULL, NULL);
}

/* The lowest bits of eight bytes side by side. The product puts bit i of byte i,
 * of which each is 0 or 1, into its highest byte. */
static uint64_t pack_lines(const uint8_t *lines)
{
    uint64_t bytes;

    memcpy(&bytes, lines, sizeof bytes);
    return bytes * 0x0102040810204080u >> 56;
}

static void pack_block_lines(const struct gc_tables *tables, uint32_t block, uint64_t *taken)
{
    const uint8_t *lines = gc_block_lines(tables, block);

    for (int word = 0; word < GC_BLOCK_LINES / 64; word++) {
        taken[word] = 0;
        for (int i = 0; i < 8; i++)
            taken[word] |= pack_lines(&lines[64 * word + 8 * i]) << 8 * i;
    }
}

void gc_block_clear_lines(struct gc_tables *tables, uint32_t block)
{
    struct gc_block *info = &tables->blocks[block];

    if (!info->recorded && !(info->flags & GC_BLOCK_SWEPT)) {
        memset(info->taken, 0, sizeof info->taken);
        return;
    }
    if (info->flags & GC_BLOCK_UNPARSED)
        pack_block_lines(tables, block, info->taken);
    memset(gc_block_lines(tables, block), 0, GC_BLOCK_LINES);
}

/* The fresh runs of a block (T4), one after another. */
struct fresh_runs {
    uint64_t taken[GC_BLOCK_LINES / 64];
    uintptr_t start; /* of the block */
    uintptr_t end;   /* of the last run, at most */
    size_t line;     /* where to look on */
};

static struct fresh_runs fresh_runs(const struct gc_tables *tables, uint32_t block, uintptr_t end)
{
    uintptr_t start = gc_block_start(tables, block);
    struct fresh_runs runs = {.start = start, .end = end};

    if (gc_state_action(gc_state_of(tables, block)) == GC_LEAVE)
        pack_block_lines(tables, block, runs.taken);
    else
        memcpy(runs.taken, tables->blocks[block].taken, sizeof runs.taken);
    return runs;
}

/* The first line from `line` on whose bit is `bit`, or the number of lines. */
static size_t next_line(const uint64_t *taken, size_t line, bool bit)
{
    uint64_t flip = bit ? 0 : UINT64_MAX;

    while (line < GC_BLOCK_LINES) {
        uint64_t rest = (taken[line / 64] ^ flip) >> line % 64;

        if (rest != 0)
            return line + gc_lowest_bit(rest);
        line = gc_round_down(line, 64) + 64;
    }
    return GC_BLOCK_LINES;
}

static bool next_fresh_run(struct fresh_runs *runs, uintptr_t *from, uintptr_t *to)
{
    size_t first = next_line(runs->taken, runs->line, false);

    runs->line = next_line(runs->taken, first, true);
    *from = runs->start + first * GC_LINE_BYTES;
    *to = gc_min(runs->start + runs->line * GC_LINE_BYTES, runs->end);
    return *from < *to;
}

static uintptr_t fresh_end(const struct gc_tables *tables, uint32_t block)
{
    return gc_block_start(tables, block) + tables->blocks[block].fresh_end;
}

void gc_block_parse_to(struct gc_tables *tables, uint32_t block, uintptr_t to)
{
    struct fresh_runs runs = fresh_runs(tables, block, gc_min(fresh_end(tables, block), to));
    uintptr_t from, end, object, fetched = 0;

    while (next_fresh_run(&runs, &from, &end)) {
        tables->blocks[block].recorded = 1;
        fetched = gc_max(fetched, from);
        while (from < end) {
            fetched = fetch_ahead(fetched, from);
            if (next_object(&from, &object))
                record_start(tables, object);
        }
    }
}

void gc_block_parse(struct gc_tables *tables, uint32_t block)
{
    struct gc_block *info = &tables->blocks[block];

    if (!(info->flags & GC_BLOCK_UNPARSED))
        return;
    gc_block_parse_to(tables, block, gc_block_start(tables, block) + GC_BLOCK_BYTES);
    if (!(info->flags & GC_BLOCK_OPEN)) /* else more objects will come */
        info->flags &= (uint8_t)~GC_BLOCK_UNPARSED;
}

void gc_block_settle(struct gc_tables *tables, uint32_t block, gc_settled_fn *visit, void *data)
{
    struct gc_block *info = &tables->blocks[block];
    struct fresh_runs runs = fresh_runs(tables, block, fresh_end(tables, block));
    uintptr_t from, to;

    while (next_fresh_run(&runs, &from, &to))
        record_run(tables, from, to, visit, data);
    info->fresh_end = 0;
    info->flags &= (uint8_t)~GC_BLOCK_UNPARSED;
    info->flags |= GC_BLOCK_SWEPT;
}

/* The nearest start at or before `granule` in its block, as an object, or 0. */
static uintptr_t nearest_start(const struct gc_tables *tables, uint32_t block, size_t granule)
{
    size_t first = (size_t)block * GC_BLOCK_WORDS, word = granule >> 6;
    uint64_t bits = tables->starts[word] & (UINT64_MAX >> (63 - (granule & 63)));

    while (bits == 0) {
        if (word == first)
            return 0;
        bits = tables->starts[--word];
    }
    return tables->base + ((word * 64 + gc_highest_bit(bits)) << GC_GRANULE_LOG2) + GC_HEADER_BYTES;
}

static uint32_t head_of(const struct gc_tables *tables, uint32_t block)
{
    return tables->blocks[block].kind == GC_BLOCK_FOLLOWER ? tables->blocks[block].head : block;
}

uintptr_t gc_start_before(const struct gc_tables *tables, uint32_t block, uintptr_t address)
{
    uintptr_t last = gc_block_start(tables, block) + GC_BLOCK_BYTES - 1;

    return nearest_start(tables, block, (gc_min(address, last) - tables->base) >> GC_GRANULE_LOG2);
}

uintptr_t gc_large_object(const struct gc_tables *tables, uint32_t block)
{
    uint32_t head = head_of(tables, block);
    const uint64_t *bits = gc_block_bits(tables->starts, head);
    size_t word = 0;

    while (bits[word] == 0)
        word++;
    return gc_block_start(tables, head) +
           ((word * 64 + gc_lowest_bit(bits[word])) << GC_GRANULE_LOG2) + GC_HEADER_BYTES;
}

uintptr_t gc_object_containing(struct gc_tables *tables, uintptr_t word)
{
    uintptr_t address = word - 1, object;
    uint32_t block;

    if (!gc_in_range(tables, address))
        return 0;
    block = gc_block_of(tables, address);
    if (tables->state[block] == 0)
        return 0;
    if (head_of(tables, block) != block) {
        block = head_of(tables, block);
        address = gc_block_start(tables, block) + GC_BLOCK_BYTES - 1;
    }
    gc_block_parse(tables, block);
    object = nearest_start(tables, block, (address - tables->base) >> GC_GRANULE_LOG2);
    if (object == 0 || word - 1 >= gc_object_end(gc_object_type(object), object))
        return 0;
    return object;
}

uintptr_t gc_object_before(struct gc_tables *tables, uintptr_t word, uintptr_t filled)
{
    uint32_t block = gc_block_of(tables, word - 1);
    uintptr_t object;

    gc_block_parse_to(tables, block, filled);
    object = nearest_start(tables, block, (word - 1 - tables->base) >> GC_GRANULE_LOG2);
    if (object == 0 || word - 1 >= gc_object_end(gc_object_type(object), object))
        return 0;
    return object;
}

uintptr_t gc_object_walking(uintptr_t word, uintptr_t from, uintptr_t to)
{
    uintptr_t object, at = from;

    while (at < to && at < word)
        if (next_object(&at, &object) && word - 1 < at)
            return word - 1 >= object - GC_HEADER_BYTES ? object : 0;
    return 0;
}

bool gc_is_reference(struct gc_tables *tables, uintptr_t word)
{
    return word != 0 && word % GC_GRANULE_BYTES == 0 && gc_object_containing(tables, word) == word;
}

void gc_block_visit(struct gc_tables *tables, uint32_t block, const uint64_t *bitmap,
                    void (*visit)(uintptr_t object, void *data), void *data)
{
    size_t first = (size_t)block * GC_BLOCK_WORDS;

    for (size_t word = first; word < first + GC_BLOCK_WORDS; word++)
        for (uint64_t bits = bitmap[word]; bits != 0; bits &= bits - 1)
            visit(tables->base + ((word * 64 + gc_lowest_bit(bits)) << GC_GRANULE_LOG2) +
                      GC_HEADER_BYTES,
                  data);
}

void gc_block_visit_objects(struct gc_tables *tables, uint32_t block,
                            void (*visit)(uintptr_t object, void *data), void *data)
{
    gc_block_parse(tables, block);
    gc_block_visit(tables, block, tables->starts, visit, data);
}
