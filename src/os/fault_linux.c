/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "os/fault.h"

#include "os/threads.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* One store changes the list: a signal, or a fork, may come at any moment. */
static struct gc_fault_watcher *watchers;
static struct sigaction previous;
static struct gc_spin spin; /* guards both */

/* Set while the previous handler runs: if that one calls us in turn, nobody is
 * left to ask. */
static _Thread_local bool passing_on;

void gc_fault_write(const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t written = write(STDERR_FILENO, text, left);

        if (written <= 0)
            return;
        text += written;
        left -= (size_t)written;
    }
}

/* The access is repeated when the handler returns, and ends the program where
 * it stands, for a debugger to see. A signal that was sent is sent again. */
static void end_as_without(int sign, const siginfo_t *info)
{
    (void)signal(sign, SIG_DFL);
    if (info->si_code <= 0)
        (void)raise(sign);
}

static void pass_on(int sign, siginfo_t *info, void *context)
{
    bool is_plain = !(previous.sa_flags & SA_SIGINFO);

    if (passing_on ||
        (is_plain && (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN))) {
        end_as_without(sign, info);
        return;
    }
    passing_on = true;
    if (is_plain)
        previous.sa_handler(sign);
    else
        previous.sa_sigaction(sign, info, context);
    passing_on = false;
}

static void on_fault(int sign, siginfo_t *info, void *context)
{
    const struct gc_fault_watcher *watcher;

    for (watcher = watchers; info->si_code > 0 && watcher != NULL; watcher = watcher->next)
        if (watcher->explain((uintptr_t)info->si_addr, watcher->data)) {
            end_as_without(sign, info);
            return;
        }
    pass_on(sign, info, context);
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_fault;
}

static void install(void)
{
    struct sigaction now, ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK};

    if (sigaction(SIGSEGV, NULL, &now) != 0 || is_ours(&now))
        return;
    previous = now;
    ours.sa_mask = now.sa_mask;
    ours.sa_flags |= now.sa_flags & SA_NODEFER;
    ours.sa_sigaction = on_fault;
    (void)sigaction(SIGSEGV, &ours, NULL);
}

/* What others put over ours stays, and ours below it. */
static void uninstall(void)
{
    struct sigaction now;

    if (sigaction(SIGSEGV, NULL, &now) == 0 && is_ours(&now))
        (void)sigaction(SIGSEGV, &previous, NULL);
}

void gc_fault_watch(struct gc_fault_watcher *watcher)
{
    gc_spin_take(&spin);
    watcher->next = watchers;
    __atomic_store_n(&watchers, watcher, __ATOMIC_RELEASE);
    install();
    gc_spin_give(&spin);
}

void gc_fault_unwatch(struct gc_fault_watcher *watcher)
{
    struct gc_fault_watcher **link = &watchers;

    gc_spin_take(&spin);
    while (*link != watcher)
        link = &(*link)->next;
    *link = watcher->next;
    if (watchers == NULL)
        uninstall();
    gc_spin_give(&spin);
}
