/* SPDX-License-Identifier: MIT
 *
 * Weak tables: see layout.h. Entries apart from the index, dense and in order,
 * are R. Hettinger's compact dictionaries (CPython 3.6); here they keep the
 * collector's work small as well.
 */
#include "table/layout.h"

#include "trace/ephemerons.h"

enum { PAGE_LOG2 = 4, PAGE_ENTRIES = 1 << PAGE_LOG2, AHEAD = 16 };

/* A place of the index: a hash in the upper half; in the lower EMPTY, REMOVED, or
 * a position and FIRST. */
enum { EMPTY = 0, REMOVED = 1, FIRST = 2 };

static const size_t MOST_PLACES = (size_t)1 << 32;

static const gc_type index_type = GC_TYPE_LEAF_ARRAY("weak table index", uint64_t);

static void trace_pages(gc_tracer *tracer, void *object)
{
    void **pages = object;
    size_t length = gc_length(object);

    for (size_t i = 0; i < length; i++)
        gc_table_trace(tracer, &pages[i]);
}

static const gc_type pages_types[GC_TABLE_WAYS] = {GC_TYPE_REFERENCES("weak table pages"),
                                                   {"weak table pages", 0, GC_OUT_OF_LINE, NULL,
                                                    NULL, trace_pages, NULL, 0, 0, sizeof(void *),
                                                    GC_KIND_TRACED, 0, 8, 0}};

static bool is_full(uint64_t place)
{
    return (uint32_t)place >= FIRST;
}

static size_t position_in(uint64_t place)
{
    return (size_t)(uint32_t)place - FIRST;
}

static uint64_t make_place(uint32_t hash, size_t position)
{
    return (uint64_t)hash << 32 | (uint64_t)(position + FIRST);
}

static uint64_t *index_of(const gc_table *table)
{
    return table->places;
}

static struct gc_weak_page *page_of(const gc_table *table, size_t position)
{
    return ((struct gc_weak_page **)table->pages)[position >> PAGE_LOG2];
}

static struct gc_ephemeron *entry_at(const gc_table *table, size_t position)
{
    return &page_of(table, position)->entries[position % PAGE_ENTRIES];
}

static void *key_in(const gc_table *table, const struct gc_ephemeron *entry)
{
    return (void *)(table->kind == GC_TABLE_WEAK_VALUES ? entry->value : entry->key);
}

static void *value_in(const gc_table *table, const struct gc_ephemeron *entry)
{
    return (void *)(table->kind == GC_TABLE_WEAK_VALUES ? entry->key : entry->value);
}

/* ---- Finding ---- */

size_t gc_weak_find(gc_mutator *mutator, gc_table *table, const void *key, uint64_t hash)
{
    size_t mask = gc_table_capacity(table) - 1;
    const uint64_t *index = index_of(table);

    if (index == NULL)
        return GC_NO_PLACE;
    for (size_t i = (uint32_t)hash & mask; index[i] != EMPTY; i = (i + 1) & mask) {
        const struct gc_ephemeron *entry;

        if (index[i] >> 32 != (uint32_t)hash || !is_full(index[i]))
            continue;
        entry = entry_at(table, position_in(index[i]));
        if (entry->key != 0 && gc_table_is_equal(mutator, table, key_in(table, entry), key))
            return i;
    }
    return GC_NO_PLACE;
}

void *gc_weak_value(const gc_table *table, size_t place)
{
    const struct gc_ephemeron *entry = entry_at(table, position_in(index_of(table)[place]));

    return table->kind == GC_TABLE_WEAK_SET ? key_in(table, entry) : value_in(table, entry);
}

void gc_weak_set(gc_mutator *mutator, gc_table *table, size_t place, void *value)
{
    size_t position = position_in(index_of(table)[place]);
    struct gc_ephemeron *entry = entry_at(table, position);

    if (table->kind == GC_TABLE_WEAK_VALUES)
        gc_write(mutator, page_of(table, position), &entry->key, value);
    else if (table->kind == GC_TABLE_WEAK_KEYS)
        gc_write(mutator, page_of(table, position), &entry->value, value);
}

/* ---- Putting ---- */

/* Pages are full, but a small table's only one. */
static size_t page_length(size_t capacity)
{
    return gc_min(capacity / 4 * 3, PAGE_ENTRIES);
}

static size_t pages_for(size_t entries)
{
    return (entries + PAGE_ENTRIES - 1) >> PAGE_LOG2;
}

static struct gc_weak_page *make_page(gc_mutator *mutator, gc_table *const *table, size_t length)
{
    bool weak_values = (*table)->kind == GC_TABLE_WEAK_VALUES;
    const gc_type *type = weak_values ? &gc_weak_value_page_type : &gc_weak_key_page_type;
    struct gc_weak_page *page = gc_alloc_array(mutator, type, length);

    if (page == NULL)
        return NULL;
    page->owner = (uintptr_t)*table;
    if (!weak_values) {
        gc_heap_lock(mutator->heap);
        gc_ephemerons_expect(&mutator->heap->collector.tracer.ephemerons, length);
        gc_heap_unlock(mutator->heap);
    }
    return page;
}

bool gc_weak_has_page(const gc_table *table)
{
    return table->next % PAGE_ENTRIES != 0 || page_of(table, table->next) != NULL;
}

bool gc_weak_open_page(gc_mutator *mutator, gc_table **table)
{
    size_t length = page_length(gc_table_capacity(*table));
    uint32_t changes = (*table)->changes;
    struct gc_weak_page *page = make_page(mutator, table, length), **pages;

    if (page == NULL || (*table)->changes != changes)
        return page != NULL;
    pages = (*table)->pages;
    gc_write(mutator, pages, &pages[(*table)->next >> PAGE_LOG2], page);
    return true;
}

/* Returns whether the place was empty. */
static bool note_in_index(uint64_t *index, size_t mask, uint32_t hash, size_t position)
{
    size_t i = hash & mask;
    bool was_empty;

    while (is_full(index[i]))
        i = (i + 1) & mask;
    was_empty = index[i] == EMPTY;
    index[i] = make_place(hash, position);
    return was_empty;
}

static void fill_entry(gc_mutator *mutator, gc_table *table, size_t position, void *key,
                       void *value)
{
    struct gc_ephemeron *entry = entry_at(table, position);
    struct gc_weak_page *page = page_of(table, position);
    bool weak_values = table->kind == GC_TABLE_WEAK_VALUES;

    gc_write(mutator, page, &entry->key, weak_values ? value : key);
    if (table->kind != GC_TABLE_WEAK_SET)
        gc_write(mutator, page, &entry->value, weak_values ? key : value);
}

void gc_weak_put(gc_mutator *mutator, const struct gc_table_entry *entry)
{
    gc_table *table = entry->table;
    size_t mask = gc_table_capacity(table) - 1;

    fill_entry(mutator, table, table->next, entry->key, entry->value);
    table->used += note_in_index(index_of(table), mask, (uint32_t)entry->hash, table->next);
    table->live++;
    table->next++;
}

/* ---- Laying out anew ---- */

/* What is made before anything changes. */
struct layout {
    uint64_t *index;
    struct gc_weak_page **pages;
};

/* Whether entries go to new pages: if some are dead or were removed, or if the
 * only page is short. */
static bool shall_move(const gc_table *table)
{
    return table->next != table->live - table->dead || table->next < PAGE_ENTRIES;
}

static bool make_pages(gc_mutator *mutator, gc_table *const *table, const struct layout *layout,
                       size_t entries)
{
    size_t length = page_length(gc_object_length((uintptr_t)layout->index));

    for (size_t i = 0; i < pages_for(entries); i++) {
        struct gc_weak_page *page = make_page(mutator, table, length);

        if (page == NULL)
            return false;
        gc_write(mutator, layout->pages, &layout->pages[i], page);
    }
    return true;
}

/* Entries that die meanwhile leave what was made larger than need be. */
static bool make_layout(gc_mutator *mutator, gc_table *const *table, struct layout *layout,
                        size_t capacity)
{
    size_t room = pages_for(capacity / 4 * 3), moved = (*table)->live - (*table)->dead;

    layout->index = gc_alloc_array(mutator, &index_type, capacity);
    if (layout->index == NULL)
        return false;
    layout->pages = gc_alloc_array(mutator, gc_table_type_for(mutator, pages_types), room);
    if (layout->pages == NULL)
        return false;
    return !shall_move(*table) || make_pages(mutator, table, layout, moved);
}

/* Entries stay where they are, those too that died just now. */
static void index_anew(gc_mutator *mutator, gc_table *table, const struct layout *layout,
                       size_t capacity)
{
    const uint64_t *old = index_of(table);
    size_t count = gc_table_capacity(table);

    for (size_t i = 0; i < count; i++)
        if (is_full(old[i]))
            note_in_index(layout->index, capacity - 1, (uint32_t)(old[i] >> 32),
                          position_in(old[i]));
    gc_copy(mutator, layout->pages, layout->pages, table->pages, pages_for(table->next));
}

/* An entry's place in the new pages; its old one is zeroed (T3). */
static void move_entry(gc_mutator *mutator, struct gc_weak_page *to, size_t position,
                       struct gc_ephemeron *from)
{
    struct gc_ephemeron *entry = &to->entries[position % PAGE_ENTRIES];

    gc_write(mutator, to, &entry->key, (void *)from->key);
    gc_write(mutator, to, &entry->value, (void *)from->value);
    from->key = from->value = 0;
}

static void prefetch_entry(const gc_table *table, uint64_t place)
{
    if (is_full(place))
        gc_prefetch(entry_at(table, position_in(place)));
}

static size_t move_live(gc_mutator *mutator, const gc_table *table, const struct layout *layout,
                        size_t capacity)
{
    const uint64_t *old = index_of(table);
    size_t count = gc_table_capacity(table), moved = 0;

    for (size_t i = 0; i < count; i++) {
        struct gc_ephemeron *entry;

        if (i + AHEAD < count)
            prefetch_entry(table, old[i + AHEAD]);
        if (!is_full(old[i]))
            continue;
        entry = entry_at(table, position_in(old[i]));
        if (entry->key == 0)
            continue;
        move_entry(mutator, layout->pages[moved >> PAGE_LOG2], moved, entry);
        note_in_index(layout->index, capacity - 1, (uint32_t)(old[i] >> 32), moved);
        moved++;
    }
    return moved;
}

static void take_layout(gc_mutator *mutator, gc_table *table, const struct layout *layout,
                        size_t capacity)
{
    if (shall_move(table)) {
        table->next = table->live = move_live(mutator, table, layout, capacity);
        table->dead = 0;
    } else {
        index_anew(mutator, table, layout, capacity);
    }
    table->used = table->live;
    gc_write(mutator, table, &table->places, layout->index);
    gc_write(mutator, table, &table->pages, layout->pages);
}

bool gc_weak_lay_out(gc_mutator *mutator, gc_table **table, size_t more)
{
    struct layout layout = {NULL, NULL};
    size_t capacity;
    uint32_t changes;
    bool made;

    GC_FRAME(mutator, frame, &layout.index, &layout.pages);
    gc_frame_own(&frame);
    do {
        changes = (*table)->changes;
        capacity = gc_table_fitting(*table, more);
        made = capacity <= MOST_PLACES && make_layout(mutator, table, &layout, capacity);
    } while (made && (*table)->changes != changes);
    gc_frame_pop(mutator, &frame);
    if (made)
        take_layout(mutator, *table, &layout, capacity);
    return made;
}

/* ---- Removing, walking ---- */

void gc_weak_remove(gc_table *table, size_t place)
{
    struct gc_ephemeron *entry = entry_at(table, position_in(index_of(table)[place]));

    entry->key = entry->value = 0;
    index_of(table)[place] = REMOVED;
    table->live--;
}

void gc_weak_forget(const gc_table *table)
{
    for (size_t i = 0; i < table->next; i++)
        entry_at(table, i)->key = entry_at(table, i)->value = 0;
}

bool gc_weak_next(const gc_table *table, size_t *position, void **key, void **value)
{
    for (size_t i = *position; i < table->next; i++) {
        const struct gc_ephemeron *entry = entry_at(table, i);

        if (entry->key == 0)
            continue;
        *position = i + 1;
        *key = key_in(table, entry);
        *value = value_in(table, entry);
        return true;
    }
    *position = gc_max(*position, table->next);
    return false;
}
