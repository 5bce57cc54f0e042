/* SPDX-License-Identifier: MIT
 *
 * Strong tables: see layout.h.
 */
#include "table/layout.h"

#include <string.h>

struct slot {
    uint64_t hash; /* with FULL; or EMPTY or REMOVED */
    void *key;
    void *value;
};

static const uint64_t EMPTY = 0, REMOVED = 1, FULL = (uint64_t)1 << 63;

static const uint32_t slot_refs[] = {offsetof(struct slot, key), offsetof(struct slot, value)};

static void trace_slots(gc_tracer *tracer, void *object)
{
    struct slot *slots = object;
    size_t length = gc_length(object);

    for (size_t i = 0; i < length; i++) {
        gc_table_trace(tracer, &slots[i].key);
        gc_table_trace(tracer, &slots[i].value);
    }
}

static const gc_type slots_types[GC_TABLE_WAYS] = {
    GC_TYPE_ARRAY("table slots", struct slot, slot_refs),
    {"table slots", 0, GC_OUT_OF_LINE, NULL, NULL, trace_slots, NULL, 0, 0, sizeof(struct slot),
     GC_KIND_TRACED, 0, 8, 0}};

static struct slot *slots_of(const gc_table *table)
{
    return table->places;
}

size_t gc_strong_find(gc_mutator *mutator, gc_table *table, const void *key, uint64_t hash)
{
    size_t mask = gc_table_capacity(table) - 1;
    const struct slot *slots = slots_of(table);

    hash |= FULL;
    if (slots == NULL)
        return GC_NO_PLACE;
    for (size_t i = (size_t)hash & mask; slots[i].hash != EMPTY; i = (i + 1) & mask)
        if (slots[i].hash == hash && gc_table_is_equal(mutator, table, slots[i].key, key))
            return i;
    return GC_NO_PLACE;
}

void *gc_strong_value(const gc_table *table, size_t place)
{
    return slots_of(table)[place].value;
}

void gc_strong_set(gc_mutator *mutator, gc_table *table, size_t place, void *value)
{
    gc_write(mutator, table->places, &slots_of(table)[place].value, value);
}

static struct slot *free_slot(struct slot *slots, size_t mask, uint64_t hash)
{
    size_t i = (size_t)hash & mask;

    while (slots[i].hash & FULL)
        i = (i + 1) & mask;
    return &slots[i];
}

void gc_strong_put(gc_mutator *mutator, const struct gc_table_entry *entry)
{
    gc_table *table = entry->table;
    uint64_t hash = entry->hash | FULL;
    struct slot *slot = free_slot(slots_of(table), gc_table_capacity(table) - 1, hash);

    table->used += slot->hash == EMPTY;
    table->live++;
    slot->hash = hash;
    gc_write(mutator, table->places, &slot->key, entry->key);
    gc_write(mutator, table->places, &slot->value, entry->value);
}

/* The new slots are young, or, if large, scanned whole with their first
 * collection: plain stores do. */
static void move_live(const gc_table *table, struct slot *to, size_t capacity)
{
    const struct slot *from = slots_of(table);
    size_t old = gc_table_capacity(table);

    for (size_t i = 0; i < old; i++)
        if (from[i].hash & FULL)
            *free_slot(to, capacity - 1, from[i].hash) = from[i];
}

bool gc_strong_lay_out(gc_mutator *mutator, gc_table **table, size_t more)
{
    size_t capacity;
    uint32_t changes;
    void *slots;

    do {
        changes = (*table)->changes;
        capacity = gc_table_fitting(*table, more);
        slots = gc_alloc_array(mutator, gc_table_type_for(mutator, slots_types), capacity);
        if (slots == NULL)
            return false;
    } while ((*table)->changes != changes);
    move_live(*table, slots, capacity);
    gc_strong_forget(*table);
    (*table)->used = (*table)->live;
    gc_write(mutator, *table, &(*table)->places, slots);
    return true;
}

void gc_strong_forget(const gc_table *table)
{
    if (table->places != NULL)
        memset(table->places, 0, gc_table_capacity(table) * sizeof(struct slot));
}

void gc_strong_remove(gc_table *table, size_t place)
{
    slots_of(table)[place] = (struct slot){.hash = REMOVED};
    table->live--;
}

bool gc_strong_next(const gc_table *table, size_t *position, void **key, void **value)
{
    size_t capacity = gc_table_capacity(table);

    for (size_t i = *position; i < capacity; i++) {
        const struct slot *slot = &slots_of(table)[i];

        if (!(slot->hash & FULL))
            continue;
        *position = i + 1;
        *key = slot->key;
        *value = slot->value;
        return true;
    }
    *position = capacity;
    return false;
}
