/* SPDX-License-Identifier: MIT
 *
 * The units of a heap's range of addresses, and how one leads to another.
 *
 *   granule   8 bytes: where an object may begin
 *   line      128 bytes: the unit of free room in a block
 *   block     32 KiB: belongs to one generation, holds small objects, or is
 *             part of a large one
 *   chunk     2 MiB: 64 blocks; the unit of commitment, the size of a huge page
 */
#ifndef STRATA_LAYOUT_H
#define STRATA_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum {
    GC_GRANULE_LOG2 = 3,
    GC_GRANULE_BYTES = 1 << GC_GRANULE_LOG2,
    GC_LINE_LOG2 = 7,
    GC_LINE_BYTES = 1 << GC_LINE_LOG2,
    GC_BLOCK_LOG2 = 15,
    GC_BLOCK_BYTES = 1 << GC_BLOCK_LOG2,
    GC_CHUNK_LOG2 = 21,
    GC_CHUNK_BYTES = 1 << GC_CHUNK_LOG2,

    GC_BLOCK_LINES = GC_BLOCK_BYTES / GC_LINE_BYTES,
    GC_BLOCK_GRANULES = GC_BLOCK_BYTES / GC_GRANULE_BYTES,
    GC_BLOCK_WORDS = GC_BLOCK_GRANULES / 64, /* of a bitmap */
    GC_BLOCK_SEALS = GC_BLOCK_GRANULES / 2,
    GC_CHUNK_BLOCKS = GC_CHUNK_BYTES / GC_BLOCK_BYTES,

    /* The largest object, header included, that shares a block. */
    GC_LARGE_BYTES = GC_BLOCK_BYTES / 4
};

/* No block: the end of a list, or a space that is full. */
#define GC_NO_BLOCK UINT32_MAX

#endif
