/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The DMA arena.
 *
 * Two memfds. One holds the sections that the device touches, side by side, each given to it by its
 * access. The other is the private section's alone: a vhost-user back end gets the first
 * descriptor, and could map all of what that leads to. Both are sealed: otherwise a back end could
 * make the file shorter and have us killed by SIGBUS.
 *
 * `page` has an entry for every *system* page that the device touches: its address for the device
 * and how many pages from here on are contiguous, so that viofs_arena_iova() is a table look-up.
 *
 * With the physical policy the order matters: an address read from pagemap is only good while the
 * page can't move, and it is VFIO's mapping that pins it. Pinning may itself move a page (out of
 * CMA or ZONE_MOVABLE), so the addresses are read again after mapping, and a run that moved is
 * mapped anew.
 */
#include "dma/arena.h"
#include "base/log.h"
#include "base/page.h"
#include "base/util.h"
#include "dma/pages.h"
#include "dma/physical.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_TRIES 5

struct section {
	size_t offset, size, used; /* bytes; the offset is one in the section's memfd */
};

/* A memfd, all of it mapped. */
struct area {
	int fd;
	uint8_t *base;
	size_t size;
};

struct page {
	uint64_t iova;
	uint32_t run; /* pages contiguous for the device from here on, this one included */
};

/* Mappings that the device has; they are to be taken back. */
struct mapping {
	uint64_t iova;
	size_t len;
};

struct viofs_arena {
	struct area device, private;
	size_t page_size, system_page;
	bool scattered; /* perhaps the device sees each page at another address */
	struct section sections[VIOFS_ARENA_SECTIONS];
	size_t sparse;                   /* bytes at the end of the private area */
	struct viofs_arena_state *state; /* in the private area */
	struct page *pages;
	struct viofs_mapper *mapper; /* while mapped */
	struct mapping *mappings;
	size_t mapping_count;
};

static bool is_private(int section)
{
	return section == VIOFS_ARENA_PRIVATE || section == VIOFS_ARENA_SPARSE;
}

static size_t state_bytes(const struct viofs_arena *a)
{
	return sizeof(struct viofs_arena_state) +
	       a->device.size / a->system_page * sizeof(uint64_t);
}

/* Head, state, section, and what is sparse. */
static void lay_out_private(struct viofs_arena *a, const size_t sizes[VIOFS_ARENA_SECTIONS])
{
	struct section *s = &a->sections[VIOFS_ARENA_PRIVATE];
	struct section *sparse = &a->sections[VIOFS_ARENA_SPARSE];

	s->offset = viofs_align_up(VIOFS_ARENA_HEAD + state_bytes(a), a->system_page);
	s->size = viofs_align_up(sizes[VIOFS_ARENA_PRIVATE], a->system_page);
	sparse->offset = s->offset + s->size;
	sparse->size = a->sparse = viofs_align_up(sizes[VIOFS_ARENA_SPARSE], a->system_page);
	a->private.size = sparse->offset + sparse->size;
}

/* Lay the device's sections out in pages of @page_size. */
static void lay_out(struct viofs_arena *a, const size_t sizes[VIOFS_ARENA_SECTIONS],
		    size_t page_size)
{
	a->device.size = 0;
	for (int i = 0; i < VIOFS_ARENA_SECTIONS; i++) {
		if (is_private(i))
			continue;
		a->sections[i].offset = a->device.size;
		a->sections[i].size = viofs_align_up(sizes[i], page_size);
		a->device.size += a->sections[i].size;
	}
	a->page_size = page_size;
	lay_out_private(a, sizes);
}

/* Return: 0, or -errno: nothing was reserved. */
static int reserve(struct area *area, size_t sparse, bool hugepages)
{
	void *map = NULL;
	int fd;

	if (!area->size)
		return 0;
	fd = hugepages ? viofs_hugepages_memfd(area->size, &map)
		       : viofs_sparse_memfd(area->size - sparse, sparse, &map);
	if (fd < 0)
		return fd;
	area->fd = fd;
	area->base = map;
	/* Nobody who gets the descriptor can shrink the memory under us. */
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ? -errno : 0;
}

static void give_back(struct area *area)
{
	if (area->base)
		munmap(area->base, area->size);
	if (area->fd >= 0)
		close(area->fd);
}

static void write_state(struct viofs_arena *a)
{
	struct viofs_arena_state *s = (void *)(a->private.base + VIOFS_ARENA_HEAD);

	a->state = s;
	s->page_size = a->page_size;
	s->system_page = a->system_page;
	s->device_size = a->device.size;
	for (int i = 0; i < VIOFS_ARENA_SECTIONS; i++) {
		s->sections[i].offset = a->sections[i].offset;
		s->sections[i].size = a->sections[i].size;
	}
}

static int reserve_all(struct viofs_arena *a, const size_t sizes[VIOFS_ARENA_SECTIONS],
		       bool hugepages)
{
	int rc = -ENOMEM;

	if (hugepages) {
		lay_out(a, sizes, VIOFS_HUGEPAGE_SIZE);
		rc = reserve(&a->device, 0, true);
	}
	if (rc) {
		give_back(&a->device);
		a->device = (struct area){ .fd = -1 };
		lay_out(a, sizes, a->system_page);
		rc = reserve(&a->device, 0, false);
	}
	/* Other people's file data passes through this memory. It must not get into a core file. */
	if (!rc && madvise(a->device.base, a->device.size, MADV_DONTDUMP) < 0)
		rc = -errno;
	rc = rc ? rc : reserve(&a->private, a->sparse, false);
	if (!rc)
		write_state(a);
	return rc;
}

int viofs_arena_new(const size_t sizes[VIOFS_ARENA_SECTIONS], bool hugepages,
		    struct viofs_arena **out, struct viofs_err *err)
{
	struct viofs_arena *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return viofs_err_set(err, -ENOMEM, "out of memory");
	a->device.fd = a->private.fd = -1;
	a->system_page = viofs_page_size();
	rc = reserve_all(a, sizes, hugepages);
	if (rc) {
		viofs_err_set(err, rc,
			      "can't reserve %zu MiB of memory for DMA: %s. Free some memory, or "
			      "ask for less.",
			      viofs_arena_size(a) >> 20, strerror(-rc));
		viofs_err_remedy(err, rc, VIOFS_REMEDY_LESS_MEMORY);
		viofs_arena_free(a);
		return rc;
	}
	a->pages = calloc(a->device.size / a->system_page, sizeof(*a->pages));
	a->mappings = calloc(a->device.size / a->system_page, sizeof(*a->mappings));
	if (!a->pages || !a->mappings) {
		viofs_arena_free(a);
		return viofs_err_set(err, -ENOMEM, "out of memory");
	}
	*out = a;
	return 0;
}

/*
 * Return: 0, or the first -errno. Mappings that could not be taken back go when the device is
 * closed.
 */
static int unmap_down_to(struct viofs_arena *a, size_t count)
{
	int rc = 0;

	while (a->mapping_count > count) {
		struct mapping *m = &a->mappings[--a->mapping_count];
		int rc2 = a->mapper->ops->unmap(a->mapper, m->iova, m->len, NULL);

		rc = rc ? rc : rc2;
	}
	return rc;
}

static void unmap(struct viofs_arena *a)
{
	unmap_down_to(a, 0);
	a->mapper = NULL;
}

void viofs_arena_free(struct viofs_arena *a)
{
	if (!a)
		return;
	unmap(a);
	give_back(&a->device);
	give_back(&a->private);
	free(a->pages);
	free(a->mappings);
	free(a);
}

void viofs_arena_leave(struct viofs_arena *a)
{
	a->device.base = a->private.base = NULL;
	viofs_arena_free(a);
}

static unsigned int section_access(enum viofs_arena_section s)
{
	switch (s) {
	case VIOFS_ARENA_DEVICE_READ:
		return VIOFS_DMA_READ;
	case VIOFS_ARENA_DEVICE_WRITE:
		return VIOFS_DMA_WRITE;
	case VIOFS_ARENA_DEVICE_RING:
	case VIOFS_ARENA_DEVICE_RW:
		return VIOFS_DMA_READ | VIOFS_DMA_WRITE;
	default:
		return 0;
	}
}

/* Fill in run lengths of pages [first, first + count) from their addresses. */
static void find_runs(struct viofs_arena *a, size_t first, size_t count)
{
	for (size_t i = first + count; i-- > first;) {
		struct page *p = &a->pages[i];

		a->state->iova[i] = p->iova;
		p->run = 1;
		if (i + 1 < first + count && p[1].iova == p->iova + a->system_page)
			p->run = p[1].run + 1;
	}
}

static int map_piece(struct viofs_arena *a, size_t first, size_t count, unsigned int access,
		     struct viofs_err *err)
{
	uint64_t iova = a->pages[first].iova;
	const struct viofs_mapper_memory memory = {
		.vaddr = a->device.base + first * a->system_page,
		.len = count * a->system_page,
		.fd = a->device.fd,
		.offset = first * a->system_page,
		.access = access,
	};
	int rc;

	if (!viofs_mapper_fits(a->mapper, iova, memory.len))
		return viofs_err_set(err, -ENOSPC,
				     "the IOMMU can't map address 0x%llx (+0x%zx), which "
				     "is where the memory lies: it has too few address bits or the "
				     "range is reserved",
				     (unsigned long long)iova, memory.len);
	rc = a->mapper->ops->map(a->mapper, &memory, iova, err);
	if (rc)
		return rc;
	a->mappings[a->mapping_count++] = (struct mapping){ iova, memory.len };
	return 0;
}

/* Map section @s run by run. */
static int map_runs(struct viofs_arena *a, const struct section *s, unsigned int access,
		    struct viofs_err *err)
{
	size_t first = s->offset / a->system_page, end = first + s->size / a->system_page;
	int rc = 0;

	for (size_t i = first; !rc && i < end; i += a->pages[i].run)
		rc = map_piece(a, i, a->pages[i].run, access, err);
	return rc;
}

static int read_physical(struct viofs_arena *a, const struct section *s, uint64_t *addresses,
			 struct viofs_err *err)
{
	int rc = viofs_physical_read(a->device.base + s->offset, s->size / a->system_page,
				     addresses);

	if (rc)
		viofs_err_set(
			err, rc == -EPERM ? rc : -EIO,
			"physical addresses can't be read from /proc/self/pagemap (%s). This "
			"device does not offer ACCESS_PLATFORM, so it reads physical addresses and "
			"no other would be safe: run as root with CAP_SYS_ADMIN",
			strerror(-rc));
	return rc;
}

static int map_physical(struct viofs_arena *a, const struct section *s, unsigned int access,
			struct viofs_err *err)
{
	size_t first = s->offset / a->system_page, count = s->size / a->system_page;
	size_t mark = a->mapping_count;
	uint64_t *addresses;
	int rc = -EAGAIN;

	addresses = calloc(count, sizeof(*addresses));
	if (!addresses)
		return viofs_err_set(err, -ENOMEM, "out of memory");
	for (int try = 0; try < MAP_TRIES; try++) {
		bool moved = false;

		rc = read_physical(a, s, addresses, err);
		if (rc)
			break;
		for (size_t i = 0; i < count; i++)
			a->pages[first + i].iova = addresses[i];
		find_runs(a, first, count);
		rc = map_runs(a, s, access, err);
		if (!rc)
			rc = read_physical(a, s, addresses, err);
		for (size_t i = 0; !rc && i < count; i++)
			moved |= a->pages[first + i].iova != addresses[i];
		if (rc || !moved)
			break;
		rc = unmap_down_to(a, mark);
		if (rc) {
			viofs_err_set(err, rc,
				      "memory that moved can't be taken back from the IOMMU: %s",
				      strerror(-rc));
			break;
		}
		rc = viofs_err_set(err, -EAGAIN,
				   "memory keeps moving while it is mapped for the device; "
				   "try again");
	}
	free(addresses);
	return rc;
}

/* [@offset, +@size) of the device's memory in one piece, at an address from *@iova on. */
static int map_translated(struct viofs_arena *a, size_t offset, size_t size, unsigned int access,
			  uint64_t *iova, struct viofs_err *err)
{
	size_t first = offset / a->system_page, count = size / a->system_page;
	int rc;

	rc = viofs_mapper_place(a->mapper, *iova, size, iova);
	if (rc)
		return viofs_err_set(err, rc, "the IOMMU has no room for %zu MiB", size >> 20);
	for (size_t i = 0; i < count; i++)
		a->pages[first + i].iova = *iova + i * a->system_page;
	find_runs(a, first, count);
	rc = map_piece(a, first, count, access, err);
	*iova += size;
	return rc;
}

/* Before addresses are read. Hugepages that can't be pinned are fine, since they don't move. */
static int pin(const struct viofs_arena *a, struct viofs_err *err)
{
	struct viofs_mapper *m = a->mapper;
	int rc = m->ops->pin ? m->ops->pin(m, a->device.base, a->device.size, err) : 0;

	if (rc && rc != -ENOMEM && a->page_size > a->system_page) {
		viofs_debug("hugepages are used without being pinned: %s", strerror(-rc));
		return 0;
	}
	return rc;
}

static int map_sections(struct viofs_arena *a, uint64_t iova, struct viofs_err *err)
{
	int rc = 0;

	for (int i = 0; !rc && i < VIOFS_ARENA_SECTIONS; i++) {
		const struct section *s = &a->sections[i];
		unsigned int access = section_access((enum viofs_arena_section)i);

		if (!access || !s->size)
			continue;
		if (a->scattered)
			rc = map_physical(a, s, access, err);
		else
			rc = map_translated(a, s->offset, s->size, access, &iova, err);
	}
	return rc;
}

int viofs_arena_map(struct viofs_arena *a, struct viofs_mapper *m, enum viofs_address_policy policy,
		    struct viofs_err *err)
{
	/* Above the first MiB. Holes such as the MSI window are left out by the ranges. */
	uint64_t iova = 1 << 20;
	int rc = 0;

	assert(!a->mapper);
	a->mapper = m;
	a->scattered = !m->by_file && (policy == VIOFS_ADDRESS_PHYSICAL || !m->translates);
	a->state->scattered = a->scattered;
	if (a->scattered)
		rc = pin(a, err);
	if (!rc && m->by_file)
		rc = map_translated(a, 0, a->device.size, VIOFS_DMA_READ | VIOFS_DMA_WRITE, &iova,
				    err);
	else if (!rc)
		rc = map_sections(a, iova, err);
	if (rc)
		unmap(a);
	return rc;
}

void viofs_arena_detach(struct viofs_arena *a)
{
	if (!a)
		return;
	a->mapping_count = 0;
	a->mapper = NULL;
}

void viofs_arena_keep_from_children(struct viofs_arena *a)
{
	const struct area *areas[] = { &a->device, &a->private };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(areas); i++)
		if (areas[i]->size)
			madvise(areas[i]->base, areas[i]->size, MADV_DONTFORK);
}

void *viofs_arena_alloc(struct viofs_arena *a, enum viofs_arena_section section, size_t size,
			size_t align)
{
	struct section *s = &a->sections[section];
	size_t at = viofs_align_up(s->used, align);

	assert(viofs_is_power_of_2(align) && align <= a->system_page);
	assert(viofs_range_ok(at, size, s->size));
	s->used = at + size;
	return (is_private(section) ? a->private.base : a->device.base) + s->offset + at;
}

uint64_t viofs_arena_iova(const struct viofs_arena *a, const void *p, size_t len, size_t *run)
{
	size_t off = (size_t)((const uint8_t *)p - a->device.base);
	const struct page *page = &a->pages[off / a->system_page];
	size_t in_page = off % a->system_page;
	size_t contiguous = page->run * a->system_page - in_page;

	assert(off < a->device.size && page->run);
	*run = VIOFS_MIN(contiguous, len);
	return page->iova + in_page;
}

int viofs_arena_fd(const struct viofs_arena *a)
{
	return a->device.fd;
}

void viofs_arena_drop_fds(struct viofs_arena *a)
{
	close(a->device.fd);
	close(a->private.fd);
	a->device.fd = a->private.fd = -1;
}

size_t viofs_arena_page_size(const struct viofs_arena *a)
{
	return a->page_size;
}

size_t viofs_arena_granule(const struct viofs_arena *a)
{
	return a->scattered ? a->page_size : SIZE_MAX;
}

size_t viofs_arena_size(const struct viofs_arena *a)
{
	return a->device.size + a->private.size - a->sparse;
}

size_t viofs_arena_device_size(const struct viofs_arena *a)
{
	return a->device.size;
}

bool viofs_arena_contains(const struct viofs_arena *a, const void *p, size_t len)
{
	uintptr_t off = (uintptr_t)p - (uintptr_t)a->device.base;

	return (uintptr_t)p >= (uintptr_t)a->device.base &&
	       viofs_range_ok(off, len, a->device.size);
}

void *viofs_arena_head(const struct viofs_arena *a)
{
	return a->private.base;
}

const struct viofs_arena_state *viofs_arena_state(const struct viofs_arena *a, size_t *len)
{
	*len = state_bytes(a);
	return a->state;
}

static bool is_in(const struct area *area, const void *p)
{
	return (uintptr_t)p - (uintptr_t)area->base < area->size;
}

uint64_t viofs_arena_offset(const struct viofs_arena *a, const void *p, bool *is_private)
{
	const struct area *area;

	*is_private = is_in(&a->private, p);
	area = *is_private ? &a->private : &a->device;
	assert(is_in(area, p));
	return (uint64_t)((const uint8_t *)p - area->base);
}

void *viofs_arena_at(const struct viofs_arena *a, bool is_private, uint64_t offset, uint64_t len)
{
	const struct area *area = is_private ? &a->private : &a->device;

	return viofs_range_ok(offset, len, area->size) ? area->base + offset : NULL;
}

int viofs_arena_private_fd(const struct viofs_arena *a)
{
	return a->private.fd;
}

uint64_t viofs_arena_private_size(const struct viofs_arena *a)
{
	return a->private.size;
}

int viofs_arena_hide_sparse(const struct viofs_arena *a, bool hide)
{
	uint8_t *at = a->private.base + a->private.size - a->sparse;
	int rc;

	if (!a->sparse)
		return 0;
	rc = mprotect(at, a->sparse, hide ? PROT_NONE : PROT_READ | PROT_WRITE);
	return rc < 0 ? -errno : 0;
}

static int map_file(struct area *area, int fd)
{
	struct stat st;

	area->fd = fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return -EPROTO;
	area->size = (size_t)st.st_size;
	area->base = mmap(NULL, area->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area->base != MAP_FAILED)
		return 0;
	area->base = NULL;
	return -errno;
}

/* A private copy, checked: nothing in it points outside of the two files. */
static int read_state(struct viofs_arena *a, uint64_t at)
{
	struct viofs_arena_state *s = viofs_arena_at(a, true, at, sizeof(*s));
	uint64_t page_size = s ? s->page_size : 0;

	if (!s || at % sizeof(uint64_t) || s->system_page != a->system_page ||
	    s->device_size != a->device.size || !viofs_is_power_of_2(page_size) ||
	    page_size < a->system_page || a->device.size % page_size ||
	    !viofs_arena_at(a, true, at, state_bytes(a)))
		return -EPROTO;
	a->state = s;
	a->page_size = page_size;
	a->scattered = s->scattered;
	for (int i = 0; i < VIOFS_ARENA_SECTIONS; i++) {
		struct section *to = &a->sections[i];

		to->offset = s->sections[i].offset;
		to->size = to->used = s->sections[i].size;
		if (to->offset % a->system_page || to->size % a->system_page ||
		    !viofs_arena_at(a, is_private(i), to->offset, to->size))
			return -EPROTO;
	}
	a->sparse = a->sections[VIOFS_ARENA_SPARSE].size;
	return 0;
}

int viofs_arena_adopt(int device_fd, int private_fd, uint64_t at, struct viofs_arena **out)
{
	struct viofs_arena *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return -ENOMEM;
	a->device.fd = a->private.fd = -1;
	a->system_page = viofs_page_size();
	rc = map_file(&a->device, device_fd);
	rc = rc ? rc : map_file(&a->private, private_fd);
	if (!rc)
		rc = a->private.size < VIOFS_ARENA_HEAD ? -EPROTO : read_state(a, at);
	if (!rc) {
		a->pages = calloc(a->device.size / a->system_page, sizeof(*a->pages));
		a->mappings = calloc(1, sizeof(*a->mappings));
		rc = a->pages && a->mappings ? 0 : -ENOMEM;
	}
	if (rc) {
		a->device.fd = a->private.fd = -1; /* the caller's still */
		viofs_arena_free(a);
		return rc;
	}
	for (size_t i = 0; i < a->device.size / a->system_page; i++)
		a->pages[i].iova = a->state->iova[i];
	find_runs(a, 0, a->device.size / a->system_page);
	*out = a;
	return 0;
}
