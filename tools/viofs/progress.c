/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a copy is, on a terminal.
 *
 * The copy's one thread counts and draws; nothing is drawn from elsewhere.
 */
#include "progress.h"
#include "format.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define EVERY_NS 200000000
#define BAR 20

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void viofs_progress_init(struct viofs_progress *p, bool quiet)
{
	memset(p, 0, sizeof(*p));
	p->on = !quiet && isatty(STDERR_FILENO);
	p->begin = p->last = now();
	p->open_end = true;
}

static unsigned int columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20 ? 80 : size.ws_col;
}

/* [#####.....]  42%, where the end is known. */
static void bar(const struct viofs_progress *p, char out[BAR + 10])
{
	unsigned int done;

	out[0] = '\0';
	if (p->open_end || !p->all_bytes)
		return;
	done = p->bytes >= p->all_bytes ? BAR : (unsigned int)(p->bytes * BAR / p->all_bytes);
	memset(out + 1, '.', BAR);
	memset(out + 1, '#', done);
	out[0] = '[';
	snprintf(out + BAR + 1, 9, "] %3u%% ",
		 done == BAR ? 100 : (unsigned int)(p->bytes * 100 / p->all_bytes));
}

static void left(const struct viofs_progress *p, double per_s, char out[24])
{
	double seconds = per_s > 0 ? (double)(p->all_bytes - p->bytes) / per_s : 0;

	out[0] = '\0';
	if (!p->open_end && p->bytes < p->all_bytes && seconds >= 1 && seconds < 360000)
		snprintf(out, 24, "%u:%02u left ", (unsigned int)seconds / 60,
			 (unsigned int)seconds % 60);
}

void viofs_progress_show(struct viofs_progress *p)
{
	char line[320], shown[320], size[16], rate[16], drawn[BAR + 10], time_left[24];
	int64_t t;
	double per_s;
	size_t room;

	if (!p->on)
		return;
	t = now();
	if (t - p->last < EVERY_NS)
		return;
	p->last = t;
	per_s = (double)p->bytes * 1e9 / (double)(t - p->begin);
	bar(p, drawn);
	left(p, per_s, time_left);
	snprintf(line, sizeof(line), "%s%llu files %sB %sB/s %s%s", drawn,
		 (unsigned long long)p->files, viofs_format_size(p->bytes, size),
		 viofs_format_size((uint64_t)per_s, rate), time_left, p->name);
	/* Cut between characters. */
	room = columns();
	viofs_text_clean(VIOFS_TEXT_MESSAGE, line, shown,
			 room < sizeof(shown) ? room : sizeof(shown));
	fprintf(stderr, "\r%s\033[K", shown);
}

void viofs_progress_clear(struct viofs_progress *p)
{
	if (p->on)
		fputs("\r\033[K", stderr);
}

void viofs_progress_name(struct viofs_progress *p, const char *path)
{
	if (p->on)
		viofs_format_name(path, p->name, sizeof(p->name));
}
