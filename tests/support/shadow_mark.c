/* SPDX-License-Identifier: MIT
 *
 * What the model says is alive: reached from the roots (strong), or kept by
 * what waits for its finalizer.
 */
#include "support/shadow_model.h"

/* ---- Strong ------------------------------------------------------------- */

static uint32_t marked;
static uint32_t waits;
static bool by_values; /* of a table of weak values, only keys whose values are alive */

bool is_strong(uint32_t id)
{
    return id != 0 && run.shadows[id].strong == run.marking;
}

static void mark(uint32_t id)
{
    if (id == 0 || is_strong(id))
        return;
    run.shadows[id].strong = run.marking;
    run.marks[marked++] = id;
}

static void mark_links(uint32_t id)
{
    const struct shadow *shadow = &run.shadows[id];

    switch (shadow->kind) {
    case WEAK:
        return;
    case EPHEMERON:
        run.waiting[waits++] = id;
        return;
    case TABLE:
        if (table_kind(shadow) != GC_TABLE_STRONG) {
            run.waiting[waits++] = id;
            return;
        }
        break;
    case MADE:
        mark(run.made[shadow->variety].class_id);
        break;
    case LEAF:
    case STRUCT:
    case PINNED:
    case TRACED:
    case VAGUE:
    case BYTES:
    case ALIGNED:
    case LARGE_BYTES:
    case REFERENCES:
    case WORDS:
    case LARGE_REFERENCES:
    case ARRAY:
    case TRAILING:
    case KINDS:
        break;
    }
    for (uint32_t i = 0; i < shadow->links; i++)
        mark(shadow->refs[i]);
}

/* What an ephemeron, or a table, keeps by what is alive elsewhere. A collection
 * takes the keys of weak values for alive, and drops them when it is over. */
static void mark_if_key(const struct shadow *shadow)
{
    bool by_value = shadow->kind == TABLE && table_kind(shadow) == GC_TABLE_WEAK_VALUES;

    if (shadow->kind == TABLE && table_kind(shadow) == GC_TABLE_WEAK_SET)
        return;
    for (uint32_t i = 0; i + 1 < shadow->links; i += 2)
        if (is_strong(shadow->refs[i + by_value]) || (by_value && !by_values))
            mark(shadow->refs[i + !by_value]);
}

void mark_strong(bool is_strict)
{
    uint32_t done = 0;
    uint32_t before;

    run.marking++;
    by_values = is_strict;
    marked = waits = 0;
    for (uint32_t root = 0; root < ROOTS; root++)
        mark(run.roots[root]);
    for (int i = 0; i < MADE_TYPES; i++)
        if (run.made[i].type != NULL && !run.made[i].is_retired)
            mark(run.made[i].class_id);
    for (uint32_t id = 1; id < run.count; id++)
        if (run.shadows[id].is_frozen)
            mark(id);
    do {
        while (done < marked)
            mark_links(run.marks[done++]);
        before = marked;
        for (uint32_t i = 0; i < waits; i++)
            mark_if_key(&run.shadows[run.waiting[i]]);
    } while (marked > before);
}

/* ---- Kept --------------------------------------------------------------- */

static void keep(uint32_t id)
{
    if (id == 0 || run.shadows[id].kept == run.walk)
        return;
    run.shadows[id].kept = run.walk;
    run.marks[marked++] = id;
}

/* All links, weak ones too: what they lead to may be alive, and asked for. */
static void keep_links(const struct shadow *shadow)
{
    for (uint32_t i = 0; i < shadow->links; i++)
        keep(shadow->refs[i]);
    if (shadow->kind == MADE)
        keep(run.made[shadow->variety].class_id);
}

/* A kept key keeps the value of what is alive. */
static void keep_values(const struct shadow *shadow)
{
    for (uint32_t i = 0; i + 1 < shadow->links; i += 2)
        if (shadow->refs[i] != 0 && run.shadows[shadow->refs[i]].kept == run.walk)
            keep(shadow->refs[i + 1]);
}

void mark_kept(void)
{
    uint32_t done = 0;
    uint32_t before;

    marked = 0;
    for (int i = 0; i < HELD; i++)
        keep(run.held[i]);
    for (int i = 0; i < CALLS; i++) {
        const struct registration *call = &run.calls[i];

        if (call->kind != NO_CALL && call->kind != WATCH && !is_strong(call->id))
            keep(call->id);
    }
    do {
        while (done < marked)
            keep_links(&run.shadows[run.marks[done++]]);
        before = marked;
        for (uint32_t i = 0; i < waits; i++)
            keep_values(&run.shadows[run.waiting[i]]);
    } while (marked > before);
}
