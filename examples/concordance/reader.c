/* SPDX-License-Identifier: MIT
 *
 * Text in, words out. Files are read by the block and words are put together
 * in malloc's memory, so neither long lines nor long words nor zero bytes are
 * special, and what index_add copies from cannot move.
 */
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double progress_after = 0.5; /* seconds */
static const double progress_every = 0.1;

static double seconds_now(void)
{
    struct timespec now;

    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct reader *reader_make(struct index *index)
{
    struct reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return NULL;
    reader->index = index;
    reader->is_watched = isatty(STDERR_FILENO);
    reader->next_progress = seconds_now() + progress_after;
    return reader;
}

void reader_free(struct reader *reader)
{
    free(reader->word);
    free(reader);
}

/* ---- Progress ----------------------------------------------------------- */

static void show_progress(struct reader *reader)
{
    gc_stats stats = {.size = sizeof stats};
    double now = seconds_now();

    if (now < reader->next_progress)
        return;
    gc_stats_get(gc_mutator_heap(reader->index->mutator), &stats);
    fprintf(stderr, "\r%s: %" PRIu64 " MiB read, %zu words, heap %zu MiB\033[K", reader->path,
            reader->bytes >> 20, reader->index->distinct, stats.committed_bytes >> 20);
    reader->next_progress = now + progress_every;
}

static void clear_progress(const struct reader *reader)
{
    if (reader->is_watched)
        fputs("\r\033[K", stderr);
}

/* ---- Words -------------------------------------------------------------- */

static bool grow_word(struct reader *reader)
{
    size_t room = reader->room == 0 ? 64 : reader->room * 2;
    char *word = room > reader->room ? realloc(reader->word, room) : NULL;

    if (word == NULL)
        return false;
    reader->word = word;
    reader->room = room;
    return true;
}

static bool append_letter(struct reader *reader, unsigned char letter)
{
    if (reader->length == reader->room && !grow_word(reader))
        return false;
    reader->word[reader->length++] = (char)letter;
    return true;
}

static bool end_word(struct reader *reader)
{
    size_t length = reader->length;

    reader->length = 0;
    return length == 0 || index_add(reader->index, reader->word, length, &reader->place);
}

/* One byte of the text. What is no letter ends a word, if there is one. */
static bool take_byte(struct reader *reader, unsigned char byte)
{
    unsigned char letter = word_letter(byte);

    if (letter != 0)
        return append_letter(reader, letter);
    if (!end_word(reader))
        return false;
    if (byte == '\n') {
        reader->lines++;
        reader->place.line++;
    }
    return true;
}

static bool take_block(struct reader *reader, size_t length)
{
    size_t taken = 0;

    while (taken < length && take_byte(reader, (unsigned char)reader->buffer[taken]))
        taken++;
    reader->bytes += taken;
    return taken == length;
}

/* ---- Files -------------------------------------------------------------- */

static enum read_result say_failed(const struct reader *reader, int error)
{
    clear_progress(reader);
    fprintf(stderr, "concordance: %s: %s\n", reader->path, strerror(error));
    return READ_FAILED;
}

static enum read_result say_no_memory(const struct reader *reader)
{
    gc_stats stats = {.size = sizeof stats};

    clear_progress(reader);
    gc_stats_get(gc_mutator_heap(reader->index->mutator), &stats);
    fprintf(stderr,
            "concordance: %s:%" PRIu64 ": out of memory: the heap is limited to %zu bytes "
            "(--heap-max); going on with the %" PRIu64 " words before\n",
            reader->path, reader->place.line, stats.hard_limit, reader->index->words);
    return READ_NO_MEMORY;
}

static enum read_result read_stream(struct reader *reader, FILE *stream)
{
    size_t length;
    int error;

    do {
        length = fread(reader->buffer, 1, sizeof reader->buffer, stream);
        error = errno;
        if (!take_block(reader, length))
            return say_no_memory(reader);
        if (reader->is_watched)
            show_progress(reader);
    } while (length == sizeof reader->buffer);
    if (!end_word(reader))
        return say_no_memory(reader);
    return ferror(stream) ? say_failed(reader, error) : READ_WHOLE;
}

/* The name of the file is rooted here, for as long as it is read; whatever is
 * below reads it from reader->place. After that, words keep it alive. */
static enum read_result read_named(struct reader *reader, FILE *stream)
{
    enum read_result result;
    gc_mutator *mutator = reader->index->mutator;

    reader->place = (struct place){.line = 1};
    GC_FRAME(mutator, frame, &reader->place.file);
    reader->place.file = text_make(mutator, reader->path, strlen(reader->path));
    result = reader->place.file == NULL ? say_no_memory(reader) : read_stream(reader, stream);
    gc_frame_pop(mutator, &frame);
    reader->place.file = NULL;
    clear_progress(reader);
    return result;
}

enum read_result reader_read(struct reader *reader, const char *path)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *stream = is_input ? stdin : fopen(path, "rb");
    enum read_result result;

    reader->path = is_input ? "(standard input)" : path;
    if (stream == NULL)
        return say_failed(reader, errno);
    result = read_named(reader, stream);
    reader->files += result != READ_FAILED;
    if (is_input)
        clearerr(stdin);
    else
        fclose(stream);
    return result;
}
