/* SPDX-License-Identifier: MIT
 *
 * concordance: an index of every word of some texts, in a Strata heap.
 * The options are in `usage` below; README.md tells more. What concerns the
 * collector is in index.c, the heap's making and end in this file.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATUS_GOOD = 0,
    STATUS_TROUBLE = 1, /* a file was not read, or memory gave out */
    STATUS_USAGE = 2
};

static const char usage[] =
    "usage: concordance [OPTION]... [FILE]...\n"
    "Indexes the words of each FILE, or of standard input if there is none (or it is -).\n"
    "A word is a run of letters: A to Z, in either case, and every byte from 128 on.\n"
    "\n"
    "  --query WORD      print WORD's count, and FILE:LINE,LINE... (may be repeated)\n"
    "  --top N           print the N most frequent words\n"
    "  --counts          print every word with its count\n"
    "  --stop WORD       delete WORD from the index before that (may be repeated)\n"
    "  --drop-below N    delete words that occur less than N times\n"
    "  --heap-max SIZE   bound the heap (bytes; or with suffix K, M or G)\n"
    "  --exact           do not scan the C stack: exact roots only, all objects move\n"
    "  --compact         compact the heap before the report on it\n"
    "  --quiet           print only what other options ask for\n"
    "  --help            print this\n"
    "\n"
    "Exit status: 0 if all went well; 1 if a file could not be read or memory gave out\n"
    "(what was read is answered for); 2 for a mistake in the options.\n";

struct settings {
    const char **paths;
    const char **queries;
    const char **stops;
    size_t path_count;
    size_t query_count;
    size_t stop_count;
    size_t top;
    uint64_t drop_below;
    size_t heap_max;
    bool has_counts;
    bool is_exact;
    bool is_compacting;
    bool is_quiet;
};

/* ---- Options ------------------------------------------------------------ */

static _Noreturn void refuse(const char *option, const char *value, const char *why)
{
    fprintf(stderr, "concordance: %s%s%s: %s\n", option, value == NULL ? "" : " ",
            value == NULL ? "" : value, why);
    fputs("concordance --help tells the options\n", stderr);
    exit(STATUS_USAGE);
}

/* A positive number, at most `most`; *end is what follows it. */
static uint64_t parse_number(const char *option, const char *value, uint64_t most, char **end)
{
    unsigned long long number;

    if (value == NULL)
        refuse(option, NULL, "needs a value");
    if (*value < '0' || *value > '9')
        refuse(option, value, "not a number");
    errno = 0;
    number = strtoull(value, end, 10);
    if (number == 0)
        refuse(option, value, "must be 1 at least");
    if (errno == ERANGE || number > most)
        refuse(option, value, "too large");
    return number;
}

static uint64_t parse_count(const char *option, const char *value)
{
    char *end;
    uint64_t number = parse_number(option, value, SIZE_MAX, &end);

    if (*end != '\0')
        refuse(option, value, "not a number");
    return number;
}

static size_t parse_size(const char *option, const char *value)
{
    static const char suffixes[] = "KMG";
    char *end;
    uint64_t number = parse_number(option, value, SIZE_MAX, &end);
    const char *suffix = *end == '\0' ? NULL : strchr(suffixes, *end);
    unsigned shift = suffix == NULL ? 0 : 10 * (unsigned)(suffix - suffixes + 1);

    if (*end != '\0' && (suffix == NULL || end[1] != '\0'))
        refuse(option, value, "not a size: a number, and K, M or G perhaps");
    if (number > SIZE_MAX >> shift)
        refuse(option, value, "too large");
    return (size_t)number << shift;
}

/* Folds `word` to lower case where it stands. */
static const char *parse_word(const char *option, char *word)
{
    if (word == NULL || *word == '\0')
        refuse(option, NULL, "needs a word");
    for (char *byte = word; *byte != '\0'; byte++) {
        unsigned char letter = word_letter((unsigned char)*byte);

        if (letter == 0)
            refuse(option, word, "not a word: only letters are part of one");
        *byte = (char)letter;
    }
    return word;
}

/* Options without a value. Returns whether `option` is one. */
static bool take_switch(struct settings *settings, const char *option)
{
    if (strcmp(option, "--counts") == 0)
        settings->has_counts = true;
    else if (strcmp(option, "--exact") == 0)
        settings->is_exact = true;
    else if (strcmp(option, "--compact") == 0)
        settings->is_compacting = true;
    else if (strcmp(option, "--quiet") == 0)
        settings->is_quiet = true;
    else
        return false;
    return true;
}

/* Options with a value, which is NULL at the end of the command line. */
static bool take_valued(struct settings *settings, const char *option, char *value)
{
    if (strcmp(option, "--query") == 0)
        settings->queries[settings->query_count++] = parse_word(option, value);
    else if (strcmp(option, "--stop") == 0)
        settings->stops[settings->stop_count++] = parse_word(option, value);
    else if (strcmp(option, "--top") == 0)
        settings->top = parse_count(option, value);
    else if (strcmp(option, "--drop-below") == 0)
        settings->drop_below = parse_count(option, value);
    else if (strcmp(option, "--heap-max") == 0)
        settings->heap_max = parse_size(option, value);
    else
        return false;
    return true;
}

/* "--name=value", or "--name" and the next argument. */
static void take_option(struct settings *settings, int *at, char **arguments)
{
    char *option = arguments[*at], *equals = strchr(option, '=');
    char *value = equals == NULL ? arguments[*at + 1] : equals + 1;

    if (equals != NULL)
        *equals = '\0';
    if (equals != NULL && take_switch(settings, option))
        refuse(option, NULL, "takes no value");
    if (!take_valued(settings, option, value))
        refuse(option, NULL, "no such option");
    *at += equals == NULL;
}

static void take_argument(struct settings *settings, int *at, char **arguments)
{
    char *argument = arguments[*at];

    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        fputs(usage, stdout);
        exit(fflush(stdout) == 0 ? STATUS_GOOD : STATUS_TROUBLE);
    }
    if (argument[0] != '-' || strcmp(argument, "-") == 0)
        settings->paths[settings->path_count++] = argument;
    else if (!take_switch(settings, argument))
        take_option(settings, at, arguments);
}

/* An array of `count` strings at least. */
static const char **list_make(int count)
{
    const char **list = calloc((size_t)count + 1, sizeof *list);

    if (list == NULL) {
        fputs("concordance: out of memory\n", stderr);
        exit(STATUS_TROUBLE);
    }
    return list;
}

static void settings_read(struct settings *settings, int count, char **arguments)
{
    int at = 1;

    *settings = (struct settings){
        .paths = list_make(count), .queries = list_make(count), .stops = list_make(count)};
    for (; at < count && strcmp(arguments[at], "--") != 0; at++)
        take_argument(settings, &at, arguments);
    for (at++; at < count; at++)
        settings->paths[settings->path_count++] = arguments[at];
    if (settings->path_count == 0)
        settings->paths[settings->path_count++] = "-";
}

static void settings_release(struct settings *settings)
{
    free(settings->paths);
    free(settings->queries);
    free(settings->stops);
}

/* ---- The work ----------------------------------------------------------- */

/* Reads all that can be read: a bad file does not stop it, lack of memory
 * does. */
static int read_all(struct reader *reader, const struct settings *settings)
{
    int status = STATUS_GOOD;

    for (size_t i = 0; i < settings->path_count; i++) {
        enum read_result result = reader_read(reader, settings->paths[i]);

        if (result != READ_WHOLE)
            status = STATUS_TROUBLE;
        if (result == READ_NO_MEMORY)
            break;
    }
    return status;
}

static void delete_words(struct index *index, const struct settings *settings)
{
    size_t deleted = 0;

    for (size_t i = 0; i < settings->stop_count; i++)
        deleted += index_remove(index, settings->stops[i]);
    if (settings->drop_below != 0)
        deleted += index_remove_rare(index, settings->drop_below);
    if (!settings->is_quiet && (settings->stop_count != 0 || settings->drop_below != 0))
        printf("deleted    %zu\nkept       %zu\n", deleted, index->distinct);
}

static int answer(const struct index *index, const struct settings *settings)
{
    int status = STATUS_GOOD;

    if (settings->has_counts && !report_counts(index))
        status = STATUS_TROUBLE;
    if (settings->top != 0 && !report_top(index, settings->top))
        status = STATUS_TROUBLE;
    for (size_t i = 0; i < settings->query_count; i++)
        report_places(index, settings->queries[i]);
    return status;
}

static void tell_of_heap(gc_mutator *mutator, const struct settings *settings)
{
    gc_report report = {.size = sizeof report};

    if (settings->is_compacting) {
        gc_compact(mutator, &report);
        report_compaction(&report);
    }
    if (!settings->is_quiet)
        report_heap(gc_mutator_heap(mutator));
}

static int run_with_index(struct index *index, const struct settings *settings)
{
    struct reader *reader = reader_make(index);
    int status, answered;

    if (reader == NULL) {
        fputs("concordance: out of memory\n", stderr);
        return STATUS_TROUBLE;
    }
    status = read_all(reader, settings);
    if (!settings->is_quiet)
        report_totals(reader);
    reader_free(reader);
    delete_words(index, settings);
    answered = answer(index, settings);
    tell_of_heap(index->mutator, settings);
    return status == STATUS_GOOD ? answered : status;
}

static int run_with_mutator(gc_mutator *mutator, const struct settings *settings)
{
    struct index index;
    int status;

    if (!index_open(&index, mutator)) {
        fputs("concordance: out of memory: --heap-max leaves no room for an index\n", stderr);
        return STATUS_TROUBLE;
    }
    status = run_with_index(&index, settings);
    index_close(&index);
    return status;
}

/* A heap's life: options, heap, this thread as its mutator; and back. */
static int run(const struct settings *settings)
{
    gc_options options;
    gc_heap *heap;
    gc_mutator *mutator;
    gc_status status;
    int result = STATUS_TROUBLE;

    gc_options_init(&options);
    options.hard_limit = settings->heap_max;
    options.stacks = settings->is_exact ? GC_STACKS_EXACT : GC_STACKS_AMBIGUOUS;
    status = gc_heap_create(&options, &heap);
    if (status != GC_OK) {
        const char *why = gc_options_explain(&options);

        fprintf(stderr, "concordance: no heap can be made: %s%s%s\n", gc_status_name(status),
                *why == '\0' ? "" : ": ", why);
        return status == GC_BAD_OPTION ? STATUS_USAGE : STATUS_TROUBLE;
    }
    status = gc_mutator_attach(heap, &mutator);
    if (status == GC_OK) {
        result = run_with_mutator(mutator, settings);
        gc_mutator_detach(mutator);
    } else {
        fprintf(stderr, "concordance: no mutator: %s\n", gc_status_name(status));
    }
    gc_heap_destroy(heap);
    return result;
}

int main(int count, char **arguments)
{
    struct settings settings;
    int status;

    settings_read(&settings, count, arguments);
    status = run(&settings);
    settings_release(&settings);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "concordance: standard output: %s\n", strerror(errno));
        status = STATUS_TROUBLE;
    }
    return status;
}
