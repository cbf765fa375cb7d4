/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker process.
 *
 * It has what the supervisor opened and opens nothing of its own but threads and an io_uring. Memory
 * pressure must not stop it: the kernel may need it to write dirty pages before it gets any memory back.
 * So it is locked into memory, is no prey for the OOM killer, and its own allocations don't wait for
 * writeback (PR_SET_IO_FLUSHER), as far as its rights go.
 *
 * SIGTERM and SIGINT are for the supervisor: the worker serves until the mount is gone, as unmounting
 * needs it. It goes on also where the supervisor was killed.
 */
#include "daemon/worker.h"
#include "base/log.h"
#include "base/uapi.h"
#include "base/util.h"
#include "daemon/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct worker {
	const struct viofs_worker_config *config;
	int report_fd;
};

static void report(const struct worker *w, int rc, const struct viofs_err *err, bool lost)
{
	struct viofs_worker_report r = { .rc = rc, .lost = lost };

	if (err)
		r.err = *err;
	if (write(w->report_fd, &r, sizeof(r)) < 0)
		viofs_warn("the supervisor does not listen: %s", strerror(errno));
}

static void serving(void *arg)
{
	const struct worker *w = arg;

	report(w, 0, NULL, false);
	if (w->config->detach)
		viofs_launch_detach(w->config->mountpoint);
}

/* Best effort, each: the text names what was not allowed. */
static void harden_against_reclaim(void)
{
	char missing[128] = "";
	int fd;

	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		strcat(missing, " mlockall");
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		strcat(missing, " PR_SET_IO_FLUSHER");
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "-1000", 5) < 0)
		strcat(missing, " oom_score_adj");
	if (fd >= 0)
		close(fd);
	if (missing[0])
		viofs_debug("not allowed here, so low memory may stall this mount:%s", missing);
}

static void take_signals(void)
{
	sigset_t none;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int work(struct worker *w)
{
	const struct viofs_worker_config *c = w->config;
	struct viofs_err err = { "" };
	int rc;

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(c->supervisors_fds); i++)
		close(c->supervisors_fds[i]);
	setpgid(0, 0);
	prctl(PR_SET_NAME, "viofs-worker", 0, 0, 0);
	take_signals();
	harden_against_reclaim();
	rc = viofs_relay_run(c->claim->relay, c->fuse_fd, serving, w, &err);
	if (!rc)
		return 0;
	if (!viofs_relay_is_lost(c->claim->relay)) {
		report(w, rc, &err, false);
		return 1;
	}
	/* The device first: whoever unplugs it waits for us. */
	viofs_claim_close_copies(c->claim);
	report(w, rc, &err, true);
	viofs_relay_refuse(c->claim->relay);
	return 1;
}

pid_t viofs_worker_start(const struct viofs_worker_config *config, int *report_fd,
			 struct viofs_err *err)
{
	struct worker w = { config, -1 };
	int fds[2], rc;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		rc = -errno;
		return viofs_err_set(err, rc, "No pipe for the worker: %s.", strerror(-rc));
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		rc = -errno;
		close(fds[0]);
		close(fds[1]);
		return viofs_err_set(err, rc, "The worker can't be started: %s.", strerror(-rc));
	}
	if (!pid) {
		close(fds[0]);
		w.report_fd = fds[1];
		_exit(work(&w));
	}
	close(fds[1]);
	*report_fd = fds[0];
	return pid;
}
