# SPDX-License-Identifier: MIT
"""The report's pictures, as SVG and PNG."""
import math
import os
import statistics

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib import ticker  # noqa: E402

from . import results  # noqa: E402

# Strata in strong colours, malloc in greys and blues, the rest muted: the same
# everywhere, whoever else is shown.
STYLES = {
    "strata": ("#d62728", "-"), "strata-exact": ("#d62728", "--"),
    "strata-nobarrier": ("#d62728", ":"),
    "glibc": ("#222222", "-"), "mimalloc": ("#1f77b4", "-"), "jemalloc": ("#5ab4e5", "-"),
    "bdwgc": ("#2ca02c", "-"), "bdwgc-incremental": ("#2ca02c", "--"),
    "ocaml": ("#e6872b", "-"), "go": ("#17a2a8", "-"), "chez": ("#b5a33b", "-"),
    "sbcl": ("#8c564b", "-"), "java-serial": ("#9467bd", "-"), "java-parallel": ("#9467bd", "--"),
    "java-g1": ("#9467bd", ":"), "java-z": ("#9467bd", "-."),
}
MEMORY_WORKLOADS = ["server", "binary_trees_20", "lru", "messages", "splay", "runtime_mix",
                    "fragmentation"]


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
    return figure, flat[:count]


def legend_below(figure, axes):
    """One legend for all, in the order of first appearance."""
    seen = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            seen.setdefault(label, handle)
    figure.legend(seen.values(), seen.keys(), loc="upper center", bbox_to_anchor=(0.5, 0),
                  ncols=min(8, len(seen)), frameon=False, fontsize=9)


def save(figure, prefix, name):
    for kind in ("svg", "png"):
        figure.savefig(f"{prefix}-{name}.{kind}", dpi=130, bbox_inches="tight",
                       metadata={"Date": None} if kind == "svg" else None)
    plt.close(figure)
    return f"{prefix}-{name}.svg"


def throughput(rows, prefix):
    """How fast, relative to the C library's malloc where it takes part, else to
    bdwgc: longer is faster. Whiskers span the rounds."""
    names = results.unique(rows, "workload")
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
    return save(figure, prefix, "throughput")


def pauses(rows, prefix):
    """Latencies of single operations: half, 99.9 % and all of them within."""
    names = [name for name in results.unique(rows, "workload")
             if any(row["p999_us"] for row in rows if row["workload"] == name)]
    if not names:
        return None
    figure, axes = grid(len(names), 4.6, 3.8)
    for axis, name in zip(axes, names):
        here = [row for row in rows if row["workload"] == name]
        for subject in results.unique(here, "subject"):
            found = [results.median(here, name, subject, column)
                     for column in ("p50_us", "p999_us", "max_pause_us")]
            if None not in found:
                axis.plot(range(3), [max(v, 0.01) for v in found], marker="o", markersize=4,
                          label=subject, **style_of(subject))
        axis.set_yscale("log")
        axis.set_xticks(range(3), ["50 %", "99.9 %", "worst"])
        axis.set_title(name, fontsize=10)
        axis.set_ylabel("microseconds")
        axis.grid(axis="y", alpha=0.25)
    legend_below(figure, axes)
    figure.suptitle("Latency of an operation, percentiles")
    return save(figure, prefix, "pauses")


def memory(samples, prefix):
    present = results.unique(samples, "workload")
    names = [name for name in MEMORY_WORKLOADS if name in present]
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
    return save(figure, prefix, "memory")


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


def curve(rows, prefix):
    names = results.unique(rows, "workload")
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
    return save(figure, prefix, "curve")


def draw(path, rows, folder):
    os.makedirs(folder, exist_ok=True)
    prefix = os.path.join(folder, os.path.splitext(os.path.basename(path))[0])
    drawn = [throughput(rows, prefix), pauses(rows, prefix)] if rows else []
    drawn += [memory(results.read(results.beside(path, "-memory.csv")), prefix),
              curve(results.read(results.beside(path, "-curve.csv")), prefix)]
    return [name for name in drawn if name]
