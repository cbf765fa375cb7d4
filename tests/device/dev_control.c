/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: a test tells the device what to do next, in lines of text. */
/*
 *   hold, release      request queues are left alone, hiprio is not
 *   take               requests are taken from their rings, and nothing is done with them
 *   silent             nothing is served any more
 *   evil NAME[@OP][*]  misbehave from now on
 *   good               no more misbehaviour
 *   latency US, shuffle on|off, interrupts on|off, storm on|off
 *   change, remove, rename, quietly, store, epoch, notify, flood, notify-id
 *                      notifications: dev_notify.c
 *   kicks-full         the kick eventfds are made blocking and filled
 *   error, error-block an error of a virtqueue; that eventfd made blocking
 *   calls-nonblock     the call eventfds made what they are not
 *   cut, grow, seal    the memory's size, and whether it can be mapped; all are to fail
 *   punch              the memory is given back to the system, page by page
 *   close              the vhost-user socket, and end
 *   stats              what was seen, as one line of JSON
 *
 * Each line is answered by one: "ok", "error", "failed", or the statistics.
 */
#include "dev_evil.h"
#include "dev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int dev_control_listen(struct dev *d)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (!d->control_path)
		return 0;
	if (strlen(d->control_path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, d->control_path);
	unlink(d->control_path);
	d->control_listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d->control_listen_fd < 0 ||
	    bind(d->control_listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(d->control_listen_fd, 4) < 0)
		return -errno;
	return 0;
}

void dev_control_accept(struct dev *d)
{
	if (d->control_fd >= 0)
		close(d->control_fd);
	d->control_fd = accept4(d->control_listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void stats(struct dev *d, char *text, size_t size)
{
	const char *comma = "";
	size_t n;

	n = (size_t)snprintf(text, size, "{\"requests\": {");
	for (unsigned int i = 0; i < DEV_OPCODES && n < size; i++) {
		if (!d->counts[i])
			continue;
		n += (size_t)snprintf(text + n, size - n, "%s\"%s\": %llu", comma, dev_fuse_name(i),
				      (unsigned long long)d->counts[i]);
		comma = ", ";
	}
	n += (size_t)snprintf(
		text + n, size - n,
		"}, \"forgotten\": %llu, \"references\": %lld, \"destroyed\": %llu, "
		"\"locks_waiting\": %u, "
		"\"init_flags\": %llu, \"features\": %llu, \"taken\": %u, \"notified\": %llu, "
		"\"queues\": [",
		(unsigned long long)d->forgotten, (long long)dev_references,
		(unsigned long long)d->destroyed, dev_locks_waiting(),
		(unsigned long long)d->init_seen_flags, (unsigned long long)d->features,
		d->taken_count, (unsigned long long)d->notified);
	for (unsigned int i = 0; i < dev_queue_count(d) && n < size; i++) {
		struct dev_queue *q = &d->queues[i];

		n += (size_t)snprintf(text + n, size - n, "%s{\"popped\": %llu, \"waiting\": %u}",
				      i ? ", " : "", (unsigned long long)q->popped,
				      q->started ? q->ring.ops->waiting(&q->ring) : 0);
	}
	snprintf(text + n, size - n, "]}");
}

static bool is_on(const char *word)
{
	return !strcmp(word, "on");
}

/* Each has orders of its own. */
static int obey_others(struct dev *d, const char *word, char *rest)
{
	int rc = dev_hostile_do(d, word);

	return rc == -EINVAL ? dev_notify_obey(d, word, rest) : rc;
}

/* Return: 0; -EINVAL: there is no such order; others: it failed. */
static int obey(struct dev *d, const char *word, char *rest)
{
	if (!strcmp(word, "hold") || !strcmp(word, "release"))
		d->held = word[0] == 'h';
	else if (!strcmp(word, "take"))
		d->taking = true;
	else if (!strcmp(word, "silent"))
		d->silent = true;
	else if (!strcmp(word, "evil"))
		return dev_evil_add(d, rest);
	else if (!strcmp(word, "good"))
		dev_evil_clear(d);
	else if (!strcmp(word, "latency"))
		d->latency_ns = atoll(rest) * 1000;
	else if (!strcmp(word, "shuffle"))
		d->shuffle = is_on(rest);
	else if (!strcmp(word, "interrupts"))
		d->no_interrupts = !is_on(rest);
	else if (!strcmp(word, "storm"))
		d->storm = is_on(rest);
	else if (!strcmp(word, "close"))
		d->quit = true;
	else
		return obey_others(d, word, rest);
	return 0;
}

static const char *answers(int rc)
{
	if (rc == -EINVAL)
		return "error";
	return rc ? "failed" : "ok";
}

void dev_control_take(struct dev *d)
{
	char line[8192], reply[4096] = "ok", *rest;
	ssize_t n = recv(d->control_fd, line, sizeof(line) - 1, 0);

	if (n <= 0) {
		close(d->control_fd);
		d->control_fd = -1;
		return;
	}
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	rest = strchr(line, ' ');
	if (rest)
		*rest++ = '\0';
	if (!strcmp(line, "stats"))
		stats(d, reply, sizeof(reply) - 1);
	else
		strcpy(reply, answers(obey(d, line, rest ? rest : line + strlen(line))));
	strcat(reply, "\n");
	send(d->control_fd, reply, strlen(reply), MSG_NOSIGNAL);
}
