/* SPDX-License-Identifier: MIT
 *
 * What the program prints on standard output.
 */
#ifndef CONCORDANCE_REPORT_H
#define CONCORDANCE_REPORT_H

#include "reader.h"

/* All words and their counts, by the alphabet of bytes; or the `limit` most
 * frequent ones. Return false without memory. */
bool report_counts(const struct index *index);
bool report_top(const struct index *index, size_t limit);

/* A word's count, and its places by file. */
void report_places(const struct index *index, const char *word);

void report_totals(const struct reader *reader);

/* What the collector did until now. */
void report_heap(const gc_heap *heap);
void report_compaction(const gc_report *report);

#endif
