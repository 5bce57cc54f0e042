/* SPDX-License-Identifier: MIT
 *
 * Tagged words: which values of the low three bits are references; and NaN
 * boxes, which no such set can describe, through a trace callback.
 */
#include "support/graph.h"

#include <strata/table.h>
#include <strata/weak.h>

#include <string.h>

static struct world *make_world_under(const char *settings, uint8_t tags, gc_stacks stacks)
{
    gc_options options = test_options();

    options.stacks = stacks;
    options.reference_tags = tags;
    options.settings = settings;
    return world_make(&options);
}

static struct world *make_tagged_world(uint8_t tags, gc_stacks stacks)
{
    return make_world_under("stress=evacuate-all", tags, stacks);
}

static bool is_reference_tag(uint8_t tags, unsigned tag)
{
    return ((tags >> tag) & 1) != 0;
}

static uintptr_t tagged_node(gc_mutator *mutator, unsigned tag)
{
    return (uintptr_t)make_node(mutator, 100 + tag) | tag;
}

static uint64_t value_behind(uintptr_t word)
{
    return ((const struct node *)(word & ~(uintptr_t)7))->value;
}

/* Words with every tag: those in the set keep, move and stay tagged; the
 * others are left as they are. */
static void assert_words_follow_the_set(struct world *world, uint8_t tags, const uintptr_t *words,
                                        const uintptr_t *before)
{
    size_t references = 0;

    for (unsigned tag = 0; tag < 8; tag++) {
        if (is_reference_tag(tags, tag)) {
            references++;
            assert_true(words[tag] != before[tag]);
            assert_int_equal(words[tag] & 7, tag);
            assert_int_equal(value_behind(words[tag]), 100 + tag);
        } else {
            assert_int_equal(words[tag], before[tag]);
        }
    }
    assert_int_equal(count_objects(world->mutator, &node_type), references);
}

static uintptr_t framed[8]; /* what a frame's slots hold */

static const uint8_t sets[] = {0x01, 0x02, 0x03, 0x05, 0xfe, 0xaa, 0x80, 0xff};

static void root_range_follows_the_set_of_tags(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sets); i++) {
        struct world *world = make_tagged_world(sets[i], GC_STACKS_EXACT);
        uintptr_t words[8];
        uintptr_t before[8];

        for (unsigned tag = 0; tag < 8; tag++)
            words[tag] = tagged_node(world->mutator, tag);
        memcpy(before, words, sizeof words);
        assert_int_equal(gc_root_range_add(world->heap, words, 8, GC_EXACT), GC_OK);
        collect(world->mutator, 0);
        assert_words_follow_the_set(world, sets[i], words, before);
        assert_int_equal(gc_root_range_remove(world->heap, words), GC_OK);
        world_free(world);
    }
}

static void root_slots_follow_the_set_of_tags(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sets); i++) {
        struct world *world = make_tagged_world(sets[i], GC_STACKS_EXACT);
        uintptr_t words[8];
        uintptr_t before[8];

        for (unsigned tag = 0; tag < 8; tag++) {
            words[tag] = tagged_node(world->mutator, tag);
            assert_int_equal(gc_root_add(world->heap, &words[tag]), GC_OK);
        }
        memcpy(before, words, sizeof words);
        collect(world->mutator, 0);
        assert_words_follow_the_set(world, sets[i], words, before);
        for (unsigned tag = 0; tag < 8; tag++)
            assert_int_equal(gc_root_remove(world->heap, &words[tag]), GC_OK);
        world_free(world);
    }
}

static void slots_of_frames_follow_the_set_of_tags(void **state)
{
    (void)state;
    for (size_t set = 0; set < GC_COUNT(sets); set++) {
        struct world *world = make_tagged_world(sets[set], GC_STACKS_EXACT);
        static void *const slots[] = {&framed[0], &framed[1], &framed[2], &framed[3],
                                      &framed[4], &framed[5], &framed[6], &framed[7]};
        gc_frame frame = {NULL, slots, GC_COUNT(slots)};
        uintptr_t before[8];

        memset(framed, 0, sizeof framed);
        gc_frame_push(world->mutator, &frame);
        for (unsigned tag = 0; tag < 8; tag++)
            framed[tag] = before[tag] = tagged_node(world->mutator, tag);
        gc_collect(world->mutator, GC_OLD, NULL);
        assert_words_follow_the_set(world, sets[set], framed, before);
        gc_frame_pop(world->mutator, &frame);
        world_free(world);
    }
}

/* The holder is reached by an ambiguous word, for its own tag, 0, may not be
 * one of the set's. */
static void fields_follow_the_set_of_tags(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sets); i++) {
        struct world *world = make_tagged_world(sets[i], GC_STACKS_EXACT);
        uintptr_t *words = make_array(world->mutator, &gc_type_references, 8);
        uintptr_t holder = (uintptr_t)words;
        uintptr_t before[8];

        assert_int_equal(gc_root_range_add(world->heap, &holder, 1, GC_AMBIGUOUS), GC_OK);
        for (unsigned tag = 0; tag < 8; tag++)
            words[tag] = tagged_node(world->mutator, tag);
        memcpy(before, words, sizeof before);
        collect(world->mutator, 0);
        assert_words_follow_the_set(world, sets[i], words, before);
        assert_int_equal(gc_root_range_remove(world->heap, &holder), GC_OK);
        world_free(world);
    }
}

static void tagged_words_stored_into_old_objects_are_remembered(void **state)
{
    static const size_t lengths[] = {8, 100000};
    struct world *world = make_tagged_world(0x05, GC_STACKS_EXACT);

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
        uintptr_t *words;
        uintptr_t word;

        world->root[0] = make_array(world->mutator, &gc_type_references, lengths[i]);
        collect(world->mutator, 1);
        collect(world->mutator, 1);
        word = tagged_node(world->mutator, 2);
        words = world->root[0];
        gc_write_word(world->mutator, words, &words[7], word);
        collect(world->mutator, 0);
        words = world->root[0];
        assert_int_equal(words[7] & 7, 2);
        assert_int_equal(value_behind(words[7]), 102);
        assert_true(gc_is_object(world->mutator, (void *)(words[7] - 2)));
    }
    world_free(world);
}

static void integers_that_look_like_addresses_are_left_alone(void **state)
{
    struct world *world = make_tagged_world(0x01, GC_STACKS_EXACT);
    uintptr_t *words = make_array(world->mutator, &gc_type_references, 1000);

    (void)state;
    world->root[0] = words;
    for (size_t i = 0; i < 1000; i++)
        words[i] = ((uintptr_t)words + i * 8) | 1;
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        uintptr_t first = words[0];

        collect(world->mutator, generation);
        words = world->root[0];
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(words[i], first + i * 8);
    }
    world_free(world);
}

/* On the stack, a tagged word is an interior one. */
static NOINLINE uintptr_t tagged_on_the_stack(gc_mutator *mutator, unsigned tag)
{
    return tagged_node(mutator, tag);
}

static void tagged_words_on_the_stack_keep(void **state)
{
    struct world *world = make_tagged_world(0x80, GC_STACKS_AMBIGUOUS);
    volatile uintptr_t word = tagged_on_the_stack(world->mutator, 7);

    (void)state;
    clobber_stack();
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_true(gc_is_object(world->mutator, (void *)(word - 7)));
    assert_int_equal(value_behind(word), 107);
    world_free(world);
}

/* ---- NaN boxes: an example ---------------------------------------------- */

/* A value of a scripting language in 64 bits: a number as it is, or, behind a
 * pattern that no computed number has, a reference in the low 48 bits. */
static const uint64_t box_mask = UINT64_C(0xffff000000000000);
static const uint64_t box_tag = UINT64_C(0xfffa000000000000);

static bool is_boxed_reference(uint64_t value)
{
    return (value & box_mask) == box_tag;
}

static uint64_t box_reference(const void *reference)
{
    return box_tag | (uint64_t)(uintptr_t)reference;
}

static uint64_t box_number(double number)
{
    uint64_t value;

    memcpy(&value, &number, sizeof value);
    return value;
}

static void *unbox_reference(uint64_t value)
{
    return (void *)(uintptr_t)(value & ~box_mask);
}

static void trace_boxes(gc_tracer *tracer, void *object)
{
    uint64_t *boxes = object;

    for (size_t i = 0, count = gc_length(object); i < count; i++) {
        if (is_boxed_reference(boxes[i]))
            boxes[i] = box_reference(gc_trace_reference(tracer, unbox_reference(boxes[i])));
    }
}

static const gc_type boxes_type = {.name = "boxes",
                                   .object_bytes = GC_OUT_OF_LINE,
                                   .trace = trace_boxes,
                                   .element_size = sizeof(uint64_t),
                                   .kind = GC_KIND_TRACED,
                                   .alignment = 8};

static void store_box(gc_mutator *mutator, uint64_t *boxes, size_t index, uint64_t value)
{
    gc_write_word(mutator, boxes, &boxes[index], value);
}

static void nan_boxes_keep_references_and_leave_numbers(void **state)
{
    static const double numbers[] = {0.0, -0.0, 1.5, -1e300, 5e-324};
    struct world *world = make_tagged_world(0, GC_STACKS_EXACT);
    uint64_t *boxes = make_array(world->mutator, &boxes_type, 10);

    (void)state;
    world->root[0] = boxes;
    for (size_t i = 0; i < 5; i++) {
        store_box(world->mutator, boxes, 2 * i, box_number(numbers[i]));
        store_box(world->mutator, boxes, 2 * i + 1, box_reference(make_node(world->mutator, i)));
    }
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        uint64_t before = boxes[1];

        collect(world->mutator, generation);
        boxes = world->root[0];
        assert_true(boxes[1] != before);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(boxes[2 * i], box_number(numbers[i]));
            assert_true(is_boxed_reference(boxes[2 * i + 1]));
            assert_int_equal(((struct node *)unbox_reference(boxes[2 * i + 1]))->value, i);
        }
    }
    world_free(world);
}

static void nan_boxes_stored_into_old_arrays_are_remembered(void **state)
{
    static const size_t lengths[] = {4, 100000};
    struct world *world = make_tagged_world(0, GC_STACKS_EXACT);

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(lengths); i++) {
        uint64_t *boxes;
        uint64_t box;

        world->root[0] = make_array(world->mutator, &boxes_type, lengths[i]);
        collect(world->mutator, 1);
        collect(world->mutator, 1);
        box = box_reference(make_node(world->mutator, 9));
        boxes = world->root[0];
        store_box(world->mutator, boxes, 3, box);
        collect(world->mutator, 0);
        boxes = world->root[0];
        assert_int_equal(((struct node *)unbox_reference(boxes[3]))->value, 9);
        assert_true(gc_is_object(world->mutator, unbox_reference(boxes[3])));
    }
    world_free(world);
}

/* ---- References that carry no tag --------------------------------------- */

/* In a heap where a word without a tag is an integer, what the API itself
 * takes for a reference is one still. */
static void handles_keep_whatever_the_set(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sets); i++) {
        struct world *world = make_tagged_world(sets[i], GC_STACKS_EXACT);
        struct node *node = make_node(world->mutator, 5);
        gc_handle *handle = gc_handle_create(world->mutator, node);

        assert_non_null(handle);
        for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
            collect(world->mutator, generation);
        assert_int_equal(count_objects(world->mutator, &node_type), 1);
        assert_true(gc_is_object(world->mutator, gc_handle_get(handle)));
        assert_int_equal(((struct node *)gc_handle_get(handle))->value, 5);
        gc_handle_destroy(world->mutator, handle);
        world_free(world);
    }
}

static void reported_references_keep_whatever_the_set(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sets); i++) {
        struct world *world = make_tagged_world(sets[i], GC_STACKS_EXACT);
        uint64_t *boxes = make_array(world->mutator, &boxes_type, 1);
        gc_handle *handle = gc_handle_create(world->mutator, boxes);

        assert_non_null(handle);
        store_box(world->mutator, boxes, 0, box_reference(make_node(world->mutator, 5)));
        for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
            collect(world->mutator, generation);
        boxes = gc_handle_get(handle);
        assert_int_equal(count_objects(world->mutator, &node_type), 1);
        assert_int_equal(((struct node *)unbox_reference(boxes[0]))->value, 5);
        gc_handle_destroy(world->mutator, handle);
        world_free(world);
    }
}

/* Nodes made by make_node in handles, which keep them. */
enum { KEYS = 300 };

static void make_keys(gc_mutator *mutator, gc_handle **keys)
{
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = gc_handle_create(mutator, make_node(mutator, i));
}

static void destroy_keys(gc_mutator *mutator, gc_handle **keys)
{
    for (size_t i = 0; i < KEYS; i++)
        gc_handle_destroy(mutator, keys[i]);
}

/* Each refers to the next one by itself, but what a set has no values for. */
static void fill_table(gc_mutator *mutator, const gc_handle *table, gc_handle *const *keys)
{
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(gc_table_put(mutator, gc_handle_get(table), gc_handle_get(keys[i]),
                                      gc_handle_get(keys[(i + 1) % KEYS])),
                         GC_OK);
}

static void assert_table(gc_mutator *mutator, const gc_handle *table, gc_handle *const *keys,
                         gc_table_kind kind)
{
    assert_int_equal(gc_table_count(mutator, gc_handle_get(table)), KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        void *value = NULL;

        assert_true(gc_table_get(mutator, gc_handle_get(table), gc_handle_get(keys[i]), &value));
        if (kind != GC_TABLE_WEAK_SET)
            assert_ptr_equal(value, gc_handle_get(keys[(i + 1) % KEYS]));
    }
}

static void use_table(const struct world *world, gc_table_kind kind)
{
    gc_mutator *m = world->mutator;
    gc_handle *table = gc_handle_create(m, gc_table_create(m, kind, NULL, NULL, NULL));
    gc_handle *keys[KEYS];

    make_keys(m, keys);
    fill_table(m, table, keys);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        collect(m, generation);
        assert_table(m, table, keys, kind);
    }
    assert_int_equal(gc_table_fit(m, gc_handle_get(table), 10 * KEYS), GC_OK);
    collect(m, GC_OLD);
    assert_table(m, table, keys, kind);
    destroy_keys(m, keys);
    gc_handle_destroy(m, table);
}

/* What a table is made of was taken for integers, and freed. */
static void tables_are_whole_whatever_the_set(void **state)
{
    static const gc_table_kind kinds[] = {GC_TABLE_STRONG, GC_TABLE_WEAK_KEYS, GC_TABLE_WEAK_VALUES,
                                          GC_TABLE_WEAK_SET};

    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sets); i++) {
        struct world *world = make_tagged_world(sets[i], GC_STACKS_EXACT);

        for (unsigned k = 0; k < GC_COUNT(kinds); k++)
            use_table(world, kinds[k]);
        collect(world->mutator, GC_OLD);
        assert_int_equal(recount(world->mutator).all_objects, 0);
        world_free(world);
    }
}

/* Arguments are kept while something is made for them, and are where they are then. */
static void arguments_are_kept_whatever_the_set(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sets); i++) {
        struct world *world =
            make_world_under("stress=evacuate-all+collect", sets[i], GC_STACKS_EXACT);
        gc_mutator *m = world->mutator;
        const gc_ephemeron *ephemeron;
        const gc_weakref *weakref;
        const struct node *node;

        weakref = gc_weakref_create(m, make_node(m, 7), 0);
        node = gc_weakref_get(m, weakref);
        assert_true(gc_is_object(m, node));
        assert_int_equal(node->value, 7);
        node = make_node(m, 8);
        ephemeron = gc_ephemeron_create(m, (void *)(uintptr_t)node, (void *)(uintptr_t)node);
        node = gc_ephemeron_key(m, ephemeron);
        assert_true(gc_is_object(m, node));
        assert_ptr_equal(gc_ephemeron_value(m, ephemeron), node);
        assert_int_equal(node->value, 8);
        world_free(world);
    }
}

static void class_objects_are_kept_whatever_the_set(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GC_COUNT(sets); i++) {
        struct world *world = make_tagged_world(sets[i], GC_STACKS_EXACT);
        struct node *class_object = make_node(world->mutator, 5);
        gc_type *type = gc_type_create(world->mutator, &node_type, class_object);

        assert_non_null(type);
        for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
            collect(world->mutator, generation);
        class_object = gc_type_class(type);
        assert_true(gc_is_object(world->mutator, class_object));
        assert_int_equal(class_object->value, 5);
        world_free(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_range_follows_the_set_of_tags),
        cmocka_unit_test(root_slots_follow_the_set_of_tags),
        cmocka_unit_test(slots_of_frames_follow_the_set_of_tags),
        cmocka_unit_test(fields_follow_the_set_of_tags),
        cmocka_unit_test(tagged_words_stored_into_old_objects_are_remembered),
        cmocka_unit_test(integers_that_look_like_addresses_are_left_alone),
        cmocka_unit_test(tagged_words_on_the_stack_keep),
        cmocka_unit_test(nan_boxes_keep_references_and_leave_numbers),
        cmocka_unit_test(nan_boxes_stored_into_old_arrays_are_remembered),
        cmocka_unit_test(handles_keep_whatever_the_set),
        cmocka_unit_test(reported_references_keep_whatever_the_set),
        cmocka_unit_test(tables_are_whole_whatever_the_set),
        cmocka_unit_test(arguments_are_kept_whatever_the_set),
        cmocka_unit_test(class_objects_are_kept_whatever_the_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
