/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Learning a function's tag without taking the device from anybody. */
#include "pci/tag.h"

#include "base/file.h"
#include "base/run.h"
#include "base/text.h"
#include "base/util.h"
#include "pci/sysfs.h"
#include "pci/window.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* struct virtio_fs_config (virtio 1.3 5.11.4): the tag, then num_request_queues. */
#define CONFIG_SIZE (VIOFS_TAG_SIZE + 4U)
/* virtqueues are counted in 16 bits. */
#define QUEUES_MAX 0xffffU

/* A look takes less than a millisecond. */
#define LOCK_WAIT_MS 1000
#define LOCK_NAME 32

static bool is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

int viofs_tag_check(const uint8_t raw[VIOFS_TAG_SIZE], char out[VIOFS_TAG_TEXT],
		    struct viofs_err *err)
{
	size_t len = strnlen((const char *)raw, VIOFS_TAG_SIZE);

	if (!len)
		return viofs_err_set(err, -EPROTO,
				     "The device's tag is empty: give it one where the device is "
				     "configured (tag=NAME).");
	for (size_t i = 0; i < len;) {
		uint32_t point = 0;
		unsigned int n = viofs_text_utf8(raw + i, len - i, &point);

		if (!n)
			return viofs_err_set(err, -EPROTO,
					     "The device's tag is not UTF-8 (byte 0x%02x at %zu).",
					     raw[i], i);
		if (is_control(point))
			return viofs_err_set(err, -EPROTO,
					     "The device's tag has a control character (U+%04X at "
					     "%zu).",
					     point, i);
		i += n;
	}
	memcpy(out, raw, len);
	out[len] = '\0';
	return 0;
}

/* /sys/fs/virtiofs/N/device -> .../0000:00:04.0/virtio1: is it the function @address? */
static bool is_device_of(const char *instance, const char *address)
{
	char path[PATH_MAX], target[PATH_MAX], *slash, *name;
	ssize_t n;

	viofs_pci_sysfs_path(path, sizeof(path), "fs/virtiofs/%s/device", instance);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	if (!slash)
		return false;
	*slash = '\0';
	name = strrchr(target, '/');
	return strcmp(name ? name + 1 : target, address) == 0;
}

/* The tag by the kernel's driver. Return: -ENOENT where it doesn't list this function. */
static int read_from_driver(const struct viofs_pci_function *f, char tag[VIOFS_TAG_TEXT],
			    struct viofs_err *err)
{
	uint8_t raw[VIOFS_TAG_SIZE + 4] = { 0 };
	char path[PATH_MAX];
	struct dirent *e;
	int rc = -ENOENT;
	DIR *dir;

	dir = opendir(viofs_pci_sysfs_path(path, sizeof(path), "fs/virtiofs"));
	if (!dir)
		return -ENOENT;
	while (rc == -ENOENT && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || !is_device_of(e->d_name, f->text))
			continue;
		viofs_pci_sysfs_path(path, sizeof(path), "fs/virtiofs/%s/tag", e->d_name);
		rc = viofs_text_read(path, (char *)raw, sizeof(raw));
	}
	closedir(dir);
	if (rc < 0)
		return -ENOENT;
	if (rc > VIOFS_TAG_SIZE)
		return viofs_err_set(err, -EPROTO, "%s: the tag in sysfs is longer than %d bytes.",
				     f->text, VIOFS_TAG_SIZE);
	rc = viofs_tag_check(raw, tag, err);
	return rc ? viofs_err_prefix(err, rc, "%s", f->text) : 0;
}

/* Without privileges only the first 64 bytes of configuration space can be read. */
static int file_read(void *context, unsigned int off, void *buf, unsigned int len)
{
	ssize_t n = pread(*(const int *)context, buf, len, off);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EPERM;
}

static int file_write(void *context, unsigned int off, const void *buf, unsigned int len)
{
	ssize_t n = pwrite(*(const int *)context, buf, len, off);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static int open_config(const struct viofs_pci_function *f, struct viofs_err *err)
{
	char path[PATH_MAX];
	int fd;

	viofs_pci_sysfs_path(path, sizeof(path), "bus/pci/devices/%s/config", f->text);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		int rc = -errno;

		return viofs_err_set(err, rc, "Opening %s failed: %s.%s", path, strerror(-rc),
				     rc == -EACCES ? " Run it as root." : "");
	}
	return fd;
}

/*
 * The window has one offset register: two processes at once would change it for each other. The
 * lock isn't on `config` itself: anybody may open that, and lock it.
 */
static int lock_window(const struct viofs_pci_function *f, char name[LOCK_NAME],
		       struct viofs_err *err)
{
	int lock;

	snprintf(name, LOCK_NAME, "config-%s", f->text);
	lock = viofs_run_lock(name, LOCK_WAIT_MS);
	if (lock < 0)
		viofs_err_set(err, lock, "%s: %s/%s can't be locked: %s.", f->text, viofs_run_dir(),
			      name, strerror(-lock));
	return lock;
}

/* Read twice. Two different tags mean that the window is only a piece of memory, or in use. */
static int look_twice(int fd, uint8_t raw[CONFIG_SIZE], struct viofs_err *err)
{
	const struct viofs_pci_config config = {
		.read = file_read,
		.write = file_write,
		.context = &fd,
	};
	uint8_t again[CONFIG_SIZE];
	int rc;

	rc = viofs_pci_window_read(&config, 0, raw, CONFIG_SIZE, err);
	if (!rc)
		rc = viofs_pci_window_read(&config, 0, again, CONFIG_SIZE, err);
	if (!rc && memcmp(raw, again, CONFIG_SIZE) != 0)
		rc = viofs_err_set(err, -EOPNOTSUPP,
				   "Two looks at the device's configuration differ.");
	return rc;
}

static int read_from_window(const struct viofs_pci_function *f, uint8_t raw[CONFIG_SIZE],
			    struct viofs_err *err)
{
	char name[LOCK_NAME];
	int fd, lock, rc;

	fd = open_config(f, err);
	if (fd < 0)
		return fd;
	rc = lock = lock_window(f, name, err);
	if (lock >= 0) {
		rc = look_twice(fd, raw, err);
		if (rc)
			viofs_err_prefix(err, rc, "%s", f->text);
		viofs_run_remove(name, lock);
	}
	close(fd);
	return rc;
}

int viofs_pci_tag_read(const struct viofs_pci_function *f, char tag[VIOFS_TAG_TEXT],
		       uint32_t *num_queues, struct viofs_err *err)
{
	uint8_t raw[CONFIG_SIZE];
	uint32_t queues;
	int rc;

	rc = read_from_driver(f, tag, err);
	if (!rc && num_queues)
		*num_queues = 0;
	if (rc != -ENOENT)
		return rc;

	/* The function's user may be resetting it at this moment: see the head of window.c. */
	if (strcmp(f->driver, VIOFS_PCI_VFIO) == 0)
		return viofs_err_set(err, -EOPNOTSUPP,
				     "%s is in the hands of vfio-pci, only who opens it can read "
				     "its tag.",
				     f->text);
	rc = read_from_window(f, raw, err);
	if (rc)
		return rc;
	memcpy(&queues, raw + VIOFS_TAG_SIZE, sizeof(queues));
	queues = le32toh(queues);
	if (!queues || queues > QUEUES_MAX)
		return viofs_err_set(err, -EOPNOTSUPP,
				     "%s: what configuration space shows of the device makes no "
				     "sense (%u request queues).",
				     f->text, queues);
	rc = viofs_tag_check(raw, tag, err);
	if (rc)
		return viofs_err_prefix(err, rc, "%s", f->text);
	if (num_queues)
		*num_queues = queues;
	return 0;
}
