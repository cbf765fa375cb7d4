/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the daemon's messages go. */
#include "daemon/message.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/* A message on its way through a pipe. */
struct letter {
	int32_t level;
	char text[1020];
};
_Static_assert(sizeof(struct letter) <= PIPE_BUF, "a letter is written whole or not at all");

/* Letters that are taken at a time: as many as a pipe holds, so an endless writer blocks nobody. */
#define LETTERS_MAX 64
/* Letters that are logged in a second. */
#define LETTERS_PER_SECOND 50U

/* Messages that went to a terminal before the log was open. */
#define KEPT_MAX 8
static struct letter kept[KEPT_MAX];
static unsigned int kept_count;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* the unmounting thread logs, too */

static char syslog_mountpoint[PATH_MAX];
static int pipe_fd = -1;

static void to_stderr(enum viofs_log_level level, const char *message)
{
	static const char *const marks[] = {
		[VIOFS_LOG_ERROR] = "",
		[VIOFS_LOG_WARNING] = "warning: ",
		[VIOFS_LOG_INFO] = "",
		[VIOFS_LOG_DEBUG] = "debug: ",
	};

	fprintf(stderr, "virtiofs-vfio: %s%s\n", marks[level], message);
	if (level > VIOFS_LOG_WARNING)
		return;
	pthread_mutex_lock(&kept_lock);
	if (kept_count < KEPT_MAX) {
		kept[kept_count].level = level;
		snprintf(kept[kept_count].text, sizeof(kept[0].text), "%s", message);
		kept_count++;
	}
	pthread_mutex_unlock(&kept_lock);
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

static void to_pipe(enum viofs_log_level level, const char *message)
{
	struct letter l = { .level = level };

	snprintf(l.text, sizeof(l.text), "%s", message);
	/* Lost: the supervisor is gone, or the pipe is full. */
	(void)!write(pipe_fd, &l, sizeof(l));
}

void viofs_message_to_stderr(bool debug)
{
	viofs_log_set_sink(to_stderr, debug ? VIOFS_LOG_DEBUG : VIOFS_LOG_INFO);
}

void viofs_message_to_syslog(const char *mountpoint)
{
	viofs_text_clean(VIOFS_TEXT_NAME, mountpoint, syslog_mountpoint, sizeof(syslog_mountpoint));
	openlog("virtiofs-vfio", LOG_PID, LOG_DAEMON);
	viofs_log_set_sink(to_syslog, VIOFS_LOG_INFO);
	for (unsigned int i = 0; i < kept_count; i++)
		to_syslog((enum viofs_log_level)kept[i].level, kept[i].text);
	kept_count = 0;
}

void viofs_message_to_pipe(int fd, bool debug)
{
	pipe_fd = fd;
	viofs_log_set_sink(to_pipe, debug ? VIOFS_LOG_DEBUG : VIOFS_LOG_INFO);
}

static void say_dropped(struct viofs_message_flow *flow)
{
	if (flow->dropped)
		viofs_warn("%u messages of the worker were dropped: there were too many at a time",
			   flow->dropped);
	flow->dropped = 0;
}

/* Debugging messages are logged only where somebody wants all of them. */
static bool has_room(struct viofs_message_flow *flow, enum viofs_log_level level)
{
	int64_t now = viofs_now_ns();

	if (level == VIOFS_LOG_DEBUG)
		return true;
	if (now - flow->since >= VIOFS_NSEC_PER_SEC) {
		say_dropped(flow);
		flow->since = now;
		flow->taken = 0;
	}
	if (flow->taken < LETTERS_PER_SECOND) {
		flow->taken++;
		return true;
	}
	flow->dropped++;
	return false;
}

bool viofs_message_forward(int fd, struct viofs_message_flow *flow)
{
	struct letter l;
	ssize_t n;

	for (int i = 0; i < LETTERS_MAX; i++) {
		n = read(fd, &l, sizeof(l));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n != (ssize_t)sizeof(l)) {
			say_dropped(flow);
			return false;
		}
		l.text[sizeof(l.text) - 1] = '\0';
		if (l.level >= VIOFS_LOG_ERROR && l.level <= VIOFS_LOG_DEBUG &&
		    has_room(flow, (enum viofs_log_level)l.level))
			viofs_log((enum viofs_log_level)l.level, "%s", l.text);
	}
	return true;
}
