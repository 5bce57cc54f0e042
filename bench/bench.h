/* SPDX-License-Identifier: MIT
 *
 * What every workload shares: the clock, the latencies, a random sequence, and
 * the one line that it prints, of which bench/run makes a row:
 *
 *   workload=lru subject=mimalloc scale=1 wall_s=0.951 ... check=9c3f...
 *
 * A program is called `PROGRAM [SCALE [PARAMETER]]`.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "subject.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <time.h>

enum {
    BENCH_SUB_LOG2 = 5, /* buckets of the histogram per power of two, as log2: 3 % wide */
    BENCH_BUCKETS = 64 << BENCH_SUB_LOG2,
    BENCH_LEAST_OPERATIONS = 100, /* for percentiles to mean anything */
    BENCH_FIGURES = 10
};

typedef struct bench {
    double scale;      /* 1 is the size that the tables use */
    int parameter;     /* the workload's own, 0 if none was given */
    unsigned lane;     /* which of those that share the work: see threads.h */
    unsigned threads;  /* how many do, at least 1 */
    size_t live_bytes; /* payload that the program can reach when it holds most:
                          by its own count, hence the same for all subjects */
    double objects;    /* made in all, where a workload says: to show that they were */
    uint64_t start_ns, stop_ns;
    struct rusage start_usage, stop_usage;
    long peak_kib;
    uint64_t last_ns, worst_ns, operations;
    uint64_t latencies[BENCH_BUCKETS];
    const char *figure_names[BENCH_FIGURES];
    double figures[BENCH_FIGURES];
    int figure_count;
} bench;

static inline uint64_t bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A line of /proc/self/status in KiB. VmHWM is this program's peak alone;
 * getrusage's would inherit that of the process that started it. */
static inline long bench_status_kib(const char *key)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtol(line + strlen(key) + 1, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kib;
}

/* Called before the subject is opened; a workload that measures only a part
 * calls it again where that part begins. */
static inline void bench_start(bench *b)
{
    getrusage(RUSAGE_SELF, &b->start_usage);
    b->start_ns = bench_now();
}

/* The first call counts: a workload that still has to compute its check calls
 * it before. */
static inline void bench_stop(bench *b)
{
    if (b->stop_ns != 0)
        return;
    b->stop_ns = bench_now();
    getrusage(RUSAGE_SELF, &b->stop_usage);
    b->peak_kib = bench_status_kib("VmHWM");
}

static inline void bench_figure(bench *b, const char *name, double value)
{
    if (b->figure_count < BENCH_FIGURES) {
        b->figure_names[b->figure_count] = name;
        b->figures[b->figure_count++] = value;
    }
}

/* ---- Latencies ---------------------------------------------------------- */

static inline unsigned bench_bucket(uint64_t ns)
{
    unsigned shift;

    if (ns < 2u << BENCH_SUB_LOG2)
        return (unsigned)ns;
    shift = 63u - (unsigned)__builtin_clzll(ns) - BENCH_SUB_LOG2;
    return (shift << BENCH_SUB_LOG2) + (unsigned)(ns >> shift);
}

/* The least value of a bucket, in ns. */
static inline double bench_bucket_ns(unsigned bucket)
{
    unsigned shift = bucket >> BENCH_SUB_LOG2;
    unsigned sub = bucket & ((1u << BENCH_SUB_LOG2) - 1);

    if (shift <= 1)
        return bucket;
    return (double)((uint64_t)(sub + (1u << BENCH_SUB_LOG2)) << (shift - 1));
}

static inline void bench_record(bench *b, uint64_t ns)
{
    b->latencies[bench_bucket(ns)]++;
    b->operations++;
    if (ns > b->worst_ns)
        b->worst_ns = ns;
}

/* Between operations: one reading of the clock ends one and begins the next. */
static inline void bench_tick(bench *b)
{
    uint64_t now = bench_now();

    if (b->last_ns != 0)
        bench_record(b, now - b->last_ns);
    b->last_ns = now;
}

static inline double bench_percentile_us(const bench *b, double fraction)
{
    uint64_t wanted = (uint64_t)((double)b->operations * fraction), seen = 0;

    for (unsigned i = 0; i < BENCH_BUCKETS; i++) {
        seen += b->latencies[i];
        if (seen > wanted)
            return bench_bucket_ns(i) / 1e3;
    }
    return (double)b->worst_ns / 1e3;
}

/* ---- Chance and digests ------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014): the same sequence for every subject. */
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return mix(*state);
}

/* 0 to limit - 1; the bias of the multiplication does not matter here. */
static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)random_next(state) * limit) >> 64);
}

static inline uint64_t digest(uint64_t check, uint64_t value)
{
    return mix(check * 31 + value);
}

/* Keeps the compiler from seeing that an object is never used. */
static inline void bench_escape(const void *object)
{
    __asm__ volatile("" : : "r"(object) : "memory");
}

/* `count` at this scale, at least `least`. */
static inline size_t bench_scaled(const bench *b, double count, size_t least)
{
    double scaled = count * b->scale;

    return scaled < (double)least ? least : (size_t)(scaled + 0.5);
}

/* This thread's share of `count` at this scale, at least `least`. */
static inline size_t bench_shared(const bench *b, double count, size_t least)
{
    return bench_scaled(b, count / b->threads, least);
}

/* ---- The program -------------------------------------------------------- */

static inline double bench_seconds(const struct timeval *from, const struct timeval *to)
{
    return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_usec - from->tv_usec) / 1e6;
}

static inline void bench_print_pauses(const bench *b, subject *s)
{
    double collector = subject_pause_max_us(s);

    if (b->operations > 0)
        printf(" max_pause_us=%.3f", (double)b->worst_ns / 1e3);
    else if (collector >= 0)
        printf(" max_pause_us=%.3f", collector);
    if (b->operations >= BENCH_LEAST_OPERATIONS)
        printf(" p999_us=%.3f p50_us=%.3f p90_us=%.3f p99_us=%.3f p9999_us=%.3f",
               bench_percentile_us(b, 0.999), bench_percentile_us(b, 0.5),
               bench_percentile_us(b, 0.9), bench_percentile_us(b, 0.99),
               bench_percentile_us(b, 0.9999));
    if (collector >= 0)
        printf(" gc_max_pause_us=%.3f", collector);
}

static inline void bench_print(const bench *b, subject *s, uint64_t check)
{
    printf("workload=%s subject=%s scale=%g", BENCH_WORKLOAD, BENCH_SUBJECT, b->scale);
    printf(" wall_s=%.6f user_s=%.6f sys_s=%.6f", (double)(b->stop_ns - b->start_ns) / 1e9,
           bench_seconds(&b->start_usage.ru_utime, &b->stop_usage.ru_utime),
           bench_seconds(&b->start_usage.ru_stime, &b->stop_usage.ru_stime));
    printf(" peak_kib=%ld live_kib=%zu", b->peak_kib, b->live_bytes / 1024);
    bench_print_pauses(b, s);
    if (b->objects > 0 && subject_allocated_bytes(s) > 0)
        printf(" bytes_per_object=%.2f", subject_allocated_bytes(s) / b->objects);
    for (int i = 0; i < b->figure_count; i++)
        printf(" %s=%.4f", b->figure_names[i], b->figures[i]);
    printf(" check=%016" PRIx64 "\n", check);
}

/* Runs `work`, which returns the digest of its result. */
static inline int bench_main(int argc, char **argv, uint64_t (*work)(subject *s, bench *b))
{
    static bench b; /* static: its zeroes cost nothing, and it is no stack to scan */
    subject *s;
    uint64_t check;

    b.scale = argc > 1 ? strtod(argv[1], NULL) : 1;
    b.parameter = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    b.threads = 1;
    if (!(b.scale > 0)) {
        fprintf(stderr, "usage: %s [SCALE [PARAMETER]]\n", argv[0]);
        return 2;
    }
    bench_start(&b);
    s = subject_open();
    check = work(s, &b);
    bench_stop(&b);
    bench_print(&b, s, check);
    subject_close(s);
    return 0;
}

#endif
