/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory tree of a test's own. */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/viofs-tree-XXXXXX";

void tree_make(void)
{
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void tree_remove(void)
{
	assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *tree_path(const char *relative)
{
	static char paths[8][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 8];

	assert_true(snprintf(path, PATH_MAX, "%s/%s", root, relative) < PATH_MAX);
	return path;
}

/* All directories above the last part of @path. */
static void make_parents(const char *path)
{
	char buf[PATH_MAX];

	assert_true(snprintf(buf, sizeof(buf), "%s", path) < (int)sizeof(buf));
	for (char *p = buf + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		assert_true(mkdir(buf, 0777) == 0 || errno == EEXIST);
		*p = '/';
	}
}

void tree_dir(const char *relative)
{
	const char *path = tree_path(relative);

	make_parents(path);
	assert_true(mkdir(path, 0777) == 0 || errno == EEXIST);
}

void tree_bytes(const char *relative, const void *bytes, size_t len)
{
	const char *path = tree_path(relative);
	FILE *f;

	make_parents(path);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

void tree_file(const char *relative, const char *text)
{
	tree_bytes(relative, text, strlen(text));
}

void tree_link(const char *relative, const char *target)
{
	const char *path = tree_path(relative);

	make_parents(path);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

void tree_unlink(const char *relative)
{
	assert_int_equal(unlink(tree_path(relative)), 0);
}

bool tree_exists(const char *relative)
{
	struct stat st;

	return lstat(tree_path(relative), &st) == 0;
}

const char *tree_read(const char *relative)
{
	static char text[4096];
	FILE *f = fopen(tree_path(relative), "re");
	size_t n = 0;

	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return text;
}
