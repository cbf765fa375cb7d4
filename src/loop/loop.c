/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop: which back end, and what both have in common. */
#include "loop/loop.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "loop/loop_epoll.h"
#include "loop/loop_uring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The kernel was out of memory for a moment: wait so long, then try again. */
#define NAP_US 10000

const char *viofs_loop_name(enum viofs_loop_kind kind)
{
	static const char *const names[] = { "auto", "io_uring", "epoll" };

	return (unsigned int)kind < VIOFS_ARRAY_SIZE(names) ? names[kind] : "unknown";
}

int viofs_loop_explain(int rc, struct viofs_err *err)
{
	static const char refused[] =
		"A seccomp filter may be what refuses it, such as a container's: it must let "
		"io_uring_setup, io_uring_enter and io_uring_register through.";
	uint64_t disabled = 0;

	viofs_text_read_u64("/proc/sys/kernel/io_uring_disabled", &disabled);
	if (rc == -EPERM && disabled)
		return viofs_err_set(err, rc,
				     "io_uring: %s: it is switched off here. (The sysctl "
				     "kernel.io_uring_disabled is %d; it must be 0, or 1 with "
				     "CAP_SYS_ADMIN.)",
				     strerror(-rc), (int)disabled);
	if (rc == -EPERM || rc == -EACCES)
		return viofs_err_set(err, rc, "io_uring: %s, though it is not switched off. %s",
				     strerror(-rc), refused);
	if (rc == -ENOSYS)
		return viofs_err_set(err, rc,
				     "io_uring: %s: this kernel is built without it, or "
				     "hides it. %s",
				     strerror(-rc), refused);
	if (rc == -EMFILE || rc == -ENFILE)
		return viofs_err_set(err, rc, "io_uring: %s: raise the limit (ulimit -n).",
				     strerror(-rc));
	return viofs_err_set(err, rc, "io_uring: %s.", strerror(-rc));
}

/* All three system calls: a container's filter may refuse one of them. */
static int try_uring(void)
{
	struct viofs_loop l;
	int rc = viofs_loop_open_restricted(&l, VIOFS_LOOP_URING, 0, true);

	if (rc)
		return rc;
	rc = viofs_loop_own(&l);
	if (!rc)
		rc = viofs_loop_wait(&l, 0);
	viofs_loop_close(&l);
	return rc == -ETIME ? 0 : rc;
}

int viofs_loop_choose(enum viofs_loop_kind *kind, bool needs_uring, struct viofs_err *err)
{
	struct viofs_err why;
	int rc;

	if (*kind == VIOFS_LOOP_EPOLL)
		return 0;
	rc = try_uring();
	if (rc && (*kind == VIOFS_LOOP_URING || needs_uring))
		return viofs_loop_explain(rc, err);
	if (rc) {
		viofs_loop_explain(rc, &why);
		viofs_info("epoll is used to wait. %s", why.text);
	}
	*kind = rc ? VIOFS_LOOP_EPOLL : VIOFS_LOOP_URING;
	return 0;
}

static void init(struct viofs_loop *l)
{
	memset(l, 0, sizeof(*l));
	l->epoll_fd = -1;
}

int viofs_loop_open(struct viofs_loop *l, enum viofs_loop_kind kind)
{
	init(l);
	return kind == VIOFS_LOOP_EPOLL ? viofs_loop_epoll_open(l) : viofs_loop_uring_open(l);
}

int viofs_loop_open_restricted(struct viofs_loop *l, enum viofs_loop_kind kind,
			       unsigned int commands, bool alone)
{
	init(l);
	if (kind != VIOFS_LOOP_EPOLL)
		return viofs_loop_uring_open_restricted(l, commands, alone);
	return commands ? -EINVAL : viofs_loop_epoll_open(l);
}

int viofs_loop_own(struct viofs_loop *l)
{
	return l->ops->own(l);
}

void viofs_loop_close(struct viofs_loop *l)
{
	if (l->ops)
		l->ops->close(l);
	l->ops = NULL;
	l->alone = false;
}

int viofs_loop_add(struct viofs_loop *l, int fd, enum viofs_loop_mode mode)
{
	if (l->count == VIOFS_LOOP_FDS)
		return -ENOSPC;
	l->fds[l->count] = (struct viofs_loop_fd){ .fd = fd, .mode = mode };
	return (int)l->count++;
}

void viofs_loop_enable(struct viofs_loop *l, unsigned int index, bool enable)
{
	l->fds[index].disabled = !enable;
}

void viofs_loop_remove(struct viofs_loop *l, unsigned int index)
{
	struct viofs_loop_fd *f = &l->fds[index];

	if (f->fd >= 0 && l->ops)
		l->ops->remove(l, f);
	f->fd = -1;
	f->has_fired = false;
}

void viofs_loop_put(struct viofs_loop *l, unsigned int index, int fd)
{
	assert(l->fds[index].fd < 0);
	l->fds[index] = (struct viofs_loop_fd){ .fd = fd, .mode = l->fds[index].mode };
}

void viofs_loop_arm(struct viofs_loop *l, unsigned int index)
{
	l->ops->arm(l, &l->fds[index]);
}

void viofs_loop_adopt(struct viofs_loop *l)
{
	l->ops->adopt(l);
}

static bool passes(int rc)
{
	return rc == -EAGAIN || rc == -ENOMEM || rc == -EBUSY;
}

int viofs_loop_flush(struct viofs_loop *l)
{
	int rc = l->ops->flush(l);

	/* If it isn't submitted now, the next flush or wait does it. */
	return passes(rc) ? 0 : rc;
}

int viofs_loop_wait(struct viofs_loop *l, int64_t timeout_ns)
{
	int rc = l->ops->wait(l, timeout_ns);

	if (!passes(rc))
		return rc;
	usleep(NAP_US);
	return 0;
}
