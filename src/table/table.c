/* SPDX-License-Identifier: MIT
 *
 * Tables, as the API has them; see layout.h for how entries are kept.
 */
#include "table/layout.h"

static const uint32_t table_refs[] = {offsetof(struct gc_table, places),
                                      offsetof(struct gc_table, pages)};

void gc_table_trace(gc_tracer *tracer, void *slot)
{
    uintptr_t before = gc_load_word(slot);
    uintptr_t now = (uintptr_t)gc_trace_reference(tracer, (void *)before);

    if (now != before)
        gc_store_word(slot, now);
}

static void trace_table(gc_tracer *tracer, void *object)
{
    struct gc_table *table = object;

    gc_table_trace(tracer, &table->places);
    gc_table_trace(tracer, &table->pages);
}

static const gc_type table_types[GC_TABLE_WAYS] = {
    GC_TYPE_STRUCT("table", struct gc_table, table_refs),
    GC_TYPE_TRACED("table", struct gc_table, trace_table)};

static bool is_table(const void *object)
{
    const gc_type *type = gc_header_type(gc_header_of((uintptr_t)object));

    return type >= table_types && type < table_types + GC_TABLE_WAYS;
}

static void check_table(const gc_mutator *mutator, const gc_table *table, const char *function)
{
    gc_check_mutator(mutator, function);
    if (table == NULL)
        gc_misuse(function, "the table is NULL");
    if (!gc_has_header(mutator->heap, table) || !is_table(table))
        gc_misuse(function, "this is not a table of the heap");
    if (__atomic_load_n(&table->caller, __ATOMIC_RELAXED) == mutator)
        gc_misuse(function, "called from a callback of the table, or one was left by longjmp");
}

static bool is_strong(const gc_table *table)
{
    return table->kind == GC_TABLE_STRONG;
}

/* ---- Callbacks ---------------------------------------------------------- */

/* Of two threads that look something up, one may overwrite the other's mark: then
 * misuse is missed, but nothing is taken for it. */
static void set_caller(gc_table *table, const gc_mutator *mutator)
{
    __atomic_store_n(&table->caller, mutator, __ATOMIC_RELAXED);
}

static gc_status hash_key(gc_mutator *mutator, gc_table *table, const void *key, uint64_t *hash)
{
    uint64_t collections = mutator->heap->collector.collections;
    gc_status status = GC_OK;

    if (table->hash == NULL) {
        status = gc_hash(mutator, key, hash);
    } else {
        set_caller(table, mutator);
        *hash = table->hash(mutator, key, table->data) * 0x9e3779b97f4a7c15u;
        *hash ^= *hash >> 32;
        if (collections != mutator->heap->collector.collections)
            gc_misuse("gc_table", "the hash callback collected");
        set_caller(table, NULL);
    }
    return status;
}

bool gc_table_is_equal(gc_mutator *mutator, gc_table *table, const void *a, const void *b)
{
    uint64_t collections = mutator->heap->collector.collections;
    bool equal;

    if (a == b || table->equal == NULL)
        return a == b;
    set_caller(table, mutator);
    equal = table->equal(mutator, a, b, table->data);
    if (collections != mutator->heap->collector.collections)
        gc_misuse("gc_table", "the equality callback collected");
    set_caller(table, NULL);
    return equal;
}

/* ---- Entries ------------------------------------------------------------ */

static size_t find(gc_mutator *mutator, gc_table *table, const void *key, uint64_t hash)
{
    return is_strong(table) ? gc_strong_find(mutator, table, key, hash)
                            : gc_weak_find(mutator, table, key, hash);
}

static bool lay_out(gc_mutator *mutator, gc_table **table, size_t more)
{
    return is_strong(*table) ? gc_strong_lay_out(mutator, table, more)
                             : gc_weak_lay_out(mutator, table, more);
}

static void set(gc_mutator *mutator, gc_table *table, size_t place, void *value)
{
    if (is_strong(table))
        gc_strong_set(mutator, table, place, value);
    else
        gc_weak_set(mutator, table, place, value);
}

static void put(gc_mutator *mutator, const struct gc_table_entry *entry)
{
    entry->table->changes++;
    if (is_strong(entry->table))
        gc_strong_put(mutator, entry);
    else
        gc_weak_put(mutator, entry);
}

/* Whether the next entry can be put without an allocation. */
static bool is_ready(const gc_table *table)
{
    return gc_table_is_roomy(table) && (is_strong(table) || gc_weak_has_page(table));
}

static bool make_ready(gc_mutator *mutator, gc_table **table)
{
    bool done = true;

    while (done && !is_ready(*table))
        done = gc_table_is_roomy(*table) ? gc_weak_open_page(mutator, table)
                                         : lay_out(mutator, table, 1);
    return done;
}

/* A callback on the way may have put the same key. */
static gc_status add(gc_mutator *mutator, struct gc_table_entry entry)
{
    uint32_t changes = entry.table->changes;
    size_t place = GC_NO_PLACE;
    bool done;

    GC_FRAME(mutator, frame, &entry.table, &entry.key, &entry.value);
    gc_frame_own(&frame);
    done = make_ready(mutator, &entry.table);
    gc_frame_pop(mutator, &frame);
    if (!done)
        return GC_NO_MEMORY;
    if (entry.table->changes != changes)
        place = find(mutator, entry.table, entry.key, entry.hash);
    if (place == GC_NO_PLACE)
        put(mutator, &entry);
    else
        set(mutator, entry.table, place, entry.value);
    return GC_OK;
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
    table = gc_alloc(mutator, gc_table_type_for(mutator, table_types));
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
    gc_status status;
    uint64_t hash;
    size_t place;

    check_table(mutator, table, "gc_table_put");
    gc_check_object_quickly(mutator->heap, key, "gc_table_put");
    if (value != NULL)
        gc_check_object_quickly(mutator->heap, value, "gc_table_put");
    else if (table->kind == GC_TABLE_WEAK_VALUES)
        gc_misuse("gc_table_put", "a weak value is NULL");
    status = hash_key(mutator, table, key, &hash);
    if (status != GC_OK)
        return status;
    place = find(mutator, table, key, hash);
    if (place == GC_NO_PLACE)
        return add(mutator, (struct gc_table_entry){table, key, value, hash});
    set(mutator, table, place, value);
    return GC_OK;
}

/* An object that was never hashed is no key of a table by identity. */
static size_t look_up(gc_mutator *mutator, gc_table *table, const void *key, const char *function)
{
    uint64_t hash;

    check_table(mutator, table, function);
    gc_check_object_quickly(mutator->heap, key, function);
    if (table->hash == NULL && !gc_has_hash((uintptr_t)key))
        return GC_NO_PLACE;
    if (hash_key(mutator, table, key, &hash) != GC_OK)
        return GC_NO_PLACE;
    return find(mutator, table, key, hash);
}

bool gc_table_get(gc_mutator *mutator, gc_table *table, const void *key, void **value)
{
    size_t place = look_up(mutator, table, key, "gc_table_get");

    if (place == GC_NO_PLACE)
        return false;
    if (value != NULL)
        *value = is_strong(table) ? gc_strong_value(table, place) : gc_weak_value(table, place);
    return true;
}

bool gc_table_remove(gc_mutator *mutator, gc_table *table, const void *key)
{
    size_t place = look_up(mutator, table, key, "gc_table_remove");

    if (place == GC_NO_PLACE)
        return false;
    if (is_strong(table))
        gc_strong_remove(table, place);
    else
        gc_weak_remove(table, place);
    return true;
}

void gc_table_clear(gc_mutator *mutator, gc_table *table)
{
    check_table(mutator, table, "gc_table_clear");
    if (is_strong(table))
        gc_strong_forget(table);
    else
        gc_weak_forget(table);
    table->places = table->pages = NULL;
    table->next = table->used = table->live = table->dead = 0;
    table->changes++;
}

size_t gc_table_count(gc_mutator *mutator, const gc_table *table)
{
    check_table(mutator, table, "gc_table_count");
    return table->live - table->dead;
}

bool gc_table_next(gc_mutator *mutator, const gc_table *table, size_t *position, void **key,
                   void **value)
{
    void *unwanted;

    check_table(mutator, table, "gc_table_next");
    key = key != NULL ? key : &unwanted;
    value = value != NULL ? value : &unwanted;
    return is_strong(table) ? gc_strong_next(table, position, key, value)
                            : gc_weak_next(table, position, key, value);
}

gc_status gc_table_fit(gc_mutator *mutator, gc_table *table, size_t count)
{
    bool done;

    check_table(mutator, table, "gc_table_fit");
    if (count > SIZE_MAX / 64)
        return GC_NO_MEMORY;
    GC_FRAME(mutator, frame, &table);
    gc_frame_own(&frame);
    done = lay_out(mutator, &table, count);
    gc_frame_pop(mutator, &frame);
    table->changes++;
    return done ? GC_OK : GC_NO_MEMORY;
}
