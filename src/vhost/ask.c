/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One exchange with a vhost-user back end: send a message, and wait until it has been taken. */
/*
 * One request is under way at a time. Each is answered, by a reply of its own, by the
 * acknowledgement that REPLY_ACK gives, or, where the back end has none, by a GET_FEATURES sent
 * behind it; so if a back end refuses something, or dies, it is known at which message. The first
 * failure is kept in `lost`. Nothing is sent after it, since the back end's state isn't known any
 * more.
 *
 * Each message has a time-out. With many rings there are hundreds of messages, and a back end could
 * answer each just in time. So there is also one bound for all messages of the start, and one for
 * all of the end (viofs_vhost.end_ns).
 */
#include "vhost/ask.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int viofs_vhost_lose(struct viofs_vhost *v, enum viofs_vhost_request request, int rc)
{
	const char *name = viofs_vhost_request_name(request);

	switch (rc) {
	case -ECONNRESET:
		snprintf(v->lost, sizeof(v->lost), "closed its socket at %s", name);
		break;
	case -ETIMEDOUT:
		if (v->left_ns <= 0) {
			snprintf(v->lost, sizeof(v->lost), "took %d ms for its answers up to %s",
				 v->timeout_ms * VIOFS_VHOST_START_FACTOR, name);
			break;
		}
		snprintf(v->lost, sizeof(v->lost), "did not answer %s within %d ms", name,
			 v->timeout_ms);
		break;
	case -EPROTO:
		snprintf(v->lost, sizeof(v->lost),
			 "gave an answer to %s that is none of vhost-user's", name);
		break;
	case -EREMOTEIO:
		snprintf(v->lost, sizeof(v->lost), "refused %s", name);
		break;
	default:
		snprintf(v->lost, sizeof(v->lost), "can't be sent %s (%s)", name, strerror(-rc));
	}
	v->closed = rc == -ECONNRESET || rc == -ETIMEDOUT;
	return rc;
}

/* The time at which a message that is sent now is given up. */
static int64_t end_of(const struct viofs_vhost *v, int64_t now)
{
	int64_t each = v->timeout_ms * VIOFS_NSEC_PER_MSEC;

	return v->end_ns ? v->end_ns : now + VIOFS_MIN(each, v->left_ns);
}

/* That was one message, or a message and its answer. */
static void count_time(struct viofs_vhost *v, int64_t began)
{
	if (v->left_ns != INT64_MAX)
		v->left_ns -= viofs_now_ns() - began;
}

int viofs_vhost_ask_with_fd(struct viofs_vhost *v, struct viofs_vhost_message *m, int *fd)
{
	int64_t now = viofs_now_ns(), end = end_of(v, now);
	enum viofs_vhost_request request = m->request;
	int rc;

	if (v->lost[0])
		return -ENODEV;
	rc = viofs_vhost_send(v->sock, m, -1, false, end);
	if (!rc)
		rc = viofs_vhost_receive(v->sock, request, m, fd, end);
	count_time(v, now);
	return rc ? viofs_vhost_lose(v, request, rc) : 0;
}

int viofs_vhost_ask(struct viofs_vhost *v, struct viofs_vhost_message *m)
{
	return viofs_vhost_ask_with_fd(v, m, NULL);
}

int viofs_vhost_ask_u64(struct viofs_vhost *v, enum viofs_vhost_request request, uint64_t *value)
{
	struct viofs_vhost_message m = { .request = request };
	int rc = viofs_vhost_ask(v, &m);

	if (rc)
		return rc;
	if (m.size != sizeof(m.payload.u64))
		return viofs_vhost_lose(v, request, -EPROTO);
	*value = m.payload.u64;
	return 0;
}

int viofs_vhost_tell(struct viofs_vhost *v, const struct viofs_vhost_message *m, int fd)
{
	int64_t now = viofs_now_ns(), end = end_of(v, now);
	bool ack = v->protocol_features & VIOFS_VHOST_PROTOCOL_REPLY_ACK;
	struct viofs_vhost_message reply = { .request = VIOFS_VHOST_GET_FEATURES };
	int rc;

	if (v->lost[0])
		return -ENODEV;
	rc = viofs_vhost_send(v->sock, m, fd, ack, end);
	if (!rc && !ack)
		rc = viofs_vhost_send(v->sock, &reply, -1, false, end);
	if (!rc)
		rc = viofs_vhost_receive(v->sock, ack ? m->request : reply.request, &reply, NULL,
					 end);
	count_time(v, now);
	if (!rc && reply.size != sizeof(reply.payload.u64))
		rc = -EPROTO;
	if (!rc && ack && reply.payload.u64)
		rc = -EREMOTEIO;
	return rc ? viofs_vhost_lose(v, m->request, rc) : 0;
}

int viofs_vhost_tell_u64(struct viofs_vhost *v, enum viofs_vhost_request request, uint64_t value,
			 int fd)
{
	const struct viofs_vhost_message m = {
		.request = request,
		.size = sizeof(m.payload.u64),
		.payload.u64 = value,
	};

	return viofs_vhost_tell(v, &m, fd);
}

int viofs_vhost_tell_state(struct viofs_vhost *v, enum viofs_vhost_request request,
			   unsigned int index, unsigned int num)
{
	const struct viofs_vhost_message m = {
		.request = request,
		.size = sizeof(m.payload.state),
		.payload.state = { index, num },
	};

	return viofs_vhost_tell(v, &m, -1);
}
