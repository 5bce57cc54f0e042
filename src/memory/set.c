/* SPDX-License-Identifier: MIT */
#include "memory/set.h"

#include "os/os.h"

#include <string.h>

enum { FIRST_CAPACITY = 8 };

void gc_set_create(struct gc_set *set, size_t record_bytes)
{
    *set = (struct gc_set){.record_bytes = record_bytes};
}

void gc_set_destroy(struct gc_set *set)
{
    gc_os.free(set->records);
    gc_os.free(set->index);
    gc_set_create(set, set->record_bytes);
}

/* Multiplication by odd constants, high bits folded down (as splitmix64). */
static size_t home_of(const struct gc_set *set, struct gc_key key)
{
    uint64_t mixed = (key.first ^ (key.second << 1)) * 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ (mixed >> 29)) * 0xbf58476d1ce4e5b9u;
    return (size_t)(mixed ^ (mixed >> 32)) & (set->index_slots - 1);
}

void *gc_set_at(const struct gc_set *set, size_t position)
{
    return set->records + position * set->record_bytes;
}

static struct gc_key key_at(const struct gc_set *set, size_t position)
{
    struct gc_key key;

    memcpy(&key, gc_set_at(set, position), sizeof key);
    return key;
}

static bool is_same(struct gc_key a, struct gc_key b)
{
    return a.first == b.first && a.second == b.second;
}

/* The index slot that holds `key`, or the empty one where it would go. */
static size_t slot_of(const struct gc_set *set, struct gc_key key)
{
    size_t slot = home_of(set, key);

    while (set->index[slot] != 0 && !is_same(key_at(set, set->index[slot] - 1), key))
        slot = (slot + 1) & (set->index_slots - 1);
    return slot;
}

static void fill_index(struct gc_set *set)
{
    memset(set->index, 0, set->index_slots * sizeof *set->index);
    for (size_t i = 0; i < set->count; i++)
        set->index[slot_of(set, key_at(set, i))] = (uint32_t)i + 1;
}

bool gc_set_reserve(struct gc_set *set, size_t count)
{
    size_t capacity = set->capacity == 0 ? FIRST_CAPACITY : set->capacity;
    uint32_t *index;
    char *records;

    if (count <= set->capacity)
        return true;
    while (capacity < count)
        capacity *= 2;
    index = gc_os.allocate(2 * capacity * sizeof *index);
    if (index == NULL)
        return false;
    records = gc_os.resize(set->records, capacity * set->record_bytes);
    if (records == NULL) {
        gc_os.free(index);
        return false;
    }
    gc_os.free(set->index);
    set->records = records;
    set->index = index;
    set->capacity = capacity;
    set->index_slots = 2 * capacity;
    fill_index(set);
    return true;
}

void *gc_set_find(const struct gc_set *set, struct gc_key key)
{
    size_t slot;

    if (set->count == 0)
        return NULL;
    slot = slot_of(set, key);
    return set->index[slot] == 0 ? NULL : gc_set_at(set, set->index[slot] - 1);
}

void *gc_set_add(struct gc_set *set, const void *record)
{
    void *place;

    if (set->count == set->capacity && !gc_set_reserve(set, set->count + 1))
        return NULL;
    place = memcpy(gc_set_at(set, set->count), record, set->record_bytes);
    set->index[slot_of(set, key_at(set, set->count))] = (uint32_t)set->count + 1;
    set->count++;
    return place;
}

/* Empties an index slot and shifts back what probed past it. */
static void vacate(struct gc_set *set, size_t hole)
{
    size_t mask = set->index_slots - 1, slot = hole;

    for (;;) {
        size_t home;

        set->index[hole] = 0;
        do {
            slot = (slot + 1) & mask;
            if (set->index[slot] == 0)
                return;
            home = home_of(set, key_at(set, set->index[slot] - 1));
        } while (((slot - home) & mask) < ((slot - hole) & mask));
        set->index[hole] = set->index[slot];
        hole = slot;
    }
}

void gc_set_remove(struct gc_set *set, void *record)
{
    size_t position = (size_t)((char *)record - set->records) / set->record_bytes;
    size_t last = set->count - 1;

    vacate(set, slot_of(set, key_at(set, position)));
    if (position != last) {
        size_t slot = slot_of(set, key_at(set, last));

        set->index[slot] = (uint32_t)position + 1;
        memcpy(record, gc_set_at(set, last), set->record_bytes);
    }
    set->count--;
}

size_t gc_set_bytes(const struct gc_set *set)
{
    return set->capacity * set->record_bytes + set->index_slots * sizeof *set->index;
}
