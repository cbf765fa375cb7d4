/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that a back end is given. */
/*
 * The memory table has one region, the arena's memfd from offset 0 on. Its "guest" and its "user"
 * address only have to be numbers that both sides use alike, so they are one constant, which tells
 * the back end nothing of where our memory lies. Memory that a program of the library's adds comes
 * above it.
 *
 * What the back end can do with what it gets: read and write the device's part of the arena at any
 * time, which a device may anyway. Not the private part, and not cut the memfd short (arena.c). It
 * can punch holes into it: pages that are gone read as zeros, and hugepages may be missing then,
 * for which the kernel kills by SIGBUS.
 */
#include "vhost/ask.h"

#include <endian.h>
#include <errno.h>

/* Where the memory starts for the back end; any page but the first would do. */
#define MEMORY_ADDRESS (1ULL << 32)
/* Regions begin on these: back ends map them in pages, huge ones too. */
#define REGION_ALIGN (1ULL << 30)

int viofs_vhost_tell_memory(struct viofs_vhost *v, const struct viofs_arena *arena)
{
	const struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_SET_MEM_TABLE,
		.size = sizeof(m.payload.memory),
		.payload.memory = {
			.count = 1,
			.regions[0] = {
				.guest_address = MEMORY_ADDRESS,
				.user_address = MEMORY_ADDRESS,
				.size = viofs_arena_device_size(arena),
			},
		},
	};

	return viofs_vhost_tell(v, &m, viofs_arena_fd(arena));
}

int viofs_vhost_share(struct viofs_vhost *v, struct viofs_arena *arena, struct viofs_err *err)
{
	int rc = viofs_vhost_tell_memory(v, arena);

	if (rc)
		return viofs_err_set(err, rc, "The back end %s.", v->lost);
	v->arena = arena;
	viofs_arena_share(arena, MEMORY_ADDRESS);
	v->next_address = MEMORY_ADDRESS + viofs_arena_device_size(arena);
	return 0;
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

int viofs_vhost_add_region(struct viofs_vhost *v, uint64_t size, int fd, uint64_t offset,
			   uint64_t *address, struct viofs_err *err)
{
	uint64_t at = (v->next_address + REGION_ALIGN - 1) & ~(REGION_ALIGN - 1);
	int rc;

	if (!(v->protocol_features & VIOFS_VHOST_PROTOCOL_MEM_SLOTS))
		return viofs_err_set(
			err, -ENOTSUP,
			"The back end takes no memory but what it got at the start (it lacks "
			"VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS).");
	if (fd < 0)
		return viofs_err_set(err, -EBADF,
				     "A back end needs the file that the memory is mapped from.");
	rc = tell_region(v, VIOFS_VHOST_ADD_MEM_REG, size, at, fd, offset);
	if (rc)
		return viofs_err_set(err, rc, "The back end %s.", v->lost);
	v->next_address = at + size;
	*address = at;
	return 0;
}

int viofs_vhost_remove_region(struct viofs_vhost *v, uint64_t size, uint64_t address,
			      struct viofs_err *err)
{
	int rc = tell_region(v, VIOFS_VHOST_REM_MEM_REG, size, address, -1, 0);

	return rc ? viofs_err_set(err, rc, "The back end %s.", v->lost) : 0;
}

uint16_t viofs_vhost_used_idx(const struct viofs_vhost *v, uint64_t used)
{
	/* virtio 1.3 2.7.8: behind the flags. */
	uint16_t idx = 0;

	if (viofs_arena_read(v->arena, used - MEMORY_ADDRESS + sizeof(idx), &idx, sizeof(idx)))
		return 0;
	return le16toh(idx);
}
