/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a child of fork(2) can do with a device of its parent's: nothing. */
#include "base/page.h"
#include "base/util.h"
#include "client_share.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int count_others(const int64_t *results, size_t count)
{
	int others = 0;

	for (size_t i = 0; i < count; i++) {
		if (results[i] == -ENODEV)
			continue;
		others++;
		print_error("call %zu: %lld\n", i, (long long)results[i]);
	}
	return others;
}

/* Each call, once. Return: how many don't say that the device is another process'. */
static int calls_elsewhere(struct viofs_file *f)
{
	const struct timespec times[2] = { { 0, 0 }, { 0, 0 } };
	struct flock lock = { .l_type = F_WRLCK };
	struct iovec iov = { NULL, 0 };
	struct viofs_session *session;
	struct viofs_queue *queue;
	struct viofs_file *file;
	struct viofs_dir *dir;
	struct statvfs fs;
	struct statx stx;
	struct stat st;
	char b[8] = "";
	const int64_t results[] = {
		viofs_session_open(bench.dev, NULL, &session, &share.err),
		viofs_session_view(share.session, NULL, &session, &share.err),
		viofs_queue_open(bench.dev, &queue, &share.err),
		viofs_file_open(share.session, "file", 0, O_RDONLY, 0, &file, &share.err),
		viofs_file_pread(f, b, 8, 0, &share.err),
		viofs_file_pwrite(f, b, 8, 0, &share.err),
		viofs_file_preadv(f, &iov, 1, 0, &share.err),
		viofs_file_pwritev(f, &iov, 1, 0, &share.err),
		viofs_file_read(f, b, 8, &share.err),
		viofs_file_write(f, b, 8, &share.err),
		viofs_file_lseek(f, 0, SEEK_DATA, &share.err),
		viofs_file_stat(f, &st, &share.err),
		viofs_file_truncate(f, 0, &share.err),
		viofs_file_chmod(f, 0600, &share.err),
		viofs_file_chown(f, 0, 0, &share.err),
		viofs_file_utimens(f, times, &share.err),
		viofs_file_sync(f, 0, &share.err),
		viofs_file_allocate(f, 0, 0, 1, &share.err),
		viofs_file_copy(f, 0, f, 0, 1, &share.err),
		viofs_file_lock(f, F_SETLK, &lock, &share.err),
		viofs_file_flock(f, LOCK_EX, &share.err),
		viofs_file_getxattr(f, "user.a", b, 8, &share.err),
		viofs_file_listxattr(f, b, 8, &share.err),
		viofs_file_setxattr(f, "user.a", b, 8, 0, &share.err),
		viofs_file_removexattr(f, "user.a", &share.err),
		viofs_path_stat(share.session, "file", 0, &st, &share.err),
		viofs_path_statx(share.session, "file", 0, STATX_ALL, &stx, &share.err),
		viofs_path_statfs(share.session, "file", 0, &fs, &share.err),
		viofs_path_access(share.session, "file", 0, R_OK, &share.err),
		viofs_path_mkdir(share.session, "new", 0, 0755, &share.err),
		viofs_path_mknod(share.session, "new", 0, 0644, 0, &share.err),
		viofs_path_unlink(share.session, "file", 0, &share.err),
		viofs_path_rmdir(share.session, "folder", 0, &share.err),
		viofs_path_rename(share.session, "file", "new", 0, 0, &share.err),
		viofs_path_link(share.session, "file", "new", 0, &share.err),
		viofs_path_symlink(share.session, "file", "new", 0, &share.err),
		viofs_path_readlink(share.session, "link", 0, b, 8, &share.err),
		viofs_path_chmod(share.session, "file", 0, 0600, &share.err),
		viofs_path_chown(share.session, "file", 0, 0, 0, &share.err),
		viofs_path_utimens(share.session, "file", 0, times, &share.err),
		viofs_path_truncate(share.session, "file", 0, 0, &share.err),
		viofs_path_getxattr(share.session, "file", 0, "user.a", b, 8, &share.err),
		viofs_path_listxattr(share.session, "file", 0, b, 8, &share.err),
		viofs_path_setxattr(share.session, "file", 0, "user.a", b, 8, 0, &share.err),
		viofs_path_removexattr(share.session, "file", 0, "user.a", &share.err),
		viofs_dir_open(share.session, "folder", 0, &dir, &share.err),
	};

	return count_others(results, VIOFS_ARRAY_SIZE(results));
}

/* The same of those that return at once. */
static int async_calls_elsewhere(struct viofs_async *a, struct viofs_file *f)
{
	const struct timespec times[2] = { { 0, 0 }, { 0, 0 } };
	struct flock lock = { .l_type = F_WRLCK };
	struct iovec iov = { NULL, 0 };
	struct viofs_file *file;
	struct viofs_dir *dir;
	struct statvfs fs;
	struct statx stx;
	struct stat st;
	char b[8] = "";
	const int64_t results[] = {
		viofs_file_open_async(a, "file", 0, O_RDONLY, 0, &file, NULL),
		viofs_file_pread_async(a, f, b, 8, 0, NULL),
		viofs_file_pwrite_async(a, f, b, 8, 0, NULL),
		viofs_file_preadv_async(a, f, &iov, 1, 0, NULL),
		viofs_file_pwritev_async(a, f, &iov, 1, 0, NULL),
		viofs_file_lseek_async(a, f, 0, SEEK_DATA, NULL),
		viofs_file_stat_async(a, f, &st, NULL),
		viofs_file_truncate_async(a, f, 0, NULL),
		viofs_file_chmod_async(a, f, 0600, NULL),
		viofs_file_chown_async(a, f, 0, 0, NULL),
		viofs_file_utimens_async(a, f, times, NULL),
		viofs_file_sync_async(a, f, 0, NULL),
		viofs_file_allocate_async(a, f, 0, 0, 1, NULL),
		viofs_file_copy_async(a, f, 0, f, 0, 1, NULL),
		viofs_file_lock_async(a, f, F_SETLK, &lock, NULL),
		viofs_file_flock_async(a, f, LOCK_EX, NULL),
		viofs_file_getxattr_async(a, f, "user.a", b, 8, NULL),
		viofs_file_listxattr_async(a, f, b, 8, NULL),
		viofs_file_setxattr_async(a, f, "user.a", b, 8, 0, NULL),
		viofs_file_removexattr_async(a, f, "user.a", NULL),
		viofs_path_stat_async(a, "file", 0, &st, NULL),
		viofs_path_statx_async(a, "file", 0, STATX_ALL, &stx, NULL),
		viofs_path_statfs_async(a, "file", 0, &fs, NULL),
		viofs_path_access_async(a, "file", 0, R_OK, NULL),
		viofs_path_mkdir_async(a, "new", 0, 0755, NULL),
		viofs_path_mknod_async(a, "new", 0, 0644, 0, NULL),
		viofs_path_unlink_async(a, "file", 0, NULL),
		viofs_path_rmdir_async(a, "folder", 0, NULL),
		viofs_path_rename_async(a, "file", "new", 0, 0, NULL),
		viofs_path_link_async(a, "file", "new", 0, NULL),
		viofs_path_symlink_async(a, "file", "new", 0, NULL),
		viofs_path_readlink_async(a, "link", 0, b, 8, NULL),
		viofs_path_chmod_async(a, "file", 0, 0600, NULL),
		viofs_path_chown_async(a, "file", 0, 0, 0, NULL),
		viofs_path_utimens_async(a, "file", 0, times, NULL),
		viofs_path_truncate_async(a, "file", 0, 0, NULL),
		viofs_path_getxattr_async(a, "file", 0, "user.a", b, 8, NULL),
		viofs_path_listxattr_async(a, "file", 0, b, 8, NULL),
		viofs_path_setxattr_async(a, "file", 0, "user.a", b, 8, 0, NULL),
		viofs_path_removexattr_async(a, "file", 0, "user.a", NULL),
		viofs_dir_open_async(a, "folder", 0, &dir, NULL),
	};

	return count_others(results, VIOFS_ARRAY_SIZE(results));
}

/* Emulators of a user's process take the advice and don't follow it. */
static bool memory_is_wiped_at_fork(void)
{
	int *here = mmap(NULL, viofs_page_size(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	assert_ptr_not_equal(here, MAP_FAILED);
	*here = 1;
	if (madvise(here, viofs_page_size(), MADV_WIPEONFORK))
		return false;
	pid = fork();
	if (!pid)
		_exit(*here);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	munmap(here, viofs_page_size());
	return !status;
}

static void a_child_can_do_nothing_with_its_parents_device(void **state)
{
	struct viofs_async *a;
	struct viofs_file *f;
	int status;
	pid_t pid;

	if (!memory_is_wiped_at_fork())
		skip();
	share_start(38, 0);
	f = share_open(O_RDWR);
	assert_int_equal(viofs_async_open(share.session, 0, &a, &share.err), 0);
	pid = fork();
	if (!pid)
		_exit(calls_elsewhere(f) + async_calls_elsewhere(a, f));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	viofs_async_close(a);
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	share_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_child_can_do_nothing_with_its_parents_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
