/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that a back end is given. */
/*
 * The first region of the memory table is the arena's memfd, from offset 0 on. Its "guest" and
 * "user" addresses only have to be numbers that both sides use alike. So both are one constant,
 * which doesn't show the back end where our memory is. Memory that a program adds by the library
 * comes above it, region by region.
 *
 * The back end can read and write the device's part of the arena at any time, as any device can. It
 * can't reach the private part, nor make the memfd shorter (arena.c). It can punch holes: missing
 * pages then read as zeros, and where no hugepage is left, the kernel kills whoever touches the
 * hole with SIGBUS.
 */
#include "vhost/ask.h"

#include "base/util.h"

#include <endian.h>
#include <errno.h>
#include <unistd.h>

/* Where the memory starts for the back end; any page but the first would do. */
#define MEMORY_ADDRESS (1ULL << 32)
/* Regions begin on these: back ends map them in pages, huge ones too. */
#define REGION_ALIGN (1ULL << 30)

static struct viofs_vhost *vhost_of(struct viofs_mapper *m)
{
	return VIOFS_CONTAINER_OF(m, struct viofs_vhost, mapper);
}

int viofs_vhost_tell_memory(struct viofs_vhost *v)
{
	const struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_SET_MEM_TABLE,
		.size = sizeof(m.payload.memory),
		.payload.memory = {
			.count = 1,
			.regions[0] = {
				.guest_address = MEMORY_ADDRESS,
				.user_address = MEMORY_ADDRESS,
				.size = v->memory.size,
			},
		},
	};

	return viofs_vhost_tell(v, &m, v->memory.fd);
}

static int give_first(struct viofs_vhost *v, const struct viofs_mapper_memory *memory,
		      struct viofs_err *err)
{
	int rc;

	v->memory = (struct viofs_vhost_memory){ memory->fd, memory->len };
	rc = viofs_vhost_tell_memory(v);
	if (!rc)
		return 0;
	v->memory = (struct viofs_vhost_memory){ .fd = -1 };
	return viofs_err_set(err, rc, "The back end %s.", v->lost);
}

static int tell_region(struct viofs_vhost *v, enum viofs_vhost_request request, uint64_t size,
		       uint64_t address, int fd, uint64_t offset)
{
	const struct viofs_vhost_message m = {
		.request = request,
		.size = sizeof(m.payload.region),
		.payload.region = {
			.guest_address = address,
			.size = size,
			.user_address = address,
			.mmap_offset = offset,
		},
	};

	return viofs_vhost_tell(v, &m, fd);
}

static int vhost_map(struct viofs_mapper *m, const struct viofs_mapper_memory *memory,
		     uint64_t iova, struct viofs_err *err)
{
	struct viofs_vhost *v = vhost_of(m);
	int rc;

	if (iova == MEMORY_ADDRESS)
		return give_first(v, memory, err);
	if (!(v->protocol_features & VIOFS_VHOST_PROTOCOL_MEM_SLOTS))
		return viofs_err_set(
			err, -ENOTSUP,
			"The back end takes no memory but what it got at the start (it lacks "
			"VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS).");
	if (memory->fd < 0)
		return viofs_err_set(err, -EBADF,
				     "A back end needs the file that the memory is mapped from.");
	rc = tell_region(v, VIOFS_VHOST_ADD_MEM_REG, memory->len, iova, memory->fd, memory->offset);
	return rc ? viofs_err_set(err, rc, "The back end %s.", v->lost) : 0;
}

static int vhost_unmap(struct viofs_mapper *m, uint64_t iova, size_t len, struct viofs_err *err)
{
	struct viofs_vhost *v = vhost_of(m);
	int rc;

	/* What was given first goes with the connection. */
	if (iova == MEMORY_ADDRESS)
		return 0;
	rc = tell_region(v, VIOFS_VHOST_REM_MEM_REG, len, iova, -1, 0);
	return rc ? viofs_err_set(err, rc, "The back end %s.", v->lost) : 0;
}

static const struct viofs_mapper_ops vhost_mapper = { .map = vhost_map, .unmap = vhost_unmap };

void viofs_vhost_memory_init(struct viofs_vhost *v)
{
	v->memory.fd = -1;
	v->mapper = (struct viofs_mapper){
		.ops = &vhost_mapper,
		.translates = true,
		.by_file = true,
		.align = REGION_ALIGN,
		.range_count = 1,
		.ranges[0] = { MEMORY_ADDRESS, INT64_MAX },
	};
}

uint16_t viofs_vhost_used_idx(const struct viofs_vhost *v, uint64_t used)
{
	/* virtio 1.3 2.7.8: behind the flags. */
	uint64_t offset = used - MEMORY_ADDRESS + sizeof(uint16_t);
	uint16_t idx = 0;

	/* Read by pread(2): the back end may have punched holes, and a load from one can be a
	 * SIGBUS. */
	if (!viofs_range_ok(offset, sizeof(idx), v->memory.size) ||
	    pread(v->memory.fd, &idx, sizeof(idx), (off_t)offset) != sizeof(idx))
		return 0;
	return le16toh(idx);
}
