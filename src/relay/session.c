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
 * Wait for the one completion of a queue that nothing else uses now, kicking again at 10 ms, 20 ms,
 * ... Return: 0 and *@used_len; -ETIMEDOUT; -EPROTO.
 */
static int wait_alone(struct viofs_lane *lane, unsigned int q, int64_t timeout_ns,
		      uint32_t *used_len, bool *rekicked)
{
	int64_t start = viofs_now_ns(), rekick = REKICK_NS, look = LOOK_NS;
	const char *lost = NULL;
	uint32_t token;
	int rc;

	*rekicked = false;
	for (;;) {
		int64_t elapsed = viofs_now_ns() - start;

		rc = viofs_ring_get(&lane->relay->fs->queues[q].ring, &token, used_len);
		if (rc > 0)
			return 0;
		if (rc < 0)
			return viofs_break(lane->relay, "virtqueue %u: %s", q,
					   viofs_ring_broken(&lane->relay->fs->queues[q].ring));
		if (elapsed > timeout_ns)
			return -ETIMEDOUT;
		if (elapsed > look) {
			look = elapsed + LOOK_NS;
			lost = viofs_device_lost(lane->relay);
		}
		if (lost)
			return viofs_break(lane->relay, "the device %s", lost);
		if (elapsed > rekick) {
			rekick *= 2;
			*rekicked = true;
			viofs_fs_kick_always(lane->relay->fs, q);
		}
		usleep(NAP_US);
	}
}

/* Send one request that the relay makes itself, on the first request queue, and wait for it. */
static int send_alone(struct viofs_lane *lane, const void *message, size_t len,
		      const struct viofs_fuse_shape *shape, int64_t timeout_ns,
		      struct viofs_slot **slot_out, uint32_t *used_len)
{
	struct viofs_slot *slot = viofs_slots_take(&lane->slots);
	bool rekicked;
	int rc;

	if (!slot)
		return -EAGAIN;
	memcpy(viofs_slot_message(&lane->slots, slot), message, len);
	slot->shape = *shape;
	slot->len = (uint32_t)len;
	slot->since = viofs_now_ns();
	slot->kernel_unique = 0;
	rc = viofs_submit(lane, slot);
	if (rc)
		return rc;
	rc = wait_alone(lane, slot->queue, timeout_ns, used_len, &rekicked);
	if (!rc && rekicked)
		lane->stats->quirks |= VIOFS_QUIRK_LOST_KICK;
	if (!rc)
		*slot_out = slot;
	return rc;
}

static int read_kernel_init(struct viofs_lane *lane, struct init_message *message, size_t *len)
{
	struct pollfd p = { .fd = lane->fuse_fd, .events = POLLIN };
	struct iovec iov = { lane->plain, lane->plain_size };
	ssize_t n;

	do {
		if (poll(&p, 1, (int)lane->relay->config.init_timeout_ms) == 0)
			return viofs_err_set(lane->relay->err, -ETIMEDOUT,
					     "the kernel sent no FUSE_INIT");
		n = viofs_devfuse_read(lane->fuse_fd, &iov, 1);
	} while (n == -EAGAIN);
	if (n < 0)
		return viofs_err_set(lane->relay->err, (int)n, "reading FUSE_INIT: %s",
				     strerror((int)-n));
	memset(message, 0, sizeof(*message));
	memcpy(message, lane->plain, VIOFS_MIN((size_t)n, sizeof(*message)));
	if ((size_t)n < sizeof(message->head) || message->head.opcode != FUSE_INIT)
		return viofs_err_set(lane->relay->err, -EPROTO,
				     "the kernel's first request is no FUSE_INIT");
	*len = (size_t)n - sizeof(message->head);
	return 0;
}

/* The device's reply to INIT, checked as any reply. Return: payload bytes or -errno. */
static int check_init_reply(struct viofs_lane *lane, struct viofs_slot *slot, uint32_t used_len,
			    struct fuse_init_out *payload)
{
	const uint8_t *from = viofs_slot_reply(&lane->slots, slot);
	struct viofs_fuse_reply reply;
	struct fuse_out_header head;
	bool zero;

	memcpy(&head, from, sizeof(head));
	zero = !used_len && head.len >= sizeof(head);
	if (zero) {
		lane->relay->used_len_zero = true;
		lane->stats->quirks |= VIOFS_QUIRK_USED_LEN_ZERO;
	}
	if (viofs_fuse_reply_check(&slot->shape, slot->device_unique, &head, used_len, zero,
				   &reply) ||
	    reply.fault)
		return viofs_err_set(lane->relay->err, -EPROTO,
				     "the device's answer to FUSE_INIT makes no sense: %s",
				     reply.fault);
	if (reply.error)
		return viofs_err_set(lane->relay->err, reply.error,
				     "the device refused FUSE_INIT: %s", strerror(-reply.error));
	memset(payload, 0, sizeof(*payload));
	memcpy(payload, viofs_slot_reply_data(&lane->slots, slot), reply.payload);
	return (int)reply.payload;
}

static void say_no_answer(struct viofs_lane *lane)
{
	const char *lost = viofs_device_lost(lane->relay);

	viofs_err_set(lane->relay->err, -ETIMEDOUT,
		      "the device did not answer FUSE_INIT within %u ms (status "
		      "0x%x%s%s). Is its back end (virtiofsd) alive on the host? "
		      "-o init-timeout= waits longer",
		      lane->relay->config.init_timeout_ms,
		      lane->relay->fs->virtio->ops->status_get(lane->relay->fs->virtio),
		      lost ? ", it " : "", lost ? lost : "");
}

static int negotiate(struct viofs_lane *lane, const struct init_message *kernel, size_t kernel_len,
		     struct fuse_init_out *out)
{
	const struct viofs_fuse_limits limits = {
		.max_data = lane->relay->config.max_data,
		.page_size = (uint32_t)sysconf(_SC_PAGESIZE),
		.max_background = (uint16_t)(lane->relay->config.slots / 2),
		.default_permissions = true,
		.io_uring = lane->entries.count,
	};
	struct viofs_fuse_shape shape = {
		.opcode = FUSE_INIT,
		.name = "INIT",
		.replies = true,
		/* All of it is variable: 8 and 24 bytes are old, legal answers. */
		.reply_data = sizeof(struct fuse_init_out),
	};
	struct init_message sent = { .head = kernel->head };
	struct fuse_init_out answer;
	struct viofs_slot *slot;
	uint32_t used_len;
	size_t sent_len;
	int rc;

	rc = viofs_fuse_init_request(&kernel->in, kernel_len, &sent.in, &sent_len,
				     lane->relay->err);
	if (rc)
		return rc;
	sent.head.len = (uint32_t)(sizeof(sent.head) + sent_len);
	shape.args = (uint32_t)sent_len;
	rc = send_alone(lane, &sent, sent.head.len, &shape,
			lane->relay->config.init_timeout_ms * VIOFS_NSEC_PER_MSEC, &slot,
			&used_len);
	if (rc == -ETIMEDOUT)
		say_no_answer(lane);
	else if (rc)
		viofs_err_set(lane->relay->err, rc, "sending FUSE_INIT: %s",
			      lane->relay->stats->reason[0] ? lane->relay->stats->reason
							    : strerror(-rc));
	if (rc)
		return rc;
	rc = check_init_reply(lane, slot, used_len, &answer);
	if (rc >= 0)
		rc = viofs_fuse_init_reply(&kernel->in, &sent.in, &limits, &answer, (size_t)rc, out,
					   &lane->relay->stats->agreed, lane->relay->err);
	viofs_release(lane, slot);
	return rc;
}

/* INIT is answered, and new requests wait: for the entries, or for us to say that there are none.
 */
static void start_channel(struct viofs_relay *r)
{
	const bool planned = r->lanes[0].entries.count;
	int rc;

	if (r->stats->agreed.flags & VIOFS_FUSE_OVER_IO_URING) {
		rc = viofs_team_start_entries(r);
		if (!rc)
			r->stats->channel = VIOFS_CHANNEL_URING;
		else
			viofs_entries_give_up(r);
		if (rc)
			viofs_warn("FUSE over io_uring can't be set up (%s): /dev/fuse is used",
				   strerror(-rc));
	} else if (planned && r->conn.remote_locks) {
		viofs_info("the device handles file locks, which may wait for long: /dev/fuse is "
			   "used, not "
			   "io_uring");
	} else if (planned) {
		viofs_warn("the kernel does not offer FUSE over io_uring: /dev/fuse is used");
	}
	viofs_debug("requests come over %s, %u workers",
		    r->stats->channel == VIOFS_CHANNEL_URING ? "io_uring" : "/dev/fuse",
		    r->lane_count);
}

static int init_session(struct viofs_lane *lane)
{
	struct viofs_fuse_agreed *agreed = &lane->relay->stats->agreed;
	struct fuse_out_header head = { 0 };
	struct init_message message;
	struct fuse_init_out out;
	size_t len = 0;
	int rc;

	rc = read_kernel_init(lane, &message, &len);
	if (rc)
		return rc;
	rc = negotiate(lane, &message, len, &out);
	if (rc) {
		viofs_devfuse_error(lane->fuse_fd, message.head.unique, -EIO);
		return rc;
	}
	head.unique = message.head.unique;
	rc = viofs_devfuse_reply(lane->fuse_fd,
				 (struct iovec[]){ { &head, sizeof(head) }, { &out, sizeof(out) } },
				 2);
	if (rc)
		return viofs_err_set(lane->relay->err, rc, "answering FUSE_INIT: %s",
				     strerror(-rc));
	lane->relay->conn = agreed->conn;
	if (!(agreed->flags & FUSE_MAX_PAGES))
		lane->stats->quirks |= VIOFS_QUIRK_NO_MAX_PAGES;
	if (agreed->device_flags & ~agreed->kernel_flags)
		lane->stats->quirks |= VIOFS_QUIRK_INIT_FLAGS;
	viofs_debug("FUSE_INIT: kernel 7.%u, device 7.%u, flags 0x%llx, max_write %u, max_pages %u",
		    agreed->kernel_minor, agreed->device_minor, (unsigned long long)agreed->flags,
		    agreed->max_write, agreed->max_pages);
	start_channel(lane->relay);
	return 0;
}

/* At the end nobody who may come back is waited for. */
static bool is_nobody_there(struct viofs_lane *lane)
{
	return viofs_device_lost(lane->relay) || viofs_virtio_is_away(lane->relay->fs->virtio);
}

/*
 * What was in flight at the end comes back or not; the kernel has ended all of it already. The time
 * is one for all lanes, and for whoever takes over. Return: 0, or VIOFS_DEPOSED.
 */
static int drain(struct viofs_lane *lane)
{
	const struct viofs_relay *r = lane->relay;
	int64_t end = r->team.stopped + r->config.end_timeout_ms * VIOFS_NSEC_PER_MSEC;

	viofs_parking_clear(&lane->parked);
	viofs_parking_clear(&lane->locks);
	lane->waiting.count = 0;
	viofs_hiprio_kick_forgets(lane->relay);
	while (viofs_in_flight(lane) && viofs_now_ns() - end < 0) {
		int rc = viofs_complete(lane);

		if (rc < 0)
			return rc == VIOFS_DEPOSED ? rc : 0;
		lane->freed = true;
		viofs_pump_kept(lane); /* FORGETs that are parked still */
		viofs_hiprio_kick_forgets(lane->relay);
		if (!rc && is_nobody_there(lane))
			return 0;
		if (!rc)
			usleep(NAP_US);
	}
	return 0;
}

static unsigned int all_in_flight(const struct viofs_relay *r)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->lane_count; i++)
		n += viofs_in_flight(&r->lanes[i]);
	return n;
}

/* Nothing of any lane's is under way any more. */
static void destroy_session(struct viofs_lane *lane)
{
	const struct viofs_fuse_shape shape = { .opcode = FUSE_DESTROY,
						.name = "DESTROY",
						.replies = true };
	const struct fuse_in_header head = { .len = sizeof(head), .opcode = FUSE_DESTROY };
	unsigned int left = all_in_flight(lane->relay);
	struct viofs_slot *slot;
	uint32_t used_len;
	int rc;

	if (left) {
		viofs_warn("%u requests are still with the device at the end: no DESTROY, the "
			   "reset ends "
			   "them",
			   left);
		return;
	}
	if (is_nobody_there(lane)) {
		viofs_info("the device is not there at the end: no DESTROY");
		return;
	}
	rc = send_alone(lane, &head, sizeof(head), &shape,
			lane->relay->config.end_timeout_ms * VIOFS_NSEC_PER_MSEC, &slot, &used_len);
	if (rc)
		viofs_info("the device did not answer DESTROY (%s)", strerror(-rc));
	else
		viofs_release(lane, slot);
}

static void fail_parked(struct viofs_lane *lane, const struct viofs_parking *parking)
{
	for (const struct viofs_parked *p = parking->first; p; p = p->next)
		viofs_answer(lane,
			     ((const struct fuse_in_header *)(const void *)p->message)->unique,
			     -EIO);
}

/* Everybody who waits gets an error; who comes later gets one when the connection is aborted. */
static void fail_lane(struct viofs_lane *lane)
{
	for (unsigned int i = 0; i < lane->slots.count; i++) {
		struct viofs_slot *slot = viofs_slots_at(&lane->slots, i);

		if (slot->state == VIOFS_SLOT_QUEUED || slot->state == VIOFS_SLOT_WAITING)
			viofs_answer_slot(lane, slot, -EIO);
	}
	/* Entries go back with the next wait, if there is one: viofs_relay_refuse(). */
	viofs_sleep_flush(&lane->sleep);
	fail_parked(lane, &lane->parked);
	fail_parked(lane, &lane->locks);
}

/*
 * The end of the session, which is lane 0's, after all others have ended theirs. What they have
 * left to hiprio it drains, too. Return: 0, or VIOFS_DEPOSED.
 */
static int end_session(struct viofs_lane *lane, int result)
{
	struct viofs_relay *r = lane->relay;
	int rc = 0;

	viofs_team_wait(r);
	if (!result && r->lane_count > 1)
		rc = drain(lane);
	if (!result && !rc)
		destroy_session(lane);
	if (!result && !rc)
		r->stats->session = VIOFS_SESSION_ENDED;
	return rc;
}

void viofs_session_lead(struct viofs_lane *lane)
{
	int rc = viofs_serve(lane), result;

	/* Another thread leads: even the statistics are its own now, if they are there still. */
	if (rc == VIOFS_DEPOSED)
		return;
	result = viofs_team_stop(lane, rc);
	if (result)
		fail_lane(lane);
	else if (drain(lane) == VIOFS_DEPOSED)
		return;
	if (!lane->index && end_session(lane, result) == VIOFS_DEPOSED)
		return;
	viofs_team_leave(lane);
	viofs_lease_finish(&lane->lease);
}

int viofs_relay_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	int rc = viofs_lanes_prepare(r, fuse_fd, err);

	return rc ? rc : viofs_notify_prepare(r, fuse_fd, err);
}

static int own_ring(struct viofs_lane *lane, struct viofs_err *err)
{
	int rc = viofs_sleep_own(&lane->sleep);

	return rc ? viofs_err_set(err, rc, "io_uring: %s", strerror(-rc)) : 0;
}

/* Up to the time when the mount answers. */
static int start_session(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	int rc = 0;

	r->err = err;
	r->stats->session = VIOFS_SESSION_STARTING;
	if (!r->lanes[0].sleep.open)
		rc = viofs_relay_prepare(r, fuse_fd, err);
	if (!rc)
		rc = viofs_team_start(r, err);
	if (!rc)
		rc = own_ring(&r->lanes[0], err);
	if (!rc)
		rc = init_session(&r->lanes[0]);
	if (!rc)
		return 0;
	viofs_team_end(r);
	r->stats->session = VIOFS_SESSION_FAILED;
	snprintf(r->stats->reason, sizeof(r->stats->reason), "%.*s",
		 (int)sizeof(r->stats->reason) - 1, err->text);
	return rc;
}

int viofs_relay_run(struct viofs_relay *r, int fuse_fd, void (*ready)(void *), void *ready_arg,
		    struct viofs_err *err)
{
	int rc = start_session(r, fuse_fd, err);

	if (rc)
		return rc;
	r->stats->session = VIOFS_SESSION_SERVING;
	ready(ready_arg);
	viofs_notify_start(r);
	viofs_team_serve(r);
	viofs_session_lead(&r->lanes[0]);
	viofs_lease_wait(&r->lanes[0].lease);
	viofs_notify_stop(r);
	if (!viofs_relay_is_lost(r))
		viofs_team_end(r);
	rc = r->team.result;
	return rc ? viofs_err_set(err, rc, "%s", r->stats->reason) : 0;
}
