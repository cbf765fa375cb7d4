/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens to a mount, and what is done about it: the worker's reports, its death, signals that
 * ask for the end. Each leads from one phase to another by the table of phase.c.
 */
#include "base/log.h"
#include "daemon/launch.h"
#include "daemon/life.h"
#include "daemon/message.h"
#include "daemon/remedy.h"
#include "daemon/supervision.h"
#include "relay/observe.h"
#include "relay/stats.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that is killed needs some milliseconds for its end. */
#define DYING_NS (40 * VIOFS_NSEC_PER_MSEC)
/* After so long one that lives still isn't dying. */
#define DYING_MAX_NS (10 * VIOFS_NSEC_PER_SEC)

#define ENDED_EARLY "Ended by a signal before the mount answered."

static void enter(struct viofs_supervision *s, enum viofs_phase_event event)
{
	s->phase = viofs_phase_next(s->phase, event);
}

void viofs_course_fail(struct viofs_supervision *s, int rc, const struct viofs_err *err)
{
	if (s->rc)
		return;
	s->rc = rc;
	s->err = *err;
	viofs_remedy_add(&s->err);
	if (s->worker.state != VIOFS_WORKER_LOST && viofs_worker_has_served(s->worker.state))
		viofs_error("the session failed: %s", s->err.text);
}

static void start_serving(struct viofs_supervision *s)
{
	enter(s, VIOFS_PHASE_SERVES);
	viofs_namespace_init(&s->ns);
	viofs_launch_tell_systemd("READY=1");
	if (s->outcome_fd >= 0) {
		viofs_launch_outcome(s->outcome_fd, 0, NULL);
		s->outcome_fd = -1;
		viofs_launch_detach(s->mountpoint);
	}
	viofs_journal_begin(&s->journal, s->claim->at.fs->tag, viofs_source_name(&s->source),
			    s->mountpoint);
}

void viofs_course_abort(struct viofs_supervision *s, int64_t ns)
{
	int64_t kill_at = viofs_now_ns() + ns;
	int rc;

	enter(s, VIOFS_PHASE_ABORT);
	rc = viofs_mount_end(s->mount);
	if (rc) {
		viofs_error("the connection can't be aborted (%s): the worker is killed",
			    strerror(-rc));
		kill_at = viofs_now_ns();
	}
	if (!s->worker.kill_at || s->worker.kill_at - kill_at > 0)
		s->worker.kill_at = kill_at;
}

/*
 * The worker has let go of the device and answers EIO from here on. That must end with an unmount,
 * and not in finish(): taken away, the mount would uncover the directory below, for programs to
 * write to.
 */
static void lose_device(struct viofs_supervision *s, int rc, const struct viofs_err *err)
{
	enter(s, VIOFS_PHASE_LOSES);
	viofs_course_fail(s, rc, err);
	viofs_error("%s. The device is lost: requests get EIO from now on. Unmount %s to end this.",
		    err->text, s->mountpoint);
	viofs_launch_tell_systemd("STATUS=The device is lost; unmount to end this.");
	s->last_status = viofs_answers_live_status(s);
	viofs_loop_remove(&s->loop, VIOFS_WAKE_BACK_END);
	viofs_outage_end(&s->outage);
	viofs_claim_let_go(s->claim);
	if (s->asked)
		viofs_course_abort(s, VIOFS_WORKER_END_NS);
}

/* The worker ends by itself, soon. */
static void end_worker(struct viofs_supervision *s, int rc, const struct viofs_err *err)
{
	enter(s, VIOFS_PHASE_FAILS);
	viofs_course_fail(s, rc, err);
	if (!s->worker.kill_at)
		s->worker.kill_at = viofs_now_ns() + VIOFS_WORKER_END_NS;
}

/* A worker that reports what it may not report has been taken over. */
static void disown_worker(struct viofs_supervision *s, struct viofs_err *err)
{
	viofs_err_prefix(err, 0, "the worker is killed");
	if (s->worker.state == VIOFS_WORKER_LOST)
		viofs_error("%s", err->text);
	viofs_course_fail(s, -EPROTO, err);
	viofs_course_abort(s, 0);
}

/* Whoever waits for an answer hasn't noticed. */
static void go_on(struct viofs_supervision *s)
{
	int64_t ns = viofs_succession_done(&s->succession, viofs_now_ns());

	enter(s, VIOFS_PHASE_SUCCEEDS);
	viofs_warn("%s; a successor serves (restart %u, %lld ms)", s->succession.last.text,
		   s->succession.restarts, (long long)(ns / VIOFS_NSEC_PER_MSEC));
}

bool viofs_course_read_report(struct viofs_supervision *s)
{
	bool succeeds = s->worker.state == VIOFS_WORKER_SUCCEEDING;
	struct viofs_report r;
	int rc = viofs_report_read(s->worker.pipes.report_fd, &s->worker.state, &r);

	if (rc == -EPROTO)
		disown_worker(s, &r.err);
	if (rc < 0)
		return false;
	if (!rc)
		return true;
	if (r.kind == VIOFS_REPORT_FAILED && succeeds)
		viofs_err_prefix(&r.err, r.rc, "%s, and no other can go on",
				 s->succession.last.text);
	/* A signal that came first has aborted the mount that answers now. */
	if (r.kind == VIOFS_REPORT_SERVING && !succeeds && s->asked) {
		viofs_err_set(&r.err, -EINTR, ENDED_EARLY);
		viofs_course_fail(s, -EINTR, &r.err);
		return true;
	}
	if (r.kind == VIOFS_REPORT_LOST)
		lose_device(s, r.rc, &r.err);
	else if (r.kind == VIOFS_REPORT_FAILED)
		end_worker(s, r.rc, &r.err);
	else if (succeeds)
		go_on(s);
	else
		start_serving(s);
	return true;
}

/* How long an aborted worker may take. */
static int64_t end_time(const struct viofs_supervision *s)
{
	return viofs_phase_rules(s->phase)->linger ? VIOFS_WORKER_END_NS : 0;
}

void viofs_course_unmount(struct viofs_supervision *s)
{
	if (viofs_phase_rules(s->phase)->unmount &&
	    (s->ending.started ||
	     !viofs_ending_start(&s->ending, s->mount, s->claim->relay, s->o->grace_s)))
		enter(s, VIOFS_PHASE_LEAVE);
	else
		viofs_course_abort(s, end_time(s));
}

/* A signal. The first one asks for an unmount, the second one doesn't wait for it. */
static void leave(struct viofs_supervision *s)
{
	bool first = !s->asked++;

	viofs_launch_tell_systemd("STOPPING=1");
	viofs_outage_leave(&s->outage, s->o->grace_s);
	if (first && viofs_worker_has_served(s->worker.state) && !viofs_mount_is_there(s->mount)) {
		/*
		 * After umount -l or a switch_root. The session ends when the mount's last user
		 * goes.
		 */
		viofs_warn(
			"the mount at %s is detached, or is the root now: it can't be unmounted; "
			"a second signal aborts it",
			s->mountpoint);
		enter(s, VIOFS_PHASE_LEAVE);
	} else if (first) {
		viofs_course_unmount(s);
	} else {
		viofs_course_abort(s, end_time(s));
	}
}

/* May another worker go on where this one ends? */
static bool can_succeed(const struct viofs_supervision *s)
{
	return viofs_phase_rules(s->phase)->succeed && !s->worker.kill_at &&
	       (s->worker.state == VIOFS_WORKER_SERVING ||
		s->worker.state == VIOFS_WORKER_SUCCEEDING) &&
	       viofs_observe_stage(s->claim->relay) == VIOFS_STAGE_SERVING;
}

void viofs_course_stick(struct viofs_supervision *s, const struct viofs_err *err)
{
	if (can_succeed(s) && s->o->restarts) {
		s->worker.stuck = true;
		s->worker.why_stuck = *err;
		kill(s->worker.pid, SIGKILL);
		return;
	}
	viofs_course_fail(s, -ETIMEDOUT, err);
	viofs_course_abort(s, 0);
}

/* Return: is it to be succeeded? Else it is the session's failure, in @err. */
static bool note_death(struct viofs_supervision *s, bool crashed, struct viofs_err *err)
{
	if (!can_succeed(s))
		return false;
	s->succession.crashed = crashed;
	if (s->worker.stuck)
		*err = s->worker.why_stuck;
	return viofs_succession_note(&s->succession,
				     s->worker.dying ? s->worker.dying : viofs_now_ns(), err);
}

/* Return: is there room for one more? */
static bool keep_corpse(struct viofs_supervision *s)
{
	for (size_t i = 0; i < VIOFS_CORPSES_MAX; i++) {
		if (s->corpses[i])
			continue;
		s->corpses[i] = s->worker.pid;
		s->worker.pid = 0;
		return true;
	}
	return false;
}

static void reap_corpses(struct viofs_supervision *s)
{
	for (size_t i = 0; i < VIOFS_CORPSES_MAX; i++)
		if (s->corpses[i] && waitpid(s->corpses[i], NULL, WNOHANG) == s->corpses[i])
			s->corpses[i] = 0;
}

/* All reports and messages of a dead worker. */
static void hear_last_words(struct viofs_supervision *s)
{
	viofs_message_forward(s->worker.pipes.log_fd, &s->worker.flow);
	/* At most one report of each kind. */
	for (int i = 0; i < VIOFS_REPORT_KINDS && viofs_course_read_report(s); i++)
		;
}

void viofs_course_look_for_death(struct viofs_supervision *s)
{
	int64_t age = viofs_now_ns() - s->worker.dying;
	struct viofs_err err;

	if (!s->worker.pid || age < DYING_NS)
		return;
	if (!viofs_life_is_stuck(s->worker.pid)) {
		s->worker.looks = 0;
		/* Nobody has killed it: it has closed what it should not have. */
		if (age > DYING_MAX_NS)
			s->worker.dying = 0;
		return;
	}
	if (++s->worker.looks < 2 || !keep_corpse(s))
		return;
	hear_last_words(s);
	viofs_err_set(&err, -EIO,
		      "the worker was killed, and one of its threads is stuck in the kernel");
	if (note_death(s, false, &err))
		return;
	viofs_course_fail(s, -EIO, &err);
	viofs_course_abort(s, 0);
}

static void reap(struct viofs_supervision *s)
{
	struct viofs_err err;
	int status, rc = 0;

	reap_corpses(s);
	if (!s->worker.pid || waitpid(s->worker.pid, &status, WNOHANG) != s->worker.pid)
		return;
	s->worker.pid = 0;
	hear_last_words(s);
	if (s->asked && !viofs_worker_has_served(s->worker.state))
		rc = viofs_err_set(&err, -EINTR, ENDED_EARLY);
	else if (!WIFSIGNALED(status) || !s->by_abort || WTERMSIG(status) != SIGKILL)
		rc = viofs_worker_death(status, &err);
	if (!rc && !viofs_worker_has_served(s->worker.state))
		rc = viofs_err_set(&err, -EIO, "The mount was gone before it answered.");
	if (rc && !note_death(s, !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL, &err))
		viofs_course_fail(s, rc, &err);
}

void viofs_course_read_signals(struct viofs_supervision *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			s->worker.stopped = info.ssi_code == CLD_STOPPED;
			reap(s);
			continue;
		}
		viofs_journal_ask_signal(&s->journal, &info);
		leave(s);
	}
}
