# SPDX-License-Identifier: MIT
"""A copy of the tree in which one file at a time is changed, built and tested."""
import glob
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import users

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY = "libstrata_whole.so"
QUICK, PLAIN = "-O0", "-O1"  # what is changed is compiled quickly, until its code is compared
FAILED = b"[  FAILED  ]"
DATA_BYTES = 4 << 30  # no test of the slowed suite comes near
FEWEST_SECONDS = 2    # of processor time that any test may take
IDLE_SECONDS = 10     # and of waiting for anything but the processor
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
        shutil.copy(source, path)  # it is newer than what was built of it


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
    builds the library, which uses few of them, not again. ninja builds only what
    has no mutation: then what a mutation changes is compiled, linked, and at last
    put back as it was."""

    def __init__(self, folder):
        self.tree, self.build = os.path.join(folder, "tree"), os.path.join(folder, "build")
        self.own = os.path.join(self.build, "mutated")
        self.library = os.path.join(self.own, LIBRARY)
        self.single = os.path.join(self.build, "single.so")
        self.whole = {}     # each test's seconds of processor time, without a mutation
        self.mutated = self.original = self.time = self.plain = None
        self.sound = {}     # tests that pass without a mutation, compiled the quick way
        self.changed = {}   # what has been built from the mutated file, and its name
        self.library_users = self.helper_users = self.objects = self.commands = None
        self.common = None

    def prepare(self):
        os.makedirs(self.tree, exist_ok=True)
        copy_tree(self.tree)
        self.forget_globs()
        self.part_headers()
        self.must("cmake", "-G", "Ninja", "-S", self.tree, "-B", self.build,
                  "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_C_FLAGS_RELEASE={PLAIN}",
                  "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_C_FLAGS=-w", "-DSTRATA_TESTS_SHARED=ON",
                  "-DSTRATA_INSTALL=OFF", "-DSTRATA_BUILD_EXAMPLES=OFF", "-DSTRATA_BUILD_BENCH=OFF")
        programs = sorted(name[:-2] for name in os.listdir(os.path.join(self.tree, "tests"))
                          if name.startswith("test_") and name.endswith(".c"))
        self.must("ninja", "-C", self.build, "-j", "1", *programs)
        self.must("gcc", "-shared", "-fPIC", os.path.join(TOP, "tests", "mutants", "single.c"),
                  "-o", self.single)
        self.learn_commands(programs)
        os.makedirs(self.own, exist_ok=True)
        if not self.link(LIBRARY, [], ""):
            raise Broken("the library cannot be linked")
        self.plain = self.code()
        self.changed.clear()

    def learn_commands(self, programs):
        headers = [os.path.join(self.tree, pattern) for pattern in
                   ("src/*/*.h", "include/strata/*.h", "tests/support/*.h")]
        self.library_users = users.Users(headers[:2], [os.path.join(self.tree, "src/*/*.c")])
        self.helper_users = users.Users(headers, [os.path.join(self.tree, "tests/support/*.c")])
        self.objects, self.commands = {}, {}
        with open(os.path.join(self.build, "compile_commands.json"), encoding="utf-8") as file:
            for entry in json.load(file):
                target = re.search(r" -o (\S+) ", entry["command"]).group(1)
                if target.startswith("tests/"):
                    self.objects[entry["file"]] = (target, entry["command"])
        for target in [LIBRARY, *programs]:
            done = subprocess.run(["ninja", "-C", self.build, "-t", "commands", f"tests/{target}"],
                                  check=True, stdout=subprocess.PIPE)
            self.commands[target] = done.stdout.decode().rstrip().split("\n")[-1]

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

    def write(self, file, text):
        with open(os.path.join(self.tree, file), "w", encoding="utf-8") as source:
            source.write(text)

    @staticmethod
    def is_public(file):
        return file.startswith("include/")

    def put(self, file, text):
        """Writes the mutated file; the one before goes back."""
        self.restore()
        if self.is_public(file):
            file = file.replace("include", "embedder", 1)
        self.mutated, self.original = file, self.text(file)
        self.time = os.stat(os.path.join(self.tree, file)).st_mtime_ns
        self.write(file, text)

    def restore(self):
        """As it was, so that ninja builds nothing again."""
        if self.mutated is not None:
            self.write(self.mutated, self.original)
            os.utime(os.path.join(self.tree, self.mutated), ns=(self.time, self.time))
            self.mutated = None
        self.changed.clear()

    def sh(self, command):
        return subprocess.run(command, cwd=self.build, shell=True, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def sources(self, offset):
        """Of the library, those that a mutation at this offset changes."""
        path = os.path.join(self.tree, self.mutated)
        return [path] if path.endswith(".c") else self.library_users.of(self.original, offset)

    def compile(self, offset, level=QUICK):
        """The library, whose mutation is there; whether it builds."""
        self.changed.clear()
        return self.link(LIBRARY, self.sources(offset), level)

    def is_sound(self, offset, test):
        """Whether the test passes when the same sources are compiled the quick way
        without the mutation."""
        file, program, text = self.mutated, test.partition(":")[0], self.text(self.mutated)
        public = file.startswith("embedder")
        sources = self.helper_users.of(self.original, offset) if public else self.sources(offset)
        key = (*sources, test)
        if key not in self.sound:
            self.write(file, self.original)
            self.changed.clear()
            built = self.compile_test(program, offset) if public else self.compile(offset)
            self.sound[key] = built and self.passes(test)
            self.write(file, text)
            self.changed.clear()
        return self.sound[key]

    def compile_test(self, program, offset):
        """A program of its own from the mutated public header, at -O0; whether it
        builds."""
        helpers = self.helper_users.of(self.original, offset)
        return self.link(program, [os.path.join(self.tree, "tests", program + ".c"), *helpers],
                         QUICK)

    def link(self, target, sources, level):
        """A program, or the library, with these sources compiled anew, into a folder
        of its own."""
        command = self.commands[target].replace(f"-o tests/{target} ", f"-o mutated/{target} ")
        more = ""
        for source in sources:
            old, compile_it = self.objects[source]
            new = f"mutated/{old.replace('/', '_')}"
            if source not in self.changed:
                if not self.sh(compile_it.replace(f" -o {old} ", f" {level} -o {new} ")):
                    return False
                self.changed[source] = new
            if old in command:
                command = command.replace(f" {old} ", f" {new} ")
            else:
                more += f" {new}"  # of the helpers' archive, whose own is then not wanted
        self.changed[target] = target
        return self.sh(command.replace(f" -o mutated/{target} ", f"{more} -o mutated/{target} "))

    # ---- Tests: each of a program's alone, PROGRAM:NAME ----

    def programs(self):
        return sorted(name for name in os.listdir(os.path.join(self.build, "tests"))
                      if name.startswith("test_") and not name.startswith("test_stack_O") and
                      os.path.isfile(os.path.join(self.build, "tests", name)))

    def measure(self, known, save):
        """Runs all tests on the tree as it is, but those whose source and seconds
        are `known`, and saves that after each program. One that fails there (it counts pages, say, which are others
        at -O1) tells nothing, and is left out."""
        for program in self.programs():
            source = self.source_of(program)
            if known.get(program, [None])[0] != source:
                known[program] = [source, self.seconds_of(program)]
                save()
            self.whole.update(known[program][1])
        if len(self.whole) < len(self.programs()):
            raise Broken("most tests fail without a mutation")
        return self.whole

    def seconds_of(self, program):
        """{test: its seconds of processor time}"""
        found = {}
        for name in self.names_of(program):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if not self.passes(f"{program}:{name}"):
                print(f"{program}:{name} fails without a mutation, and is left out", flush=True)
                continue
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found[f"{program}:{name}"] = (after.ru_utime - before.ru_utime +
                                          after.ru_stime - before.ru_stime)
        return found

    def names_of(self, program):
        done = subprocess.run([os.path.join(self.build, "tests", program)], cwd=self.build,
                              env=self.environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return re.findall(r"^\[ RUN      \] (\w+)$", done.stdout.decode(errors="replace"),
                          re.MULTILINE)

    def environment(self, test=""):
        """Small as under valgrind; with the mutated library; and one test only."""
        found = dict(os.environ, STRATA_UNDER_VALGRIND="1")
        if LIBRARY in self.changed:
            found["LD_LIBRARY_PATH"] = self.own
        if ":" in test:
            found.update(LD_PRELOAD=self.single, STRATA_TEST=test.partition(":")[2])
        return found

    def source_of(self, program):
        """A hash of all that it is built of."""
        if self.common is None:
            self.common = hashlib.sha256()
            for pattern in ("src/*/*.[ch]", "include/strata/*.h", "tests/support/*.[ch]"):
                for name in sorted(glob.glob(pattern, root_dir=self.tree)):
                    self.common.update(self.text(name).encode())
        found = self.common.copy()
        found.update(self.text(os.path.join("tests", program + ".c")).encode())
        return found.hexdigest()[:16]

    def run_noting(self, path, test, environment):
        """Runs a test of another build, whose environment says what it notes."""
        child = subprocess.Popen(["prlimit", "--core=0", "--cpu=300", path],
                                 cwd=os.path.dirname(path), process_group=0,
                                 env=dict(self.environment(test), **environment),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        try:
            self.says_failed(child)
        finally:
            self.end(child)

    def failing(self):
        """Those that should pass, and now do not: what they killed is in doubt."""
        self.restore()
        return [name for name in self.whole if not self.passes(name)]

    def passes(self, name):
        """Whether the test passes, or all of a program. It is stopped where it
        first fails, or takes ten times the processor time it should."""
        seconds = int(FEWEST_SECONDS + 10 * self.whole.get(name, 30))
        folder, program = os.path.join(self.build, "tests"), name.partition(":")[0]
        path = os.path.join(self.own if program in self.changed else folder, program)
        child = subprocess.Popen(["prlimit", "--core=0", f"--cpu={seconds}",
                                  f"--data={DATA_BYTES}", path],
                                 cwd=folder, process_group=0, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env=self.environment(name))
        try:
            return not self.says_failed(child) and self.status(child) == 0
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
                    idle += 0 if wants_processor(child.pid) else LOOK_SECONDS
                    looked = time.monotonic()
                continue
            tail = tail[-len(FAILED):] + piece
            if FAILED in tail:
                return True
        return True

    def status(self, child):
        """Of one that has closed its output; it may get no processor for a while."""
        while True:
            try:
                return child.wait(timeout=IDLE_SECONDS)
            except subprocess.TimeoutExpired:
                if not wants_processor(child.pid):
                    return None

    def end(self, child):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        child.stdout.close()
