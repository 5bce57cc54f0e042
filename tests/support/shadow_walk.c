/* SPDX-License-Identifier: MIT
 *
 * The walk of heap and model together.
 */
#include <stdlib.h>

#include "support/fault.h"
#include "support/shadow_model.h"

void wrong(uint32_t id, const char *what)
{
    const struct shadow *shadow = &run.shadows[id];

    print_error("%s: object %u (the %llu. made), kind %d, %zu elements, found from %u: %s\n",
                run.config->name, (unsigned)id, (unsigned long long)shadow->serial,
                (int)shadow->kind, shadow->length, (unsigned)shadow->from, what);
    fail();
    abort();
}

void suspect(uint32_t id, const char *what)
{
    run.suspect = id;
    run.suspicion = what;
}

/* ---- One object --------------------------------------------------------- */

void check_object(uint32_t id, void *object)
{
    const struct shadow *shadow = &run.shadows[id];
    uint64_t hash = 0;

    if (!gc_is_object(run.mutator, object))
        wrong(id, "is no object");
    if (type_of(shadow) != NULL && gc_type_of(object) != type_of(shadow))
        wrong(id, "has another type");
    if (shadow->kind < PLAIN_KINDS && gc_length(object) != shadow->length)
        wrong(id, "has another length");
    if (!contents_are(shadow, object, true))
        wrong(id, "has other contents");
    if (shadow->kind == ALIGNED && (uintptr_t)object % 64 != 0)
        wrong(id, "is not aligned");
    if (shadow->pins > 0 && shadow->pinned_at != object)
        wrong(id, "moved while pinned");
    if (shadow->is_hashed && (gc_hash(run.mutator, object, &hash) != GC_OK || hash != shadow->hash))
        wrong(id, "has another hash");
    if (shadow->serial % 4 == 0 && gc_size_of(object) > 0 &&
        gc_object_at(run.mutator, (char *)object + gc_size_of(object) / 2) != object)
        wrong(id, "is not found by an interior pointer");
}

void reach(uint32_t id, void *object)
{
    struct shadow *shadow = &run.shadows[id];

    if (shadow->refs == NULL)
        wrong(id, "was thought dead");
    if (shadow->walk == run.walk) {
        if (shadow->found != object)
            wrong(id, "is there twice");
        return;
    }
    shadow->seen_before = shadow->walk == run.walk - 1;
    shadow->walk = run.walk;
    shadow->found = object;
    shadow->from = run.looking;
    check_object(id, object);
    run.limbo += !is_strong(id);
    run.queue[run.queued++] = id;
}

/* ---- What it refers to -------------------------------------------------- */

static void look_at_slots(uint32_t id)
{
    const struct shadow *shadow = &run.shadows[id];

    for (uint32_t i = 0; i < shadow->slots; i++) {
        void *value = load(shadow, shadow->found, i);

        if (shadow->refs[i] != 0)
            reach(shadow->refs[i], value);
        else if (value != NULL)
            wrong(id, "has another word in a slot");
    }
    if (shadow->kind == MADE && run.made[shadow->variety].class_id != 0)
        reach(run.made[shadow->variety].class_id, gc_type_class(run.made[shadow->variety].type));
}

static void look_at(uint32_t id)
{
    if (run.shadows[id].kind == WEAK)
        look_at_weakref(id);
    else if (run.shadows[id].kind == EPHEMERON)
        look_at_ephemeron(id);
    else if (run.shadows[id].kind == TABLE)
        look_at_table(id);
    else
        look_at_slots(id);
}

static void reach_roots(void)
{
    for (uint32_t root = 0; root < ROOTS; root++) {
        void *object = root_get(root);

        if ((run.roots[root] == 0) != (object == NULL))
            fail_msg("%s: root %u", run.config->name, (unsigned)root);
        if (object != NULL)
            reach(run.roots[root], object);
    }
    for (int i = 0; i < MADE_TYPES; i++)
        if (run.made[i].type != NULL && !run.made[i].is_retired && run.made[i].class_id != 0)
            reach(run.made[i].class_id, gc_type_class(run.made[i].type));
    for (uint32_t id = 1; id < run.count; id++)
        if (run.shadows[id].is_frozen)
            reach(id, run.shadows[id].found);
}

/* ---- The whole ---------------------------------------------------------- */

static int compare_addresses(const void *a, const void *b)
{
    const void *x = run.shadows[*(const uint32_t *)a].found;
    const void *y = run.shadows[*(const uint32_t *)b].found;

    return ((uintptr_t)x > (uintptr_t)y) - ((uintptr_t)x < (uintptr_t)y);
}

static void check_apart(void)
{
    qsort(run.queue, run.queued, sizeof *run.queue, compare_addresses);
    for (uint32_t i = 1; i < run.queued; i++)
        if (run.shadows[run.queue[i]].found == run.shadows[run.queue[i - 1]].found)
            wrong(run.queue[i], "shares its address with another");
}

/* What full collections leave: a strong object must have been found, another
 * need not be there unless something kept may refer to it. */
static void check_taken(void)
{
    for (uint32_t i = 0; i < run.queued; i++) {
        uint32_t id = run.queue[i];

        if (!is_strong(id) && run.shadows[id].kept != run.walk)
            wrong(id, "is dead, and was not taken");
    }
}

static void forget_the_dead(void)
{
    run.kept = 0;
    for (uint32_t id = 1; id < run.count; id++) {
        struct shadow *shadow = &run.shadows[id];

        if (shadow->refs == NULL || shadow->walk == run.walk)
            continue;
        if (is_strong(id) && run.dropped == 0)
            wrong(id, "was not found");
        if (shadow->kept == run.walk || is_strong(id))
            run.kept++;
        else
            free_shadow(id);
    }
}

/* Walks both graphs. */
static void walk(bool is_full)
{
    uint32_t once = run.pinned_once;
    bool is_once = once != 0 && run.collections <= run.pinned_once_for;

    run.walk++;
    run.queued = run.limbo = run.dropped = run.looking = run.suspect = 0;
    mark_strong(false);
    note_dead_calls();
    run.shadows[once].pins += is_once;
    reach_roots();
    for (uint32_t done = 0; done < run.queued; done++)
        look_at(run.looking = run.queue[done]);
    if (run.suspect != 0 && run.dropped == 0)
        wrong(run.suspect, run.suspicion);
    run.shadows[once].pins -= is_once;
    if (run.collections >= run.pinned_once_for)
        run.pinned_once = 0;
    mark_kept();
    if (is_full && !run.has_hidden)
        check_taken();
    check_apart();
    forget_the_dead();
}

/* After a full collection, and with nothing kept, the heap has what the walk
 * found, and what tables are made of. */
static void check_count(void)
{
    size_t count = recount(run.mutator).all_objects;
    bool has_tables = false;

    for (uint32_t i = 0; i < run.queued; i++)
        has_tables |= run.shadows[run.queue[i]].kind == TABLE;
    assert_true(has_tables ? count >= run.queued : count == run.queued);
}

static size_t charges(void)
{
    size_t sum = run.program_charge;

    for (uint32_t id = 1; id < run.count; id++)
        sum += run.shadows[id].charge;
    for (int i = 0; i < CALLS; i++)
        sum += run.calls[i].external;
    return sum;
}

void compare(bool is_full)
{
    bool is_bare = is_full && is_exact() && run.inside == 0;

    if (has_trait(SHADOW_FAULTS))
        fault_disarm();
    run.collections = collections_of(run.heap);
    walk(is_bare);
    if (is_bare && run.kept == 0 && run.limbo == 0 && !run.has_hidden) {
        check_count();
        assert_int_equal(stats_of(run.heap).external_bytes, charges());
    }
    if (!has_trait(SHADOW_LAZY) || run.walk % 8 == 0)
        assert_int_equal(gc_verify(run.mutator), 0);
}

void compare_if_collected(void)
{
    if (collections_of(run.heap) != run.collections)
        compare(false);
}
