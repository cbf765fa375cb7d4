#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Completes a list of files by what they need to run.

Reads absolute paths, one a line, and prints each with the directories above it, the targets of
symbolic links, the interpreters of scripts, and the loader and libraries of ELF programs. Paths
come out with no link among their directories (/usr/lib/x, never /lib/x where /lib is a link), and
the links of the root directory come out too, so that a tree made from the list is like the
machine's.
"""
import os
import re
import stat
import subprocess
import sys

BATCH = 200


def canonical(path):
    """The same file with a real directory, the last part left as it is."""
    name = os.path.basename(path)
    if name in ('', '.', '..'):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(os.path.dirname(path)), name)


def interpreter(path):
    """What the first line of a script names, or None; '' for an ELF file."""
    try:
        with open(path, 'rb') as file:
            head = file.read(256)
    except OSError:
        return None
    if head.startswith(b'\x7fELF'):
        return ''
    match = re.match(rb'#!\s*(/[^\s]+)', head)
    return os.fsdecode(match.group(1)) if match else None


def libraries(programs):
    """Paths that ldd prints for these ELF files; dies where one is not found."""
    found = set()
    for i in range(0, len(programs), BATCH):
        out = subprocess.run(['ldd', '--'] + programs[i:i + BATCH], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        program = programs[i]
        for line in out.splitlines():
            if not line.startswith('\t'):
                program = line.rstrip(':')
            elif '=> not found' in line:
                sys.exit(f'{program}: library not found: {line.split()[0]}')
            else:
                found.update(re.findall(r'(/\S+) \(0x', line))
    return found


def close(paths):
    done, todo = set(), set(paths)
    while todo:
        elf = []
        nxt = set()
        for path in map(canonical, sorted(todo)):
            if path in done or not os.path.lexists(path):
                continue
            done.add(path)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                target = os.path.join(os.path.dirname(path), os.readlink(path))
                if os.path.exists(target):
                    nxt.add(target)
            elif stat.S_ISREG(mode):
                script = interpreter(path) if mode & 0o111 or '.so' in path else None
                if script:
                    nxt.add(script)
                elif script == '':
                    elf.append(path)
        todo = (nxt | libraries(elf)) - done
    return done


def parents(paths):
    found = set()
    for path in paths:
        while (path := os.path.dirname(path)) not in ('/', '') and path not in found:
            found.add(path)
    return found


def main():
    given = [line for line in sys.stdin.read().splitlines() if os.path.lexists(line)]
    paths = close(given)
    paths |= parents(paths)
    paths |= {'/' + name for name in os.listdir('/') if os.path.islink('/' + name)
              and os.path.isdir('/' + name)}
    sys.stdout.write('\n'.join(sorted(paths)) + '\n')


main()
