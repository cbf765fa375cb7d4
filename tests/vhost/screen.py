# SPDX-License-Identifier: GPL-2.0-or-later
"""A program on a terminal of its own, and what is on the screen of that vt100."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

SEQUENCE = re.compile(rb"\x1b(?:\[([?0-9;]*)([@A-Za-z])|[()][0B]|([=>78DMEH]))")


class Screen:
    """Characters in rows and columns. What it doesn't know of a terminal's language is an error."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.top, self.bottom = 0, rows - 1  # what scrolls
        self.reverse = False
        self.reversed_rows = set()
        self.pending = b""

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def feed(self, data):
        data = self.pending + data
        at = 0
        while at < len(data):
            if data[at] != 0x1b:
                at += self.put(data[at:])
                continue
            match = SEQUENCE.match(data, at)
            if not match:
                if len(data) - at > 20:
                    raise ValueError(f"this screen knows no {data[at:at + 20]}")
                break
            if match[2]:
                self.obey(match[2].decode(), match[1].decode())
            elif match[3] == b"M":
                self.go_up()
            elif match[3] == b"D":
                self.go_down()
            elif match[3] in (b"E", b"H"):
                raise ValueError(f"this screen knows no {match[0]}")
            at = match.end()
        self.pending = data[at:]

    def blank(self):
        return [" "] * self.columns

    def go_up(self):
        """From the first row of what scrolls by moving the others down."""
        if self.row == self.top:
            self.cells[self.top:self.bottom + 1] = [self.blank(),
                                                    *self.cells[self.top:self.bottom]]
        else:
            self.row = max(self.row - 1, 0)

    def go_down(self):
        if self.row == self.bottom:
            self.cells[self.top:self.bottom + 1] = [*self.cells[self.top + 1:self.bottom + 1],
                                                    self.blank()]
        else:
            self.row = min(self.row + 1, self.rows - 1)

    def put(self, data):
        """A character, or a control character: how many bytes it is."""
        first = data[0]
        if first == 0x0d:
            self.column = 0
        elif first == 0x0a:
            self.go_down()
        elif first == 0x08:
            self.column = max(self.column - 1, 0)
        elif first == 0x09:
            self.column = min(self.column // 8 * 8 + 8, self.columns - 1)
        elif first >= 0x20:
            length = 1 if first < 0x80 else 2 if first < 0xe0 else 3 if first < 0xf0 else 4
            self.write(data[:length].decode())
            return length
        elif first not in (0x00, 0x07, 0x0e, 0x0f):
            raise ValueError(f"this screen knows no {first:#x}")
        return 1

    def write(self, character):
        if self.column == self.columns:  # only now: a line may be filled to its end
            self.column = 0
            self.go_down()
        self.cells[self.row][self.column] = character
        if self.reverse:
            self.reversed_rows.add(self.row)
        self.column += 1

    def obey(self, verb, text):
        numbers = [int(word or 0) for word in text.lstrip("?").split(";")]
        count = max(numbers[0], 1)
        if verb == "H":
            self.row = min(count, self.rows) - 1
            self.column = min(max(numbers[1] if len(numbers) > 1 else 1, 1), self.columns) - 1
        elif verb in "AB":
            self.row = min(max(self.row + (count if verb == "B" else -count), 0), self.rows - 1)
        elif verb in "CD":
            self.column = min(max(self.column + (count if verb == "C" else -count), 0),
                              self.columns - 1)
        elif verb in "JK":
            self.erase(verb, numbers[0])
        elif verb == "m":
            self.reverse = 7 in numbers
        elif verb == "r":
            last = numbers[1] if len(numbers) > 1 else 0
            self.top, self.bottom = count - 1, min(last or self.rows, self.rows) - 1
            self.row = self.column = 0
        elif verb not in "hl":
            raise ValueError(f"this screen knows no {text}{verb}")

    def erase(self, verb, how):
        start, end = self.column, self.columns
        if how == 1:
            start, end = 0, self.column + 1
        elif how == 2:
            start = 0
        self.cells[self.row][start:end] = [" "] * (end - start)
        if verb == "J":
            rows = range(self.row + 1, self.rows) if how == 0 else range(self.rows)
            for row in rows:
                self.cells[row] = self.blank()
                self.reversed_rows.discard(row)


class Terminal:
    """A child on a terminal of that size. Use as a context."""

    def __init__(self, argv, rows=24, columns=80, term="vt100"):
        self.argv, self.term = argv, term
        self.screen = Screen(rows, columns)
        self.master, self.slave = pty.openpty()
        self.size()
        self.child = None

    def size(self):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", self.screen.rows, self.screen.columns, 0, 0))

    def __enter__(self):
        env = dict(os.environ, TERM=self.term, LC_ALL="C.UTF-8")
        for name in ("LINES", "COLUMNS"):
            env.pop(name, None)
        self.child = subprocess.Popen(self.argv, stdin=self.slave, stdout=self.slave,
                                      stderr=self.slave, env=env, start_new_session=True)
        return self

    def __exit__(self, *args):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait(10)
        os.close(self.master)
        os.close(self.slave)
        return False

    def resize(self, rows, columns):
        """Blank: what is there then was written for that size."""
        old, new = self.screen, Screen(rows, columns)
        new.row, new.column = min(old.row, rows - 1), min(old.column, columns - 1)
        self.screen = new
        self.size()
        self.child.send_signal(signal.SIGWINCH)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.screen.feed(os.read(self.master, 65536))

    def wait_for(self, condition, seconds=60):
        """Until @condition of the lines is true: the lines."""
        end = time.monotonic() + seconds
        while not condition(self.screen.lines()):
            if time.monotonic() > end:
                raise TimeoutError("on the screen:\n" + "\n".join(self.screen.lines()))
            self.read(0.1)
        return self.screen.lines()

    def ends(self, seconds=60):
        """Its exit status."""
        end = time.monotonic() + seconds
        while self.child.poll() is None and time.monotonic() < end:
            self.read(0.05)
        self.read(0)
        return self.child.poll()
