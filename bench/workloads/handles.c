/* SPDX-License-Identifier: MIT
 *
 * 100,000 roots held in foreign structures, 4 million times one of them
 * replaced together with its object, amid garbage: what many roots cost when
 * they are made, dropped and scanned.
 */
#include "bench.h"

typedef struct object {
    struct object *link;
    uint64_t value;
} object;

TYPE_STRUCT(object, offsetof(object, link));

static object *new_pair(subject *s, uint64_t value)
{
    object *inner = NEW(s, object), *outer;

    inner->link = NULL;
    inner->value = value;
    FRAME(s, frame, &inner);
    outer = NEW(s, object);
    outer->link = inner;
    outer->value = value + 1;
    FRAME_POP(s, frame);
    return outer;
}

static void drop_pair(subject *s, object *outer)
{
    if (!SUBJECT_DROPS)
        return;
    DROP(s, outer->link);
    DROP(s, outer);
}

static void make_garbage(subject *s, uint64_t value)
{
    object *garbage = new_pair(s, value);

    bench_escape(garbage);
    drop_pair(s, garbage);
}

static uint64_t work(subject *s, bench *b)
{
    size_t count = bench_scaled(b, 100e3, 100), operations = bench_scaled(b, 4e6, 4000);
    handle **handles = malloc(count * sizeof(handle *));
    uint64_t chance = 5, check = 0;

    subject_need(handles);
#ifdef SUBJECT_BDWGC
    GC_add_roots(handles, handles + count); /* nor does it see the C library's blocks */
#endif
    b->live_bytes = count * (2 * sizeof(object) + sizeof(void *));
    for (size_t i = 0; i < count; i++)
        handles[i] = handle_new(s, new_pair(s, i));
    for (size_t i = 0; i < operations; i++) {
        size_t at = random_below(&chance, count);
        object *gone = handle_get(handles[at]);

        check = digest(check, gone->value + gone->link->value);
        handle_free(s, handles[at]);
        drop_pair(s, gone);
        handles[at] = handle_new(s, new_pair(s, i));
        make_garbage(s, i);
    }
    for (size_t i = 0; i < count; i++)
        check = digest(check, ((object *)handle_get(handles[i]))->link->value);
    bench_stop(b);
    return check;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
