/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl metrics --http: one request of one connection, which is standard input.
 *
 * systemd accepts connections and starts us for each. Whoever may connect is bad input: the head
 * of the request, and the time for it and for taking the answer, are limited. The answer is made
 * whole before its first byte is sent, so that its length is known and no daemon waits for a slow
 * reader.
 */
#include "ctl.h"
#include "http_request.h"
#include "base/util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_HEAD 8192
/* For the head, for the answer, and for the end, each. */
#define TIME_S 10

static const struct status {
	int number;
	const char *reason, *text;
} statuses[] = {
	{ 200, "OK", "" },
	{ 400, "Bad Request", "This is no request of HTTP/1.1, or its head is too long.\n" },
	{ 404, "Not Found", "There is only /metrics.\n" },
	{ 405, "Method Not Allowed", "There are only GET and HEAD.\n" },
	{ 500, "Internal Server Error", "The answer can't be made: see the log.\n" },
};

/* Times are of viofs_now_ns(). Return: can the socket be read (or written) before @end? */
static bool wait_for(short events, int64_t end)
{
	int64_t now = viofs_now_ns();
	struct pollfd p = { .fd = STDIN_FILENO, .events = events };

	return now < end && poll(&p, 1, (int)((end - now) / 1000000) + 1) > 0;
}

static int64_t time_limit(void)
{
	return viofs_now_ns() + TIME_S * VIOFS_NSEC_PER_SEC;
}

/* Return: bytes of the head; 0: it is too long; -errno, -ETIMEDOUT, or -EPIPE: the peer has gone.
 */
static ssize_t read_head(char text[static MAX_HEAD])
{
	int64_t end = time_limit();
	size_t len = 0, head = 0;

	while (!head && len < MAX_HEAD) {
		ssize_t n;

		if (!wait_for(POLLIN, end))
			return -ETIMEDOUT;
		n = recv(STDIN_FILENO, text + len, MAX_HEAD - len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		len += (size_t)n;
		head = viofs_http_end(text, len);
	}
	return (ssize_t)head;
}

/* Return: 0, or -errno, or -ETIMEDOUT. */
static int send_all(const char *data, size_t len, int64_t end)
{
	while (len) {
		ssize_t n;

		if (!wait_for(POLLOUT, end))
			return -ETIMEDOUT;
		n = send(STDIN_FILENO, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What the peer still sends is read, or TCP would take the answer away from it. */
static void linger(void)
{
	int64_t end = time_limit();
	char rest[MAX_HEAD];

	shutdown(STDIN_FILENO, SHUT_WR);
	while (wait_for(POLLIN, end) && recv(STDIN_FILENO, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
}

static const struct status *find_status(int number)
{
	size_t i = 0;

	while (statuses[i].number != number)
		i++;
	return &statuses[i];
}

/* @body: NULL: the status' own text. Return: 0, or -errno, or -ETIMEDOUT. */
static int answer(int number, const struct viofs_http_request *r, const char *body, size_t len)
{
	const struct status *s = find_status(number);
	int64_t end = time_limit();
	char head[512];
	int n, rc;

	if (!body) {
		body = s->text;
		len = strlen(body);
	}
	n = snprintf(head, sizeof(head),
		     "HTTP/1.1 %d %s\r\nContent-Type: %s; charset=utf-8\r\nContent-Length: %zu\r\n"
		     "%sConnection: close\r\n\r\n",
		     s->number, s->reason,
		     number != 200 ? "text/plain"
		     : r->open     ? "application/openmetrics-text; version=1.0.0"
				   : "text/plain; version=0.0.4",
		     len, number == 405 ? "Allow: GET, HEAD\r\n" : "");
	rc = send_all(head, (size_t)n, end);
	if (!rc && !r->head)
		rc = send_all(body, len, end);
	if (!rc)
		linger();
	return rc;
}

/* Return: what is printed of @where, to be unmapped, and its @len; NULL: that failed. */
static char *collect(const char *where, bool open, size_t *len)
{
	int fd = memfd_create("metrics", MFD_CLOEXEC);
	char *body = MAP_FAILED;
	struct stat st;

	if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0) {
		/* With one daemon that doesn't answer the others' are there still. */
		viofs_ctl_metrics(where, open, false);
		if (!fflush(stdout) && !ferror(stdout) && !fstat(fd, &st))
			/* One byte more: nothing can't be mapped. */
			body = mmap(NULL, (size_t)st.st_size + 1, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	if (fd >= 0)
		close(fd);
	if (body == MAP_FAILED) {
		viofs_ctl_complain("The answer can't be made: %s.", strerror(errno));
		return NULL;
	}
	*len = (size_t)st.st_size;
	return body;
}

static int serve(const char *where, const struct viofs_http_request *r)
{
	size_t len = 0;
	char *body = collect(where, r->open, &len);
	int rc = answer(body ? 200 : 500, r, body, len);

	if (body)
		munmap(body, len + 1);
	return rc;
}

int viofs_ctl_metrics_http(const char *where)
{
	struct viofs_http_request r = { false, false };
	char text[MAX_HEAD];
	socklen_t size = sizeof(int);
	int type, refused, rc;
	ssize_t len;

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
		return viofs_ctl_complain("--http answers a connection, which has to be standard "
					  "input: see virtiofs-vfio-metrics.socket.");
	len = read_head(text);
	if (len < 0) {
		rc = (int)len;
	} else {
		refused = viofs_http_parse(text, (size_t)len, &r);
		rc = refused ? answer(refused, &r, NULL, 0) : serve(where, &r);
	}
	return rc ? viofs_ctl_complain("A client of --http got no answer: %s.", strerror(-rc)) : 0;
}
