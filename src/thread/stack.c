/* SPDX-License-Identifier: MIT */
#include "thread/stack.h"

#include "base/annotate.h"
#include "base/bits.h"
#include "os/os.h"

#include <string.h>

enum { COPIED_WORDS = 256 };

/* Words are copied where a tool must not see the originals read. */
GC_UNCHECKED_BY_ASAN GC_UNCHECKED_BY_TSAN static void
copy_words(uintptr_t *to, const volatile uintptr_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

/* Through a copy, which is wiped: what it held must not be found by the next
 * scan in a dead part of the stack. (helgrind checks a frame again when it is made
 * anew.) */
static void scan_copied(uintptr_t at, uintptr_t end, gc_words_fn *scan, void *data)
{
    uintptr_t copy[COPIED_WORDS];

    while (at < end) {
        size_t count = gc_min((end - at) / sizeof *copy, COPIED_WORDS);

        GC_SHARE_UNCHECKED((void *)at, count * sizeof *copy);
        copy_words(copy, (const volatile uintptr_t *)at, count);
        if (GC_UNDER_MEMCHECK())
            GC_MAKE_DEFINED(copy, sizeof copy);
        scan(copy, count, data);
        at += count * sizeof *copy;
    }
    memset(copy, 0, sizeof copy);
    __asm__ volatile("" : : "r"(copy) : "memory");
}

void gc_words_scan(uintptr_t from, uintptr_t to, gc_words_fn *scan, void *data)
{
    uintptr_t at = gc_round_up(from, sizeof at), end = gc_round_down(to, sizeof at);

    if (at >= end)
        return;
    if (GC_UNDER_ASAN || GC_UNDER_TSAN || GC_UNDER_HELGRIND || GC_UNDER_MEMCHECK())
        scan_copied(at, end, scan, data);
    else
        scan((const uintptr_t *)at, (end - at) / sizeof at, data);
}

struct stack_scan {
    uintptr_t base;
    gc_words_fn *scan;
    void *data;
};

static void scan_fake_frame(uintptr_t from, uintptr_t to, void *data)
{
    const struct stack_scan *stack = data;

    gc_words_scan(from, to, stack->scan, stack->data);
}

void gc_stack_scan_frozen(struct gc_stack_top top, uintptr_t base, gc_words_fn *scan, void *data)
{
    struct stack_scan stack = {.base = base, .scan = scan, .data = data};

    gc_words_scan(top.address, base, scan, data);
    gc_os_fake_frames(top.fake_stack, top.address, base, scan_fake_frame, &stack);
}

/* Runs in a frame of its own, below the one that holds the registers. */
GC_NEVER_INLINE static void act_below(void (*act)(struct gc_stack_top top, void *data), void *data)
{
    struct gc_stack_top top = {(uintptr_t)__builtin_frame_address(0), gc_os_fake_stack()};

    act(top, data);
    __asm__ volatile("" ::: "memory"); /* no tail call: the frame must stay */
}

/* __builtin_unwind_init makes this function save every register that its
 * caller may count on, the frame pointer too; setjmp would hide some. */
GC_NEVER_INLINE void gc_stack_freeze(void (*act)(struct gc_stack_top top, void *data), void *data)
{
    __builtin_unwind_init();
    act_below(act, data);
    __asm__ volatile("" ::: "memory");
}

static void scan_own(struct gc_stack_top top, void *data)
{
    const struct stack_scan *stack = data;

    gc_stack_scan_frozen(top, stack->base, stack->scan, stack->data);
}

void gc_stack_scan(uintptr_t base, gc_words_fn *scan, void *data)
{
    struct stack_scan stack = {.base = base, .scan = scan, .data = data};

    gc_stack_freeze(scan_own, &stack);
}
