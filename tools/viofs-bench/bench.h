/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofs-bench: jobs straight on a device, with no files of the library's in between. */
#ifndef VIOFS_BENCH_BENCH_H
#define VIOFS_BENCH_BENCH_H

#include "hist.h"

#include <viofs/viofs.h>

#include <stdbool.h>
#include <stdint.h>

/** enum viofs_bench_kind - what a request does */
enum viofs_bench_kind {
	VIOFS_BENCH_GETATTR,
	VIOFS_BENCH_LOOKUP,
	VIOFS_BENCH_STATFS,
	VIOFS_BENCH_READ,
	VIOFS_BENCH_WRITE,
	VIOFS_BENCH_KINDS,
};

/** struct viofs_bench_job - what is to be measured */
struct viofs_bench_job {
	const char *source, *path, *name;                /* name: in the rows */
	char op[128];                                    /* as it was given */
	unsigned int weight[VIOFS_BENCH_KINDS], weights; /* of the mix; their sum */
	uint32_t block;
	unsigned int depth, batch, threads;
	bool sequential, prepare;
	uint64_t size;     /* of the file, as far as it is used */
	uint64_t requests; /* of each thread; 0: as long as @seconds */
	double seconds;
	uint32_t spin_us, queues;
	bool small_pages, noiommu, json, histogram;
};

/** struct viofs_bench_target - what the requests are about */
struct viofs_bench_target {
	struct viofs_dev *dev;
	uint64_t nodeid, fh; /* of the file; the root's where there is none */
	bool has_file;
	const char *name; /* LOOKUP's, in the root */
};

/** struct viofs_bench_result - of one thread, or of all */
struct viofs_bench_result {
	struct viofs_hist hist;
	uint64_t ops, bytes, errors;
	int first_error;
	double seconds;
	uint64_t cpu_ns;
};

/**
 * viofs_bench_run() - all threads of @job
 * Return: 0 and @sum; a negative errno, that was said.
 */
int viofs_bench_run(const struct viofs_bench_job *job, const struct viofs_bench_target *target,
		    struct viofs_bench_result *sum);

/* bench_target.c */
/** viofs_bench_look_up() - what the device calls @path; a reference is taken. Return: 0; a negative
 * errno with @err. */
int viofs_bench_look_up(struct viofs_dev *dev, const char *path, uint64_t *nodeid,
			struct viofs_err *err);
/** viofs_bench_open() - for reading and writing. */
int viofs_bench_open(struct viofs_dev *dev, uint64_t nodeid, uint64_t *fh, struct viofs_err *err);
/** viofs_bench_give_back() - RELEASE and FORGET. */
void viofs_bench_give_back(const struct viofs_bench_target *target);

/** viofs_bench_stop() - from a signal: all threads end soon. */
void viofs_bench_stop(void);

/** viofs_bench_print() - for people. */
void viofs_bench_print(const struct viofs_bench_job *job, const struct viofs_bench_result *r,
		       const struct viofs_dev_stats *stats);
/** viofs_bench_print_json() - a row. Return: 0; 1: no memory. */
int viofs_bench_print_json(const struct viofs_bench_job *job, const struct viofs_bench_result *r,
			   const struct viofs_dev_stats *stats);

extern const char *const viofs_bench_kind_names[VIOFS_BENCH_KINDS];

#endif
