/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl top: its samples, and without a screen. */
#include "ctl.h"
#include "top.h"
#include "base/util.h"
#include "daemon/control.h"
#include "viofs_config.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_COLUMNS 132
#define INTERVAL_S 1.0
#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 3600.0
#define FRAMES_MAX 1000000000L

/* Of the worker, so far: user and system; -1: it can't be seen, as in another PID namespace. */
static double cpu_s(long long pid)
{
	unsigned long long user, system;
	char path[64], line[1024];
	const char *behind;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%lld/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	behind = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	/* State, and ten more, lie between the name and these two. */
	if (!behind || sscanf(behind, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
			      &user, &system) != 2)
		return -1;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Without latencies, where that machine has no clock for them. */
static void complete(json_t *daemon)
{
	const char *socket = json_string_value(json_object_get(daemon, "socket"));
	double cpu = cpu_s(json_integer_value(json_object_get(daemon, "worker")));
	json_t *answer = NULL;

	if (cpu >= 0)
		json_object_set_new(daemon, "cpu_s", json_real(cpu));
	if (!viofs_control_ask(socket, VIOFS_CONTROL_LATENCY, &answer))
		json_object_set(daemon, "latency", json_object_get(answer, "latency"));
	json_object_set_new(daemon, "at", json_real((double)viofs_now_ns() / VIOFS_NSEC_PER_SEC));
	json_decref(answer);
}

json_t *viofs_top_sample(const char *where, char *complaint, size_t size)
{
	json_t *all = json_array(), *one;
	size_t i;

	viofs_ctl_complain_to(complaint, size);
	viofs_ctl_ask_all(where, VIOFS_CTL_INSIDE, all);
	json_array_foreach(all, i, one) complete(one);
	viofs_ctl_complain_to(NULL, 0);
	viofs_ctl_clean(all);
	return all;
}

static int print_json_frame(const struct viofs_top_list *list)
{
	json_t *o = json_pack("{s:I, s:o}", "time", (json_int_t)time(NULL), "mounts",
			      viofs_top_json(list));
	char *text =
		o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(o);
	if (!text)
		return viofs_ctl_complain("Out of memory.");
	puts(text);
	free(text);
	return 0;
}

static int print_text_frame(struct viofs_top_list *list, struct viofs_top_view *v)
{
	char clock[32] = "", *text;
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%F %T", &tm);
	v->clock = clock;
	text = viofs_top_text(list, v);
	if (!text)
		return viofs_ctl_complain("Out of memory.");
	for (const char *c = text; *c; c++)
		if (*c != VIOFS_TOP_HEAD && *c != VIOFS_TOP_SELECTED)
			putchar(*c);
	putchar('\n');
	free(text);
	return 0;
}

static int print_frame(const json_t *before, const json_t *now, struct viofs_top_view *v, bool json)
{
	struct viofs_top_list list;
	int status;

	if (viofs_top_rates(before, now, &list))
		return viofs_ctl_complain("Out of memory.");
	viofs_top_order(&list, v->sort);
	status = json ? print_json_frame(&list) : print_text_frame(&list, v);
	viofs_top_free(&list);
	return fflush(stdout) ? 1 : status;
}

static void sleep_until(int64_t ns)
{
	const struct timespec t = { ns / VIOFS_NSEC_PER_SEC, ns % VIOFS_NSEC_PER_SEC };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* @frames: 0: no end. */
static int run_batch(const char *where, struct viofs_top_view *v, long frames, bool json)
{
	int64_t next = viofs_now_ns(), step = (int64_t)(v->interval_s * VIOFS_NSEC_PER_SEC);
	char complaint[1024] = "";
	json_t *before = viofs_top_sample(where, complaint, sizeof(complaint)), *now;
	int status = *complaint ? viofs_ctl_complain("%s", complaint) : 0;

	/* One that was named has to be there; what is mounted and unmounted later may be none. */
	if (where && status) {
		json_decref(before);
		return status;
	}
	for (long i = 0; !ferror(stdout) && (!frames || i < frames); i++) {
		next = VIOFS_MAX(next + step, viofs_now_ns());
		sleep_until(next);
		*complaint = '\0';
		now = viofs_top_sample(where, complaint, sizeof(complaint));
		if (*complaint)
			status = viofs_ctl_complain("%s", complaint);
		if (print_frame(before, now, v, json)) {
			json_decref(now);
			status = 1;
			break;
		}
		json_decref(before);
		before = now;
	}
	json_decref(before);
	return status;
}

/* Return: 0; 2: it is wrong, which has been said. */
static int parse_number(const char *name, const char *text, double min, double max, double *out)
{
	char *end;
	double n;

	if (!text)
		return 0;
	n = strtod(text, &end);
	if (end != text && !*end && n >= min && n <= max) {
		*out = n;
		return 0;
	}
	viofs_ctl_complain("%s takes a number from %g to %g, not \"%s\".", name, min, max, text);
	return 2;
}

static int parse_sort(const char *text, enum viofs_top_sort *out)
{
	for (unsigned int i = 0; i < VIOFS_TOP_SORTS; i++)
		if (!text || !strcmp(text, viofs_top_sort_name((enum viofs_top_sort)i))) {
			*out = (enum viofs_top_sort)i;
			return 0;
		}
	viofs_ctl_complain("--sort takes requests, bytes, latency, in-flight, oldest, cpu or name, "
			   "not \"%s\".",
			   text);
	return 2;
}

int viofs_ctl_top(const struct viofs_ctl_line *l)
{
	struct viofs_top_view v = { .columns = BATCH_COLUMNS, .interval_s = INTERVAL_S };
	double frames = 0;
	int status = parse_number("--interval", l->interval, INTERVAL_MIN_S, INTERVAL_MAX_S,
				  &v.interval_s);

	if (!status)
		status = parse_number("-n", l->frames, 1, FRAMES_MAX, &frames);
	if (!status)
		status = parse_sort(l->sort, &v.sort);
	if (status)
		return status;
	setlocale(LC_CTYPE, "");
	if (l->batch)
		return run_batch(l->words[0], &v, (long)frames, l->json);
	if (l->json || l->frames) {
		viofs_ctl_complain("%s lacks --batch.", l->json ? "--json" : "-n");
		return 2;
	}
#if VIOFS_HAVE_CURSES
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return viofs_ctl_complain("top needs a terminal; top --batch doesn't.");
	return viofs_top_screen(l->words[0], v.interval_s, v.sort);
#else
	return viofs_ctl_complain("This viofsctl was built without ncurses; top --batch works.");
#endif
}
