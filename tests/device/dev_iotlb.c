/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses behind an IOMMU: translations that the front end is asked for (vhost-user.rst, IOTLB).
 */
/*
 * With VIRTIO_F_ACCESS_PLATFORM every address, rings included, is an IOVA. What is translated is
 * kept until the front end takes it back. What isn't is asked for on the back end's own channel;
 * the answer comes as an IOTLB message on the other one, before the question is acknowledged. While
 * that is waited for, messages of the front end are handled as ever: it may just be waiting for us.
 */
#include "dev.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_BYTES 12U
#define VERSION 1U
#define NEED_REPLY 8U
#define BACKEND_IOTLB_MSG 1U
#define ANSWER_MS 5000

enum { MISS = 1, UPDATE = 2, INVALIDATE = 3 };

/* What the driver's IOMMU lets us do. */
#define PERM_READ 1U
#define PERM_WRITE 2U

struct question {
	uint32_t request, flags, size;
	struct dev_iotlb_message m;
} __attribute__((packed));

static void drop(struct dev_iotlb *t, uint64_t first, uint64_t last)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < t->count; i++) {
		const struct dev_iotlb_entry *e = &t->entries[i];

		if (e->last < first || e->first > last)
			t->entries[kept++] = *e;
	}
	t->count = kept;
}

static void add(struct dev_iotlb *t, const struct dev_iotlb_message *m)
{
	if (t->count == DEV_IOTLB_MAX) {
		/* Any of them: it is asked for again. */
		memmove(t->entries, t->entries + 1, (DEV_IOTLB_MAX - 1) * sizeof(t->entries[0]));
		t->count--;
	}
	t->entries[t->count++] = (struct dev_iotlb_entry){
		.first = m->iova,
		.last = m->iova + m->size - 1,
		.user = m->user,
		/* QEMU answers each question with all rights, whatever the IOMMU has: no more than
		   asked. */
		.perm = t->asking ? m->perm & t->asking : m->perm,
	};
}

void dev_iotlb_take(struct dev *d, const struct dev_iotlb_message *m)
{
	struct dev_iotlb *t = &d->iotlb;
	uint64_t last = m->iova + m->size - 1;

	if (m->type != UPDATE && m->type != INVALIDATE)
		dev_driver_fault("an IOTLB message of type %u", m->type);
	if (m->type == INVALIDATE || !t->asking)
		drop(t, m->iova, m->size ? last : UINT64_MAX);
	if (m->type == UPDATE)
		add(t, m);
	/* Rings are looked up again, wherever they lie. */
	for (unsigned int i = 0; m->type == INVALIDATE && i < DEV_QUEUES_MAX; i++)
		d->queues[i].mapped = false;
}

static const struct dev_iotlb_entry *find(const struct dev_iotlb *t, uint64_t iova, bool write)
{
	unsigned int perm = write ? PERM_WRITE : PERM_READ;

	for (unsigned int i = 0; i < t->count; i++)
		if (iova >= t->entries[i].first && iova <= t->entries[i].last &&
		    t->entries[i].perm & perm)
			return &t->entries[i];
	return NULL;
}

/* Ask the front end, and wait until it has said what it knows. Return: false: it has gone. */
static bool ask(struct dev *d, uint64_t iova, bool write)
{
	struct question q = {
		.request = BACKEND_IOTLB_MSG,
		.flags = VERSION | NEED_REPLY,
		.size = sizeof(q.m),
		.m = { .iova = iova, .perm = write ? PERM_WRITE : PERM_READ, .type = MISS },
	};
	uint8_t reply[HEADER_BYTES + sizeof(uint64_t)];

	d->iotlb.misses++;
	if (send(d->backend_fd, &q, sizeof(q), MSG_NOSIGNAL) != (ssize_t)sizeof(q))
		return false;
	for (;;) {
		struct pollfd fds[] = { { d->sock, POLLIN, 0 }, { d->backend_fd, POLLIN, 0 } };

		if (poll(fds, 2, ANSWER_MS) <= 0)
			dev_driver_fault("no answer to an IOTLB miss at 0x%llx",
					 (unsigned long long)iova);
		/* What it translates comes before it acknowledges. */
		if (fds[0].revents) {
			if (!dev_messages_take(d)) {
				d->quit = true;
				return false;
			}
			continue;
		}
		return recv(d->backend_fd, reply, sizeof(reply), MSG_WAITALL) ==
		       (ssize_t)sizeof(reply);
	}
}

void *dev_iotlb_find(struct dev *d, uint64_t iova, uint64_t *len, bool write)
{
	const struct dev_iotlb_entry *e = find(&d->iotlb, iova, write);
	uint64_t here;

	d->iotlb.asking = write ? PERM_WRITE : PERM_READ;
	if (!e && d->backend_fd >= 0 && ask(d, iova, write))
		e = find(&d->iotlb, iova, write);
	d->iotlb.asking = 0;
	if (!e) {
		d->iotlb.refused++;
		return NULL;
	}
	here = e->last - iova + 1;
	*len = here && here < *len ? here : *len;
	return dev_memory_user(&d->memory, e->user + (iova - e->first), *len);
}

void *dev_iotlb_find_all(struct dev *d, uint64_t iova, uint64_t len, bool write)
{
	uint8_t *start = NULL;

	for (uint64_t done = 0; done < len;) {
		uint64_t part = len - done;
		uint8_t *at = dev_iotlb_find(d, iova + done, &part, write);

		if (!at || (start && at != start + done))
			return NULL;
		if (!start)
			start = at;
		done += part;
	}
	return start;
}
