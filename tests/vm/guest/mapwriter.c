// SPDX-License-Identifier: GPL-2.0-or-later
/* Fills a file, larger than memory if so asked, through a shared mapping, and checks it. */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define STEP (1UL << 20)
/* Writeback of one MiB that takes longer is a standstill. */
#define STALL_SECONDS 120

static uint64_t word_at(unsigned long page, unsigned long word)
{
	return (page << 16 | word) * 0x9e3779b97f4a7c15ULL;
}

static void fill_page(void *at, unsigned long page)
{
	uint64_t *words = at;

	for (unsigned long i = 0; i < PAGE / sizeof(*words); i++)
		words[i] = word_at(page, i);
}

static void stalled(int signal)
{
	static const char text[] = "mapwriter: no progress\n";

	_exit(write(STDERR_FILENO, text, sizeof(text) - 1) ? 1 : 1);
}

static void write_mapped(int fd, unsigned long size)
{
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		err(1, "mmap");
	for (unsigned long at = 0; at < size; at += PAGE) {
		if (at % STEP == 0)
			alarm(STALL_SECONDS);
		fill_page(map + at, at / PAGE);
	}
	alarm(STALL_SECONDS * 2);
	if (munmap(map, size) || fsync(fd))
		err(1, "fsync");
}

static void check_read(int fd, unsigned long size)
{
	static uint64_t got[PAGE / sizeof(uint64_t)], due[PAGE / sizeof(uint64_t)];

	for (unsigned long at = 0; at < size; at += PAGE) {
		if (at % STEP == 0)
			alarm(STALL_SECONDS);
		fill_page(due, at / PAGE);
		if (pread(fd, got, PAGE, at) != (ssize_t)PAGE || memcmp(got, due, PAGE))
			errx(1, "page %lu is wrong", at / PAGE);
	}
}

int main(int argc, char **argv)
{
	unsigned long size = argc == 4 ? strtoul(argv[3], NULL, 10) << 20 : 0;
	int fd;

	if (!size)
		errx(2, "usage: mapwriter write|check FILE MIB");
	signal(SIGALRM, stalled);
	fd = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "%s", argv[2]);
	if (!strcmp(argv[1], "write")) {
		if (ftruncate(fd, size))
			err(1, "ftruncate");
		write_mapped(fd, size);
	}
	check_read(fd, size);
	return 0;
}
