#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is the tree as the docs have it: includes point downward, names are unique, files are small, and
inside a layer calls go one way."""

import functools
import os
import re
import subprocess
import sys

# Each layer with those right below it, as the picture in docs/architecture.md draws them. What is
# below those is below it too. The kernel side (kernel) and the device side (fs) meet in relay only.
BELOW = {
    "base": [],
    "pci": ["base"],
    "dma": ["base"],
    "virtio": ["dma"],
    "vfio": ["pci", "virtio"],
    "vhost": ["virtio"],
    "fuse": ["base"],
    "fs": ["virtio", "pci"],
    "attach": ["fs", "vfio", "vhost"],
    "kernel": ["fuse"],
    "loop": ["fs"],
    "relay": ["kernel", "loop", "fs", "fuse"],
    "client": ["attach", "fs", "fuse"],
    "daemon": ["relay", "attach"],
}
# In a layer files call each other one way only: where A calls B, nothing in B leads back to A.
# Except here, with why.
CIRCLES = {
    "daemon": "course.c and answers.c are two halves of one state machine (supervision.h)",
}
GENERATED = {"viofs_config.h"}
LINES_MAX = 650
COLUMNS_MAX = 100
TAB = 8
# Headers whose functions are not in a .c of their name: where they are.
ELSEWHERE = {
    "daemon/supervision.h": "course.c, answers.c",
    "vhost/vhost.h": "frontend.c, memory.c, rings.c, again.c: it is the folder's face",
    "virtio/ring_forms.h": "split_ring.c, packed_ring.c: what ring.c calls in both",
}
# First words of names of constants that several layers have: why.
SHARED_WORDS = {
    "FUSE": "the protocol's name",
    "CONTROL": "the socket's name is known where records are kept, its commands in the daemon",
}
# Programs that see no more of src/ than the library's users do, and but for harmless text.
USERS = ("tools/viofs/", "tools/viofs-bench/", "tools/fio/")
USERS_SEE = {"base/standard.h", "base/text.h"}
FOLDERS = ["src", "include", "tools", "tests", "docs"]
# Ways to a device, and the one file that names them: nobody else asks which of them it is.
TRANSPORTS = ("vfio", "vhost")
TRANSPORT_TABLE = "src/attach/transports.c"
TRANSPORT = re.compile(r"\b(?:struct )?viofs_(?:vfio|vhost)\b|\bviofs_(?:vfio|vhost)_\w+ "
                       r"?\(|#include \"(?:vfio|vhost)/")
# A page is as long as the machine says. These numbers may have a name of their own, or size a line
# of text.
PAGE_NUMBER = re.compile(r"\b409[56]U?\b|_SC_PAGE_?SIZE|getpagesize")
NO_PAGE = re.compile(r"#define (?!\w*PAGE)\w+ 409[56]U?\b|char \w+\[4096\]")
PAGE_FILES = ("src/base/page.h", "src/base/page.c")
# Names that tools look for, so each folder has one.
COMMON_NAMES = {"meson.build", "README.md", ".gitignore", "Makefile"}
SOURCE = (".c", ".h", ".py", ".build", ".sh")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
PRIVATE = re.compile(r"Private to src/(\w+)")


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def tags_of(text):
    """Structs, unions and enums that a file defines."""
    return re.findall(r"^(?:struct|union|enum) (viofs_\w+) \{", without_comments(text), re.M)


def declares_functions(text):
    """Other than inline ones, which are defined in it."""
    found = re.findall(r"^(?!static|typedef|extern)\w[\w *]*\b(viofs_\w+)\([^;{}]*\)[^;{}]*;",
                       without_comments(text), re.M)
    return bool(found)


def words_of(text):
    """First words of the constants that a header defines: FOO of VIOFS_FOO_BAR."""
    text = without_comments(text)
    names = re.findall(r"^# *define (VIOFS_\w+)", text, re.M)
    for body in re.findall(r"\benum(?: \w+)? \{(.*?)\}", text, re.S):
        names += re.findall(r"\b(VIOFS_\w+)\s*(?:=|,)", body + ",")
    # Include guards have a layer's name.
    return {name.split("_")[1] for name in names if name.count("_") > 1 and not name.endswith("_H")}


def check_names(texts):
    """Headers and sources of src/ and include/, by path: yields tags and words that stand for two
    things."""
    tags, words = {}, {}
    for path, text in texts.items():
        for tag in tags_of(text):
            if tag in tags:
                yield path, f"{tag} is a tag of {tags[tag]} too"
            tags.setdefault(tag, path)
        if not path.endswith(".h"):
            continue
        # The library's public headers are of the layer that it is.
        layer = "client" if path.startswith("include" + os.sep) else path.split(os.sep)[1]
        for word in words_of(text) - set(SHARED_WORDS):
            if words.setdefault(word, layer) != layer:
                yield path, f"VIOFS_{word}_ begins names of {words[word]} too"


def is_written(path, head):
    """Is the file, which begins with @head, one that somebody reads and writes as source?"""
    return path.endswith((".c", *SOURCE, "meson_options.txt")) or head.startswith("#!")


def check_form(root, path):
    """A source file: yields the lines that are too long, in characters as a terminal shows them."""
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
        lines = f.read().split("\n")
    for number, line in enumerate(lines, 1):
        if is_written(path, lines[0]) and len(line.expandtabs(TAB)) > COLUMNS_MAX:
            yield f"line {number} is longer than {COLUMNS_MAX} columns"


def check_once(path, text):
    """What is in one place of src/: yields where it is again."""
    if path != "src/base/util.h" and re.search(r"uint64_t one\b", text):
        yield "writes to an eventfd: viofs_eventfd_signal() or base/bell.h"
    if path != "src/pci/function.h" and '"vfio-pci"' in text:
        yield "names vfio's driver: VIOFS_PCI_VFIO"


def reachable(layer):
    """All layers below @layer."""
    found = set()
    for below in BELOW[layer]:
        found |= {below} | reachable(below)
    return found


def files(root):
    """All files of the tree, by path from its root; what git ignores or a tool cached is none of
    them."""
    for folder in FOLDERS:
        for path, dirs, names in os.walk(os.path.join(root, folder)):
            dirs[:] = [d for d in dirs if not d.startswith((".", "__pycache__", "build"))]
            for name in names:
                if not name.endswith((".pyc", ".swp", "~", ".orig", ".rej")):
                    yield os.path.relpath(os.path.join(path, name), root)


def check_include(path, number, quote, name, headers, private):
    """One #include of src/: None, or what is wrong with it."""
    layer = path.split(os.sep)[1]
    if quote == "<":
        wrong = name in headers
        return f'<{name}> is ours: write "{name}"' if wrong else None
    if name in GENERATED:
        return None
    if "/" not in name:
        return f'"{name}" lacks its layer'
    if name not in headers:
        return f'"{name}" is not in src/'
    other = name.split("/")[0]
    if other != layer and other not in reachable(layer):
        return f'"{name}": {other} is not below {layer}'
    if private.get(name, layer) != layer:
        return f'"{name}" is private to {private[name]}'
    return None


def check_source(root, path, headers, private):
    """A file of src/: yields what is wrong."""
    parts = path.split(os.sep)
    if len(parts) != 3:
        if parts[-1] != "meson.build":
            yield "is not in a layer's folder"
        return
    if parts[1] not in BELOW:
        yield f"{parts[1]} is no layer"
        return
    with open(os.path.join(root, path), encoding="utf-8") as f:
        lines = f.read().splitlines()
    if len(lines) > LINES_MAX:
        yield f"has {len(lines)} lines, {LINES_MAX} are the most"
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        wrong = match and check_include(path, number, *match.groups(), headers, private)
        if wrong:
            yield f"line {number}: {wrong}"
        if parts[1] not in TRANSPORTS and path != TRANSPORT_TABLE and TRANSPORT.search(line):
            yield f"line {number}: names a transport; use struct viofs_virtio_ops (virtio/virtio.h)"
        if path not in PAGE_FILES and PAGE_NUMBER.search(line) and not NO_PAGE.search(line):
            yield f"line {number}: a page's size is that of base/page.h"


def check_user(root, path, headers):
    """A file of a program on libviofs: yields what it sees of src beyond what others do."""
    with open(os.path.join(root, path), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            match = INCLUDE.match(line)
            if match and match.group(2) in headers - USERS_SEE:
                yield f'line {number}: "{match.group(2)}" is not public'


@functools.cache
def symbols(archive):
    """The lines of nm for a static library."""
    done = subprocess.run(["nm", archive], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def calls(archive, layer):
    """By nm of a static library: each file of @layer with the files of it whose functions it
    names."""
    defined, named, member = {}, {}, None
    for line in symbols(archive):
        match = re.search(rf"/(?:(?:src_)?{layer}_|lib{layer}\.a\.p/)(\w+)\.c\.o:$", line)
        if line.endswith(":"):
            member = match and match.group(1)
            continue
        words = line.split()
        if not member or len(words) < 2:
            continue
        if words[-2] == "U":
            named.setdefault(member, set()).add(words[-1])
        elif words[-2].isupper():
            defined[words[-1]] = member
    return {a: {defined[s] for s in names if s in defined} - {a} for a, names in named.items()}


def circles(graph):
    """Yields each circle that a walk through the graph meets, as a list of its nodes."""
    state = {}

    def walk(node, path):
        state[node] = "open"
        for other in sorted(graph.get(node, ())):
            if state.get(other) == "open":
                yield path[path.index(other):] + [other]
            elif other not in state:
                yield from walk(other, path + [other])
        state[node] = "done"

    for node in sorted(graph):
        if node not in state:
            yield from walk(node, [node])


def check_calls(archive, layer):
    """The layer's objects in a static library: yields (what, what is wrong)."""
    graph = calls(archive, layer)
    if not graph:
        yield archive, f"has no objects of {layer}: is it the right library?"
    found = list(circles(graph))
    if layer in CIRCLES and not found:
        yield f"src/{layer}", "has no circle: strike it from CIRCLES"
    for circle in found if layer not in CIRCLES else []:
        yield f"src/{layer}", "calls go round: " + " -> ".join(circle)


def daemons_options(root):
    """What finds the daemon's options in a message: "-o x", "x=", and the names that are no
    words."""
    with open(os.path.join(root, "src/daemon/option_table.c"), encoding="utf-8") as f:
        names = re.findall(r'\.(?:name|alias) = "([a-z][a-z-]+)"', f.read())
    assert len(names) > 15, "the options' table has another form: mend this test"
    flags = [name for name in names if name.count("-") > 1]
    return re.compile(r"(?<!\w)-o [a-z]|(?<![\w.-])(?:" + "|".join(names) + r")=|"
                      + "|".join(flags))


def check_messages(root, path, options):
    """A file below the daemon: yields the messages that name its options, which others don't
    have."""
    with open(os.path.join(root, path), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    # Strings that are one for the compiler.
    text = re.sub(r'"\s*"', "", text)
    for string in re.findall(r'"((?:[^"\\\n]|\\.)*)"', text):
        if options.search(string):
            yield f'a message names an option of the daemon: "{string}"'


def has_spdx(root, path):
    """In the first lines, where the file is source or a script."""
    with open(os.path.join(root, path), "rb") as f:
        head = f.read(400)
    if not path.endswith(SOURCE) and not head.startswith(b"#!"):
        return True
    return b"SPDX-License-Identifier: " in b"\n".join(head.split(b"\n")[:3])


def check(root):
    """Yields (path, what is wrong)."""
    tree = sorted(files(root))
    headers, private, seen = set(), {}, {}
    options = daemons_options(root)
    texts = {}

    for path in tree:
        if path.startswith("src" + os.sep) and path.endswith(".h"):
            name = "/".join(path.split(os.sep)[1:])
            headers.add(name)
            with open(os.path.join(root, path), encoding="utf-8") as f:
                match = PRIVATE.search(f.read(600))
            if match:
                private[name] = match.group(1)
    for path in tree:
        base = os.path.basename(path)
        if base not in COMMON_NAMES and base in seen:
            yield path, f"has the name of {seen[base]}"
        seen.setdefault(base, path)
        if not has_spdx(root, path):
            yield path, "has no SPDX line on top"
        if path.startswith("src" + os.sep):
            for wrong in check_source(root, path, headers, private):
                yield path, wrong
            if not path.startswith("src/daemon/") and path.endswith((".c", ".h")):
                for wrong in check_messages(root, path, options):
                    yield path, wrong
        if path.startswith(USERS) and path.endswith((".c", ".h")):
            for wrong in check_user(root, path, headers):
                yield path, wrong
        if path.startswith(("src" + os.sep, "include" + os.sep)) and path.endswith((".c", ".h")):
            with open(os.path.join(root, path), encoding="utf-8") as f:
                texts[path] = f.read()
            for wrong in check_once(path, texts[path]):
                yield path, wrong
        for wrong in check_form(root, path):
            yield path, wrong
    for path in ("meson.build", "meson_options.txt"):
        for wrong in check_form(root, path):
            yield path, wrong
    yield from check_names(texts)
    for name in sorted(headers):
        has_source = os.path.join("src", name[:-2] + ".c") in texts
        if declares_functions(texts["src/" + name]) and not has_source and name not in ELSEWHERE:
            yield "src/" + name, "declares functions, and has no .c of its name"
    for name in sorted(ELSEWHERE):
        if name not in headers or os.path.join("src", name[:-2] + ".c") in texts:
            yield "src/" + name, "is gone, or has a .c: strike it from ELSEWHERE"
    if not headers:
        yield "src", "has no headers: is this the project's root?"


def main():
    """The tree at argv[1], static libraries of all that was built, as LAYER=PATH. Return: the exit
    status."""
    faults = list(check(sys.argv[1]))
    libraries = dict(arg.split("=", 1) for arg in sys.argv[2:])
    faults += [(layer, "is in no library that is checked") for layer in BELOW
               if layer not in libraries]
    for layer, archive in libraries.items():
        # -Dvfio=false leaves a layer out.
        faults += check_calls(archive, layer) if archive else []
    for path, wrong in faults:
        print(f"{path}: {wrong}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
