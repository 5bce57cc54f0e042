/* SPDX-License-Identifier: MIT
 *
 * Open addressing with linear probing over one array of slots, which is
 * scanned by cards when it is large. A slot of a strong table has key and
 * value; that of a weak one has an entry object instead, an ephemeron or a
 * pair, which the collector clears and counts in the table. What is dead stays
 * in its slot until the slots are laid out anew.
 *
 * B1  used counts the slots that are not empty; live those with an entry, dead
 *     or not; dead the entries that the collector cleared.
 * B2  used is at most three quarters of the slots.
 */
#include <strata/table.h>

#include "heap/heap.h"
#include "trace/ephemerons.h"

enum { LEAST_SLOTS = 8, AHEAD = 16 };

struct gc_table {
    size_t dead; /* first: the collector counts here */
    void *slots; /* NULL at first */
    size_t used;
    size_t live;
    gc_table_hash_fn *hash;
    gc_table_equal_fn *equal;
    void *data;
    uint8_t kind;
    bool in_callback;
};

struct slot {
    uint64_t hash; /* with FULL; or EMPTY or REMOVED */
    void *key;     /* or the entry */
    void *value;
};

static const uint64_t EMPTY = 0, REMOVED = 1, FULL = (uint64_t)1 << 63;

static const uint32_t table_refs[] = {offsetof(struct gc_table, slots)};
static const uint32_t slot_refs[] = {offsetof(struct slot, key), offsetof(struct slot, value)};
static const gc_type table_type = GC_TYPE_STRUCT("table", struct gc_table, table_refs);
static const gc_type slots_type = GC_TYPE_ARRAY("table slots", struct slot, slot_refs);

static void check_table(const gc_mutator *mutator, const gc_table *table, const char *function)
{
    gc_check_mutator(mutator, function);
    if (table == NULL)
        gc_misuse(function, "the table is NULL");
    if (!gc_in_range(&mutator->heap->collector.tables, (uintptr_t)table) ||
        gc_header_type(*gc_header((uintptr_t)table)) != &table_type)
        gc_misuse(function, "this is not a table of the heap");
    if (table->in_callback)
        gc_misuse(function, "called from a callback of the table");
}

static struct slot *slots_of(const gc_table *table)
{
    return table->slots;
}

static size_t capacity_of(const gc_table *table)
{
    return table->slots == NULL ? 0 : gc_object_length((uintptr_t)table->slots);
}

/* ---- Slots -------------------------------------------------------------- */

static struct gc_weak_entry *entry_of(const struct slot *slot)
{
    return slot->key;
}

static bool is_live(const gc_table *table, const struct slot *slot)
{
    return (slot->hash & FULL) && (table->kind == GC_TABLE_STRONG || entry_of(slot)->pair.key != 0);
}

static void *key_in(const gc_table *table, const struct slot *slot)
{
    if (table->kind == GC_TABLE_STRONG)
        return slot->key;
    if (table->kind == GC_TABLE_WEAK_VALUES)
        return (void *)entry_of(slot)->pair.value;
    return (void *)entry_of(slot)->pair.key;
}

static void *value_in(const gc_table *table, const struct slot *slot)
{
    if (table->kind == GC_TABLE_STRONG)
        return slot->value;
    if (table->kind == GC_TABLE_WEAK_VALUES)
        return (void *)entry_of(slot)->pair.key;
    return (void *)entry_of(slot)->pair.value;
}

static void set_value(gc_mutator *mutator, const gc_table *table, struct slot *slot, void *value)
{
    struct gc_weak_entry *entry = entry_of(slot);

    if (table->kind == GC_TABLE_STRONG)
        gc_write(mutator, table->slots, &slot->value, value);
    else if (table->kind == GC_TABLE_WEAK_VALUES)
        gc_write(mutator, entry, &entry->pair.key, value);
    else if (table->kind == GC_TABLE_WEAK_KEYS)
        gc_write(mutator, entry, &entry->pair.value, value);
}

/* ---- Callbacks ---------------------------------------------------------- */

static gc_status hash_key(gc_mutator *mutator, gc_table *table, const void *key, uint64_t *hash)
{
    uint64_t collections = mutator->heap->collector.collections;
    gc_status status = GC_OK;

    if (table->hash == NULL) {
        status = gc_hash(mutator, key, hash);
    } else {
        table->in_callback = true;
        *hash = table->hash(mutator, key, table->data) * 0x9e3779b97f4a7c15u;
        *hash ^= *hash >> 32;
        if (collections != mutator->heap->collector.collections)
            gc_misuse("gc_table", "the hash callback collected");
        table->in_callback = false;
    }
    *hash |= FULL;
    return status;
}

static bool is_equal(gc_mutator *mutator, gc_table *table, const void *a, const void *b)
{
    uint64_t collections = mutator->heap->collector.collections;
    bool equal;

    if (a == b || table->equal == NULL)
        return a == b;
    table->in_callback = true;
    equal = table->equal(mutator, a, b, table->data);
    if (collections != mutator->heap->collector.collections)
        gc_misuse("gc_table", "the equality callback collected");
    table->in_callback = false;
    return equal;
}

static struct slot *find(gc_mutator *mutator, gc_table *table, const void *key, uint64_t hash)
{
    size_t mask = capacity_of(table) - 1;
    struct slot *slots = slots_of(table);

    if (slots == NULL)
        return NULL;
    for (size_t i = (size_t)hash & mask; slots[i].hash != EMPTY; i = (i + 1) & mask)
        if (slots[i].hash == hash && is_live(table, &slots[i]) &&
            is_equal(mutator, table, key_in(table, &slots[i]), key))
            return &slots[i];
    return NULL;
}

/* ---- Room --------------------------------------------------------------- */

static struct slot *free_slot(struct slot *slots, size_t mask, uint64_t hash)
{
    size_t i = (size_t)hash & mask;

    while (slots[i].hash & FULL)
        i = (i + 1) & mask;
    return &slots[i];
}

/* The new slots are young, or, if large, scanned whole with their first
 * collection: plain stores do. */
static void move_live(const gc_table *table, struct slot *to, size_t capacity)
{
    const struct slot *from = slots_of(table);
    size_t old = capacity_of(table);

    for (size_t i = 0; i < old; i++) {
        if (table->dead != 0 && i + AHEAD < old)
            gc_prefetch(from[i + AHEAD].key);
        if (table->dead == 0 ? (from[i].hash & FULL) != 0 : is_live(table, &from[i]))
            *free_slot(to, capacity - 1, from[i].hash) = from[i];
    }
}

static bool is_roomy(const gc_table *table, size_t more)
{
    return table->used + more <= capacity_of(table) / 4 * 3;
}

/* Lays the slots out anew: for what lives and `more`, with room to spare. */
static bool lay_out(gc_mutator *mutator, gc_table **table, size_t more)
{
    size_t needed = (*table)->live - (*table)->dead + more, capacity = LEAST_SLOTS;
    void *slots;

    while (capacity / 2 < needed)
        capacity *= 2;
    GC_FRAME(mutator, frame, table);
    slots = gc_alloc_array(mutator, &slots_type, capacity);
    gc_frame_pop(mutator, &frame);
    if (slots == NULL)
        return false;
    move_live(*table, slots, capacity);
    (*table)->live -= (*table)->dead;
    (*table)->used = (*table)->live;
    (*table)->dead = 0;
    gc_write(mutator, *table, &(*table)->slots, slots);
    return true;
}

/* ---- Entries ------------------------------------------------------------ */

static struct gc_weak_entry *make_entry(gc_mutator *mutator, gc_table *table, void *key,
                                        void *value)
{
    bool weak_value = table->kind == GC_TABLE_WEAK_VALUES;
    struct gc_weak_entry *entry;

    GC_FRAME(mutator, frame, &table, &key, &value);
    entry = gc_alloc(mutator, weak_value ? &gc_weak_value_entry_type : &gc_weak_key_entry_type);
    gc_frame_pop(mutator, &frame);
    if (entry == NULL)
        return NULL;
    entry->pair.key = (uintptr_t)(weak_value ? value : key);
    entry->pair.value = (uintptr_t)(weak_value ? key : value);
    if (table->kind == GC_TABLE_WEAK_SET)
        entry->pair.value = 0;
    entry->owner = (uintptr_t)table;
    if (!weak_value)
        gc_ephemerons_expect(&mutator->heap->collector.tracer.ephemerons, 1);
    return entry;
}

static void fill_slot(gc_mutator *mutator, gc_table *table, uint64_t hash, void *key, void *value)
{
    struct slot *slot = free_slot(slots_of(table), capacity_of(table) - 1, hash);

    table->used += slot->hash == EMPTY;
    table->live++;
    slot->hash = hash;
    gc_write(mutator, table->slots, &slot->key, key);
    gc_write(mutator, table->slots, &slot->value, value);
}

static gc_status add(gc_mutator *mutator, gc_table *table, uint64_t hash, void *key, void *value)
{
    gc_status status = GC_NO_MEMORY;
    struct gc_weak_entry *entry;

    GC_FRAME(mutator, frame, &table, &key, &value);
    if (is_roomy(table, 1) || lay_out(mutator, &table, 1)) {
        entry = table->kind == GC_TABLE_STRONG ? NULL : make_entry(mutator, table, key, value);
        if (table->kind == GC_TABLE_STRONG)
            fill_slot(mutator, table, hash, key, value);
        else if (entry != NULL)
            fill_slot(mutator, table, hash, entry, NULL);
        if (table->kind == GC_TABLE_STRONG || entry != NULL)
            status = GC_OK;
    }
    gc_frame_pop(mutator, &frame);
    return status;
}

/* ---- The API ------------------------------------------------------------ */

gc_table *gc_table_create(gc_mutator *mutator, gc_table_kind kind, gc_table_hash_fn *hash,
                          gc_table_equal_fn *equal, void *data)
{
    gc_table *table;

    gc_check_mutator(mutator, "gc_table_create");
    if ((unsigned)kind > GC_TABLE_WEAK_SET)
        gc_misuse("gc_table_create", "there is no such kind of table");
    if ((hash == NULL) != (equal == NULL))
        gc_misuse("gc_table_create", "hash and equal come together");
    table = gc_alloc(mutator, &table_type);
    if (table == NULL)
        return NULL;
    table->kind = (uint8_t)kind;
    table->hash = hash;
    table->equal = equal;
    table->data = data;
    return table;
}

gc_status gc_table_put(gc_mutator *mutator, gc_table *table, void *key, void *value)
{
    struct slot *slot;
    gc_status status;
    uint64_t hash;

    check_table(mutator, table, "gc_table_put");
    gc_check_object_quickly(mutator->heap, key, "gc_table_put");
    if (value != NULL)
        gc_check_object_quickly(mutator->heap, value, "gc_table_put");
    else if (table->kind == GC_TABLE_WEAK_VALUES)
        gc_misuse("gc_table_put", "a weak value is NULL");
    status = hash_key(mutator, table, key, &hash);
    if (status != GC_OK)
        return status;
    slot = find(mutator, table, key, hash);
    if (slot == NULL)
        return add(mutator, table, hash, key, value);
    set_value(mutator, table, slot, value);
    return GC_OK;
}

/* An object that was never hashed is no key of a table by identity. */
static struct slot *look_up(gc_mutator *mutator, gc_table *table, const void *key,
                            const char *function)
{
    uint64_t hash;

    check_table(mutator, table, function);
    gc_check_object_quickly(mutator->heap, key, function);
    if (table->hash == NULL && !(*gc_state_byte((uintptr_t)key) & GC_STATE_HASHED))
        return NULL;
    if (hash_key(mutator, table, key, &hash) != GC_OK)
        return NULL;
    return find(mutator, table, key, hash);
}

bool gc_table_get(gc_mutator *mutator, gc_table *table, const void *key, void **value)
{
    const struct slot *slot = look_up(mutator, table, key, "gc_table_get");

    if (slot == NULL)
        return false;
    if (value != NULL)
        *value = value_in(table, slot);
    return true;
}

/* An entry that is no longer there must not be cleared, and counted, later. */
static void empty_slot(gc_table *table, struct slot *slot)
{
    if (table->kind != GC_TABLE_STRONG)
        entry_of(slot)->pair.key = entry_of(slot)->pair.value = 0;
    *slot = (struct slot){.hash = REMOVED};
    table->live--;
}

bool gc_table_remove(gc_mutator *mutator, gc_table *table, const void *key)
{
    struct slot *slot = look_up(mutator, table, key, "gc_table_remove");

    if (slot == NULL)
        return false;
    empty_slot(table, slot);
    return true;
}

void gc_table_clear(gc_mutator *mutator, gc_table *table)
{
    check_table(mutator, table, "gc_table_clear");
    for (size_t i = 0; i < capacity_of(table); i++)
        if (is_live(table, &slots_of(table)[i]))
            empty_slot(table, &slots_of(table)[i]);
    table->slots = NULL;
    table->used = table->live = table->dead = 0;
}

size_t gc_table_count(gc_mutator *mutator, const gc_table *table)
{
    check_table(mutator, table, "gc_table_count");
    return table->live - table->dead;
}

bool gc_table_next(gc_mutator *mutator, const gc_table *table, size_t *position, void **key,
                   void **value)
{
    check_table(mutator, table, "gc_table_next");
    for (size_t i = *position; i < capacity_of(table); i++) {
        const struct slot *slot = &slots_of(table)[i];

        if (!is_live(table, slot))
            continue;
        *position = i + 1;
        if (key != NULL)
            *key = key_in(table, slot);
        if (value != NULL)
            *value = value_in(table, slot);
        return true;
    }
    *position = capacity_of(table);
    return false;
}

gc_status gc_table_fit(gc_mutator *mutator, gc_table *table, size_t count)
{
    check_table(mutator, table, "gc_table_fit");
    if (count > SIZE_MAX / 64)
        return GC_NO_MEMORY;
    return lay_out(mutator, &table, count) ? GC_OK : GC_NO_MEMORY;
}
