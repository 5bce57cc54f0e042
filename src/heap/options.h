/* SPDX-License-Identifier: MIT
 *
 * A heap's options: defaults, the settings string, and what is wrong with them.
 */
#ifndef STRATA_OPTIONS_H
#define STRATA_OPTIONS_H

#include <strata/gc.h>

struct gc_settings {
    gc_options options;  /* complete: no field left at "default" */
    unsigned stress;     /* GC_STRESS_... */
    size_t stress_every; /* safepoints from one collection to the next */
    size_t stress_seed;  /* 0: exactly so many */
};

enum { GC_LEAST_LIMIT = 1 << 20 }; /* of hard_limit, bytes */

/* Completes `options` (may be NULL), then applies its settings string and the
 * environment's. On failure `why` (GC_WHY_BYTES) gets one sentence. */
enum { GC_WHY_BYTES = 512 };
gc_status gc_settings_read(const gc_options *options, struct gc_settings *settings, char *why);

#endif
