/* SPDX-License-Identifier: MIT */
#include "memory/forbid.h"

GC_UNCHECKED_BY_ASAN uint64_t gc_peek_forbidden(uintptr_t at)
{
    uint64_t word;

    GC_SILENCE();
    word = __atomic_load_n((const volatile uint64_t *)at, __ATOMIC_RELAXED);
    GC_UNSILENCE();
    return word;
}

static void forbid_gap_before(uintptr_t object, void *data)
{
    const gc_type *type = gc_object_type(object);
    uintptr_t *end = data;

    gc_forbid(*end, object - GC_HEADER_BYTES - gc_prefix_bytes(type));
    *end = gc_object_end(type, object);
}

void gc_forbid_gaps(struct gc_tables *tables, uint32_t block)
{
    uintptr_t end = gc_block_start(tables, block);

    gc_block_visit(tables, block, tables->starts, forbid_gap_before, &end);
    gc_forbid(end, gc_block_start(tables, block) + GC_BLOCK_BYTES);
}

/* The original stays allowed: what was forbidden of it is copied, too, and it
 * is forbidden whole before long. */
void gc_copy_forbidden(uintptr_t to, uintptr_t from, size_t bytes)
{
    bool has_length = (*(const uint64_t *)from & GC_WORD_TAGS) == GC_LENGTH_TAG;
    uintptr_t copy = to + GC_HEADER_BYTES + (has_length ? sizeof(uint64_t) : 0);

    gc_allow(from + bytes - GC_GRANULE_BYTES, from + bytes);
    gc_allow(to, to + bytes);
    memcpy((void *)to, (const void *)from, bytes);
    gc_forbid(copy + gc_payload_bytes(gc_object_type(copy), copy), to + bytes);
}
