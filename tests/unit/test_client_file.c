/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libviofs' calls on an open file send, byte by byte, and what they make of the answers. */
#include "base/uapi.h"
#include "base/util.h"
#include "client_share.h"
#include "says.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void what_is_done_with_an_open_file(void **state)
{
	const struct fuse_getattr_in getattr = { .getattr_flags = FUSE_GETATTR_FH, .fh = FH };
	struct fuse_setattr_in set = { .valid = FATTR_SIZE | FATTR_FH, .fh = FH, .size = 5 };
	struct timespec times[2] = { { 11, 0 }, { 13, 14 } };
	struct fuse_fsync_in sync = { .fh = FH, .fsync_flags = FUSE_FSYNC_FDATASYNC };
	const struct fuse_fallocate_in allocate = {
		.fh = FH, .offset = 10, .length = 20, .mode = 1
	};
	struct viofs_file *f;
	struct stat st;

	share_start(38, 0);
	f = share_open(O_RDWR);
	assert_int_equal(viofs_file_stat(f, &st, &share.err), 0);
	SENT(FUSE_GETATTR, FILE_NODE, getattr);
	assert_int_equal(st.st_size, 1000);
	assert_int_equal(viofs_file_truncate(f, 5, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, set);
	set = (struct fuse_setattr_in){ .valid = FATTR_MODE | FATTR_FH, .fh = FH, .mode = 0600 };
	assert_int_equal(viofs_file_chmod(f, 0600, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, set);
	set = (struct fuse_setattr_in){
		.valid = FATTR_UID | FATTR_FH, .fh = FH, .uid = 9, .gid = (uint32_t)-1
	};
	assert_int_equal(viofs_file_chown(f, 9, (gid_t)-1, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, set);
	set = (struct fuse_setattr_in){ .valid = FATTR_ATIME | FATTR_MTIME | FATTR_FH,
					.fh = FH,
					.atime = 11,
					.mtime = 13,
					.mtimensec = 14 };
	assert_int_equal(viofs_file_utimens(f, times, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, set);
	times[1].tv_nsec = 1000000000;
	assert_int_equal(viofs_file_utimens(f, times, &share.err), -EINVAL);
	assert_int_equal(viofs_file_sync(f, 1, &share.err), 0);
	SENT(FUSE_FSYNC, FILE_NODE, sync);
	sync.fsync_flags = 0;
	assert_int_equal(viofs_file_sync(f, 0, &share.err), 0);
	SENT(FUSE_FSYNC, FILE_NODE, sync);
	assert_int_equal(viofs_file_allocate(f, 1, 10, 20, &share.err), 0);
	SENT(FUSE_FALLOCATE, FILE_NODE, allocate);
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	assert_int_equal(((const struct fuse_release_in *)share_sent(
				  FUSE_RELEASE, FILE_NODE, sizeof(struct fuse_release_in)))
				 ->fh,
			 FH);
	share_end();
}

/* A user's O_TRUNC takes the set-user-ID bits away, as it does on this machine; nothing else does.
 */
static void set_user_id_bits_go_with_a_users_o_trunc(void **state)
{
	static const struct {
		uint32_t uid;
		uint32_t agreed;
		int oflags;
		uint32_t sent;
	} each[] = {
		{ 1000, FUSE_HANDLE_KILLPRIV_V2, O_WRONLY | O_TRUNC, FUSE_OPEN_KILL_SUIDGID },
		{ 1000, FUSE_HANDLE_KILLPRIV_V2, O_WRONLY, 0 },
		{ 1000, 0, O_WRONLY | O_TRUNC, 0 },
		{ 0, FUSE_HANDLE_KILLPRIV_V2, O_WRONLY | O_TRUNC, 0 },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(each); i++) {
		const struct fuse_open_in *in;
		struct viofs_file *f;

		share_start_as(each[i].uid, 38, each[i].agreed | FUSE_ATOMIC_O_TRUNC);
		f = share_open(each[i].oflags);
		in = share_sent(FUSE_OPEN, FILE_NODE, sizeof(*in));
		assert_int_equal(in->open_flags, each[i].sent);
		assert_int_equal(viofs_file_close(f, &share.err), 0);
		share_end();
		bench_tear_down(state);
		bench_set_up_split(state);
	}
}

/* There no offset is beyond. */
static void up_to_the_largest_offset_of_a_descriptor(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct viofs_file *f;

	assert_true(fd >= 0);
	share_start(38, 0);
	f = share_open(O_RDWR);
	assert_int_equal(viofs_file_from_fd(f, 0, fd, INT64_MAX - 5, 100, &share.err), 0);
	assert_int_equal(viofs_file_from_fd(f, INT64_MAX - 5, fd, 0, 100, &share.err), 0);
	assert_int_equal(viofs_file_from_fd(f, 1ULL << 63, fd, 0, 100, &share.err), -EINVAL);
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	share_end();
	close(fd);
}

static void what_init_offers_is_told(void **state)
{
	struct viofs_session_info info = { .size = sizeof(info) };
	const struct fuse_init_in *in;

	share_start(38, 0);
	in = share_sent(FUSE_INIT, 0, sizeof(*in));
	assert_int_equal(viofs_session_info_get(share.session, &info), 0);
	assert_int_equal(info.offered, in->flags | (uint64_t)in->flags2 << 32);
	share_end();
}

static void seeking(void **state)
{
	const struct fuse_lseek_in in = { .fh = FH, .offset = 7, .whence = SEEK_DATA };
	struct viofs_file *f;

	share_start(38, 0);
	f = share_open(O_RDWR);
	assert_int_equal(viofs_file_lseek(f, 10, SEEK_SET, &share.err), 10);
	assert_int_equal(viofs_file_lseek(f, 5, SEEK_CUR, &share.err), 15);
	assert_int_equal(viofs_file_lseek(f, -15, SEEK_CUR, &share.err), 0);
	assert_int_equal(viofs_file_lseek(f, -1, SEEK_CUR, &share.err), -EINVAL);
	assert_int_equal(viofs_file_lseek(f, -1, SEEK_SET, &share.err), -EINVAL);
	assert_int_equal(viofs_file_lseek(f, -1, SEEK_END, &share.err), 999);
	assert_int_equal(viofs_file_lseek(f, 0, SEEK_CUR, &share.err), 999);
	assert_int_equal(viofs_file_lseek(f, INT64_MAX, SEEK_CUR, &share.err), -EINVAL);
	assert_int_equal(viofs_file_lseek(f, 7, SEEK_DATA, &share.err), 4096);
	SENT(FUSE_LSEEK, FILE_NODE, in);
	assert_int_equal(viofs_file_lseek(f, 0, SEEK_DATA, &share.err), 4096);
	assert_int_equal(viofs_file_lseek(f, -1, SEEK_DATA, &share.err), -ENXIO);
	assert_int_equal(viofs_file_lseek(f, 0, SEEK_CUR, &share.err), 4096);
	assert_int_equal(viofs_file_lseek(f, 0, 99, &share.err), -EINVAL);
	share.sought_offset = INT64_MAX;
	assert_int_equal(viofs_file_lseek(f, 7, SEEK_HOLE, &share.err), INT64_MAX);
	share.sought_offset++;
	assert_int_equal(viofs_file_lseek(f, 7, SEEK_HOLE, &share.err), -EIO);
	says(&share.err, "an offset that can't be");
	share_fails(FUSE_GETATTR, -EACCES);
	assert_int_equal(viofs_file_lseek(f, 0, SEEK_END, &share.err), -EACCES);
	/* Of a device that knows no holes a file is data up to its end. */
	share_fails(FUSE_LSEEK, -ENOSYS);
	assert_int_equal(viofs_file_lseek(f, 999, SEEK_DATA, &share.err), 999);
	assert_int_equal(viofs_file_lseek(f, 999, SEEK_HOLE, &share.err), 1000);
	assert_int_equal(viofs_file_lseek(f, 1000, SEEK_HOLE, &share.err), -ENXIO);
	share.file_size = 1ULL << 63;
	assert_int_equal(viofs_file_lseek(f, 7, SEEK_DATA, &share.err), -EIO);
	says(&share.err, "attributes that can't be");
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	share_end();
}

static void copies_and_locks(void **state)
{
	struct fuse_copy_file_range_in copy = {
		.fh_in = FH,
		.off_in = 1,
		.nodeid_out = FILE_NODE,
		.fh_out = FH,
		.off_out = 2,
		.len = 100,
	};
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20 };
	const struct fuse_lk_in *in;
	struct viofs_file *f, *g;

	share_start(38, FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS);
	f = share_open(O_RDWR);
	g = share_open(O_RDWR);
	assert_int_equal(viofs_file_copy(f, 1, g, 2, 100, &share.err), 50);
	SENT(FUSE_COPY_FILE_RANGE, FILE_NODE, copy);
	assert_int_equal(viofs_file_copy(f, 1, g, 2, 50, &share.err), 50);
	assert_int_equal(viofs_file_copy(f, 1, g, 2, 49, &share.err), -EIO);
	says(&share.err, "copied more than it was asked to");
	assert_int_equal(viofs_file_lock(f, F_SETLK, &lock, &share.err), 0);
	in = share_sent(FUSE_SETLK, FILE_NODE, sizeof(*in));
	assert_int_equal(in->fh, FH);
	assert_int_equal(in->lk.start, 10);
	assert_int_equal(in->lk.end, 29);
	assert_int_equal(in->lk.type, F_WRLCK);
	assert_int_equal(in->lk_flags, 0);
	lock.l_len = 0;
	assert_int_equal(viofs_file_lock(f, F_SETLKW, &lock, &share.err), 0);
	in = share_sent(FUSE_SETLKW, FILE_NODE, sizeof(*in));
	assert_int_equal(in->lk.end, INT64_MAX);
	assert_int_equal(viofs_file_lock(f, F_GETLK, &lock, &share.err), 0);
	assert_int_equal(lock.l_type, F_WRLCK);
	assert_int_equal(lock.l_start, 100);
	assert_int_equal(lock.l_len, 100);
	assert_int_equal(lock.l_pid, 4321);
	assert_int_equal(viofs_file_lock(f, 12345, &lock, &share.err), -EINVAL);
	assert_int_equal(viofs_file_flock(f, LOCK_SH | LOCK_NB, &share.err), 0);
	in = share_sent(FUSE_SETLK, FILE_NODE, sizeof(*in));
	assert_int_equal(in->lk.type, F_RDLCK);
	assert_int_equal(in->lk_flags, FUSE_LK_FLOCK);
	assert_int_equal(viofs_file_flock(f, LOCK_EX, &share.err), 0);
	in = share_sent(FUSE_SETLKW, FILE_NODE, sizeof(*in));
	assert_int_equal(in->lk.type, F_WRLCK);
	assert_int_equal(viofs_file_flock(f, LOCK_UN, &share.err), 0);
	assert_int_equal(viofs_file_flock(f, LOCK_NB, &share.err), -EINVAL);
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	assert_int_equal(viofs_file_close(g, &share.err), 0);
	share_end();
}

static void a_lock_that_cannot_be_is_refused(void **state)
{
	static const struct fuse_file_lock wrong[] = {
		{ 200, 199, F_WRLCK, 1 },
		{ 0, 1ULL << 63, F_RDLCK, 1 },
		{ 1ULL << 63, UINT64_MAX, F_WRLCK, 1 },
		{ 0, 199, 77, 1 },
		{ 0, 199, (uint32_t)-1, 1 },
	};
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10 };
	struct viofs_file *f;

	share_start(38, FUSE_POSIX_LOCKS);
	f = share_open(O_RDWR);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(wrong); i++) {
		share.lock_found = wrong[i];
		assert_int_equal(viofs_file_lock(f, F_GETLK, &lock, &share.err), -EIO);
		assert_non_null(strstr(share.err.text, "a lock that can't be"));
		assert_int_equal(lock.l_type, F_WRLCK);
		assert_int_equal(lock.l_start, 10);
	}
	share.lock_found = (struct fuse_file_lock){ 5, INT64_MAX, F_RDLCK, 1 };
	assert_int_equal(viofs_file_lock(f, F_GETLK, &lock, &share.err), 0);
	assert_int_equal(lock.l_start, 5);
	assert_int_equal(lock.l_len, 0);
	share.lock_found = (struct fuse_file_lock){ 9, 0, F_UNLCK, 0 };
	assert_int_equal(viofs_file_lock(f, F_GETLK, &lock, &share.err), 0);
	assert_int_equal(lock.l_type, F_UNLCK);
	assert_int_equal(lock.l_start, 5);
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	share_end();
}

/* A file that is open on the device, but isn't cut as it was asked for. */
static void an_open_that_cannot_truncate_is_taken_back(void **state)
{
	struct viofs_file *f = NULL;

	share_start(38, 0);
	share_fails(FUSE_SETATTR, -ENOSPC);
	assert_int_equal(
		viofs_file_open(share.session, "file", 0, O_WRONLY | O_TRUNC, 0, &f, &share.err),
		-ENOSPC);
	assert_null(f);
	assert_int_equal(((const struct fuse_release_in *)share_sent(
				  FUSE_RELEASE, FILE_NODE, sizeof(struct fuse_release_in)))
				 ->fh,
			 FH);
	share_end();
}

/* More than a chain of the queue has descriptors for: in memory that the device reaches, and that
 * needn't be copied otherwise. */
static void dma_memory_may_be_in_any_number_of_pieces(void **state)
{
	struct iovec in[100], out[100];
	struct viofs_file *f;
	uint8_t *memory;

	bench.queue_size = 16;
	share_start(38, 0);
	share.file_size = 100000;
	memory = viofs_dma_alloc(bench.dev, 100 * 64);
	assert_non_null(memory);
	/* With a gap between any two. */
	for (unsigned int i = 0; i < 100; i++) {
		in[i] = (struct iovec){ memory + 64 * (size_t)i, 10 };
		out[i] = (struct iovec){ memory + 64 * (size_t)i + 32, 10 };
		for (unsigned int k = 0; k < 10; k++)
			memory[64 * i + 32 + k] = model_device_byte(FILE_NODE, 10 * i + k);
	}
	f = share_open(O_RDWR);
	for (unsigned int count = 1; count <= 100; count++) {
		memset(memory, 0, 32);
		assert_int_equal(viofs_file_preadv(f, in, (int)count, 0, &share.err), 10 * count);
		for (unsigned int i = 0; i < 10 * count; i++)
			assert_int_equal(memory[64 * (i / 10) + i % 10],
					 model_device_byte(FILE_NODE, i));
		assert_int_equal(viofs_file_pwritev(f, out, (int)count, 0, &share.err), 10 * count);
	}
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	viofs_dma_free(bench.dev, memory);
	share_end();
}

/* As Linux's own servers without state: files have no handles then, and nobody gives one back. */
static void a_device_that_has_no_open_is_asked_for_it_once(void **state)
{
	struct viofs_file *f, *g;
	char data[4];

	share_start(38, FUSE_NO_OPEN_SUPPORT);
	share_fails(FUSE_OPEN, -ENOSYS);
	assert_int_equal(viofs_file_open(share.session, "file", 0, O_RDWR, 0, &f, &share.err), 0);
	assert_int_equal(viofs_file_open(share.session, "file", 0, O_RDONLY, 0, &g, &share.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_OPEN), 1);
	assert_int_equal(viofs_file_pread(f, data, sizeof(data), 0, &share.err), sizeof(data));
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	assert_int_equal(viofs_file_close(g, &share.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_RELEASE), 0);
	/* Its own truncation is all that is left of O_TRUNC. */
	assert_int_equal(
		viofs_file_open(share.session, "file", 0, O_WRONLY | O_TRUNC, 0, &f, &share.err),
		0);
	assert_int_equal(model_device_count(&bench.device, FUSE_SETATTR), 1);
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	share_end();
}

/* That it has none was not agreed on. */
static void an_open_that_is_refused_is_an_error(void **state)
{
	struct viofs_file *f = NULL;

	share_start(38, 0);
	share_fails(FUSE_OPEN, -ENOSYS);
	assert_int_equal(viofs_file_open(share.session, "file", 0, O_RDWR, 0, &f, &share.err),
			 -ENOSYS);
	assert_null(f);
	share_end();
}

static void data_in_several_pieces_is_in_order(void **state)
{
	static char from[3][5000], to[3][5000];
	struct iovec out[4] = { { from[0], 3 }, { NULL, 0 }, { from[1], 5000 }, { from[2], 7 } };
	struct iovec in[3] = { { to[0], 5 }, { to[1], 1 }, { to[2], 4000 } };
	const struct fuse_write_in *w;
	struct viofs_file *f;
	const char *sent_data;

	share_start(38, 0);
	share.file_size = 100000;
	/* What the model's file has there, or it refuses. */
	for (unsigned int i = 0, at = 11; i < 4; i++)
		for (size_t k = 0; k < out[i].iov_len; k++)
			((char *)out[i].iov_base)[k] = (char)model_device_byte(FILE_NODE, at++);
	f = share_open(O_RDWR);
	assert_int_equal(viofs_file_pwritev(f, out, 4, 11, &share.err), 5010);
	w = share_sent(FUSE_WRITE, FILE_NODE, sizeof(*w) + 5010);
	assert_int_equal(w->offset, 11);
	assert_int_equal(w->size, 5010);
	assert_int_equal(w->fh, FH);
	sent_data = (const char *)(w + 1);
	assert_memory_equal(sent_data, from[0], 3);
	assert_memory_equal(sent_data + 3, from[1], 5000);
	assert_memory_equal(sent_data + 5003, from[2], 7);
	assert_int_equal(viofs_file_preadv(f, in, 3, 9, &share.err), 4006);
	for (unsigned int i = 0, at = 9; i < 3; i++)
		for (size_t k = 0; k < in[i].iov_len; k++, at++)
			assert_int_equal((uint8_t)to[i][k], model_device_byte(FILE_NODE, at));
	assert_int_equal(viofs_file_preadv(f, in, 0, 9, &share.err), 0);
	/* From the file's own position on, which moves. */
	assert_int_equal(viofs_file_lseek(f, 9, SEEK_SET, &share.err), 9);
	for (unsigned int at = 9; at < 29; at += 10) {
		assert_int_equal(viofs_file_read(f, to[0], 10, &share.err), 10);
		for (unsigned int k = 0; k < 10; k++)
			assert_int_equal((uint8_t)to[0][k], model_device_byte(FILE_NODE, at + k));
	}
	for (unsigned int k = 0; k < 4; k++)
		from[0][k] = (char)model_device_byte(FILE_NODE, 29 + k);
	assert_int_equal(viofs_file_write(f, from[0], 4, &share.err), 4);
	w = share_sent(FUSE_WRITE, FILE_NODE, sizeof(*w) + 4);
	assert_int_equal(w->offset, 29);
	assert_int_equal(viofs_file_lseek(f, 0, SEEK_CUR, &share.err), 33);
	assert_int_equal(viofs_file_close(f, &share.err), 0);
	share_end();
}

static void more_data_than_a_request_carries_is_refused(void **state)
{
	struct viofs_dev_info info = { .size = sizeof(info) };
	struct viofs_request r = { .opcode = FUSE_WRITE, .data_count = 2 };
	struct viofs_queue *q;
	struct iovec iov[2];
	char *data;

	share_start(38, 0);
	q = bench_queue();
	assert_int_equal(viofs_dev_info_get(bench.dev, &info), 0);
	assert_true(info.max_data > 4096);
	data = viofs_dma_alloc(bench.dev, 4096);
	assert_non_null(data);
	r.data = iov;
	iov[0] = (struct iovec){ data, 4096 };
	/* One that is too long by itself, and a sum that is. */
	iov[1] = (struct iovec){ data, (size_t)info.max_data + 1 };
	assert_int_equal(viofs_queue_submit(q, &r, 1), -EINVAL);
	iov[1] = (struct iovec){ data, info.max_data };
	assert_int_equal(viofs_queue_submit(q, &r, 1), -EINVAL);
	assert_int_equal(model_device_count(&bench.device, FUSE_WRITE), 0);
	viofs_dma_free(bench.dev, data);
	share_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_is_done_with_an_open_file),
		BOTH(set_user_id_bits_go_with_a_users_o_trunc),
		BOTH(up_to_the_largest_offset_of_a_descriptor),
		BOTH(what_init_offers_is_told),
		BOTH(seeking),
		BOTH(copies_and_locks),
		BOTH(a_lock_that_cannot_be_is_refused),
		BOTH(an_open_that_cannot_truncate_is_taken_back),
		BOTH(a_device_that_has_no_open_is_asked_for_it_once),
		BOTH(an_open_that_is_refused_is_an_error),
		BOTH(data_in_several_pieces_is_in_order),
		BOTH(dma_memory_may_be_in_any_number_of_pieces),
		BOTH(more_data_than_a_request_carries_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
