/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a device. */
/*
 * The lock says whether anybody has it; process ids don't, as they are used again. A supervisor
 * listens at its control socket from its start until it removes it: a socket that refuses is that
 * of a supervisor that was killed, and who has the lock is the worker. Whether the mount is there
 * the kernel says. It may be gone while files are open: umount -l.
 */
#include "hold/state.h"
#include "base/run.h"
#include "pci/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket file at which nobody listens any more. */
static bool is_deserted(const char *id)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char name[VIOFS_RECORD_ID + sizeof(VIOFS_CONTROL_SUFFIX)];
	bool refused;
	int fd;

	snprintf(name, sizeof(name), "%s" VIOFS_CONTROL_SUFFIX, id);
	if (!*viofs_run_path(a.sun_path, sizeof(a.sun_path), name))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static bool is_mounted(const char *mountpoint)
{
	const struct viofs_mountinfo_query query = { .ours = true, .mountpoint = mountpoint };
	struct viofs_mounted at;

	return mountpoint[0] && viofs_mountinfo_search(&query, &at) == 1;
}

int viofs_state_read(const char *id, struct viofs_state *out)
{
	struct viofs_state s = { .holder = VIOFS_HOLDER_NONE };
	int locked = viofs_run_is_locked(id), rc;

	if (locked < 0)
		return locked;
	rc = viofs_record_read(id, &s.record);
	if (rc)
		return rc;
	if (locked)
		s.holder = is_deserted(id) ? VIOFS_HOLDER_WORKER : VIOFS_HOLDER_ALIVE;
	s.mounted = is_mounted(s.record.mountpoint);
	*out = s;
	return 0;
}

int viofs_state_say(const struct viofs_state *s, const char *device, int rc, struct viofs_err *err)
{
	const struct viofs_record *r = &s->record;
	char gone[PATH_MAX + 128] = "";

	if (r->mountpoint[0] && !s->mounted)
		snprintf(
			gone, sizeof(gone),
			" Its mount at %s is gone (umount -l?); it ends when the last file that is "
			"open there is closed.",
			r->mountpoint);
	if (s->holder == VIOFS_HOLDER_NONE)
		return viofs_err_set(err, rc, "Nobody uses %s now.", device);
	if (s->holder == VIOFS_HOLDER_ALIVE)
		return viofs_err_set(
			err, rc, "%s is in use by another virtiofs-vfio (pid %d%s%s).%s", device,
			r->pid, s->mounted ? ", at " : "", s->mounted ? r->mountpoint : "", gone);
	if (gone[0])
		return viofs_err_set(err, rc,
				     "%s is in use by the worker of a virtiofs-vfio whose "
				     "supervisor (pid %d) was killed.%s",
				     device, r->pid, gone);
	return viofs_err_set(err, rc,
			     "%s is in use at %s by the worker of a virtiofs-vfio whose supervisor "
			     "(pid %d) was killed: it serves on, and ends with umount %s.",
			     device, r->mountpoint, r->pid, r->mountpoint);
}
