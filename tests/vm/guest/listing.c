// SPDX-License-Identifier: GPL-2.0-or-later
/* A directory of COUNT entries e000000, e000001...: readdir must give each exactly once. */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void make(const char *path, long count)
{
	char name[32];
	int dir;

	if (mkdir(path, 0755) || (dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		err(1, "%s", path);
	for (long i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "e%06ld", i);
		if (mknodat(dir, name, S_IFREG | 0644, 0))
			err(1, "%s/%s", path, name);
	}
	close(dir);
}

static void check(const char *path, long count)
{
	unsigned char *seen = calloc(count, 1);
	DIR *dir = opendir(path);
	struct dirent *entry;
	long found = 0, number;
	char *end;

	if (!dir || !seen)
		err(1, "%s", path);
	while (errno = 0, (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		number = strtol(entry->d_name + 1, &end, 10);
		if (entry->d_name[0] != 'e' || *end || number < 0 || number >= count)
			errx(1, "foreign entry '%s'", entry->d_name);
		if (seen[number]++)
			errx(1, "'%s' came twice", entry->d_name);
		found++;
	}
	if (errno)
		err(1, "%s after %ld entries", path, found);
	if (found != count)
		errx(1, "%ld of %ld entries", found, count);
	closedir(dir);
	free(seen);
}

int main(int argc, char **argv)
{
	long count = argc == 4 ? atol(argv[3]) : 0;

	if (count <= 0)
		errx(2, "usage: listing make|check DIR COUNT");
	if (!strcmp(argv[1], "make"))
		make(argv[2], count);
	else
		check(argv[2], count);
	return 0;
}
