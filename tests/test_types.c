/* SPDX-License-Identifier: MIT
 *
 * Descriptors: what each kind keeps, moves and updates; those made at run time.
 */
#include "support/heap.h"

#include <string.h>

/* ---- Kinds: what is kept ------------------------------------------------ */

struct blob {
    uintptr_t words[4];
};
static const gc_type blob_type = GC_TYPE_LEAF("blob", struct blob);

struct pair {
    struct node *kept;
    uintptr_t ignored; /* holds an address, but is no reference */
};
static const uint32_t pair_refs[] = {offsetof(struct pair, kept)};
static const gc_type pair_type = GC_TYPE_STRUCT("pair", struct pair, pair_refs);
static const gc_type pairs_type = GC_TYPE_ARRAY("pairs", struct pair, pair_refs);

struct row {
    struct node *name;
    uintptr_t ignored;
    struct pair cells[];
};
static const uint32_t row_refs[] = {offsetof(struct row, name)};
static const gc_type row_type =
    GC_TYPE_TRAILING("row", struct row, row_refs, struct pair, pair_refs);
static const gc_type text_type = GC_TYPE_TRAILING_LEAF("text", struct row, row_refs, uintptr_t);

static void leaf_keeps_nothing(void **state)
{
    struct world *world = *state;
    struct blob *blob = make_object(world->mutator, &blob_type);

    world->root[0] = blob;
    blob->words[2] = (uintptr_t)make_node(world->mutator, 1);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &blob_type), 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void struct_keeps_what_its_offsets_name_and_no_more(void **state)
{
    struct world *world = *state;
    struct pair *pair = make_object(world->mutator, &pair_type);

    world->root[0] = pair;
    pair->kept = make_node(world->mutator, 1);
    pair->ignored = (uintptr_t)make_node(world->mutator, 2);
    collect(world->mutator, 2);
    pair = world->root[0];
    assert_int_equal(pair->kept->value, 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

static void array_of_references_keeps_every_element(void **state)
{
    enum { COUNT = 700 };
    struct world *world = *state;
    struct node **array;

    world->root[0] = make_array(world->mutator, &gc_type_references, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        struct node *node = make_node(world->mutator, i);

        array = world->root[0];
        gc_write(world->mutator, array, &array[i], node);
    }
    collect(world->mutator, 2);
    array = world->root[0];
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(array[i]->value, i);
    assert_int_equal(count_objects(world->mutator, &node_type), COUNT);
}

static void array_of_structs_keeps_the_references_of_each(void **state)
{
    enum { COUNT = 100 };
    struct world *world = *state;
    struct pair *array;

    world->root[0] = make_array(world->mutator, &pairs_type, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        array = world->root[0];
        array[i].ignored = (uintptr_t)make_node(world->mutator, 1000);
        array[i].kept = make_node(world->mutator, i);
    }
    collect(world->mutator, 2);
    array = world->root[0];
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(array[i].kept->value, i);
    assert_int_equal(count_objects(world->mutator, &node_type), COUNT);
}

static void trailing_array_keeps_fixed_and_element_references(void **state)
{
    enum { COUNT = 50 };
    struct world *world = *state;
    struct row *row = make_array(world->mutator, &row_type, COUNT);

    world->root[0] = row;
    row->name = make_node(world->mutator, 7);
    row->ignored = (uintptr_t)make_node(world->mutator, 8);
    for (size_t i = 0; i < COUNT; i++)
        row->cells[i].kept = make_node(world->mutator, i);
    collect(world->mutator, 2);
    row = world->root[0];
    assert_int_equal(row->name->value, 7);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(row->cells[i].kept->value, i);
    assert_int_equal(count_objects(world->mutator, &node_type), COUNT + 1);
}

static void trailing_leaf_array_keeps_fixed_references_only(void **state)
{
    struct world *world = *state;
    struct row *text = make_array(world->mutator, &text_type, 2);

    world->root[0] = text;
    text->name = make_node(world->mutator, 7);
    text->cells[0].kept = make_node(world->mutator, 8);
    collect(world->mutator, 2);
    text = world->root[0];
    assert_int_equal(text->name->value, 7);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

static void empty_arrays_of_every_kind_survive(void **state)
{
    static const gc_type *const types[] = {&gc_type_bytes, &gc_type_references, &gc_type_words,
                                           &pairs_type,    &row_type,           &text_type};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(types); i++)
        world->root[i] = make_array(world->mutator, types[i], 0);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    for (unsigned i = 0; i < GC_COUNT(types); i++) {
        assert_ptr_equal(gc_type_of(world->root[i]), types[i]);
        assert_int_equal(gc_length(world->root[i]), 0);
    }
}

/* ---- Trace callbacks ---------------------------------------------------- */

/* One reference as it is, one kept complemented, and how many to report. */
struct shy {
    struct node *plain;
    uintptr_t complemented;
    uint64_t reported;
};

static void trace_shy(gc_tracer *tracer, void *object)
{
    struct shy *shy = object;

    if (shy->reported > 0)
        gc_trace_slot(tracer, &shy->plain);
    if (shy->reported > 1) {
        void *now = gc_trace_reference(tracer, (void *)~shy->complemented);

        shy->complemented = ~(uintptr_t)now;
    }
}

static const gc_type shy_type = GC_TYPE_TRACED("shy", struct shy, trace_shy);

static void traced_type_keeps_what_it_reports_and_no_more(void **state)
{
    struct world *world = *state;

    for (uint64_t reported = 0; reported < 3; reported++) {
        struct shy *shy = make_object(world->mutator, &shy_type);

        world->root[reported] = shy;
        shy->reported = reported;
        shy->plain = make_node(world->mutator, 1);
        shy->complemented = ~(uintptr_t)make_node(world->mutator, 2);
    }
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 0 + 1 + 2);
}

static void traced_references_are_updated_when_they_move(void **state)
{
    struct world *world = *state;
    struct shy *shy = make_object(world->mutator, &shy_type);
    uintptr_t before;

    world->root[0] = shy;
    shy->reported = 2;
    shy->plain = make_node(world->mutator, 1);
    shy->complemented = ~(uintptr_t)make_node(world->mutator, 2);
    before = shy->complemented;
    collect(world->mutator, 0);
    shy = world->root[0];
    assert_true(shy->complemented != before);
    assert_int_equal(shy->plain->value, 1);
    assert_int_equal(((struct node *)~shy->complemented)->value, 2);
}

/* Asks of itself and, after reporting it, of what it refers to: questions that
 * must be answered while objects move. */
struct curious {
    void **array;
    uint64_t asked;
    uint64_t wrong;
};

static const gc_type curious_type;

static void trace_curious(gc_tracer *tracer, void *object)
{
    struct curious *curious = object;
    void **old = curious->array;

    gc_trace_slot(tracer, &curious->array);
    curious->asked++;
    if (gc_type_of(object) != &curious_type || gc_size_of(object) != sizeof *curious ||
        gc_length(object) != 0)
        curious->wrong++;
    for (int i = 0; i < 2; i++, old = curious->array) {
        if (gc_type_of(old) != &gc_type_references || gc_length(old) != 5 ||
            gc_size_of(old) != 5 * sizeof(void *))
            curious->wrong++;
    }
}

static const gc_type curious_type = GC_TYPE_TRACED("curious", struct curious, trace_curious);

static void trace_callback_may_ask_for_type_length_and_size(void **state)
{
    struct world *world = *state;
    struct curious *curious = make_object(world->mutator, &curious_type);

    world->root[0] = curious;
    curious->array = make_array(world->mutator, &gc_type_references, 5);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    curious = world->root[0];
    assert_true(curious->asked >= 1);
    assert_int_equal(curious->wrong, 0);
}

/* ---- Ambiguous contents ------------------------------------------------- */

struct packed {
    uintptr_t word;
};

static void trace_packed(gc_tracer *tracer, void *object)
{
    const struct packed *packed = object;

    gc_trace_word(tracer, packed->word);
}

static const gc_type packed_type = {.name = "packed",
                                    .size = sizeof(struct packed),
                                    .object_bytes = GC_OUT_OF_LINE,
                                    .trace = trace_packed,
                                    .kind = GC_KIND_TRACED,
                                    .flags = GC_TYPE_AMBIGUOUS,
                                    .alignment = 8};

static void ambiguous_callback_pins_what_it_reports(void **state)
{
    struct world *world = *state;
    struct packed *packed = make_object(world->mutator, &packed_type);
    struct node *node = make_node(world->mutator, 3);

    world->root[0] = packed;
    packed->word = (uintptr_t)node;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        gc_write_barrier(world->mutator, packed);
        collect(world->mutator, generation);
        assert_ptr_equal(world->root[0], packed);
        assert_int_equal(packed->word, (uintptr_t)node);
        assert_true(gc_is_object(world->mutator, node));
        assert_int_equal(node->value, 3);
    }
    compact(world->mutator);
    assert_int_equal(node->value, 3);
    assert_true(gc_is_object(world->mutator, node));
}

static void words_keep_and_pin_references_interior_and_past_the_end(void **state)
{
    struct world *world = *state;
    uintptr_t *words = make_array(world->mutator, &gc_type_words, 5);
    struct node *nodes[3];

    world->root[0] = words;
    for (unsigned i = 0; i < 3; i++) {
        nodes[i] = make_node(world->mutator, i);
        (void)make_node(world->mutator, 100);
    }
    words[0] = (uintptr_t)nodes[0];
    words[1] = (uintptr_t)&nodes[1]->value + 3;
    words[2] = (uintptr_t)(nodes[2] + 1);
    words[3] = 3;
    words[4] = UINTPTR_MAX;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    compact(world->mutator);
    assert_ptr_equal(world->root[0], words);
    assert_int_equal(count_objects(world->mutator, &node_type), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(gc_is_object(world->mutator, nodes[i]));
        assert_int_equal(nodes[i]->value, i);
    }
}

/* What the words lead to cannot move, so it may stay young for long: the old
 * holder must stay remembered for it. */
static void old_words_keep_what_stays_young(void **state)
{
    static const size_t lengths[] = {3, 100000};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
        uintptr_t *words = make_array(world->mutator, &gc_type_words, lengths[i]);
        size_t last = lengths[i] - 1;
        struct node *node;

        world->root[0] = words;
        memset(words, 0xff, 2 * sizeof *words); /* words that are no addresses */
        collect(world->mutator, 2);
        collect(world->mutator, 2);
        node = make_node(world->mutator, 8);
        gc_write_word(world->mutator, words, &words[last], (uintptr_t)node + 9);
        for (int round = 0; round < 5; round++) {
            make_garbage(world->mutator, 100000);
            collect(world->mutator, round == 3 ? 1 : 0);
            assert_true(gc_is_object(world->mutator, node));
            assert_int_equal(node->value, 8);
        }
        world->root[0] = NULL;
        collect(world->mutator, 2);
        collect(world->mutator, 2);
        assert_int_equal(count_objects(world->mutator, &node_type), 0);
    }
}

/* A dead holder's words pin too (its targets may not be known dead yet), but
 * they do not keep. */
static void dead_words_keep_nothing(void **state)
{
    struct world *world = *state;
    uintptr_t *words = make_array(world->mutator, &gc_type_words, 1);

    words[0] = (uintptr_t)make_node(world->mutator, 1);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &gc_type_words), 0);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

/* ---- Flags and alignment ------------------------------------------------ */

static const gc_type buffer_type = {.name = "buffer",
                                    .object_bytes = GC_OUT_OF_LINE,
                                    .element_size = 1,
                                    .kind = GC_KIND_LEAF,
                                    .flags = GC_TYPE_PINNED,
                                    .alignment = 8};
static const gc_type fixed_type = {.name = "fixed",
                                   .size = sizeof(struct pair),
                                   .object_bytes = GC_OUT_OF_LINE,
                                   .refs = pair_refs,
                                   .ref_count = 1,
                                   .kind = GC_KIND_STRUCT,
                                   .flags = GC_TYPE_PINNED,
                                   .alignment = 8};

static void born_pinned_never_moves_and_its_references_do(void **state)
{
    struct world *world = *state;
    unsigned char *buffer = make_array(world->mutator, &buffer_type, 100);
    struct pair *fixed = make_object(world->mutator, &fixed_type);
    struct node *node;

    world->root[0] = buffer;
    world->root[1] = fixed;
    node = make_node(world->mutator, 9);
    memset(buffer, 0x5a, 100);
    gc_write(world->mutator, fixed, &fixed->kept, node);
    collect(world->mutator, 0);
    assert_ptr_not_equal(fixed->kept, node);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_ptr_equal(world->root[0], buffer);
    assert_ptr_equal(world->root[1], fixed);
    assert_int_equal(buffer[99], 0x5a);
    assert_int_equal(fixed->kept->value, 9);
}

static void born_pinned_dies_like_any_other(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 100; i++)
        (void)make_array(world->mutator, &buffer_type, 100);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &buffer_type), 0);
}

static void alignment_holds_at_birth_and_after_moves(void **state)
{
    static gc_type types[6];
    static const uint8_t alignments[] = {16, 32, 64};
    struct world *world = *state;

    for (unsigned i = 0; i < 6; i++) {
        types[i] = i < 3 ? (gc_type)GC_TYPE_STRUCT("aligned", struct pair, pair_refs)
                         : (gc_type)GC_TYPE_ARRAY("aligned array", struct pair, pair_refs);
        types[i].object_bytes = GC_OUT_OF_LINE;
        types[i].alignment = alignments[i % 3];
    }
    for (unsigned i = 0; i < 6; i++) {
        size_t length = i < 3 ? 0 : i;
        struct pair *object;

        (void)make_node(world->mutator, 0);
        object = make_array(world->mutator, &types[i], length);
        world->root[i] = object;
        assert_int_equal((uintptr_t)object % alignments[i % 3], 0);
        object->kept = make_node(world->mutator, i);
    }
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(world->mutator, generation);
        for (unsigned i = 0; i < 6; i++) {
            assert_int_equal((uintptr_t)world->root[i] % alignments[i % 3], 0);
            assert_int_equal(((struct pair *)world->root[i])->kept->value, i);
            assert_int_equal(gc_length(world->root[i]), i < 3 ? 0 : i);
        }
    }
}

static void alignment_holds_for_every_size_up_to_large(void **state)
{
    static const gc_type aligned = {.name = "cache lines",
                                    .object_bytes = GC_OUT_OF_LINE,
                                    .element_size = 1,
                                    .kind = GC_KIND_LEAF,
                                    .alignment = 64};
    struct world *world = *state;

    for (size_t bytes = 0; bytes < 40000; bytes += 1 + bytes / 3) {
        unsigned char *object = make_array(world->mutator, &aligned, bytes);

        assert_int_equal((uintptr_t)object % 64, 0);
        memset(object, 0xff, bytes);
        world->root[0] = object;
        collect(world->mutator, 0);
        object = world->root[0];
        assert_int_equal((uintptr_t)object % 64, 0);
        assert_int_equal(gc_length(object), bytes);
        assert_true(bytes == 0 || (object[0] == 0xff && object[bytes - 1] == 0xff));
    }
    assert_int_equal(gc_verify(world->mutator), 0);
}

static void unzeroed_leaf_keeps_what_is_written(void **state)
{
    static const gc_type unzeroed = {.name = "unzeroed",
                                     .object_bytes = GC_OUT_OF_LINE,
                                     .element_size = 1,
                                     .kind = GC_KIND_LEAF,
                                     .flags = GC_TYPE_UNZEROED,
                                     .alignment = 8};
    static const size_t sizes[] = {0, 1, 100, 8000, 9000, 100000};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        world->root[i] = make_array(world->mutator, &unzeroed, sizes[i]);
        memset(world->root[i], (int)i + 1, sizes[i]);
        make_garbage(world->mutator, 10000);
    }
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    for (unsigned i = 0; i < GC_COUNT(sizes); i++) {
        const unsigned char *bytes = world->root[i];

        assert_int_equal(gc_length(bytes), sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(bytes[at], i + 1);
    }
}

/* The flag is for leaves; references must never be what was there before. */
static void references_are_zeroed_whatever_the_flag_says(void **state)
{
    static const uint32_t offsets[] = {0};
    static const gc_type unzeroed = {.name = "unzeroed references",
                                     .object_bytes = GC_OUT_OF_LINE,
                                     .element_refs = offsets,
                                     .element_ref_count = 1,
                                     .element_size = 8,
                                     .kind = GC_KIND_ARRAY,
                                     .flags = GC_TYPE_UNZEROED,
                                     .alignment = 8};
    static const size_t bytes[] = {800, 8000, 80000};
    struct world *world = *state;

    for (unsigned i = 0; i < GC_COUNT(bytes); i++) {
        void **slots;

        for (int round = 0; round < 4; round++) {
            memset(make_array(world->mutator, &gc_type_bytes, bytes[i]), 0xff, bytes[i]);
            collect(world->mutator, 2);
        }
        slots = make_array(world->mutator, &unzeroed, bytes[i] / 8);
        for (size_t at = 0; at < bytes[i] / 8; at++)
            assert_null(slots[at]);
    }
}

/* ---- Made at run time --------------------------------------------------- */

static void count_call(void *data)
{
    ++*(int *)data;
}

static gc_type *create_pair_type(gc_mutator *mutator, void *class_object)
{
    uint32_t refs[] = {offsetof(struct pair, kept)};
    gc_type layout = GC_TYPE_STRUCT("made pair", struct pair, refs);
    gc_type *type = gc_type_create(mutator, &layout, class_object);

    assert_non_null(type);
    memset(refs, 0xff, sizeof refs);
    memset(&layout, 0xff, sizeof layout);
    return type;
}

static void made_type_is_a_copy_of_its_layout(void **state)
{
    struct world *world = *state;
    gc_type *type = create_pair_type(world->mutator, NULL);
    struct pair *pair = make_object(world->mutator, type);

    world->root[0] = pair;
    pair->kept = make_node(world->mutator, 5);
    collect(world->mutator, 2);
    pair = world->root[0];
    assert_ptr_equal(gc_type_of(pair), type);
    assert_int_equal(type->size, sizeof(struct pair));
    assert_null(gc_type_class(type));
    assert_int_equal(pair->kept->value, 5);
}

static void made_array_type_copies_element_offsets(void **state)
{
    struct world *world = *state;
    uint32_t refs[] = {offsetof(struct pair, kept)};
    gc_type layout = GC_TYPE_ARRAY("made pairs", struct pair, refs);
    gc_type *type = gc_type_create(world->mutator, &layout, NULL);
    struct pair *pairs;

    assert_non_null(type);
    refs[0] = UINT32_MAX;
    world->root[0] = pairs = make_array(world->mutator, type, 3);
    pairs[2].kept = make_node(world->mutator, 5);
    collect(world->mutator, 2);
    pairs = world->root[0];
    assert_int_equal(pairs[2].kept->value, 5);
}

/* The macros fill in what the inline path needs for plain objects; a copy that
 * asks for more must not go that way. */
static void made_type_has_the_flags_and_alignment_it_asks_for(void **state)
{
    struct world *world = *state;
    gc_type layout = GC_TYPE_STRUCT("made fixed pair", struct pair, pair_refs);
    gc_type *type;
    struct pair *pair;

    layout.flags = GC_TYPE_PINNED;
    layout.alignment = 64;
    type = gc_type_create(world->mutator, &layout, NULL);
    assert_non_null(type);
    for (int i = 0; i < 3; i++) {
        (void)make_node(world->mutator, 0);
        pair = make_object(world->mutator, type);
        world->root[0] = pair;
        assert_int_equal((uintptr_t)pair % 64, 0);
        collect(world->mutator, 0);
        assert_ptr_equal(world->root[0], pair);
    }
}

static void instance_keeps_the_class_object_and_it_may_move(void **state)
{
    struct world *world = *state;
    struct node *class_object = make_node(world->mutator, 77);
    gc_type *type = create_pair_type(world->mutator, class_object);

    world->root[0] = make_object(world->mutator, type);
    collect(world->mutator, 0);
    assert_ptr_not_equal(gc_type_class(type), class_object);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    class_object = gc_type_class(type);
    assert_true(gc_is_object(world->mutator, class_object));
    assert_int_equal(class_object->value, 77);
}

/* The class object is kept young by a pin while its instance grows old: then
 * only the old instance's descriptor refers to it. */
static void young_class_of_an_old_instance_survives_young_collections(void **state)
{
    struct world *world = *state;
    struct node *class_object = make_node(world->mutator, 77);
    gc_type *type = create_pair_type(world->mutator, class_object);

    world->root[0] = make_object(world->mutator, type);
    assert_int_equal(gc_pin(world->mutator, class_object), GC_OK);
    collect(world->mutator, 1);
    collect(world->mutator, 1);
    assert_int_equal(gc_generation_of(world->mutator, world->root[0]), GC_OLD);
    assert_int_equal(gc_unpin(world->mutator, gc_type_class(type)), GC_OK);
    collect(world->mutator, 0);
    collect(world->mutator, 1);
    class_object = gc_type_class(type);
    assert_true(gc_is_object(world->mutator, class_object));
    assert_int_equal(class_object->value, 77);
}

static void class_object_outlives_retirement_while_an_instance_lives(void **state)
{
    struct world *world = *state;
    int calls = 0;
    gc_type *type = create_pair_type(world->mutator, make_node(world->mutator, 77));

    world->root[0] = make_object(world->mutator, type);
    gc_type_retire(world->mutator, type, count_call, &calls);
    for (int i = 0; i < 5; i++) {
        collect(world->mutator, 2);
        assert_int_equal(calls, 0);
        assert_int_equal(((struct node *)gc_type_class(type))->value, 77);
    }
}

static void retired_type_goes_with_its_last_instance(void **state)
{
    struct world *world = *state;
    int calls = 0;
    gc_type *type = create_pair_type(world->mutator, make_node(world->mutator, 77));

    world->root[0] = make_object(world->mutator, type);
    gc_type_retire(world->mutator, type, count_call, &calls);
    collect(world->mutator, 2);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(calls, 1);
    collect(world->mutator, 2);
    collect(world->mutator, 2);
    assert_int_equal(calls, 1);
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

static void retired_type_without_instances_goes_at_the_next_full_collection(void **state)
{
    struct world *world = *state;
    int calls = 0;

    gc_type_retire(world->mutator, create_pair_type(world->mutator, NULL), count_call, &calls);
    gc_type_retire(world->mutator, create_pair_type(world->mutator, NULL), NULL, NULL);
    assert_int_equal(calls, 0);
    collect(world->mutator, 2);
    assert_int_equal(calls, 1);
}

/* A leaf is never scanned: it must be noticed all the same, however it is
 * reached. */
static void leaf_instance_keeps_a_retired_type(void **state)
{
    struct world *world = *state;
    gc_type layout = GC_TYPE_LEAF("made blob", struct blob);
    int calls = 0;

    for (unsigned i = 0; i < 3; i++) {
        gc_type *type = gc_type_create(world->mutator, &layout, make_node(world->mutator, i));
        struct node *node = make_node(world->mutator, 10);

        assert_non_null(type);
        world->root[i] = i == 0 ? (void *)node : make_object(world->mutator, type);
        if (i == 0)
            gc_write(world->mutator, node, &node->left, make_object(world->mutator, type));
        gc_type_retire(world->mutator, type, count_call, &calls);
    }
    assert_int_equal(gc_pin(world->mutator, world->root[2]), GC_OK);
    for (int i = 0; i < 4; i++) {
        collect(world->mutator, 2);
        assert_int_equal(calls, 0);
        assert_int_equal(count_objects(world->mutator, &node_type), 1 + 3);
    }
}

static void large_leaf_instance_keeps_a_retired_type(void **state)
{
    struct world *world = *state;
    gc_type layout = GC_TYPE_LEAF_ARRAY("made bytes", char);
    gc_type *type = gc_type_create(world->mutator, &layout, NULL);
    int calls = 0;

    assert_non_null(type);
    world->root[0] = make_array(world->mutator, type, 100000);
    gc_type_retire(world->mutator, type, count_call, &calls);
    collect(world->mutator, 2);
    collect(world->mutator, 2);
    assert_int_equal(calls, 0);
    world->root[0] = NULL;
    collect(world->mutator, 2);
    assert_int_equal(calls, 1);
}

static void retired_array_type_keeps_its_elements_traced(void **state)
{
    struct world *world = *state;
    uint32_t refs[] = {offsetof(struct pair, kept)};
    gc_type layout = GC_TYPE_ARRAY("made pairs", struct pair, refs);
    static const size_t lengths[] = {3, 5000};

    for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
        gc_type *type = gc_type_create(world->mutator, &layout, NULL);
        struct pair *pairs = make_array(world->mutator, type, lengths[i]);

        world->root[i] = pairs;
        pairs[lengths[i] - 1].kept = make_node(world->mutator, i);
        gc_type_retire(world->mutator, type, NULL, NULL);
    }
    for (unsigned round = 0; round < 4; round++) {
        collect(world->mutator, 2);
        for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
            struct pair *pairs = world->root[i];

            assert_int_equal(pairs[lengths[i] - 1].kept->value, i);
        }
    }
}

static void young_instance_keeps_a_retired_type(void **state)
{
    struct world *world = *state;
    int calls = 0;
    gc_type *type = create_pair_type(world->mutator, NULL);
    struct pair *pair;

    world->root[0] = make_object(world->mutator, type);
    gc_type_retire(world->mutator, type, count_call, &calls);
    collect(world->mutator, 0);
    collect(world->mutator, 1);
    collect(world->mutator, 2);
    pair = world->root[0];
    assert_int_equal(calls, 0);
    assert_ptr_equal(gc_type_of(pair), type);
}

static void a_thousand_types_come_and_go(void **state)
{
    enum { COUNT = 1000 };
    struct world *world = *state;
    int calls = 0;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            gc_type *type = create_pair_type(world->mutator, make_node(world->mutator, 1));

            (void)make_object(world->mutator, type);
            gc_type_retire(world->mutator, type, count_call, &calls);
        }
        collect(world->mutator, 2);
        assert_int_equal(calls, COUNT * (round + 1));
    }
    assert_int_equal(count_objects(world->mutator, &node_type), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(leaf_keeps_nothing),
        TEST(struct_keeps_what_its_offsets_name_and_no_more),
        TEST(array_of_references_keeps_every_element),
        TEST(array_of_structs_keeps_the_references_of_each),
        TEST(trailing_array_keeps_fixed_and_element_references),
        TEST(trailing_leaf_array_keeps_fixed_references_only),
        TEST(empty_arrays_of_every_kind_survive),
        TEST(traced_type_keeps_what_it_reports_and_no_more),
        MOVING(traced_references_are_updated_when_they_move),
        TEST(trace_callback_may_ask_for_type_length_and_size),
        TEST(ambiguous_callback_pins_what_it_reports),
        TEST(words_keep_and_pin_references_interior_and_past_the_end),
        TEST(old_words_keep_what_stays_young),
        TEST(dead_words_keep_nothing),
        MOVING(born_pinned_never_moves_and_its_references_do),
        TEST(born_pinned_dies_like_any_other),
        TEST(alignment_holds_at_birth_and_after_moves),
        TEST(alignment_holds_for_every_size_up_to_large),
        TEST(unzeroed_leaf_keeps_what_is_written),
        TEST(references_are_zeroed_whatever_the_flag_says),
        TEST(made_type_is_a_copy_of_its_layout),
        TEST(made_array_type_copies_element_offsets),
        MOVING(made_type_has_the_flags_and_alignment_it_asks_for),
        MOVING(instance_keeps_the_class_object_and_it_may_move),
        TEST(young_class_of_an_old_instance_survives_young_collections),
        TEST(class_object_outlives_retirement_while_an_instance_lives),
        TEST(retired_type_goes_with_its_last_instance),
        TEST(retired_type_without_instances_goes_at_the_next_full_collection),
        TEST(leaf_instance_keeps_a_retired_type),
        TEST(large_leaf_instance_keeps_a_retired_type),
        TEST(retired_array_type_keeps_its_elements_traced),
        TEST(young_instance_keeps_a_retired_type),
        TEST(a_thousand_types_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
