/* SPDX-License-Identifier: MIT
 *
 * The shadow graph's finalizers, guardians, watches and callbacks: once each,
 * and not before what they wait for was seen dead.
 */
#include "support/shadow_model.h"

/* What a finalizer or callback does besides. */
enum { ACT_REVIVE = 1, ACT_ALLOCATE = 2, ACT_COLLECT = 4, ACT_REGISTER = 8, ACTS = 16 };

/* ---- Records ------------------------------------------------------------ */

struct registration *take_call(enum call_kind kind, uint32_t id)
{
    for (int i = 0; i < CALLS; i++)
        if (run.calls[i].kind == NO_CALL) {
            run.calls[i] =
                (struct registration){.kind = kind, .id = id, .serial = ++run.call_serial};
            return &run.calls[i];
        }
    return NULL;
}

void drop_call(struct registration *call)
{
    if (call != NULL)
        *call = (struct registration){.kind = NO_CALL};
}

struct registration *find_call(enum call_kind kind, uint32_t id)
{
    for (int i = 0; i < CALLS; i++)
        if (run.calls[i].kind == kind && run.calls[i].id == id)
            return &run.calls[i];
    return NULL;
}

/* The record that the heap calls back with: once only. */
static struct registration called(enum call_kind kind, const void *data)
{
    for (int i = 0; i < CALLS; i++)
        if (run.calls[i].kind == kind && run.calls[i].serial == (uintptr_t)data) {
            struct registration call = run.calls[i];

            drop_call(&run.calls[i]);
            return call;
        }
    fail_msg("%s: called twice, or never registered", run.config->name);
    return (struct registration){.kind = NO_CALL};
}

void note_dead_calls(void)
{
    for (int i = 0; i < CALLS; i++)
        if (run.calls[i].kind != CALLBACK && !is_strong(run.calls[i].id))
            run.calls[i].may_run = true;
}

/* ---- What is called ------------------------------------------------------ */

static void run_finalizer(gc_mutator *mutator, void *object, void *data);

static bool register_finalizer(uint32_t id, void *object, uint8_t act)
{
    struct registration *call = take_call(FINALIZER, id);
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = run_finalizer};
    bool is_added;

    if (call == NULL)
        return false;
    call->act = act;
    finalizer.data = (void *)(uintptr_t)call->serial;
    finalizer.priority = (unsigned)(call->serial % GC_PRIORITIES);
    finalizer.external_bytes = call->serial % 3 == 0 ? 1000 : 0;
    is_added = is_done(gc_finalizer_add(run.mutator, object, &finalizer, &call->name));
    call->external = finalizer.external_bytes;
    if (!is_added)
        drop_call(call);
    return is_added;
}

/* Things that callbacks may do: all. */
static void act(uint8_t acts, uint32_t id, void *object, uint64_t serial)
{
    uint32_t root = (uint32_t)(mix(serial) % ROOTS);

    run.held[3] = id;
    if (acts & ACT_REGISTER)
        (void)register_finalizer(id, object, acts & (uint8_t)~ACT_REGISTER);
    if (acts & ACT_REVIVE)
        root_set(root, id, object);
    if (acts & ACT_ALLOCATE)
        (void)allocate(STRUCT, 0, (root + 1) % ROOTS);
    if (acts & ACT_COLLECT) {
        gc_collect(run.mutator, (unsigned)(serial % GC_GENERATIONS), NULL);
        compare_if_collected();
    }
    run.held[3] = 0;
}

static void run_finalizer(gc_mutator *mutator, void *object, void *data)
{
    struct registration call;

    assert_ptr_equal(mutator, run.mutator);
    compare_if_collected();
    call = called(FINALIZER, data);
    if (!call.may_run)
        wrong(call.id, "was finalized alive");
    shadow_tally.finalized++;
    check_object(call.id, object);
    assert_int_equal(gc_finalizer_cancel(run.mutator, call.name), GC_NOT_FOUND);
    assert_int_equal(gc_finalizers_run(run.mutator, 0), 0);
    run.inside++;
    act(call.act, call.id, object, call.serial);
    run.inside--;
}

static void run_watch(gc_mutator *mutator, void *data)
{
    struct registration call;

    assert_ptr_equal(mutator, run.mutator);
    compare_if_collected();
    call = called(WATCH, data);
    if (!call.may_run)
        wrong(call.id, "is alive, and its watch ran");
    shadow_tally.watched++;
    assert_false(gc_watch_is_alive(run.mutator, call.name));
}

void shadow_weak_callback(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    struct registration call;

    assert_ptr_equal(mutator, run.mutator);
    compare_if_collected();
    call = called(CALLBACK, data);
    if (!call.may_run && run.shadows[call.id].walk == run.walk)
        wrong(call.id, "was not cleared, and its callback ran");
    assert_null(gc_weakref_get(run.mutator, weakref));
    shadow_tally.called_back++;
    run.shadows[call.id].refs[0] = 0;
    run.inside++;
    if (!has_trait(SHADOW_FIXED))
        act(call.serial % 2 ? ACT_REVIVE : ACT_REVIVE | ACT_COLLECT, call.id, weakref, call.serial);
    run.inside--;
}

/* ---- Registering --------------------------------------------------------- */

static void add_guarded(uint32_t id, void *object)
{
    struct registration *call;

    if (run.guardian == NULL)
        run.guardian = gc_guardian_create(run.mutator);
    assert_true(run.guardian != NULL || may_fail());
    if (run.guardian == NULL || !hash_of(id, object))
        return;
    call = take_call(GUARDED, id);
    if (call != NULL && !is_done(gc_guardian_add(run.mutator, run.guardian, object)))
        drop_call(call);
}

static void add_watch(uint32_t id, void *object)
{
    struct registration *call = take_call(WATCH, id);

    if (call != NULL && !is_done(gc_watch_add(run.mutator, object, run_watch,
                                              (void *)(uintptr_t)call->serial, &call->name)))
        drop_call(call);
}

/* Where steps depend on the choices alone, what waits refers to nothing. */
void do_register(void)
{
    uint32_t what = (uint32_t)below(8);
    uint8_t acts = (uint8_t)below(ACTS);
    uint32_t root = full_root();
    uint32_t id = root != ROOTS ? run.roots[root] : 0;
    bool is_fixed = has_trait(SHADOW_FIXED);

    if (id == 0 || (is_fixed && run.shadows[id].kind != LEAF))
        return;
    if (what < 4)
        (void)register_finalizer(id, root_get(root), is_fixed ? 0 : acts);
    else if (what < 6)
        add_watch(id, root_get(root));
    else if (!is_fixed)
        add_guarded(id, root_get(root));
}

static void run_or_detach(struct registration *call, bool runs)
{
    uint64_t name = call->name;

    assert_true(gc_watch_is_alive(run.mutator, name));
    if (runs) {
        call->may_run = true;
        assert_true(gc_watch_run(run.mutator, name));
    } else {
        assert_true(gc_watch_detach(run.mutator, name));
        drop_call(call);
    }
    assert_false(gc_watch_is_alive(run.mutator, name));
    assert_false(gc_watch_run(run.mutator, name));
}

void do_cancel(void)
{
    uint32_t choice = (uint32_t)below(CALLS);
    bool runs = below(2) == 0;
    struct registration *call = &run.calls[choice];

    if (call->kind == FINALIZER) {
        assert_int_equal(gc_finalizer_cancel(run.mutator, call->name), GC_OK);
        assert_int_equal(gc_finalizer_cancel(run.mutator, call->name), GC_NOT_FOUND);
        drop_call(call);
    } else if (call->kind == WATCH) {
        run_or_detach(call, runs);
    }
}

/* ---- Running ------------------------------------------------------------- */

void do_run_calls(void)
{
    uint32_t choice = (uint32_t)below(8);
    size_t pending = gc_finalizers_pending(run.heap);
    size_t ran;

    if (choice == 0) {
        gc_finalizers_at_safepoints(run.mutator, true);
    } else if (choice == 1) {
        gc_finalizers_at_safepoints(run.mutator, false);
    } else {
        ran = gc_finalizers_run(run.mutator, choice == 2 ? 0 : choice - 2);
        assert_true(choice == 2 ? ran >= pending : ran <= choice - 2);
    }
    compare_if_collected();
}

/* An object may wait in the queue and have been given to the guardian again. */
static struct registration *find_guarded(const void *object)
{
    struct registration *found = NULL;
    uint64_t hash = 0;

    assert_int_equal(gc_hash(run.mutator, object, &hash), GC_OK);
    for (int i = 0; i < CALLS; i++) {
        struct registration *call = &run.calls[i];
        bool is_its = call->kind == GUARDED && run.shadows[call->id].hash == hash;

        if (is_its && (found == NULL || call->may_run))
            found = call;
    }
    if (found == NULL)
        fail_msg("%s: the guardian gives what it was not given", run.config->name);
    return found;
}

static bool take_from_guardian(uint32_t root)
{
    void *object = run.guardian != NULL ? gc_guardian_next(run.mutator, run.guardian) : NULL;
    struct registration *call;

    if (object == NULL)
        return false;
    call = find_guarded(object);
    if (!call->may_run)
        wrong(call->id, "is alive, and its guardian gives it");
    shadow_tally.guarded++;
    check_object(call->id, object);
    if (root < ROOTS)
        root_set(root, call->id, object);
    drop_call(call);
    return true;
}

static void destroy_guardian(void)
{
    if (run.guardian != NULL)
        gc_guardian_destroy(run.mutator, run.guardian);
    run.guardian = NULL;
    for (int i = 0; i < CALLS; i++)
        if (run.calls[i].kind == GUARDED)
            drop_call(&run.calls[i]);
}

void do_guardian(void)
{
    bool destroys = below(8) == 0;
    uint32_t root = (uint32_t)below(ROOTS);

    if (has_trait(SHADOW_FIXED))
        return;
    if (destroys)
        destroy_guardian();
    else
        (void)take_from_guardian(root);
}

/* Nothing is rooted: with exact stacks all finalizers and watches run. A
 * callback whose weak reference died first never does. */
void run_all_calls(void)
{
    size_t ran;

    gc_finalizers_at_safepoints(run.mutator, false);
    do {
        gc_collect(run.mutator, GC_OLD, NULL);
        compare(true);
        ran = gc_finalizers_run(run.mutator, 0);
        while (take_from_guardian(ROOTS))
            ran++;
        for (uint32_t root = 0; root < ROOTS; root++)
            root_set(root, 0, NULL);
    } while (ran > 0);
    for (int i = 0; i < CALLS; i++) {
        if (is_exact() && run.calls[i].kind != NO_CALL && run.calls[i].kind != CALLBACK)
            wrong(run.calls[i].id, "is dead, and was never finalized");
        drop_call(&run.calls[i]);
    }
    destroy_guardian();
}
