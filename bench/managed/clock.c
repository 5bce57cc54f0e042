/* SPDX-License-Identifier: MIT
 *
 * The monotonic clock for bench.ml: OCaml's own has microseconds at best.
 */
#include <caml/mlvalues.h>
#include <stdint.h>
#include <time.h>

intnat bench_now(value unit)
{
    struct timespec now;

    (void)unit;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (intnat)now.tv_sec * 1000000000 + now.tv_nsec;
}

value bench_now_boxed(value unit)
{
    return Val_long(bench_now(unit));
}
