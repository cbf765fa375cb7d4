/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The front end of a vhost-user back end: its features, its configuration, its virtqueues. */
#ifndef VIOFS_VHOST_VHOST_H
#define VIOFS_VHOST_VHOST_H

#include "base/err.h"
#include "dma/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message that has to be answered is answered in microseconds; this is for a machine that swaps.
 */
#define VIOFS_VHOST_TIMEOUT_MS 5000

/* virtio feature bit 30 is vhost-user's own: there are protocol features. */
#define VIOFS_VHOST_F_PROTOCOL_FEATURES (1ULL << 30)

/* Protocol features that we take where offered, as masks. */
#define VIOFS_VHOST_PROTOCOL_MQ (1ULL << 0)
#define VIOFS_VHOST_PROTOCOL_REPLY_ACK (1ULL << 3)
#define VIOFS_VHOST_PROTOCOL_CONFIG (1ULL << 9)
#define VIOFS_VHOST_PROTOCOL_MEM_SLOTS (1ULL << 15)

/** struct viofs_vhost_ring - a virtqueue to start */
struct viofs_vhost_ring {
	uint16_t size;
	uint32_t base;		       /* where it starts, as SET_VRING_BASE has it */
	uint64_t desc, driver, device; /* as viofs_arena_iova() says */
	int kick_fd, call_fd;	    /* eventfds; @call_fd -1: the back end must not signal */
};

/** struct viofs_vhost - a connection; fields are to be read only */
struct viofs_vhost {
	char path[108];
	int sock, err_fd, event_fd;
	int timeout_ms;
	uint64_t features;	    /* virtio features offered, without bit 30 */
	uint64_t protocol_features; /* taken */
	unsigned int queue_max;	    /* virtqueues the back end can have, 0 = it doesn't say */
	uint64_t next_address;	    /* of the next region of memory */
	char lost[160];		    /* "", or why nothing more can be said to the back end */
};

/**
 * viofs_vhost_open() - connect to the socket at @path and agree on the protocol
 * Return: 0; -ENOENT: no such socket; -ENOTSOCK: it is none; -ECONNREFUSED: nobody listens;
 * -EPROTO: what answers is no vhost-user back end; -ECONNRESET: it closes; -ETIMEDOUT: it doesn't
 * answer; -ENOTSUP: it lacks protocol features; each with what to do in @err.
 */
int viofs_vhost_open(const char *path, int timeout_ms, struct viofs_vhost **out,
		     struct viofs_err *err);

/** viofs_vhost_set_timeout() - from now on a message may take @timeout_ms. */
void viofs_vhost_set_timeout(struct viofs_vhost *v, int timeout_ms);

/** viofs_vhost_close() - NULL is fine. Most back ends end when their front end goes. */
void viofs_vhost_close(struct viofs_vhost *v);

/**
 * viofs_vhost_config() - read from the device's configuration space
 * Return: 0; -EOPNOTSUPP: the back end leaves that to its front end; or -errno, v->lost says why.
 */
int viofs_vhost_config(struct viofs_vhost *v, unsigned int off, void *buf, unsigned int len);

/** viofs_vhost_set_features() - the virtio features agreed on. Return: 0, or -errno and v->lost. */
int viofs_vhost_set_features(struct viofs_vhost *v, uint64_t features);

/**
 * viofs_vhost_share() - give the back end the arena's memory, and number it
 * After viofs_vhost_set_features(). Return: 0, or -errno with @err.
 */
int viofs_vhost_share(struct viofs_vhost *v, struct viofs_arena *arena, struct viofs_err *err);

/**
 * viofs_vhost_add_region() - give the back end more memory: @size bytes of @fd's file, from @offset on
 * @address: out, what the memory is called in descriptors. After viofs_vhost_share().
 * Return: 0; -EBADF: @fd is no file; -ENOTSUP: the back end can't (no CONFIGURE_MEM_SLOTS); others; @err.
 */
int viofs_vhost_add_region(struct viofs_vhost *v, uint64_t size, int fd, uint64_t offset,
			   uint64_t *address, struct viofs_err *err);

/** viofs_vhost_remove_region() - and take it back. Return: 0 or -errno with @err. */
int viofs_vhost_remove_region(struct viofs_vhost *v, uint64_t size, uint64_t address,
			      struct viofs_err *err);

/** viofs_vhost_ring_start() - addresses, eventfds, enable. Return: 0, or -errno and v->lost. */
int viofs_vhost_ring_start(struct viofs_vhost *v, unsigned int index,
			   const struct viofs_vhost_ring *ring);

/** viofs_vhost_ring_stop() - from here on the back end leaves the ring alone. Return: 0 or -errno.
 */
int viofs_vhost_ring_stop(struct viofs_vhost *v, unsigned int index);

/**
 * viofs_vhost_lost() - has the back end gone, or broken the protocol?
 * v->event_fd is readable when the answer may have changed. Return: NULL, or why.
 */
const char *viofs_vhost_lost(struct viofs_vhost *v);

#endif
