/* SPDX-License-Identifier: MIT */
#include "trace/cards.h"

#include "trace/edge.h"
#include "trace/scan.h"

#include <string.h>

enum { PIECE = 8 }; /* cards that are scanned at once */

/* A holder at work: the youngest age met so far, cards aside. */
struct card_scan {
    struct gc_tracer *tracer;
    const gc_type *type;
    uintptr_t array;
    unsigned age;
    unsigned youngest;
};

/* Edges wait in the stack if it has room, for they are many. */
static void visit(struct gc_tracer *tracer, void *slot)
{
    if (tracer->prefetching)
        gc_queue(tracer, slot);
    else
        gc_follow_as_due(tracer, slot);
}

GC_ALWAYS_INLINE void visit_each(struct gc_tracer *tracer, uintptr_t from, uintptr_t to,
                                 gc_scan_slot_fn *each)
{
    for (uintptr_t slot = from; slot < to; slot += sizeof slot)
        each(tracer, (void *)slot);
}

/* Sets the card of what was just visited from the youngest age it met. */
static void set_card(struct card_scan *scan, uint8_t *card)
{
    unsigned youngest = scan->tracer->youngest;

    if (youngest < scan->youngest)
        scan->youngest = youngest;
    if (youngest < scan->age) {
        uint8_t value = gc_card_for(youngest);

        *card = *card > value ? *card : value;
    }
}

static void visit_slot(struct card_scan *scan, uintptr_t slot)
{
    struct gc_tables *tables = scan->tracer->tables;

    scan->tracer->youngest = GC_GENERATIONS;
    visit(scan->tracer, (void *)slot);
    set_card(scan, &tables->lines[gc_line_of(tables, slot)]);
}

/* The slots of references from `from` to `to`: all on one card. */
static void visit_words(struct card_scan *scan, uintptr_t from, uintptr_t to)
{
    struct gc_tables *tables = scan->tracer->tables;

    scan->tracer->youngest = GC_GENERATIONS;
    if (scan->tracer->prefetching)
        visit_each(scan->tracer, from, to, gc_queue);
    else
        visit_each(scan->tracer, from, to, gc_follow_as_due);
    set_card(scan, &tables->lines[gc_line_of(tables, from)]);
}

/* The slots of the fixed part and of elements that lie from `from` to `to`. */
static void visit_range(struct card_scan *scan, uintptr_t from, uintptr_t to)
{
    const gc_type *type = scan->type;
    uintptr_t elements = scan->array + type->size, slot;
    size_t size = type->element_size, length = gc_object_length(scan->array), i;

    for (uint32_t r = 0; r < type->ref_count; r++) {
        slot = scan->array + type->refs[r];
        if (slot >= from && slot < to)
            visit_slot(scan, slot);
    }
    for (i = from > elements ? (from - elements) / size : 0; i < length; i++) {
        if (elements + i * size >= to)
            break;
        for (uint32_t r = 0; r < type->element_ref_count; r++) {
            slot = elements + i * size + type->element_refs[r];
            if (slot >= from && slot < to)
                visit_slot(scan, slot);
        }
    }
}

static void visit_card(struct card_scan *scan, uintptr_t from, uintptr_t to)
{
    if (scan->type->kind == GC_KIND_REFERENCES)
        visit_words(scan, from, to);
    else
        visit_range(scan, from, to);
}

static struct card_scan begin(struct gc_tracer *tracer, uintptr_t array)
{
    return (struct card_scan){.tracer = tracer,
                              .type = gc_header_type(*gc_header(array)),
                              .array = array,
                              .age = gc_age_of(tracer->tables, array),
                              .youngest = GC_GENERATIONS};
}

/* The array stays armed. It is in the log if some slot refers to gen0; in the
 * old set if some slot of an older array refers to gen1, or may; in the frozen
 * set if it is frozen, and not all that it refers to is. */
static void finish(struct card_scan *scan)
{
    uint8_t *log = gc_log_byte(scan->array);
    uint8_t kept = *log & (GC_LOG_REMEMBERED | GC_LOG_FROZEN);

    scan->tracer->youngest = scan->youngest;
    if (scan->age == GC_YOUNG)
        return;
    if (scan->youngest == GC_YOUNG) {
        gc_log_add(scan->tracer->remembered, scan->array);
        *log = (uint8_t)(GC_LOG_ARMED | GC_LOG_NOTED | kept);
        /* It may refer to gen1 as well: the log's scan will see to it. */
    } else {
        *log = (uint8_t)(GC_LOG_ARMED | kept);
    }
    if (scan->age > GC_MIDDLE && scan->youngest < GC_OLD && !(kept & GC_LOG_REMEMBERED))
        *log |= gc_old_add(scan->tracer->remembered, scan->array);
    if (scan->age == GC_FROZEN && scan->youngest < GC_FROZEN && !(kept & GC_LOG_FROZEN))
        *log |= gc_frozen_add(scan->tracer->remembered, scan->array);
}

/* Ends of the cards' addresses within the array. */
static uintptr_t next_card(uintptr_t at, uintptr_t end)
{
    uintptr_t next = gc_round_down(at, GC_LINE_BYTES) + GC_LINE_BYTES;

    return next < end ? next : end;
}

static void scan_from(struct card_scan *scan, uintptr_t at, uintptr_t to, uintptr_t end)
{
    for (; at < to; at = next_card(at, end))
        visit_card(scan, at, next_card(at, end));
}

/* What is queued is to be followed before much more is: a few arrays wait. */
void gc_cards_scan_all(struct gc_tracer *tracer, uintptr_t array)
{
    struct card_scan scan = begin(tracer, array);
    uintptr_t end = array + gc_payload_bytes(scan.type, array);

    gc_card_mark(tracer->tables, array, NULL, GC_CARD_CLEAN);
    *gc_log_byte(array) &= (uint8_t) ~(GC_LOG_REMEMBERED | GC_LOG_FROZEN);
    if (tracer->prefetching && !tracer->ephemerons.watching &&
        tracer->card_scan_count < GC_CARD_SCANS) {
        tracer->card_scans[tracer->card_scan_count++] =
            (struct gc_card_scan){array, array, GC_GENERATIONS};
        return;
    }
    scan_from(&scan, array, end, end);
    finish(&scan);
}

void gc_cards_scan_on(struct gc_tracer *tracer)
{
    struct gc_card_scan *begun = &tracer->card_scans[tracer->card_scan_count - 1];
    struct card_scan scan = begin(tracer, begun->array);
    uintptr_t end = begun->array + gc_payload_bytes(scan.type, begun->array);
    uintptr_t to = gc_min(gc_round_down(begun->at, GC_LINE_BYTES) + PIECE * GC_LINE_BYTES, end);

    scan.youngest = begun->youngest;
    scan_from(&scan, begun->at, to, end);
    begun->at = to;
    begun->youngest = scan.youngest;
    if (to < end)
        return;
    tracer->card_scan_count--;
    finish(&scan);
}

/* What a card must say for this collection to read it. */
static uint8_t least_card(const struct gc_tracer *tracer)
{
    return gc_card_for(tracer->oldest);
}

/* Marked cards on their way: what they cover is fetched while others are
 * looked for. */
enum { CARDS_AHEAD = 8 };

struct card_queue {
    uintptr_t cards[CARDS_AHEAD]; /* addresses that they cover first; 0 if none */
    unsigned next;
};

/* Queues a card, or with 0 none; scans the one that has waited longest. */
static void pass_card(struct card_scan *scan, struct card_queue *queue, uintptr_t at, uintptr_t end)
{
    uintptr_t due = queue->cards[queue->next];

    queue->cards[queue->next] = at;
    queue->next = (queue->next + 1) % CARDS_AHEAD;
    gc_prefetch((const void *)at);
    gc_prefetch((const void *)(at + GC_LINE_BYTES / 2));
    if (due != 0)
        visit_card(scan, due, next_card(due, end));
}

/* Whether the eight cards from that of `at` on are clean, and in the array. */
static bool are_eight_clean(const uint8_t *card, uintptr_t at, uintptr_t end)
{
    uint64_t eight;

    if (end - at <= 8 * GC_LINE_BYTES)
        return false; /* what lies behind the array's cards may not be there */
    memcpy(&eight, card, sizeof eight);
    return eight == 0;
}

void gc_cards_scan_marked(struct gc_tracer *tracer, uintptr_t array)
{
    struct card_scan scan = begin(tracer, array);
    struct card_queue queue = {.next = 0};
    uintptr_t end = array + gc_payload_bytes(scan.type, array), at = array;
    uint8_t least = least_card(tracer);

    while (at < end) {
        uint8_t *card = &tracer->tables->lines[gc_line_of(tracer->tables, at)];

        if (are_eight_clean(card, at, end)) {
            at = gc_round_down(at, GC_LINE_BYTES) + 8 * GC_LINE_BYTES;
            continue;
        }
        if (*card >= least) {
            *card = GC_CARD_CLEAN;
            pass_card(&scan, &queue, at, end);
        } else if (*card != GC_CARD_CLEAN) {
            unsigned age = GC_FROZEN - *card;

            scan.youngest = scan.youngest < age ? scan.youngest : age;
        }
        at = next_card(at, end);
    }
    for (int i = 0; i < CARDS_AHEAD; i++)
        pass_card(&scan, &queue, 0, end);
    finish(&scan);
}
