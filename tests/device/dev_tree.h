/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations of the in-memory tree that are not on names. */
#ifndef DEV_TREE_H
#define DEV_TREE_H

#include "dev.h"

dev_op dev_tree_open, dev_tree_release, dev_tree_read, dev_tree_write, dev_tree_readdir,
	dev_tree_fallocate, dev_tree_statfs, dev_tree_ok;
dev_op dev_tree_setxattr, dev_tree_getxattr, dev_tree_listxattr, dev_tree_removexattr;

#endif
