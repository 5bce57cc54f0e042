/* SPDX-License-Identifier: MIT
 *
 * The layer between the workloads and what subjects offer that depends on
 * whether an object is alive: finalizers, and tables with weak keys. malloc has
 * neither. bdwgc has finalizers and disappearing links, of which the program
 * must make its own table; its values would keep their keys alive if they
 * referred to them, so no workload's do.
 */
#ifndef BENCH_WEAK_H
#define BENCH_WEAK_H

#include "bench.h"

typedef void weak_finalizer(void *object);

/* ---- Strata ------------------------------------------------------------- */

#if defined SUBJECT_STRATA

#include <strata/table.h>
#include <strata/weak.h>

static weak_finalizer *weak_run; /* one for the whole program */

static inline void weak_call(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)data;
    weak_run(object);
}

/* Calls `run` once with `object`, after it has died, from weak_run_finalizers. */
static inline void weak_finalize(subject *s, void *object, weak_finalizer *run)
{
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = weak_call};

    weak_run = run;
    if (gc_finalizer_add(s, object, &finalizer, NULL) != GC_OK)
        subject_no_memory();
}

static inline void weak_run_finalizers(subject *s)
{
    gc_finalizers_run(s, 0);
}

typedef gc_table weak_table;

static inline weak_table *weak_table_new(subject *s)
{
    return subject_need(gc_table_create(s, GC_TABLE_WEAK_KEYS, NULL, NULL, NULL));
}

static inline void weak_table_put(subject *s, weak_table *table, void *key, void *value)
{
    if (gc_table_put(s, table, key, value) != GC_OK)
        subject_no_memory();
}

/* NULL if the key is not there. */
static inline void *weak_table_get(subject *s, weak_table *table, const void *key)
{
    void *value = NULL;

    return gc_table_get(s, table, key, &value) ? value : NULL;
}

/* ---- Boehm-Demers-Weiser ------------------------------------------------- */

#elif defined SUBJECT_BDWGC

static weak_finalizer *weak_run;

static void weak_call(void *object, void *data)
{
    (void)data;
    weak_run(object);
}

/* In no order, as Strata's: in the collector's usual order, what refers to
 * itself would never be finalized. */
static inline void weak_finalize(subject *s, void *object, weak_finalizer *run)
{
    (void)s;
    weak_run = run;
    GC_set_finalize_on_demand(1);
    GC_REGISTER_FINALIZER_NO_ORDER(object, weak_call, NULL, NULL, NULL);
}

static inline void weak_run_finalizers(subject *s)
{
    (void)s;
    GC_invoke_finalizers();
}

typedef struct weak_entry {
    struct weak_entry *next;
    GC_hidden_pointer key; /* a disappearing link: 0 when the key is gone */
    void *value;
} weak_entry;

typedef struct weak_table {
    weak_entry **buckets;
    size_t count, log2;
} weak_table;

static inline weak_entry **weak_bucket(weak_table *table, GC_hidden_pointer key)
{
    return &table->buckets[((~key >> 4) * 0x9e3779b97f4a7c15u) >> (64 - table->log2)];
}

static inline weak_table *weak_table_new(subject *s)
{
    weak_table *table = subject_need(GC_MALLOC(sizeof *table));

    table->log2 = 4;
    table->buckets = new_references(s, (size_t)1 << table->log2);
    return table;
}

/* Twice the buckets, unless enough of the entries turn out to be dead. */
static inline void weak_table_grow(subject *s, weak_table *table)
{
    weak_entry **old = table->buckets, *live = NULL, *next;
    size_t length = (size_t)1 << table->log2;

    table->count = 0;
    for (size_t i = 0; i < length; i++)
        for (weak_entry *at = old[i]; at != NULL; at = next) {
            next = at->next;
            if (at->key == 0)
                continue;
            at->next = live;
            live = at;
            table->count++;
        }
    if (table->count > length / 2)
        table->log2++;
    table->buckets = new_references(s, (size_t)1 << table->log2);
    for (; live != NULL; live = next) {
        weak_entry **bucket = weak_bucket(table, live->key);

        next = live->next;
        live->next = *bucket;
        *bucket = live;
    }
}

/* The key is new, in all that the workloads do. */
static inline void weak_table_put(subject *s, weak_table *table, void *key, void *value)
{
    weak_entry *entry = subject_need(GC_MALLOC(sizeof *entry)), **bucket;

    if (table->count >= (size_t)1 << table->log2)
        weak_table_grow(s, table);
    entry->key = GC_HIDE_POINTER(key);
    entry->value = value;
    bucket = weak_bucket(table, entry->key);
    entry->next = *bucket;
    *bucket = entry;
    table->count++;
    if (GC_GENERAL_REGISTER_DISAPPEARING_LINK((void **)&entry->key, key) != GC_SUCCESS)
        subject_no_memory();
}

static inline void *weak_table_get(subject *s, weak_table *table, const void *key)
{
    GC_hidden_pointer hidden = GC_HIDE_POINTER(key);
    weak_entry *at = *weak_bucket(table, hidden);

    (void)s;
    while (at != NULL && at->key != hidden)
        at = at->next;
    return at == NULL ? NULL : at->value;
}

#else
#error "this subject has nothing weak"
#endif

#endif
