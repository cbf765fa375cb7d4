/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structs of FUSE's requests, by name and size; those of <linux/fuse.h> 7.45.
 *
 * Constants.
 */
#include "raw.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ATTR                                                                                       \
	"ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 "       \
	"mode:4 nlink:4 uid:4 gid:4 "                                                              \
	"rdev:4 blksize:4 flags:4"
#define ENTRY                                                                                      \
	"nodeid:8 generation:8 entry_valid:8 attr_valid:8 entry_valid_nsec:4 "                     \
	"attr_valid_nsec:4 " ATTR
#define ATTR_OUT "attr_valid:8 attr_valid_nsec:4 .:4 " ATTR
#define OPENED "fh:8 open_flags:4 backing_id:4"
#define IO "fh:8 offset:8 size:4 io_flags:4 lock_owner:8 flags:4 .:4"
#define RELEASE "fh:8 flags:4 release_flags:4 lock_owner:8"
#define LOCK "fh:8 owner:8 start:8 end:8 type:4 pid:4 lk_flags:4 .:4"
#define COPY "fh_in:8 off_in:8 nodeid_out:8 fh_out:8 off_out:8 len:8 flags:8"
#define STATX                                                                                      \
	"attr_valid:8 attr_valid_nsec:4 flags:4 .:16 mask:4 blksize:4 attributes:8 nlink:4 uid:4 " \
	"gid:4 mode:2 .:2 "                                                                        \
	"ino:8 size:8 blocks:8 attributes_mask:8 atime:8 atimensec:4 .:4 btime:8 btimensec:4 .:4 " \
	"ctime:8 ctimensec:4 .:4 "                                                                 \
	"mtime:8 mtimensec:4 .:4 rdev_major:4 rdev_minor:4 dev_major:4 dev_minor:4 .:112"

const struct viofs_raw_op viofs_raw_ops[] = {
	{ 1, "", "name", ENTRY, 0 },
	{ 2, "nlookup:8", "", "", VIOFS_RAW_NO_REPLY },
	{ 3, "getattr_flags:4 .:4 fh:8", "", ATTR_OUT, 0 },
	{ 4,
	  "valid:4 .:4 fh:8 size:8 lock_owner:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 "
	  "ctimensec:4 mode:4 "
	  ".:4 uid:4 gid:4 .:4",
	  "", ATTR_OUT, 0 },
	{ 5, "", "", "", VIOFS_RAW_TARGET_OUT },
	{ 6, "", "name target", ENTRY, 0 },
	{ 8, "mode:4 rdev:4 umask:4 .:4", "name", ENTRY, 0 },
	{ 9, "mode:4 umask:4", "name", ENTRY, 0 },
	{ 10, "", "name", "", 0 },
	{ 11, "", "name", "", 0 },
	{ 12, "newdir:8", "name newname", "", 0 },
	{ 13, "oldnodeid:8", "name", ENTRY, 0 },
	{ 14, "flags:4 open_flags:4", "", OPENED, 0 },
	{ 15, IO, "", "", VIOFS_RAW_DATA_OUT },
	{ 16, IO, "", "size:4 .:4", VIOFS_RAW_DATA_IN },
	{ 17, "", "", "blocks:8 bfree:8 bavail:8 files:8 ffree:8 bsize:4 namelen:4 frsize:4 .:28",
	  0 },
	{ 18, RELEASE, "", "", 0 },
	{ 20, "fh:8 fsync_flags:4 .:4", "", "", 0 },
	{ 21, "size:4 flags:4", "name", "", VIOFS_RAW_VALUE_IN },
	{ 22, "size:4 .:4", "name", "size:4 .:4", VIOFS_RAW_DATA_OUT | VIOFS_RAW_SIZE_OUT },
	{ 23, "size:4 .:4", "", "size:4 .:4", VIOFS_RAW_DATA_OUT | VIOFS_RAW_SIZE_OUT },
	{ 24, "", "name", "", 0 },
	{ 25, "fh:8 .:8 lock_owner:8", "", "", 0 },
	{ 26, "", "", "", VIOFS_RAW_OURS },
	{ 27, "flags:4 open_flags:4", "", OPENED, 0 },
	{ 28, IO, "", "", VIOFS_RAW_DATA_OUT | VIOFS_RAW_ENTRIES },
	{ 29, RELEASE, "", "", 0 },
	{ 30, "fh:8 fsync_flags:4 .:4", "", "", 0 },
	{ 31, LOCK, "", "start:8 end:8 type:4 pid:4", 0 },
	{ 32, LOCK, "", "", 0 },
	{ 33, LOCK, "", "", 0 },
	{ 34, "mask:4 .:4", "", "", 0 },
	{ 35, "flags:4 mode:4 umask:4 open_flags:4", "name", ENTRY " " OPENED, 0 },
	{ 36, "unique:8", "", "", VIOFS_RAW_NO_REPLY },
	{ 37, "block:8 blocksize:4 .:4", "", "block:8", 0 },
	{ 38, "", "", "", VIOFS_RAW_OURS },
	{ 39, "fh:8 flags:4 cmd:4 arg:8 in_size:4 out_size:4", "",
	  "result:4 flags:4 in_iovs:4 out_iovs:4", VIOFS_RAW_DATA_IN | VIOFS_RAW_DATA_OUT },
	{ 40, "fh:8 kh:8 flags:4 events:4", "", "revents:4 .:4", 0 },
	{ 42, "count:4 .:4 forget_nodeid:8 nlookup:8", "", "", VIOFS_RAW_NO_REPLY },
	{ 43, "fh:8 offset:8 length:8 mode:4 .:4", "", "", 0 },
	{ 44, IO, "", "", VIOFS_RAW_DATA_OUT | VIOFS_RAW_ENTRIES | VIOFS_RAW_PLUS },
	{ 45, "newdir:8 flags:4 .:4", "name newname", "", 0 },
	{ 46, "fh:8 offset:8 whence:4 .:4", "", "offset:8", 0 },
	{ 47, COPY, "", "size:4 .:4", 0 },
	{ 50, ".:8", "", "", 0 },
	{ 51, "flags:4 mode:4 umask:4 open_flags:4", "name", ENTRY " " OPENED, 0 },
	{ 52, "getattr_flags:4 .:4 fh:8 sx_flags:4 sx_mask:4", "", STATX, 0 },
	{ 53, COPY, "", "bytes_copied:8", 0 },
};

const unsigned int viofs_raw_op_count = sizeof(viofs_raw_ops) / sizeof(viofs_raw_ops[0]);

const struct viofs_raw_op *viofs_raw_row(uint32_t opcode)
{
	for (unsigned int i = 0; i < viofs_raw_op_count; i++)
		if (viofs_raw_ops[i].opcode == opcode)
			return &viofs_raw_ops[i];
	return NULL;
}

const struct viofs_raw_op *viofs_raw_find(const char *name)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);

	if (*name && !*end)
		return number > UINT32_MAX ? NULL : viofs_raw_row((uint32_t)number);
	for (unsigned int i = 0; i < viofs_raw_op_count; i++) {
		const char *known = viofs_fuse_opcode_name(viofs_raw_ops[i].opcode);

		if (known && !strcasecmp(known, name))
			return &viofs_raw_ops[i];
	}
	return NULL;
}

void viofs_raw_print_help(const struct viofs_raw_op *op, FILE *out)
{
	if (op) {
		fprintf(out, "%s: nodeid uid gid pid", viofs_fuse_opcode_name(op->opcode));
		for (const char *f = op->args; *f; f += strcspn(f, " "), f += *f == ' ')
			if (*f != '.')
				fprintf(out, " %.*s", (int)strcspn(f, ":"), f);
		fprintf(out, "%s%s%s\n", *op->names ? " " : "", op->names,
			op->flags & (VIOFS_RAW_DATA_IN | VIOFS_RAW_VALUE_IN) ? " data" : "");
		return;
	}
	for (unsigned int i = 0; i < viofs_raw_op_count; i++)
		if (!(viofs_raw_ops[i].flags & VIOFS_RAW_OURS))
			viofs_raw_print_help(&viofs_raw_ops[i], out);
}
