/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounting by libfuse3, unmounting by hand.
 *
 * fuse_session_unmount() closes /dev/fuse before it unmounts, which aborts the connection and drops
 * dirty pages. So only the mounting is libfuse's: a session is made for its option parsing and its
 * mount call, and its descriptor is ours from then on.
 */
#define FUSE_USE_VERSION 314
#include "kernel/mount.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_log.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct viofs_mount {
	int fd;
	unsigned int device; /* minor of the mount's anonymous device: names it in fusectl */
	char path[PATH_MAX];
};

/* What libfuse says while it mounts, for the error message. Only used by one thread, at start. */
static struct viofs_err *libfuse_words;

/* One message may come in several calls. */
__attribute__((format(printf, 2, 0))) static void libfuse_log(enum fuse_log_level level,
							      const char *fmt, va_list ap)
{
	char *text;
	size_t n;

	if (!libfuse_words || level > FUSE_LOG_WARNING)
		return;
	text = libfuse_words->text;
	n = strlen(text);
	vsnprintf(text + n, sizeof(libfuse_words->text) - n, fmt, ap);
	n = strlen(text);
	if (n && text[n - 1] == '\n')
		text[n - 1] = '\0';
}

/* The mount at @path in our namespace: its minor, by the last line of mountinfo with that path. */
static int find_mount(const char *path, unsigned int *minor_out)
{
	char *line = NULL, escaped[PATH_MAX * 4], *e = escaped;
	size_t size = 0;
	int rc = -ENOENT;
	FILE *f;

	for (const char *p = path; *p && e < escaped + sizeof(escaped) - 5; p++) {
		if (strchr(" \t\n\\", *p))
			e += sprintf(e, "\\%03o", (unsigned char)*p);
		else
			*e++ = *p;
	}
	*e = '\0';
	f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		unsigned int major_no, minor_no;
		int at = 0;

		/* "36 35 0:47 / /mnt rw,... - fuse.virtiofs-vfio myfs rw,..." */
		if (sscanf(line, "%*u %*u %u:%u %*s %n", &major_no, &minor_no, &at) != 2 || !at)
			continue;
		if (strncmp(line + at, escaped, strlen(escaped)) != 0 ||
		    line[at + (int)strlen(escaped)] != ' ')
			continue;
		*minor_out = minor_no;
		rc = strstr(line, " - fuse.virtiofs-vfio ") ? 0 : -EBUSY;
	}
	free(line);
	fclose(f);
	return rc;
}

int viofs_mount_check(const char *path, struct viofs_err *err)
{
	unsigned int ignored;
	struct stat st;

	if (stat(path, &st) < 0) {
		int rc = -errno;

		return viofs_err_set(err, rc, "mount point %s: %s%s", path, strerror(-rc),
				     rc == -ENOENT ? "; make the directory first"
				     : rc == -ENOTCONN
					     ? "; a dead mount is in the way, umount it first"
					     : "");
	}
	if (!S_ISDIR(st.st_mode))
		return viofs_err_set(err, -ENOTDIR, "mount point %s is not a directory", path);
	if (find_mount(path, &ignored) != -ENOENT)
		return viofs_err_set(err, -EBUSY,
				     "%s is a mount point already; umount it first, or "
				     "choose another directory",
				     path);
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		return viofs_err_set(err, -ENODEV, "/dev/fuse: %s; load the module: modprobe fuse",
				     strerror(errno));
	return 0;
}

static int add_options(struct fuse_args *args, const struct viofs_mount_config *c)
{
	char *own = NULL;
	int n, rc;

	/* Commas and backslashes in a source would end the option. */
	char source[2 * PATH_MAX], *s = source;

	for (const char *p = c->source; *p && s < source + sizeof(source) - 2; p++) {
		if (*p == ',' || *p == '\\')
			*s++ = '\\';
		*s++ = *p;
	}
	*s = '\0';
	/* libfuse starts from nosuid,nodev: undone first, so that the user's options come last. */
	n = asprintf(&own,
		     "subtype=virtiofs-vfio,fsname=%s,allow_other,default_permissions,suid,dev",
		     source);
	if (n < 0)
		return -ENOMEM;
	rc = fuse_opt_add_arg(args, "virtiofs-vfio") || fuse_opt_add_arg(args, "-o") ||
	     fuse_opt_add_arg(args, own);
	if (!rc && c->options && *c->options)
		rc = fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, c->options);
	if (!rc && c->max_read) {
		char text[32];

		snprintf(text, sizeof(text), "max_read=%u", c->max_read);
		rc = fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, text);
	}
	free(own);
	return rc ? -ENOMEM : 0;
}

/* A session of libfuse that knows the options and has done nothing yet. Return: 0 or -errno. */
static int new_session(const struct viofs_mount_config *config, struct fuse_session **session,
		       struct viofs_err *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	const struct fuse_lowlevel_ops none = { 0 };
	struct viofs_err words = { "" };
	int rc;

	rc = add_options(&args, config);
	if (rc) {
		viofs_err_set(err, rc, "Out of memory.");
	} else {
		libfuse_words = &words;
		fuse_set_log_func(libfuse_log);
		*session = fuse_session_new(&args, &none, sizeof(none), NULL);
		libfuse_words = NULL;
		if (!*session)
			rc = viofs_err_set(err, -EINVAL,
					   "The mount options \"%s\" are not understood: "
					   "%s. See virtiofs-vfio --help.",
					   config->options ? config->options : "",
					   words.text[0] ? words.text : "libfuse gave no reason");
	}
	fuse_opt_free_args(&args);
	return rc;
}

int viofs_mount_check_options(const struct viofs_mount_config *config, struct viofs_err *err)
{
	struct fuse_session *session = NULL;
	int rc = new_session(config, &session, err);

	if (!rc)
		fuse_session_destroy(session);
	return rc;
}

/* Mount; the descriptor that remains is ours. */
static int mount_session(struct viofs_mount *m, struct fuse_session *session, struct viofs_err *err)
{
	struct viofs_err words = { "" };
	int rc;

	libfuse_words = &words;
	rc = fuse_session_mount(session, m->path);
	libfuse_words = NULL;
	if (rc)
		return viofs_err_set(err, -EIO, "can't mount at %s: %s", m->path,
				     words.text[0] ? words.text : "libfuse gave no reason");
	/* A copy: the session's own descriptor goes with it, the connection stays with ours. */
	m->fd = fcntl(fuse_session_fd(session), F_DUPFD_CLOEXEC, 3);
	rc = m->fd < 0 || fcntl(m->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 ? -errno : 0;
	if (!rc)
		rc = find_mount(m->path, &m->device);
	if (rc) {
		viofs_err_set(err, rc, "mount at %s: %s", m->path, strerror(-rc));
		umount2(m->path, MNT_DETACH);
	}
	return rc;
}

int viofs_mount_start(const struct viofs_mount_config *config, struct viofs_mount **out,
		      struct viofs_err *err)
{
	struct fuse_session *session = NULL;
	struct viofs_mount *m;
	int rc;

	m = calloc(1, sizeof(*m));
	if (!m)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	m->fd = -1;
	snprintf(m->path, sizeof(m->path), "%s", config->mountpoint);
	rc = new_session(config, &session, err);
	if (!rc) {
		rc = mount_session(m, session, err);
		/* Closes the session's descriptor; the mount stays. */
		fuse_session_destroy(session);
	}
	if (rc) {
		viofs_mount_close(m);
		return rc;
	}
	*out = m;
	return 0;
}

int viofs_mount_fd(const struct viofs_mount *m)
{
	return m->fd;
}

bool viofs_mount_is_there(const struct viofs_mount *m)
{
	unsigned int minor_no = 0;

	return !find_mount(m->path, &minor_no) && minor_no == m->device;
}

int viofs_mount_unmount(struct viofs_mount *m)
{
	if (!viofs_mount_is_there(m))
		return -EINVAL;
	return umount2(m->path, UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

int viofs_mount_sync(struct viofs_mount *m)
{
	int fd, rc = 0;

	fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syncfs(fd) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int viofs_mount_detach(struct viofs_mount *m)
{
	if (!viofs_mount_is_there(m))
		return -EINVAL;
	return umount2(m->path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

int viofs_mount_abort(struct viofs_mount *m)
{
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", m->device);
	rc = viofs_text_write(path, "1");
	/* Without fusectl: a forced unmount aborts the connection too, whether it succeeds or not.
	 */
	if (rc && viofs_mount_is_there(m))
		rc = umount2(m->path, MNT_FORCE | UMOUNT_NOFOLLOW) < 0 && errno != EBUSY ? -errno
											 : 0;
	return rc;
}

void viofs_mount_hang_up(struct viofs_mount *m)
{
	if (!m || m->fd < 0)
		return;
	close(m->fd);
	m->fd = -1;
}

void viofs_mount_close(struct viofs_mount *m)
{
	viofs_mount_hang_up(m);
	free(m);
}
