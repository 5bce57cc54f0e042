# SPDX-License-Identifier: MIT
"""Which sources a change in a header's function changes: those that name it, or
a function or macro of a header that does."""
import glob
import os
import re

import mutations

WORD = re.compile(r"[A-Za-z_]\w*")
MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:[^\n\\]|\\.)*)", re.MULTILINE | re.DOTALL)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Users:
    def __init__(self, headers, sources):
        """Of files in these, which are patterns."""
        self.named = [item for path in found(headers) for item in named_in(read(path))]
        self.sources = {path: set(WORD.findall(read(path))) for path in found(sources)}

    def of(self, text, offset):
        """The sources that are not as they were, when what is at this offset of a
        header's text changes: all, when it is in no function."""
        names = {name for name, start, end in mutations.functions(text) if start <= offset < end}
        if not names:
            return sorted(self.sources)
        before = 0
        while len(names) > before:
            before = len(names)
            names |= {name for name, words in self.named if words & names}
        return sorted(path for path, words in self.sources.items() if words & names)


def found(patterns):
    return sorted({path for pattern in patterns for path in glob.glob(pattern)})


def named_in(text):
    """[(function or macro, the words in it)]"""
    items = [(name, set(WORD.findall(text[start:end])))
             for name, start, end in mutations.functions(text)]
    return items + [(name, set(WORD.findall(body))) for name, body in MACRO.findall(text)]
