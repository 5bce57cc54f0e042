/* SPDX-License-Identifier: MIT
 *
 * The phases of a collection, for collect.c to tell in order.
 */
#ifndef STRATA_PHASES_H
#define STRATA_PHASES_H

#include "cycle/collector.h"

/* Hardened heaps: ends the program if a header that a collection of generations
 * 0 to `oldest` will read was overwritten. */
void gc_check_seals(const struct gc_collector *collector, unsigned oldest);

/* What was born in gen2 since the last collection was allocated. Makes all that was
 * not visited known to the tables, and arms it, or, unless this collection `promotes`
 * all that is young, enters it in the log. A full collection leaves it to the trace. */
void gc_count_births(struct gc_collector *collector);
void gc_adopt_births(struct gc_collector *collector, bool promotes);
void gc_condemn_births(struct gc_collector *collector);

/* Whether what is allocated next may be born in gen2; whether the collection
 * that is asked for need only promote what is young; does that. */
bool gc_may_pretenure(const struct gc_collector *collector);
bool gc_shall_promote_all(const struct gc_collector *collector, const struct gc_request *request);
void gc_promote_all(struct gc_collector *collector);

/* Gives every condemned block its age and action. */
void gc_condemn(struct gc_collector *collector, const struct gc_request *request);

/* Resolves all ambiguous words, then decides which pinned blocks stay young. */
void gc_pin_all(struct gc_collector *collector);

/* Traces from remembered holders and from exact roots. */
void gc_trace_remembered(struct gc_collector *collector);
void gc_trace_roots(struct gc_collector *collector);

/* Queues the finalizers of the dead, and what ordinary weak references to them
 * have as callbacks; then traces from what the finalizers keep. */
void gc_queue_finalizers(struct gc_collector *collector);

/* Clears what refers weakly to what is dead now. */
void gc_clear_weak(struct gc_collector *collector);

/* What is kept outside of objects follows them, or goes with them. */
void gc_settle(struct gc_collector *collector);

/* Pins for one collection end with it. */
void gc_end_pins_once(struct gc_collector *collector);

/* After the sweep: they are set again when a further part follows. */
void gc_pin_again(struct gc_collector *collector);

/* Frees what was not reached; relabels what was. */
void gc_sweep(struct gc_collector *collector);

#endif
