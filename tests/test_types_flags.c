/* SPDX-License-Identifier: MIT
 *
 * Types with ambiguous contents, flags, alignment.
 */
#include "heap/heap.h"
#include "support/heap.h"

#include <string.h>

struct pair {
    struct node *kept;
    uintptr_t ignored; /* holds an address, but is no reference */
};
static const uint32_t pair_refs[] = {offsetof(struct pair, kept)};

/* ---- Ambiguous contents -------------------------------------------------- */

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

/* Besides words it may report references, which move. */
struct blend {
    uintptr_t word;
    struct node *slot;
    struct node *reference;
};

static void trace_blend(gc_tracer *tracer, void *object)
{
    struct blend *blend = object;

    gc_trace_word(tracer, blend->word);
    gc_trace_slot(tracer, &blend->slot);
    blend->reference = gc_trace_reference(tracer, blend->reference);
}

static const gc_type blend_type = {.name = "blend",
                                   .size = sizeof(struct blend),
                                   .object_bytes = GC_OUT_OF_LINE,
                                   .trace = trace_blend,
                                   .kind = GC_KIND_TRACED,
                                   .flags = GC_TYPE_AMBIGUOUS,
                                   .alignment = 8};

static void ambiguous_callback_may_report_references_too(void **state)
{
    struct world *world = *state;
    struct blend *blend = world->root[0] = make_object(world->mutator, &blend_type);
    struct node *word = make_node(world->mutator, 1), *slot, *reference;

    blend->word = (uintptr_t)word;
    blend->slot = slot = make_node(world->mutator, 2);
    blend->reference = reference = make_node(world->mutator, 3);
    collect(world->mutator, GC_OLD);
    assert_ptr_equal(world->root[0], blend);
    assert_int_equal(word->value, 1);
    assert_ptr_not_equal(blend->slot, slot);
    assert_ptr_not_equal(blend->reference, reference);
    assert_int_equal(blend->slot->value, 2);
    assert_int_equal(blend->reference->value, 3);
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

/* ---- Flags and alignment ------------------------------------------------- */

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

static size_t count_pinning_blocks(const struct world *world)
{
    const struct gc_collector *collector = &world->heap->collector;
    size_t count = 0;

    for (uint32_t block = 0; block < collector->blocks.chunks_high * GC_CHUNK_BLOCKS; block++)
        count += collector->tables.blocks[block].kind == GC_BLOCK_PINNED;
    return count;
}

/* gen2's pinning blocks are filled again, for nothing else fills their holes. */
static void what_is_born_pinned_fills_the_holes_of_gen2(void **state)
{
    enum { COUNT = 20000 };
    struct world *world = *state;
    struct pair **pairs = (struct pair **)make_array(world->mutator, &gc_type_references, COUNT);
    size_t blocks;

    world->root[0] = pairs;
    for (size_t i = 0; i < COUNT; i++) {
        struct pair *pair = make_object(world->mutator, &fixed_type);

        gc_write(world->mutator, pairs, &pairs[i], pair);
    }
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    for (size_t i = 0; i < COUNT; i++)
        if (i % 64 >= 16) /* holes of several lines */
            pairs[i] = NULL;
    collect(world->mutator, GC_OLD);
    blocks = count_pinning_blocks(world);
    for (size_t i = 0; i < COUNT; i++) {
        struct pair *pair;
        struct node *node;

        if (pairs[i] != NULL)
            continue;
        pair = make_object(world->mutator, &fixed_type);
        gc_write(world->mutator, pairs, &pairs[i], pair);
        node = i % 256 == 20 ? make_node(world->mutator, i) : NULL;
        gc_write(world->mutator, pair, &pair->kept, node);
    }
    assert_int_equal(gc_verify(world->mutator), 0);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++)
        collect(world->mutator, generation);
    assert_in_range(count_pinning_blocks(world), 1, blocks + blocks / 4);
    for (size_t i = 20; i < COUNT; i += 256)
        assert_int_equal(pairs[i]->kept->value, i);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)
#define MOVING(name) cmocka_unit_test_setup_teardown(name, moving_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ambiguous_callback_pins_what_it_reports),
        MOVING(ambiguous_callback_may_report_references_too),
        TEST(words_keep_and_pin_references_interior_and_past_the_end),
        TEST(old_words_keep_what_stays_young),
        TEST(dead_words_keep_nothing),
        MOVING(born_pinned_never_moves_and_its_references_do),
        TEST(what_is_born_pinned_fills_the_holes_of_gen2),
        TEST(born_pinned_dies_like_any_other),
        TEST(alignment_holds_at_birth_and_after_moves),
        TEST(alignment_holds_for_every_size_up_to_large),
        TEST(unzeroed_leaf_keeps_what_is_written),
        TEST(references_are_zeroed_whatever_the_flag_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
