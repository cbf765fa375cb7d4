# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of a virtio-fs device, with no mount: libviofs for Python.

    with viofs.open("vhost-user:/run/fs.sock") as device, device.session() as share:
        print(share.listdir("/"))
        print(share.read_file("hello.txt"))

python-viofs(3) and docs/python.md describe it.
"""

from ._viofs import lib as _lib
from .aio import AsyncDir, AsyncFile, AsyncSession
from .calls import PathFlag
from .device import Device
from .errors import Error
from .opened import Dir, DirEntry, File
from .raw import OPS, Op, Raw, Reply, entries
from .request import Queue, Request
from .session import Session, Share, View
from .tree import TreeEntry

__all__ = ["AsyncDir", "AsyncFile", "AsyncSession", "Device", "Dir", "DirEntry", "Error", "File",
           "OPS", "Op", "PathFlag",
           "Queue", "Raw", "Reply", "Request", "Session", "Share", "TreeEntry", "View", "entries",
           "open", "version"]


def open(source, **options):  # pylint: disable=redefined-builtin
    """Take a device: a Device, whose parameters these are."""
    return Device(source, **options)


def version():
    """(major, minor, patch) of the library that runs."""
    number = _lib.viofs_version()
    return number // 1000000, number // 1000 % 1000, number % 1000
