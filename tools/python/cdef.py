#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""C for an extension module from the public headers: python3 cdef.py viofs|fields OUT.c HEADER...

cffi reads the declarations, so nothing is declared a second time here but what the system's headers
have. The C compiler compares all of that with the real headers: a struct that differs doesn't
compile, or fails at import.
"""

import re
import sys

import cffi

# Of the system's headers; "..." lets the C compiler fill in what isn't named.
SYSTEM = """
typedef unsigned int mode_t;
typedef unsigned int uid_t;
typedef unsigned int gid_t;
typedef uint64_t dev_t;
struct timespec { long tv_sec; long tv_nsec; };
struct iovec { void *iov_base; size_t iov_len; };
struct stat {
    uint64_t st_dev, st_ino, st_nlink, st_rdev;
    uint32_t st_mode, st_uid, st_gid;
    int64_t st_size, st_blksize, st_blocks;
    struct timespec st_atim, st_mtim, st_ctim;
    ...;
};
struct statvfs {
    unsigned long f_bsize, f_frsize;
    uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail;
    unsigned long f_fsid, f_flag, f_namemax;
    ...;
};
struct statx_timestamp { int64_t tv_sec; uint32_t tv_nsec; ...; };
struct statx {
    uint32_t stx_mask, stx_blksize, stx_nlink, stx_uid, stx_gid;
    uint32_t stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
    uint16_t stx_mode;
    uint64_t stx_attributes, stx_ino, stx_size, stx_blocks, stx_attributes_mask;
    struct statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
    ...;
};
struct flock { short l_type, l_whence; int64_t l_start, l_len; int l_pid; ...; };
"""
INCLUDES = """
#include <alloca.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <viofs/viofs.h>
"""
# The table of `viofs raw`.
FIELDS = """
struct viofs_raw_op { uint32_t opcode; const char *args, *names, *reply; unsigned int flags; };
extern const struct viofs_raw_op viofs_raw_ops[];
extern const unsigned int viofs_raw_op_count;
#define VIOFS_RAW_DATA_IN ...
#define VIOFS_RAW_VALUE_IN ...
#define VIOFS_RAW_DATA_OUT ...
#define VIOFS_RAW_TARGET_OUT ...
#define VIOFS_RAW_SIZE_OUT ...
#define VIOFS_RAW_ENTRIES ...
#define VIOFS_RAW_PLUS ...
#define VIOFS_RAW_NO_REPLY ...
#define VIOFS_RAW_OURS ...
"""


def declarations(path):
    """What cffi can read of a header: no comments, no directives, no values of constants."""
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S).replace("\\\n", " ")
    numbers = re.findall(r"(?m)^#define (VIOFS_\w+)[ \t]+[^\s(]", text)
    text = re.sub(r"(?m)^#.*\n", "", text)
    text = re.sub(r'extern "C" \{(.*)\n\}', r"\1", text, flags=re.S)
    # Structs of the system that a header has the name of only.
    text = re.sub(r"(?m)^struct (?!viofs_)\w+;\n", "", text)
    text = re.sub(r"= 1 << \d+", "= ...", text)
    return text + "".join(f"#define {name} ...\n" for name in numbers)


def main(what, out, *headers):
    """Writes @out."""
    ffi = cffi.FFI()
    if what == "fields":
        ffi.cdef(FIELDS)
        ffi.set_source("viofs._fields", "#include <alloca.h>\n#include \"raw.h\"")
    else:
        ffi.cdef(SYSTEM)
        # Each after those that it needs.
        order = ("error", "fuse_names", "version", "fsdev", "client", "request", "path", "files",
                 "dirs")
        found = {re.sub(r".*/(\w+)\.h$", r"\1", path): path for path in headers}
        for name in sorted(set(found) - {"viofs"},
                           key=lambda n: order.index(n) if n in order else len(order)):
            ffi.cdef(declarations(found[name]))
        ffi.set_source("viofs._viofs", INCLUDES)
    ffi.emit_c_code(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
