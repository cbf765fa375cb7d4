/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bells (base/bell.h) of a device's virtqueues. */
#include "fs/doorbells.h"
#include "base/bell.h"

#include <string.h>

static void ring(void *arg, unsigned int q)
{
	const struct viofs_doorbells *b = arg;

	viofs_bell_ring(b->bells[q]);
}

int viofs_doorbells_init(struct viofs_doorbells *b, struct viofs_fs *fs, unsigned int ways)
{
	struct viofs_virtio *d = fs->virtio;
	int rc = 0;

	memset(b, 0, sizeof(*b));
	if (!d->ops->kick_fd)
		return 0;
	for (unsigned int q = 0; !rc && q < viofs_fs_virtqueue_count(fs); q++)
		rc = viofs_bell_new(d->ops->kick_fd(d, q), ways, &b->bells[q]);
	b->virtio = d;
	if (rc) {
		viofs_doorbells_fini(b);
		return rc;
	}
	d->bell_arg = b;
	d->bell = ring;
	return 0;
}

void viofs_doorbells_move(struct viofs_doorbells *to, struct viofs_doorbells *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
	if (!to->virtio)
		return;
	to->virtio->bell_arg = to;
	to->virtio->bell = ring;
}

void viofs_doorbells_fini(struct viofs_doorbells *b)
{
	if (!b->virtio)
		return;
	for (unsigned int q = 0; q < VIOFS_FS_VIRTQUEUES_MAX; q++)
		viofs_bell_free(b->bells[q]);
	memset(b, 0, sizeof(*b));
}
