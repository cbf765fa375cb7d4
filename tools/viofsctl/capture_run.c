/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl capture: asks a daemon for its records, and shows or writes them.
 *
 * Nothing wakes us for a record, as that would cost whoever writes it a system call: we look a few
 * hundred times a second. The daemon knows by its socket that we are there.
 */
#include "ctl_capture.h"
#include "base/util.h"
#include "capture_filter.h"
#include "capture_print.h"
#include "capture_reader.h"
#include "ctl.h"
#include "daemon/control.h"
#include "daemon/recorder.h"
#include "pcapng_write.h"
#include "viofs_config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 3
/* Requests that wait for a reply that says whether they are wanted: by slot. */
#define HELD (1U << 16)

/* A request that was not shown yet. */
struct held {
	struct viofs_captured packet; /* message: our own copy */
	uint8_t *message;
};

struct capture {
	const struct viofs_capture_order *order;
	struct viofs_filter *filter;
	bool needs_reply;
	struct viofs_reader *reader;
	struct viofs_pcapng file;
	int file_fd;   /* -1: none */
	int daemon_fd; /* closed by it when it ends */
	uint64_t shown;
	uint64_t packets[64]; /* by ring */
	struct held *held;    /* HELD of them, where any is */
	int64_t end;          /* ns; 0: none */
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	stopped = 1;
}

static bool is_inbound(unsigned int kind)
{
	return kind != VIOFS_PACKET_REQUEST && kind != VIOFS_PACKET_KICK;
}

static bool is_enough(const struct capture *c)
{
	return c->order->count && c->shown >= c->order->count;
}

static void show(struct capture *c, const struct viofs_captured *p)
{
	char name[16];

	if (is_enough(c))
		return;
	c->shown++;
	c->packets[p->ring]++;
	if (c->file_fd >= 0)
		viofs_pcapng_packet(&c->file, p->ring, p->time, &p->packet, sizeof(p->packet),
				    p->message, p->captured, p->captured ? p->packet.len : 0,
				    is_inbound(p->packet.kind), p->lost);
	else
		viofs_capture_print(p, viofs_reader_name(c->reader, p->ring, name), c->order->all,
				    stdout);
}

static void drop(struct held *h)
{
	free(h->message);
	h->message = NULL;
}

/* Until its reply comes. What doesn't fit into memory isn't shown. */
static void hold(struct capture *c, const struct viofs_captured *p)
{
	struct held *h;

	if (!c->held)
		c->held = calloc(HELD, sizeof(*c->held));
	if (!c->held)
		return;
	h = &c->held[p->packet.slot];
	drop(h);
	h->message = malloc(p->captured + 1);
	if (!h->message)
		return;
	memcpy(h->message, p->message, p->captured);
	h->packet = *p;
	h->packet.message = h->message;
}

/* The request that @reply is of, before it. */
static void show_held(struct capture *c, const struct viofs_captured *reply, bool wanted)
{
	struct held *h = c->held ? &c->held[reply->packet.slot] : NULL;

	if (!h || !h->message)
		return;
	if (wanted && h->packet.packet.device_unique == reply->packet.device_unique)
		show(c, &h->packet);
	drop(h);
}

static void take(struct capture *c, const struct viofs_captured *p)
{
	bool wanted = viofs_filter_matches(c->filter, &p->packet, p->ring);

	if (c->needs_reply && p->packet.kind == VIOFS_PACKET_REQUEST && !wanted) {
		hold(c, p);
		return;
	}
	if (c->needs_reply && p->packet.kind == VIOFS_PACKET_REPLY)
		show_held(c, p, wanted);
	if (wanted)
		show(c, p);
}

/* All that is there now. Return: 0 or -errno of writing. */
static int drain(struct capture *c)
{
	struct viofs_captured p;

	if (!viofs_reader_fill(c->reader))
		return 0;
	while (!is_enough(c) && viofs_reader_next(c->reader, &p))
		take(c, &p);
	if (c->file_fd >= 0)
		return viofs_pcapng_flush(&c->file);
	return fflush(stdout) ? -errno : 0;
}

static void begin_file(struct capture *c, const json_t *answer)
{
	char description[512], name[16];

	snprintf(description, sizeof(description), "%s on %s",
		 json_string_value(json_object_get(answer, "source")),
		 json_string_value(json_object_get(answer, "mountpoint")));
	for (unsigned int i = 0; i < viofs_reader_rings(c->reader); i++)
		viofs_pcapng_interface(&c->file, VIOFS_PACKET_LINKTYPE,
				       c->order->snap + (uint32_t)sizeof(struct viofs_packet),
				       viofs_reader_name(c->reader, i, name), description);
}

static uint64_t now_real(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * VIOFS_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Numbers of each ring, and the sum to standard error. */
static void end_report(struct capture *c)
{
	uint64_t lost = 0;

	if (!is_enough(c))
		viofs_reader_count_rest(c->reader);
	for (unsigned int i = 0; i < viofs_reader_rings(c->reader); i++) {
		lost += viofs_reader_lost(c->reader, i);
		if (c->file_fd >= 0)
			viofs_pcapng_statistics(&c->file, i, now_real(), c->packets[i],
						viofs_reader_lost(c->reader, i));
	}
	fprintf(stderr, "viofsctl: %llu packets, %llu lost\n", (unsigned long long)c->shown,
		(unsigned long long)lost);
}

/* Until it is enough, for whatever reason. Return: 0 or -errno of writing. */
static int run(struct capture *c)
{
	struct pollfd p = { .fd = c->daemon_fd, .events = POLLIN };
	bool over = false;
	int rc = 0;

	while (!rc && !over && !is_enough(c)) {
		over = stopped || (c->end && viofs_now_ns() >= c->end) || poll(&p, 1, LOOK_MS) > 0;
		rc = drain(c);
	}
	return rc;
}

static int start_records(struct capture *c)
{
	const struct viofs_recorder_wish wish = { .snap = c->order->snap,
						  .contents = c->order->data };
	int memory = viofs_recorder_accept(c->daemon_fd), rc;

	if (memory < 0)
		return memory;
	rc = viofs_reader_new(memory, &c->reader);
	close(memory);
	return rc ? rc : viofs_recorder_start(c->daemon_fd, &wish);
}

static int open_file(struct capture *c)
{
	int rc;

	if (!c->order->file)
		return 0;
	c->file_fd = strcmp(c->order->file, "-") != 0
			     ? open(c->order->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
			     : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	rc = c->file_fd < 0 ? -errno
			    : viofs_pcapng_begin(&c->file, c->file_fd, "viofsctl " VIOFS_VERSION);
	if (rc)
		viofs_ctl_complain("%s: %s.", c->order->file, strerror(-rc));
	return rc;
}

/* Return: the exit status. */
static int capture(struct capture *c, const json_t *answer, const char *where)
{
	const struct sigaction action = { .sa_handler = stop };
	int rc = start_records(c);

	if (rc)
		return viofs_ctl_complain("%s: %s.", where,
					  rc == -ENOMEM || rc == -ENOSPC ? "no memory for records"
									 : strerror(-rc));
	if (open_file(c))
		return 1;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (c->order->seconds > 0)
		c->end = viofs_now_ns() + (int64_t)(c->order->seconds * 1e9);
	if (c->file_fd >= 0) {
		begin_file(c, answer);
		rc = viofs_pcapng_flush(&c->file);
	}
	if (!rc)
		rc = run(c);
	end_report(c);
	if (c->file_fd >= 0 && !rc)
		rc = viofs_pcapng_end(&c->file);
	/* Who reads a pipe may go when it has seen enough. */
	return rc && rc != -EPIPE ? viofs_ctl_complain("writing: %s.", strerror(-rc)) : 0;
}

static void clean_up(struct capture *c)
{
	for (unsigned int i = 0; c->held && i < HELD; i++)
		drop(&c->held[i]);
	free(c->held);
	viofs_pcapng_end(&c->file);
	if (c->file_fd >= 0)
		close(c->file_fd);
	viofs_reader_free(c->reader);
	viofs_filter_free(c->filter);
	if (c->daemon_fd >= 0)
		close(c->daemon_fd);
}

static int capture_one(const struct viofs_capture_order *o, const char *socket)
{
	struct capture c = { .order = o, .file_fd = -1, .daemon_fd = -1 };
	json_t *answer = NULL;
	const char *wrong;
	char why[128];
	size_t at;
	int status = 1, rc;

	rc = viofs_control_ask_fd(socket, VIOFS_CONTROL_CAPTURE, &answer, &c.daemon_fd);
	wrong = rc ? strerror(-rc) : json_string_value(json_object_get(answer, "error"));
	if (!wrong && c.daemon_fd < 0)
		wrong = "an answer without a socket";
	if (!wrong && o->filter) {
		c.filter = viofs_filter_parse(o->filter, why, &at);
		wrong = c.filter ? NULL : why;
		c.needs_reply = viofs_filter_needs_reply(c.filter);
	}
	if (wrong)
		viofs_ctl_complain("%s: %s.", o->where, wrong);
	else
		status = capture(&c, answer, o->where);
	clean_up(&c);
	json_decref(answer);
	return status;
}

int viofs_ctl_capture_run(const struct viofs_capture_order *o)
{
	json_t *all = json_array();
	int status = viofs_ctl_ask_all(o->where, VIOFS_CTL_INSIDE, all);

	signal(SIGPIPE, SIG_IGN);
	if (json_array_size(all) > 1)
		status = viofs_ctl_complain("%s: that is several mounts; name one.", o->where);
	else if (json_array_size(all))
		status = capture_one(
			o, json_string_value(json_object_get(json_array_get(all, 0), "socket")));
	json_decref(all);
	return status;
}
