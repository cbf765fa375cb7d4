/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walks through trees, on the library's public calls: each is one thread's.
 *
 * Each level has its directory open, and a view of the session that begins there: so a name is
 * looked up where its directory is, whatever is renamed meanwhile, and no path gets too long. No
 * symbolic link below the start is followed.
 */
#include "client/child.h"
#include "client/client_session.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct level {
	struct viofs_dir *dir;
	struct viofs_session *view;
	struct stat st; /* of the directory */
	size_t len;     /* of its path */
};

struct viofs_tree {
	struct viofs_session *session; /* a view: the caller's may be closed */
	unsigned int flags;
	struct level *levels; /* open; the first one is the start's */
	unsigned int depth, room;
	char *path;
	size_t path_room;
	struct stat st; /* of what was told last */
	size_t name_at; /* its name, in path */
	bool begun;
	bool enter; /* it is a directory that is to be entered next */
};

static struct level *top(struct viofs_tree *t)
{
	return &t->levels[t->depth - 1];
}

/* @name below what the first @len bytes of the path are. Return: 0, -ENOMEM. */
static int set_path(struct viofs_tree *t, size_t len, const char *name)
{
	size_t size = strlen(name) + 1;
	bool slash = len && t->path[len - 1] != '/';

	if (len + slash + size > t->path_room) {
		size_t room = 2 * (len + slash + size);
		char *path = realloc(t->path, room);

		if (!path)
			return -ENOMEM;
		t->path = path;
		t->path_room = room;
	}
	if (slash)
		t->path[len] = '/';
	t->name_at = len + slash;
	memcpy(t->path + t->name_at, name, size);
	return 0;
}

static void leave(struct viofs_tree *t)
{
	struct level *l = top(t);

	viofs_session_close(l->view);
	viofs_dir_close(l->dir, NULL);
	t->depth--;
}

/* Open what was told last. Return: 0 or -errno. */
static int enter(struct viofs_tree *t, struct viofs_err *err)
{
	struct viofs_session *where = t->depth ? top(t)->view : t->session;
	const char *name = t->depth ? t->path + t->name_at : t->path;
	struct level l = { .st = t->st, .len = strlen(t->path) };
	struct viofs_view_options o;
	int rc;

	if (t->depth == t->room) {
		unsigned int room = t->room ? 2 * t->room : 16;
		struct level *more = realloc(t->levels, room * sizeof(*more));

		if (!more)
			return viofs_err_set(err, -ENOMEM, "walk %s: out of memory.", t->path);
		t->levels = more;
		t->room = room;
	}
	rc = viofs_dir_open(where, name, t->depth ? VIOFS_PATH_NO_FOLLOW : 0, &l.dir, err);
	if (rc)
		return rc;
	viofs_view_options_init(where, &o, sizeof(o));
	o.at = l.dir;
	rc = viofs_session_view(where, &o, &l.view, err);
	if (rc) {
		viofs_dir_close(l.dir, NULL);
		return rc;
	}
	t->levels[t->depth++] = l;
	return 0;
}

static int tell(struct viofs_tree *t, unsigned int depth, bool after, int error,
		struct viofs_tree_entry *entry)
{
	t->enter = !after && !error && S_ISDIR(t->st.st_mode);
	*entry = (struct viofs_tree_entry){
		.path = t->path,
		.name = t->path + t->name_at,
		.st = &t->st,
		.depth = depth,
		.after = after,
		.error = error,
	};
	return 1;
}

/* A directory has ended. Return: 1: it is told again; 0: go on. */
static int ascend(struct viofs_tree *t, int error, struct viofs_tree_entry *entry)
{
	struct level *l = top(t);
	char *slash;

	t->path[l->len] = '\0';
	slash = strrchr(t->path, '/');
	t->name_at = t->depth > 1 && slash ? (size_t)(slash + 1 - t->path) : 0;
	t->st = l->st;
	leave(t);
	return t->flags & VIOFS_TREE_AFTER || error ? tell(t, t->depth, true, error, entry) : 0;
}

/* The next entry of the directory that is open last. Return: 1: told; 0: go on; -errno. */
static int descend(struct viofs_tree *t, struct viofs_tree_entry *entry, struct viofs_err *err)
{
	struct level *l = top(t);
	struct viofs_dirent d;
	int rc = viofs_dir_read(l->dir, &d, err);

	if (rc <= 0)
		return ascend(t, rc, entry);
	if (!strcmp(d.name, ".") || !strcmp(d.name, ".."))
		return 0;
	rc = set_path(t, l->len, d.name);
	if (rc)
		return viofs_err_set(err, rc, "walk %s: out of memory.", t->path);
	if (d.st)
		t->st = *d.st;
	else
		rc = viofs_path_stat(l->view, d.name, VIOFS_PATH_NO_FOLLOW, &t->st, err);
	if (rc == -ENOENT) /* it has gone meanwhile */
		return 0;
	if (rc)
		memset(&t->st, 0, sizeof(t->st));
	return tell(t, t->depth, false, rc, entry);
}

int viofs_tree_open(struct viofs_session *s, const char *path, unsigned int flags,
		    struct viofs_tree **out, struct viofs_err *err)
{
	struct viofs_tree *t;
	int rc;

	if (viofs_dev_is_elsewhere(s->share->dev))
		return viofs_dev_elsewhere(err, "walk", path);
	if (flags & ~(unsigned int)VIOFS_TREE_AFTER)
		return viofs_err_set(err, -EINVAL,
				     "walk %s: flags that this libviofs doesn't know.", path);
	t = calloc(1, sizeof(*t));
	if (!t || set_path(t, 0, path)) {
		free(t);
		return viofs_err_set(err, -ENOMEM, "walk %s: out of memory.", path);
	}
	t->flags = flags;
	rc = viofs_session_view(s, NULL, &t->session, err);
	if (!rc)
		rc = viofs_path_stat(t->session, path, 0, &t->st, err);
	if (rc) {
		viofs_tree_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

int viofs_tree_next(struct viofs_tree *t, struct viofs_tree_entry *entry, struct viofs_err *err)
{
	int rc = 0;

	if (!t->begun) {
		t->begun = true;
		return tell(t, 0, false, 0, entry);
	}
	if (t->enter) {
		t->enter = false;
		rc = enter(t, err);
		/* It can't be read: that is told, and the walk goes on. */
		if (rc)
			return tell(t, t->depth, true, rc, entry);
	}
	while (!rc && t->depth)
		rc = descend(t, entry, err);
	return rc;
}

void viofs_tree_skip(struct viofs_tree *t)
{
	t->enter = false;
}

void viofs_tree_close(struct viofs_tree *t)
{
	if (!t)
		return;
	while (t->depth)
		leave(t);
	viofs_session_close(t->session);
	free(t->levels);
	free(t->path);
	free(t);
}
