/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU time of other processes, and the CPUs that they run on. */
#ifndef VIOFS_TESTS_BENCH_PROC_H
#define VIOFS_TESTS_BENCH_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VIOFS_BENCH_SIDES 4
#define VIOFS_BENCH_SIDE_PIDS 8
#define VIOFS_BENCH_CPUS 64
#define VIOFS_BENCH_THREADS 64

/**
 * struct viofs_bench_side - processes that are watched together while others are measured
 * @name: what the report calls it
 * @pids: the processes, @npids of them
 * @cpu_ns: CPU time of all threads in the time from begin to end
 * @seen: how often a thread that had run was found on each CPU
 * @threads: the first threads of it with their CPU time at the last look, @nthreads of them
 */
struct viofs_bench_side {
	char name[16];
	pid_t pids[VIOFS_BENCH_SIDE_PIDS];
	int npids;
	int64_t cpu_ns;
	long seen[VIOFS_BENCH_CPUS];
	struct {
		int tid;
		int64_t ns;
	} threads[VIOFS_BENCH_THREADS];
	int nthreads;
};

/** viofs_bench_cpu_ns() - Return: CPU time of all threads of a process, as the scheduler counts it.
 */
int64_t viofs_bench_cpu_ns(pid_t pid);

/** viofs_bench_side_parse() - from "NAME=PID[+PID...]". Return: false: it is no such thing. */
bool viofs_bench_side_parse(struct viofs_bench_side *side, const char *text);

/** viofs_bench_side_begin() - the time begins. */
void viofs_bench_side_begin(struct viofs_bench_side *side);

/** viofs_bench_side_look() - where do its threads run? Now and then, between begin and end. */
void viofs_bench_side_look(struct viofs_bench_side *side);

/** viofs_bench_side_end() - the time is over. */
void viofs_bench_side_end(struct viofs_bench_side *side);

#endif
