/* SPDX-License-Identifier: MIT
 *
 * The verifier sees, part two: references, log bytes, cards, remembered sets;
 * attachments, weak references, calls, types, handles and frames. Each
 * corruption is found, and named.
 */
#include "support/corruption.h"

#include <stdlib.h>

static void at(struct seeded *s, const void *object)
{
    s->object = (uintptr_t)object;
    s->block = block_of(s, object);
}

/* Past the write barrier. */
static void plant(struct seeded *s, struct node **slot, const void *target)
{
    s->target = (uintptr_t)target;
    gc_store_word(slot, s->target);
}

/* ---- Missed barriers ---------------------------------------------------- */

static void old_to_young(struct seeded *s)
{
    at(s, s->list);
    plant(s, &s->list->left, s->young);
}

static void old_to_middle(struct seeded *s)
{
    at(s, s->list);
    plant(s, &s->list->left, s->middle);
}

static void middle_to_young(struct seeded *s)
{
    at(s, s->middle);
    plant(s, &s->middle->right, s->young_too);
}

/* The set of old holders is not read by a minor collection. */
static void remembered_for_middle_only(struct seeded *s)
{
    at(s, s->old);
    plant(s, &s->old->left, s->young);
}

static void on_a_clean_card(struct seeded *s)
{
    at(s, s->array);
    s->target = (uintptr_t)s->young;
    s->array[5] = s->young;
}

static void card_cleaned(struct seeded *s)
{
    at(s, s->array);
    s->target = (uintptr_t)s->young;
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)&s->array[1000])] = GC_CARD_CLEAN;
}

static void card_for_middle_only(struct seeded *s)
{
    at(s, s->array);
    s->target = (uintptr_t)s->young;
    s->tables->lines[gc_line_of(s->tables, (uintptr_t)&s->array[1000])] = gc_card_for(GC_MIDDLE);
}

/* ---- Where references lead ---------------------------------------------- */

static void to_a_gap(struct seeded *s)
{
    const uint8_t *lines;
    uintptr_t line = 0;

    at(s, s->list);
    s->block = s->collector->spaces.old_holes;
    lines = gc_block_lines(s->tables, s->block);
    while (lines[line] != 0)
        line++;
    plant(s, &s->list->left,
          (void *)(gc_block_start(s->tables, s->block) + line * GC_LINE_BYTES + 64));
}

static void into_the_middle(struct seeded *s)
{
    at(s, s->young);
    s->other = (uintptr_t)s->young_too;
    plant(s, &s->young->left, &s->young_too->value);
}

static void into_a_large_one(struct seeded *s)
{
    at(s, s->young);
    s->other = (uintptr_t)s->bytes;
    plant(s, &s->young->left, s->bytes + 65536);
}

static void to_a_free_block(struct seeded *s)
{
    uint32_t block = 0;

    while (s->tables->state[block] != 0)
        block++;
    at(s, s->young);
    plant(s, &s->young->left, (void *)(gc_block_start(s->tables, block) + 8));
}

static void to_where_nothing_ever_was(struct seeded *s)
{
    at(s, s->young);
    plant(s, &s->young->left, (void *)(s->tables->base + s->tables->bytes - 8));
}

static void to_another_heap(struct seeded *s)
{
    at(s, s->young);
    plant(s, &s->young->right, s->elsewhere);
}

static void from_an_array(struct seeded *s)
{
    at(s, s->array);
    s->other = (uintptr_t)s->old;
    s->target = (uintptr_t)&s->old->value;
    s->array[77] = (void *)s->target;
}

/* ---- Log bytes ---------------------------------------------------------- */

static void log_byte_of_no_meaning(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) |= 0x20;
}

static void log_byte_of_young(struct seeded *s)
{
    at(s, s->young);
    *gc_log_byte((uintptr_t)s->young) = GC_LOG_ARMED;
}

static void disarmed(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) = 0;
}

static void disarmed_array(struct seeded *s)
{
    at(s, s->array);
    *gc_log_byte((uintptr_t)s->array) &= (uint8_t)~GC_LOG_ARMED;
}

static void noted_node(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) |= GC_LOG_NOTED;
}

static void remembered_bit(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) |= GC_LOG_REMEMBERED;
}

static void frozen_bit(struct seeded *s)
{
    at(s, s->list);
    *gc_log_byte((uintptr_t)s->list) |= GC_LOG_FROZEN;
}

static void remembered_bit_lost(struct seeded *s)
{
    at(s, s->old);
    s->target = (uintptr_t)s->middle;
    *gc_log_byte((uintptr_t)s->old) = GC_LOG_ARMED;
}

/* ---- Logs --------------------------------------------------------------- */

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

static void lane_left(struct seeded *s)
{
    s->collector->remembered.log_before.count = 1;
}

static void lost_block(struct seeded *s)
{
    s->block = block_of(s, s->list);
    s->tables->blocks[s->block].flags |= GC_BLOCK_ALL_REMEMBERED;
}

/* ---- Attachments -------------------------------------------------------- */

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

static void root_not_found(struct seeded *s)
{
    struct gc_root *root = gc_set_at(&s->collector->roots.ranges, 0);

    s->object = root->key.first += 8;
    root->count--;
}

/* ---- Weak references ---------------------------------------------------- */

static struct gc_weakref *weak(const struct seeded *s)
{
    return (struct gc_weakref *)s->weakref;
}

static void weakly_to_none(struct seeded *s)
{
    at(s, s->weakref);
    s->target = weak(s)->referent = (uintptr_t)&s->young->value;
}

static void weakref_in_no_list(struct seeded *s)
{
    uintptr_t *link = &s->collector->weakrefs.lists[GC_YOUNG];

    while (*link != (uintptr_t)s->weakref)
        link = &((struct gc_weakref *)*link)->next;
    *link = weak(s)->next;
    at(s, s->weakref);
}

static void weakref_in_older_list(struct seeded *s)
{
    weakref_in_no_list(s);
    weak(s)->next = s->collector->weakrefs.lists[GC_MIDDLE];
    s->collector->weakrefs.lists[GC_MIDDLE] = (uintptr_t)s->weakref;
}

static void list_of_no_weakref(struct seeded *s)
{
    s->object = s->collector->weakrefs.lists[GC_OLD] = (uintptr_t)s->old;
}

static void weakref_twice(struct seeded *s)
{
    s->object = (uintptr_t)s->weakref;
    s->collector->weakrefs.lists[GC_MIDDLE] = s->object;
}

static void indexed_without_referent(struct seeded *s)
{
    s->object = (uintptr_t)s->weakref;
    weak(s)->referent = 0;
}

static void indexed_elsewhere(struct seeded *s)
{
    struct gc_weakrefs *weakrefs = &s->collector->weakrefs;
    size_t i = 0;

    while (weakrefs->buckets[i] == 0)
        i++;
    s->object = weakrefs->buckets[i];
    weakrefs->buckets[i] = 0;
    while (weakrefs->buckets[++i & weakrefs->mask] != 0)
        ;
    weakrefs->buckets[i & weakrefs->mask] = s->object;
}

static void index_miscounts(struct seeded *s)
{
    s->collector->weakrefs.count++;
}

static void weakref_callback_taken(struct seeded *s)
{
    at(s, s->watching);
    ((struct gc_watching_weakref *)s->watching)->call->state = GC_CALL_FREE;
}

static void ephemeron_aside(struct seeded *s)
{
    at(s, s->ephemeron);
    ((uintptr_t *)s->ephemeron)[2] = 1;
}

static void ephemeron_value(struct seeded *s)
{
    at(s, s->ephemeron);
    s->other = (uintptr_t)s->old;
    s->target = (uintptr_t)&s->old->value;
    ((uintptr_t *)s->ephemeron)[1] = s->target;
}

/* ---- Calls -------------------------------------------------------------- */

static struct gc_call *finalizer_call(struct seeded *s)
{
    return gc_call_named(&s->collector->calls, s->finalizer);
}

static void call_of_no_state(struct seeded *s)
{
    s->object = (uintptr_t)s->old;
    finalizer_call(s)->state = GC_CALL_DYING;
}

static void call_for_nothing(struct seeded *s)
{
    finalizer_call(s)->object = 0;
    s->object = 0;
}

static void call_of_none(struct seeded *s)
{
    s->object = finalizer_call(s)->object = (uintptr_t)&s->old->value;
}

static void call_younger(struct seeded *s)
{
    s->object = finalizer_call(s)->object = (uintptr_t)s->young;
    s->collector->calls.pages[0]->youngest = GC_OLD;
}

static void call_page_miscounts(struct seeded *s)
{
    s->collector->calls.pages[0]->used++;
    s->collector->calls.count++;
}

static void calls_miscounted(struct seeded *s)
{
    s->collector->calls.count++;
}

static void queue_miscounts(struct seeded *s)
{
    s->collector->calls.finalizers[0].count = 1;
}

static void queue_of_others(struct seeded *s)
{
    struct gc_call_queue *queue = &s->collector->calls.callbacks;

    queue->first = queue->last = finalizer_call(s);
    queue->count = 1;
    s->object = (uintptr_t)s->old;
}

/* ---- Types, tracer ------------------------------------------------------ */

static void class_of_none(struct seeded *s)
{
    s->object = (uintptr_t)&s->old->value;
    gc_made_type(s->type)->class_object = s->object;
}

static void class_too_young(struct seeded *s)
{
    struct gc_types *types = &s->collector->types;
    struct gc_made_type *made = gc_made_type(s->type);

    types->young = made->next;
    made->next = types->old;
    types->old = made;
    s->object = made->class_object = (uintptr_t)s->young;
}

static void stack_left(struct seeded *s)
{
    s->collector->tracer.stack.count = 1;
}

static void still_watching(struct seeded *s)
{
    s->collector->tracer.ephemerons.watching = true;
}

/* ---- Roots -------------------------------------------------------------- */

static void root_into_the_middle(struct seeded *s)
{
    s->other = (uintptr_t)s->old;
    s->target = (uintptr_t)&s->old->value;
    s->world->root[0] = (void *)s->target;
    s->object = (uintptr_t)&s->world->root[0];
}

static void frame_to_a_gap(struct seeded *s)
{
    struct node **slot = (struct node **)s->frame->slots[0];

    s->object = (uintptr_t)slot;
    s->target = s->tables->base + s->tables->bytes - 8;
    gc_store_word(slot, s->target);
}

static void frames_are_ring(struct seeded *s)
{
    s->frame->below = s->frame;
}

static void handle_to_none(struct seeded *s)
{
    s->object = (uintptr_t)s->handle;
    s->target = s->tables->base + s->tables->bytes - 8;
    gc_store_word(s->handle, s->target);
}

static void handle_too_young(struct seeded *s)
{
    s->object = (uintptr_t)s->handle;
    s->target = (uintptr_t)s->middle;
    gc_handle_page_of(s->handle)->youngest = GC_OLD;
}

static void handle_page_miscounts(struct seeded *s)
{
    gc_handle_page_of(s->handle)->used = 7;
}

static void handle_page_of_others(struct seeded *s)
{
    gc_handle_page_of(s->handle)->owner = NULL;
}

static void handles_free_list(struct seeded *s)
{
    struct gc_handle_page *page = gc_handle_page_of(s->handle);

    page->slots[page->first_free - 1] = (uintptr_t)page->first_free << 1 | 1;
}

static void handle_freed_twice(struct seeded *s)
{
    gc_handle_page_of(s->handle)->first_free = 0;
}

static void handle_pages_miscounted(struct seeded *s)
{
    s->collector->handles.page_count++;
}

#define YOUNG "leads to a younger object and is not remembered (a missed write barrier?)"

static const struct corruption of_edges[] = {
    {"missed barrier: old to young", old_to_young,
     "node at {object} in gen2, offset 0 -> {target}: " YOUNG, false},
    {"missed barrier: old to middle", old_to_middle,
     "node at {object} in gen2, offset 0 -> {target}: " YOUNG, false},
    {"missed barrier: middle to young", middle_to_young,
     "node at {object} in gen1, offset 8 -> {target}: " YOUNG, false},
    {"missed barrier: remembered for gen1 only", remembered_for_middle_only,
     "node at {object} in gen2, offset 0 -> {target}: " YOUNG, false},
    {"missed barrier: a clean card", on_a_clean_card,
     "references at {object} in gen2, offset 40 -> {target}: " YOUNG, false},
    {"a card was cleaned", card_cleaned,
     "references at {object} in gen2, offset 8000 -> {target}: " YOUNG, false},
    {"a card for gen1 only", card_for_middle_only,
     "references at {object} in gen2, offset 8000 -> {target}: " YOUNG, false},
    {"to a gap", to_a_gap, "node at {object} in gen2, offset 0 -> {target}: leads to no object",
     false},
    {"into the middle", into_the_middle,
     "node at {object} in gen0, offset 0 -> {target}: leads into the middle of the node at {other}",
     false},
    {"into a large object", into_a_large_one,
     "node at {object} in gen0, offset 0 -> {target}: leads into the middle of the bytes at "
     "{other}",
     false},
    {"to a free block", to_a_free_block,
     "node at {object} in gen0, offset 0 -> {target}: leads to memory that was freed or evacuated",
     false},
    {"to where nothing ever was", to_where_nothing_ever_was,
     "node at {object} in gen0, offset 0 -> {target}: leads to memory that was freed or evacuated",
     false},
    {"to another heap", to_another_heap,
     "node at {object} in gen0, offset 8 -> {target}: leads into another heap", false},
    {"from an array into the middle", from_an_array,
     "references at {object} in gen2, offset 616 -> {target}: leads into the middle of the node at "
     "{other}",
     false},
    {"log byte of no meaning", log_byte_of_no_meaning,
     "node at {object} in gen2: has a log byte of no meaning", false},
    {"log byte of a young object", log_byte_of_young,
     "node at {object} in gen0: is young, but its log byte is set", false},
    {"disarmed", disarmed,
     "node at {object} in gen2: is disarmed, but the log does not hold it: stores into it would be "
     "missed (R2)",
     false},
    {"disarmed array", disarmed_array,
     "references at {object} in gen2: is disarmed, but the log does not hold it: stores into it "
     "would be missed (R2)",
     true},
    {"noted, without cards", noted_node,
     "node at {object} in gen2: says that the log holds it, but it does not (R2)", false},
    {"remembered bit", remembered_bit,
     "node at {object} in gen2: says that the set of old holders has it, but it has not", false},
    {"frozen bit", frozen_bit,
     "node at {object} in gen2: says that the set of frozen holders has it, but it has not", false},
    {"remembered bit lost", remembered_bit_lost,
     "node at {object} in gen2, offset 8 -> {target}: " YOUNG, false},
};

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
    {"log entry is of another heap", log_entry_is_elsewhere, "mutator's log entry" NO_OBJECT,
     false},
    {"old entry is of gen1", old_entry_is_middle,
     "entry of the set of old holders of {object}: it is too young to be remembered", false},
    {"lane too long", lane_too_long, "heap: a lane holds more than it has committed (L1)", false},
    {"lane left", lane_left, "heap: holders of an earlier collection are left", false},
    {"block all remembered, not lost", lost_block,
     "block {block} at {start} in gen2: is all remembered, but no collection would look for it",
     false},
    {"pin of none", pin_of_none, "pin" NO_OBJECT, false},
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
    {"hash without bit", hash_without_bit, "hash of {object}: its state byte does not say so",
     true},
    {"bit without hash", bit_without_hash,
     "heap: an object says that it has a hash, but none is noted", false},
    {"charge of none", charge_of_none, "charge" NO_OBJECT, false},
    {"charges above all", charges_above_all,
     "heap: more bytes outside are charged to objects than are held", false},
    {"root not found", root_not_found,
     "root range of {object}: its set does not find it, or has it twice", false},
};

static const struct corruption of_weak[] = {
    {"weakly to none", weakly_to_none,
     "weak reference at {object} in gen0, offset 0 -> {target}: leads weakly to no object", true},
    {"weak reference in no list", weakref_in_no_list,
     "weak reference at {object} in gen0: is in no list of weak references (W1)", false},
    {"weak reference in an older list", weakref_in_older_list,
     "weak reference of {object}: it is in a list that is older than it, or than its referent (W1)",
     false},
    {"list of no weak reference", list_of_no_weakref,
     "weak reference of {object}: it is in a list, and is none (W1)", false},
    {"weak reference twice", weakref_twice,
     "weak reference of {object}: it is in a list twice (W1)", true},
    {"indexed without referent", indexed_without_referent,
     "weak reference of {object}: it is in the index, and refers to nothing", true},
    {"indexed elsewhere", indexed_elsewhere,
     "weak reference of {object}: it is not where the index has its referent", true},
    {"index miscounts", index_miscounts, "heap: the index of weak references miscounts them",
     false},
    {"callback of a weak reference taken", weakref_callback_taken,
     "weak reference with callback at {object} in gen0: has a callback that is not a weak "
     "reference's (K1)",
     true},
    {"ephemeron put aside", ephemeron_aside,
     "ephemeron at {object} in gen0: is put aside between collections (F1)", false},
    {"ephemeron's value", ephemeron_value,
     "ephemeron at {object} in gen0, offset 8 -> {target}: leads into the middle of the node at "
     "{other}",
     false},
    {"call of no state", call_of_no_state, "call of {object}: it is in no state", false},
    {"call for nothing", call_for_nothing, "call of (nil): it waits for no object (K1)", false},
    {"call of none", call_of_none, "call of {object}: it is no object (K1)", false},
    {"call younger than its page", call_younger,
     "call of {object}: it is younger than its page knows (K2)", false},
    {"page of calls miscounts", call_page_miscounts, "heap: a page of calls miscounts them", true},
    {"calls miscounted", calls_miscounted, "heap: calls are not as many as their count", false},
    {"queue miscounts", queue_miscounts, "heap: a queue of calls miscounts them", false},
    {"queue of others", queue_of_others, "call of {object}: it is in a queue that is not its own",
     false},
    {"class object is none", class_of_none, "class object" NO_OBJECT, false},
    {"class object too young", class_too_young,
     "class object of {object}: it is younger than its type's list", false},
    {"mark stack left", stack_left, "heap: the mark stack is not empty between collections", false},
    {"still watching", still_watching, "heap: ephemerons are put aside between collections", false},
};

static const struct corruption of_roots[] = {
    {"root into the middle", root_into_the_middle,
     "root {object} -> {target}: leads into the middle of the node at {other}", false},
    {"frame to where nothing was", frame_to_a_gap,
     "root {object} -> {target}: leads to memory that was freed or evacuated", false},
    {"frames are a ring", frames_are_ring,
     "heap: a mutator's frames have no end: one was pushed twice", false},
    {"handle to none", handle_to_none,
     "root {object} -> {target}: leads to memory that was freed or evacuated", false},
    {"handle younger than its page", handle_too_young,
     "root {object} -> {target}: leads to an object that is younger than the handle's page knows",
     false},
    {"page of handles miscounts", handle_page_miscounts, "heap: a page of handles miscounts them",
     false},
    {"page of another's handles", handle_page_of_others, "heap: a page of handles miscounts them",
     false},
    {"free handles are a ring", handles_free_list,
     "heap: a page of handles has a broken list of free ones (D1)", false},
    {"free handles are lost", handle_freed_twice,
     "heap: a page of handles has a broken list of free ones (D1)", false},
    {"pages of handles miscounted", handle_pages_miscounted,
     "heap: pages of handles are not as many as their count", false},
};

static void broken_references_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_edges, GC_COUNT(of_edges), 22);
}

static void broken_notes_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_notes, GC_COUNT(of_notes), 25);
}

static void broken_weak_things_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_weak, GC_COUNT(of_weak), 23);
}

static void broken_roots_are_found_and_named(void **state)
{
    (void)state;
    assert_all_found(of_roots, GC_COUNT(of_roots), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_references_are_found_and_named),
        cmocka_unit_test(broken_notes_are_found_and_named),
        cmocka_unit_test(broken_weak_things_are_found_and_named),
        cmocka_unit_test(broken_roots_are_found_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
