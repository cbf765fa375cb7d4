/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open files. */
#ifndef VIOFS_FILES_H
#define VIOFS_FILES_H

#include <viofs/client.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct timespec;

/**
 * struct viofs_file - an open file; opaque
 * Any thread may use it, several at once too; and blocking and asynchronous calls of any user of
 * the session. Calls return 0 or more, or a negative errno as said in <viofs/path.h>.
 */
struct viofs_file;

/**
 * viofs_file_open() - open(2)
 * @path, @flags: as in <viofs/path.h>.
 * @oflags: O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECT, O_SYNC,
 * O_DSYNC, O_NOFOLLOW, O_NOATIME; or O_TMPFILE: @path is a directory, and the file has no name
 * until viofs_file_link() gives it one. @mode: of a file that O_CREAT or O_TMPFILE makes; there is
 * no umask. Return: 0 and *@out (the _async twin: when its event comes with 0); -EISDIR: a
 * directory is opened by viofs_dir_open(); -ENXIO: a pipe, a socket or a device, which are the back
 * end's machine's; -ELOOP: a symbolic link that isn't followed; -EINVAL: other @oflags;
 * -EOPNOTSUPP: the device makes no files without a name.
 */
int viofs_file_open(struct viofs_session *s, const char *path, unsigned int flags, int oflags,
		    mode_t mode, struct viofs_file **out, struct viofs_err *err);
int viofs_file_open_async(struct viofs_async *a, const char *path, unsigned int flags, int oflags,
			  mode_t mode, struct viofs_file **out, void *user);

/**
 * viofs_file_link() - linkat(2) with AT_EMPTY_PATH: another name for an open file
 * The first one where O_TMPFILE has opened it, without O_EXCL. @s: whose paths @to is one of.
 * @flags: as in <viofs/path.h>.
 */
int viofs_file_link(struct viofs_file *file, struct viofs_session *s, const char *to,
		    unsigned int flags, struct viofs_err *err);
int viofs_file_link_async(struct viofs_async *a, struct viofs_file *file, const char *to,
			  unsigned int flags, void *user);

/**
 * viofs_file_close() - close(2), by FLUSH and RELEASE; NULL is fine
 * No call on the file may be under way. @file is gone, whatever is returned.
 * Return: 0, or what FLUSH said of data that could not be written, as close(2).
 * The _async twin takes no NULL. Where it returns an error (-ENOMEM) nothing was begun: @file is
 * open as before, and no event comes. With an event @file is gone, whatever the result is.
 */
int viofs_file_close(struct viofs_file *file, struct viofs_err *err);
int viofs_file_close_async(struct viofs_async *a, struct viofs_file *file, void *user);

/**
 * viofs_file_pread(), viofs_file_pwrite() - read and write at an offset
 * @size: bytes, any number: more than a request takes is split, with several requests in flight. In
 * memory of viofs_dma_alloc() or viofs_dma_register() nothing is copied. Return: bytes read, fewer
 * than @size where the device gave fewer, as it does at the end of the file; bytes written; a
 * negative errno where nothing was read or written before it, -EBADF where the file isn't open for
 * that.
 */
ssize_t viofs_file_pread(struct viofs_file *file, void *buffer, size_t size, uint64_t offset,
			 struct viofs_err *err);
ssize_t viofs_file_pwrite(struct viofs_file *file, const void *buffer, size_t size, uint64_t offset,
			  struct viofs_err *err);
int viofs_file_pread_async(struct viofs_async *a, struct viofs_file *file, void *buffer,
			   size_t size, uint64_t offset, void *user);
int viofs_file_pwrite_async(struct viofs_async *a, struct viofs_file *file, const void *buffer,
			    size_t size, uint64_t offset, void *user);

/**
 * viofs_file_preadv(), viofs_file_pwritev() - read and write at an offset, pieces of memory
 * As viofs_file_pread() and viofs_file_pwrite(), with up to 1024 pieces; more are -EINVAL.
 */
ssize_t viofs_file_preadv(struct viofs_file *file, const struct iovec *iov, int count,
			  uint64_t offset, struct viofs_err *err);
ssize_t viofs_file_pwritev(struct viofs_file *file, const struct iovec *iov, int count,
			   uint64_t offset, struct viofs_err *err);
int viofs_file_preadv_async(struct viofs_async *a, struct viofs_file *file, const struct iovec *iov,
			    int count, uint64_t offset, void *user);
int viofs_file_pwritev_async(struct viofs_async *a, struct viofs_file *file,
			     const struct iovec *iov, int count, uint64_t offset, void *user);

/**
 * viofs_file_read(), viofs_file_write(), viofs_file_readv(), viofs_file_writev() - at the offset
 * of the file. It moves on; with O_APPEND a write goes to the end. One at a time: they wait for
 * each other. They have no asynchronous twins, since an order of them is meant.
 */
ssize_t viofs_file_read(struct viofs_file *file, void *buffer, size_t size, struct viofs_err *err);
ssize_t viofs_file_write(struct viofs_file *file, const void *buffer, size_t size,
			 struct viofs_err *err);
ssize_t viofs_file_readv(struct viofs_file *file, const struct iovec *iov, int count,
			 struct viofs_err *err);
ssize_t viofs_file_writev(struct viofs_file *file, const struct iovec *iov, int count,
			  struct viofs_err *err);

/**
 * viofs_file_lseek() - lseek(2)
 * @whence: SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE. Return: the offset; -ENXIO: no data
 * there. With a device that knows no holes a file is all data, up to a hole at its end. The _async
 * twin takes SEEK_DATA and SEEK_HOLE only, and leaves the file's offset as it is.
 */
int64_t viofs_file_lseek(struct viofs_file *file, int64_t offset, int whence,
			 struct viofs_err *err);
int viofs_file_lseek_async(struct viofs_async *a, struct viofs_file *file, int64_t offset,
			   int whence, void *user);

/** viofs_file_stat() - fstat(2). The device is asked each time. */
int viofs_file_stat(struct viofs_file *file, struct stat *st, struct viofs_err *err);
int viofs_file_stat_async(struct viofs_async *a, struct viofs_file *file, struct stat *st,
			  void *user);

/** viofs_file_truncate() - ftruncate(2). */
int viofs_file_truncate(struct viofs_file *file, uint64_t size, struct viofs_err *err);
int viofs_file_truncate_async(struct viofs_async *a, struct viofs_file *file, uint64_t size,
			      void *user);

/** viofs_file_chmod() - fchmod(2). */
int viofs_file_chmod(struct viofs_file *file, mode_t mode, struct viofs_err *err);
int viofs_file_chmod_async(struct viofs_async *a, struct viofs_file *file, mode_t mode, void *user);

/** viofs_file_chown() - fchown(2). */
int viofs_file_chown(struct viofs_file *file, uid_t uid, gid_t gid, struct viofs_err *err);
int viofs_file_chown_async(struct viofs_async *a, struct viofs_file *file, uid_t uid, gid_t gid,
			   void *user);

/** viofs_file_utimens() - futimens(3). */
int viofs_file_utimens(struct viofs_file *file, const struct timespec *times,
		       struct viofs_err *err);
int viofs_file_utimens_async(struct viofs_async *a, struct viofs_file *file,
			     const struct timespec *times, void *user);

/** viofs_file_sync() - fsync(2), or fdatasync(2) with @data_only. */
int viofs_file_sync(struct viofs_file *file, int data_only, struct viofs_err *err);
int viofs_file_sync_async(struct viofs_async *a, struct viofs_file *file, int data_only,
			  void *user);

/** viofs_file_allocate() - fallocate(2). @mode: FALLOC_FL_*. */
int viofs_file_allocate(struct viofs_file *file, int mode, uint64_t offset, uint64_t size,
			struct viofs_err *err);
int viofs_file_allocate_async(struct viofs_async *a, struct viofs_file *file, int mode,
			      uint64_t offset, uint64_t size, void *user);

/**
 * viofs_file_copy() - copy_file_range(2), done by the device
 * Both files are of one session. Return: bytes copied, which may be fewer; 0 at the end;
 * -EOPNOTSUPP, -ENOSYS: copy them yourself.
 */
ssize_t viofs_file_copy(struct viofs_file *from, uint64_t from_offset, struct viofs_file *to,
			uint64_t to_offset, size_t size, struct viofs_err *err);
int viofs_file_copy_async(struct viofs_async *a, struct viofs_file *from, uint64_t from_offset,
			  struct viofs_file *to, uint64_t to_offset, size_t size, void *user);

/**
 * viofs_file_to_fd(), viofs_file_from_fd() - copy between a file and a descriptor
 * With several requests in flight, in DMA memory of the session's. @offset: in the file.
 * @fd_offset: in what @fd is of; -1: @fd is read or written in order, from where it stands, as a
 * pipe or a socket. @size: bytes; UINT64_MAX: up to the end.
 * @fd is to block, and is read or written by the thread that makes the call, or that polls: signals
 * don't end that. Time-outs of views end such a call, viofs_session_cancel() doesn't. A blocking
 * one takes memory and descriptors as viofs_async_open() does. From a stream more may have been
 * read than was written where a call fails. Return: bytes, fewer than @size at the end, or where it
 * failed further on; a negative errno where nothing was copied, of the device or of @fd.
 */
int64_t viofs_file_to_fd(struct viofs_file *file, uint64_t offset, int fd, int64_t fd_offset,
			 uint64_t size, struct viofs_err *err);
int64_t viofs_file_from_fd(struct viofs_file *file, uint64_t offset, int fd, int64_t fd_offset,
			   uint64_t size, struct viofs_err *err);
int viofs_file_to_fd_async(struct viofs_async *a, struct viofs_file *file, uint64_t offset, int fd,
			   int64_t fd_offset, uint64_t size, void *user);
int viofs_file_from_fd_async(struct viofs_async *a, struct viofs_file *file, uint64_t offset,
			     int fd, int64_t fd_offset, uint64_t size, void *user);

/**
 * viofs_file_lock() - fcntl(2)'s record locks, held by the open file
 * @command: F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW (or without OFD_: the same). @lock: l_whence is
 * SEEK_SET, l_start and l_len are 0 or more. Return: 0; -EAGAIN: somebody else has it; -ENOSYS,
 * -EOPNOTSUPP: the device keeps no locks; -EINVAL.
 */
int viofs_file_lock(struct viofs_file *file, int command, struct flock *lock,
		    struct viofs_err *err);
int viofs_file_lock_async(struct viofs_async *a, struct viofs_file *file, int command,
			  struct flock *lock, void *user);

/** viofs_file_flock() - flock(2). @operation: LOCK_SH, LOCK_EX, LOCK_UN, LOCK_NB. */
int viofs_file_flock(struct viofs_file *file, int operation, struct viofs_err *err);
int viofs_file_flock_async(struct viofs_async *a, struct viofs_file *file, int operation,
			   void *user);

/** viofs_file_getxattr() - fgetxattr(2), as viofs_path_getxattr(). */
ssize_t viofs_file_getxattr(struct viofs_file *file, const char *name, void *value, size_t size,
			    struct viofs_err *err);
int viofs_file_getxattr_async(struct viofs_async *a, struct viofs_file *file, const char *name,
			      void *value, size_t size, void *user);

/** viofs_file_listxattr() - flistxattr(2), as viofs_path_listxattr(). */
ssize_t viofs_file_listxattr(struct viofs_file *file, char *names, size_t size,
			     struct viofs_err *err);
int viofs_file_listxattr_async(struct viofs_async *a, struct viofs_file *file, char *names,
			       size_t size, void *user);

/** viofs_file_setxattr() - fsetxattr(2), as viofs_path_setxattr(). */
int viofs_file_setxattr(struct viofs_file *file, const char *name, const void *value, size_t size,
			int how, struct viofs_err *err);
int viofs_file_setxattr_async(struct viofs_async *a, struct viofs_file *file, const char *name,
			      const void *value, size_t size, int how, void *user);

/** viofs_file_removexattr() - fremovexattr(2). */
int viofs_file_removexattr(struct viofs_file *file, const char *name, struct viofs_err *err);
int viofs_file_removexattr_async(struct viofs_async *a, struct viofs_file *file, const char *name,
				 void *user);

#ifdef __cplusplus
}
#endif

#endif
