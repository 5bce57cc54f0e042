/* SPDX-License-Identifier: MIT
 *
 * What a second thread gains, also on a machine that is not idle. Each thread
 * does the same small piece of work over and over and times each; medians are
 * compared, so that pieces in which a thread had no core do not count. First
 * what the machine can do at all: arithmetic, and filling memory of a thread's
 * own. Then objects that die at once, and what a collection of nothing costs
 * with other threads attached.
 *
 *   scaling [SECONDS]    for each measurement; 0.5
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <strata/gc.h>

enum { MOST_THREADS = 8, MOST_PIECES = 1 << 18, OBJECTS = 27000 };

typedef struct object {
    struct object *next;
    uint64_t values[3];
} object;

static const uint32_t offsets[] = {offsetof(object, next)};
static const gc_type object_type = GC_TYPE_STRUCT("object", object, offsets);

struct lane {
    void (*piece)(struct lane *lane);
    gc_heap *heap;
    gc_mutator *mutator;
    unsigned char *memory;
    size_t memory_bytes;
    unsigned core;
    double *pieces; /* seconds of each */
    size_t count;
    pthread_t thread;
};

static atomic_uint ready;
static atomic_bool go, stop;
static double seconds = 0.5;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* ---- Pieces: tens of microseconds each ---- */

static void compute(struct lane *lane)
{
    uint64_t x = lane->core;

    for (int i = 0; i < 50000; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    __asm__ volatile("" : : "r"(x));
}

static void fill(struct lane *lane)
{
    memset(lane->memory, 0, lane->memory_bytes);
    __asm__ volatile("" : : "r"(lane->memory) : "memory");
}

static void allocate(struct lane *lane)
{
    for (uint64_t i = 0; i < OBJECTS; i++) {
        object *o = need(gc_alloc(lane->mutator, &object_type));

        o->values[0] = i;
        o->values[1] = 1;
        o->values[2] = 2;
        __asm__ volatile("" : : "r"(o) : "memory");
    }
}

static void collect(struct lane *lane)
{
    gc_collect(lane->mutator, 0, NULL);
}

static void await_safepoints(struct lane *lane)
{
    for (int i = 0; i < 1000; i++)
        gc_safepoint(lane->mutator);
}

/* ---- Running them ---- */

/* Else a busy system may keep all threads on one core for the whole time. */
static void keep_to_core(unsigned core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0)
        fputs("threads cannot be kept to cores\n", stderr);
}

static void poll(const struct lane *lane)
{
    if (lane->mutator != NULL)
        gc_safepoint(lane->mutator);
}

static void repeat(struct lane *lane)
{
    double before = now();

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        double after;

        lane->piece(lane);
        after = now();
        if (lane->count < MOST_PIECES)
            lane->pieces[lane->count++] = after - before;
        before = after;
    }
}

static void *run(void *data)
{
    struct lane *lane = data;

    keep_to_core(lane->core);
    if (lane->heap != NULL && gc_mutator_attach(lane->heap, &lane->mutator) != GC_OK)
        need(NULL);
    lane->piece(lane);
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&go))
        poll(lane);
    repeat(lane);
    if (lane->mutator != NULL)
        gc_mutator_detach(lane->mutator);
    return NULL;
}

static void await_nanoseconds(long ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};

    nanosleep(&t, NULL);
}

static void start(struct lane *lanes, unsigned count)
{
    unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);

    atomic_store(&ready, 0);
    atomic_store(&go, false);
    atomic_store(&stop, false);
    for (unsigned i = 0; i < count; i++) {
        lanes[i].core = i % cores;
        lanes[i].pieces = need(malloc(MOST_PIECES * sizeof *lanes[i].pieces));
        if (pthread_create(&lanes[i].thread, NULL, run, &lanes[i]) != 0)
            need(NULL);
    }
    while (atomic_load(&ready) < count)
        await_nanoseconds(1000000);
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(struct lane *lane)
{
    qsort(lane->pieces, lane->count, sizeof *lane->pieces, by_time);
    return lane->count == 0 ? 0 : lane->pieces[lane->count / 2];
}

/* Runs all; returns the median of the first one's pieces. */
static double measure(struct lane *lanes, unsigned count)
{
    double result;

    start(lanes, count);
    atomic_store(&go, true);
    await_nanoseconds((long)(seconds * 1e9));
    atomic_store(&stop, true);
    for (unsigned i = 0; i < count; i++)
        pthread_join(lanes[i].thread, NULL);
    result = median(&lanes[0]);
    for (unsigned i = 0; i < count; i++)
        free(lanes[i].pieces);
    return result;
}

static void compare(const char *what, double one, double two)
{
    printf("%-28s %8.2f %8.2f   %.2f times\n", what, one * 1e6, two * 1e6, 2 * one / two);
    fflush(stdout);
}

static void compare_machine(const char *what, void (*piece)(struct lane *lane), size_t bytes)
{
    double times[2];

    for (unsigned count = 1; count <= 2; count++) {
        struct lane lanes[2] = {0};

        for (unsigned i = 0; i < count; i++) {
            lanes[i].piece = piece;
            lanes[i].memory_bytes = bytes;
            lanes[i].memory = bytes == 0 ? NULL : need(malloc(bytes));
        }
        times[count - 1] = measure(lanes, count);
        for (unsigned i = 0; i < count; i++)
            free(lanes[i].memory);
    }
    compare(what, times[0], times[1]);
}

static gc_heap *new_heap(void)
{
    gc_options options;
    gc_heap *heap;

    gc_options_init(&options);
    if (gc_heap_create(&options, &heap) != GC_OK)
        need(NULL);
    return heap;
}

static void compare_allocation(void)
{
    double times[2];

    for (unsigned count = 1; count <= 2; count++) {
        gc_heap *heap = new_heap();
        struct lane lanes[2] = {{.piece = allocate, .heap = heap},
                                {.piece = allocate, .heap = heap}};

        times[count - 1] = measure(lanes, count);
        gc_heap_destroy(heap);
    }
    compare("dead objects, 27,000", times[0], times[1]);
}

/* The other threads run, and poll. */
static void measure_collection(unsigned threads)
{
    gc_heap *heap = new_heap();
    struct lane lanes[MOST_THREADS] = {{.piece = collect, .heap = heap}};

    for (unsigned i = 1; i < threads; i++)
        lanes[i] = (struct lane){.piece = await_safepoints, .heap = heap};
    printf("collection of nothing, %u running: %.2f\n", threads, measure(lanes, threads) * 1e6);
    fflush(stdout);
    gc_heap_destroy(heap);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = strtod(argv[1], NULL);
    printf("%-28s %8s %8s   (microseconds)\n", "", "1 thread", "2");
    compare_machine("arithmetic", compute, 0);
    compare_machine("filling 1 MiB", fill, 1 << 20);
    compare_machine("filling 4 MiB", fill, 4 << 20);
    compare_allocation();
    for (unsigned threads = 1; threads <= 4; threads *= 2)
        measure_collection(threads);
    return 0;
}
