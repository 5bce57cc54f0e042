/* SPDX-License-Identifier: MIT
 *
 * More for the tests of whole heaps: a recount of the heap by walking it,
 * chance that can be repeated, and measures of the process.
 */
#ifndef STRATA_TEST_GRAPH_H
#define STRATA_TEST_GRAPH_H

#include <stdbool.h>

#include "support/heap.h"

#include <strata/fork.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* Exact stacks, limit 1 GiB, no checks but the verifier in world_end: for
 * tests that fill much memory or count collections. `nursery` in bytes; 0
 * leaves it to adapt. */
gc_options plain_options(size_t nursery);

/* A world with these options. */
struct world *make_plain(size_t nursery);

/* A world with exact stacks and a limit of 256 MiB, where nothing collects but
 * what the settings ask for: its nursery is 64 MiB. */
struct world *make_stressed(const char *settings);

/* One of those under stress=quarantine, which collected once, at its first
 * safepoint, and does not again unless it is asked to. */
struct world *make_quarantined(void);

/* Frees the world after the verifier found nothing and no two objects shared
 * memory. */
void world_end(struct world *world);

/* Everything that is alive goes to gen2. */
void make_old(struct world *world);

/* Collections of all generations since the heap was made. */
uint64_t collections_of(const gc_heap *heap);

/* Allocates what dies at once until `count` more collections have run. */
void run_collections(struct world *world, uint64_t count);

/* ---- Recounts ----------------------------------------------------------- */

/* Bytes that an object takes in the heap: payload, header, length word. */
size_t bytes_of(const void *object);

/* The whole heap as gc_heap_visit shows it. */
struct recount {
    size_t objects[GC_FROZEN + 1];
    size_t bytes[GC_FROZEN + 1];
    size_t all_objects;
    size_t all_bytes;
};

struct recount recount(gc_mutator *mutator);

/* How many neighbouring objects share memory: none, in a sound heap. */
size_t count_overlaps(gc_mutator *mutator);

/* ---- Chance ------------------------------------------------------------- */

/* The next of a sequence that `state` (never 0) determines. */
uint64_t next_random(uint64_t *state);

/* ---- The process -------------------------------------------------------- */

/* `count`, or a part of it where the run is slowed. */
size_t scaled(size_t count);

size_t resident_bytes(void);

struct mappings {
    size_t count;
    size_t bytes;
};

struct mappings count_mappings(void);

uint64_t now_ns(void);

#endif
