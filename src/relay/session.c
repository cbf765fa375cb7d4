/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session with the device: INIT, serving, DESTROY; and how it ends when it fails. */
#include "relay/session.h"
#include "base/log.h"
#include "base/util.h"
#include "fuse/init.h"
#include "fuse/reply.h"
#include "kernel/devfuse.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A kick before the back end enabled its ring is lost on some: the second comes this soon. */
#define REKICK_NS (10 * VIOFS_NSEC_PER_MSEC)
/* How often it is made sure that somebody is there who could answer. */
#define LOOK_NS (10 * VIOFS_NSEC_PER_MSEC)
#define NAP_US 100

struct init_message {
	struct fuse_in_header head;
	struct fuse_init_in in;
};

/*
 * Wait for the one completion of a queue that nothing else uses now, kicking again at 10 ms, 20 ms, ...
 * Return: 0 and *@used_len; -ETIMEDOUT; -EPROTO.
 */
static int wait_alone(struct viofs_relay *r, unsigned int q, int64_t timeout_ns, uint32_t *used_len,
		      bool *rekicked)
{
	int64_t start = viofs_now_ns(), rekick = REKICK_NS, look = LOOK_NS;
	const char *lost = NULL;
	uint32_t token;
	int rc;

	*rekicked = false;
	for (;;) {
		int64_t elapsed = viofs_now_ns() - start;

		rc = viofs_ring_get(&r->fs->queues[q].ring, &token, used_len);
		if (rc > 0)
			return 0;
		if (rc < 0)
			return viofs_break(r, "virtqueue %u: %s", q, r->fs->queues[q].ring.broken);
		if (elapsed > timeout_ns)
			return -ETIMEDOUT;
		if (elapsed > look) {
			look = elapsed + LOOK_NS;
			lost = viofs_device_lost(r);
		}
		if (lost)
			return viofs_break(r, "the device %s", lost);
		if (elapsed > rekick) {
			rekick *= 2;
			*rekicked = true;
			viofs_fs_kick_always(r->fs, q);
		}
		usleep(NAP_US);
	}
}

/* Send one request that the relay makes itself, on the first request queue, and wait for it. */
static int send_alone(struct viofs_relay *r, const void *message, size_t len,
		      const struct viofs_fuse_shape *shape, int64_t timeout_ns,
		      struct viofs_slot **slot_out, uint32_t *used_len)
{
	struct viofs_slot *slot = viofs_slots_take(&r->slots, false);
	bool rekicked;
	int rc;

	if (!slot)
		return -EAGAIN;
	memcpy(viofs_slot_message(&r->slots, slot), message, len);
	slot->shape = *shape;
	slot->len = (uint32_t)len;
	slot->since = viofs_now_ns();
	slot->kernel_unique = 0;
	rc = viofs_submit(r, slot);
	if (rc)
		return rc;
	rc = wait_alone(r, slot->queue, timeout_ns, used_len, &rekicked);
	if (!rc && rekicked)
		r->stats->quirks |= VIOFS_QUIRK_LOST_KICK;
	if (!rc)
		*slot_out = slot;
	return rc;
}

static int read_kernel_init(struct viofs_relay *r, struct init_message *message, size_t *len)
{
	struct pollfd p = { .fd = r->fuse_fd, .events = POLLIN };
	struct iovec iov = { r->plain, r->plain_size };
	ssize_t n;

	do {
		if (poll(&p, 1, (int)r->config.init_timeout_ms) == 0)
			return viofs_err_set(r->err, -ETIMEDOUT, "the kernel sent no FUSE_INIT");
		n = viofs_devfuse_read(r->fuse_fd, &iov, 1);
	} while (n == -EAGAIN);
	if (n < 0)
		return viofs_err_set(r->err, (int)n, "reading FUSE_INIT: %s", strerror((int)-n));
	memset(message, 0, sizeof(*message));
	memcpy(message, r->plain, VIOFS_MIN((size_t)n, sizeof(*message)));
	if ((size_t)n < sizeof(message->head) || message->head.opcode != FUSE_INIT)
		return viofs_err_set(r->err, -EPROTO, "the kernel's first request is no FUSE_INIT");
	*len = (size_t)n - sizeof(message->head);
	return 0;
}

/* The device's reply to INIT, checked as any reply. Return: payload bytes or -errno. */
static int check_init_reply(struct viofs_relay *r, struct viofs_slot *slot, uint32_t used_len,
			    struct fuse_init_out *payload)
{
	const uint8_t *from = viofs_slot_reply(&r->slots, slot);
	struct viofs_fuse_reply reply;
	struct fuse_out_header head;
	bool zero;

	memcpy(&head, from, sizeof(head));
	zero = !used_len && head.len >= sizeof(head);
	if (zero)
		r->stats->quirks |= VIOFS_QUIRK_USED_LEN_ZERO;
	if (viofs_fuse_reply_check(&slot->shape, slot->device_unique, &head, used_len, zero, &reply) ||
	    reply.fault)
		return viofs_err_set(r->err, -EPROTO, "the device's answer to FUSE_INIT makes no sense: %s",
				     reply.fault);
	if (reply.error)
		return viofs_err_set(r->err, reply.error, "the device refused FUSE_INIT: %s",
				     strerror(-reply.error));
	memset(payload, 0, sizeof(*payload));
	memcpy(payload, viofs_slot_reply_data(&r->slots, slot), reply.payload);
	return (int)reply.payload;
}

static void say_no_answer(struct viofs_relay *r)
{
	const char *lost = viofs_device_lost(r);

	viofs_err_set(r->err, -ETIMEDOUT, "the device did not answer FUSE_INIT within %u ms (status "
		      "0x%x%s%s). Is its back end (virtiofsd) alive on the host? "
		      "-o init-timeout= waits longer", r->config.init_timeout_ms,
		      r->fs->virtio->ops->status_get(r->fs->virtio),
		      lost ? ", it " : "", lost ? lost : "");
}

static int negotiate(struct viofs_relay *r, const struct init_message *kernel, size_t kernel_len,
		     struct fuse_init_out *out)
{
	const struct viofs_fuse_limits limits = {
		.max_data = r->config.max_data,
		.page_size = (uint32_t)sysconf(_SC_PAGESIZE),
		.max_background = (uint16_t)(r->config.slots / 2),
		.default_permissions = true,
		.io_uring = r->entries.count,
	};
	struct viofs_fuse_shape shape = {
		.opcode = FUSE_INIT, .name = "INIT", .replies = true,
		/* All of it is variable: 8 and 24 bytes are old, legal answers. */
		.reply_data = sizeof(struct fuse_init_out),
	};
	struct init_message sent = { .head = kernel->head };
	struct fuse_init_out answer;
	struct viofs_slot *slot;
	uint32_t used_len;
	size_t sent_len;
	int rc;

	rc = viofs_fuse_init_request(&kernel->in, kernel_len, &sent.in, &sent_len, r->err);
	if (rc)
		return rc;
	sent.head.len = (uint32_t)(sizeof(sent.head) + sent_len);
	shape.args = (uint32_t)sent_len;
	rc = send_alone(r, &sent, sent.head.len, &shape,
			r->config.init_timeout_ms * VIOFS_NSEC_PER_MSEC, &slot, &used_len);
	if (rc == -ETIMEDOUT)
		say_no_answer(r);
	else if (rc)
		viofs_err_set(r->err, rc, "sending FUSE_INIT: %s",
			      r->stats->reason[0] ? r->stats->reason : strerror(-rc));
	if (rc)
		return rc;
	rc = check_init_reply(r, slot, used_len, &answer);
	if (rc >= 0)
		rc = viofs_fuse_init_reply(&kernel->in, &sent.in, &limits, &answer, (size_t)rc, out,
					   &r->stats->agreed, r->err);
	viofs_release(r, slot);
	return rc;
}

/* INIT is answered, and new requests wait: for the entries, or for us to say that there are none. */
static void start_channel(struct viofs_relay *r)
{
	const struct viofs_fuse_agreed *agreed = &r->stats->agreed;
	int rc;

	if (agreed->flags & VIOFS_FUSE_OVER_IO_URING) {
		rc = viofs_entries_start(r);
		if (rc)
			viofs_warn("FUSE over io_uring can't be set up (%s): /dev/fuse is used",
				   strerror(-rc));
	} else if (r->entries.count && r->conn.remote_locks) {
		viofs_info("the device handles file locks, which may wait for long: /dev/fuse is used, not "
			   "io_uring");
	} else if (r->entries.count) {
		viofs_warn("the kernel does not offer FUSE over io_uring: /dev/fuse is used");
	}
	viofs_debug("requests come over %s", r->stats->channel == VIOFS_CHANNEL_URING ? "io_uring" :
		    "/dev/fuse");
}

static int init_session(struct viofs_relay *r)
{
	struct viofs_fuse_agreed *agreed = &r->stats->agreed;
	struct fuse_out_header head = { 0 };
	struct init_message message;
	struct fuse_init_out out;
	size_t len = 0;
	int rc;

	rc = read_kernel_init(r, &message, &len);
	if (rc)
		return rc;
	rc = negotiate(r, &message, len, &out);
	if (rc) {
		viofs_devfuse_error(r->fuse_fd, message.head.unique, -EIO);
		return rc;
	}
	head.unique = message.head.unique;
	rc = viofs_devfuse_reply(r->fuse_fd, (struct iovec[]){ { &head, sizeof(head) },
							       { &out, sizeof(out) } }, 2);
	if (rc)
		return viofs_err_set(r->err, rc, "answering FUSE_INIT: %s", strerror(-rc));
	r->conn = agreed->conn;
	if (!(agreed->flags & FUSE_MAX_PAGES))
		r->stats->quirks |= VIOFS_QUIRK_NO_MAX_PAGES;
	if (agreed->device_flags & ~agreed->kernel_flags)
		r->stats->quirks |= VIOFS_QUIRK_INIT_FLAGS;
	viofs_debug("FUSE_INIT: kernel 7.%u, device 7.%u, flags 0x%llx, max_write %u, max_pages %u",
		    agreed->kernel_minor, agreed->device_minor, (unsigned long long)agreed->flags,
		    agreed->max_write, agreed->max_pages);
	start_channel(r);
	return 0;
}

/* At the end nobody who may come back is waited for. */
static bool is_nobody_there(struct viofs_relay *r)
{
	return viofs_device_lost(r) || viofs_virtio_is_away(r->fs->virtio);
}

/*
 * What was in flight at the end comes back or not; the kernel has ended all of it already.
 * Return: 0, or VIOFS_DEPOSED.
 */
static int drain(struct viofs_relay *r)
{
	int64_t end = viofs_now_ns() + r->config.end_timeout_ms * VIOFS_NSEC_PER_MSEC;

	viofs_parking_clear(&r->parked);
	r->waiting.count = 0;
	viofs_kick_forgets(r);
	while (viofs_in_flight(r) && viofs_now_ns() - end < 0) {
		int rc = viofs_complete(r);

		if (rc < 0)
			return rc == VIOFS_DEPOSED ? rc : 0;
		r->freed = true;
		viofs_pump_kept(r); /* FORGETs that are parked still */
		viofs_kick_forgets(r);
		if (!rc && is_nobody_there(r))
			return 0;
		if (!rc)
			usleep(NAP_US);
	}
	return 0;
}

/* Return: 0, or VIOFS_DEPOSED: another thread ends the session. */
static int destroy_session(struct viofs_relay *r)
{
	const struct viofs_fuse_shape shape = { .opcode = FUSE_DESTROY, .name = "DESTROY", .replies = true };
	const struct fuse_in_header head = { .len = sizeof(head), .opcode = FUSE_DESTROY };
	struct viofs_slot *slot;
	uint32_t used_len;
	int rc;

	rc = drain(r);
	if (rc)
		return rc;
	if (viofs_in_flight(r)) {
		viofs_warn("%u requests are still with the device at the end: no DESTROY, the reset ends "
			   "them", viofs_in_flight(r));
		return 0;
	}
	if (is_nobody_there(r)) {
		viofs_info("the device is not there at the end: no DESTROY");
		return 0;
	}
	rc = send_alone(r, &head, sizeof(head), &shape, r->config.end_timeout_ms * VIOFS_NSEC_PER_MSEC,
			&slot, &used_len);
	if (rc)
		viofs_info("the device did not answer DESTROY (%s)", strerror(-rc));
	else
		viofs_release(r, slot);
	return 0;
}

/* Everybody who waits gets an error; who comes later gets one when the connection is aborted. */
static void fail_session(struct viofs_relay *r)
{
	for (unsigned int i = 0; i < r->slots.count; i++) {
		struct viofs_slot *slot = &r->slots.slots[i];

		if (slot->state == VIOFS_SLOT_QUEUED || slot->state == VIOFS_SLOT_WAITING)
			viofs_answer_slot(r, slot, -EIO);
	}
	/* Entries go back with the next wait, if there is one: viofs_relay_refuse(). */
	viofs_sleep_flush(&r->sleep);
	for (const struct viofs_parked *p = r->parked.first; p; p = p->next)
		viofs_answer(r, ((const struct fuse_in_header *)(const void *)p->message)->unique, -EIO);
}

/* Run by whichever thread leads. */
static void lead(void *arg)
{
	struct viofs_relay *r = arg;
	int rc = viofs_serve(r);

	if (!rc) {
		r->stats->session = VIOFS_SESSION_ENDING;
		rc = destroy_session(r);
	}
	/* Another thread leads: even the statistics are its own now, if they are there still. */
	if (rc == VIOFS_DEPOSED)
		return;
	if (rc) {
		viofs_err_set(r->err, rc, "%s", r->stats->reason);
		fail_session(r);
	} else {
		r->stats->session = VIOFS_SESSION_ENDED;
	}
	r->result = rc;
	viofs_lease_finish(&r->lease);
}

/* Run by a standby that takes over. */
static void take_over(void *arg)
{
	struct viofs_relay *r = arg;

	r->stats->handovers++;
	viofs_sleep_adopt(&r->sleep);
	lead(r);
}

int viofs_relay_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	int rc = viofs_sleep_init_restricted(&r->sleep, r->entries.count);

	if (rc && r->entries.count) {
		viofs_warn("no io_uring for FUSE's channel (%s): /dev/fuse is used", strerror(-rc));
		r->entries.count = 0;
		rc = viofs_sleep_init_restricted(&r->sleep, 0);
	}
	if (!rc)
		rc = viofs_doorbells_init(&r->doorbells, r->fs);
	if (rc)
		return viofs_err_set(err, rc, "io_uring: %s; it is switched off here? (sysctl "
				     "kernel.io_uring_disabled must be 0)", strerror(-rc));
	rc = viofs_lease_init(&r->lease, take_over, r, (uint16_t)(r->slots.count + VIOFS_SLOTS_HIPRIO));
	if (rc)
		return viofs_err_set(err, rc, "eventfd: %s", strerror(-rc));
	r->fuse_fd = fuse_fd;
	viofs_sleep_add(&r->sleep, fuse_fd, false);
	viofs_sleep_add(&r->sleep, r->lease.wake_fd, true);
	if (r->fs->virtio->event_fd >= 0)
		viofs_sleep_add(&r->sleep, r->fs->virtio->event_fd, false);
	for (unsigned int q = 0; q < r->fs->queue_count; q++) {
		int fd = r->fs->queues[q].interrupt_fd;

		if (fd >= 0 && (!q || fd != r->fs->queues[q - 1].interrupt_fd))
			viofs_sleep_add(&r->sleep, fd, true);
	}
	return viofs_notify_prepare(r, err);
}

static int own_ring(struct viofs_relay *r)
{
	int rc = viofs_sleep_own(&r->sleep);

	return rc ? viofs_err_set(r->err, rc, "io_uring: %s", strerror(-rc)) : 0;
}

int viofs_relay_run(struct viofs_relay *r, int fuse_fd, void (*ready)(void *), void *ready_arg,
		    struct viofs_err *err)
{
	int rc = 0;

	r->err = err;
	r->stats->session = VIOFS_SESSION_STARTING;
	if (!r->sleep.open)
		rc = viofs_relay_prepare(r, fuse_fd, err);
	if (!rc)
		rc = own_ring(r);
	if (!rc)
		rc = init_session(r);
	if (rc) {
		r->stats->session = VIOFS_SESSION_FAILED;
		snprintf(r->stats->reason, sizeof(r->stats->reason), "%.*s",
			 (int)sizeof(r->stats->reason) - 1, err->text);
		return rc;
	}
	/* Replies in entries that could block are the kernel's threads' (entries.c). */
	if (r->stats->channel != VIOFS_CHANNEL_URING)
		viofs_lease_start(&r->lease);
	r->stats->session = VIOFS_SESSION_SERVING;
	ready(ready_arg);
	viofs_notify_start(r);
	lead(r);
	viofs_lease_wait(&r->lease);
	viofs_notify_stop(r);
	return r->result;
}
