/* SPDX-License-Identifier: MIT
 *
 * The shadow graph's operations on objects and on the heap as a whole.
 */
#include "support/fault.h"
#include "support/shadow_model.h"

#include <string.h>

/* ---- Allocating --------------------------------------------------------- */

static void link_slot(uint32_t id, void *object, uint32_t i, uint32_t target, void *value)
{
    struct shadow *shadow = &run.shadows[id];
    uintptr_t tag = run.config->tags != 1 ? below(8) : 0;

    shadow->refs[i] = target;
    shadow->words[i] = takes_tags(shadow, i) && (run.config->tags >> tag & 1) != 0 ? tag : 0;
    store(shadow, object, i, value);
}

static enum kind choose_kind(void)
{
    uint64_t ticket = below(200);
    int kind = 0;

    while (ticket >= plans[kind].weight)
        ticket -= plans[kind++].weight;
    return (enum kind)kind;
}

/* A type made at run time that may have instances, or 0; -1: none. */
static int choose_made(void)
{
    for (int i = 0; i < MADE_TYPES; i++)
        if (run.made[i].type != NULL && !run.made[i].is_retired)
            return i;
    return -1;
}

uint32_t allocate(enum kind kind, size_t length, uint32_t root)
{
    int made = kind == MADE ? choose_made() : 0;
    const gc_type *type = kind == MADE && made >= 0 ? run.made[made].type : plans[kind].type;
    struct shadow *shadow;
    void *object;
    uint32_t id;

    if (made < 0)
        return 0;
    object = type->element_size != 0 ? gc_alloc_array(run.mutator, type, length)
                                     : gc_alloc(run.mutator, type);
    compare_if_collected();
    assert_true(object != NULL || may_fail());
    shadow_tally.refused += object == NULL;
    if (object == NULL)
        return 0;
    id = new_shadow(kind, length, slots_of(kind, length));
    shadow = &run.shadows[id];
    shadow->variety = (uint8_t)made;
    contents_are(shadow, object, false);
    root_set(root, id, object);
    return id;
}

/* In a root of its own, with some references from the roots. */
static void do_alloc(void)
{
    enum kind kind = choose_kind();
    const struct plan *plan = &plans[kind];
    uint32_t most = has_trait(SHADOW_BRIEF) ? plan->most_brief : plan->most;
    size_t length = plan->least + (most > plan->least ? below(most - plan->least + 1) : 0);
    uint32_t root = (uint32_t)below(ROOTS);
    uint32_t links = has_trait(SHADOW_BRIEF) ? 2 : 4;
    uint32_t id = allocate(kind, length, root);

    if (id == 0 || run.roots[root] != id)
        return;
    for (uint32_t i = 0; i < run.shadows[id].slots && i < links; i++) {
        uint32_t from = full_root();

        link_slot(id, root_get(root), i, run.roots[from], root_get(from));
    }
}

/* ---- Stores and loads --------------------------------------------------- */

/* A random slot of the object; few are enough of a large one. */
static uint32_t choose_slot(const struct shadow *shadow)
{
    return (uint32_t)below(shadow->slots);
}

static void do_link(void)
{
    uint32_t holder = full_root();
    uint32_t value = full_root();
    uint32_t id = holder != ROOTS ? run.roots[holder] : 0;

    if (id != 0 && run.shadows[id].slots != 0)
        link_slot(id, root_get(holder), choose_slot(&run.shadows[id]), run.roots[value],
                  root_get(value));
}

/* Empties a slot, or puts an integer there. */
static void do_unlink(void)
{
    uint32_t holder = full_root();
    struct shadow *shadow = &run.shadows[holder != ROOTS ? run.roots[holder] : 0];
    uint32_t i;

    if (holder == ROOTS || shadow->slots == 0)
        return;
    i = choose_slot(shadow);
    shadow->refs[i] = 0;
    shadow->words[i] = takes_tags(shadow, i) && below(2) == 0 ? shadow->seed << 3 | 1 : 0;
    if ((run.config->tags & 2) != 0)
        shadow->words[i] = 0;
    store(shadow, root_get(holder), i, NULL);
}

/* Loads a slot's reference into a root. */
static void do_load(void)
{
    uint32_t holder = full_root();
    uint32_t root = (uint32_t)below(ROOTS);
    const struct shadow *shadow = &run.shadows[holder != ROOTS ? run.roots[holder] : 0];
    uint32_t i;

    if (holder == ROOTS || shadow->slots == 0)
        return;
    i = choose_slot(shadow);
    if (shadow->refs[i] != 0)
        root_set(root, shadow->refs[i], load(shadow, root_get(holder), i));
}

/* Copies part of one array of references over part of another, or of itself. */
static void do_copy(void)
{
    uint32_t from = full_root();
    uint32_t to = full_root();
    struct shadow *source = &run.shadows[from != ROOTS ? run.roots[from] : 0];
    struct shadow *target = &run.shadows[to != ROOTS ? run.roots[to] : 0];
    size_t count;
    size_t start;
    size_t end;

    if (from == ROOTS || source->slots == 0 || target->slots == 0 ||
        (source->kind != REFERENCES && source->kind != LARGE_REFERENCES) ||
        (target->kind != REFERENCES && target->kind != LARGE_REFERENCES))
        return;
    count = 1 + below(source->slots < target->slots ? source->slots : target->slots);
    start = below(source->slots - count + 1);
    end = below(target->slots - count + 1);
    memmove(target->refs + end, source->refs + start, count * sizeof *source->refs);
    memmove(target->words + end, source->words + start, count * sizeof *source->words);
    gc_copy(run.mutator, root_get(to), (void **)root_get(to) + end, (void **)root_get(from) + start,
            count);
}

static void do_rewrite(void)
{
    uint32_t root = full_root();
    struct shadow *shadow = &run.shadows[root != ROOTS ? run.roots[root] : 0];

    if (root == ROOTS)
        return;
    shadow->seed = mix(shadow->seed);
    contents_are(shadow, root_get(root), false);
}

static void do_root(void)
{
    uint32_t root = (uint32_t)below(ROOTS);
    uint32_t from = full_root();

    if (from != ROOTS && below(2) == 0)
        root_set(root, run.roots[from], root_get(from));
    else
        root_set(root, 0, NULL);
}

static void do_toggle(void)
{
    uint32_t root = (uint32_t)below(ROOTS);

    if (root < ROOT_FRAME)
        toggle_root(root);
    else if (root < ROOT_AMBIGUOUS)
        push_frame();
    else
        pop_frame();
}

/* ---- Attachments -------------------------------------------------------- */

static void do_pin(void)
{
    uint32_t root = full_root();
    uint32_t what = (uint32_t)below(3);
    struct shadow *shadow = &run.shadows[root != ROOTS ? run.roots[root] : 0];

    if (root == ROOTS)
        return;
    if (what == 0 && run.pinned_once == 0) {
        if (!is_done(gc_pin_once(run.mutator, root_get(root))))
            return;
        run.pinned_once = run.roots[root];
        run.pinned_once_for = collections_of(run.heap) + 1;
        shadow->pinned_at = root_get(root);
    } else if (shadow->pins > 0 && what == 1) {
        assert_int_equal(gc_unpin(run.mutator, root_get(root)), GC_OK);
        shadow->pins--;
    } else if (is_done(gc_pin(run.mutator, root_get(root)))) {
        shadow->pins++;
        shadow->pinned_at = root_get(root);
    }
}

/* A weak reference without callback may be thought dead, and shared once more with
 * what it was charged. */
static bool may_come_back(const struct shadow *shadow)
{
    return shadow->kind == WEAK && !(shadow->variety & WATCHING);
}

static void do_charge(void)
{
    uint32_t root = full_root();
    struct shadow *shadow = &run.shadows[root != ROOTS ? run.roots[root] : 0];
    ptrdiff_t change = (ptrdiff_t)below(1 << 16);

    if (root == ROOTS || may_come_back(shadow))
        return;
    if (shadow->charge > 0 && change % 2 == 0)
        change = -(ptrdiff_t)((size_t)change % (shadow->charge + 1));
    if (is_done(gc_external_adjust(run.mutator, root_get(root), change)))
        shadow->charge += (size_t)change;
}

static void do_hash(void)
{
    uint32_t root = full_root();

    if (root != ROOTS)
        (void)hash_of(run.roots[root], root_get(root));
}

/* ---- Types made at run time --------------------------------------------- */

static void note_gone(void *data)
{
    struct made *made = data;

    assert_true(made->type != NULL && made->is_retired);
    *made = (struct made){.type = NULL};
    shadow_tally.types_gone++;
}

void retire(struct made *made)
{
    gc_type_retire(run.mutator, made->type, note_gone, made);
    made->is_retired = true;
}

void do_made_type(void)
{
    uint32_t root = full_root();
    struct made *made = &run.made[below(MADE_TYPES)];

    if (made->type != NULL && !made->is_retired) {
        if (!has_trait(SHADOW_FIXED)) /* when it is gone depends on collections */
            retire(made);
    } else if (made->type == NULL) {
        made->type =
            gc_type_create(run.mutator, &made_layout, root != ROOTS ? root_get(root) : NULL);
        assert_true(made->type != NULL || may_fail());
        made->class_id = made->type != NULL && root != ROOTS ? run.roots[root] : 0;
    }
}

/* ---- The heap ----------------------------------------------------------- */

void do_collect(void)
{
    unsigned what = (unsigned)below(8);

    if (what < 6) {
        gc_collect(run.mutator, what % GC_GENERATIONS, NULL);
    } else if (what == 6) {
        gc_collect(run.mutator, GC_OLD, NULL);
    } else {
        run.pinned_once = 0; /* gc_compact is more than one collection */
        gc_compact(run.mutator, NULL);
    }
    compare(what % 3 == 2 || what >= 6 || run.config->barriers == GC_BARRIERS_NONE);
}

static void set_limit(uint32_t choice)
{
    size_t committed = stats_of(run.heap).committed_bytes;
    size_t hard = may_fail() ? committed + ((size_t)choice << 12) : 0;
    gc_status status = gc_limit_set(run.heap, (size_t)choice << 14, hard);

    assert_true(status == GC_OK || (hard != 0 && status == GC_BAD_OPTION));
}

/* Leaves and comes back. */
static void reattach(void)
{
    if (run.depth > 0 || run.inside > 0 || run.disabled > 0)
        return;
    gc_mutator_detach(run.mutator);
    while (gc_mutator_attach(run.heap, &run.mutator) != GC_OK)
        fault_disarm();
}

void do_setting(void)
{
    uint32_t what = (uint32_t)below(10);
    uint32_t choice = (uint32_t)below(256);

    if (what == 0) {
        (void)gc_trim(run.mutator);
    } else if (what == 1 && run.disabled < 2) {
        gc_disable(run.mutator);
        run.disabled++;
    } else if (what <= 2 && run.disabled > 0) {
        gc_enable(run.mutator);
        run.disabled--;
    } else if (what == 3) {
        assert_int_equal(gc_threshold_set(run.heap, GC_YOUNG, (size_t)(choice % 64) << 12), GC_OK);
    } else if (what == 4) {
        assert_int_equal(gc_threshold_set(run.heap, 1 + choice % 2, 1 + choice / 16), GC_OK);
    } else if (what == 5) {
        set_limit(choice);
    } else if (what == 6) {
        reattach();
    } else if (what == 7 && has_trait(SHADOW_FAULTS)) {
        fault_arm(choice % 16, choice & 16 ? UINT_MAX : 1 + choice / 64, FAULT_ALL);
    } else if (what == 8) {
        if (is_done(gc_external_adjust(run.mutator, NULL, (ptrdiff_t)choice << 12)))
            run.program_charge += (size_t)choice << 12;
    } else {
        assert_int_equal(gc_external_adjust(run.mutator, NULL, -(ptrdiff_t)run.program_charge),
                         GC_OK);
        run.program_charge = 0;
    }
}

/* Freezing takes all that lives; a walk tells of what the model knows where it
 * is. What waits for its finalizer is frozen too, and has no address here. */
static void do_freeze(void)
{
    uint32_t what = (uint32_t)below(4);
    gc_status status;

    if (has_trait(SHADOW_FIXED))
        return;
    if (what < 2) {
        unfreeze();
        return;
    }
    run.pinned_once = 0;
    status = gc_freeze(run.mutator, what == 2 ? 0 : GC_FREEZE_COMPACT);
    compare(false);
    if (status == GC_BUSY)
        assert_int_equal(run.config->barriers, GC_BARRIERS_NONE);
    else if (is_done(status))
        for (uint32_t id = 1; id < run.count; id++)
            run.shadows[id].is_frozen |=
                run.shadows[id].refs != NULL && run.shadows[id].walk == run.walk;
    shadow_tally.frozen += status == GC_OK;
    run.has_hidden |= status == GC_OK && (run.kept > 0 || !is_exact());
}

void unfreeze(void)
{
    gc_unfreeze(run.mutator);
    for (uint32_t id = 1; id < run.count; id++)
        run.shadows[id].is_frozen = false;
    run.has_hidden = false;
}

static void do_safepoint(void)
{
    gc_safepoint(run.mutator);
    compare_if_collected();
}

/* ---- Choosing one ------------------------------------------------------- */

/* Weights add up to 1000 for long runs, to 256 for brief programs. */
static const struct {
    void (*act)(void);
    uint16_t weight;
    uint16_t brief;
} steps[] = {
    {do_alloc, 400, 70},     {do_link, 239, 32},    {do_load, 110, 14},       {do_unlink, 50, 10},
    {do_rewrite, 15, 4},     {do_copy, 25, 6},      {do_root, 15, 14},        {do_toggle, 10, 4},
    {do_pin, 8, 6},          {do_charge, 8, 4},     {do_hash, 6, 4},          {do_weakref, 16, 10},
    {do_weakref_use, 16, 6}, {do_ephemeron, 12, 8}, {do_ephemeron_use, 8, 4}, {do_table, 3, 4},
    {do_table_use, 18, 10},  {do_register, 16, 10}, {do_cancel, 2, 2},        {do_run_calls, 3, 4},
    {do_guardian, 3, 2},     {do_made_type, 2, 4},  {do_setting, 3, 4},       {do_freeze, 1, 2},
    {do_safepoint, 6, 2},    {do_collect, 5, 16},
};

void shadow_step(void)
{
    bool is_brief = has_trait(SHADOW_BRIEF);
    uint64_t ticket = below(is_brief ? 256 : 1000);
    size_t i = 0;

    for (;; i++) {
        uint64_t weight = is_brief ? steps[i].brief : steps[i].weight;

        if (ticket < weight)
            break;
        ticket -= weight;
    }
    shadow_tally.steps++;
    steps[i].act();
}
