# SPDX-License-Identifier: MIT
"""The subjects: what is judged, how it is built, how it is started."""
import os
import shutil
import subprocess
import sys

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Debian's package, and the file or the command that shows it is there.
NATIVE_PACKAGES = {
    "cmake": "cmake",
    "gcc": "gcc",
    "libmimalloc-dev": "/usr/include/mimalloc.h",
    "libjemalloc-dev": "/usr/include/jemalloc/jemalloc.h",
    "libgc-dev": "/usr/include/gc/gc.h",
}
MANAGED_PACKAGES = {
    "ocaml-nox": "ocamlopt",
    "golang-go": "go",
    "chezscheme": "chezscheme",
    "sbcl": "sbcl",
    "default-jdk-headless": "javac",
}


class Native:
    """A C program for each workload, built by bench/CMakeLists.txt."""

    def __init__(self, name):
        self.name = name

    def runs(self, workload):
        return not workload.only or self.name.startswith(workload.only)

    def command(self, build, workload, scale):
        program = os.path.join(build, f"{workload.program}-{self.name}")
        return [program, f"{scale:g}", str(workload.parameter)]

    def limited(self, limit, _factor):
        """Extra environment and arguments that bound the heap; None if it cannot be."""
        if self.name.startswith(("strata", "bdwgc")):
            return {"BENCH_HEAP_MAX": str(limit)}, []
        return None


class Managed:
    """One program for a whole language, compiled by `build`, started by `start`;
    {source} and {out} stand for bench/managed and the folder built into."""

    def __init__(self, name, tool, build, product, start, limit=None):
        self.name, self.tool, self.build_commands = name, tool, build
        self.product, self.start, self.limit = product, start, limit

    def runs(self, workload):
        return bool(workload.managed)

    def place(self, words, build):
        out = os.path.join(build, "managed")
        source = os.path.join(BENCH, "managed")
        return [word.format(source=source, out=out) for word in words]

    def command(self, build, workload, scale):
        return self.place(self.start, build) + [workload.program, f"{scale:g}",
                                                str(workload.parameter)]

    def limited(self, limit, factor):
        return self.limit(limit, factor) if self.limit else None


def java(name, option):
    # The heap's bound goes in by the environment: the command line stays the same.
    return Managed(name, "javac", [["javac", "-d", "{out}", "{source}/Bench.java"]],
                   "Bench.class", ["java", f"-XX:+Use{option}", "-cp", "{out}", "Bench"],
                   lambda limit, _: ({"JDK_JAVA_OPTIONS": f"-Xmx{limit // 1024}k"}, []))


def ocaml_limit(_limit, factor):
    # No bound can be set: the collector's own measure of waste is.
    return {"OCAMLRUNPARAM": f"o={max(5, round((factor - 1) * 100))}"}, []


MANAGED = [
    Managed("ocaml", "ocamlopt",
            # The compiler writes beside its sources, so they are copied.
            [["cp", "{source}/bench.ml", "{source}/clock.c", "{out}"],
             ["ocamlopt", "-O3", "-unsafe", "-inline", "100", "unix.cmxa", "clock.c", "bench.ml",
              "-o", "bench-ocaml"]],
            "bench-ocaml", ["{out}/bench-ocaml"], ocaml_limit),
    java("java-serial", "SerialGC"),
    java("java-parallel", "ParallelGC"),
    java("java-g1", "G1GC"),
    java("java-z", "ZGC"),
    Managed("go", "go", [["go", "build", "-o", "{out}/bench-go", "{source}/bench.go"]],
            "bench-go", ["{out}/bench-go"],
            lambda limit, _: ({"GOMEMLIMIT": str(limit), "GOGC": "off"}, [])),
    Managed("chez", "chezscheme",
            [["sh", "-c", "echo '(optimize-level 3) (compile-program \"{source}/bench.ss\" "
                          "\"{out}/bench.so\")' | chezscheme -q"]],
            "bench.so", ["chezscheme", "--program", "{out}/bench.so"]),
    Managed("sbcl", "sbcl",
            [["sbcl", "--noinform", "--non-interactive", "--eval",
              "(compile-file \"{source}/bench.lisp\" :output-file \"{out}/bench.fasl\")"]],
            "bench.fasl", ["sbcl", "--dynamic-space-size", "4GB", "--script",
                           "{out}/bench.fasl"]),
]


def is_there(evidence):
    return os.path.exists(evidence) if evidence.startswith("/") else shutil.which(evidence)


def install(packages):
    """Installs what is missing when root; otherwise names it."""
    missing = [name for name, evidence in packages.items() if not is_there(evidence)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"not installed, so left out: {' '.join(missing)}", file=sys.stderr)
        return
    print(f"installing {' '.join(missing)}", file=sys.stderr)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["apt-get", "update", "-qq"],
                    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]):
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            print(f"{' '.join(command[:2])} failed; going on without", file=sys.stderr)
            return


def run_quietly(command, **options):
    """Runs a step of the build; shows what it said only when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    if done.returncode != 0:
        lines = done.stdout.splitlines()
        errors = [line for line in lines if "error" in line.lower()][:10]
        print("\n".join(errors + ["..."] + lines[-12:]), file=sys.stderr)
        raise SystemExit(f"failed: {' '.join(command)[:100]}")


def configure(build):
    """Configures the C programs and returns the subjects that can be built."""
    run_quietly(["cmake", "-S", BENCH, "-B", build])
    with open(os.path.join(build, "subjects.txt"), encoding="utf-8") as file:
        return [Native(name) for name in file.read().split()]


def build_native(build, pairs):
    targets = [f"bench-{workload.program}-{subject.name}" for workload, subject in pairs]
    if targets:
        run_quietly(["cmake", "--build", build, "-j", str(os.cpu_count()), "--target",
                     "bench-warm", "bench-reference", *sorted(set(targets))])


def build(build_dir, chosen, who):
    """All that runs the chosen workloads for these subjects."""
    build_native(build_dir, [(w, s) for w in chosen for s in who
                             if isinstance(s, Native) and s.runs(w)])
    if any(w.managed for w in chosen):
        build_managed(build_dir, [s for s in who if isinstance(s, Managed)])


def build_managed(build, subjects):
    out = os.path.join(build, "managed")
    os.makedirs(out, exist_ok=True)
    for subject in subjects:
        product = os.path.join(out, subject.product)
        sources = [os.path.join(BENCH, "managed", f) for f in os.listdir(BENCH + "/managed")]
        newest = max(os.path.getmtime(source) for source in sources)
        if os.path.exists(product) and os.path.getmtime(product) > newest:
            continue
        for command in subject.build_commands:
            run_quietly(subject.place(command, build), cwd=out)
        if not os.path.exists(product):  # chezscheme fails without a status
            raise SystemExit(f"failed: {subject.name} made no {subject.product}")
