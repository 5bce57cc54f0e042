# SPDX-License-Identifier: MIT
"""All mutations of a C file: small changes, one at a time, in the bodies of its
functions. After the operators of Mothra and of Andrews, Briand and Labiche, "Is
mutation an appropriate tool for testing experiments?", 2005.
"""
import collections
import re

# `what` says it in words; `start` and `end` are offsets of the text replaced.
Mutation = collections.namedtuple("Mutation", "file line column start end text what")
Token = collections.namedtuple("Token", "kind text start end")

TOKENS = re.compile(r"""
    (?P<skip>\s+ | /\*.*?\*/ | //[^\n]* | ^[ \t]*\#(?:[^\n\\]|\\.)*)
  | (?P<string>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
  | (?P<number>0[xX][0-9a-fA-F]+[uUlL]* | [0-9][0-9.]*[uUlLfF]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<operator><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
    "+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "<<": ">>", ">>": "<<",
    "&": "|", "|": "&", "^": "|", "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "^=": "|=",
    "<<=": ">>=", ">>=": "<<=", "*=": "/=", "/=": "*=", "++": "--", "--": "++",
}
ASSIGNMENTS = {"=", "+=", "-=", "|=", "&=", "^=", "<<=", ">>=", "*=", "/="}
WORDS = {"true": "false", "false": "true", "continue": "break"}
# What begins no statement that could be dropped.
KEYWORDS = set("""auto break case char const continue default do double else enum extern
    float for goto if int long register return short signed sizeof static struct switch typedef
    union unsigned void volatile while bool _Bool _Static_assert static_assert""".split())
# Arguments of these are no part of the program's work.
UNTOUCHED = {"GC_CHECK", "gc_prefetch", "static_assert", "_Static_assert", "sizeof", "offsetof", "alignof",
             "_Alignof", "__attribute__"}


def tokens_of(text):
    found = []
    for match in TOKENS.finditer(text):
        if match.lastgroup != "skip":
            found.append(Token(match.lastgroup, match.group(), match.start(), match.end()))
    return found


def closing(tokens, at):
    """The index of what closes the bracket at `at`."""
    depth = 0
    for i in range(at, len(tokens)):
        if tokens[i].text in "([{":
            depth += 1
        elif tokens[i].text in ")]}":
            depth -= 1
            if depth == 0:
                return i
    raise ValueError("a bracket is not closed")


def bodies(tokens):
    """Ranges of tokens between the braces of functions."""
    at = 0
    while at < len(tokens):
        if tokens[at].text == "{":
            end = closing(tokens, at)
            if at > 0 and tokens[at - 1].text == ")":
                yield at + 1, end
                at = end
        at += 1


def opening(tokens, at):
    """The index of what opens the bracket at `at`."""
    depth = 0
    for i in range(at, -1, -1):
        depth += (tokens[i].text in ")]}") - (tokens[i].text in "([{")
        if depth == 0:
            return i
    raise ValueError("a bracket is not opened")


def functions(text):
    """(name, start, end) of each function; the offsets are those of its body."""
    tokens = tokens_of(text)
    for first, last in bodies(tokens):
        name = tokens[opening(tokens, first - 2) - 1].text
        yield name, tokens[first - 1].start, tokens[last].end


class Finder:
    def __init__(self, file, text):
        self.file, self.text = file, text
        self.tokens = tokens_of(text)
        self.found = []

    def add(self, start, end, replacement, what):
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        self.found.append(Mutation(self.file, line, column, start, end, replacement, what))

    def all(self):
        for first, last in bodies(self.tokens):
            at = first
            while at < last:
                if self.tokens[at].text in UNTOUCHED and self.tokens[at + 1].text == "(":
                    at = closing(self.tokens, at + 1)
                else:
                    self.at_token(at)
                    if self.begins_statement(at):
                        self.at_statement(at, last)
                at += 1
        return self.found

    # ---- Operators, constants, conditions ----

    def at_token(self, at):
        token = self.tokens[at]
        if token.kind == "operator":
            self.at_operator(at, token)
        elif token.kind == "number" and not self.is_hint(at):
            self.at_number(token)
        elif token.text in WORDS:
            self.swap(token, WORDS[token.text])
        elif token.text in ("if", "while") and self.tokens[at + 1].text == "(":
            self.at_condition(at)

    def is_hint(self, at):
        """The last argument of __builtin_expect, which is of speed only."""
        if self.tokens[at - 1].text != "," or self.tokens[at + 1].text != ")":
            return False
        return self.tokens[opening(self.tokens, at + 1) - 1].text == "__builtin_expect"

    def swap(self, token, text):
        self.add(token.start, token.end, text, f"{token.text} becomes {text}")

    def is_spaced(self, token):
        """As the house style writes a binary operator."""
        return self.text[token.start - 1].isspace() and self.text[token.end].isspace()

    def at_operator(self, at, token):
        if token.text in ("!", "~"):
            self.add(token.start, token.end, "", f"{token.text} dropped")
        elif token.text in ("++", "--") or (token.text in SWAPS and self.is_spaced(token)):
            self.swap(token, SWAPS[token.text])

    def at_number(self, token):
        match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", token.text)
        if match is None:
            return
        value = int(match.group(1), 0 if match.group(1)[:2] in ("0x", "0X") else 10)
        self.swap(token, f"{0 if value == 1 else value + 1}{match.group(2)}")

    def at_condition(self, at):
        end = closing(self.tokens, at + 1)
        start, stop = self.tokens[at + 1].end, self.tokens[end].start
        inside = self.text[start:stop]
        self.add(start, stop, f"!({inside})", "condition negated")
        if self.tokens[at].text == "if":
            self.add(start, stop, f"({inside}) && 0", "condition never holds")

    # ---- Statements dropped ----

    def begins_statement(self, at):
        before = self.tokens[at - 1].text
        return before in (";", "{", "}", "else") or (before == ")" and self.closes_head(at - 1))

    def closes_head(self, at):
        """Whether this bracket ends what is tested by if, for or while."""
        depth = 0
        for i in range(at, -1, -1):
            depth += (self.tokens[i].text == ")") - (self.tokens[i].text == "(")
            if depth == 0:
                return self.tokens[i - 1].text in ("if", "for", "while")
        return False

    def at_statement(self, at, last):
        first = self.tokens[at]
        if first.text in KEYWORDS or first.text in UNTOUCHED or first.text in ("}", "{", ";"):
            return
        if first.kind == "name" and self.tokens[at + 1].kind == "name":
            return  # a declaration by a type's name
        end, assigns, calls = at, False, False
        while end < last and self.tokens[end].text != ";":
            text = self.tokens[end].text
            if text in ASSIGNMENTS or text in ("++", "--"):
                assigns = True
            if text == "(":
                calls = calls or self.tokens[end - 1].kind == "name"
                end = closing(self.tokens, end)
            elif text in "{}":
                return
            end += 1
        if not self.is_declaration(at) and (assigns or calls):
            what = "assignment dropped" if assigns else "call dropped"
            self.add(first.start, self.tokens[end].start, "(void)0", what)

    def is_declaration(self, at):
        """gc_heap *heap = ...; is told from a product by its spaces."""
        return (self.tokens[at].kind == "name" and self.tokens[at + 1].text == "*" and
                not self.is_spaced(self.tokens[at + 1]))


def find(file, text):
    """All mutations of `text`, the content of `file`."""
    return Finder(file, text).all()


def apply(text, mutation):
    return text[:mutation.start] + mutation.text + text[mutation.end:]
