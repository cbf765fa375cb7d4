/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of libviofs by its public headers alone: what each of them needs. */
#ifndef CALLS_H
#define CALLS_H

#include <viofs/viofs.h>

#include <stdbool.h>

/** struct calls - a session, and the folder that the share is on this machine, or NULL */
struct calls {
	struct viofs_dev *dev;
	struct viofs_session *s;
	const char *host;
	bool has_tmpfile; /* VIOFS_HAS_TMPFILE: the back end makes files without a name */
	bool failed;      /* the case that runs */
	struct viofs_err err;
};

/** CHECK() - the case goes on where @x is false, but has failed. */
#define CHECK(t, x) check_that(t, x, #x, __FILE__, __LINE__)
/** WORKS() - @x is no negative errno. */
#define WORKS(t, x) check_works(t, x, #x, __FILE__, __LINE__)
/** FAILS() - @x is exactly -@e, and there is a text. */
#define FAILS(t, x, e) check_fails(t, x, e, #x, __FILE__, __LINE__)

bool check_that(struct calls *t, bool good, const char *what, const char *file, int line);
bool check_works(struct calls *t, long long rc, const char *what, const char *file, int line);
bool check_fails(struct calls *t, long long rc, int e, const char *what, const char *file,
		 int line);

/** on_host() - @path on this machine, static. */
const char *on_host(const struct calls *t, const char *path);

/** struct calls_case - a test; in tables that end with a NULL name */
struct calls_case {
	const char *name;
	void (*run)(struct calls *t);
};

extern const struct calls_case cases_names[], cases_files[], cases_async[], cases_raw[],
	cases_threads[];

#endif
