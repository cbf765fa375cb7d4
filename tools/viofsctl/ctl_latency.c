/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl status --latency: how long requests take, by opcode. */
#include "ctl.h"
#include "base/util.h"
#include "daemon/control.h"

#include <stdio.h>
#include <string.h>

#define US_PER_S 1e6

static const struct {
	const char *name;
	double percent;
} percentiles[] = {
	{ "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99.9", 99.9 }, { "max", 100 },
};

/* Seconds below which @percent of all are: the end of a histogram's step. */
static double percentile(const json_t *times, double percent)
{
	double count = (double)json_integer_value(json_object_get(times, "count")), seen = 0;
	const json_t *step, *steps = json_object_get(times, "steps");
	double end = 0;
	size_t i;

	json_array_foreach(steps, i, step)
	{
		end = json_number_value(json_array_get(step, 0));
		seen += (double)json_integer_value(json_array_get(step, 1));
		if (seen >= count * percent / 100)
			break;
	}
	return end;
}

static void add_percentiles(json_t *times)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(percentiles); i++)
		json_object_set_new(times, percentiles[i].name,
				    json_real(percentile(times, percentiles[i].percent)));
}

static void print_times(const char *op, const char *what, const json_t *times)
{
	printf("  %-16s %-13s %10lld", op, what,
	       (long long)json_integer_value(json_object_get(times, "count")));
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(percentiles); i++)
		printf(" %11.1f",
		       US_PER_S * json_number_value(json_object_get(times, percentiles[i].name)));
	putchar('\n');
}

static void print_latency(const json_t *answer)
{
	const json_t *one, *list = json_object_get(answer, "latency");
	size_t i;

	printf("%s on %s\n  %-30s %10s", json_string_value(json_object_get(answer, "source")),
	       json_string_value(json_object_get(answer, "mountpoint")), "time in us", "requests");
	for (i = 0; i < VIOFS_ARRAY_SIZE(percentiles); i++)
		printf(" %11s", percentiles[i].name);
	putchar('\n');
	json_array_foreach(list, i, one)
	{
		print_times(json_string_value(json_object_get(one, "op")), "in the device",
			    json_object_get(one, "device"));
		print_times("", "in all", json_object_get(one, "total"));
	}
}

/* The daemon that has said this @status. Return: NULL where it tells nothing, which was said. */
static json_t *ask(const json_t *status, bool since)
{
	const char *socket = json_string_value(json_object_get(status, "socket")), *wrong;
	json_t *answer = NULL, *one;
	size_t i;
	int rc = viofs_control_ask(
		socket, since ? VIOFS_CONTROL_LATENCY_SINCE : VIOFS_CONTROL_LATENCY, &answer);

	wrong = rc ? strerror(-rc) : json_string_value(json_object_get(answer, "error"));
	if (!wrong && !json_is_array(json_object_get(answer, "latency")))
		wrong = "an answer without latencies";
	if (wrong) {
		viofs_ctl_complain("%s: %s.", socket, wrong);
		json_decref(answer);
		return NULL;
	}
	json_array_foreach(json_object_get(answer, "latency"), i, one)
	{
		add_percentiles(json_object_get(one, "device"));
		add_percentiles(json_object_get(one, "total"));
	}
	return answer;
}

int viofs_ctl_latency(const char *where, bool json, bool since)
{
	json_t *all = json_array(), *answers = json_array(), *one;
	int status = viofs_ctl_ask_all(where, VIOFS_CTL_INSIDE, all);
	size_t i;

	json_array_foreach(all, i, one)
	{
		json_t *answer = ask(one, since);

		if (answer)
			json_array_append_new(answers, answer);
		else
			status = 1;
	}
	if (json) {
		if (!status || json_array_size(answers))
			status |= viofs_ctl_print_json(
				json_incref(where ? json_array_get(answers, 0) : answers));
	} else {
		viofs_ctl_clean(answers);
		json_array_foreach(answers, i, one) print_latency(one);
		if (!status && !json_array_size(all))
			fputs("viofsctl: No virtiofs-vfio is running.\n", stderr);
	}
	json_decref(answers);
	json_decref(all);
	return status;
}
