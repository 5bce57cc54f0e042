/* SPDX-License-Identifier: MIT
 *
 * What a team of threads gains: full collections of heaps that hold the same, one
 * with a worker and one with two, in turn, so that what else the machine does
 * meets both. `team [MIB [ROUNDS [SHAPE]]]` prints the medians in milliseconds, by
 * phase, and how often as fast two are. `apart` is what the machine allows: two heaps,
 * which share nothing, each collected by one thread, one after the other and at once,
 * which takes what is under `two` for both. For minor collections of 4 MiB with 2 %
 * survivors, in microseconds. See the phases in src/cycle/collector.h.
 */
#include "heap/heap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_ROUNDS = 501, WORKERS = 2, FIELDS = 4, STEPS = 3 };

/* The last is the processor time of the thread that used most: what the clock
 * would show if nothing else ran and none waited. */
enum figure { TRACE, SWEEP, REST, ALL, BUSIEST, FIGURES };

static const char *const figure_names[FIGURES] = {"trace", "sweep", "rest", "all", "busy"};

struct node {
    struct node *fields[FIELDS];
    uint64_t words[2];
};

static const uint32_t node_refs[] = {0, 8, 16, 24};
static const gc_type node_type = GC_TYPE_STRUCT("node", struct node, node_refs);

static uint64_t clock_ns;
static uint64_t phase_ns[GC_PHASES];
static double samples[WORKERS][FIGURES][MOST_ROUNDS];

struct world {
    gc_heap *heap;
    gc_mutator *mutator;
    void *root;
};

static uint64_t time_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        exit(3);
    }
    return memory;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(((unsigned __int128)next_random(state) * limit) >> 64);
}

static void open_world(struct world *world, unsigned workers, size_t nursery)
{
    gc_options options;

    gc_options_init(&options);
    options.stacks = GC_STACKS_EXACT;
    options.workers = workers;
    options.nursery_min = options.nursery_max = nursery;
    world->root = NULL;
    if (gc_heap_create(&options, &world->heap) != GC_OK ||
        gc_mutator_attach(world->heap, &world->mutator) != GC_OK ||
        gc_root_add(world->heap, &world->root) != GC_OK)
        need(NULL);
}

static void close_world(struct world *world)
{
    gc_root_remove(world->heap, &world->root);
    gc_mutator_detach(world->mutator);
    gc_heap_destroy(world->heap);
}

/* ---- Shapes: each about so many bytes -------------------------------------------- */

static void *make(struct world *world, const gc_type *type, size_t length)
{
    return need(type->kind == GC_KIND_STRUCT ? gc_alloc(world->mutator, type)
                                             : gc_alloc_array(world->mutator, type, length));
}

/* A complete tree of degree four, from the leaves up: in the order of a heap
 * that was built part by part. */
static struct node *make_tree(struct world *world, unsigned depth)
{
    struct node *root = make(world, &node_type, 0);

    if (depth == 0)
        return root;
    GC_FRAME(world->mutator, frame, &root);
    for (int i = 0; i < FIELDS; i++) {
        struct node *child = make_tree(world, depth - 1);

        gc_write(world->mutator, root, &root->fields[i], child);
    }
    gc_frame_pop(world->mutator, &frame);
    return root;
}

static void fill_tree(struct world *world, size_t bytes)
{
    size_t nodes = bytes / (sizeof(struct node) + 8), all = 1;
    unsigned depth = 0;

    while (all * FIELDS < nodes) {
        all *= FIELDS;
        depth++;
    }
    world->root = make(world, &gc_type_references, nodes / all + 1);
    for (size_t i = 0; i <= nodes / all; i++) {
        void *tree = make_tree(world, depth - 1);

        gc_write(world->mutator, world->root, (void **)world->root + i, tree);
    }
}

/* What a language's heap is made of: a table of units, each a list of cells, that
 * hold texts, short vectors of cells, and now and then a cell of another unit. */
static void fill_unit(struct world *world, size_t at, uint64_t *chance)
{
    void **table = world->root;
    struct node *cell = NULL;
    void *part = NULL;

    GC_FRAME(world->mutator, frame, &cell, &part);
    for (size_t i = 0; i < 8; i++) {
        size_t draw = random_below(chance, 64);

        part = cell;
        cell = make(world, &node_type, 0);
        gc_write(world->mutator, cell, &cell->fields[0], part);
        part = make(world, &gc_type_bytes, 8 + 8 * draw / (1 + random_below(chance, 8)));
        gc_write(world->mutator, cell, &cell->fields[1], part);
        if (draw % 4 == 0) {
            part = make(world, &gc_type_references, 1 + draw / 4);
            gc_write(world->mutator, part, part, cell->fields[0]);
            gc_write(world->mutator, cell, &cell->fields[2], part);
        }
        table = world->root;
        if (draw % 16 == 1)
            gc_write(world->mutator, cell, &cell->fields[3], table[random_below(chance, at + 1)]);
    }
    table = world->root;
    gc_write(world->mutator, table, &table[at], cell);
    gc_frame_pop(world->mutator, &frame);
}

static void fill_mix(struct world *world, size_t bytes)
{
    uint64_t chance = 11;
    size_t count = bytes / 1340;

    world->root = make(world, &gc_type_references, count);
    for (size_t i = 0; i < count; i++)
        fill_unit(world, i, &chance);
}

/* Objects that refer to some at random, all of them in one array. */
static void fill_graph(struct world *world, size_t bytes)
{
    uint64_t chance = 7;
    size_t count = bytes / (sizeof(struct node) + 16);

    world->root = make(world, &gc_type_references, count);
    for (size_t i = 0; i < count; i++) {
        void *made = make(world, &node_type, 0);

        gc_write(world->mutator, world->root, (void **)world->root + i, made);
    }
    for (size_t i = 0; i < count; i++) {
        void **all = world->root;
        struct node *node = all[i];

        for (int k = 0; k < FIELDS; k++)
            gc_write(world->mutator, node, &node->fields[k], all[random_below(&chance, count)]);
    }
}

/* ---- Measuring ----------------------------------------------------------------- */

static void note_phase(struct gc_collector *collector, enum gc_phase phase)
{
    uint64_t now = time_ns(CLOCK_MONOTONIC);

    (void)collector;
    phase_ns[phase] += now - clock_ns;
    clock_ns = now;
}

static void measure(struct world *world, unsigned generation, double into[FIGURES][MOST_ROUNDS],
                    size_t round, double unit)
{
    uint64_t own = time_ns(CLOCK_THREAD_CPUTIME_ID), both = time_ns(CLOCK_PROCESS_CPUTIME_ID);

    memset(phase_ns, 0, sizeof phase_ns);
    clock_ns = time_ns(CLOCK_MONOTONIC);
    gc_collect(world->mutator, generation, NULL);
    own = time_ns(CLOCK_THREAD_CPUTIME_ID) - own;
    both = time_ns(CLOCK_PROCESS_CPUTIME_ID) - both;
    into[BUSIEST][round] = (double)(own > both / 2 ? own : both - own) / unit;
    into[TRACE][round] = (double)(phase_ns[GC_PHASE_MARKED] + phase_ns[GC_PHASE_TRACED]) / unit;
    into[SWEEP][round] = (double)phase_ns[GC_PHASE_SWEPT] / unit;
    into[ALL][round] = 0;
    for (int i = 0; i < GC_PHASES; i++)
        into[ALL][round] += (double)phase_ns[i] / unit;
    into[REST][round] = into[ALL][round] - into[TRACE][round] - into[SWEEP][round];
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void print_figure(const char *name, const char *what, enum figure figure, size_t rounds)
{
    double *one = samples[0][figure], *two = samples[1][figure], ratios[MOST_ROUNDS];

    for (size_t k = 0; k < rounds; k++)
        ratios[k] = one[k] / two[k];
    median(one, rounds); /* sorts */
    median(two, rounds);
    printf("%-6s %-6s one %8.2f (least %8.2f)   two %8.2f (%8.2f)   %.2f\n", name, what,
           one[rounds / 2], one[0], two[rounds / 2], two[0], median(ratios, rounds));
}

static void print_figures(const char *name, size_t rounds)
{
    for (int i = 0; i < FIGURES; i++)
        print_figure(name, figure_names[i], (enum figure)i, rounds);
}

typedef void fill_fn(struct world *world, size_t bytes);

static void open_full(struct world *world, unsigned workers, fill_fn *fill, size_t bytes)
{
    open_world(world, workers, 0);
    fill(world, bytes);
    for (int i = 0; i < STEPS; i++)
        gc_collect(world->mutator, GC_OLD, NULL);
}

/* ---- Two heaps that share nothing ---- */

struct apart {
    fill_fn *fill;
    size_t bytes;
    size_t rounds;
    pthread_barrier_t turns;
    double alone[2]; /* of this round, in milliseconds */
};

static double collect_ms(struct world *world)
{
    uint64_t start = time_ns(CLOCK_MONOTONIC);

    gc_collect(world->mutator, GC_OLD, NULL);
    return (double)(time_ns(CLOCK_MONOTONIC) - start) / 1e6;
}

/* Each alone, then both; the first of them notes how long that takes. */
static void take_turns(struct apart *apart, unsigned which)
{
    struct world world;

    open_full(&world, 1, apart->fill, apart->bytes);
    for (size_t k = 0; k < apart->rounds; k++) {
        uint64_t start;

        for (unsigned turn = 0; turn < 2; turn++) {
            pthread_barrier_wait(&apart->turns);
            if (turn == which)
                apart->alone[which] = collect_ms(&world);
        }
        pthread_barrier_wait(&apart->turns);
        start = time_ns(CLOCK_MONOTONIC);
        gc_collect(world.mutator, GC_OLD, NULL);
        pthread_barrier_wait(&apart->turns);
        if (which == 0) {
            samples[0][ALL][k] = apart->alone[0] + apart->alone[1];
            samples[1][ALL][k] = (double)(time_ns(CLOCK_MONOTONIC) - start) / 1e6;
        }
    }
    close_world(&world);
}

static void *other_turns(void *data)
{
    take_turns(data, 1);
    return NULL;
}

static void run_apart(const char *name, fill_fn *fill, size_t bytes, size_t rounds)
{
    struct apart apart = {.fill = fill, .bytes = bytes, .rounds = rounds};
    pthread_t other;

    if (pthread_barrier_init(&apart.turns, NULL, 2) != 0 ||
        pthread_create(&other, NULL, other_turns, &apart) != 0)
        need(NULL);
    take_turns(&apart, 0);
    pthread_join(other, NULL);
    pthread_barrier_destroy(&apart.turns);
    print_figure(name, "apart", ALL, rounds);
}

static void run_full(const char *name, fill_fn *fill, size_t bytes, size_t rounds)
{
    struct world worlds[WORKERS];

    for (unsigned w = 0; w < WORKERS; w++) {
        open_full(&worlds[w], w + 1, fill, bytes);
        worlds[w].heap->collector.on_phase = note_phase;
    }
    for (size_t k = 0; k < rounds; k++)
        for (unsigned w = 0; w < WORKERS; w++)
            measure(&worlds[w], GC_OLD, samples[w], k, 1e6);
    print_figures(name, rounds);
    for (unsigned w = 0; w < WORKERS; w++)
        close_world(&worlds[w]);
}

enum { NURSERY = 4 << 20, KEPT_ONE_IN = 50, KEPT = NURSERY / 56 / KEPT_ONE_IN };

/* A nursery of nodes, of which one in fifty is kept until the next. */
static void fill_nursery(struct world *world)
{
    gc_write(world->mutator, world->root, world->root, NULL);
    for (size_t i = 0; i < (size_t)KEPT * (KEPT_ONE_IN - 1); i++) {
        void *made = make(world, &node_type, 0), **kept = world->root;

        if (i % KEPT_ONE_IN == 0)
            gc_write(world->mutator, kept, &kept[i / KEPT_ONE_IN], made);
    }
}

static void run_minor(size_t rounds)
{
    struct world worlds[WORKERS];

    for (unsigned w = 0; w < WORKERS; w++) {
        open_world(&worlds[w], w + 1, NURSERY);
        fill_tree(&worlds[w], 32 << 20); /* a team has come to be */
        gc_collect(worlds[w].mutator, GC_OLD, NULL);
        worlds[w].root = make(&worlds[w], &gc_type_references, KEPT);
        gc_collect(worlds[w].mutator, GC_OLD, NULL);
        worlds[w].heap->collector.on_phase = note_phase;
    }
    for (size_t k = 0; k < rounds; k++)
        for (unsigned w = 0; w < WORKERS; w++) {
            fill_nursery(&worlds[w]);
            measure(&worlds[w], GC_YOUNG, samples[w], k, 1e3);
        }
    print_figures("minor", rounds);
    for (unsigned w = 0; w < WORKERS; w++)
        close_world(&worlds[w]);
}

static const struct shape {
    const char *name;
    fill_fn *fill;
} shapes[] = {{"tree", fill_tree}, {"mix", fill_mix}, {"graph", fill_graph}};

int main(int argc, char **argv)
{
    size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) << 20;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 7;
    const char *shape = argc > 3 ? argv[3] : "";

    if (rounds == 0 || rounds > MOST_ROUNDS)
        rounds = MOST_ROUNDS;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (shape[0] != '\0' && strcmp(shape, shapes[i].name) != 0)
            continue;
        run_full(shapes[i].name, shapes[i].fill, bytes, rounds);
        run_apart(shapes[i].name, shapes[i].fill, bytes, rounds);
    }
    if (shape[0] == '\0' || strcmp(shape, "minor") == 0)
        run_minor(MOST_ROUNDS);
    return 0;
}
