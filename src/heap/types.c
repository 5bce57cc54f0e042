/* SPDX-License-Identifier: MIT
 *
 * Types made at run time, as the API has them.
 */
#include "heap/heap.h"

gc_type *gc_type_create(gc_mutator *mutator, const gc_type *layout, void *class_object)
{
    struct gc_made_type *made;

    gc_check_mutator(mutator, "gc_type_create");
    if (class_object != NULL)
        gc_check_object(mutator->heap, class_object, "gc_type_create");
    made = gc_made_type_create(&mutator->heap->collector.types, layout, (uintptr_t)class_object);
    return made == NULL ? NULL : &made->type;
}

void *gc_type_class(const gc_type *type)
{
    return (void *)((const struct gc_made_type *)type)->class_object;
}

void gc_type_retire(gc_mutator *mutator, gc_type *type, void (*retired)(void *data), void *data)
{
    struct gc_made_type *made = (struct gc_made_type *)type;

    gc_check_mutator(mutator, "gc_type_retire");
    if (made->is_retired)
        gc_misuse("gc_type_retire", "this type is retired already");
    made->is_retired = 1;
    made->retired = retired;
    made->retired_data = data;
}
