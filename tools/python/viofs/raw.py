# SPDX-License-Identifier: GPL-2.0-or-later
"""FUSE requests by the names of their fields, from the table of `viofs raw`."""

import os
import struct

from ._fields import ffi as table_ffi
from ._fields import lib as table
from ._viofs import lib
from .calls import encode
from .errors import string
from .request import Queue, Request

# INIT flag FUSE_SETXATTR_EXT, and the longer struct that it stands for.
SETXATTR_EXT = 1 << 29
SETXATTR_LONG = (("size", 4), ("flags", 4), ("setxattr_flags", 4), (".", 4))
FORMATS = {2: "<H", 4: "<I", 8: "<Q"}
HEADER = ("nodeid", "uid", "gid", "pid")
TARGET_MAX = 4095
IOCTL, BATCH_FORGET = 39, 42


def _fields(text):
    return tuple((name, int(size)) for name, size in (word.split(":") for word in text.split()))


class Op:
    """A row of the table: opcode, name; args and reply: (field, bytes) of the structs, "." is
    padding; names: of the names behind the struct."""

    def __init__(self, c):
        def text(pointer):
            return table_ffi.string(pointer).decode()

        self.opcode, self.flags = c.opcode, c.flags
        self.args, self.reply = _fields(text(c.args)), _fields(text(c.reply))
        self.names = tuple(text(c.names).split())
        self.name = string(lib.viofs_fuse_opcode_name(c.opcode)) or str(c.opcode)

    def __repr__(self):
        return f"<viofs.Op {self.name}: {' '.join(self.fields)}>"

    @property
    def has_data(self):
        """Does the request carry data?"""
        return bool(self.flags & (table.VIOFS_RAW_DATA_IN | table.VIOFS_RAW_VALUE_IN))

    @property
    def fields(self):
        """What a request of it may be given."""
        own = [name for name, _ in self.args if name != "."]
        return list(HEADER) + [name for name in own
                               if name not in HEADER] + list(self.names) + ["data"] * self.has_data


def _ops():
    rows = [Op(table.viofs_raw_ops[i]) for i in range(table.viofs_raw_op_count)]
    return {op.name: op for op in rows if not op.flags & table.VIOFS_RAW_OURS}


OPS = _ops()


def size_of(fields):
    """Bytes of a struct."""
    return sum(size for _, size in fields)


def pack(fields, values):
    """A struct; what isn't given is 0."""
    out = bytearray()
    for name, size in fields:
        if name == ".":
            out += bytes(size)
        else:
            value = values.get(name, 0)
            if not 0 <= value < 1 << 8 * size:
                raise ValueError(f"{name}: {value} is not a number of {size} bytes")
            out += struct.pack(FORMATS[size], value)
    return bytes(out)


def unpack(fields, data):
    """A struct's fields, as far as there are so many bytes. A field whose name comes twice: the
    first."""
    found, at = {}, 0
    for name, size in fields:
        if at + size > len(data):
            break
        if name != ".":
            found.setdefault(name, struct.unpack_from(FORMATS[size], data, at)[0])
        at += size
    return found


def entries(data, plus):
    """Directory entries of READDIR, or of READDIRPLUS: a list of dictionaries."""
    found, at = [], 0
    head = size_of(OPS["LOOKUP"].reply) if plus else 0
    while at + head + 24 <= len(data):
        ino, off, size, kind = struct.unpack_from("<QQII", data, at + head)
        name = data[at + head + 24:at + head + 24 + size]
        if not size or len(name) < size:
            break
        entry = {"ino": ino, "off": off, "type": kind, "name": os.fsdecode(name)}
        if plus:
            entry["entry"] = unpack(OPS["LOOKUP"].reply, data[at:at + head])
        found.append(entry)
        at += (head + 24 + size + 7) & ~7
    return found


class Reply(dict):
    """The fields of a reply's struct, as members of a dictionary and as attributes.

    request: the Request; data: bytes behind the struct; ns: how long it took.
    """

    def __init__(self, fields, request, data):
        super().__init__(fields)
        self.request, self.data, self.ns = request, data, request.ns

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Raw:
    """Requests by name: raw.lookup(nodeid=1, name="x"), or raw("LOOKUP", nodeid=1, name="x"). OPS
    has all of them.

    Beside the struct's fields: nodeid, uid, gid, pid, the names, data. raw.queue is the way that
    they go.
    """

    def __init__(self, session):
        self.session = session
        self.queue = Queue(session.device)
        self._setxattr_ext = bool(session.info.flags & SETXATTR_EXT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __dir__(self):
        return [*super().__dir__(), *(name.lower() for name in OPS)]

    def __getattr__(self, name):
        op = OPS.get(name.upper()) if not name.startswith("_") else None
        if not op:
            raise AttributeError(f"there is no request {name!r}: viofs.OPS has their names")
        return lambda **fields: self(op.name, **fields)

    def close(self):
        """The end."""
        self.queue.close()

    def _args_of(self, op):
        return (SETXATTR_LONG if self._setxattr_ext and op.flags & table.VIOFS_RAW_VALUE_IN
                else op.args)

    def build(self, opcode, /, **fields):
        """A Request, for queue.submit(). Its data is in DMA memory."""
        op = OPS[opcode.upper()]
        unknown = set(fields) - set(op.fields) - {field for field, _ in self._args_of(op)}
        if unknown:
            raise TypeError(f"{op.name} has no field {', '.join(sorted(unknown))}; it has "
                            f"{', '.join(op.fields)}")
        layout = self._args_of(op)
        own = {field for field, _ in layout}
        # A struct's pid (of a lock) goes before the header's.
        header = {field: fields.pop(field) for field in HEADER if field in fields
                  and field not in own}
        data = bytes(fields.pop("data", b""))
        names = b"".join(encode(fields.pop(field)) + b"\0" for field in op.names)
        if op.has_data:
            fields.setdefault("in_size" if op.opcode == IOCTL else "size", len(data))
        if op.opcode == BATCH_FORGET:
            fields.setdefault("count", 1)
        request = Request(op.opcode, args=pack(layout, fields) + names, flags=Request.SHORT,
                          **header)
        if op.flags & table.VIOFS_RAW_NO_REPLY:
            request.flags |= Request.SILENT
        if op.flags & table.VIOFS_RAW_VALUE_IN:
            request.args += data
        elif data:
            request.data = (self._memory(data),)
        self._make_room(request, op, fields)
        return request

    def _memory(self, data):
        view = self.session.device.alloc(len(data))
        view[:] = data
        return view

    def _make_room(self, request, op, fields):
        size = fields.get("out_size" if op.opcode == IOCTL else "size", 0)
        room = (TARGET_MAX if op.flags & table.VIOFS_RAW_TARGET_OUT
                else size if op.flags & table.VIOFS_RAW_DATA_OUT else 0)
        by_data = op.flags & table.VIOFS_RAW_SIZE_OUT and size
        request.reply_size = 0 if by_data else size_of(op.reply)
        if room:
            request.reply_data = (self.session.device.alloc(room),)

    def decode(self, request):
        """A Reply of a Request that has ended."""
        op = OPS[string(lib.viofs_fuse_opcode_name(request.opcode))]
        size = (request.size or 0) - len(request.reply or b"")
        has_data = request.reply_data and not request.error
        data = bytes(request.reply_data[0][:size]) if has_data else b""
        return Reply(unpack(op.reply, request.reply or b""), request, data)

    def __call__(self, opcode, /, *, timeout=None, check=True, **fields):
        """Send one and wait: a Reply. check=False: what the device refuses is no exception, but
        request.error."""
        request = self.build(opcode, **fields)
        if request.flags & Request.SILENT:
            self.queue.submit(request)
            return Reply({}, request, b"")
        try:
            self.queue.call(request, timeout)
        except OSError:
            if check or request.error is None:
                raise
        return self.decode(request)
