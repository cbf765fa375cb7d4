/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a device. */
/*
 * The lock says whether anybody has it; process ids don't, as they are used again. A supervisor
 * listens at its control socket from its start until it removes it: a socket that refuses is that
 * of a supervisor that was killed, and who has the lock is the worker. Whether the mount is there
 * the kernel says. It may be gone while files are open: umount -l.
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

/* Who listens may be dead: its io_uring keeps the socket for a moment. */
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

/* By the number of its file system, which is no other's while that exists; a path may be anybody's.
 * Nowhere is as good as not to be seen. */
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
	/* A namespace has copies of the mounts that there were: nobody's umount here ends those. */
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
