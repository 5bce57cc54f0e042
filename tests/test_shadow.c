/* SPDX-License-Identifier: MIT
 *
 * The shadow graph: random operations on a heap and, beside it, on a plain
 * model in malloc memory. After each collection the two are walked together
 * from the roots: the same objects, each once, with the same type, length,
 * contents and references; and after a full one, with exact stacks, the heap
 * holds no object that the model does not reach.
 *
 * Each run is determined by its configuration and its seed, printed before it:
 * STRATA_SEED=n repeats a run, STRATA_ROUNDS=n tries that many seeds.
 */
#include "support/graph.h"

#include <stdlib.h>
#include <string.h>

/* ---- What is allocated -------------------------------------------------- */

enum kind {
    LEAF,
    STRUCT,
    PINNED,
    TRACED, /* one plain slot, one whose references are kept inverted */
    VAGUE,  /* traced too, by words that may be references */
    BYTES,
    ALIGNED,
    LARGE_BYTES,
    REFERENCES,
    WORDS,
    LARGE_REFERENCES,
    ARRAY,
    TRAILING,
    KINDS
};

struct leaf {
    uint64_t seed;
};

struct fixed {
    void *refs[3];
    uint64_t seed;
};

struct traced {
    void *refs[2];
    uint64_t seed;
};

struct element {
    uint64_t seed;
    void *ref;
};

struct trailing {
    void *ref;
    uint64_t seed;
};

static void trace_inverted(gc_tracer *tracer, void *object)
{
    struct traced *traced = object;

    gc_trace_slot(tracer, &traced->refs[0]);
    if (traced->refs[1] != NULL) {
        void *now = gc_trace_reference(tracer, (void *)~(uintptr_t)traced->refs[1]);

        traced->refs[1] = (void *)~(uintptr_t)now;
    }
}

static void trace_vaguely(gc_tracer *tracer, void *object)
{
    struct traced *traced = object;

    gc_trace_word(tracer, (uintptr_t)traced->refs[0]);
    gc_trace_word(tracer, (uintptr_t)traced->refs[1]);
}

static const uint32_t fixed_refs[] = {0, 8, 16};
static const uint32_t element_refs[] = {offsetof(struct element, ref)};
static const uint32_t trailing_refs[] = {offsetof(struct trailing, ref)};

static const gc_type leaf_type = GC_TYPE_LEAF("leaf", struct leaf);
static const gc_type fixed_type = GC_TYPE_STRUCT("fixed", struct fixed, fixed_refs);
static const gc_type pinned_type = {.name = "pinned",
                                    .size = sizeof(struct fixed),
                                    .object_bytes = GC_OUT_OF_LINE,
                                    .refs = fixed_refs,
                                    .ref_count = 3,
                                    .kind = GC_KIND_STRUCT,
                                    .flags = GC_TYPE_PINNED,
                                    .alignment = 8};
static const gc_type traced_type = GC_TYPE_TRACED("traced", struct traced, trace_inverted);
static const gc_type vague_type = {.name = "vague",
                                   .size = sizeof(struct traced),
                                   .object_bytes = GC_OUT_OF_LINE,
                                   .trace = trace_vaguely,
                                   .kind = GC_KIND_TRACED,
                                   .flags = GC_TYPE_AMBIGUOUS,
                                   .alignment = 8};
static const gc_type aligned_type = {.name = "aligned",
                                     .object_bytes = GC_OUT_OF_LINE,
                                     .element_size = 1,
                                     .kind = GC_KIND_LEAF,
                                     .flags = GC_TYPE_UNZEROED,
                                     .alignment = 64};
static const gc_type array_type = GC_TYPE_ARRAY("array", struct element, element_refs);
static const gc_type trailing_type =
    GC_TYPE_TRAILING("trailing", struct trailing, trailing_refs, struct element, element_refs);

struct plan {
    const gc_type *type;
    uint32_t weight; /* how often, in 200 */
    uint32_t least;  /* elements; both 0: no array part */
    uint32_t most;
};

static const struct plan plans[KINDS] = {
    [LEAF] = {&leaf_type, 20, 0, 0},
    [STRUCT] = {&fixed_type, 64, 0, 0},
    [PINNED] = {&pinned_type, 6, 0, 0},
    [TRACED] = {&traced_type, 16, 0, 0},
    [VAGUE] = {&vague_type, 4, 0, 0},
    [BYTES] = {&gc_type_bytes, 20, 0, 300},
    [ALIGNED] = {&aligned_type, 6, 0, 200},
    [LARGE_BYTES] = {&gc_type_bytes, 1, 8100, 60000},
    [REFERENCES] = {&gc_type_references, 30, 0, 40},
    [WORDS] = {&gc_type_words, 6, 0, 10},
    [LARGE_REFERENCES] = {&gc_type_references, 1, 1000, 20000},
    [ARRAY] = {&array_type, 13, 0, 40},
    [TRAILING] = {&trailing_type, 13, 0, 40},
};

/* ---- The model ---------------------------------------------------------- */

/* An object as the model has it. References are numbers of shadows; 0 is
 * none, and then the slot holds `words`. */
struct shadow {
    enum kind kind;
    uint32_t slots;
    size_t length;
    uint64_t seed;
    uint32_t *refs;
    uintptr_t *words; /* beside a reference: its tag */
    void *found;      /* where the last walk found it */
    void *pinned_at;
    uint32_t walk; /* that walk's number */
    uint32_t pins;
    size_t charge;
};

/* The root slots, by how the heap knows them. */
enum {
    ROOT_SLOTS = 0,      /* one by one */
    ROOT_RANGE = 16,     /* an exact range */
    ROOT_HANDLES = 32,   /* handles */
    ROOT_FRAME = 40,     /* a frame */
    ROOT_AMBIGUOUS = 48, /* an ambiguous range */
    ROOT_CALLBACK = 52,  /* a callback; the last two are kept inverted */
    ROOTS = 56
};

struct config {
    const char *name;
    gc_stacks stacks;
    gc_barriers barriers;
    size_t nursery; /* bytes; 0: adapts */
    uint8_t tags;
    const char *settings;
    size_t operations;
};

static struct {
    struct world *world;
    const struct config *config;
    uint64_t chance;
    uint64_t collections; /* when last compared */
    struct shadow *shadows;
    uint32_t count; /* of shadows; number 0 is none */
    uint32_t walk;
    uint32_t *queue; /* of a walk */
    uint32_t roots[ROOTS];
    void *cells[ROOTS];
    gc_handle *handles[ROOTS];
    bool registered[ROOTS];
    void *frame_slots[8];
    gc_frame frame;
    uint32_t next_free;       /* no free number below it */
    uint32_t pinned_once;     /* the object pinned for one collection, or 0 */
    uint64_t pinned_once_for; /* when that many collections have run */
} run;

static uint64_t below(uint64_t bound)
{
    return next_random(&run.chance) % bound;
}

static gc_mutator *mutator(void)
{
    return run.world->mutator;
}

static uint32_t new_shadow(enum kind kind, size_t length)
{
    uint32_t id = run.next_free;
    struct shadow *shadow;

    while (id < run.count && run.shadows[id].refs != NULL)
        id++;
    if (id == run.count) {
        run.count = run.count * 2 + 64;
        run.shadows = realloc(run.shadows, run.count * sizeof *run.shadows);
        run.queue = realloc(run.queue, run.count * sizeof *run.queue);
        assert_true(run.shadows != NULL && run.queue != NULL);
        memset(run.shadows + id, 0, (run.count - id) * sizeof *run.shadows);
    }
    run.next_free = id + 1;
    shadow = &run.shadows[id];
    memset(shadow, 0, sizeof *shadow);
    shadow->kind = kind;
    shadow->length = length;
    shadow->seed = next_random(&run.chance);
    return id;
}

static void free_shadow(struct shadow *shadow)
{
    free(shadow->refs);
    free(shadow->words);
    memset(shadow, 0, sizeof *shadow);
}

static uint32_t slots_of(enum kind kind, size_t length)
{
    static const uint8_t fixed[KINDS] = {
        [STRUCT] = 3, [PINNED] = 3, [TRACED] = 2, [VAGUE] = 2, [TRAILING] = 1};

    return fixed[kind] + (kind >= REFERENCES ? (uint32_t)length : 0);
}

/* Where slot `i` of the object is. */
static void **slot_at(const struct shadow *shadow, void *object, uint32_t i)
{
    if (shadow->kind == ARRAY)
        return &((struct element *)object)[i].ref;
    if (shadow->kind == TRAILING && i > 0)
        return &((struct element *)(void *)((struct trailing *)object + 1))[i - 1].ref;
    return (void **)object + i;
}

static bool is_inverted(const struct shadow *shadow, uint32_t i)
{
    return shadow->kind == TRACED && i == 1;
}

/* ---- Contents ----------------------------------------------------------- */

/* Writes what the seed says to the parts that are not references; or, if
 * `check`, returns whether it is there. */
static bool word_is(uint64_t *word, uint64_t value, bool check)
{
    if (!check)
        *word = value;
    return *word == value;
}

static bool bytes_are(const struct shadow *shadow, unsigned char *bytes, bool check)
{
    for (size_t i = 0; i < shadow->length; i++) {
        unsigned char value = (unsigned char)(shadow->seed + i * 7);

        if (!check)
            bytes[i] = value;
        if (bytes[i] != value)
            return false;
    }
    return true;
}

static bool elements_are(const struct shadow *shadow, struct element *elements, bool check)
{
    for (size_t i = 0; i < shadow->length; i++)
        if (!word_is(&elements[i].seed, shadow->seed + i, check))
            return false;
    return true;
}

static bool contents_are(const struct shadow *shadow, void *object, bool check)
{
    switch (shadow->kind) {
    case LEAF:
        return word_is(&((struct leaf *)object)->seed, shadow->seed, check);
    case STRUCT:
    case PINNED:
        return word_is(&((struct fixed *)object)->seed, shadow->seed, check);
    case TRACED:
    case VAGUE:
        return word_is(&((struct traced *)object)->seed, shadow->seed, check);
    case BYTES:
    case ALIGNED:
    case LARGE_BYTES:
        return bytes_are(shadow, object, check);
    case ARRAY:
        return elements_are(shadow, object, check);
    case TRAILING:
        return word_is(&((struct trailing *)object)->seed, shadow->seed, check) &&
               elements_are(shadow, (void *)((struct trailing *)object + 1), check);
    case REFERENCES:
    case WORDS:
    case LARGE_REFERENCES:
    case KINDS:
        break;
    }
    return true;
}

/* ---- Roots -------------------------------------------------------------- */

static void trace_callback_roots(gc_tracer *tracer, void *data)
{
    void **cells = data;

    gc_trace_slot(tracer, &cells[0]);
    gc_trace_slot(tracer, &cells[1]);
    for (int i = 2; i < 4; i++)
        if (cells[i] != NULL) {
            void *now = gc_trace_reference(tracer, (void *)~(uintptr_t)cells[i]);

            cells[i] = (void *)~(uintptr_t)now;
        }
}

static void *root_get(uint32_t root)
{
    if (root >= ROOT_HANDLES && root < ROOT_FRAME)
        return run.handles[root] != NULL ? gc_handle_get(run.handles[root]) : NULL;
    if (root >= ROOT_CALLBACK + 2 && run.cells[root] != NULL)
        return (void *)~(uintptr_t)run.cells[root];
    return run.cells[root];
}

/* A root that is not registered, or a handle that is not made, takes nothing. */
static bool is_usable(uint32_t root)
{
    return run.registered[root];
}

static void root_set(uint32_t root, uint32_t id, void *object)
{
    if (!is_usable(root))
        return;
    run.roots[root] = id;
    if (root >= ROOT_HANDLES && root < ROOT_FRAME)
        gc_handle_set(mutator(), run.handles[root], object);
    else if (root >= ROOT_CALLBACK + 2 && object != NULL)
        run.cells[root] = (void *)~(uintptr_t)object;
    else
        run.cells[root] = object;
}

/* Registers a slot or makes a handle, or the reverse. */
static void toggle_root(uint32_t root)
{
    if (root >= ROOT_RANGE && (root < ROOT_HANDLES || root >= ROOT_FRAME))
        return;
    root_set(root, 0, NULL);
    if (root < ROOT_RANGE && run.registered[root])
        assert_int_equal(gc_root_remove(run.world->heap, &run.cells[root]), GC_OK);
    else if (root < ROOT_RANGE)
        assert_int_equal(gc_root_add(run.world->heap, &run.cells[root]), GC_OK);
    else if (run.registered[root])
        gc_handle_destroy(mutator(), run.handles[root]);
    else
        run.handles[root] = gc_handle_create(mutator(), NULL);
    if (root >= ROOT_HANDLES && run.registered[root])
        run.handles[root] = NULL;
    run.registered[root] = !run.registered[root];
}

static void register_roots(void)
{
    gc_heap *heap = run.world->heap;

    for (uint32_t root = 0; root < ROOTS; root++) {
        run.registered[root] = root >= ROOT_RANGE && (root < ROOT_HANDLES || root >= ROOT_FRAME);
        toggle_root(root);
    }
    gc_root_range_add(heap, &run.cells[ROOT_RANGE], ROOT_HANDLES - ROOT_RANGE, GC_EXACT);
    gc_root_range_add(heap, &run.cells[ROOT_AMBIGUOUS], ROOT_CALLBACK - ROOT_AMBIGUOUS,
                      GC_AMBIGUOUS);
    gc_root_callback_add(heap, trace_callback_roots, &run.cells[ROOT_CALLBACK], GC_EXACT);
    for (uint32_t i = 0; i < 8; i++)
        run.frame_slots[i] = &run.cells[ROOT_FRAME + i];
    run.frame.slots = run.frame_slots;
    run.frame.count = 8;
    gc_frame_push(mutator(), &run.frame);
}

/* ---- The walk ----------------------------------------------------------- */

static void wrong(uint32_t id, const char *what)
{
    fail_msg("%s: object %u, kind %d, %zu elements: %s", run.config->name, id,
             (int)run.shadows[id].kind, run.shadows[id].length, what);
}

/* Object `id` was reached at `object`: checks it, and queues it the first
 * time. */
static void reach(uint32_t id, void *object, uint32_t *queued)
{
    struct shadow *shadow = &run.shadows[id];

    if (shadow->walk == run.walk) {
        if (shadow->found != object)
            wrong(id, "is there twice");
        return;
    }
    shadow->walk = run.walk;
    shadow->found = object;
    if (!gc_is_object(mutator(), object))
        wrong(id, "is no object");
    if (gc_type_of(object) != plans[shadow->kind].type || gc_length(object) != shadow->length)
        wrong(id, "has another type or length");
    if (!contents_are(shadow, object, true))
        wrong(id, "has other contents");
    if (shadow->kind == ALIGNED && (uintptr_t)object % 64 != 0)
        wrong(id, "is not aligned");
    if (shadow->pins > 0 && shadow->pinned_at != object)
        wrong(id, "moved while pinned");
    run.queue[(*queued)++] = id;
}

static void reach_slots(uint32_t id, uint32_t *queued)
{
    const struct shadow *shadow = &run.shadows[id];

    for (uint32_t i = 0; i < shadow->slots; i++) {
        uintptr_t word = (uintptr_t)*slot_at(shadow, shadow->found, i);

        if (is_inverted(shadow, i) && word != 0)
            word = ~word;
        if (shadow->refs[i] != 0)
            reach(shadow->refs[i], (void *)(word - shadow->words[i]), queued);
        else if (word != shadow->words[i])
            wrong(id, "has another word in a slot");
    }
}

static int compare_addresses(const void *a, const void *b)
{
    const void *x = run.shadows[*(const uint32_t *)a].found;
    const void *y = run.shadows[*(const uint32_t *)b].found;

    return ((uintptr_t)x > (uintptr_t)y) - ((uintptr_t)x < (uintptr_t)y);
}

/* Walks both graphs; returns how many objects are reached, and frees the
 * shadows that are not. */
static uint32_t compare(void)
{
    uint32_t queued = 0;

    run.walk++;
    for (uint32_t root = 0; root < ROOTS; root++) {
        void *object = root_get(root);

        if ((run.roots[root] == 0) != (object == NULL))
            fail_msg("%s: root %u", run.config->name, root);
        if (object != NULL)
            reach(run.roots[root], object, &queued);
    }
    for (uint32_t done = 0; done < queued; done++)
        reach_slots(run.queue[done], &queued);
    qsort(run.queue, queued, sizeof *run.queue, compare_addresses);
    for (uint32_t i = 1; i < queued; i++)
        if (run.shadows[run.queue[i]].found == run.shadows[run.queue[i - 1]].found)
            wrong(run.queue[i], "shares its address with another");
    for (uint32_t id = 1; id < run.count; id++)
        if (run.shadows[id].refs != NULL && run.shadows[id].walk != run.walk)
            free_shadow(&run.shadows[id]);
    run.next_free = 1;
    return queued;
}

/* After at least one collection; `is_full`: after a full one, and nothing was
 * allocated since. */
static void compare_after(bool is_full)
{
    uint32_t reached;
    size_t charges = 0;
    uint32_t once = run.pinned_once;
    bool is_once = once != 0 && collections_of(run.world->heap) <= run.pinned_once_for;

    run.shadows[once].pins += is_once;
    reached = compare();
    if (run.shadows[once].refs != NULL)
        run.shadows[once].pins -= is_once;
    run.pinned_once = 0;
    for (uint32_t id = 1; id < run.count; id++)
        charges += run.shadows[id].charge;
    if (is_full && run.config->stacks == GC_STACKS_EXACT) {
        assert_int_equal(recount(mutator()).all_objects, reached);
        assert_int_equal(stats_of(run.world->heap).external_bytes, charges);
    }
    assert_int_equal(gc_verify(mutator()), 0);
    run.collections = collections_of(run.world->heap);
}

/* ---- Operations --------------------------------------------------------- */

/* A random root that holds an object, or ROOTS. */
static uint32_t full_root(void)
{
    for (int tries = 0; tries < 8; tries++) {
        uint32_t root = (uint32_t)below(ROOTS);

        if (run.roots[root] != 0)
            return root;
    }
    return ROOTS;
}

/* Stores in slot `i` of `object` the reference and tag, or the word, that its
 * shadow now has there. */
static void store(const struct shadow *shadow, void *object, uint32_t i, void *value)
{
    void **slot = slot_at(shadow, object, i);
    uintptr_t word = (uintptr_t)value + shadow->words[i];

    if (is_inverted(shadow, i)) {
        *slot = word != 0 ? (void *)~word : NULL;
        if (run.config->barriers == GC_BARRIERS_ALL)
            gc_write_barrier(mutator(), object);
    } else if (run.config->barriers == GC_BARRIERS_NONE) {
        *slot = (void *)word;
    } else if (shadow->words[i] != 0) {
        gc_write_word(mutator(), object, slot, word);
    } else {
        gc_write(mutator(), object, slot, value);
    }
}

static bool takes_tags(const struct shadow *shadow, uint32_t i)
{
    return shadow->kind != WORDS && shadow->kind != VAGUE && !is_inverted(shadow, i);
}

static void link_slot(uint32_t id, void *object, uint32_t i, uint32_t target, void *value)
{
    struct shadow *shadow = &run.shadows[id];
    uintptr_t tag = below(8);

    shadow->refs[i] = target;
    shadow->words[i] = takes_tags(shadow, i) && (run.config->tags >> tag & 1) != 0 ? tag : 0;
    store(shadow, object, i, value);
}

/* Empties a slot, or puts an integer there. */
static void unlink_slot(uint32_t id, void *object, uint32_t i)
{
    struct shadow *shadow = &run.shadows[id];
    uintptr_t word = below(1 << 20) << 3 | 1;

    shadow->refs[i] = 0;
    shadow->words[i] = takes_tags(shadow, i) && below(2) == 0 ? word : 0;
    store(shadow, object, i, NULL);
}

static enum kind choose_kind(void)
{
    uint64_t ticket = below(200);
    int kind = 0;

    while (ticket >= plans[kind].weight)
        ticket -= plans[kind++].weight;
    return (enum kind)kind;
}

static void do_alloc(void)
{
    enum kind kind = choose_kind();
    const struct plan *plan = &plans[kind];
    size_t length = plan->least + below(plan->most - plan->least + 1);
    uint32_t slots = slots_of(kind, length);
    uint32_t root = (uint32_t)below(ROOTS);
    uint32_t id = new_shadow(kind, length);
    struct shadow *shadow = &run.shadows[id];
    void *object;

    shadow->slots = slots;
    shadow->refs = calloc(slots + 1, sizeof *shadow->refs);
    shadow->words = calloc(slots + 1, sizeof *shadow->words);
    assert_true(shadow->refs != NULL && shadow->words != NULL);
    object = plan->type->element_size != 0 ? gc_alloc_array(mutator(), plan->type, length)
                                           : gc_alloc(mutator(), plan->type);
    assert_non_null(object);
    contents_are(shadow, object, false);
    for (uint32_t i = 0; i < slots && i < 4; i++) {
        uint32_t from = full_root();

        if (from != ROOTS)
            link_slot(id, object, i, run.roots[from], root_get(from));
    }
    root_set(root, id, object);
}

static void do_link(void)
{
    uint32_t holder = full_root();
    uint32_t value = full_root();
    uint32_t id = holder != ROOTS ? run.roots[holder] : 0;

    if (value == ROOTS || id == 0 || run.shadows[id].slots == 0)
        return;
    link_slot(id, root_get(holder), (uint32_t)below(run.shadows[id].slots), run.roots[value],
              root_get(value));
}

static void do_unlink(void)
{
    uint32_t holder = full_root();
    uint32_t id = holder != ROOTS ? run.roots[holder] : 0;

    if (id != 0 && run.shadows[id].slots != 0)
        unlink_slot(id, root_get(holder), (uint32_t)below(run.shadows[id].slots));
}

/* Loads a slot's reference into a root. */
static void do_load(void)
{
    uint32_t holder = full_root();
    uint32_t id = holder != ROOTS ? run.roots[holder] : 0;
    const struct shadow *shadow = &run.shadows[id];
    uint32_t i;
    uintptr_t word;

    if (id == 0 || shadow->slots == 0)
        return;
    i = (uint32_t)below(shadow->slots);
    if (shadow->refs[i] == 0)
        return;
    word = (uintptr_t)*slot_at(shadow, root_get(holder), i);
    word = is_inverted(shadow, i) ? ~word : word;
    root_set((uint32_t)below(ROOTS), shadow->refs[i], (void *)(word - shadow->words[i]));
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

    if (from == ROOTS || to == ROOTS || source->slots == 0 || target->slots == 0 ||
        (source->kind != REFERENCES && source->kind != LARGE_REFERENCES) ||
        (target->kind != REFERENCES && target->kind != LARGE_REFERENCES))
        return;
    count = 1 + below(source->slots < target->slots ? source->slots : target->slots);
    start = below(source->slots - count + 1);
    end = below(target->slots - count + 1);
    memmove(target->refs + end, source->refs + start, count * sizeof *source->refs);
    memmove(target->words + end, source->words + start, count * sizeof *source->words);
    gc_copy(mutator(), root_get(to), (void **)root_get(to) + end, (void **)root_get(from) + start,
            count);
}

static void do_rewrite(void)
{
    uint32_t root = full_root();

    if (root == ROOTS)
        return;
    run.shadows[run.roots[root]].seed = next_random(&run.chance);
    contents_are(&run.shadows[run.roots[root]], root_get(root), false);
}

static void do_pin(void)
{
    uint32_t root = full_root();
    struct shadow *shadow = &run.shadows[root != ROOTS ? run.roots[root] : 0];

    if (root == ROOTS)
        return;
    if (below(3) == 0 && run.pinned_once == 0) {
        assert_int_equal(gc_pin_once(mutator(), root_get(root)), GC_OK);
        run.pinned_once = run.roots[root];
        run.pinned_once_for = collections_of(run.world->heap) + 1;
        shadow->pinned_at = root_get(root);
    } else if (shadow->pins > 0 && below(3) != 0) {
        assert_int_equal(gc_unpin(mutator(), root_get(root)), GC_OK);
        shadow->pins--;
    } else {
        assert_int_equal(gc_pin(mutator(), root_get(root)), GC_OK);
        shadow->pins++;
        shadow->pinned_at = root_get(root);
    }
}

static void do_charge(void)
{
    uint32_t root = full_root();
    struct shadow *shadow = &run.shadows[root != ROOTS ? run.roots[root] : 0];
    ptrdiff_t change = (ptrdiff_t)below(1000);

    if (root == ROOTS)
        return;
    if (shadow->charge > 0 && below(2) == 0)
        change = -(ptrdiff_t)below(shadow->charge + 1);
    assert_int_equal(gc_external_adjust(mutator(), root_get(root), change), GC_OK);
    shadow->charge += (size_t)change;
}

static void do_collect(void)
{
    unsigned generation = (unsigned)below(4);

    if (generation < GC_GENERATIONS) {
        gc_collect(mutator(), generation, NULL);
    } else {
        run.pinned_once = 0; /* gc_compact is more than one collection */
        gc_compact(mutator(), NULL);
    }
    compare_after(generation >= GC_OLD || run.config->barriers == GC_BARRIERS_NONE);
    if (below(10) == 0)
        (void)gc_trim(mutator());
}

/* One operation; the weights add up to 1000. */
static void do_something(void)
{
    static const struct {
        void (*act)(void);
        uint64_t weight;
    } acts[] = {{do_alloc, 400}, {do_link, 250}, {do_load, 120},  {do_unlink, 60}, {do_rewrite, 20},
                {do_copy, 30},   {do_pin, 10},   {do_charge, 10}, {do_collect, 5}};
    uint64_t ticket = below(1000);

    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (ticket < acts[i].weight) {
            acts[i].act();
            return;
        }
        ticket -= acts[i].weight;
    }
    if (ticket < 10)
        toggle_root((uint32_t)below(ROOTS));
    else if (ticket < 15)
        gc_safepoint(mutator());
    else
        root_set((uint32_t)below(ROOTS), 0, NULL);
}

/* ---- Runs --------------------------------------------------------------- */

static void start(const struct config *config, uint64_t seed)
{
    gc_options options = plain_options(config->nursery);

    memset(&run, 0, sizeof run);
    run.config = config;
    run.chance = seed * 2 + 1;
    options.stacks = config->stacks;
    options.barriers = config->barriers;
    options.reference_tags = config->tags;
    options.settings = config->settings;
    run.world = world_make(&options);
    run.count = 1;
    run.next_free = 1;
    run.shadows = calloc(1, sizeof *run.shadows);
    run.queue = calloc(1, sizeof *run.queue);
    assert_true(run.shadows != NULL && run.queue != NULL);
    register_roots();
}

static void finish(void)
{
    for (uint32_t root = 0; root < ROOTS; root++)
        root_set(root, 0, NULL);
    gc_collect(mutator(), GC_OLD, NULL);
    compare_after(true);
    gc_frame_pop(mutator(), &run.frame);
    world_end(run.world);
    free(run.shadows);
    free(run.queue);
}

static void run_once(const struct config *config, uint64_t seed)
{
    print_message("STRATA_SEED=%llu\n", (unsigned long long)seed);
    start(config, seed);
    for (size_t i = 0; i < scaled(config->operations); i++) {
        do_something();
        if (i % 64 == 0 && collections_of(run.world->heap) != run.collections)
            compare_after(false);
    }
    assert_true(collections_of(run.world->heap) > 0);
    finish();
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void run_seeds(const struct config *config)
{
    uint64_t first = number_from("STRATA_SEED", 1);
    uint64_t rounds = number_from("STRATA_ROUNDS", getenv("STRATA_SEED") != NULL ? 1 : 3);

    for (uint64_t seed = first; seed < first + rounds; seed++)
        run_once(config, seed);
}

enum { TAGS = 1 | 1 << 2 | 1 << 5 | 1 << 7 };

static const struct config configs[] = {
    {"a_default_heap_equals_its_shadow", GC_STACKS_AMBIGUOUS, GC_BARRIERS_ALL, 0, 1, NULL, 25000},
    {"an_exact_heap_equals_its_shadow", GC_STACKS_EXACT, GC_BARRIERS_ALL, MIB, 1, NULL, 25000},
    {"a_tiny_nursery_equals_its_shadow", GC_STACKS_EXACT, GC_BARRIERS_ALL, 64 * KIB, 1, NULL,
     25000},
    {"tagged_references_equal_their_shadow", GC_STACKS_EXACT, GC_BARRIERS_ALL, 256 * KIB, TAGS,
     NULL, 25000},
    {"a_heap_without_barriers_equals_its_shadow", GC_STACKS_EXACT, GC_BARRIERS_NONE, MIB, 1, NULL,
     25000},
    {"evacuating_all_equals_its_shadow", GC_STACKS_EXACT, GC_BARRIERS_ALL, MIB, TAGS,
     "stress=evacuate-all", 15000},
    {"promoting_in_place_equals_its_shadow", GC_STACKS_EXACT, GC_BARRIERS_ALL, 64 * KIB, TAGS,
     "stress=in-place", 15000},
    {"a_tiny_mark_stack_equals_its_shadow", GC_STACKS_EXACT, GC_BARRIERS_ALL, 64 * KIB, TAGS,
     "stress=tiny-stack", 15000},
    {"prefetching_equals_its_shadow", GC_STACKS_AMBIGUOUS, GC_BARRIERS_ALL, 64 * KIB, TAGS,
     "stress=prefetch+tiny-stack", 15000},
    {"deep_checks_equal_their_shadow", GC_STACKS_EXACT, GC_BARRIERS_ALL, 64 * KIB, TAGS,
     "check=deep", 8000},
    {"always_collecting_equals_its_shadow", GC_STACKS_EXACT, GC_BARRIERS_ALL, MIB, TAGS,
     "stress=collect", 4000},
};

enum { CONFIGS = sizeof configs / sizeof configs[0] };

static void equals_its_shadow(void **state)
{
    run_seeds(*state);
}

int main(void)
{
    struct CMUnitTest tests[CONFIGS];

    for (size_t i = 0; i < CONFIGS; i++)
        tests[i] = (struct CMUnitTest){.name = configs[i].name,
                                       .test_func = equals_its_shadow,
                                       .initial_state = (void *)(uintptr_t)&configs[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
