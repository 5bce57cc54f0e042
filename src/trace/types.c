/* SPDX-License-Identifier: MIT */
#include "trace/types.h"

#include "os/os.h"

#include <string.h>

size_t gc_inline_bytes(const gc_type *type)
{
    if ((type->flags & ~GC_TYPE_UNZEROED) != 0 || type->alignment != GC_GRANULE_BYTES ||
        type->element_size != 0 || type->kind == GC_KIND_CONSERVATIVE ||
        type->size > GC_SMALL_BYTES)
        return GC_OUT_OF_LINE;
    return GC_INLINE_BYTES(type->size);
}

/* One piece of memory: the descriptor, then both offset tables. */
static size_t made_bytes(const gc_type *layout)
{
    size_t offsets = (size_t)layout->ref_count + layout->element_ref_count;

    return sizeof(struct gc_made_type) + offsets * sizeof(uint32_t);
}

struct gc_made_type *gc_made_type_create(struct gc_types *types, const gc_type *layout,
                                         uintptr_t class_object)
{
    size_t refs = layout->ref_count * sizeof(uint32_t);
    size_t element_refs = layout->element_ref_count * sizeof(uint32_t);
    struct gc_made_type *made = gc_os.allocate(made_bytes(layout));
    uint32_t *offsets;

    if (made == NULL)
        return NULL;
    offsets = (uint32_t *)(void *)(made + 1);
    made->type = *layout;
    made->type.object_bytes = gc_inline_bytes(layout);
    made->type.reserved = GC_TYPE_IS_MADE;
    made->kind = layout->kind;
    made->owner = types;
    made->class_object = class_object;
    if (refs != 0)
        memcpy(offsets, layout->refs, refs);
    if (element_refs != 0)
        memcpy(offsets + layout->ref_count, layout->element_refs, element_refs);
    made->type.refs = offsets;
    made->type.element_refs = offsets + layout->ref_count;
    made->next = types->young;
    types->young = made;
    types->bytes += made_bytes(layout);
    return made;
}

static void destroy_list(struct gc_made_type *made)
{
    while (made != NULL) {
        struct gc_made_type *next = made->next;

        gc_os.free(made);
        made = next;
    }
}

void gc_types_destroy(struct gc_types *types)
{
    destroy_list(types->young);
    destroy_list(types->old);
    destroy_list(types->frozen);
    destroy_list(types->gone);
    *types = (struct gc_types){0};
}

static void trace_list(struct gc_made_type *made, struct gc_tracer *tracer)
{
    bool full = tracer->oldest == GC_OLD;

    for (; made != NULL; made = made->next) {
        made->is_seen = 0;
        if (full && made->is_retired)
            made->type.kind = GC_KIND_RETIRED;
        else if (made->class_object != 0)
            made->class_object = gc_trace_kept(tracer, made->class_object);
    }
}

void gc_types_trace(struct gc_types *types, struct gc_tracer *tracer)
{
    trace_list(types->young, tracer);
    if (tracer->oldest == GC_OLD)
        trace_list(types->old, tracer);
}

void gc_type_seen(struct gc_tracer *tracer, const gc_type *type)
{
    struct gc_made_type *made = gc_made_type(type);

    made->is_seen = 1;
    made->type.kind = made->kind;
    if (made->class_object != 0)
        made->class_object = gc_trace_kept(tracer, made->class_object);
}

static bool is_gone(const struct gc_made_type *made, const struct gc_tracer *tracer)
{
    return tracer->oldest == GC_OLD && made->is_retired && !made->is_seen;
}

static bool has_old_class(const struct gc_made_type *made, const struct gc_tracer *tracer)
{
    return made->class_object == 0 || gc_age_of(tracer->tables, made->class_object) >= GC_OLD;
}

/* The name was the embedder's. */
static void let_go(struct gc_made_type *made, struct gc_types *types)
{
    if (!types->keeps_gone) {
        types->bytes -= made_bytes(&made->type);
        gc_os.free(made);
        return;
    }
    made->type.name = "(retired)";
    made->next = types->gone;
    types->gone = made;
}

static void settle_list(struct gc_made_type *made, struct gc_types *types,
                        const struct gc_tracer *tracer)
{
    while (made != NULL) {
        struct gc_made_type *next = made->next, **list;

        made->type.kind = made->kind;
        if (is_gone(made, tracer)) {
            if (made->retired != NULL)
                made->retired(made->retired_data);
            let_go(made, types);
        } else {
            list = has_old_class(made, tracer) ? &types->old : &types->young;
            made->next = *list;
            *list = made;
        }
        made = next;
    }
}

static void join(struct gc_made_type **from, struct gc_made_type **to)
{
    struct gc_made_type **link = from;

    while (*link != NULL)
        link = &(*link)->next;
    *link = *to;
    *to = *from;
    *from = NULL;
}

void gc_types_freeze(struct gc_types *types)
{
    join(&types->young, &types->frozen);
    join(&types->old, &types->frozen);
}

void gc_types_unfreeze(struct gc_types *types)
{
    join(&types->frozen, &types->old);
}

void gc_types_settle(struct gc_types *types, const struct gc_tracer *tracer)
{
    struct gc_made_type *young = types->young, *old = types->old;

    types->young = NULL;
    if (tracer->oldest == GC_OLD)
        types->old = NULL;
    settle_list(young, types, tracer);
    if (tracer->oldest == GC_OLD)
        settle_list(old, types, tracer);
}
