/* SPDX-License-Identifier: MIT
 *
 * Ambiguous words: what they lead to must not move, since the word may be an
 * integer. All are looked at before anything moves.
 */
#include "trace/edge.h"

/* The condemned object that the word leads to, or 0. */
static uintptr_t condemned_target(struct gc_tracer *tracer, uintptr_t word, unsigned *state)
{
    uintptr_t object, address = word - 1;

    if (!gc_in_range(tracer->tables, address))
        return 0;
    *state = tracer->state[gc_block_of(tracer->tables, address)];
    if (gc_state_action(*state) == GC_LEAVE)
        return 0;
    object = gc_object_containing(tracer->tables, word);
    return object;
}

static void pin(struct gc_tracer *tracer, uintptr_t object, unsigned state)
{
    uint8_t *bits = gc_state_byte(object);
    struct gc_block *block;

    if (gc_state_action(state) != GC_EVACUATE)
        return; /* it stays as it is */
    block = &tracer->tables->blocks[gc_block_of(tracer->tables, object)];
    block->flags |= GC_BLOCK_HAS_PINS;
    if (*bits & GC_STATE_PINNED_ONCE)
        return; /* counted already */
    *bits |= GC_STATE_PINNED_ONCE;
    if (block->pins < UINT16_MAX)
        block->pins++;
    tracer->counts.pinned_objects++;
}

void gc_pin_root(struct gc_tracer *tracer, uintptr_t word)
{
    unsigned state;
    uintptr_t object = condemned_target(tracer, word, &state);

    if (object == 0)
        return;
    pin(tracer, object, state);
    if (!gc_test_and_mark(tracer, object) || gc_lane_push(&tracer->stack, object | GC_STACK_MARKED))
        return;
    gc_settle_marked(tracer, object);
    gc_stack_overflow(tracer, object); /* a leaf too: its type may be a retired one */
}

void gc_pin_target(struct gc_tracer *tracer, uintptr_t word)
{
    unsigned state;
    uintptr_t object = condemned_target(tracer, word, &state);

    if (object != 0)
        pin(tracer, object, state);
}

void gc_trace_ambiguous(struct gc_tracer *tracer, uintptr_t word)
{
    unsigned state;
    uintptr_t object;

    if (!gc_in_range(tracer->tables, word - 1))
        return;
    object = gc_object_containing(tracer->tables, word);
    if (object == 0)
        return;
    if (gc_age_of(tracer->tables, object) < tracer->youngest)
        tracer->youngest = gc_age_of(tracer->tables, object);
    if (condemned_target(tracer, word, &state) == 0)
        return;
    if (tracer->ephemerons.watching)
        gc_watch_key(tracer, object);
    gc_mark_in_place(tracer, object, state);
}
