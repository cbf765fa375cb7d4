/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the daemon's messages go. */
#include "daemon/message.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "daemon/journald.h"

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
	char opcode[24], rule[96]; /* "": none */
	char text[900];
};
_Static_assert(sizeof(struct letter) <= PIPE_BUF, "a letter is written whole or not at all");

/* Letters that are taken at a time: as many as a pipe holds, so an endless writer blocks nobody. */
#define LETTERS_MAX 64
/* Letters that are logged in a second, and of debugging messages, which somebody has asked for. */
#define LETTERS_PER_SECOND 50U
#define DEBUG_PER_SECOND 500U

/* Messages that went to a terminal before the log was open. */
#define KEPT_MAX 8
static struct letter kept[KEPT_MAX];
static unsigned int kept_count;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* the unmounting thread logs, too */

/* In the name form. */
static char its_mountpoint[PATH_MAX], its_tag[256];
static bool journal_reads_stderr;
static int pipe_fd = -1;

static const int priorities[VIOFS_LOG_LEVELS] = {
	[VIOFS_LOG_ERROR] = LOG_ERR,
	[VIOFS_LOG_WARNING] = LOG_WARNING,
	[VIOFS_LOG_INFO] = LOG_INFO,
	[VIOFS_LOG_DEBUG] = LOG_DEBUG,
};

static bool to_journal(enum viofs_log_level level, const struct viofs_log_about *about,
		       const char *message)
{
	const struct viofs_journald_entry e = { .priority = priorities[level],
						.message = message,
						.mountpoint = its_mountpoint,
						.tag = its_tag,
						.opcode = about->opcode,
						.rule = about->rule };

	return !viofs_journald_send(VIOFS_JOURNALD_SOCKET, &e);
}

static void to_stderr(enum viofs_log_level level, const struct viofs_log_about *about,
		      const char *message)
{
	static const char *const marks[] = {
		[VIOFS_LOG_ERROR] = "",
		[VIOFS_LOG_WARNING] = "warning: ",
		[VIOFS_LOG_INFO] = "",
		[VIOFS_LOG_DEBUG] = "debug: ",
	};

	if (!journal_reads_stderr || !to_journal(level, about, message))
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

static void to_log(enum viofs_log_level level, const struct viofs_log_about *about,
		   const char *message)
{
	char line[sizeof(its_mountpoint) + 1024 + 2];

	snprintf(line, sizeof(line), "%s: %s", its_mountpoint, message);
	if (!to_journal(level, about, line))
		syslog(priorities[level], "%s", line);
}

static void to_pipe(enum viofs_log_level level, const struct viofs_log_about *about,
		    const char *message)
{
	struct letter l = { .level = level };

	snprintf(l.opcode, sizeof(l.opcode), "%s", about->opcode ? about->opcode : "");
	snprintf(l.rule, sizeof(l.rule), "%s", about->rule ? about->rule : "");
	snprintf(l.text, sizeof(l.text), "%s", message);
	/* Lost: the supervisor is gone, or the pipe is full. */
	(void)!write(pipe_fd, &l, sizeof(l));
}

void viofs_message_to_stderr(bool debug)
{
	journal_reads_stderr = viofs_journald_reads(STDERR_FILENO);
	viofs_log_set_sink(to_stderr, debug ? VIOFS_LOG_DEBUG : VIOFS_LOG_INFO);
}

void viofs_message_name_mount(const char *mountpoint, const char *tag)
{
	viofs_text_clean(VIOFS_TEXT_NAME, mountpoint, its_mountpoint, sizeof(its_mountpoint));
	if (tag)
		viofs_text_clean(VIOFS_TEXT_NAME, tag, its_tag, sizeof(its_tag));
}

void viofs_message_to_syslog(const char *mountpoint)
{
	static const struct viofs_log_about nothing;

	viofs_message_name_mount(mountpoint, NULL);
	openlog("virtiofs-vfio", LOG_PID, LOG_DAEMON);
	viofs_log_set_sink(to_log, VIOFS_LOG_INFO);
	for (unsigned int i = 0; i < kept_count; i++)
		to_log((enum viofs_log_level)kept[i].level, &nothing, kept[i].text);
	kept_count = 0;
}

void viofs_message_to_pipe(int fd)
{
	pipe_fd = fd;
	viofs_log_set_sink(to_pipe, VIOFS_LOG_DEBUG);
}

static void say_dropped(struct viofs_message_flow *flow)
{
	if (flow->dropped)
		viofs_warn("%u messages of the worker were dropped: there were too many at a time",
			   flow->dropped);
	flow->dropped = 0;
}

static bool has_room(struct viofs_message_flow *flow, enum viofs_log_level level)
{
	bool debug = level == VIOFS_LOG_DEBUG;
	unsigned int *taken = debug ? &flow->debug_taken : &flow->taken;
	int64_t now = viofs_now_ns();

	if (now - flow->since >= VIOFS_NSEC_PER_SEC) {
		say_dropped(flow);
		flow->since = now;
		flow->taken = flow->debug_taken = 0;
	}
	if (*taken < (debug ? DEBUG_PER_SECOND : LETTERS_PER_SECOND)) {
		++*taken;
		return true;
	}
	flow->dropped++;
	return false;
}

/* The message's text is cleaned as each message's is. */
static void log_letter(const struct letter *l)
{
	char opcode[VIOFS_TEXT_GROWTH * sizeof(l->opcode)],
		rule[VIOFS_TEXT_GROWTH * sizeof(l->rule)];
	const struct viofs_log_about about = {
		.opcode = viofs_text_clean(VIOFS_TEXT_MESSAGE, l->opcode, opcode, sizeof(opcode)),
		.rule = viofs_text_clean(VIOFS_TEXT_MESSAGE, l->rule, rule, sizeof(rule)),
	};

	viofs_log_about((enum viofs_log_level)l->level, &about, "%s", l->text);
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
		l.opcode[sizeof(l.opcode) - 1] = l.rule[sizeof(l.rule) - 1] = '\0';
		l.text[sizeof(l.text) - 1] = '\0';
		/* What nobody wants takes no room from what is wanted. */
		if (l.level >= VIOFS_LOG_ERROR && l.level <= (int32_t)viofs_log_level() &&
		    has_room(flow, (enum viofs_log_level)l.level))
			log_letter(&l);
	}
	return true;
}
