/* SPDX-License-Identifier: MIT */
#include "trace/team.h"

#include "base/annotate.h"
#include "os/os.h"
#include "trace/edge.h"
#include "trace/rings.h"
#include "trace/scan.h"

enum {
    FIRST_WORDS = 4 << 10,
    KEPT_WORDS = 32 << 10,
    PART_LOG2 = 18,    /* of the heap, that is one worker's */
    LEAST_PARCEL = 32, /* edges that are sent to one who waits */
    SPINS = 1000
};

static struct gc_worker *worker_of(struct gc_tracer *tracer)
{
    return (struct gc_worker *)tracer;
}

/* ---- Whose an edge is ---- */

/* Parts are dealt out by a hash: a stride of the program's shall not give all
 * of them to one. (The high half of a product maps it to so many workers.) */
GC_ALWAYS_INLINE unsigned owner_of(const struct gc_team *team, uintptr_t offset)
{
    uint32_t hash = (uint32_t)(offset >> PART_LOG2) * 0x9e3779b1u;

    return (unsigned)((uint64_t)hash * (team->helpers + 1) >> 32);
}

static void leave(struct gc_worker *worker, uintptr_t entry)
{
    if (!gc_lane_push(&worker->left, entry))
        worker->is_lost = true;
}

/* Something that others may wait for has changed, under the lock. */
static void tell(struct gc_team *team)
{
    __atomic_store_n(&team->changes, team->changes + 1, __ATOMIC_RELAXED);
    if (team->sleeping > 0)
        gc_signal_all(&team->changed);
}

/* What finds no room in the inbox is left to the collecting thread; without room
 * for that, whose edge it was is not known any more. */
static void deliver(struct gc_worker *worker, unsigned to)
{
    struct gc_team *team = worker->team;
    struct gc_parcel *parcel = &worker->parcels[to];
    struct gc_lane *inbox = &team->workers[to].inbox;
    size_t sent = 0;

    gc_lock_take(&team->lock);
    team->filled += inbox->count == 0;
    while (sent < parcel->count && gc_lane_push(inbox, parcel->edges[sent]))
        sent++;
    team->filled -= inbox->count == 0;
    tell(team);
    gc_lock_give(&team->lock);
    for (; sent < parcel->count; sent++)
        if (!gc_lane_push(&worker->left, parcel->edges[sent]))
            worker->has_lost = true;
    parcel->count = 0;
}

static void deliver_all(struct gc_worker *worker)
{
    for (unsigned i = 0; i <= worker->team->helpers; i++)
        if (worker->parcels[i].count > 0)
            deliver(worker, i);
}

GC_NEVER_INLINE static void deliver_if_due(struct gc_worker *worker, unsigned to)
{
    if (worker->parcels[to].count == GC_PARCEL ||
        __atomic_load_n(&worker->team->workers[to].waits, __ATOMIC_RELAXED))
        deliver(worker, to);
}

GC_ALWAYS_INLINE void send(struct gc_worker *worker, unsigned to, uintptr_t edge)
{
    struct gc_parcel *parcel = &worker->parcels[to];

    parcel->edges[parcel->count++] = edge;
    if (GC_UNLIKELY(parcel->count % LEAST_PARCEL == 0))
        deliver_if_due(worker, to);
}

GC_ALWAYS_INLINE void pass_on(struct gc_worker *worker, uintptr_t object)
{
    unsigned to = owner_of(worker->team, object - worker->tracer.base);

    if (&worker->team->workers[to] != worker)
        send(worker, to, object | GC_STACK_EDGE);
    else if (GC_UNLIKELY(!gc_lane_push(&worker->tracer.stack, object | GC_STACK_EDGE)))
        worker->is_lost = true;
}

/* ---- One object ---- */

/* The same as gc_queue, but that nothing is followed here. */
GC_ALWAYS_INLINE void visit(struct gc_tracer *tracer, void *slot)
{
    uintptr_t word = gc_load_word(slot), granule = gc_plain_granule(tracer, word);
    unsigned state;

    if (GC_LIKELY(granule < tracer->granules))
        state = gc_granule_state(tracer, granule);
    else if (tracer->other_tags != 0)
        state = gc_state_of_target(tracer, word);
    else
        return;
    if (!gc_note_target(tracer, state))
        return;
    if (gc_state_action(state) == GC_EVACUATE)
        leave(worker_of(tracer), (uintptr_t)slot | GC_STACK_SLOT);
    else
        pass_on(worker_of(tracer), word & ~(uintptr_t)7);
}

/* Whether the slots are plain, and the scan of them all there is to do. */
static bool is_plain(struct gc_tracer *tracer, uintptr_t object, const gc_type *type)
{
    if (GC_LIKELY(type->kind == GC_KIND_STRUCT))
        return true;
    return (type->kind == GC_KIND_REFERENCES || type->kind == GC_KIND_ARRAY) &&
           !gc_has_cards(tracer->tables, object);
}

/* Without room the block is flagged, as by a full stack; it is the worker's. */
static void lose(struct gc_worker *worker, uintptr_t object)
{
    worker->is_lost = false;
    gc_stack_overflow(&worker->tracer, object);
}

static void scan(struct gc_worker *worker, uintptr_t object, const gc_type *type)
{
    struct gc_tracer *tracer = &worker->tracer;
    unsigned age = gc_state_age(tracer->state[(object - tracer->base) >> GC_BLOCK_LOG2]);
    uint8_t *log = gc_log_byte(object);

    if (is_plain(tracer, object, type)) {
        tracer->youngest = GC_GENERATIONS;
        gc_scan_slots(tracer, object, type, visit);
        if (age != GC_YOUNG && tracer->youngest < age)
            leave(worker, object | GC_STACK_OBJECT); /* to be remembered */
        else if (age != GC_YOUNG && *log != GC_LOG_ARMED)
            *log = GC_LOG_ARMED;
    } else {
        leave(worker, object | GC_STACK_OBJECT);
    }
    if (GC_UNLIKELY(worker->is_lost))
        lose(worker, object);
}

static void scan_marked(struct gc_tracer *tracer, uintptr_t object)
{
    const gc_type *type = gc_header_type(*gc_header(object));

    gc_settle_in_place(tracer, object, type, tracer->state[gc_block_of(tracer->tables, object)]);
    if (type->kind != GC_KIND_LEAF)
        scan(worker_of(tracer), object, type);
}

/* ---- A phase ---- */

/* Makes the inbox the stack, which is empty. The lock is held. */
static void open_inbox(struct gc_worker *worker)
{
    struct gc_lane inbox = worker->inbox;

    worker->inbox = worker->tracer.stack;
    worker->tracer.stack = inbox;
    worker->team->filled--;
}

/* Marks until the stack is empty. */
static void work(struct gc_worker *worker)
{
    struct gc_tracer *tracer = &worker->tracer;
    struct gc_rings rings = {.edges.count = 0};

    while (tracer->stack.count > 0 || !gc_rings_are_empty(&rings)) {
        uintptr_t edge = tracer->stack.count > 0 ? tracer->stack.words[--tracer->stack.count] : 0;

        gc_rings_pass(tracer, &rings, edge, gc_test_edge, scan_marked);
    }
    deliver_all(worker);
}

/* For something to change. Mostly that is soon: to sleep and be woken takes as
 * long as to mark a thousand objects. */
static void wait(struct gc_worker *worker)
{
    struct gc_team *team = worker->team;
    unsigned seen = __atomic_load_n(&team->changes, __ATOMIC_RELAXED);

    __atomic_store_n(&worker->waits, true, __ATOMIC_RELAXED);
    gc_lock_give(&team->lock);
    for (int i = 0; i < SPINS && __atomic_load_n(&team->changes, __ATOMIC_RELAXED) == seen; i++)
        GC_RELAX();
    gc_lock_take(&team->lock);
    if (team->changes == seen) {
        team->sleeping++;
        gc_signal_wait(&team->changed, &team->lock);
        team->sleeping--;
    }
    __atomic_store_n(&worker->waits, false, __ATOMIC_RELAXED);
}

/* A helper's life: waits for edges, marks from them. */
static void help(void *data)
{
    struct gc_worker *worker = data;
    struct gc_team *team = worker->team;

    gc_lock_take(&team->lock);
    while (!team->ends) {
        if (worker->inbox.count == 0) {
            team->waiting++;
            tell(team);
            while (worker->inbox.count == 0 && !team->ends)
                wait(worker);
            team->waiting--;
            continue;
        }
        open_inbox(worker);
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
    while (first->inbox.count == 0 && (team->waiting < team->helpers || team->filled > 0))
        wait(first);
    more = first->inbox.count > 0;
    if (more)
        open_inbox(first);
    gc_lock_give(&team->lock);
    return more;
}

/* Flags every block of a worker's parts: some object that it scanned has an edge
 * that was lost on its way. */
static void flag_parts(struct gc_worker *worker, struct gc_tracer *tracer)
{
    const struct gc_team *team = worker->team;
    size_t blocks = tracer->spaces->blocks->chunks_high * GC_CHUNK_BLOCKS;

    for (uint32_t block = 0; block < blocks; block++)
        if (gc_state_action(tracer->state[block]) != GC_LEAVE &&
            &team->workers[owner_of(team, (uintptr_t)block << GC_BLOCK_LOG2)] == worker)
            tracer->tables->blocks[block].flags |= GC_BLOCK_OVERFLOWED;
    tracer->overflowed = true;
    tracer->counts.overflows++;
}

/* What a worker left becomes the tracer's. */
static void collect_left(struct gc_worker *worker, struct gc_tracer *tracer)
{
    for (size_t i = 0; i < worker->left.count; i++) {
        uintptr_t entry = worker->left.words[i];

        if (gc_lane_push(&tracer->stack, entry))
            continue;
        if ((entry & 3) == GC_STACK_OBJECT)
            gc_stack_overflow(tracer, entry - GC_STACK_OBJECT);
        else if ((entry & 3) == GC_STACK_SLOT)
            gc_follow(tracer, (void *)(entry - GC_STACK_SLOT));
        else
            gc_mark_in_place(tracer, entry, tracer->state[gc_block_of(tracer->tables, entry)]);
    }
    if (worker->has_lost)
        flag_parts(worker, tracer);
    worker->has_lost = false;
    tracer->overflowed |= worker->tracer.overflowed;
    tracer->counts.overflows += worker->tracer.counts.overflows;
    worker->tracer.overflowed = false;
    worker->tracer.counts.overflows = 0;
    gc_lane_shrink(&worker->left, KEPT_WORDS);
    gc_lane_shrink(&worker->inbox, KEPT_WORDS);
    gc_lane_shrink(&worker->tracer.stack, KEPT_WORDS);
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
    deliver_all(first);
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
    for (unsigned i = 0; i <= team->helpers; i++)
        collect_left(&team->workers[i], tracer);
    gc_lock_give(&team->lock);
    return tracer->stack.count != 0;
}

void gc_team_begin(struct gc_team *team, const struct gc_tracer *tracer)
{
    for (unsigned i = 0; i <= team->helpers; i++) {
        struct gc_tracer *own = &team->workers[i].tracer;
        struct gc_lane stack = own->stack;

        *own = (struct gc_tracer){.base = tracer->base,
                                  .granules = tracer->granules,
                                  .state = tracer->state,
                                  .marks = tracer->marks,
                                  .lines = tracer->lines,
                                  .live = tracer->live,
                                  .other_tags = tracer->other_tags,
                                  .tags = tracer->tags,
                                  .bytes = tracer->bytes,
                                  .tables = tracer->tables,
                                  .stack = stack};
    }
}

/* ---- Coming and going ---- */

static bool create_worker(struct gc_team *team, struct gc_worker *worker, size_t capacity)
{
    worker->team = team;
    worker->parcels = gc_os.allocate(team->size * sizeof *worker->parcels);
    return worker->parcels != NULL &&
           gc_lane_create(&worker->tracer.stack, capacity, FIRST_WORDS) &&
           gc_lane_create(&worker->inbox, capacity, FIRST_WORDS) &&
           gc_lane_create(&worker->left, capacity, FIRST_WORDS);
}

bool gc_team_create(struct gc_team *team, unsigned size, size_t capacity)
{
    bool made;

    *team = (struct gc_team){.size = size};
    if (size < 2)
        return true;
    if (!gc_lock_create(&team->lock))
        return false;
    if (!gc_signal_create(&team->changed)) {
        gc_lock_destroy(&team->lock);
        return false;
    }
    team->is_made = true;
    team->workers = gc_os.allocate(size * sizeof *team->workers);
    made = team->workers != NULL;
    for (unsigned i = 0; made && i < size; i++)
        made = create_worker(team, &team->workers[i], capacity);
    return made;
}

void gc_team_destroy(struct gc_team *team)
{
    if (!team->is_made)
        return;
    gc_team_stop(team);
    for (unsigned i = 0; team->workers != NULL && i < team->size; i++) {
        struct gc_worker *worker = &team->workers[i];

        gc_lane_destroy(&worker->tracer.stack);
        gc_lane_destroy(&worker->inbox);
        gc_lane_destroy(&worker->left);
        if (worker->parcels != NULL)
            gc_os.free(worker->parcels);
    }
    if (team->workers != NULL)
        gc_os.free(team->workers);
    gc_signal_destroy(&team->changed);
    gc_lock_destroy(&team->lock);
    *team = (struct gc_team){.size = 0};
}

/* Fewer than wished are as good; they are begun, and wait, before it returns. */
bool gc_team_start(struct gc_team *team)
{
    if (team->size < 2 || team->helpers > 0)
        return team->helpers > 0;
    while (team->helpers + 1 < team->size) {
        struct gc_worker *worker = &team->workers[team->helpers + 1];

        if (!gc_os_thread_start(&worker->thread, help, worker))
            break;
        team->helpers++;
    }
    gc_lock_take(&team->lock);
    team->sleeping++;
    while (team->waiting < team->helpers)
        gc_signal_wait(&team->changed, &team->lock);
    team->sleeping--;
    gc_lock_give(&team->lock);
    return team->helpers > 0;
}

void gc_team_stop(struct gc_team *team)
{
    if (team->helpers == 0)
        return;
    gc_lock_take(&team->lock);
    team->ends = true;
    tell(team);
    gc_lock_give(&team->lock);
    for (; team->helpers > 0; team->helpers--)
        gc_os_thread_join(&team->workers[team->helpers].thread);
    team->ends = false;
}

size_t gc_team_words(const struct gc_team *team, bool at_most)
{
    size_t words = 0;

    if (!team->is_made || team->workers == NULL)
        return 0;
    for (unsigned i = 0; i < team->size; i++) {
        const struct gc_worker *worker = &team->workers[i];
        const struct gc_lane *lanes[] = {&worker->tracer.stack, &worker->inbox, &worker->left};

        for (size_t k = 0; k < sizeof lanes / sizeof lanes[0]; k++)
            words += at_most ? lanes[k]->capacity : lanes[k]->committed;
    }
    return words + team->size * team->size * sizeof(struct gc_parcel) / sizeof(uintptr_t);
}
