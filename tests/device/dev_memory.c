/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory table. */
#include "dev_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int dev_memory_add(struct dev_memory *m, uint64_t guest, uint64_t user, uint64_t size,
		   uint64_t offset, int fd)
{
	struct dev_region *r = &m->regions[m->count];
	int rc;

	if (m->count == DEV_REGIONS_MAX || fd < 0)
		return -EINVAL;
	*r = (struct dev_region){ .guest = guest, .user = user, .size = size };
	/* From 0 on, as libvhost-user does: an offset need not be a multiple of a hugepage. */
	r->map_size = size + offset;
	r->map = mmap(NULL, r->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->map == MAP_FAILED) {
		rc = -errno;
		close(fd);
		return rc;
	}
	r->fd = fd;
	r->at = (uint8_t *)r->map + offset;
	m->count++;
	return 0;
}

void dev_memory_clear(struct dev_memory *m)
{
	for (unsigned int i = 0; i < m->count; i++) {
		munmap(m->regions[i].map, m->regions[i].map_size);
		close(m->regions[i].fd);
	}
	memset(m, 0, sizeof(*m));
}

static void *find(const struct dev_region *r, uint64_t start, uint64_t address, uint64_t len)
{
	if (address < start || len > r->size || address - start > r->size - len)
		return NULL;
	return r->at + (address - start);
}

void *dev_memory_guest(const struct dev_memory *m, uint64_t address, uint64_t len)
{
	void *p = NULL;

	for (unsigned int i = 0; !p && i < m->count; i++)
		p = find(&m->regions[i], m->regions[i].guest, address, len);
	return p;
}

void *dev_memory_user(const struct dev_memory *m, uint64_t address, uint64_t len)
{
	void *p = NULL;

	for (unsigned int i = 0; !p && i < m->count; i++)
		p = find(&m->regions[i], m->regions[i].user, address, len);
	return p;
}
