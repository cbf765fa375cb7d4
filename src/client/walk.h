/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Along a path, and what replies say of inodes. Private to src/client */
#ifndef VIOFS_CLIENT_WALK_H
#define VIOFS_CLIENT_WALK_H

#include "client/op.h"

/** viofs_walk() - resolve @path into op->walk, then run @then; ends @op where that fails. */
void viofs_walk(struct viofs_op *op, struct viofs_walk *w, const char *path, unsigned int flags,
		enum viofs_walk_to to, viofs_step *then);
/** viofs_attr_can_be() - a type that there is, and a size that off_t holds. */
bool viofs_attr_can_be(const struct fuse_attr *a);
/** viofs_entry_take() - an entry of a reply: @out with a reference. Return: 0, -EIO, -ENOENT,
 * -ENOMEM. */
int viofs_entry_take(struct viofs_share *s, const struct fuse_entry_out *e,
		     struct viofs_node **out);
/** viofs_entry_undo() - as viofs_op.undo: an entry's reference goes back. */
bool viofs_entry_undo(struct viofs_op *op);

#endif
