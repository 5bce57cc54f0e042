/* SPDX-License-Identifier: MIT
 *
 * After the trace: what is kept outside of objects follows them to where they
 * are now, or is dropped with them.
 */
#include "cycle/phases.h"

static uintptr_t survivor(uintptr_t object, void *data)
{
    const struct gc_collector *collector = data;

    return gc_trace_survivor(&collector->tracer, object);
}

static void drop_nothing(void *record, void *data)
{
    (void)record;
    (void)data;
}

static void drop_charge(void *record, void *data)
{
    struct gc_collector *collector = data;
    const struct gc_charge *charge = record;

    collector->external_bytes -= charge->bytes;
}

/* A pinned object has not moved; if it is dead its memory is still as it was. */
static void end_pin(struct gc_set *set, struct gc_key *key)
{
    *gc_state_byte(key->first) &= (uint8_t)~GC_STATE_PINNED_ONCE;
    gc_set_remove(set, key);
}

void gc_end_pins_once(struct gc_collector *collector)
{
    struct gc_set *set = &collector->pinned_once;

    while (set->count > 0)
        end_pin(set, gc_set_at(set, set->count - 1));
}

/* Where a part follows, pins of the living are kept for it. */
static void settle_pins_once(struct gc_collector *collector)
{
    struct gc_set *set = &collector->pinned_once;

    for (size_t i = set->count; i-- > 0;) {
        struct gc_key *key = gc_set_at(set, i);

        if (!collector->goes_on || gc_trace_survivor(&collector->tracer, key->first) == 0)
            end_pin(set, key);
    }
}

/* The next part of this collection finds its pins as this one did. */
void gc_pin_again(struct gc_collector *collector)
{
    for (size_t i = 0; i < collector->pinned_once.count; i++) {
        const struct gc_key *key = gc_set_at(&collector->pinned_once, i);

        *gc_state_byte(key->first) |= GC_STATE_PINNED_ONCE;
    }
}

void gc_settle(struct gc_collector *collector)
{
    struct gc_settling pins = {survivor, drop_nothing, collector};
    struct gc_settling hashes = {survivor, drop_nothing, collector};
    struct gc_settling charges = {survivor, drop_charge, collector};
    unsigned oldest = collector->tracer.oldest;

    gc_attachments_settle(&collector->pins, &collector->tables, oldest, &pins);
    gc_attachments_settle(&collector->hashes, &collector->tables, oldest, &hashes);
    gc_attachments_settle(&collector->charges, &collector->tables, oldest, &charges);
    settle_pins_once(collector);
    gc_types_settle(&collector->types, &collector->tracer);
}
