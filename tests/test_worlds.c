/* SPDX-License-Identifier: MIT
 *
 * Exhaustive small worlds: all graphs of three objects with two fields each, by
 * the objects' ages, by which of them are rooted, by whether the references
 * were there when the objects grew old or were stored then, by one more store,
 * by the collection after it: 47 million. After that collection, and after two
 * older ones, what lives is the same, and is what must live; and the verifier
 * finds nothing.
 *
 * The objects are numbered from the oldest, which leaves out what differs by
 * the order alone. One case of some hundreds is tried; STRATA_WORLDS=1 tries
 * all (forty minutes of a core), STRATA_WORLDS=n one of n. STRATA_SHARD=k/m: the
 * k-th of m equal parts of that, from 1/m to m/m.
 */
#include <strata/weak.h>

#include "support/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 3, FIELDS = 2, EDGES = OBJECTS * FIELDS, VALUES = OBJECTS + 1 };

struct item {
    struct item *field[FIELDS];
    uint64_t number;
};

static const uint32_t item_refs[] = {0, 8};
static const gc_type item_type = GC_TYPE_STRUCT("item", struct item, item_refs);

/* One case. References are numbers from 1; 0 is none. */
struct setup {
    uint8_t edge[EDGES]; /* of object 1, first and second field; of object 2, ... */
    uint8_t age[OBJECTS];
    uint8_t roots;    /* a bit for each */
    bool is_early;    /* the references grow old with the objects */
    uint8_t at;       /* the edge that the last store sets */
    uint8_t value;    /* ... to this */
    uint8_t oldest;   /* generation collected then */
    bool is_hashed;   /* identity is looked at, too */
    uint64_t ordinal; /* of the case */
};

static const uint8_t ages[10][OBJECTS] = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {1, 1, 1}, {2, 0, 0},
                                          {2, 1, 0}, {2, 1, 1}, {2, 2, 0}, {2, 2, 1}, {2, 2, 2}};

static const uint64_t cases = (uint64_t)4096 * 10 * 8 * 2 * EDGES * VALUES * GC_GENERATIONS;

static unsigned take_digit(uint64_t *number, unsigned base)
{
    unsigned digit = (unsigned)(*number % base);

    *number /= base;
    return digit;
}

static struct setup setup_of(uint64_t ordinal)
{
    struct setup setup = {.ordinal = ordinal};
    uint64_t rest = ordinal;

    setup.oldest = (uint8_t)take_digit(&rest, GC_GENERATIONS);
    setup.at = (uint8_t)take_digit(&rest, EDGES);
    setup.value = (uint8_t)take_digit(&rest, VALUES);
    setup.is_early = take_digit(&rest, 2) != 0;
    setup.roots = (uint8_t)take_digit(&rest, 1 << OBJECTS);
    memcpy(setup.age, ages[take_digit(&rest, 10)], OBJECTS);
    for (int i = 0; i < EDGES; i++)
        setup.edge[i] = (uint8_t)take_digit(&rest, VALUES);
    setup.is_hashed = (ordinal * UINT64_C(0x9e3779b97f4a7c15)) >> 63 != 0;
    return setup;
}

/* ---- The model ---------------------------------------------------------- */

/* Adds what the set reaches. */
static unsigned closure(const struct setup *setup, unsigned set)
{
    unsigned before;

    do {
        before = set;
        for (int i = 0; i < EDGES; i++)
            if ((set >> i / FIELDS & 1) != 0 && setup->edge[i] != 0)
                set |= 1u << (setup->edge[i] - 1);
    } while (set != before);
    return set;
}

static unsigned older_than(const struct setup *setup, unsigned generation)
{
    unsigned set = 0;

    for (int i = 0; i < OBJECTS; i++)
        set |= (unsigned)(setup->age[i] > generation) << i;
    return set;
}

/* A collection of 0 to `generation`: what lives then. All that is older does,
 * and keeps what it refers to. */
static unsigned survivors(struct setup *setup, unsigned alive, unsigned generation)
{
    unsigned older = alive & older_than(setup, generation);
    unsigned left = alive & closure(setup, setup->roots | older);

    for (int i = 0; i < OBJECTS; i++)
        if (setup->age[i] <= generation && setup->age[i] < GC_OLD)
            setup->age[i]++;
    return left;
}

/* ---- The heap ----------------------------------------------------------- */

static struct {
    struct world *world;
    struct setup setup;
    uint64_t hash[OBJECTS];
    bool moves_at_will; /* the environment's settings may age objects otherwise */
} now;

static struct item *item(int i)
{
    return now.world->root[i];
}

static void set_edge(int i, unsigned value)
{
    struct item *holder = item(i / FIELDS);

    gc_write(now.world->mutator, holder, &holder->field[i % FIELDS],
             value != 0 ? item((int)value - 1) : NULL);
}

/* All references between the first `count` objects. */
static void set_edges(int count)
{
    for (int i = 0; i < count * FIELDS; i++)
        if (now.setup.edge[i] <= count)
            set_edge(i, now.setup.edge[i]);
}

static int make_of_age(int made, unsigned age)
{
    while (made < OBJECTS && now.setup.age[made] == age) {
        struct item *fresh = make_object(now.world->mutator, &item_type);

        fresh->number = (uint64_t)made + 1;
        now.world->root[made++] = fresh;
    }
    if (now.setup.is_early)
        set_edges(made);
    return made;
}

/* All three, rooted, of their ages, with their references. */
static void build(void)
{
    gc_mutator *mutator = now.world->mutator;
    int made = make_of_age(0, 2);

    if (made > 0)
        gc_collect(mutator, GC_YOUNG, NULL);
    made = make_of_age(made, 1);
    if (made > 0)
        gc_collect(mutator, GC_MIDDLE, NULL);
    (void)make_of_age(made, 0);
    if (!now.setup.is_early)
        set_edges(OBJECTS);
    for (int i = 0; i < OBJECTS; i++) {
        if (!now.moves_at_will)
            assert_int_equal(gc_generation_of(mutator, item(i)), now.setup.age[i]);
        if (now.setup.is_hashed)
            assert_int_equal(gc_hash(mutator, item(i), &now.hash[i]), GC_OK);
    }
}

static void drop_roots(void)
{
    for (int i = 0; i < OBJECTS; i++)
        if ((now.setup.roots >> i & 1) == 0)
            now.world->root[i] = NULL;
}

static void check_item(int i, struct item *object)
{
    uint64_t hash = 0;

    assert_int_equal(object->number, i + 1);
    if (!now.moves_at_will)
        assert_int_equal(gc_generation_of(now.world->mutator, object), now.setup.age[i]);
    if (!now.setup.is_hashed)
        return;
    assert_int_equal(gc_hash(now.world->mutator, object, &hash), GC_OK);
    assert_int_equal(hash, now.hash[i]);
}

/* The heap's graph is the model's, from the roots. */
static void check_graph(void)
{
    struct item *found[OBJECTS] = {NULL};
    int queue[OBJECTS];
    int queued = 0;

    for (int i = 0; i < OBJECTS; i++)
        if ((now.setup.roots >> i & 1) != 0) {
            found[i] = item(i);
            queue[queued++] = i;
        }
    for (int done = 0; done < queued; done++) {
        int i = queue[done];

        check_item(i, found[i]);
        for (int f = 0; f < FIELDS; f++) {
            int to = now.setup.edge[i * FIELDS + f] - 1;

            if (to >= 0 && found[to] == NULL) {
                found[to] = found[i]->field[f];
                assert_non_null(found[to]);
                queue[queued++] = to;
            }
            assert_ptr_equal(found[i]->field[f], to >= 0 ? found[to] : NULL);
        }
    }
}

static void collect_and_check(unsigned *alive, unsigned generation, bool verifies)
{
    unsigned older = *alive & older_than(&now.setup, generation);
    gc_report report = collect(now.world->mutator, generation);

    *alive = survivors(&now.setup, *alive, generation);
    check_graph();
    if (!now.moves_at_will)
        assert_int_equal(report.survived_objects, __builtin_popcount(*alive & ~older));
    if (verifies)
        assert_int_equal(gc_verify(now.world->mutator), 0);
}

static void try_case(uint64_t ordinal)
{
    unsigned alive = (1 << OBJECTS) - 1;

    now.setup = setup_of(ordinal);
    build();
    set_edge(now.setup.at, now.setup.value);
    now.setup.edge[now.setup.at] = now.setup.value;
    drop_roots();
    collect_and_check(&alive, now.setup.oldest, true);
    collect_and_check(&alive, GC_MIDDLE, ordinal % 7 == 0);
    collect_and_check(&alive, GC_OLD, ordinal % 7 == 0);
    memset(now.world->root, 0, sizeof now.world->root);
    assert_int_equal(collect(now.world->mutator, GC_OLD).survived_objects, 0);
}

/* ---- Runs --------------------------------------------------------------- */

struct range {
    uint64_t first, end, step;
};

/* One case of so many, in the part that is asked for. */
static struct range range_of(uint64_t step)
{
    const char *shard = getenv("STRATA_SHARD");
    unsigned part = 1, parts = 1;
    struct range range;

    step = is_slowed() ? step * 50 : step;
    /* Sharing no factor with the digits' bases, it meets all their values. */
    while (step > 1 && (step % 2 == 0 || step % 3 == 0 || step % 5 == 0))
        step++;
    if (shard != NULL)
        assert_int_equal(sscanf(shard, "%u/%u", &part, &parts), 2);
    assert_in_range(part, 1, parts);
    range.first = (cases / parts * (part - 1) + step - 1) / step * step;
    range.end = part == parts ? cases : cases / parts * part;
    range.step = step;
    return range;
}

static void try_cases(gc_barriers barriers, const char *settings, uint64_t step)
{
    const char *wanted = getenv("STRATA_WORLDS");
    gc_options options = plain_options(256 * KIB);
    struct range range;
    uint64_t tried = 0;

    if (wanted != NULL)
        step = strtoull(wanted, NULL, 10) * (settings != NULL ? 100 : 1);
    range = range_of(step);
    options.hard_limit = 2 * MIB;
    options.barriers = barriers;
    options.settings = settings;
    now.moves_at_will = getenv("STRATA_OPTIONS") != NULL || barriers == GC_BARRIERS_NONE;
    now.world = world_make(&options);
    for (uint64_t i = range.first; i < range.end; i += range.step, tried++)
        try_case(i);
    print_message("%llu worlds\n", (unsigned long long)tried);
    assert_true(tried > 0);
    world_end(now.world);
}

static void all_worlds_of_three_objects_live_as_they_must(void **state)
{
    (void)state;
    try_cases(GC_BARRIERS_ALL, NULL, 1009);
}

static void worlds_that_always_move_live_as_they_must(void **state)
{
    (void)state;
    try_cases(GC_BARRIERS_ALL, "stress=evacuate-all", 20011);
}

static void worlds_that_never_move_live_as_they_must(void **state)
{
    (void)state;
    try_cases(GC_BARRIERS_ALL, "stress=in-place", 5003);
}

static void worlds_with_a_tiny_mark_stack_live_as_they_must(void **state)
{
    (void)state;
    try_cases(GC_BARRIERS_ALL, "stress=tiny-stack+prefetch", 5003);
}

static void worlds_without_barriers_live_as_they_must(void **state)
{
    (void)state;
    try_cases(GC_BARRIERS_NONE, NULL, 5003);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_worlds_of_three_objects_live_as_they_must),
        cmocka_unit_test(worlds_that_always_move_live_as_they_must),
        cmocka_unit_test(worlds_that_never_move_live_as_they_must),
        cmocka_unit_test(worlds_with_a_tiny_mark_stack_live_as_they_must),
        cmocka_unit_test(worlds_without_barriers_live_as_they_must),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
