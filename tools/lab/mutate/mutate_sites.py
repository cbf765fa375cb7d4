# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a C file can be broken by a small change, and how.

Only what stands in a function is changed: clang-format has its braces in the first column. Binary
operators have a space on each side there, which tells `a * b` from a pointer.
"""

import collections
import re

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<number>\b(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*\b)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<op>->|\+\+|--|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[^\s\w])
""", re.S | re.M | re.X)
FUNCTION = re.compile(r"^\{$.*?^\}", re.S | re.M)

# Comparisons turned round, those that move by one, other operators.
SWAPS = {
    "==": ["!="], "!=": ["=="], "<": [">=", "<="], "<=": [">", "<"], ">": ["<=", ">="],
    ">=": ["<", ">"],
    "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["*"], "&": ["|"], "|": ["&"],
    "&&": ["||"], "||": ["&&"], "<<": [">>"], ">>": ["<<"],
    "+=": ["-="], "-=": ["+="], "|=": ["&="], "&=": ["|="], "++": ["--"], "--": ["++"],
}
UNSPACED = {"++", "--"}
# What these have in their parentheses is no behaviour.
CHECKS = {"assert", "static_assert", "_Static_assert", "sizeof", "offsetof"}
KEYWORDS = {"if", "for", "while", "do", "switch", "return", "case", "default", "else"}
JUMPS = {"break", "continue", "goto"}
# What may follow the first word of a statement that is no declaration.
AFTER_FIRST = {"(", "[", ".", "->", "=", "+=", "-=", "|=", "&=", "*=", "/=", "^=", "<<=", ">>=",
               "%=", "++", "--"}

Token = collections.namedtuple("Token", "kind text start end")
# @old and @new: the lines concerned, before and after, with single spaces. They name the change
# wherever it moves to.
Site = collections.namedtuple("Site", "path line start end text old new")


class _Source:
    """The tokens of one C file, and the changes that they offer."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.tokens = [Token(m.lastgroup, m.group(), m.start(), m.end())
                       for m in TOKEN.finditer(text)
                       if m.lastgroup not in ("comment", "directive")]
        self.sites = []

    def add(self, start, end, new):
        """One change; the number of lines stays."""
        new += "\n" * (self.text.count("\n", start, end) - new.count("\n"))
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", end)
        old_lines = " ".join(self.text[first:last].split())
        new_lines = " ".join((self.text[first:start] + new + self.text[end:last]).split())
        line = self.text.count("\n", 0, start) + 1
        self.sites.append(Site(self.path, line, start, end, new, old_lines, new_lines))

    def closing(self, i):
        """The index of the parenthesis that closes the one at @i."""
        depth = 0
        for j in range(i, len(self.tokens)):
            depth += {"(": 1, ")": -1}.get(self.tokens[j].text, 0)
            if not depth:
                return j
        raise ValueError(f"{self.path}: a parenthesis stays open")

    def until_semicolon(self, i):
        """The index of the `;` that ends the statement at @i, or None where a block begins
        first."""
        depth = 0
        for j in range(i, len(self.tokens)):
            text = self.tokens[j].text
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text, 0)
            if text == "{" and self.tokens[j - 1].text in (")", "else", "do"):
                return None
            if text == ";" and not depth:
                return j
        return None

    def is_spaced(self, token):
        """A binary operator, then."""
        return self.text[token.start - 1].isspace() and self.text[token.end].isspace()

    def operator(self, i):
        token = self.tokens[i]
        if token.text == "!":
            self.add(token.start, token.end, "")
        elif token.text in UNSPACED or self.is_spaced(token):
            for new in SWAPS.get(token.text, []):
                self.add(token.start, token.end, new)

    def number(self, i):
        token = self.tokens[i]
        around = [t.text for t in self.tokens[i - 1:i + 2]]
        before = self.tokens[i - 3]
        if around[0] == "[" and around[2] == "]" and (before.kind == "word" or before.text == ","):
            return  # the size of an array
        digits = token.text.rstrip("uUlL")
        suffix = token.text[len(digits):]
        base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
        value, form = int(digits, base), {16: "0x{:x}{}", 8: "0{:o}{}", 10: "{}{}"}[base]
        for new in [value + 1] + ([value - 1] if value else []):
            self.add(token.start, token.end, form.format(new, suffix) if new > 7
                     else f"{new}{suffix}")

    def condition(self, i):
        opening, closing = self.tokens[i + 1], self.tokens[self.closing(i + 1)]
        condition = self.text[opening.end:closing.start]
        self.add(opening.end, closing.start, f"!({condition})")

    def returned(self, i):
        end = self.until_semicolon(i)
        if end is None or end == i + 1:
            return
        start, stop = self.tokens[i + 1].start, self.tokens[end].start
        value = self.text[start:stop]
        # Numbers and these words are changed as such.
        if value not in ("0", "true", "false", "NULL"):
            self.add(start, stop, "0")
        elif value == "0":
            self.add(start, stop, "-1")

    def statement(self, i):
        token, before, after = self.tokens[i], self.tokens[i - 1].text, self.tokens[i + 1].text
        line_start = self.text.rfind("\n", 0, token.start) + 1
        is_first = not self.text[line_start:token.start].strip()
        if not is_first or before not in ("{", "}", ";", ")", "else", ":"):
            return
        if token.text in KEYWORDS | CHECKS:
            return
        if token.kind == "word" and token.text not in JUMPS and after not in AFTER_FIRST:
            return
        if token.kind != "word" and token.text not in ("*", "(", "++", "--"):
            return
        end = self.until_semicolon(i)
        if end is not None:
            self.add(token.start, self.tokens[end].end, ";")

    def look(self):
        """Fills in the sites."""
        functions = [(m.start(), m.end() - 1) for m in FUNCTION.finditer(self.text)]
        checked_until = -1
        for i, token in enumerate(self.tokens):
            if i <= checked_until or not any(start < token.start < end for start, end in functions):
                continue
            if token.text in CHECKS and self.tokens[i + 1].text == "(":
                checked_until = self.closing(i + 1)
                continue
            self.statement(i)
            if token.kind == "op":
                self.operator(i)
            elif token.kind == "number":
                self.number(i)
            elif token.text in ("if", "while") and self.tokens[i + 1].text == "(":
                self.condition(i)
            elif token.text == "return":
                self.returned(i)
            elif token.text in ("true", "false"):
                self.add(token.start, token.end, "false" if token.text == "true" else "true")


def find(path, text):
    """All sites of the C file @path, whose content is @text."""
    source = _Source(path, text)
    source.look()
    return source.sites


def apply(site, text):
    """@text with the change."""
    return text[:site.start] + site.text + text[site.end:]


def read_survivors(path):
    """What an earlier run has printed into the file @path: a set of (path, old, new), as
    read_equivalents()."""
    with open(path, encoding="utf-8") as f:
        found = re.findall(r"^(src/\S+):\d+\n- (.*)\n\+ (.*)\n", f.read(), re.M)
    return set(found)


def read_equivalents(path):
    """The list of changes that change nothing: a set of (path, old, new)."""
    listed = set()
    with open(path, encoding="utf-8") as f:
        text = "".join(line for line in f if not line.startswith("#"))
    blocks = re.split(r"\n\s*\n", text.strip())
    for block in filter(None, blocks):
        name, old, new, *reason = block.splitlines()
        if not (old.startswith("- ") and new.startswith("+ ") and reason):
            raise ValueError(f"{path}: an entry has a file, `- ` and the old line, `+ ` and the "
                             "new one, and a reason:\n"
                             + block)
        listed.add((name.strip(), old[2:].strip(), new[2:].strip()))
    return listed
