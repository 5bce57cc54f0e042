# SPDX-License-Identifier: MIT
"""The parts of README.md and bench/README.md that are made from the committed
results, each between two marks:

    <!-- bench/report: NAME -->
    ...
    <!-- bench/report: end -->

so that what is printed there and the CSV cannot disagree."""
import os
import re
import statistics
import textwrap

from . import results, subjects, tables, workloads

C_PEERS = ("mimalloc", "jemalloc", "glibc", "bdwgc", "bdwgc-incremental")
VARIANTS = ("strata-exact", "strata-nobarrier", "strata-workers")
MANAGED = tuple(s.name for s in subjects.MANAGED)
FIGURES = ("ns_per_object", "resident_over_live", "trimmed_over_live", "ns_per_store",
           "ns_per_allocation", "mean_pause_us", "ns_first", "ns_again", "ns_dying",
           "ns_first_reverse", "ns_again_reverse", "ns_dying_reverse", "left", "left_reverse",
           "not_finalized")
PICTURES = (("throughput", "throughput"), ("pauses", "latency percentiles"),
            ("memory", "resident memory over a run"), ("curve", "time against heap size"),
            ("nursery", "nursery policies"), ("old", "the old generation's size"))
IN_README = ("libc6", "libmimalloc2.0", "libgc1")
MARK = re.compile(r"(<!-- bench/report: (?!end)([\w-]+) -->\n).*?(<!-- bench/report: end -->)",
                  re.S)


class Data:
    """All files of one set of results."""

    def __init__(self, path, facts):
        self.path, self.facts = path, facts
        self.rows = results.read(path)
        self.figures = self.beside("-figures.csv")
        self.present = results.unique(self.rows, "subject")
        self.names = workloads.in_order(results.unique(self.rows, "workload"))

    def beside(self, suffix):
        return results.read(results.beside(self.path, suffix))

    def median(self, workload, subject, column):
        return results.median(self.rows, workload, subject, column)

    def who(self, wanted):
        return [s for s in wanted if s in self.present]

    def judged(self):
        return [w.name for w in workloads.WORKLOADS if w.table and w.name in self.names]

    def others(self):
        return [w.name for w in workloads.WORKLOADS
                if not w.table and not w.threads and w.name in self.names]

    def threaded(self):
        return [w for w in workloads.WORKLOADS if w.threads and w.name in self.names]


def wrapped(text, indent=""):
    return textwrap.fill(text, 96, subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False)


def short(value):
    """Three digits, or as many as there are before the point."""
    if value is None:
        return ""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def title(name):
    return workloads.BY_NAME[name].title if name in workloads.BY_NAME else name


def cell(data, workload, subject, best=None):
    """Seconds and peak MiB."""
    seconds, kib = (data.median(workload, subject, c) for c in ("wall_s", "peak_kib"))
    if seconds is None:
        return "-"
    text = f"{seconds:.2f}"
    return f"**{text}**, {kib / 1024:.0f}" if seconds == best else f"{text}, {kib / 1024:.0f}"


def times_table(data, names, who, first="workload"):
    lines = []
    for name in names:
        known = [t for t in (data.median(name, s, "wall_s") for s in who) if t is not None]
        if known:
            lines.append([title(name)] + [cell(data, name, s, min(known)) for s in who])
    return results.text_table([first, *who], lines) if lines else ""


def mean_ratio(data, peer, column, least=0.0):
    return tables.mean_of(data.rows, "strata", peer, column, data.judged(), least).split(" ")[0]


def means_lines(data, who):
    return [["time: geometric mean of Strata's over each"] +
            ["1" if s == "strata" else mean_ratio(data, s, "wall_s") for s in who],
            ["peak memory: the same, 16 MiB at least"] +
            ["1" if s == "strata" else mean_ratio(data, s, "peak_kib", tables.LEAST_KIB)
             for s in who]]


def compiler(facts):
    return re.sub(r" \(.*\)", "", facts["compiler"])


def versions(facts, packages):
    """Of the packages that are known, without Debian's own part."""
    return ", ".join(f"{name} {re.sub(r'^[0-9]+:|[+~-].*', '', facts['packages'][name])}"
                     for name in packages if name in facts["packages"])


# ---- README.md ------------------------------------------------------------------------


def measured(data):
    who = data.who(("strata", "mimalloc", "glibc", "bdwgc"))
    names = [n for n in data.judged() if n not in ("random_graph", "fragmentation")]
    lines = []
    for name in names:
        known = [t for t in (data.median(name, s, "wall_s") for s in who) if t is not None]
        lines.append([title(name)] + [cell(data, name, s, min(known)) for s in who])
    for name, figure, text in (("random_graph", "ns_per_object", "full collection, ns an object"),
                               ("fragmentation", "resident_over_live",
                                "resident over live, fragmented")):
        found = [results.figure_median(data.figures, name, s, figure) for s in who]
        known = [value for value in found if value is not None]
        lines.append([text] + ["-" if v is None else f"**{short(v)}**" if v == min(known)
                               else short(v) for v in found])
    lines += means_lines(data, who)
    facts = data.facts
    rounds = min(run["rounds"] for run in facts["runs"]
                 if set(run["workloads"]) & set(data.judged()))
    intro = (f"One thread, default options; {facts['cores']} cores of {facts['processor']}, "
             f"{facts['system']}, {compiler(facts)} -O2; {versions(facts, IN_README)}. "
             f"Seconds and peak MiB, medians of {rounds} rounds.")
    return "\n\n".join([wrapped(intro), results.text_table(["workload", *who], lines),
                        best_managed(data, "binary_trees_20")])


def best_managed(data, workload):
    found = {s: data.median(workload, s, "wall_s") for s in data.who(MANAGED)}
    found = {s: t for s, t in found.items() if t is not None}
    ours = data.median(workload, "strata", "wall_s")
    if not found or ours is None:
        return ""
    best = min(found, key=found.get)
    return wrapped(f"The best of {len(found)} managed runtimes on {title(workload)} ({best}) takes "
                   f"{found[best]:.2f} s: Strata {ours / found[best]:.2f} times that.")


# ---- bench/README.md ------------------------------------------------------------------


def machine(data):
    facts = data.facts
    lines = []
    for run in facts["runs"]:
        steady = run["steadiness"].get("cache_misses", {}).get("spread")
        lines.append(wrapped(
            f"- Strata {run['strata']}, {run['date']}, {run['rounds']} rounds, "
            f"{run['seconds']} s: {', '.join(run['workloads'])}"
            + (f"; a loop of cache misses spread over {steady:.0%} of its median"
               if steady is not None else "") + ".", "  "))
    return wrapped(f"{facts['cores']} cores of {facts['processor']}, {facts['memory_mib']} MiB; "
                   f"{facts['system']}, Linux {facts['kernel']}; {compiler(facts)}; huge pages "
                   f"{facts['huge_pages']}; {versions(facts, facts['packages'])}."
                   ) + "\n\n" + "\n".join(lines)


def ratios(data):
    peers = data.who(C_PEERS)
    parts = []
    for text, column, least in (("time", "wall_s", 0.0), ("peak memory", "peak_kib",
                                                          tables.LEAST_KIB)):
        lines = []
        for name in data.judged():
            found = [tables.pairs(data.rows, name, "strata", p, column, least) for p in peers]
            lines.append([title(name)] + [tables.ratio_text(f) for f in found])
        lines.append(["geometric mean"] + [mean_ratio(data, p, column, least) for p in peers])
        parts.append(results.text_table([f"{text}: Strata over", *peers], lines))
    return "\n\n".join(parts)


def losses(data):
    """Where a peer is faster, the worst first: nobody has to look for it."""
    found = []
    for peer in data.who(C_PEERS):
        for name in data.names:
            ratio = tables.pairs(data.rows, name, "strata", peer, "wall_s")
            if ratio and statistics.median(ratio) > 1.05:
                found.append((statistics.median(ratio), title(name), peer))
    by_peer = {}
    for ratio, name, peer in sorted(found, reverse=True):
        by_peer.setdefault(peer, []).append(f"{ratio:.2f} {name}")
    lines = [wrapped(f"- slower than {peer}: {'; '.join(by_peer[peer])}", "  ")
             for peer in data.who(C_PEERS) if peer in by_peer]
    return "\n".join(lines) or "Nowhere."


def worst(data):
    who = data.who(("strata", *C_PEERS))
    lines = [[title(n)] + [short(v and v / 1000) for v in
                           (data.median(n, s, "max_pause_us") for s in who)] for n in data.names]
    lines = [line for line in lines if any(line[1:])]
    return results.text_table(["worst pause or operation, ms", *who], lines)


def others(data):
    return times_table(data, data.others(), data.who(("strata", *C_PEERS)))


def threads_cell(data, workload, subject):
    """Seconds, and how many times as fast as with one thread."""
    seconds = data.median(workload.name, subject, "wall_s")
    alone = data.median(f"{workload.program}_1", subject, "wall_s")
    if seconds is None:
        return "-"
    gained = f" ({alone / seconds:.2f})" if workload.threads > 1 and alone else ""
    return f"{seconds:.2f}{gained}"


def latency_cell(data, workload, subject):
    worst_us = data.median(workload.name, subject, "max_pause_us")
    found = [data.median(workload.name, subject, "p50_us"),
             results.figure_median(data.figures, workload.name, subject, "p99_us"), worst_us]
    known = [short(value) for value in found if value is not None]
    return ", ".join(known) or "-"


def shares_cell(data, workload, subject):
    found = [results.figure_median(data.figures, workload.name, subject, figure)
             for figure in ("collecting_share", "stopping_share")]
    return "-" if None in found else ", ".join(f"{100 * value:.0f}" for value in found)


def threads(data):
    timed = [w for w in data.threaded() if w.program != "safepoint"]
    parts = []
    for first, names, who, cells in (
            ("seconds (times as fast as 1 thread)", timed, C_PEERS, threads_cell),
            ("operation or pause, us: half, 99 %, worst", data.threaded(), C_PEERS, latency_cell),
            ("% of the time: collecting, stopping", timed, ("bdwgc",), shares_cell)):
        who = data.who(("strata", *who))
        lines = [[title(w.name)] + [cells(data, w, s) for s in who] for w in names]
        lines = [line for line in lines if set(line[1:]) != {"-"}]
        if lines:
            parts.append(results.text_table([first, *who], lines))
    return "\n\n".join(parts)


def variants(data):
    who = data.who(VARIANTS)
    lines = []
    for name in data.names:
        cells = []
        for subject in who:
            time, peak = (tables.pairs(data.rows, name, subject, "strata", column, least)
                          for column, least in (("wall_s", 0.0), ("peak_kib", tables.LEAST_KIB)))
            cells.append(f"{statistics.median(time):.2f}, {statistics.median(peak):.2f}"
                         if time else "-")
        if any(c != "-" for c in cells):
            lines.append([title(name), *cells])
    return results.text_table(["time, memory over strata's", *who], lines) if lines else ""


def managed(data):
    who = data.who(MANAGED)
    names = [w.name for w in workloads.WORKLOADS if w.managed and w.name in data.names]
    lines = []
    for name in names:
        known = {s: data.median(name, s, "wall_s") for s in who}
        known = {s: t for s, t in known.items() if t is not None}
        if known:
            best = min(known, key=known.get)
            ours = data.median(name, "strata", "wall_s")
            lines.append([title(name), cell(data, name, "strata"), f"{ours / known[best]:.2f}"] +
                         [cell(data, name, s, known[best]) for s in who])
    if not lines:
        return ""
    return results.text_table(["seconds, MiB", "strata", "over the best", *who], lines)


def figures(data):
    who = data.who(("strata", *VARIANTS, *C_PEERS))
    lines = []
    for name in workloads.in_order(results.unique(data.figures, "workload")):
        for figure in FIGURES:
            found = [results.figure_median(data.figures, name, s, figure) for s in who]
            if any(v is not None for v in found):
                lines.append([f"{title(name)}: {figure}"] + [short(v) for v in found])
    return results.text_table(["figure", *who], lines) if lines else ""


def old(data):
    rows = data.beside("-old.csv")
    who = results.unique(rows, "subject")
    lines = []
    for size in results.unique(rows, "megabytes"):
        here = [row for row in rows if row["megabytes"] == size]
        cells = []
        for subject in who:
            ns, mean = (results.median(here, "old_generation", subject, column)
                        for column in ("ns_per_allocation", "mean_pause_us"))
            cells.append(short(ns) + (f", {short(mean)}" if mean is not None else ""))
        lines.append([size, *cells])
    return results.text_table(["old MB: ns an allocation, mean pause us", *who], lines) \
        if lines else ""


def nursery(data):
    rows = data.beside("-nursery.csv")
    names = results.unique(rows, "workload")
    lines = []
    for subject, policy in dict.fromkeys((row["subject"], row["policy"]) for row in rows):
        here = [row for row in rows if row["policy"] == policy]
        cells = []
        for name in names:
            seconds, kib = (results.median(here, name, subject, column)
                            for column in ("wall_s", "peak_kib"))
            cells.append("-" if seconds is None else f"{seconds:.2f}, {kib / 1024:.0f}")
        lines.append([policy or subject, *cells])
    return results.text_table(["nursery: seconds, peak MiB", *map(title, names)], lines) \
        if lines else ""


def pictures(data):
    folder = os.path.dirname(data.path)
    stem = os.path.splitext(os.path.basename(data.path))[0]
    found = [f"![{text}](results/{stem}-{name}.svg)" for name, text in PICTURES
             if os.path.exists(os.path.join(folder, f"{stem}-{name}.svg"))]
    return "\n\n".join(found)


PAGES = {
    "README.md": (measured,),
    "bench/README.md": (machine, ratios, losses, worst, others, threads, variants, managed, figures, old,
                        nursery, pictures),
}


def made(page, text, data):
    """The page's text with its marked parts made anew."""
    known = {part.__name__: part for part in PAGES[page]}

    def part(match):
        body = known[match.group(2)](data).strip() or "Not measured."
        return f"{match.group(1)}\n{body}\n\n{match.group(3)}"
    found = {match.group(2) for match in MARK.finditer(text)}
    if found != set(known):
        raise SystemExit(f"{page}: its marks and what can be made differ: "
                         + ", ".join(sorted(found ^ set(known))))
    return MARK.sub(part, text)


def publish(root, data):
    for page in PAGES:
        path = os.path.join(root, page)
        with open(path, encoding="utf-8") as file:
            text = made(page, file.read(), data)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def differences(root, data):
    """What the pages say that the results do not, and the other way round."""
    lines = []
    for page in PAGES:
        with open(os.path.join(root, page), encoding="utf-8") as file:
            text = file.read()
        wanted = made(page, text, data).splitlines()
        said = text.splitlines()
        lines += [f"{page}: it says: {line}" for line in said if line not in wanted]
        lines += [f"{page}: made from the results: {line}" for line in wanted if line not in said]
        if not lines and wanted != said:
            lines.append(f"{page}: lines in another order than the results'")
    return lines
