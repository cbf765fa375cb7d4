/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The jobs that the bench measures: what one operation of each is. */
#ifndef VIOFS_TESTS_BENCH_WORK_H
#define VIOFS_TESTS_BENCH_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIOFS_BENCH_DATA_SIZE (256L << 20)
#define VIOFS_BENCH_ENTRIES 10000
#define VIOFS_BENCH_ANY SIZE_MAX

/**
 * struct viofs_bench_job - one process at work
 * @index: number of the job, from 0
 * @dirfd: the directory under test
 * @fd: the open file of the job, or -1
 * @size: bytes in the data file
 * @entries: entries in the large directory
 * @block: bytes of one read or write; for work of any size they are set before
 * viofs_bench_job_open()
 * @hold: files of the large directory that are held open meanwhile
 * @buf: page-aligned buffer of one block
 * @pos: next offset of a sequential job
 * @rng: state of the random generator
 * @steps: of calculating, for work that is nothing else
 * @name: the file that create_unlink makes
 * @held: @hold descriptors, or NULL
 */
struct viofs_bench_job {
	int index;
	int dirfd;
	int fd;
	long size;
	long entries;
	size_t block;
	long hold;
	void *buf;
	long pos;
	uint64_t rng;
	long steps;
	char name[32];
	int *held;
};

/**
 * struct viofs_bench_work - a kind of work; every callback returns 0 or -errno
 * @name: as in the rows
 * @block: bytes of one read or write, 0 where there is none, VIOFS_BENCH_ANY where the job says it
 * @flags: how the data file is opened where @block is not 0
 * @op: one operation; its time is a sample
 * @before: what comes before every operation and is not measured, or NULL
 * @think: @before sleeps. Going to sleep and waking up are part of what an operation costs in CPU
 *	time, and the row takes twice as long, since it does little in its time
 */
struct viofs_bench_work {
	const char *name;
	size_t block;
	int flags;
	int (*op)(struct viofs_bench_job *job, const struct viofs_bench_work *work);
	int (*before)(struct viofs_bench_job *job, const struct viofs_bench_work *work);
	bool think;
};

/** viofs_bench_work_find() - Return: the work called @name, or NULL. */
const struct viofs_bench_work *viofs_bench_work_find(const char *name);

/** viofs_bench_work_at() - Return: the work number @i, or NULL past the last. */
const struct viofs_bench_work *viofs_bench_work_at(size_t i);

/** viofs_bench_job_open() - make @job ready for @work. Return: 0 or -errno. */
int viofs_bench_job_open(struct viofs_bench_job *job, const struct viofs_bench_work *work);

/** viofs_bench_job_close() - the other end of viofs_bench_job_open(); accepts a half-open job. */
void viofs_bench_job_close(struct viofs_bench_job *job);

/** viofs_bench_prepare() - make the files that the jobs work on in @dirfd. Return: 0 or -errno. */
int viofs_bench_prepare(int dirfd, long size, long entries);

#endif
