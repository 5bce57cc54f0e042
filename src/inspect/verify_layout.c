/* SPDX-License-Identifier: MIT
 *
 * Where objects stand: each has a sound header, ends before the next begins
 * and within its block, and lies in lines that are known to be occupied; and
 * no line is occupied without one.
 */
#include "inspect/verify.h"

#include "memory/forbid.h"
#include "memory/seals.h"
#include "trace/remembered.h"

enum { LEAST_ADDRESS = 4096, HIGHEST_BIT = 47, MOST_ALIGNMENT = 64 };

enum {
    STATE_BITS =
        GC_STATE_PINNED | GC_STATE_PINNED_ONCE | GC_STATE_ATTACHED | GC_STATE_HASHED | GC_STATE_KEY
};

/* A block at work. */
struct layout {
    struct gc_verifier *verifier;
    uint32_t block;
    uintptr_t end; /* of the object before */
    size_t granules;
    bool is_padded; /* an alignment may have left granules out */
    bool is_held[GC_BLOCK_LINES];
};

/* ---- Headers ---- */

static bool is_plausible_type(const struct gc_verifier *verifier, const gc_type *type)
{
    uintptr_t address = (uintptr_t)type;

    return address >= LEAST_ADDRESS && address >> HIGHEST_BIT == 0 && address % 8 == 0 &&
           !gc_in_range(verifier->tables, address) && type->kind <= GC_KIND_LAST &&
           type->alignment >= GC_GRANULE_BYTES && type->alignment <= MOST_ALIGNMENT &&
           (type->alignment & (type->alignment - 1)) == 0;
}

static bool verify_header(struct gc_verifier *verifier, uintptr_t object)
{
    uint64_t header = gc_peek(object - GC_HEADER_BYTES);
    const gc_type *type = gc_header_type(header);

    verifier->object = object;
    verifier->type = NULL;
    if (gc_is_forwarded(header))
        gc_fault_object(verifier, "has a broken header: it says that the object moved (H1)");
    else if (!is_plausible_type(verifier, type))
        gc_fault_object(verifier, "has a broken header: it names no type (H1)");
    else if (type->element_size != 0 &&
             (gc_peek(object - 2 * GC_HEADER_BYTES) & GC_WORD_TAGS) != GC_LENGTH_TAG)
        gc_fault_object(verifier, "is an array, but has no length before its header");
    else if (verifier->tables->seals != NULL && !gc_seal_fits(verifier->tables, object))
        gc_fault_object(verifier, "has a header that does not fit its seal (E1)");
    else
        verifier->type = type;
    return verifier->type != NULL;
}

static void verify_header_bits(struct gc_verifier *verifier, uintptr_t object)
{
    const struct gc_made_type *made = gc_made_type(verifier->type);

    if (made != NULL && made->owner != &verifier->collector->types)
        gc_fault_object(verifier, "has a type that another heap made");
    if (verifier->type->kind == GC_KIND_RETIRED)
        gc_fault_object(verifier, "has a type that is marked as in a full collection");
    if (*gc_state_byte(object) & ~STATE_BITS)
        gc_fault_object(verifier, "has a state byte of no meaning");
    if (*gc_state_byte(object) & GC_STATE_KEY)
        gc_fault_object(verifier, "is waited for as a key between collections (F2)");
}

/* ---- Extents and lines ---- */

static uintptr_t start_of(const gc_type *type, uintptr_t object)
{
    return object - GC_HEADER_BYTES - gc_prefix_bytes(type);
}

/* Where its payload may reach to; a length may be anything. */
static uintptr_t checked_end(const struct layout *layout, const gc_type *type, uintptr_t object)
{
    const struct gc_block *info = &layout->verifier->tables->blocks[layout->block];
    uint32_t blocks = info->kind == GC_BLOCK_LARGE ? info->count : 1;
    uintptr_t most = gc_block_start(layout->verifier->tables, layout->block + blocks);
    size_t payload;

    if (type->element_size != 0 &&
        (__builtin_mul_overflow(gc_object_length(object), type->element_size, &payload) ||
         payload > most - object))
        return 0;
    return gc_object_end(type, object) <= most ? gc_object_end(type, object) : 0;
}

/* T4: it lies in lines that are occupied, or in a fresh run. */
static void verify_lines(struct layout *layout, uintptr_t from, uintptr_t to)
{
    const struct gc_tables *tables = layout->verifier->tables;
    size_t first = gc_line_of(tables, from), last = gc_line_of(tables, to - 1), occupied = 0;
    uint32_t fresh_end = tables->blocks[layout->block].fresh_end;
    bool is_fresh = to - gc_block_start(tables, layout->block) <= fresh_end;

    for (size_t line = first; line <= last; line++) {
        occupied += tables->lines[line] != 0;
        layout->is_held[line % GC_BLOCK_LINES] = true;
    }
    if (occupied != last - first + 1 && !(occupied == 0 && is_fresh))
        gc_fault_object(layout->verifier, "lies in a line that is not occupied");
}

/* What must not move, or holds words that may be anything, is not among what
 * moves. A static type whose object_bytes lets the inline path allocate it
 * puts it there. */
static void verify_kind(struct gc_verifier *verifier, uint8_t block_kind)
{
    const gc_type *type = verifier->type;
    bool is_own_kind = type->kind == GC_KIND_CONSERVATIVE || (type->flags & GC_TYPE_PINNED) ||
                       (type->kind == GC_KIND_TRACED && (type->flags & GC_TYPE_AMBIGUOUS));

    if (is_own_kind && block_kind == GC_BLOCK_SMALL)
        gc_fault_object(verifier, "is allocated inline, though its type is pinned or ambiguous "
                                  "(its object_bytes must be GC_OUT_OF_LINE)");
}

static void verify_place(struct layout *layout, uintptr_t object)
{
    struct gc_verifier *verifier = layout->verifier;
    const struct gc_block *info = &verifier->tables->blocks[layout->block];
    const gc_type *type = verifier->type;
    uintptr_t start = start_of(type, object), end = checked_end(layout, type, object);

    if (end == 0) {
        gc_fault_object(verifier, "reaches past the end of its block");
        return;
    }
    if (start < layout->end)
        gc_fault_object(verifier, "overlaps the object before it");
    if (object % type->alignment != 0)
        gc_fault_object(verifier, "is not aligned as its type asks");
    verify_kind(verifier, info->kind);
    layout->end = end;
    layout->granules += (end - start) >> GC_GRANULE_LOG2;
    layout->is_padded |= type->alignment != GC_GRANULE_BYTES || GC_REDZONE_BYTES != 0;
    if (gc_verify_is_birth(verifier, object)) {
        verifier->births_bytes += end - start;
    } else {
        verifier->bytes[info->generation] += end - start;
        verifier->objects[info->generation]++;
    }
    if (info->kind == GC_BLOCK_LARGE)
        verifier->large_bytes[info->generation] += end - start;
    else
        verify_lines(layout, start, end);
}

static void verify_object(uintptr_t object, void *data)
{
    struct layout *layout = data;

    if (!verify_header(layout->verifier, object))
        return;
    verify_header_bits(layout->verifier, object);
    verify_place(layout, object);
}

/* ---- Blocks ---- */

/* The objects of a fresh run, whose starts are not known yet: false if a parse
 * would go astray. */
static bool verify_fresh_run(struct layout *layout, uintptr_t from, uintptr_t to)
{
    struct gc_verifier *verifier = layout->verifier;
    uintptr_t at = from;

    while (at < to) {
        uint64_t word = gc_peek(at);
        uintptr_t object = at + GC_HEADER_BYTES;

        if (word == 0) {
            at += GC_GRANULE_BYTES;
            continue;
        }
        if ((word & GC_WORD_TAGS) == GC_LENGTH_TAG)
            object += sizeof word;
        if (!verify_header(verifier, object))
            return false;
        at = checked_end(layout, verifier->type, object);
        if (at == 0 || at > to) {
            gc_fault_object(verifier, "reaches past the end of its run");
            return false;
        }
    }
    return true;
}

static bool verify_fresh(struct layout *layout)
{
    const struct gc_tables *tables = layout->verifier->tables;
    const struct gc_block *info = &tables->blocks[layout->block];
    const uint8_t *lines = gc_block_lines(tables, layout->block);
    uintptr_t start = gc_block_start(tables, layout->block);
    size_t last = gc_round_up(info->fresh_end, GC_LINE_BYTES) >> GC_LINE_LOG2;
    bool is_sound = true;

    if (!(info->flags & GC_BLOCK_UNPARSED))
        return true;
    for (size_t line = 0; line < last && is_sound; line++) {
        size_t first = line;

        while (line < last && lines[line] == 0)
            line++;
        is_sound = line == first ||
                   verify_fresh_run(layout, start + first * GC_LINE_BYTES,
                                    start + gc_min(line * GC_LINE_BYTES, info->fresh_end));
    }
    return is_sound;
}

static void verify_held_lines(struct layout *layout)
{
    const uint8_t *lines = gc_block_lines(layout->verifier->tables, layout->block);

    for (int line = 0; line < GC_BLOCK_LINES; line++) {
        if (lines[line] > 1)
            gc_fault_block(layout->verifier, layout->block, "has a line byte of no meaning");
        if (lines[line] != 0 && !layout->is_held[line])
            gc_fault_block(layout->verifier, layout->block,
                           "has an occupied line without an object");
    }
}

/* Lines of a large object are cards, if it has references; else idle. It begins in
 * the first. */
static void verify_cards(struct layout *layout, uintptr_t object)
{
    const struct gc_tables *tables = layout->verifier->tables;
    const struct gc_block *info = &tables->blocks[layout->block];
    size_t last = gc_line_of(tables, layout->end - 1);
    size_t line = (size_t)layout->block * GC_BLOCK_LINES;
    size_t end = line + (size_t)info->count * GC_BLOCK_LINES;
    uint8_t most = gc_has_cards(tables, object) ? GC_CARD_YOUNG : GC_CARD_CLEAN;

    for (; line < end; line++) {
        bool is_inside = line <= last;

        if (tables->lines[line] > (is_inside ? most : GC_CARD_CLEAN)) {
            gc_fault_object(layout->verifier,
                            is_inside ? "has a card of no meaning" : "has a card outside of it");
            return;
        }
    }
}

/* What the last trace, or the copies that filled it, counted. */
static void verify_live(struct layout *layout)
{
    const struct gc_tables *tables = layout->verifier->tables;
    size_t live = gc_live_granules(tables, layout->block);

    if (tables->blocks[layout->block].generation == GC_YOUNG)
        return; /* objects were born here since */
    if (layout->granules > live || (!layout->is_padded && layout->granules != live))
        gc_fault_block(layout->verifier, layout->block, "miscounts its live granules");
}

static void verify_block(struct gc_verifier *verifier, uint32_t block)
{
    struct layout layout = {.verifier = verifier, .block = block};
    size_t before = verifier->faults;

    if (!verify_fresh(&layout))
        return;
    gc_block_parse(verifier->tables, block);
    gc_block_visit(verifier->tables, block, verifier->tables->starts, verify_object, &layout);
    if (verifier->faults != before)
        return;
    if (verifier->tables->blocks[block].kind == GC_BLOCK_LARGE) {
        verify_cards(&layout, verifier->object);
        return;
    }
    verify_held_lines(&layout);
    verify_live(&layout);
}

void gc_verify_layout(struct gc_verifier *verifier)
{
    size_t blocks = verifier->collector->blocks.chunks_high * GC_CHUNK_BLOCKS;

    for (uint32_t block = 0; block < blocks; block++)
        if (verifier->tables->state[block] != 0 &&
            verifier->tables->blocks[block].kind != GC_BLOCK_FOLLOWER)
            verify_block(verifier, block);
    verifier->object = 0;
    verifier->type = NULL;
}
