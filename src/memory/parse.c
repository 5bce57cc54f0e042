/* SPDX-License-Identifier: MIT
 *
 * Which objects a block holds: found by walking what was bumped, and noted in its
 * tables; looked up there; visited.
 */
#include "memory/forbid.h"
#include "memory/tables.h"

#include <string.h>

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
    return gc_block_start(tables, block) +
           __atomic_load_n(&tables->blocks[block].fresh_end, __ATOMIC_RELAXED);
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

/* Whether the address may lie in an object that only a parse would find: in no line that
 * was occupied when the block was opened. */
static bool is_fresh(const struct gc_tables *tables, uint32_t block, uintptr_t address)
{
    const struct gc_block *info = &tables->blocks[block];
    size_t line = gc_line_of(tables, address) % GC_BLOCK_LINES;

    if (!(info->flags & GC_BLOCK_UNPARSED))
        return false;
    if (gc_state_action(gc_state_of(tables, block)) == GC_LEAVE)
        return gc_block_lines(tables, block)[line] == 0;
    return !gc_bit_get(info->taken, line);
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
    if (is_fresh(tables, block, address))
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

    if (is_fresh(tables, block, word - 1))
        gc_block_parse_to(tables, block, filled);
    object = nearest_start(tables, block, (word - 1 - tables->base) >> GC_GRANULE_LOG2);
    if (object == 0 || word - 1 >= gc_object_end(gc_object_type(object), object))
        return 0;
    return object;
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
