// SPDX-License-Identifier: GPL-2.0-or-later
/* What one operation of each kind of work is, and the files it needs. */
#include "bench_work.h"

#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_FILE "small"
#define DATA_FILE "data"
#define MANY_DIR "many"
#define SCRATCH_DIR "scratch"
#define ENTRY MANY_DIR "/entry-%07ld"
#define THINK_MS 10
#define CPU_NS 60000
/* To find out how much work that is: the fastest of so many tries counts, and each is short. */
#define CPU_TRIES 20
#define CPU_TRY_STEPS 1000L

static int op_statx(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	struct statx st;

	return statx(job->dirfd, SMALL_FILE, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) ? -errno
											  : 0;
}

static int op_open_close(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	int fd = openat(job->dirfd, SMALL_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return close(fd) ? -errno : 0;
}

static int op_create_unlink(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	int fd = openat(job->dirfd, job->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	if (close(fd))
		return -errno;
	return unlinkat(job->dirfd, job->name, 0) ? -errno : 0;
}

static int op_readdir(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	int fd = openat(job->dirfd, MANY_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long seen = 0;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (readdir(dir))
		seen++;
	if (closedir(dir))
		return -errno;
	/* "." and ".." come on top; virtiofsd leaves them out in some versions */
	return seen >= job->entries && seen <= job->entries + 2 ? 0 : -EIO;
}

/* xorshift64: what it gives needs to be spread and cheap, not unpredictable */
static long random_below(struct viofs_bench_job *job, long limit)
{
	job->rng ^= job->rng << 13;
	job->rng ^= job->rng >> 7;
	job->rng ^= job->rng << 17;
	return (long)(job->rng % (uint64_t)limit);
}

/*
 * The name is known to the kernel, but for no time: LOOKUP asks once more, and its answer has the
 * attributes too.
 */
static int op_lookup(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	struct statx st;
	char name[64];

	snprintf(name, sizeof(name), ENTRY, random_below(job, job->entries));
	return statx(job->dirfd, name, AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &st) ? -errno : 0;
}

static int transfer(struct viofs_bench_job *job, const struct viofs_bench_work *work, long off)
{
	ssize_t n;

	if ((work->flags & O_ACCMODE) == O_RDONLY)
		n = pread(job->fd, job->buf, job->block, off);
	else
		n = pwrite(job->fd, job->buf, job->block, off);
	if (n < 0)
		return -errno;
	return (size_t)n == job->block ? 0 : -EIO;
}

static int op_random(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	long block = (long)job->block;

	return transfer(job, work, random_below(job, job->size / block) * block);
}

static int op_sequential(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	int rc = transfer(job, work, job->pos);

	job->pos += (long)job->block;
	return rc;
}

static int before_rewind(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	if (job->pos + (long)job->block <= job->size)
		return 0;
	job->pos = 0;
	if (work->flags & O_DIRECT)
		return 0;
	/* a buffered pass must find nothing in the page cache, the second time too */
	if ((work->flags & O_ACCMODE) != O_RDONLY && fdatasync(job->fd))
		return -errno;
	return -posix_fadvise(job->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int before_think(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	struct timespec ts = { .tv_nsec = THINK_MS * VIOFS_NSEC_PER_MSEC };

	return nanosleep(&ts, NULL) ? -errno : 0;
}

static void calculate(struct viofs_bench_job *job, long steps)
{
	while (steps--)
		random_below(job, 2);
}

static int before_cpu(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	int64_t best = INT64_MAX;

	if (job->steps)
		return 0;
	for (int i = 0; i < CPU_TRIES; i++) {
		int64_t start = viofs_now_ns();

		calculate(job, CPU_TRY_STEPS);
		best = VIOFS_MIN(best, viofs_now_ns() - start);
	}
	job->steps = CPU_NS * CPU_TRY_STEPS / VIOFS_MAX(best, (int64_t)1);
	return 0;
}

/* It asks nobody for anything: what is more than the median was taken by the machine. */
static int op_cpu(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	calculate(job, job->steps);
	return 0;
}

static const struct viofs_bench_work works[] = {
	{ .name = "statx", .op = op_statx },
	{ .name = "open_close", .op = op_open_close },
	{ .name = "create_unlink", .op = op_create_unlink },
	{ .name = "readdir", .op = op_readdir },
	{ "read4k", 4096, O_RDONLY | O_DIRECT, op_random, NULL, false },
	{ "write4k", 4096, O_WRONLY | O_DIRECT, op_random, NULL, false },
	{ "read1m_direct", 1 << 20, O_RDONLY | O_DIRECT, op_sequential, before_rewind, false },
	{ "write1m_direct", 1 << 20, O_WRONLY | O_DIRECT, op_sequential, before_rewind, false },
	{ "read1m_buffered", 1 << 20, O_RDONLY, op_sequential, before_rewind, false },
	{ "write1m_buffered", 1 << 20, O_WRONLY, op_sequential, before_rewind, false },
	{ "read", VIOFS_BENCH_ANY, O_RDONLY | O_DIRECT, op_random, NULL, false },
	{ "write", VIOFS_BENCH_ANY, O_WRONLY | O_DIRECT, op_random, NULL, false },
	{ .name = "lookup", .op = op_lookup },
	{ .name = "statx_after_10ms", .op = op_statx, .before = before_think, .think = true },
	{ .name = "cpu60us", .op = op_cpu, .before = before_cpu },
};

const struct viofs_bench_work *viofs_bench_work_at(size_t i)
{
	return i < VIOFS_ARRAY_SIZE(works) ? &works[i] : NULL;
}

const struct viofs_bench_work *viofs_bench_work_find(const char *name)
{
	size_t i;

	for (i = 0; i < VIOFS_ARRAY_SIZE(works); i++)
		if (!strcmp(works[i].name, name))
			return &works[i];
	return NULL;
}

/* each job its own files, where there are enough of them */
static int hold_files(struct viofs_bench_job *job)
{
	struct rlimit limit;
	char name[64];
	long i;

	if (!job->hold)
		return 0;
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	job->held = malloc((size_t)job->hold * sizeof(*job->held));
	if (!job->held)
		return -ENOMEM;
	for (i = 0; i < job->hold; i++) {
		snprintf(name, sizeof(name), ENTRY, (job->index * job->hold + i) % job->entries);
		job->held[i] = openat(job->dirfd, name, O_RDONLY | O_CLOEXEC);
		if (job->held[i] < 0) {
			job->hold = i;
			return -errno;
		}
	}
	return 0;
}

int viofs_bench_job_open(struct viofs_bench_job *job, const struct viofs_bench_work *work)
{
	int rc;

	job->fd = -1;
	job->buf = NULL;
	job->held = NULL;
	job->pos = 0;
	job->steps = 0;
	if (work->block != VIOFS_BENCH_ANY)
		job->block = work->block;
	job->rng = 0x9e3779b97f4a7c15ULL * (uint64_t)(job->index + 1);
	snprintf(job->name, sizeof(job->name), SCRATCH_DIR "/job%d", job->index);
	rc = hold_files(job);
	if (rc || !job->block)
		return rc;
	job->buf = mmap(NULL, job->block, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (job->buf == MAP_FAILED) {
		job->buf = NULL;
		return -errno;
	}
	memset(job->buf, 0x5a, job->block);
	job->fd = openat(job->dirfd, DATA_FILE, work->flags | O_CLOEXEC);
	return job->fd < 0 ? -errno : 0;
}

void viofs_bench_job_close(struct viofs_bench_job *job)
{
	long i;

	for (i = 0; job->held && i < job->hold; i++)
		close(job->held[i]);
	free(job->held);
	if (job->fd >= 0)
		close(job->fd);
	if (job->buf)
		munmap(job->buf, job->block);
	job->fd = -1;
	job->buf = NULL;
	job->held = NULL;
}

static int fill(int dirfd, const char *name, long size)
{
	static char block[1 << 16];
	int fd, rc = 0;
	ssize_t n;
	long done;

	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	memset(block, 0xa5, sizeof(block));
	for (done = 0; done < size; done += n) {
		n = write(fd, block, (size_t)VIOFS_MIN(size - done, (long)sizeof(block)));
		if (n <= 0) {
			rc = n ? -errno : -ENOSPC;
			break;
		}
	}
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

int viofs_bench_prepare(int dirfd, long size, long entries)
{
	char name[64];
	long i;
	int rc;

	if ((mkdirat(dirfd, MANY_DIR, 0755) && errno != EEXIST) ||
	    (mkdirat(dirfd, SCRATCH_DIR, 0755) && errno != EEXIST))
		return -errno;
	rc = fill(dirfd, SMALL_FILE, 4096);
	if (!rc)
		rc = fill(dirfd, DATA_FILE, size);
	for (i = 0; !rc && i < entries; i++) {
		snprintf(name, sizeof(name), ENTRY, i);
		rc = fill(dirfd, name, 0);
	}
	return rc;
}
