/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Translations of a device behind an IOMMU. */
#ifndef DEV_IOTLB_H
#define DEV_IOTLB_H

#include <stdbool.h>
#include <stdint.h>

#define DEV_IOTLB_MAX 2048U

/** struct dev_iotlb_message - struct vhost_iotlb_msg as it is on the wire */
struct dev_iotlb_message {
	uint64_t iova, size, user;
	uint8_t perm, type;
	uint8_t padding[6];
};

struct dev_iotlb_entry {
	uint64_t first, last; /* IOVAs, both included */
	uint64_t user;        /* where that is in the memory table */
	uint8_t perm;         /* 1 read, 2 write */
};

struct dev_iotlb {
	struct dev_iotlb_entry entries[DEV_IOTLB_MAX];
	unsigned int count;
	uint8_t asking;           /* what is being asked for: 1 read, 2 write */
	uint64_t misses, refused; /* questions; those that had no answer */
};

struct dev;

/** dev_iotlb_take() - a message of the front end: an update, or something is taken back. */
void dev_iotlb_take(struct dev *d, const struct dev_iotlb_message *m);
/**
 * dev_iotlb_find() - where @iova is
 * @len: in and out, as far as that goes in one piece. Return: NULL: not for us.
 */
void *dev_iotlb_find(struct dev *d, uint64_t iova, uint64_t *len, bool write);
/** dev_iotlb_find_all() - the same for what has to be in one piece, a ring. */
void *dev_iotlb_find_all(struct dev *d, uint64_t iova, uint64_t len, bool write);

#endif
