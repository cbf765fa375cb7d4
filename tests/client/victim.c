/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofs-victim SOURCE [INIT-TIMEOUT-MS]: orders in lines, each answered by "RC TEXT", for tests of
 * misbehaviour. */
#include <viofs/viofs.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES ((size_t)3 << 20)
#define SMALL 1000U
/* No answer for so long fails the device. */
#define TIMEOUT_MS 2000

static int64_t read_file(struct viofs_session *s, const char *path, struct viofs_err *err)
{
	struct viofs_file *f = NULL;
	static char data[BYTES];
	int64_t n;
	int rc;

	rc = viofs_file_open(s, path, 0, O_RDONLY, 0, &f, err);
	if (rc)
		return rc;
	n = viofs_file_pread(f, data, sizeof(data), 0, err);
	if (n > 0 && memmem(data, (size_t)n, "secret", 6) && !strstr(path, "secret"))
		n = -EBADMSG;
	viofs_file_close(f, NULL);
	return n;
}

/* A file of the word @what again and again: "file" is small, so that a READ has room left. */
static int64_t write_file(struct viofs_session *s, const char *path, const char *what,
			  struct viofs_err *err)
{
	struct viofs_file *f = NULL;
	static char data[BYTES];
	int64_t n;
	int rc;

	rc = viofs_file_open(s, path, 0, O_CREAT | O_TRUNC | O_WRONLY, 0600, &f, err);
	if (rc)
		return rc;
	for (size_t i = 0; i + strlen(what) < sizeof(data); i += strlen(what))
		memcpy(data + i, what, strlen(what));
	n = viofs_file_pwrite(f, data, strcmp(path, "file") ? sizeof(data) : SMALL, 0, err);
	rc = viofs_file_close(f, err);
	return rc ? rc : n;
}

static int64_t list(struct viofs_session *s, struct viofs_err *err)
{
	struct viofs_dirent e;
	struct viofs_dir *d = NULL;
	int64_t n = 0;
	int rc;

	rc = viofs_dir_open(s, "/", 0, &d, err);
	if (rc)
		return rc;
	while ((rc = viofs_dir_read(d, &e, err)) > 0)
		n++;
	viofs_dir_close(d, NULL);
	return rc ? rc : n;
}

/* A stat by an event loop, which sleeps on the descriptor alone. */
static int64_t loop(struct viofs_session *s, const char *path, struct viofs_err *err)
{
	struct viofs_async *a = NULL;
	struct viofs_event e = { 0 };
	struct stat st;
	int rc;

	rc = viofs_async_open(s, 0, &a, err);
	if (!rc)
		rc = viofs_path_stat_async(a, path, 0, &st, NULL);
	while (!rc && !viofs_async_poll(a, &e, 1)) {
		struct pollfd p = { .fd = viofs_async_fd(a), .events = POLLIN };

		if (!viofs_async_arm(a))
			poll(&p, 1, -1);
	}
	viofs_async_close(a);
	return rc ? rc : e.result;
}

static int64_t obey(struct viofs_session *s, const char *word, const char *path, const char *what,
		    struct viofs_err *err)
{
	struct stat st;

	if (!strcmp(word, "stat"))
		return viofs_path_stat(s, path, 0, &st, err);
	if (!strcmp(word, "loop"))
		return loop(s, path, err);
	if (!strcmp(word, "read"))
		return read_file(s, path, err);
	if (!strcmp(word, "write"))
		return write_file(s, path, what, err);
	if (!strcmp(word, "list"))
		return list(s, err);
	return -ENOSYS;
}

static void say(int64_t rc, const struct viofs_err *err)
{
	printf("%lld %s\n", (long long)rc, err->text);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[256], word[16], path[64], what[64];
	struct viofs_session_options session;
	struct viofs_session *s = NULL;
	struct viofs_err err = { .text = "" };
	struct viofs_dev_options o;
	struct viofs_dev *d = NULL;
	int rc;

	if (argc < 2)
		return 2;
	viofs_dev_options_init(&o, sizeof(o));
	viofs_session_options_init(&session, sizeof(session));
	o.timeout_ms = TIMEOUT_MS;
	if (argc > 2)
		session.init_timeout_ms = (uint32_t)atoi(argv[2]);
	rc = viofs_dev_open(argv[1], &o, &d, &err);
	if (!rc)
		rc = viofs_session_open(d, &session, &s, &err);
	say(rc, &err);
	while (!rc && fgets(line, sizeof(line), stdin)) {
		int64_t n;

		err.text[0] = path[0] = what[0] = '\0';
		if (sscanf(line, "%15s %63s %63s", word, path, what) < 1)
			continue;
		n = obey(s, word, path, what, &err);
		if (n < 0 && viofs_dev_failed(d))
			snprintf(err.text, sizeof(err.text), "failed: %s", viofs_dev_failed(d));
		say(n, &err);
	}
	viofs_session_close(s);
	viofs_dev_close(d, NULL);
	return 0;
}
