/* SPDX-License-Identifier: MIT
 *
 * 100 MB of small buffers (16 to 128 bytes); nine in ten die at random; then
 * larger ones (256 to 1024 bytes) until half as much as at first is alive. The
 * figure is resident memory over live bytes at the end, and the same after the
 * subject was asked to give back what it can. A collector collects once before
 * it is asked, since until then it cannot know what is alive.
 */
#include "bench.h"

typedef struct buffer {
    uint64_t number;
} buffer;

static buffer **slots;
static size_t slot_count;

static size_t live;

static void fill_slot(subject *s, size_t slot, size_t bytes)
{
    buffer *b = new_bytes(s, bytes);

    b->number = slot * 1024 + bytes;
    memset(b + 1, 0x5a, bytes - sizeof *b);
    STORE(s, slots, slots[slot], b);
    live += bytes;
}

static void empty_slot(subject *s, size_t slot)
{
    live -= slots[slot]->number & 1023; /* no buffer is as large as 1024 */
    DROP(s, slots[slot]);
    slots[slot] = NULL;
}

static void fill_small(subject *s, size_t bytes, uint64_t *chance)
{
    for (size_t i = 0; i < slot_count && live < bytes; i++)
        fill_slot(s, i, 16 + random_below(chance, 113));
}

static void drop_nine_of_ten(subject *s, uint64_t *chance)
{
    for (size_t i = 0; i < slot_count; i++)
        if (slots[i] != NULL && random_below(chance, 10) != 0)
            empty_slot(s, i);
}

static void fill_large(subject *s, size_t bytes, uint64_t *chance)
{
    for (size_t i = 0; i < slot_count && live < bytes; i++)
        if (slots[i] == NULL)
            fill_slot(s, i, 256 + random_below(chance, 768));
}

static double resident_over_live(void)
{
    return (double)bench_status_kib("VmRSS:") * 1024 / (double)(live + slot_count * sizeof *slots);
}

static uint64_t work(subject *s, bench *b)
{
    size_t bytes = bench_scaled(b, 100e6, 100000);
    uint64_t chance = 3, check = 0;

    slot_count = bytes / 64;
    subject_root(s, &slots);
    slots = new_references(s, slot_count);
    b->live_bytes = bytes + slot_count * sizeof *slots;
    fill_small(s, bytes, &chance);
    drop_nine_of_ten(s, &chance);
    fill_large(s, bytes / 2, &chance);
    subject_collect(s);
    bench_stop(b);
    bench_figure(b, "resident_over_live", resident_over_live());
    subject_trim(s);
    bench_figure(b, "trimmed_over_live", resident_over_live());
    for (size_t i = 0; i < slot_count; i++)
        check = digest(check, slots[i] == NULL ? i : slots[i]->number);
    return digest(check, live);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
