// SPDX-License-Identifier: GPL-2.0-or-later
/* OPERATIONS file system calls of all kinds in a directory, each one's outcome checked. */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Calls in one round, of which each reaches the device at least once: SMALL forced stats and direct
 * reads, and 22 others, most of which are several requests each. */
#define SMALL 78
#define CALLS_PER_ROUND (SMALL + 22)
#define FILE_SIZE 512

static void must(int ok, const char *what, long round)
{
	if (!ok)
		err(1, "round %ld: %s", round, what);
}

static void list_here(long round)
{
	DIR *dir = opendir(".");
	int count = 0;

	must(dir != NULL, "opendir", round);
	while (readdir(dir))
		count++;
	closedir(dir);
	if (count != 5)
		errx(1, "round %ld: %d directory entries, not 5", round, count);
}

static void force_stat(const char *path, long round)
{
	struct statx stx;

	must(!statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx), "statx", round);
}

/* The calls that are one request each, and the most frequent in life. */
static void small_calls(const char *path, long round)
{
	static char block[4096] __attribute__((aligned(4096)));
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	must(fd >= 0, "open for direct reads", round);
	for (int i = 0; i < SMALL / 2; i++) {
		force_stat(path, round);
		must(pread(fd, block, sizeof(block), 0) == FILE_SIZE, "direct read", round);
	}
	close(fd);
}

static void one_round(long round)
{
	char out[FILE_SIZE], in[FILE_SIZE];
	struct statfs fs;
	int fd;

	snprintf(out, sizeof(out), "round %ld", round);
	must(!mkdir("d", 0755), "mkdir", round);
	fd = open("f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	must(fd >= 0, "create", round);
	must(pwrite(fd, out, sizeof(out), 0) == sizeof(out), "write", round);
	must(pread(fd, in, sizeof(in), 0) == sizeof(in), "read", round);
	must(!memcmp(in, out, sizeof(in)), "read back what was written", round);
	small_calls("f", round);
	must(!ftruncate(fd, 100), "ftruncate", round);
	must(!fsync(fd), "fsync", round);
	must(!fchmod(fd, 0600), "fchmod", round);
	close(fd);
	force_stat("f", round);
	force_stat("d", round);
	must(!symlink("f", "s"), "symlink", round);
	must(!rename("f", "d/g"), "rename", round);
	must(!link("d/g", "f"), "link", round);
	force_stat("d/g", round);
	list_here(round);
	must(access("none", F_OK) < 0, "look up a missing name", round);
	must(!statfs(".", &fs), "statfs", round);
	must(!unlink("s") && !unlink("f") && !unlink("d/g") && !rmdir("d"), "clean up", round);
}

int main(int argc, char **argv)
{
	long operations = argc == 3 ? atol(argv[2]) : 0;

	if (operations <= 0)
		errx(2, "usage: churn DIR OPERATIONS");
	if (chdir(argv[1]))
		err(1, "%s", argv[1]);
	for (long round = 0; round * CALLS_PER_ROUND < operations; round++)
		one_round(round);
	return 0;
}
