// SPDX-License-Identifier: GPL-2.0-or-later
/* CPU time of other processes, and the CPUs that they run on, from /proc. */
#include "bench_proc.h"

#include "base/util.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t thread_cpu_ns(pid_t pid, const char *tid)
{
	long long ns = 0;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%lld", &ns) != 1)
		ns = 0;
	fclose(f);
	return ns;
}

/* the CPU that a thread is on or was on last, -1 */
static int thread_cpu(pid_t pid, const char *tid)
{
	char path[96], line[1024], *p;
	int i, cpu = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	/* the name, in parentheses, may hold spaces; the CPU is the 39th field */
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	for (i = 2; p && i < 39; i++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (p)
		cpu = atoi(p);
	fclose(f);
	return cpu;
}

static void each_thread(pid_t pid, void (*what)(void *arg, pid_t pid, const char *tid), void *arg)
{
	struct dirent *d;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((d = readdir(dir)))
		if (isdigit((unsigned char)*d->d_name))
			what(arg, pid, d->d_name);
	closedir(dir);
}

static void add_cpu_ns(void *arg, pid_t pid, const char *tid)
{
	*(int64_t *)arg += thread_cpu_ns(pid, tid);
}

int64_t viofs_bench_cpu_ns(pid_t pid)
{
	int64_t sum = 0;

	each_thread(pid, add_cpu_ns, &sum);
	return sum;
}

bool viofs_bench_side_parse(struct viofs_bench_side *side, const char *text)
{
	const char *p = strchr(text, '=');
	char *end;

	memset(side, 0, sizeof(*side));
	if (!p || p == text || (size_t)(p - text) >= sizeof(side->name))
		return false;
	memcpy(side->name, text, (size_t)(p - text));
	do {
		if (side->npids == VIOFS_BENCH_SIDE_PIDS)
			return false;
		side->pids[side->npids] = (pid_t)strtol(p + 1, &end, 10);
		if (side->pids[side->npids++] <= 0)
			return false;
		p = end;
	} while (*p == '+');
	return !*p;
}

static int64_t side_cpu_ns(const struct viofs_bench_side *side)
{
	int64_t sum = 0;
	int i;

	for (i = 0; i < side->npids; i++)
		sum += viofs_bench_cpu_ns(side->pids[i]);
	return sum;
}

/* a thread that has run since the last look is counted where it is; others may sleep there for long
 */
static void look_at(void *arg, pid_t pid, const char *tid)
{
	struct viofs_bench_side *side = arg;
	int64_t ns = thread_cpu_ns(pid, tid);
	int cpu, i, id = atoi(tid);

	for (i = 0; i < side->nthreads && side->threads[i].tid != id; i++)
		;
	if (i == VIOFS_BENCH_THREADS)
		return;
	if (i == side->nthreads)
		side->threads[side->nthreads++].tid = id;
	else if (ns != side->threads[i].ns) {
		cpu = thread_cpu(pid, tid);
		if (cpu >= 0 && cpu < VIOFS_BENCH_CPUS)
			side->seen[cpu]++;
	}
	side->threads[i].ns = ns;
}

void viofs_bench_side_look(struct viofs_bench_side *side)
{
	int i;

	for (i = 0; i < side->npids; i++)
		each_thread(side->pids[i], look_at, side);
}

void viofs_bench_side_begin(struct viofs_bench_side *side)
{
	side->nthreads = 0;
	viofs_bench_side_look(side);
	memset(side->seen, 0, sizeof(side->seen));
	side->cpu_ns = -side_cpu_ns(side);
}

void viofs_bench_side_end(struct viofs_bench_side *side)
{
	side->cpu_ns += side_cpu_ns(side);
}
