/* SPDX-License-Identifier: MIT
 *
 * The shadow graph's objects: their types, contents, slots, and shadows.
 */
#include <stdlib.h>
#include <string.h>

#include "support/shadow_model.h"

/* ---- What is allocated -------------------------------------------------- */

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
const gc_type made_layout = GC_TYPE_STRUCT("made", struct fixed, fixed_refs);
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

const struct plan plans[PLAIN_KINDS] = {
    [LEAF] = {&leaf_type, 20, 0, 0, 0},
    [STRUCT] = {&fixed_type, 60, 0, 0, 0},
    [PINNED] = {&pinned_type, 6, 0, 0, 0},
    [TRACED] = {&traced_type, 16, 0, 0, 0},
    [VAGUE] = {&vague_type, 4, 0, 0, 0},
    [MADE] = {NULL, 4, 0, 0, 0},
    [BYTES] = {&gc_type_bytes, 20, 0, 300, 255},
    [ALIGNED] = {&aligned_type, 6, 0, 200, 200},
    [LARGE_BYTES] = {&gc_type_bytes, 1, 8100, 60000, 12000},
    [REFERENCES] = {&gc_type_references, 30, 0, 40, 12},
    [WORDS] = {&gc_type_words, 6, 0, 10, 6},
    [LARGE_REFERENCES] = {&gc_type_references, 1, 1000, 20000, 1500},
    [ARRAY] = {&array_type, 13, 0, 40, 6},
    [TRAILING] = {&trailing_type, 13, 0, 40, 6},
};

/* ---- Shadows ------------------------------------------------------------ */

static void *grown(void *old, size_t count, size_t size)
{
    void *memory = realloc(old, count * size);

    assert_non_null(memory);
    return memory;
}

static void make_room(void)
{
    uint32_t before = run.count;

    run.count = before * 2 + 62;
    run.shadows = grown(run.shadows, run.count, sizeof *run.shadows);
    run.queue = grown(run.queue, run.count, sizeof *run.queue);
    run.marks = grown(run.marks, run.count, sizeof *run.marks);
    run.waiting = grown(run.waiting, run.count, sizeof *run.waiting);
    memset(run.shadows + before, 0, (run.count - before) * sizeof *run.shadows);
}

uint32_t new_shadow(enum kind kind, size_t length, uint32_t links)
{
    uint32_t id = run.next_free;
    struct shadow *shadow;

    while (id < run.count && run.shadows[id].refs != NULL)
        id++;
    if (id >= run.count)
        make_room();
    id = id == 0 ? 1 : id;
    run.next_free = id + 1;
    shadow = &run.shadows[id];
    memset(shadow, 0, sizeof *shadow);
    shadow->kind = kind;
    shadow->length = length;
    shadow->slots = slots_of(kind, length);
    shadow->links = links;
    shadow->serial = ++run.serial;
    shadow->seed = mix(shadow->serial);
    shadow->walk = run.walk;
    shadow->refs = calloc(links + 1, sizeof *shadow->refs);
    shadow->words = calloc(links + 1, sizeof *shadow->words);
    assert_true(shadow->refs != NULL && shadow->words != NULL);
    return id;
}

void free_shadow(uint32_t id)
{
    struct shadow *shadow = &run.shadows[id];

    free(shadow->refs);
    free(shadow->words);
    memset(shadow, 0, sizeof *shadow);
    if (run.pinned_once == id)
        run.pinned_once = 0;
    for (int i = 0; i < CALLS; i++)
        if (run.calls[i].kind == WATCH && run.calls[i].id == id)
            run.calls[i].id = 0;
    if (id < run.next_free)
        run.next_free = id;
}

uint32_t slots_of(enum kind kind, size_t length)
{
    static const uint8_t fixed[KINDS] = {
        [STRUCT] = 3, [PINNED] = 3, [TRACED] = 2, [VAGUE] = 2, [MADE] = 3, [TRAILING] = 1};

    return fixed[kind] + (kind >= REFERENCES && kind < PLAIN_KINDS ? (uint32_t)length : 0);
}

const gc_type *type_of(const struct shadow *shadow)
{
    if (shadow->kind == MADE)
        return run.made[shadow->variety].type;
    return shadow->kind < PLAIN_KINDS ? plans[shadow->kind].type : NULL;
}

bool hash_of(uint32_t id, const void *object)
{
    struct shadow *shadow = &run.shadows[id];
    uint64_t hash;

    if (!is_done(gc_hash(run.mutator, object, &hash)))
        return false;
    if (shadow->is_hashed && shadow->hash != hash)
        wrong(id, "has another hash");
    shadow->is_hashed = true;
    shadow->hash = hash;
    return true;
}

/* ---- Slots -------------------------------------------------------------- */

void **slot_at(const struct shadow *shadow, void *object, uint32_t i)
{
    if (shadow->kind == ARRAY)
        return &((struct element *)object)[i].ref;
    if (shadow->kind == TRAILING && i > 0)
        return &((struct element *)(void *)((struct trailing *)object + 1))[i - 1].ref;
    return (void **)object + i;
}

bool is_inverted(const struct shadow *shadow, uint32_t i)
{
    return shadow->kind == TRACED && i == 1;
}

bool takes_tags(const struct shadow *shadow, uint32_t i)
{
    return shadow->kind != WORDS && shadow->kind != VAGUE && !is_inverted(shadow, i);
}

void store(const struct shadow *shadow, void *object, uint32_t i, void *value)
{
    void **slot = slot_at(shadow, object, i);
    uintptr_t word = (uintptr_t)value + shadow->words[i];

    if (is_inverted(shadow, i)) {
        *slot = word != 0 ? (void *)~word : NULL;
        if (run.config->barriers == GC_BARRIERS_ALL)
            gc_write_barrier(run.mutator, object);
    } else if (run.config->barriers == GC_BARRIERS_NONE) {
        *slot = (void *)word;
    } else if (shadow->words[i] != 0) {
        gc_write_word(run.mutator, object, slot, word);
    } else {
        gc_write(run.mutator, object, slot, value);
    }
}

void *load(const struct shadow *shadow, void *object, uint32_t i)
{
    uintptr_t word = (uintptr_t)*slot_at(shadow, object, i);

    if (is_inverted(shadow, i) && word != 0)
        word = ~word;
    return (void *)(word - shadow->words[i]);
}

/* ---- Contents ----------------------------------------------------------- */

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

bool contents_are(const struct shadow *shadow, void *object, bool check)
{
    switch (shadow->kind) {
    case LEAF:
        return word_is(&((struct leaf *)object)->seed, shadow->seed, check);
    case STRUCT:
    case PINNED:
    case MADE:
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
    case WEAK:
    case EPHEMERON:
    case TABLE:
    case KINDS:
        break;
    }
    return true;
}
