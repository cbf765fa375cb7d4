/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl metrics: what the daemons count, for Prometheus.
 *
 * The text format 0.0.4, or OpenMetrics 1.0, which differ in the heads of families: there a
 * counter's family has no _total, and a family may have a unit; at the end is a mark. Each family
 * has the samples of all daemons.
 */
#include "ctl.h"
#include "base/util.h"
#include "daemon/control.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "virtiofs_vfio_"
/* Buckets: 1 us, and each one twice as long as the one before, up to 67 s. */
#define BUCKETS 27

/* A family. Its name ends with its unit, where it has one. */
struct family {
	const char *name, *unit;
	bool counts; /* a counter; else a gauge */
	const char *help;
	const char *object, *member; /* of the status; object NULL: its own */
};

static const struct family families[] = {
	{ "replies", NULL, true, "Requests answered.", "counts", "replies" },
	{ "errors", NULL, true, "Requests that the device answered with an error.", "counts",
	  "errors" },
	{ "device_violations", NULL, true, "Replies of the device that broke the rules.", "counts",
	  "faults" },
	{ "refused", NULL, true, "Requests that were answered with no device.", "counts",
	  "refused" },
	{ "read_bytes", "bytes", true, "Bytes that programs have read.", "counts", "bytes_read" },
	{ "written_bytes", "bytes", true, "Bytes that programs have written.", "counts",
	  "bytes_written" },
	{ "forgets", NULL, true, "FORGET messages sent.", "counts", "forgets" },
	{ "sleeps", NULL, true, "Times that a lane went to sleep.", "counts", "sleeps" },
	{ "handovers", NULL, true, "Replies that blocked and had another thread take over.",
	  "counts", "handovers" },
	{ "parkings", NULL, true, "Requests that had to wait in plain memory.", "parked", "total" },
	{ "parked", NULL, false, "Requests that wait in plain memory.", "parked", "now" },
	{ "inflight", NULL, false, "Requests that have a slot.", "slots", "used" },
	{ "slots_free", NULL, false, "Slots that no request has.", "slots", "free" },
	{ "oldest_request_seconds", "seconds", false, "Age of the oldest request.", NULL,
	  "oldest_request_s" },
	{ "dma_memory_bytes", "bytes", false, "Memory that the device can reach.", "dma_memory",
	  "bytes" },
	{ "lanes", NULL, false, "Lanes that serve.", NULL, "lanes" },
	{ "restarts", NULL, true, "Workers that went on where another had died.", NULL,
	  "restarts" },
};

static const struct family queue_families[] = {
	{ "queue_requests", NULL, true, "Requests put on a virtqueue.", NULL, "requests" },
	{ "queue_kicks", NULL, true, "Notifications sent to the device.", NULL, "kicks" },
	{ "queue_interrupts", NULL, true, "Interrupts received.", NULL, "interrupts" },
	{ "queue_inflight", NULL, false, "Requests on a virtqueue.", NULL, "in_flight" },
};

static const struct family times[] = {
	{ "request_duration_seconds", "seconds", false,
	  "Time of a request from when it was read until it was answered.", NULL, "total" },
	{ "device_duration_seconds", "seconds", false, "Time of a request in the device.", NULL,
	  "device" },
};

static void print_head(const struct family *f, const char *type, bool open)
{
	const char *total = f->counts && !open ? "_total" : "";

	printf("# HELP " PREFIX "%s%s %s\n# TYPE " PREFIX "%s%s %s\n", f->name, total, f->help,
	       f->name, total, type);
	if (open && f->unit)
		printf("# UNIT " PREFIX "%s %s\n", f->name, f->unit);
}

/* A label, with what is special in its text escaped. No line breaks are left (viofs_ctl_clean()).
 */
static void print_label(const char *name, const json_t *text)
{
	const char *s = json_string_value(text);

	printf("%s=\"", name);
	for (s = s ? s : ""; *s; s++) {
		if (*s == '\\' || *s == '"')
			putchar('\\');
		putchar(*s);
	}
	putchar('"');
}

static void print_name(const struct family *f, const char *suffix, const json_t *daemon)
{
	printf(PREFIX "%s%s{", f->name, suffix);
	print_label("mount", json_object_get(daemon, "mountpoint"));
}

static void print_value(const json_t *v)
{
	if (json_is_integer(v))
		printf("} %lld\n", (long long)json_integer_value(v));
	else
		printf("} %.9g\n", json_real_value(v));
}

static void print_family(const struct family *f, const json_t *daemons, bool open)
{
	const json_t *d;
	size_t i;

	print_head(f, f->counts ? "counter" : "gauge", open);
	json_array_foreach(daemons, i, d)
	{
		const json_t *o = f->object ? json_object_get(d, f->object) : d;

		print_name(f, f->counts ? "_total" : "", d);
		print_value(json_object_get(o, f->member));
	}
}

static void print_queue_family(const struct family *f, const json_t *daemons, bool open)
{
	const json_t *d, *q;
	size_t i, k;

	print_head(f, f->counts ? "counter" : "gauge", open);
	json_array_foreach(daemons, i, d) json_array_foreach(json_object_get(d, "queues"), k, q)
	{
		print_name(f, f->counts ? "_total" : "", d);
		printf(",queue=\"%lld\"",
		       (long long)json_integer_value(json_object_get(q, "index")));
		print_value(json_object_get(q, f->member));
	}
}

static void print_info(const json_t *daemons, bool open)
{
	static const struct family family = { "mount", NULL, false, "What is mounted, and how.",
					      NULL,    NULL };
	struct family plain = family;
	const json_t *d;
	size_t i;

	plain.name = "mount_info";
	print_head(open ? &family : &plain, open ? "info" : "gauge", open);
	json_array_foreach(daemons, i, d)
	{
		const json_t *device = json_object_get(d, "device");

		print_name(&family, "_info", d);
		putchar(',');
		print_label("version", json_object_get(d, "version"));
		putchar(',');
		print_label("source", json_object_get(d, "source"));
		putchar(',');
		print_label("tag", json_object_get(device, "tag"));
		putchar(',');
		print_label("transport", json_object_get(device, "transport"));
		putchar(',');
		print_label("channel", json_object_get(d, "channel"));
		putchar(',');
		print_label("session", json_object_get(d, "session"));
		puts("} 1");
	}
}

/* Cumulative; a step that a bucket's end divides counts for the next one. */
static void print_buckets(const struct family *f, const json_t *daemon, const json_t *op,
			  const json_t *t)
{
	const json_t *steps = json_object_get(t, "steps");
	long long seen = 0;
	size_t at = 0;
	double end = 1e-6;

	for (int i = 0; i <= BUCKETS; i++, end *= 2) {
		for (; at < json_array_size(steps); at++) {
			const json_t *step = json_array_get(steps, at);

			if (i < BUCKETS && json_number_value(json_array_get(step, 0)) > end)
				break;
			seen += json_integer_value(json_array_get(step, 1));
		}
		print_name(f, "_bucket", daemon);
		putchar(',');
		print_label("op", op);
		if (i < BUCKETS)
			printf(",le=\"%.9g\"} %lld\n", end, seen);
		else
			printf(",le=\"+Inf\"} %lld\n", seen);
	}
}

static void print_end(const struct family *f, const char *suffix, const json_t *daemon,
		      const json_t *op, const json_t *v)
{
	print_name(f, suffix, daemon);
	putchar(',');
	print_label("op", op);
	print_value(v);
}

static void print_times(const struct family *f, const json_t *daemons, bool open)
{
	const json_t *d, *one;
	size_t i, k;

	print_head(f, "histogram", open);
	json_array_foreach(daemons, i, d) json_array_foreach(json_object_get(d, "latency"), k, one)
	{
		const json_t *op = json_object_get(one, "op"), *t = json_object_get(one, f->member);

		print_buckets(f, d, op, t);
		print_end(f, "_sum", d, op, json_object_get(t, "sum_s"));
		print_end(f, "_count", d, op, json_object_get(t, "count"));
	}
}

/* The same counts as those of the histograms, by the name that is looked for first. */
static void print_requests(const json_t *daemons, bool open)
{
	static const struct family family = { "requests", NULL,
					      true,       "Requests answered, by opcode.",
					      NULL,       NULL };
	const json_t *d, *one;
	size_t i, k;

	print_head(&family, "counter", open);
	json_array_foreach(daemons, i, d) json_array_foreach(json_object_get(d, "latency"), k, one)
		print_end(&family, "_total", d, json_object_get(one, "op"),
			  json_object_get(json_object_get(one, "total"), "count"));
}

/* Without, where this machine has no clock for it. */
static void add_latency(json_t *daemon)
{
	const char *socket = json_string_value(json_object_get(daemon, "socket"));
	json_t *answer = NULL;

	if (!viofs_control_ask(socket, VIOFS_CONTROL_LATENCY, &answer))
		json_object_set(daemon, "latency", json_object_get(answer, "latency"));
	json_decref(answer);
}

int viofs_ctl_metrics(const char *where, bool open, bool json)
{
	json_t *all = json_array(), *one;
	int status = viofs_ctl_ask_all(where, VIOFS_CTL_INSIDE, all);
	size_t i;

	json_array_foreach(all, i, one) add_latency(one);
	if (json)
		return viofs_ctl_print_json(all) || status;
	viofs_ctl_clean(all);
	for (i = 0; json_array_size(all) && i < VIOFS_ARRAY_SIZE(families); i++)
		print_family(&families[i], all, open);
	for (i = 0; json_array_size(all) && i < VIOFS_ARRAY_SIZE(queue_families); i++)
		print_queue_family(&queue_families[i], all, open);
	for (i = 0; json_array_size(all) && i < VIOFS_ARRAY_SIZE(times); i++)
		print_times(&times[i], all, open);
	if (json_array_size(all)) {
		print_requests(all, open);
		print_info(all, open);
	}
	if (open)
		puts("# EOF");
	json_decref(all);
	return status;
}
