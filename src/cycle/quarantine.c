/* SPDX-License-Identifier: MIT */
#include "cycle/quarantine.h"

#include "memory/forbid.h"
#include "os/os.h"

enum { MOST_RUNS = 8192, MOST_HOPS = 64 };

static size_t records_bytes(void)
{
    return gc_round_up(GC_POISON_RECORDS * sizeof(struct gc_poisoned), gc_os_page_bytes());
}

static size_t poison_bytes(void)
{
    return (size_t)GC_POISON_RECORDS << GC_POISON_LOG2;
}

static bool create_records(struct gc_quarantine *quarantine)
{
    void *records = gc_os.reserve(records_bytes(), gc_os_page_bytes());
    void *poison;

    quarantine->records = records;
    if (records == NULL || !gc_os.commit(records, records_bytes()))
        return false;
    poison = gc_os.reserve(poison_bytes(), (size_t)1 << GC_POISON_LOG2);
    quarantine->poison = (uintptr_t)poison;
    return poison != NULL;
}

bool gc_quarantine_create(struct gc_quarantine *quarantine, struct gc_blocks *blocks,
                          size_t most_bytes, bool keeps)
{
    *quarantine = (struct gc_quarantine){.heap = blocks,
                                         .tables = blocks->tables,
                                         .keeps = keeps,
                                         .capacity = MOST_RUNS,
                                         .most_blocks = most_bytes >> GC_BLOCK_LOG2};
    quarantine->ring = gc_os.allocate(MOST_RUNS * sizeof *quarantine->ring);
    return quarantine->ring != NULL && (!keeps || create_records(quarantine));
}

void gc_quarantine_destroy(struct gc_quarantine *quarantine)
{
    gc_os.free(quarantine->ring);
    if (quarantine->records != NULL)
        gc_os.release(quarantine->records, records_bytes());
    if (quarantine->poison != 0)
        gc_os.release((void *)quarantine->poison, poison_bytes());
    *quarantine = (struct gc_quarantine){0};
}

size_t gc_quarantine_bytes(const struct gc_quarantine *quarantine)
{
    size_t known = gc_min(quarantine->poisoned, GC_POISON_RECORDS);

    return quarantine->ring == NULL ? 0
                                    : quarantine->capacity * sizeof *quarantine->ring +
                                          known * sizeof *quarantine->records;
}

/* ---- Blocks ---- */

static bool set_accessible(const struct gc_quarantine *quarantine, uint32_t block, uint32_t count,
                           bool accessible)
{
    return gc_os.protect((void *)gc_block_start(quarantine->tables, block),
                         (size_t)count << GC_BLOCK_LOG2, accessible);
}

static struct gc_quarantined *run_at(const struct gc_quarantine *quarantine, size_t position)
{
    return &quarantine->ring[(quarantine->first + position) % quarantine->capacity];
}

static void release_oldest(struct gc_quarantine *quarantine)
{
    struct gc_quarantined run = *run_at(quarantine, 0);

    quarantine->first = (quarantine->first + 1) % quarantine->capacity;
    quarantine->count--;
    quarantine->blocks -= run.count;
    if (set_accessible(quarantine, run.block, run.count, true))
        gc_block_give(quarantine->heap, run.block, run.count);
    /* Else it is lost until the heap is destroyed: it cannot be touched. */
}

void gc_quarantine_release(struct gc_quarantine *quarantine, size_t needed, bool at_limit)
{
    quarantine->is_closed = at_limit;
    while (quarantine->count > 0 && (at_limit || !quarantine->keeps ||
                                     gc_blocks_room(quarantine->heap, GC_FOR_MUTATOR) < needed))
        release_oldest(quarantine);
}

/* Q2, while forwarding addresses still lead to copies. */
static void write_down(uintptr_t object, void *data)
{
    uint64_t header = *gc_header(object);

    (void)data;
    if (!gc_is_forwarded(header)) {
        *gc_header(object) = header & GC_TYPE_MASK;
        return;
    }
    *gc_header(object) = (uint64_t)(uintptr_t)gc_object_type(object);
    *gc_state_byte(object) = GC_STATE_MOVED;
    gc_store_word((void *)object, gc_forwarding(header));
}

void gc_quarantine_add(struct gc_quarantine *quarantine, uint32_t block, uint32_t count,
                       uint64_t collection)
{
    struct gc_tables *tables = quarantine->tables;

    while (quarantine->count == quarantine->capacity ||
           (quarantine->count > 0 && quarantine->blocks + count > quarantine->most_blocks))
        release_oldest(quarantine);
    if (quarantine->keeps)
        gc_block_visit(tables, block, tables->starts, write_down, NULL);
    if (quarantine->is_closed || count > quarantine->most_blocks ||
        !set_accessible(quarantine, block, count, false)) {
        gc_block_give(quarantine->heap, block, count);
        return;
    }
    for (uint32_t i = block; i < block + count; i++) {
        tables->state[i] = 0;
        tables->blocks[i].flags = GC_BLOCK_PROTECTED;
    }
    *run_at(quarantine, quarantine->count++) =
        (struct gc_quarantined){.block = block, .count = count, .collection = collection};
    quarantine->blocks += count;
}

/* ---- Objects that left others behind ---- */

static void poison(struct gc_quarantine *quarantine, uintptr_t object, uint64_t collection)
{
    size_t i = quarantine->poisoned++ % GC_POISON_RECORDS;
    uint64_t header = *gc_header(object);
    const gc_type *type = gc_object_type(object);
    uintptr_t word = quarantine->poison + (i << GC_POISON_LOG2);
    uintptr_t end = gc_object_end(type, object);

    quarantine->records[i] =
        (struct gc_poisoned){.object = object,
                             .type = type,
                             .bytes = gc_payload_bytes(type, object),
                             .now = gc_is_forwarded(header) ? gc_forwarding(header) : 0,
                             .collection = collection};
    gc_allow(object - GC_HEADER_BYTES, end);
    for (uintptr_t at = object - GC_HEADER_BYTES; at < end; at += sizeof word)
        gc_store_word((void *)at, word);
}

void gc_quarantine_poison(struct gc_quarantine *quarantine, uint32_t block, uint64_t collection)
{
    const struct gc_tables *tables = quarantine->tables;
    size_t first = (size_t)block * GC_BLOCK_WORDS;

    for (size_t word = first; word < first + GC_BLOCK_WORDS; word++)
        for (uint64_t bits = tables->starts[word] & ~tables->marks[word]; bits != 0;
             bits &= bits - 1)
            poison(quarantine,
                   tables->base + ((word * 64 + gc_lowest_bit(bits)) << GC_GRANULE_LOG2) +
                       GC_HEADER_BYTES,
                   collection);
}

/* ---- Explanations ---- */

static const struct gc_quarantined *run_of(const struct gc_quarantine *quarantine,
                                           uintptr_t address)
{
    uint32_t block = gc_block_of(quarantine->tables, address);

    for (size_t i = 0; i < quarantine->count; i++) {
        const struct gc_quarantined *run = run_at(quarantine, i);

        if (block - run->block < run->count)
            return run;
    }
    return NULL;
}

/* What an inaccessible block tells (Q2). */
static void read_block(const struct gc_quarantine *quarantine, const struct gc_quarantined *run,
                       uintptr_t address, struct gc_stale *stale)
{
    uintptr_t object;

    *stale = (struct gc_stale){.collection = run->collection};
    if (!quarantine->keeps || !set_accessible(quarantine, run->block, run->count, true))
        return;
    object = gc_start_before(quarantine->tables, run->block, address);
    if (object != 0) {
        const gc_type *type = gc_header_type(*gc_header(object));

        if (address < gc_object_end(type, object)) {
            stale->object = object;
            stale->type = type;
            stale->bytes = gc_payload_bytes(type, object);
            if (*gc_state_byte(object) & GC_STATE_MOVED)
                stale->first_move = gc_load_word((const void *)object);
        }
    }
    (void)set_accessible(quarantine, run->block, run->count, false);
}

static void read_record(const struct gc_quarantine *quarantine, uintptr_t word,
                        struct gc_stale *stale)
{
    const struct gc_poisoned *record =
        &quarantine->records[(word - quarantine->poison) >> GC_POISON_LOG2];

    *stale = (struct gc_stale){.object = record->object,
                               .type = record->type,
                               .bytes = record->bytes,
                               .collection = record->collection,
                               .first_move = record->now,
                               .was_read = true};
}

static bool is_poison(const struct gc_quarantine *quarantine, uintptr_t word)
{
    return quarantine->poison != 0 && word - quarantine->poison < poison_bytes() &&
           (word - quarantine->poison) >> GC_POISON_LOG2 < quarantine->poisoned;
}

static bool explain_one(const struct gc_quarantine *quarantine, uintptr_t address,
                        struct gc_stale *stale)
{
    const struct gc_quarantined *run;

    if (is_poison(quarantine, address)) {
        read_record(quarantine, address, stale);
        return true;
    }
    if (!gc_in_range(quarantine->tables, address))
        return false;
    run = run_of(quarantine, address);
    if (run != NULL) {
        read_block(quarantine, run, address, stale);
        return true;
    }
    if (quarantine->tables->state[gc_block_of(quarantine->tables, address)] == 0 ||
        !is_poison(quarantine, gc_load_word((const void *)gc_round_down(address, 8))))
        return false;
    read_record(quarantine, gc_load_word((const void *)gc_round_down(address, 8)), stale);
    stale->was_read = false;
    return true;
}

bool gc_quarantine_explain(struct gc_quarantine *quarantine, uintptr_t address,
                           struct gc_stale *stale)
{
    struct gc_stale next;

    if (quarantine->ring == NULL || !explain_one(quarantine, address, stale))
        return false;
    stale->now = stale->first_move;
    for (int i = 0; i < MOST_HOPS && stale->now != 0; i++) {
        if (!explain_one(quarantine, stale->now, &next))
            break;
        stale->died = next.first_move == 0 ? next.collection : 0;
        stale->now = next.first_move;
    }
    return true;
}
