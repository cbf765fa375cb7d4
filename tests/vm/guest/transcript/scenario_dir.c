// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: reading directories, seeking in them, changing them meanwhile. */
#include "transcript.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY 1500

/* Order-free: entries counted, names' checksums added up. */
static void list(const char *label, DIR *dir)
{
	unsigned long long sum = 0;
	struct dirent *entry;
	int count = 0;

	errno = 0;
	while ((entry = readdir(dir))) {
		sum += transcript_checksum(entry->d_name, strlen(entry->d_name),
					   TRANSCRIPT_CHECKSUM_SEED + entry->d_type);
		count++;
	}
	if (errno)
		transcript_result(label, -1);
	else
		transcript_line(label, "%d entries, sum %016llx", count, sum);
}

static void list_path(const char *label, const char *path)
{
	DIR *dir = opendir(path);

	if (!dir) {
		transcript_result(label, -1);
		return;
	}
	list(label, dir);
	closedir(dir);
}

static void make_many(const char *path)
{
	char name[300], tail[100];

	memset(tail, 'x', sizeof(tail));
	mkdir(path, 0755);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%s/entry-%d%.*s", path, i, i % 100, tail);
		if (mknod(name, S_IFREG | 0600, 0))
			transcript_result("PREPARATION", -1);
	}
}

static void delete_while_reading(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int removed = 0;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !unlinkat(dirfd(dir), entry->d_name, 0))
			removed++;
	transcript_line("unlinked while reading", "%d", removed);
	rewinddir(dir);
	list("rewound after unlinking", dir);
	closedir(dir);
}

void scenario_readdir(void)
{
	DIR *dir;

	mkdir("types", 0755);
	list_path("empty", "types");
	mkdir("types/directory", 0755);
	transcript_make("types/file", "x");
	mkfifo("types/fifo", 0644);
	symlink("x", "types/symlink");
	mknod("types/socket", S_IFSOCK | 0644, 0);
	mknod("types/device", S_IFCHR | 0644, 259);
	list_path("one of each type", "types");
	transcript_stat("links of the directory", "types");
	list_path("missing", "none");
	list_path("a file", "types/file");
	make_many("many");
	list_path("many", "many");
	dir = opendir("many");
	transcript_make("many/late", "x");
	rewinddir(dir);
	list("rewound after creating", dir);
	list("read at the end", dir);
	closedir(dir);
	delete_while_reading("many");
	transcript_result("rmdir of the emptied", rmdir("many"));
}

void scenario_seekdir(void)
{
	static long at[MANY + 8];
	static char names[MANY + 8][256];
	struct dirent *entry;
	int count = 0, wrong = 0, left, fd;
	DIR *dir;

	make_many("d");
	dir = opendir("d");
	at[0] = telldir(dir);
	while (count < MANY + 7 && (entry = readdir(dir))) {
		strcpy(names[count], entry->d_name);
		at[++count] = telldir(dir);
	}
	transcript_line("entries", "%d", count);
	for (int i = count - 1; i >= 0; i -= 7) {
		seekdir(dir, at[i]);
		entry = readdir(dir);
		wrong += !entry || strcmp(entry->d_name, names[i]);
	}
	transcript_line("wrong after seekdir", "%d", wrong);
	seekdir(dir, at[count]);
	transcript_line("at the end", "%s", readdir(dir) ? "an entry" : "nothing");
	seekdir(dir, at[0]);
	list("from the start", dir);
	seekdir(dir, at[count / 2]);
	unlinkat(dirfd(dir), names[count / 2 + 5], 0);
	/* Which names are left is the host file system's order: only their number is told. */
	for (left = 0; readdir(dir); left++)
		;
	transcript_line("entries after the middle", "%d", left);
	closedir(dir);
	fd = open("d", O_RDONLY | O_DIRECTORY);
	transcript_result("lseek to the start", lseek(fd, 0, SEEK_SET));
	transcript_result("lseek backwards", lseek(fd, -1, SEEK_SET));
	close(fd);
}
