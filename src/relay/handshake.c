/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INIT: the kernel, the relay and the device agree on a session. */
#include "relay/handshake.h"
#include "base/log.h"
#include "base/page.h"
#include "base/util.h"
#include "fuse/init.h"
#include "fuse/reply.h"
#include "kernel/devfuse.h"
#include "relay/answer.h"
#include "relay/entry.h"
#include "relay/exchange.h"
#include "relay/outcome.h"
#include "relay/session.h"
#include "relay/team.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

struct init_message {
	struct fuse_in_header head;
	struct fuse_init_in in;
};

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
	zero = viofs_fuse_reply_has_zero_len(&head, used_len);
	if (zero) {
		lane->relay->used_len_zero = true;
		lane->relay->layout.session->used_len_zero = true;
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
	const char *lost = viofs_outcome_device_lost(lane->relay);

	viofs_err_set(lane->relay->err, -ETIMEDOUT,
		      "the device did not answer FUSE_INIT within %u ms (status "
		      "0x%x%s%s). Is its back end (virtiofsd) alive on the host?",
		      lane->relay->config.init_timeout_ms,
		      lane->relay->fs->virtio->ops->status_get(lane->relay->fs->virtio),
		      lost ? ", it " : "", lost ? lost : "");
	viofs_err_remedy(lane->relay->err, -ETIMEDOUT, VIOFS_REMEDY_LONGER_INIT);
}

static int negotiate(struct viofs_lane *lane, const struct init_message *kernel, size_t kernel_len,
		     struct fuse_init_out *out)
{
	const struct viofs_fuse_limits limits = {
		.max_data = lane->relay->config.max_data,
		.page_size = (uint32_t)viofs_page_size(),
		.max_background = (uint16_t)(lane->relay->config.slots / 2),
		.default_permissions = true,
		.io_uring = lane->entries.count,
		.sync_dio = lane->relay->config.sync_dio,
	};
	struct viofs_fuse_shape shape = {
		.opcode = FUSE_INIT,
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
	rc = viofs_exchange(lane, &sent, sent.head.len, &shape,
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
	viofs_answer_release(lane, slot);
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
	viofs_debug("requests come over %s, %u lanes",
		    r->stats->channel == VIOFS_CHANNEL_URING ? "io_uring" : "/dev/fuse",
		    r->lane_count);
}

int viofs_handshake(struct viofs_lane *lane)
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
	lane->relay->layout.session->init_done = true;
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
