/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl top: what mounts do, again and again. */
#ifndef VIOFS_TOOLS_TOP_H
#define VIOFS_TOOLS_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum viofs_top_percentile {
	VIOFS_TOP_P50,
	VIOFS_TOP_P90,
	VIOFS_TOP_P99,
	VIOFS_TOP_P999,
	VIOFS_TOP_PERCENTILES,
};

/** enum viofs_top_sort - what comes first: the most of it, or the first name */
enum viofs_top_sort {
	VIOFS_TOP_REQUESTS,
	VIOFS_TOP_BYTES,
	VIOFS_TOP_LATENCY,
	VIOFS_TOP_IN_FLIGHT,
	VIOFS_TOP_OLDEST,
	VIOFS_TOP_CPU,
	VIOFS_TOP_NAME,
	VIOFS_TOP_SORTS,
};

/** struct viofs_top_op - requests of one opcode in the interval; times in seconds */
struct viofs_top_op {
	const char *name;
	double per_s;
	double total[VIOFS_TOP_PERCENTILES], device[VIOFS_TOP_PERCENTILES];
};

/** struct viofs_top_mount - one mount; strings are those of the sample */
struct viofs_top_mount {
	const char *socket, *mountpoint, *source, *tag, *transport, *session, *channel, *poll;
	long long lanes, in_flight, parked, faults;
	double oldest_s;
	bool rated; /* it was in the sample before: the rest is known */
	double interval_s;
	double per_s, read_per_s, written_per_s, sleeps_per_s;
	double kicks, interrupts; /* per request */
	double cpu;               /* of one CPU, in percent; -1: the worker can't be seen */
	double total[VIOFS_TOP_PERCENTILES];
	size_t op_count;
	struct viofs_top_op *ops; /* those that there were requests of */
};

/** struct viofs_top_list - all mounts of a sample */
struct viofs_top_list {
	size_t count;
	struct viofs_top_mount *mounts;
};

/** struct viofs_top_view - how it is shown */
struct viofs_top_view {
	unsigned int rows, columns; /* rows 0: no end */
	enum viofs_top_sort sort;
	char selected[256]; /* the socket of the mount that is shown whole; "": the first one */
	double interval_s;
	const char *clock;     /* the time of day */
	const char *complaint; /* instead of the keys; NULL: none */
};

/* A line that begins with one of these is a head, or the selected mount. */
#define VIOFS_TOP_HEAD '\1'
#define VIOFS_TOP_SELECTED '\2'

/**
 * viofs_top_rates() - what happened between two samples
 * @before: NULL: there was none.
 * @now: its strings are used on: it must outlive the list.
 * A sample is an array of what daemons say of "status", each with "latency" (an array, or absent),
 * "at" (seconds), and "cpu_s" (of the worker; absent: not known).
 * Return: 0 or -ENOMEM.
 */
int viofs_top_rates(const json_t *before, const json_t *now, struct viofs_top_list *list);

/** viofs_top_free() - what viofs_top_rates() has made. */
void viofs_top_free(struct viofs_top_list *list);

/** viofs_top_order() - mounts, and each one's opcodes. */
void viofs_top_order(struct viofs_top_list *list, enum viofs_top_sort sort);

/** viofs_top_select() - the mount that is shown whole. @list: in order. Return: its index. */
size_t viofs_top_select(const struct viofs_top_list *list, struct viofs_top_view *v);

/**
 * viofs_top_text() - a screen full, in lines that end with a newline
 * @list: in order. Return: to be freed; NULL: out of memory.
 */
char *viofs_top_text(const struct viofs_top_list *list, struct viofs_top_view *v);

/** viofs_top_json() - the list, for programs. Return: NULL: out of memory. */
json_t *viofs_top_json(const struct viofs_top_list *list);

/** viofs_top_sort_name() - as --sort takes it. */
const char *viofs_top_sort_name(enum viofs_top_sort sort);

/**
 * viofs_top_sample() - ask all that are meant
 * Return: a sample; "complaint" (a string), if not NULL, is what went wrong.
 */
json_t *viofs_top_sample(const char *where, char *complaint, size_t size);

/** viofs_top_screen() - on the terminal, until the user leaves. Return: the exit status. */
int viofs_top_screen(const char *where, double interval_s, enum viofs_top_sort sort);

#endif
