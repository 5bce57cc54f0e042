/* SPDX-License-Identifier: MIT
 *
 * Types that cannot be: refused when they are made, or when an instance is.
 */
#define _POSIX_C_SOURCE 200809L /* dup, fileno */

#include "base/annotate.h"
#include "support/doomed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The type at fault, and how it comes to it. */
static gc_type odd;

struct fault {
    void (*make)(void);
    const char *cause;
};

static const struct fault *fault;

static void make_misaligned(void)
{
    odd.alignment = 24;
}

static void make_underaligned(void)
{
    odd.alignment = 4;
}

static void make_overaligned(void)
{
    odd.alignment = 128;
}

static void make_of_no_kind(void)
{
    odd.kind = GC_KIND_INTERNAL;
}

static void make_of_odd_flags(void)
{
    odd.flags = 8;
}

static void make_untraced(void)
{
    odd.kind = GC_KIND_TRACED;
}

static const struct fault layout_faults[] = {
    {make_misaligned, "its alignment is not 8, 16, 32 or 64"},
    {make_underaligned, "its alignment is not 8, 16, 32 or 64"},
    {make_overaligned, "its alignment is not 8, 16, 32 or 64"},
    {make_of_no_kind, "its kind is none of gc_kind"},
    {make_of_odd_flags, "it has a flag that is none of GC_TYPE_..."},
    {make_untraced, "it is traced, without a trace callback"},
};

static const uint32_t offsets[] = {0, 8};
static const uint32_t late_offsets[] = {24};
static const uint32_t odd_offsets[] = {4};

static void make_refs_late(void)
{
    odd.refs = late_offsets;
    odd.ref_count = 1;
}

static void make_refs_odd(void)
{
    odd.refs = odd_offsets;
    odd.ref_count = 1;
}

static void make_refs_null(void)
{
    odd.refs = NULL;
    odd.ref_count = 1;
}

static void make_elements(uint32_t element_size, const uint32_t *refs, uint32_t count)
{
    odd.kind = GC_KIND_ARRAY;
    odd.element_size = element_size;
    odd.element_refs = refs;
    odd.element_ref_count = count;
}

static void make_element_refs_late(void)
{
    make_elements(8, offsets, 2);
}

static void make_element_refs_odd(void)
{
    make_elements(16, odd_offsets, 1);
}

static void make_elements_too_small(void)
{
    make_elements(4, offsets, 1);
}

static void make_elements_odd(void)
{
    make_elements(20, offsets, 2);
}

static void make_start_odd(void)
{
    make_elements(16, offsets, 2);
    odd.size = 20;
}

static void make_references_small(void)
{
    odd.kind = GC_KIND_REFERENCES;
    odd.ref_count = 0;
    odd.size = 0;
    odd.element_size = 4;
}

static void make_references_with_more(void)
{
    odd.kind = GC_KIND_REFERENCES;
    odd.ref_count = 0;
    odd.element_size = 8;
}

static const struct fault offset_faults[] = {
    {make_refs_late, "an offset in refs is not that of a word in the fixed part"},
    {make_refs_odd, "an offset in refs is not that of a word in the fixed part"},
    {make_refs_null, "an offset in refs is not that of a word in the fixed part"},
    {make_element_refs_late, "an offset in element_refs is not that of a word in an element"},
    {make_element_refs_odd, "an offset in element_refs is not that of a word in an element"},
    {make_elements_too_small, "an offset in element_refs is not that of a word in an element"},
    {make_elements_odd, "elements with references are not aligned to words"},
    {make_start_odd, "elements with references are not aligned to words"},
    {make_references_small, "an array of references has something else in it"},
    {make_references_with_more, "an array of references has something else in it"},
};

static void make_inline_bytes_wrong(void)
{
    odd.object_bytes = GC_OBJECT_BYTES(odd.size) - 8;
}

static void make_inline_bytes_too_many(void)
{
    odd.size = 9000;
    odd.object_bytes = GC_OBJECT_BYTES(9000);
}

static void make_pinned_inline(void)
{
    odd.flags = GC_TYPE_PINNED;
    odd.object_bytes = GC_INLINE_BYTES(odd.size);
}

static void make_aligned_inline(void)
{
    odd.alignment = 16;
    odd.object_bytes = GC_INLINE_BYTES(odd.size);
}

static void make_conservative_inline(void)
{
    odd.kind = GC_KIND_CONSERVATIVE;
    odd.object_bytes = GC_INLINE_BYTES(odd.size);
}

static void make_inline_bytes_missing(void)
{
    odd.object_bytes = 0;
}

static const struct fault inline_faults[] = {
    {make_inline_bytes_missing,
     "its object_bytes must be GC_INLINE_BYTES(size), or GC_OUT_OF_LINE"},
    {make_inline_bytes_wrong, "its object_bytes must be GC_INLINE_BYTES(size), or GC_OUT_OF_LINE"},
    {make_inline_bytes_too_many,
     "its object_bytes must be GC_INLINE_BYTES(size), or GC_OUT_OF_LINE"},
    {make_pinned_inline, "its object_bytes must be GC_INLINE_BYTES(size), or GC_OUT_OF_LINE"},
    {make_aligned_inline, "its object_bytes must be GC_INLINE_BYTES(size), or GC_OUT_OF_LINE"},
    {make_conservative_inline, "its object_bytes must be GC_INLINE_BYTES(size), or GC_OUT_OF_LINE"},
};

static void make_odd(void)
{
    odd = node_type;
    odd.object_bytes = GC_OUT_OF_LINE;
    fault->make();
}

static void create_odd(void)
{
    make_doomed_unchecked();
    make_odd();
    (void)gc_type_create(doomed->mutator, &odd, NULL);
}

/* A collection retires the run: so the inline path, which does not look, is
 * closed. */
static void allocate_of(const gc_type *type)
{
    gc_collect(doomed->mutator, 0, NULL);
    (void)gc_alloc(doomed->mutator, type);
}

static void allocate_odd(void)
{
    make_doomed();
    make_odd();
    allocate_of(&odd);
}

static void allocate_odd_unchecked(void)
{
    make_doomed_unchecked();
    make_odd();
    allocate_of(&odd);
}

#define EACH(list) list, GC_COUNT(list)

static void expect_each_refused(const struct fault *list, unsigned count, void (*act)(void),
                                const char *function)
{
    for (unsigned i = 0; i < count; i++) {
        char cause[120];

        fault = &list[i];
        (void)snprintf(cause, sizeof cause, "type node: %s", fault->cause);
        expect_misuse(act, function, cause);
    }
}

static void impossible_layouts_are_refused(void **state)
{
    (void)state;
    expect_each_refused(EACH(layout_faults), create_odd, "gc_type_create");
    expect_each_refused(EACH(layout_faults), allocate_odd_unchecked, "gc_alloc");
}

static void impossible_offsets_are_refused(void **state)
{
    (void)state;
    expect_each_refused(EACH(offset_faults), create_odd, "gc_type_create");
    expect_each_refused(EACH(offset_faults), allocate_odd, "gc_alloc");
}

static void types_that_the_inline_path_would_misplace_are_refused(void **state)
{
    (void)state;
    expect_each_refused(EACH(inline_faults), allocate_odd_unchecked, "gc_alloc");
}

static void create_from_null(void)
{
    make_doomed();
    (void)gc_type_create(doomed->mutator, NULL, NULL);
}

static void allocate_of_null(void)
{
    make_doomed();
    (void)gc_alloc_array(doomed->mutator, NULL, 10000);
}

static void make_nameless(void)
{
    make_misaligned();
    odd.name = NULL;
}

static void null_types_are_refused(void **state)
{
    static const struct fault nameless = {make_nameless, NULL};

    (void)state;
    fault = &nameless;
    expect_misuse(create_odd, "gc_type_create", "type ?: its alignment is not 8, 16, 32 or 64");
    expect_misuse(create_from_null, "gc_type_create", "the type is NULL");
    expect_misuse(allocate_of_null, "gc_alloc", "the type is NULL");
}

static void allocate_array_of_fixed(void)
{
    make_doomed();
    (void)gc_alloc_array(doomed->mutator, &node_type, 5);
}

static void only_types_with_an_array_part_have_a_length(void **state)
{
    (void)state;
    expect_misuse(allocate_array_of_fixed, "gc_alloc_array", "the type has no array part");
}

static void an_array_of_nothing_of_a_fixed_type_is_one_object(void **state)
{
    struct world *world = *state;
    struct node *node = gc_alloc_array(world->mutator, &node_type, 0);

    world->root[0] = node;
    assert_int_equal(gc_length(node), 0);
    assert_int_equal(gc_size_of(node), sizeof *node);
    collect(world->mutator, 2);
    assert_int_equal(count_objects(world->mutator, &node_type), 1);
}

/* object_bytes of a layout is not looked at. */
static void made_types_find_their_own_inline_size(void **state)
{
    struct world *world = *state;
    gc_type layout = node_type, *type;
    struct node *node;

    layout.object_bytes = 0;
    type = gc_type_create(world->mutator, &layout, NULL);
    assert_int_equal(type->object_bytes, GC_INLINE_BYTES(sizeof *node));
    layout.flags = GC_TYPE_PINNED;
    assert_int_equal(gc_type_create(world->mutator, &layout, NULL)->object_bytes, GC_OUT_OF_LINE);
    world->root[0] = node = make_object(world->mutator, type);
    node->value = 5;
    collect(world->mutator, 2);
    node = world->root[0];
    assert_int_equal(node->value, 5);
}

/* ---- Misplaced instances ------------------------------------------------ */

/* What the verifier prints goes to `text`. */
static size_t verify_into(gc_mutator *mutator, char *text, size_t size)
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    size_t faults, length;

    assert_non_null(file);
    assert_true(before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    faults = gc_verify(mutator);
    (void)fflush(stderr);
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    rewind(file);
    length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    (void)fclose(file);
    return faults;
}

/* The run is open, so that the inline path takes what it should not. */
static void verifier_finds_what_the_inline_path_misplaced(void **state)
{
    struct world *world = *state;
    char text[1000];

    world->root[0] = make_node(world->mutator, 1);
    if (GC_FORBIDS || gc_fast(world->mutator)->limit == 0)
        skip();                                          /* there is no inline path */
    (void)make_array(world->mutator, &gc_type_bytes, 1); /* the rest of the run is zeroed */
    odd = node_type;
    make_pinned_inline();
    world->root[1] = make_object(world->mutator, &odd);
    assert_int_equal(verify_into(world->mutator, text, sizeof text), 1);
    assert_non_null(strstr(text, "is allocated inline, though its type is pinned or ambiguous "
                                 "(its object_bytes must be GC_OUT_OF_LINE)"));
}

/* ---- Retired ------------------------------------------------------------ */

static void retire_twice(void)
{
    gc_type *type;

    make_doomed();
    type = gc_type_create(doomed->mutator, &node_type, NULL);
    gc_type_retire(doomed->mutator, type, NULL, NULL);
    gc_type_retire(doomed->mutator, type, NULL, NULL);
}

static void retire_static(void)
{
    make_doomed();
    odd = node_type;
    gc_type_retire(doomed->mutator, &odd, NULL, NULL);
}

static void retire_null(void)
{
    make_doomed();
    gc_type_retire(doomed->mutator, NULL, NULL, NULL);
}

static gc_type *type_of_another_heap(void)
{
    gc_type *type;

    make_doomed_unchecked();
    type = gc_type_create(doomed->mutator, &node_type, NULL);
    make_doomed_unchecked();
    return type;
}

static void retire_in_another_heap(void)
{
    gc_type *type = type_of_another_heap();

    gc_type_retire(doomed->mutator, type, NULL, NULL);
}

static void allocate_in_another_heap(void)
{
    allocate_of(type_of_another_heap());
}

static void allocate_retired(void)
{
    gc_type *type;

    make_doomed();
    type = gc_type_create(doomed->mutator, &node_type, NULL);
    doomed->root[1] = gc_alloc(doomed->mutator, type);
    gc_type_retire(doomed->mutator, type, NULL, NULL);
    allocate_of(type);
}

static void only_made_types_are_retired(void **state)
{
    (void)state;
    expect_misuse(retire_static, "gc_type_retire", "this type was not made by gc_type_create");
    expect_misuse(retire_null, "gc_type_retire", "the type is NULL");
}

static void types_are_retired_once(void **state)
{
    (void)state;
    expect_misuse(retire_twice, "gc_type_retire", "type node: it is retired already");
    expect_misuse(allocate_retired, "gc_alloc", "type node: it is retired already");
}

static void made_types_stay_in_their_heap(void **state)
{
    (void)state;
    expect_misuse(retire_in_another_heap, "gc_type_retire",
                  "type node: it was made in another heap");
    expect_misuse(allocate_in_another_heap, "gc_alloc", "type node: it was made in another heap");
}

static void static_types_have_no_class(void **state)
{
    (void)state;
    assert_null(gc_type_class(&node_type));
    assert_null(gc_type_class(&gc_type_bytes));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exact_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_layouts_are_refused),
        cmocka_unit_test(impossible_offsets_are_refused),
        cmocka_unit_test(types_that_the_inline_path_would_misplace_are_refused),
        cmocka_unit_test(null_types_are_refused),
        cmocka_unit_test(only_types_with_an_array_part_have_a_length),
        TEST(an_array_of_nothing_of_a_fixed_type_is_one_object),
        TEST(made_types_find_their_own_inline_size),
        TEST(verifier_finds_what_the_inline_path_misplaced),
        cmocka_unit_test(only_made_types_are_retired),
        cmocka_unit_test(types_are_retired_once),
        cmocka_unit_test(made_types_stay_in_their_heap),
        cmocka_unit_test(static_types_have_no_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
