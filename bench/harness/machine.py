# SPDX-License-Identifier: MIT
"""What the figures were measured on."""
import json
import os
import platform
import shutil
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = ["libc6", "gcc", "libmimalloc2.0", "libjemalloc2", "libgc1", "ocaml-nox", "golang-go",
            "chezscheme", "sbcl", "openjdk-17-jre-headless"]


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip().split("\n")[0] if done.returncode == 0 else ""


def field(path, key):
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith(key):
                    return line[len(key):].strip(" \t:=\"\n")
    except OSError:
        pass
    return ""


def package_versions():
    if not shutil.which("dpkg-query"):
        return {}
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES],
                          capture_output=True, text=True, check=False)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def strata_version():
    """The commit; the results and what is made of them do not make it dirty."""
    commit = first_line(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"])
    changed = first_line(["git", "-C", ROOT, "status", "--porcelain", "--", ".",
                          ":(exclude)bench/results", ":(exclude)*.md"])
    return commit + ("-dirty" if changed else "")


def earlier_runs(path, again):
    """What the file says of earlier runs, without the workloads that are run again."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        runs = json.load(file)["runs"]
    for run in runs:
        run["workloads"] = [name for name in run["workloads"] if name not in again]
    return [run for run in runs if run["workloads"]]


def note_run(path, names, rounds, seconds, references, keep):
    """Writes FILE.json; earlier runs of other workloads stay in it if `keep`, and
    the studies, which have files of their own."""
    runs = [run for run in earlier_runs(path, names)
            if keep or run["workloads"][0].startswith("--")]
    runs.append({"date": time.strftime("%Y-%m-%d"), "strata": strata_version(), "rounds": rounds,
                 "seconds": round(seconds), "workloads": names,
                 "steadiness": steadiness(references)})
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**describe(), "runs": runs}, file, indent=2)
        file.write("\n")
    return runs[-1]["steadiness"]


def describe():
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as file:
            huge_pages = file.read().strip()
    except OSError:
        huge_pages = ""
    return {
        "processor": field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_mib": int(field("/proc/meminfo", "MemTotal").split()[0] or 0) // 1024,
        "system": field("/etc/os-release", "PRETTY_NAME"),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "huge_pages": huge_pages,
        "compiler": first_line(["gcc", "--version"]),
        "java": first_line(["java", "-version"]) if shutil.which("java") else "",
        "packages": package_versions(),
    }


def spread(seconds):
    """Median, and how far the middle nine tenths reach, relative to it."""
    ordered = sorted(seconds)
    median = statistics.median(ordered)
    cut = len(ordered) // 20
    middle = ordered[cut:len(ordered) - cut]
    return {"median_s": median, "spread": (middle[-1] - middle[0]) / median,
            "worst": ordered[-1] / median, "runs": len(ordered)}


def steadiness(references):
    """From the runs of the reference loop: (arithmetic, misses) pairs."""
    if not references:
        return {}
    return {"arithmetic": spread([pair[0] for pair in references]),
            "cache_misses": spread([pair[1] for pair in references])}
