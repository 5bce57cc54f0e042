# SPDX-License-Identifier: MIT
"""The workloads: which program, with what, and how large."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    name: str
    program: str
    parameter: int  # the program's own argument; 0: none
    mib: int        # what the largest subject needs at scale 1, roughly
    quick: float    # the scale of --quick
    table: bool = False            # one of the single-threaded eight that are judged
    managed: int = 0               # bytes that an object has at least, if the managed
                                   # runtimes have this workload too
    only: tuple = ()               # of the subjects in C: those whose names begin so


COLLECTORS = ("strata", "bdwgc")

WORKLOADS = [
    Workload("dead_objects", "dead_objects", 0, 32, 0.02, table=True, managed=32),
    Workload("binary_trees_18", "binary_trees", 18, 300, 0.125, table=True, managed=16),
    Workload("binary_trees_20", "binary_trees", 20, 900, 0.03125, table=True, managed=16),
    Workload("gcbench", "gcbench", 6, 200, 0.1, table=True, managed=24),
    Workload("lru", "lru", 0, 450, 0.05, table=True),
    Workload("messages", "messages", 0, 800, 0.05, table=True, managed=1024),
    Workload("splay", "splay", 0, 550, 0.05, table=True),
    Workload("random_graph", "random_graph", 0, 1000, 0.01, table=True, only=COLLECTORS),
    Workload("fragmentation", "fragmentation", 0, 250, 0.2, table=True),
    Workload("storm_1", "storm", 1, 64, 0.02),
    Workload("storm_2", "storm", 2, 64, 0.02),
    Workload("storm_4", "storm", 4, 64, 0.02),
    Workload("handles", "handles", 0, 128, 0.03),
    Workload("deep_stack", "deep_stack", 0, 64, 0.05),
    Workload("large_objects", "large_objects", 0, 250, 0.05),
    Workload("write_heavy", "write_heavy", 0, 32, 0.05),
    Workload("runtime_mix", "runtime_mix", 0, 300, 0.02),
    Workload("server", "server", 0, 300, 0.02),
    Workload("old_generation", "old_generation", 100, 250, 0.02),
    Workload("weak_table", "weak_table", 0, 250, 0.02, only=COLLECTORS),
    Workload("ephemerons", "ephemerons", 0, 150, 0.05, only=("strata",)),
    Workload("finalizers", "finalizers", 0, 100, 0.05, only=COLLECTORS),
]

BY_NAME = {w.name: w for w in WORKLOADS}

# Time against heap size is shown for these: live data that a collector has to
# trace again and again.
CURVE = ["binary_trees_18", "gcbench", "lru", "splay", "messages"]


def matching(names):
    """The workloads of these names; a program's name stands for all of it."""
    if not names:
        return list(WORKLOADS)
    chosen = []
    for name in names:
        found = [w for w in WORKLOADS if name in (w.name, w.program)]
        if name == "table":
            found = [w for w in WORKLOADS if w.table]
        if not found:
            raise SystemExit(f"no workload {name}; there are: table, "
                             + ", ".join(w.name for w in WORKLOADS))
        chosen += [w for w in found if w not in chosen]
    return chosen
