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

/* Scans the marked cards of an array that is not condemned, and resets them. */
void gc_cards_scan_marked(struct gc_tracer *tracer, uintptr_t array);

#endif
