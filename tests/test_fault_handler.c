/* SPDX-License-Identifier: MIT
 *
 * The handler of refused accesses: whom it asks, to whom it passes on, and what
 * it leaves when it goes.
 */
#define _XOPEN_SOURCE 700 /* NOLINT(bugprone-reserved-identifier): sigaction's flags */

#include "os/fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/child.h"
#include "support/heap.h"

static char *volatile nowhere = (char *)64;

static void say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static bool explain_none(uintptr_t address, void *data)
{
    (void)address;
    (void)data;
    say("asked\n");
    return false;
}

static struct gc_fault_watcher watcher = {.explain = explain_none};

static void touch_nowhere(void)
{
    *nowhere = 1;
}

static void raise_it(void)
{
    (void)raise(SIGSEGV);
}

/* ---- Children ----------------------------------------------------------- */

struct fate {
    const struct sigaction *first; /* what is there before the watcher */
    void (*end)(void);
    bool unwatched;
};

static void meet(void *data)
{
    const struct fate *fate = data;

    (void)sigaction(SIGSEGV, fate->first, NULL);
    gc_fault_watch(&watcher);
    if (fate->unwatched)
        gc_fault_unwatch(&watcher);
    fate->end();
}

/* What is said, and by which signal or with which status the child ends. */
static void expect_end(const struct fate *fate, int signal, int status, const char *text)
{
    char said[1000];
    struct fate copy = *fate;
    int ended = run_in_child(meet, &copy, said, sizeof said);

    assert_string_equal(said, text);
    assert_int_equal(WIFSIGNALED(ended) ? WTERMSIG(ended) : 0, signal);
    if (signal == 0 && getenv("STRATA_UNDER_VALGRIND") == NULL) /* its status tells of the access */
        assert_int_equal(WEXITSTATUS(ended), status);
}

/* ---- To whom it passes on ------------------------------------------------ */

static void end_plainly(int sign)
{
    say(sign == SIGSEGV ? "plain\n" : "?");
    _exit(3);
}

static void end_informed(int sign, siginfo_t *info, void *context)
{
    say(sign == SIGSEGV && context != NULL && info->si_addr == (void *)64 ? "informed\n" : "?");
    _exit(4);
}

static const struct sigaction none = {.sa_handler = SIG_DFL};
static const struct sigaction ignored = {.sa_handler = SIG_IGN};
static const struct sigaction plain = {.sa_handler = end_plainly};
static const struct sigaction informed = {.sa_sigaction = end_informed, .sa_flags = SA_SIGINFO};

static void a_fault_that_nobody_explains_is_passed_on(void **state)
{
    (void)state;
    if (has_sanitizer())
        skip(); /* it has a handler of its own */
    expect_end(&(struct fate){&none, touch_nowhere, false}, SIGSEGV, 0, "asked\n");
    expect_end(&(struct fate){&ignored, touch_nowhere, false}, SIGSEGV, 0, "asked\n");
    expect_end(&(struct fate){&plain, touch_nowhere, false}, 0, 3, "asked\nplain\n");
    expect_end(&(struct fate){&informed, touch_nowhere, false}, 0, 4, "asked\ninformed\n");
}

/* It is no access, so there is no address to explain. */
static void a_signal_that_was_sent_is_passed_on_unasked(void **state)
{
    (void)state;
    if (has_sanitizer())
        skip();
    expect_end(&(struct fate){&none, raise_it, false}, SIGSEGV, 0, "");
    expect_end(&(struct fate){&plain, raise_it, false}, 0, 3, "plain\n");
}

/* Its own handler, over ours, passes on to ours, which must not ask it again. */
static struct sigaction below;

static void pass_back(int sign, siginfo_t *info, void *context)
{
    say("over\n");
    below.sa_sigaction(sign, info, context);
}

static const struct sigaction over = {.sa_sigaction = pass_back, .sa_flags = SA_SIGINFO};

static void put_over_and_watch_again(void)
{
    static struct gc_fault_watcher second = {.explain = explain_none};

    (void)sigaction(SIGSEGV, &over, &below);
    gc_fault_watch(&second);
    touch_nowhere();
}

static void two_that_pass_on_to_each_other_come_to_an_end(void **state)
{
    (void)state;
    if (has_sanitizer())
        skip();
    expect_end(&(struct fate){&none, put_over_and_watch_again, false}, SIGSEGV, 0,
               "asked\nasked\nover\nasked\nasked\n");
}

/* ---- Coming and going ---------------------------------------------------- */

static void without_watchers_it_is_gone(void **state)
{
    (void)state;
    if (has_sanitizer())
        skip();
    expect_end(&(struct fate){&plain, touch_nowhere, true}, 0, 3, "plain\n");
    expect_end(&(struct fate){&informed, touch_nowhere, true}, 0, 4, "informed\n");
}

static void put_over_and_unwatch(void)
{
    struct sigaction now;

    (void)sigaction(SIGSEGV, &informed, NULL);
    gc_fault_unwatch(&watcher);
    (void)sigaction(SIGSEGV, NULL, &now);
    say(now.sa_sigaction == end_informed ? "stays\n" : "goes\n");
    _exit(0);
}

static void what_others_put_over_it_stays(void **state)
{
    (void)state;
    expect_end(&(struct fate){&none, put_over_and_unwatch, false}, 0, 0, "stays\n");
}

/* ---- Writing -------------------------------------------------------------- */

static void write_to_none(void *data)
{
    (void)data;
    (void)close(STDERR_FILENO);
    gc_fault_write("unheard");
    _exit(5);
}

static void without_a_stream_nothing_is_written(void **state)
{
    char said[100];
    int ended = run_in_child(write_to_none, NULL, said, sizeof said);

    (void)state;
    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 5);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_that_nobody_explains_is_passed_on),
        cmocka_unit_test(a_signal_that_was_sent_is_passed_on_unasked),
        cmocka_unit_test(two_that_pass_on_to_each_other_come_to_an_end),
        cmocka_unit_test(without_watchers_it_is_gone),
        cmocka_unit_test(what_others_put_over_it_stays),
        cmocka_unit_test(without_a_stream_nothing_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
