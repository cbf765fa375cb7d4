/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The DMA arena: all the memory that the device may touch, and what must outlive a worker. */
#ifndef VIOFS_DMA_ARENA_H
#define VIOFS_DMA_ARENA_H

#include "base/err.h"
#include "dma/mapper.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct viofs_arena;

/** enum viofs_arena_section - who may touch a part of the arena */
enum viofs_arena_section {
	VIOFS_ARENA_PRIVATE,      /* never mapped for the device: what must outlive a process */
	VIOFS_ARENA_DEVICE_READ,  /* descriptors, avail rings, requests */
	VIOFS_ARENA_DEVICE_WRITE, /* used rings, small replies */
	VIOFS_ARENA_DEVICE_RING,  /* packed rings, which both sides write */
	VIOFS_ARENA_DEVICE_RW,    /* data areas, which serve WRITE and READ alike */
	VIOFS_ARENA_SPARSE,       /* private too; takes memory only where it is touched */
	VIOFS_ARENA_SECTIONS,
};

/*
 * The private memory begins with a head of this many bytes. It tells another process where
 * everything is.
 */
#define VIOFS_ARENA_HEAD 8192U

/** struct viofs_arena_section_state - part of struct viofs_arena_state */
struct viofs_arena_section_state {
	uint64_t offset, size; /* bytes; the offset is one in the section's memfd */
};

/** struct viofs_arena_state - what another process needs to go on with an arena; in the arena */
struct viofs_arena_state {
	uint64_t page_size, system_page; /* bytes */
	uint64_t device_size;            /* of the memfd that the device touches */
	uint32_t scattered;              /* each page may have an address of its own */
	uint32_t spare;
	struct viofs_arena_section_state sections[VIOFS_ARENA_SECTIONS];
	uint64_t iova[]; /* of each system page of that memfd; 0: it has none */
};

/**
 * viofs_arena_new() - reserve the memory: zeroed, shared (survives in the fd), populated
 * @sizes: bytes wanted per section; each section starts on a page boundary of its own (2 MiB with
 * hugepages). Where too few hugepages are free nr_overcommit_hugepages is raised by what is
 * missing; without hugepages single pages serve. Return: 0 and *@out; -ENOMEM with what to do in
 * @err.
 */
int viofs_arena_new(const size_t sizes[VIOFS_ARENA_SECTIONS], bool hugepages,
		    struct viofs_arena **out, struct viofs_err *err);

/**
 * viofs_arena_adopt() - another process's, by its descriptors, which become this one's where it
 * returns 0
 * @device_fd: viofs_arena_fd() of the other one; @private_fd: viofs_arena_private_fd(); @at: where
 * in it the struct viofs_arena_state is: right behind the head. Nothing in there is believed. The
 * device still has what it was given: nothing is mapped for it, nor taken back at the end. Return:
 * 0; -EPROTO: it is no arena's; -errno.
 */
int viofs_arena_adopt(int device_fd, int private_fd, uint64_t at, struct viofs_arena **out);

/**
 * viofs_arena_free() - unmap and free; NULL is fine
 * The caller knows that the device doesn't touch the memory any more: viofs_fs_close() returned 0,
 * or the device is closed.
 */
void viofs_arena_free(struct viofs_arena *a);

/**
 * viofs_arena_leave() - viofs_arena_free() in a child of fork(2), after viofs_arena_detach()
 * What viofs_arena_keep_from_children() has kept isn't there, and something else may be in its
 * place: nothing is unmapped.
 */
void viofs_arena_leave(struct viofs_arena *a);

/**
 * viofs_arena_map() - give the device sections, per their access, through @m
 * PHYSICAL: IOVA = physical address read from /proc/self/pagemap, read again after the mapping
 * pinned the pages and mapped anew where they had moved; refused where they can't be read.
 * TRANSLATED: consecutive IOVAs inside the ranges of @m.
 * A mapper that takes the file (by_file) gets the device's part in one piece, whatever @policy.
 * Return: 0; -EPERM: no physical addresses; -ENOMEM: memlock too low; other -errno with @err.
 */
int viofs_arena_map(struct viofs_arena *a, struct viofs_mapper *m, enum viofs_address_policy policy,
		    struct viofs_err *err);

/** viofs_arena_keep_from_children() - a child of fork(2) has none of the memory, private or not. */
void viofs_arena_keep_from_children(struct viofs_arena *a);

/** viofs_arena_detach() - the device is closed, and what was mapped is taken back; NULL is fine. */
void viofs_arena_detach(struct viofs_arena *a);

/**
 * viofs_arena_alloc() - take a piece of a section; at set-up only, nothing is ever given back
 * @align: a power of two, at most the page size.
 * Return: zeroed memory. Running out is a bug of the caller's sum and asserts.
 */
void *viofs_arena_alloc(struct viofs_arena *a, enum viofs_arena_section section, size_t size,
			size_t align);

/**
 * viofs_arena_iova() - the device's address of @p
 * @run: out, how many of the @len bytes are contiguous for the device (>= 1).
 */
uint64_t viofs_arena_iova(const struct viofs_arena *a, const void *p, size_t len, size_t *run);

/** viofs_arena_head() - the first VIOFS_ARENA_HEAD bytes of the private memory, for its owner. */
void *viofs_arena_head(const struct viofs_arena *a);

/** viofs_arena_state() - its own table, and how many bytes that is. */
const struct viofs_arena_state *viofs_arena_state(const struct viofs_arena *a, size_t *len);

/** viofs_arena_offset() - where @p is in the private memfd, or in the device's. Return: the offset;
 * @is_private: out. */
uint64_t viofs_arena_offset(const struct viofs_arena *a, const void *p, bool *is_private);

/** viofs_arena_at() - [@offset, +@len) of one of the memfds. Return: NULL: it isn't all there. */
void *viofs_arena_at(const struct viofs_arena *a, bool is_private, uint64_t offset, uint64_t len);

/** viofs_arena_private_fd() - the memfd of the private memory */
int viofs_arena_private_fd(const struct viofs_arena *a);

/** viofs_arena_private_size() - bytes of the private memory */
uint64_t viofs_arena_private_size(const struct viofs_arena *a);

/**
 * viofs_arena_hide_sparse() - whether mlockall(2) is to leave what is sparse alone, as it would
 * fill it
 * @hide: true before, false after. Nobody touches it in between.
 */
int viofs_arena_hide_sparse(const struct viofs_arena *a, bool hide);

/** viofs_arena_fd() - the memfd of what the device touches: sealed in its size, nothing private in
 * it. */
int viofs_arena_fd(const struct viofs_arena *a);

/** viofs_arena_drop_fds() - close the memfds: all stays mapped; viofs_arena_fd() is -1 from now on.
 */
void viofs_arena_drop_fds(struct viofs_arena *a);

/** viofs_arena_page_size() - 2 MiB with hugepages, else the system's page size. */
size_t viofs_arena_page_size(const struct viofs_arena *a);

/**
 * viofs_arena_granule() - bytes from a multiple of which on the device sees the memory in one piece
 * A page with physical addresses; otherwise a section is in one piece, and it is SIZE_MAX.
 */
size_t viofs_arena_granule(const struct viofs_arena *a);

/** viofs_arena_size() - bytes in all. */
size_t viofs_arena_size(const struct viofs_arena *a);

/** viofs_arena_device_size() - bytes that the device touches: the size of viofs_arena_fd(). */
size_t viofs_arena_device_size(const struct viofs_arena *a);

/** viofs_arena_contains() - is [@p, +@len) inside a section that the device reaches? */
bool viofs_arena_contains(const struct viofs_arena *a, const void *p, size_t len);

#endif
