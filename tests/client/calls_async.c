/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The asynchronous twins. */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Wait for the one call under way: its result. */
static int64_t one(struct calls *t, struct viofs_async *a, int started)
{
	struct viofs_event e = { 0 };

	if (!WORKS(t, started) || !CHECK(t, viofs_async_wait(a, &e, 1, 1, 10000000000LL) == 1))
		return -ETIMEDOUT;
	CHECK(t, e.user == a && !e.fault);
	return e.result;
}

#define ONE(call) one(t, a, call)

static void twins_of_paths(struct calls *t, struct viofs_async *a)
{
	const struct timespec times[2] = { { 1, 2 }, { 3, 4 } };
	struct statvfs fs;
	struct statx stx;
	struct stat st;
	char text[64];

	CHECK(t, !ONE(viofs_path_mkdir_async(a, "A", 0, 0700, a)));
	CHECK(t, !ONE(viofs_path_mknod_async(a, "A/n", 0, S_IFREG | 0600, 0, a)));
	CHECK(t, !ONE(viofs_path_symlink_async(a, "n", "A/s", 0, a)));
	CHECK(t, ONE(viofs_path_readlink_async(a, "A/s", 0, text, sizeof(text), a)) == 1 &&
			 !strcmp(text, "n"));
	CHECK(t, !ONE(viofs_path_truncate_async(a, "A/s", 0, 77, a)));
	CHECK(t, !ONE(viofs_path_stat_async(a, "A/n", 0, &st, a)) && st.st_size == 77);
	CHECK(t,
	      !ONE(viofs_path_statx_async(a, "A/n", 0, STATX_SIZE, &stx, a)) && stx.stx_size == 77);
	CHECK(t, !ONE(viofs_path_chmod_async(a, "A/n", 0, 0640, a)));
	CHECK(t, !ONE(viofs_path_chown_async(a, "A/n", 0, 3, 4, a)));
	CHECK(t, !ONE(viofs_path_utimens_async(a, "A/n", 0, times, a)));
	CHECK(t, !ONE(viofs_path_stat_async(a, "A/s", 0, &st, a)) && st.st_uid == 3 &&
			 st.st_gid == 4 && st.st_mtim.tv_sec == 3 && (st.st_mode & 07777) == 0640);
	CHECK(t, !ONE(viofs_path_access_async(a, "A/n", 0, R_OK, a)));
	CHECK(t, !ONE(viofs_path_statfs_async(a, "A", 0, &fs, a)) && fs.f_bsize);
	CHECK(t, !ONE(viofs_path_setxattr_async(a, "A/n", 0, "user.x", "yes", 3, 0, a)));
	CHECK(t, ONE(viofs_path_getxattr_async(a, "A/n", 0, "user.x", text, sizeof(text), a)) == 3);
	CHECK(t, ONE(viofs_path_listxattr_async(a, "A/n", 0, text, sizeof(text), a)) >= 7);
	CHECK(t, !ONE(viofs_path_removexattr_async(a, "A/n", 0, "user.x", a)));
	CHECK(t, !ONE(viofs_path_link_async(a, "A/n", "A/m", 0, a)));
	CHECK(t, !ONE(viofs_path_rename_async(a, "A/m", "A/k", 0, 0, a)));
	CHECK(t, ONE(viofs_path_stat_async(a, "A/m", 0, &st, a)) == -ENOENT);
	CHECK(t, !ONE(viofs_path_unlink_async(a, "A/k", 0, a)));
	CHECK(t, !ONE(viofs_path_unlink_async(a, "A/n", 0, a)));
	CHECK(t, !ONE(viofs_path_unlink_async(a, "A/s", 0, a)));
	CHECK(t, !ONE(viofs_path_rmdir_async(a, "A", 0, a)));
}

static bool can(int64_t rc)
{
	return rc != -ENOSYS && rc != -EOPNOTSUPP;
}

static void twins_of_files(struct calls *t, struct viofs_async *a)
{
	const struct timespec times[2] = { { 1, 2 }, { 3, 4 } };
	struct iovec iov[2] = { { (char[3]){ "abc" }, 3 }, { (char[2]){ "de" }, 2 } };
	struct flock lock = { .l_type = F_RDLCK };
	struct viofs_file *f = NULL;
	struct stat st;
	char text[16];
	int64_t rc;

	if (!CHECK(t, !ONE(viofs_file_open_async(a, "F", 0, O_CREAT | O_RDWR, 0600, &f, a))))
		return;
	CHECK(t, !ONE(viofs_file_setxattr_async(a, f, "user.f", "open", 4, 0, a)));
	CHECK(t, ONE(viofs_file_getxattr_async(a, f, "user.f", text, sizeof(text), a)) == 4 &&
			 !memcmp(text, "open", 4));
	CHECK(t, ONE(viofs_file_listxattr_async(a, f, text, sizeof(text), a)) >= 7);
	CHECK(t, !ONE(viofs_file_removexattr_async(a, f, "user.f", a)));
	CHECK(t, ONE(viofs_file_pwrite_async(a, f, "12345", 5, 0, a)) == 5);
	CHECK(t,
	      ONE(viofs_file_pread_async(a, f, text, 16, 1, a)) == 4 && !memcmp(text, "2345", 4));
	CHECK(t, ONE(viofs_file_pwritev_async(a, f, iov, 2, 5, a)) == 5);
	CHECK(t, ONE(viofs_file_preadv_async(a, f, iov, 2, 0, a)) == 5);
	CHECK(t, !memcmp(iov[0].iov_base, "123", 3) && !memcmp(iov[1].iov_base, "45", 2));
	CHECK(t, !ONE(viofs_file_truncate_async(a, f, 6, a)));
	CHECK(t, !ONE(viofs_file_chmod_async(a, f, 0604, a)));
	CHECK(t, !ONE(viofs_file_chown_async(a, f, 5, (gid_t)-1, a)));
	CHECK(t, !ONE(viofs_file_utimens_async(a, f, times, a)));
	CHECK(t, !ONE(viofs_file_stat_async(a, f, &st, a)) && st.st_size == 6 && st.st_uid == 5);
	CHECK(t, !ONE(viofs_file_sync_async(a, f, 1, a)));
	CHECK(t, ONE(viofs_file_lseek_async(a, f, 0, SEEK_HOLE, a)) == 6);
	CHECK(t, ONE(viofs_file_lseek_async(a, f, 2, SEEK_DATA, a)) == 2);
	rc = ONE(viofs_file_allocate_async(a, f, 0, 0, 4096, a));
	CHECK(t, !can(rc) || !rc);
	rc = ONE(viofs_file_copy_async(a, f, 0, f, 100, 4, a));
	CHECK(t, !can(rc) || rc == 4);
	rc = ONE(viofs_file_lock_async(a, f, F_OFD_SETLK, &lock, a));
	CHECK(t, !can(rc) || !rc);
	rc = ONE(viofs_file_flock_async(a, f, LOCK_SH | LOCK_NB, a));
	CHECK(t, !can(rc) || !rc);
	CHECK(t, !ONE(viofs_file_close_async(a, f, a)));
	CHECK(t, !ONE(viofs_path_unlink_async(a, "F", 0, a)));
}

static void twins_of_directories(struct calls *t, struct viofs_async *a)
{
	struct viofs_dir *d = NULL;
	struct viofs_dirent e;
	int64_t bytes;
	int n = 0;

	CHECK(t, !ONE(viofs_path_mkdir_async(a, "D", 0, 0700, a)));
	CHECK(t, !ONE(viofs_path_mkdir_async(a, "D/in", 0, 0700, a)));
	if (!CHECK(t, !ONE(viofs_dir_open_async(a, "D", 0, &d, a))))
		return;
	while ((bytes = ONE(viofs_dir_fill_async(a, d, a))) > 0)
		while (viofs_dir_next(d, &e) == 1)
			n += !strcmp(e.name, "in");
	CHECK(t, !bytes && n == 1);
	CHECK(t, !ONE(viofs_dir_sync_async(a, d, 0, a)));
	CHECK(t, !ONE(viofs_dir_close_async(a, d, a)));
	CHECK(t, !ONE(viofs_path_rmdir_async(a, "D/in", 0, a)));
	CHECK(t, !ONE(viofs_path_rmdir_async(a, "D", 0, a)));
}

static void twins(struct calls *t)
{
	struct viofs_async *a = NULL;

	if (!WORKS(t, viofs_async_open(t->s, 0, &a, &t->err)))
		return;
	twins_of_paths(t, a);
	twins_of_files(t, a);
	twins_of_directories(t, a);
	CHECK(t, !viofs_async_pending(a));
	viofs_async_close(a);
}

#define READS 1000
#define BLOCK ((size_t)16 << 10)

/* More calls than slots, each of more requests than one. */
static void more_than_there_is_room_for(struct calls *t)
{
	uint8_t *data = malloc(BLOCK * 64), *back = malloc(BLOCK * READS);
	struct viofs_file *f = NULL;
	struct viofs_async *a = NULL;
	struct viofs_event e[64];
	static bool seen[READS];
	int got = 0;

	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < BLOCK * 64; i++)
		data[i] = (uint8_t)(i * 131 + (i >> 8) * 7);
	WORKS(t, viofs_file_open(t->s, "many", 0, O_CREAT | O_RDWR, 0600, &f, &t->err));
	CHECK(t, viofs_file_pwrite(f, data, BLOCK * 64, 0, &t->err) == (ssize_t)BLOCK * 64);
	WORKS(t, viofs_async_open(t->s, 0, &a, &t->err));
	if (t->failed)
		return;
	for (uintptr_t i = 0; i < READS; i++)
		WORKS(t, viofs_file_pread_async(a, f, back + i * BLOCK, BLOCK, i % 64 * BLOCK,
						(void *)i));
	while (got < READS) {
		int n = viofs_async_wait(a, e, 1, 64, 20000000000LL);

		if (!CHECK(t, n > 0))
			return;
		for (int i = 0; i < n; i++) {
			uintptr_t at = (uintptr_t)e[i].user;

			CHECK(t, at < READS && !seen[at] && e[i].result == (int64_t)BLOCK);
			seen[at] = true;
		}
		got += n;
	}
	for (size_t i = 0; i < READS; i++)
		CHECK(t, !memcmp(back + i * BLOCK, data + i % 64 * BLOCK, BLOCK));
	CHECK(t, !viofs_async_wait(a, e, 1, 64, -1)); /* nothing is under way: no wait */
	viofs_async_close(a);
	WORKS(t, viofs_file_close(f, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "many", 0, &t->err));
	free(data);
	free(back);
}

static void an_event_loop(struct calls *t)
{
	struct viofs_async *a = NULL;
	struct viofs_event e;
	struct stat st;

	if (!WORKS(t, viofs_async_open(t->s, 0, &a, &t->err)))
		return;
	for (int i = 0; i < 50; i++) {
		int n;

		viofs_session_drop(t->s);
		WORKS(t, viofs_path_stat_async(a, "/", 0, &st, &st));
		for (int turn = 0; !(n = viofs_async_poll(a, &e, 1)) && turn < 1000; turn++) {
			struct pollfd p = { .fd = viofs_async_fd(a), .events = POLLIN };

			if (!viofs_async_arm(a) && !CHECK(t, poll(&p, 1, 5000) == 1))
				break;
		}
		CHECK(t, n == 1 && !e.result && e.user == &st);
	}
	viofs_async_close(a);
}

/* Results in the order of the calls, whose `user` is their place in @results. */
static void results_of(struct calls *t, struct viofs_async *a, int64_t *results, int count)
{
	struct viofs_event e;

	for (int i = 0; i < count; i++) {
		if (!CHECK(t, viofs_async_wait(a, &e, 1, 1, 10000000000LL) == 1))
			return;
		*(int64_t *)e.user = e.result;
		CHECK(t, e.user == &results[i]); /* none overtakes */
	}
}

/* write, sync, close, rename: the name changes hands only when all is there. */
static void replace(struct calls *t, struct viofs_async *a, struct viofs_file *f, size_t size,
		    int64_t *r)
{
	static const char data[300000] = "new";

	WORKS(t, viofs_file_pwrite_async(a, f, data, size, 0, &r[0]));
	viofs_async_link(a);
	WORKS(t, viofs_file_sync_async(a, f, 0, &r[1]));
	viofs_async_link(a);
	WORKS(t, viofs_file_close_async(a, f, &r[2]));
	viofs_async_link(a);
	WORKS(t, viofs_path_rename_async(a, "L/new", "L/file", 0, 0, &r[3]));
	results_of(t, a, r, 4);
}

static void linked_calls(struct calls *t)
{
	struct viofs_async *a = NULL;
	struct viofs_file *f = NULL;
	struct stat st;
	int64_t r[4];

	WORKS(t, viofs_async_open(t->s, 2, &a, &t->err));
	/* Each needs what the one before has made. */
	WORKS(t, viofs_path_mkdir_async(a, "L", 0, 0700, &r[0]));
	viofs_async_link(a);
	WORKS(t, viofs_path_mknod_async(a, "L/file", 0, S_IFREG | 0600, 0, &r[1]));
	viofs_async_link(a);
	WORKS(t, viofs_path_truncate_async(a, "L/file", 0, 9, &r[2]));
	viofs_async_link(a);
	WORKS(t, viofs_path_stat_async(a, "L/file", 0, &st, &r[3]));
	results_of(t, a, r, 4);
	CHECK(t, !r[0] && !r[1] && !r[2] && !r[3] && st.st_size == 9);
	WORKS(t, viofs_file_open(t->s, "L/new", 0, O_CREAT | O_WRONLY, 0600, &f, &t->err));
	replace(t, a, f, 300000, r);
	CHECK(t, r[0] == 300000 && !r[1] && !r[2] && !r[3]);
	WORKS(t, viofs_path_stat(t->s, "L/file", 0, &st, &t->err));
	CHECK(t, st.st_size == 300000);
	/* What can't be written is closed, and replaces nothing. */
	WORKS(t, viofs_file_open(t->s, "L/new", 0, O_CREAT | O_RDONLY, 0600, &f, &t->err));
	replace(t, a, f, 1, r);
	CHECK(t, r[0] == -EBADF && r[1] == -ECANCELED && !r[2] && r[3] == -ECANCELED);
	WORKS(t, viofs_path_stat(t->s, "L/new", 0, &st, &t->err));
	/* One that is given up takes along what is linked to it. There is room for all three:
	 * nothing is sent for want of it before the second is given up. */
	viofs_async_close(a);
	WORKS(t, viofs_async_open(t->s, 4, &a, &t->err));
	WORKS(t, viofs_path_unlink_async(a, "L/new", 0, &r[0]));
	viofs_async_link(a);
	WORKS(t, viofs_path_unlink_async(a, "L/file", 0, &r[1]));
	viofs_async_link(a);
	WORKS(t, viofs_path_stat_async(a, "L", 0, &st, &r[2]));
	CHECK(t, viofs_async_cancel(a, &r[1]) == 1);
	for (int i = 0; i < 3; i++) {
		struct viofs_event e = { 0 };

		CHECK(t, viofs_async_wait(a, &e, 1, 1, 10000000000LL) == 1);
		if (e.user)
			*(int64_t *)e.user = e.result;
	}
	CHECK(t, !r[0] && r[1] == -ECANCELED && r[2] == -ECANCELED);
	CHECK(t, !viofs_async_pending(a));
	viofs_async_close(a);
	WORKS(t, viofs_path_unlink(t->s, "L/file", 0, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "L", 0, &t->err));
}

const struct calls_case cases_async[] = {
	{ "every call has an asynchronous twin that does the same", twins },
	{ "more calls than there is room for", more_than_there_is_room_for },
	{ "calls that are linked begin when the one before has ended well", linked_calls },
	{ "an event loop that sleeps on a descriptor", an_event_loop },
	{ NULL, NULL },
};
