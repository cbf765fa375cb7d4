#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is a session's state laid out as state_layout.txt says?

  state_layout.py --generate ROOT      C source of a program that prints the layout
  state_layout.py PROGRAM DESCRIPTION  compare; with --write: write the description anew
"""

import re
import subprocess
import sys

# All that lies in the state, by the headers that have it.
STRUCTS = {
    "base/histogram.h": ["viofs_histogram"],
    "dma/arena.h": ["viofs_arena_section_state", "viofs_arena_state"],
    "virtio/ring.h": ["viofs_ring_state", "viofs_ring_shadow"],
    "fuse/opcodes.h": ["viofs_fuse_conn", "viofs_fuse_shape"],
    "fuse/init.h": ["viofs_fuse_agreed"],
    "relay/config.h": ["viofs_relay_config"],
    "relay/stats.h": ["viofs_queue_stats", "viofs_lane_stats", "viofs_relay_stats"],
    "relay/entry.h": ["viofs_entry"],
    "relay/state.h": ["viofs_slot", "viofs_contents", "viofs_parked", "viofs_interrupt",
                      "viofs_sending",
                      "viofs_hiprio_state", "viofs_lane_state", "viofs_times", "viofs_latency",
                      "viofs_lane_latency",
                      "viofs_session_state", "viofs_state_table",
                      "viofs_state_header"],
}
ENUMS = {
    "dma/arena.h": ["viofs_arena_section"],
    "virtio/ring.h": ["viofs_ring_fault"],
    "loop/loop.h": ["viofs_loop_kind"],
    "relay/config.h": ["viofs_poll", "viofs_channel"],
    "relay/stats.h": ["viofs_stage"],
    "relay/entry.h": ["viofs_entry_state"],
    "relay/state.h": ["viofs_slot_state", "viofs_state_kind"],
}
COMMENT = re.compile(r"/\*.*?\*/", re.S)
VERSION = re.compile(r"^version (\d+)$", re.M)


def body(text, kind, name):
    found = re.search(r"\b%s %s \{(.*?)\n\};?" % (kind, name), COMMENT.sub("", text), re.S)
    if not found:
        sys.exit(f"there is no {kind} {name}")
    return found.group(1)


def members(text, name):
    """The members of a struct, in their order."""
    for declaration in body(text, "struct", name).split(";"):
        for one in declaration.split(","):
            found = re.search(r"(\w+)\s*((?:\[[^\]]*\])*)\s*$", one)
            if found:
                yield found.group(1), found.group(2) == "[]"


def constants(text, name):
    return re.findall(r"^\s*(\w+)", body(text, "enum", name).replace(",", "\n"), re.M)


def generate(root):
    texts = {h: open(f"{root}/src/{h}", encoding="utf-8").read() for h in {**STRUCTS, **ENUMS}}
    out = ["#include <stddef.h>", "#include <stdio.h>"]
    out += [f'#include "{h}"' for h in STRUCTS]
    out += ["int main(void)", "{", 'printf("version %u\\n", VIOFS_STATE_VERSION);']
    for header, names in ENUMS.items():
        for name in names:
            out.append(f'puts("\\nenum {name}");')
            out += [f'printf("%5d %s\\n", (int){c}, "{c}");'
                    for c in constants(texts[header], name)]
    for header, names in STRUCTS.items():
        for name in names:
            out.append(f'printf("\\nstruct {name}: %zu\\n", sizeof(struct {name}));')
            for member, is_open in members(texts[header], name):
                size = "0" if is_open else f"sizeof(((struct {name} *)0)->{member})"
                out.append(f'printf("%5zu %5zu %s\\n", offsetof(struct {name}, {member}), '
                           f'(size_t){size}, '
                           f'"{member}");')
    print("\n".join(out + ["return 0;", "}"]))


def compare(program, description, write):
    now = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout
    try:
        before = open(description, encoding="utf-8").read()
    except FileNotFoundError:
        before = ""
    if now == before:
        return 0
    if VERSION.findall(now) == VERSION.findall(before):
        print("The state is laid out otherwise than state_layout.txt says: give "
              "VIOFS_STATE_VERSION "
              "(src/relay/state.h) another number. Whoever is of the old layout must not go on "
              "with it.")
        old = set(before.splitlines())
        print("\n".join(line for line in now.splitlines() if line not in old))
        return 1
    if not write:
        print(f"The version is new: tests/unit/state_layout.py --write {program} {description}")
        return 1
    with open(description, "w", encoding="utf-8") as f:
        f.write(now)
    return 0


def main():
    args = [a for a in sys.argv[1:] if a != "--write"]
    if args[0] == "--generate":
        generate(args[1])
        return 0
    return compare(args[0], args[1], "--write" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
