/* SPDX-License-Identifier: MIT
 *
 * Accesses that the system refuses, explained before they end the program. The
 * handler is installed while there is a watcher, and no longer. It passes on to
 * the one that was there what no watcher explains.
 */
#ifndef STRATA_FAULT_H
#define STRATA_FAULT_H

#include <stdbool.h>
#include <stdint.h>

struct gc_fault_watcher {
    /* Called in the signal's handler: true if it has said what the address
     * was. The program is then ended as without a handler. */
    bool (*explain)(uintptr_t address, void *data);
    void *data;
    struct gc_fault_watcher *next;
};

/* The watcher is the caller's until it is taken away. Thread: any. */
void gc_fault_watch(struct gc_fault_watcher *watcher);
void gc_fault_unwatch(struct gc_fault_watcher *watcher);

/* Writes to the standard error stream; may be called in a signal's handler. */
void gc_fault_write(const char *text);

#endif
