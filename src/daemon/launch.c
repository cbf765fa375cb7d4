/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaving the terminal. */
#include "daemon/launch.h"
#include "base/log.h"
#include "daemon/message.h"
#include "viofs_config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#if VIOFS_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

struct outcome {
	int rc;
	struct viofs_err err;
};

/* What usually sends a signal that no person has sent. */
static const char *hint(int signal)
{
	switch (signal) {
	case SIGKILL:
		return " Has the kernel, or a limit of a control group, ended it for want of "
		       "memory? See dmesg.";
	case SIGXFSZ:
		return " The limit on the size of files (ulimit -f) leaves no room for its record.";
	case SIGXCPU:
		return " The limit on CPU time (ulimit -t) is used up.";
	default:
		return "";
	}
}

/* The child has closed the pipe, so it has ended or is about to. */
static void say_end(pid_t pid)
{
	int status;
	pid_t rc;

	do
		rc = waitpid(pid, &status, 0);
	while (rc < 0 && errno == EINTR);
	if (rc == pid && WIFSIGNALED(status))
		viofs_error("The daemon was killed at its start by signal %d (%s).%s",
			    WTERMSIG(status), strsignal(WTERMSIG(status)), hint(WTERMSIG(status)));
	else if (rc == pid)
		viofs_error("The daemon ended at its start with status %d and has not said why.",
			    WEXITSTATUS(status));
	else
		viofs_error("The daemon ended at its start and has not said why.");
}

__attribute__((noreturn)) static void wait_for_outcome(int fd, pid_t pid, int failure)
{
	struct outcome o;
	ssize_t n;

	do {
		n = read(fd, &o, sizeof(o));
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(o)) {
		say_end(pid);
		exit(failure);
	}
	if (o.rc)
		viofs_error("%.*s", (int)sizeof(o.err.text) - 1, o.err.text);
	exit(o.rc ? failure : 0);
}

int viofs_launch(int failure, struct viofs_err *err)
{
	int fds[2], rc;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		rc = -errno;
		return viofs_err_set(err, rc, "No pipe: %s.", strerror(-rc));
	}
	pid = fork();
	if (pid < 0) {
		rc = -errno;
		close(fds[0]);
		close(fds[1]);
		return viofs_err_set(err, rc, "No new process: %s.", strerror(-rc));
	}
	if (pid) {
		close(fds[1]);
		wait_for_outcome(fds[0], pid, failure);
	}
	close(fds[0]);
	/*
	 * systemd waits for a process that stays. A service's script that mounts something is not
	 * ready for that, nor stopping when it is unmounted.
	 */
	unsetenv("NOTIFY_SOCKET");
	return fds[1];
}

void viofs_launch_leave_session(void)
{
	setsid();
}

void viofs_launch_outcome(int fd, int rc, const struct viofs_err *err)
{
	struct outcome o = { .rc = rc };

	if (rc)
		o.err = *err;
	/*
	 * Smaller than PIPE_BUF: one write, whole or not at all. A parent that is gone doesn't
	 * matter.
	 */
	if (write(fd, &o, sizeof(o)) < 0)
		viofs_debug("nobody waits for the outcome");
	close(fd);
}

void viofs_launch_detach(const char *mountpoint)
{
	viofs_message_to_syslog(mountpoint);
	viofs_launch_let_go();
}

void viofs_launch_tell_systemd(const char *state)
{
#if VIOFS_HAVE_SYSTEMD
	sd_notify(0, state);
#endif
}

void viofs_launch_let_go(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	/* The daemon's working directory must not keep a file system from being unmounted. */
	if (chdir("/") < 0)
		viofs_warn("chdir /: %s", strerror(errno));
}
