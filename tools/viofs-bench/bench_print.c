/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What viofs-bench has measured. */
#include "bench.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR 50U

static const double percents[] = { 50, 90, 99, 99.9, 99.99 };
#define PERCENTS (sizeof(percents) / sizeof(percents[0]))

static double us(double ns)
{
	return ns / 1000;
}

/* Powers of two of microseconds and less are fine enough for the eye. */
static void print_histogram(const struct viofs_hist *h)
{
	uint64_t most = 1, sums[VIOFS_HIST_SIZE / 16] = { 0 };
	unsigned int count = VIOFS_HIST_SIZE / 16;

	for (unsigned int i = 0; i < VIOFS_HIST_SIZE; i++)
		sums[i / 16] += h->counts[i];
	for (unsigned int i = 0; i < count; i++)
		most = sums[i] > most ? sums[i] : most;
	for (unsigned int i = 0; i < count; i++) {
		unsigned int length = (unsigned int)(sums[i] * BAR / most);

		if (!sums[i])
			continue;
		printf("  from %10.2f us %12llu ", us((double)viofs_hist_lower(i * 16)),
		       (unsigned long long)sums[i]);
		for (unsigned int k = 0; k < length; k++)
			putchar('#');
		putchar('\n');
	}
}

void viofs_bench_print(const struct viofs_bench_job *job, const struct viofs_bench_result *r,
		       const struct viofs_dev_stats *stats)
{
	double seconds = r->seconds > 0 ? r->seconds : 1;

	printf("%s: %llu requests in %.2f s: %.0f/s", job->name, (unsigned long long)r->ops,
	       r->seconds, (double)r->ops / seconds);
	if (r->bytes)
		printf(", %.1f MiB/s", (double)r->bytes / seconds / (1 << 20));
	printf("\nus: mean %.2f", r->ops ? us((double)r->hist.sum / (double)r->ops) : 0.0);
	for (unsigned int i = 0; i < PERCENTS; i++)
		printf(", p%g %.2f", percents[i], us(viofs_hist_percentile(&r->hist, percents[i])));
	printf(", max %.2f\nCPU %.2f us, kicks %.4f, sleeps %.4f per request; %llu errors",
	       us((double)r->hist.max), r->ops ? us((double)r->cpu_ns / (double)r->ops) : 0.0,
	       r->ops ? (double)stats->kicks / (double)r->ops : 0.0,
	       r->ops ? (double)stats->sleeps / (double)r->ops : 0.0,
	       (unsigned long long)r->errors);
	if (r->errors)
		printf(", the first: %s", strerror(-r->first_error));
	putchar('\n');
	if (job->histogram)
		print_histogram(&r->hist);
}

static json_t *histogram(const struct viofs_hist *h)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < VIOFS_HIST_SIZE; i++)
		if (h->counts[i])
			json_array_append_new(list,
					      json_pack("[I, I]", (json_int_t)viofs_hist_lower(i),
							(json_int_t)h->counts[i]));
	return list;
}

static void add_times(json_t *o, const struct viofs_bench_result *r)
{
	static const char *const names[] = { "median_us", "p90_us", "p99_us", "p999_us",
					     "p9999_us" };

	for (unsigned int i = 0; i < PERCENTS; i++)
		json_object_set_new(o, names[i],
				    json_real(us(viofs_hist_percentile(&r->hist, percents[i]))));
	json_object_set_new(o, "mean_us",
			    json_real(r->ops ? us((double)r->hist.sum / (double)r->ops) : 0));
	json_object_set_new(o, "max_us", json_real(us((double)r->hist.max)));
	json_object_set_new(o, "cpu_us",
			    json_real(r->ops ? us((double)r->cpu_ns / (double)r->ops) : 0));
}

int viofs_bench_print_json(const struct viofs_bench_job *job, const struct viofs_bench_result *r,
			   const struct viofs_dev_stats *stats)
{
	double seconds = r->seconds > 0 ? r->seconds : 1;
	json_t *o = json_pack(
		"{s:s, s:i, s:i, s:i, s:I, s:f, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I}", "work",
		job->name, "jobs", (int)job->threads, "depth", (int)job->depth, "batch",
		(int)job->batch, "block", (json_int_t)job->block, "seconds", r->seconds, "ops",
		(json_int_t)r->ops, "errors", (json_int_t)r->errors, "bytes", (json_int_t)r->bytes,
		"ops_per_s", (double)r->ops / seconds, "mib_per_s",
		(double)r->bytes / seconds / (1 << 20), "kicks", (json_int_t)stats->kicks, "sleeps",
		(json_int_t)stats->sleeps, "requests", (json_int_t)stats->requests);
	char *text;

	if (o)
		add_times(o, r);
	if (o && job->histogram)
		json_object_set_new(o, "histogram_ns", histogram(&r->hist));
	text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
	json_decref(o);
	if (!text)
		return 1;
	puts(text);
	free(text);
	return 0;
}
