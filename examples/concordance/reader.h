/* SPDX-License-Identifier: MIT
 *
 * Reads texts into an index.
 */
#ifndef CONCORDANCE_READER_H
#define CONCORDANCE_READER_H

#include "index.h"

enum { READ_BYTES = 64 * 1024 };

/* The sums of what was read, as `wc -lc` counts, and where reading is. In
 * malloc's memory, for the collector searches the C stack for references, and
 * a text on it would cost time at every collection. */
struct reader {
    struct index *index;
    uint64_t files;
    uint64_t lines;
    uint64_t bytes;
    struct place place;
    char *word; /* malloc's: the word that is being read, and its room */
    size_t length;
    size_t room;
    const char *path;
    bool is_watched;      /* standard error is a terminal */
    double next_progress; /* seconds */
    char buffer[READ_BYTES];
};

enum read_result {
    READ_WHOLE,
    READ_FAILED,   /* the file; another may do */
    READ_NO_MEMORY /* the index is good, and ends at reader->place */
};

/* Makes a reader into `index`, which outlives it; NULL without memory. */
struct reader *reader_make(struct index *index);
void reader_free(struct reader *reader);

/* Indexes the file at `path`, or standard input if it is "-". Says on standard
 * error what went wrong. GC: may collect. */
enum read_result reader_read(struct reader *reader, const char *path);

#endif
