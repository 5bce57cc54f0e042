/* SPDX-License-Identifier: MIT */
#include "memory/attachments.h"

#include <string.h>

void gc_attachments_create(struct gc_attachments *attachments, size_t record_bytes)
{
    for (int i = 0; i < GC_AGES; i++)
        gc_set_create(&attachments->generations[i], record_bytes);
    attachments->count = 0;
}

void gc_attachments_destroy(struct gc_attachments *attachments)
{
    for (int i = 0; i < GC_AGES; i++)
        gc_set_destroy(&attachments->generations[i]);
}

void *gc_attachment_add(struct gc_attachments *attachments, unsigned generation, const void *record)
{
    void *added;

    for (int i = 0; i < GC_GENERATIONS; i++)
        if (!gc_set_reserve(&attachments->generations[i], attachments->count + 1))
            return NULL;
    if (generation == GC_FROZEN &&
        !gc_set_reserve(&attachments->generations[GC_FROZEN], attachments->count + 1))
        return NULL;
    added = gc_set_add(&attachments->generations[generation], record);
    attachments->count++;
    return added;
}

void *gc_attachment_find(const struct gc_attachments *attachments, unsigned generation,
                         struct gc_key key)
{
    return gc_set_find(&attachments->generations[generation], key);
}

void gc_attachment_remove(struct gc_attachments *attachments, unsigned generation, void *record)
{
    gc_set_remove(&attachments->generations[generation], record);
    attachments->count--;
}

/* Files a record anew under the address that its object has now. */
static void refile(struct gc_attachments *attachments, const struct gc_tables *tables,
                   struct gc_set *from, void *record, uintptr_t object)
{
    struct gc_key key;
    char copy[128];

    memcpy(copy, record, from->record_bytes);
    memcpy(&key, copy, sizeof key);
    gc_set_remove(from, record);
    key.first = object;
    memcpy(copy, &key, sizeof key);
    gc_set_add(&attachments->generations[gc_age_of(tables, object)], copy);
}

enum { BATCH = 32 };

/* Some records, and where their objects are now. */
struct batch {
    struct gc_set *set;
    size_t from;
    size_t to;
    uintptr_t now[BATCH];
};

static struct gc_key key_of(const struct gc_set *set, size_t position, uintptr_t object)
{
    struct gc_key key;

    memcpy(&key, gc_set_at(set, position), sizeof key);
    if (object != 0)
        key.first = object;
    return key;
}

/* Asks where they are. Records that will be removed, and those that will take
 * their places, are fetched; so is where they go. */
static void look_at(struct gc_attachments *attachments, const struct gc_tables *tables,
                    const struct gc_settling *settling, struct batch *batch)
{
    const struct gc_set *set = batch->set;
    size_t leaving = 0;

    for (size_t i = batch->from; i < batch->to; i++) {
        uintptr_t old = gc_load_word(gc_set_at(set, i)),
                  now = settling->settle(old, settling->data);

        batch->now[i - batch->from] = now;
        if (now == old)
            continue;
        leaving++;
        gc_set_prefetch(set, key_of(set, i, 0));
        gc_set_prefetch(set, key_of(set, set->count - leaving, 0));
        if (now != 0)
            gc_set_prefetch(&attachments->generations[gc_age_of(tables, now)], key_of(set, i, now));
    }
}

static void settle_record(struct gc_attachments *attachments, const struct gc_tables *tables,
                          const struct gc_settling *settling, const struct batch *batch, size_t i)
{
    struct gc_set *set = batch->set;
    void *record = gc_set_at(set, i);
    uintptr_t now = batch->now[i - batch->from];

    if (now == 0) {
        settling->drop(record, settling->data);
        gc_set_remove(set, record);
        attachments->count--;
    } else if (now != gc_load_word(record) ||
               set != &attachments->generations[gc_age_of(tables, now)]) {
        refile(attachments, tables, set, record, now);
    }
}

/* From the set's end: a record filed anew is not met again. */
static void settle_generation(struct gc_attachments *attachments, const struct gc_tables *tables,
                              unsigned generation, const struct gc_settling *settling)
{
    struct batch batch = {.set = &attachments->generations[generation]};

    for (batch.to = batch.set->count; batch.to > 0; batch.to = batch.from) {
        batch.from = batch.to > BATCH ? batch.to - BATCH : 0;
        look_at(attachments, tables, settling, &batch);
        for (size_t i = batch.to; i-- > batch.from;)
            settle_record(attachments, tables, settling, &batch, i);
    }
}

/* Oldest first, for the same reason. */
void gc_attachments_settle(struct gc_attachments *attachments, const struct gc_tables *tables,
                           unsigned oldest, const struct gc_settling *settling)
{
    for (unsigned generation = oldest + 1; generation-- > 0;)
        settle_generation(attachments, tables, generation, settling);
}

static void move_all(struct gc_set *from, struct gc_set *to)
{
    for (size_t i = 0; i < from->count; i++)
        gc_set_add(to, gc_set_at(from, i));
    while (from->count > 0)
        gc_set_remove(from, gc_set_at(from, from->count - 1));
}

void gc_attachments_promote(struct gc_attachments *attachments)
{
    for (int i = 0; i < GC_OLD; i++)
        move_all(&attachments->generations[i], &attachments->generations[GC_OLD]);
}

bool gc_attachments_expect_freeze(struct gc_attachments *attachments)
{
    return gc_set_reserve(&attachments->generations[GC_FROZEN], attachments->count);
}

void gc_attachments_freeze(struct gc_attachments *attachments)
{
    for (int i = 0; i < GC_GENERATIONS; i++)
        move_all(&attachments->generations[i], &attachments->generations[GC_FROZEN]);
}

void gc_attachments_unfreeze(struct gc_attachments *attachments)
{
    move_all(&attachments->generations[GC_FROZEN], &attachments->generations[GC_OLD]);
}

size_t gc_attachments_bytes(const struct gc_attachments *attachments)
{
    size_t bytes = 0;

    for (int i = 0; i < GC_AGES; i++)
        bytes += gc_set_bytes(&attachments->generations[i]);
    return bytes;
}
