# SPDX-License-Identifier: LGPL-2.1-or-later
"""A walk through a tree, as the library's viofs_tree has it; but its calls can be interrupted."""

import os
import stat as modes

from .calls import PathFlag


class TreeEntry:
    """Something in a tree. path: the walk's start, and the way from there; name: its last part;
    stat: its own os.stat_result, or None; depth: 0 is the start; after: a directory again, after
    all that is below it; error: None, or the OSError for which it can't be looked at, or not be
    read to its end."""

    __slots__ = ("path", "name", "stat", "depth", "after", "error", "skipped")

    def __init__(self, path, name, stat, depth, after=False, error=None):
        self.path, self.name, self.stat, self.depth = path, name, stat, depth
        self.after, self.error, self.skipped = after, error, False

    def __repr__(self):
        return f"<viofs.TreeEntry {self.path!r}{', after' if self.after else ''}>"

    def is_dir(self):
        """A directory? A symbolic link to one is none, but for the start."""
        return self.stat is not None and modes.S_ISDIR(self.stat.st_mode)

    def skip(self):
        """What is below it is left out."""
        self.skipped = True


def walk(where, entry, after):
    """@entry, whose name begins in the session or view @where, and what is below it."""
    yield entry
    if not entry.is_dir() or entry.skipped:
        return
    error = None
    try:
        yield from _inside(where, entry, after)
    except OSError as e:
        error = e
    if after or error:
        yield TreeEntry(entry.path, entry.name, entry.stat, entry.depth, True, error)


def _inside(where, entry, after):
    # By its name in the directory before it: nothing on the way can be put in its place.
    flags = PathFlag.NO_FOLLOW if entry.depth else 0
    with where.opendir(entry.name, flags=flags) as folder, where.view(at=folder) as here:
        for found in folder:
            if found.name in (".", ".."):
                continue
            path, stat, error = os.path.join(entry.path, found.name), found.stat, None
            try:
                stat = stat or here.lstat(found.name)
            except OSError as e:
                error = e
            yield from walk(here, TreeEntry(path, found.name, stat, entry.depth + 1, False, error),
                            after)
