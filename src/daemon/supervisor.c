/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor.
 *
 *   start       find the device, claim it, mount, start the worker
 *   starting    until the worker reports that INIT is done; then the outcome is told
 *   serving     until the worker ends (the mount is gone, or the session failed), or a signal asks
 *               for the end. A back end that can be waited for is looked after meanwhile: outage.c
 *   leaving     a signal came: ending.c unmounts; a second one aborts
 *   lost        the device is gone and closed; the worker answers EIO until the mount is gone
 *   finish      mount gone, device reset and given back, socket and record removed
 *
 * No state depends on the device for its end. A worker that doesn't end by itself once the mount is
 * gone is killed; one that answers nothing, not even by its own time-out, is found out here
 * (watch_worker()).
 *
 * It relays nothing and holds copies of all descriptors. Whatever way the worker ends, finish is
 * the same.
 */
#include "daemon/supervisor.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/second.h"
#include "daemon/claim.h"
#include "daemon/control.h"
#include "daemon/ending.h"
#include "daemon/inherit.h"
#include "daemon/journal.h"
#include "daemon/launch.h"
#include "daemon/message.h"
#include "daemon/namespace.h"
#include "daemon/outage.h"
#include "daemon/remedy.h"
#include "daemon/report.h"
#include "daemon/status.h"
#include "daemon/watchdog.h"
#include "daemon/worker.h"
#include "attach/source.h"
#include "kernel/mount.h"
#include "kernel/mount_point.h"
#include "relay/observe.h"
#include "relay/sleep.h"
#include "viofs_config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* After the mount is gone the worker has this long (it takes 12 s at most, DESTROY and all); then
 * it is killed. */
#define WORKER_END_NS (30 * VIOFS_NSEC_PER_SEC)
/* viofsctl abort: it has no more than this, DESTROY or not. */
#define ABORT_END_NS (1 * VIOFS_NSEC_PER_SEC)
/* An unmount is given up when the device has not answered a request for so long meanwhile. */
#define LEAVING_STALL_NS (30 * VIOFS_NSEC_PER_SEC)
/* The worker looks after timeout= itself; it has this much longer, then it is taken for stuck. */
#define TIMEOUT_SLACK_NS (3 * VIOFS_NSEC_PER_SEC)
#define WATCH_NS (1 * VIOFS_NSEC_PER_SEC)
/* ... where nothing is known to have a bound now: an end may have begun. */
#define WATCH_IDLE_NS (30 * VIOFS_NSEC_PER_SEC)

/* What the loop waits for: indices in viofs_sleep.fds. */
enum { SIGNAL, REPORT, MESSAGES, CONTROL, BACK_END };

struct supervisor {
	const struct viofs_options *o;
	int outcome_fd; /* -1: told already, or in the foreground */
	char mountpoint[PATH_MAX];
	struct viofs_source source;
	struct viofs_claim *claim;
	struct viofs_mount *mount;
	int control_fd, signal_fd;
	struct viofs_worker_pipes pipes;
	struct viofs_sleep loop;
	struct viofs_ending ending;
	struct viofs_outage outage;
	struct viofs_journal journal;
	struct viofs_watchdog watchdog;
	struct viofs_namespace ns;
	bool again; /* the daemon that had it already has given another mount: there is no worker */
	pid_t worker;                  /* 0: none, or reaped */
	unsigned int signals;          /* that asked for the end */
	int64_t kill_at;               /* ns, 0: not yet */
	int64_t ending_since;          /* ns, 0: the worker has not been seen ending */
	unsigned int overdue;          /* looks in a row that found a request too old */
	bool stopped;                  /* the worker, by a signal */
	enum viofs_worker_state state; /* by its reports; LOST: the device is closed here, too */
	bool aborted;                  /* by viofsctl: that the worker is killed is no failure */
	json_t *last_status;           /* of the time when it was lost; NULL: out of memory then */
	int rc;                        /* 0, or the first failure, with err */
	struct viofs_err err;
};

/* As the user knows it. */
static const char *device_name(const struct supervisor *s)
{
	return viofs_source_name(&s->source);
}

/* What can be wrong with the mount point is known before any device is touched. */
static int start_mount(struct supervisor *s, int directory, struct viofs_err *err)
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

static int start_loop(struct supervisor *s, struct viofs_err *err)
{
	int rc = viofs_sleep_init(&s->loop);

	if (rc)
		return viofs_sleep_say(rc, err);
	viofs_sleep_add(&s->loop, s->signal_fd, false);
	viofs_sleep_add(&s->loop, s->pipes.report_fd, false);
	viofs_sleep_add(&s->loop, s->pipes.log_fd, false);
	viofs_sleep_add(&s->loop, s->control_fd, false);
	viofs_sleep_add(&s->loop, viofs_outage_fd(&s->outage), false);
	return 0;
}

static int start_worker(struct supervisor *s, struct viofs_err *err)
{
	const struct viofs_worker_config config = {
		.claim = s->claim,
		.fuse_fd = viofs_mount_fd(s->mount),
		.cpus = &s->o->cpus,
		.sandbox = { .seccomp = s->o->seccomp, .debug = s->o->debug },
		.supervisors_fds = { s->control_fd, s->signal_fd, s->outcome_fd,
				     viofs_mount_control_fd(s->mount) },
	};
	pid_t pid = viofs_worker_start(&config, &s->pipes, err);

	if (pid < 0)
		return pid;
	s->worker = pid;
	return 0;
}

static int start_on(struct supervisor *s, int directory, struct viofs_err *err)
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
	rc = s->control_fd = viofs_control_listen(s->source.id, err);
	if (rc < 0)
		return rc;
	return start_mount(s, directory, err);
}

static int start(struct supervisor *s, struct viofs_err *err)
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
	if (rc || s->again)
		return rc;
	viofs_outage_init(&s->outage, s->claim);
	s->watchdog = (struct viofs_watchdog){ .relay = s->claim->relay,
					       .fuse_fd = viofs_mount_fd(s->mount) };
	rc = start_worker(s, err);
	return rc ? rc : start_loop(s, err);
}

/* The first thing that went wrong is the one to tell. */
static void fail(struct supervisor *s, int rc, const struct viofs_err *err)
{
	if (s->rc)
		return;
	s->rc = rc;
	s->err = *err;
	viofs_remedy_add(&s->err);
	if (s->state == VIOFS_WORKER_SERVING || s->state == VIOFS_WORKER_ENDED)
		viofs_error("the session failed: %s", s->err.text);
}

static void start_serving(struct supervisor *s)
{
	viofs_namespace_init(&s->ns);
	viofs_launch_tell_systemd("READY=1");
	if (s->outcome_fd >= 0) {
		viofs_launch_outcome(s->outcome_fd, 0, NULL);
		s->outcome_fd = -1;
		viofs_launch_detach(s->mountpoint);
	}
	viofs_journal_begin(&s->journal, s->claim->at.fs->tag, device_name(s), s->mountpoint);
}

/* The worker has @ns for DESTROY. */
static void abort_mount(struct supervisor *s, int64_t ns)
{
	int64_t kill_at = viofs_now_ns() + ns;

	viofs_mount_end(s->mount);
	if (!s->kill_at || s->kill_at - kill_at > 0)
		s->kill_at = kill_at;
}

static json_t *make_live_status(struct supervisor *s);

/*
 * The worker has let go of the device and answers EIO from here on. That must end with an unmount,
 * and not in finish(): taken away, the mount would uncover the directory below, for programs to
 * write to.
 */
static void lose_device(struct supervisor *s, int rc, const struct viofs_err *err)
{
	fail(s, rc, err);
	viofs_error("%s. The device is lost: requests get EIO from now on. Unmount %s to end this.",
		    err->text, s->mountpoint);
	viofs_launch_tell_systemd("STATUS=The device is lost; unmount to end this.");
	s->last_status = make_live_status(s);
	/* The loop's poll of it ends with what it polls. */
	s->loop.fds[BACK_END].fd = -1;
	viofs_outage_end(&s->outage);
	viofs_claim_let_go(s->claim);
	if (s->signals)
		abort_mount(s, WORKER_END_NS);
}

/* It ends by itself, in no time. */
static void end_worker(struct supervisor *s, int rc, const struct viofs_err *err)
{
	fail(s, rc, err);
	if (!s->kill_at)
		s->kill_at = viofs_now_ns() + WORKER_END_NS;
}

/* A worker that says what it can't have to say isn't ours any more. */
static void disown_worker(struct supervisor *s, struct viofs_err *err)
{
	viofs_err_prefix(err, 0, "the worker is killed");
	if (s->state == VIOFS_WORKER_LOST)
		viofs_error("%s", err->text);
	fail(s, -EPROTO, err);
	abort_mount(s, 0);
}

/* Return: false: there is no more to come. */
static bool take_report(struct supervisor *s)
{
	struct viofs_report r;
	int rc = viofs_report_take(s->pipes.report_fd, &s->state, &r);

	if (rc == -EPROTO)
		disown_worker(s, &r.err);
	if (rc < 0)
		return false;
	if (!rc)
		return true;
	if (r.kind == VIOFS_REPORT_LOST)
		lose_device(s, r.rc, &r.err);
	else if (r.kind == VIOFS_REPORT_FAILED)
		end_worker(s, r.rc, &r.err);
	else
		start_serving(s);
	return true;
}

static void leave(struct supervisor *s)
{
	bool there = viofs_mount_is_there(s->mount), serves = s->state == VIOFS_WORKER_SERVING;

	s->signals++;
	viofs_launch_tell_systemd("STOPPING=1");
	viofs_outage_leave(&s->outage, s->o->grace_s);
	if (s->signals == 1 && viofs_worker_has_served(s->state) && !there) {
		/* Detached (umount -l), or the root of who did a switch_root: it ends when its last
		 * user goes. */
		viofs_warn(
			"the mount at %s is detached, or is the root now: it can't be unmounted; "
			"a second signal aborts it",
			s->mountpoint);
		return;
	}
	/* With no device there is nothing to write, and nobody to wait for. */
	if (s->signals == 1 && serves &&
	    (s->ending.started ||
	     !viofs_ending_start(&s->ending, s->mount, s->claim->relay, s->o->grace_s)))
		return;
	/* Before it serves there is nothing to wait for. */
	abort_mount(s, viofs_worker_has_served(s->state) ? WORKER_END_NS : 0);
}

static void reap(struct supervisor *s)
{
	struct viofs_err err;
	int status, rc = 0;

	if (!s->worker || waitpid(s->worker, &status, WNOHANG) != s->worker)
		return;
	s->worker = 0;
	viofs_message_forward(s->pipes.log_fd);
	/* One of each kind at most. */
	for (int i = 0; i < VIOFS_REPORT_KINDS && take_report(s); i++)
		;
	if (s->signals && !viofs_worker_has_served(s->state))
		rc = viofs_err_set(&err, -EINTR, "Ended by a signal before the mount answered.");
	else if (!WIFSIGNALED(status) || !s->aborted || WTERMSIG(status) != SIGKILL)
		rc = viofs_worker_death(status, &err);
	if (!rc && !viofs_worker_has_served(s->state))
		rc = viofs_err_set(&err, -EIO, "The mount was gone before it answered.");
	if (rc)
		fail(s, rc, &err);
}

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			s->stopped = info.ssi_code == CLD_STOPPED;
			reap(s);
			continue;
		}
		viofs_journal_ask_signal(&s->journal, &info);
		leave(s);
	}
}

/* Of all, those too that a worker doesn't read. */
static int64_t oldest_request_ns(struct supervisor *s)
{
	if (s->state == VIOFS_WORKER_SERVING)
		viofs_watchdog_look_closely(&s->watchdog);
	return VIOFS_MAX(viofs_observe_oldest_ns(s->claim->relay),
			 viofs_watchdog_unread_ns(&s->watchdog));
}

static json_t *make_live_status(struct supervisor *s)
{
	struct viofs_relay *relay = s->claim->relay;
	struct viofs_relay_stats stats;
	const struct viofs_status_source source = {
		.source = s->o->source,
		.mountpoint = s->mountpoint,
		.address = device_name(s),
		.config = &s->o->relay,
		.fs = s->claim->at.fs,
		.stats = &stats,
		.slots_used = viofs_observe_slots_used(relay),
		.slots = s->o->relay.slots,
		.oldest_ns = oldest_request_ns(s),
		.dma_bytes = viofs_arena_size(s->claim->at.arena),
		.page_size = viofs_arena_page_size(s->claim->at.arena),
		.supervisor = getpid(),
		.worker = s->worker,
		.outage = viofs_outage_json(&s->outage),
		.leaving = s->signals,
	};

	viofs_observe_stats(relay, &stats);
	return viofs_status_json(&source);
}

/* For viofsctl: what it is doing, or was doing when the device was lost; and where it is mounted.
 */
static json_t *make_status(void *arg, int *fd)
{
	struct supervisor *s = arg;
	struct viofs_places places = { NULL, 0 };
	/* What a live one is made of is gone with the device, whether or not the last one could be
	 * made. */
	json_t *status =
		s->state == VIOFS_WORKER_LOST ? json_incref(s->last_status) : make_live_status(s);

	viofs_mount_places(s->mount, &places);
	if (status) {
		json_object_set_new(status, "mounts", viofs_status_mounts(&places));
		json_object_set_new(status, "options", viofs_status_options(s->o));
		json_object_set_new(status, "mounted", json_boolean(viofs_mount_exists(s->mount)));
	}
	viofs_places_free(&places);
	return status;
}

/* For viofsctl: the end, whoever uses the mount, and whether or not the device answers. */
static json_t *make_abort(void *arg, int *fd)
{
	struct supervisor *s = arg;

	viofs_journal_ask(&s->journal, "viofsctl abort, at once");
	viofs_launch_tell_systemd("STOPPING=1");
	s->signals++;
	s->aborted = true;
	abort_mount(s, ABORT_END_NS);
	return json_pack("{s:b, s:i}", "aborted", 1, "supervisor", (int)getpid());
}

/* For another virtiofs-vfio: second.c puts it where it wants it. */
static json_t *make_clone(void *arg, int *fd)
{
	const struct supervisor *s = arg;
	int rc = s->state == VIOFS_WORKER_SERVING && !s->signals ? viofs_mount_clone(s->mount)
								 : -ESTALE;

	if (rc < 0)
		return json_pack("{s:s}", "error", strerror(-rc));
	viofs_info("another virtiofs-vfio asks for a second mount of it");
	*fd = rc;
	return json_pack("{s:o, s:o, s:I, s:i}", "mountpoint", viofs_status_text(s->mountpoint),
			 "options", viofs_status_options(s->o), "super",
			 (json_int_t)s->o->mount.super, "supervisor", (int)getpid());
}

static const struct viofs_control_command commands[] = {
	{ VIOFS_CONTROL_CLONE, make_clone },
	{ VIOFS_CONTROL_STATUS, make_status },
	{ VIOFS_CONTROL_ABORT, make_abort },
	{ NULL, NULL },
};

/* The mount is gone, and the worker with it soon. Unless it is stuck at the device. */
static void watch_end(struct supervisor *s, int64_t now)
{
	if (viofs_observe_stage(s->claim->relay) != VIOFS_STAGE_ENDING)
		return;
	if (!s->ending_since)
		s->ending_since = now;
	else if (now - s->ending_since >= WORKER_END_NS)
		s->kill_at = now;
}

/*
 * Second to the worker's own checks. It may be stopped, or stuck itself: at a device that holds up
 * the CPU. Nor has it a bound on its own while a mount
 * is being left.
 */
static void watch_worker(struct supervisor *s)
{
	int64_t timeout = s->o->relay.timeout_ms * VIOFS_NSEC_PER_MSEC, now = viofs_now_ns();
	int64_t age = viofs_observe_unanswered_ns(s->claim->relay);
	bool stalls, stuck;
	struct viofs_err err;

	watch_end(s, now);
	if (viofs_observe_stage(s->claim->relay) == VIOFS_STAGE_SERVING)
		viofs_watchdog_look(&s->watchdog, now);
	age = VIOFS_MAX(age, viofs_watchdog_unread_ns(&s->watchdog));
	age = VIOFS_MAX(age, viofs_watchdog_silent_ns(&s->watchdog));
	stalls = s->ending.started && age >= LEAVING_STALL_NS;
	stuck = timeout && age >= timeout + TIMEOUT_SLACK_NS;
	/* Twice in a row: the worker's slots are read without a lock, and one may have been half
	 * filled in. */
	s->overdue = stalls || stuck ? s->overdue + 1 : 0;
	if (s->overdue < 2)
		return;
	if (stalls) {
		fail(s,
		     viofs_err_set(&err, -ETIMEDOUT,
				   "the device has answered nothing for %d s: the "
				   "mount is aborted",
				   (int)(age / VIOFS_NSEC_PER_SEC)),
		     &err);
		abort_mount(s, WORKER_END_NS);
	} else {
		fail(s,
		     viofs_err_set(&err, -ETIMEDOUT,
				   "the worker has done nothing about a request for "
				   "%d s: it is killed",
				   (int)(age / VIOFS_NSEC_PER_SEC)),
		     &err);
		abort_mount(s, 0);
	}
}

/*
 * Its mounts would be gone with the mount namespace, were the daemon not in it. They are unmounted
 * here alone: if others have been made elsewhere, the session goes on.
 */
static void watch_namespace(struct supervisor *s)
{
	if (!viofs_namespace_is_unused(&s->ns) || s->ending.started)
		return;
	viofs_journal_ask(&s->journal, "the end of the last user of its mount namespace");
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (s->state != VIOFS_WORKER_SERVING ||
	    viofs_ending_start(&s->ending, s->mount, s->claim->relay, s->o->grace_s))
		abort_mount(s, WORKER_END_NS);
}

/* How long the session can't need us, in ns. Return: -1: as long as nothing happens. */
static int64_t session_time(const struct supervisor *s)
{
	int64_t outage = viofs_outage_time(&s->outage);

	if (outage >= 0)
		return VIOFS_MIN(outage, WATCH_NS);
	if (s->kill_at)
		return VIOFS_MAX(s->kill_at - viofs_now_ns(), WATCH_NS);
	if (s->state != VIOFS_WORKER_SERVING)
		return -1;
	return s->ending.started || s->o->relay.timeout_ms || s->stopped ? WATCH_NS : WATCH_IDLE_NS;
}

static int64_t watch_time(const struct supervisor *s)
{
	int64_t session = session_time(s), ns = viofs_namespace_time(&s->ns);

	return session < 0 || ns < 0 ? VIOFS_MAX(session, ns) : VIOFS_MIN(session, ns);
}

/* No more than signals and the worker's end are seen then, ten times a second: the mount has to go.
 */
static void watch_without_ring(struct supervisor *s, int rc)
{
	struct viofs_err err;

	fail(s, viofs_err_set(&err, rc, "waiting on io_uring: %s", strerror(-rc)), &err);
	if (!s->kill_at)
		abort_mount(s, ABORT_END_NS);
	usleep(100000);
	take_signals(s);
}

/* Until the worker has ended. */
static void watch(struct supervisor *s)
{
	int rc;

	while (s->worker) {
		if (s->state == VIOFS_WORKER_SERVING && !s->kill_at)
			watch_worker(s);
		if (s->kill_at && viofs_now_ns() - s->kill_at >= 0)
			kill(s->worker, SIGKILL);
		rc = viofs_sleep_wait(&s->loop, watch_time(s));
		if (rc && rc != -ETIME) {
			watch_without_ring(s, rc);
			continue;
		}
		if (s->loop.fds[SIGNAL].woke)
			take_signals(s);
		if (s->loop.fds[REPORT].woke && s->worker && !take_report(s))
			viofs_sleep_remove(&s->loop, REPORT);
		if (s->loop.fds[MESSAGES].woke && !viofs_message_forward(s->pipes.log_fd))
			viofs_sleep_remove(&s->loop, MESSAGES);
		if (s->loop.fds[CONTROL].woke)
			viofs_control_serve(s->control_fd, commands, s);
		if (s->worker && !s->aborted)
			viofs_outage_look(&s->outage, viofs_worker_has_served(s->state));
		watch_namespace(s);
	}
}

/* Nothing is left: neither of a session that ended nor of a start that failed half way. */
static void finish(struct supervisor *s)
{
	bool was_there = s->mount && viofs_mount_is_there(s->mount);
	struct viofs_err err;
	int rc;

	if (s->mount)
		viofs_mount_end(s->mount);
	/* After the abort: before, it might wait for a page that a request of somebody else's
	 * holds. */
	if (s->worker) {
		kill(s->worker, SIGKILL);
		waitpid(s->worker, NULL, 0);
	}
	/* Nobody serves any more: whoever still waits, that thread too, gets an error. */
	viofs_mount_hang_up(s->mount);
	if (viofs_ending_join(&s->ending))
		viofs_mount_close(s->mount);
	viofs_sleep_fini(&s->loop);
	viofs_outage_end(&s->outage);
	if (s->claim)
		viofs_control_close(s->control_fd, s->source.id);
	rc = viofs_claim_close(s->claim, &err);
	if (rc)
		fail(s,
		     viofs_err_prefix(&err, rc, "%s could not be given back to its driver",
				      device_name(s)),
		     &err);
	viofs_journal_end(&s->journal, device_name(s), s->mountpoint, s->rc, &s->err, was_there);
	json_decref(s->last_status);
	if (s->pipes.report_fd >= 0)
		close(s->pipes.report_fd);
	if (s->pipes.log_fd >= 0)
		close(s->pipes.log_fd);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
}

int viofs_supervisor_run(const struct viofs_options *o, int outcome_fd)
{
	/* Not on the stack: a thread that can't be joined may look at it until the process ends. */
	static struct supervisor s;
	struct viofs_err err = { .text = "" };
	int rc;

	s = (struct supervisor){
		.o = o,
		.outcome_fd = outcome_fd,
		.control_fd = -1,
		.signal_fd = -1,
		.pipes = { -1, -1 },
	};
	viofs_inherit_no_oom();
	rc = s.signal_fd = viofs_inherit_signalfd(&err);
	if (rc >= 0)
		rc = start(&s, &err);
	if (rc)
		fail(&s, rc, &err);
	else
		watch(&s);
	finish(&s);
	if (s.again && !s.rc)
		viofs_journal_again(device_name(&s), s.mountpoint, s.outcome_fd >= 0);
	/* Not before everything is as it was: whoever waits may look. */
	if (s.outcome_fd >= 0)
		viofs_launch_outcome(s.outcome_fd, s.rc, &s.err);
	else if (s.rc && !viofs_worker_has_served(s.state))
		viofs_error("%s", s.err.text);
	return s.rc ? 1 : 0;
}
