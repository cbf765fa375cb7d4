/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl top: from two samples, what happened between them. */
#include "top.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double shares[VIOFS_TOP_PERCENTILES] = { 0.5, 0.9, 0.99, 0.999 };

#define SAME_END 0.01

/* Requests that took less than end, and no less than the end before. */
struct step {
	double end, count;
};

/* Room for all steps of all opcodes of one mount. */
struct spread {
	struct step *steps;
	size_t count;
};

static const json_t *at(const json_t *o, const char *object, const char *member)
{
	return json_object_get(object ? json_object_get(o, object) : o, member);
}

static const char *text(const json_t *o, const char *object, const char *member)
{
	const char *s = json_string_value(at(o, object, member));

	return s ? s : "";
}

static double grown(const json_t *before, const json_t *now, const char *object, const char *member)
{
	return json_number_value(at(now, object, member)) -
	       json_number_value(at(before, object, member));
}

static double grown_queues(const json_t *before, const json_t *now, const char *member)
{
	const json_t *q, *queues = json_object_get(now, "queues");
	double sum = 0;
	size_t i;

	json_array_foreach(queues, i, q)
	{
		sum += grown(json_array_get(json_object_get(before, "queues"), i), q, NULL, member);
	}
	return sum;
}

static const json_t *find(const json_t *array, const char *member, const char *value)
{
	const json_t *one;
	size_t i;

	json_array_foreach(array, i, one)
	{
		if (!strcmp(text(one, NULL, member), value))
			return one;
	}
	return NULL;
}

static int by_end(const void *a, const void *b)
{
	double x = ((const struct step *)a)->end, y = ((const struct step *)b)->end;

	return (x > y) - (x < y);
}

/*
 * A step's end, in two samples. A daemon of before measures its clock for each of them: ends that
 * are nearer than steps ever lie to each other are the same one.
 */
static int compare_ends(double a, double b)
{
	return a < b * (1 - SAME_END) ? -1 : a > b * (1 + SAME_END);
}

static double member(const json_t *steps, size_t i, size_t which)
{
	return json_number_value(json_array_get(json_array_get(steps, i), which));
}

/* What @now has more than @before. Return: how many that is. */
static double add_steps(struct spread *s, const json_t *before, const json_t *now)
{
	const json_t *old = json_object_get(before, "steps");
	const json_t *steps = json_object_get(now, "steps");
	double sum = 0;
	size_t k = 0;

	for (size_t i = 0; i < json_array_size(steps); i++) {
		struct step step = { member(steps, i, 0), member(steps, i, 1) };

		/* Both are in the order of their ends, and no end goes away. */
		while (k < json_array_size(old) && compare_ends(member(old, k, 0), step.end) < 0)
			k++;
		if (k < json_array_size(old) && !compare_ends(member(old, k, 0), step.end))
			step.count -= member(old, k, 1);
		if (step.count <= 0)
			continue;
		s->steps[s->count++] = step;
		sum += step.count;
	}
	return sum;
}

static void find_percentiles(struct spread *s, double count, double out[VIOFS_TOP_PERCENTILES])
{
	double seen = 0;
	size_t at_step = 0;

	qsort(s->steps, s->count, sizeof(*s->steps), by_end);
	for (unsigned int i = 0; i < VIOFS_TOP_PERCENTILES; i++) {
		while (at_step < s->count && seen < count * shares[i])
			seen += s->steps[at_step++].count;
		out[i] = at_step ? s->steps[at_step - 1].end : 0;
	}
}

static size_t count_steps(const json_t *latency)
{
	const json_t *one;
	size_t i, n = 0;

	json_array_foreach(latency, i, one)
	{
		n += json_array_size(at(one, "total", "steps"));
		n += json_array_size(at(one, "device", "steps"));
	}
	return n;
}

/* Of one opcode; @all: out, its steps are added. Return: how many there were. */
static double rate_op(const json_t *before, const json_t *now, struct spread *one,
		      struct spread *all, struct viofs_top_op *op)
{
	double count;

	op->name = text(now, NULL, "op");
	one->count = 0;
	count = add_steps(one, json_object_get(before, "device"), json_object_get(now, "device"));
	find_percentiles(one, count, op->device);
	one->count = 0;
	count = add_steps(one, json_object_get(before, "total"), json_object_get(now, "total"));
	find_percentiles(one, count, op->total);
	memcpy(all->steps + all->count, one->steps, one->count * sizeof(*one->steps));
	all->count += one->count;
	return count;
}

static int rate_latency(const json_t *before, const json_t *now, double s,
			struct viofs_top_mount *m)
{
	const json_t *latency = json_object_get(now, "latency"), *one;
	size_t room = count_steps(latency) + 1, i;
	struct spread of_one = { calloc(room, sizeof(struct step)), 0 };
	struct spread of_all = { calloc(room, sizeof(struct step)), 0 };
	double sum = 0;

	m->ops = calloc(json_array_size(latency) + 1, sizeof(*m->ops));
	if (!of_one.steps || !of_all.steps || !m->ops) {
		free(of_one.steps);
		free(of_all.steps);
		return -ENOMEM;
	}
	json_array_foreach(latency, i, one)
	{
		struct viofs_top_op *op = &m->ops[m->op_count];
		double count = rate_op(
			find(json_object_get(before, "latency"), "op", text(one, NULL, "op")), one,
			&of_one, &of_all, op);

		op->per_s = count / s;
		sum += count;
		m->op_count += count > 0;
	}
	find_percentiles(&of_all, sum, m->total);
	free(of_one.steps);
	free(of_all.steps);
	return 0;
}

static void describe(const json_t *now, struct viofs_top_mount *m)
{
	*m = (struct viofs_top_mount){
		.socket = text(now, NULL, "socket"),
		.mountpoint = text(now, NULL, "mountpoint"),
		.source = text(now, NULL, "source"),
		.tag = text(now, "device", "tag"),
		.transport = text(now, "device", "transport"),
		.session = text(now, NULL, "session"),
		.channel = text(now, NULL, "channel"),
		.poll = text(now, NULL, "poll"),
		.lanes = json_integer_value(at(now, NULL, "lanes")),
		.in_flight = json_integer_value(at(now, "slots", "used")),
		.parked = json_integer_value(at(now, "parked", "now")),
		.faults = json_integer_value(at(now, "counts", "faults")),
		.oldest_s = json_number_value(at(now, NULL, "oldest_request_s")),
		.cpu = -1,
	};
}

static int rate(const json_t *before, const json_t *now, struct viofs_top_mount *m)
{
	double s = grown(before, now, NULL, "at"), requests;

	if (s <= 0)
		return 0;
	m->rated = true;
	m->interval_s = s;
	m->per_s = grown(before, now, "counts", "replies") / s;
	m->read_per_s = grown(before, now, "counts", "bytes_read") / s;
	m->written_per_s = grown(before, now, "counts", "bytes_written") / s;
	m->sleeps_per_s = grown(before, now, "counts", "sleeps") / s;
	requests = grown_queues(before, now, "requests");
	if (requests > 0) {
		m->kicks = grown_queues(before, now, "kicks") / requests;
		m->interrupts = grown_queues(before, now, "interrupts") / requests;
	}
	if (at(before, NULL, "cpu_s") && at(now, NULL, "cpu_s") &&
	    json_equal(at(before, NULL, "worker"), at(now, NULL, "worker")))
		m->cpu = 100 * grown(before, now, NULL, "cpu_s") / s;
	return rate_latency(before, now, s, m);
}

/* The same daemon: what another one has counted is nothing to compare with. */
static const json_t *find_before(const json_t *before, const json_t *now)
{
	const json_t *old = find(before, "socket", text(now, NULL, "socket"));

	return json_equal(json_object_get(old, "supervisor"), json_object_get(now, "supervisor"))
		       ? old
		       : NULL;
}

int viofs_top_rates(const json_t *before, const json_t *now, struct viofs_top_list *list)
{
	const json_t *one, *old;
	int rc = 0;
	size_t i;

	list->count = 0;
	list->mounts = calloc(json_array_size(now) + 1, sizeof(*list->mounts));
	if (!list->mounts)
		return -ENOMEM;
	json_array_foreach(now, i, one)
	{
		struct viofs_top_mount *m = &list->mounts[list->count++];

		describe(one, m);
		old = find_before(before, one);
		if (!rc && old)
			rc = rate(old, one, m);
	}
	if (rc)
		viofs_top_free(list);
	return rc;
}

void viofs_top_free(struct viofs_top_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->mounts[i].ops);
	free(list->mounts);
	*list = (struct viofs_top_list){ 0, NULL };
}

/* What @sort goes by. */
static double weight(const struct viofs_top_mount *m, enum viofs_top_sort sort)
{
	const double weights[VIOFS_TOP_SORTS] = {
		[VIOFS_TOP_REQUESTS] = m->per_s,
		[VIOFS_TOP_BYTES] = m->read_per_s + m->written_per_s,
		[VIOFS_TOP_LATENCY] = m->total[VIOFS_TOP_P99],
		[VIOFS_TOP_IN_FLIGHT] = (double)m->in_flight,
		[VIOFS_TOP_OLDEST] = m->oldest_s,
		[VIOFS_TOP_CPU] = m->cpu,
	};

	return weights[sort];
}

static int compare_mounts(const void *a, const void *b, void *arg)
{
	const struct viofs_top_mount *x = a, *y = b;
	enum viofs_top_sort sort = *(const enum viofs_top_sort *)arg;
	double wx = weight(x, sort), wy = weight(y, sort);

	return wx == wy ? strcmp(x->mountpoint, y->mountpoint) : wx < wy ? 1 : -1;
}

static int compare_ops(const void *a, const void *b, void *arg)
{
	const struct viofs_top_op *x = a, *y = b;
	enum viofs_top_sort sort = *(const enum viofs_top_sort *)arg;
	double wx = sort == VIOFS_TOP_LATENCY ? x->total[VIOFS_TOP_P99] : x->per_s;
	double wy = sort == VIOFS_TOP_LATENCY ? y->total[VIOFS_TOP_P99] : y->per_s;

	return wx == wy || sort == VIOFS_TOP_NAME ? strcmp(x->name, y->name) : wx < wy ? 1 : -1;
}

void viofs_top_order(struct viofs_top_list *list, enum viofs_top_sort sort)
{
	qsort_r(list->mounts, list->count, sizeof(*list->mounts), compare_mounts, &sort);
	for (size_t i = 0; i < list->count; i++)
		if (list->mounts[i].op_count)
			qsort_r(list->mounts[i].ops, list->mounts[i].op_count,
				sizeof(*list->mounts[i].ops), compare_ops, &sort);
}
