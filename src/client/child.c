/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A child of fork(2) has no device.
 *
 * Parent and child would both drive the same rings, each with notes of its own. So the child
 * doesn't get the DMA memory, and every call looks at a page that the kernel wipes in a child. A
 * call must look before it takes a lock: another thread of the parent may have held it at the fork,
 * and nobody in the child gives it back. What is closed in the child closes the child's copies of
 * descriptors, and frees its memory; but for what another thread may have been changing when the
 * child was made, which is left as it is.
 */
#include "client/child.h"

#include "base/page.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static const char reason[] = "belongs to the process that opened it, of which this is a child";

int viofs_dev_settle_here(struct viofs_dev *dev)
{
	size_t page = viofs_page_size();
	int *here = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (here == MAP_FAILED)
		return -errno;
	dev->here = here;
	*here = 1;
	return madvise(here, page, MADV_WIPEONFORK) ? -errno : 0;
}

void viofs_dev_leave(struct viofs_dev *dev)
{
	if (dev->here)
		munmap(dev->here, viofs_page_size());
}

int viofs_dev_elsewhere(struct viofs_err *err, const char *what, const char *which)
{
	return viofs_err_set(err, -ENODEV, "%s %s: the device %s.", what, which, reason);
}

const char *viofs_dev_elsewhere_why(void)
{
	return reason;
}
