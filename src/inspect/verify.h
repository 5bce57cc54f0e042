/* SPDX-License-Identifier: MIT
 *
 * The verifier: looks at the whole heap between phases and says, for each
 * fault, what and where. It changes nothing but the starts that a parse adds.
 *
 * It goes from what everything rests on to what rests on it: blocks and their
 * lists; where objects stand; what they refer to; what is noted about them
 * elsewhere. Where one of these is broken, the next cannot be looked at.
 */
#ifndef STRATA_VERIFY_H
#define STRATA_VERIFY_H

#include "heap/heap.h"

enum { GC_VERIFY_HEAPS = 64 };

struct gc_verifier {
    struct gc_collector *collector;
    struct gc_tables *tables;
    struct gc_set logged;     /* keys: holders that the log holds */
    struct gc_set remembered; /* keys: holders that the old set holds */
    struct gc_set frozen;     /* ... that the frozen set holds */
    struct gc_set weakrefs;   /* keys: weak references in a list */
    size_t bytes[GC_AGES];    /* recounted, but for what was born in gen2 */
    size_t objects[GC_AGES];
    size_t large_bytes[GC_AGES];
    size_t births_bytes;
    size_t pinned, pinned_once, hashed; /* objects whose state bytes say so */
    size_t faults;
    bool sets_known; /* the sets could be built */
    struct gc_heap_range others[GC_VERIFY_HEAPS];
    size_t other_count;
    /* The object at hand. */
    uintptr_t object;
    const gc_type *type;
};

/* Prints a fault of the object at hand, and counts it. */
void gc_fault_object(struct gc_verifier *verifier, const char *what);
/* ... of one of its fields, or of a root if there is no object at hand. */
void gc_fault_slot(struct gc_verifier *verifier, uintptr_t slot, uintptr_t target,
                   const char *what);
/* ... of a block. */
void gc_fault_block(struct gc_verifier *verifier, uint32_t block, const char *what);
/* ... of the heap as such. */
void gc_fault_heap(struct gc_verifier *verifier, const char *what);
/* ... of what is noted about an object elsewhere: "pin of ...". */
void gc_fault_note(struct gc_verifier *verifier, const char *note, uintptr_t object,
                   const char *what);

/* ---- The parts ---- */

void gc_verify_blocks(struct gc_verifier *verifier); /* tables of blocks, chunks */
void gc_verify_lists(struct gc_verifier *verifier);  /* of generations, holes; runs */
void gc_verify_layout(struct gc_verifier *verifier); /* headers, extents, starts, lines */
void gc_verify_objects(struct gc_verifier *verifier);
void gc_verify_sets(struct gc_verifier *verifier); /* logs, attachments */
void gc_verify_weak(struct gc_verifier *verifier); /* weak references, calls, types */
void gc_verify_roots(struct gc_verifier *verifier);

/* All of it; returns the number of faults. */
size_t gc_verify_heap(struct gc_collector *collector);

/* What holds at a boundary inside a collection; returns the number of faults. */
size_t gc_verify_boundary(struct gc_collector *collector, enum gc_phase phase);

/* ---- For all parts ---- */

/* No edge waits for a trace: neither its own, nor those of a team between two of its
 * phases (J1). Only its stack may, where it says so. */
void gc_verify_no_edges(struct gc_verifier *verifier, bool stack_may_hold_pinned);

typedef void gc_verify_object_fn(uintptr_t object, void *verifier);

/* Calls `visit` for each object of the heap. */
void gc_verify_each(struct gc_verifier *verifier, gc_verify_object_fn *visit);

/* A word that shall be a reference to an object, or to nothing of any heap: in
 * the object at hand, or a root. */
void gc_verify_edge(struct gc_verifier *verifier, uintptr_t slot, uintptr_t word);

static inline bool gc_verify_is_in(const struct gc_set *set, uintptr_t object)
{
    return gc_set_find(set, (struct gc_key){object, 0}) != NULL;
}

/* Whether no collection has visited it since it was born in gen2 (S4). */
static inline bool gc_verify_is_birth(const struct gc_verifier *verifier, uintptr_t object)
{
    const struct gc_tables *tables = verifier->tables;

    return tables->blocks[gc_block_of(tables, object)].born &&
           tables->lines[gc_line_of(tables, object - GC_HEADER_BYTES)] == 0;
}

static inline unsigned gc_verify_generation(const struct gc_verifier *verifier, uintptr_t object)
{
    return verifier->tables->blocks[gc_block_of(verifier->tables, object)].generation;
}

#endif
