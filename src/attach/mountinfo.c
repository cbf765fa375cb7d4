/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a tag mounted: /proc/PID/mountinfo of every mount namespace (proc(5)). */
#include "attach/mountinfo.h"

#include "base/util.h"
#include "pci/address.h"
#include "pci/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPE_KERNEL "virtiofs"
#define TYPE_OURS "fuse.virtiofs-vfio"

/* A piece of the text. Nothing is copied before it is known to be needed. */
struct field {
	const char *text;
	size_t len;
};

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The kernel writes blanks, backslashes and more as \ooo. Cuts what is too long. */
static void decode(struct field f, char *buf, size_t size)
{
	size_t out = 0;

	for (size_t i = 0; i < f.len && out + 1 < size; out++) {
		const char *s = f.text + i;

		if (*s == '\\' && f.len - i >= 4 && s[1] <= '3' && is_octal(s[1]) &&
		    is_octal(s[2]) && is_octal(s[3])) {
			buf[out] = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			i += 4;
		} else {
			buf[out] = *s;
			i++;
		}
	}
	buf[out] = '\0';
}

/* The next word of a line; empty at its end. */
static struct field parse_word(const char **p, const char *end)
{
	struct field f;

	while (*p < end && **p == ' ')
		(*p)++;
	f.text = *p;
	while (*p < end && **p != ' ')
		(*p)++;
	f.len = (size_t)(*p - f.text);
	return f;
}

static bool field_is(struct field f, const char *text)
{
	char buf[64];

	decode(f, buf, sizeof(buf));
	return strcmp(buf, text) == 0;
}

/* File systems with no disk have major 0. */
static bool is_device(struct field f, unsigned int minor_no)
{
	char text[32];

	snprintf(text, sizeof(text), "0:%u", minor_no);
	return field_is(f, text);
}

static bool is_same_function(const char *source, const char *address)
{
	struct viofs_pci_address a, b;

	return address && viofs_pci_address_parse(source, &a) == 0 &&
	       viofs_pci_address_parse(address, &b) == 0 && viofs_pci_address_equal(&a, &b);
}

static bool is_wanted_source(const struct viofs_mountinfo_query *q, const char *source)
{
	if (!q->source && !q->address)
		return true;
	return (q->source && !strcmp(source, q->source)) ||
	       (q->ours && is_same_function(source, q->address));
}

/* "ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [OPTIONAL...] - TYPE SOURCE SUPER" */
static bool match_line(const char *line, const char *end, const struct viofs_mountinfo_query *q,
		       struct viofs_mounted *out)
{
	char source[PATH_MAX];
	struct field device, mountpoint, word;
	const char *p = line;

	parse_word(&p, end);
	parse_word(&p, end);
	device = parse_word(&p, end);
	parse_word(&p, end);
	mountpoint = parse_word(&p, end);
	do {
		word = parse_word(&p, end);
		if (!word.len)
			return false;
	} while (!field_is(word, "-"));
	word = parse_word(&p, end);
	if (!field_is(word, q->ours ? TYPE_OURS : TYPE_KERNEL))
		return false;
	decode(parse_word(&p, end), source, sizeof(source));
	if (!is_wanted_source(q, source))
		return false;
	if (q->minor && !is_device(device, q->minor))
		return false;
	memset(out, 0, sizeof(*out));
	decode(mountpoint, out->mountpoint, sizeof(out->mountpoint));
	return true;
}

int viofs_mountinfo_match(const char *mountinfo, const struct viofs_mountinfo_query *query,
			  struct viofs_mounted *out)
{
	for (const char *line = mountinfo; *line;) {
		const char *end = strchrnul(line, '\n');

		if (match_line(line, end, query, out))
			return 1;
		line = *end ? end + 1 : end;
	}
	return 0;
}

/* The mount namespaces seen so far, by their inode numbers. */
struct seen {
	uint64_t *ids;
	size_t count;
};

/* Return: 1 new, 0 known or not to be seen (a process that ended, no privilege), or -ENOMEM. */
static int see_namespace(struct seen *seen, const char *pid)
{
	char path[PATH_MAX], target[64];
	unsigned long long id;
	uint64_t *grown;
	ssize_t n;

	n = readlink(viofs_pci_proc_path(path, sizeof(path), "%s/ns/mnt", pid), target,
		     sizeof(target) - 1);
	if (n < 0)
		return 0;
	target[n] = '\0';
	if (sscanf(target, "mnt:[%llu]", &id) != 1)
		return 0;
	for (size_t i = 0; i < seen->count; i++)
		if (seen->ids[i] == id)
			return 0;
	grown = reallocarray(seen->ids, seen->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	seen->ids = grown;
	grown[seen->count++] = id;
	return 1;
}

/*
 * Line by line, since a host of containers has megabytes of this. Return: 1; 0; -ENOENT: could not
 * be read.
 */
static int search_process(const char *pid, const struct viofs_mountinfo_query *query,
			  struct viofs_mounted *out)
{
	char path[PATH_MAX], *line = NULL;
	size_t size = 0, lines = 0;
	int found = 0;
	FILE *file;

	file = fopen(viofs_pci_proc_path(path, sizeof(path), "%s/mountinfo", pid), "re");
	if (!file)
		return -ENOENT;
	for (; !found && getline(&line, &size, file) > 0; lines++)
		found = viofs_mountinfo_match(line, query, out);
	free(line);
	fclose(file);
	/* No namespace is without a mount: the process ended before the first read. */
	return lines ? found : -ENOENT;
}

static int search_entry(struct seen *seen, const char *pid,
			const struct viofs_mountinfo_query *query, struct viofs_mounted *found)
{
	int rc;

	if (pid[0] < '1' || pid[0] > '9')
		return 0;
	rc = see_namespace(seen, pid);
	if (rc <= 0)
		return rc;
	rc = search_process(pid, query, found);
	if (rc == -ENOENT) {
		/* This process has ended. Another one may be in the same namespace. */
		seen->count--;
		return 0;
	}
	if (rc == 1)
		found->pid = atoi(pid);
	return rc;
}

int viofs_mountinfo_search(const struct viofs_mountinfo_query *query, struct viofs_mounted *out)
{
	struct viofs_mounted found = { 0 };
	struct seen seen = { 0 };
	char path[PATH_MAX], self[16];
	struct dirent *e;
	int rc;
	DIR *dir;

	dir = opendir(viofs_pci_proc_path(path, sizeof(path), "."));
	if (!dir)
		return -errno;
	/* A mount in our own namespace is reported before one elsewhere. */
	snprintf(self, sizeof(self), "%d", (int)getpid());
	rc = search_entry(&seen, self, query, &found);
	while (!rc && (e = readdir(dir)))
		rc = search_entry(&seen, e->d_name, query, &found);
	closedir(dir);
	free(seen.ids);
	if (rc >= 0)
		*out = found;
	return rc;
}
