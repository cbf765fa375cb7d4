/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of /run/virtiofs-vfio: what is locked there, and what a killed process has left. */
#ifndef VIOFS_BASE_RUN_H
#define VIOFS_BASE_RUN_H

#include <stdbool.h>
#include <stddef.h>

#define VIOFS_RUN_NAME "/virtiofs-vfio"
#define VIOFS_RUN_DIR "/run" VIOFS_RUN_NAME

/**
 * viofs_run_dir() - where the files are
 * VIOFS_RUN_DIR; for an ordinary user, who can't write there, virtiofs-vfio in $XDG_RUNTIME_DIR if
 * that is set. A lock there is between processes of the same user.
 */
const char *viofs_run_dir(void);

/**
 * viofs_run_path() - "/run/virtiofs-vfio/NAME" into @buf
 * Return: @buf; a path too long comes out as "", which no call can open.
 */
const char *viofs_run_path(char *buf, size_t size, const char *name);

/**
 * viofs_run_lock() - lock the file @name, which is made where there is none
 * Only root, or the user, can open these files, so nobody else can hold such a lock. It goes with
 * the last process that has the descriptor, which is good for reading only.
 * @wait_ms: for another holder.
 * Return: descriptor; -EBUSY: held all that time; -ESTALE: the file or its folder can't be made to
 * stay; -EACCES and other -errno.
 */
int viofs_run_lock(const char *name, int wait_ms);

/** viofs_run_is_locked() - Return: 1, 0, or -ENOENT: no such file; -EACCES and other -errno. */
int viofs_run_is_locked(const char *name);

/**
 * viofs_run_write() - put @text, and nothing else, into the file that @lock has locked
 * A process that is killed in between leaves the old text or the new one.
 * Return: 0; -ESTALE: the file was removed; -errno.
 */
int viofs_run_write(const char *name, int lock, const char *text);

/** viofs_run_remove() - remove the file, unlock it, and the directory if it was the last one. */
void viofs_run_remove(const char *name, int lock);

/**
 * viofs_run_set_dir() - use @dir, kept, in place of /run/virtiofs-vfio; NULL: that again. Context:
 * tests.
 */
void viofs_run_set_dir(const char *dir);

#endif
