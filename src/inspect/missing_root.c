/* SPDX-License-Identifier: MIT
 *
 * The missing-root report: which object a stale pointer meant, what became of
 * it and when, and what to do. Written in a signal's handler.
 */
#include "inspect/missing_root.h"

#include <stdarg.h>
#include <stdio.h>

enum { REPORT_BYTES = 2048 };

struct report {
    char text[REPORT_BYTES];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct report *report, const char *format,
                                                      ...)
{
    va_list arguments;
    int more;

    va_start(arguments, format);
    more = vsnprintf(report->text + report->used, REPORT_BYTES - report->used, format, arguments);
    va_end(arguments);
    if (more > 0)
        report->used = gc_min(report->used + (size_t)more, REPORT_BYTES - 1);
}

static const char *name_of(const struct gc_stale *stale)
{
    return stale->type != NULL && stale->type->name != NULL ? stale->type->name : "?";
}

void gc_stale_describe(const struct gc_stale *stale, uintptr_t address, char *text, size_t bytes)
{
    struct report report = {.used = 0};
    unsigned long long collection = stale->collection;

    if (stale->object == 0)
        say(&report, "memory that collection %llu left", collection);
    else if (address != stale->object && address - stale->object < stale->bytes)
        say(&report, "offset %zu of ", (size_t)(address - stale->object));
    if (stale->object != 0)
        say(&report, "an object of type %s, %zu bytes, at %p, which ", name_of(stale), stale->bytes,
            (void *)stale->object);
    if (stale->object != 0 && stale->first_move == 0)
        say(&report, "died in collection %llu", collection);
    else if (stale->object != 0)
        say(&report, "moved to %p in collection %llu", (void *)stale->first_move, collection);
    if (stale->now != 0 && stale->now != stale->first_move)
        say(&report, " (and is at %p now)", (void *)stale->now);
    if (stale->died != 0)
        say(&report, " (and died in collection %llu)", (unsigned long long)stale->died);
    (void)snprintf(text, bytes, "%s", report.text);
}

static const char *advice(const struct gc_stale *stale)
{
    if (stale->first_move == 0)
        return "strata: nothing that the collector knows of referred to it then. Root the pointer "
               "that was used:\n";
    return "strata: the pointer that was used is kept where the collector does not see it, so it "
           "was not updated. Root it:\n";
}

bool gc_explain_fault(uintptr_t address, void *data)
{
    gc_heap *heap = data;
    struct gc_stale stale;
    struct report report = {.used = 0};
    char what[512];

    if (!gc_quarantine_explain(&heap->collector.quarantine, address, &stale))
        return false;
    gc_stale_describe(&stale, stale.was_read ? stale.object : address, what, sizeof what);
    if (stale.was_read)
        say(&report, "strata: missing root: a pointer was followed that was read from %s\n", what);
    else
        say(&report, "strata: missing root: access to %s\n", what);
    say(&report, "%s", advice(&stale));
    say(&report, "strata: a local by GC_FRAME, a global or a field of a malloc block by "
                 "gc_root_add, or by a handle;\n"
                 "strata: or read it again from its holder after every safepoint. "
                 "See guides/missing-root.md.\n");
    say(&report, "strata: collections so far: %llu%s\n",
        (unsigned long long)heap->collector.collections,
        heap->collector.phase == GC_PHASE_IDLE ? "" : ", and one under way");
    gc_fault_write(report.text);
    return true;
}
