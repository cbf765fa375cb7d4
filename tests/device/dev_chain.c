/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From addresses of the driver's to memory: rings, indirect tables, the pieces of a chain. */
#include "dev.h"

void *dev_ring_find(const struct dev_ring *r, uint64_t address, uint64_t len, bool write)
{
	if (dev_is_translated(r->dev))
		return dev_iotlb_find_all(r->dev, address, len, write);
	return dev_memory_user(&r->dev->memory, address, len);
}

const void *dev_chain_table(const struct dev_ring *r, uint64_t address, uint32_t len)
{
	if (dev_is_translated(r->dev))
		return dev_iotlb_find_all(r->dev, address, len, false);
	return dev_memory_guest(&r->dev->memory, address, len);
}

static void append(struct dev_chain *c, void *at, uint64_t len, bool writable, bool joins)
{
	unsigned int count = c->readable + c->writable;
	struct iovec *last = count ? &c->pieces[count - 1] : NULL;

	/* One descriptor is one piece, unless its memory isn't. */
	if (joins && (uint8_t *)last->iov_base + last->iov_len == at) {
		last->iov_len += len;
		return;
	}
	if (count == DEV_PIECES_MAX)
		dev_driver_fault("a chain in more than %u pieces", count);
	c->pieces[count] = (struct iovec){ at, len };
	*(writable ? &c->writable : &c->readable) += 1;
}

/* Return: false: it isn't for us. */
static bool add_translated(const struct dev_ring *r, struct dev_chain *c, uint64_t address,
			   uint32_t len, bool writable)
{
	for (uint64_t done = 0; done < len;) {
		uint64_t part = len - done;
		void *at = dev_iotlb_find(r->dev, address + done, &part, writable);

		if (!at)
			return false;
		append(c, at, part, writable, done);
		done += part;
	}
	return true;
}

void dev_chain_add(const struct dev_ring *r, struct dev_chain *c, uint64_t address, uint32_t len,
		   bool writable)
{
	void *p;

	if (c->descriptors++ == r->vring.size)
		dev_driver_fault("a chain of more than %u descriptors", r->vring.size);
	if (!len)
		dev_driver_fault("a descriptor of length 0");
	if (!writable && c->writable)
		dev_driver_fault("a readable descriptor behind a writable one");
	if (!writable && !c->readable)
		c->readable_at = address;
	if (dev_is_translated(r->dev)) {
		if (!add_translated(r, c, address, len, writable))
			dev_driver_fault(
				"the IOMMU refuses a descriptor of the driver's: 0x%llx +0x%x",
				(unsigned long long)address, len);
		return;
	}
	p = dev_memory_guest(&r->dev->memory, address, len);
	if (!p)
		dev_driver_fault("a descriptor outside of memory: 0x%llx +0x%x",
				 (unsigned long long)address, len);
	append(c, p, len, writable, false);
}
