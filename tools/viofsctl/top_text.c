/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl top: a screen full of text. */
#include "top.h"
#include "base/text.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define MIB 1048576.0
/* What the mounts' table leaves for the rest: title, head, and the selected mount. */
#define LINES_BESIDE 7U
#define NUMBER 16 /* room for one, as text */

static const char *const sort_names[VIOFS_TOP_SORTS] = {
	"requests", "bytes", "latency", "in-flight", "oldest", "cpu", "name",
};

/* A screen that grows line by line. */
struct page {
	FILE *out;
	const struct viofs_top_view *v;
	unsigned int lines, most; /* so far; that there may be, 0: no end */
};

const char *viofs_top_sort_name(enum viofs_top_sort sort)
{
	return sort_names[sort];
}

/*
 * How many columns the character at @s takes, and its bytes. @shown: can this terminal show it? A
 * locale of single bytes has no such characters, whatever wcwidth(3) says.
 */
static unsigned int measure(const char *s, size_t *bytes, bool *shown)
{
	uint32_t point;
	int width = 1;

	*bytes = VIOFS_MAX(viofs_text_utf8((const uint8_t *)s, strlen(s), &point), 1U);
	if (*bytes > 1)
		width = MB_CUR_MAX > 1 ? wcwidth((wchar_t)point) : -1;
	*shown = width >= 0;
	return *shown ? (unsigned int)width : 1;
}

/* One line, no longer than the screen is wide. @mark: 0, or how it stands out. */
__attribute__((format(printf, 3, 4))) static void put_line(struct page *p, char mark,
							   const char *fmt, ...)
{
	unsigned int left = p->v->columns;
	char *text = NULL;
	size_t bytes = 0;
	va_list ap;

	if (p->most && p->lines >= p->most)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (mark)
		fputc(mark, p->out);
	for (const char *s = text ? text : ""; *s; s += bytes) {
		bool shown;
		unsigned int width = measure(s, &bytes, &shown);

		if (width > left)
			break;
		left -= width;
		if (shown)
			fwrite(s, 1, bytes, p->out);
		else
			fputc('?', p->out);
	}
	fputc('\n', p->out);
	p->lines++;
	free(text);
}

/* Three or four digits and a unit. */
static const char *time_text(double s, char buf[NUMBER])
{
	if (s <= 0)
		snprintf(buf, NUMBER, "-");
	else if (s < 999.5e-6)
		snprintf(buf, NUMBER, "%.0fus", s * 1e6);
	else if (s < 0.9995)
		snprintf(buf, NUMBER, "%.1fms", s * 1e3);
	else
		snprintf(buf, NUMBER, "%.1fs", s);
	return buf;
}

static const char *rate_text(double per_s, char buf[NUMBER])
{
	snprintf(buf, NUMBER, per_s < 10 ? "%.1f" : "%.0f", per_s);
	return buf;
}

static const char *cpu_text(const struct viofs_top_mount *m, char buf[NUMBER])
{
	if (m->cpu < 0)
		snprintf(buf, NUMBER, "-");
	else
		snprintf(buf, NUMBER, "%.0f", m->cpu);
	return buf;
}

static void put_mount(struct page *p, const struct viofs_top_mount *m, bool selected)
{
	char rate[NUMBER], p50[NUMBER], p99[NUMBER], oldest[NUMBER], cpu[NUMBER];
	char mark = selected ? VIOFS_TOP_SELECTED : 0;

	if (!m->rated) {
		put_line(p, mark, "%8s %7s %8s %8s %6lld %8s %6lld %4s  %s", "-", "-", "-", "-",
			 m->in_flight, time_text(m->oldest_s, oldest), m->parked, "-",
			 m->mountpoint);
		return;
	}
	put_line(p, mark, "%8s %7.1f %8s %8s %6lld %8s %6lld %4s  %s", rate_text(m->per_s, rate),
		 (m->read_per_s + m->written_per_s) / MIB, time_text(m->total[VIOFS_TOP_P50], p50),
		 time_text(m->total[VIOFS_TOP_P99], p99), m->in_flight,
		 time_text(m->oldest_s, oldest), m->parked, cpu_text(m, cpu), m->mountpoint);
}

static void put_op(struct page *p, const struct viofs_top_op *op)
{
	char total[VIOFS_TOP_PERCENTILES][NUMBER], p50[NUMBER], p99[NUMBER], rate[NUMBER];

	for (unsigned int i = 0; i < VIOFS_TOP_PERCENTILES; i++)
		time_text(op->total[i], total[i]);
	put_line(p, 0, "%-16s %8s %8s %8s %8s %8s %8s %8s", op->name, rate_text(op->per_s, rate),
		 total[VIOFS_TOP_P50], total[VIOFS_TOP_P90], total[VIOFS_TOP_P99],
		 total[VIOFS_TOP_P999], time_text(op->device[VIOFS_TOP_P50], p50),
		 time_text(op->device[VIOFS_TOP_P99], p99));
}

/* One of them, whole. */
static void put_whole(struct page *p, const struct viofs_top_mount *m)
{
	put_line(p, 0, "%s", "");
	put_line(p, 0, "%s: %s (%s), %s, %s, %lld lanes, poll %s, %lld faults", m->mountpoint,
		 m->tag, m->transport, m->session, m->channel, m->lanes, m->poll, m->faults);
	put_line(p, 0,
		 "read %.1f, written %.1f MiB/s; a request: %.2f kicks %.2f interrupts; "
		 "%.0f sleeps/s",
		 m->read_per_s / MIB, m->written_per_s / MIB, m->kicks, m->interrupts,
		 m->sleeps_per_s);
	put_line(p, VIOFS_TOP_HEAD, "%-16s %8s %8s %8s %8s %8s %8s %8s", "OPCODE", "REQ/S", "P50",
		 "P90", "P99", "P99.9", "DEV P50", "DEV P99");
	for (size_t i = 0; i < m->op_count; i++)
		put_op(p, &m->ops[i]);
}

static void put_last(struct page *p)
{
	if (!p->v->rows)
		return;
	while (p->lines < p->most)
		put_line(p, 0, "%s", "");
	p->most = p->v->rows;
	put_line(p, p->v->complaint ? VIOFS_TOP_HEAD : 0, "%s",
		 p->v->complaint ? p->v->complaint
				 : "q quit; by r requests b bytes l latency i in flight o oldest "
				   "c CPU n name");
}

size_t viofs_top_select(const struct viofs_top_list *list, struct viofs_top_view *v)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->mounts[i].socket, v->selected))
			return i;
	return 0;
}

static void put_all(struct page *p, const struct viofs_top_list *list, size_t selected)
{
	unsigned int rows = p->v->rows;
	size_t most = !rows ? list->count : rows > LINES_BESIDE + 2 ? (rows - LINES_BESIDE) / 2 : 1;
	size_t first = selected >= most ? selected - most + 1 : 0;

	put_line(p, 0, "viofsctl top  %s  %zu %s, every %g s, by %s", p->v->clock, list->count,
		 list->count == 1 ? "mount" : "mounts", p->v->interval_s, sort_names[p->v->sort]);
	put_line(p, VIOFS_TOP_HEAD, "%8s %7s %8s %8s %6s %8s %6s %4s  %s", "REQ/S", "MIB/S", "P50",
		 "P99", "FLIGHT", "OLDEST", "PARKED", "CPU%", "MOUNT");
	for (size_t i = first; i < list->count && i < first + most; i++)
		put_mount(p, &list->mounts[i], rows && i == selected);
	for (size_t i = 0; i < list->count; i++)
		if (!rows || i == selected)
			put_whole(p, &list->mounts[i]);
	put_last(p);
}

char *viofs_top_text(const struct viofs_top_list *list, struct viofs_top_view *v)
{
	char *text = NULL;
	size_t size = 0;
	/* The last line is for the keys, where there is more than one. */
	struct page p = { .out = open_memstream(&text, &size),
			  .v = v,
			  .most = v->rows > 1 ? v->rows - 1 : v->rows };

	if (!p.out)
		return NULL;
	put_all(&p, list, viofs_top_select(list, v));
	if (fclose(p.out)) {
		free(text);
		return NULL;
	}
	return text;
}

static json_t *percentiles_json(const double p[VIOFS_TOP_PERCENTILES])
{
	return json_pack("{s:f, s:f, s:f, s:f}", "p50", p[VIOFS_TOP_P50], "p90", p[VIOFS_TOP_P90],
			 "p99", p[VIOFS_TOP_P99], "p99.9", p[VIOFS_TOP_P999]);
}

static json_t *mount_json(const struct viofs_top_mount *m)
{
	json_t *ops = json_array(), *o;

	for (size_t i = 0; i < m->op_count; i++)
		json_array_append_new(ops, json_pack("{s:s, s:f, s:o, s:o}", "op", m->ops[i].name,
						     "per_s", m->ops[i].per_s, "total",
						     percentiles_json(m->ops[i].total), "device",
						     percentiles_json(m->ops[i].device)));
	o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o}",
		      "mountpoint", m->mountpoint, "source", m->source, "session", m->session,
		      "in_flight", (json_int_t)m->in_flight, "parked", (json_int_t)m->parked,
		      "oldest_request_s", m->oldest_s, "faults", (json_int_t)m->faults, "per_s",
		      m->per_s, "read_per_s", m->read_per_s, "written_per_s", m->written_per_s,
		      "sleeps_per_s", m->sleeps_per_s, "kicks", m->kicks, "interrupts",
		      m->interrupts, "total", percentiles_json(m->total), "ops", ops);
	if (m->cpu >= 0)
		json_object_set_new(o, "cpu_percent", json_real(m->cpu));
	json_object_set_new(o, "interval_s", json_real(m->interval_s));
	return o;
}

json_t *viofs_top_json(const struct viofs_top_list *list)
{
	json_t *all = json_array();

	for (size_t i = 0; i < list->count; i++)
		if (list->mounts[i].rated)
			json_array_append_new(all, mount_json(&list->mounts[i]));
	return all;
}
