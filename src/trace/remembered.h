/* SPDX-License-Identifier: MIT
 *
 * Sets of holders that a collection must look at although it does not condemn
 * them.
 *
 * The log: holders in gen1 and gen2, or frozen, that a reference was stored
 * into since the last collection, or that are known to refer to gen0 still. The
 * old set: holders in gen2, or frozen, known to refer to gen1; a middle or full
 * collection reads it. The frozen set: frozen holders known to refer to what is
 * not frozen; a full collection reads it.
 *
 * R1  A holder that refers to an object of a younger age is in the set that
 *     the next collection of that age reads, or its block is all-remembered.
 *     Suspended between a plain store and its barrier, and during a trace.
 * R2  A holder of gen1 or gen2 whose log byte is not armed is in the log (an
 *     armed one may be, if it was scanned twice); an array with cards stays
 *     armed, and is in it if GC_LOG_NOTED is set.
 */
#ifndef STRATA_REMEMBERED_H
#define STRATA_REMEMBERED_H

#include "memory/lane.h"
#include "memory/tables.h"

struct gc_remembered {
    struct gc_tables *tables;
    struct gc_lane log;
    struct gc_lane log_before; /* what the collection under way reads */
    struct gc_lane old;
    struct gc_lane old_before;
    struct gc_lane frozen; /* created when something is frozen first */
    struct gc_lane frozen_before;
    size_t capacity; /* of a lane, in words */
    uint64_t logged; /* holders that barriers noted, in all */
    bool lost;       /* some block is all-remembered */
};

/* What a card says: the youngest that its slots may refer to. */
enum { GC_CARD_CLEAN = 0, GC_CARD_YOUNG = GC_FROZEN };

static inline uint8_t gc_card_for(unsigned age)
{
    return (uint8_t)(GC_FROZEN - age);
}

/* Each of the lanes holds up to `capacity` words. */
bool gc_remembered_create(struct gc_remembered *remembered, struct gc_tables *tables,
                          size_t capacity);
void gc_remembered_destroy(struct gc_remembered *remembered);

/* The same from now on, for lanes that are made later too. Between collections. */
void gc_remembered_limit(struct gc_remembered *remembered, size_t capacity);

/* Notes a holder; if the lane cannot grow, flags its block. Never fails. */
void gc_log_add(struct gc_remembered *remembered, uintptr_t holder);

/* The same for the old and the frozen set; return the log bits that say it is
 * in there. */
uint8_t gc_old_add(struct gc_remembered *remembered, uintptr_t holder);
uint8_t gc_frozen_add(struct gc_remembered *remembered, uintptr_t holder);

/* Makes the frozen set, if there is none yet; false without memory. */
bool gc_remembered_expect_freeze(struct gc_remembered *remembered);

/* Empties a lane whose holders refer to nothing younger any more. */
void gc_remembered_forget(const struct gc_remembered *remembered, struct gc_lane *lane);

/* Arms what was not scanned, for it refers to nothing younger. */
void gc_arm(const struct gc_tables *tables, uintptr_t object);

/* Whether stores into this object mark cards: large arrays with references. */
bool gc_has_cards(const struct gc_tables *tables, uintptr_t object);

/* Marks the card of `slot`, or, for NULL, all of the object's. */
void gc_card_mark(const struct gc_tables *tables, uintptr_t object, const void *slot, uint8_t card);

/* Whether what a slot of this type holds is a reference as it stands; a traced
 * type may keep it in a form of its own, a conservative one past its end. */
static inline bool gc_has_plain_slots(const gc_type *type)
{
    static const uint32_t plain =
        1u << GC_KIND_STRUCT | 1u << GC_KIND_REFERENCES | 1u << GC_KIND_ARRAY;

    return (plain >> (type->kind & 31) & 1) || type->kind > GC_KIND_INTERNAL;
}

/* The mutator's side, after a store into an armed object: whether nothing need
 * be noted, for the value is no younger than its holder. It is read back from
 * the slot: a tagged word shares its target's block, and one that is no
 * reference does no harm. */
static inline bool gc_barrier_passes(const struct gc_tables *tables, uintptr_t object,
                                     const void *slot)
{
    uintptr_t offset;

    if (GC_UNLIKELY(slot == NULL) || !gc_has_plain_slots(gc_header_type(gc_header_of(object))))
        return false;
    offset = gc_load_word(slot) - tables->base;
    return offset >= tables->bytes ||
           gc_state_age(tables->state[offset >> GC_BLOCK_LOG2]) >=
               gc_state_age(tables->state[(object - tables->base) >> GC_BLOCK_LOG2]);
}

/* Else: notes it; returns true if it must be logged. */
bool gc_barrier_notes(const struct gc_tables *tables, uintptr_t object, const void *slot);

#endif
