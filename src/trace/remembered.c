/* SPDX-License-Identifier: MIT */
#include "trace/remembered.h"

#include "os/os.h"

#include <string.h>

enum { FIRST_WORDS = 512 };

bool gc_remembered_create(struct gc_remembered *remembered, struct gc_tables *tables,
                          size_t capacity)
{
    *remembered = (struct gc_remembered){.tables = tables, .capacity = capacity};
    if (gc_lane_create(&remembered->log, capacity, FIRST_WORDS) &&
        gc_lane_create(&remembered->log_before, capacity, FIRST_WORDS) &&
        gc_lane_create(&remembered->old, capacity, FIRST_WORDS) &&
        gc_lane_create(&remembered->old_before, capacity, FIRST_WORDS))
        return true;
    gc_remembered_destroy(remembered);
    return false;
}

void gc_remembered_destroy(struct gc_remembered *remembered)
{
    gc_lane_destroy(&remembered->log);
    gc_lane_destroy(&remembered->log_before);
    gc_lane_destroy(&remembered->old);
    gc_lane_destroy(&remembered->old_before);
    gc_lane_destroy(&remembered->frozen);
    gc_lane_destroy(&remembered->frozen_before);
}

bool gc_remembered_expect_freeze(struct gc_remembered *remembered)
{
    size_t most = remembered->log.reserved;

    if (remembered->frozen_before.capacity != 0)
        return true;
    if (!gc_lane_create(&remembered->frozen, most, FIRST_WORDS) ||
        !gc_lane_create(&remembered->frozen_before, most, FIRST_WORDS)) {
        gc_lane_destroy(&remembered->frozen);
        return false;
    }
    gc_lane_limit(&remembered->frozen, remembered->capacity);
    gc_lane_limit(&remembered->frozen_before, remembered->capacity);
    return true;
}

void gc_remembered_limit(struct gc_remembered *remembered, size_t capacity)
{
    remembered->capacity = capacity;
    gc_lane_limit(&remembered->log, capacity);
    gc_lane_limit(&remembered->log_before, capacity);
    gc_lane_limit(&remembered->old, capacity);
    gc_lane_limit(&remembered->old_before, capacity);
    gc_lane_limit(&remembered->frozen, capacity);
    gc_lane_limit(&remembered->frozen_before, capacity);
}

static void flag_block(struct gc_remembered *remembered, uintptr_t holder)
{
    uint32_t block = gc_block_of(remembered->tables, holder);

    remembered->tables->blocks[block].flags |= GC_BLOCK_ALL_REMEMBERED;
    remembered->lost = true;
}

void gc_log_add(struct gc_remembered *remembered, uintptr_t holder)
{
    if (!gc_lane_push(&remembered->log, holder))
        flag_block(remembered, holder);
}

uint8_t gc_old_add(struct gc_remembered *remembered, uintptr_t holder)
{
    if (gc_lane_push(&remembered->old, holder))
        return GC_LOG_REMEMBERED;
    flag_block(remembered, holder);
    return 0;
}

uint8_t gc_frozen_add(struct gc_remembered *remembered, uintptr_t holder)
{
    if (gc_lane_push(&remembered->frozen, holder))
        return GC_LOG_FROZEN;
    flag_block(remembered, holder);
    return 0;
}

bool gc_has_cards(const struct gc_tables *tables, uintptr_t object)
{
    uint8_t kind = gc_object_type(object)->kind;

    return tables->blocks[gc_block_of(tables, object)].kind == GC_BLOCK_LARGE &&
           (kind == GC_KIND_REFERENCES || kind == GC_KIND_ARRAY);
}

void gc_arm(const struct gc_tables *tables, uintptr_t object)
{
    *gc_log_byte(object) = GC_LOG_ARMED;
    if (gc_has_cards(tables, object))
        gc_card_mark(tables, object, NULL, GC_CARD_CLEAN);
}

void gc_remembered_forget(const struct gc_remembered *remembered, struct gc_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++)
        gc_arm(remembered->tables, lane->words[i]);
    lane->count = 0;
}

/* Mutators mark at the same time: the younger mark must stay. */
static void mark_one(uint8_t *line, uint8_t card)
{
    uint8_t before = __atomic_load_n(line, __ATOMIC_RELAXED);

    while (before < card && !__atomic_compare_exchange_n(line, &before, card, true,
                                                         __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

void gc_card_mark(const struct gc_tables *tables, uintptr_t object, const void *slot, uint8_t card)
{
    size_t first = gc_line_of(tables, object), last;

    if (slot != NULL) {
        mark_one(&tables->lines[gc_line_of(tables, (uintptr_t)slot)], card);
        return;
    }
    last = gc_line_of(tables, gc_object_end(gc_object_type(object), object) - 1);
    for (; first <= last; first++)
        __atomic_store_n(&tables->lines[first], card, __ATOMIC_RELAXED);
}

/* Marks the card; true if the array is not in the log yet. Its slots are plain. */
static bool note_card(const struct gc_tables *tables, uintptr_t object, const void *slot)
{
    unsigned age = GC_YOUNG;
    uint8_t before;

    if (slot != NULL)
        age = gc_age_of(tables, gc_load_word(slot));
    gc_card_mark(tables, object, slot, gc_card_for(age));
    before = __atomic_load_n(gc_log_byte(object), __ATOMIC_RELAXED);
    if (before & GC_LOG_NOTED)
        return false;
    before = __atomic_fetch_or(gc_log_byte(object), GC_LOG_NOTED, __ATOMIC_RELAXED);
    return !(before & GC_LOG_NOTED);
}

/* Two threads may both disarm and note an object: a duplicate entry is legal. */
bool gc_barrier_notes(const struct gc_tables *tables, uintptr_t object, const void *slot)
{
    uint8_t log;

    if (gc_has_cards(tables, object))
        return note_card(tables, object, slot);
    log = __atomic_load_n(gc_log_byte(object), __ATOMIC_RELAXED);
    __atomic_store_n(gc_log_byte(object), (uint8_t)(log & ~GC_LOG_ARMED), __ATOMIC_RELAXED);
    return true;
}
