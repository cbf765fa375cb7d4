/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is what the device said unasked a notification that the kernel may be given? Private copies only.
 */
#ifndef VIOFS_FUSE_NOTIFY_CHECK_H
#define VIOFS_FUSE_NOTIFY_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* The longest notification but for STORE's data: header, struct, name and its NUL. */
#define VIOFS_FUSE_NOTIFY_NAME_MAX 1024U

/**
 * viofs_fuse_notify_check() - decide whether a notification goes to the kernel
 * @message: fuse_out_header and payload, 8 bytes aligned; @len: what the device says it wrote.
 * @store: STORE is allowed, which writes into the page cache what no file has.
 * @name: out, "INVAL_INODE", or "notification" where its code is not known.
 * Those that drop what is cached pass, and POLL; RETRIEVE (file contents to the device), RESEND
 * (requests a second time) and what isn't known do not. Sizes are exact, names end where they say.
 * Return: NULL: as it is; else what is wrong with it (static).
 */
const char *viofs_fuse_notify_check(const void *message, size_t len, bool store, const char **name);

#endif
