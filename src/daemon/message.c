/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the daemon's messages go. */
#include "daemon/message.h"
#include "base/log.h"

#include <stdio.h>
#include <syslog.h>

static const char *syslog_mountpoint;

static void to_stderr(enum viofs_log_level level, const char *message)
{
	static const char *const marks[] = {
		[VIOFS_LOG_ERROR] = "",
		[VIOFS_LOG_WARNING] = "warning: ",
		[VIOFS_LOG_INFO] = "",
		[VIOFS_LOG_DEBUG] = "debug: ",
	};

	fprintf(stderr, "virtiofs-vfio: %s%s\n", marks[level], message);
}

static void to_syslog(enum viofs_log_level level, const char *message)
{
	static const int priorities[] = {
		[VIOFS_LOG_ERROR] = LOG_ERR,
		[VIOFS_LOG_WARNING] = LOG_WARNING,
		[VIOFS_LOG_INFO] = LOG_INFO,
		[VIOFS_LOG_DEBUG] = LOG_DEBUG,
	};

	syslog(priorities[level], "%s: %s", syslog_mountpoint, message);
}

void viofs_message_to_stderr(bool debug)
{
	viofs_log_set_sink(to_stderr, debug ? VIOFS_LOG_DEBUG : VIOFS_LOG_INFO);
}

void viofs_message_to_syslog(const char *mountpoint)
{
	syslog_mountpoint = mountpoint;
	openlog("virtiofs-vfio", LOG_PID, LOG_DAEMON);
	viofs_log_set_sink(to_syslog, VIOFS_LOG_INFO);
}
