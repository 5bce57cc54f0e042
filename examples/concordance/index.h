/* SPDX-License-Identifier: MIT
 *
 * The index of a concordance: every word with its places, all of it in a
 * Strata heap.
 *
 *     struct index          in C memory; `directory` is a registered root
 *       directory           references to segments
 *         segment           references to the first entry of each bucket
 *           entry ----------> next entry of the bucket
 *             word          a string: leaf data
 *             first, last --> run --> run --> run, in the order of reading
 *                             file   a string: leaf data
 *                             lines  numbers: leaf data
 *
 * No part is large, so none is ever copied as a whole: the table grows by a
 * bucket at a time (linear hashing: W. Litwin, 1980), its memory by a segment
 * of buckets, and a word that is everywhere by a run of lines. That is what
 * lets an index be built under a limit little above its own size.
 */
#ifndef CONCORDANCE_INDEX_H
#define CONCORDANCE_INDEX_H

#include <strata/gc.h>

/* Lines of one file on which a word stands: `first`, then `used` more in
 * `lines`, as distances from it (which fit 32 bits in a file of any size).
 * `lines` is NULL as long as there are none: most words of a text are rare. */
struct run {
    struct run *next;
    char *file;
    uint32_t *lines; /* an array that doubles; gc_length knows how long it is */
    uint64_t first;
    uint32_t used;
};

struct entry {
    struct entry *next;
    char *word; /* ends with a zero byte */
    struct run *first;
    struct run *last;
    uint64_t count; /* occurrences; several may stand on a line */
    uint64_t hash;
};

struct index {
    gc_mutator *mutator;
    struct entry ***directory;
    size_t buckets;
    size_t distinct; /* entries in the table */
    uint64_t words;  /* occurrences of those */
};

/* Where a word was read. `file` is a reference: whoever has a place roots it. */
struct place {
    char *file;
    uint64_t line;
};

/* The letter that `byte` stands for in a word, lower case; 0 if it ends one. */
unsigned char word_letter(unsigned char byte);

/* Makes an empty index. Returns false without memory.
 * Owner  the caller, until index_close. The struct must not move: the
 *        collector has noted where `directory` is. */
bool index_open(struct index *index, gc_mutator *mutator);
void index_close(struct index *index);

/* A string in the heap with the `length` bytes at `bytes`, which lie outside
 * it; NULL without memory. GC: may collect. */
char *text_make(gc_mutator *mutator, const char *bytes, size_t length);

/* Notes that a word, of `length` letters, was read at `place`.
 *
 * Returns  false if there is no memory for it; the index is as it was.
 * Owner    the caller roots place->file, and keeps `word` outside the heap.
 * GC       may collect.
 */
bool index_add(struct index *index, const char *word, size_t length, const struct place *place);

/* These return NULL if the word is not there, and how many entries they took
 * out. GC: never collects. */
struct entry *index_find(const struct index *index, const char *word);
size_t index_remove(struct index *index, const char *word);
size_t index_remove_rare(struct index *index, uint64_t minimum);

/* Writes all entries, index->distinct of them, to `entries`, in no order.
 * GC: never collects. */
void index_list(const struct index *index, struct entry **entries);

#endif
