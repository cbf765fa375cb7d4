/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to src/daemon. One mount and its worker, as the supervisor's files have them in common.
 */
#ifndef VIOFS_DAEMON_SUPERVISION_H
#define VIOFS_DAEMON_SUPERVISION_H

#include "base/err.h"
#include "base/util.h"
#include "daemon/claim.h"
#include "daemon/control.h"
#include "daemon/ending.h"
#include "daemon/journal.h"
#include "daemon/latency.h"
#include "daemon/message.h"
#include "daemon/namespace.h"
#include "daemon/options.h"
#include "daemon/outage.h"
#include "daemon/report.h"
#include "daemon/phase.h"
#include "daemon/recorder.h"
#include "daemon/succession.h"
#include "daemon/watchdog.h"
#include "daemon/worker.h"
#include "kernel/mount.h"
#include "loop/loop.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * After the mount is gone the worker has this long (it needs 12 s at most, DESTROY and all); then
 * it is killed.
 */
#define VIOFS_WORKER_END_NS (30 * VIOFS_NSEC_PER_SEC)
/* viofsctl abort: it has no more than this, DESTROY or not. */
#define VIOFS_ABORT_END_NS (1 * VIOFS_NSEC_PER_SEC)

/* What the loop waits for: indices in viofs_loop.fds. */
enum {
	VIOFS_WAKE_SIGNAL,
	VIOFS_WAKE_REPORT,
	VIOFS_WAKE_MESSAGES,
	VIOFS_WAKE_CONTROL,
	VIOFS_WAKE_BACK_END,
	VIOFS_WAKE_LIFE,
	VIOFS_WAKE_RECORDER,
};

/* Dead workers with a thread that is stuck, at one time. */
#define VIOFS_CORPSES_MAX 16U

/** struct viofs_supervision - all of it; one thread's, but for what ending.c's thread looks at */
struct viofs_supervision {
	const struct viofs_options *o;
	char mountpoint[PATH_MAX];
	struct viofs_source source;
	struct viofs_claim *claim;
	struct viofs_mount *mount;
	int outcome_fd; /* -1: told already, or in the foreground */
	int control_fd, signal_fd;
	struct viofs_loop loop;

	enum viofs_phase phase;
	unsigned int asked;   /* signals and aborts that asked for the end */
	bool by_abort;        /* viofsctl's: that the worker is killed then is no failure */
	bool again;           /* another daemon has given the mount: there is no worker */
	json_t *last_status;  /* of the time when it was lost; NULL: out of memory then */
	int rc;               /* 0, or that of the first failure */
	struct viofs_err err; /* the first failure */

	struct {
		pid_t pid; /* 0: none, or reaped */
		struct viofs_worker_pipes pipes;
		struct viofs_message_flow flow;
		enum viofs_worker_state state; /* by its reports; LOST: the device is closed here */
		bool stopped;                  /* by a signal */
		bool stuck;                    /* killed for it, with what follows */
		struct viofs_err why_stuck;
		int64_t dying;      /* ns, when that was noticed; 0: it lives, as far as is known */
		unsigned int looks; /* in a row that have found it dead but for stuck threads */
		int64_t kill_at;    /* ns, 0: not yet */
	} worker;

	struct viofs_descriptors workers; /* each worker has these */
	pid_t corpses[VIOFS_CORPSES_MAX]; /* that can't be waited for yet; 0: none */
	struct viofs_succession succession;
	struct viofs_ending ending;
	struct viofs_outage outage;
	struct viofs_journal journal;
	struct viofs_watchdog watchdog;
	struct viofs_namespace ns;
	struct viofs_latency_looks looks;
	struct viofs_recorder recorder;
};

/* What happens to the mount: course.c. */

/** viofs_course_fail() - note a failure. The first thing that went wrong is the one to tell. */
void viofs_course_fail(struct viofs_supervision *s, int rc, const struct viofs_err *err);

/** viofs_course_abort() - end the connection; the worker has @ns for DESTROY. */
void viofs_course_abort(struct viofs_supervision *s, int64_t ns);

/** viofs_course_stick() - the worker does nothing: another succeeds it, or the session has failed.
 */
void viofs_course_stick(struct viofs_supervision *s, const struct viofs_err *err);

/** viofs_course_look_for_death() - is a worker that is dying as dead as it can be? */
void viofs_course_look_for_death(struct viofs_supervision *s);

/** viofs_course_unmount() - begin an orderly unmount, or abort where there can be none. */
void viofs_course_unmount(struct viofs_supervision *s);

/** viofs_course_read_report() - a report of the worker's. Return: false: no more will come. */
bool viofs_course_read_report(struct viofs_supervision *s);

/** viofs_course_read_signals() - SIGCHLD, and those that ask for the end. */
void viofs_course_read_signals(struct viofs_supervision *s);

/* What others ask through the control socket: answers.c. */

extern const struct viofs_control_command viofs_answers_commands[];

/** viofs_answers_live_status() - as long as the device is open. Return: NULL: out of memory. */
json_t *viofs_answers_live_status(struct viofs_supervision *s);

#endif
