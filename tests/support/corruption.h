/* SPDX-License-Identifier: MIT
 *
 * Seeded corruptions: a heap that holds something of everything is broken in
 * one place, in a child process, and the verifier must name the place.
 */
#ifndef STRATA_TEST_CORRUPTION_H
#define STRATA_TEST_CORRUPTION_H

#include "support/heap.h"

#include <strata/weak.h>

#include "heap/heap.h"

/* What is in the heap, and what a corruption wants its message to name. */
struct seeded {
    struct world *world;
    struct gc_collector *collector;
    struct gc_tables *tables;

    /* Roots keep them; none moves, for nothing collects any more. */
    struct node *old;        /* gen2; left: old_leaf, right: middle */
    struct node *old_leaf;   /* gen2, pinned; no references */
    struct node *old_other;  /* gen2; left: young; in the mutator's log */
    struct node *middle;     /* gen1, hashed */
    struct node *young;      /* gen0, pinned once */
    struct node *young_too;  /* gen0, right after `young` */
    struct node *list;       /* gen2, with holes */
    void **array;            /* gen2, large; [5]: old_leaf, [1000]: young */
    unsigned char *bytes;    /* gen2, large leaf */
    unsigned char *old_text; /* gen2, small leaf array of three lines */
    unsigned char *text;     /* gen0, small leaf array */
    void **words;            /* gen0, ambiguous */
    void *instance;          /* gen0, of a type made at run time */
    gc_type *type;           /* that type */
    gc_weakref *weakref;     /* gen0, to young */
    gc_weakref *watching;    /* gen0, to middle, with a callback */
    gc_weakref *old_weakref; /* gen2, to old_leaf */
    gc_ephemeron *ephemeron;
    gc_handle *handle;         /* to middle */
    gc_finalizer_id finalizer; /* of old */
    gc_frame *frame;
    struct node *elsewhere; /* an object of another heap */
    struct gc_made_type *foreign_type;

    /* Set by a corruption, for {object}, {target}, {other}, {block} and {start}. */
    uintptr_t object;
    uintptr_t target;
    uintptr_t other;
    uint32_t block;
};

struct corruption {
    const char *name;
    void (*corrupt)(struct seeded *seeded);
    const char *message; /* after "strata: verify: "; with {object} and so on */
    bool has_more;       /* other messages follow from it */
};

/* Seeds a heap in which the verifier finds nothing; then, for each, corrupts
 * and verifies in a child. Fails the test unless each message was said, and,
 * where it has no more, nothing else; and unless there are at least so many. */
void assert_all_found(const struct corruption *corruptions, size_t count, size_t least);

/* ---- For corruptions ---- */

uint32_t block_of(const struct seeded *seeded, const void *object);
/* The message is to name this object, or its block. */
void at(struct seeded *seeded, const void *object);
/* The tables' entry of an object's block, which the message is to name. */
struct gc_block *info_of(struct seeded *seeded, const void *object);
/* A free block of a chunk that is used; the message is to name it. */
uint32_t free_block(struct seeded *seeded);
struct gc_generation *generation(struct seeded *seeded, unsigned i);

#endif
