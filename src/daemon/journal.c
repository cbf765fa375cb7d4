/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a mount began and ended, and why.
 *
 * Each mount has a line at its begin and one at its end, and one for each time that somebody asks
 * for the end, whether or not there is anything else to say. The daemon only sees that the kernel
 * has no more requests. It can't tell a plain umount(8) from one with -l some time ago, or from one
 * with -f of a mount that nobody used.
 */
#include "daemon/journal.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/message.h"

#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

void viofs_journal_begin(struct viofs_journal *j, const char *tag, const char *device,
			 const char *mountpoint)
{
	j->began = viofs_now_ns();
	viofs_info("%s (%s) is mounted at %s", tag, device, mountpoint);
}

void viofs_journal_again(const char *device, const char *mountpoint, bool log)
{
	if (log)
		viofs_message_to_syslog(mountpoint);
	viofs_info("%s is mounted at %s too, by the virtiofs-vfio that has it already", device,
		   mountpoint);
}

void viofs_journal_ask(struct viofs_journal *j, const char *who)
{
	viofs_info("asked to end by %s", who);
	if (!j->why[0])
		snprintf(j->why, sizeof(j->why), "%s", who);
}

void viofs_journal_ask_signal(struct viofs_journal *j, const struct signalfd_siginfo *info)
{
	char who[sizeof(j->why)];

	snprintf(who, sizeof(who), "signal %u (%s) of process %u, user %u", info->ssi_signo,
		 strsignal((int)info->ssi_signo), info->ssi_pid, info->ssi_uid);
	viofs_journal_ask(j, who);
}

void viofs_journal_end(const struct viofs_journal *j, const char *device, const char *mountpoint,
		       int rc, const struct viofs_err *err, bool was_there)
{
	const char *how = rc          ? err->text
			  : j->why[0] ? j->why
			  : was_there ? "its connection was aborted (umount -f, or fusectl)"
				      : "it was unmounted";

	if (!j->began)
		return;
	viofs_info("the mount of %s at %s has ended after %lld s: %s%s", device, mountpoint,
		   (long long)((viofs_now_ns() - j->began) / VIOFS_NSEC_PER_SEC),
		   !rc && j->why[0] ? "by " : "", how);
}
