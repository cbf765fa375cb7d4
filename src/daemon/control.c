/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket, both sides. */
#include "daemon/control.h"
#include "base/log.h"
#include "attach/record.h"

#include <errno.h>
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
#define SERVE_TIMEOUT_S 2
#define WORD_MAX 32
#define REPLY_MAX (1 << 20)
#define NO_MEMORY "{\"error\":\"out of memory\"}"

static int fill_address(struct sockaddr_un *a, const char *path)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	strcpy(a->sun_path, path);
	return 0;
}

static void set_timeout(int fd, int seconds)
{
	const struct timeval t = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
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
	/* We hold the record's lock, so a socket that is there was left by a killed daemon. */
	unlink(path);
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0)
		rc = -errno;
	umask(mask);
	if (!rc)
		return fd;
	close(fd);
	return viofs_err_set(err, rc, "No control socket %s: %s.", path, strerror(-rc));
}

static void send_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

/* Room for one descriptor beside a message. */
union fd_room {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* The first byte, and a descriptor with it. Return: bytes sent. */
static size_t send_with_fd(int sock, const char *text, int fd)
{
	union fd_room room = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS } };
	struct iovec byte = { (char *)text, 1 };
	const struct msghdr m = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &room,
				  .msg_controllen = sizeof(room) };

	memcpy(CMSG_DATA(&room.head), &fd, sizeof(fd));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == 1;
}

static json_t *answer(const char *word, const struct viofs_control_command *c, void *arg, int *fd)
{
	for (; c->word; c++)
		if (!strcmp(word, c->word))
			return c->answer(arg, fd);
	return json_pack("{s:s}", "error", "there is no such command");
}

void viofs_control_serve(int listener, const struct viofs_control_command *commands, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char word[WORD_MAX], *text;
	size_t sent = 0;
	json_t *reply;
	int extra = -1;
	ssize_t n;

	if (fd < 0)
		return;
	set_timeout(fd, SERVE_TIMEOUT_S);
	/*
	 * What the loop waits for on its ring (supervisor.c) happens meanwhile too, and cuts it
	 * short.
	 */
	do
		n = recv(fd, word, sizeof(word) - 1, 0);
	while (n < 0 && errno == EINTR);
	word[n > 0 ? n : 0] = '\0';
	word[strcspn(word, "\n")] = '\0';
	reply = answer(word, commands, arg, &extra);
	text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	if (text && extra >= 0)
		sent = send_with_fd(fd, text, extra);
	send_all(fd, text ? text + sent : NO_MEMORY, strlen(text ? text + sent : NO_MEMORY));
	if (extra >= 0)
		close(extra);
	free(text);
	json_decref(reply);
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

/* recv(2), also of a descriptor; *fd stays -1 if none comes. */
static ssize_t receive_some(int sock, char *buf, size_t size, int *fd)
{
	struct iovec data = { buf, size };
	union fd_room room;
	struct msghdr m = { .msg_iov = &data,
			    .msg_iovlen = 1,
			    .msg_control = &room,
			    .msg_controllen = sizeof(room) };
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return n;
	if (*fd >= 0)
		close(*fd);
	memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return n;
}

static int receive(int fd, json_t **reply, int *extra)
{
	char *text = malloc(REPLY_MAX);
	size_t len = 0;
	ssize_t n = 0;

	if (!text)
		return -ENOMEM;
	while (len < REPLY_MAX && (n = receive_some(fd, text + len, REPLY_MAX - len, extra)) > 0)
		len += (size_t)n;
	if (n < 0) {
		int rc = errno == EAGAIN ? -ETIMEDOUT : -errno;

		free(text);
		return rc;
	}
	*reply = json_loadb(text, len, 0, NULL);
	free(text);
	return *reply ? 0 : -EPROTO;
}

int viofs_control_ask(const char *path, const char *word, json_t **reply)
{
	int extra, rc = viofs_control_ask_fd(path, word, reply, &extra);

	if (extra >= 0)
		close(extra);
	return rc;
}

int viofs_control_ask_fd(const char *path, const char *word, json_t **reply, int *fd_out)
{
	char line[WORD_MAX];
	struct sockaddr_un a;
	int fd, rc;

	*fd_out = -1;

	rc = fill_address(&a, path);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	set_timeout(fd, ASK_TIMEOUT_S);
	snprintf(line, sizeof(line), "%s\n", word);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		rc = -errno;
	if (!rc) {
		send_all(fd, line, strlen(line));
		rc = receive(fd, reply, fd_out);
	}
	close(fd);
	return rc;
}
