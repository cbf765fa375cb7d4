/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* May the caller do that? What VIOFS_SESSION_CHECK is about. Private to src/client */
#ifndef VIOFS_CLIENT_CHECK_H
#define VIOFS_CLIENT_CHECK_H

#include "client/op.h"

/** viofs_check_mask() - has @caller all rights of @mask (R_OK, W_OK, X_OK) to what has @attr? */
bool viofs_check_mask(const struct viofs_caller *caller, const struct fuse_attr *attr,
		      unsigned int mask);

/**
 * viofs_check() - may the op go on, with @node as @judge sees it?
 * Where the caller isn't checked it may. Attributes that hold no more are asked for first.
 * Return: true: go on; false: the op has ended, or @then is run when the device has answered.
 */
bool viofs_check(struct viofs_op *op, struct viofs_node *node, viofs_judge *judge,
		 viofs_step *then);

/** viofs_check_folder() - a step: op->permitted, if names may be made and removed in the folder
 * that op->walk led to. */
void viofs_check_folder(struct viofs_op *op);

/* Judges. Return: 0 or why not. */

/** viofs_judge_search() - a name may be looked up in a folder. */
int viofs_judge_search(struct viofs_op *op, const struct fuse_attr *attr);
/** viofs_judge_read(), viofs_judge_write() - it may be read, or written. */
int viofs_judge_read(struct viofs_op *op, const struct fuse_attr *attr);
int viofs_judge_write(struct viofs_op *op, const struct fuse_attr *attr);
/** viofs_judge_victim() - op->walk->named may be removed from a folder with the sticky bit. */
int viofs_judge_victim(struct viofs_op *op, const struct fuse_attr *attr);
/** viofs_judge_open() - as op->open says. */
int viofs_judge_open(struct viofs_op *op, const struct fuse_attr *attr);
/** viofs_judge_setattr() - op->setattr, from whose mode a set-group-ID bit may be taken. */
int viofs_judge_setattr(struct viofs_op *op, const struct fuse_attr *attr);
/** viofs_judge_getxattr(), viofs_judge_setxattr() - the attribute that op->kept is the name of. */
int viofs_judge_getxattr(struct viofs_op *op, const struct fuse_attr *attr);
int viofs_judge_setxattr(struct viofs_op *op, const struct fuse_attr *attr);

#endif
