# SPDX-License-Identifier: MIT
"""One run of one program: warmed before, sampled meanwhile, read afterwards."""
import os
import re
import subprocess
import tempfile
import time

NO_MEMORY = 3  # a subject's exit status when it cannot run in so little
JAVA_NO_MEMORY = re.compile("OutOfMemoryError|Error occurred during initialization of VM")
SAMPLE_SECONDS = 0.01
SAMPLES_KEPT = 120  # of memory, per run, at most: thinned out as the run goes on
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Failure(Exception):
    """The program failed, or said what cannot be read."""


class OutOfMemory(Failure):
    """It did not fit, or took too long in what it was given."""


def warm(build, mib):
    """Touches and frees memory in a process of its own: the host's supply of
    pages is not what is measured."""
    subprocess.run([os.path.join(build, "warm"), str(mib)], check=False)


def reference(build):
    """Seconds of the fixed work: arithmetic, cache misses."""
    done = subprocess.run([os.path.join(build, "reference")], check=True, capture_output=True,
                          text=True)
    return [float(word) for word in done.stdout.split()]


def resident_kib(pid):
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * PAGE_KIB
    except (OSError, IndexError):
        return None


def wait_sampling(process, deadline):
    """Waits for the end; returns (seconds, resident KiB) pairs."""
    start = time.monotonic()
    samples, interval, due = [], SAMPLE_SECONDS, 0.0
    while process.poll() is None:
        now = time.monotonic() - start
        if now > deadline:
            process.kill()
            process.wait()
            raise OutOfMemory(f"took more than {deadline:.0f} s")
        if now >= due:
            kib = resident_kib(process.pid)
            if kib:
                samples.append((now, kib))
            due = now + interval
            if len(samples) >= SAMPLES_KEPT:
                samples, interval = samples[::2], interval * 2
        time.sleep(SAMPLE_SECONDS)
    return samples


def parse(text):
    """The program's line as a dictionary; all values are strings."""
    for line in text.splitlines():
        if line.startswith("workload="):
            return dict(word.split("=", 1) for word in line.split())
    raise Failure("no result line in: " + text[-300:])


def run(command, environment, deadline=900.0, sample=True):
    """Runs the program; returns its values and the samples of its memory."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, text=True,
                                   env={**os.environ, **environment})
        try:
            if sample:
                samples = wait_sampling(process, deadline)
            else:
                samples = []
                process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise OutOfMemory(f"took more than {deadline:.0f} s") from None
        except KeyboardInterrupt:
            process.kill()
            raise
        out.seek(0)
        err.seek(0)
        if process.returncode == NO_MEMORY:
            raise OutOfMemory("no memory")
        if process.returncode != 0:
            said = err.read()
            if JAVA_NO_MEMORY.search(said):
                raise OutOfMemory("no memory")
            raise Failure(f"exit status {process.returncode}: {said[-600:].strip()}")
        return parse(out.read()), samples
