/* SPDX-License-Identifier: MIT
 *
 * The heaps of this process, for the verifier: a reference from one into
 * another keeps nothing, and is not updated.
 */
#include "heap/heap.h"

static gc_heap *heaps;
static bool is_busy;

static void enter(void)
{
    while (__atomic_exchange_n(&is_busy, true, __ATOMIC_ACQUIRE)) {
    }
}

static void leave(void)
{
    __atomic_store_n(&is_busy, false, __ATOMIC_RELEASE);
}

void gc_heaps_add(gc_heap *heap)
{
    enter();
    heap->next_heap = heaps;
    heaps = heap;
    leave();
}

void gc_heaps_remove(gc_heap *heap)
{
    gc_heap **link = &heaps;

    enter();
    while (*link != heap)
        link = &(*link)->next_heap;
    *link = heap->next_heap;
    leave();
}

size_t gc_heaps_list(struct gc_heap_range *ranges, size_t most)
{
    const gc_heap *heap;
    size_t count = 0;

    enter();
    for (heap = heaps; heap != NULL && count < most; heap = heap->next_heap)
        ranges[count++] =
            (struct gc_heap_range){heap->collector.tables.base, heap->collector.tables.bytes};
    leave();
    return count;
}
