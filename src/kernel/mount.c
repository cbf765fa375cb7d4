/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounting, step by step (fsopen(2) and the calls that go with it), and unmounting.
 *
 * The mount exists before it has a place: its ID, minor and control files of fusectl are noted
 * while nobody else can reach it. Then it is put onto a directory, which is given by descriptor.
 *
 * The connection's directory in fusectl is held open. By descriptor it never becomes the directory
 * of another connection that gets the same number. It exists as long as the super block does, also
 * after an abort: until then no other file system has its minor. It is opened through a mount of
 * fusectl that has no place, so no mount of others is made busy.
 */
#include "kernel/mount.h"
#include "kernel/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long to look for mounts: a file system that answers needs less. */
#define HOLD_MS 1000
/* The same after the abort, which ends all waiting for this file system. */
#define HOLD_MORE_MS 200

struct viofs_mount {
	int fd;         /* /dev/fuse */
	int control_fd; /* the directory in fusectl; -1: there is none */
	unsigned int minor;
};

static int open_mount_of(const char *type, int fs, uint64_t attributes)
{
	int fd;

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attributes);
	return fd < 0 ? -errno : fd;
}

/* The directory of all connections. */
static int open_fusectl(void)
{
	int fs = fsopen("fusectl", FSOPEN_CLOEXEC), fd = open_mount_of("fusectl", fs, 0);

	if (fs >= 0)
		close(fs);
	/* A container may not be allowed to mount it. */
	return fd >= 0 ? fd : open("/sys/fs/fuse/connections", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_control(unsigned int minor_no)
{
	int all = open_fusectl(), fd;
	char name[16];

	if (all < 0)
		return -1;
	snprintf(name, sizeof(name), "%u", minor_no);
	fd = openat(all, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	close(all);
	return fd;
}

static int set_text(int fs, const char *key, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

static int set_number(int fs, const char *key, const char *format, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), !strcmp(format, "o") ? "%o" : "%u", value);
	return set_text(fs, key, text);
}

static int set_flag(int fs, const char *key)
{
	return fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0 ? -errno : 0;
}

/* What the user's words mean for the super block. */
static int set_options(int fs, const struct viofs_mount_options *o)
{
	int rc = 0;

	for (uint32_t flag = 1; !rc && flag <= o->super; flag <<= 1)
		if (o->super & flag)
			rc = set_flag(fs, viofs_mount_options_super_word(flag));
	for (int i = 0; !rc && i < VIOFS_MOUNT_LABELS; i++) {
		char key[16];
		const char *equals = o->labels[i] ? strchr(o->labels[i], '=') : NULL;

		if (!equals)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)(equals - o->labels[i]), o->labels[i]);
		rc = set_text(fs, key, equals + 1);
	}
	return rc;
}

static int set_all(int fs, const struct viofs_mount_config *c, int fuse_fd)
{
	int rc = set_text(fs, "source", c->source);

	if (!rc)
		rc = set_text(fs, "subtype", "virtiofs-vfio");
	if (!rc)
		rc = set_number(fs, "fd", "u", (unsigned int)fuse_fd);
	if (!rc)
		rc = set_number(fs, "rootmode", "o", S_IFDIR);
	if (!rc)
		rc = set_number(fs, "user_id", "u", getuid());
	if (!rc)
		rc = set_number(fs, "group_id", "u", getgid());
	if (!rc)
		rc = set_flag(fs, "allow_other");
	if (!rc)
		rc = set_flag(fs, "default_permissions");
	if (!rc && c->max_read)
		rc = set_number(fs, "max_read", "u", c->max_read);
	return rc ? rc : set_options(fs, c->options);
}

/* The kernel's own words ("e fuse: Bad value for ..."), where it has some. */
static int say(int fs, int rc, struct viofs_err *err)
{
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 2)
		return viofs_err_set(err, rc, "The kernel does not mount it: %s.", strerror(-rc));
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return viofs_err_set(err, rc, "The kernel does not mount it: %s (%s).", strerror(-rc),
			     text + 2);
}

/* Return: the descriptor of a mount that has no place yet. */
static int make_mount(struct viofs_mount *m, const struct viofs_mount_config *c,
		      struct viofs_err *err)
{
	int fs = fsopen("fuse", FSOPEN_CLOEXEC), rc, fd = -1;

	if (fs < 0)
		return viofs_err_set(err, -errno,
				     "The kernel does not let a FUSE file system be made: "
				     "fsopen: %s.",
				     strerror(errno));
	rc = set_all(fs, c, m->fd);
	if (!rc)
		rc = fd = open_mount_of("fuse", fs, c->options->attributes);
	if (rc < 0)
		say(fs, rc, err);
	close(fs);
	return rc < 0 ? rc : fd;
}

int viofs_mount_put(int mount_fd, int directory)
{
	return move_mount(mount_fd, "", directory, "",
			  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

int viofs_mount_start(struct viofs_mount *m, const struct viofs_mount_config *c,
		      struct viofs_err *err)
{
	int fd = make_mount(m, c, err), rc;
	struct viofs_mount_id id;

	if (fd < 0)
		return fd;
	rc = viofs_mount_id_of(fd, &id);
	if (!rc) {
		m->minor = id.minor;
		m->control_fd = open_control(m->minor);
		rc = viofs_mount_put(fd, c->directory);
	}
	if (rc)
		viofs_err_set(err, rc, "The kernel does not put the mount there: %s.",
			      strerror(-rc));
	close(fd);
	return rc;
}

int viofs_mount_new(struct viofs_mount **out, struct viofs_err *err)
{
	struct viofs_mount *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	m->control_fd = -1;
	m->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (m->fd < 0) {
		rc = -errno;
		free(m);
		return viofs_err_set(err, rc, "/dev/fuse: %s; load the module: modprobe fuse",
				     strerror(-rc));
	}
	*out = m;
	return 0;
}

int viofs_mount_fd(const struct viofs_mount *m)
{
	return m->fd;
}

unsigned int viofs_mount_minor(const struct viofs_mount *m)
{
	return m->minor;
}

int viofs_mount_control_fd(const struct viofs_mount *m)
{
	return m->control_fd;
}

/* As long as the file system exists, the minor is its own. */
bool viofs_mount_exists(const struct viofs_mount *m)
{
	struct pollfd p = { .fd = m->fd, .events = 0 };
	bool there = false;
	char c;
	int fd;

	/* Without fusectl: as long as nobody has aborted it. */
	if (m->control_fd < 0)
		return m->fd >= 0 && poll(&p, 1, 0) >= 0 && !(p.revents & POLLERR);
	fd = openat(m->control_fd, "waiting", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		there = read(fd, &c, 1) == 1;
		close(fd);
	}
	return there;
}

int viofs_mount_places(const struct viofs_mount *m, struct viofs_places *places)
{
	int rc = viofs_places_find(m->minor, places);

	if (!rc && !viofs_mount_exists(m))
		viofs_places_free(places);
	return rc;
}

/* The root can't be unmounted: all other mounts are below it. */
static bool is_root(const struct viofs_mount_place *place)
{
	return !strcmp(place->path, "/");
}

bool viofs_mount_is_there(const struct viofs_mount *m)
{
	struct viofs_places places;
	bool there = false;

	if (viofs_mount_places(m, &places))
		return false;
	for (unsigned int i = 0; i < places.count; i++)
		there |= !is_root(&places.list[i]);
	viofs_places_free(&places);
	return there;
}

/* The last mount first: it may lie inside an earlier one. */
int viofs_mount_unmount(struct viofs_mount *m)
{
	struct viofs_places places;
	int rc = viofs_mount_places(m, &places), result = -EINVAL;

	for (unsigned int i = rc ? 0 : places.count; i-- > 0;) {
		if (is_root(&places.list[i]))
			continue;
		rc = viofs_mount_place_unmount(&places.list[i], 0);
		/* Another mount covers it. If ours is still there, it counts as in use. */
		if (rc == -ESTALE)
			rc = viofs_mount_is_there(m) ? -EBUSY : 0;
		if (result == -EINVAL || rc)
			result = rc;
	}
	viofs_places_free(&places);
	return result;
}

/* Any of its mounts. */
static int open_root(const struct viofs_mount *m)
{
	struct viofs_places places;
	struct viofs_holding *h;
	int fd = viofs_mount_places(m, &places);

	if (fd)
		return fd;
	h = viofs_places_hold(&places, 1, HOLD_MS);
	fd = viofs_holding_take(h);
	viofs_holding_free(h);
	return fd;
}

int viofs_mount_clone(const struct viofs_mount *m)
{
	int root = open_root(m), fd;

	if (root < 0)
		return root;
	fd = open_tree(root, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(root);
	return fd;
}

int viofs_mount_sync(struct viofs_mount *m)
{
	int root = open_root(m), fd, rc = 0;

	if (root < 0)
		return root;
	fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	close(root);
	return rc;
}

/* A forced unmount aborts the connection even if the mount is busy, as it is by our descriptor. */
static int abort_by_force(const struct viofs_mount *m)
{
	int root = open_root(m), rc;
	char path[32];

	if (root < 0)
		return root;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", root);
	rc = umount2(path, MNT_FORCE) < 0 && errno != EBUSY ? -errno : 0;
	close(root);
	return rc;
}

int viofs_mount_abort(struct viofs_mount *m)
{
	int fd, rc;

	if (m->control_fd < 0)
		return abort_by_force(m);
	fd = openat(m->control_fd, "abort", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write(fd, "1", 1) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int viofs_mount_end(struct viofs_mount *m)
{
	struct viofs_places places = { NULL, 0 };
	struct viofs_holding *h;
	int rc;

	viofs_mount_places(m, &places);
	/*
	 * Before the abort: after it the kernel no longer knows the names of mount points inside
	 * it.
	 */
	h = viofs_places_hold(&places, UINT_MAX, HOLD_MS);
	rc = viofs_mount_abort(m);
	viofs_holding_detach(h, HOLD_MORE_MS);
	viofs_holding_free(h);
	return rc && viofs_mount_exists(m) ? rc : 0;
}

/*
 * A thread that unmounts may be using this descriptor, so its number must not be given to another
 * file. Put a pipe without a reader in its place: it answers poll(2) as an aborted connection does.
 */
void viofs_mount_hang_up(struct viofs_mount *m)
{
	int ends[2];

	if (!m || m->fd < 0)
		return;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		/*
		 * No descriptor is left for a pipe: use any open file, so that nobody waits for
		 * ever.
		 */
		dup3(STDIN_FILENO, m->fd, O_CLOEXEC);
		return;
	}
	close(ends[0]);
	dup3(ends[1], m->fd, O_CLOEXEC);
	close(ends[1]);
}

void viofs_mount_close(struct viofs_mount *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	if (m->control_fd >= 0)
		close(m->control_fd);
	free(m);
}
