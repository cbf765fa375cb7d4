/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofs-calls SOURCE [FOLDER]: every call of libviofs against a device, compared with FOLDER, which
 * it shares. */
#include "calls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool check_that(struct calls *t, bool good, const char *what, const char *file, int line)
{
	if (!good)
		printf("# %s:%d: not so: %s (last: %s)\n", file, line, what, t->err.text);
	t->failed |= !good;
	return good;
}

bool check_works(struct calls *t, long long rc, const char *what, const char *file, int line)
{
	if (rc < 0)
		printf("# %s:%d: %s: %lld (%s): %s\n", file, line, what, rc, strerror((int)-rc),
		       t->err.text);
	t->failed |= rc < 0;
	return rc >= 0;
}

bool check_fails(struct calls *t, long long rc, int e, const char *what, const char *file, int line)
{
	bool good = rc == -e && t->err.text[0];

	if (!good)
		printf("# %s:%d: %s: %lld where %d is due (%s)\n", file, line, what, rc, -e,
		       t->err.text);
	t->failed |= !good;
	t->err.text[0] = '\0';
	return good;
}

const char *on_host(const struct calls *t, const char *path)
{
	static _Thread_local char text[2 * PATH_MAX];

	snprintf(text, sizeof(text), "%s/%s", t->host, path);
	return text;
}

static void run(struct calls *t, const struct calls_case *table, int *number)
{
	for (; table->name; table++) {
		t->failed = false;
		t->err.text[0] = '\0';
		table->run(t);
		printf("%s %d - %s\n", t->failed ? "not ok" : "ok", ++*number, table->name);
		fflush(stdout);
	}
}

static int count(const struct calls_case *table)
{
	int n = 0;

	while (table[n].name)
		n++;
	return n;
}

/* What the device says that it still counts for us, -1: it can't be asked. */
static long long asked(const char *control)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[8192] = "";
	const char *at;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", control);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || write(fd, "stats\n", 6) != 6 ||
	    read(fd, text, sizeof(text) - 1) <= 0)
		printf("# %s: %s\n", control, strerror(errno));
	close(fd);
	at = strstr(text, "\"references\": ");
	return at ? atoll(at + strlen("\"references\": ")) : -1;
}

static bool device_agrees(void)
{
	const char *control = getenv("VIOFS_CONTROL");
	long long left = 0;

	/* FORGETs have no answer: they are on their way. */
	for (int i = 0; control && i < 200; i++) {
		left = asked(control);
		if (left <= 0)
			break;
		usleep(10000);
	}
	if (left)
		printf("# the device counts %lld references\n", left);
	return !left;
}

/* Nothing may be left that the device counts for us. */
static bool counts_are_even(struct calls *t)
{
	struct viofs_session_info info = { .size = sizeof(info) };

	viofs_session_drop(t->s);
	viofs_session_info_get(t->s, &info);
	if (info.lookups || info.nodes || info.names)
		printf("# left: %llu lookups, %u nodes, %u names\n",
		       (unsigned long long)info.lookups, info.nodes, info.names);
	return !info.lookups && !info.nodes && !info.names && device_agrees();
}

int main(int argc, char **argv)
{
	static const struct calls_case *const tables[] = { cases_names, cases_files, cases_async,
							   cases_raw, cases_threads };
	struct viofs_dev_options options;
	struct calls t = { 0 };
	int number = 0, total = 2;
	int rc;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "Usage: viofs-calls SOURCE [FOLDER]\n");
		return 2;
	}
	t.host = argc == 3 ? argv[2] : NULL;
	t.has_tmpfile = getenv("VIOFS_HAS_TMPFILE");
	viofs_dev_options_init(&options, sizeof(options));
	options.flags = VIOFS_DEV_BIND;
	rc = viofs_dev_open(argv[1], &options, &t.dev, &t.err);
	if (!rc)
		rc = viofs_session_open(t.dev, NULL, &t.s, &t.err);
	if (rc) {
		printf("Bail out! %s\n", t.err.text);
		return 1;
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		total += count(tables[i]);
	printf("1..%d\n", total);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		run(&t, tables[i], &number);
	printf("%s %d - everything that was looked up is given back\n",
	       counts_are_even(&t) ? "ok" : "not ok", ++number);
	viofs_session_close(t.s);
	rc = viofs_dev_close(t.dev, &t.err);
	printf("%s %d - the device is given back\n", rc ? "not ok" : "ok", ++number);
	return 0;
}
