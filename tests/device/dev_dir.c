/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dev.h"
#include <errno.h>
const struct dev_fs dev_dir_fs;
int dev_dir_init(struct dev *d, const char *path)
{
	return -ENOSYS;
}
