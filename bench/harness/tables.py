# SPDX-License-Identifier: MIT
"""The report's tables: medians, ratios pair by pair, geometric means."""
import math
import statistics

from . import results, workloads

LEAST_KIB = 16 * 1024  # of peak memory: below it, what a process costs is measured


def medians(rows, column, form, unit=1.0):
    who = results.unique(rows, "subject")
    lines = []
    for workload in results.unique(rows, "workload"):
        found = [results.median(rows, workload, s, column) for s in who]
        if any(value is not None for value in found):
            lines.append([workload] + ["" if v is None else form.format(v / unit) for v in found])
    return who, lines


def by_round(rows, workload, subject, column, least=0.0):
    found = {}
    for row in rows:
        if row["workload"] == workload and row["subject"] == subject and row[column]:
            found[row["round"]] = max(float(row[column]), least)
    return found


def pairs(rows, workload, judged, peer, column, least=0.0):
    """Ratios of runs that stood next to each other: those of one round."""
    ours = by_round(rows, workload, judged, column, least)
    theirs = by_round(rows, workload, peer, column, least)
    return [ours[r] / theirs[r] for r in ours if r in theirs and theirs[r] > 0]


def ratio_text(ratios):
    if not ratios:
        return ""
    text = f"{statistics.median(ratios):.2f}"
    return text if len(ratios) == 1 else f"{text} ({min(ratios):.2f}-{max(ratios):.2f})"


def ratio_table(rows, judged, column, least=0.0):
    peers = [s for s in results.unique(rows, "subject") if s != judged]
    lines = []
    for workload in results.unique(rows, "workload"):
        cells = []
        for peer in peers:
            found = pairs(rows, workload, judged, peer, column, least)
            cells.append(ratio_text(found))
        if any(cells):
            lines.append([workload, *cells])
    return [f"{judged} over"] + peers, lines


def geometric(ratios):
    return math.exp(sum(math.log(r) for r in ratios) / len(ratios))


def mean_of(rows, judged, peer, column, names, least=0.0):
    """The geometric mean of the median ratios, and over how many workloads."""
    found = [pairs(rows, name, judged, peer, column, least) for name in names]
    ratios = [statistics.median(ratios) for ratios in found if ratios]
    return f"{geometric(ratios):.2f} ({len(ratios)})" if ratios else ""


def means_table(rows, judged):
    judged_names = [w.name for w in workloads.WORKLOADS if w.table]
    every = results.unique(rows, "workload")
    lines = []
    for peer in results.unique(rows, "subject"):
        if peer != judged:
            lines.append([peer,
                          mean_of(rows, judged, peer, "wall_s", judged_names),
                          mean_of(rows, judged, peer, "peak_kib", judged_names, LEAST_KIB),
                          mean_of(rows, judged, peer, "wall_s", every),
                          mean_of(rows, judged, peer, "peak_kib", every, LEAST_KIB)])
    return [f"{judged} over", "time, table", "peak, table", "time, all", "peak, all"], lines


def figure_table(figures, who):
    lines = []
    for workload in results.unique(figures, "workload"):
        here = [row for row in figures if row["workload"] == workload]
        for figure in results.unique(here, "figure"):
            found = [results.figure_median(here, workload, s, figure) for s in who]
            lines.append([f"{workload}: {figure}"] + ["" if v is None else f"{v:.2f}"
                                                      for v in found])
    return ["figure"] + who, lines


def print_machine(facts):
    if not facts:
        return
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['memory_mib']} MiB; "
          f"{facts['system']}, Linux {facts['kernel']}; {facts['compiler']}.")
    print("Peers: " + ", ".join(f"{k} {v}" for k, v in facts["packages"].items()) + ".")
    for run in facts["runs"]:
        print(f"Strata {run['strata'] or 'unversioned'}, {run['date']}, {run['rounds']} rounds: "
              + ", ".join(run["workloads"]))
        for name, s in run["steadiness"].items():
            print(f"    reference loop, {name.replace('_', ' ')}: the middle nine tenths of "
                  f"{s['runs']} runs spread over {s['spread']:.0%} of the median")
    print()


def section(title, table):
    header, lines = table
    if lines:
        print(f"## {title}\n\n{results.text_table(header, lines)}\n")


def print_all(rows, figures, facts, judged):
    print_machine(facts)
    for title, column, form, unit in (
            ("Seconds, median", "wall_s", "{:.3f}", 1),
            ("Peak MiB, median", "peak_kib", "{:.0f}", 1024),
            ("Worst pause or operation, ms, median", "max_pause_us", "{:.2f}", 1000),
            ("99.9 % of the operations within, us", "p999_us", "{:.2f}", 1)):
        who, lines = medians(rows, column, form, unit)
        section(title, (["workload", *who], lines))
    if judged not in results.unique(rows, "subject"):
        return
    section("Time: ratios pair by pair, median (least-most)", ratio_table(rows, judged, "wall_s"))
    section("Peak memory: the same, what is below 16 MiB counted as 16",
            ratio_table(rows, judged, "peak_kib", LEAST_KIB))
    section("Worst pause or operation: the same", ratio_table(rows, judged, "max_pause_us"))
    section("Geometric means of the median ratios (over how many workloads)",
            means_table(rows, judged))
    section("What else the workloads measure, median",
            figure_table(figures, results.unique(rows, "subject")))
