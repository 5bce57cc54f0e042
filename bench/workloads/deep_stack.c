/* SPDX-License-Identifier: MIT
 *
 * 100,000 frames of C recursion, each holding the only reference to an object
 * among garbage; at the bottom 24 million more pieces of garbage, so that the
 * deep stack is scanned again and again; on the way back each object is looked
 * at.
 */
#include "bench.h"

#include <sys/resource.h>

typedef struct object {
    struct object *link;
    uint64_t values[7];
} object;

TYPE_STRUCT(object, offsetof(object, link));

enum { GARBAGE_PER_FRAME = 8 };

static object *new_object(subject *s, uint64_t value)
{
    object *o = NEW(s, object);

    o->link = NULL;
    for (int i = 0; i < 7; i++)
        o->values[i] = value;
    return o;
}

static void make_garbage(subject *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        object *garbage = new_object(s, i);

        bench_escape(garbage);
        DROP(s, garbage);
    }
}

static __attribute__((noinline)) uint64_t descend(subject *s, size_t depth, size_t garbage)
{
    object *mine;
    uint64_t below;

    if (depth == 0) {
        make_garbage(s, garbage);
        return 0;
    }
    mine = new_object(s, depth);
    FRAME(s, frame, &mine);
    make_garbage(s, GARBAGE_PER_FRAME);
    below = descend(s, depth - 1, garbage);
    below = digest(below, mine->values[6]);
    FRAME_POP(s, frame);
    DROP(s, mine);
    return below;
}

/* The default of 8 MB is a little less than 100,000 frames need. The limit
 * counts when the stack grows, so it is early enough to raise it here. */
static void allow_deep_stack(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) != 0)
        return;
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > (64 << 20))
        limit.rlim_cur = 64 << 20;
    else
        limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_STACK, &limit);
}

static uint64_t work(subject *s, bench *b)
{
    size_t depth = bench_scaled(b, 100e3, 100);

    b->live_bytes = depth * sizeof(object);
    return descend(s, depth, bench_scaled(b, 24e6, 1000));
}

int main(int argc, char **argv)
{
    allow_deep_stack();
    return bench_main(argc, argv, work);
}
