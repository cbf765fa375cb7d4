/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls on the names of a share. */
#ifndef VIOFS_PATH_H
#define VIOFS_PATH_H

#include <viofs/client.h>

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct statx;
struct timespec;

/*
 * Paths begin at the share's root, with or without a slash: it is as if the program were chrooted
 * there (openat2(2)'s RESOLVE_IN_ROOT). ".." at the root is the root; a symbolic link that begins
 * with a slash is followed from the share's root, never from this machine's. ".." is not sent to
 * the device. At most 40 links are followed. A component has up to 255 bytes, a path up to 4095.
 *
 * All calls:
 * @flags: of enum viofs_path_flag.
 * Context: blocking calls: any thread. The _async twin: the thread of @async; @user comes back with
 * the event. Return: 0 or more, as said; or a negative errno, which for a call that the device
 * refused is the device's: -ENOENT, -EACCES, ... Beside those: -ENOENT: the path is empty;
 * -ENAMETOOLONG; -ENOTDIR; -ELOOP: too many links, or one that VIOFS_PATH_NO_SYMLINKS forbids;
 * -EXDEV: VIOFS_PATH_BENEATH; -EINVAL: a flag that isn't known, or is not for this call; -ENOSYS:
 * the device doesn't know the call; -EIO: what the device answered breaks the protocol, or it
 * failed; -ENODEV: it has failed before; -ENOMEM. @err gets a text.
 */

/** enum viofs_path_flag - how a path is resolved */
enum viofs_path_flag {
	/** If the last component is a symbolic link, it is meant itself. */
	VIOFS_PATH_NO_FOLLOW = 1 << 0,
	/** No component may be a symbolic link (RESOLVE_NO_SYMLINKS). */
	VIOFS_PATH_NO_SYMLINKS = 1 << 1,
	/** A path, or a link in it, that begins with a slash or leads above the root is an error,
	 * -EXDEV (RESOLVE_BENEATH). */
	VIOFS_PATH_BENEATH = 1 << 2,
	/** Ask the device, whatever is remembered: all names of the path are looked up, and stat
	 * and statx ask for attributes (AT_STATX_FORCE_SYNC). A file that others have put in place
	 * of another is seen at once with it; without it when the device's time for the name is
	 * over. */
	VIOFS_PATH_FORCE_SYNC = 1 << 3,
	/** stat and statx: what was told last will do, though it may be old (AT_STATX_DONT_SYNC).
	 */
	VIOFS_PATH_DONT_SYNC = 1 << 4
};

/** viofs_path_stat() - stat(2). */
int viofs_path_stat(struct viofs_session *s, const char *path, unsigned int flags, struct stat *st,
		    struct viofs_err *err);
int viofs_path_stat_async(struct viofs_async *a, const char *path, unsigned int flags,
			  struct stat *st, void *user);

/** viofs_path_statx() - statx(2). @mask: STATX_*. By FUSE_STATX where the device knows it. */
int viofs_path_statx(struct viofs_session *s, const char *path, unsigned int flags,
		     unsigned int mask, struct statx *stx, struct viofs_err *err);
int viofs_path_statx_async(struct viofs_async *a, const char *path, unsigned int flags,
			   unsigned int mask, struct statx *stx, void *user);

/** viofs_path_statfs() - statvfs(3) of the share at @path. */
int viofs_path_statfs(struct viofs_session *s, const char *path, unsigned int flags,
		      struct statvfs *st, struct viofs_err *err);
int viofs_path_statfs_async(struct viofs_async *a, const char *path, unsigned int flags,
			    struct statvfs *st, void *user);

/**
 * viofs_path_access() - access(2), as the device sees the session's uid and gid
 * A device that has no ACCESS (virtiofsd has none) isn't asked: the file's owner and mode decide,
 * as in the kernel, which sees no ACLs then, and no further groups of the user's. That is no check
 * of anything else: the device does what it is asked with its own rights. @mode: F_OK or R_OK |
 * W_OK | X_OK. Return: 0; -EACCES.
 */
int viofs_path_access(struct viofs_session *s, const char *path, unsigned int flags, int mode,
		      struct viofs_err *err);
int viofs_path_access_async(struct viofs_async *a, const char *path, unsigned int flags, int mode,
			    void *user);

/** viofs_path_mkdir() - mkdir(2). @mode: all of it is meant, there is no umask. */
int viofs_path_mkdir(struct viofs_session *s, const char *path, unsigned int flags, mode_t mode,
		     struct viofs_err *err);
int viofs_path_mkdir_async(struct viofs_async *a, const char *path, unsigned int flags, mode_t mode,
			   void *user);

/** viofs_path_mknod() - mknod(2). @mode: type and permissions; @dev: of a device node. */
int viofs_path_mknod(struct viofs_session *s, const char *path, unsigned int flags, mode_t mode,
		     dev_t dev, struct viofs_err *err);
int viofs_path_mknod_async(struct viofs_async *a, const char *path, unsigned int flags, mode_t mode,
			   dev_t dev, void *user);

/** viofs_path_unlink() - unlink(2). */
int viofs_path_unlink(struct viofs_session *s, const char *path, unsigned int flags,
		      struct viofs_err *err);
int viofs_path_unlink_async(struct viofs_async *a, const char *path, unsigned int flags,
			    void *user);

/** viofs_path_rmdir() - rmdir(2). */
int viofs_path_rmdir(struct viofs_session *s, const char *path, unsigned int flags,
		     struct viofs_err *err);
int viofs_path_rmdir_async(struct viofs_async *a, const char *path, unsigned int flags, void *user);

/** viofs_path_rename() - renameat2(2). @how: RENAME_NOREPLACE, RENAME_EXCHANGE, 0. */
int viofs_path_rename(struct viofs_session *s, const char *from, const char *to, unsigned int flags,
		      unsigned int how, struct viofs_err *err);
int viofs_path_rename_async(struct viofs_async *a, const char *from, const char *to,
			    unsigned int flags, unsigned int how, void *user);

/** viofs_path_link() - linkat(2). @to: another name for @from; a symbolic link is followed unless
 *  VIOFS_PATH_NO_FOLLOW says not. */
int viofs_path_link(struct viofs_session *s, const char *from, const char *to, unsigned int flags,
		    struct viofs_err *err);
int viofs_path_link_async(struct viofs_async *a, const char *from, const char *to,
			  unsigned int flags, void *user);

/** viofs_path_symlink() - symlink(2): @path leads to @target (up to 4095 bytes, which are not
 * looked at). */
int viofs_path_symlink(struct viofs_session *s, const char *target, const char *path,
		       unsigned int flags, struct viofs_err *err);
int viofs_path_symlink_async(struct viofs_async *a, const char *target, const char *path,
			     unsigned int flags, void *user);

/**
 * viofs_path_readlink() - readlink(2), but with a NUL at the end
 * @size: of @target, the NUL included; 4096 is always enough. Return: bytes of the target; -ERANGE:
 * too short.
 */
ssize_t viofs_path_readlink(struct viofs_session *s, const char *path, unsigned int flags,
			    char *target, size_t size, struct viofs_err *err);
int viofs_path_readlink_async(struct viofs_async *a, const char *path, unsigned int flags,
			      char *target, size_t size, void *user);

/** viofs_path_chmod() - chmod(2). */
int viofs_path_chmod(struct viofs_session *s, const char *path, unsigned int flags, mode_t mode,
		     struct viofs_err *err);
int viofs_path_chmod_async(struct viofs_async *a, const char *path, unsigned int flags, mode_t mode,
			   void *user);

/** viofs_path_chown() - chown(2); (uid_t)-1 and (gid_t)-1 leave as is. */
int viofs_path_chown(struct viofs_session *s, const char *path, unsigned int flags, uid_t uid,
		     gid_t gid, struct viofs_err *err);
int viofs_path_chown_async(struct viofs_async *a, const char *path, unsigned int flags, uid_t uid,
			   gid_t gid, void *user);

/** viofs_path_utimens() - utimensat(2). @times: two, of access and modification; NULL, UTIME_NOW,
 * UTIME_OMIT. */
int viofs_path_utimens(struct viofs_session *s, const char *path, unsigned int flags,
		       const struct timespec *times, struct viofs_err *err);
int viofs_path_utimens_async(struct viofs_async *a, const char *path, unsigned int flags,
			     const struct timespec *times, void *user);

/** viofs_path_truncate() - truncate(2). @size: bytes. */
int viofs_path_truncate(struct viofs_session *s, const char *path, unsigned int flags,
			uint64_t size, struct viofs_err *err);
int viofs_path_truncate_async(struct viofs_async *a, const char *path, unsigned int flags,
			      uint64_t size, void *user);

/**
 * viofs_path_getxattr() - getxattr(2)
 * @size: of @value; 0 asks how long it is. Return: bytes; -ENODATA; -ERANGE: longer than @size.
 */
ssize_t viofs_path_getxattr(struct viofs_session *s, const char *path, unsigned int flags,
			    const char *name, void *value, size_t size, struct viofs_err *err);
int viofs_path_getxattr_async(struct viofs_async *a, const char *path, unsigned int flags,
			      const char *name, void *value, size_t size, void *user);

/** viofs_path_listxattr() - listxattr(2): names, each with its NUL. @size 0 asks. Return: bytes. */
ssize_t viofs_path_listxattr(struct viofs_session *s, const char *path, unsigned int flags,
			     char *names, size_t size, struct viofs_err *err);
int viofs_path_listxattr_async(struct viofs_async *a, const char *path, unsigned int flags,
			       char *names, size_t size, void *user);

/** viofs_path_setxattr() - setxattr(2). @how: XATTR_CREATE, XATTR_REPLACE, 0. @size: up to 64 KiB.
 */
int viofs_path_setxattr(struct viofs_session *s, const char *path, unsigned int flags,
			const char *name, const void *value, size_t size, int how,
			struct viofs_err *err);
int viofs_path_setxattr_async(struct viofs_async *a, const char *path, unsigned int flags,
			      const char *name, const void *value, size_t size, int how,
			      void *user);

/** viofs_path_removexattr() - removexattr(2). */
int viofs_path_removexattr(struct viofs_session *s, const char *path, unsigned int flags,
			   const char *name, struct viofs_err *err);
int viofs_path_removexattr_async(struct viofs_async *a, const char *path, unsigned int flags,
				 const char *name, void *user);

#ifdef __cplusplus
}
#endif

#endif
