/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void read_all(int from, char *text, size_t size)
{
    size_t length = 0;
    ssize_t got;

    while (length < size - 1 && (got = read(from, text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
}

int run_in_child(void (*act)(void *data), void *data, char *text, size_t size)
{
    struct rlimit no_core = {0, 0};
    int ends[2], status = 0;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(ends[1], STDERR_FILENO);
        act(data);
        _exit(0);
    }
    (void)close(ends[1]);
    read_all(ends[0], text, size);
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

void end_by_faults(void)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], SIG_DFL);
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
}
