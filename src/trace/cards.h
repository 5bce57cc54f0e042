/* SPDX-License-Identifier: MIT
 *
 * Cards: a large array of references is not logged whole. Its line bytes, idle
 * otherwise, say for each 128 bytes the youngest that its slots may refer to.
 */
#ifndef STRATA_CARDS_H
#define STRATA_CARDS_H

#include "trace/tracer.h"

/* Scans all of a condemned or new array, and sets its cards; where edges are
 * queued, begins to. */
void gc_cards_scan_all(struct gc_tracer *tracer, uintptr_t array);

/* Scans some more of the array that was begun last; there is one. */
void gc_cards_scan_on(struct gc_tracer *tracer);

/* Visits the slots of references that lie from `from` to `to`. */
typedef void gc_visit_words_fn(struct gc_tracer *tracer, uintptr_t from, uintptr_t to);

/* All of an array by pieces, each of which one thread scans while others are at other
 * pieces, or mark: it sets the piece's cards and writes nothing else. A piece
 * begins at the array's first byte or at a multiple of its size. */
enum { GC_PIECE_BYTES = 64 << 10 };

static inline uintptr_t gc_next_piece(uintptr_t at)
{
    return gc_round_down(at, GC_PIECE_BYTES) + GC_PIECE_BYTES;
}

void gc_cards_scan_piece(struct gc_tracer *tracer, uintptr_t from, gc_visit_words_fn *visit_words);

/* When all pieces of it were scanned, by one thread: remembers the array. */
void gc_cards_finish_pieces(struct gc_tracer *tracer, uintptr_t array);

/* Scans the marked cards of an array that is not condemned, and resets them. */
void gc_cards_scan_marked(struct gc_tracer *tracer, uintptr_t array);

#endif
