/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another back end in the place of one that has ended. */
/*
 * Where INFLIGHT_SHMFD was negotiated, the back end keeps a list of the requests that it has taken
 * and not answered. The list is in memory of the back end; we keep that memory's descriptor and
 * never look into it. After the back end has died, another one is told everything anew, gets that
 * memory and the rings as they are, and goes on with what was in flight. Only one process tries
 * this (the supervisor); the other one reads the link (link.h).
 */
#include "vhost/ask.h"

#include "vhost/connect.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void viofs_vhost_disconnect(struct viofs_vhost *v)
{
	if (v->sock < 0)
		return;
	/* A forked process has a copy of it, and the epoll keeps it until that copy is closed.
	 */
	epoll_ctl(v->event_fd, EPOLL_CTL_DEL, v->sock, NULL);
	close(v->sock);
	v->sock = -1;
}

/* The outcome of one try: nobody is there, or somebody who can't be used. */
static int say_again(const struct viofs_vhost *v, int rc, struct viofs_err *err)
{
	return viofs_err_set(err, v->closed ? -EAGAIN : rc, "%s%s",
			     v->closed ? "" : "came back and ", v->lost);
}

static int connect_again(struct viofs_vhost *v, struct viofs_err *err)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP };
	struct viofs_err why;
	int rc;

	viofs_vhost_disconnect(v);
	rc = viofs_vhost_connect(v->path, v->end_ns, &why);
	if (rc < 0)
		return viofs_err_set(err, -EAGAIN, "%s", why.text);
	v->sock = rc;
	v->lost[0] = '\0';
	v->closed = false;
	if (epoll_ctl(v->event_fd, EPOLL_CTL_ADD, v->sock, &e) < 0)
		return viofs_err_set(err, -errno, "can't be watched (%s)", strerror(errno));
	return 0;
}

static int check_protocol(const struct viofs_vhost *v, uint64_t offered, struct viofs_err *err)
{
	const char *missing = viofs_vhost_protocol_name(v->protocol_features & ~offered);

	return missing ? viofs_err_set(
				 err, -ENOTSUP,
				 "came back without VHOST_USER_PROTOCOL_F_%s, which the session "
				 "uses",
				 missing)
		       : 0;
}

int viofs_vhost_reconnect(struct viofs_vhost *v, int64_t end_ns, struct viofs_err *err)
{
	uint64_t offered = 0, protocol = 0, queues;
	int rc;

	v->end_ns = end_ns;
	rc = connect_again(v, err);
	if (rc)
		return rc;
	rc = viofs_vhost_ask_u64(v, VIOFS_VHOST_GET_FEATURES, &offered);
	if (!rc && offered & VIOFS_VHOST_F_PROTOCOL_FEATURES)
		rc = viofs_vhost_ask_u64(v, VIOFS_VHOST_GET_PROTOCOL_FEATURES, &protocol);
	if (rc)
		return say_again(v, rc, err);
	rc = check_protocol(v, protocol, err);
	if (rc)
		return rc;
	rc = viofs_vhost_agree(v, v->protocol_features, &queues);
	if (rc)
		return say_again(v, rc, err);
	if (queues < v->queue_max)
		return viofs_err_set(err, -ENOTSUP, "came back with %llu virtqueues, it had %u",
				     (unsigned long long)queues, v->queue_max);
	v->features = offered & ~VIOFS_VHOST_F_PROTOCOL_FEATURES;
	return 0;
}

int viofs_vhost_restore(struct viofs_vhost *v, struct viofs_err *err)
{
	int rc;

	rc = viofs_vhost_tell_u64(v, VIOFS_VHOST_SET_FEATURES, v->acked, -1);
	if (!rc)
		rc = viofs_vhost_tell_inflight(v);
	if (!rc)
		rc = viofs_vhost_tell_memory(v);
	return rc ? say_again(v, rc, err) : 0;
}
