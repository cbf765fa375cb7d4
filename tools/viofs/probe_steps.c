/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What viofs probe tries.
 *
 * The program's one thread; each step takes back what it made; what it leaves goes with the probe's
 * directory (probe.c).
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Newer than some headers. */
#define STATX 52U
#define COPY_64 53U
#define TMPFILE 51U
#define FS_IOC_GETFLAGS_CMD 0x80086601U
#define ATTR_SIZE 8U /* FATTR_SIZE */

typedef unsigned long long ull;

static ull nodeid(const struct viofs_probe *p)
{
	return viofs_raw_get(&p->raw, "nodeid");
}

static void forget(struct viofs_probe *p, ull node)
{
	if (node > 1)
		viofs_probe_try(p, FUSE_FORGET, "nodeid=%llu nlookup=1", node);
}

static void not_tried(struct viofs_probe *p, uint32_t opcode, const char *why)
{
	struct viofs_probe_row *row = viofs_probe_row(p, opcode);

	if (!row->tried)
		snprintf(row->note, sizeof(row->note), "not tried: %s", why);
}

/* Are there entries "." or anything else that makes sense? */
static bool has_entries(const struct viofs_probe *p, size_t skip)
{
	uint32_t len;

	if (p->raw.out_size < skip + 24)
		return false;
	memcpy(&len, p->raw.out + skip + 16, sizeof(len));
	return len > 0 && len <= 255 && skip + 24 + len <= p->raw.out_size;
}

/* READDIRPLUS counts a reference for each entry with a nodeid, but for "." and "..". */
static void forget_entries(struct viofs_probe *p)
{
	static uint8_t data[4096];
	size_t size = p->raw.out_size < sizeof(data) ? p->raw.out_size : sizeof(data), at = 0;

	memcpy(data, p->raw.out, size);
	while (at + 152 <= size) {
		uint32_t len;
		uint64_t node;
		const char *name = (const char *)data + at + 152;

		memcpy(&node, data + at, sizeof(node));
		memcpy(&len, data + at + 144, sizeof(len));
		if (!len || len > 255 || at + 152 + len > size)
			return;
		if (node && !(len == 1 && name[0] == '.') &&
		    !(len == 2 && name[0] == '.' && name[1] == '.'))
			forget(p, node);
		at += (152 + len + 7) & ~7U;
	}
}

static void read_directory(struct viofs_probe *p, ull dir)
{
	ull fh;
	int rc = viofs_probe_try(p, FUSE_OPENDIR, "nodeid=%llu flags=%u", dir,
				 O_RDONLY | O_DIRECTORY);

	/* A device that says ENOSYS wants no OPENDIR, and fh 0. */
	if (rc && rc != -ENOSYS)
		return;
	fh = rc ? 0 : viofs_raw_get(&p->raw, "fh");
	if (!viofs_probe_try(p, FUSE_READDIR, "nodeid=%llu fh=%llu size=4096", dir, fh))
		viofs_probe_expect(p, FUSE_READDIR, has_entries(p, 0) || !p->raw.out_size,
				   "entries that make no sense");
	if (!viofs_probe_try(p, FUSE_READDIRPLUS, "nodeid=%llu fh=%llu size=4096", dir, fh)) {
		viofs_probe_expect(p, FUSE_READDIRPLUS, has_entries(p, 128) || !p->raw.out_size,
				   "entries that make no sense");
		forget_entries(p);
	}
	viofs_probe_try(p, FUSE_FSYNCDIR, "nodeid=%llu fh=%llu", dir, fh);
	if (!rc)
		viofs_probe_try(p, FUSE_RELEASEDIR, "nodeid=%llu fh=%llu", dir, fh);
}

/* Nothing of it changes the share. */
void viofs_probe_looking(struct viofs_probe *p)
{
	ull dir = p->parent;

	viofs_probe_try(p, FUSE_LOOKUP, "nodeid=%llu name=%s", dir, p->read_only ? "." : p->name);
	if (!p->raw.done.error && !p->lost) {
		p->dir = nodeid(p);
		if (p->read_only)
			forget(p, p->dir);
	} else if (p->read_only && !p->lost) {
		/* "." is for exporting over NFS; that a name is not there is an answer too. */
		snprintf(viofs_probe_row(p, FUSE_LOOKUP)->note, 96, "asked for \".\": %s",
			 strerror(-p->raw.done.error));
	}
	if (!viofs_probe_try(p, FUSE_GETATTR, "nodeid=%llu", dir))
		viofs_probe_expect(p, FUSE_GETATTR, S_ISDIR(viofs_raw_get(&p->raw, "mode")),
				   "the root is no directory");
	viofs_probe_try(p, STATX, "nodeid=%llu sx_mask=0xfff", dir);
	if (!viofs_probe_try(p, FUSE_STATFS, "nodeid=%llu", dir))
		viofs_probe_expect(p, FUSE_STATFS, viofs_raw_get(&p->raw, "namelen") > 0,
				   "names of 0 bytes at most");
	viofs_probe_try(p, FUSE_ACCESS, "nodeid=%llu mask=4", dir);
	read_directory(p, dir);
	viofs_probe_try(p, FUSE_LISTXATTR, "nodeid=%llu size=0", dir);
	viofs_probe_try(p, FUSE_GETXATTR, "nodeid=%llu size=256 name=user.viofs-probe", dir);
	viofs_probe_try(p, FUSE_SYNCFS, "nodeid=1");
	viofs_probe_try(p, FUSE_BMAP, "nodeid=%llu block=0 blocksize=512", dir);
	not_tried(p, FUSE_NOTIFY_REPLY,
		  "it answers a notification, and there is no notification queue");
	not_tried(p, FUSE_SETUPMAPPING, "needs a DAX window");
	not_tried(p, FUSE_REMOVEMAPPING, "needs a DAX window");
}

static void write_and_read(struct viofs_probe *p, ull node, ull fh)
{
	static const char text[] = "What-is-written-is-read.";

	if (!viofs_probe_try(p, FUSE_WRITE, "nodeid=%llu fh=%llu data=%s", node, fh, text))
		viofs_probe_expect(p, FUSE_WRITE, viofs_raw_get(&p->raw, "size") == strlen(text),
				   "took another number of bytes");
	if (!viofs_probe_try(p, FUSE_READ, "nodeid=%llu fh=%llu size=4096", node, fh))
		viofs_probe_expect(p, FUSE_READ,
				   p->raw.out_size == strlen(text) &&
					   !memcmp(p->raw.out, text, strlen(text)),
				   "something else than what was written");
	viofs_probe_try(p, FUSE_FLUSH, "nodeid=%llu fh=%llu lock_owner=1", node, fh);
	viofs_probe_try(p, FUSE_FSYNC, "nodeid=%llu fh=%llu", node, fh);
	if (!viofs_probe_try(p, FUSE_LSEEK, "nodeid=%llu fh=%llu offset=0 whence=4", node, fh))
		viofs_probe_expect(p, FUSE_LSEEK, viofs_raw_get(&p->raw, "offset") == strlen(text),
				   "SEEK_HOLE is not the end of a file with no hole");
	viofs_probe_try(p, FUSE_FALLOCATE, "nodeid=%llu fh=%llu offset=0 length=8192 mode=0", node,
			fh);
	viofs_probe_try(p, FUSE_POLL, "nodeid=%llu fh=%llu events=1", node, fh);
	viofs_probe_try(p, FUSE_IOCTL, "nodeid=%llu fh=%llu cmd=%u out_size=4", node, fh,
			FS_IOC_GETFLAGS_CMD);
}

static void copies(struct viofs_probe *p, ull node, ull fh)
{
	ull other, other_fh;

	if (viofs_probe_try(p, FUSE_CREATE, "nodeid=%llu name=file2 flags=%u mode=0100600",
			    (ull)p->dir, O_RDWR))
		return;
	other = nodeid(p);
	other_fh = viofs_raw_get(&p->raw, "fh");
	viofs_probe_try(p, FUSE_COPY_FILE_RANGE,
			"nodeid=%llu fh_in=%llu nodeid_out=%llu fh_out=%llu len=8", node, fh, other,
			other_fh);
	viofs_probe_try(p, COPY_64, "nodeid=%llu fh_in=%llu nodeid_out=%llu fh_out=%llu len=8",
			node, fh, other, other_fh);
	viofs_probe_try(p, FUSE_RELEASE, "nodeid=%llu fh=%llu", other, other_fh);
	if (viofs_probe_try(p, FUSE_BATCH_FORGET, "nodeid=0 forget_nodeid=%llu nlookup=1", other))
		forget(p, other);
}

static void xattrs(struct viofs_probe *p, ull node)
{
	if (viofs_probe_try(p, FUSE_SETXATTR, "nodeid=%llu name=user.viofs-probe data=value", node))
		return;
	if (!viofs_probe_try(p, FUSE_GETXATTR, "nodeid=%llu name=user.viofs-probe size=256", node))
		viofs_probe_expect(p, FUSE_GETXATTR,
				   p->raw.out_size == 5 && !memcmp(p->raw.out, "value", 5),
				   "another value than was set");
	viofs_probe_try(p, FUSE_LISTXATTR, "nodeid=%llu size=4096", node);
	viofs_probe_try(p, FUSE_REMOVEXATTR, "nodeid=%llu name=user.viofs-probe", node);
}

static void file(struct viofs_probe *p)
{
	ull node, fh;

	if (viofs_probe_try(p, FUSE_CREATE, "nodeid=%llu name=file flags=%u mode=0100640",
			    (ull)p->dir, O_RDWR))
		return;
	node = nodeid(p);
	fh = viofs_raw_get(&p->raw, "fh");
	write_and_read(p, node, fh);
	viofs_probe_locks(p, node, fh);
	copies(p, node, fh);
	if (!viofs_probe_try(p, FUSE_SETATTR, "nodeid=%llu valid=%u size=3", node, ATTR_SIZE))
		viofs_probe_expect(p, FUSE_SETATTR, viofs_raw_get(&p->raw, "size") == 3,
				   "the size is not what was set");
	xattrs(p, node);
	viofs_probe_try(p, FUSE_RELEASE, "nodeid=%llu fh=%llu", node, fh);
	if (!viofs_probe_try(p, FUSE_OPEN, "nodeid=%llu flags=0", node))
		viofs_probe_try(p, FUSE_RELEASE, "nodeid=%llu fh=%llu", node,
				(ull)viofs_raw_get(&p->raw, "fh"));
	if (!viofs_probe_try(p, FUSE_LINK, "nodeid=%llu oldnodeid=%llu name=link", (ull)p->dir,
			     node))
		forget(p, nodeid(p));
	forget(p, node);
}

/* What it is made by; its reference is given back. */
static void made(struct viofs_probe *p, int rc)
{
	if (!rc)
		forget(p, nodeid(p));
}

/* Removes and renames: some devices (the C virtiofsd) do it only to what is referred to. */
static void change(struct viofs_probe *p, uint32_t opcode, const char *name, const char *words)
{
	ull node;

	if (viofs_probe_try(p, FUSE_LOOKUP, "nodeid=%llu name=%s", (ull)p->dir, name))
		return;
	node = nodeid(p);
	viofs_probe_try(p, opcode, "nodeid=%llu name=%s %s", (ull)p->dir, name, words);
	forget(p, node);
}

static void names(struct viofs_probe *p)
{
	ull dir = p->dir, node;
	char words[96];

	made(p, viofs_probe_try(p, FUSE_MKDIR, "nodeid=%llu name=sub mode=0755", dir));
	made(p, viofs_probe_try(p, FUSE_MKNOD, "nodeid=%llu name=node mode=0010600", dir));
	if (!viofs_probe_try(p, FUSE_SYMLINK, "nodeid=%llu name=sym target=where-to", dir)) {
		node = nodeid(p);
		if (!viofs_probe_try(p, FUSE_READLINK, "nodeid=%llu", node))
			viofs_probe_expect(p, FUSE_READLINK,
					   p->raw.out_size == 8 &&
						   !memcmp(p->raw.out, "where-to", 8),
					   "another target than was set");
		forget(p, node);
	}
	snprintf(words, sizeof(words), "newdir=%llu newname=renamed", dir);
	change(p, FUSE_RENAME, "node", words);
	snprintf(words, sizeof(words), "newdir=%llu newname=node flags=1",
		 dir); /* RENAME_NOREPLACE */
	change(p, FUSE_RENAME2, "renamed", words);
	if (!viofs_probe_try(p, TMPFILE, "nodeid=%llu name=tmp flags=%u mode=0100600", dir,
			     O_RDWR)) {
		node = nodeid(p);
		viofs_probe_try(p, FUSE_RELEASE, "nodeid=%llu fh=%llu", node,
				(ull)viofs_raw_get(&p->raw, "fh"));
		forget(p, node);
	}
	change(p, FUSE_UNLINK, "sym", "");
	change(p, FUSE_RMDIR, "sub", "");
}

void viofs_probe_changing(struct viofs_probe *p)
{
	if (!p->dir || p->lost)
		return;
	file(p);
	names(p);
	not_tried(p, FUSE_INTERRUPT, "without locks nothing waits that could be interrupted");
	forget(p, p->dir);
}
