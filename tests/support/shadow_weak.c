/* SPDX-License-Identifier: MIT
 *
 * The shadow graph's weak references and ephemerons.
 *
 * What was cleared stays so in the model from the first walk that sees it. One
 * that the walk before did not find (it waited for a finalizer, or hung on what
 * did) may have been cleared unseen.
 */
#include "support/shadow_model.h"

/* What `id` should hold is gone: was that right? */
static void check_cleared(uint32_t id, uint32_t target)
{
    if (is_strong(target) && run.shadows[id].seen_before)
        suspect(id, "was cleared, and what it refers to is alive");
    run.dropped += !run.shadows[id].seen_before;
}

/* ---- Weak references ---------------------------------------------------- */

static bool is_listed(gc_weakref *weakref, void *object)
{
    enum { MOST = 64 };
    gc_weakref *refs[MOST];
    size_t count = gc_weakref_list(run.mutator, object, refs, MOST);

    for (size_t i = 0; i < count && i < MOST; i++)
        if (refs[i] == weakref)
            return true;
    return count > MOST;
}

void look_at_weakref(uint32_t id)
{
    struct shadow *shadow = &run.shadows[id];
    gc_weakref *weakref = shadow->found;
    void *object = gc_weakref_get(run.mutator, weakref);

    if (object == NULL && shadow->refs[0] != 0) {
        struct registration *call = find_call(CALLBACK, id);

        check_cleared(id, shadow->refs[0]);
        shadow->refs[0] = 0;
        shadow_tally.cleared_weakrefs++;
        if (call != NULL)
            call->may_run = true;
    } else if (object != NULL) {
        if (shadow->refs[0] == 0)
            wrong(id, "refers to something again");
        reach(shadow->refs[0], object);
        if (!is_listed(weakref, object))
            wrong(id, "is not in its referent's list");
    }
}

/* There is one to an object of each kind without callback; which it is, its hash
 * tells: the number of its shadow, if it has one. */
static uint32_t find_shared(uint64_t hash)
{
    for (uint32_t id = 1; id < run.count; id++)
        if (run.shadows[id].kind == WEAK && run.shadows[id].is_hashed &&
            run.shadows[id].hash == hash)
            return id;
    return 0;
}

static gc_weakref *make_weakref(unsigned variety, void *object, const struct registration *call)
{
    if (call == NULL)
        return gc_weakref_create(run.mutator, object, variety);
    return gc_weakref_create_watching(run.mutator, object, variety & GC_WEAK_TRACKING,
                                      shadow_weak_callback, (void *)(uintptr_t)call->serial);
}

/* Its shadow, which may be there; 0: not known, for it has no hash. */
static uint32_t adopt_weakref(unsigned variety, uint32_t target, gc_weakref *weakref)
{
    bool may_be_shared = !(variety & WATCHING);
    uint64_t hash = 0;
    uint32_t id;

    if (may_be_shared && gc_hash(run.mutator, weakref, &hash) != GC_OK)
        return 0;
    id = may_be_shared ? find_shared(hash) : 0;
    if (id != 0) {
        if (run.shadows[id].refs[0] != target)
            wrong(id, "is shared, and refers to something else");
        return id;
    }
    id = new_shadow(WEAK, 0, 1);
    run.shadows[id].variety = (uint8_t)variety;
    run.shadows[id].refs[0] = target;
    if (may_be_shared)
        assert_true(hash_of(id, weakref));
    return id;
}

/* Makes a weak reference in a root. */
void do_weakref(void)
{
    unsigned variety = (unsigned)below(4);
    uint32_t of = full_root();
    uint32_t root = (uint32_t)below(ROOTS);
    uint32_t target = of != ROOTS ? run.roots[of] : 0;
    struct registration *call = NULL;
    gc_weakref *weakref;
    uint32_t id;

    /* Whether one without callback is shared depends on collections. */
    if (has_trait(SHADOW_FIXED))
        variety |= WATCHING;
    if (target != 0 && (variety & WATCHING))
        call = take_call(CALLBACK, 0);
    if (target == 0 || ((variety & WATCHING) && call == NULL))
        return;
    run.held[0] = target;
    weakref = make_weakref(variety, root_get(of), call);
    compare_if_collected();
    run.held[0] = 0;
    assert_true(weakref != NULL || may_fail());
    if (weakref == NULL) {
        drop_call(call);
        return;
    }
    id = adopt_weakref(variety, target, weakref);
    if (call != NULL)
        call->id = id;
    if (id != 0)
        root_set(root, id, weakref);
}

static void clear_weakref(uint32_t id, gc_weakref *weakref)
{
    struct registration *call = find_call(CALLBACK, id);

    if (call != NULL && gc_weakref_get(run.mutator, weakref) != NULL)
        drop_call(call);
    gc_weakref_clear(run.mutator, weakref);
    gc_weakref_clear(run.mutator, weakref);
    assert_null(gc_weakref_get(run.mutator, weakref));
    run.shadows[id].refs[0] = 0;
}

/* Puts the referent in a handle's root that has none. */
static void upgrade(uint32_t id, gc_weakref *weakref, uint32_t root)
{
    gc_handle *handle;

    root = ROOT_HANDLES + root % (ROOT_FRAME - ROOT_HANDLES);
    if (run.registered[root] || gc_weakref_get(run.mutator, weakref) == NULL)
        return;
    handle = gc_weakref_upgrade(run.mutator, weakref);
    assert_true(handle != NULL || may_fail());
    run.handles[root] = handle;
    run.registered[root] = handle != NULL;
    run.roots[root] = handle != NULL ? run.shadows[id].refs[0] : 0;
}

/* A root that holds an object of this kind, or ROOTS. */
static uint32_t root_of_kind(enum kind kind)
{
    uint32_t root = (uint32_t)below(ROOTS);

    for (uint32_t tries = 0; tries < ROOTS; tries++, root = (root + 1) % ROOTS)
        if (run.roots[root] != 0 && run.shadows[run.roots[root]].kind == kind)
            return root;
    return ROOTS;
}

/* Where steps may depend on the choices alone, what no root reaches is gone. */
static bool may_load(uint32_t target)
{
    if (!has_trait(SHADOW_FIXED))
        return true;
    mark_strong(true);
    return is_strong(target);
}

void do_weakref_use(void)
{
    uint32_t use = (uint32_t)below(8);
    uint32_t root = root_of_kind(WEAK);
    uint32_t to = (uint32_t)below(ROOTS);
    uint32_t id = root != ROOTS ? run.roots[root] : 0;
    gc_weakref *weakref;
    void *object;

    if (id == 0 || !may_load(run.shadows[id].refs[0]))
        return;
    weakref = root_get(root);
    object = gc_weakref_get(run.mutator, weakref);
    if (object == NULL && run.shadows[id].walk == run.walk && run.shadows[id].refs[0] != 0)
        wrong(id, "was cleared between collections");
    if (object == NULL)
        run.shadows[id].refs[0] = 0;
    if (use == 0)
        clear_weakref(id, weakref);
    else if (use < 3)
        upgrade(id, weakref, to);
    else if (object != NULL)
        root_set(to, run.shadows[id].refs[0], object);
}

/* ---- Ephemerons --------------------------------------------------------- */

void look_at_ephemeron(uint32_t id)
{
    struct shadow *shadow = &run.shadows[id];
    void *key = gc_ephemeron_key(run.mutator, shadow->found);
    void *value = gc_ephemeron_value(run.mutator, shadow->found);

    if (key == NULL) {
        if (value != NULL)
            wrong(id, "has a value and no key");
        if (shadow->refs[0] != 0)
            check_cleared(id, shadow->refs[0]);
        shadow_tally.cleared_ephemerons += shadow->refs[0] != 0;
        shadow->refs[0] = shadow->refs[1] = 0;
        return;
    }
    if (shadow->refs[0] == 0)
        wrong(id, "has a key again");
    reach(shadow->refs[0], key);
    if ((value == NULL) != (shadow->refs[1] == 0))
        wrong(id, "has another value");
    if (value != NULL)
        reach(shadow->refs[1], value);
}

void do_ephemeron(void)
{
    uint32_t key = full_root();
    uint32_t value = full_root();
    uint32_t root = (uint32_t)below(ROOTS);
    bool has_value = below(8) != 0;
    uint32_t ids[2];
    gc_ephemeron *ephemeron;
    uint32_t id;

    if (key == ROOTS)
        return;
    run.held[0] = ids[0] = run.roots[key];
    run.held[1] = ids[1] = has_value ? run.roots[value] : 0;
    ephemeron = gc_ephemeron_create(run.mutator, root_get(key), has_value ? root_get(value) : NULL);
    compare_if_collected();
    run.held[0] = run.held[1] = 0;
    assert_true(ephemeron != NULL || may_fail());
    if (ephemeron == NULL)
        return;
    id = new_shadow(EPHEMERON, 0, 2);
    run.shadows[id].refs[0] = ids[0];
    run.shadows[id].refs[1] = ids[1];
    root_set(root, id, ephemeron);
}

/* Sets, clears, or loads the value. */
void do_ephemeron_use(void)
{
    uint32_t use = (uint32_t)below(8);
    uint32_t root = root_of_kind(EPHEMERON);
    uint32_t other = full_root();
    uint32_t to = (uint32_t)below(ROOTS);
    struct shadow *shadow = &run.shadows[root != ROOTS ? run.roots[root] : 0];
    gc_ephemeron *ephemeron;
    void *key;

    if (root == ROOTS || !may_load(shadow->refs[0]))
        return;
    ephemeron = root_get(root);
    key = gc_ephemeron_key(run.mutator, ephemeron);
    if (key == NULL && shadow->walk == run.walk && shadow->refs[0] != 0)
        wrong(run.roots[root], "was cleared between collections");
    if (use < 4) {
        bool is_set = gc_ephemeron_set(run.mutator, ephemeron, root_get(other));

        assert_int_equal(is_set, key != NULL);
        shadow->refs[1] = is_set ? run.roots[other] : 0;
    } else if (use == 4) {
        gc_ephemeron_clear(run.mutator, ephemeron);
        shadow->refs[0] = shadow->refs[1] = 0;
    } else if (key != NULL && shadow->refs[use & 1] != 0) {
        root_set(to, shadow->refs[use & 1],
                 use & 1 ? gc_ephemeron_value(run.mutator, ephemeron) : key);
    }
    if (key == NULL)
        shadow->refs[0] = shadow->refs[1] = 0;
}
