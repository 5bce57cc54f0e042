/* SPDX-License-Identifier: MIT
 *
 * A fixed piece of work, half arithmetic and half misses of the cache; prints
 * the seconds that each took. Its spread over a session says how steady the
 * machine was.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { WORDS = 1 << 23, STEPS = 300000, SPINS = 20000000 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t spin(void)
{
    uint64_t x = 1;

    for (int i = 0; i < SPINS; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

/* A full-period congruential walk: each step depends on the one before, and
 * the next line is nowhere near. */
static uint64_t chase(const uint32_t *words)
{
    uint32_t at = 1;

    for (int i = 0; i < STEPS; i++)
        at = (words[at] + at * 1664525u + 1013904223u) & (WORDS - 1);
    return at;
}

int main(void)
{
    uint32_t *words = mmap(NULL, WORDS * sizeof *words, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile uint64_t sink;
    double start, middle;

    if (words == MAP_FAILED)
        return 1;
    for (size_t i = 0; i < WORDS; i += 1024)
        words[i] = 0; /* touched before it is timed */
    start = now();
    sink = spin();
    middle = now();
    sink = chase(words);
    (void)sink;
    printf("%.6f %.6f\n", middle - start, now() - middle);
    return 0;
}
