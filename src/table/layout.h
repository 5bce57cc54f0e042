/* SPDX-License-Identifier: MIT
 *
 * How a table keeps its entries: two layouts behind one set of operations, each
 * of open addressing with linear probing.
 *
 * A strong table has an array of slots (strong.c): hash, key and value. It is
 * scanned by cards when it is large.
 *
 * A weak one (weak.c) has its entries, ephemerons or pairs, in pages in the order
 * in which they were put, and an index of words without references: half of a
 * hash, and a position. So the collector moves and scans pages of sixteen, not
 * single entries, and the index not at all. It clears entries in place, and
 * counts them in the table.
 *
 * T1  used counts the places that are not empty; live those with an entry, dead
 *     or not; dead the entries that the collector cleared.
 * T2  used is at most three quarters of the capacity.
 * T3  An entry that the table gave up is zeroed: no collection counts it, and what was
 *     its array keeps nothing alive, be it older than what is collected, or frozen.
 *
 * An allocation may run finalizers, or the limit's callback, which may change the
 * table for which it is made: what allocates looks at `changes`, and begins anew.
 */
#ifndef STRATA_TABLE_LAYOUT_H
#define STRATA_TABLE_LAYOUT_H

#include <strata/table.h>

#include "heap/heap.h"

struct gc_table {
    size_t dead;  /* first: the collector counts here */
    void *places; /* slots, or the index; NULL at first */
    void *pages;  /* of a weak table: references to them */
    size_t next;  /* of a weak table: position of the next new entry */
    size_t used;
    size_t live;
    gc_table_hash_fn *hash;
    gc_table_equal_fn *equal;
    void *data;
    uint32_t changes; /* by puts, gc_table_fit and gc_table_clear */
    uint8_t kind;
    const gc_mutator *caller; /* of a callback, to know misuse by; atomic: readers share it */
};

enum { GC_TABLE_LEAST_PLACES = 8 };

/* Tables refer to what they are made of by untagged words. Where the heap's tags do
 * not take these for references, callbacks report them: of types that have one of
 * each kind, the one for this heap. */
enum { GC_TABLE_BY_SLOTS, GC_TABLE_BY_CALLBACK, GC_TABLE_WAYS };

static inline const gc_type *gc_table_type_for(const gc_mutator *mutator,
                                               const gc_type types[GC_TABLE_WAYS])
{
    bool by_slots = mutator->heap->options.reference_tags & 1;

    return &types[by_slots ? GC_TABLE_BY_SLOTS : GC_TABLE_BY_CALLBACK];
}

/* Reports what one of these words refers to. */
void gc_table_trace(gc_tracer *tracer, void *slot);

static const size_t GC_NO_PLACE = SIZE_MAX;

/* An entry to be put. Rooted by whoever makes it. */
struct gc_table_entry {
    gc_table *table;
    void *key;
    void *value;
    uint64_t hash;
};

static inline size_t gc_table_capacity(const gc_table *table)
{
    return table->places == NULL ? 0 : gc_object_length((uintptr_t)table->places);
}

/* A weak table's positions are not used twice, so they may run out first. */
static inline bool gc_table_is_roomy(const gc_table *table)
{
    return gc_max(table->used, table->next) < gc_table_capacity(table) / 4 * 3;
}

/* The capacity for what lives and `more`, with room to spare. */
static inline size_t gc_table_fitting(const gc_table *table, size_t more)
{
    size_t needed = table->live - table->dead + more, capacity = GC_TABLE_LEAST_PLACES;

    while (capacity / 2 < needed)
        capacity *= 2;
    return capacity;
}

/* Asks the embedder, or compares identities (table.c). */
bool gc_table_is_equal(gc_mutator *mutator, gc_table *table, const void *a, const void *b);

/* For each layout. `find` returns a place, or GC_NO_PLACE. `put` puts a new entry
 * into a table that is ready for it. `lay_out` makes room for `more`, and drops
 * what is dead; without memory it returns false and the table is as it was. It
 * may collect, and move what the caller has rooted. `next` goes on from a
 * position. */
size_t gc_strong_find(gc_mutator *mutator, gc_table *table, const void *key, uint64_t hash);
void *gc_strong_value(const gc_table *table, size_t place);
void gc_strong_set(gc_mutator *mutator, gc_table *table, size_t place, void *value);
void gc_strong_put(gc_mutator *mutator, const struct gc_table_entry *entry);
bool gc_strong_lay_out(gc_mutator *mutator, gc_table **table, size_t more);
void gc_strong_remove(gc_table *table, size_t place);
void gc_strong_forget(const gc_table *table); /* T3, for all entries */
bool gc_strong_next(const gc_table *table, size_t *position, void **key, void **value);

size_t gc_weak_find(gc_mutator *mutator, gc_table *table, const void *key, uint64_t hash);
void *gc_weak_value(const gc_table *table, size_t place);
void gc_weak_set(gc_mutator *mutator, gc_table *table, size_t place, void *value);
void gc_weak_put(gc_mutator *mutator, const struct gc_table_entry *entry);
bool gc_weak_lay_out(gc_mutator *mutator, gc_table **table, size_t more);
void gc_weak_remove(gc_table *table, size_t place);
void gc_weak_forget(const gc_table *table); /* T3, for all entries */

/* Whether a roomy table has the page of its next entry; makes it, if nothing has
 * changed meanwhile. As `lay_out`. */
bool gc_weak_has_page(const gc_table *table);
bool gc_weak_open_page(gc_mutator *mutator, gc_table **table);
bool gc_weak_next(const gc_table *table, size_t *position, void **key, void **value);

#endif
