/* SPDX-License-Identifier: MIT
 *
 * The heaps of this process, for the verifier: a reference from one into
 * another keeps nothing, and is not updated.
 */
#include "heap/heap.h"

/* A fork may come at any moment, and its child finds the list whole: one store
 * changes it. */
static gc_heap *heaps;
static struct gc_spin spin;

void gc_heaps_add(gc_heap *heap)
{
    gc_spin_take(&spin);
    heap->next_heap = heaps;
    __atomic_store_n(&heaps, heap, __ATOMIC_RELEASE);
    gc_spin_give(&spin);
}

void gc_heaps_remove(gc_heap *heap)
{
    gc_heap **link = &heaps;

    gc_spin_take(&spin);
    while (*link != heap)
        link = &(*link)->next_heap;
    *link = heap->next_heap;
    gc_spin_give(&spin);
}

size_t gc_heaps_list(struct gc_heap_range *ranges, size_t most)
{
    const gc_heap *heap;
    size_t count = 0;

    gc_spin_take(&spin);
    for (heap = heaps; heap != NULL && count < most; heap = heap->next_heap)
        ranges[count++] =
            (struct gc_heap_range){heap->collector.tables.base, heap->collector.tables.bytes};
    gc_spin_give(&spin);
    return count;
}
