/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The front end of a vhost-user back end: its features, its configuration, its virtqueues. */
#ifndef VIOFS_VHOST_VHOST_H
#define VIOFS_VHOST_VHOST_H

#include "base/err.h"
#include "dma/mapper.h"
#include "vhost/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Messages are answered in microseconds; this long is for a machine that swaps.
 */
#define VIOFS_VHOST_TIMEOUT_MS 5000

/* Until viofs_vhost_started(), all messages together may take this many times as long as one. */
#define VIOFS_VHOST_START_FACTOR 4

/* virtio feature bit 30 is vhost-user's own: there are protocol features. */
#define VIOFS_VHOST_F_PROTOCOL_FEATURES (1ULL << 30)

/* Protocol features that we take where offered, as masks. */
#define VIOFS_VHOST_PROTOCOL_MQ (1ULL << 0)
#define VIOFS_VHOST_PROTOCOL_REPLY_ACK (1ULL << 3)
#define VIOFS_VHOST_PROTOCOL_CONFIG (1ULL << 9)
/* Taken only where viofs_vhost_open() is told to. */
#define VIOFS_VHOST_PROTOCOL_INFLIGHT_SHMFD (1ULL << 12)
#define VIOFS_VHOST_PROTOCOL_MEM_SLOTS (1ULL << 15)

/** viofs_vhost_protocol_name() - Return: of the lowest one in @mask that is above, or NULL. */
const char *viofs_vhost_protocol_name(uint64_t mask);

/** struct viofs_vhost_ring - a virtqueue to start */
struct viofs_vhost_ring {
	uint16_t size;
	uint32_t base;                 /* where the back end goes on, as SET_VRING_BASE has it */
	uint64_t desc, driver, device; /* as viofs_arena_iova() says */
	int kick_fd, call_fd;          /* eventfds; @call_fd -1: the back end must not signal */
};

/** struct viofs_vhost - a connection; fields are to be read only */
struct viofs_vhost {
	char path[108];
	int sock, err_fd, event_fd;
	int timeout_ms;
	uint64_t features;          /* virtio features offered, without bit 30 */
	uint64_t acked;             /* ... and taken, with bit 30 */
	uint64_t protocol_features; /* taken */
	unsigned int queue_max;     /* virtqueues the back end can have, 0 = it doesn't say */
	char lost[160];             /* "", or why nothing more can be sent to the back end */
	bool closed;     /* lost because the socket was closed: a back end may come back */
	int64_t end_ns;  /* deadline for all messages, 0: each has its timeout_ms */
	int64_t left_ns; /* ... and this much is left for all of the start */
	struct viofs_vhost_link *link; /* with INFLIGHT_SHMFD, else NULL */
	struct viofs_vhost_region {
		int fd; /* of the back end; it tracks there what it has in flight. -1: none yet */
		uint64_t size, offset;
		uint16_t queues, entries;
	} inflight;
	struct viofs_mapper
		mapper; /* gives the back end memory, after viofs_vhost_set_features() */
	struct viofs_vhost_memory {
		int fd; /* of the memory that was given first; its owner closes it. -1: none */
		uint64_t size;
	} memory;
};

/**
 * viofs_vhost_open() - connect to the socket at @path and agree on the protocol
 * @track: take INFLIGHT_SHMFD where it is offered, so that another back end can go on where this
 * one ended. Then (*@out)->link is there, and viofs_vhost_reconnect() may be used. Return: 0;
 * -ENOENT: no such socket; -ENOTSOCK: it is none; -ECONNREFUSED: nobody listens; -EPROTO: what
 * answers is no vhost-user back end; -ECONNRESET: it closes; -ETIMEDOUT: it doesn't answer;
 * -ENOTSUP: it lacks protocol features; each with what to do in @err.
 */
int viofs_vhost_open(const char *path, int timeout_ms, bool track, struct viofs_vhost **out,
		     struct viofs_err *err);

/** viofs_vhost_set_timeout() - from now on a message may take @timeout_ms. */
void viofs_vhost_set_timeout(struct viofs_vhost *v, int timeout_ms);

/** viofs_vhost_started() - all that belongs to the start was said; VIOFS_VHOST_START_FACTOR ends.
 */
void viofs_vhost_started(struct viofs_vhost *v);

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
 * viofs_vhost_track() - have the back end note what it has in flight, for @queues of @entries
 * After viofs_vhost_set_features(), before the first ring starts; only with v->link.
 * Return: 0, or -errno and v->lost.
 */
int viofs_vhost_track(struct viofs_vhost *v, unsigned int queues, uint16_t entries);

/** viofs_vhost_ring_start() - addresses, eventfds, enable. Return: 0, or -errno and v->lost. */
int viofs_vhost_ring_start(struct viofs_vhost *v, unsigned int index,
			   const struct viofs_vhost_ring *ring);

/** viofs_vhost_ring_stop() - from here on the back end leaves the ring alone. Return: 0 or -errno.
 */
int viofs_vhost_ring_stop(struct viofs_vhost *v, unsigned int index);

/**
 * viofs_vhost_lost() - has the back end gone for good, or broken the protocol?
 * As v->link says, unless that is DIRECT; then as viofs_vhost_look(). Return: NULL, or why.
 */
const char *viofs_vhost_lost(struct viofs_vhost *v);

/**
 * viofs_vhost_look() - has it, by the socket?
 * v->event_fd is readable when the answer may have changed. Return: NULL, or why; v->closed is set
 * where the reason is that nobody is there.
 */
const char *viofs_vhost_look(struct viofs_vhost *v);

/**
 * viofs_vhost_reconnect() - after viofs_vhost_look() with v->closed: connect anew, agree as before
 * v->features are those that are offered now. Nothing is known of the memory yet.
 * @end_ns: for this and the messages that follow, until it is set again.
 * Return: 0; -EAGAIN: nobody is there yet, or has gone again; -EPROTO, -ENOTSUP: what is there
 * can't go on with the session, @err says why ("came back without ...").
 */
int viofs_vhost_reconnect(struct viofs_vhost *v, int64_t end_ns, struct viofs_err *err);

/**
 * viofs_vhost_restore() - features, what was in flight, memory; the rings come next
 * Return: as viofs_vhost_reconnect().
 */
int viofs_vhost_restore(struct viofs_vhost *v, struct viofs_err *err);

/** viofs_vhost_drop_memory() - forget what only viofs_vhost_restore() needs: for a process that
 * never calls it. */
void viofs_vhost_drop_memory(struct viofs_vhost *v);

/** viofs_vhost_disconnect() - after a failed try: nothing of it stays. */
void viofs_vhost_disconnect(struct viofs_vhost *v);

/** viofs_vhost_used_idx() - what the back end wrote as the split ring's used.idx: its own word. */
uint16_t viofs_vhost_used_idx(const struct viofs_vhost *v, uint64_t used);

#endif
