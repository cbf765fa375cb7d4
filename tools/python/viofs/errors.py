# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong, as exceptions: OSError with the library's text."""

import os

from ._viofs import ffi


class Error(OSError):
    """A call that failed: errno, strerror (what was wrong and what to do), filename.

    It is also of the class that Python has for its errno: FileNotFoundError for ENOENT, and so on.
    fault: None, or what the device did wrong.
    """

    fault = None


_classes = {}


def _class_of(number):
    """Error, and the builtin class of this errno."""
    if number not in _classes:
        builtin = type(OSError(number, ""))
        _classes[number] = (Error if builtin is OSError
                            else type("Error", (Error, builtin), {"__module__": "viofs"}))
    return _classes[number]


def error(result, text=None, filename=None, filename2=None, fault=None):
    """The exception for a negative errno."""
    number = -int(result)
    text = text or os.strerror(number)
    if fault:
        text = f"{text}: the device's fault: {fault}"
    made = _class_of(number)(number, text, filename, None, filename2)
    made.fault = fault
    return made


def text_of(err):
    """A struct viofs_err's."""
    return ffi.string(err.text).decode(errors="replace")


def string(pointer):
    """A text of the library's, or None."""
    return ffi.string(pointer).decode(errors="surrogateescape") if pointer else None


def closed(what):
    """For who uses what is closed, as Python's files say it."""
    return ValueError(f"the {what} is closed")
