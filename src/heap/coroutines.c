/* SPDX-License-Identifier: MIT
 *
 * Coroutines, as the API has them.
 */
#include "heap/heap.h"
#include "os/os.h"

#include <strata/coroutine.h>

gc_coroutine *gc_coroutine_register(gc_mutator *mutator, void *low, size_t bytes,
                                    gc_exactness exactness)
{
    struct gc_collector *collector;
    gc_coroutine *coroutine;

    gc_check_mutator(mutator, "gc_coroutine_register");
    if (low == NULL || bytes < sizeof(void *) || bytes > UINTPTR_MAX - (uintptr_t)low)
        gc_misuse("gc_coroutine_register", "there is no such stack");
    if ((unsigned)exactness > GC_AMBIGUOUS)
        gc_misuse("gc_coroutine_register", "the exactness is not GC_EXACT or GC_AMBIGUOUS");
    coroutine = gc_os.allocate(sizeof *coroutine);
    if (coroutine == NULL)
        return NULL;
    coroutine->low = (uintptr_t)low;
    coroutine->base = (uintptr_t)low + bytes;
    coroutine->exactness = (uint8_t)exactness;
    collector = &mutator->heap->collector;
    coroutine->world = mutator->world;
    gc_heap_lock(mutator->heap);
    coroutine->next = collector->coroutines;
    if (coroutine->next != NULL)
        coroutine->next->previous = coroutine;
    collector->coroutines = coroutine;
    gc_heap_unlock(mutator->heap);
    return coroutine;
}

static void check_ours(const gc_mutator *mutator, const gc_coroutine *coroutine,
                       const char *function)
{
    if (coroutine->world != mutator->world)
        gc_misuse(function, "the coroutine is of another heap");
}

/* Its previous thread has left it, if the embedder hands it over as it should. */
void gc_coroutine_switch(gc_mutator *mutator, gc_coroutine *to)
{
    gc_mutator *nobody = NULL;

    gc_check_mutator(mutator, "gc_coroutine_switch");
    if (to == NULL && mutator->coroutine == NULL)
        gc_misuse("gc_coroutine_switch", "the thread is on its own stack already");
    if (to != NULL)
        check_ours(mutator, to, "gc_coroutine_switch");
    if (to != NULL && !__atomic_compare_exchange_n(&to->on, &nobody, mutator, false,
                                                   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        gc_misuse("gc_coroutine_switch", "a thread is on this stack already");
    gc_mutator_switch(mutator, to);
}

void gc_coroutine_unregister(gc_mutator *mutator, gc_coroutine *coroutine)
{
    gc_coroutine **link;

    gc_check_mutator(mutator, "gc_coroutine_unregister");
    if (coroutine == NULL)
        gc_misuse("gc_coroutine_unregister", "the coroutine is NULL");
    check_ours(mutator, coroutine, "gc_coroutine_unregister");
    if (__atomic_load_n(&coroutine->on, __ATOMIC_ACQUIRE) != NULL)
        gc_misuse("gc_coroutine_unregister", "a thread is on this stack");
    gc_heap_lock(mutator->heap);
    link = coroutine->previous != NULL ? &coroutine->previous->next
                                       : &mutator->heap->collector.coroutines;
    *link = coroutine->next;
    if (coroutine->next != NULL)
        coroutine->next->previous = coroutine->previous;
    gc_heap_unlock(mutator->heap);
    gc_os.free(coroutine);
}

void gc_heap_free_coroutines(gc_heap *heap)
{
    gc_coroutine *coroutine = heap->collector.coroutines;

    while (coroutine != NULL) {
        gc_coroutine *next = coroutine->next;

        gc_os.free(coroutine);
        coroutine = next;
    }
    heap->collector.coroutines = NULL;
}

size_t gc_heap_coroutine_bytes(const gc_heap *heap)
{
    const gc_coroutine *coroutine = heap->collector.coroutines;
    size_t bytes = 0;

    for (; coroutine != NULL; coroutine = coroutine->next)
        bytes += sizeof *coroutine;
    return bytes;
}
