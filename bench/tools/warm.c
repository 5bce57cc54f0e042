/* SPDX-License-Identifier: MIT
 *
 * `bench_warm MIB`: touches that much memory and gives it back, so that the
 * host's supply of pages is not what the next program measures. A process of
 * its own, so that it counts in nobody's peak.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) << 20 : 0;
    void *memory;

    if (bytes == 0)
        return 0;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("warm");
        return 1;
    }
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* only faster */
    memset(memory, 1, bytes);
    return 0;
}
