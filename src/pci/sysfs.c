/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths below /sys and /proc, and the links there. */
#include "pci/sysfs.h"

#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *sysfs_root = "/sys";
static const char *proc_root = "/proc";
static viofs_pci_writer *sysfs_writer = viofs_text_write;

void viofs_pci_set_sysfs_root(const char *root)
{
	sysfs_root = root ? root : "/sys";
}

void viofs_pci_set_proc_root(const char *root)
{
	proc_root = root ? root : "/proc";
}

void viofs_pci_set_sysfs_writer(viofs_pci_writer *writer)
{
	sysfs_writer = writer ? writer : viofs_text_write;
}

__attribute__((format(printf, 4, 0))) static const char *
format_path(char *buf, size_t size, const char *root, const char *fmt, va_list ap)
{
	int n = snprintf(buf, size, "%s/", root);
	int m = -1;

	if (n >= 0 && (size_t)n < size)
		m = vsnprintf(buf + n, size - (size_t)n, fmt, ap);
	if (m < 0 || (size_t)m >= size - (size_t)n)
		buf[0] = '\0';
	return buf;
}

const char *viofs_pci_sysfs_path(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_path(buf, size, sysfs_root, fmt, ap);
	va_end(ap);
	return buf;
}

const char *viofs_pci_proc_path(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_path(buf, size, proc_root, fmt, ap);
	va_end(ap);
	return buf;
}

int viofs_pci_sysfs_write(const char *path, const char *text)
{
	return sysfs_writer(path, text);
}

int viofs_pci_link_name(const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t n;

	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	memcpy(buf, name, strlen(name) + 1);
	return 0;
}
