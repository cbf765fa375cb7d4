/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All of libviofs: files of a virtio-fs device, with no kernel FUSE. */
#ifndef VIOFS_VIOFS_H
#define VIOFS_VIOFS_H

#include <viofs/client.h>
#include <viofs/dirs.h>
#include <viofs/error.h>
#include <viofs/files.h>
#include <viofs/fsdev.h>
#include <viofs/fuse_names.h>
#include <viofs/path.h>
#include <viofs/request.h>
#include <viofs/version.h>

#endif
