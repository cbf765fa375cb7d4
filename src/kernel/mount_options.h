/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mount(8)'s words for a mount: those that the kernel's own virtiofs driver takes. */
#ifndef VIOFS_KERNEL_MOUNT_OPTIONS_H
#define VIOFS_KERNEL_MOUNT_OPTIONS_H

#include "base/err.h"

#include <stdint.h>

/* context=, fscontext=, defcontext=, rootcontext= */
#define VIOFS_MOUNT_LABELS 4

/* Flags of the super block, which all mounts of it share. */
enum {
	VIOFS_SUPER_RO = 1 << 0,
	VIOFS_SUPER_SYNC = 1 << 1,
	VIOFS_SUPER_DIRSYNC = 1 << 2,
	VIOFS_SUPER_LAZYTIME = 1 << 3,
};

/** struct viofs_mount_options - what the words mean; all zero: no word was given */
struct viofs_mount_options {
	uint64_t attributes;              /* MOUNT_ATTR_* of the one mount */
	uint32_t super;                   /* VIOFS_SUPER_* */
	char *labels[VIOFS_MOUNT_LABELS]; /* "context=..." for the kernel; NULL: none */
};

/**
 * viofs_mount_options_add() - take one word; a later word overrides an earlier one
 * Return: 0; -ENOENT: no such word; -EINVAL: the kernel's driver would refuse it for a device like
 * ours, in @err; -ENOMEM.
 */
int viofs_mount_options_add(struct viofs_mount_options *o, const char *word, struct viofs_err *err);

/** viofs_mount_options_super_word() - the word for one flag of the super block. */
const char *viofs_mount_options_super_word(uint32_t flag);

/** viofs_mount_options_fini() - free what the words took. */
void viofs_mount_options_fini(struct viofs_mount_options *o);

#endif
