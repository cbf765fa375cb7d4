/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names, sizes, modes and times for people. */
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of the UTF-8 character at @s, 0: it is none that may be printed. */
static size_t character(const unsigned char *s)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0x80             ? 1
		     : (s[0] & 0xe0) == 0xc0 ? 2
		     : (s[0] & 0xf0) == 0xe0 ? 3
		     : (s[0] & 0xf8) == 0xf0 ? 4
					     : 0;
	unsigned int code = len == 1 ? s[0] : len ? s[0] & (0x7fU >> len) : 0;

	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	/* C0, DEL and C1 controls, surrogates, marks that turn the direction of writing. */
	if (!len || code < least[len] || code < 0x20 || (code >= 0x7f && code < 0xa0) ||
	    code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ||
	    (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
	    code == 0x200e || code == 0x200f || code == 0x2028 || code == 0x2029)
		return 0;
	return len;
}

/* One character of @s as it is printed. Return: bytes of @s that it was. */
static size_t escape(const unsigned char *s, char out[8])
{
	static const char letters[] = "\a\b\t\n\v\f\r\\";
	const char *known = strchr(letters, s[0]);
	size_t len = character(s);

	if (known) {
		snprintf(out, 8, "\\%c", "abtnvfr\\"[known - letters]);
		return 1;
	}
	if (!len) {
		snprintf(out, 8, "\\%03o", s[0]);
		return 1;
	}
	memcpy(out, s, len);
	out[len] = '\0';
	return len;
}

const char *viofs_text_name(const char *name, char *out, size_t size)
{
	const unsigned char *s = (const unsigned char *)name;
	char piece[8];
	size_t at = 0;

	while (*s) {
		s += escape(s, piece);
		if (at + strlen(piece) >= size)
			break;
		memcpy(out + at, piece, strlen(piece));
		at += strlen(piece);
	}
	out[at] = '\0';
	return out;
}

void viofs_text_put(const char *name, FILE *out)
{
	const unsigned char *s = (const unsigned char *)name;
	char piece[8];

	while (*s) {
		s += escape(s, piece);
		fputs(piece, out);
	}
}

const char *viofs_text_size(uint64_t bytes, char out[16])
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

const char *viofs_text_mode(mode_t mode, char out[11])
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

const char *viofs_text_type(mode_t mode)
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

const char *viofs_text_time(const struct timespec *t, int full, char out[48])
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

char *viofs_text_join(const char *top, const char *name)
{
	size_t len = strlen(top);
	char *out;

	while (len && top[len - 1] == '/')
		len--;
	return asprintf(&out, "%.*s/%s", (int)len, top, name) < 0 ? NULL : out;
}

char *viofs_text_base(const char *path)
{
	size_t end = strlen(path), begin;

	while (end && path[end - 1] == '/')
		end--;
	for (begin = end; begin && path[begin - 1] != '/'; begin--)
		;
	return strndup(path + begin, end - begin);
}
