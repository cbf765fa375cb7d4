#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# dracut, to be sourced: root=TAG rootfstype=fuse.virtiofs-vfio is a root that there is no device to
# wait for.
# shellcheck disable=SC2034,SC2154 # dracut's
[ "$fstype" != fuse.virtiofs-vfio ] || rootok=1
