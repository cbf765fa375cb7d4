/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket, both sides. */
#include "daemon/control.h"
#include "attach/record.h"
#include "base/fd_pass.h"
#include "base/util.h"
#include "viofs_config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* The client waits longer than a daemon may be busy: see TRY_END_MAX_NS in outage.c. */
#define ASK_TIMEOUT_S 5
/* A client that doesn't send, or doesn't read, keeps the daemon no longer than this. */
#define SERVE_NS (2 * VIOFS_NSEC_PER_SEC)
#define PROTOCOL 1
#define REPLY_MAX (1 << 20)
#define NO_MEMORY "{\"error\":\"out of memory\"}\n"

static int fill_address(struct sockaddr_un *a, const char *path)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	strcpy(a->sun_path, path);
	return 0;
}

void viofs_control_path(char *buf, size_t size, const char *address)
{
	snprintf(buf, size, VIOFS_RUN_DIR "/%s" VIOFS_CONTROL_SUFFIX, address);
}

int viofs_control_listen(const char *address, struct viofs_err *err)
{
	struct sockaddr_un a;
	char path[PATH_MAX];
	mode_t mask;
	int fd, rc;

	viofs_control_path(path, sizeof(path), address);
	rc = fill_address(&a, path);
	fd = rc ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return viofs_err_set(err, rc ? rc : -errno, "No control socket %s: %s.", path,
				     strerror(rc ? -rc : errno));
	/* We hold the record's lock, so an existing socket was left by a killed daemon. */
	unlink(path);
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0)
		rc = -errno;
	umask(mask);
	if (!rc)
		return fd;
	close(fd);
	return viofs_err_set(err, rc, "No control socket %s: %s.", path, strerror(-rc));
}

/* Until @until. Return: can @fd be read from, or written to, or has its peer gone? */
static bool wait_for(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };

	/*
	 * What the daemon's loop waits for (supervisor.c) happens meanwhile too, and may cut a wait
	 * short.
	 */
	for (;;) {
		int64_t left = until - viofs_now_ns();
		int n = left > 0 ? poll(&p, 1, (int)(left / VIOFS_NSEC_PER_MSEC) + 1) : 0;

		if (n > 0 || left <= 0)
			return n > 0;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static void send_all(int fd, const char *text, size_t len, int64_t until)
{
	while (len && wait_for(fd, POLLOUT, until)) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static json_t *error(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

/* What this daemon knows: for clients that may be older or newer than it is. */
static json_t *describe(const struct viofs_control_command *c)
{
	json_t *list = json_array();

	for (; c->word; c++)
		json_array_append_new(
			list, json_pack("{s:s, s:s*}", "word", c->word, "argument", c->argument));
	return json_pack("{s:i, s:s, s:o}", "protocol", PROTOCOL, "version", VIOFS_VERSION,
			 "commands", list);
}

static json_t *answer(char *line, const struct viofs_control_command *commands, void *arg, int *fd)
{
	char *argument = strchr(line, ' ');

	if (argument)
		*argument++ = '\0';
	if (!argument && !strcmp(line, VIOFS_CONTROL_PROTOCOL))
		return describe(commands);
	for (const struct viofs_control_command *c = commands; c->word; c++)
		if (!strcmp(line, c->word))
			return argument && !c->argument ? error("this command takes no argument")
							: c->answer(arg, argument, fd);
	return error("there is no such command");
}

/*
 * Up to a newline, or to the end of what is sent. A line may come in pieces.
 * Return: NULL, or what is wrong with it; "": nothing was asked.
 */
static const char *read_line(int fd, char line[static VIOFS_CONTROL_LINE + 1], int64_t until)
{
	char *end = NULL;
	size_t len = 0;
	ssize_t n = 1;

	while (!end && n && len < VIOFS_CONTROL_LINE) {
		if (!wait_for(fd, POLLIN, until))
			return "no whole line was sent in time";
		n = recv(fd, line + len, VIOFS_CONTROL_LINE - len, MSG_DONTWAIT);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return "";
		if (n > 0) {
			end = memchr(line + len, '\n', (size_t)n);
			len += (size_t)n;
		}
	}
	if (!len)
		return "";
	if (!end && n)
		return "the line is too long";
	if (end)
		len = (size_t)(end - line);
	line[len] = '\0';
	return strlen(line) < len ? "the line has a NUL in it" : NULL;
}

/* What is left unread would be an error for who reads the answer. */
static void drop_rest(int fd)
{
	char rest[4096];

	for (int i = 0; i < 64 && recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
}

static void send_reply(int fd, const json_t *reply, int extra)
{
	char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	int64_t until = viofs_now_ns() + SERVE_NS;
	size_t sent = 0;

	if (text && extra >= 0)
		sent = !viofs_fd_pass(fd, *text, extra);
	if (text) {
		send_all(fd, text + sent, strlen(text + sent), until);
		send_all(fd, "\n", 1, until);
	} else {
		send_all(fd, NO_MEMORY, strlen(NO_MEMORY), until);
	}
	free(text);
}

void viofs_control_serve(int listener, const struct viofs_control_command *commands, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char line[VIOFS_CONTROL_LINE + 1];
	const char *wrong;
	int extra = -1;

	if (fd < 0)
		return;
	wrong = read_line(fd, line, viofs_now_ns() + SERVE_NS);
	if (!wrong || *wrong) {
		json_t *reply = wrong ? error(wrong) : answer(line, commands, arg, &extra);

		drop_rest(fd);
		send_reply(fd, reply, extra);
		json_decref(reply);
	}
	if (extra >= 0)
		close(extra);
	close(fd);
}

void viofs_control_close(int listener, const char *address)
{
	char path[PATH_MAX];

	if (listener < 0)
		return;
	viofs_control_path(path, sizeof(path), address);
	unlink(path);
	close(listener);
}

/* Up to the end of what is sent. Return: bytes, or an error. */
static ssize_t receive_all(int fd, char *text, int64_t until, int *extra)
{
	size_t len = 0;
	ssize_t n;

	while (len < REPLY_MAX) {
		if (!wait_for(fd, POLLIN, until))
			return -ETIMEDOUT;
		n = viofs_fd_receive(fd, text + len, REPLY_MAX - len, MSG_DONTWAIT, extra);
		if (!n)
			break;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n > 0)
			len += (size_t)n;
	}
	return (ssize_t)len;
}

static int receive(int fd, json_t **reply, int64_t until, int *extra)
{
	char *text = malloc(REPLY_MAX);
	ssize_t len;

	if (!text)
		return -ENOMEM;
	len = receive_all(fd, text, until, extra);
	if (len < 0) {
		free(text);
		return (int)len;
	}
	*reply = json_loadb(text, (size_t)len, 0, NULL);
	free(text);
	return *reply ? 0 : -EPROTO;
}

int viofs_control_ask(const char *path, const char *line, json_t **reply)
{
	int extra, rc = viofs_control_ask_fd(path, line, reply, &extra);

	if (extra >= 0)
		close(extra);
	return rc;
}

int viofs_control_ask_fd(const char *path, const char *line, json_t **reply, int *fd_out)
{
	const struct timeval turn = { .tv_sec = ASK_TIMEOUT_S };
	int64_t until = viofs_now_ns() + ASK_TIMEOUT_S * VIOFS_NSEC_PER_SEC;
	struct sockaddr_un a;
	int fd, rc;

	*fd_out = -1;

	rc = fill_address(&a, path);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Where a crowd asks, connect(2) waits for its turn. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &turn, sizeof(turn));
	do
		rc = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	while (rc == -EINTR);
	if (!rc) {
		send_all(fd, line, strlen(line), until);
		send_all(fd, "\n", 1, until);
		rc = receive(fd, reply, until, fd_out);
	}
	close(fd);
	return rc;
}
