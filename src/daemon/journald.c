/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages with fields, to systemd's journal.
 *
 * One datagram, a field a line (systemd's "Native Journal Protocol"). A socket is opened for each
 * message: there are few, the worker must not inherit one, and a journal that was started anew is
 * found.
 */
#include "daemon/journald.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Mount point, tag, rule, and the message, which has the mount point once more. */
#define ENTRY_MAX 16384

struct text {
	char bytes[ENTRY_MAX];
	size_t len;
};

static void add_field(struct text *t, const char *name, const char *value)
{
	size_t left = sizeof(t->bytes) - t->len;
	int n;

	/* A line break in it would begin a field. */
	if (!value || !*value || strchr(value, '\n'))
		return;
	n = snprintf(t->bytes + t->len, left, "%s=%s\n", name, value);
	if (n > 0 && (size_t)n < left)
		t->len += (size_t)n;
}

int viofs_journald_send(const char *path, const struct viofs_journald_entry *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char priority[] = { (char)('0' + e->priority), '\0' }, pid[16];
	struct text t = { .len = 0 };
	int fd, rc;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	add_field(&t, "MESSAGE", e->message);
	add_field(&t, "PRIORITY", priority);
	add_field(&t, "SYSLOG_IDENTIFIER", "virtiofs-vfio");
	add_field(&t, "SYSLOG_PID", pid);
	add_field(&t, "MOUNTPOINT", e->mountpoint);
	add_field(&t, "TAG", e->tag);
	add_field(&t, "OPCODE", e->opcode);
	add_field(&t, "RULE", e->rule);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = sendto(fd, t.bytes, t.len, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a,
		    sizeof(a)) < 0
		     ? -errno
		     : 0;
	close(fd);
	return rc;
}

bool viofs_journald_reads(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && !fstat(fd, &st) &&
	       st.st_dev == device && st.st_ino == inode;
}
