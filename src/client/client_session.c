/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sessions: FUSE_INIT before, FORGET and FUSE_DESTROY after.
 *
 * Opening and closing are one thread's, with nothing else under way: both use the first lane's
 * queue without its lock.
 */
#include "client/client_session.h"
#include "base/page.h"
#include "base/util.h"
#include "client/async.h"
#include "client/child.h"
#include "client/fail.h"
#include "client/options_struct.h"
#include "client/caller.h"
#include "client/queue.h"
#include "client/vq.h"
#include "client/waiting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_DEFAULT 4096U
#define INIT_TIMEOUT_MS 30000U
#define DESTROY_TIMEOUT_NS VIOFS_NSEC_PER_SEC
#define FORGET_NAP_US 20
#define READAHEAD (1U << 20)

/* Flags whose promise the library can keep. fuse/init.c settles the device's part, as for the
 * relay.
 */
#define FLAGS                                                                                      \
	(FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |              \
	 FUSE_DONT_MASK | FUSE_FLOCK_LOCKS | FUSE_DO_READDIRPLUS | FUSE_ASYNC_DIO |                \
	 FUSE_NO_OPEN_SUPPORT | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_NO_OPENDIR_SUPPORT |  \
	 FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_INIT_EXT)

static struct viofs_session_options defaults(void)
{
	return (struct viofs_session_options){
		.size = sizeof(struct viofs_session_options),
		.uid = getuid(),
		.gid = getgid(),
		.pid = (uint32_t)getpid(),
		.cache_names = NAMES_DEFAULT,
		.init_timeout_ms = INIT_TIMEOUT_MS,
	};
}

void viofs_session_options_init(struct viofs_session_options *options, size_t size)
{
	const struct viofs_session_options all = defaults();

	viofs_options_put(options, size, &all, sizeof(all));
}

static int take_options(const struct viofs_session_options *given, struct viofs_session_options *o,
			struct viofs_err *err)
{
	int rc;

	*o = defaults();
	rc = viofs_options_take(given, o, sizeof(*o), "viofs_session_options", err);
	if (rc)
		return rc;
	if (o->flags & ~VIOFS_SESSION_FLAGS)
		return viofs_err_set(err, -EINVAL,
				     "viofs_session_options.flags has bits that this libviofs "
				     "doesn't know.");
	if (!o->cache_names)
		o->cache_names = NAMES_DEFAULT;
	if (!o->init_timeout_ms)
		o->init_timeout_ms = INIT_TIMEOUT_MS;
	if (!o->init_flags)
		o->init_flags = FLAGS;
	return 0;
}

/* Send a request while nothing else is, and wait. Return: 0 and @c; -ETIMEDOUT; -errno.
 */
static int exchange(struct viofs_share *s, struct viofs_request *r, int64_t timeout_ns,
		    struct viofs_completion *c)
{
	struct viofs_queue *q = s->lanes[0].q;
	int rc = viofs_queue_submit(q, r, 1);

	if (rc != 1)
		return rc < 0 ? rc : -EBUSY;
	rc = viofs_queue_wait(q, c, 1, 1, timeout_ns);
	if (rc == 1)
		return 0;
	/* Its answer may come still, and be found by another handle's user: not to the caller's
	 * memory, which is gone by then. */
	while (viofs_queue_abandon(q, c, 1) > 0)
		;
	return rc ? rc : -ETIMEDOUT;
}

static int init_failed(struct viofs_share *s, int rc, const struct viofs_completion *c, uint32_t ms,
		       struct viofs_err *err)
{
	const char *failed = viofs_dev_failed(s->dev);

	if (failed)
		return viofs_err_set(err, rc ? rc : -EIO, "FUSE_INIT: the device %s.", failed);
	if (rc == -ETIMEDOUT)
		return viofs_err_set(
			err, rc,
			"The device did not answer FUSE_INIT within %u ms. Is its back "
			"end (virtiofsd) alive on the host?",
			ms);
	if (rc)
		return viofs_err_set(err, rc, "FUSE_INIT can't be sent: %s.", strerror(-rc));
	if (c->fault)
		return viofs_err_set(err, -EPROTO,
				     "The device's answer to FUSE_INIT makes no sense: %s.",
				     c->fault);
	return viofs_err_set(err, c->error, "The device refused FUSE_INIT: %s.",
			     strerror(-c->error));
}

static int negotiate(struct viofs_share *s, const struct viofs_session_options *o,
		     struct viofs_err *err)
{
	const struct viofs_fuse_limits limits = {
		.max_data = s->dev->max_data,
		.page_size = (uint32_t)viofs_page_size(),
		.max_background = s->dev->vqs[VIOFS_FS_REQUEST].depth,
	};
	const struct fuse_init_in wanted = {
		.major = FUSE_KERNEL_VERSION,
		.minor = VIOFS_FUSE_MINOR_MAX,
		.max_readahead = READAHEAD,
		.flags = (uint32_t)o->init_flags,
		.flags2 = (uint32_t)(o->init_flags >> 32),
	};
	struct fuse_init_out answer, agreed;
	struct viofs_completion c = { 0 };
	struct fuse_init_in sent;
	struct viofs_request r;
	size_t len;
	int rc;

	rc = viofs_fuse_init_request(&wanted, sizeof(wanted), &sent, &len, err);
	if (rc)
		return rc;
	s->offered = sent.flags | (uint64_t)sent.flags2 << 32;
	r = (struct viofs_request){
		.opcode = FUSE_INIT,
		.flags = VIOFS_REQUEST_SHORT, /* 8 and 24 bytes are old, legal answers */
		.args = &sent,
		.args_size = (uint32_t)len,
		.reply = &answer,
		.reply_size = sizeof(answer),
	};
	rc = exchange(s, &r, o->init_timeout_ms * VIOFS_NSEC_PER_MSEC, &c);
	if (rc || c.error)
		return init_failed(s, rc, &c, o->init_timeout_ms, err);
	return viofs_fuse_init_reply(&wanted, &sent, &limits, &answer, c.size, &agreed, &s->agreed,
				     err);
}

static void fini(struct viofs_share *s)
{
	for (unsigned int i = 0; i < VIOFS_SESSION_LANES; i++)
		viofs_async_fini(&s->lanes[i]);
	viofs_cache_fini(&s->cache);
	free(s);
}

/* Its view: as the options say. */
static struct viofs_session *first_view(const struct viofs_session_options *o)
{
	const struct viofs_cred cred = { .uid = o->uid, .gid = o->gid, .pid = o->pid };
	struct viofs_session *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->caller = viofs_caller_new(&cred, o->timeout_ms, o->flags);
	view->share = calloc(1, sizeof(*view->share));
	if (view->caller && view->share)
		return view;
	viofs_caller_put(view->caller);
	free(view->share);
	free(view);
	return NULL;
}

static int start(struct viofs_share *s, const struct viofs_session_options *o,
		 struct viofs_err *err)
{
	int rc = viofs_cache_init(&s->cache, o->cache_names);

	if (rc)
		viofs_err_set(err, rc, "Out of memory.");
	s->cache.here = s->dev->here;
	while (!rc && s->lane_count < s->dev->at.fs->queue_count - VIOFS_FS_REQUEST) {
		rc = viofs_async_init(&s->lanes[s->lane_count], s, 0, err);
		s->lane_count++;
	}
	if (!rc)
		rc = negotiate(s, o, err);
	s->no_readdirplus = !(s->agreed.flags & FUSE_DO_READDIRPLUS);
	return rc;
}

static void free_view(struct viofs_session *view)
{
	viofs_way_fini(&view->share->cache, &view->at);
	viofs_caller_put(view->caller);
	if (!view->is_view)
		fini(view->share);
	free(view);
}

int viofs_session_open(struct viofs_dev *dev, const struct viofs_session_options *options,
		       struct viofs_session **out, struct viofs_err *err)
{
	struct viofs_session_options o;
	struct viofs_session *view;
	int rc;

	rc = take_options(options, &o, err);
	if (rc)
		return rc;
	if (viofs_dev_is_elsewhere(dev))
		return viofs_dev_elsewhere(err, "open", "session");
	if (__atomic_exchange_n(&dev->had_session, 1, __ATOMIC_ACQ_REL))
		return viofs_err_set(err, -EBUSY,
				     "The device has a session, or had one: close it and open "
				     "it anew.");
	view = first_view(&o);
	if (!view)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	view->share->dev = dev;
	rc = start(view->share, &o, err);
	if (rc) {
		free_view(view);
		return rc;
	}
	*out = view;
	return 0;
}

/* FORGETs go by hiprio: the device must have taken them before it hears DESTROY on another queue.
 */
static void wait_for_forgets(struct viofs_dev *dev)
{
	struct viofs_vq *hiprio = &dev->vqs[VIOFS_FS_HIPRIO];
	int64_t end = viofs_now_ns() + DESTROY_TIMEOUT_NS;
	const char *why = NULL;
	bool done = false;

	while (!done && !why && viofs_now_ns() - end < 0) {
		bool locked = viofs_vq_enter(hiprio);

		viofs_vq_drain(hiprio, NULL, NULL, 0, &why);
		done = hiprio->free_count == hiprio->depth;
		viofs_vq_leave(hiprio, locked);
		if (!done)
			usleep(FORGET_NAP_US);
	}
	if (why)
		viofs_dev_fail(dev, "broke the rules of virtqueue 0: %s", why);
}

static void end(struct viofs_share *s)
{
	struct viofs_request r = { .opcode = FUSE_DESTROY };
	struct viofs_completion c;

	viofs_cache_drop(&s->cache);
	/* Calls that were cancelled may still have requests in flight. */
	for (unsigned int i = 0; i < s->lane_count; i++)
		viofs_async_abandon(&s->lanes[i]);
	if (viofs_dev_failed(s->dev))
		return;
	viofs_async_forget(&s->lanes[0], true);
	wait_for_forgets(s->dev);
	exchange(s, &r, DESTROY_TIMEOUT_NS, &c);
}

/* In a child of fork(2): was no other thread in a call when it was made? */
static bool is_quiet(struct viofs_share *s)
{
	for (unsigned int i = 0; i < s->lane_count; i++) {
		if (pthread_mutex_trylock(&s->lanes[i].lock))
			return false;
		pthread_mutex_unlock(&s->lanes[i].lock);
		if (s->lanes[i].live)
			return false;
	}
	if (pthread_mutex_trylock(&s->cache.lock))
		return false;
	pthread_mutex_unlock(&s->cache.lock);
	return true;
}

void viofs_session_close(struct viofs_session *session)
{
	if (!session)
		return;
	if (viofs_dev_is_elsewhere(session->share->dev)) {
		if (session->is_view || is_quiet(session->share))
			free_view(session);
		return;
	}
	if (!session->is_view)
		end(session->share);
	free_view(session);
}

struct viofs_dev *viofs_session_dev(struct viofs_session *session)
{
	return session->share->dev;
}

int viofs_session_info_get(struct viofs_session *session, struct viofs_session_info *info)
{
	struct viofs_share *s = session->share;
	const struct viofs_fuse_agreed *a = &s->agreed;
	struct viofs_session_info all = {
		.size = VIOFS_MIN(info->size, sizeof(*info)),
		.minor = a->conn.minor,
		.device_minor = a->device_minor,
		.offered = s->offered,
		.answered = a->device_flags,
		.flags = a->flags,
		.max_write = a->max_write,
		.max_pages = a->max_pages,
		.max_readahead = a->max_readahead,
		.max_background = a->max_background,
		.congestion_threshold = a->congestion_threshold,
		.time_gran = a->time_gran,
	};

	if (info->size < sizeof(info->size))
		return -EINVAL;
	if (viofs_dev_is_elsewhere(s->dev))
		return -ENODEV;
	pthread_mutex_lock(&s->cache.lock);
	all.lookups = s->cache.lookups;
	all.nodes = s->cache.node_count;
	all.names = s->cache.name_count;
	pthread_mutex_unlock(&s->cache.lock);
	memcpy(info, &all, all.size);
	return 0;
}

void viofs_session_drop(struct viofs_session *session)
{
	struct viofs_share *s = session->share;

	if (viofs_dev_is_elsewhere(s->dev))
		return;
	viofs_cache_drop(&s->cache);
	pthread_mutex_lock(&s->lanes[0].lock);
	viofs_async_forget(&s->lanes[0], true);
	pthread_mutex_unlock(&s->lanes[0].lock);
}
