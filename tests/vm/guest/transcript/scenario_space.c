// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: holes, fallocate, truncate, large offsets, copy_file_range. */
#include "transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1L << 20)

static int create(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd < 0)
		transcript_result("PREPARATION", -1);
	return fd;
}

static void write_block(int fd, off_t at, char fill, size_t len)
{
	char *block = malloc(len);

	memset(block, fill, len);
	if (pwrite(fd, block, len, at) != (ssize_t)len)
		transcript_result("PREPARATION of a block", -1);
	free(block);
}

void scenario_holes(void)
{
	int fd = create("sparse");

	write_block(fd, 1 * MIB, 'a', 64 << 10);
	write_block(fd, 3 * MIB, 'b', 64 << 10);
	transcript_result("truncate up", ftruncate(fd, 8 * MIB));
	transcript_result("fsync", fsync(fd));
	transcript_result("first data", lseek(fd, 0, SEEK_DATA));
	transcript_result("hole at start", lseek(fd, 0, SEEK_HOLE));
	transcript_result("hole after data", lseek(fd, 1 * MIB, SEEK_HOLE));
	transcript_result("data inside data", lseek(fd, MIB + 4096, SEEK_DATA));
	transcript_result("second data", lseek(fd, 2 * MIB, SEEK_DATA));
	transcript_result("data in the last hole", lseek(fd, 4 * MIB, SEEK_DATA));
	transcript_result("hole in the last hole", lseek(fd, 4 * MIB, SEEK_HOLE));
	transcript_result("data at the end", lseek(fd, 8 * MIB, SEEK_DATA));
	transcript_result("hole beyond the end", lseek(fd, 9 * MIB, SEEK_HOLE));
	transcript_result("seek to the end", lseek(fd, 0, SEEK_END));
	transcript_result("seek before the start", lseek(fd, -1, SEEK_SET));
	transcript_result("unknown whence", lseek(fd, 0, 17));
	transcript_content("content", "sparse");
}

void scenario_fallocate(void)
{
	int fd = create("f"), reader;

	transcript_result("allocate", fallocate(fd, 0, 0, MIB));
	transcript_stat("allocated", "f");
	transcript_result("keep size", fallocate(fd, FALLOC_FL_KEEP_SIZE, MIB, MIB));
	transcript_stat("size kept", "f");
	write_block(fd, 0, 'x', MIB);
	transcript_result("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					     128 << 10, 64 << 10));
	transcript_content("punched", "f");
	transcript_result("hole", lseek(fd, 0, SEEK_HOLE));
	transcript_result("punch, no keep size", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
	transcript_result("punch in a page",
			  fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 500));
	transcript_content("punched in a page", "f");
	transcript_result("zero range", fallocate(fd, FALLOC_FL_ZERO_RANGE, MIB / 2, MIB));
	transcript_stat("after zero range", "f");
	transcript_content("zeroed", "f");
	transcript_result("collapse", fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 64 << 10));
	transcript_result("insert", fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 64 << 10));
	transcript_stat("after collapse and insert", "f");
	transcript_result("no length", fallocate(fd, 0, 0, 0));
	transcript_result("negative", fallocate(fd, 0, -1, 4096));
	transcript_result("too large", fallocate(fd, 0, 0, INT64_MAX));
	reader = open("f", O_RDONLY);
	transcript_result("read only", fallocate(reader, 0, 0, 4096));
	transcript_result("posix_fallocate", posix_fallocate(fd, 4 * MIB, 4096));
	transcript_stat("grown", "f");
}

void scenario_truncate(void)
{
	int fd = create("f"), reader;

	write_block(fd, 0, 'x', 10000);
	transcript_result("shrink", truncate("f", 5000));
	transcript_content("shrunk", "f");
	transcript_result("grow", truncate("f", 9000));
	transcript_content("zeros after 5000", "f");
	transcript_result("by descriptor", ftruncate(fd, 1));
	transcript_content("one byte", "f");
	transcript_result("to nothing", ftruncate(fd, 0));
	transcript_stat("empty", "f");
	transcript_result("negative", ftruncate(fd, -1));
	reader = open("f", O_RDONLY);
	transcript_result("read only", ftruncate(reader, 0));
	mkdir("d", 0755);
	transcript_result("directory", truncate("d", 0));
	transcript_result("missing", truncate("none", 0));
	transcript_result("symlink", symlink("f", "s") || truncate("s", 77));
	transcript_stat("through the symlink", "f");
}

static void read_back(const char *label, int fd, off_t at)
{
	char buf[8] = "";
	ssize_t got = pread(fd, buf, sizeof(buf) - 1, at);

	if (got < 0)
		transcript_result(label, -1);
	else
		transcript_line(label, "%zd '%s'", got, buf);
}

void scenario_offsets(void)
{
	static const struct {
		const char *label;
		off_t at;
	} where[] = {
		{ "2 GiB", (2L << 30) - 2 },
		{ "4 GiB", (4L << 30) - 2 },
		{ "1 TiB", (1L << 40) + 3 },
	};
	int fd = create("f");
	struct stat st;
	char label[64];

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		snprintf(label, sizeof(label), "write at %s", where[i].label);
		transcript_result(label, pwrite(fd, "mark", 4, where[i].at));
		snprintf(label, sizeof(label), "read at %s", where[i].label);
		read_back(label, fd, where[i].at);
	}
	transcript_stat("size", "f");
	if (!fstat(fd, &st))
		transcript_line("sparse", "%s", st.st_blocks < 1000 ? "yes" : "no");
	read_back("beyond the end", fd, 2L << 40);
	transcript_result("write at the largest offset", pwrite(fd, "x", 1, INT64_MAX));
	transcript_result("read at the largest offset", pread(fd, label, 1, INT64_MAX));
	transcript_result("negative offset", pread(fd, label, 1, -1));
	transcript_result("grow to 8 EiB", ftruncate(fd, INT64_MAX));
	transcript_result("shrink to 1 TiB", ftruncate(fd, (1L << 40) + 5));
	read_back("cut at 1 TiB", fd, (1L << 40) + 3);
}

static void copy(const char *label, int from, off_t in, int to, off_t out, size_t len)
{
	transcript_result(label, copy_file_range(from, &in, to, &out, len, 0));
}

void scenario_copy_range(void)
{
	int from = create("from"), to = create("to"), append;

	for (int i = 0; i < 40; i++)
		write_block(from, i * 10000L, 'a' + i % 26, 10000);
	copy("whole file", from, 0, to, 0, 400000);
	transcript_content("copied", "to");
	copy("part", from, 5000, to, 1000, 70000);
	transcript_content("overwritten", "to");
	copy("beyond the end", from, 500000, to, 0, 100);
	copy("up to the end", from, 399990, to, 0, 100);
	copy("same file", from, 0, from, 200000, 1000);
	copy("overlapping", from, 0, from, 500, 1000);
	copy("leaving a hole", from, 0, to, 1000000, 100);
	transcript_stat("with a hole", "to");
	transcript_content("hole and tail", "to");
	transcript_result("unknown flag", copy_file_range(from, NULL, to, NULL, 1, 8));
	append = open("to", O_WRONLY | O_APPEND);
	transcript_result("to O_APPEND", copy_file_range(from, NULL, append, NULL, 1, 0));
	transcript_result("to read only",
			  copy_file_range(from, NULL, open("to", O_RDONLY), NULL, 1, 0));
}
