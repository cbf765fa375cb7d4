/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mount(8)'s words.
 *
 * Without a helper mount(8) turns most of them into flags of mount(2) or fsmount(2) and hands the
 * rest to the file system. The table does the same. Words that change nothing on a file system like
 * ours are taken, as they are for the kernel's driver.
 */
#include "kernel/mount_options.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000 /* Linux 5.14 */
#endif

static const struct word {
	const char *name;
	uint64_t clear, set;             /* MOUNT_ATTR_* */
	uint32_t super_clear, super_set; /* VIOFS_SUPER_* */
} words[] = {
	{ "ro", 0, MOUNT_ATTR_RDONLY, 0, VIOFS_SUPER_RO },
	{ "rw", MOUNT_ATTR_RDONLY, 0, VIOFS_SUPER_RO, 0 },
	{ "suid", MOUNT_ATTR_NOSUID, 0, 0, 0 },
	{ "nosuid", 0, MOUNT_ATTR_NOSUID, 0, 0 },
	{ "dev", MOUNT_ATTR_NODEV, 0, 0, 0 },
	{ "nodev", 0, MOUNT_ATTR_NODEV, 0, 0 },
	{ "exec", MOUNT_ATTR_NOEXEC, 0, 0, 0 },
	{ "noexec", 0, MOUNT_ATTR_NOEXEC, 0, 0 },
	{ "symfollow", MOUNT_ATTR_NOSYMFOLLOW, 0, 0, 0 },
	{ "nosymfollow", 0, MOUNT_ATTR_NOSYMFOLLOW, 0, 0 },
	/* Of fstab: who may mount it. Root has to, but what comes with these words is meant. */
	{ "user", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, 0 },
	{ "users", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, 0 },
	{ "owner", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, 0 },
	{ "group", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, 0 },
	/* One of three; relatime, the kernel's default, is 0. */
	{ "relatime", MOUNT_ATTR__ATIME, 0, 0, 0 },
	{ "atime", MOUNT_ATTR__ATIME, 0, 0, 0 },
	{ "norelatime", 0, 0, 0, 0 },
	{ "noatime", MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, 0, 0 },
	{ "strictatime", MOUNT_ATTR__ATIME, MOUNT_ATTR_STRICTATIME, 0, 0 },
	{ "nostrictatime", MOUNT_ATTR_STRICTATIME, 0, 0, 0 },
	{ "diratime", MOUNT_ATTR_NODIRATIME, 0, 0, 0 },
	{ "nodiratime", 0, MOUNT_ATTR_NODIRATIME, 0, 0 },
	{ "sync", 0, 0, 0, VIOFS_SUPER_SYNC },
	{ "async", 0, 0, VIOFS_SUPER_SYNC, 0 },
	{ "dirsync", 0, 0, 0, VIOFS_SUPER_DIRSYNC },
	{ "lazytime", 0, 0, 0, VIOFS_SUPER_LAZYTIME },
	{ "nolazytime", 0, 0, VIOFS_SUPER_LAZYTIME, 0 },
	/* The FUSE client ignores these words: it has no mandatory locks. */
	{ "iversion", 0, 0, 0, 0 },
	{ "noiversion", 0, 0, 0, 0 },
	{ "nomand", 0, 0, 0, 0 },
	{ "silent", 0, 0, 0, 0 },
	{ "loud", 0, 0, 0, 0 },
	/* Neither word needs a DAX window. */
	{ "dax=never", 0, 0, 0, 0 },
	{ "dax=inode", 0, 0, 0, 0 },
};

static const char *const labels[VIOFS_MOUNT_LABELS] = {
	"context=",
	"fscontext=",
	"defcontext=",
	"rootcontext=",
};

static int add_label(char **label, const char *word, struct viofs_err *err)
{
	char *copy = strdup(word);

	if (!copy)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	free(*label);
	*label = copy;
	return 0;
}

int viofs_mount_options_add(struct viofs_mount_options *o, const char *word, struct viofs_err *err)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(words); i++) {
		const struct word *w = &words[i];

		if (strcmp(word, w->name) != 0)
			continue;
		o->attributes = (o->attributes & ~w->clear) | w->set;
		o->super = (o->super & ~w->super_clear) | w->super_set;
		return 0;
	}
	for (size_t i = 0; i < VIOFS_MOUNT_LABELS; i++)
		if (!strncmp(word, labels[i], strlen(labels[i])))
			return add_label(&o->labels[i], word, err);
	if (!strcmp(word, "dax") || !strcmp(word, "dax=always"))
		return viofs_err_set(err, -EINVAL,
				     "The mount option \"%s\" needs the device's DAX window, which "
				     "only the kernel's driver uses.",
				     word);
	return -ENOENT;
}

const char *viofs_mount_options_super_word(uint32_t flag)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(words); i++)
		if (words[i].super_set == flag)
			return words[i].name;
	return NULL;
}

void viofs_mount_options_fini(struct viofs_mount_options *o)
{
	for (size_t i = 0; i < VIOFS_MOUNT_LABELS; i++)
		free(o->labels[i]);
	*o = (struct viofs_mount_options){ 0 };
}
