/* SPDX-License-Identifier: MIT
 *
 * Tables from objects to objects, strong or weak. All keys are objects of the
 * heap, those that are looked up too, and so are values, or NULL; else it is
 * misuse. See <strata/gc.h> for how to read the comments.
 */
#ifndef STRATA_TABLE_H
#define STRATA_TABLE_H

#include <strata/gc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A table is an object of the heap: a gc_table * is a reference, and moves. */
typedef struct gc_table gc_table;

typedef enum gc_table_kind {
    GC_TABLE_STRONG = 0,  /* keeps keys and values */
    GC_TABLE_WEAK_KEYS,   /* keeps a value while its key lives; values may refer to their keys */
    GC_TABLE_WEAK_VALUES, /* keeps a key while its value lives */
    GC_TABLE_WEAK_SET     /* keeps nothing; has keys only */
} gc_table_kind;

/* How keys compare; without them, by identity. What a key hashes to must not
 * change. They call nothing that may collect, and no function of this table:
 * misuse, where it is seen. They return: who leaves one by longjmp cannot use the
 * table any more. */
typedef uint64_t gc_table_hash_fn(gc_mutator *mutator, const void *key, void *data);
typedef bool gc_table_equal_fn(gc_mutator *mutator, const void *a, const void *b, void *data);

/* Makes an empty table. `hash` and `equal` are both given, or both NULL.
 *
 * Returns  the table, or NULL without memory.
 * Owner    the heap. `data` is the embedder's, and outlives the table.
 * GC       may collect; may move what is not pinned.
 * Thread   the mutator's own; so for all of this header. Threads may read a table
 *          (get, count, next) at once; one that changes it keeps all others out.
 */
STRATA_API gc_table *gc_table_create(gc_mutator *mutator, gc_table_kind kind,
                                     gc_table_hash_fn *hash, gc_table_equal_fn *equal, void *data);

/* Sets the value of `key`; NULL is a value, but in a table of weak values
 * misuse. In a set `value` is ignored.
 *
 * Returns  GC_OK; GC_NO_MEMORY: the table is as it was.
 * GC       may collect; may move what is not pinned, the arguments too. */
STRATA_API gc_status gc_table_put(gc_mutator *mutator, gc_table *table, void *key, void *value);

/* Whether `key`, or one that is equal, is there; `value` (may be NULL) is set if
 * so, in a set to the member. GC never collects. */
STRATA_API bool gc_table_get(gc_mutator *mutator, gc_table *table, const void *key, void **value);

/* Whether it was there. GC never collects. */
STRATA_API bool gc_table_remove(gc_mutator *mutator, gc_table *table, const void *key);
STRATA_API void gc_table_clear(gc_mutator *mutator, gc_table *table);

/* How many entries live: exact, and O(1). GC never collects. */
STRATA_API size_t gc_table_count(gc_mutator *mutator, const gc_table *table);

/* The next live entry from *position, which begins at 0; false when there is
 * none. Between two calls entries may die, be set and be removed, and
 * collections may run: every entry that lives throughout is met once. If
 * something is added meanwhile, the table may be laid out anew, and entries
 * may be missed or met twice. `key` and `value` may be NULL. GC never collects. */
STRATA_API bool gc_table_next(gc_mutator *mutator, const gc_table *table, size_t *position,
                              void **key, void **value);

/* Drops what is dead, and gives room back, or makes it, for `count` more
 * entries; gc_table_put does so by itself when it needs room. GC may collect. */
STRATA_API gc_status gc_table_fit(gc_mutator *mutator, gc_table *table, size_t count);

#ifdef __cplusplus
}
#endif

#endif
