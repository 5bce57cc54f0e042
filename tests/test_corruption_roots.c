/* SPDX-License-Identifier: MIT
 *
 * The verifier sees roots: each corruption of what roots, frames and handles lead
 * to, and of their lists, is found, and named.
 */
#include "support/corruption.h"

/* ---- Roots --------------------------------------------------------------- */

static void root_into_the_middle(struct seeded *s)
{
    s->other = (uintptr_t)s->old;
    s->target = (uintptr_t)&s->old->value;
    s->world->root[0] = (void *)s->target;
    s->object = (uintptr_t)&s->world->root[0];
}

static void frame_to_a_gap(struct seeded *s)
{
    struct node **slot = (struct node **)s->frame->slots[0];

    s->object = (uintptr_t)slot;
    s->target = s->tables->base + s->tables->bytes - 8;
    gc_store_word(slot, s->target);
}

static void frames_are_ring(struct seeded *s)
{
    s->frame->below = s->frame;
}

static void handle_to_none(struct seeded *s)
{
    s->object = (uintptr_t)s->handle;
    s->target = s->tables->base + s->tables->bytes - 8;
    gc_store_word(s->handle, s->target);
}

static void handle_too_young(struct seeded *s)
{
    s->object = (uintptr_t)s->handle;
    s->target = (uintptr_t)s->middle;
    gc_handle_page_of(s->handle)->youngest = GC_OLD;
}

static void handle_page_miscounts(struct seeded *s)
{
    gc_handle_page_of(s->handle)->used = 7;
}

static void handle_page_of_others(struct seeded *s)
{
    gc_handle_page_of(s->handle)->owner = NULL;
}

static void handles_free_list(struct seeded *s)
{
    struct gc_handle_page *page = gc_handle_page_of(s->handle);

    page->slots[page->first_free - 1] = (uintptr_t)page->first_free << 1 | 1;
}

static void free_handle_beyond(struct seeded *s)
{
    gc_handle_page_of(s->handle)->first_free = GC_HANDLE_SLOTS + 5;
}

static void free_handle_is_used(struct seeded *s)
{
    struct gc_handle_page *page = gc_handle_page_of(s->handle);

    page->first_free = (uint8_t)((uintptr_t *)s->handle - page->slots + 1);
}

static void handle_pages_are_ring(struct seeded *s)
{
    gc_handle_page_of(s->handle)->next = s->collector->handles.pages;
}

static void handle_freed_twice(struct seeded *s)
{
    gc_handle_page_of(s->handle)->first_free = 0;
}

static void handle_pages_miscounted(struct seeded *s)
{
    s->collector->handles.page_count++;
}

static const struct corruption of_roots[] = {
    {"root into the middle", root_into_the_middle,
     "root {object} -> {target}: leads into the middle of the node at {other}", false},
    {"frame to where nothing was", frame_to_a_gap,
     "root {object} -> {target}: leads to memory that was freed or evacuated", false},
    {"frames are a ring", frames_are_ring,
     "heap: a mutator's frames have no end: one was pushed twice", false},
    {"handle to none", handle_to_none,
     "root {object} -> {target}: leads to memory that was freed or evacuated", false},
    {"handle younger than its page", handle_too_young,
     "root {object} -> {target}: leads to an object that is younger than the handle's page knows",
     false},
    {"page of handles miscounts", handle_page_miscounts, "heap: a page of handles miscounts them",
     false},
    {"page of another's handles", handle_page_of_others, "heap: a page of handles miscounts them",
     false},
    {"free handles are a ring", handles_free_list,
     "heap: a page of handles has a broken list of free ones (D1)", false},
    {"free handle beyond the page", free_handle_beyond,
     "heap: a page of handles has a broken list of free ones (D1)", false},
    {"free handle is used", free_handle_is_used,
     "heap: a page of handles has a broken list of free ones (D1)", false},
    {"pages of handles are a ring", handle_pages_are_ring,
     "heap: pages of handles are not as many as their count", true},
    {"free handles are lost", handle_freed_twice,
     "heap: a page of handles has a broken list of free ones (D1)", false},
    {"pages of handles miscounted", handle_pages_miscounted,
     "heap: pages of handles are not as many as their count", false},
};

static void broken_roots_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_roots, GC_COUNT(of_roots), 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_roots_are_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
