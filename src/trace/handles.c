/* SPDX-License-Identifier: MIT */
#include "trace/handles.h"

#include "os/os.h"

#include <assert.h>

/* Most heaps hold few handles, and each page is looked at in every collection. */
enum { PAGE_BYTES = 512, FIRST_PAGES = 7, PIECE_PAGES = 63 };

static_assert(sizeof(struct gc_handle_page) == PAGE_BYTES, "a handle leads to its page by a mask");

/* A free slot holds the position + 1 of the next one, tagged. */
static uintptr_t free_slot(uint32_t next)
{
    return (uintptr_t)next << 1 | 1;
}

static void list_free(struct gc_handles *handles, struct gc_handle_page *page)
{
    if (page->listed)
        return;
    page->listed = 1;
    page->next_free = handles->free_pages;
    handles->free_pages = page;
}

static void open_page(struct gc_handles *handles, struct gc_handle_page *page)
{
    for (uint32_t i = 0; i < GC_HANDLE_SLOTS; i++)
        page->slots[i] = free_slot(i + 1 < GC_HANDLE_SLOTS ? i + 2 : 0);
    page->first_free = 1;
    page->youngest = GC_FROZEN;
    page->owner = handles;
    page->next = handles->pages;
    handles->pages = page;
    handles->page_count++;
    list_free(handles, page);
}

/* Pages come many to a piece, so that aligning them wastes at most one. */
static bool open_piece(struct gc_handles *handles)
{
    size_t count = handles->page_count == 0 ? FIRST_PAGES : PIECE_PAGES;
    void *piece = gc_os.allocate((count + 1) * PAGE_BYTES);
    struct gc_handle_page *pages;

    if (piece == NULL)
        return false;
    pages = (struct gc_handle_page *)gc_round_up((uintptr_t)piece, PAGE_BYTES);
    for (size_t i = count; i-- > 0;)
        open_page(handles, &pages[i]);
    pages[0].piece = piece;
    return true;
}

void gc_handles_destroy(struct gc_handles *handles)
{
    struct gc_handle_page *page = handles->pages, *pieces = NULL;

    /* A piece's pages are freed with its first: gather those, then free. */
    while (page != NULL) {
        struct gc_handle_page *next = page->next;

        if (page->piece != NULL) {
            page->next_free = pieces;
            pieces = page;
        }
        page = next;
    }
    while (pieces != NULL) {
        struct gc_handle_page *next = pieces->next_free;

        gc_os.free(pieces->piece);
        pieces = next;
    }
    *handles = (struct gc_handles){0};
}

uintptr_t *gc_handles_take(struct gc_handles *handles)
{
    struct gc_handle_page *page;
    uintptr_t *slot;

    if (handles->free_pages == NULL && !open_piece(handles))
        return NULL;
    page = handles->free_pages;
    slot = &page->slots[page->first_free - 1];
    page->first_free = (uint8_t)(*slot >> 1);
    page->used++;
    if (page->first_free == 0) {
        page->listed = 0;
        handles->free_pages = page->next_free;
    }
    *slot = 0;
    return slot;
}

void gc_handles_give(struct gc_handles *handles, uintptr_t *slot)
{
    struct gc_handle_page *page = gc_handle_page_of(slot);

    *slot = free_slot(page->first_free);
    page->first_free = (uint8_t)(slot - page->slots + 1);
    page->used--;
    list_free(handles, page);
}

bool gc_handles_own(const struct gc_handles *handles, const void *slot)
{
    return gc_handle_page_of(slot)->owner == handles;
}

void gc_handles_freeze(struct gc_handles *handles)
{
    for (struct gc_handle_page *page = handles->pages; page != NULL; page = page->next)
        page->youngest = GC_FROZEN;
}

void gc_handles_unfreeze(struct gc_handles *handles)
{
    for (struct gc_handle_page *page = handles->pages; page != NULL; page = page->next)
        if (page->youngest == GC_FROZEN)
            page->youngest = GC_OLD;
}
