/* SPDX-License-Identifier: MIT */
#include "trace/cards.h"

#include "trace/edge.h"
#include "trace/scan.h"

#include <string.h>

enum { AT_ONCE = 8 }; /* cards that are scanned before what they queued is followed */

/* A holder at work: the youngest age met so far, cards aside. */
struct card_scan {
    struct gc_tracer *tracer;
    gc_visit_words_fn *visit_words;
    const gc_type *type;
    uintptr_t array;
    unsigned age;
    unsigned youngest;
};

/* Edges wait, for what they lead to is far away. */
static void queue_words(struct gc_tracer *tracer, uintptr_t from, uintptr_t to)
{
    gc_scan_range(tracer, from, to, gc_queue);
}

static void follow_words(struct gc_tracer *tracer, uintptr_t from, uintptr_t to)
{
    gc_scan_range(tracer, from, to, gc_follow_as_due);
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

/* The slots of references from `from` to `to`: all on one card. */
static void visit_slots(struct card_scan *scan, uintptr_t from, uintptr_t to)
{
    struct gc_tables *tables = scan->tracer->tables;

    scan->tracer->youngest = GC_GENERATIONS;
    scan->visit_words(scan->tracer, from, to);
    set_card(scan, &tables->lines[gc_line_of(tables, from)]);
}

static void visit_slot(struct card_scan *scan, uintptr_t slot)
{
    visit_slots(scan, slot, slot + sizeof slot);
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
        visit_slots(scan, from, to);
    else
        visit_range(scan, from, to);
}

static struct card_scan begin(struct gc_tracer *tracer, uintptr_t array)
{
    return (struct card_scan){.tracer = tracer,
                              .visit_words =
                                  tracer->prefetch == GC_PREFETCH_NONE ? follow_words : queue_words,
                              .type = gc_header_type(*gc_header(array)),
                              .array = array,
                              .age = gc_age_of(tracer->tables, array),
                              .youngest = GC_GENERATIONS};
}

/* The array, which is not gen0's any more, stays armed. It is in the log if some
 * slot refers to gen0; in the old set if some slot of an older array refers to
 * gen1, or may; in the frozen set if it is frozen, and not all that it refers to is. */
static void finish(struct card_scan *scan)
{
    uint8_t *log = gc_log_byte(scan->array);
    uint8_t kept = *log & (GC_LOG_REMEMBERED | GC_LOG_FROZEN);

    scan->tracer->youngest = scan->youngest;
    if (scan->youngest == GC_YOUNG) {
        if (!(*log & GC_LOG_NOTED)) /* else an earlier scan of this collection added it */
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

static void visit_cards(struct card_scan *scan, uintptr_t from, uintptr_t to)
{
    for (uintptr_t at = from; at < to; at = next_card(at, to))
        visit_card(scan, at, next_card(at, to));
}

static uintptr_t end_of(const struct card_scan *scan)
{
    return scan->array + gc_payload_bytes(scan->type, scan->array);
}

static void forget(uintptr_t array)
{
    *gc_log_byte(array) &= (uint8_t) ~(GC_LOG_REMEMBERED | GC_LOG_NOTED | GC_LOG_FROZEN);
}

/* What is queued is to be followed before much more is: a few arrays wait. */
void gc_cards_scan_all(struct gc_tracer *tracer, uintptr_t array)
{
    struct card_scan scan = begin(tracer, array);

    gc_card_mark(tracer->tables, array, NULL, GC_CARD_CLEAN);
    forget(array);
    if (tracer->prefetch != GC_PREFETCH_NONE && !tracer->ephemerons.watching &&
        tracer->card_scan_count < GC_CARD_SCANS) {
        tracer->card_scans[tracer->card_scan_count++] =
            (struct gc_card_scan){array, array, GC_GENERATIONS};
        return;
    }
    visit_cards(&scan, array, end_of(&scan));
    finish(&scan);
}

void gc_cards_scan_on(struct gc_tracer *tracer)
{
    struct gc_card_scan *begun = &tracer->card_scans[tracer->card_scan_count - 1];
    struct card_scan scan = begin(tracer, begun->array);
    uintptr_t end = end_of(&scan);
    uintptr_t to = gc_min(gc_round_down(begun->at, GC_LINE_BYTES) + AT_ONCE * GC_LINE_BYTES, end);

    scan.youngest = begun->youngest;
    visit_cards(&scan, begun->at, to);
    begun->at = to;
    begun->youngest = scan.youngest;
    if (to < end)
        return;
    tracer->card_scan_count--;
    finish(&scan);
}

void gc_cards_scan_piece(struct gc_tracer *tracer, uintptr_t from, gc_visit_words_fn *visit_words)
{
    struct gc_tables *tables = tracer->tables;
    struct card_scan scan = begin(tracer, gc_large_object(tables, gc_block_of(tables, from)));
    uintptr_t to = gc_min(gc_next_piece(from), end_of(&scan));

    scan.visit_words = visit_words;
    memset(&tables->lines[gc_line_of(tables, from)], GC_CARD_CLEAN,
           gc_line_of(tables, to - 1) + 1 - gc_line_of(tables, from));
    visit_cards(&scan, from, to);
}

void gc_cards_finish_pieces(struct gc_tracer *tracer, uintptr_t array)
{
    const struct gc_tables *tables = tracer->tables;
    struct card_scan scan = begin(tracer, array);
    size_t last = gc_line_of(tables, end_of(&scan) - 1);
    uint8_t most = GC_CARD_CLEAN;

    for (size_t line = gc_line_of(tables, array); line <= last; line++)
        most = most > tables->lines[line] ? most : tables->lines[line];
    if (most != GC_CARD_CLEAN)
        scan.youngest = GC_FROZEN - most;
    forget(array);
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
    uintptr_t end = end_of(&scan), at = array;
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
