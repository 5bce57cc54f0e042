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
    table: bool = False            # of one thread, and one of those that are judged
    managed: int = 0               # bytes that an object has at least, if the managed
                                   # runtimes have this workload too
    only: tuple = ()               # of the subjects in C: those whose names begin so
    memory: bool = False           # its resident memory over time is worth a picture
    called: str = ""
    threads: int = 0               # that share it, if it is of those that look at that

    @property
    def title(self):
        return self.called or self.name.replace("_", " ")


COLLECTORS = ("strata", "bdwgc")


def with_threads(program, mib, quick, called, **more):
    """One for each number of threads, which is the program's parameter."""
    return [Workload(f"{program}_{n}", program, n, mib, quick, threads=n,
                     called=f"{called}, {n} thread" + "s" * (n > 1), **more) for n in (1, 2, 4)]


WORKLOADS = [
    Workload("dead_objects", "dead_objects", 0, 32, 0.02, table=True, managed=32,
             called="dead objects (94 million)"),
    Workload("binary_trees_18", "binary_trees", 18, 300, 0.125, table=True, managed=16,
             called="binary trees, depth 18"),
    Workload("binary_trees_20", "binary_trees", 20, 900, 0.03125, table=True, managed=16, memory=True,
             called="binary trees, depth 20"),
    Workload("gcbench", "gcbench", 0, 200, 0.1, table=True, managed=24,
             called="GCBench"),
    Workload("lru", "lru", 0, 450, 0.05, table=True, memory=True, called="LRU cache"),
    Workload("messages", "messages", 0, 800, 0.05, table=True, managed=1024, memory=True,
             called="messages of 1 KiB in a ring"),
    Workload("splay", "splay", 0, 550, 0.05, table=True, memory=True, called="splay tree"),
    Workload("random_graph", "random_graph", 0, 1000, 0.01, table=True, only=COLLECTORS),
    Workload("fragmentation", "fragmentation", 0, 250, 0.2, table=True, memory=True),
    *with_threads("storm", 64, 0.02, "storm"),
    *with_threads("dead_objects", 32, 0.02, "dead objects"),
    *with_threads("runtime_mix", 300, 0.02, "runtime mix"),
    *with_threads("gcbench", 300, 0.1, "GCBench"),
    *with_threads("safepoint", 32, 0.05, "time to safepoint", only=COLLECTORS),
    Workload("handles", "handles", 0, 128, 0.03),
    Workload("deep_stack", "deep_stack", 0, 64, 0.05),
    Workload("large_objects", "large_objects", 0, 250, 0.05),
    Workload("write_heavy", "write_heavy", 0, 32, 0.05),
    Workload("runtime_mix", "runtime_mix", 0, 300, 0.02, memory=True),
    Workload("server", "server", 0, 300, 0.02, memory=True),
    Workload("old_generation", "old_generation", 100, 250, 0.02),
    Workload("weak_table", "weak_table", 0, 250, 0.02, only=COLLECTORS),
    Workload("ephemerons", "ephemerons", 0, 150, 0.05, only=("strata",)),
    Workload("finalizers", "finalizers", 0, 100, 0.05, only=COLLECTORS),
]

BY_NAME = {w.name: w for w in WORKLOADS}


def in_order(names):
    """Sorted as above, with those that are not known at the end."""
    order = list(BY_NAME)
    return sorted(names, key=lambda name: order.index(name) if name in BY_NAME else len(order))


def matching(names):
    """The workloads of these names; a program's name stands for all of it, if no
    workload has it."""
    if not names:
        return list(WORKLOADS)
    chosen = []
    for name in names:
        found = [w for w in WORKLOADS if w.name == name]
        found = found or [w for w in WORKLOADS if w.program == name]
        if name == "table":
            found = [w for w in WORKLOADS if w.table]
        if not found:
            raise SystemExit(f"no workload {name}; there are: table, "
                             + ", ".join(w.name for w in WORKLOADS))
        chosen += [w for w in found if w not in chosen]
    return chosen
