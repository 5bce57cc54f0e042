/* SPDX-License-Identifier: MIT
 *
 * The remembered set from inside: who is in it, and how often. Too much in it
 * would keep nothing alive and move nothing wrong; only these counts tell.
 */
#include "heap/heap.h"
#include "support/hardened.h"
#include "support/holders.h"

enum { LIST = 5000 };

static const uint32_t first_word[] = {0};
static const gc_type pairs_type = GC_TYPE_ARRAY("pairs", void *[2], first_word);

static struct gc_remembered *remembered(struct world *world)
{
    return &world->heap->collector.remembered;
}

static uint64_t logged(const struct world *world)
{
    return stats_of(world->heap).logged_objects;
}

/* Stores into root[0]'s first word. */
static void store(struct world *world, void *value)
{
    gc_write(world->mutator, world->root[0], (void **)world->root[0], value);
}

/* A young node that stays young, being pinned, in root[0]'s first word. */
static struct node *store_pinned(struct world *world)
{
    struct node *young = make_node(world->mutator, 1);

    assert_int_equal(gc_pin(world->mutator, young), GC_OK);
    store(world, young);
    return young;
}

static void a_holder_is_logged_once_however_often_it_is_stored_into(void **state)
{
    struct world *world = *state;
    static const size_t lengths[] = {10, 100000};

    for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
        uint64_t before;

        (void)old_array(world, 0, lengths[i]);
        before = logged(world);
        for (int round = 0; round < 5; round++)
            store(world, make_node(world->mutator, 1));
        assert_int_equal(logged(world), before + 1);
        assert_int_equal(gc_verify(world->mutator), 0);
    }
}

static void what_is_no_younger_is_not_logged(void **state)
{
    struct world *world = *state;

    (void)old_node(world, 1);
    for (int kind = 0; kind < 4; kind++) {
        uint64_t before;

        world->root[0] = kind == 0   ? (void *)make_node(world->mutator, 0)
                         : kind == 1 ? make_array(world->mutator, &gc_type_references, 10)
                         : kind == 2 ? make_array(world->mutator, &pairs_type, 10)
                                     : make_array(world->mutator, &gc_type_references, 100000);
        make_old(world);
        before = logged(world);
        store(world, world->root[1]);
        store(world, NULL);
        store(world, world->root[0]);
        assert_int_equal(logged(world), before);
        store(world, make_node(world->mutator, 1));
        assert_int_equal(logged(world), before + 1);
    }
}

static void an_old_holder_of_a_middle_object_is_in_the_old_set_once(void **state)
{
    struct world *world = *state;

    (void)old_node(world, 0);
    assert_int_equal(remembered(world)->old.count, 0);
    store(world, make_node(world->mutator, 1));
    for (int round = 0; round < 3; round++) {
        gc_collect(world->mutator, GC_YOUNG, NULL);
        assert_int_equal(gc_generation_of(world->mutator, *(void **)world->root[0]), GC_MIDDLE);
        assert_int_equal(remembered(world)->old.count, 1);
        assert_int_equal(remembered(world)->log.count, 0);
        assert_false(remembered(world)->lost);
    }
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    assert_int_equal(remembered(world)->old.count, 0);
    assert_int_equal(((struct node *)world->root[0])->left->value, 1);
}

static void an_old_holder_of_a_young_object_stays_in_the_log_once(void **state)
{
    struct world *world = *state;
    struct node *young;

    (void)old_node(world, 0);
    young = store_pinned(world);
    for (int round = 0; round < 3; round++) {
        gc_collect(world->mutator, GC_YOUNG, NULL);
        assert_int_equal(gc_generation_of(world->mutator, young), GC_YOUNG);
        assert_int_equal(remembered(world)->log.count, 1);
        assert_false(remembered(world)->lost);
    }
    assert_int_equal(young->value, 1);
    assert_int_equal(gc_unpin(world->mutator, young), GC_OK);
}

/* Two are read one after the other; the second refers to nothing any more. */
static void a_holder_is_remembered_for_what_it_refers_to_itself(void **state)
{
    struct world *world = *state;
    struct node *young, *other;

    (void)old_node(world, 0);
    (void)old_node(world, 1);
    young = store_pinned(world);
    other = world->root[1];
    gc_write(world->mutator, other, &other->left, young);
    gc_write(world->mutator, other, &other->left, NULL);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_generation_of(world->mutator, young), GC_YOUNG);
    assert_int_equal(remembered(world)->log.count, 1);
    assert_int_equal(remembered(world)->old.count, 0);
    assert_int_equal(gc_unpin(world->mutator, young), GC_OK);
}

/* It stays where it is, being pinned, and still refers to something young. */
static void a_holder_that_is_condemned_leaves_the_old_set(void **state)
{
    struct world *world = *state;
    struct node *holder, *young;

    holder = old_node(world, 0);
    assert_int_equal(gc_pin(world->mutator, holder), GC_OK);
    store(world, make_node(world->mutator, 1));
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(remembered(world)->old.count, 1);
    young = make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, young), GC_OK);
    gc_write(world->mutator, holder, &holder->right, young);
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_ptr_equal(world->root[0], holder);
    assert_int_equal(gc_generation_of(world->mutator, young), GC_YOUNG);
    assert_int_equal(*gc_log_byte((uintptr_t)holder), 0);
    assert_int_equal(remembered(world)->log.count, 1);
    assert_int_equal(remembered(world)->old.count, 0);
    assert_int_equal(gc_unpin(world->mutator, young), GC_OK);
    assert_int_equal(gc_unpin(world->mutator, holder), GC_OK);
}

/* A middle collection comes to it by the old set and by the log, a full one, if it is
 * frozen, by the frozen set as well. */
static void an_array_in_several_sets_stays_in_the_log_once(void **state)
{
    struct world *world = *state;
    struct node *young;

    for (int is_frozen = 0; is_frozen < 2; is_frozen++) {
        (void)old_array(world, 0, 10000);
        if (is_frozen)
            assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
        young = store_pinned(world);
        for (int round = 0; round < 6; round++) {
            void **array = world->root[0], *other = make_node(world->mutator, 2);

            gc_write(world->mutator, array, &array[5000], other); /* gen1's before long */
            gc_collect(world->mutator, GC_YOUNG, NULL);
            gc_collect(world->mutator, round < 3 ? GC_MIDDLE : GC_OLD, NULL);
            assert_int_equal(young->value, 1);
            assert_int_equal(gc_generation_of(world->mutator, young), GC_YOUNG);
            assert_int_equal(remembered(world)->log.count, 1);
        }
        assert_int_equal(gc_unpin(world->mutator, young), GC_OK);
    }
}

/* By a word each, it refers to what is in gen2 and in gen1. */
static void a_frozen_holder_may_be_in_two_sets(void **state)
{
    struct world *world = *state;
    struct node *holder;

    world->root[0] = make_node(world->mutator, 0);
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
    holder = world->root[0];
    store(world, old_node(world, 1));
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(remembered(world)->frozen.count, 1);
    assert_int_equal(remembered(world)->log.count, 0);
    gc_write(world->mutator, holder, &holder->right, make_node(world->mutator, 2));
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(remembered(world)->frozen.count, 1);
    assert_int_equal(remembered(world)->old.count, 1);
    assert_int_equal(*gc_log_byte((uintptr_t)holder),
                     GC_LOG_ARMED | GC_LOG_REMEMBERED | GC_LOG_FROZEN);
}

/* Which is the first to be traced, and has moved when the sets are looked through. */
static void a_class_that_moves_leaves_the_old_set(void **state)
{
    static const gc_type layout = GC_TYPE_LEAF("made", uint64_t);
    struct world *world = *state;
    struct node *young, *class_object = old_node(world, 0);
    gc_type *type = gc_type_create(world->mutator, &layout, class_object);

    assert_non_null(type);
    store(world, make_node(world->mutator, 1));
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(remembered(world)->old.count, 1);
    class_object = world->root[0];
    young = make_node(world->mutator, 2);
    assert_int_equal(gc_pin(world->mutator, young), GC_OK);
    gc_write(world->mutator, class_object, &class_object->right, young);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
    assert_ptr_not_equal(gc_type_class(type), class_object);
    assert_int_equal(*gc_log_byte((uintptr_t)gc_type_class(type)), 0);
    gc_type_retire(world->mutator, type, NULL, NULL);
    assert_int_equal(gc_unpin(world->mutator, young), GC_OK);
}

/* No full collection comes to it but by the frozen set, each for the next. */
static void what_a_frozen_holder_refers_to_in_gen2_lives_on(void **state)
{
    struct world *world = *state;

    world->root[0] = make_node(world->mutator, 0);
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
    world->root[1] = build_list(world->mutator, LIST); /* in blocks too full to be emptied */
    make_old(world);
    store(world, world->root[1]);
    world->root[1] = NULL;
    for (int round = 0; round < 4; round++) {
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_int_equal(remembered(world)->frozen.count, 1);
        assert_true(is_intact_list(*(struct node **)world->root[0], LIST));
    }
}

/* All holders are frozen, and so is what they refer to. */
static void a_freeze_empties_the_sets(void **state)
{
    struct world *world = *state;
    struct node *young;

    (void)old_node(world, 0);
    young = store_pinned(world);
    assert_int_equal(gc_freeze(world->mutator, 0), GC_OK);
    assert_int_equal(gc_generation_of(world->mutator, young), GC_FROZEN);
    assert_int_equal(remembered(world)->log.count, 0);
    assert_int_equal(remembered(world)->old.count, 0);
    assert_int_equal(gc_unpin(world->mutator, young), GC_OK);
}

/* A long array is scanned in pieces; each may find something young. */
static void an_array_scanned_in_pieces_is_in_the_log_once(void **state)
{
    enum { LENGTH = 800 };
    struct world *world = *state;

    world->root[0] = make_array(world->mutator, &gc_type_references, LENGTH);
    for (int i = 0; i < LENGTH; i += 100) {
        struct node *young = make_node(world->mutator, 1);
        void **array = world->root[0];

        assert_int_equal(gc_pin(world->mutator, young), GC_OK);
        gc_write(world->mutator, array, &array[i], young);
    }
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_generation_of(world->mutator, world->root[0]), GC_MIDDLE);
    assert_int_equal(gc_generation_of(world->mutator, *(void **)world->root[0]), GC_YOUNG);
    assert_int_equal(remembered(world)->log.count, 1);
    for (int i = 0; i < LENGTH; i += 100)
        assert_int_equal(gc_unpin(world->mutator, ((void **)world->root[0])[i]), GC_OK);
}

/* Its first piece refers to gen0, the last to gen1. */
static void an_array_scanned_in_pieces_is_in_each_set(void **state)
{
    enum { LENGTH = 800 };
    struct world *world = *state;
    void **array;

    world->root[0] = make_array(world->mutator, &gc_type_references, LENGTH);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    store(world, make_node(world->mutator, 1));
    array = world->root[0];
    assert_int_equal(gc_pin(world->mutator, array[0]), GC_OK);
    make_garbage(world->mutator, GC_BLOCK_BYTES); /* the other's block is none that stays */
    gc_write(world->mutator, array, &array[LENGTH - 1], make_node(world->mutator, 2));
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    array = world->root[0];
    assert_int_equal(gc_generation_of(world->mutator, array), GC_OLD);
    assert_int_equal(gc_generation_of(world->mutator, array[0]), GC_YOUNG);
    assert_int_equal(gc_generation_of(world->mutator, array[LENGTH - 1]), GC_MIDDLE);
    assert_int_equal(remembered(world)->log.count, 1);
    assert_int_equal(remembered(world)->old.count, 1);
    assert_true(*gc_log_byte((uintptr_t)array) & GC_LOG_REMEMBERED);
    assert_int_equal(gc_unpin(world->mutator, array[0]), GC_OK);
}

/* Two threads may log one holder: the second entry finds it done. */
static void a_holder_that_was_logged_twice_is_scanned_once(void **state)
{
    struct world *world = *state;
    struct node *young;

    (void)old_node(world, 0);
    young = store_pinned(world);
    for (int i = 0; i < 3; i++)
        gc_log_add(remembered(world), (uintptr_t)world->root[0]);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(gc_generation_of(world->mutator, young), GC_YOUNG);
    assert_int_equal(remembered(world)->log.count, 1);
    assert_int_equal(gc_unpin(world->mutator, young), GC_OK);
}

/* Log and old set are full to the last word that is committed: the one behind it
 * cannot be read. */
static void sets_are_read_to_their_last_word_and_no_further(void **state)
{
    struct world *world = *state;
    size_t count = remembered(world)->log.committed;

    world->root[0] = make_array(world->mutator, &gc_type_references, count);
    for (size_t i = 0; i < count; i++) {
        struct node *fresh = make_node(world->mutator, i);
        void **holders = world->root[0];

        gc_write(world->mutator, holders, &holders[i], fresh);
    }
    make_old(world);
    for (size_t i = 0; i < count; i++) {
        struct node *fresh = make_node(world->mutator, i);
        struct node *holder = ((void **)world->root[0])[i];

        gc_write(world->mutator, holder, &holder->left, fresh);
    }
    gc_collect(world->mutator, GC_YOUNG, NULL);
    assert_int_equal(remembered(world)->log_before.committed, count);
    assert_int_equal(remembered(world)->old.count, count);
    assert_int_equal(remembered(world)->old.committed, count);
    gc_collect(world->mutator, GC_MIDDLE, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct node *holder = ((void **)world->root[0])[i];

        assert_int_equal(holder->left->value, i);
        assert_int_equal(gc_generation_of(world->mutator, holder->left), GC_OLD);
    }
}

/* ---- Without room -------------------------------------------------------- */

static unsigned flags_of(struct world *world, const void *object)
{
    const struct gc_tables *tables = gc_heap_tables(world->heap);

    return tables->blocks[gc_block_of(tables, (uintptr_t)object)].flags;
}

/* An old holder, one of three kinds, in root[0], and a lane without room for it. */
struct tight {
    int kind;
    unsigned flags; /* of the holder's block */
    struct gc_lane before;
};

static struct tight make_tight(struct world *world, int kind, struct gc_lane *lane)
{
    if (kind == 0)
        (void)old_node(world, 0);
    else
        (void)old_array(world, 0, kind == 1 ? 10 : 100000);
    return (struct tight){kind, flags_of(world, world->root[0]), fill_up(lane)};
}

/* Dead ones that refer to others: holders in none of the sets. */
static void make_dead(struct world *world)
{
    struct node *dead = make_node(world->mutator, 2);

    dead->left = make_node(world->mutator, 3);
}

/* After a young collection the holder has what was stored, of gen1; what only the
 * dead referred to is gone; and its block has these flags besides. */
static void check_found(struct world *world, const struct tight *tight, unsigned more_flags)
{
    struct node *stored = *(struct node **)world->root[0];

    assert_int_equal(stored->value, 1);
    assert_int_equal(gc_generation_of(world->mutator, stored), GC_MIDDLE);
    assert_int_equal(count_objects(world->mutator, &node_type), tight->kind == 0 ? 2 : 1);
    assert_int_equal(flags_of(world, world->root[0]) & ~tight->flags, more_flags);
}

static void let_go(struct world *world)
{
    assert_false(remembered(world)->lost);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void what_the_log_has_no_room_for_is_found_in_its_block(void **state)
{
    struct world *world = *state;

    for (int kind = 0; kind < 3; kind++) {
        struct tight tight = make_tight(world, kind, &remembered(world)->log);

        make_dead(world);
        store(world, make_node(world->mutator, 1));
        gc_collect(world->mutator, GC_YOUNG, NULL);
        give_room(world, tight.before);
        check_found(world, &tight, 0);
        let_go(world);
    }
}

static void what_the_old_set_has_no_room_for_is_found_in_its_block(void **state)
{
    struct world *world = *state;

    for (int kind = 0; kind < 3; kind++) {
        struct tight tight = make_tight(world, kind, &remembered(world)->old);

        store(world, make_node(world->mutator, 1));
        for (int round = 0; round < 3; round++) {
            make_dead(world);
            gc_collect(world->mutator, GC_YOUNG, NULL);
            check_found(world, &tight, GC_BLOCK_ALL_REMEMBERED);
            assert_true(remembered(world)->lost);
        }
        give_room(world, tight.before);
        gc_collect(world->mutator, GC_MIDDLE, NULL);
        assert_int_equal((*(struct node **)world->root[0])->value, 1);
        assert_int_equal(gc_generation_of(world->mutator, *(void **)world->root[0]), GC_OLD);
        let_go(world);
    }
}

static int prefetch_setup(void **state)
{
    *state = make_exact("stress=prefetch");
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)
#define PREFETCH(name) cmocka_unit_test_setup_teardown(name, prefetch_setup, world_teardown)
#define HARDENED(name) cmocka_unit_test_setup_teardown(name, hardened_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_holder_is_logged_once_however_often_it_is_stored_into),
        TEST(what_is_no_younger_is_not_logged),
        TEST(an_old_holder_of_a_middle_object_is_in_the_old_set_once),
        TEST(an_old_holder_of_a_young_object_stays_in_the_log_once),
        TEST(a_holder_is_remembered_for_what_it_refers_to_itself),
        TEST(a_holder_that_is_condemned_leaves_the_old_set),
        TEST(an_array_in_several_sets_stays_in_the_log_once),
        TEST(a_frozen_holder_may_be_in_two_sets),
        TEST(what_a_frozen_holder_refers_to_in_gen2_lives_on),
        PREFETCH(what_a_frozen_holder_refers_to_in_gen2_lives_on),
        MOVING(a_class_that_moves_leaves_the_old_set),
        TEST(a_freeze_empties_the_sets),
        TEST(an_array_scanned_in_pieces_is_in_the_log_once),
        TEST(an_array_scanned_in_pieces_is_in_each_set),
        TEST(a_holder_that_was_logged_twice_is_scanned_once),
        TEST(sets_are_read_to_their_last_word_and_no_further),
        TEST(what_the_log_has_no_room_for_is_found_in_its_block),
        TEST(what_the_old_set_has_no_room_for_is_found_in_its_block),
        HARDENED(what_the_log_has_no_room_for_is_found_in_its_block),
        HARDENED(what_the_old_set_has_no_room_for_is_found_in_its_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
