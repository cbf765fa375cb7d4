/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker process, whatever number of lanes it has.
 *
 * It has what the supervisor opened, and makes io_urings and threads of its own. Before it reads
 * anything that a device wrote, or a dead worker, it enters the sandbox (sandbox.h); from then on
 * it can open nothing, and its messages go to the supervisor, which has the log. Memory pressure
 * must not stop it: the kernel may need it to write dirty pages before it gets any memory back. So
 * it is locked into memory, is no prey for the OOM killer (nor is the supervisor: inherit.h), and
 * its own allocations don't wait for writeback (PR_SET_IO_FLUSHER), as far as its rights go.
 *
 * Signals that ask for the end are for the supervisor (inherit.c has what becomes of all others):
 * the worker serves until the mount is gone, as unmounting needs it. It goes on also where the
 * supervisor was killed; then nobody is left to halt the device, and it does that itself before its
 * memory goes.
 */
#include "daemon/worker.h"
#include "base/log.h"
#include "base/uapi.h"
#include "base/util.h"
#include "daemon/launch.h"
#include "daemon/life.h"
#include "daemon/message.h"
#include "daemon/report.h"
#include "relay/adopt.h"
#include "relay/observe.h"
#include "relay/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
	const struct viofs_worker_config *config;
	pid_t supervisor;
	int report_fd, log_fd, life_fd;
};

static void report(const struct worker *w, enum viofs_report_kind kind, int rc,
		   const struct viofs_err *err)
{
	rc = viofs_report_send(w->report_fd, kind, rc, err);
	if (rc)
		viofs_warn("the supervisor does not listen: %s", strerror(-rc));
}

/* With its rights gone: this thread has none. Without it a stuck one is noticed later. */
static void live(const struct worker *w)
{
	int rc = viofs_life_start(w->life_fd);

	if (rc)
		viofs_warn("the thread that shows that the worker lives: %s", strerror(-rc));
}

static void serving(void *arg)
{
	report(arg, VIOFS_REPORT_SERVING, 0, NULL);
}

/* Each is best effort: the message says what was not allowed. */
static void harden_against_reclaim(const struct viofs_arena *arena,
				   const struct viofs_capture *capture)
{
	char missing[128] = "";

	viofs_arena_hide_sparse(arena, true);
	if (capture)
		viofs_capture_hide(capture, true);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		strcat(missing, " mlockall");
	if (viofs_arena_hide_sparse(arena, false) ||
	    (capture && viofs_capture_hide(capture, false)))
		abort(); /* can't fail: its memory is there already */
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		strcat(missing, " PR_SET_IO_FLUSHER");
	if (missing[0])
		viofs_debug("not allowed here, so low memory may stall this mount:%s", missing);
}

static void take_signals(void)
{
	sigset_t none;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Threads that are started later inherit it, those of the kernel's for an io_uring too. */
static int pin(const cpu_set_t *cpus, struct viofs_err *err)
{
	if (!CPU_COUNT(cpus) || !sched_setaffinity(0, sizeof(*cpus), cpus))
		return 0;
	return viofs_err_set(err, -errno,
			     "-o cpus=: %s. None of these CPUs is there for this process; "
			     "taskset -p shows those that are.",
			     strerror(errno));
}

/*
 * A thread of the supervisor that unmounts may have the mount's root open while it forks: here it
 * would keep the mount busy for good.
 */
static int keep_own(const struct worker *w, struct viofs_err *err)
{
	const struct viofs_worker_config *c = w->config;
	const struct viofs_virtio *d = c->claim->at.fs->virtio;
	const int more[] = { w->report_fd, w->log_fd, w->life_fd,
			     d->returns ? d->returns->connection(d) : -1 };
	int rc = viofs_descriptors_keep_only(c->descriptors, more, VIOFS_ARRAY_SIZE(more));

	return rc ? viofs_err_set(err, rc, "/proc/self/fd: %s", strerror(-rc)) : 0;
}

/* Of what is there already: by the parent's word, as a dead worker's may be a device's. */
static int prepare(const struct viofs_worker_config *c, struct viofs_err *err)
{
	struct viofs_relay *r = c->claim->relay;

	return c->succeeds ? viofs_adopt_prepare(r, c->fuse_fd, err)
			   : viofs_relay_prepare(r, c->fuse_fd, err);
}

/* Records go on where the last worker has left them. */
static int succeed(const struct viofs_worker_config *c, struct viofs_err *err)
{
	int rc = viofs_adopt_forked(c->relay, c->crashed, &c->claim->at.fs, &c->claim->relay, err);

	if (!rc)
		viofs_tap_attach(c->claim->relay, c->claim->capture);
	return rc;
}

/*
 * Everything that takes rights is done before the sandbox is entered. Nothing that a device said is
 * read before, nor anything that a dead worker has left, which a device may have taken over.
 */
static int work(struct worker *w)
{
	const struct viofs_worker_config *c = w->config;
	struct viofs_err err = { .text = "" };
	int rc;

	viofs_loop_close(c->supervisors_loop);
	rc = keep_own(w, &err);
	viofs_opened_drop_dma(&c->claim->at);
	setpgid(0, 0);
	prctl(PR_SET_NAME, "viofs-worker", 0, 0, 0);
	take_signals();
	/*
	 * It has no use for the terminal, and isn't trusted with it. With -d it shows what an
	 * assertion has to say, and leaves its core file where it was started.
	 */
	if (!c->sandbox.debug && !VIOFS_SANDBOX_SANITIZED)
		viofs_launch_let_go();
	harden_against_reclaim(c->claim->at.arena, c->claim->capture);
	if (!rc)
		rc = pin(c->cpus, &err);
	if (!rc)
		rc = prepare(c, &err);
	if (!rc)
		rc = viofs_sandbox_enter(&c->sandbox, &err);
	if (!rc)
		live(w);
	if (!rc && c->succeeds)
		rc = succeed(c, &err);
	if (!rc)
		rc = viofs_relay_run(c->claim->relay, c->fuse_fd, serving, w, &err);
	if (!rc || !viofs_observe_is_lost(c->claim->relay)) {
		if (rc)
			report(w, VIOFS_REPORT_FAILED, rc, &err);
		if (getppid() != w->supervisor)
			viofs_claim_halt(c->claim);
		return rc ? 1 : 0;
	}
	/* The device first: an unplug waits until it is closed. */
	viofs_opened_close_copies(&c->claim->at);
	report(w, VIOFS_REPORT_LOST, rc, &err);
	viofs_relay_refuse(c->claim->relay);
	return 1;
}

enum { REPORT, LOG, LIFE, PIPES };

static void close_pipes(int pipes[PIPES][2], int end)
{
	for (int i = 0; i < PIPES; i++)
		if (pipes[i][end] >= 0)
			close(pipes[i][end]);
}

/* The supervisor's ends don't block, nor the worker's end for messages. Return: 0 or -errno. */
static int make_pipes(int pipes[PIPES][2])
{
	int rc = 0;

	for (int i = 0; i < PIPES; i++)
		pipes[i][0] = pipes[i][1] = -1;
	for (int i = 0; i < PIPES && !rc; i++)
		if (pipe2(pipes[i], O_CLOEXEC) < 0 || fcntl(pipes[i][0], F_SETFL, O_NONBLOCK) < 0)
			rc = -errno;
	if (!rc && fcntl(pipes[LOG][1], F_SETFL, O_NONBLOCK) < 0)
		rc = -errno;
	if (rc) {
		close_pipes(pipes, 0);
		close_pipes(pipes, 1);
	}
	return rc;
}

pid_t viofs_worker_start(const struct viofs_worker_config *config, struct viofs_worker_pipes *out,
			 struct viofs_err *err)
{
	struct worker w = { config, getpid(), -1, -1, -1 };
	int pipes[PIPES][2], rc;
	pid_t pid;

	rc = make_pipes(pipes);
	if (rc)
		return viofs_err_set(err, rc, "No pipe for the worker: %s.", strerror(-rc));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		close_pipes(pipes, 0);
		w.report_fd = pipes[REPORT][1];
		w.log_fd = pipes[LOG][1];
		w.life_fd = pipes[LIFE][1];
		viofs_message_to_pipe(pipes[LOG][1]);
		_exit(work(&w));
	}
	rc = -errno;
	close_pipes(pipes, 1);
	if (pid < 0) {
		close_pipes(pipes, 0);
		return viofs_err_set(err, rc, "The worker can't be started: %s.", strerror(-rc));
	}
	*out = (struct viofs_worker_pipes){ pipes[REPORT][0], pipes[LOG][0], pipes[LIFE][0] };
	return pid;
}

int viofs_worker_death(int status, struct viofs_err *err)
{
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (number == SIGSYS)
		return viofs_err_set(
			err, -EIO,
			"the worker made a system call that its seccomp filter doesn't "
			"know, and was killed; -o seccomp=log has it logged instead");
	if (number == SIGBUS)
		return viofs_err_set(
			err, -EIO,
			"the worker was killed by SIGBUS: memory that it shares with the "
			"device is not there any more. Has the back end punched holes "
			"into it?");
	if (number)
		return viofs_err_set(err, -EIO, "the worker was killed by signal %d (%s)", number,
				     strsignal(number));
	if (WEXITSTATUS(status))
		return viofs_err_set(err, -EIO, "the worker ended with status %d",
				     WEXITSTATUS(status));
	return 0;
}
