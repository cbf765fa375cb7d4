// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: O_APPEND, O_DIRECT, mmap, splice, sync. */
#include "transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

void scenario_append(void)
{
	int fd, plain;

	transcript_make("f", "start");
	fd = open("f", O_WRONLY | O_APPEND);
	plain = open("f", O_RDWR);
	transcript_result("append", write(fd, "-one", 4));
	transcript_result("position", lseek(fd, 0, SEEK_CUR));
	transcript_result("grown behind its back", pwrite(plain, "tail", 4, 20));
	transcript_result("append again", write(fd, "-two", 4));
	transcript_result("position again", lseek(fd, 0, SEEK_CUR));
	transcript_result("pwrite appends", pwrite(fd, "-three", 6, 0));
	transcript_content("content", "f");
	transcript_result("truncate", ftruncate(plain, 2));
	transcript_result("append after truncate", write(fd, "X", 1));
	transcript_content("content after truncate", "f");
	transcript_result("append off", fcntl(fd, F_SETFL, 0));
	transcript_result("seek", lseek(fd, 0, SEEK_SET));
	transcript_result("write at 0", write(fd, "Y", 1));
	transcript_content("overwritten at 0", "f");
	transcript_result("read at the end", pread(plain, (char[1]){ 0 }, 1, 3));
	transcript_result("nothing written", write(plain, "", 0));
}

static void direct_transfers(int fd, char *buf)
{
	memset(buf, 'd', 1 << 20);
	transcript_result("write 1 MiB", pwrite(fd, buf, 1 << 20, 0));
	memset(buf, 'e', 4096);
	transcript_result("write a page", pwrite(fd, buf, 4096, 8192));
	transcript_result("write a sector", pwrite(fd, buf, 512, 16384));
	transcript_result("unaligned length", pwrite(fd, buf, 100, 0));
	transcript_result("unaligned offset", pwrite(fd, buf, 4096, 10));
	transcript_result("unaligned memory", pwrite(fd, buf + 3, 4096, 0));
	memset(buf, 0, 2 << 20);
	transcript_result("read 1 MiB", pread(fd, buf, 1 << 20, 0));
	transcript_line("what was read", "%016llx",
			transcript_checksum(buf, 1 << 20, TRANSCRIPT_CHECKSUM_SEED));
	transcript_result("read across the end", pread(fd, buf, 8192, (1 << 20) - 4096));
	transcript_result("read at the end", pread(fd, buf, 4096, 1 << 20));
	transcript_result("read unaligned", pread(fd, buf + 1, 1000, 33));
	transcript_result("larger than a request", pwrite(fd, buf, 2 << 20, 4096));
	transcript_result("read larger than a request", pread(fd, buf, 2 << 20, 4096));
}

void scenario_direct(void)
{
	char *buf = aligned_alloc(4096, (2 << 20) + 4096);
	int fd = transcript_fd("open", open("f", O_RDWR | O_CREAT | O_DIRECT, 0644));
	int plain;

	if (!buf)
		abort();
	direct_transfers(fd, buf);
	plain = open("f", O_RDWR);
	memset(buf, 'p', 4096);
	transcript_result("buffered write", pwrite(plain, buf, 4096, 0));
	memset(buf, 0, 4096);
	transcript_result("direct read after it", pread(fd, buf, 4096, 0));
	transcript_line("sees", "%c", buf[0]);
	memset(buf, 'q', 4096);
	transcript_result("direct write", pwrite(fd, buf, 4096, 0));
	memset(buf, 0, 4096);
	transcript_result("buffered read after it", pread(plain, buf, 4096, 0));
	transcript_line("sees then", "%c", buf[0]);
	transcript_result("flag set later", fcntl(plain, F_SETFL, O_DIRECT));
	transcript_content("in the end", "f");
	free(buf);
}

static void touch_beyond_end(void)
{
	int fd = open("small", O_RDWR);
	volatile char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	map[4096] = 'x';
	transcript_line("beyond the end", "no signal");
}

void scenario_mmap(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644), reader;
	char *map, *private, buf[16] = "";

	transcript_result("size", ftruncate(fd, 1 << 20));
	map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	transcript_line("shared", "%s", map == MAP_FAILED ? strerrorname_np(errno) : "mapped");
	if (map == MAP_FAILED)
		return;
	for (int i = 0; i < 1 << 20; i += 4096)
		snprintf(map + i, 32, "page %d", i / 4096);
	transcript_result("msync", msync(map, 1 << 20, MS_SYNC));
	transcript_content("read back", "f");
	transcript_result("write under it", pwrite(fd, "changed", 7, 4096));
	transcript_line("seen in the map", "%.7s", map + 4096);
	memcpy(map + 8192, "mapped!", 7);
	transcript_result("read without msync", pread(fd, buf, 7, 8192));
	transcript_line("seen by read", "%s", buf);
	private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	private[0] = 'P';
	transcript_line("private stays private", "%c", map[0]);
	transcript_result("unmap", munmap(map, 1 << 20));
	transcript_content("after unmapping", "f");
	reader = open("f", O_RDONLY);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0);
	transcript_line("writable of read only", "%s",
			map == MAP_FAILED ? strerrorname_np(errno) : "mapped");
	transcript_make("small", "small");
	transcript_line("toucher of the page beyond the end", "%s",
			transcript_child(touch_beyond_end) < 0 ? "killed" : "lives");
	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open(".", O_RDONLY), 0);
	transcript_line("directory", "%s", map == MAP_FAILED ? strerrorname_np(errno) : "mapped");
}

void scenario_splice(void)
{
	int in = open("in", O_RDWR | O_CREAT, 0644), out = open("out", O_RDWR | O_CREAT, 0644);
	char one[] = "one", none[] = "", three[] = "three";
	struct iovec parts[3] = { { one, 3 }, { none, 0 }, { three, 5 } };
	off_t from = 0, to = 0;
	int pipes[2];

	for (int i = 0; i < 1000; i++)
		dprintf(in, "line %d of the input\n", i);
	if (pipe(pipes))
		return;
	transcript_result("sendfile", sendfile(out, in, &from, 10000));
	transcript_result("file to pipe", splice(in, &from, pipes[1], NULL, 8192, 0));
	transcript_result("pipe to file", splice(pipes[0], NULL, out, &to, 8192, 0));
	transcript_content("spliced", "out");
	transcript_result("writev", pwritev(out, parts, 3, 50));
	transcript_content("written by writev", "out");
	transcript_result("readahead", readahead(in, 0, 65536));
	transcript_result("fadvise", posix_fadvise(in, 0, 0, POSIX_FADV_DONTNEED));
	transcript_content("read again", "in");
}

void scenario_sync(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644), reader, dir;

	transcript_result("write", write(fd, "x", 1));
	transcript_result("fsync", fsync(fd));
	transcript_result("fdatasync", fdatasync(fd));
	transcript_result("sync_file_range", sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	transcript_result("syncfs", syncfs(fd));
	reader = open("f", O_RDONLY);
	transcript_result("fsync of read only", fsync(reader));
	dir = open(".", O_RDONLY | O_DIRECTORY);
	transcript_result("fsync of a directory", fsync(dir));
	transcript_result("fdatasync of a directory", fdatasync(dir));
}
