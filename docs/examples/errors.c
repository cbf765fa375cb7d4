/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What errors look like: errors SOURCE FILE
 *
 * A call returns a negative errno, to decide by, and fills in a text, to be shown. Asynchronous
 * calls have the errno, and `fault` where the device did something wrong.
 */
#include <viofs/viofs.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int differs;

static void show(const char *what, int64_t rc, int64_t due, const struct viofs_err *err)
{
	printf("%-24s %4d %s\n", what, (int)rc, err->text);
	if (rc != due) {
		printf("  %s was due\n", strerror((int)-due));
		differs = 1;
	}
}

static void names(struct viofs_session *s, const char *file)
{
	static struct viofs_err err;
	struct viofs_file *f = NULL;
	char longest[300], below[4096];
	struct stat st;

	show("nothing there", viofs_path_stat(s, "no/such/file", 0, &st, &err), -ENOENT, &err);
	show("no path", viofs_path_stat(s, "", 0, &st, &err), -ENOENT, &err);
	snprintf(below, sizeof(below), "%s/below", file);
	show("below a file", viofs_path_stat(s, below, 0, &st, &err), -ENOTDIR, &err);
	show("a directory as a file", viofs_file_open(s, "/", 0, O_RDONLY, 0, &f, &err), -EISDIR,
	     &err);
	show("is there already", viofs_path_mkdir(s, file, 0, 0755, &err), -EEXIST, &err);
	show("leads out", viofs_path_stat(s, "../x", VIOFS_PATH_BENEATH, &st, &err), -EXDEV, &err);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	show("too long", viofs_path_stat(s, longest, 0, &st, &err), -ENAMETOOLONG, &err);
}

static void later(struct viofs_session *s)
{
	struct viofs_async *async;
	struct viofs_event event;
	static struct viofs_err err;
	struct stat st;
	int rc = viofs_async_open(s, 0, &async, &err);

	if (rc) {
		show("viofs_async_open", rc, 0, &err);
		return;
	}
	/* 0: an event comes. A negative errno: it doesn't. */
	rc = viofs_path_stat_async(async, "no/such/file", 0, &st, NULL);
	if (!rc && viofs_async_wait(async, &event, 1, 1, -1) == 1) {
		snprintf(err.text, sizeof(err.text), "%s",
			 event.fault ? event.fault : strerror((int)-event.result));
		show("asynchronous", event.result, -ENOENT, &err);
	}
	viofs_async_close(async);
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	int rc;

	if (argc != 3) {
		fprintf(stderr, "Usage: errors SOURCE FILE\n");
		return 2;
	}
	rc = viofs_dev_open("vhost-user:/nowhere", NULL, &dev, &err);
	show("no such back end", rc, -ENOENT, &err);
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err)) {
		fprintf(stderr, "%s\n", err.text);
		differs = 1;
	} else {
		names(session, argv[2]);
		later(session);
		viofs_dev_abort(dev);
		rc = viofs_path_rmdir(session, "x", 0, &err);
		show("the device has failed", rc, -ENODEV, &err);
		printf("the device %s\n", viofs_dev_failed(dev));
	}
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return differs;
}
