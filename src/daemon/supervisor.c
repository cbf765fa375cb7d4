/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor: it starts everything, waits while the worker serves, and takes everything back.
 *
 *   start       find the device, claim it, mount, start the worker
 *   watch       until the worker has ended; what happens meanwhile leads from phase to phase, by
 *               the table of phase.h: reports and signals (course.c), questions of others
 *               (answers.c), an unmount (ending.c), a back end that comes back (outage.c)
 *   finish      mount gone, device reset and given back, socket and record removed
 *
 * A worker that doesn't end by itself once the mount is gone is killed; one that answers nothing,
 * not even by its own time-out, is found out here (watch_worker()). One that dies while it serves
 * is succeeded by another (succeed()), which finds all of the session in the state (relay/state.h);
 * so is one that is stuck, and killed for it.
 *
 * The supervisor relays nothing and holds copies of all descriptors. Whatever way the last worker
 * ends, finish is the same.
 */
#include "daemon/supervisor.h"
#include "base/log.h"
#include "base/util.h"
#include "attach/source.h"
#include "daemon/inherit.h"
#include "daemon/launch.h"
#include "daemon/message.h"
#include "daemon/second.h"
#include "daemon/supervision.h"
#include "kernel/mount_point.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCH_NS (1 * VIOFS_NSEC_PER_SEC)
/* ... while nothing has a time limit: the worker may still have begun to end. */
#define WATCH_IDLE_NS (30 * VIOFS_NSEC_PER_SEC)

/* How often a worker is looked at that dies. */
#define DYING_NS (10 * VIOFS_NSEC_PER_MSEC)

/* What can be wrong with the mount point is known before any device is touched. */
static int start_mount(struct viofs_supervision *s, int directory, struct viofs_err *err)
{
	const struct viofs_mount_config config = {
		.source = s->o->source,
		.directory = directory,
		.options = &s->o->mount,
		.max_read = VIOFS_MIN(s->o->relay.max_data, VIOFS_RELAY_READ_MAX),
	};
	int rc = viofs_mount_start(s->mount, &config, err);

	if (rc)
		return viofs_err_prefix(err, rc, "mount at %s", s->mountpoint);
	rc = viofs_hold_note_mount(&s->claim->at.hold, viofs_mount_minor(s->mount));
	return rc ? viofs_err_set(err, rc, VIOFS_RUN_DIR ": %s", strerror(-rc)) : 0;
}

static int start_loop(struct viofs_supervision *s, struct viofs_err *err)
{
	int rc = viofs_loop_open(&s->loop, s->o->relay.loop);

	if (rc)
		return viofs_err_set(err, rc, "nothing can be waited for: %s", strerror(-rc));
	viofs_loop_add(&s->loop, s->signal_fd, VIOFS_LOOP_INPUT);
	viofs_loop_add(&s->loop, s->worker.pipes.report_fd, VIOFS_LOOP_INPUT);
	viofs_loop_add(&s->loop, s->worker.pipes.log_fd, VIOFS_LOOP_INPUT);
	viofs_loop_add(&s->loop, s->control_fd, VIOFS_LOOP_INPUT);
	viofs_loop_add(&s->loop, viofs_outage_fd(&s->outage), VIOFS_LOOP_INPUT);
	viofs_loop_add(&s->loop, s->worker.pipes.life_fd, VIOFS_LOOP_INPUT);
	viofs_loop_add(&s->loop, s->recorder.epoll_fd, VIOFS_LOOP_INPUT);
	return 0;
}

/*
 * What the first worker is to have of what is open; its successors get no more. The numbers mean
 * the same until the end, but that of a connection that may be made anew.
 */
static int find_workers(struct viofs_supervision *s, struct viofs_err *err)
{
	const struct viofs_virtio *d = s->claim->at.fs->virtio;
	const int others[] = { s->control_fd,
			       s->signal_fd,
			       s->outcome_fd,
			       viofs_mount_control_fd(s->mount),
			       s->recorder.epoll_fd,
			       s->recorder.fd,
			       d->returns ? d->returns->connection(d) : -1 };
	int rc = viofs_descriptors_find(&s->workers);

	if (rc)
		return viofs_err_set(err, rc, "/proc/self/fd: %s", strerror(-rc));
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(others); i++)
		viofs_descriptors_remove(&s->workers, others[i]);
	return 0;
}

static int start_worker(struct viofs_supervision *s, bool succeeds, struct viofs_err *err)
{
	const struct viofs_worker_config config = {
		.claim = s->claim,
		.fuse_fd = viofs_mount_fd(s->mount),
		.cpus = &s->o->cpus,
		.sandbox = { .seccomp = s->o->seccomp,
			     .debug = s->o->debug,
			     .epoll = s->o->relay.loop == VIOFS_LOOP_EPOLL },
		.descriptors = &s->workers,
		.supervisors_loop = &s->loop,
		.relay = &s->o->relay,
		.succeeds = succeeds,
		.crashed = s->succession.crashed,
	};
	pid_t pid = viofs_worker_start(&config, &s->worker.pipes, err);

	if (pid < 0)
		return pid;
	s->worker.pid = pid;
	return 0;
}

static int start_on(struct viofs_supervision *s, int directory, struct viofs_err *err)
{
	int rc = viofs_source_find(s->o->source, &s->source, err);

	if (!rc)
		rc = viofs_second_mount(&s->source, s->o, directory, err);
	s->again = rc > 0;
	if (!rc)
		rc = viofs_claim_open(&s->source, s->o, &s->claim, err);
	if (rc)
		return s->again ? 0 : rc;
	rc = viofs_hold_note(&s->claim->at.hold, s->claim->at.fs->tag, s->mountpoint, getpid());
	if (rc)
		return viofs_err_set(err, rc, VIOFS_RUN_DIR ": %s", strerror(-rc));
	viofs_message_name_mount(s->mountpoint, s->claim->at.fs->tag);
	rc = s->control_fd = viofs_control_listen(s->source.id, err);
	if (rc < 0)
		return rc;
	return start_mount(s, directory, err);
}

static int start(struct viofs_supervision *s, struct viofs_err *err)
{
	int directory, rc;

	rc = directory =
		viofs_mount_point_open(s->o->mountpoint, s->mountpoint, sizeof(s->mountpoint), err);
	if (rc < 0)
		return rc;
	rc = viofs_mount_new(&s->mount, err);
	if (!rc)
		rc = start_on(s, directory, err);
	close(directory);
	if (s->outcome_fd >= 0)
		viofs_launch_leave_session();
	if (rc || s->again)
		return rc;
	viofs_outage_init(&s->outage, s->claim);
	s->watchdog = (struct viofs_watchdog){
		.relay = s->claim->relay,
		.fuse_fd = viofs_mount_fd(s->mount),
		.timeout_ns = s->o->relay.timeout_ms * VIOFS_NSEC_PER_MSEC,
	};
	viofs_recorder_init(&s->recorder, s->claim->capture);
	rc = viofs_relay_open(s->claim->relay, viofs_mount_fd(s->mount), err);
	if (!rc)
		rc = find_workers(s, err);
	if (!rc)
		rc = start_worker(s, false, err);
	return rc ? rc : start_loop(s, err);
}

static void watch_worker(struct viofs_supervision *s)
{
	int64_t now = viofs_now_ns(), age;
	struct viofs_err err;

	if (viofs_watchdog_lingers(&s->watchdog, now))
		s->worker.kill_at = now;
	switch (viofs_watchdog_judge(&s->watchdog, now, s->ending.started, &age)) {
	case VIOFS_WATCHDOG_FINE:
		break;
	case VIOFS_WATCHDOG_STALLS:
		viofs_err_set(&err, -ETIMEDOUT,
			      "the device has answered nothing for %d s: the mount is aborted",
			      (int)(age / VIOFS_NSEC_PER_SEC));
		viofs_course_fail(s, -ETIMEDOUT, &err);
		viofs_course_abort(s, VIOFS_WORKER_END_NS);
		break;
	case VIOFS_WATCHDOG_STUCK:
		viofs_err_set(&err, -ETIMEDOUT,
			      "the worker has done nothing about a request for %d s: it is killed",
			      (int)(age / VIOFS_NSEC_PER_SEC));
		viofs_course_stick(s, &err);
		break;
	}
}

/*
 * Without the daemon in it, a namespace that nobody uses would be gone, and its mounts too. So they
 * are unmounted, in this namespace only: the session goes on if there are mounts elsewhere.
 */
static void watch_namespace(struct viofs_supervision *s)
{
	if (!viofs_namespace_is_unused(&s->ns) || s->ending.started)
		return;
	viofs_journal_ask(&s->journal, "the end of the last user of its mount namespace");
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	viofs_course_unmount(s);
}

/* For how many ns the session doesn't need the supervisor. Return: -1: until something happens. */
static int64_t session_time(const struct viofs_supervision *s)
{
	int64_t outage = viofs_outage_time(&s->outage);

	if (s->worker.dying)
		return DYING_NS;
	if (outage >= 0)
		return VIOFS_MIN(outage, WATCH_NS);
	if (s->worker.kill_at)
		return VIOFS_MAX(s->worker.kill_at - viofs_now_ns(), WATCH_NS);
	if (!viofs_phase_rules(s->phase)->watch)
		return -1;
	return s->ending.started || s->o->relay.timeout_ms || s->worker.stopped ? WATCH_NS
										: WATCH_IDLE_NS;
}

static int64_t watch_time(const struct viofs_supervision *s)
{
	int64_t session = session_time(s), ns = viofs_namespace_time(&s->ns);

	return session < 0 || ns < 0 ? VIOFS_MAX(session, ns) : VIOFS_MIN(session, ns);
}

/* Only signals and the worker's end are seen then, ten times a second: the mount has to go. */
static void watch_without_loop(struct viofs_supervision *s, int rc)
{
	struct viofs_err err;

	viofs_err_set(&err, rc, "waiting by %s: %s", viofs_loop_name(s->o->relay.loop),
		      strerror(-rc));
	viofs_course_fail(s, rc, &err);
	if (!s->worker.kill_at)
		viofs_course_abort(s, VIOFS_ABORT_END_NS);
	usleep(100000);
	viofs_course_read_signals(s);
}

static void close_pipes(struct viofs_supervision *s)
{
	const int fds[] = { s->worker.pipes.report_fd, s->worker.pipes.log_fd,
			    s->worker.pipes.life_fd };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	s->worker.pipes = (struct viofs_worker_pipes){ -1, -1, -1 };
}

/* Another worker in place of one that has died, where there is to be one. Return: is there one? */
static bool succeed(struct viofs_supervision *s)
{
	struct viofs_err err;
	int rc;

	if (!s->succession.due)
		return false;
	s->succession.due = false;
	viofs_loop_remove(&s->loop, VIOFS_WAKE_REPORT);
	viofs_loop_remove(&s->loop, VIOFS_WAKE_MESSAGES);
	viofs_loop_remove(&s->loop, VIOFS_WAKE_LIFE);
	close_pipes(s);
	rc = start_worker(s, true, &err);
	if (rc) {
		viofs_course_fail(s, viofs_err_prefix(&err, rc, "%s", s->succession.last.text),
				  &err);
		return false;
	}
	s->worker.state = VIOFS_WORKER_SUCCEEDING;
	s->worker.stopped = s->worker.stuck = false;
	s->worker.dying = s->worker.looks = 0;
	viofs_watchdog_begin_again(&s->watchdog, viofs_now_ns());
	viofs_loop_put(&s->loop, VIOFS_WAKE_REPORT, s->worker.pipes.report_fd);
	viofs_loop_put(&s->loop, VIOFS_WAKE_MESSAGES, s->worker.pipes.log_fd);
	viofs_loop_put(&s->loop, VIOFS_WAKE_LIFE, s->worker.pipes.life_fd);
	return true;
}

/* Until the last worker has ended. */
static void watch(struct viofs_supervision *s)
{
	int rc;

	while (s->worker.pid || succeed(s)) {
		if (viofs_phase_rules(s->phase)->watch && !s->worker.kill_at && !s->worker.stuck)
			watch_worker(s);
		if (s->worker.kill_at && viofs_now_ns() - s->worker.kill_at >= 0)
			kill(s->worker.pid, SIGKILL);
		rc = viofs_loop_wait(&s->loop, watch_time(s));
		if (rc && rc != -ETIME) {
			watch_without_loop(s, rc);
			continue;
		}
		if (viofs_loop_fired(&s->loop, VIOFS_WAKE_SIGNAL))
			viofs_course_read_signals(s);
		if (viofs_loop_fired(&s->loop, VIOFS_WAKE_REPORT) && s->worker.pid &&
		    !viofs_course_read_report(s))
			viofs_loop_remove(&s->loop, VIOFS_WAKE_REPORT);
		if (viofs_loop_fired(&s->loop, VIOFS_WAKE_MESSAGES) &&
		    !viofs_message_forward(s->worker.pipes.log_fd, &s->worker.flow))
			viofs_loop_remove(&s->loop, VIOFS_WAKE_MESSAGES);
		if (viofs_loop_fired(&s->loop, VIOFS_WAKE_LIFE)) {
			viofs_loop_remove(&s->loop, VIOFS_WAKE_LIFE);
			s->worker.dying = viofs_now_ns();
		}
		if (s->worker.dying)
			viofs_course_look_for_death(s);
		if (viofs_loop_fired(&s->loop, VIOFS_WAKE_CONTROL))
			viofs_control_serve(s->control_fd, viofs_answers_commands, s);
		if (viofs_loop_fired(&s->loop, VIOFS_WAKE_RECORDER))
			viofs_recorder_look(&s->recorder);
		if (s->worker.pid && !s->by_abort)
			viofs_outage_look(&s->outage, viofs_worker_has_served(s->worker.state));
		watch_namespace(s);
	}
}

/* Take everything back: after a session, and after a start that failed half way. */
static void finish(struct viofs_supervision *s)
{
	bool was_there = s->mount && viofs_mount_is_there(s->mount);
	struct viofs_err err;
	int rc;

	if (s->mount)
		viofs_mount_end(s->mount);
	/*
	 * After the abort: before, it might wait for a page that a request of somebody else's
	 * holds.
	 */
	if (s->worker.pid) {
		kill(s->worker.pid, SIGKILL);
		waitpid(s->worker.pid, NULL, 0);
	}
	/* Nobody serves any more: whoever still waits, that thread too, gets an error. */
	viofs_mount_hang_up(s->mount);
	if (s->claim)
		viofs_relay_hang_up(s->claim->relay);
	if (viofs_ending_join(&s->ending))
		viofs_mount_close(s->mount);
	viofs_loop_close(&s->loop);
	viofs_outage_end(&s->outage);
	viofs_recorder_fini(&s->recorder);
	if (s->claim)
		viofs_control_close(s->control_fd, s->source.id);
	rc = viofs_claim_close(s->claim, &err);
	if (rc)
		viofs_course_fail(s,
				  viofs_err_prefix(&err, rc,
						   "%s could not be given back to its driver",
						   viofs_source_name(&s->source)),
				  &err);
	viofs_journal_end(&s->journal, viofs_source_name(&s->source), s->mountpoint, s->rc, &s->err,
			  was_there);
	viofs_descriptors_fini(&s->workers);
	json_decref(s->last_status);
	viofs_latency_forget(&s->looks);
	close_pipes(s);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
}

int viofs_supervisor_run(const struct viofs_options *o, int outcome_fd)
{
	/* Not on the stack: a thread that can't be joined may look at it until the process ends. */
	static struct viofs_supervision s;
	struct viofs_err err = { .text = "" };
	int rc;

	s = (struct viofs_supervision){
		.o = o,
		.outcome_fd = outcome_fd,
		.control_fd = -1,
		.signal_fd = -1,
		.worker.pipes = { -1, -1, -1 },
		.recorder = { .epoll_fd = -1, .fd = -1 },
		.succession.most = o->restarts,
	};
	viofs_inherit_no_oom();
	rc = s.signal_fd = viofs_inherit_signalfd(&err);
	if (rc >= 0)
		rc = start(&s, &err);
	if (rc)
		viofs_course_fail(&s, rc, &err);
	else
		watch(&s);
	finish(&s);
	if (s.again && !s.rc)
		viofs_journal_again(viofs_source_name(&s.source), s.mountpoint, s.outcome_fd >= 0);
	/* Only now, as everything is as it was before: whoever waits for the outcome may look. */
	if (s.outcome_fd >= 0)
		viofs_launch_outcome(s.outcome_fd, s.rc, &s.err);
	else if (s.rc && !viofs_worker_has_served(s.worker.state))
		viofs_error("%s", s.err.text);
	return s.rc ? 1 : 0;
}
