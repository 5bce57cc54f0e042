/* SPDX-License-Identifier: MIT
 *
 * Lanes: words that grow in place, and what they do when they cannot.
 */
#include "memory/lane.h"
#include "os/os.h"
#include "support/sweep.h"
#include "trace/remembered.h"

enum { WORDS = 4096 };

static size_t page_words(void)
{
    return gc_os_page_bytes() / sizeof(uintptr_t);
}

static void fill(struct gc_lane *lane, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(gc_lane_push(lane, i));
}

/* Whoever asks later whether there is a lane asks for its capacity. */
static void a_lane_that_was_not_made_has_no_capacity(void **state)
{
    (void)state;
    for (unsigned call = 0; call < 2; call++) {
        struct gc_lane lane = {.capacity = 7};

        fault_arm(call, 1, FAULT_RESERVE | FAULT_COMMIT);
        assert_false(gc_lane_create(&lane, WORDS, 1));
        assert_int_equal(fault_failed(), 1);
        fault_disarm();
        assert_int_equal(lane.capacity, 0);
        assert_int_equal(lane.committed, 0);
        assert_null(lane.words);
    }
    assert_true(fault_is_clean());
}

/* Of four lanes each may be the one that cannot be had. */
static void a_remembered_set_is_made_whole_or_not_at_all(void **state)
{
    enum { CALLS = 8 };

    (void)state;
    for (unsigned call = 0; call <= CALLS; call++) {
        struct gc_remembered remembered;
        bool is_made;

        fault_arm(call, 1, FAULT_RESERVE | FAULT_COMMIT);
        is_made = gc_remembered_create(&remembered, NULL, WORDS);
        assert_int_equal(is_made, fault_failed() == 0);
        assert_int_equal(is_made, call == CALLS);
        fault_disarm();
        if (is_made)
            gc_remembered_destroy(&remembered);
        assert_true(fault_is_clean());
    }
}

static void a_lane_grows_to_its_capacity_and_keeps_its_words(void **state)
{
    struct gc_lane lane;
    const uintptr_t *words;

    (void)state;
    assert_true(gc_lane_create(&lane, WORDS, 1));
    words = lane.words;
    assert_int_equal(lane.committed, page_words());
    fill(&lane, WORDS);
    assert_false(gc_lane_push(&lane, 1));
    assert_int_equal(lane.count, WORDS);
    assert_ptr_equal(lane.words, words);
    for (size_t i = 0; i < WORDS; i++)
        assert_int_equal(lane.words[i], i);
    gc_lane_destroy(&lane);
    assert_true(fault_is_clean());
}

static void a_lane_begins_empty_of_memory_if_asked(void **state)
{
    struct gc_lane lane;

    (void)state;
    assert_true(gc_lane_create(&lane, WORDS, 0));
    assert_int_equal(fault_calls_of(FAULT_COMMIT), 0);
    fill(&lane, 1);
    assert_int_equal(lane.committed, page_words());
    gc_lane_destroy(&lane);
}

static void a_lane_that_cannot_grow_is_as_it_was(void **state)
{
    struct gc_lane lane;

    (void)state;
    assert_true(gc_lane_create(&lane, WORDS, 1));
    fill(&lane, page_words());
    fault_arm(0, 1, FAULT_COMMIT);
    assert_false(gc_lane_push(&lane, 7));
    assert_int_equal(lane.count, page_words());
    assert_int_equal(lane.committed, page_words());
    assert_true(gc_lane_push(&lane, 7));
    assert_int_equal(lane.words[page_words()], 7);
    gc_lane_destroy(&lane);
}

static void a_lane_shrinks_to_what_is_to_be_kept(void **state)
{
    struct gc_lane lane;

    (void)state;
    assert_true(gc_lane_create(&lane, WORDS, 1));
    fill(&lane, WORDS);
    gc_lane_shrink(&lane, page_words() + 1);
    assert_int_equal(lane.count, 0);
    assert_int_equal(lane.committed, 2 * page_words());
    assert_int_equal(fault_calls_of(FAULT_DECOMMIT), 1);
    gc_lane_shrink(&lane, 2 * page_words());
    assert_int_equal(fault_calls_of(FAULT_DECOMMIT), 1);
    fill(&lane, WORDS);
    gc_lane_destroy(&lane);
}

static void a_lane_that_cannot_shrink_keeps_its_memory(void **state)
{
    struct gc_lane lane;

    (void)state;
    assert_true(gc_lane_create(&lane, WORDS, WORDS));
    fault_arm(0, 1, FAULT_DECOMMIT);
    gc_lane_shrink(&lane, 0);
    assert_int_equal(fault_failed(), 1);
    assert_int_equal(lane.committed, WORDS);
    fill(&lane, WORDS);
    gc_lane_destroy(&lane);
}

static void a_lane_grows_to_its_limit_and_may_grow_again(void **state)
{
    struct gc_lane lane;

    (void)state;
    assert_true(gc_lane_create(&lane, WORDS, 1));
    gc_lane_limit(&lane, page_words() + 1);
    assert_int_equal(lane.capacity, 2 * page_words());
    fill(&lane, 2 * page_words());
    assert_false(gc_lane_push(&lane, 7));
    assert_int_equal(lane.committed, 2 * page_words());
    gc_lane_limit(&lane, 2 * (size_t)WORDS);
    assert_int_equal(lane.capacity, WORDS);
    fill(&lane, WORDS - 2 * page_words());
    gc_lane_destroy(&lane);
    assert_true(fault_is_clean());
}

static void a_limit_gives_back_but_what_the_lane_holds(void **state)
{
    struct gc_lane lane;

    (void)state;
    assert_true(gc_lane_create(&lane, WORDS, WORDS));
    fill(&lane, page_words() + 1);
    fault_arm(0, 1, FAULT_DECOMMIT);
    gc_lane_limit(&lane, 1);
    assert_int_equal(fault_failed(), 1);
    assert_int_equal(lane.capacity, WORDS);
    fault_disarm();
    gc_lane_limit(&lane, 1);
    assert_int_equal(lane.committed, 2 * page_words());
    assert_int_equal(lane.capacity, 2 * page_words());
    assert_int_equal(lane.count, page_words() + 1);
    lane.count = 0;
    gc_lane_limit(&lane, 1);
    assert_int_equal(lane.capacity, page_words());
    gc_lane_destroy(&lane);
}

static void a_lane_that_was_not_made_stays_so(void **state)
{
    struct gc_lane lane = {.words = NULL};

    (void)state;
    gc_lane_limit(&lane, WORDS);
    assert_int_equal(lane.capacity, 0);
    assert_int_equal(fault_calls(), 0);
}

static void a_lane_without_memory_is_not_made(void **state)
{
    struct gc_lane lane;

    (void)state;
    fault_arm(0, 1, FAULT_RESERVE);
    assert_false(gc_lane_create(&lane, WORDS, 1));
    fault_arm(0, 1, FAULT_COMMIT);
    assert_false(gc_lane_create(&lane, WORDS, 1));
    assert_null(lane.words);
    assert_true(fault_is_clean());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULTY(a_lane_that_was_not_made_has_no_capacity),
        FAULTY(a_remembered_set_is_made_whole_or_not_at_all),
        FAULTY(a_lane_grows_to_its_capacity_and_keeps_its_words),
        FAULTY(a_lane_begins_empty_of_memory_if_asked),
        FAULTY(a_lane_that_cannot_grow_is_as_it_was),
        FAULTY(a_lane_shrinks_to_what_is_to_be_kept),
        FAULTY(a_lane_that_cannot_shrink_keeps_its_memory),
        FAULTY(a_lane_grows_to_its_limit_and_may_grow_again),
        FAULTY(a_limit_gives_back_but_what_the_lane_holds),
        FAULTY(a_lane_that_was_not_made_stays_so),
        FAULTY(a_lane_without_memory_is_not_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
