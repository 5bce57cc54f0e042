/* SPDX-License-Identifier: MIT */
#include "trace/holder.h"

#include "trace/cards.h"
#include "trace/edge.h"
#include "trace/ephemerons.h"
#include "trace/scan.h"
#include "trace/types.h"

void gc_remember(struct gc_tracer *tracer, uintptr_t holder, unsigned age)
{
    uint8_t *log = gc_log_byte(holder);
    uint8_t in_sets = *log & (GC_LOG_REMEMBERED | GC_LOG_FROZEN);

    if (age > GC_MIDDLE && tracer->youngest == GC_MIDDLE) {
        if (!(in_sets & GC_LOG_REMEMBERED))
            in_sets |= gc_old_add(tracer->remembered, holder);
        in_sets |= GC_LOG_ARMED;
    } else if (tracer->youngest == GC_OLD) {
        if (!(in_sets & GC_LOG_FROZEN))
            in_sets |= gc_frozen_add(tracer->remembered, holder);
        in_sets |= GC_LOG_ARMED;
    } else {
        gc_log_add(tracer->remembered, holder);
    }
    *log = in_sets;
}

void gc_holder_scanned_on(struct gc_tracer *tracer, uintptr_t holder)
{
    uint8_t *log = gc_log_byte(holder);
    bool in_log = !(*log & GC_LOG_ARMED);

    if (in_log && tracer->youngest == GC_YOUNG)
        return;
    gc_holder_scanned(tracer, holder);
    if (in_log)
        *log &= (uint8_t)~GC_LOG_ARMED;
}

static void scan_holder_traced(struct gc_tracer *tracer, uintptr_t holder, const gc_type *type)
{
    if (type->kind == GC_KIND_CONSERVATIVE)
        gc_scan_words(tracer, holder, type, gc_trace_ambiguous);
    else if (type->kind == GC_KIND_TRACED)
        gc_trace_object(tracer, holder, type);
    else if (tracer->prefetch == GC_PREFETCH_NONE)
        gc_scan_slots(tracer, holder, type, gc_follow);
    else
        gc_scan_slots(tracer, holder, type, gc_queue);
}

void gc_trace_holder(struct gc_tracer *tracer, uintptr_t holder)
{
    const gc_type *type = gc_header_type(*gc_header(holder));

    if (gc_has_cards(tracer->tables, holder)) {
        gc_cards_scan_marked(tracer, holder);
        return;
    }
    if (type->kind > GC_KIND_RETIRED) {
        gc_ephemeron_scan(tracer, holder);
        return;
    }
    tracer->youngest = GC_GENERATIONS;
    scan_holder_traced(tracer, holder, type);
    gc_holder_scanned(tracer, holder);
}
