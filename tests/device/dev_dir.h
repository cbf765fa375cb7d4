/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of this machine: operations on what is open. */
#ifndef DEV_DIR_H
#define DEV_DIR_H

#include "dev.h"

#include <sys/stat.h>

/** dev_dir_fd() - the O_PATH descriptor of a node; a driver that names none doesn't survive it. */
int dev_dir_fd(uint64_t nodeid);
/** dev_dir_proc() - /proc/self/fd/N of it, which leads to the file itself. */
const char *dev_dir_proc(uint64_t nodeid);
/** dev_dir_entry() - @name in the directory @parent: one more reference. Return: bytes or -errno.
 */
int dev_dir_entry(int parent, const char *name, struct fuse_entry_out *out);
/** dev_dir_attr() - as FUSE has it. */
void dev_dir_attr(const struct stat *st, struct fuse_attr *a);

dev_op dev_dir_open, dev_dir_opendir, dev_dir_release, dev_dir_releasedir, dev_dir_read,
	dev_dir_write, dev_dir_readdir, dev_dir_fsync, dev_dir_ok, dev_dir_statfs,
	dev_dir_fallocate, dev_dir_lseek;
dev_op dev_dir_setxattr, dev_dir_getxattr, dev_dir_listxattr, dev_dir_removexattr;

#endif
