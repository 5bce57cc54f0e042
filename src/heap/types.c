/* SPDX-License-Identifier: MIT
 *
 * Types made at run time, as the API has them.
 */
#include "heap/heap.h"
#include "trace/ephemerons.h"

#include <stdio.h>

static _Noreturn void refuse(const gc_type *type, const char *function, const char *cause)
{
    char text[160];

    (void)snprintf(text, sizeof text, "type %.60s: %s", type->name == NULL ? "?" : type->name,
                   cause);
    gc_misuse(function, text);
}

/* Whether each offset is that of a word in a part of `size` bytes. */
static bool are_words(const uint32_t *offsets, uint32_t count, size_t size)
{
    if (count == 0)
        return true;
    if (offsets == NULL || size < sizeof(void *))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (offsets[i] % sizeof(void *) != 0 || offsets[i] > size - sizeof(void *))
            return false;
    return true;
}

static void check_offsets(const gc_type *type, const char *function)
{
    bool has_element_refs = type->element_ref_count != 0;

    if (!are_words(type->refs, type->ref_count, type->size))
        refuse(type, function, "an offset in refs is not that of a word in the fixed part");
    if (!are_words(type->element_refs, type->element_ref_count, type->element_size))
        refuse(type, function, "an offset in element_refs is not that of a word in an element");
    if (has_element_refs && (type->size | type->element_size) % sizeof(void *) != 0)
        refuse(type, function, "elements with references are not aligned to words");
    if (type->kind == GC_KIND_REFERENCES &&
        (type->size != 0 || type->element_size != sizeof(void *)))
        refuse(type, function, "an array of references has something else in it");
}

static void check_layout(const gc_type *type, const char *function)
{
    const uint8_t flags = GC_TYPE_PINNED | GC_TYPE_UNZEROED | GC_TYPE_AMBIGUOUS;

    if (type == NULL)
        gc_misuse(function, "the type is NULL");
    if (type->alignment < 8 || type->alignment > 64 || (type->alignment & (type->alignment - 1)))
        refuse(type, function, "its alignment is not 8, 16, 32 or 64");
    if (type->kind >= GC_KIND_INTERNAL && !gc_is_ephemeron_type(type))
        refuse(type, function, "its kind is none of gc_kind");
    if (type->flags & ~flags)
        refuse(type, function, "it has a flag that is none of GC_TYPE_...");
    if (type->kind == GC_KIND_TRACED && type->trace == NULL)
        refuse(type, function, "it is traced, without a trace callback");
}

static void check_made(const gc_heap *heap, const struct gc_made_type *made, const char *function)
{
    const gc_type *type = &made->type;

    if (made->owner != &heap->collector.types)
        refuse(type, function, "it was made in another heap");
    if (made->is_retired)
        refuse(type, function, "it is retired already");
}

void gc_check_type(gc_heap *heap, const gc_type *type, const char *function)
{
    check_layout(type, function);
    if (type->object_bytes < GC_OUT_OF_LINE && type->object_bytes != gc_inline_bytes(type))
        refuse(type, function, "its object_bytes must be GC_INLINE_BYTES(size), or GC_OUT_OF_LINE");
    if (gc_made_type(type) != NULL)
        check_made(heap, gc_made_type(type), function);
    else if (gc_is_checking(heap))
        check_offsets(type, function);
}

gc_type *gc_type_create(gc_mutator *mutator, const gc_type *layout, void *class_object)
{
    struct gc_made_type *made;

    gc_check_mutator(mutator, "gc_type_create");
    check_layout(layout, "gc_type_create");
    check_offsets(layout, "gc_type_create");
    if (class_object != NULL)
        gc_check_object(mutator->heap, class_object, "gc_type_create");
    gc_heap_lock(mutator->heap);
    made = gc_made_type_create(&mutator->heap->collector.types, layout, (uintptr_t)class_object);
    gc_heap_unlock(mutator->heap);
    return made == NULL ? NULL : &made->type;
}

void *gc_type_class(const gc_type *type)
{
    const struct gc_made_type *made = gc_made_type(type);

    return made == NULL ? NULL : (void *)made->class_object;
}

void gc_type_retire(gc_mutator *mutator, gc_type *type, void (*retired)(void *data), void *data)
{
    struct gc_made_type *made;

    gc_check_mutator(mutator, "gc_type_retire");
    if (type == NULL)
        gc_misuse("gc_type_retire", "the type is NULL");
    made = gc_made_type(type);
    if (made == NULL)
        gc_misuse("gc_type_retire", "this type was not made by gc_type_create");
    gc_heap_lock(mutator->heap);
    check_made(mutator->heap, made, "gc_type_retire");
    made->is_retired = 1;
    made->retired = retired;
    made->retired_data = data;
    gc_heap_unlock(mutator->heap);
}
