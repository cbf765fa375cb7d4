/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * umount2(2) takes a path, and whoever may write to a directory on it can change where it leads.
 * But the mount point itself can't be renamed or removed while something is mounted there (in this
 * namespace). So its parent directory is opened, and the mount is checked and unmounted through
 * that. A descriptor of the mount itself would make it busy.
 *
 * Opening that directory is a walk, and each file system on the way is asked whether its names are
 * still true. Neither O_PATH nor a signal helps against one that does not answer. The supervisor
 * must not wait for it, since its abort may be what ends the silence. So a thread does the walk,
 * and is left behind when its time is over. Whichever of the two lets go last frees what they
 * share.
 */
#include "kernel/places.h"
#include "base/join.h"
#include "base/util.h"
#include "kernel/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define TYPE " - fuse.virtiofs-vfio "

/* The kernel writes blanks, line breaks and backslashes as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned int c;

		if (*from == '\\' && sscanf(from + 1, "%3o", &c) == 1 && strlen(from) >= 4) {
			*to = (char)c;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "36 35 0:47 / /mnt rw,... - fuse.virtiofs-vfio myfs rw,..." Return: 1, 0, or -ENOMEM. */
static int read_line(const char *line, unsigned int minor_no, struct viofs_mount_place *place)
{
	unsigned int major_no, its_minor;
	unsigned long long mount;
	int at, end;

	if (!strstr(line, TYPE) || sscanf(line, "%llu %*u %u:%u %*s %n%*s%n", &mount, &major_no,
					  &its_minor, &at, &end) != 3)
		return 0;
	if (major_no || its_minor != minor_no)
		return 0;
	place->mount = mount;
	place->minor = minor_no;
	place->path = strndup(line + at, (size_t)(end - at));
	place->root = -1;
	if (!place->path)
		return -ENOMEM;
	unescape(place->path);
	return 1;
}

static int add_line(struct viofs_places *p, const char *line, unsigned int minor_no)
{
	struct viofs_mount_place found, *grown;
	int rc = read_line(line, minor_no, &found);

	if (rc <= 0)
		return rc;
	grown = reallocarray(p->list, p->count + 1, sizeof(*grown));
	if (!grown) {
		free(found.path);
		return -ENOMEM;
	}
	p->list = grown;
	grown[p->count++] = found;
	return 0;
}

int viofs_places_find(unsigned int minor_no, struct viofs_places *places)
{
	struct viofs_places found = { NULL, 0 };
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	int rc = 0;

	if (!f)
		return -errno;
	while (!rc && getline(&line, &size, f) > 0)
		rc = add_line(&found, line, minor_no);
	free(line);
	fclose(f);
	if (rc)
		viofs_places_free(&found);
	else
		*places = found;
	return rc;
}

void viofs_places_free(struct viofs_places *places)
{
	for (unsigned int i = 0; i < places->count; i++) {
		free(places->list[i].path);
		if (places->list[i].root >= 0)
			close(places->list[i].root);
	}
	free(places->list);
	*places = (struct viofs_places){ NULL, 0 };
}

/* Like openat(2) of the @len bytes at @path, which may be longer than PATH_MAX. Closes @fd. */
static int open_below(int fd, const char *path, size_t len)
{
	while (fd >= 0 && len) {
		size_t n = VIOFS_MIN(len, (size_t)PATH_MAX - 1);
		char part[PATH_MAX];
		int next;

		/* Whole names. */
		while (n < len && n && path[n] != '/')
			n--;
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		next = n ? openat(fd, part, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
		close(fd);
		fd = next;
		while (n < len && path[n] == '/')
			n++;
		path += n;
		len -= n;
	}
	return fd;
}

/* The directory that the mount point lies in; @name: out, inside @place->path. */
static int open_parent(const struct viofs_mount_place *place, const char **name)
{
	const char *slash = strrchr(place->path, '/');
	int fd;

	/* A root has no directory above it. */
	if (place->path[0] != '/' || !slash[1])
		return -ESTALE;
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (slash > place->path)
		fd = open_below(fd, place->path + 1, (size_t)(slash - place->path) - 1);
	*name = slash + 1;
	return fd < 0 ? -ESTALE : fd;
}

/* The mount at @name now, if it is this one. */
static int open_root(const struct viofs_mount_place *place, int parent, const char *name)
{
	int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct viofs_mount_id id;

	if (fd < 0)
		return -ESTALE;
	if (!viofs_mount_id_of(fd, &id) && id.is_root && id.mount == place->mount &&
	    id.minor == place->minor)
		return fd;
	close(fd);
	return -ESTALE;
}

int viofs_mount_place_open(const struct viofs_mount_place *place)
{
	const char *name;
	int parent = open_parent(place, &name), fd;

	if (parent < 0)
		return parent;
	fd = open_root(place, parent, name);
	close(parent);
	return fd;
}

struct viofs_holding {
	struct viofs_places places;
	unsigned int enough;
	pthread_t thread;
	bool walked;           /* the thread has ended, and was joined */
	_Atomic bool released; /* by one of the two */
};

static void release(struct viofs_holding *h)
{
	if (!atomic_exchange(&h->released, true))
		return;
	viofs_places_free(&h->places);
	free(h);
}

static bool is_below(const char *path, const char *other)
{
	size_t len = strcmp(other, "/") ? strlen(other) : 0;

	return !strncmp(path, other, len) && path[len] == '/' && path[len + 1];
}

/* Does the path to this place lead through another of the places? */
static bool is_inside(const struct viofs_places *places, unsigned int index)
{
	for (unsigned int i = 0; i < places->count; i++)
		if (i != index && is_below(places->list[index].path, places->list[i].path))
			return true;
	return false;
}

static unsigned int open_those(struct viofs_holding *h, bool inside, unsigned int held)
{
	for (unsigned int i = 0; i < h->places.count && held < h->enough; i++) {
		struct viofs_mount_place *place = &h->places.list[i];

		if (is_inside(&h->places, i) != inside)
			continue;
		place->root = viofs_mount_place_open(place);
		held += place->root >= 0;
	}
	return held;
}

/*
 * Last those that can't be reached while the file system hangs: they vanish with the mount around
 * them.
 */
static void *walk(void *arg)
{
	struct viofs_holding *h = arg;

	open_those(h, true, open_those(h, false, 0));
	release(h);
	return NULL;
}

struct viofs_holding *viofs_places_hold(struct viofs_places *places, unsigned int enough,
					unsigned int ms)
{
	struct viofs_holding *h = calloc(1, sizeof(*h));

	if (!h) {
		viofs_places_free(places);
		return NULL;
	}
	h->places = *places;
	h->enough = enough;
	*places = (struct viofs_places){ NULL, 0 };
	if (pthread_create(&h->thread, NULL, walk, h)) {
		/* Without a thread the walk has no time limit. Most walks need none. */
		walk(h);
		h->walked = true;
	} else {
		h->walked = viofs_join_within(h->thread, ms);
	}
	return h;
}

int viofs_holding_take(struct viofs_holding *h)
{
	if (!h)
		return -ENOMEM;
	for (unsigned int i = 0; i < h->places.count; i++) {
		int root = atomic_exchange(&h->places.list[i].root, -1);

		if (root >= 0)
			return root;
	}
	return h->walked ? -ESTALE : -ETIMEDOUT;
}

void viofs_holding_detach(struct viofs_holding *h, unsigned int ms)
{
	if (!h)
		return;
	h->walked = h->walked || viofs_join_within(h->thread, ms);
	for (unsigned int i = h->places.count; i-- > 0;) {
		int root = h->places.list[i].root;
		char path[32];

		if (root < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", root);
		umount2(path, MNT_DETACH);
	}
}

void viofs_holding_free(struct viofs_holding *h)
{
	if (!h)
		return;
	if (!h->walked)
		pthread_detach(h->thread);
	release(h);
}

int viofs_mount_place_unmount(const struct viofs_mount_place *place, int flags)
{
	const char *name;
	int parent = open_parent(place, &name), fd, rc = 0;
	char path[PATH_MAX];

	if (parent < 0)
		return parent;
	fd = open_root(place, parent, name);
	if (fd < 0) {
		rc = fd;
	} else {
		close(fd);
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", parent, name);
		rc = umount2(path, flags | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
	}
	close(parent);
	return rc;
}
