# SPDX-License-Identifier: MIT
"""Which tests run a line: each alone, in a build at -O0 that notes its blocks."""
import bisect
import glob
import json
import os
import re
import struct
import subprocess

CALL, CALL_BYTES = b"\xe8", 5
NOTE = "__sanitizer_cov_trace_pc"
ROW = re.compile(r"(\S+) +(\d+) +(0x[0-9a-f]+|0)\b")


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


class Program:
    """Where the basic blocks of a program begin, and which lines each has."""

    def __init__(self, path, tree):
        self.path, self.tree = path, tree
        symbols = {name: int(address, 16) for address, _, name in
                   re.findall(r"^([0-9a-f]+) (\w) (\S+)$", output("nm", path), re.MULTILINE)}
        self.base = symbols["__executable_start"]
        self.blocks = self.returns_of(symbols[NOTE])
        self.lines = [set() for _ in self.blocks]
        self.read_lines()

    def returns_of(self, function):
        """What is after each call of `function`: the first of a block's own code."""
        name, kind, address, offset, size = re.search(
            r"\] (\.text) +(\S+) +(\S+) (\S+) (\S+)", output("readelf", "-SW", self.path)).groups()
        del name, kind
        address, offset, size = int(address, 16), int(offset, 16), int(size, 16)
        with open(self.path, "rb") as file:
            file.seek(offset)
            text = file.read(size)
        found, at = [], text.find(CALL)
        while 0 <= at <= size - CALL_BYTES:
            after = address + at + CALL_BYTES
            if after + struct.unpack_from("<i", text, at + 1)[0] == function:
                found.append(after - self.base)
            at = text.find(CALL, at + 1)
        return found

    def read_lines(self):
        headers = {os.path.basename(path): path for path in
                   glob.glob(os.path.join(self.tree, "src/*/*.h")) +
                   glob.glob(os.path.join(self.tree, "include/strata/*.h"))}
        file, rows = "", []
        for line in output("readelf", "-W", "--debug-dump=decodedline", self.path).split("\n"):
            row = ROW.match(line)
            if row is not None:
                name, number, address = row.groups()
                if name != os.path.basename(file):
                    file = headers.get(name, "")  # where a unit begins with one, it is not said
                rows.append((int(address, 16) - self.base, self.name_of(file), int(number)))
            elif line.endswith((":", ":[++]")):
                file = line.removeprefix("CU: ").rpartition(":")[0]
        rows.sort(key=lambda row: row[0])
        for i, (start, name, number) in enumerate(rows):
            if name is not None:
                end = rows[i + 1][0] if i + 1 < len(rows) else start + 1
                first = max(0, bisect.bisect_right(self.blocks, start + CALL_BYTES) - 1)
                for block in range(first, bisect.bisect_left(self.blocks, max(end, start + 1))):
                    self.lines[block].add((name, number))

    def name_of(self, path):
        name = os.path.relpath(path or "/", self.tree)
        return name if name.startswith(("src/", "include/")) else None

    def ran(self, notes):
        """The lines of the blocks that are noted."""
        found = set()
        for block, lines in zip(self.blocks, self.lines):
            if block < len(notes) and notes[block]:
                found |= lines
        return found


class Reach:
    """Of each line of the library, the tests that run it; a test is PROGRAM:NAME."""

    def __init__(self, folder, tree):
        self.folder, self.tree = folder, tree
        self.path = os.path.join(folder, "lines.json")
        self.known, self.lines, self.numbers = {}, {}, {}

    def build(self, must):
        own = os.path.dirname(os.path.abspath(__file__))
        note = os.path.join(self.folder, "reach.o")
        must("gcc", "-O1", "-c", os.path.join(own, "reach.c"), "-o", note)
        must("cmake", "-G", "Ninja", "-S", self.tree, "-B", os.path.join(self.folder, "build"),
             "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS_RELEASE=-O0",
             "-DCMAKE_C_COMPILER=gcc",
             "-DCMAKE_C_FLAGS=-w -g1 -fno-pie -fsanitize-coverage=trace-pc",
             f"-DCMAKE_EXE_LINKER_FLAGS=-no-pie {note}", f"-DCMAKE_SHARED_LINKER_FLAGS={note}",
             "-DSTRATA_INSTALL=OFF", "-DSTRATA_BUILD_EXAMPLES=OFF", "-DSTRATA_BUILD_BENCH=OFF")
        programs = sorted(os.path.basename(path)[:-2] for path in
                          glob.glob(os.path.join(self.tree, "tests", "test_*.c")))
        must("ninja", "-C", os.path.join(self.folder, "build"), "-j", "1", *programs)

    def measure(self, sources, must, run):
        """Runs those of the tests that are not known, as `run` does. `sources` has
        a hash of all that each is built of."""
        os.makedirs(self.folder, exist_ok=True)
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.known = json.load(file)
        todo = sorted(test for test in sources
                      if self.known.get(test, [None])[0] != sources[test])
        if todo:
            self.build(must)
        program = None
        for test in todo:
            path = os.path.join(self.folder, "build", "tests", test.partition(":")[0])
            if program is None or program.path != path:
                program = Program(path, self.tree)
                self.save()
            self.known[test] = [sources[test], self.ran(program, test, run)]
        self.save()
        self.sort(sources)

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.known, file)
        os.replace(self.path + ".new", self.path)

    def sort(self, tests):
        for test in tests:
            for file, numbers in self.known[test][1].items():
                for number in numbers:
                    self.lines.setdefault((file, number), set()).add(test)
        for file, number in self.lines:
            self.numbers.setdefault(file, []).append(number)
        for numbers in self.numbers.values():
            numbers.sort()

    def ran(self, program, test, run):
        notes = os.path.join(self.folder, "notes")
        if os.path.exists(notes):
            os.remove(notes)
        run(program.path, test, {"STRATA_REACH": notes})
        files = {}
        if os.path.exists(notes):
            with open(notes, "rb") as file:
                for name, number in program.ran(file.read()):
                    files.setdefault(name, []).append(number)
        return files

    def of(self, file, line):
        """The tests that run the line; if it has no code, the one before it, or
        the next."""
        numbers = self.numbers.get(file, [])
        at = bisect.bisect_left(numbers, line)
        if at < len(numbers) and numbers[at] == line:
            return self.lines[file, line]
        near = {numbers[i] for i in (at - 1, at) if 0 <= i < len(numbers)}
        return set().union(*(self.lines[file, number] for number in near))
