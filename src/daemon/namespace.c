/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mount goes with its mount namespace, and a mount namespace goes with its last user. A daemon
 * that was started in one of its own (unshare -m, a service's) would be that user for ever, as it
 * needs the namespace to unmount. So it looks for other users: processes except daemons like this
 * one, descriptors of the namespace, and mounts of it (unshare --mount=FILE). A process that can't
 * be looked at counts as a user.
 *
 * Only what this process's /proc shows is seen: not a process of an outer PID namespace that has
 * entered this mount namespace.
 */
#include "daemon/namespace.h"
#include "base/util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS (2 * VIOFS_NSEC_PER_SEC)
/* One look isn't enough: it may miss a process that starts another one and ends. */
#define LOOKS 3

/* Is the link's text @ns ("mnt:[4026531841]")? Return: 1, 0, or -errno. */
static int link_is(const char *path, const char *text)
{
	char target[64];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return !strcmp(target, text);
}

/* EINVAL: a process that has ended and is not waited for has no mounts. */
static bool is_gone(int rc)
{
	return rc == -ENOENT || rc == -ESRCH || rc == -EINVAL;
}

/* What a process runs, as it was called before a newer one took its place. Return: is it known? */
static bool read_program(const char *pid, char program[static PATH_MAX])
{
	static const char replaced[] = " (deleted)";
	char path[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	n = readlink(path, program, PATH_MAX - 1);
	if (n < 0)
		return false;
	program[n] = '\0';
	n -= (ssize_t)strlen(replaced);
	if (n > 0 && !strcmp(program + n, replaced))
		program[n] = '\0';
	return true;
}

/*
 * Another daemon keeps nothing alive either: a process of root's that runs a program of our name,
 * which need not be the same file any more, as after an update.
 */
static bool is_daemon(const char *pid)
{
	char path[300], mine[PATH_MAX], its[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s", pid);
	return !stat(path, &st) && !st.st_uid && read_program("self", mine) &&
	       read_program(pid, its) && !strcmp(mine, its);
}

static bool process_uses(const char *pid, const char *ns)
{
	char path[300];
	int rc;

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	rc = link_is(path, ns);
	return rc && !is_gone(rc) && !is_daemon(pid);
}

/* Does it have a descriptor of the namespace? */
static bool process_holds(const char *pid, const char *ns)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool holds = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return !is_gone(-errno);
	while (!holds && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, e->d_name);
		holds = link_is(path, ns) == 1;
	}
	closedir(dir);
	return holds;
}

/* Is it mounted somewhere that @pid sees? Such a mount has the link's text as its root. */
static bool process_sees(const char *pid, const char *ns)
{
	char path[300], *line = NULL, word[80];
	bool sees = false;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
	f = fopen(path, "re");
	if (!f)
		return !is_gone(-errno);
	snprintf(word, sizeof(word), " %s ", ns);
	while (!sees && getline(&line, &size, f) > 0)
		sees = strstr(line, word);
	free(line);
	fclose(f);
	return sees;
}

static bool any_process(bool (*is)(const char *pid, const char *ns), const char *ns)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	bool any = false;

	if (!dir)
		return true;
	while (!any && (e = readdir(dir)))
		any = isdigit((unsigned char)e->d_name[0]) && is(e->d_name, ns);
	closedir(dir);
	return any;
}

static bool is_used(void)
{
	char ns[64];
	ssize_t n = readlink("/proc/self/ns/mnt", ns, sizeof(ns) - 1);

	if (n < 0)
		return true;
	ns[n] = '\0';
	/* The expensive looks are made only when the cheap ones have found nobody. */
	return any_process(process_uses, ns) || any_process(process_holds, ns) ||
	       any_process(process_sees, ns);
}

void viofs_namespace_init(struct viofs_namespace *n)
{
	char first[64];
	ssize_t len = readlink("/proc/1/ns/mnt", first, sizeof(first) - 1);

	*n = (struct viofs_namespace){ 0 };
	if (len < 0)
		return;
	first[len] = '\0';
	n->watched = link_is("/proc/self/ns/mnt", first) == 0;
	n->look_at = viofs_now_ns() + LOOK_NS;
}

int64_t viofs_namespace_time(const struct viofs_namespace *n)
{
	return n->watched ? VIOFS_MAX(n->look_at - viofs_now_ns(), 0) : -1;
}

bool viofs_namespace_is_unused(struct viofs_namespace *n)
{
	int64_t now = viofs_now_ns();

	if (!n->watched || now - n->look_at < 0)
		return false;
	n->look_at = now + LOOK_NS;
	n->unused = is_used() ? 0 : n->unused + 1;
	n->watched = n->unused < LOOKS;
	return !n->watched;
}
