// SPDX-License-Identifier: GPL-2.0-or-later
/* viofs-bench-daemon: what a program's processes take when idle, memory and CPU, as one JSON line.
 */

/*
 * Memory: what is resident of each process alone (anonymous and file pages; file pages that several
 * share count for each) and, once, the memfds that they hold open, which is where DMA memory lives.
 * Hugepages are in no RSS, so the memfds are asked. CPU: the scheduler's own nanoseconds of every
 * thread, before and after a time in which nothing is asked of the program.
 */
#include "bench_proc.h"

#include "base/util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PIDS 64
#define MAX_MEMFDS 256

struct usage {
	long pids[MAX_PIDS];
	int npids;
	long resident_kib;
	long shmem_kib;
	long hugetlb_kib;
	dev_t devs[MAX_MEMFDS];
	ino_t inodes[MAX_MEMFDS];
	int nmemfds;
	long memfd_kib;
};

static bool is_number(const char *s)
{
	return isdigit((unsigned char)*s);
}

/* every process whose executable is called @name, into @u->pids */
static int find_processes(struct usage *u, const char *name)
{
	char path[64], exe[4096], *base;
	DIR *proc = opendir("/proc");
	struct dirent *d;
	ssize_t n;

	if (!proc)
		return -errno;
	while ((d = readdir(proc)) && u->npids < MAX_PIDS) {
		if (!is_number(d->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/exe", d->d_name);
		n = readlink(path, exe, sizeof(exe) - 1);
		if (n <= 0)
			continue;
		exe[n] = 0;
		base = strrchr(exe, '/');
		if (base && !strcmp(base + 1, name))
			u->pids[u->npids++] = atol(d->d_name);
	}
	closedir(proc);
	return u->npids ? 0 : -ESRCH;
}

static void add_status(struct usage *u, long pid)
{
	char path[64], line[256];
	long kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "RssAnon: %ld", &kib) == 1 ||
		    sscanf(line, "RssFile: %ld", &kib) == 1)
			u->resident_kib += kib;
		else if (sscanf(line, "RssShmem: %ld", &kib) == 1)
			u->shmem_kib += kib;
		else if (sscanf(line, "HugetlbPages: %ld", &kib) == 1)
			u->hugetlb_kib += kib;
	}
	fclose(f);
}

static void add_memfd(struct usage *u, int dirfd, const char *name)
{
	char target[64];
	struct stat st;
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	int i;

	if (n <= 0)
		return;
	target[n] = 0;
	if (strncmp(target, "/memfd:", 7) != 0 || fstatat(dirfd, name, &st, 0))
		return;
	for (i = 0; i < u->nmemfds; i++)
		if (u->inodes[i] == st.st_ino && u->devs[i] == st.st_dev)
			return;
	if (u->nmemfds == MAX_MEMFDS)
		return;
	u->devs[u->nmemfds] = st.st_dev;
	u->inodes[u->nmemfds++] = st.st_ino;
	u->memfd_kib += (long)st.st_blocks / 2;
}

static void add_memfds(struct usage *u, long pid)
{
	struct dirent *d;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((d = readdir(dir)))
		if (is_number(d->d_name))
			add_memfd(u, dirfd(dir), d->d_name);
	closedir(dir);
}

static long long total_cpu_ns(const struct usage *u)
{
	long long sum = 0;
	int i;

	for (i = 0; i < u->npids; i++)
		sum += viofs_bench_cpu_ns((pid_t)u->pids[i]);
	return sum;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ 0 },
	};
	static struct usage u;
	double seconds = 10;
	long long ns;
	int c, i, rc;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (c == 's')
			seconds = atof(optarg);
	if (argc != optind + 1 || seconds < 0) {
		fputs("usage: viofs-bench-daemon [--seconds S] PROGRAM\n", stderr);
		return 2;
	}
	rc = find_processes(&u, argv[optind]);
	if (rc) {
		fprintf(stderr, "viofs-bench-daemon: %s: %s\n", argv[optind], strerror(-rc));
		return 1;
	}
	ns = total_cpu_ns(&u);
	usleep((useconds_t)(seconds * 1e6));
	ns = total_cpu_ns(&u) - ns;
	for (i = 0; i < u.npids; i++) {
		add_status(&u, u.pids[i]);
		add_memfds(&u, u.pids[i]);
	}
	printf("{\"processes\":%d,\"resident_kib\":%ld,\"dma_kib\":%ld,\"total_kib\":%ld,"
	       "\"shmem_mapped_kib\":%ld,\"hugetlb_mapped_kib\":%ld,\"idle_s\":%.1f,\"idle_cpu_"
	       "ms\":%.3f}\n",
	       u.npids, u.resident_kib, u.memfd_kib, u.resident_kib + u.memfd_kib, u.shmem_kib,
	       u.hugetlb_kib, seconds, (double)ns / 1e6);
	return 0;
}
