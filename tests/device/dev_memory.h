/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory table: what of the driver's memory the device sees. */
#ifndef DEV_MEMORY_H
#define DEV_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define DEV_REGIONS_MAX 8U

/** struct dev_region - as SET_MEM_TABLE tells it, mapped */
struct dev_region {
	uint64_t guest, user, size;
	uint8_t *at; /* of its first byte */
	void *map;
	size_t map_size;
	int fd; /* what it is a mapping of */
};

struct dev_memory {
	struct dev_region regions[DEV_REGIONS_MAX];
	unsigned int count;
};

/** dev_memory_add() - map a region; @fd is the table's from here on. Return: 0 or -errno. */
int dev_memory_add(struct dev_memory *m, uint64_t guest, uint64_t user, uint64_t size,
		   uint64_t offset, int fd);
/** dev_memory_clear() - unmap all. */
void dev_memory_clear(struct dev_memory *m);
/** dev_memory_guest() - [@address, +@len) inside one region, or NULL. */
void *dev_memory_guest(const struct dev_memory *m, uint64_t address, uint64_t len);
/** dev_memory_user() - the same for the addresses of rings. */
void *dev_memory_user(const struct dev_memory *m, uint64_t address, uint64_t len);

#endif
