/* SPDX-License-Identifier: MIT
 *
 * Finalizers, guardians and watches, as the API has them.
 */
#include "heap/heap.h"
#include "os/os.h"

static struct gc_calls *calls_of(const gc_mutator *mutator)
{
    return &mutator->heap->collector.calls;
}

static void check_call(const gc_mutator *mutator, const void *object, const char *function)
{
    gc_check_mutator(mutator, function);
    gc_check_object_quickly(mutator->heap, object, function);
}

/* A waiting record for `object`, young as far as its page knows. The lock is
 * held. */
static struct gc_call *wait_for(gc_mutator *mutator, void *object, enum gc_call_kind kind)
{
    struct gc_call *call = gc_call_take(calls_of(mutator));

    if (call == NULL)
        return NULL;
    call->object = (uintptr_t)object;
    call->kind = (uint8_t)kind;
    call->state = GC_CALL_WAITING;
    return call;
}

/* ---- Registering ---- */

static bool add_finalizer(gc_mutator *mutator, void *object, const gc_finalizer *finalizer,
                          gc_finalizer_id *id)
{
    struct gc_call *call = wait_for(mutator, object, GC_CALL_FINALIZER);

    if (call == NULL)
        return false;
    call->run.finalizer = finalizer->run;
    call->data = finalizer->data;
    call->queue = &calls_of(mutator)->finalizers[finalizer->priority];
    if (gc_heap_charge(mutator, finalizer->external_bytes) != GC_OK) {
        gc_call_give(calls_of(mutator), call);
        return false;
    }
    call->external_bytes = finalizer->external_bytes;
    if (id != NULL)
        *id = gc_call_name(call);
    return true;
}

gc_status gc_finalizer_add(gc_mutator *mutator, void *object, const gc_finalizer *finalizer,
                           gc_finalizer_id *id)
{
    bool added;

    if (finalizer->size != sizeof *finalizer)
        return GC_BAD_SIZE;
    if (finalizer->priority >= GC_PRIORITIES || finalizer->external_bytes > PTRDIFF_MAX)
        return GC_BAD_OPTION;
    if (finalizer->run == NULL)
        gc_misuse("gc_finalizer_add", "the finalizer is NULL");
    check_call(mutator, object, "gc_finalizer_add");
    gc_heap_lock(mutator->heap);
    added = add_finalizer(mutator, object, finalizer, id);
    gc_heap_unlock(mutator->heap);
    return added ? GC_OK : GC_NO_MEMORY;
}

/* What it would have freed outside is not known to be held any more. */
static void give_back(gc_heap *heap, struct gc_call *call)
{
    heap->collector.external_bytes -= call->external_bytes;
    gc_call_give(&heap->collector.calls, call);
}

static void cancel(gc_heap *heap, struct gc_call *call)
{
    if (call->state == GC_CALL_QUEUED)
        gc_call_unqueue(call->queue, call);
    give_back(heap, call);
}

gc_status gc_finalizer_cancel(gc_mutator *mutator, gc_finalizer_id id)
{
    struct gc_call *call;

    gc_check_mutator(mutator, "gc_finalizer_cancel");
    gc_heap_lock(mutator->heap);
    call = gc_call_named(calls_of(mutator), id);
    if (call != NULL && call->kind != GC_CALL_FINALIZER)
        call = NULL;
    if (call != NULL)
        cancel(mutator->heap, call);
    gc_heap_unlock(mutator->heap);
    return call == NULL ? GC_NOT_FOUND : GC_OK;
}

/* ---- Running ---- */

static struct gc_call *dequeue(struct gc_calls *calls)
{
    struct gc_call *call = gc_call_dequeue(&calls->callbacks);

    for (int i = 0; i < GC_PRIORITIES && call == NULL; i++)
        call = gc_call_dequeue(&calls->finalizers[i]);
    return call;
}

/* The next of those registered up to `last`; what was registered later is dropped. */
static struct gc_call *next_due(gc_heap *heap, uint64_t last)
{
    struct gc_call *call = dequeue(&heap->collector.calls);

    while (call != NULL && call->serial > last) {
        give_back(heap, call);
        call = dequeue(&heap->collector.calls);
    }
    return call;
}

/* The record is free before its function runs, so that it may do anything. The
 * lock is held, and given meanwhile. */
static void run_call(gc_mutator *mutator, struct gc_call *call)
{
    struct gc_call copy = *call;

    give_back(mutator->heap, call);
    gc_heap_unlock(mutator->heap);
    if (copy.kind == GC_CALL_FINALIZER)
        copy.run.finalizer(mutator, (void *)copy.object, copy.data);
    else if (copy.kind == GC_CALL_WATCH)
        copy.run.watch(mutator, copy.data);
    else
        copy.run.weakref(mutator, (gc_weakref *)copy.object, copy.data);
    gc_heap_lock(mutator->heap);
}

/* A frame that lies beyond the one that drains, on the same stack, means that that
 * one is gone. */
static bool is_draining(const gc_mutator *mutator, uintptr_t frame)
{
    bool same_stack = mutator->draining_on == mutator->coroutine;

    if (mutator->draining != 0 && same_stack && frame >= mutator->draining)
        gc_misuse("gc_finalizers_run", "a finalizer or callback was left by longjmp");
    return mutator->draining != 0;
}

/* Runs at most `budget` (0: all) of those registered up to `last`. A safepoint within
 * one of them was not the time for the others: what is left is due at the next. */
static size_t drain(gc_mutator *mutator, size_t budget, uint64_t last)
{
    struct gc_call *call;
    size_t count = 0;

    mutator->draining = (uintptr_t)__builtin_frame_address(0);
    mutator->draining_on = mutator->coroutine;
    gc_heap_lock(mutator->heap);
    while ((budget == 0 || count < budget) && (call = next_due(mutator->heap, last)) != NULL) {
        run_call(mutator, call);
        count++;
    }
    gc_heap_watch_for_finalizers(mutator->heap);
    gc_heap_unlock(mutator->heap);
    mutator->draining = 0;
    return count;
}

size_t gc_finalizers_run(gc_mutator *mutator, size_t budget)
{
    gc_check_mutator(mutator, "gc_finalizers_run");
    if (is_draining(mutator, (uintptr_t)__builtin_frame_address(0)))
        return 0;
    return drain(mutator, budget, UINT64_MAX);
}

/* The lock is held. */
static size_t count_pending(const gc_heap *heap)
{
    const struct gc_calls *calls = &heap->collector.calls;
    size_t count = calls->callbacks.count;

    for (int i = 0; i < GC_PRIORITIES; i++)
        count += calls->finalizers[i].count;
    return count;
}

size_t gc_finalizers_pending(const gc_heap *heap)
{
    size_t count;

    gc_check_heap(heap, "gc_finalizers_pending");
    gc_heap_lock(heap);
    count = count_pending(heap);
    gc_heap_unlock(heap);
    return count;
}

/* ---- At safepoints, and at the end ---- */

void gc_heap_watch_for_finalizers(gc_heap *heap)
{
    gc_mutator *mutator = heap->collector.world.mutators;

    if (!heap->finalize_at_safepoints || count_pending(heap) == 0)
        return;
    for (; mutator != NULL; mutator = mutator->next)
        gc_mutator_watch(mutator, GC_WATCH_FINALIZERS);
}

void gc_heap_finalize_due(gc_mutator *mutator)
{
    bool wanted;

    gc_mutator_unwatch(mutator, GC_WATCH_FINALIZERS);
    gc_heap_lock(mutator->heap);
    wanted = mutator->heap->finalize_at_safepoints;
    gc_heap_unlock(mutator->heap);
    if (wanted && mutator->draining == 0)
        gc_finalizers_run(mutator, 0);
}

void gc_finalizers_at_safepoints(gc_mutator *mutator, bool enabled)
{
    gc_check_mutator(mutator, "gc_finalizers_at_safepoints");
    gc_heap_lock(mutator->heap);
    mutator->heap->finalize_at_safepoints = enabled;
    gc_heap_watch_for_finalizers(mutator->heap);
    gc_heap_unlock(mutator->heap);
}

void gc_finalizers_at_destroy(gc_heap *heap, bool enabled)
{
    gc_check_heap(heap, "gc_finalizers_at_destroy");
    gc_heap_lock(heap);
    heap->finalize_at_destroy = enabled;
    gc_heap_unlock(heap);
}

/* Takes the waiting records of one kind. */
static struct gc_call *take_waiting(const struct gc_calls *calls, enum gc_call_kind kind)
{
    struct gc_call *list = NULL;

    for (size_t i = 0; i < calls->page_count * GC_CALL_PAGE_SLOTS; i++) {
        struct gc_call *call =
            &calls->pages[i / GC_CALL_PAGE_SLOTS]->records[i % GC_CALL_PAGE_SLOTS];

        if (call->state == GC_CALL_WAITING && call->kind == kind) {
            call->next = list;
            list = call;
        }
    }
    return list;
}

static void queue_all_left(struct gc_calls *calls)
{
    struct gc_call *watches = gc_calls_sort(take_waiting(calls, GC_CALL_WATCH), true);
    struct gc_call *finalizers = gc_calls_sort(take_waiting(calls, GC_CALL_FINALIZER), false);

    while (watches != NULL) {
        struct gc_call *next = watches->next;

        watches->object = 0;
        gc_call_enqueue(&calls->callbacks, watches);
        watches = next;
    }
    while (finalizers != NULL) {
        struct gc_call *next = finalizers->next;

        gc_call_enqueue(finalizers->queue, finalizers);
        finalizers = next;
    }
}

void gc_heap_finalize_all(gc_heap *heap)
{
    gc_mutator *mutator;
    uint64_t last;

    if (!heap->finalize_at_destroy || heap->collector.calls.count == 0 ||
        gc_mutator_attach(heap, &mutator) != GC_OK)
        return;
    heap->finalize_at_safepoints = false;
    last = heap->collector.calls.serial;
    queue_all_left(&heap->collector.calls);
    (void)drain(mutator, 0, last);
    gc_frame_unwind(mutator, NULL);
    gc_mutator_detach(mutator);
}

/* ---- Guardians ---- */

gc_guardian *gc_guardian_create(gc_mutator *mutator)
{
    gc_guardian *guardian;

    gc_check_mutator(mutator, "gc_guardian_create");
    guardian = gc_os.allocate(sizeof *guardian);
    if (guardian == NULL)
        return NULL;
    gc_heap_lock(mutator->heap);
    guardian->next = calls_of(mutator)->guardians;
    calls_of(mutator)->guardians = guardian;
    gc_heap_unlock(mutator->heap);
    return guardian;
}

/* The lock is held. */
static gc_guardian **find_guardian(const gc_mutator *mutator, const gc_guardian *guardian,
                                   const char *function)
{
    gc_guardian **link = &calls_of(mutator)->guardians;

    while (*link != NULL && *link != guardian)
        link = &(*link)->next;
    if (guardian == NULL || *link == NULL)
        gc_misuse(function, "there is no such guardian");
    return link;
}

void gc_guardian_destroy(gc_mutator *mutator, gc_guardian *guardian)
{
    struct gc_calls *calls;
    gc_guardian **link;

    gc_check_mutator(mutator, "gc_guardian_destroy");
    calls = calls_of(mutator);
    gc_heap_lock(mutator->heap);
    link = find_guardian(mutator, guardian, "gc_guardian_destroy");
    for (size_t i = 0; i < calls->page_count * GC_CALL_PAGE_SLOTS; i++) {
        struct gc_call *call =
            &calls->pages[i / GC_CALL_PAGE_SLOTS]->records[i % GC_CALL_PAGE_SLOTS];

        if (call->state != GC_CALL_FREE && call->queue == &guardian->queue)
            gc_call_give(calls, call);
    }
    *link = guardian->next;
    gc_heap_unlock(mutator->heap);
    gc_os.free(guardian);
}

gc_status gc_guardian_add(gc_mutator *mutator, gc_guardian *guardian, void *object)
{
    struct gc_call *call;

    check_call(mutator, object, "gc_guardian_add");
    gc_heap_lock(mutator->heap);
    find_guardian(mutator, guardian, "gc_guardian_add");
    call = wait_for(mutator, object, GC_CALL_GUARDED);
    if (call != NULL)
        call->queue = &guardian->queue;
    gc_heap_unlock(mutator->heap);
    return call == NULL ? GC_NO_MEMORY : GC_OK;
}

void *gc_guardian_next(gc_mutator *mutator, gc_guardian *guardian)
{
    struct gc_call *call;
    void *object = NULL;

    gc_check_mutator(mutator, "gc_guardian_next");
    gc_heap_lock(mutator->heap);
    find_guardian(mutator, guardian, "gc_guardian_next");
    call = gc_call_dequeue(&guardian->queue);
    if (call != NULL) {
        object = (void *)call->object;
        gc_call_give(calls_of(mutator), call);
    }
    gc_heap_unlock(mutator->heap);
    return object;
}

/* ---- Watches ---- */

gc_status gc_watch_add(gc_mutator *mutator, void *object, gc_watch_fn *run, void *data,
                       gc_watch *watch)
{
    struct gc_call *call;

    if (run == NULL)
        gc_misuse("gc_watch_add", "the function is NULL");
    check_call(mutator, object, "gc_watch_add");
    gc_heap_lock(mutator->heap);
    call = wait_for(mutator, object, GC_CALL_WATCH);
    if (call != NULL) {
        call->run.watch = run;
        call->data = data;
        if (watch != NULL)
            *watch = gc_call_name(call);
    }
    gc_heap_unlock(mutator->heap);
    return call == NULL ? GC_NO_MEMORY : GC_OK;
}

/* Takes the lock, for the caller to give. */
static struct gc_call *find_watch(gc_mutator *mutator, gc_watch watch, const char *function)
{
    struct gc_call *call;

    gc_check_mutator(mutator, function);
    gc_heap_lock(mutator->heap);
    call = gc_call_named(calls_of(mutator), watch);
    return call != NULL && call->kind == GC_CALL_WATCH ? call : NULL;
}

bool gc_watch_is_alive(gc_mutator *mutator, gc_watch watch)
{
    bool alive = find_watch(mutator, watch, "gc_watch_is_alive") != NULL;

    gc_heap_unlock(mutator->heap);
    return alive;
}

void *gc_watch_peek(gc_mutator *mutator, gc_watch watch, void **data)
{
    const struct gc_call *call = find_watch(mutator, watch, "gc_watch_peek");
    void *object = NULL;

    if (call != NULL && data != NULL)
        *data = call->data;
    if (call != NULL)
        object = (void *)call->object;
    gc_heap_unlock(mutator->heap);
    return object;
}

bool gc_watch_detach(gc_mutator *mutator, gc_watch watch)
{
    struct gc_call *call = find_watch(mutator, watch, "gc_watch_detach");

    if (call != NULL)
        cancel(mutator->heap, call);
    gc_heap_unlock(mutator->heap);
    return call != NULL;
}

bool gc_watch_run(gc_mutator *mutator, gc_watch watch)
{
    struct gc_call *call = find_watch(mutator, watch, "gc_watch_run");

    if (call != NULL) {
        if (call->state == GC_CALL_QUEUED)
            gc_call_unqueue(call->queue, call);
        run_call(mutator, call);
    }
    gc_heap_unlock(mutator->heap);
    return call != NULL;
}
