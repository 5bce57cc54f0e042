/* SPDX-License-Identifier: MIT
 *
 * The verifier inside a collection: a corruption at each boundary between two
 * phases is found there, and named.
 */
#include "support/child.h"
#include "support/heap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "heap/heap.h"

#include <strata/fork.h>
#include <strata/weak.h>

enum { TEXT = 1000, LARGE = 100000 };

struct seeded {
    struct world *world;
    struct node *node; /* pinned, marked in place; left: other */
    struct node *other;
    struct node *dead;
    void *large;   /* in blocks of its own */
    void **locals; /* two, in a frame */
};

struct corruption {
    enum gc_phase phase;
    void (*corrupt)(struct seeded *seeded);
    const char *message; /* a part of it, the addresses left out */
};

static struct seeded *seeded;
static const struct corruption *corruption;

static struct gc_collector *collector_of(const struct seeded *s)
{
    return &s->world->heap->collector;
}

static struct gc_tables *tables_of(const struct seeded *s)
{
    return &collector_of(s)->tables;
}

static uint32_t block_of(const struct seeded *s, const void *object)
{
    return gc_block_of(tables_of(s), (uintptr_t)object);
}

static void corrupt_at_phase(struct gc_collector *collector, enum gc_phase phase)
{
    if (phase == corruption->phase)
        corruption->corrupt(seeded);
    gc_inspection.on_phase(collector, phase);
}

/* ---- Corruptions -------------------------------------------------------- */

static void mark_early(struct seeded *s)
{
    gc_bit_set(tables_of(s)->marks, gc_granule_of(tables_of(s), (uintptr_t)s->node));
}

static void set_state(struct seeded *s, uint8_t state)
{
    tables_of(s)->state[block_of(s, s->node)] = state;
}

static void age_too_much(struct seeded *s)
{
    set_state(s, gc_state(GC_OLD, GC_EVACUATE));
}

static void make_large(struct seeded *s)
{
    set_state(s, gc_state(GC_MIDDLE, GC_IN_PLACE_LARGE));
}

static void age_too_little(struct seeded *s)
{
    uint32_t block = block_of(s, s->node);

    tables_of(s)->blocks[block].generation = GC_MIDDLE;
    collector_of(s)->tracer.oldest = GC_MIDDLE;
    tables_of(s)->state[block] = gc_state(GC_YOUNG, GC_IN_PLACE);
}

static void age_to_frozen(struct seeded *s)
{
    set_state(s, gc_state(GC_FROZEN, GC_IN_PLACE));
}

static void age_what_is_left(struct seeded *s)
{
    set_state(s, gc_state(GC_OLD, GC_LEAVE));
}

static void condemn_what_is_older(struct seeded *s)
{
    uint32_t block = block_of(s, s->node);

    tables_of(s)->blocks[block].generation = GC_MIDDLE;
    tables_of(s)->state[block] = gc_state(GC_OLD, GC_IN_PLACE);
}

static void evacuate_what_is_pinned(struct seeded *s)
{
    uint32_t block = block_of(s, s->node);

    tables_of(s)->blocks[block].kind = GC_BLOCK_PINNED;
    tables_of(s)->state[block] = gc_state(GC_MIDDLE, GC_EVACUATE);
}

static void part_from_its_head(struct seeded *s)
{
    uint32_t block = block_of(s, s->large) + 1;

    tables_of(s)->state[block] = gc_state(GC_OLD, GC_LEAVE);
}

static void leave_what_is_marked(struct seeded *s)
{
    set_state(s, gc_state(GC_YOUNG, GC_LEAVE));
}

static void leave_the_last_that_is_marked(struct seeded *s)
{
    tables_of(s)->state[block_of(s, s->large)] = gc_state(GC_YOUNG, GC_LEAVE);
}

static void forget_pins(struct seeded *s)
{
    set_state(s, gc_state(GC_MIDDLE, GC_EVACUATE));
    tables_of(s)->blocks[block_of(s, s->node)].flags &= (uint8_t)~GC_BLOCK_HAS_PINS;
}

static void forward_what_is_marked(struct seeded *s)
{
    uintptr_t node = (uintptr_t)s->node;

    gc_forward(node, (uintptr_t)s->other);
}

static void list_the_dead(struct seeded *s)
{
    collector_of(s)->weakrefs.lists[GC_YOUNG] = (uintptr_t)s->dead;
}

static void watch_the_dead(struct seeded *s)
{
    const uintptr_t *lists = collector_of(s)->weakrefs.lists;

    while (*lists == 0)
        lists++;
    ((struct gc_weakref *)*lists)->referent = (uintptr_t)s->dead;
}

static void refer_to_dead(struct seeded *s)
{
    s->node->left = s->dead;
}

static void root_to_dead(struct seeded *s)
{
    s->world->root[3] = s->dead;
}

static void frame_to_dead(struct seeded *s)
{
    s->locals[1] = s->dead;
}

/* The root led there before the collection, and the object moved. */
static void refer_to_where_it_was(struct seeded *s)
{
    s->node->left = s->other;
}

static void push(struct seeded *s)
{
    (void)gc_lane_push(&collector_of(s)->tracer.stack, (uintptr_t)s->node);
}

static void queue_edge(struct seeded *s)
{
    gc_ring_put(&collector_of(s)->tracer.edges, (uintptr_t)s->node);
}

static void begin_array(struct seeded *s)
{
    collector_of(s)->tracer.card_scan_count = 1;
}

/* ... with the team's second worker. */
static struct gc_worker *helper_of(const struct seeded *s)
{
    struct gc_team *team = &collector_of(s)->team;

    if (team->helpers == 0)
        abort();
    return &team->workers[1];
}

static struct gc_parcel parcel;

static void push_in_team(struct seeded *s)
{
    (void)gc_lane_push(&helper_of(s)->tracer.stack, (uintptr_t)s->node);
}

static void queue_edge_in_team(struct seeded *s)
{
    gc_ring_put(&helper_of(s)->tracer.edges, (uintptr_t)s->node);
}

static void leave_in_team(struct seeded *s)
{
    (void)gc_lane_push(&helper_of(s)->left, (uintptr_t)s->node);
}

static void receive_in_team(struct seeded *s)
{
    helper_of(s)->received = &parcel;
}

static void send_in_team(struct seeded *s)
{
    helper_of(s)->inbox = &parcel;
}

static void open_block(struct seeded *s)
{
    tables_of(s)->blocks[block_of(s, s->node)].flags |= GC_BLOCK_OPEN;
}

static void pin_the_dead(struct seeded *s)
{
    struct gc_set *pins = &collector_of(s)->pins.generations[GC_YOUNG]; /* kept young */

    ((struct gc_pin *)gc_set_at(pins, 0))->key.first = (uintptr_t)s->dead;
}

static const struct corruption corruptions[] = {
    {GC_PHASE_CONDEMNED, mark_early, "has marks before the trace"},
    {GC_PHASE_CONDEMNED, age_too_much, "is condemned to an age that it cannot be of"},
    {GC_PHASE_CONDEMNED, age_too_little, "is condemned to an age that it cannot be of"},
    {GC_PHASE_CONDEMNED, age_to_frozen, "is condemned to an age that it cannot be of"},
    {GC_PHASE_CONDEMNED, age_what_is_left, "is left, but changes its age"},
    {GC_PHASE_CONDEMNED, condemn_what_is_older, "is condemned, but of an older generation"},
    {GC_PHASE_CONDEMNED, evacuate_what_is_pinned, "but holds what must not move"},
    {GC_PHASE_CONDEMNED, part_from_its_head, "has a state that is not its large object's"},
    {GC_PHASE_PINNED, make_large, "has an action that is not its kind's"},
    {GC_PHASE_PINNED, queue_edge, "edges wait"},
    {GC_PHASE_MARKED, leave_what_is_marked, "has marks, but is not condemned"},
    {GC_PHASE_MARKED, leave_the_last_that_is_marked, "has marks, but is not condemned"},
    {GC_PHASE_MARKED, forget_pins, "is evacuated, but has marks and no pins"},
    {GC_PHASE_MARKED, forward_what_is_marked, "is marked where it was, and has moved"},
    {GC_PHASE_MARKED, refer_to_dead, "leads to an object that the trace did not reach"},
    {GC_PHASE_MARKED, root_to_dead, "leads to an object that the trace did not reach"},
    {GC_PHASE_MARKED, frame_to_dead, "leads to an object that the trace did not reach"},
    {GC_PHASE_MARKED, refer_to_where_it_was, "leads to where an object has moved from"},
    {GC_PHASE_MARKED, push, "the mark stack is not empty"},
    {GC_PHASE_TRACED, refer_to_dead, "leads to an object that the trace did not reach"},
    {GC_PHASE_TRACED, push, "the mark stack is not empty"},
    {GC_PHASE_TRACED, queue_edge, "edges wait"},
    {GC_PHASE_TRACED, begin_array, "edges wait"},
    {GC_PHASE_TRACED, list_the_dead, "it is in a list, and does not survive there"},
    {GC_PHASE_TRACED, watch_the_dead, "its referent does not survive, or has moved"},
    {GC_PHASE_SETTLED, open_block, "is open when the trace has ended"},
    {GC_PHASE_SETTLED, pin_the_dead, "it does not survive, or has moved"},
};

static const struct corruption of_teams[] = {
    {GC_PHASE_MARKED, push_in_team, "edges wait"},
    {GC_PHASE_MARKED, queue_edge_in_team, "edges wait"},
    {GC_PHASE_MARKED, leave_in_team, "edges wait"},
    {GC_PHASE_TRACED, receive_in_team, "edges wait"},
    {GC_PHASE_TRACED, send_in_team, "edges wait"},
};

static const char *const boundaries[GC_PHASES] = {
    [GC_PHASE_CONDEMNED] = "after condemning in",
    [GC_PHASE_PINNED] = "after pinning in",
    [GC_PHASE_MARKED] = "after the trace in",
    [GC_PHASE_TRACED] = "after weak references were cleared in",
    [GC_PHASE_SETTLED] = "before the sweep of",
};

/* ---- Finding ------------------------------------------------------------ */

static void collect_in_child(void *data)
{
    (void)data;
    end_by_faults();
    gc_fork_child(seeded->world->heap);
    collector_of(seeded)->on_phase = corrupt_at_phase;
    gc_collect(seeded->world->mutator, GC_YOUNG, NULL);
}

/* A child's; its status. The heap may have a team. */
static int collect_corrupted(char *said)
{
    int status;

    gc_fork_prepare(seeded->world->heap);
    status = run_in_child(collect_in_child, NULL, said, TEXT);
    gc_fork_parent(seeded->world->heap);
    return status;
}

static struct seeded seed(const char *settings)
{
    static void *locals[2];
    static void *const slots[] = {&locals[0], &locals[1]};
    static gc_frame frame = {NULL, slots, 2};
    struct seeded made = {.world = make_exact(settings), .locals = locals};

    made.world->root[0] = made.node = make_node(made.world->mutator, 1);
    made.other = make_node(made.world->mutator, 2);
    made.node->left = made.other;
    made.world->root[1] = made.other;
    made.dead = make_node(made.world->mutator, 3);
    locals[0] = made.node;
    locals[1] = NULL;
    gc_frame_push(made.world->mutator, &frame);
    made.world->root[4] = made.large = make_array(made.world->mutator, &gc_type_bytes, LARGE);
    made.world->root[5] = gc_weakref_create(made.world->mutator, made.node, 0);
    assert_int_equal(gc_pin(made.world->mutator, made.node), GC_OK);
    return made;
}

static void find_each(struct seeded *made, const struct corruption *all, size_t count)
{
    char said[TEXT], end[TEXT];

    seeded = made;
    for (size_t i = 0; i < count; i++) {
        int status;

        corruption = &all[i];
        status = collect_corrupted(said);
        (void)snprintf(end, sizeof end, "strata: verify: %s collection 0\n",
                       boundaries[corruption->phase]);
        if (strstr(said, corruption->message) == NULL || strstr(said, end) == NULL)
            fail_msg("corruption %zu: \"%s\", \"%s\" expected, but was said:\n%s", i,
                     corruption->message, end, said);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
    world_free(made->world);
}

static void each_is_found_at_its_boundary(void **state)
{
    struct seeded made = seed(NULL);

    (void)state;
    find_each(&made, corruptions, GC_COUNT(corruptions));
}

/* "prefetch" has a team mark a heap as small as this. */
static void what_a_team_leaves_is_found(void **state)
{
    struct seeded made = seed("workers=2,stress=prefetch");

    (void)state;
    find_each(&made, of_teams, GC_COUNT(of_teams));
}

/* At the boundaries only what may move or die is looked at. */
static void refer_to_free_block(struct seeded *s)
{
    uint32_t block = 0;

    while (tables_of(s)->state[block] != 0)
        block++;
    s->node->left = (struct node *)(gc_block_start(tables_of(s), block) + GC_HEADER_BYTES);
}

static void a_reference_to_no_object_is_found_when_all_is_whole(void **state)
{
    static const struct corruption to_free_block = {GC_PHASE_MARKED, refer_to_free_block, NULL};
    struct seeded made = seed(NULL);
    char said[TEXT];
    int status;

    (void)state;
    seeded = &made;
    corruption = &to_free_block;
    status = collect_corrupted(said);
    assert_non_null(strstr(said, "offset 0 -> "));
    assert_non_null(strstr(said, "strata: verify: after collection 1\n"));
    assert_true(WIFSIGNALED(status));
    world_free(made.world);
}

static unsigned reached;

static void note_phase(struct gc_collector *collector, enum gc_phase phase)
{
    reached = reached * 10 + phase;
    assert_int_equal(collector->phase, phase);
    gc_inspection.on_phase(collector, phase);
}

static void all_boundaries_are_reached_in_order(void **state)
{
    struct world *world = *state;

    world->heap->collector.on_phase = note_phase;
    reached = 0;
    collect(world->mutator, GC_OLD);
    assert_int_equal(reached, 1234567);
    assert_int_equal(GC_PHASES, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_found_at_its_boundary),
        cmocka_unit_test(what_a_team_leaves_is_found),
        cmocka_unit_test(a_reference_to_no_object_is_found_when_all_is_whole),
        cmocka_unit_test_setup_teardown(all_boundaries_are_reached_in_order, exact_setup,
                                        world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
