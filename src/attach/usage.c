/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a device. */
/*
 * The lock says whether anybody has the device. Process ids can't: they are used again. A
 * supervisor listens at its control socket from its start until it removes the socket. So if a
 * socket refuses, its supervisor was killed, and the worker holds the lock. The kernel says whether
 * the mount is there. It can be gone while files are still open: umount -l.
 */
#include "attach/usage.h"
#include "base/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The listener may be dead: its io_uring keeps the socket open for a moment. */
static bool is_peer_dead(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.pid > 0 &&
	       kill(peer.pid, 0) < 0 && errno == ESRCH;
}

/* A socket file at which nobody listens any more. */
static bool is_deserted(const char *id)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char name[VIOFS_RECORD_ID + sizeof(VIOFS_CONTROL_SUFFIX)];
	bool deserted;
	int fd;

	snprintf(name, sizeof(name), "%s" VIOFS_CONTROL_SUFFIX, id);
	if (!*viofs_run_path(a.sun_path, sizeof(a.sun_path), name))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		deserted = errno == ECONNREFUSED;
	else
		deserted = is_peer_dead(fd);
	close(fd);
	return deserted;
}

/*
 * By the device number of the file system, which is unique while the file system exists. A path
 * could be of any mount. A mount that is found nowhere may still be in a namespace that we can't
 * see.
 */
static void find_mount(struct viofs_usage *s)
{
	const struct viofs_mountinfo_query query = { .ours = true, .minor = s->record.minor };

	if (s->record.minor)
		viofs_mountinfo_search(&query, &s->at);
}

int viofs_usage_read(const char *id, struct viofs_usage *out)
{
	struct viofs_usage s = { .holder = VIOFS_HOLDER_NONE };
	int locked = viofs_run_is_locked(id), rc;

	if (locked < 0)
		return locked;
	rc = viofs_record_read(id, &s.record);
	if (rc)
		return rc;
	if (locked)
		s.holder = is_deserted(id) ? VIOFS_HOLDER_WORKER : VIOFS_HOLDER_ALIVE;
	if (s.holder != VIOFS_HOLDER_NONE)
		find_mount(&s);
	*out = s;
	return 0;
}

static bool is_elsewhere(const struct viofs_usage *s)
{
	return viofs_usage_is_mounted(s) && s->at.pid != (int)getpid();
}

int viofs_usage_say(const struct viofs_usage *s, const char *device, int rc, struct viofs_err *err)
{
	const struct viofs_record *r = &s->record;
	const char *at = viofs_usage_is_mounted(s) ? s->at.mountpoint : r->mountpoint;
	char gone[PATH_MAX + 128] = "";

	if (viofs_usage_is_gone(s))
		snprintf(
			gone, sizeof(gone),
			" Its mount at %s is gone (umount -l?); it ends when the last file that is "
			"open there is closed.",
			r->mountpoint);
	if (s->holder == VIOFS_HOLDER_NONE)
		return viofs_err_set(err, rc, "Nobody uses %s now.", device);
	/* A new mount namespace gets copies of all mounts. An umount here doesn't end those. */
	if (s->holder == VIOFS_HOLDER_ALIVE && is_elsewhere(s))
		return viofs_err_set(
			err, rc,
			"%s is in use by another virtiofs-vfio (pid %d): it is mounted at %s in "
			"the mount namespace of process %d. Unmount it there, end that process, "
			"or use viofsctl abort.",
			device, r->pid, at, s->at.pid);
	if (s->holder == VIOFS_HOLDER_ALIVE)
		return viofs_err_set(
			err, rc, "%s is in use by another virtiofs-vfio (pid %d%s%s).%s", device,
			r->pid, viofs_usage_is_mounted(s) ? ", at " : "", s->at.mountpoint, gone);
	if (gone[0])
		return viofs_err_set(err, rc,
				     "%s is in use by the worker of a virtiofs-vfio whose "
				     "supervisor (pid %d) was killed.%s",
				     device, r->pid, gone);
	return viofs_err_set(err, rc,
			     "%s is in use at %s by the worker of a virtiofs-vfio whose supervisor "
			     "(pid %d) was killed: it serves on, and ends with umount %s.",
			     device, at, r->pid, at);
}
