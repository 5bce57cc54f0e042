/* SPDX-License-Identifier: MIT */
#include "memory/lane.h"

#include "os/os.h"

static size_t bytes_of(size_t words)
{
    return words * sizeof(uintptr_t);
}

/* With a guard page on either side. */
static size_t reserved_bytes(const struct gc_lane *lane)
{
    return bytes_of(lane->capacity) + 2 * gc_os_page_bytes();
}

bool gc_lane_create(struct gc_lane *lane, size_t capacity, size_t first)
{
    size_t page_words = gc_os_page_bytes() / sizeof(uintptr_t);

    lane->count = 0;
    lane->capacity = gc_round_up(gc_max(capacity, first), page_words);
    lane->committed = gc_round_up(first, page_words);
    lane->words = gc_os.reserve(reserved_bytes(lane), gc_os_page_bytes());
    if (lane->words == NULL) {
        gc_lane_destroy(lane); /* one that was not made has no capacity */
        return false;
    }
    lane->words += page_words;
    if (lane->committed != 0 && !gc_os.commit(lane->words, bytes_of(lane->committed))) {
        gc_lane_destroy(lane);
        return false;
    }
    return true;
}

void gc_lane_destroy(struct gc_lane *lane)
{
    if (lane->words != NULL)
        gc_os.release((char *)lane->words - gc_os_page_bytes(), reserved_bytes(lane));
    *lane = (struct gc_lane){0};
}

bool gc_lane_grow(struct gc_lane *lane)
{
    size_t page_words = gc_os_page_bytes() / sizeof(uintptr_t);
    size_t more = gc_min(gc_max(lane->committed, page_words), lane->capacity - lane->committed);

    if (more == 0 || !gc_os.commit(lane->words + lane->committed, bytes_of(more)))
        return false;
    lane->committed += more;
    return true;
}

void gc_lane_shrink(struct gc_lane *lane, size_t keep)
{
    size_t kept = gc_round_up(keep, gc_os_page_bytes() / sizeof(uintptr_t));

    lane->count = 0;
    if (lane->committed <= kept)
        return;
    if (gc_os.decommit(lane->words + kept, bytes_of(lane->committed - kept)))
        lane->committed = kept;
}
