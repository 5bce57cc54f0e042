# SPDX-License-Identifier: MIT
"""The report's pictures, as SVG and PNG."""
import math
import os
import re
import statistics

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib import ticker  # noqa: E402

from . import results, workloads  # noqa: E402

plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "strata"})  # small, reproducible

# Strata in strong colours, malloc in greys and blues, the rest muted: the same
# everywhere, whoever else is shown.
STYLES = {
    "strata": ("#d62728", "-"), "strata-exact": ("#d62728", "--"),
    "strata-nobarrier": ("#d62728", ":"), "strata-workers": ("#d62728", "-."),
    "glibc": ("#222222", "-"), "mimalloc": ("#1f77b4", "-"), "jemalloc": ("#5ab4e5", "-"),
    "bdwgc": ("#2ca02c", "-"), "bdwgc-incremental": ("#2ca02c", "--"),
    "ocaml": ("#e6872b", "-"), "go": ("#17a2a8", "-"), "chez": ("#b5a33b", "-"),
    "sbcl": ("#8c564b", "-"), "java-serial": ("#9467bd", "-"), "java-parallel": ("#9467bd", "--"),
    "java-g1": ("#9467bd", ":"), "java-z": ("#9467bd", "-."),
}
PERCENTILES = [("50 %", "p50_us"), ("90 %", "p90_us"), ("99 %", "p99_us"), ("99.9 %", "p999_us"),
               ("99.99 %", "p9999_us"), ("worst", "max_pause_us")]


def style_of(subject):
    colour, line = STYLES.get(subject, ("#888888", "-"))
    return {"color": colour, "linestyle": line,
            "linewidth": 2.2 if subject.startswith("strata") else 1.3}


def grid(count, width, height, columns=3):
    columns = min(columns, count)
    lines = math.ceil(count / columns)
    figure, axes = plt.subplots(lines, columns, figsize=(width * columns, height * lines),
                                squeeze=False, layout="constrained")
    flat = [axis for row in axes for axis in row]
    for axis in flat[count:]:
        axis.set_visible(False)
    for axis in flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(which="both", length=0)
    return figure, flat[:count]


def legend_below(figure, axes):
    """One legend for all, in the order of first appearance."""
    seen = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            seen.setdefault(label, handle)
    figure.legend(seen.values(), seen.keys(), loc="upper center", bbox_to_anchor=(0.5, 0),
                  ncols=min(8, len(seen)), frameon=False, fontsize=9)


def shrink(path):
    """Coordinates to a hundredth of a point, and no indentation."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"(\.\d\d)\d+", r"\1", re.sub(r"[ \t]*\n\s*", "\n", text))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Folder:
    """Where the pictures go, how their names begin, and which kinds are made."""

    def __init__(self, path, csv, kinds):
        os.makedirs(path, exist_ok=True)
        self.prefix = os.path.join(path, os.path.splitext(os.path.basename(csv))[0])
        self.kinds = kinds

    def save(self, figure, name):
        for kind in self.kinds:
            path = f"{self.prefix}-{name}.{kind}"
            figure.savefig(path, dpi=130, bbox_inches="tight",
                           metadata={"Date": None} if kind == "svg" else None)
            if kind == "svg":
                shrink(path)
        plt.close(figure)
        return f"{self.prefix}-{name}.svg"


def throughput(rows, folder):
    """How fast, relative to the C library's malloc where it takes part, else to
    bdwgc: longer is faster. Whiskers span the rounds."""
    names = workloads.in_order(results.unique(rows, "workload"))
    figure, axes = grid(len(names), 4.6, 3.4)
    for axis, name in zip(axes, names):
        here = [row for row in rows if row["workload"] == name]
        who = results.unique(here, "subject")
        base = next((s for s in ("glibc", "bdwgc") if s in who), who[0])
        unit = results.median(here, name, base, "wall_s")
        for place, subject in enumerate(reversed(who)):
            speeds = [unit / t for t in results.values(here, name, subject, "wall_s") if t > 0]
            if not speeds:
                continue
            middle = unit / results.median(here, name, subject, "wall_s")
            colour, line = STYLES.get(subject, ("#888888", "-"))
            axis.barh(place, middle, color=colour, alpha=1 if line == "-" else 0.55, height=0.72,
                      xerr=[[middle - min(speeds)], [max(speeds) - middle]],
                      error_kw={"elinewidth": 0.8, "capsize": 2})
            axis.text(max(speeds), place, f" {middle:.2f}", va="center", fontsize=7)
        axis.set_yticks(range(len(who)), reversed(who), fontsize=8)
        axis.axvline(1, color="#999999", linewidth=0.8)
        axis.set_title(f"{name} (1 = {base}, {unit:.3g} s)", fontsize=10)
        axis.margins(x=0.12)
    figure.suptitle("Throughput: work per second, more is better")
    return folder.save(figure, "throughput")


def pauses(rows, figures, folder):
    """Latencies of single operations: so many of them were within."""
    names = [name for name in workloads.in_order(results.unique(rows, "workload"))
             if any(row["p999_us"] for row in rows if row["workload"] == name)]
    if not names:
        return None
    figure, axes = grid(len(names), 4.6, 3.8)
    for axis, name in zip(axes, names):
        here = [row for row in rows if row["workload"] == name]
        for subject in results.unique(here, "subject"):
            found = [results.median(here, name, subject, column) if column in here[0] else
                     results.figure_median(figures, name, subject, column)
                     for _, column in PERCENTILES]
            points = [(x, max(y, 0.01)) for x, y in enumerate(found) if y is not None]
            if points:
                axis.plot(*zip(*points), marker="o", markersize=3, label=subject,
                          **style_of(subject))
        axis.set_yscale("log")
        axis.set_xticks(range(len(PERCENTILES)), [label for label, _ in PERCENTILES], fontsize=8)
        axis.set_title(name, fontsize=10)
        axis.set_ylabel("microseconds")
        axis.grid(axis="y", alpha=0.25)
    legend_below(figure, axes)
    figure.suptitle("Latency of an operation, percentiles")
    return folder.save(figure, "pauses")


def memory(samples, folder):
    names = workloads.in_order(results.unique(samples, "workload"))
    if not names:
        return None
    figure, axes = grid(len(names), 4.6, 3.6)
    for axis, name in zip(axes, names):
        here = [row for row in samples if row["workload"] == name]
        for subject in results.unique(here, "subject"):
            mine = [row for row in here if row["subject"] == subject]
            whole = max(float(row["seconds"]) for row in mine) or 1
            axis.plot([100 * float(row["seconds"]) / whole for row in mine],
                      [float(row["resident_kib"]) / 1024 for row in mine],
                      label=subject, **style_of(subject))
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("% of the run")
        axis.set_ylabel("resident MiB")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.25)
    legend_below(figure, axes)
    figure.suptitle("Resident memory over one run (each took its own time for it)")
    return folder.save(figure, "memory")


def curve_points(rows, workload, subject):
    factors = sorted({float(row["factor"]) for row in rows})
    points = []
    for factor in factors:
        times = [float(row["wall_s"]) for row in rows
                 if row["workload"] == workload and row["subject"] == subject
                 and float(row["factor"]) == factor and row["wall_s"]]
        if times:
            points.append((factor, statistics.median(times)))
    return points


def curve(rows, folder):
    names = workloads.in_order(results.unique(rows, "workload"))
    if not names:
        return None
    figure, axes = grid(len(names), 4.8, 3.8)
    for axis, name in zip(axes, names):
        for subject in results.unique(rows, "subject"):
            points = curve_points(rows, name, subject)
            if points:
                axis.plot(*zip(*points), marker="o", markersize=3, label=subject,
                          **style_of(subject))
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axis.yaxis.set_minor_formatter(ticker.NullFormatter())
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("heap limit over live bytes")
        axis.set_ylabel("seconds")
        axis.grid(which="both", alpha=0.2)
    legend_below(figure, axes)
    figure.suptitle("Time against heap size (no point: did not run in so little)")
    return folder.save(figure, "curve")


def nursery(rows, folder):
    """Time against memory: Strata's fixed nurseries as a line from small to large,
    those that grow as points, peers beside."""
    names = workloads.in_order(results.unique(rows, "workload"))
    if not names:
        return None
    figure, axes = grid(len(names), 5.4, 4.2, columns=2)
    for axis, name in zip(axes, names):
        def point(subject, policy, name=name):
            mine = [row for row in rows if row["policy"] == policy]
            peak = results.median(mine, name, subject, "peak_kib")
            return peak and (peak / 1024, results.median(mine, name, subject, "wall_s"))
        here = [row for row in rows if row["workload"] == name]
        policies = [p for p in results.unique(here, "policy") if p]
        fixed = [point("strata", p) for p in policies if "-" not in p and p != "default"]
        axis.plot(*zip(*fixed), marker="o", markersize=4, label="strata, fixed nursery",
                  **style_of("strata"))
        for policy in policies:
            at = point("strata", policy)
            if "-" in policy:
                axis.plot(*at, marker="s", color="#d62728", markersize=5, fillstyle="none",
                          linestyle="", label="strata, nursery that grows")
            elif policy == "default":
                axis.plot(*at, marker="*", color="#d62728", markersize=14, linestyle="",
                          label="strata, default (1M-64M)")
            axis.annotate(policy, at, fontsize=7, xytext=(4, 4), textcoords="offset points")
        for subject in results.unique(here, "subject")[1:]:
            axis.plot(*point(subject, ""), marker="D", markersize=6, label=subject,
                      **{**style_of(subject), "linestyle": ""})
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("peak MiB")
        axis.set_ylabel("seconds")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.25)
    legend_below(figure, axes)
    figure.suptitle("Time against memory: nursery policies")
    return folder.save(figure, "nursery")


def old(rows, folder):
    """Allocation and pauses against the size of the old generation."""
    if not rows:
        return None
    kinds = [("ns_per_allocation", "nanoseconds an allocation"),
             ("mean_pause_us", "mean pause of the least collection, us"),
             ("max_pause_us", "worst 100 allocations, us")]
    figure, axes = grid(len(kinds), 4.8, 3.8)
    for axis, (column, title) in zip(axes, kinds):
        for subject in results.unique(rows, "subject"):
            points = []
            for megabytes in results.unique(rows, "megabytes"):
                mine = [row for row in rows if row["megabytes"] == megabytes]
                y = results.median(mine, "old_generation", subject, column)
                if y is not None:
                    points.append((float(megabytes) * float(rows[0]["scale"]), y))
            if points:
                axis.plot(*zip(*points), marker="o", markersize=3, label=subject,
                          **style_of(subject))
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("old generation, MB")
        axis.set_title(title, fontsize=10)
        axis.grid(which="both", alpha=0.2)
    legend_below(figure, axes)
    figure.suptitle("40 million objects that die young, beside old ones")
    return folder.save(figure, "old")


def draw(path, rows, where, kinds):
    """All that there is data for; returns the pictures' names."""
    folder = Folder(where, path, kinds)

    def beside(suffix):
        return results.read(results.beside(path, suffix))
    drawn = []
    if rows:
        drawn = [throughput(rows, folder), pauses(rows, beside("-figures.csv"), folder)]
    drawn += [memory(beside("-memory.csv"), folder), curve(beside("-curve.csv"), folder),
              nursery(beside("-nursery.csv"), folder), old(beside("-old.csv"), folder)]
    return [name for name in drawn if name]
