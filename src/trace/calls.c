/* SPDX-License-Identifier: MIT */
#include "trace/calls.h"

#include "os/os.h"

#include <string.h>

enum { FIRST_PAGES = 8, POSITION_BITS = 26 };

static const uint64_t POSITION_MASK = ((uint64_t)1 << POSITION_BITS) - 1;

static struct gc_call_page *page_of(const struct gc_calls *calls, const struct gc_call *call)
{
    return calls->pages[call->position / GC_CALL_PAGE_SLOTS];
}

static void list_free(struct gc_calls *calls, struct gc_call_page *page)
{
    if (page->listed)
        return;
    page->listed = true;
    page->next_free = calls->free_pages;
    calls->free_pages = page;
}

static void note_age(struct gc_calls *calls, struct gc_call_page *page, unsigned age)
{
    if (age >= page->youngest)
        return;
    if (page->youngest < GC_FROZEN) {
        *page->link_of_age = page->next_of_age;
        if (page->next_of_age != NULL)
            page->next_of_age->link_of_age = page->link_of_age;
    }
    page->youngest = (uint8_t)age;
    page->next_of_age = calls->by_age[age];
    page->link_of_age = &calls->by_age[age];
    if (page->next_of_age != NULL)
        page->next_of_age->link_of_age = &page->next_of_age;
    calls->by_age[age] = page;
}

static bool reserve_page(struct gc_calls *calls)
{
    size_t capacity = calls->page_capacity == 0 ? FIRST_PAGES : 2 * calls->page_capacity;
    struct gc_call_page **pages;

    if (calls->page_count < calls->page_capacity)
        return true;
    if (capacity * GC_CALL_PAGE_SLOTS > POSITION_MASK)
        return false;
    pages = gc_os.resize(calls->pages, capacity * sizeof(void *));
    if (pages == NULL)
        return false;
    calls->pages = pages;
    calls->page_capacity = capacity;
    return true;
}

static bool open_page(struct gc_calls *calls)
{
    struct gc_call_page *page;

    if (!reserve_page(calls))
        return false;
    page = gc_os.allocate(sizeof *page);
    if (page == NULL)
        return false;
    for (uint32_t i = GC_CALL_PAGE_SLOTS; i-- > 0;) {
        page->records[i].position = (uint32_t)calls->page_count * GC_CALL_PAGE_SLOTS + i;
        page->records[i].next = page->free;
        page->free = &page->records[i];
    }
    page->youngest = GC_FROZEN;
    calls->pages[calls->page_count++] = page;
    list_free(calls, page);
    return true;
}

void gc_calls_destroy(struct gc_calls *calls)
{
    struct gc_guardian *guardian = calls->guardians;

    for (size_t i = 0; i < calls->page_count; i++)
        gc_os.free(calls->pages[i]);
    gc_os.free(calls->pages);
    while (guardian != NULL) {
        struct gc_guardian *next = guardian->next;

        gc_os.free(guardian);
        guardian = next;
    }
    *calls = (struct gc_calls){0};
}

size_t gc_calls_bytes(const struct gc_calls *calls)
{
    return calls->page_count * sizeof(struct gc_call_page) +
           calls->page_capacity * sizeof(struct gc_call_page *);
}

struct gc_call *gc_call_take(struct gc_calls *calls)
{
    struct gc_call_page *page;
    struct gc_call *call;

    if (calls->free_pages == NULL && !open_page(calls))
        return NULL;
    page = calls->free_pages;
    call = page->free;
    page->free = call->next;
    page->used++;
    note_age(calls, page, GC_YOUNG);
    if (page->free == NULL) {
        page->listed = false;
        calls->free_pages = page->next_free;
    }
    *call = (struct gc_call){.position = call->position, .serial = ++calls->serial};
    call->state = GC_CALL_IDLE;
    calls->count++;
    return call;
}

/* Memory of the last record's page goes back with the heap only: names lead
 * into pages. */
void gc_call_give(struct gc_calls *calls, struct gc_call *call)
{
    struct gc_call_page *page = page_of(calls, call);

    *call = (struct gc_call){.position = call->position, .next = page->free};
    page->free = call;
    page->used--;
    calls->count--;
    list_free(calls, page);
}

uint64_t gc_call_name(const struct gc_call *call)
{
    return call->serial << POSITION_BITS | call->position;
}

struct gc_call *gc_call_named(const struct gc_calls *calls, uint64_t name)
{
    size_t position = (size_t)(name & POSITION_MASK);
    struct gc_call *call;

    if (position / GC_CALL_PAGE_SLOTS >= calls->page_count)
        return NULL;
    call = &calls->pages[position / GC_CALL_PAGE_SLOTS]->records[position % GC_CALL_PAGE_SLOTS];
    return call->state != GC_CALL_FREE && gc_call_name(call) == name ? call : NULL;
}

void gc_call_note_age(struct gc_calls *calls, const struct gc_call *call, unsigned age)
{
    note_age(calls, page_of(calls, call), age);
}

/* ---- Queues ---- */

void gc_call_enqueue(struct gc_call_queue *queue, struct gc_call *call)
{
    call->next = NULL;
    call->state = GC_CALL_QUEUED;
    call->queue = queue;
    if (queue->first == NULL)
        queue->first = call;
    else
        queue->last->next = call;
    queue->last = call;
    queue->count++;
}

struct gc_call *gc_call_dequeue(struct gc_call_queue *queue)
{
    struct gc_call *call = queue->first;

    if (call == NULL)
        return NULL;
    queue->first = call->next;
    queue->count--;
    return call;
}

void gc_call_unqueue(struct gc_call_queue *queue, struct gc_call *call)
{
    struct gc_call **link = &queue->first, *before = NULL;

    while (*link != call) {
        before = *link;
        link = &before->next;
    }
    *link = call->next;
    if (queue->last == call)
        queue->last = before;
    queue->count--;
}

static bool goes_first(const struct gc_call *a, const struct gc_call *b, bool newest_first)
{
    return newest_first ? a->serial > b->serial : a->serial < b->serial;
}

/* Takes the longest run off the list's head, sorted or the other way round, and
 * returns it sorted. */
static struct gc_call *cut_run(struct gc_call **list, bool newest_first)
{
    struct gc_call *run = *list, *last = run, *next = run->next;
    bool reversed = next != NULL && !goes_first(run, next, newest_first);

    while (next != NULL && goes_first(last, next, newest_first) != reversed) {
        struct gc_call *after = next->next;

        if (reversed) {
            next->next = run;
            run = next;
        }
        last = next;
        next = after;
    }
    *(reversed ? &(*list)->next : &last->next) = NULL;
    *list = next;
    return run;
}

static struct gc_call *merge(struct gc_call *a, struct gc_call *b, bool newest_first)
{
    struct gc_call *merged = NULL, **link = &merged;

    while (a != NULL && b != NULL) {
        struct gc_call **first = goes_first(a, b, newest_first) ? &a : &b;

        *link = *first;
        link = &(*first)->next;
        *first = *link;
    }
    *link = a != NULL ? a : b;
    return merged;
}

/* A merge sort of natural runs: bins[i] holds 2^i of them, merged. */
struct gc_call *gc_calls_sort(struct gc_call *list, bool newest_first)
{
    struct gc_call *bins[64] = {NULL}, *sorted = NULL;

    if (list == NULL)
        return NULL;
    while (list != NULL) {
        struct gc_call *run = cut_run(&list, newest_first);
        int i = 0;

        for (; bins[i] != NULL; i++) {
            run = merge(bins[i], run, newest_first);
            bins[i] = NULL;
        }
        bins[i] = run;
    }
    for (int i = 0; i < 64; i++)
        sorted = merge(bins[i], sorted, newest_first);
    return sorted;
}

/* ---- Freezing ---- */

void gc_calls_freeze(struct gc_calls *calls)
{
    for (size_t i = 0; i < calls->page_count; i++)
        calls->pages[i]->youngest = GC_FROZEN;
    for (int age = 0; age < GC_GENERATIONS; age++)
        calls->by_age[age] = NULL;
}

void gc_calls_unfreeze(struct gc_calls *calls)
{
    for (size_t i = 0; i < calls->page_count; i++)
        note_age(calls, calls->pages[i], GC_OLD);
}

/* ---- In a collection ---- */

static void trace_page(struct gc_call_page *page, struct gc_tracer *tracer)
{
    for (int slot = 0; slot < GC_CALL_PAGE_SLOTS; slot++) {
        struct gc_call *call = &page->records[slot];

        if (call->state == GC_CALL_QUEUED && call->object != 0)
            call->object = gc_trace_kept(tracer, call->object);
    }
}

void gc_calls_trace(struct gc_calls *calls, struct gc_tracer *tracer)
{
    for (unsigned age = 0; age <= tracer->oldest; age++)
        for (struct gc_call_page *page = calls->by_age[age]; page != NULL; page = page->next_of_age)
            trace_page(page, tracer);
}

/* A record after the trace. */
static void settle(struct gc_calls *calls, struct gc_call *call, const struct gc_tracer *tracer,
                   struct gc_call **dead)
{
    uintptr_t now;

    if (call->state < GC_CALL_WAITING || call->object == 0)
        return;
    now = gc_trace_survivor(tracer, call->object);
    if (now == 0) {
        call->state = GC_CALL_DYING;
        call->next = *dead;
        *dead = call;
        return;
    }
    call->object = now;
    gc_call_note_age(calls, call, gc_age_of(tracer->tables, now));
}

enum { AHEAD = 8 };

static void settle_page(struct gc_calls *calls, struct gc_call_page *page,
                        const struct gc_tracer *tracer, struct gc_call **dead)
{
    struct gc_call *records = page->records;

    for (int slot = 0; slot < GC_CALL_PAGE_SLOTS; slot++) {
        if (slot + AHEAD < GC_CALL_PAGE_SLOTS && records[slot + AHEAD].object != 0)
            gc_prefetch(gc_header(records[slot + AHEAD].object));
        settle(calls, &records[slot], tracer, dead);
    }
}

static struct gc_call_page *reverse(struct gc_call_page *list)
{
    struct gc_call_page *reversed = NULL;

    while (list != NULL) {
        struct gc_call_page *next = list->next_of_age;

        list->next_of_age = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

/* Takes the lists off before any page is filed anew, at the head of its list.
 * Those filed first come first, the oldest before all, so that what is found is
 * all but in order. */
struct gc_call *gc_calls_find_dead(struct gc_calls *calls, struct gc_tracer *tracer)
{
    struct gc_call_page *lists[GC_GENERATIONS];
    struct gc_call *dead = NULL;

    for (unsigned age = 0; age <= tracer->oldest; age++) {
        lists[age] = reverse(calls->by_age[age]);
        calls->by_age[age] = NULL;
    }
    for (unsigned age = tracer->oldest + 1; age-- > 0;)
        for (struct gc_call_page *page = lists[age], *next; page != NULL; page = next) {
            next = page->next_of_age;
            page->youngest = GC_GENERATIONS;
            settle_page(calls, page, tracer, &dead);
        }
    return dead;
}
