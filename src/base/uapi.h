/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel interfaces newer than the headers of the build host; all are probed at run time. */
#ifndef VIOFS_BASE_UAPI_H
#define VIOFS_BASE_UAPI_H

#include <linux/fuse.h>
#include <sys/prctl.h>

/* The newest FUSE minor whose structures and opcodes src/fuse knows (uapi 7.45, Linux 7.2). */
#define VIOFS_FUSE_MINOR_MAX 45
/* The oldest minor that a device may have: below 7.27 compound structures differ. */
#define VIOFS_FUSE_MINOR_MIN 27

/* Opcodes after uapi 7.37. */
#define VIOFS_FUSE_STATX 52
#define VIOFS_FUSE_STATX_IN 24U   /* bytes of fuse_statx_in */
#define VIOFS_FUSE_STATX_OUT 288U /* bytes of fuse_statx_out */
#define VIOFS_FUSE_COPY_FILE_RANGE_64 53

/* INIT flags after uapi 7.37, as 64-bit masks over flags | flags2 << 32. */
#define VIOFS_FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#define VIOFS_FUSE_PASSTHROUGH (1ULL << 37)
#define VIOFS_FUSE_NO_EXPORT_SUPPORT (1ULL << 38)
#define VIOFS_FUSE_HAS_RESEND (1ULL << 39)
#define VIOFS_FUSE_ALLOW_IDMAP (1ULL << 40)
#define VIOFS_FUSE_OVER_IO_URING (1ULL << 41)
#define VIOFS_FUSE_REQUEST_TIMEOUT (1ULL << 42)
#define VIOFS_FUSE_HAS_IO_URING_BUFPOOL (1ULL << 43)

/* Notifications after uapi 7.37. */
#define VIOFS_FUSE_NOTIFY_RESEND 7
#define VIOFS_FUSE_NOTIFY_INC_EPOCH 8
#define VIOFS_FUSE_NOTIFY_PRUNE 9

/* open_flags after uapi 7.37. */
#define VIOFS_FOPEN_PASSTHROUGH (1U << 7)
#define VIOFS_FOPEN_IO_URING_ZERO_COPY (1U << 8)

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

#endif
