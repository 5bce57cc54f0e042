/* SPDX-License-Identifier: MIT
 *
 * What a holder must be remembered for, once its slots have been visited.
 */
#ifndef STRATA_HOLDER_H
#define STRATA_HOLDER_H

#include "trace/tracer.h"

/* The holder refers to something younger: puts it in the set that will be
 * read, and sets its log byte accordingly. */
void gc_remember(struct gc_tracer *tracer, uintptr_t holder, unsigned age);

/* After a further part of a holder was scanned: what an earlier part put into
 * the log stays there, disarmed. */
void gc_holder_scanned_on(struct gc_tracer *tracer, uintptr_t holder);

/* After a scan, tracer->youngest being the youngest age met. */
static inline void gc_holder_scanned(struct gc_tracer *tracer, uintptr_t holder)
{
    unsigned age = gc_state_age(tracer->state[(holder - tracer->base) >> GC_BLOCK_LOG2]);
    uint8_t *log = gc_log_byte(holder);

    if (age == GC_YOUNG)
        return;
    if (GC_UNLIKELY(tracer->youngest < age))
        gc_remember(tracer, holder, age);
    else if (*log != GC_LOG_ARMED)
        *log = GC_LOG_ARMED;
}

#endif
