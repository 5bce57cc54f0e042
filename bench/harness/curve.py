# SPDX-License-Identifier: MIT
"""Time against heap size: each collector is held to a multiple of what is live."""
from . import measure, results, subjects, workloads
from .progress import Progress

FACTORS = (1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0)
SLOWEST = 20.0  # a run that takes as many times what the first took does not count as running


def run_once(options, workload, scale):
    """Without a limit: the payload that the program can reach, by its own count,
    the seconds that it takes, and its check."""
    native = next(s for s in subjects.configure(options.build_dir) if s.runs(workload))
    subjects.build_native(options.build_dir, [(workload, native)])
    values, _ = measure.run(native.command(options.build_dir, workload, scale), {})
    return int(values["live_kib"]), float(values["wall_s"]), values["check"]


def one(options, table, workload, subject, scale, number, factor, first):
    live, usual, check = first
    limit = int(live * 1024 * factor)
    environment, extra = subject.limited(limit, factor)
    row = {"workload": workload.name, "subject": subject.name, "scale": f"{scale:g}",
           "round": number, "factor": factor, "limit_kib": limit // 1024, "live_kib": live}
    measure.warm(options.build_dir, int(64 + 2 * limit / (1 << 20)))
    try:
        values, _ = measure.run(subject.command(options.build_dir, workload, scale) + extra,
                                environment, deadline=5 + SLOWEST * usual)
    except measure.Failure:
        table.add(**row)  # does not run in so little: no time
        return
    if values["check"] != check:
        raise SystemExit(f"CHECK DIFFERS: {workload.name} for {subject.name}: "
                         f"{values['check']}, not {check}")
    table.add(**{**row, **{k: values.get(k, "") for k in
                           ("wall_s", "peak_kib", "max_pause_us", "check")}})


def run(options, chosen, who):
    chosen = chosen or [workloads.BY_NAME[name] for name in workloads.CURVE]
    limited = [s for s in who if s.limited(1 << 30, 2.0) is not None]
    subjects.build_native(options.build_dir, [(w, s) for w in chosen for s in limited
                                              if isinstance(s, subjects.Native)])
    subjects.build_managed(options.build_dir,
                           [s for s in limited if isinstance(s, subjects.Managed)])
    path = results.beside(options.csv, "-curve.csv")
    table = results.Table(path, results.CURVE_COLUMNS)
    pairs = sum(s.runs(w) for w in chosen for s in limited)
    progress = Progress(pairs * len(FACTORS) * options.rounds)
    for workload in chosen:
        scale = options.scale * (workload.quick if options.quick else 1)
        first = run_once(options, workload, scale)
        for number in range(1, options.rounds + 1):
            for factor in FACTORS:
                for subject in limited:
                    if subject.runs(workload):
                        progress.show(f"{workload.name} for {subject.name} in {factor:g}x live")
                        one(options, table, workload, subject, scale, number, factor, first)
                        progress.step()
    progress.close()
    table.close()
    print(f"{path}: pictures: bench/report {options.csv}")
    return 0
