# SPDX-License-Identifier: MIT
"""A progress line, when a terminal is watching."""
import sys
import time


class Progress:
    def __init__(self, total):
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.live = sys.stderr.isatty()

    def show(self, what):
        if not self.live:
            return
        spent = time.monotonic() - self.start
        text = f"[{self.done + 1}/{self.total}] {what}, {spent:.0f} s"
        if self.done > 3:
            text += f", about {spent / self.done * (self.total - self.done):.0f} s left"
        sys.stderr.write("\r\033[K" + text[:110])
        sys.stderr.flush()

    def step(self):
        self.done += 1

    def say(self, text):
        """A line that stays."""
        if self.live:
            sys.stderr.write("\r\033[K")
        print(text, file=sys.stderr)

    def close(self):
        if self.live:
            sys.stderr.write("\r\033[K")
