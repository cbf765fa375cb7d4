/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names, sizes, modes and times for people.
 *
 * The program's one thread. Texts go to the caller's memory, or are the caller's to free. Nothing
 * is kept.
 */
#include "format.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *viofs_format_name(const char *name, char *out, size_t size)
{
	return viofs_text_clean(VIOFS_TEXT_NAME, name, out, size);
}

void viofs_format_put(const char *name, FILE *out)
{
	char piece[VIOFS_TEXT_PIECE];
	size_t taken;

	while ((taken = viofs_text_next(VIOFS_TEXT_NAME, name, piece))) {
		fputs(piece, out);
		name += taken;
	}
}

void viofs_format_line(FILE *out, const char *before, const char *fmt, va_list ap)
{
	char *text = NULL, *clean;
	size_t size;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	size = text ? VIOFS_TEXT_GROWTH * strlen(text) + 1 : 0;
	clean = text ? malloc(size) : NULL;
	fprintf(out, "%s%s\n", before,
		clean ? viofs_text_clean(VIOFS_TEXT_MESSAGE, text, clean, size) : "Out of memory.");
	free(clean);
	free(text);
}

const char *viofs_format_size(uint64_t bytes, char out[16])
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes;
	int unit = -1;

	while (value >= 1023.5 && unit < 5) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(out, 16, "%u", (unsigned int)bytes);
	else
		snprintf(out, 16, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
	return out;
}

const char *viofs_format_mode(mode_t mode, char out[11])
{
	static const char rights[] = "rwxrwxrwx";

	switch (mode & S_IFMT) {
	case S_IFDIR:
		out[0] = 'd';
		break;
	case S_IFLNK:
		out[0] = 'l';
		break;
	case S_IFCHR:
		out[0] = 'c';
		break;
	case S_IFBLK:
		out[0] = 'b';
		break;
	case S_IFIFO:
		out[0] = 'p';
		break;
	case S_IFSOCK:
		out[0] = 's';
		break;
	default:
		out[0] = '-';
		break;
	}
	for (int i = 0; i < 9; i++)
		if (mode & (0400 >> i))
			out[i + 1] = rights[i];
		else
			out[i + 1] = '-';
	if (mode & S_ISUID)
		out[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		out[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		out[9] = mode & S_IXOTH ? 't' : 'T';
	out[10] = '\0';
	return out;
}

const char *viofs_format_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "regular file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symbolic link";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "unknown type";
	}
}

const char *viofs_format_time(const struct timespec *t, int full, char out[48])
{
	char day[24], zone[8];
	struct tm tm;

	if (!localtime_r(&t->tv_sec, &tm)) {
		snprintf(out, 48, "@%lld", (long long)t->tv_sec);
		return out;
	}
	strftime(day, sizeof(day), full ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	if (full)
		snprintf(out, 48, "%s.%09ld %s", day, t->tv_nsec, zone);
	else
		snprintf(out, 48, "%s", day);
	return out;
}

char *viofs_format_join(const char *top, const char *name)
{
	size_t len = strlen(top);
	char *out;

	while (len && top[len - 1] == '/')
		len--;
	return asprintf(&out, "%.*s/%s", (int)len, top, name) < 0 ? NULL : out;
}

char *viofs_format_base(const char *path)
{
	size_t end = strlen(path), begin;

	while (end && path[end - 1] == '/')
		end--;
	for (begin = end; begin && path[begin - 1] != '/'; begin--)
		;
	return strndup(path + begin, end - begin);
}
