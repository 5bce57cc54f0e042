/* SPDX-License-Identifier: MIT */
#include "memory/lane.h"

#include "os/os.h"

static size_t bytes_of(size_t words)
{
    return words * sizeof(uintptr_t);
}

static size_t whole_pages(size_t words)
{
    return gc_round_up(words, gc_os_page_bytes() / sizeof(uintptr_t));
}

/* With a guard page on either side. */
static size_t reserved_bytes(const struct gc_lane *lane)
{
    return bytes_of(lane->reserved) + 2 * gc_os_page_bytes();
}

bool gc_lane_create(struct gc_lane *lane, size_t capacity, size_t first)
{
    size_t page_words = gc_os_page_bytes() / sizeof(uintptr_t);

    lane->count = 0;
    lane->capacity = lane->reserved = whole_pages(gc_max(capacity, first));
    lane->committed = whole_pages(first);
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

/* All but so many words: whole pages. */
static void give_back(struct gc_lane *lane, size_t kept)
{
    if (lane->committed > kept &&
        gc_os.decommit(lane->words + kept, bytes_of(lane->committed - kept)))
        lane->committed = kept;
}

void gc_lane_limit(struct gc_lane *lane, size_t words)
{
    size_t most = gc_min(whole_pages(words), lane->reserved);

    give_back(lane, gc_max(whole_pages(lane->count), most));
    lane->capacity = gc_max(lane->committed, most);
}

void gc_lane_shrink(struct gc_lane *lane, size_t keep)
{
    lane->count = 0;
    give_back(lane, whole_pages(keep));
}
