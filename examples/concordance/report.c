/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sorted words ------------------------------------------------------- */

/* The references to all entries, in malloc's memory: a range of exact roots,
 * which a collection would keep alive and update. The heap's limit is not
 * touched, so words can be listed when the heap is full. */
struct roster {
    gc_heap *heap;
    struct entry **entries;
    size_t count;
};

static bool roster_make(struct roster *roster, const struct index *index)
{
    roster->heap = gc_mutator_heap(index->mutator);
    roster->count = index->distinct;
    roster->entries = calloc(roster->count + 1, sizeof(struct entry *));
    if (roster->entries == NULL)
        return false;
    index_list(index, roster->entries);
    if (gc_root_range_add(roster->heap, roster->entries, roster->count + 1, GC_EXACT) == GC_OK)
        return true;
    free(roster->entries);
    return false;
}

static void roster_release(struct roster *roster)
{
    gc_root_range_remove(roster->heap, roster->entries);
    free(roster->entries);
}

static const struct entry *entry_at(const void *element)
{
    struct entry *const *entry = element;

    return *entry;
}

/* qsort keeps entries where no collection sees them: what it calls must not
 * allocate, and these do not. */
static int by_word(const void *a, const void *b)
{
    return strcmp(entry_at(a)->word, entry_at(b)->word);
}

static int by_count(const void *a, const void *b)
{
    uint64_t count_a = entry_at(a)->count, count_b = entry_at(b)->count;

    return count_a == count_b ? by_word(a, b) : count_a < count_b ? 1 : -1;
}

static bool print_sorted(const struct index *index, int (*order)(const void *, const void *),
                         size_t limit)
{
    struct roster roster;

    if (!roster_make(&roster, index)) {
        fputs("concordance: out of memory: the words cannot be sorted\n", stderr);
        return false;
    }
    qsort(roster.entries, roster.count, sizeof(struct entry *), order);
    for (size_t i = 0; i < roster.count && i < limit; i++)
        printf("%" PRIu64 " %s\n", roster.entries[i]->count, roster.entries[i]->word);
    roster_release(&roster);
    return true;
}

bool report_counts(const struct index *index)
{
    return print_sorted(index, by_word, SIZE_MAX);
}

bool report_top(const struct index *index, size_t limit)
{
    return print_sorted(index, by_count, limit);
}

/* ---- Places ------------------------------------------------------------- */

/* A file's lines may fill several runs; they print as one list. */
static void print_run(const struct run *run, const char *file)
{
    if (file == run->file)
        printf(",%" PRIu64, run->first);
    else
        printf("%s  %s:%" PRIu64, file == NULL ? "" : "\n", run->file, run->first);
    for (uint32_t i = 0; i < run->used; i++)
        printf(",%" PRIu64, run->first + run->lines[i]);
}

void report_places(const struct index *index, const char *word)
{
    const struct entry *entry = index_find(index, word);
    const char *file = NULL;

    if (entry == NULL) {
        printf("%s: not in the index\n", word);
        return;
    }
    printf("%s: %" PRIu64 "\n", word, entry->count);
    for (const struct run *run = entry->first; run != NULL; run = run->next) {
        print_run(run, file);
        file = run->file;
    }
    putchar('\n');
}

/* ---- Totals ------------------------------------------------------------- */

void report_totals(const struct reader *reader)
{
    printf("files      %" PRIu64 "\n", reader->files);
    printf("bytes      %" PRIu64 "\n", reader->bytes);
    printf("lines      %" PRIu64 "\n", reader->lines);
    printf("words      %" PRIu64 "\n", reader->index->words);
    printf("distinct   %zu\n", reader->index->distinct);
}

static double milliseconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / 1e6;
}

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* The time within which 99 of 100 pauses ended: the upper end of the bucket of
 * the histogram in which the 99th is. */
static uint64_t most_pauses_ns(const gc_generation_stats *generation)
{
    uint64_t seen = 0, wanted = generation->collections - generation->collections / 100;

    for (unsigned i = 0; i < GC_PAUSE_BUCKETS; i++) {
        seen += generation->pauses[i];
        if (seen >= wanted && seen != 0) {
            uint64_t end = (uint64_t)2 << i;

            return end < generation->pause_max_ns ? end : generation->pause_max_ns;
        }
    }
    return 0;
}

static void print_generation(unsigned number, const gc_generation_stats *generation)
{
    printf("gen%u  %11" PRIu64 "  %9.2f  %9.3f  %9.3f  %13.1f  %12.1f\n", number,
           generation->collections, milliseconds(generation->pause_total_ns),
           milliseconds(generation->pause_max_ns), milliseconds(most_pauses_ns(generation)),
           mebibytes(generation->survived_bytes), mebibytes(generation->promoted_in_place_bytes));
}

void report_heap(const gc_heap *heap)
{
    gc_stats stats = {.size = sizeof stats};

    if (gc_stats_get(heap, &stats) != GC_OK)
        return;
    puts("      collections   total ms     max ms     99% ms   survived MiB  in place MiB");
    for (unsigned i = 0; i < GC_GENERATIONS; i++)
        print_generation(i, &stats.generations[i]);
    printf("allocated  %.1f MiB in all\n", mebibytes(stats.allocated_bytes));
    printf("moved      %.1f MiB in all\n", mebibytes(stats.moved_bytes));
    printf("nursery    %.1f MiB\n", mebibytes(stats.nursery_bytes));
    printf("live       %zu bytes, estimated\n", stats.live_bytes);
    printf("committed  %zu bytes, %zu of them the collector's own\n", stats.committed_bytes,
           stats.metadata_bytes);
    printf("limit      %zu bytes\n", stats.hard_limit);
}

void report_compaction(const gc_report *report)
{
    printf("compacted  %zu bytes live in %zu objects, %zu reclaimed, %zu moved, %.2f ms\n",
           report->survived_bytes, report->survived_objects, report->reclaimed_bytes,
           report->moved_bytes, milliseconds(report->pause_ns));
}
