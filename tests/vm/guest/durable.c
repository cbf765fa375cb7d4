// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes whose survival can be checked later, from elsewhere. */
/*
 * durable write DIR ACKS: appends numbered records to DIR/log with fsync, and the number of each
 * that returned to ACKS, until a call fails or it is killed.
 *
 * durable map DIR PAGES ACKS: dirties PAGES pages of DIR/map through a mapping, never syncs them,
 * says "mapped" in ACKS and waits with the mapping in place.
 *
 * durable check DIR RECORDS PAGES: fails unless that many records and pages are there, and whole.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD 512
#define PAGE 4096

static int open_in(const char *dir, const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static int create_acks(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void fill(char *piece, size_t len, long number)
{
	int head = snprintf(piece, len, "piece %10ld ", number);

	memset(piece + head, 'a' + number % 26, len - head);
}

static int write_records(const char *dir, const char *acks)
{
	int log = open_in(dir, "log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
	int ack = create_acks(acks);
	char record[RECORD];

	for (long i = 1;; i++) {
		fill(record, sizeof(record), i);
		if (write(log, record, sizeof(record)) != sizeof(record) || fsync(log)) {
			printf("stopped after %ld: %s\n", i - 1, strerror(errno));
			return 0;
		}
		dprintf(ack, "%ld\n", i);
	}
}

static int map_pages(const char *dir, long pages, const char *acks)
{
	int fd = open_in(dir, "map", O_RDWR | O_CREAT | O_TRUNC);
	char *map;

	if (ftruncate(fd, pages * PAGE))
		err(1, "ftruncate");
	map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(1, "mmap");
	for (long i = 0; i < pages; i++)
		fill(map + i * PAGE, PAGE, i);
	dprintf(create_acks(acks), "mapped\n");
	for (;;)
		pause();
}

static long check_file(int fd, size_t piece_size, long first, long count)
{
	char got[PAGE], due[PAGE];

	for (long i = 0; i < count; i++) {
		fill(due, piece_size, first + i);
		if (pread(fd, got, piece_size, i * piece_size) != (ssize_t)piece_size ||
		    memcmp(got, due, piece_size))
			return i;
	}
	return count;
}

static int check(const char *dir, long records, long pages)
{
	long whole = check_file(open_in(dir, "log", O_RDONLY), RECORD, 1, records);

	if (whole < records)
		errx(1, "record %ld of %ld acknowledged ones is lost", whole + 1, records);
	whole = check_file(open_in(dir, "map", O_RDONLY), PAGE, 0, pages);
	if (whole < pages)
		errx(1, "page %ld of %ld dirty ones is lost", whole, pages);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "write"))
		return write_records(argv[2], argv[3]);
	if (argc == 5 && !strcmp(argv[1], "map"))
		return map_pages(argv[2], atol(argv[3]), argv[4]);
	if (argc == 5 && !strcmp(argv[1], "check"))
		return check(argv[2], atol(argv[3]), atol(argv[4]));
	errx(2, "usage: durable write DIR ACKS | map DIR PAGES ACKS | check DIR RECORDS PAGES");
}
