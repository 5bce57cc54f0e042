/* SPDX-License-Identifier: MIT */
#include "memory/set.h"

#include "base/bits.h"
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
static uint32_t hash_of(struct gc_key key)
{
    uint64_t mixed = (key.first ^ (key.second << 1)) * 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ (mixed >> 29)) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(mixed ^ (mixed >> 32));
}

/* What the index holds of a record: with the hash in sight, probing touches few
 * records. */
static uint64_t mark_of(uint32_t hash, size_t position)
{
    return (uint64_t)hash << 32 | (uint64_t)(position + 1);
}

static size_t position_of(uint64_t mark)
{
    return (size_t)(uint32_t)mark - 1;
}

static size_t home_of(const struct gc_set *set, uint32_t hash)
{
    return hash & (set->index_slots - 1);
}

static size_t next_slot(const struct gc_set *set, size_t slot)
{
    return (slot + 1) & (set->index_slots - 1);
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
static size_t slot_of(const struct gc_set *set, struct gc_key key, uint32_t hash)
{
    size_t slot = home_of(set, hash);

    while (set->index[slot] != 0 && (set->index[slot] >> 32 != hash ||
                                     !is_same(key_at(set, position_of(set->index[slot])), key)))
        slot = next_slot(set, slot);
    return slot;
}

/* The index slot of a record that is there. */
static size_t slot_at(const struct gc_set *set, size_t position)
{
    uint32_t hash = hash_of(key_at(set, position));
    size_t slot = home_of(set, hash);

    while (set->index[slot] != mark_of(hash, position))
        slot = next_slot(set, slot);
    return slot;
}

/* The index is zeroed. */
static void fill_index(struct gc_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        uint32_t hash = hash_of(key_at(set, i));
        size_t slot = home_of(set, hash);

        while (set->index[slot] != 0)
            slot = next_slot(set, slot);
        set->index[slot] = mark_of(hash, i);
    }
}

bool gc_set_reserve(struct gc_set *set, size_t count)
{
    size_t capacity = set->capacity == 0 ? FIRST_CAPACITY : set->capacity;
    uint64_t *index;
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
    slot = slot_of(set, key, hash_of(key));
    return set->index[slot] == 0 ? NULL : gc_set_at(set, position_of(set->index[slot]));
}

void gc_set_prefetch(const struct gc_set *set, struct gc_key key)
{
    if (set->index_slots != 0)
        gc_prefetch(&set->index[home_of(set, hash_of(key))]);
}

void *gc_set_add(struct gc_set *set, const void *record)
{
    struct gc_key key;
    void *place;

    if (set->count == set->capacity && !gc_set_reserve(set, set->count + 1))
        return NULL;
    place = memcpy(gc_set_at(set, set->count), record, set->record_bytes);
    key = key_at(set, set->count);
    set->index[slot_of(set, key, hash_of(key))] = mark_of(hash_of(key), set->count);
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
            home = home_of(set, (uint32_t)(set->index[slot] >> 32));
        } while (((slot - home) & mask) < ((slot - hole) & mask));
        set->index[hole] = set->index[slot];
        hole = slot;
    }
}

void gc_set_remove(struct gc_set *set, void *record)
{
    size_t position = (size_t)((char *)record - set->records) / set->record_bytes;
    size_t last = set->count - 1;

    vacate(set, slot_at(set, position));
    if (position != last) {
        size_t slot = slot_at(set, last);

        set->index[slot] = mark_of((uint32_t)(set->index[slot] >> 32), position);
        memcpy(record, gc_set_at(set, last), set->record_bytes);
    }
    set->count--;
}

size_t gc_set_bytes(const struct gc_set *set)
{
    return set->capacity * set->record_bytes + set->index_slots * sizeof *set->index;
}
