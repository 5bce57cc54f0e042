/* SPDX-License-Identifier: MIT
 *
 * Handles: root slots that the heap owns, in pages of 59. A page remembers the
 * youngest generation that its slots may refer to, so that a minor collection
 * passes over pages of old objects.
 *
 * D1  A free slot is threaded into the page's free list, tagged by bit 0, and
 *     never looks like a reference to an object (objects are 8-aligned).
 */
#ifndef STRATA_HANDLES_H
#define STRATA_HANDLES_H

#include "base/bits.h"

#include <strata/fork.h>

enum { GC_HANDLE_SLOTS = 59 };

struct gc_handle_page {
    struct gc_handle_page *next;      /* all pages */
    struct gc_handle_page *next_free; /* pages with a free slot */
    void *piece;                      /* what to free, in the first page of a piece */
    struct gc_handles *owner;
    uint8_t used;
    uint8_t first_free; /* position + 1; 0 if full */
    uint8_t youngest;   /* an age */
    uint8_t listed;     /* in the list of pages with a free slot */
    uintptr_t slots[GC_HANDLE_SLOTS];
};

struct gc_handles {
    struct gc_handle_page *pages;
    struct gc_handle_page *free_pages;
    size_t page_count;
};

void gc_handles_destroy(struct gc_handles *handles);

/* A free slot, set to 0; NULL without memory. */
uintptr_t *gc_handles_take(struct gc_handles *handles);

/* Takes back a slot that is in use. */
void gc_handles_give(struct gc_handles *handles, uintptr_t *slot);

/* All that they refer to is frozen; or of gen2, as far as is known. */
void gc_handles_freeze(struct gc_handles *handles);
void gc_handles_unfreeze(struct gc_handles *handles);

/* Whether the page is theirs in which `slot`, any readable address, would lie. */
bool gc_handles_own(const struct gc_handles *handles, const void *slot);

/* The page of a handle: pages are aligned to their size, 512 bytes. */
static inline struct gc_handle_page *gc_handle_page_of(const void *slot)
{
    return (struct gc_handle_page *)((uintptr_t)slot & ~(uintptr_t)511);
}

static inline bool gc_handle_is_free(uintptr_t slot)
{
    return (slot & 1) != 0;
}

#endif
