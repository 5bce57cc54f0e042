/* SPDX-License-Identifier: MIT
 *
 * Facts about single objects kept outside of them (pins, bytes held outside the
 * heap, finalizers): records keyed by the object, apart by the object's
 * generation, so that a collection looks only at those of what it condemns.
 *
 * A record begins with its gc_key: the object, and a second word that tells
 * several of one object apart.
 *
 * A1  Every generation's set has room for all records: moving one up, when its
 *     object was promoted, cannot fail. That of the frozen has room for its own.
 */
#ifndef STRATA_ATTACHMENTS_H
#define STRATA_ATTACHMENTS_H

#include "memory/set.h"
#include "memory/tables.h"

struct gc_attachments {
    struct gc_set generations[GC_AGES];
    size_t count; /* in all */
};

void gc_attachments_create(struct gc_attachments *attachments, size_t record_bytes);
void gc_attachments_destroy(struct gc_attachments *attachments);

/* Adds a record for an object of `generation`; NULL without memory. */
void *gc_attachment_add(struct gc_attachments *attachments, unsigned generation,
                        const void *record);
void *gc_attachment_find(const struct gc_attachments *attachments, unsigned generation,
                         struct gc_key key);
void gc_attachment_remove(struct gc_attachments *attachments, unsigned generation, void *record);

/* After a trace of generations 0 to `oldest`: `settle` gives each condemned
 * record's object its present address, or 0 if it is dead; then `drop` is told
 * of the record and it is removed. */
struct gc_settling {
    uintptr_t (*settle)(uintptr_t object, void *data);
    void (*drop)(void *record, void *data);
    void *data;
};
void gc_attachments_settle(struct gc_attachments *attachments, const struct gc_tables *tables,
                           unsigned oldest, const struct gc_settling *settling);

/* Moves the records of gen0 and gen1 to those of gen2. */
void gc_attachments_promote(struct gc_attachments *attachments);

/* Moves all records to those of the frozen, for which there is room once
 * gc_attachments_expect_freeze said so; or from there to gen2's. */
bool gc_attachments_expect_freeze(struct gc_attachments *attachments);
void gc_attachments_freeze(struct gc_attachments *attachments);
void gc_attachments_unfreeze(struct gc_attachments *attachments);

size_t gc_attachments_bytes(const struct gc_attachments *attachments);

#endif
