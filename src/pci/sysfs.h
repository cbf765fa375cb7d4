/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where sysfs and procfs are; the unit tests put a tree of their own there. */
#ifndef VIOFS_PCI_SYSFS_H
#define VIOFS_PCI_SYSFS_H

#include <stddef.h>

/**
 * viofs_pci_set_sysfs_root() - use @root in place of /sys
 * @root: kept, not copied; NULL: /sys again.
 * Context: tests, before anything else is called.
 */
void viofs_pci_set_sysfs_root(const char *root);

/** viofs_pci_set_proc_root() - the same for /proc. */
void viofs_pci_set_proc_root(const char *root);

/** typedef viofs_pci_writer - writes one attribute. Return: 0, or -errno. */
typedef int viofs_pci_writer(const char *path, const char *text);

/** viofs_pci_set_sysfs_writer() - let @writer act as the kernel; NULL: really write. */
void viofs_pci_set_sysfs_writer(viofs_pci_writer *writer);

/**
 * viofs_pci_sysfs_path() - "<root>/..." into @buf
 * Return: @buf; a path too long comes out as "", which no call can open.
 */
const char *viofs_pci_sysfs_path(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** viofs_pci_proc_path() - the same below /proc. */
const char *viofs_pci_proc_path(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** viofs_pci_sysfs_write() - write @text to the attribute @path. Return: 0, or -errno. */
int viofs_pci_sysfs_write(const char *path, const char *text);

/**
 * viofs_pci_link_name() - the last part of what the link @path points at
 * Return: 0; -ENOENT: there is no such link; -ENAMETOOLONG; other -errno.
 */
int viofs_pci_link_name(const char *path, char *buf, size_t size);

#endif
