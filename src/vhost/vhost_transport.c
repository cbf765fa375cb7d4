/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vhost-user transport: a back end's socket in place of registers. */
/*
 * A back end has no device status, so it is kept here: what the driver sets is what it reads, and
 * setting 0 stops the rings. FEATURES_OK always sticks; a back end that refuses the features does
 * so when they are sent. After that, as after any failure on the socket, the status reads 0xff
 * (gone), and is_lost() says why.
 *
 * The configuration is the back end's where it offers one (CONFIG). Else it is made here, as the
 * front end's part in vhost-user-fs: the tag is the socket's basename, with one request queue, or
 * as many as the user says. Then there is no notification queue, since only the back end knows the
 * size of its buffers.
 *
 * Where the back end notes what it has in flight (viofs_vhost_track()), another one can take its
 * place: resume() tells it everything that the first one was told. The relay only sees that no
 * answers come for a while. Rings are split then: only the back end that is gone would know where a
 * packed ring is to go on.
 *
 * notify() alone is for the data path; it and is_lost() may run in another process than the rest,
 * which must be done by then but for reset.
 */
#include "vhost/vhost_transport.h"

#include "base/text.h"
#include "base/util.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STATUS_GONE 0xffU
#define QUEUES_MAX 64
/* The largest size that back ends are tested with. A back end that refuses a size does so when it
 * is set. */
#define QUEUE_SIZE 1024
/* struct virtio_fs_config (virtio 1.3 5.11.4). */
#define CONFIG_TAG_BYTES 36
#define CONFIG_BYTES 40
#define CONFIG_NOTIFY_BYTES 4
#define FS_F_NOTIFICATION (1ULL << 0)
#define CLOSE_RESET_MS 1000
/* Where a packed ring starts: place 0 on both sides, both wrap counters set (bits 15 and 31). */
#define PACKED_BASE 0x80008000U

struct vhost_transport {
	struct viofs_virtio virtio; /* first: the ops get a pointer to it */
	struct viofs_vhost *vhost;
	uint8_t status;
	uint8_t config[CONFIG_BYTES + CONFIG_NOTIFY_BYTES];
	unsigned int config_len;
	unsigned int queues;
	bool started[QUEUES_MAX];
	struct viofs_vhost_ring rings[QUEUES_MAX];      /* as they were started */
	int kick_fds[QUEUES_MAX], call_fds[QUEUES_MAX]; /* ours; the caller's or -1 */
};

static struct vhost_transport *transport_of(struct viofs_virtio *d)
{
	return VIOFS_CONTAINER_OF(d, struct vhost_transport, virtio);
}

static const char *is_lost(struct viofs_virtio *d)
{
	return viofs_vhost_lost(transport_of(d)->vhost);
}

static bool is_away(struct viofs_virtio *d)
{
	const struct viofs_vhost_link *link = transport_of(d)->vhost->link;

	return link && viofs_vhost_link_get(link) == VIOFS_VHOST_LINK_AWAY;
}

static uint8_t status_get(struct viofs_virtio *d)
{
	return is_lost(d) ? STATUS_GONE : transport_of(d)->status;
}

/* All messages of the end together get no more time than one message. */
static void stop_rings(struct vhost_transport *t)
{
	t->vhost->end_ns = viofs_now_ns() + t->vhost->timeout_ms * VIOFS_NSEC_PER_MSEC;
	for (unsigned int q = 0; q < t->queues; q++) {
		if (t->started[q])
			viofs_vhost_ring_stop(t->vhost, q);
		t->started[q] = false;
	}
	t->vhost->end_ns = 0;
}

static void status_set(struct viofs_virtio *d, uint8_t status)
{
	struct vhost_transport *t = transport_of(d);

	if (!status)
		stop_rings(t);
	if (status & VIOFS_VIRTIO_DRIVER_OK)
		viofs_vhost_started(t->vhost);
	t->status = status;
}

static uint64_t features_get(struct viofs_virtio *d)
{
	const struct vhost_transport *t = transport_of(d);
	uint64_t features = t->vhost->features;

	if (t->vhost->link)
		features &= ~VIOFS_VIRTIO_F_RING_PACKED;
	if (t->config_len <= CONFIG_BYTES)
		features &= ~FS_F_NOTIFICATION;
	/* There is no IOMMU here, and nobody to answer a back end's questions to one (IOTLB
	 * messages).
	 */
	return features & ~VIOFS_VIRTIO_F_ACCESS_PLATFORM;
}

static void features_set(struct viofs_virtio *d, uint64_t features)
{
	/* A failure shows in the status. */
	viofs_vhost_set_features(transport_of(d)->vhost, features);
}

static int config_read(struct viofs_virtio *d, unsigned int off, void *buf, unsigned int len)
{
	if (!viofs_range_ok(off, len, transport_of(d)->config_len))
		return -ERANGE;
	memcpy(buf, transport_of(d)->config + off, len);
	return 0;
}

static unsigned int queue_count(struct viofs_virtio *d)
{
	return transport_of(d)->queues;
}

static unsigned int queue_max(struct viofs_virtio *d, unsigned int q)
{
	return q < transport_of(d)->queues ? QUEUE_SIZE : 0;
}

/* Sent with the first ring: sizes are known then. All rings have one size (queue_max()). */
static int track(struct vhost_transport *t, uint16_t entries)
{
	if (!t->vhost->link || t->vhost->inflight.fd >= 0)
		return 0;
	return viofs_vhost_track(t->vhost, t->queues, entries);
}

static int queue_enable(struct viofs_virtio *d, unsigned int q,
			const struct viofs_virtio_queue_address *a, struct viofs_err *err)
{
	struct vhost_transport *t = transport_of(d);
	struct viofs_vhost_ring ring = {
		.size = a->size,
		.desc = a->desc,
		.driver = a->driver,
		.device = a->device,
		.base = d->negotiated & VIOFS_VIRTIO_F_RING_PACKED ? PACKED_BASE : 0,
	};
	int rc;

	if (q >= t->queues)
		return viofs_err_set(err, -EINVAL, "There is no queue %u to enable.", q);
	if (t->kick_fds[q] < 0)
		t->kick_fds[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->kick_fds[q] < 0)
		return viofs_err_set(err, -errno,
				     "No eventfd for queue %u: raise the limit of open files.", q);
	ring.kick_fd = t->kick_fds[q];
	ring.call_fd = t->call_fds[q];
	/* Also where it fails half way: then nothing more is sent to the back end. */
	t->started[q] = true;
	t->rings[q] = ring;
	rc = track(t, a->size);
	if (!rc)
		rc = viofs_vhost_ring_start(t->vhost, q, &ring);
	if (rc)
		return viofs_err_set(err, rc,
				     "The back end %s for virtqueue %u of %u entries. Its own "
				     "messages may say why.",
				     is_lost(d), q, a->size);
	return 0;
}

/* They are given to the back end with the rings: no ring is started before its eventfd is known. */
static int interrupts_set(struct viofs_virtio *d, const int *eventfds, unsigned int count,
			  struct viofs_err *err)
{
	struct vhost_transport *t = transport_of(d);

	for (unsigned int q = 0; q < QUEUES_MAX; q++)
		t->call_fds[q] = q < count ? eventfds[q] : -1;
	return (int)count;
}

static int kick_fd(struct viofs_virtio *d, unsigned int q)
{
	return transport_of(d)->kick_fds[q];
}

static void notify(struct viofs_virtio *d, unsigned int q)
{
	/*
	 * The system call is barrier enough for the avail ring. A full eventfd is fine: the back
	 * end has not read it yet. A back end could also make it blocking; callers that can't risk
	 * that set a bell.
	 */
	if (d->bell)
		d->bell(d->bell_arg, q);
	else
		viofs_eventfd_signal(kick_fd(d, q));
}

static void patience_set(struct viofs_virtio *d, int timeout_ms)
{
	viofs_vhost_set_timeout(transport_of(d)->vhost, timeout_ms);
}

static void close_copy(struct viofs_virtio *d)
{
	struct vhost_transport *t = transport_of(d);

	for (unsigned int q = 0; q < QUEUES_MAX; q++)
		if (t->kick_fds[q] >= 0)
			close(t->kick_fds[q]);
	viofs_vhost_close(t->vhost);
	free(t);
}

static int transport_close(struct viofs_virtio *d)
{
	int rc = 0;

	/* Don't wait a second time for a back end that doesn't answer: closing the socket stops it,
	 * too. */
	patience_set(d, CLOSE_RESET_MS);
	if (status_get(d))
		rc = viofs_virtio_halt(d, CLOSE_RESET_MS, false, NULL);
	close_copy(d);
	return rc;
}

static void drop_dma(struct viofs_virtio *d)
{
	viofs_vhost_drop_memory(transport_of(d)->vhost);
}

static void describe(const struct viofs_virtio *d, struct viofs_virtio_description *out)
{
	*out = (struct viofs_virtio_description){ .dma = "memory shared with the back end" };
}

static const struct viofs_virtio_ops vhost_ops = {
	.name = "vhost-user",
	.close = transport_close,
	.close_copy = close_copy,
	.drop_dma = drop_dma,
	.describe = describe,
	.patience_set = patience_set,
	.is_lost = is_lost,
	.is_away = is_away,
	.status_get = status_get,
	.status_set = status_set,
	.features_get = features_get,
	.features_set = features_set,
	.config_read = config_read,
	.queue_count = queue_count,
	.queue_max = queue_max,
	.queue_enable = queue_enable,
	.interrupts_set = interrupts_set,
	.kick_fd = kick_fd,
	.notify = notify,
};

/* The socket's basename, as much of it as a tag holds. It may be any bytes, a tag not. */
static void make_tag(const char *path, uint8_t tag[CONFIG_TAG_BYTES])
{
	const char *slash = strrchr(path, '/');
	char name[CONFIG_TAG_BYTES + 1];

	viofs_text_clean(VIOFS_TEXT_MESSAGE, slash ? slash + 1 : path, name, sizeof(name));
	memset(tag, 0, CONFIG_TAG_BYTES);
	/* A tag that fills its field has no NUL.
	 * NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(tag, name, strlen(name));
}

static int learn_config(struct vhost_transport *t, unsigned int requests, struct viofs_err *err)
{
	uint32_t num = htole32(VIOFS_MAX(requests, 1U));
	int rc;

	rc = viofs_vhost_config(t->vhost, 0, t->config, CONFIG_BYTES);
	if (rc && rc != -EOPNOTSUPP)
		return viofs_err_set(err, rc, "The back end %s.", t->vhost->lost);
	if (rc)
		make_tag(t->vhost->path, t->config);
	if (rc || requests)
		memcpy(t->config + CONFIG_TAG_BYTES, &num, sizeof(num));
	t->config_len = CONFIG_BYTES;
	if (rc || !(t->vhost->features & FS_F_NOTIFICATION))
		return 0;
	rc = viofs_vhost_config(t->vhost, CONFIG_BYTES, t->config + CONFIG_BYTES,
				CONFIG_NOTIFY_BYTES);
	if (rc && rc != -EOPNOTSUPP)
		return viofs_err_set(err, rc, "The back end %s.", t->vhost->lost);
	if (!rc)
		t->config_len += CONFIG_NOTIFY_BYTES;
	return 0;
}

static int count_queues(struct vhost_transport *t, unsigned int requests, struct viofs_err *err)
{
	unsigned int have = t->vhost->queue_max;

	/* Without MQ the back end doesn't say; each has at least a hiprio and a request queue. */
	if (!(t->vhost->protocol_features & VIOFS_VHOST_PROTOCOL_MQ))
		have = 2;
	if (requests && 1 + requests > have) {
		viofs_err_set(err, -EINVAL,
			      "%u request queues are asked for: the back end has no more than %u "
			      "request queue%s.",
			      requests, have ? have - 1 : 0, have == 2 ? "" : "s");
		return viofs_err_remedy(err, -EINVAL, VIOFS_REMEDY_FEWER_QUEUES);
	}
	t->queues = VIOFS_MIN(have, QUEUES_MAX);
	return 0;
}

/* Is what came back the same device? */
static int check_device(struct vhost_transport *t, struct viofs_err *err)
{
	uint64_t missing = t->virtio.negotiated & ~t->vhost->features;
	uint8_t config[CONFIG_BYTES];
	int rc;

	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = viofs_virtio_feature_name(bit);

		if (missing & 1ULL << bit)
			return viofs_err_set(
				err, -ENOTSUP,
				"came back without %s (bit %u), which the session uses",
				name ? name : "a feature", bit);
	}
	rc = viofs_vhost_config(t->vhost, 0, config, sizeof(config));
	if (rc == -EOPNOTSUPP)
		return 0;
	if (rc)
		return viofs_err_set(err, t->vhost->closed ? -EAGAIN : rc, "%s", t->vhost->lost);
	if (memcmp(config, t->config, CONFIG_TAG_BYTES) != 0)
		return viofs_err_set(err, -ENOTSUP,
				     "came back with another tag: it is another device");
	return 0;
}

static int restart_rings(struct vhost_transport *t, void (*signal)(int eventfd),
			 struct viofs_err *err)
{
	int rc = 0;

	for (unsigned int q = 0; !rc && q < t->queues; q++) {
		struct viofs_vhost_ring *r = &t->rings[q];

		if (!t->started[q])
			continue;
		/*
		 * As QEMU does: the requests that were certainly answered. A back end that tracks
		 * adds those in flight by its list.
		 */
		r->base = viofs_vhost_used_idx(t->vhost, r->device);
		rc = viofs_vhost_ring_start(t->vhost, q, r);
	}
	if (rc)
		return viofs_err_set(err, t->vhost->closed ? -EAGAIN : rc, "came back and %s",
				     t->vhost->lost);
	for (unsigned int q = 0; q < t->queues; q++) {
		if (!t->started[q])
			continue;
		/* Signal both sides: the back end that died may have used a buffer without
		 * signalling it. */
		signal(t->kick_fds[q]);
		if (t->rings[q].call_fd >= 0)
			signal(t->rings[q].call_fd);
	}
	return 0;
}

static int own(struct viofs_virtio *d)
{
	struct viofs_vhost *v = transport_of(d)->vhost;

	viofs_vhost_link_own(v->link);
	return v->event_fd;
}

static const char *look(struct viofs_virtio *d, bool *closed)
{
	struct viofs_vhost *v = transport_of(d)->vhost;
	const char *why = viofs_vhost_look(v);

	*closed = v->closed;
	return why;
}

static void leave(struct viofs_virtio *d)
{
	struct viofs_vhost *v = transport_of(d)->vhost;

	viofs_vhost_disconnect(v);
	viofs_vhost_link_set(v->link, VIOFS_VHOST_LINK_AWAY);
}

static int resume(struct viofs_virtio *d, int64_t end_ns, void (*signal)(int eventfd),
		  struct viofs_err *err)
{
	struct vhost_transport *t = transport_of(d);
	int rc;

	rc = viofs_vhost_reconnect(t->vhost, end_ns, err);
	if (!rc)
		rc = check_device(t, err);
	if (!rc)
		rc = viofs_vhost_restore(t->vhost, err);
	if (!rc)
		rc = restart_rings(t, signal, err);
	t->vhost->end_ns = 0;
	if (rc)
		viofs_vhost_disconnect(t->vhost);
	else
		viofs_vhost_link_set(t->vhost->link, VIOFS_VHOST_LINK_UP);
	return rc;
}

static void lose(struct viofs_virtio *d, const char *why)
{
	struct viofs_vhost *v = transport_of(d)->vhost;

	/* Its descriptors must not wake us any more. */
	viofs_vhost_disconnect(v);
	viofs_vhost_link_lose(v->link, why);
}

static int connection(const struct viofs_virtio *d)
{
	return transport_of((struct viofs_virtio *)d)->vhost->sock;
}

static const struct viofs_virtio_return_ops return_ops = {
	.own = own,
	.look = look,
	.leave = leave,
	.resume = resume,
	.lose = lose,
	.connection = connection,
};

int viofs_virtio_vhost_open(struct viofs_vhost *v, unsigned int requests, struct viofs_virtio **out,
			    struct viofs_err *err)
{
	struct vhost_transport *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	t->virtio.ops = &vhost_ops;
	t->virtio.event_fd = v->link ? v->link->fd : v->event_fd;
	t->virtio.returns = v->link ? &return_ops : NULL;
	t->virtio.mapper = &v->mapper;
	t->vhost = v;
	for (unsigned int q = 0; q < QUEUES_MAX; q++)
		t->kick_fds[q] = t->call_fds[q] = -1;
	rc = count_queues(t, requests, err);
	if (!rc)
		rc = learn_config(t, requests, err);
	if (rc) {
		free(t);
		return rc;
	}
	*out = &t->virtio;
	return 0;
}

static int open_socket(const char *where, const struct viofs_transport_options *options,
		       struct viofs_virtio **out, struct viofs_err *err)
{
	struct viofs_vhost *v = NULL;
	int rc;

	rc = viofs_vhost_open(where, VIOFS_VHOST_TIMEOUT_MS, options->track, &v, err);
	if (rc)
		return rc;
	rc = viofs_virtio_vhost_open(v, options->queues, out, err);
	if (rc)
		viofs_vhost_close(v);
	return rc;
}

const struct viofs_transport viofs_vhost_transport = {
	.prefix = "vhost-user:",
	.what = "the back end's socket",
	.advice = "Start the back end first (virtiofsd --socket-path=... --shared-dir=...).",
	.held = "the socket",
	.takes_queues = true,
	.may_return = true,
	.open = open_socket,
};
