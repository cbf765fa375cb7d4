// SPDX-License-Identifier: GPL-2.0-or-later
/* viofs-bench-ops: does each kind of work for a fixed time and prints one JSON line for each. */

/*
 * Theory of operation. A row is a kind of work and a number of jobs. Each job is a process of its
 * own (as fio's are), warms up, says that it is ready, waits for all others, works until its time
 * is over and says that it is done. The parent reads the CPU time of the machine when all are ready
 * and again when all are done, so neither fork nor exit is in the figures.
 *
 * CPU time is the sum of the busy states in /proc/stat, which the kernel samples at its timer
 * ticks: right on average, coarse where a row does little. Elapsed time - idle time would be finer,
 * but Linux 7.3 was seen to count 3.5 s of idle time on one CPU within 3 s.
 */
#include "bench_proc.h"
#include "bench_work.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_JOBS 256
#define ALL_SAMPLES (1L << 21)
#define SETTLE_US 50000
#define LOOK_MS 50

struct options {
	const char *dir;
	double seconds;
	long size;
	long entries;
	long block;
	long hold;
	long count; /* operations of each job, 0: as many as the time allows */
	bool drop_caches;
	bool prepare;
	struct viofs_bench_side sides[VIOFS_BENCH_SIDES];
	int nsides;
};

/* what a job reports, in memory shared with the parent */
struct result {
	long ops;
	int64_t elapsed_ns;   /* without what came before the operations */
	int64_t aside_cpu_ns; /* CPU time of what came before the operations */
	int64_t cpu_ns;       /* of the operations, as far as it was this process's */
	int err;
	long seen[VIOFS_BENCH_CPUS]; /* operations that ended on each CPU, where sides are watched
				      */
};

struct row {
	const struct viofs_bench_work *work;
	int jobs;
	bool watched;
	long room; /* samples for each job */
	struct result *results;
	uint32_t *samples; /* ns */
	int ready[2];      /* a byte from each job when ready and when done */
	int go[2];         /* end of file starts the jobs */
};

static int64_t own_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * VIOFS_NSEC_PER_SEC + ts.tv_nsec;
}

/* busy time of all CPUs since boot, or -errno */
static int64_t busy_ns(void)
{
	unsigned long long user, nice, sys, idle, iowait, irq, softirq;
	FILE *f = fopen("/proc/stat", "re");
	int n;

	if (!f)
		return -errno;
	n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &sys, &idle, &iowait,
		   &irq, &softirq);
	fclose(f);
	if (n != 7)
		return -EIO;
	return (int64_t)(user + nice + sys + irq + softirq) *
	       (VIOFS_NSEC_PER_SEC / sysconf(_SC_CLK_TCK));
}

static void drop_caches(void)
{
	int fd;

	sync();
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "3\n", 2) != 2)
		fprintf(stderr, "viofs-bench-ops: can't drop caches: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
	usleep(SETTLE_US);
}

/* the unmeasured part before an operation; adds the CPU and elapsed time that must not count */
static int run_before(struct viofs_bench_job *job, const struct viofs_bench_work *work,
		      struct result *res, int64_t *aside_ns)
{
	int64_t cpu = own_cpu_ns(), start = viofs_now_ns();
	int rc = work->before(job, work);

	*aside_ns += viofs_now_ns() - start;
	if (!work->think)
		res->aside_cpu_ns += own_cpu_ns() - cpu;
	return rc;
}

static void note_cpu(struct result *res)
{
	int cpu = sched_getcpu();

	if (cpu >= 0 && cpu < VIOFS_BENCH_CPUS)
		res->seen[cpu]++;
}

/* until @ns are over, or @count operations done where that is not 0 */
static int run_for(struct viofs_bench_job *job, const struct row *row, int64_t ns, long count,
		   struct result *res, uint32_t *samples)
{
	const struct viofs_bench_work *work = row->work;
	int64_t start = viofs_now_ns(), aside_ns = 0, cpu = own_cpu_ns(), before, now;
	int rc;

	memset(res, 0, sizeof(*res));
	do {
		if (work->before) {
			rc = run_before(job, work, res, &aside_ns);
			if (rc)
				return rc;
		}
		before = viofs_now_ns();
		rc = work->op(job, work);
		if (rc)
			return rc;
		now = viofs_now_ns();
		samples[res->ops++] = (uint32_t)VIOFS_MIN(now - before, (int64_t)UINT32_MAX);
		if (row->watched)
			note_cpu(res);
	} while ((count ? res->ops < count : now - start < ns) && res->ops < row->room);
	res->elapsed_ns = now - start - aside_ns;
	res->cpu_ns = own_cpu_ns() - cpu - res->aside_cpu_ns;
	return 0;
}

static int job_main(const struct options *opt, const struct row *row, int index)
{
	struct viofs_bench_job job = {
		.index = index,
		.size = opt->size,
		.entries = opt->entries,
		.block = row->work->block == VIOFS_BENCH_ANY ? (size_t)opt->block : 0,
		.hold = opt->hold,
	};
	double seconds = opt->seconds * (row->work->think ? 2 : 1);
	int64_t ns = (int64_t)(seconds * (double)VIOFS_NSEC_PER_SEC);
	uint32_t *samples = row->samples + index * row->room;
	struct result *res = &row->results[index];
	char c = 0;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(row->go[1]);
	job.dirfd = open(opt->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = job.dirfd < 0 ? -errno : viofs_bench_job_open(&job, row->work);
	if (!rc)
		rc = run_for(&job, row, ns / 5, (opt->count + 4) / 5, res, samples); /* warm up */
	if (!rc && (write(row->ready[1], "r", 1) != 1 || read(row->go[0], &c, 1) != 0))
		rc = -EPIPE;
	if (!rc)
		rc = run_for(&job, row, ns, opt->count, res, samples);
	res->err = rc;
	/* a job that fails says so too, or all others would wait for it */
	if (write(row->ready[1], rc ? "e" : "d", 1) != 1 && !rc)
		rc = -EPIPE;
	viofs_bench_job_close(&job);
	return rc ? 1 : 0;
}

static void look_at_sides(struct options *opt)
{
	int i;

	for (i = 0; i < opt->nsides; i++)
		viofs_bench_side_look(&opt->sides[i]);
}

/* a byte from each of the jobs; false if one failed */
static bool gather(struct options *opt, const struct row *row)
{
	struct pollfd ready = { .fd = row->ready[0], .events = POLLIN };
	char c;
	int i;

	for (i = 0; i < row->jobs; i++) {
		while (poll(&ready, 1, opt->nsides ? LOOK_MS : -1) == 0)
			look_at_sides(opt);
		if (read(row->ready[0], &c, 1) != 1 || c == 'e')
			return false;
	}
	return true;
}

/* from all jobs ready to all jobs done. Return: false if one failed */
static bool watch(struct options *opt, struct row *row, int64_t *busy)
{
	bool all;
	int i;

	for (i = 0; i < opt->nsides; i++)
		viofs_bench_side_begin(&opt->sides[i]);
	*busy = busy_ns();
	close(row->go[1]);
	all = gather(opt, row);
	*busy = busy_ns() - *busy;
	for (i = 0; i < opt->nsides; i++)
		viofs_bench_side_end(&opt->sides[i]);
	return all;
}

static int start_jobs(const struct options *opt, struct row *row)
{
	pid_t pid;
	int i;

	fflush(stdout);
	for (i = 0; i < row->jobs; i++) {
		pid = fork();
		if (pid < 0)
			return -errno;
		if (!pid) {
			close(row->ready[0]);
			_exit(job_main(opt, row, i));
		}
	}
	return 0;
}

static int wait_jobs(const struct row *row)
{
	int i, status, rc = 0;

	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			rc = -EIO;
	for (i = 0; i < row->jobs; i++)
		if (row->results[i].err)
			rc = row->results[i].err;
	return rc;
}

/* runs the jobs of a row; non-idle CPU time of the machine goes to *cpu_ns */
static int run_row(struct options *opt, struct row *row, int64_t *cpu_ns)
{
	int64_t busy = 0;
	bool all = false;
	int i, rc;

	if (pipe2(row->ready, O_CLOEXEC))
		return -errno;
	if (pipe2(row->go, O_CLOEXEC)) {
		rc = -errno;
		goto err_ready;
	}
	rc = start_jobs(opt, row);
	close(row->ready[1]);
	close(row->go[0]);
	if (!rc && gather(opt, row))
		all = watch(opt, row, &busy);
	else
		close(row->go[1]);
	close(row->ready[0]);
	i = wait_jobs(row);
	rc = rc ? rc : i;
	if (!rc && !all)
		rc = -EIO;
	for (i = 0; i < row->jobs; i++)
		busy -= row->results[i].aside_cpu_ns;
	*cpu_ns = VIOFS_MAX(busy, (int64_t)0);
	return rc;

err_ready:
	close(row->ready[0]);
	close(row->ready[1]);
	return rc;
}

static int compare_samples(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* nearest rank, in us */
static double percentile_us(const uint32_t *sorted, long n, double p)
{
	long rank = (long)(p * (double)n + 0.999999);

	rank = VIOFS_MAX(1L, VIOFS_MIN(rank, n));
	return sorted[rank - 1] / 1000.0;
}

static void print_side(const char *name, const long *seen, double cpu_us)
{
	const char *comma = "";
	int cpu;

	printf("\"%s\":{\"cpu_us\":%.3f,\"seen_on\":{", name, cpu_us);
	for (cpu = 0; cpu < VIOFS_BENCH_CPUS; cpu++) {
		if (!seen[cpu])
			continue;
		printf("%s\"%d\":%ld", comma, cpu, seen[cpu]);
		comma = ",";
	}
	printf("}}");
}

/* what each side took for an operation, and how often it was seen on which CPU */
static void print_sides(const struct options *opt, const struct row *row, long ops,
			double callers_us)
{
	const struct viofs_bench_side *side;
	long seen[VIOFS_BENCH_CPUS] = { 0 };
	int i, cpu;

	for (i = 0; i < row->jobs; i++)
		for (cpu = 0; cpu < VIOFS_BENCH_CPUS; cpu++)
			seen[cpu] += row->results[i].seen[cpu];
	printf(",\"sides\":{");
	print_side("callers", seen, callers_us);
	for (i = 0; i < opt->nsides; i++) {
		side = &opt->sides[i];
		printf(",");
		print_side(side->name, side->seen, (double)side->cpu_ns / 1000.0 / (double)ops);
	}
	printf("}");
}

static void print_row(const struct options *opt, const struct row *row, int64_t cpu_ns)
{
	double per_s = 0, longest = 0, callers_ns = 0;
	long ops = 0;
	int i;

	/* gather the samples of all jobs at the front */
	for (i = 0; i < row->jobs; i++) {
		const struct result *res = &row->results[i];

		memmove(row->samples + ops, row->samples + i * row->room,
			(size_t)res->ops * sizeof(*row->samples));
		ops += res->ops;
		callers_ns += (double)res->cpu_ns;
		per_s += (double)res->ops * 1e9 / (double)VIOFS_MAX(res->elapsed_ns, (int64_t)1);
		longest = VIOFS_MAX(longest, (double)res->elapsed_ns / 1e9);
	}
	qsort(row->samples, (size_t)ops, sizeof(*row->samples), compare_samples);
	printf("{\"work\":\"%s\",\"jobs\":%d,\"ops\":%ld,\"seconds\":%.3f,\"ops_per_s\":%.1f,"
	       "\"median_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,\"cpu_us\":%.2f,\"callers_us\":"
	       "%.3f",
	       row->work->name, row->jobs, ops, longest, per_s,
	       percentile_us(row->samples, ops, 0.5), percentile_us(row->samples, ops, 0.99),
	       percentile_us(row->samples, ops, 0.999), (double)cpu_ns / 1000.0 / (double)ops,
	       callers_ns / 1000.0 / (double)ops);
	if (opt->nsides)
		print_sides(opt, row, ops, callers_ns / 1000.0 / (double)ops);
	puts("}");
	fflush(stdout);
}

static int measure(struct options *opt, const char *spec)
{
	struct row row = { .jobs = 1, .watched = opt->nsides > 0 };
	size_t bytes = ALL_SAMPLES * sizeof(uint32_t) + MAX_JOBS * sizeof(struct result);
	const char *colon = strchr(spec, ':');
	int64_t cpu_ns = 0;
	char name[64];
	int rc;

	snprintf(name, sizeof(name), "%.*s", colon ? (int)(colon - spec) : (int)sizeof(name) - 1,
		 spec);
	row.work = viofs_bench_work_find(name);
	if (colon)
		row.jobs = atoi(colon + 1);
	if (!row.work || row.jobs < 1 || row.jobs > MAX_JOBS) {
		fprintf(stderr, "viofs-bench-ops: no such work: %s\n", spec);
		return -EINVAL;
	}
	row.room = ALL_SAMPLES / row.jobs;
	/* populated: a page fault on a sample would come between two operations */
	row.results = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (row.results == MAP_FAILED)
		return -errno;
	row.samples = (uint32_t *)(row.results + MAX_JOBS);
	if (opt->drop_caches)
		drop_caches();
	rc = run_row(opt, &row, &cpu_ns);
	if (rc)
		fprintf(stderr, "viofs-bench-ops: %s: %s\n", spec, strerror(-rc));
	else
		print_row(opt, &row, cpu_ns);
	munmap(row.results, bytes);
	return rc;
}

static int prepare(const struct options *opt)
{
	int fd = open(opt->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : viofs_bench_prepare(fd, opt->size, opt->entries);

	if (rc)
		fprintf(stderr, "viofs-bench-ops: can't prepare %s: %s\n", opt->dir, strerror(-rc));
	if (fd >= 0)
		close(fd);
	return rc;
}

static void usage(void)
{
	const struct viofs_bench_work *work;
	size_t i;

	puts("viofs-bench-ops --dir DIR [OPTION]... [WORK[:JOBS]...]\n"
	     "Does each WORK in DIR for a time and prints one JSON line for it.\n"
	     "  --prepare        make the files that the work needs, before anything else\n"
	     "  --seconds S      how long (1.5)\n"
	     "  --count N        or: N operations by each job\n"
	     "  --size BYTES     of the data file (256 MiB)\n"
	     "  --entries N      files in the large directory (10000)\n"
	     "  --block BYTES    of one read or write, for the works `read` and `write` (4096)\n"
	     "  --hold N         files of the large directory that each job holds open (0)\n"
	     "  --drop-caches    empty the kernel's caches before each WORK\n"
	     "  --watch NAME=PID[+PID...]  report the CPU time and the CPUs of these processes "
	     "too\n"
	     "WORK is one of:");
	for (i = 0; (work = viofs_bench_work_at(i)); i++)
		printf("  %s\n", work->name);
}

/* options that take a whole number, and where it goes */
static long *number_option(struct options *opt, int c)
{
	switch (c) {
	case 'z':
		return &opt->size;
	case 'e':
		return &opt->entries;
	case 'b':
		return &opt->block;
	case 'o':
		return &opt->hold;
	case 'n':
		return &opt->count;
	default:
		return NULL;
	}
}

static int take_option(struct options *opt, int c)
{
	long *number = number_option(opt, c);

	if (number)
		*number = atol(optarg);
	else if (c == 'd')
		opt->dir = optarg;
	else if (c == 's')
		opt->seconds = atof(optarg);
	else if (c == 'c')
		opt->drop_caches = true;
	else if (c == 'p')
		opt->prepare = true;
	else if (c == 'w' && opt->nsides < VIOFS_BENCH_SIDES)
		return viofs_bench_side_parse(&opt->sides[opt->nsides++], optarg) ? 0 : -EINVAL;
	else
		return c == 'h' ? 1 : -EINVAL;
	return 0;
}

static int parse(int argc, char **argv, struct options *opt)
{
	static const struct option longs[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "seconds", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'n' },
		{ "size", required_argument, NULL, 'z' },
		{ "entries", required_argument, NULL, 'e' },
		{ "block", required_argument, NULL, 'b' },
		{ "hold", required_argument, NULL, 'o' },
		{ "watch", required_argument, NULL, 'w' },
		{ "drop-caches", no_argument, NULL, 'c' },
		{ "prepare", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		rc = take_option(opt, c);
		if (rc)
			return rc;
	}
	if (!opt->dir || opt->seconds <= 0 || opt->size < 1 << 20 || opt->entries < 0 ||
	    opt->block < 1 || opt->block > opt->size || opt->hold < 0 || opt->count < 0 ||
	    (opt->hold && !opt->entries))
		return -EINVAL;
	return 0;
}

int main(int argc, char **argv)
{
	static struct options opt = {
		.seconds = 1.5,
		.block = 4096,
		.size = VIOFS_BENCH_DATA_SIZE,
		.entries = VIOFS_BENCH_ENTRIES,
	};
	int i, rc = parse(argc, argv, &opt);

	if (rc) {
		usage();
		return rc < 0 ? 2 : 0;
	}
	if (opt.prepare)
		rc = prepare(&opt);
	for (i = optind; !rc && i < argc; i++)
		rc = measure(&opt, argv[i]);
	return rc ? 1 : 0;
}
