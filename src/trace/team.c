/* SPDX-License-Identifier: MIT */
#include "trace/team.h"

#include "trace/cards.h"
#include "trace/edge.h"
#include "trace/post.h"
#include "trace/scan.h"

/* A part of the heap is one worker's, and so large that no line of any table is two's.
 * Each STRIDE objects a worker looks for parcels, and for workers that wait. */
enum { PART_LOG2 = GC_CHUNK_LOG2, STRIDE = 64 };

static struct gc_worker *worker_of(struct gc_tracer *tracer)
{
    return (struct gc_worker *)tracer;
}

/* ---- Whose an edge is ---- */

/* Parts are dealt out by a hash: a stride of the program's shall not give all
 * of them to one. (The high half of a product maps it to so many workers.) */
GC_ALWAYS_INLINE unsigned owner_of(const struct gc_worker *worker, uintptr_t offset)
{
    uint32_t hash = (uint32_t)(offset >> PART_LOG2) * 0x9e3779b1u;

    return (unsigned)((uint64_t)hash * worker->shares >> 32);
}

static void leave(struct gc_worker *worker, uintptr_t entry)
{
    if (!gc_lane_push(&worker->left, entry))
        worker->is_lost = true;
}

GC_ALWAYS_INLINE void pass_on(struct gc_worker *worker, uintptr_t object)
{
    unsigned to = owner_of(worker, object - worker->tracer.base);

    if (to != worker->index)
        gc_post_send(worker, to, object | GC_STACK_EDGE);
    else
        gc_queue_object(&worker->tracer, object);
}

/* ---- One object ---- */

/* An edge that leads to what is not of gen2 and in place, or to nothing. */
static void visit_other(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot);
    unsigned state = gc_state_of_target(tracer, word);

    if (!gc_note_target(tracer, state))
        return;
    if (gc_state_action(state) == GC_EVACUATE)
        leave(worker_of(tracer), (uintptr_t)slot | GC_STACK_SLOT);
    else
        pass_on(worker_of(tracer), word & ~(uintptr_t)7);
}

/* The same as the serial trace's `queue`, but that no slot is followed here. */
GC_ALWAYS_INLINE void visit(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot), granule = gc_plain_granule(tracer, word);

    if (GC_LIKELY(granule < tracer->granules) &&
        GC_LIKELY(gc_granule_state(tracer, granule) == gc_state(GC_OLD, GC_IN_PLACE)))
        pass_on(worker_of(tracer), word);
    else if (word != 0)
        visit_other(tracer, slot);
}

/* Without room the block is flagged, as by a full stack; it is the worker's. */
static void lose(struct gc_worker *worker, uintptr_t object)
{
    worker->is_lost = false;
    gc_stack_overflow(&worker->tracer, object);
}

/* What else is to be done for a holder whose slots were visited. */
GC_ALWAYS_INLINE void settle_log(struct gc_worker *worker, uintptr_t object)
{
    struct gc_tracer *tracer = &worker->tracer;
    unsigned age = gc_state_age(tracer->state[(object - tracer->base) >> GC_BLOCK_LOG2]);
    uint8_t *log = gc_log_byte(object);

    if (age == GC_YOUNG)
        return;
    if (tracer->youngest < age)
        leave(worker, object | GC_STACK_OBJECT); /* to be remembered */
    else if (*log != GC_LOG_ARMED)
        *log = GC_LOG_ARMED;
}

/* An array with cards is scanned in pieces, by all. The first stays here: so no
 * other entry like the one that is left has the array's own address. */
static void share_array(struct gc_worker *worker, uintptr_t array, const gc_type *type)
{
    uintptr_t end = array + gc_payload_bytes(type, array);
    unsigned to = worker->index;

    leave(worker, array | GC_STACK_ARRAY);
    for (uintptr_t at = array; at < end; at = gc_next_piece(at)) {
        if (to != worker->index)
            gc_post_send(worker, to, at | GC_STACK_ARRAY);
        else
            worker->is_lost |= !gc_lane_push(&worker->tracer.stack, at | GC_STACK_ARRAY);
        to = to + 1 < worker->shares ? to + 1 : 0;
    }
}

static void visit_words(struct gc_tracer *tracer, uintptr_t from, uintptr_t to)
{
    gc_scan_range(tracer, from, to, visit);
}

static void scan_piece(struct gc_worker *worker, uintptr_t from)
{
    gc_cards_scan_piece(&worker->tracer, from, visit_words);
    worker->has_lost |= worker->is_lost;
    worker->is_lost = false;
}

static void scan(struct gc_worker *worker, uintptr_t object, const gc_type *type)
{
    struct gc_tracer *tracer = &worker->tracer;

    tracer->youngest = GC_GENERATIONS;
    if (GC_LIKELY(type->kind == GC_KIND_STRUCT)) {
        gc_scan_offsets(tracer, object, type->refs, type->ref_count, visit);
        settle_log(worker, object);
    } else if (type->kind != GC_KIND_REFERENCES && type->kind != GC_KIND_ARRAY) {
        leave(worker, object | GC_STACK_OBJECT);
    } else if (gc_has_cards(tracer->tables, object)) {
        share_array(worker, object, type);
    } else {
        gc_scan_slots(tracer, object, type, visit);
        settle_log(worker, object);
    }
    if (GC_UNLIKELY(worker->is_lost))
        lose(worker, object);
}

static void scan_marked(struct gc_worker *worker, uintptr_t object)
{
    const gc_type *type = gc_settle_marked(&worker->tracer, object);

    if (type->kind != GC_KIND_LEAF)
        scan(worker, object, type);
}

/* ---- A phase ---- */

/* Pops a batch of pieces, and of objects that were marked, which wait; as many that did
 * are scanned. */
GC_ALWAYS_INLINE void pop(struct gc_worker *worker, struct gc_ring *marked)
{
    struct gc_lane *stack = &worker->tracer.stack;

    for (int i = 0; i < GC_BATCH && stack->count > 0; i++) {
        uintptr_t entry = stack->words[--stack->count];

        if (GC_UNLIKELY(entry & GC_STACK_ARRAY)) {
            scan_piece(worker, entry - GC_STACK_ARRAY);
            continue;
        }
        gc_prefetch_object(&worker->tracer, entry);
        gc_ring_put(marked, entry);
    }
    while (!gc_ring_takes_batch(marked, gc_most_waiting(&worker->tracer)))
        scan_marked(worker, gc_ring_take(marked));
}

/* What a parcel holds is tested at once: so many edges take the room of one object
 * on the stack, where as parcels they would fill the memory and leave the cache. */
static void unpack(struct gc_worker *worker)
{
    const struct gc_parcel *parcel = worker->received;

    for (size_t i = 0; i < parcel->count; i++) {
        if (GC_UNLIKELY(parcel->edges[i] & GC_STACK_ARRAY))
            worker->has_lost |= !gc_lane_push(&worker->tracer.stack, parcel->edges[i]);
        else
            gc_queue_object(&worker->tracer, parcel->edges[i]);
    }
    gc_post_unpacked(worker);
}

static void look_around(struct gc_worker *worker)
{
    gc_post_deliver_to_waiting(worker);
    if (worker->received == NULL)
        gc_post_fetch(worker);
    while (worker->received != NULL)
        unpack(worker);
}

/* With nothing on the stack, what has waited longest; false if nothing has. */
static bool take_next(struct gc_worker *worker, struct gc_ring *marked)
{
    struct gc_tracer *tracer = &worker->tracer;

    if (worker->received != NULL)
        unpack(worker);
    else if (tracer->edges.count > 0)
        gc_edge_arrives(tracer, gc_ring_take(&tracer->edges));
    else if (marked->count > 0)
        scan_marked(worker, gc_ring_take(marked));
    else
        return false;
    return true;
}

/* Marks until nothing is at hand. */
static void work(struct gc_worker *worker)
{
    struct gc_ring marked = {.count = 0};
    unsigned steps = 0;

    do
        while (worker->tracer.stack.count > 0) {
            if (GC_UNLIKELY((steps += GC_BATCH) % STRIDE == 0))
                look_around(worker);
            pop(worker, &marked);
        }
    while (take_next(worker, &marked));
    gc_post_deliver_all(worker);
}

void gc_team_help(void *data)
{
    struct gc_worker *worker = data;
    struct gc_team *team = worker->team;

    gc_lock_take(&team->lock);
    while (!team->ends) {
        if (worker->inbox == NULL) {
            team->waiting++;
            gc_post_tell(team);
            while (worker->inbox == NULL && !team->ends)
                gc_post_wait(worker);
            team->waiting--;
            continue;
        }
        gc_post_open(worker);
        gc_lock_give(&team->lock);
        work(worker);
        gc_lock_take(&team->lock);
    }
    gc_lock_give(&team->lock);
}

/* The collecting thread has run out: false if all have. */
static bool goes_on(struct gc_team *team)
{
    struct gc_worker *first = &team->workers[0];
    bool more;

    gc_lock_take(&team->lock);
    while (first->inbox == NULL && (team->waiting < team->helpers || team->filled > 0))
        gc_post_wait(first);
    more = first->inbox != NULL;
    if (more)
        gc_post_open(first);
    gc_lock_give(&team->lock);
    return more;
}

/* Flags every block of a worker's parts: some object that it scanned has an edge
 * that was lost on its way. */
static void flag_parts(struct gc_worker *worker, struct gc_tracer *tracer)
{
    size_t blocks = tracer->spaces->blocks->chunks_high * GC_CHUNK_BLOCKS;

    for (uint32_t block = 0; block < blocks; block++)
        if (gc_state_action(tracer->state[block]) != GC_LEAVE &&
            owner_of(worker, (uintptr_t)block << GC_BLOCK_LOG2) == worker->index)
            tracer->tables->blocks[block].flags |= GC_BLOCK_OVERFLOWED;
    tracer->overflowed = true;
    tracer->counts.overflows++;
}

/* All pieces of an array were scanned; if not, or if an edge of some piece was
 * lost, it is scanned again. */
static void end_array(struct gc_tracer *tracer, uintptr_t at, bool has_lost)
{
    uintptr_t array = gc_large_object(tracer->tables, gc_block_of(tracer->tables, at));

    if (at == array)
        gc_cards_finish_pieces(tracer, array);
    if (at != array || has_lost)
        gc_stack_overflow(tracer, array);
}

/* An entry for which there is no room on the tracer's stack. */
static void do_at_once(struct gc_tracer *tracer, uintptr_t entry)
{
    if ((entry & 3) == GC_STACK_OBJECT)
        gc_stack_overflow(tracer, entry - GC_STACK_OBJECT);
    else
        gc_follow(tracer, (void *)(entry - GC_STACK_SLOT));
}

/* What a worker left becomes the tracer's. */
static void collect_left(struct gc_worker *worker, struct gc_tracer *tracer, bool has_lost)
{
    for (size_t i = 0; i < worker->left.count; i++) {
        uintptr_t entry = worker->left.words[i];

        if ((entry & 3) == GC_STACK_ARRAY)
            end_array(tracer, entry - GC_STACK_ARRAY, has_lost);
        else if ((entry & 3) == GC_STACK_EDGE)
            gc_edge_arrives(tracer, entry);
        else if (!gc_lane_push(&tracer->stack, entry))
            do_at_once(tracer, entry);
    }
    if (worker->has_lost)
        flag_parts(worker, tracer);
    worker->has_lost = false;
    tracer->overflowed |= worker->tracer.overflowed;
    tracer->counts.overflows += worker->tracer.counts.overflows;
    worker->tracer.overflowed = false;
    worker->tracer.counts.overflows = 0;
    worker->left.count = 0;
}

/* All of them wait. */
static void collect_all_left(struct gc_team *team, struct gc_tracer *tracer)
{
    bool has_lost = false;

    for (unsigned i = 0; i <= team->helpers; i++)
        has_lost |= team->workers[i].has_lost;
    for (unsigned i = 0; i <= team->helpers; i++)
        collect_left(&team->workers[i], tracer, has_lost);
    gc_post_gather(team);
}

/* The first finds its own edges among those put aside, and sends the others. None
 * is lost here: `left` has room for all of them. */
static void deal_out(struct gc_worker *first)
{
    struct gc_lane *stack = &first->tracer.stack;
    size_t count = stack->count;

    stack->count = 0;
    for (size_t i = 0; i < count; i++)
        pass_on(first, stack->words[i]);
    gc_post_deliver_all(first);
}

bool gc_team_mark(struct gc_team *team, struct gc_tracer *tracer)
{
    if (team->workers[0].tracer.stack.count == 0)
        return false;
    deal_out(&team->workers[0]);
    do
        work(&team->workers[0]);
    while (goes_on(team));
    gc_lock_take(&team->lock); /* a helper that wakes looks into its inbox */
    collect_all_left(team, tracer);
    gc_lock_give(&team->lock);
    return tracer->stack.count != 0;
}

void gc_team_begin(struct gc_team *team, const struct gc_tracer *tracer)
{
    for (unsigned i = 0; i <= team->helpers; i++) {
        struct gc_tracer *own = &team->workers[i].tracer;
        struct gc_lane stack = own->stack;

        team->workers[i].shares = team->helpers + 1;
        *own = (struct gc_tracer){.base = tracer->base,
                                  .granules = tracer->granules,
                                  .state = tracer->state,
                                  .marks = tracer->marks,
                                  .lines = tracer->lines,
                                  .live = tracer->live,
                                  .other_tags = tracer->other_tags,
                                  .tags = tracer->tags,
                                  .reach = tracer->reach,
                                  .bytes = tracer->bytes,
                                  .tables = tracer->tables,
                                  .stack = stack};
    }
}
