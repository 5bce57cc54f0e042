# SPDX-License-Identifier: MIT
"""Runs that vary one thing: the heap's size, the nursery's policy, the size of
the old generation. Each writes a file of its own beside FILE.csv."""
import time
from dataclasses import replace

from . import machine, measure, results, subjects, workloads
from .progress import Progress

# Time against heap size: live data that a collector has to trace again and again.
CURVE = ("binary_trees_18", "gcbench", "lru", "splay", "messages")
FACTORS = (1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0)
SLOWEST = 20.0  # a run that takes as many times what the first took does not count as running

# Time against memory for nurseries of a fixed size, and for some that grow.
NURSERY = ("binary_trees_20", "gcbench", "lru", "splay")
POLICIES = ("256K", "1M", "4M", "16M", "64M", "1M-4M", "1M-16M", "4M-64M", "default")
BESIDE_POLICIES = ("mimalloc", "bdwgc")

# What allocation and a young collection cost beside an old generation of so many MB.
OLD_MEGABYTES = (10, 30, 100, 300, 1000, 2000, 4000)
OLD = ("strata", "strata-exact", "glibc", "mimalloc", "bdwgc")


class Study:
    """One file of rows, whose checks must agree for each workload and scale."""

    def __init__(self, options, suffix, columns):
        self.options = options
        self.name = suffix.replace(".csv", "").replace("-", "--")
        self.path = results.beside(options.csv, suffix)
        self.table = results.Table(self.path, columns)
        self.checks = {}
        self.references = []
        self.start = time.monotonic()
        self.deadline = self.start + 60 * options.minutes

    def scale_of(self, workload):
        return self.options.scale * (workload.quick if self.options.quick else 1)

    def run(self, row, command, environment, mib, deadline=900.0):
        """Runs, unless time is up, and adds the row, without times if it did not fit."""
        if time.monotonic() > self.deadline:
            return
        measure.warm(self.options.build_dir, int(64 + mib))
        try:
            values, _ = measure.run(command, environment, deadline)
        except measure.OutOfMemory:
            self.table.add(**row)  # does not run in so little
            return
        except measure.Failure as failure:
            raise SystemExit(f"{row['workload']} for {row['subject']} failed: {failure}") from None
        key = row["workload"], row["scale"], row.get("megabytes")
        if values["check"] != self.checks.setdefault(key, values["check"]):
            raise SystemExit(f"CHECK DIFFERS: {row['workload']} for {row['subject']}: "
                             f"{values['check']}, not {self.checks[key]}")
        self.table.add(**{**values, **row})

    def begin_round(self):
        self.references.append(measure.reference(self.options.build_dir))

    def close(self):
        self.table.close()
        machine.note_run(results.beside(self.options.csv, ".json"), [self.name],
                         len(self.references), time.monotonic() - self.start, self.references, True)
        print(f"{self.path}: pictures: bench/report {self.options.csv}")
        return 0


def row_of(workload, subject, scale, number, **more):
    return {"workload": workload.name, "subject": subject, "scale": f"{scale:g}",
            "round": number, **more}


# ---- Time against heap size ---------------------------------------------------------


def without_limit(study, workload, scale):
    """The payload that the program can reach, by its own count, and the seconds
    that the first subject takes."""
    native = next(s for s in subjects.configure(study.options.build_dir) if s.runs(workload))
    subjects.build_native(study.options.build_dir, [(workload, native)])
    values, _ = measure.run(native.command(study.options.build_dir, workload, scale), {})
    study.checks[(workload.name, f"{scale:g}", None)] = values["check"]
    return int(values["live_kib"]), float(values["wall_s"])


def curve(options, chosen, who):
    chosen = chosen or [workloads.BY_NAME[name] for name in CURVE]
    limited = [s for s in who if s.limited(1 << 30, 2.0) is not None]
    subjects.build(options.build_dir, chosen, limited)
    study = Study(options, "-curve.csv", results.CURVE_COLUMNS)
    progress = Progress(sum(s.runs(w) for w in chosen for s in limited) * len(FACTORS) *
                        options.rounds)
    free = {w.name: without_limit(study, w, study.scale_of(w)) for w in chosen}
    for number in range(1, options.rounds + 1):
        study.begin_round()
        for workload in chosen:
            scale = study.scale_of(workload)
            live, usual = free[workload.name]
            for factor in FACTORS:
                for subject in (s for s in limited if s.runs(workload)):
                    progress.show(f"{workload.name} for {subject.name} in {factor:g}x live")
                    limit = int(live * 1024 * factor)
                    environment, extra = subject.limited(limit, factor)
                    study.run(row_of(workload, subject.name, scale, number, factor=factor,
                                     limit_kib=limit // 1024, live_kib=live),
                              subject.command(options.build_dir, workload, scale) + extra,
                              environment, 2 * limit / (1 << 20), 5 + SLOWEST * usual)
                    progress.step()
    progress.close()
    return study.close()


# ---- Nursery policies ---------------------------------------------------------------


def policy_environment(policy):
    if policy == "default":
        return {}
    least, _, most = policy.partition("-")
    return {"STRATA_OPTIONS": f"nursery-min={least},nursery-max={most or least}"}


def nursery(options, chosen, native):
    chosen = chosen or [workloads.BY_NAME[name] for name in NURSERY]
    beside = [s for s in native if s.name in BESIDE_POLICIES]
    strata = next(s for s in native if s.name == "strata")
    subjects.build(options.build_dir, chosen, [strata, *beside])
    study = Study(options, "-nursery.csv", results.NURSERY_COLUMNS)
    runs = [(strata, policy) for policy in POLICIES] + [(s, "") for s in beside]
    progress = Progress(len(chosen) * len(runs) * options.rounds)
    for number in range(1, options.rounds + 1):
        study.begin_round()
        for workload in chosen:
            scale = study.scale_of(workload)
            for subject, policy in runs:
                progress.show(f"{workload.name} for {subject.name} {policy}")
                if subject.runs(workload):
                    study.run(row_of(workload, subject.name, scale, number, policy=policy),
                              subject.command(options.build_dir, workload, scale),
                              policy_environment(policy) if policy else {},
                              workload.mib * scale)
                progress.step()
    progress.close()
    return study.close()


# ---- The old generation's size ------------------------------------------------------


def old(options, native):
    workload = workloads.BY_NAME["old_generation"]
    who = [s for s in native if s.name in (options.subject or OLD)]
    subjects.build(options.build_dir, [workload], who)
    study = Study(options, "-old.csv", results.OLD_COLUMNS)
    scale = study.scale_of(workload)
    progress = Progress(len(OLD_MEGABYTES) * len(who) * options.rounds)
    for number in range(1, options.rounds + 1):
        study.begin_round()
        for megabytes in OLD_MEGABYTES:
            sized = replace(workload, parameter=megabytes)
            for subject in who:
                progress.show(f"{megabytes} MB for {subject.name}, round {number}")
                study.run(row_of(workload, subject.name, scale, number, megabytes=megabytes),
                          subject.command(options.build_dir, sized, scale), {},
                          1.7 * megabytes * scale)
                progress.step()
    progress.close()
    return study.close()
