# SPDX-License-Identifier: MIT
"""A copy of the tree in which one file at a time is changed, built and tested."""
import glob
import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FAILED = b"[  FAILED  ]"
DATA_BYTES = 4 << 30  # no test of the slowed suite comes near
FEWEST_SECONDS = 5    # of processor time that any test may take
IDLE_SECONDS = 60     # and of waiting for anything but the processor
LOOK_SECONDS = 1      # from one look at whether it waits to the next


class Broken(Exception):
    """The tree does not build, or its tests fail, without a mutation."""


def copy_tree(target):
    """What git knows and what is new, as it is now."""
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           cwd=TOP, check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    wanted = {name for name in names
              if name.split("/")[0] in ("CMakeLists.txt", "cmake", "include", "src", "tests")}
    for name in sorted(wanted):
        path, source = os.path.join(target, name), os.path.join(TOP, name)
        if not os.path.exists(source):
            continue
        copy_changed(source, path)
    for folder in ("include", "src", "tests"):
        for parent, _, files in os.walk(os.path.join(target, folder)):
            for name in files:
                path = os.path.join(parent, name)
                if os.path.relpath(path, target) not in wanted and "__pycache__" not in path:
                    os.remove(path)


def copy_changed(source, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path) or contents(path) != contents(source):
        shutil.copy(source, path)


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def state_and_group(path):
    try:
        fields = contents(path).rpartition(b")")[2].split()
        return fields[0], int(fields[2])
    except OSError:
        return b"X", 0  # it is gone


def wants_processor(group):
    """Whether a thread of the process group runs, or would if it could."""
    for process in glob.glob("/proc/[0-9]*/stat"):
        if state_and_group(process)[1] == group:
            for thread in glob.glob(process.replace("/stat", "/task/*/stat")):
                if state_and_group(thread)[0] in (b"R", b"D"):
                    return True
    return False


class Sandbox:
    """The tests see public headers of their own, so that to change a fast path
    builds the library, which uses few of them, not again."""

    def __init__(self, folder):
        self.tree, self.build = os.path.join(folder, "tree"), os.path.join(folder, "build")
        self.library = os.path.join(self.build, "tests", "libstrata_whole.so")
        self.whole = {}  # each test's seconds of processor time, without a mutation
        self.original = self.mutated = self.plain = None
        self.stale = set()  # tests that were built from a mutated public header

    def prepare(self):
        os.makedirs(self.tree, exist_ok=True)
        copy_tree(self.tree)
        self.forget_globs()
        self.part_headers()
        self.must("cmake", "-G", "Ninja", "-S", self.tree, "-B", self.build,
                  "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS_RELEASE=-O1",
                  "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_C_FLAGS=-w", "-DSTRATA_TESTS_SHARED=ON", "-DSTRATA_INSTALL=OFF",
                  "-DSTRATA_BUILD_EXAMPLES=OFF", "-DSTRATA_BUILD_BENCH=OFF")
        self.must("ninja", "-C", self.build, "-j", "1")
        self.plain = self.code()

    def forget_globs(self):
        """No file comes or goes, so ninja need not ask cmake each time."""
        for name in ("CMakeLists.txt", os.path.join("tests", "CMakeLists.txt")):
            text = self.text(name)
            self.write(name, text.replace("CONFIGURE_DEPENDS ", ""))

    def part_headers(self):
        common = "PUBLIC ${PROJECT_SOURCE_DIR}/include\n        PRIVATE ${PROJECT_SOURCE_DIR}/src"
        apart = ("PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src\n"
                 "        INTERFACE ${PROJECT_SOURCE_DIR}/embedder")
        name = os.path.join("tests", "CMakeLists.txt")
        if common not in self.text(name):
            raise Broken(f"{name} does not say where the tests' headers are")
        self.write(name, self.text(name).replace(common, apart))
        for path in glob.glob(os.path.join(self.tree, "include", "**", "*.h"), recursive=True):
            copy_changed(path, path.replace(os.path.join(self.tree, "include"),
                                            os.path.join(self.tree, "embedder"), 1))

    def must(self, *command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise Broken(done.stdout.decode(errors="replace")[-3000:])

    def code(self):
        return hashlib.sha256(contents(self.library)).hexdigest()

    # ---- One mutation ----

    def text(self, file):
        with open(os.path.join(self.tree, file), encoding="utf-8") as source:
            return source.read()

    def put(self, file, text):
        """Writes the mutated file; the one before goes back."""
        self.restore()
        if self.is_public(file):
            file = file.replace("include", "embedder", 1)
        elif self.stale:
            self.must("ninja", "-C", self.build, "-j", "1", *sorted(self.stale))
            self.stale.clear()
        self.mutated, self.original = file, self.text(file)
        self.write(file, text)

    @staticmethod
    def is_public(file):
        return file.startswith("include/")

    def compile_test(self, name):
        """With the mutated public header; whether it builds."""
        self.stale.add(name)
        return self.compile(name)

    def restore(self):
        if self.mutated is not None:
            self.write(self.mutated, self.original)
            self.mutated = None

    def write(self, file, text):
        with open(os.path.join(self.tree, file), "w", encoding="utf-8") as source:
            source.write(text)

    def compile(self, target="tests/libstrata_whole.so"):
        """Whether it builds."""
        done = subprocess.run(["ninja", "-C", self.build, "-j", "1", target],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    # ---- Tests ----

    def tests(self):
        return sorted(name for name in os.listdir(os.path.join(self.build, "tests"))
                      if name.startswith("test_") and
                      os.path.isfile(os.path.join(self.build, "tests", name)))

    def measure(self, known):
        """Runs all tests on the tree as it is, but those whose source and seconds
        are `known`. One that fails there (it counts pages, say, which are others
        at -O1) tells nothing, and is left out."""
        for name in self.tests():
            source = self.text_of_test(name)
            if known.get(name, [None])[0] == source:
                self.whole[name] = known[name][1]
                continue
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if not self.passes(name):
                print(f"{name} fails without a mutation, and is left out", flush=True)
                continue
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.whole[name] = (after.ru_utime - before.ru_utime +
                                after.ru_stime - before.ru_stime)
            known[name] = [source, self.whole[name]]
        if len(self.whole) < len(self.tests()) // 2:
            raise Broken("most tests fail without a mutation")
        return self.whole

    def text_of_test(self, name):
        name = re.sub("_O[0-9]$", "", name)  # one source built in several ways
        return hashlib.sha256(self.text(os.path.join("tests", name + ".c")).encode()).hexdigest()

    def failing(self):
        """Those that should pass, and now do not: what they killed is in doubt."""
        self.restore()
        self.must("ninja", "-C", self.build, "-j", "1")
        return [name for name in self.whole if not self.passes(name)]

    def passes(self, name):
        """Whether the test passes, small as under valgrind. It is stopped where
        it first fails, or takes ten times the processor time it should."""
        seconds = int(FEWEST_SECONDS + 10 * self.whole.get(name, 30))
        folder = os.path.join(self.build, "tests")
        child = subprocess.Popen(["prlimit", "--core=0", f"--cpu={seconds}",
                                  f"--data={DATA_BYTES}", os.path.join(folder, name)],
                                 cwd=folder, process_group=0, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env=dict(os.environ, STRATA_UNDER_VALGRIND="1"))
        try:
            return not self.says_failed(child) and child.wait(timeout=IDLE_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.end(child)

    def says_failed(self, child):
        """Or waits for too long, for what does not come."""
        os.set_blocking(child.stdout.fileno(), False)
        tail, idle, looked = b"", 0, time.monotonic()
        while idle < IDLE_SECONDS:
            piece = child.stdout.read(65536)
            if piece == b"":
                return False
            if piece is None:
                time.sleep(0.005)
                if time.monotonic() > looked + LOOK_SECONDS:
                    idle += 0 if wants_processor(child.pid) else time.monotonic() - looked
                    looked = time.monotonic()
                continue
            tail = tail[-len(FAILED):] + piece
            if FAILED in tail:
                return True
        return True

    def end(self, child):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        child.stdout.close()
