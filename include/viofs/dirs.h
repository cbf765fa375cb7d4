/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open directories. */
#ifndef VIOFS_DIRS_H
#define VIOFS_DIRS_H

#include <viofs/client.h>

#include <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

/** struct viofs_dir - an open directory; opaque. It is one thread's at a time. */
struct viofs_dir;

/** struct viofs_dirent - one entry */
struct viofs_dirent {
	const char *name; /* until the next call on the directory */
	uint64_t ino;
	uint64_t next;         /* for viofs_dir_seek(): the entry after this one */
	const struct stat *st; /* told with the name (READDIRPLUS), or NULL; until the next call */
	uint32_t type;         /* DT_REG, ... (dirent.h); DT_UNKNOWN where it isn't told */
	uint32_t name_len;     /* bytes, the NUL not counted */
	uint64_t reserved[2];
};

/** viofs_dir_open() - opendir(3). @path, @flags, what is returned: as in <viofs/path.h>. */
int viofs_dir_open(struct viofs_session *s, const char *path, unsigned int flags,
		   struct viofs_dir **out, struct viofs_err *err);
int viofs_dir_open_async(struct viofs_async *a, const char *path, unsigned int flags,
			 struct viofs_dir **out, void *user);

/**
 * viofs_dir_close() - closedir(3); NULL is fine
 * No call on the directory may be under way. Return: 0, or a negative errno; @dir is gone in any
 * case. The _async twin takes no NULL. Where it returns an error (-ENOMEM) nothing was begun: @dir
 * is open as before, and no event comes. With an event @dir is gone, whatever the result is.
 */
int viofs_dir_close(struct viofs_dir *dir, struct viofs_err *err);
int viofs_dir_close_async(struct viofs_async *a, struct viofs_dir *dir, void *user);

/**
 * viofs_dir_read() - the next entry, "." and ".." included where the device has them
 * Entries come in portions (READDIRPLUS where the device can), so most calls ask nobody. With the
 * entries the names become known, and are looked up no more as long as the device says that they
 * hold. Return: 1 and @entry; 0: the end; a negative errno.
 */
int viofs_dir_read(struct viofs_dir *dir, struct viofs_dirent *entry, struct viofs_err *err);

/**
 * viofs_dir_fill() - fetch the next portion
 * viofs_dir_next() gives its entries. What was left of the portion before is dropped. Return:
 * bytes, 0 at the end; a negative errno.
 */
int viofs_dir_fill(struct viofs_dir *dir, struct viofs_err *err);
int viofs_dir_fill_async(struct viofs_async *a, struct viofs_dir *dir, void *user);

/** viofs_dir_next() - the next entry of the portion that is there. Return: 1; 0: no more in it;
 * -EIO: what the device sent makes no sense; -ENOMEM. */
int viofs_dir_next(struct viofs_dir *dir, struct viofs_dirent *entry);

/**
 * viofs_dir_read_many() - the next entries, up to @max
 * As viofs_dir_read() for each; all of them are good until the next call on the directory. Return:
 * how many, 1..@max; 0: the end, or @max is 0; a negative errno.
 */
int viofs_dir_read_many(struct viofs_dir *dir, struct viofs_dirent *entries, unsigned int max,
			struct viofs_err *err);

/** viofs_dir_next_many() - the next entries of the portion that is there, up to @max. Return: how
 * many; 0: no more in it, or @max is 0; -EIO, -ENOMEM. */
int viofs_dir_next_many(struct viofs_dir *dir, struct viofs_dirent *entries, unsigned int max);

/** viofs_dir_seek() - go on at @where: 0 = the start, or an entry's next. */
void viofs_dir_seek(struct viofs_dir *dir, uint64_t where);

/** viofs_dir_sync() - fsync(2) of a directory. */
int viofs_dir_sync(struct viofs_dir *dir, int data_only, struct viofs_err *err);
int viofs_dir_sync_async(struct viofs_async *a, struct viofs_dir *dir, int data_only, void *user);

/**
 * struct viofs_tree - a walk through a tree; opaque
 * It is one thread's at a time. Its calls block; they are made of calls on directories and paths,
 * which have asynchronous twins for who wants many under way.
 */
struct viofs_tree;

/** enum viofs_tree_flag - of viofs_tree_open() */
enum viofs_tree_flag {
	/** A directory comes again after all that is below it: to remove it, say. */
	VIOFS_TREE_AFTER = 1 << 0
};

/** struct viofs_tree_entry - something in the tree; pointers are good until the next call */
struct viofs_tree_entry {
	const char *path;      /* the walk's start, and the way from there */
	const char *name;      /* its last component; all of the start's path */
	const struct stat *st; /* its own, where it is a symbolic link */
	uint32_t depth;        /* 0: the start */
	uint32_t after;        /* 1: a directory again, after all that is below it */
	int32_t error; /* a negative errno: it can't be looked at, or not be read to its end */
	uint32_t reserved[5];
};

/**
 * viofs_tree_open() - begin a walk at @path
 * @flags: of enum viofs_tree_flag. Each level has a directory open. Symbolic links below @path are
 * told, not followed. Return: 0 and *@out; as viofs_path_stat() of @path.
 */
int viofs_tree_open(struct viofs_session *s, const char *path, unsigned int flags,
		    struct viofs_tree **out, struct viofs_err *err);

/**
 * viofs_tree_next() - what comes next: a directory, then what is below it
 * Return: 1 and @entry; with @entry->error set @err has the reason, and the walk can go on; 0: the
 * end; -ENOMEM, and the walk can't go on.
 */
int viofs_tree_next(struct viofs_tree *tree, struct viofs_tree_entry *entry, struct viofs_err *err);

/** viofs_tree_skip() - what is below the directory that came last is left out. */
void viofs_tree_skip(struct viofs_tree *tree);

/** viofs_tree_close() - at any time; NULL is fine. */
void viofs_tree_close(struct viofs_tree *tree);

#ifdef __cplusplus
}
#endif

#endif
