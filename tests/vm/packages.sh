#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian packages of this tree: built in clean systems, looked at by lintian, installed,
# upgraded and purged there. The tests that boot by them use these.
. "$(dirname "$0")/hostlib.sh"
"$here/../../tools/package" || fail "tools/package"
