// SPDX-License-Identifier: GPL-2.0-or-later
/* Many processes append to one file with O_APPEND: each record must be there whole and in order. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORD 64
#define MAX_WRITERS 64

static void append_records(const char *path, int writer, int records)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	char record[RECORD];

	if (fd < 0)
		err(1, "%s", path);
	for (int i = 0; i < records; i++) {
		memset(record, '.', RECORD);
		record[snprintf(record, RECORD, "%4d %8d record", writer, i)] = '.';
		record[RECORD - 1] = '\n';
		if (write(fd, record, RECORD) != RECORD)
			err(1, "writer %d, record %d", writer, i);
	}
	if (close(fd))
		err(1, "writer %d: close", writer);
	exit(0);
}

static void check_records(const char *path, int writers, int records)
{
	int next[MAX_WRITERS] = { 0 }, writer, number;
	FILE *file = fopen(path, "re");
	char line[RECORD * 2];

	if (!file)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		if (strlen(line) != RECORD || sscanf(line, "%d %d record", &writer, &number) != 2 ||
		    writer < 0 || writer >= writers)
			errx(1, "torn record: '%s'", line);
		if (number != next[writer]++)
			errx(1, "writer %d: record %d where %d was due", writer, number,
			     next[writer] - 1);
	}
	if (ferror(file))
		err(1, "%s", path);
	fclose(file);
	for (writer = 0; writer < writers; writer++)
		if (next[writer] != records)
			errx(1, "writer %d: %d of %d records", writer, next[writer], records);
}

int main(int argc, char **argv)
{
	int writers = argc > 2 ? atoi(argv[2]) : 0, records = argc > 3 ? atoi(argv[3]) : 0;
	int failed = 0, status;

	if (records <= 0 || writers <= 0 || writers > MAX_WRITERS)
		errx(2, "usage: appenders FILE WRITERS RECORDS");
	close(open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644));
	for (int i = 0; i < writers; i++)
		if (!fork())
			append_records(argv[1], i, records);
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		errx(1, "a writer failed");
	check_records(argv[1], writers, records);
	return 0;
}
