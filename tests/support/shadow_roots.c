/* SPDX-License-Identifier: MIT
 *
 * The shadow graph's roots: of each kind that the heap knows, some.
 */
#include "support/shadow_model.h"

static bool is_handle(uint32_t root)
{
    return root >= ROOT_HANDLES && root < ROOT_FRAME;
}

static bool is_kept_inverted(uint32_t root)
{
    return root >= ROOT_CALLBACK + 2;
}

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

void *root_get(uint32_t root)
{
    if (is_handle(root))
        return run.handles[root] != NULL ? gc_handle_get(run.handles[root]) : NULL;
    if (is_kept_inverted(root) && run.cells[root] != NULL)
        return (void *)~(uintptr_t)run.cells[root];
    return run.cells[root];
}

bool is_usable(uint32_t root)
{
    return run.registered[root];
}

void root_set(uint32_t root, uint32_t id, void *object)
{
    if (!is_usable(root))
        return;
    run.roots[root] = id;
    if (is_handle(root))
        gc_handle_set(run.mutator, run.handles[root], object);
    else if (is_kept_inverted(root) && object != NULL)
        run.cells[root] = (void *)~(uintptr_t)object;
    else
        run.cells[root] = object;
}

static void toggle_slot(uint32_t root)
{
    if (run.registered[root])
        assert_int_equal(gc_root_remove(run.heap, &run.cells[root]), GC_OK);
    else if (!is_done(gc_root_add(run.heap, &run.cells[root])))
        return;
    run.registered[root] = !run.registered[root];
}

static void toggle_handle(uint32_t root)
{
    if (run.registered[root]) {
        gc_handle_destroy(run.mutator, run.handles[root]);
        run.handles[root] = NULL;
    } else {
        run.handles[root] = gc_handle_create(run.mutator, NULL);
        assert_true(run.handles[root] != NULL || may_fail());
    }
    run.registered[root] = run.handles[root] != NULL;
}

/* Registers a slot or makes a handle, or the reverse; others stay. */
void toggle_root(uint32_t root)
{
    if (root >= ROOT_RANGE && !is_handle(root))
        return;
    root_set(root, 0, NULL);
    if (is_handle(root))
        toggle_handle(root);
    else
        toggle_slot(root);
}

void push_frame(void)
{
    uint32_t first = ROOT_FRAME + 2 * run.depth;
    gc_frame *frame = &run.frames[run.depth];

    if (run.depth == FRAMES)
        return;
    for (uint32_t i = 0; i < 2; i++) {
        run.frame_slots[run.depth][i] = &run.cells[first + i];
        run.registered[first + i] = true;
    }
    frame->slots = run.frame_slots[run.depth++];
    frame->count = 2;
    gc_frame_push(run.mutator, frame);
}

void pop_frame(void)
{
    uint32_t first = ROOT_FRAME + 2 * (run.depth - 1);

    if (run.depth == 0)
        return;
    gc_frame_pop(run.mutator, &run.frames[--run.depth]);
    for (uint32_t i = 0; i < 2; i++) {
        root_set(first + i, 0, NULL);
        run.registered[first + i] = false;
    }
}

void register_roots(void)
{
    for (uint32_t root = 0; root < ROOTS; root++) {
        run.registered[root] = root >= ROOT_RANGE && !is_handle(root);
        toggle_root(root);
    }
    for (uint32_t i = 0; i < 2 * FRAMES; i++)
        run.registered[ROOT_FRAME + i] = false;
    assert_int_equal(
        gc_root_range_add(run.heap, &run.cells[ROOT_RANGE], ROOT_HANDLES - ROOT_RANGE, GC_EXACT),
        GC_OK);
    assert_int_equal(gc_root_range_add(run.heap, &run.cells[ROOT_AMBIGUOUS],
                                       ROOT_CALLBACK - ROOT_AMBIGUOUS, GC_AMBIGUOUS),
                     GC_OK);
    assert_int_equal(
        gc_root_callback_add(run.heap, trace_callback_roots, &run.cells[ROOT_CALLBACK], GC_EXACT),
        GC_OK);
    push_frame();
    push_frame();
}

void unregister_roots(void)
{
    for (uint32_t root = 0; root < ROOTS; root++)
        if (is_usable(root))
            toggle_root(root);
    while (run.depth > 0)
        pop_frame();
    assert_int_equal(gc_root_range_remove(run.heap, &run.cells[ROOT_RANGE]), GC_OK);
    assert_int_equal(gc_root_range_remove(run.heap, &run.cells[ROOT_AMBIGUOUS]), GC_OK);
    assert_int_equal(
        gc_root_callback_remove(run.heap, trace_callback_roots, &run.cells[ROOT_CALLBACK]), GC_OK);
}

uint32_t full_root(void)
{
    uint32_t root = (uint32_t)below(ROOTS);

    for (uint32_t tries = 0; tries < ROOTS; tries++, root = (root + 1) % ROOTS)
        if (run.roots[root] != 0)
            return root;
    return ROOTS;
}
