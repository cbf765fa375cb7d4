/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files. */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE ((size_t)9 << 20)

static struct viofs_file *make(struct calls *t, const char *path, int oflags)
{
	struct viofs_file *f = NULL;

	WORKS(t, viofs_file_open(t->s, path, 0, oflags, 0644, &f, &t->err));
	return f;
}

static void fill(uint8_t *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)((i * 2654435761U >> 13) + seed + i);
}

static void host_has(struct calls *t, const char *path, const uint8_t *data, size_t size)
{
	uint8_t *back = malloc(size + 1);
	int fd;

	if (!t->host) {
		free(back);
		return;
	}
	fd = open(on_host(t, path), O_RDONLY);
	CHECK(t, fd >= 0 && read(fd, back, size + 1) == (ssize_t)size && !memcmp(back, data, size));
	close(fd);
	free(back);
}

/* Larger than what is in flight at once, from plain memory and from DMA memory. */
static void large_transfers(struct calls *t)
{
	uint8_t *plain = malloc(LARGE), *dma = viofs_dma_alloc(t->dev, LARGE);
	struct viofs_file *f = make(t, "large", O_CREAT | O_RDWR);
	struct viofs_dev_info info = { .size = sizeof(info) };
	size_t free_before;

	viofs_dev_info_get(t->dev, &info);
	free_before = info.dma_free;
	if (!CHECK(t, plain && dma && f))
		return;
	fill(plain, LARGE, 1);
	CHECK(t, viofs_file_pwrite(f, plain, LARGE, 0, &t->err) == (ssize_t)LARGE);
	host_has(t, "large", plain, LARGE);
	CHECK(t, viofs_file_pread(f, dma, LARGE, 0, &t->err) == (ssize_t)LARGE &&
			 !memcmp(plain, dma, LARGE));
	fill(dma, LARGE, 2);
	CHECK(t, viofs_file_pwrite(f, dma, LARGE - 1, 1, &t->err) == (ssize_t)LARGE - 1);
	CHECK(t, viofs_file_pread(f, plain, LARGE, 1, &t->err) == (ssize_t)LARGE - 1 &&
			 !memcmp(plain, dma, LARGE - 1));
	CHECK(t, viofs_file_pread(f, plain, LARGE, LARGE - 10, &t->err) == 10);
	CHECK(t, viofs_file_pread(f, plain, LARGE, LARGE, &t->err) == 0);
	CHECK(t, viofs_file_pread(f, plain, 10, 1ULL << 40, &t->err) == 0);
	CHECK(t, viofs_file_pread(f, plain, 0, 0, &t->err) == 0);
	FAILS(t, viofs_file_pread(f, plain, 10, UINT64_MAX - 5, &t->err), EINVAL);
	WORKS(t, viofs_file_close(f, &t->err));
	viofs_dev_info_get(t->dev, &info);
	CHECK(t, info.dma_free == free_before);
	viofs_dma_free(t->dev, dma);
	free(plain);
	WORKS(t, viofs_path_unlink(t->s, "large", 0, &t->err));
}

static void vectors(struct calls *t)
{
	struct viofs_file *f = make(t, "v", O_CREAT | O_RDWR);
	uint8_t out[3000], in[3000];
	struct iovec iov[300];

	fill(out, sizeof(out), 3);
	for (int i = 0; i < 300; i++)
		iov[i] = (struct iovec){ out + (size_t)i * 10, 10 };
	CHECK(t, viofs_file_writev(f, iov, 300, &t->err) == 3000);
	CHECK(t, viofs_file_pwritev(f, iov + 1, 2, 3000, &t->err) == 20);
	memset(in, 0, sizeof(in));
	for (int i = 0; i < 300; i++)
		iov[i] = (struct iovec){ in + (size_t)i * 10, 10 };
	CHECK(t, viofs_file_lseek(f, 0, SEEK_SET, &t->err) == 0);
	CHECK(t, viofs_file_readv(f, iov, 300, &t->err) == 3000 && !memcmp(in, out, sizeof(in)));
	iov[0] = (struct iovec){ in, 0 };
	iov[1] = (struct iovec){ in, 15 };
	CHECK(t, viofs_file_preadv(f, iov, 2, 3000, &t->err) == 15 && !memcmp(in, out + 10, 15));
	FAILS(t, viofs_file_preadv(f, iov, -1, 0, &t->err), EINVAL);
	WORKS(t, viofs_file_close(f, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "v", 0, &t->err));
}

static void positions(struct calls *t)
{
	struct viofs_file *f = make(t, "p", O_CREAT | O_RDWR), *g;
	char text[16];

	CHECK(t, viofs_file_write(f, "hello ", 6, &t->err) == 6);
	CHECK(t, viofs_file_write(f, "world", 5, &t->err) == 5);
	CHECK(t, viofs_file_lseek(f, -5, SEEK_END, &t->err) == 6);
	CHECK(t, viofs_file_read(f, text, sizeof(text), &t->err) == 5 && !memcmp(text, "world", 5));
	CHECK(t, viofs_file_lseek(f, -1, SEEK_CUR, &t->err) == 10);
	FAILS(t, viofs_file_lseek(f, -11, SEEK_CUR, &t->err), EINVAL);
	g = make(t, "p", O_WRONLY | O_APPEND);
	CHECK(t, viofs_file_write(g, "!", 1, &t->err) == 1);
	CHECK(t, viofs_file_pread(f, text, sizeof(text), 0, &t->err) == 12 &&
			 !memcmp(text, "hello world!", 12));
	FAILS(t, viofs_file_read(g, text, 1, &t->err), EBADF);
	WORKS(t, viofs_file_close(g, &t->err));
	g = make(t, "p", O_RDONLY);
	FAILS(t, viofs_file_write(g, "x", 1, &t->err), EBADF);
	WORKS(t, viofs_file_close(g, &t->err));
	g = make(t, "p", O_WRONLY | O_TRUNC);
	CHECK(t, viofs_file_pread(f, text, sizeof(text), 0, &t->err) == 0);
	WORKS(t, viofs_file_close(g, &t->err));
	WORKS(t, viofs_file_close(f, &t->err));
	FAILS(t, viofs_file_open(t->s, "p", 0, O_CREAT | O_EXCL | O_RDWR, 0600, &g, &t->err),
	      EEXIST);
	FAILS(t, viofs_file_open(t->s, "/", 0, O_RDONLY, 0, &g, &t->err), EISDIR);
	FAILS(t, viofs_file_open(t->s, "nothing", 0, O_RDONLY, 0, &g, &t->err), ENOENT);
	FAILS(t, viofs_file_open(t->s, "p", 0, O_PATH, 0, &g, &t->err), EINVAL);
	WORKS(t, viofs_path_unlink(t->s, "p", 0, &t->err));
}

static void of_an_open_file(struct calls *t)
{
	const struct timespec times[2] = { { 5, 6 }, { 7, 8 } };
	struct viofs_file *f = make(t, "o", O_CREAT | O_RDWR);
	struct stat st;

	WORKS(t, viofs_file_truncate(f, 100, &t->err));
	WORKS(t, viofs_file_chmod(f, 0600, &t->err));
	WORKS(t, viofs_file_chown(f, 1, 2, &t->err));
	WORKS(t, viofs_file_utimens(f, times, &t->err));
	WORKS(t, viofs_file_stat(f, &st, &t->err));
	CHECK(t, st.st_size == 100 && (st.st_mode & 07777) == 0600 && st.st_uid == 1 &&
			 st.st_gid == 2 && st.st_mtim.tv_sec == 7 && st.st_mtim.tv_nsec == 8);
	WORKS(t, viofs_file_sync(f, 0, &t->err));
	WORKS(t, viofs_file_sync(f, 1, &t->err));
	/* It lives on without a name. */
	WORKS(t, viofs_path_unlink(t->s, "o", 0, &t->err));
	CHECK(t, viofs_file_pwrite(f, "x", 1, 200, &t->err) == 1);
	WORKS(t, viofs_file_stat(f, &st, &t->err));
	CHECK(t, st.st_size == 201 && st.st_nlink == 0);
	WORKS(t, viofs_file_close(f, &t->err));
}

/* Not every device can: then it says so. */
static bool can(long long rc)
{
	return rc != -ENOSYS && rc != -EOPNOTSUPP;
}

static void holes_and_copies(struct calls *t)
{
	struct viofs_file *f = make(t, "h", O_CREAT | O_RDWR), *g = make(t, "g", O_CREAT | O_RDWR);
	struct stat st;
	char text[8];
	int64_t at;
	ssize_t n;
	int rc;

	CHECK(t, viofs_file_pwrite(f, "data", 4, 1 << 20, &t->err) == 4);
	at = viofs_file_lseek(f, 0, SEEK_DATA, &t->err);
	CHECK(t, at >= 0 && at <= 1 << 20);
	FAILS(t, viofs_file_lseek(f, 2 << 20, SEEK_DATA, &t->err), ENXIO);
	FAILS(t, viofs_file_lseek(f, (1 << 20) + 4, SEEK_HOLE, &t->err), ENXIO);
	CHECK(t, viofs_file_lseek(f, 1 << 20, SEEK_HOLE, &t->err) == (1 << 20) + 4);
	n = viofs_file_copy(f, 1 << 20, g, 2, 4, &t->err);
	CHECK(t, !can(n) || n == 4);
	if (n == 4)
		CHECK(t, viofs_file_pread(g, text, 8, 0, &t->err) == 6 &&
				 !memcmp(text, "\0\0data", 6));
	rc = viofs_file_allocate(f, 0, 3 << 20, 4096, &t->err);
	CHECK(t, !can(rc) || !rc);
	if (!rc) {
		WORKS(t, viofs_file_stat(f, &st, &t->err));
		CHECK(t, st.st_size == (3 << 20) + 4096);
		rc = viofs_file_allocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20,
					 4096, &t->err);
		CHECK(t, !can(rc) || !rc);
	}
	WORKS(t, viofs_file_close(f, &t->err));
	WORKS(t, viofs_file_close(g, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "h", 0, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "g", 0, &t->err));
}

static void locks(struct calls *t)
{
	struct viofs_file *f = make(t, "l", O_CREAT | O_RDWR), *g = make(t, "l", O_RDWR);
	struct viofs_session_info info = { .size = sizeof(info) };
	struct flock lock = { .l_type = F_WRLCK, .l_start = 10, .l_len = 5 };
	int rc;

	viofs_session_info_get(t->s, &info);
	rc = viofs_file_lock(f, F_OFD_SETLK, &lock, &t->err);
	CHECK(t, !can(rc) || !rc);
	if (!rc) {
		FAILS(t, viofs_file_lock(g, F_OFD_SETLK, &lock, &t->err), EAGAIN);
		lock = (struct flock){ .l_type = F_WRLCK };
		WORKS(t, viofs_file_lock(g, F_OFD_GETLK, &lock, &t->err));
		CHECK(t, lock.l_type == F_WRLCK && lock.l_start == 10 && lock.l_len == 5);
		lock = (struct flock){ .l_type = F_UNLCK };
		WORKS(t, viofs_file_lock(f, F_OFD_SETLKW, &lock, &t->err));
		lock = (struct flock){ .l_type = F_WRLCK };
		WORKS(t, viofs_file_lock(g, F_OFD_SETLK, &lock, &t->err));
	}
	FAILS(t, viofs_file_lock(f, F_DUPFD, &lock, &t->err), EINVAL);
	rc = viofs_file_flock(f, LOCK_EX | LOCK_NB, &t->err);
	CHECK(t, !can(rc) || !rc);
	if (!rc)
		WORKS(t, viofs_file_flock(f, LOCK_UN, &t->err));
	WORKS(t, viofs_file_close(f, &t->err));
	WORKS(t, viofs_file_close(g, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "l", 0, &t->err));
}

static void memory_of_our_own(struct calls *t)
{
	size_t size = (size_t)2 << 20;
	int fd = memfd_create("calls", MFD_CLOEXEC);
	struct viofs_file *f;
	uint8_t *p;
	int rc;

	CHECK(t, !ftruncate(fd, (off_t)size));
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	FAILS(t, viofs_dma_register(t->dev, p + 1, size, fd, 0, &t->err), EINVAL);
	rc = viofs_dma_register(t->dev, p, size, fd, 0, &t->err);
	if (rc == -ENOTSUP) {
		CHECK(t, t->err.text[0]);
	} else if (WORKS(t, rc)) {
		FAILS(t, viofs_dma_register(t->dev, p + 4096, 4096, fd, 4096, &t->err), EINVAL);
		f = make(t, "r", O_CREAT | O_RDWR);
		fill(p, size / 2, 9);
		CHECK(t, viofs_file_pwrite(f, p, size / 2, 0, &t->err) == (ssize_t)size / 2);
		CHECK(t,
		      viofs_file_pread(f, p + size / 2, size / 2, 0, &t->err) == (ssize_t)size / 2);
		CHECK(t, !memcmp(p, p + size / 2, size / 2));
		WORKS(t, viofs_file_close(f, &t->err));
		WORKS(t, viofs_path_unlink(t->s, "r", 0, &t->err));
		WORKS(t, viofs_dma_unregister(t->dev, p, &t->err));
	}
	FAILS(t, viofs_dma_unregister(t->dev, p, &t->err), ENOENT);
	munmap(p, size);
	close(fd);
}

/* A pipe that is filled and emptied by somebody else. */
struct plumber {
	int fd;
	uint8_t *data;
	size_t size, done;
};

static void *pour(void *arg)
{
	struct plumber *p = arg;
	ssize_t n;

	while (p->done < p->size && (n = write(p->fd, p->data + p->done, p->size - p->done)) > 0)
		p->done += (size_t)n;
	close(p->fd);
	return NULL;
}

static void *drain(void *arg)
{
	struct plumber *p = arg;
	ssize_t n;

	while ((n = read(p->fd, p->data + p->done, p->size - p->done)) > 0)
		p->done += (size_t)n;
	return NULL;
}

static void through_pipes(struct calls *t, struct viofs_file *f, const uint8_t *data, uint8_t *back)
{
	struct plumber in = { .data = (uint8_t *)data, .size = LARGE };
	struct plumber out = { .data = back, .size = LARGE };
	pthread_t thread;
	int ends[2];

	CHECK(t, !pipe(ends));
	in.fd = ends[1];
	pthread_create(&thread, NULL, pour, &in);
	CHECK(t, viofs_file_from_fd(f, 0, ends[0], -1, UINT64_MAX, &t->err) == (int64_t)LARGE);
	pthread_join(thread, NULL);
	close(ends[0]);
	memset(back, 0, LARGE);
	CHECK(t, !pipe(ends));
	out.fd = ends[0];
	pthread_create(&thread, NULL, drain, &out);
	CHECK(t, viofs_file_to_fd(f, 0, ends[1], -1, LARGE, &t->err) == (int64_t)LARGE);
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	CHECK(t, out.done == LARGE && !memcmp(data, back, LARGE));
}

/* More than is in flight at once, at offsets, to the end, and where it fails. */
static void descriptors(struct calls *t)
{
	uint8_t *data = malloc(LARGE), *back = malloc(LARGE);
	struct viofs_file *f = make(t, "passed", O_CREAT | O_RDWR);
	struct viofs_dev_info info = { .size = sizeof(info) };
	int fd = memfd_create("passed", MFD_ALLOW_SEALING);
	size_t before;

	if (!CHECK(t, data && back && f && fd >= 0))
		return;
	viofs_dev_info_get(t->dev, &info);
	before = info.dma_free;
	fill(data, LARGE, 3);
	CHECK(t, pwrite(fd, data, LARGE, 5) == (ssize_t)LARGE);
	CHECK(t, viofs_file_from_fd(f, 7, fd, 5, LARGE, &t->err) == (int64_t)LARGE);
	CHECK(t, viofs_file_pread(f, back, LARGE, 7, &t->err) == (ssize_t)LARGE &&
			 !memcmp(data, back, LARGE));
	CHECK(t, viofs_file_from_fd(f, 7, fd, LARGE, UINT64_MAX, &t->err) == 5);
	CHECK(t, viofs_file_from_fd(f, 0, fd, LARGE + 5, 10, &t->err) == 0);
	CHECK(t, viofs_file_pwrite(f, data, 10, 7, &t->err) == 10);
	CHECK(t, !ftruncate(fd, 0));
	CHECK(t, viofs_file_to_fd(f, 7, fd, 3, UINT64_MAX, &t->err) == (int64_t)LARGE);
	CHECK(t, pread(fd, back, LARGE, 3) == (ssize_t)LARGE && !memcmp(data, back, LARGE));
	CHECK(t, viofs_file_to_fd(f, LARGE + 7, fd, 0, 10, &t->err) == 0);
	through_pipes(t, f, data, back);
	/* A descriptor that takes no more: what it has got counts. */
	CHECK(t, !ftruncate(fd, LARGE / 2) && !fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	CHECK(t, viofs_file_to_fd(f, 0, fd, 0, LARGE, &t->err) <= (int64_t)LARGE / 2);
	FAILS(t, viofs_file_to_fd(f, 0, fd, LARGE, LARGE, &t->err), EPERM);
	FAILS(t, viofs_file_to_fd(f, 0, -1, 0, 10, &t->err), EBADF);
	FAILS(t, viofs_file_from_fd(f, 0, -1, -1, 10, &t->err), EBADF);
	FAILS(t, viofs_file_from_fd(f, UINT64_MAX, fd, 0, 10, &t->err), EINVAL);
	WORKS(t, viofs_file_close(f, &t->err));
	viofs_dev_info_get(t->dev, &info);
	CHECK(t, info.dma_free == before);
	f = make(t, "passed", O_RDONLY);
	FAILS(t, viofs_file_from_fd(f, 0, fd, 0, 10, &t->err), EBADF);
	WORKS(t, viofs_file_close(f, &t->err));
	close(fd);
	free(data);
	free(back);
	WORKS(t, viofs_path_unlink(t->s, "passed", 0, &t->err));
}

/* It has no name until it is linked; a device that makes none says so. */
static void files_without_a_name(struct calls *t)
{
	struct viofs_file *f = NULL;
	struct stat st;
	int rc = viofs_file_open(t->s, "/", 0, O_TMPFILE | O_RDWR, 0640, &f, &t->err);

	FAILS(t, viofs_file_open(t->s, "/", 0, O_TMPFILE | O_RDONLY, 0640, &f, &t->err), EINVAL);
	if (rc == -EOPNOTSUPP) {
		CHECK(t, !t->has_tmpfile);
		return;
	}
	if (!WORKS(t, rc))
		return;
	CHECK(t, viofs_file_pwrite(f, "nameless", 8, 0, &t->err) == 8);
	WORKS(t, viofs_file_stat(f, &st, &t->err));
	CHECK(t, st.st_nlink == 0 && st.st_size == 8 && (st.st_mode & 07777) == 0640);
	rc = viofs_file_link(f, t->s, "missing/it", 0, &t->err);
	CHECK(t, rc == -ENOENT && strstr(t->err.text, "link / to missing/it"));
	WORKS(t, viofs_file_link(f, t->s, "named", 0, &t->err));
	host_has(t, "named", (const uint8_t *)"nameless", 8);
	FAILS(t, viofs_file_link(f, t->s, "named", 0, &t->err), EEXIST);
	WORKS(t, viofs_file_close(f, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "named", 0, &t->err));
	WORKS(t, viofs_path_mknod(t->s, "plain", 0, S_IFREG | 0600, 0, &t->err));
	FAILS(t, viofs_file_open(t->s, "plain", 0, O_TMPFILE | O_RDWR, 0640, &f, &t->err), ENOTDIR);
	WORKS(t, viofs_path_unlink(t->s, "plain", 0, &t->err));
}

const struct calls_case cases_files[] = {
	{ "large transfers are split, with and without copies", large_transfers },
	{ "vectors", vectors },
	{ "a file's own position, and how files are opened", positions },
	{ "what can be done with an open file", of_an_open_file },
	{ "holes, copies and space", holes_and_copies },
	{ "copies to and from descriptors", descriptors },
	{ "files without a name", files_without_a_name },
	{ "locks", locks },
	{ "memory of the program's own", memory_of_our_own },
	{ NULL, NULL },
};
