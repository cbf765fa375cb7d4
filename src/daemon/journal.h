/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a mount began and ended, and why: for the log. */
#ifndef VIOFS_DAEMON_JOURNAL_H
#define VIOFS_DAEMON_JOURNAL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct signalfd_siginfo;

/** struct viofs_journal - of one mount; all zero: it has not begun */
struct viofs_journal {
	int64_t began; /* ns */
	char why[160]; /* who asked for the end first; "": nobody */
};

/** viofs_journal_begin() - it answers. @device: as the user knows it. */
void viofs_journal_begin(struct viofs_journal *j, const char *tag, const char *device,
			 const char *mountpoint);

/**
 * viofs_journal_again() - the daemon that has the device has given a mount for here. @log: there is
 * nobody to read standard error.
 */
void viofs_journal_again(const char *device, const char *mountpoint, bool log);

/** viofs_journal_ask() - somebody has asked for the end: @who, in words. */
void viofs_journal_ask(struct viofs_journal *j, const char *who);

/** viofs_journal_ask_signal() - the same, by a signal. */
void viofs_journal_ask_signal(struct viofs_journal *j, const struct signalfd_siginfo *info);

/**
 * viofs_journal_end() - it has ended; nothing is said of one that has not begun
 * @rc: 0, or that of a failure, with @err.
 * @was_there: the session ended while the mount was where it was: nobody had unmounted it.
 */
void viofs_journal_end(const struct viofs_journal *j, const char *device, const char *mountpoint,
		       int rc, const struct viofs_err *err, bool was_there);

#endif
