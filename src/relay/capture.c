/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of what passes: their memory, written and read. */
#include "relay/capture.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct viofs_capture_ring viofs_capture_off;

static int map(struct viofs_capture *c)
{
	c->fd = memfd_create("viofs-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (c->fd < 0 || ftruncate(c->fd, (off_t)c->size) < 0 ||
	    fcntl(c->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	c->base = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (c->base != MAP_FAILED)
		return 0;
	c->base = NULL;
	return -errno;
}

int viofs_capture_new(unsigned int lanes, struct viofs_capture **out)
{
	struct viofs_capture *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	c->count = lanes + 2;
	c->size = c->count * (VIOFS_CAPTURE_HEAD + VIOFS_CAPTURE_BYTES);
	rc = map(c);
	if (rc)
		viofs_capture_free(c);
	else
		*out = c;
	return rc;
}

void viofs_capture_free(struct viofs_capture *c)
{
	if (!c)
		return;
	if (c->base)
		munmap(c->base, c->size);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

int viofs_capture_hide(const struct viofs_capture *c, bool hide)
{
	int prot = hide ? PROT_NONE : PROT_READ | PROT_WRITE;

	return mprotect(c->base, c->size, prot) < 0 ? -errno : 0;
}

int viofs_capture_begin(struct viofs_capture *c, uint32_t snap, bool contents)
{
	int rc;

	/* Who writes must not find out that there is no memory: that is SIGBUS. */
	do
		rc = fallocate(c->fd, 0, 0, (off_t)c->size) < 0 ? -errno : 0;
	while (rc == -EINTR);
	if (rc) {
		viofs_capture_end(c);
		return rc;
	}
	for (unsigned int i = 0; i < c->count; i++) {
		struct viofs_capture_ring *ring = viofs_capture_at(c->base, i);

		ring->snap = VIOFS_MIN(snap, VIOFS_CAPTURE_SNAP_MAX);
		ring->contents = contents;
		VIOFS_WRITE_ONCE(ring->on, 1);
	}
	return 0;
}

/* Heads stay: whoever writes may be at it. What it still writes is a page or two. */
void viofs_capture_end(struct viofs_capture *c)
{
	for (unsigned int i = 0; i < c->count; i++) {
		off_t at = (off_t)(i * (VIOFS_CAPTURE_HEAD + VIOFS_CAPTURE_BYTES));

		VIOFS_WRITE_ONCE(viofs_capture_at(c->base, i)->on, 0);
		fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  at + (off_t)VIOFS_CAPTURE_HEAD, (off_t)VIOFS_CAPTURE_BYTES);
	}
}

int viofs_capture_open(const struct viofs_capture *c)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static uint8_t *records(const struct viofs_capture_ring *ring)
{
	return (uint8_t *)ring + VIOFS_CAPTURE_HEAD;
}

/* @len bytes at @at, which may go on at the ring's beginning. */
static void put_bytes(struct viofs_capture_ring *ring, uint64_t at, const void *from, size_t len)
{
	size_t offset = at % VIOFS_CAPTURE_BYTES;
	size_t first = VIOFS_MIN(len, VIOFS_CAPTURE_BYTES - offset);

	memcpy(records(ring) + offset, from, first);
	memcpy(records(ring), (const uint8_t *)from + first, len - first);
}

static uint32_t bound(const struct viofs_capture_ring *ring, const struct iovec *parts,
		      unsigned int count, size_t most)
{
	size_t all = 0;

	for (unsigned int i = 0; i < count; i++)
		all += parts[i].iov_len;
	all = VIOFS_MIN(all, most);
	all = VIOFS_MIN(all, VIOFS_READ_ONCE(ring->snap));
	/* Whoever shares this memory may have written anything. */
	return (uint32_t)VIOFS_MIN(all, VIOFS_CAPTURE_SNAP_MAX);
}

void viofs_capture_put(struct viofs_capture_ring *ring, struct viofs_capture_record *record,
		       const struct iovec *parts, unsigned int count, size_t most)
{
	uint64_t at = ring->head, end;
	uint32_t left = bound(ring, parts, count, most);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	record->time = (uint64_t)now.tv_sec * VIOFS_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
	record->number = ring->count;
	record->captured = left;
	record->size = (uint32_t)viofs_align_up(sizeof(*record) + left, 8);
	end = at + record->size;
	/* A worker that died may have announced more. */
	if ((int64_t)(end - ring->begin) > 0)
		VIOFS_WRITE_ONCE(ring->begin, end);
	/* Pairs with viofs_capture_get(): what is overwritten is announced first. */
	atomic_thread_fence(memory_order_seq_cst);
	put_bytes(ring, at, record, sizeof(*record));
	at += sizeof(*record);
	for (unsigned int i = 0; i < count && left; i++) {
		size_t n = VIOFS_MIN(parts[i].iov_len, left);

		put_bytes(ring, at, parts[i].iov_base, n);
		at += n;
		left -= (uint32_t)n;
	}
	ring->count++;
	/* Pairs with viofs_capture_get(): the record is there before it is visible. */
	__atomic_store_n(&ring->head, end, __ATOMIC_RELEASE);
}

ssize_t viofs_capture_get(const struct viofs_capture_ring *ring, uint64_t *from, uint8_t *out,
			  size_t room)
{
	/* Pairs with viofs_capture_put(). */
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
	uint64_t n = head - *from;
	size_t offset = *from % VIOFS_CAPTURE_BYTES;

	if (n > VIOFS_CAPTURE_BYTES) {
		*from = head;
		return -EOVERFLOW;
	}
	n = VIOFS_MIN(n, room);
	for (size_t done = 0; done < n;) {
		size_t part = VIOFS_MIN(n - done, VIOFS_CAPTURE_BYTES - offset);

		memcpy(out + done, records(ring) + offset, part);
		done += part;
		offset = 0;
	}
	/* Pairs with viofs_capture_put(): the copy is made before it is asked whether it is good.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (VIOFS_READ_ONCE(ring->begin) - *from > VIOFS_CAPTURE_BYTES) {
		*from = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
		return -EOVERFLOW;
	}
	*from += n;
	return (ssize_t)n;
}
