# SPDX-License-Identifier: MIT
"""Exact counts of instructions, for where the clock is too noisy: those of a
workload with the functions that take most, and those of single operations."""
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import results, subjects, workloads

SIZES = {"allocate": (200000, 600000)}  # collections, too
SMALL_SIZES = (1000, 4000)              # in the smallest nursery, traced in cache
LARGE_SIZES = (10000, 30000)            # of modes that end so: traced with prefetching
LARGE = "-large"
FUNCTIONS_SHOWN = 15

# valgrind counts each byte of `rep stosb` as an instruction: the C library is
# asked to do without.
ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.cpu.x86_rep_stosb_threshold=1000000000:"
                                 "glibc.cpu.x86_rep_movsb_threshold=1000000000"}

@dataclass(frozen=True)
class Cost:
    name: str
    mode: str  # of tools/costs.c
    base: str  # the mode that is taken off
    most: int  # instructions: a fifth or so above what was counted when this was written
    what: str


COSTS = [
    Cost("allocation", "allocate", "loop", 15, "objects of 32 bytes that die, with collections"),
    Cost("barrier, young object", "barrier-young", "loop", 7, "the fast path"),
    Cost("barrier, old object, noted", "barrier-old-noted", "walk", 7,
         "stored into since a collection"),
    Cost("barrier, old object, first", "barrier-old-first", "walk", 140,
         "stores a young one: is noted"),
    Cost("barrier, old to old", "barrier-old-to-old", "walk", 60, "stores a reference no younger"),
    Cost("object marked, tree", "mark-tree", "loop", 195, "full collection, two references"),
    Cost("object marked, list", "mark-list", "loop", 195, "the same, one edge at a time"),
    Cost("object copied, tree", "copy-tree", "loop", 255, "young collection, a quarter survives"),
    Cost("object copied, list", "copy-list", "loop", 270, "the same, one edge at a time"),
    Cost("marked, large tree", "mark-tree-large", "loop", 250, "with prefetching"),
    Cost("marked, large list", "mark-list-large", "loop", 310, "with prefetching"),
    Cost("copied, large tree", "copy-tree-large", "loop", 260, "with prefetching"),
    Cost("copied, large list", "copy-list-large", "loop", 250, "with prefetching"),
]


def instructions(command):
    """How many the program executes, and by which functions."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                               *command], capture_output=True, text=True, check=False,
                              env={**os.environ, **ENVIRONMENT})
        found = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode != 0 or not found:
            raise SystemExit(f"callgrind failed: {' '.join(command)}\n{done.stderr[-1500:]}")
        top = subprocess.run(["callgrind_annotate", out], capture_output=True, text=True,
                             check=False).stdout
        return int(found.group(1)), top


def operation(build, mode):
    """Instructions for each operation, by differences over the size and over
    whether the operations are done at all."""
    def count(size, rounds):
        return instructions([os.path.join(build, "costs"), mode.removesuffix(LARGE), str(size),
                             str(rounds)])[0]
    small, large = LARGE_SIZES if mode.endswith(LARGE) else SIZES.get(mode, SMALL_SIZES)
    return (count(large, 1) - count(large, 0) - count(small, 1) + count(small, 0)) / (large - small)


def count_operations(build, modes):
    """Instructions for each operation, by mode. Two at a time: they are many and short."""
    subjects.run_quietly(["cmake", "--build", build, "--target", "bench-costs"])
    wanted = [cost for cost in COSTS if cost.mode in modes]
    runs = sorted({mode for cost in wanted for mode in (cost.mode, cost.base)})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        known = dict(zip(runs, pool.map(lambda mode: operation(build, mode), runs)))
    return {cost.mode: known[cost.mode] - known[cost.base] for cost in wanted}


def print_operations(build):
    counted = count_operations(build, [cost.mode for cost in COSTS])
    lines = [[f"{cost.name}: {cost.what}", f"{counted[cost.mode]:.1f}"] for cost in COSTS]
    print(results.text_table(["operation", "instructions"], lines))


def hottest(annotated):
    """The table of functions, without paths that say where it was built."""
    lines = []
    for line in annotated.splitlines():
        found = re.match(r"\s*([\d,]+) \(\s*([\d.]+%)\)\s+(\S+)", line)
        if found and found.group(3) != "PROGRAM":
            name = re.sub(r"^.*?([^/]+:[^/]+)$", r"\1", found.group(3))
            lines.append([name, found.group(1), found.group(2)])
    return lines[:FUNCTIONS_SHOWN]


def count_workload(options, workload):
    scale = options.scale * workload.quick
    native = subjects.configure(options.build_dir)
    for subject in native:
        wanted = options.subject or ["strata"]
        if subject.name in wanted and subject.runs(workload):
            subjects.build_native(options.build_dir, [(workload, subject)])
            total, annotated = instructions(subject.command(options.build_dir, workload, scale))
            print(f"\n{workload.name} for {subject.name} at scale {scale:g}: "
                  f"{total:,} instructions\n")
            print(results.text_table(["function", "instructions", "share"], hottest(annotated)))


def count(options):
    if not options.no_install:
        subjects.install({"valgrind": "valgrind"})
    if not shutil.which("valgrind"):
        raise SystemExit("--callgrind needs valgrind (Debian: valgrind)")
    chosen = workloads.matching([options.callgrind])
    subjects.configure(options.build_dir)
    print_operations(options.build_dir)
    for workload in chosen:
        count_workload(options, workload)
    return 0
