/* SPDX-License-Identifier: MIT
 *
 * Within this folder: chunks are opened here, and how much memory blocks may take
 * is known here (chunks.c). Small blocks are taken and given in blocks.c, those of
 * large objects in large.c.
 */
#ifndef STRATA_CHUNKS_H
#define STRATA_CHUNKS_H

#include "space/blocks.h"

static inline uintptr_t gc_chunk_start(const struct gc_blocks *blocks, size_t chunk)
{
    return blocks->tables->base + (chunk << GC_CHUNK_LOG2);
}

static inline uint32_t gc_chunk_block(size_t chunk, unsigned block)
{
    return (uint32_t)(chunk * GC_CHUNK_BLOCKS + block);
}

/* Makes it accessible; false if the system refuses. Huge pages are for chunks that
 * fill; those that end large objects do not. */
bool gc_chunk_open(struct gc_blocks *blocks, size_t index, enum gc_chunk_use use, bool huge);

/* An opened chunk of which nothing could be taken is idle again (C3). */
void gc_chunk_close_if_free(struct gc_chunk *chunk);

/* The first of `count` idle chunks side by side, or SIZE_MAX. */
size_t gc_chunks_find_idle(const struct gc_blocks *blocks, size_t count);

/* Marks `count` blocks from `first` taken, of the last only `tail` bytes.
 * Returns how many bytes of it are neither touched nor counted. */
size_t gc_chunk_note_taken(struct gc_blocks *blocks, size_t index, unsigned first, unsigned count,
                           size_t tail);

/* As gc_blocks_room, with the bytes of tables: those of free memory go back with it. */
size_t gc_blocks_whole_room(const struct gc_blocks *blocks, enum gc_taker taker);

/* Makes `bytes` of new memory, tables included, fit under the limit, giving back
 * free memory elsewhere if need be. */
bool gc_blocks_make_room(struct gc_blocks *blocks, size_t bytes, enum gc_taker taker);

#endif
