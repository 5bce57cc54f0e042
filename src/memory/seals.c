/* SPDX-License-Identifier: MIT */
#include "memory/seals.h"

#include "memory/forbid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEAL_SET = 1 << 15, SEAL_ODD = 1 << 14, SEAL_LENGTH = 1 << 13 };

__extension__ typedef unsigned __int128 wide;

/* The halves of the product, folded: wyhash's mixing step (Wang Yi, 2019). */
static uint64_t mix(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static size_t index_of(const struct gc_tables *tables, uintptr_t object)
{
    return gc_granule_of(tables, object) >> 1;
}

/* The seal that fits an object with a header of this type, if it stands here. */
static uint16_t seal_for(const struct gc_tables *tables, uintptr_t object, uint64_t type,
                         bool has_length)
{
    uint64_t bits = mix((type & GC_TYPE_MASK) ^ tables->seal_key[0], object ^ tables->seal_key[1]);
    unsigned seal = SEAL_SET;

    if (has_length) {
        bits = mix(bits ^ gc_peek(object - 2 * GC_HEADER_BYTES), tables->seal_key[0]);
        seal |= SEAL_LENGTH;
    }
    if (gc_granule_of(tables, object) & 1)
        seal |= SEAL_ODD;
    return (uint16_t)(seal | bits >> 51);
}

/* The same for the header as it is. */
static uint16_t seal_now(const struct gc_tables *tables, uintptr_t object, bool has_length)
{
    return seal_for(tables, object, gc_peek(object - GC_HEADER_BYTES), has_length);
}

/* ---- Sealing ---- */

void gc_seal(const struct gc_tables *tables, uintptr_t object)
{
    bool has_length = gc_object_type(object)->element_size != 0;

    tables->seals[index_of(tables, object)] = seal_now(tables, object, has_length);
}

static void seal(uintptr_t object, void *tables)
{
    gc_seal(tables, object);
}

void gc_seal_run(const struct gc_tables *tables, uintptr_t from, uintptr_t to)
{
    gc_run_visit(from, to, seal, (void *)(uintptr_t)tables);
}

/* ---- What was overwritten ---- */

/* The object that a seal speaks of. */
static uintptr_t object_at(const struct gc_tables *tables, size_t index)
{
    size_t granule = 2 * index + ((tables->seals[index] & SEAL_ODD) != 0);

    return tables->base + (granule << GC_GRANULE_LOG2) + GC_HEADER_BYTES;
}

bool gc_is_sealed(const struct gc_tables *tables, uintptr_t object)
{
    size_t index = index_of(tables, object);

    return (tables->seals[index] & SEAL_SET) && object_at(tables, index) == object;
}

bool gc_seal_fits(const struct gc_tables *tables, uintptr_t object)
{
    uint16_t sealed = tables->seals[index_of(tables, object)];

    return seal_now(tables, object, (sealed & SEAL_LENGTH) != 0) == sealed;
}

/* Says which sound object lies before the address in its block, if one does: as
 * a rule it was written past the end of that one. */
static void tell_what_lies_before(const struct gc_tables *tables, uintptr_t address)
{
    size_t first = (size_t)gc_block_of(tables, address) * GC_BLOCK_SEALS;
    size_t index = (address - tables->base) >> (GC_GRANULE_LOG2 + 1);

    for (; index-- > first;) {
        uintptr_t object = object_at(tables, index);

        if ((tables->seals[index] & SEAL_SET) && gc_seal_fits(tables, object)) {
            const gc_type *type = gc_object_type(object);

            fprintf(stderr, "; before it lies %.100s at %p, of %zu bytes", type->name,
                    (void *)object, gc_payload_bytes(type, object));
            return;
        }
    }
}

/* The type that the seal of an overwritten header speaks of: one that other
 * objects of the block have, or NULL. */
static const gc_type *sealed_type(const struct gc_tables *tables, uintptr_t object)
{
    size_t first = (size_t)gc_block_of(tables, object) * GC_BLOCK_SEALS;
    uint16_t sealed = tables->seals[index_of(tables, object)];

    for (size_t i = first; i < first + GC_BLOCK_SEALS; i++) {
        uintptr_t other = object_at(tables, i);

        if ((tables->seals[i] & SEAL_SET) && gc_seal_fits(tables, other)) {
            const gc_type *type = gc_object_type(other);

            if (seal_for(tables, object, (uintptr_t)type, type->element_size != 0) == sealed)
                return type;
        }
    }
    return NULL;
}

static _Noreturn void end(const struct gc_tables *tables, uintptr_t address)
{
    tell_what_lies_before(tables, address);
    fputc('\n', stderr);
    abort();
}

static _Noreturn void header_is_broken(const struct gc_tables *tables, uintptr_t object)
{
    const gc_type *type = sealed_type(tables, object);
    bool has_length = (tables->seals[index_of(tables, object)] & SEAL_LENGTH) != 0;

    fprintf(stderr, "strata: hardened heap: the header of %.100s at %p in gen%u was overwritten: ",
            type != NULL ? type->name : "the object", (void *)object,
            tables->blocks[gc_block_of(tables, object)].generation);
    if (has_length)
        fprintf(stderr, "%#llx, ",
                (unsigned long long)gc_peek(object - 2 * (uintptr_t)GC_HEADER_BYTES));
    fprintf(stderr, "%#llx", (unsigned long long)gc_peek(object - GC_HEADER_BYTES));
    end(tables, object - GC_HEADER_BYTES);
}

static void check_zero(const struct gc_tables *tables, uintptr_t from, uintptr_t to)
{
    for (; from < to; from += GC_GRANULE_BYTES)
        if (gc_peek(from) != 0) {
            fprintf(stderr, "strata: hardened heap: free room at %p in gen%u was written to: %#llx",
                    (void *)from, tables->blocks[gc_block_of(tables, from)].generation,
                    (unsigned long long)gc_peek(from));
            end(tables, from);
        }
}

/* ---- Checking ---- */

void gc_seal_check(const struct gc_tables *tables, uintptr_t object)
{
    if (!gc_seal_fits(tables, object))
        header_is_broken(tables, object);
}

void gc_seals_check(const struct gc_tables *tables, uint32_t block, bool zeroed)
{
    bool is_large = tables->blocks[block].kind == GC_BLOCK_LARGE;
    size_t first = (size_t)block * GC_BLOCK_SEALS;
    uintptr_t after = gc_block_start(tables, block); /* the object before */

    for (size_t i = first; i < first + GC_BLOCK_SEALS; i++)
        if (tables->seals[i] & SEAL_SET) {
            uintptr_t object = object_at(tables, i);
            const gc_type *type;

            gc_seal_check(tables, object);
            type = gc_object_type(object);
            if (zeroed)
                check_zero(tables, after, object - GC_HEADER_BYTES - gc_prefix_bytes(type));
            after = gc_object_end(type, object);
        }
    if (zeroed && !is_large) /* else it may never have been touched */
        check_zero(tables, after, gc_block_start(tables, block + 1));
}

/* ---- Scrubbing ---- */

/* A header in the gap has a word of payload there, too: so the seal of a header
 * right behind the gap is not among those dropped. */
void gc_scrub(const struct gc_tables *tables, uintptr_t from, uintptr_t to, bool zero)
{
    size_t first = (from - tables->base) >> (GC_GRANULE_LOG2 + 1);
    size_t last = (to - tables->base) >> (GC_GRANULE_LOG2 + 1);

    if (zero)
        gc_zero(from, to);
    memset(&tables->seals[first], 0, (last - first) * sizeof tables->seals[0]);
}

struct gaps {
    const struct gc_tables *tables;
    uintptr_t after; /* the object before */
    bool zero;
};

static void scrub_gap_before(uintptr_t object, void *data)
{
    struct gaps *gaps = data;
    const gc_type *type = gc_object_type(object);
    uintptr_t start = object - GC_HEADER_BYTES - gc_prefix_bytes(type);

    if (start > gaps->after)
        gc_scrub(gaps->tables, gaps->after, start, gaps->zero);
    gaps->after = gc_object_end(type, object);
}

void gc_scrub_gaps(struct gc_tables *tables, uint32_t block, bool zero)
{
    struct gaps gaps = {tables, gc_block_start(tables, block), zero};

    gc_block_visit(tables, block, tables->starts, scrub_gap_before, &gaps);
    gc_scrub(tables, gaps.after, gc_block_start(tables, block + 1), zero);
}
