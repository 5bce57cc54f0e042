/* SPDX-License-Identifier: MIT
 *
 * What weak references, ephemerons, weak tables and finalizers cost, in
 * nanoseconds of pause or of work for each, of processor time (minor pauses: the
 * least of 20, of the clock). `weak [SCALE]` prints a line for
 * each figure; `weak SCALE PART` those of one part: chain, finalizers, tables or
 * curves.
 */
#include <strata/gc.h>
#include <strata/table.h>
#include <strata/weak.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct node {
    struct node *link;
    uint64_t value;
};

static const uint32_t node_refs[] = {0};
static const gc_type node_type = GC_TYPE_STRUCT("node", struct node, node_refs);

static gc_heap *heap;
static gc_mutator *mutator;
static void *root[4];
static double scale = 1;

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        exit(3);
    }
    return memory;
}

static void open_heap(void)
{
    gc_options options;

    gc_options_init(&options);
    options.stacks = GC_STACKS_EXACT;
    if (gc_heap_create(&options, &heap) != GC_OK || gc_mutator_attach(heap, &mutator) != GC_OK ||
        gc_root_range_add(heap, root, 4, GC_EXACT) != GC_OK)
        need(NULL);
}

static void close_heap(void)
{
    for (int i = 0; i < 4; i++)
        root[i] = NULL;
    gc_root_range_remove(heap, root);
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
}

static double pause_of(unsigned generation)
{
    double start = now_ns();

    gc_collect(mutator, generation, NULL);
    return now_ns() - start;
}

static void *new_node(uint64_t value)
{
    struct node *node = need(gc_alloc(mutator, &node_type));

    node->value = value;
    return node;
}

static size_t scaled(double count)
{
    return (size_t)(count * scale) + 1;
}

static void store(int array, size_t at, void *value)
{
    void **slots = root[array];

    gc_write(mutator, slots, &slots[at], value);
}

/* A key is the value of the one made next, which a scan of the array meets last. */
static void chain(size_t count)
{
    open_heap();
    root[0] = need(gc_alloc_array(mutator, &gc_type_references, count));
    root[1] = NULL;
    for (size_t i = 0; i < count; i++) {
        root[2] = new_node(i);
        store(0, count - 1 - i, need(gc_ephemeron_create(mutator, root[2], root[1])));
        root[1] = root[2];
        if (i % (count / 7 + 1) == 0)
            gc_collect(mutator, i % 2, NULL);
    }
    root[2] = NULL;
    printf("ephemerons, chain of %zu, alive: %.0f ns each in the pause, first\n", count,
           pause_of(GC_OLD) / (double)count);
    printf("ephemerons, chain of %zu, alive: %.0f ns each in the pause, old\n", count,
           pause_of(GC_OLD) / (double)count);
    root[1] = NULL;
    printf("ephemerons, chain of %zu, dying: %.0f ns each in the pause\n", count,
           pause_of(GC_OLD) / (double)count);
    close_heap();
}

static void finalize_nothing(gc_mutator *m, void *object, void *data)
{
    (void)m;
    (void)object;
    (void)data;
}

static void add_finalizer(void *object)
{
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = finalize_nothing};

    if (gc_finalizer_add(mutator, object, &finalizer, NULL) != GC_OK)
        need(NULL);
}

static void finalizers(size_t count)
{
    double start;

    open_heap();
    root[0] = need(gc_alloc_array(mutator, &gc_type_references, count));
    start = now_ns();
    for (size_t i = 0; i < count; i++) {
        void *node = new_node(i);

        store(0, i, node);
        add_finalizer(node);
    }
    printf("finalizers, %zu: %.0f ns each to make and register\n", count,
           (now_ns() - start) / (double)count);
    gc_collect(mutator, GC_OLD, NULL);
    printf("finalizers, %zu alive: %.0f ns each in a full pause\n", count,
           pause_of(GC_OLD) / (double)count);
    root[0] = NULL;
    printf("finalizers, %zu dying at once: %.0f ns each in the pause\n", count,
           pause_of(GC_OLD) / (double)count);
    start = now_ns();
    gc_finalizers_run(mutator, 0);
    printf("finalizers, %zu: %.0f ns each to run\n", count, (now_ns() - start) / (double)count);
    close_heap();
}

struct table_times {
    double put;
    double get;
    double clear;
    double forget;
};

/* The keys are made first. Half of them die. */
static struct table_times table(gc_table_kind kind, size_t count)
{
    struct table_times times;
    double start;

    open_heap();
    root[0] = need(gc_alloc_array(mutator, &gc_type_references, count));
    for (size_t i = 0; i < count; i++)
        store(0, i, new_node(i));
    gc_collect(mutator, GC_OLD, NULL);
    root[1] = need(gc_table_create(mutator, kind, NULL, NULL, NULL));
    start = now_ns();
    for (size_t i = 0; i < count; i++) {
        void *key = ((void **)root[0])[i];

        if (gc_table_put(mutator, root[1], key, key) != GC_OK)
            need(NULL);
    }
    times.put = (now_ns() - start) / (double)count;
    start = now_ns();
    for (size_t i = 0; i < count; i++)
        if (!gc_table_get(mutator, root[1], ((void **)root[0])[i * 7919 % count], NULL))
            abort();
    times.get = (now_ns() - start) / (double)count;
    gc_collect(mutator, GC_OLD, NULL);
    start = pause_of(GC_OLD);
    for (size_t i = 0; i < count; i += 2)
        store(0, i, NULL);
    times.clear = 2 * (pause_of(GC_OLD) - start) / (double)count;
    start = now_ns();
    gc_table_fit(mutator, root[1], 0);
    times.forget = 2 * (now_ns() - start) / (double)count;
    close_heap();
    return times;
}

static void tables(size_t count)
{
    struct table_times strong = table(GC_TABLE_STRONG, count);
    struct table_times weak = table(GC_TABLE_WEAK_KEYS, count);

    printf("tables of %zu, insert: strong %.0f ns, weak keys %.0f ns, ratio %.2f\n", count,
           strong.put, weak.put, weak.put / strong.put);
    printf("tables of %zu, look up: strong %.0f ns, weak keys %.0f ns, ratio %.2f\n", count,
           strong.get, weak.get, weak.get / strong.get);
    printf("tables of %zu, half dead: %.0f ns each in the pause, over one without deaths; "
           "%.0f ns to drop from the table\n",
           count, weak.clear, weak.forget);
}

/* A minor collection of an all but empty nursery, amid so many old ones. */
static double minor_pause(void)
{
    gc_report report = {.size = sizeof report};
    double least = 1e18;

    for (int i = 0; i < 20; i++) {
        for (int j = 0; j < 100; j++)
            (void)new_node(0);
        gc_collect(mutator, GC_YOUNG, &report);
        least = (double)report.pause_ns < least ? (double)report.pause_ns : least;
    }
    return least;
}

enum old_kind { OBJECTS, WEAKREFS, WATCHED, EPHEMERONS, ENTRIES, FINALIZERS };

static const struct {
    const char *name;
    enum old_kind kind;
    gc_table_kind table;
} old_kinds[] = {{"plain objects", OBJECTS, GC_TABLE_STRONG},
                 {"weak references", WEAKREFS, GC_TABLE_STRONG},
                 {"weak references with callback", WATCHED, GC_TABLE_STRONG},
                 {"ephemerons", EPHEMERONS, GC_TABLE_STRONG},
                 {"entries of a weak-key table", ENTRIES, GC_TABLE_WEAK_KEYS},
                 {"entries of a weak-value table", ENTRIES, GC_TABLE_WEAK_VALUES},
                 {"entries of a weak set", ENTRIES, GC_TABLE_WEAK_SET},
                 {"entries of a strong table", ENTRIES, GC_TABLE_STRONG},
                 {"finalizers", FINALIZERS, GC_TABLE_STRONG}};

static void ignore_weakref(gc_mutator *m, gc_weakref *weakref, void *data)
{
    (void)m;
    (void)weakref;
    (void)data;
}

static void put(void *key)
{
    if (gc_table_put(mutator, root[2], key, key) != GC_OK)
        need(NULL);
}

/* Something of the kind about the object in root[3], kept in root[1] or [2]. */
static void make_old_one(enum old_kind kind, size_t i)
{
    if (kind == WEAKREFS)
        store(1, i, need(gc_weakref_create(mutator, root[3], 0)));
    else if (kind == WATCHED)
        store(1, i, need(gc_weakref_create_watching(mutator, root[3], 0, ignore_weakref, NULL)));
    else if (kind == EPHEMERONS)
        store(1, i, need(gc_ephemeron_create(mutator, root[3], root[3])));
    else if (kind == FINALIZERS)
        add_finalizer(root[3]);
    else if (kind == ENTRIES)
        put(root[3]);
}

static double minor_pause_amid(enum old_kind kind, gc_table_kind table_kind, size_t count)
{
    double pause;

    open_heap();
    root[0] = need(gc_alloc_array(mutator, &gc_type_references, count));
    root[1] = need(gc_alloc_array(mutator, &gc_type_references, count));
    root[2] = need(gc_table_create(mutator, table_kind, NULL, NULL, NULL));
    for (size_t i = 0; i < count; i++) {
        store(0, i, root[3] = new_node(i));
        make_old_one(kind, i);
    }
    root[3] = NULL;
    gc_collect(mutator, GC_OLD, NULL);
    gc_collect(mutator, GC_OLD, NULL);
    pause = minor_pause();
    close_heap();
    return pause;
}

static void curves(void)
{
    static const double counts[] = {0, 1e3, 10e3, 100e3, 1e6};
    enum { COUNTS = sizeof counts / sizeof *counts };

    printf("minor pause in us amid so many old");
    for (int i = 0; i < COUNTS; i++)
        printf(" %8zu", (size_t)(counts[i] * scale));
    for (size_t kind = 0; kind < sizeof old_kinds / sizeof *old_kinds; kind++) {
        printf("\n    %-30s", old_kinds[kind].name);
        for (int i = 0; i < COUNTS; i++) {
            size_t count = (size_t)(counts[i] * scale);

            printf(" %8.2f",
                   minor_pause_amid(old_kinds[kind].kind, old_kinds[kind].table, count) / 1e3);
        }
    }
    printf("\n");
}

static bool shall(const char *part, int count, char **arguments)
{
    return count <= 2 || strcmp(arguments[2], part) == 0;
}

int main(int count, char **arguments)
{
    if (count > 1)
        scale = strtod(arguments[1], NULL);
    if (shall("chain", count, arguments)) {
        chain(scaled(100e3));
        chain(scaled(700e3));
        chain(scaled(3e6));
    }
    if (shall("finalizers", count, arguments))
        finalizers(scaled(1e6));
    if (shall("tables", count, arguments))
        tables(scaled(1e6));
    if (shall("curves", count, arguments))
        curves();
    return 0;
}
