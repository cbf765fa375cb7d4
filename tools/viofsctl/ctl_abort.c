/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl abort: end a session at once, whoever uses it. */
#include "ctl.h"
#include "daemon/control.h"

#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Worker killed after a second, then reset, unmapping and binding: more than enough. */
#define END_MS 15000

/* By number: older C libraries have no wrapper. */
static int open_process(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int ask_for_the_end(const char *socket, const char *mountpoint)
{
	json_t *reply = NULL;
	int rc = viofs_control_ask(socket, VIOFS_CONTROL_ABORT, &reply);
	bool aborted = json_is_true(json_object_get(reply, "aborted"));

	json_decref(reply);
	if (rc)
		return viofs_ctl_complain("%s: %s.", socket, strerror(-rc));
	if (!aborted)
		return viofs_ctl_complain(
			"The daemon of %s does not know how to abort: an older one?", mountpoint);
	return 0;
}

/* Return: 0 when the daemon has ended, and the device is back. */
static int abort_one(const json_t *s, const char *mountpoint)
{
	pid_t pid = (pid_t)json_integer_value(json_object_get(s, "supervisor"));
	/* Opened before the daemon is asked: afterwards the number may be another process's. */
	struct pollfd p = { .fd = open_process(pid), .events = POLLIN };
	int status;

	status = ask_for_the_end(json_string_value(json_object_get(s, "socket")), mountpoint);
	if (p.fd < 0)
		return status;
	if (!status && poll(&p, 1, END_MS) == 0)
		status = viofs_ctl_complain(
			"The mount is aborted, but process %d has not ended within %d s.", (int)pid,
			END_MS / 1000);
	close(p.fd);
	return status;
}

int viofs_ctl_abort(const char *mountpoint)
{
	json_t *all = json_array();
	int status = viofs_ctl_ask_all(mountpoint, VIOFS_CTL_EXACT, all);

	if (json_array_size(all))
		status = abort_one(json_array_get(all, 0), mountpoint);
	json_decref(all);
	return status;
}
