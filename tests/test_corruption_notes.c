/* SPDX-License-Identifier: MIT
 *
 * The verifier sees what is noted about objects elsewhere: each corruption of logs,
 * sets of holders, pins, hashes, charges and roots is found, and named.
 */
#include "support/corruption.h"

#include <stdlib.h>

/* ---- Logs ---------------------------------------------------------------- */

static void log_forgets(struct seeded *s)
{
    at(s, s->old_other);
    s->world->mutator->log_count = 0;
}

static void old_set_forgets(struct seeded *s)
{
    at(s, s->old);
    s->target = (uintptr_t)s->middle;
    s->collector->remembered.old.count = 0;
}

static void log_entry_is_none(struct seeded *s)
{
    s->object = (uintptr_t)&s->old->value;
    (void)gc_lane_push(&s->collector->remembered.log, s->object);
}

static void log_entry_is_young(struct seeded *s)
{
    s->object = (uintptr_t)s->young;
    (void)gc_lane_push(&s->collector->remembered.log, s->object);
}

/* More faults than are printed. */
static void log_entries_are_young(struct seeded *s)
{
    s->object = (uintptr_t)s->young;
    for (int i = 0; i < 30; i++)
        (void)gc_lane_push(&s->collector->remembered.log, s->object);
}

/* ... among objects, and after those of every other sort. */
static void more_of_each_sort(struct seeded *s)
{
    s->object = (uintptr_t)s->list;
    for (struct node *node = s->list; node != NULL; node = node->right) {
        *gc_log_byte((uintptr_t)node) |= GC_LOG_REMEMBERED;
        if ((uintptr_t)node < s->object)
            s->object = (uintptr_t)node;
    }
    s->tables->blocks[block_of(s, s->bytes)].flags |= GC_BLOCK_ALL_REMEMBERED;
    s->collector->remembered.log_before.count = 1;
}

static void log_entry_is_elsewhere(struct seeded *s)
{
    s->object = (uintptr_t)s->elsewhere;
    s->world->mutator->log[s->world->mutator->log_count++] = s->object;
}

static void old_entry_is_middle(struct seeded *s)
{
    s->object = (uintptr_t)s->middle;
    (void)gc_lane_push(&s->collector->remembered.old, s->object);
}

static void lane_too_long(struct seeded *s)
{
    s->collector->remembered.log_before.count = 0;
    s->collector->remembered.old.committed = s->collector->remembered.old.capacity + 1;
}

static void lane_past_what_is_committed(struct seeded *s)
{
    s->collector->remembered.frozen.count = s->collector->remembered.frozen.committed + 1;
}

static void old_lane_left(struct seeded *s)
{
    s->collector->remembered.old_before.count = 1;
}

static void frozen_lane_left(struct seeded *s)
{
    s->collector->remembered.frozen_before.count = 1;
}

static void lane_left(struct seeded *s)
{
    s->collector->remembered.log_before.count = 1;
}

static void lost_block(struct seeded *s)
{
    s->block = block_of(s, s->list);
    s->tables->blocks[s->block].flags |= GC_BLOCK_ALL_REMEMBERED;
}

/* ---- Attachments --------------------------------------------------------- */

static void *record_of(struct gc_attachments *attachments, const void *object, unsigned generation)
{
    void *record =
        gc_attachment_find(attachments, generation, (struct gc_key){(uintptr_t)object, 0});

    if (record == NULL)
        abort();
    return record;
}

/* Files the record under another address, as its set would. */
static void refile(struct gc_attachments *attachments, const void *object, unsigned from,
                   uintptr_t address, unsigned to)
{
    char copy[64];
    struct gc_key key = {address, 0};
    struct gc_set *set = &attachments->generations[from];
    void *record = record_of(attachments, object, from);

    __builtin_memcpy(copy, record, set->record_bytes);
    __builtin_memcpy(copy, &key, sizeof key);
    gc_set_remove(set, record);
    gc_set_add(&attachments->generations[to], copy);
}

static void pin_of_none(struct seeded *s)
{
    s->object = (uintptr_t)&s->old_leaf->value;
    refile(&s->collector->pins, s->old_leaf, GC_OLD, s->object, GC_OLD);
}

static void pin_between_words(struct seeded *s)
{
    s->object = (uintptr_t)s->old_leaf + 4;
    refile(&s->collector->pins, s->old_leaf, GC_OLD, s->object, GC_OLD);
}

static void pin_of_elsewhere(struct seeded *s)
{
    s->object = (uintptr_t)s->elsewhere;
    refile(&s->collector->pins, s->old_leaf, GC_OLD, s->object, GC_OLD);
}

static void pin_of_other_generation(struct seeded *s)
{
    s->object = (uintptr_t)s->old_leaf;
    refile(&s->collector->pins, s->old_leaf, GC_OLD, s->object, GC_MIDDLE);
}

static void pin_without_bit(struct seeded *s)
{
    s->object = (uintptr_t)s->old_leaf;
    *gc_state_byte(s->object) &= (uint8_t)~GC_STATE_PINNED;
}

static void bit_without_pin(struct seeded *s)
{
    *gc_state_byte((uintptr_t)s->old) |= GC_STATE_PINNED;
}

static void pin_taken_back(struct seeded *s)
{
    struct gc_pin *pin = record_of(&s->collector->pins, s->old_leaf, GC_OLD);

    s->object = (uintptr_t)s->old_leaf;
    pin->count = 0;
}

static void pin_not_found(struct seeded *s)
{
    struct gc_key *key = record_of(&s->collector->pins, s->old_leaf, GC_OLD);

    key->first = s->object = (uintptr_t)s->old;
    *gc_state_byte(s->object) |= GC_STATE_PINNED;
    *gc_state_byte((uintptr_t)s->old_leaf) &= (uint8_t)~GC_STATE_PINNED;
}

static void pins_miscounted(struct seeded *s)
{
    s->collector->pins.count--;
}

static void pins_without_room(struct seeded *s)
{
    s->collector->pins.generations[GC_MIDDLE].capacity = 0;
}

static void once_without_note(struct seeded *s)
{
    *gc_state_byte((uintptr_t)s->old) |= GC_STATE_PINNED_ONCE;
}

static void note_without_once(struct seeded *s)
{
    *gc_state_byte((uintptr_t)s->young) &= (uint8_t)~GC_STATE_PINNED_ONCE;
}

static void once_of_none(struct seeded *s)
{
    struct gc_key key = {(uintptr_t)&s->old->value, 0};

    s->object = key.first;
    gc_set_add(&s->collector->pinned_once, &key);
    *gc_state_byte((uintptr_t)s->old) |= GC_STATE_PINNED_ONCE;
}

static void once_of_elsewhere(struct seeded *s)
{
    struct gc_key key = {(uintptr_t)s->elsewhere, 0};

    s->object = key.first;
    gc_set_add(&s->collector->pinned_once, &key);
    *gc_state_byte((uintptr_t)s->old) |= GC_STATE_PINNED_ONCE;
}

static void hash_without_bit(struct seeded *s)
{
    s->object = (uintptr_t)s->middle;
    *gc_state_byte(s->object) &= (uint8_t)~GC_STATE_HASHED;
}

static void bit_without_hash(struct seeded *s)
{
    *gc_state_byte((uintptr_t)s->old) |= GC_STATE_HASHED;
}

static void charge_of_none(struct seeded *s)
{
    s->object = (uintptr_t)&s->old->value;
    refile(&s->collector->charges, s->old, GC_OLD, s->object, GC_OLD);
}

static void charges_above_all(struct seeded *s)
{
    s->collector->external_bytes = 999;
}

static void charges_below_all(struct seeded *s)
{
    s->collector->external_bytes = 1001;
}

static void root_not_found(struct seeded *s)
{
    struct gc_root *root = gc_set_at(&s->collector->roots.ranges, 0);

    s->object = root->key.first += 8;
    root->count--;
}

#define YOUNG "leads to a younger object and is not remembered (a missed write barrier?)"
#define NO_OBJECT " of {object}: it is no object"

static const struct corruption of_notes[] = {
    {"log forgets", log_forgets,
     "node at {object} in gen2: is disarmed, but the log does not hold it: stores into it would be "
     "missed (R2)",
     true},
    {"set of old holders forgets", old_set_forgets,
     "node at {object} in gen2, offset 8 -> {target}: " YOUNG, true},
    {"log entry is none", log_entry_is_none, "log entry" NO_OBJECT, false},
    {"log entry is young", log_entry_is_young,
     "log entry of {object}: it is too young to be remembered", false},
    {"many log entries are young", log_entries_are_young,
     "log entry of {object}: it is too young to be remembered", true},
    {"log entry is of another heap", log_entry_is_elsewhere, "mutator's log entry" NO_OBJECT,
     false},
    {"more of each sort", more_of_each_sort,
     "node at {object} in gen2: says that the set of old holders has it, but it has not", true},
    {"old entry is of gen1", old_entry_is_middle,
     "entry of the set of old holders of {object}: it is too young to be remembered", false},
    {"lane too long", lane_too_long, "heap: a lane holds more than it has committed (L1)", false},
    {"lane past what is committed", lane_past_what_is_committed,
     "heap: a lane holds more than it has committed (L1)", false},
    {"old lane left", old_lane_left, "heap: holders of an earlier collection are left", false},
    {"frozen lane left", frozen_lane_left, "heap: holders of an earlier collection are left",
     false},
    {"lane left", lane_left, "heap: holders of an earlier collection are left", false},
    {"block all remembered, not lost", lost_block,
     "block {block} at {start} in gen2: is all remembered, but no collection would look for it",
     false},
    {"pin of none", pin_of_none, "pin" NO_OBJECT, false},
    {"pin between words", pin_between_words, "pin" NO_OBJECT, true},
    {"pin of another heap's", pin_of_elsewhere, "pin" NO_OBJECT, true},
    {"pin of another generation", pin_of_other_generation,
     "pin of {object}: it is filed under another generation (A1)", false},
    {"pin without bit", pin_without_bit, "pin of {object}: its state byte does not say so", true},
    {"bit without pin", bit_without_pin,
     "heap: an object says that it is pinned, but no pin is noted", false},
    {"pin taken back", pin_taken_back, "pin of {object}: it was taken back, and is noted", false},
    {"pin not found", pin_not_found, "pin of {object}: its set does not find it, or has it twice",
     false},
    {"pins miscounted", pins_miscounted, "heap: attachments are not as many as their count", false},
    {"pins without room", pins_without_room, "heap: a set of attachments has no room for all (A1)",
     false},
    {"pinned once without note", once_without_note,
     "heap: objects pinned for one collection are not as many as are noted", false},
    {"note without pin for one collection", note_without_once,
     "heap: objects pinned for one collection are not as many as are noted", false},
    {"pin for one collection of none", once_of_none, "pin for one collection" NO_OBJECT, false},
    {"pin for one collection of another heap's", once_of_elsewhere,
     "pin for one collection" NO_OBJECT, false},
    {"hash without bit", hash_without_bit, "hash of {object}: its state byte does not say so",
     true},
    {"bit without hash", bit_without_hash,
     "heap: an object says that it has a hash, but none is noted", false},
    {"charge of none", charge_of_none, "charge" NO_OBJECT, false},
    {"charges above all", charges_above_all, "heap: bytes outside are not as many as were charged",
     false},
    {"charges below all", charges_below_all, "heap: bytes outside are not as many as were charged",
     false},
    {"root not found", root_not_found,
     "root range of {object}: its set does not find it, or has it twice", false},
};

static void broken_notes_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_notes, GC_COUNT(of_notes), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_notes_are_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
