// SPDX-License-Identifier: GPL-2.0-or-later
/* Asynchronous direct reads into a mapping of a file on the same mount, during its writeback. */
/*
 * The deadlock of Linux commit bb737bbe: the completion of a direct read dirties the pages it read
 * into and waits for their locks; a page fault holds such a lock and waits for writeback of the
 * page; the reply to that write waits behind the read's completion. Whoever delivers replies one
 * after the other in a single thread stands still for ever. Here: readers fill the mapping, a
 * toucher faults its pages for writing, a flusher starts writeback, and a watchdog asks each second
 * whether all three still get on. The watchdog is another process: in one that stands still like
 * this, even starting a thread may wait for ever.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_SIZE (4UL << 20)
#define PIECE (64UL << 10)
#define PIECES (FILE_SIZE / PIECE)
#define DEPTH 16
/* An emulated guest may take long over one round, but not this long. */
#define STALL_SECONDS 45

static int source;
static char *map;

/* Shared with the watchdog. */
static struct {
	atomic_ulong reads, faults, flushes;
	atomic_bool stop;
} * run;

static void *read_into_map(void *unused)
{
	struct iocb requests[DEPTH], *pointers[DEPTH];
	struct io_event events[DEPTH];
	aio_context_t context = 0;
	unsigned long piece = 0;

	if (syscall(SYS_io_setup, DEPTH, &context))
		err(1, "io_setup");
	while (!run->stop) {
		for (int i = 0; i < DEPTH; i++, piece = (piece + 7) % PIECES) {
			requests[i] = (struct iocb){
				.aio_lio_opcode = IOCB_CMD_PREAD,
				.aio_fildes = source,
				.aio_buf = (uintptr_t)(map + piece * PIECE),
				.aio_nbytes = PIECE,
				.aio_offset = piece * PIECE,
			};
			pointers[i] = &requests[i];
		}
		if (syscall(SYS_io_submit, context, DEPTH, pointers) != DEPTH)
			err(1, "io_submit");
		if (syscall(SYS_io_getevents, context, DEPTH, DEPTH, events, NULL) != DEPTH)
			err(1, "io_getevents");
		for (int i = 0; i < DEPTH; i++)
			if (events[i].res != PIECE)
				errx(1, "direct read gave %lld", (long long)events[i].res);
		run->reads += DEPTH;
	}
	syscall(SYS_io_destroy, context);
	return NULL;
}

static void *touch_map(void *unused)
{
	for (unsigned long at = 0; !run->stop; at = (at + 4096 * 5) % FILE_SIZE) {
		((volatile char *)map)[at] = 's';
		run->faults++;
	}
	return NULL;
}

static void *flush_map(void *unused)
{
	while (!run->stop) {
		if (msync(map, FILE_SIZE, MS_SYNC))
			err(1, "msync");
		run->flushes++;
	}
	return NULL;
}

struct progress {
	const char *what;
	atomic_ulong *counter;
	unsigned long last;
	int still;
};

/* Called once a second. */
static void check_progress(struct progress *progress)
{
	unsigned long now = *progress->counter;

	progress->still = now == progress->last ? progress->still + 1 : 0;
	progress->last = now;
	if (progress->still > STALL_SECONDS)
		errx(1, "no more %s after %lu", progress->what, now);
}

/* Has the working process ended? Return: its status as waitpid(2) gives it, or -1: it runs. */
static int ended(pid_t pid)
{
	int status;

	return waitpid(pid, &status, WNOHANG) == pid ? status : -1;
}

static int watch(pid_t pid, int seconds)
{
	struct progress all[] = {
		{ .what = "reads", .counter = &run->reads },
		{ .what = "faults", .counter = &run->faults },
		{ .what = "flushes", .counter = &run->flushes },
	};
	int status = -1;

	/* All three must have come to life, however short the run. */
	for (int i = 0; i < seconds || !all[0].last || !all[1].last || !all[2].last; i++) {
		sleep(1);
		if ((status = ended(pid)) >= 0)
			return status;
		for (int j = 0; j < 3; j++)
			check_progress(&all[j]);
	}
	run->stop = true;
	for (int i = 0; i < STALL_SECONDS && (status = ended(pid)) < 0; i++)
		sleep(1);
	if (status < 0)
		errx(1, "no end of the last round");
	return status;
}

static int open_filled(const char *dir, const char *name, int flags)
{
	static char block[PIECE];
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "%s", path);
	memset(block, 's', sizeof(block));
	for (unsigned long i = 0; i < PIECES; i++)
		if (pwrite(fd, block, PIECE, i * PIECE) != PIECE)
			err(1, "%s", path);
	close(fd);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void work(const char *dir)
{
	int fd = open_filled(dir, "mapped", O_RDWR);
	pthread_t reader, toucher, flusher;

	source = open_filled(dir, "source", O_RDONLY | O_DIRECT);
	map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(1, "mmap");
	if (pthread_create(&reader, NULL, read_into_map, NULL) ||
	    pthread_create(&toucher, NULL, touch_map, NULL) ||
	    pthread_create(&flusher, NULL, flush_map, NULL))
		errx(1, "no thread");
	pthread_join(reader, NULL);
	pthread_join(toucher, NULL);
	pthread_join(flusher, NULL);
	for (unsigned long i = 0; i < FILE_SIZE; i++)
		if (map[i] != 's')
			errx(1, "byte %lu of the mapping is wrong", i);
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	if (argc != 3)
		errx(2, "usage: dio_into_map DIR SECONDS");
	run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED)
		err(1, "mmap");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		work(argv[1]);
		_exit(0);
	}
	status = watch(pid, atoi(argv[2]));
	if (status)
		errx(1, "the working process ended with status %#x", status);
	printf("%lu reads, %lu faults, %lu flushes\n", run->reads, run->faults, run->flushes);
	return 0;
}
