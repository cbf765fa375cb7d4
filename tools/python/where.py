# SPDX-License-Identifier: LGPL-2.1-or-later
"""The directory for packages of an installation below argv[1]; a second line: this Python finds
them there."""

import os
import sys
import sysconfig

prefix = os.path.normpath(sys.argv[1])
schemes = sysconfig.get_scheme_names()
if prefix == "/usr" and "deb_system" in schemes:
    # Debian's packages: one directory for all versions.
    path = sysconfig.get_path("platlib", "deb_system", vars={"platbase": prefix})
elif prefix == "/usr/local" and "posix_local" in schemes:
    # Debian's Python puts "local" into that one by itself.
    path = sysconfig.get_path("platlib", "posix_local", vars={"platbase": "/usr"})
else:
    path = sysconfig.get_path("platlib", "posix_prefix", vars={"platbase": prefix})
print(path)
if path in sys.path:
    print("found")
