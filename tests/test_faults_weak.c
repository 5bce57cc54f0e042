/* SPDX-License-Identifier: MIT
 *
 * Every call of the system fails, once and for ever, at every point of what
 * depends on an object's life: weak references, ephemerons, hashes, tables,
 * finalizers, guardians, watches. What was refused is not there; what was
 * accepted is done.
 */
#include "support/sweep.h"

#include <string.h>

#include <strata/table.h>
#include <strata/weak.h>

enum { MANY = 600 };

/* What was accepted, and what came of it. */
static struct {
    size_t accepted;
    size_t ran;
    gc_guardian *guardian;
    uint64_t hashes[MANY];
    bool hashed[MANY];
} tally;

/* `count` nodes in an array that root[0] keeps. */
static void arrange_nodes(struct world *world, size_t count)
{
    void **array = world->root[0] = make_array(world->mutator, &gc_type_references, count);

    for (size_t i = 0; i < count; i++) {
        struct node *node = make_node(world->mutator, i);

        array = world->root[0];
        gc_write(world->mutator, array, &array[i], node);
    }
    memset(&tally, 0, sizeof tally);
}

static void arrange_many(struct world *world)
{
    arrange_nodes(world, MANY);
}

static struct node *node_at(const struct world *world, size_t i)
{
    struct node **array = world->root[0];

    return array[i];
}

static void check_many(struct world *world)
{
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(node_at(world, i)->value, i);
}

static bool is_accepted(gc_status status)
{
    assert_true(status == GC_OK || status == GC_NO_MEMORY);
    return status == GC_OK;
}

/* ---- Finalizers --------------------------------------------------------- */

static void count_finalized(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)data;
    assert_true(((struct node *)object)->value < MANY);
    tally.ran++;
}

static void act_finalizers(struct world *world)
{
    const gc_finalizer finalizer = {sizeof finalizer, count_finalized, NULL, GC_PRIORITY_NORMAL,
                                    10};
    void **array = world->root[0];

    for (size_t i = 0; i < MANY; i++) {
        gc_status status = gc_finalizer_add(world->mutator, array[i], &finalizer, NULL);

        tally.accepted += is_accepted(status);
    }
    assert_int_equal(stats_of(world->heap).external_bytes, 10 * tally.accepted);
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void check_finalizers(struct world *world)
{
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_finalizers_run(world->mutator, 0);
    assert_int_equal(tally.ran, tally.accepted);
    assert_int_equal(stats_of(world->heap).external_bytes, 0);
}

static void a_finalizer_that_was_accepted_runs_once(void **state)
{
    static const struct scenario scenario = {"finalizers", arrange_many, act_finalizers,
                                             check_finalizers, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* ---- Guardians and watches ---------------------------------------------- */

static void count_watched(gc_mutator *mutator, void *data)
{
    (void)mutator;
    (void)data;
    tally.ran++;
}

static void act_guardians(struct world *world)
{
    void **array = world->root[0];

    tally.guardian = gc_guardian_create(world->mutator);
    for (size_t i = 0; i < MANY; i++) {
        gc_status status;

        if (tally.guardian != NULL && i % 2 == 0)
            status = gc_guardian_add(world->mutator, tally.guardian, array[i]);
        else
            status = gc_watch_add(world->mutator, array[i], count_watched, NULL, NULL);
        tally.accepted += is_accepted(status);
    }
    world->root[0] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void check_guardians(struct world *world)
{
    gc_collect(world->mutator, GC_OLD, NULL);
    gc_finalizers_run(world->mutator, 0);
    while (tally.guardian != NULL && gc_guardian_next(world->mutator, tally.guardian) != NULL)
        tally.ran++;
    assert_int_equal(tally.ran, tally.accepted);
}

static void what_is_guarded_or_watched_comes_once(void **state)
{
    static const struct scenario scenario = {"guardians", arrange_many, act_guardians,
                                             check_guardians, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* ---- Weak references ---------------------------------------------------- */

static void count_cleared(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    (void)data;
    assert_null(gc_weakref_get(mutator, weakref));
    tally.ran++;
}

/* Half of them with a callback, and half of all to nodes that die. */
static void act_weakrefs(struct world *world)
{
    void **refs = world->root[1] =
        gc_alloc_array(world->mutator, &gc_type_references, (size_t)MANY);

    for (size_t i = 0; i < MANY && refs != NULL; i++) {
        struct node *node = node_at(world, i);
        gc_weakref *weakref =
            i % 4 < 2 ? gc_weakref_create(world->mutator, node, 0)
                      : gc_weakref_create_watching(world->mutator, node, 0, count_cleared, NULL);

        refs = world->root[1];
        gc_write(world->mutator, refs, &refs[i], weakref);
        tally.accepted += weakref != NULL && i % 4 == 2;
    }
    for (size_t i = 0; i < MANY; i += 2)
        ((void **)world->root[0])[i] = NULL;
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void check_weakrefs(struct world *world)
{
    gc_weakref **refs;

    gc_collect(world->mutator, GC_OLD, NULL);
    refs = world->root[1];
    for (size_t i = 0; i < MANY && refs != NULL; i++)
        if (refs[i] != NULL)
            assert_ptr_equal(gc_weakref_get(world->mutator, refs[i]), node_at(world, i));
    gc_finalizers_run(world->mutator, 0);
    assert_int_equal(tally.ran, tally.accepted);
}

static void a_weak_reference_that_was_made_is_cleared_in_time(void **state)
{
    static const struct scenario scenario = {"weakrefs", arrange_many, act_weakrefs, check_weakrefs,
                                             NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* ---- Ephemerons --------------------------------------------------------- */

enum { CHAIN = 3000 };

/* Ephemerons in root[1], from each node of an array to the one before it: a
 * chain in the wrong order. Only the last key lives by itself. */
static void arrange_chain(struct world *world)
{
    arrange_nodes(world, CHAIN);
    world->root[1] = make_array(world->mutator, &gc_type_references, CHAIN);
    for (size_t i = 1; i < CHAIN; i++) {
        gc_ephemeron *pair =
            gc_ephemeron_create(world->mutator, node_at(world, i), node_at(world, i - 1));
        void **pairs = world->root[1];

        assert_non_null(pair);
        gc_write(world->mutator, pairs, &pairs[i], pair);
    }
    world->root[2] = node_at(world, CHAIN - 1);
    world->root[0] = NULL;
}

static void act_chain(struct world *world)
{
    gc_collect(world->mutator, GC_YOUNG, NULL);
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void check_chain(struct world *world)
{
    gc_ephemeron **pairs = world->root[1];
    const struct node *key = world->root[2];

    for (size_t i = CHAIN - 1; i > 0; i--) {
        assert_ptr_equal(gc_ephemeron_key(world->mutator, pairs[i]), key);
        key = gc_ephemeron_value(world->mutator, pairs[i]);
        assert_non_null(key);
        assert_int_equal(key->value, i - 1);
    }
}

static void ephemerons_keep_their_values_without_memory(void **state)
{
    static const struct scenario scenario = {"ephemerons", arrange_chain, act_chain, check_chain,
                                             NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* ---- Hashes ------------------------------------------------------------- */

static void act_hash(struct world *world)
{
    for (size_t i = 0; i < MANY; i++)
        tally.hashed[i] = is_accepted(gc_hash(world->mutator, node_at(world, i), &tally.hashes[i]));
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void check_hash(struct world *world)
{
    check_many(world);
    for (size_t i = 0; i < MANY; i++) {
        uint64_t hash = 0;

        assert_int_equal(gc_hash(world->mutator, node_at(world, i), &hash), GC_OK);
        assert_true(!tally.hashed[i] || hash == tally.hashes[i]);
    }
}

static void a_hash_that_was_given_stays(void **state)
{
    static const struct scenario scenario = {"hash", arrange_many, act_hash, check_hash, NULL};

    (void)state;
    sweep_all(&scenario, true);
}

/* ---- Tables ------------------------------------------------------------- */

/* Puts, removes and puts again; `hashed` says what should be there. */
static void fill_table(struct world *world, gc_table_kind kind)
{
    world->root[1] = gc_table_create(world->mutator, kind, NULL, NULL, NULL);
    for (size_t i = 0; i < MANY && world->root[1] != NULL; i++) {
        struct node *node = node_at(world, i);

        tally.hashed[i] = is_accepted(gc_table_put(world->mutator, world->root[1], node, node));
        if (i % 3 == 0 && tally.hashed[i]) {
            assert_true(gc_table_remove(world->mutator, world->root[1], node_at(world, i)));
            tally.hashed[i] = false;
        }
    }
    if (world->root[1] != NULL)
        (void)is_accepted(gc_table_fit(world->mutator, world->root[1], MANY));
    gc_collect(world->mutator, GC_OLD, NULL);
}

static void act_strong_table(struct world *world)
{
    fill_table(world, GC_TABLE_STRONG);
}

static void act_weak_keys(struct world *world)
{
    fill_table(world, GC_TABLE_WEAK_KEYS);
}

static void act_weak_values(struct world *world)
{
    fill_table(world, GC_TABLE_WEAK_VALUES);
}

static void act_weak_set(struct world *world)
{
    fill_table(world, GC_TABLE_WEAK_SET);
}

static void check_table(struct world *world)
{
    size_t count = 0;

    check_many(world);
    if (world->root[1] == NULL)
        return;
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(gc_table_get(world->mutator, world->root[1], node_at(world, i), NULL),
                         tally.hashed[i]);
        count += tally.hashed[i];
    }
    assert_int_equal(gc_table_count(world->mutator, world->root[1]), count);
}

static void a_table_that_could_not_grow_is_as_it_was(void **state)
{
    static const struct scenario kinds[] = {
        {"strong table", arrange_many, act_strong_table, check_table, NULL},
        {"weak keys", arrange_many, act_weak_keys, check_table, NULL},
        {"weak values", arrange_many, act_weak_values, check_table, NULL},
        {"weak set", arrange_many, act_weak_set, check_table, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        sweep_all(&kinds[i], true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULTY(a_finalizer_that_was_accepted_runs_once),
        FAULTY(what_is_guarded_or_watched_comes_once),
        FAULTY(a_weak_reference_that_was_made_is_cleared_in_time),
        FAULTY(ephemerons_keep_their_values_without_memory),
        FAULTY(a_hash_that_was_given_stays),
        FAULTY(a_table_that_could_not_grow_is_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
