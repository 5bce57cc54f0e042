/* SPDX-License-Identifier: MIT
 *
 * A set of records found by a key of two words: a dense array that can be
 * walked, and an index into it by open addressing (linear probing, deletion by
 * shifting back: Knuth, volume 3, section 6.4, algorithm R). Adding may fail
 * for want of memory, unless room was reserved; all else cannot.
 */
#ifndef STRATA_SET_H
#define STRATA_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gc_key {
    uintptr_t first;
    uintptr_t second;
};

struct gc_set {
    char *records;   /* each begins with its key */
    uint64_t *index; /* of a hash in the upper half, and position + 1; or 0 */
    size_t record_bytes;
    size_t count;
    size_t capacity;    /* of records */
    size_t index_slots; /* a power of two, at least twice the capacity; or 0 */
};

void gc_set_create(struct gc_set *set, size_t record_bytes);
void gc_set_destroy(struct gc_set *set);

/* Makes room for `count` records in all. */
bool gc_set_reserve(struct gc_set *set, size_t count);

/* The record with this key, or NULL. */
void *gc_set_find(const struct gc_set *set, struct gc_key key);

/* Adds a copy of `record`, whose key the set does not hold yet; returns where
 * it is until the next change, or NULL without memory. */
void *gc_set_add(struct gc_set *set, const void *record);

/* Fetches what finding, adding or removing a record with this key will look at. */
void gc_set_prefetch(const struct gc_set *set, struct gc_key key);

/* Removes a record of the set; the last one takes its place. */
void gc_set_remove(struct gc_set *set, void *record);

void *gc_set_at(const struct gc_set *set, size_t position);

size_t gc_set_bytes(const struct gc_set *set);

#endif
