# SPDX-License-Identifier: LGPL-2.1-or-later
"""A device, and memory that it may touch."""

import atexit
import contextlib
import os
import types
import warnings
import weakref

from ._viofs import ffi, lib
from .calls import encode
from .errors import closed, error, string, text_of
from .lanes import buffer, interruptibly
from .request import Queue
from .session import Session

_open = weakref.WeakSet()


def struct(kind, get):
    """A struct that the library fills in, as an object; what is of the library's own is left
    out."""
    c = ffi.new(f"struct {kind} *", {"size": ffi.sizeof(f"struct {kind}")})
    get(c)
    fields = [(name, getattr(c, name)) for name, _ in ffi.typeof(f"struct {kind}").fields]
    return types.SimpleNamespace(**{name: string(value) if isinstance(value, ffi.CData) else value
                                    for name, value in fields if name not in ("size", "reserved")})


def open_device(source, *, bind=False, small_pages=False, unsafe_noiommu=False, **options):
    """Take a device: see Device's parameters."""
    c = ffi.new("struct viofs_dev_options *")
    lib.viofs_dev_options_init(c, ffi.sizeof("struct viofs_dev_options"))
    c.flags = (bind and lib.VIOFS_DEV_BIND) | (small_pages and lib.VIOFS_DEV_SMALL_PAGES) | \
        (unsafe_noiommu and lib.VIOFS_DEV_UNSAFE_NOIOMMU)
    for name, value in options.items():
        if value is not None:
            setattr(c, name, value)
    out, err = ffi.new("struct viofs_dev **"), ffi.new("struct viofs_err *")
    try:
        rc = interruptibly(lambda: lib.viofs_dev_open(encode(source), c, out, err))
    except BaseException:
        lib.viofs_dev_close(out[0], ffi.NULL)
        raise
    if rc:
        raise error(rc, text_of(err), source)
    return out[0]


class Device:
    """A virtio-fs device, this process's alone until close().

    source: a PCI address, a tag, "tag:NAME" or "vhost-user:PATH". None as an option is the
    library's default; <viofs/fsdev.h> and viofs-fsdev(3) describe them.
    """

    def __init__(self, source, *, bind=False, small_pages=False, unsafe_noiommu=False, queues=None,
                 depth=None,
                 max_data=None, dma_size=None, timeout_ms=None, spin_us=None, wait_ms=None):
        self.pointer = ffi.NULL
        self.elsewhere = False  # this is a child of fork(2)
        self.source = source
        # of alloc(), by address: weak references to the view, and to what keeps the memory; bytes
        self._memory = {}
        self._users = weakref.WeakSet()  # queues and sessions
        self._closing = False
        self._lost = []  # what a device that never answered may still write to
        self._registered = {}
        self.pointer = open_device(source, bind=bind, small_pages=small_pages,
                                   unsafe_noiommu=unsafe_noiommu, queues=queues,
                                   depth=depth, max_data=max_data, dma_size=dma_size,
                                   timeout_ms=timeout_ms,
                                   spin_us=spin_us, wait_ms=wait_ms)
        _open.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"<viofs.Device {self.source!r}{'' if self.pointer else ', closed'}>"

    def __del__(self):
        if self.pointer:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
            with contextlib.suppress(Exception):
                self.close()

    @property
    def closed(self):
        """Has close() been called?"""
        return not self.pointer

    def _check(self):
        if not self.pointer:
            raise closed("device")
        if self.elsewhere:
            raise error(-19, "The device belongs to the process that opened it, and this is a "
                             "child of fork(2).")
        return self.pointer

    def close(self):
        """Give the device back. Sessions and queues are closed before.

        BufferError: DMA memory is in use; the device stays open, without sessions and queues. Let
        go of what was made of the memory (slices, arrays), then close again.
        """
        if not self.pointer:
            return
        for user in list(self._users):
            user.close()
        self._closing = True
        self._lost.clear()
        self._release()
        pointer, self.pointer = self.pointer, ffi.NULL
        _open.discard(self)
        err = ffi.new("struct viofs_err *")
        rc = interruptibly(lambda: lib.viofs_dev_close(pointer, err)) if not self.elsewhere else \
            lib.viofs_dev_close(pointer, err)
        self._registered.clear()
        if rc and not self.elsewhere:
            raise error(rc, text_of(err), self.source)

    def _release(self):
        for view, *_ in list(self._memory.values()):
            view = view()
            if view is not None:
                view.release()
            del view
        left = sum(owner() is not None for _, owner, _ in list(self._memory.values()))
        if left and not self.elsewhere:
            raise BufferError(f"DMA memory of {self!r} is in use: {left} pieces")

    def alloc(self, size):
        """Memory that the device reads and writes: a memoryview of size bytes. It is freed with the
        last reference."""
        memory = lib.viofs_dma_alloc(self._check(), size)
        if not memory:
            raise error(-12, f"No DMA memory of {size} bytes is left: {self.info.dma_free} of "
                             f"{self.info.dma_size} "
                        "(dma_size) are free.")
        address, me = int(ffi.cast("uintptr_t", memory)), weakref.ref(self)

        def free(pointer):
            device = me()
            # While the device is being closed it may still write to what was given up.
            if device and device.pointer and not device.elsewhere and not device._closing:
                device._memory.pop(address, None)
                lib.viofs_dma_free(device.pointer, pointer)

        owner = ffi.gc(ffi.cast("uint8_t *", memory), free)
        view = memoryview(ffi.buffer(owner, size))
        self._memory[address] = weakref.ref(view), weakref.ref(owner), size
        return view

    def register(self, memory, fd=-1, offset=0):
        """Let the device reach other memory, in whole pages: a writable buffer, such as an mmap of
        a memfd (fd, offset)."""
        pointer, size = buffer(memory, True)
        err = ffi.new("struct viofs_err *")
        rc = lib.viofs_dma_register(self._check(), pointer, size, fd, offset, err)
        if rc:
            raise error(rc, text_of(err))
        self._registered[int(ffi.cast("uintptr_t", pointer))] = pointer

    def unregister(self, memory):
        """The device reaches it no more."""
        pointer, _ = buffer(memory, True)
        err = ffi.new("struct viofs_err *")
        rc = lib.viofs_dma_unregister(self._check(), pointer, err)
        if rc:
            raise error(rc, text_of(err))
        del self._registered[int(ffi.cast("uintptr_t", pointer))]

    @property
    def info(self):
        """What the device is like: an object with the members of struct viofs_dev_info."""
        return struct("viofs_dev_info", lambda c: lib.viofs_dev_info_get(self._check(), c))

    @property
    def stats(self):
        """Counters: an object with the members of struct viofs_dev_stats."""
        return struct("viofs_dev_stats", lambda c: lib.viofs_dev_stats_get(self._check(), c))

    @property
    def features(self):
        """Names of the virtio features in use."""
        bits = self.info.negotiated
        return [string(lib.viofs_virtio_feature_name(bit)) or f"bit {bit}" for bit in range(64)
                if bits >> bit & 1]

    @property
    def failed(self):
        """None, or why the device has failed."""
        if not self.pointer:
            raise closed("device")
        return string(lib.viofs_dev_failed(self.pointer))

    def abort(self):
        """Give the device up: calls that wait, of all threads, end with an error. Any thread."""
        lib.viofs_dev_abort(self._check())

    def session(self, **options):
        """FUSE_INIT: a Session, whose parameters these are. A device has one."""
        return Session(self, **options)

    def queue(self):
        """A way for FUSE requests of the program's own: a Queue."""
        return Queue(self)

    def add_user(self, user):
        """Somebody to be closed first."""
        self._users.add(user)

    def reaches(self, memory):
        """Is any of it DMA memory? memory: pointers, in tuples and lists."""
        if isinstance(memory, (tuple, list)):
            return any(self.reaches(piece) for piece in memory)
        if not isinstance(memory, ffi.CData) or ffi.typeof(memory).kind not in ("pointer", "array"):
            return False
        address = int(ffi.cast("uintptr_t", memory))
        ranges = [(start, size) for start, (_, _, size) in list(self._memory.items())]
        ranges += [(start, len(pointer)) for start, pointer in list(self._registered.items())]
        return any(start <= address < start + size for start, size in ranges)

    def lose(self, memory):
        """Keep what the device may still write to."""
        self._lost.append(memory)


@atexit.register
def _close_all():
    for device in list(_open):
        with contextlib.suppress(Exception):
            device.close()


def _in_child():
    for device in list(_open):
        device.elsewhere = True
        # There is no DMA memory in a child: an error is better than SIGSEGV.
        for view, *_ in list(device._memory.values()):
            view = view()
            if view is not None:
                with contextlib.suppress(Exception):
                    view.release()


os.register_at_fork(after_in_child=_in_child)
