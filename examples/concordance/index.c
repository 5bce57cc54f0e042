/* SPDX-License-Identifier: MIT
 *
 * How to write against the collector, in one file. Three rules make it right
 * with exact stacks, under which everything moves:
 *
 * 1. A function that allocates, or calls one that does, roots by a GC_FRAME
 *    every reference that it uses afterwards: its parameters too. Then it
 *    reads the variable again, never a copy.
 * 2. A reference is stored with gc_write, into everything but an object just
 *    allocated.
 * 3. What may fail comes first, what changes the index last: without memory
 *    the index is as it was, and what was made for it is garbage.
 *
 * Functions that allocate nothing use plain pointers: nothing can move.
 */
#include "index.h"

#include <string.h>

enum {
    SEGMENT_BUCKETS = 512, /* 4 KiB of references */
    DIRECTORY_MIN = 8,     /* segments */
    LINES_MIN = 2,
    LINES_MAX = 1024 /* in a run; then another begins */
};

/* The layouts. A type says where an object's references are, no more. */
static const uint32_t entry_references[] = {
    offsetof(struct entry, next),
    offsetof(struct entry, word),
    offsetof(struct entry, first),
    offsetof(struct entry, last),
};
static const uint32_t run_references[] = {
    offsetof(struct run, next),
    offsetof(struct run, file),
    offsetof(struct run, lines),
};
static const gc_type entry_type = GC_TYPE_STRUCT("entry", struct entry, entry_references);
static const gc_type run_type = GC_TYPE_STRUCT("run", struct run, run_references);
static const gc_type text_type = GC_TYPE_LEAF_ARRAY("text", char);
static const gc_type lines_type = GC_TYPE_LEAF_ARRAY("lines", uint32_t);
static const gc_type segment_type = GC_TYPE_REFERENCES("segment");
static const gc_type directory_type = GC_TYPE_REFERENCES("directory");

/* ---- Words -------------------------------------------------------------- */

unsigned char word_letter(unsigned char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (unsigned char)(byte - 'A' + 'a');
    return (byte >= 'a' && byte <= 'z') || byte >= 0x80 ? byte : 0;
}

/* FNV-1a. */
static uint64_t hash_of(const char *word, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)word[i]) * 0x100000001b3;
    return hash;
}

/* The zero byte at the end is there from the beginning: objects are zeroed. */
char *text_make(gc_mutator *mutator, const char *bytes, size_t length)
{
    char *text = gc_alloc_array(mutator, &text_type, length + 1);

    if (text != NULL)
        memcpy(text, bytes, length);
    return text;
}

/* ---- The table ---------------------------------------------------------- */

/* Buckets from the last power of two on split those at the same distance from
 * 0; where the hash leads to a bucket not made yet, one bit less of it tells
 * which bucket has the entries still. */
static size_t bucket_of(const struct index *index, uint64_t hash)
{
    size_t low = ((size_t)1 << (63 - __builtin_clzll(index->buckets))) - 1;
    size_t bucket = hash & (low * 2 + 1);

    return bucket < index->buckets ? bucket : bucket & low;
}

static struct entry **segment_of(const struct index *index, size_t bucket)
{
    return index->directory[bucket / SEGMENT_BUCKETS];
}

static struct entry *first_of(const struct index *index, size_t bucket)
{
    return segment_of(index, bucket)[bucket % SEGMENT_BUCKETS];
}

static void first_set(struct index *index, size_t bucket, struct entry *entry)
{
    struct entry **segment = segment_of(index, bucket);

    gc_write(index->mutator, segment, &segment[bucket % SEGMENT_BUCKETS], entry);
}

static void link_entry(struct index *index, struct entry *entry)
{
    size_t bucket = bucket_of(index, entry->hash);

    gc_write(index->mutator, entry, &entry->next, first_of(index, bucket));
    first_set(index, bucket, entry);
}

static struct entry *find(const struct index *index, const char *word, uint64_t hash)
{
    struct entry *entry = first_of(index, bucket_of(index, hash));

    while (entry != NULL && (entry->hash != hash || strcmp(entry->word, word) != 0))
        entry = entry->next;
    return entry;
}

/* ---- Its growth --------------------------------------------------------- */

static bool grow_directory(struct index *index)
{
    size_t length = gc_length(index->directory);
    struct entry ***larger = gc_alloc_array(index->mutator, &directory_type, length * 2);

    if (larger == NULL)
        return false;
    gc_copy(index->mutator, larger, larger, index->directory, length);
    index->directory = larger; /* a root, not an object: a plain store */
    return true;
}

/* Makes the segment in which the next bucket lies. The directory is rooted, so
 * it is read again after the allocation, which may have moved it. */
static bool add_segment(struct index *index)
{
    size_t at = index->buckets / SEGMENT_BUCKETS;
    struct entry **segment;

    if (at == gc_length(index->directory) && !grow_directory(index))
        return false;
    segment = gc_alloc_array(index->mutator, &segment_type, SEGMENT_BUCKETS);
    if (segment == NULL)
        return false;
    gc_write(index->mutator, index->directory, &index->directory[at], segment);
    return true;
}

/* Deals the entries of a bucket out again, to it and to the one that splits
 * it. Nothing is allocated meanwhile, so nothing moves under `entry`. */
static void split(struct index *index, size_t bucket)
{
    struct entry *next, *entry = first_of(index, bucket);

    first_set(index, bucket, NULL);
    for (; entry != NULL; entry = next) {
        next = entry->next;
        link_entry(index, entry);
    }
}

static bool add_bucket(struct index *index)
{
    uint64_t added = index->buckets;

    if (added % SEGMENT_BUCKETS == 0 && !add_segment(index))
        return false;
    index->buckets++;
    split(index, added - ((uint64_t)1 << (63 - __builtin_clzll(added))));
    return true;
}

static bool insert(struct index *index, struct entry *entry)
{
    bool done;

    GC_FRAME(index->mutator, frame, &entry);
    done = index->distinct < index->buckets || add_bucket(index);
    if (done) {
        link_entry(index, entry);
        index->distinct++;
    }
    gc_frame_pop(index->mutator, &frame);
    return done;
}

/* ---- Places of a word --------------------------------------------------- */

static size_t room_of(const struct run *run)
{
    return run->lines == NULL ? 0 : gc_length(run->lines);
}

static uint64_t last_line(const struct run *run)
{
    return run->used == 0 ? run->first : run->first + run->lines[run->used - 1];
}

static bool takes_line(const struct run *run, const struct place *place)
{
    return run != NULL && run->file == place->file && run->used < LINES_MAX &&
           place->line - run->first <= UINT32_MAX;
}

/* The shorter array is garbage now, and old: an array that lived to be full
 * has seen many collections. */
static bool grow_lines(gc_mutator *mutator, struct run *run)
{
    size_t room = room_of(run);
    uint32_t *lines;

    GC_FRAME(mutator, frame, &run);
    lines = gc_alloc_array(mutator, &lines_type, room == 0 ? LINES_MIN : room * 2);
    if (lines != NULL) {
        if (room != 0)
            memcpy(lines, run->lines, room * sizeof *lines);
        gc_write(mutator, run, &run->lines, lines);
    }
    gc_frame_pop(mutator, &frame);
    return lines != NULL;
}

static bool append_line(gc_mutator *mutator, struct run *run, uint64_t line)
{
    bool done;

    GC_FRAME(mutator, frame, &run);
    done = run->used < room_of(run) || grow_lines(mutator, run);
    if (done)
        run->lines[run->used++] = (uint32_t)(line - run->first);
    gc_frame_pop(mutator, &frame);
    return done;
}

static void link_run(gc_mutator *mutator, struct entry *entry, struct run *run)
{
    if (entry->last == NULL)
        gc_write(mutator, entry, &entry->first, run);
    else
        gc_write(mutator, entry->last, &entry->last->next, run);
    gc_write(mutator, entry, &entry->last, run);
}

static bool begin_run(gc_mutator *mutator, struct entry *entry, const struct place *place)
{
    struct run *run;

    GC_FRAME(mutator, frame, &entry);
    run = gc_alloc(mutator, &run_type);
    if (run != NULL) {
        run->file = place->file; /* newborn: a plain store will do */
        run->first = place->line;
        link_run(mutator, entry, run);
    }
    gc_frame_pop(mutator, &frame);
    return run != NULL;
}

/* A line is noted once, however often the word stands on it. */
static bool note_place(gc_mutator *mutator, struct entry *entry, const struct place *place)
{
    struct run *run = entry->last;

    if (run != NULL && run->file == place->file && last_line(run) == place->line)
        return true;
    if (takes_line(run, place))
        return append_line(mutator, run, place->line);
    return begin_run(mutator, entry, place);
}

/* ---- Adding ------------------------------------------------------------- */

/* The word's entry, or one that is not in the table yet: its count is 0.
 *
 * The word becomes a string first, as in most languages that have a collector.
 * Nearly always it is known already, and the string is garbage a moment after
 * its birth: what a nursery is for. */
static struct entry *find_or_make(struct index *index, const char *word, size_t length)
{
    uint64_t hash = hash_of(word, length);
    char *text = text_make(index->mutator, word, length);
    struct entry *entry;

    if (text == NULL)
        return NULL;
    entry = find(index, text, hash);
    if (entry != NULL)
        return entry;

    GC_FRAME(index->mutator, frame, &text);
    entry = gc_alloc(index->mutator, &entry_type);
    if (entry != NULL) {
        entry->word = text;
        entry->hash = hash;
    }
    gc_frame_pop(index->mutator, &frame);
    return entry;
}

bool index_add(struct index *index, const char *word, size_t length, const struct place *place)
{
    struct entry *entry = find_or_make(index, word, length);
    bool done;

    if (entry == NULL)
        return false;
    GC_FRAME(index->mutator, frame, &entry);
    done = note_place(index->mutator, entry, place) && (entry->count != 0 || insert(index, entry));
    if (done) {
        entry->count++;
        index->words++;
    }
    gc_frame_pop(index->mutator, &frame);
    return done;
}

/* ---- Asking and removing ------------------------------------------------ */

struct entry *index_find(const struct index *index, const char *word)
{
    return find(index, word, hash_of(word, strlen(word)));
}

/* Nothing is freed: what the entry alone reached is garbage from here on.
 * `before` is the entry's predecessor in the bucket, or NULL. */
static void unlink_entry(struct index *index, struct entry *before, struct entry *entry)
{
    if (before == NULL)
        first_set(index, bucket_of(index, entry->hash), entry->next);
    else
        gc_write(index->mutator, before, &before->next, entry->next);
    index->distinct--;
    index->words -= entry->count;
}

size_t index_remove(struct index *index, const char *word)
{
    struct entry *doomed = index_find(index, word);
    struct entry *before = NULL;

    if (doomed == NULL)
        return 0;
    for (struct entry *entry = first_of(index, bucket_of(index, doomed->hash)); entry != doomed;
         entry = entry->next)
        before = entry;
    unlink_entry(index, before, doomed);
    return 1;
}

size_t index_remove_rare(struct index *index, uint64_t minimum)
{
    size_t distinct = index->distinct;

    for (size_t bucket = 0; bucket < index->buckets; bucket++) {
        struct entry *before = NULL;

        for (struct entry *entry = first_of(index, bucket); entry != NULL; entry = entry->next) {
            if (entry->count < minimum)
                unlink_entry(index, before, entry);
            else
                before = entry;
        }
    }
    return distinct - index->distinct;
}

void index_list(const struct index *index, struct entry **entries)
{
    for (size_t bucket = 0; bucket < index->buckets; bucket++)
        for (struct entry *entry = first_of(index, bucket); entry != NULL; entry = entry->next)
            *entries++ = entry;
}

/* ---- Opening and closing ------------------------------------------------ */

/* The order matters: the slot is a root before there is anything to lose. */
bool index_open(struct index *index, gc_mutator *mutator)
{
    *index = (struct index){.mutator = mutator};
    if (gc_root_add(gc_mutator_heap(mutator), &index->directory) != GC_OK)
        return false;
    index->directory = gc_alloc_array(mutator, &directory_type, DIRECTORY_MIN);
    if (index->directory == NULL || !add_segment(index)) {
        index_close(index);
        return false;
    }
    index->buckets = SEGMENT_BUCKETS;
    return true;
}

void index_close(struct index *index)
{
    gc_root_remove(gc_mutator_heap(index->mutator), &index->directory);
    index->directory = NULL;
}
