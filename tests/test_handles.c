/* SPDX-License-Identifier: MIT
 *
 * Handles: root slots that the heap keeps.
 */
#include "memory/layout.h"
#include "os/os.h"
#include "support/heap.h"
#include "trace/handles.h"

#include <stdlib.h>
#include <time.h>

static gc_handle *make_handle(gc_mutator *mutator, void *object)
{
    gc_handle *handle = gc_handle_create(mutator, object);

    assert_non_null(handle);
    return handle;
}

static uint64_t value_of(const gc_handle *handle)
{
    return ((const struct node *)gc_handle_get(handle))->value;
}

static void handle_keeps_and_is_updated_until_destroyed(void **state)
{
    struct world *world = *state;
    struct node *before = make_node(world->mutator, 5);
    gc_handle *handle = make_handle(world->mutator, before);

    assert_ptr_equal(gc_handle_get(handle), before);
    collect(world->mutator, 0);
    assert_ptr_not_equal(gc_handle_get(handle), before);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_int_equal(value_of(handle), 5);
    assert_int_equal(stats_of(world->heap).pinned_objects, 0);

    gc_handle_destroy(world->mutator, handle);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void handle_may_hold_null(void **state)
{
    struct world *world = *state;
    gc_handle *handle = make_handle(world->mutator, NULL);

    collect(world->mutator, 2);
    assert_null(gc_handle_get(handle));
    gc_handle_destroy(world->mutator, handle);
}

static void setting_a_handle_drops_what_it_held(void **state)
{
    struct world *world = *state;
    gc_handle *handle = make_handle(world->mutator, make_node(world->mutator, 1));

    gc_handle_set(world->mutator, handle, make_node(world->mutator, 2));
    collect(world->mutator, 2);
    assert_int_equal(value_of(handle), 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
    gc_handle_set(world->mutator, handle, NULL);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
    gc_handle_destroy(world->mutator, handle);
}

/* The handle was scanned when its object was old; what is put in it later is
 * young, and needs no barrier. */
static void old_handle_keeps_a_young_object(void **state)
{
    struct world *world = *state;
    gc_handle *handle = make_handle(world->mutator, make_node(world->mutator, 1));

    collect(world->mutator, 1);
    collect(world->mutator, 1);
    gc_handle_set(world->mutator, handle, make_node(world->mutator, 2));
    collect(world->mutator, 0);
    assert_int_equal(value_of(handle), 2);
    gc_handle_destroy(world->mutator, handle);
}

static void handles_to_one_object_stay_equal(void **state)
{
    struct world *world = *state;
    struct node *node = make_node(world->mutator, 1);
    gc_handle *a = make_handle(world->mutator, node);
    gc_handle *b = make_handle(world->mutator, node);

    assert_ptr_not_equal(a, b);
    collect(world->mutator, 0);
    assert_ptr_equal(gc_handle_get(a), gc_handle_get(b));
    gc_handle_destroy(world->mutator, a);
    collect(world->mutator, 1);
    assert_int_equal(value_of(b), 1);
    gc_handle_destroy(world->mutator, b);
}

static void handles_keep_their_address(void **state)
{
    enum { COUNT = 5000 };
    struct world *world = *state;
    gc_handle *handles[COUNT];

    for (size_t i = 0; i < COUNT; i++)
        handles[i] = make_handle(world->mutator, make_node(world->mutator, i));
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(value_of(handles[i]), i);
    }
    for (size_t i = 0; i < COUNT; i += 2)
        gc_handle_destroy(world->mutator, handles[i]);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), COUNT / 2);
    for (size_t i = 1; i < COUNT; i += 2) {
        assert_int_equal(value_of(handles[i]), i);
        gc_handle_destroy(world->mutator, handles[i]);
    }
}

/* First to last, last to first, and in no order; freed slots are used again. */
static void hundred_thousand_handles_come_and_go_in_any_order(void **state)
{
    enum { COUNT = 100000 };
    static const size_t strides[] = {1, COUNT - 1, 61803}; /* coprime to COUNT */
    struct world *world = *state;
    gc_handle **handles = calloc(COUNT, sizeof *handles);
    size_t committed = 0;
    clock_t start = clock();

    assert_non_null(handles);
    for (unsigned round = 0; round < GC_COUNT(strides); round++) {
        size_t at = 0;

        for (size_t i = 0; i < COUNT; i++)
            handles[i] = make_handle(world->mutator, NULL);
        assert_true(round == 0 || stats_of(world->heap).committed_bytes <= committed);
        committed = stats_of(world->heap).committed_bytes;
        for (size_t i = 0; i < COUNT; i++, at = (at + strides[round]) % COUNT)
            gc_handle_destroy(world->mutator, handles[at]);
    }
    assert_true(is_slowed() || (clock() - start) / CLOCKS_PER_SEC < 10);
    free(handles);
}

/* ---- Their pages, from inside -------------------------------------------- */

static struct {
    char *start;
    size_t bytes;
    int pieces;
} taken;

static void *(*allocate)(size_t bytes);
static void (*give_back)(void *piece);

static void *note_piece(size_t bytes)
{
    taken.start = allocate(bytes);
    taken.bytes = bytes;
    taken.pieces++;
    return taken.start;
}

static void note_given_back(void *piece)
{
    taken.pieces--;
    give_back(piece);
}

/* So no collection looks at the pages of what is frozen, and a full one at all after. */
static void freezing_ages_all_pages_and_thawing_those_only(void **state)
{
    struct gc_handles handles = {0};
    struct gc_handle_page *first, *last;

    (void)state;
    first = gc_handle_page_of(gc_handles_take(&handles));
    for (int i = 1; i <= GC_HANDLE_SLOTS; i++)
        last = gc_handle_page_of(gc_handles_take(&handles));
    assert_ptr_not_equal(last, first);
    first->youngest = GC_YOUNG;
    last->youngest = GC_OLD;
    gc_handles_freeze(&handles);
    assert_int_equal(first->youngest, GC_FROZEN);
    assert_int_equal(last->youngest, GC_FROZEN);
    first->youngest = GC_YOUNG;
    gc_handles_unfreeze(&handles);
    assert_int_equal(first->youngest, GC_YOUNG);
    assert_int_equal(last->youngest, GC_OLD);
    gc_handles_destroy(&handles);
}

static void pages_lie_within_their_piece(void **state)
{
    enum { FIRST = 7, COUNT = (FIRST + 2 * 63) * GC_HANDLE_SLOTS };
    struct gc_handles handles = {0};

    (void)state;
    allocate = gc_os.allocate;
    give_back = gc_os.free;
    gc_os.allocate = note_piece;
    gc_os.free = note_given_back;
    for (size_t i = 0; i < COUNT; i++) {
        char *slot = (char *)gc_handles_take(&handles);
        const struct gc_handle_page *page = gc_handle_page_of(slot);
        size_t later = i / GC_HANDLE_SLOTS < FIRST ? 0 : (i / GC_HANDLE_SLOTS - FIRST) / 63 + 1;

        assert_non_null(slot);
        assert_true((const char *)page >= taken.start);
        assert_true((const char *)(page + 1) <= taken.start + taken.bytes);
        assert_int_equal(page->youngest, GC_FROZEN); /* until something is put there */
        assert_int_equal(page->used, i % GC_HANDLE_SLOTS + 1);
        assert_int_equal(handles.page_count, FIRST + later * 63);
    }
    assert_int_equal(taken.pieces, 3);
    for (struct gc_handle_page *page = handles.pages; page != NULL; page = page->next)
        for (int i = GC_HANDLE_SLOTS; i-- > 0;) {
            gc_handles_give(&handles, &page->slots[i]);
            assert_int_equal(page->used, i);
        }
    gc_handles_destroy(&handles);
    assert_int_equal(taken.pieces, 0);
    gc_os.allocate = allocate;
    gc_os.free = give_back;
}

/* A page of old objects is passed over, whatever those before it refer to. */
static void each_page_knows_its_youngest(void **state)
{
    struct world *world = *state;
    gc_handle *handles[2 * GC_HANDLE_SLOTS];
    struct node *young;

    for (int i = 0; i < 2 * GC_HANDLE_SLOTS; i++)
        handles[i] = make_handle(world->mutator, make_node(world->mutator, 1));
    collect(world->mutator, 0);
    collect(world->mutator, 1);
    young = make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, young), GC_OK);
    for (int at = 0; at < 2; at++) {
        const gc_handle *holder = handles[at * GC_HANDLE_SLOTS];
        const gc_handle *other = handles[(1 - at) * GC_HANDLE_SLOTS];

        gc_handle_set(world->mutator, handles[at * GC_HANDLE_SLOTS], young);
        gc_handle_set(world->mutator, handles[(1 - at) * GC_HANDLE_SLOTS], NULL);
        collect(world->mutator, 0);
        assert_int_equal(gc_generation_of(world->mutator, young), GC_YOUNG);
        assert_int_equal(gc_handle_page_of(holder)->youngest, GC_YOUNG);
        assert_int_equal(gc_handle_page_of(other)->youngest, GC_OLD);
    }
    for (int i = 0; i < 2 * GC_HANDLE_SLOTS; i++)
        gc_handle_destroy(world->mutator, handles[i]);
}

static void destroyed_handles_may_be_taken_anew(void **state)
{
    struct gc_handles handles = {0};
    uintptr_t *slot;

    (void)state;
    for (int round = 0; round < 2; round++) {
        slot = gc_handles_take(&handles);
        assert_non_null(slot);
        assert_int_equal(*slot, 0);
        assert_true(gc_handles_own(&handles, slot));
        gc_handles_destroy(&handles);
        assert_null(handles.pages);
        assert_int_equal(handles.page_count, 0);
    }
}

/* Full pages go back to the list of those with a free slot. */
static void slots_that_were_given_back_are_taken_before_more_pages_are_made(void **state)
{
    enum { COUNT = 1000 * GC_HANDLE_SLOTS };
    struct gc_handles handles = {0};
    uintptr_t **slots = calloc(COUNT, sizeof *slots);
    size_t pages = 0;

    (void)state;
    assert_non_null(slots);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            slots[i] = gc_handles_take(&handles);
            assert_non_null(slots[i]);
            assert_int_equal(*slots[i], 0);
            *slots[i] = 8 * i;
        }
        assert_true(round == 0 || handles.page_count == pages);
        pages = handles.page_count;
        assert_in_range(pages, 1000, 1100);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(*slots[i], 8 * i);
            gc_handles_give(&handles, slots[i]);
            assert_true(gc_handle_is_free(*slots[i]));
        }
    }
    gc_handles_destroy(&handles);
    free(slots);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOVING(handle_keeps_and_is_updated_until_destroyed),
        TEST(handle_may_hold_null),
        TEST(setting_a_handle_drops_what_it_held),
        TEST(old_handle_keeps_a_young_object),
        TEST(handles_to_one_object_stay_equal),
        TEST(handles_keep_their_address),
        TEST(each_page_knows_its_youngest),
        cmocka_unit_test(freezing_ages_all_pages_and_thawing_those_only),
        cmocka_unit_test(pages_lie_within_their_piece),
        cmocka_unit_test(slots_that_were_given_back_are_taken_before_more_pages_are_made),
        cmocka_unit_test(destroyed_handles_may_be_taken_anew),
        TEST(hundred_thousand_handles_come_and_go_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
