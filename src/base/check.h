/* SPDX-License-Identifier: MIT
 *
 * Messages that end the program: a broken invariant of ours, or a misuse of
 * ours by the embedder.
 */
#ifndef STRATA_CHECK_H
#define STRATA_CHECK_H

/* A broken invariant: prints its tag and place, and aborts. */
#define GC_CHECK(condition, tag) \
    ((condition) ? (void)0 : gc_check_failed(tag, #condition, __FILE__, __LINE__))

_Noreturn void gc_check_failed(const char *tag, const char *condition, const char *file, int line);

/* "strata: gc_root_add: this slot is registered already", and abort. */
_Noreturn void gc_misuse(const char *function, const char *cause);

#endif
