/* SPDX-License-Identifier: MIT
 *
 * What a fuzzing target has in common with the driver that replays inputs.
 */
#ifndef STRATA_FUZZ_TARGET_H
#define STRATA_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* As libFuzzer wants them. */
int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
