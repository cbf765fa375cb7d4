/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server that acts for many users: users SOURCE
 *
 * Orders come in lines: UID GID put NAME TEXT, UID GID get NAME, UID GID remove NAME. Each user has
 * a view of the one session: what is made is his, a call takes two seconds at most, and the library
 * checks what he may (VIOFS_SESSION_CHECK), since most back ends don't.
 */
#include <viofs/viofs.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MS 2000

struct user {
	uint32_t uid, gid;
	struct viofs_session *view;
	struct user *next;
};

static struct user *users;
static struct viofs_err err;

static struct viofs_session *view_of(struct viofs_session *session, uint32_t uid, uint32_t gid)
{
	struct viofs_view_options options;
	struct user *u = users;

	while (u && (u->uid != uid || u->gid != gid))
		u = u->next;
	if (u)
		return u->view;
	u = (struct user *)calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	viofs_view_options_init(session, &options, sizeof(options));
	options.cred.uid = u->uid = uid;
	options.cred.gid = u->gid = gid;
	options.timeout_ms = TIME_MS;
	options.flags |= VIOFS_SESSION_CHECK;
	if (viofs_session_view(session, &options, &u->view, &err)) {
		free(u);
		return NULL;
	}
	u->next = users;
	users = u;
	return u->view;
}

static int put(struct viofs_session *view, const char *name, const char *text)
{
	struct viofs_file *file = NULL;
	ssize_t n;
	int rc = viofs_file_open(view, name, 0, O_CREAT | O_TRUNC | O_WRONLY, 0640, &file, &err);

	if (rc)
		return rc;
	n = viofs_file_write(file, text, strlen(text), &err);
	/* What could not be written may be told only now. */
	rc = viofs_file_close(file, n < 0 ? NULL : &err);
	return n < 0 ? (int)n : rc;
}

static int get(struct viofs_session *view, const char *name)
{
	struct viofs_file *file = NULL;
	char text[256];
	ssize_t n;
	int rc = viofs_file_open(view, name, 0, O_RDONLY, 0, &file, &err);

	if (rc)
		return rc;
	n = viofs_file_read(file, text, sizeof(text), &err);
	viofs_file_close(file, NULL);
	if (n >= 0)
		printf("%.*s\n", (int)n, text);
	return n < 0 ? (int)n : 0;
}

static void obey(struct viofs_session *session, const char *line)
{
	char what[16], name[128], text[128] = "";
	struct viofs_session *view;
	unsigned int uid, gid;
	int rc = -EINVAL;

	strcpy(err.text, "Orders are put, get and remove.");
	if (sscanf(line, "%u %u %15s %127s %127s", &uid, &gid, what, name, text) < 4) {
		printf("%s\n", err.text);
		return;
	}
	view = view_of(session, uid, gid);
	if (view && !strcmp(what, "put"))
		rc = put(view, name, text);
	else if (view && !strcmp(what, "get"))
		rc = get(view, name);
	else if (view && !strcmp(what, "remove"))
		rc = viofs_path_unlink(view, name, 0, &err);
	if (rc)
		printf("%s\n", err.text);
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_dev *dev = NULL;
	char line[512];

	if (argc != 2) {
		fprintf(stderr, "Usage: users SOURCE\n");
		return 2;
	}
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err)) {
		fprintf(stderr, "%s\n", err.text);
		viofs_dev_close(dev, NULL);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin))
		obey(session, line);
	while (users) {
		struct user *next = users->next;

		viofs_session_close(users->view);
		free(users);
		users = next;
	}
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return 0;
}
