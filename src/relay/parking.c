/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parked requests. */
#include "relay/parking.h"
#include "base/uapi.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool viofs_parking_is_full(const struct viofs_parking *p)
{
	return p->bytes >= p->bytes_max || p->count >= p->count_max;
}

static size_t bytes_of(const struct viofs_parked *parked)
{
	return sizeof(*parked) + parked->len;
}

int viofs_parking_put(struct viofs_parking *p, const struct iovec *iov, size_t len, int64_t since)
{
	struct viofs_parked *parked;
	size_t done = 0;

	parked = malloc(sizeof(*parked) + len);
	if (!parked)
		return -ENOMEM;
	parked->next = NULL;
	parked->since = since;
	parked->len = (uint32_t)len;
	for (; done < len; iov++) {
		size_t n = VIOFS_MIN(iov->iov_len, len - done);

		memcpy(parked->message + done, iov->iov_base, n);
		done += n;
	}
	if (p->last)
		p->last->next = parked;
	else
		p->first = parked;
	p->last = parked;
	p->bytes += bytes_of(parked);
	p->count++;
	return 0;
}

static struct viofs_parked *take_after(struct viofs_parking *p, struct viofs_parked *before)
{
	struct viofs_parked *parked = before ? before->next : p->first;

	if (before)
		before->next = parked->next;
	else
		p->first = parked->next;
	if (p->last == parked)
		p->last = before;
	p->bytes -= bytes_of(parked);
	p->count--;
	return parked;
}

struct viofs_parked *viofs_parking_take(struct viofs_parking *p)
{
	return p->first ? take_after(p, NULL) : NULL;
}

struct viofs_parked *viofs_parking_take_unique(struct viofs_parking *p, uint64_t unique)
{
	struct viofs_parked *before = NULL;

	for (struct viofs_parked *i = p->first; i; before = i, i = i->next) {
		struct fuse_in_header head;

		memcpy(&head, i->message, sizeof(head));
		if (head.unique == unique)
			return take_after(p, before);
	}
	return NULL;
}

void viofs_parking_clear(struct viofs_parking *p)
{
	while (p->first)
		free(take_after(p, NULL));
}
