/* SPDX-License-Identifier: MIT
 *
 * For tests/mutants/reach.py, in a program built with -fsanitize-coverage=trace-pc
 * at a fixed address: notes in the file $STRATA_REACH which basic blocks ran, a
 * byte for each address of its text. The file is shared memory, so that what a
 * child ran, and what ran before an abort, is in it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern char __executable_start[], etext[];
void __sanitizer_cov_trace_pc(void);

static unsigned char *ran;

__attribute__((constructor(101))) static void reach_open(void)
{
    const char *path = getenv("STRATA_REACH");
    size_t bytes = (size_t)(etext - __executable_start);
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (file < 0)
        return;
    if (ftruncate(file, (off_t)bytes) == 0) {
        void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

        ran = map == MAP_FAILED ? NULL : map;
    }
    close(file);
}

void __sanitizer_cov_trace_pc(void)
{
    if (ran != NULL)
        ran[(uintptr_t)__builtin_return_address(0) - (uintptr_t)__executable_start] = 1;
}
