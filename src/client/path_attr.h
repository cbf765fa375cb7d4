/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes, of paths and of open files. Private to src/client */
#ifndef VIOFS_CLIENT_PATH_ATTR_H
#define VIOFS_CLIENT_PATH_ATTR_H

#include "client/op.h"

void viofs_attr_to_stat(const struct fuse_attr *a, struct stat *st);
/** viofs_op_setattr() - op->setattr of op->node, or of op->file; ends @op. */
void viofs_op_setattr(struct viofs_op *op);
/** viofs_op_getattr() - op->stat of op->node, or of op->file; ends @op. */
void viofs_op_getattr(struct viofs_op *op);
/** viofs_set_mode(), viofs_set_owner(), viofs_set_size() - what SETATTR is to set. */
struct fuse_setattr_in viofs_set_mode(mode_t mode);
struct fuse_setattr_in viofs_set_owner(uid_t uid, gid_t gid);
struct fuse_setattr_in viofs_set_size(uint64_t size);
/** viofs_set_times() - into @in from utimensat's. Return: 0, -EINVAL. */
int viofs_set_times(struct fuse_setattr_in *in, const struct timespec *times);

#endif
