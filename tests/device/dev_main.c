/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofs-device: a virtio-fs device under test control. */
#include "dev.h"
#include "dev_evil.h"
#include "dev_keep.h"
#include "dev_nodes.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define STORM_NS 20000
#define SCRIBBLE_NS 1000000

static const char usage[] =
	"Usage: viofs-device --socket PATH [OPTION...]\n"
	"  --socket PATH        listen here for a vhost-user front end; ends when it goes\n"
	"  --control PATH       take orders here (dev_control.c)\n"
	"  --serve WHAT         tree (in memory, default), null, or a directory's path\n"
	"  --queues N           request queues (1..8)\n"
	"  --tag TAG            offer a configuration with this tag\n"
	"  --no FEATURE         do not offer version-1, protocol-features, event-idx, indirect, "
	"mq,\n"
	"                       reply-ack, config, inflight\n"
	"  --keep FILE          keep the tree's state there: who starts with it goes on "
	"(dev_keep.c)\n"
	"  --packed             offer packed rings\n"
	"  --iommu              offer ACCESS_PLATFORM: addresses are the IOMMU's\n"
	"  --notify             offer a notification queue; with --tag\n"
	"  --notify-size N      the size of the buffers that it wants\n"
	"  --cache S            names and attributes of the tree may be believed for so long\n"
	"  --strict             end where a request is not framed as the strictest back ends want "
	"it\n"
	"  --latency US         complete requests this much later\n"
	"  --shuffle            complete requests in any order\n"
	"  --poll               look at the rings all the time, ask for no kicks\n"
	"  --no-cache           names and attributes of the tree are to be asked for each time\n"
	"  --posix-locks        remote locks\n"
	"  --interrupt-enosys   answer INTERRUPT with ENOSYS\n"
	"  --init FIELD=VALUE   in the reply to INIT: major, minor, max_readahead, max_write, "
	"max_pages,\n"
	"                       max_background, congestion, time_gran, flags (more of them), "
	"bytes, error\n"
	"  --message NAME=HOW   at this vhost-user message: close, half, mute, refuse, garbage, "
	"wrong,\n"
	"                       unasked\n"
	"  --evil NAME[@OP][*]  at the next request (of that opcode), or at every one:\n";

static const struct {
	const char *name;
	uint64_t feature, protocol;
} features[] = {
	{ "version-1", 1ULL << 32, 0 }, { "protocol-features", 1ULL << 30, 0 },
	{ "event-idx", 1ULL << 29, 0 }, { "indirect", 1ULL << 28, 0 },
	{ "mq", 0, 1ULL << 0 },         { "reply-ack", 0, 1ULL << 3 },
	{ "config", 0, 1ULL << 9 },     { "inflight", 0, 1ULL << 12 },
};

/* Fields of the reply to INIT, in the order of dev.init_set's bits. */
static const struct {
	const char *name;
	size_t offset, size;
} init_fields[] = {
#define FIELD(text, field)                                                                         \
	{                                                                                          \
		text, offsetof(struct fuse_init_out, field),                                       \
			sizeof(((struct fuse_init_out *)0)->field)                                 \
	}
	FIELD("major", major),
	FIELD("minor", minor),
	FIELD("max_readahead", max_readahead),
	FIELD("max_write", max_write),
	FIELD("max_pages", max_pages),
	FIELD("max_background", max_background),
	FIELD("congestion", congestion_threshold),
	FIELD("time_gran", time_gran),
#undef FIELD
};

void dev_say(const char *fmt, ...)
{
	va_list ap;

	fputs("viofs-device: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void dev_driver_fault(const char *fmt, ...)
{
	va_list ap;

	fputs("viofs-device: DRIVER FAULT: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_DRIVER);
}

int64_t dev_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

uint32_t dev_random(struct dev *d)
{
	d->random = d->random * 1664525U + 1013904223U;
	return d->random >> 8;
}

static int hide(struct dev *d, const char *name)
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (strcmp(features[i].name, name) != 0)
			continue;
		d->hide_features |= features[i].feature;
		d->hide_protocol |= features[i].protocol;
		return 0;
	}
	return -EINVAL;
}

static int set_init(struct dev *d, const char *text)
{
	const char *is = strchr(text, '=');
	uint64_t value = is ? strtoull(is + 1, NULL, 0) : 0;
	size_t len = is ? (size_t)(is - text) : 0;

	if (!is)
		return -EINVAL;
	if (!strncmp(text, "flags=", 6))
		d->init_flags = value;
	else if (!strncmp(text, "bytes=", 6))
		d->init_bytes = (uint32_t)value;
	else if (!strncmp(text, "error=", 6))
		d->init_error = atoi(is + 1);
	for (unsigned int i = 0; i < sizeof(init_fields) / sizeof(init_fields[0]); i++) {
		if (strncmp(text, init_fields[i].name, len) != 0 || init_fields[i].name[len])
			continue;
		/* Little endian, as all of this program's world. */
		memcpy((uint8_t *)&d->init + init_fields[i].offset, &value, init_fields[i].size);
		d->init_set |= 1U << i;
	}
	return 0;
}

static int serve(struct dev *d, const char *what)
{
	if (!strcmp(what, "tree"))
		return dev_tree_init(d);
	if (!strcmp(what, "null")) {
		d->fs = &dev_null_fs;
		return 0;
	}
	return dev_dir_init(d, what);
}

enum {
	HELP = 1,
	SOCKET,
	CONTROL,
	KEEP,
	SERVE,
	QUEUES,
	TAG,
	NO,
	PACKED,
	IOMMU,
	NOTIFY,
	NOTIFY_SIZE,
	CACHE,
	STRICT,
	LATENCY,
	SHUFFLE,
	POLL,
	NO_CACHE,
	LOCKS,
	ENOSYS_OPTION,
	INIT,
	MESSAGE,
	EVIL
};

static const struct option options[] = {
	{ "help", no_argument, NULL, HELP },
	{ "socket", required_argument, NULL, SOCKET },
	/* As virtiofsd calls them, for tools/vm. */
	{ "socket-path", required_argument, NULL, SOCKET },
	{ "shared-dir", required_argument, NULL, SERVE },
	{ "control", required_argument, NULL, CONTROL },
	{ "keep", required_argument, NULL, KEEP },
	{ "serve", required_argument, NULL, SERVE },
	{ "queues", required_argument, NULL, QUEUES },
	{ "tag", required_argument, NULL, TAG },
	{ "no", required_argument, NULL, NO },
	{ "packed", no_argument, NULL, PACKED },
	{ "iommu", no_argument, NULL, IOMMU },
	{ "notify", no_argument, NULL, NOTIFY },
	{ "notify-size", required_argument, NULL, NOTIFY_SIZE },
	{ "cache", required_argument, NULL, CACHE },
	{ "strict", no_argument, NULL, STRICT },
	{ "latency", required_argument, NULL, LATENCY },
	{ "shuffle", no_argument, NULL, SHUFFLE },
	{ "poll", no_argument, NULL, POLL },
	{ "no-cache", no_argument, NULL, NO_CACHE },
	{ "posix-locks", no_argument, NULL, LOCKS },
	{ "interrupt-enosys", no_argument, NULL, ENOSYS_OPTION },
	{ "init", required_argument, NULL, INIT },
	{ "message", required_argument, NULL, MESSAGE },
	{ "evil", required_argument, NULL, EVIL },
	{ NULL, 0, NULL, 0 },
};

/* Return: 0, -EINVAL. */
static int take_option(struct dev *d, int c)
{
	switch (c) {
	case SOCKET:
		d->socket_path = optarg;
		return 0;
	case CONTROL:
		d->control_path = optarg;
		return 0;
	case KEEP:
		d->keep_path = optarg;
		return 0;
	case SERVE:
		return serve(d, optarg);
	case QUEUES:
		d->request_queues = (unsigned int)atoi(optarg);
		return d->request_queues && d->request_queues <= DEV_REQUEST_QUEUES_MAX ? 0
											: -EINVAL;
	case TAG:
		d->tag = optarg;
		return 0;
	case NO:
		return hide(d, optarg);
	case PACKED:
		d->packed = true;
		return 0;
	case IOMMU:
		d->iommu = true;
		return 0;
	case NOTIFY:
		d->notify = true;
		return 0;
	case NOTIFY_SIZE:
		d->notify_size = (uint32_t)strtoul(optarg, NULL, 0);
		return 0;
	case CACHE:
		dev_nodes_valid_s = (uint64_t)atoll(optarg);
		return 0;
	case STRICT:
		d->strict = true;
		return 0;
	case LATENCY:
		d->latency_ns = atoll(optarg) * 1000;
		return 0;
	case SHUFFLE:
		d->shuffle = true;
		return 0;
	case NO_CACHE:
		dev_nodes_valid_s = 0;
		return 0;
	case POLL:
		d->poll = true;
		return 0;
	case LOCKS:
		d->posix_locks = true;
		return 0;
	case ENOSYS_OPTION:
		d->interrupt_enosys = true;
		return 0;
	case INIT:
		return set_init(d, optarg);
	case MESSAGE:
		return dev_evil_add_message(d, optarg);
	case EVIL:
		return dev_evil_add(d, optarg);
	default:
		return -EINVAL;
	}
}

static int parse(struct dev *d, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == HELP || take_option(d, c)) {
			fprintf(stderr, "%s    %s\n", usage, dev_evil_list());
			return c == HELP ? 1 : -EINVAL;
		}
	}
	if (!d->socket_path || optind != argc) {
		dev_say("--socket is missing, or there is a word too many. See --help.");
		return -EINVAL;
	}
	if (!d->fs)
		dev_tree_init(d);
	if (d->keep_path && (d->fs != &dev_tree_fs || d->posix_locks)) {
		dev_say("--keep goes with --serve tree, and without --posix-locks");
		return -EINVAL;
	}
	return 0;
}

/* What the loop waits for: three sockets, then the queues' kicks. */
enum { FRONT_END, CONTROL_LISTENER, CONTROL_CLIENT, KICKS };

static void fill(struct dev *d, struct pollfd *fds)
{
	fds[FRONT_END].fd = d->sock;
	fds[CONTROL_LISTENER].fd = d->control_listen_fd;
	fds[CONTROL_CLIENT].fd = d->control_fd;
	for (unsigned int i = 0; i < DEV_QUEUES_MAX; i++)
		fds[KICKS + i].fd = d->queues[i].kick_fd;
	for (unsigned int i = 0; i < KICKS + DEV_QUEUES_MAX; i++)
		fds[i].events = POLLIN;
}

/* Run all queues until there is nothing, and ask for kicks. */
static void run_queues(struct dev *d)
{
	bool more = true;

	while (more && !d->quit) {
		more = false;
		for (unsigned int i = 0; i < dev_queue_count(d); i++)
			dev_queue_run(&d->queues[i]);
		more |= dev_notify_run(d);
		for (unsigned int i = 0; i < dev_queue_count(d); i++)
			more |= dev_queue_arm(&d->queues[i]);
	}
}

static void storm(struct dev *d)
{
	const uint64_t one = 1;

	for (unsigned int i = 0; i < dev_queue_count(d); i++)
		if (d->queues[i].call_fd >= 0 && write(d->queues[i].call_fd, &one, sizeof(one)) < 0)
			dev_say("storm: %s", strerror(errno));
}

static int64_t shorter(int64_t a, int64_t b)
{
	return a < 0 || b < a ? b : a;
}

/* Return: false: the front end has gone. */
static bool turn(struct dev *d)
{
	struct pollfd fds[KICKS + DEV_QUEUES_MAX];
	struct timespec ts;
	int64_t wait;
	uint64_t count;

	run_queues(d);
	wait = dev_queue_complete_due(d);
	if (d->quit)
		return false;
	if (d->scribbled)
		wait = shorter(wait, SCRIBBLE_NS);
	if (d->storm)
		wait = shorter(wait, STORM_NS);
	if (d->poll || d->kicks_full)
		wait = 0;
	ts = (struct timespec){ wait / 1000000000, wait % 1000000000 };
	fill(d, fds);
	if (ppoll(fds, KICKS + DEV_QUEUES_MAX, wait < 0 ? NULL : &ts, NULL) < 0)
		return errno == EINTR;
	dev_queue_scribble(d);
	if (d->storm)
		storm(d);
	for (unsigned int i = 0; i < DEV_QUEUES_MAX; i++)
		if (!d->kicks_full && fds[KICKS + i].revents &&
		    read(fds[KICKS + i].fd, &count, sizeof(count)) < 0)
			dev_say("kick: %s", strerror(errno));
	if (fds[CONTROL_CLIENT].revents)
		dev_control_take(d);
	if (fds[CONTROL_LISTENER].revents)
		dev_control_accept(d);
	return !fds[FRONT_END].revents || dev_messages_take(d);
}

int main(int argc, char **argv)
{
	static struct dev d = { .request_queues = 1,
				.notify_size = DEV_NOTIFY_BYTES,
				.listen_fd = -1,
				.sock = -1,
				.control_listen_fd = -1,
				.control_fd = -1,
				.backend_fd = -1,
				.random = 1 };
	int rc;

	signal(SIGPIPE, SIG_IGN);
	for (unsigned int i = 0; i < DEV_QUEUES_MAX; i++)
		d.queues[i] = (struct dev_queue){
			.dev = &d, .index = i, .kick_fd = -1, .call_fd = -1, .err_fd = -1
		};
	rc = parse(&d, argc, argv);
	if (rc)
		return rc > 0 ? 0 : EXIT_USAGE;
	rc = d.keep_path ? dev_keep_open(&d, d.keep_path) : 0;
	if (!rc)
		rc = dev_control_listen(&d);
	if (!rc)
		rc = dev_messages_listen(&d);
	if (rc) {
		dev_say("%s: %s", d.socket_path, strerror(-rc));
		return 1;
	}
	d.sock = accept4(d.listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (d.sock < 0)
		return 1;
	while (!d.quit && turn(&d))
		;
	return 0;
}
