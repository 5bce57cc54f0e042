/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier) */

#include "graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

gc_options plain_options(size_t nursery)
{
    gc_options options;

    gc_options_init(&options);
    options.stacks = GC_STACKS_EXACT;
    options.hard_limit = 1024 * MIB;
    options.nursery_min = nursery;
    options.nursery_max = nursery;
    return options;
}

struct world *make_plain(size_t nursery)
{
    gc_options options = plain_options(nursery);

    return world_make(&options);
}

struct world *make_stressed(const char *settings)
{
    gc_options options = plain_options(64 * MIB);

    options.hard_limit = 256 * MIB;
    options.settings = settings;
    return world_make(&options);
}

struct world *make_quarantined(void)
{
    struct world *world = make_stressed("stress=quarantine,stress-every=1000000000");

    gc_safepoint(world->mutator);
    assert_int_equal(collections_of(world->heap), 1);
    return world;
}

void world_end(struct world *world)
{
    assert_int_equal(gc_verify(world->mutator), 0);
    assert_int_equal(count_overlaps(world->mutator), 0);
    world_free(world);
}

void make_old(struct world *world)
{
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
}

uint64_t collections_of(const gc_heap *heap)
{
    gc_stats stats = stats_of(heap);
    uint64_t sum = 0;

    for (unsigned g = 0; g < GC_GENERATIONS; g++)
        sum += stats.generations[g].collections;
    return sum;
}

void run_collections(struct world *world, uint64_t count)
{
    uint64_t until = collections_of(world->heap) + count;

    while (collections_of(world->heap) < until)
        make_node(world->mutator, 0);
}

/* ---- Recounts ----------------------------------------------------------- */

size_t bytes_of(const void *object)
{
    size_t length_word = gc_type_of(object)->element_size != 0 ? sizeof(uint64_t) : 0;

    return GC_OBJECT_BYTES(gc_size_of(object)) + length_word;
}

struct counting {
    gc_mutator *mutator;
    struct recount sum;
};

static void count_object(void *object, void *data)
{
    struct counting *counting = data;
    unsigned generation = gc_generation_of(counting->mutator, object);
    size_t bytes = bytes_of(object);

    counting->sum.objects[generation]++;
    counting->sum.bytes[generation] += bytes;
    counting->sum.all_objects++;
    counting->sum.all_bytes += bytes;
}

struct recount recount(gc_mutator *mutator)
{
    struct counting counting = {mutator, {{0}, {0}, 0, 0}};

    gc_heap_visit(mutator, count_object, &counting);
    return counting.sum;
}

struct extent {
    uintptr_t from;
    uintptr_t to;
};

struct extents {
    struct extent *of;
    size_t count;
};

static void note_extent(void *object, void *data)
{
    struct extents *extents = data;
    struct extent *extent = &extents->of[extents->count++];
    uintptr_t length_word = gc_type_of(object)->element_size != 0 ? sizeof(uint64_t) : 0;

    extent->from = (uintptr_t)object - GC_HEADER_BYTES - length_word;
    extent->to = extent->from + bytes_of(object);
}

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a;
    const struct extent *y = b;

    return (x->from > y->from) - (x->from < y->from);
}

size_t count_overlaps(gc_mutator *mutator)
{
    size_t objects = recount(mutator).all_objects;
    struct extents extents = {calloc(objects + 1, sizeof(struct extent)), 0};
    size_t overlaps = 0;

    assert_non_null(extents.of);
    gc_heap_visit(mutator, note_extent, &extents);
    assert_int_equal(extents.count, objects);
    qsort(extents.of, extents.count, sizeof(struct extent), compare_extents);
    for (size_t i = 1; i < extents.count; i++)
        overlaps += extents.of[i].from < extents.of[i - 1].to;
    free(extents.of);
    return overlaps;
}

/* ---- Chance ------------------------------------------------------------- */

/* Marsaglia's xorshift, with Vigna's multiplication at the end. */
uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* ---- The process -------------------------------------------------------- */

size_t scaled(size_t count)
{
    return is_slowed() ? count / 16 + 1 : count;
}

size_t resident_bytes(void)
{
    unsigned long pages = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &pages, &resident), 2);
    (void)fclose(file);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

struct mappings count_mappings(void)
{
    struct mappings found = {0, 0};
    unsigned long from;
    unsigned long to;
    char line[512];
    FILE *file = fopen("/proc/self/maps", "r");

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        /* malloc's arena grows and shrinks as it pleases. */
        if (strstr(line, "[heap]") != NULL || sscanf(line, "%lx-%lx ", &from, &to) != 2)
            continue;
        found.count++;
        found.bytes += to - from;
    }
    (void)fclose(file);
    return found;
}

uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
