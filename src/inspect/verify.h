/* SPDX-License-Identifier: MIT
 *
 * The verifier: looks at the whole heap between phases and says, for each
 * fault, what and where. It changes nothing but the starts that a parse adds.
 */
#ifndef STRATA_VERIFY_H
#define STRATA_VERIFY_H

#include "heap/heap.h"

struct gc_verifier {
    struct gc_collector *collector;
    struct gc_tables *tables;
    struct gc_set logged;     /* keys: holders that the log holds */
    struct gc_set remembered; /* keys: holders that the old set holds */
    struct gc_set frozen;     /* ... that the frozen set holds */
    size_t bytes[GC_AGES];    /* recounted */
    size_t objects[GC_AGES];
    size_t faults;
    bool sets_known; /* the two sets could be built */
    /* The object at hand. */
    uintptr_t object;
    const gc_type *type;
};

/* Prints a fault of the object at hand, and counts it. */
void gc_fault_object(struct gc_verifier *verifier, const char *what);
/* ... of one of its fields, or of a root if there is no object at hand. */
void gc_fault_slot(struct gc_verifier *verifier, uintptr_t slot, uintptr_t target,
                   const char *what);
/* ... of a block, or of the heap for GC_NO_BLOCK. */
void gc_fault_block(struct gc_verifier *verifier, uint32_t block, const char *what);

void gc_verify_blocks(struct gc_verifier *verifier);
void gc_verify_objects(struct gc_verifier *verifier);
void gc_verify_roots(struct gc_verifier *verifier);

/* All of it; returns the number of faults. */
size_t gc_verify_heap(struct gc_collector *collector);

#endif
