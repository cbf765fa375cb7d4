// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: extended attributes and POSIX ACLs (as the xattrs that they are). */
#include "transcript.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SEED TRANSCRIPT_CHECKSUM_SEED

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The order of the list is the host file system's affair: sorted here. */
static void list(const char *label, const char *path)
{
	static char names[65536], text[400];
	char *sorted[256];
	size_t count = 0, used = 0;
	ssize_t len = llistxattr(path, names, sizeof(names));

	if (len < 0) {
		transcript_result(label, -1);
		return;
	}
	for (char *name = names; name < names + len && count < 256; name += strlen(name) + 1)
		sorted[count++] = name;
	qsort(sorted, count, sizeof(*sorted), by_name);
	text[0] = '\0';
	for (size_t i = 0; i < count && used < sizeof(text) - 64; i++)
		used += snprintf(text + used, sizeof(text) - used, " %.60s", sorted[i]);
	transcript_line(label, "%zu names:%s", count, text);
}

static void get(const char *label, const char *path, const char *name, size_t room)
{
	static char value[XATTR_SIZE_MAX];
	ssize_t len = lgetxattr(path, name, value, room);

	if (len < 0)
		transcript_result(label, -1);
	else
		transcript_line(label, "%zd bytes, sum %016llx", len,
				transcript_checksum(value, room ? len : 0, SEED));
}

static void namespaces(void)
{
	symlink("f", "s");
	mkdir("d", 0755);
	transcript_result("trusted", setxattr("f", "trusted.t", "t", 1, 0));
	transcript_result("security", setxattr("f", "security.viofs", "s", 1, 0));
	transcript_result("system", setxattr("f", "system.viofs", "s", 1, 0));
	transcript_result("no namespace", setxattr("f", "viofs", "s", 1, 0));
	transcript_result("empty name", setxattr("f", "", "s", 1, 0));
	transcript_result("namespace only", setxattr("f", "user.", "s", 1, 0));
	transcript_result("on a symlink", lsetxattr("s", "user.x", "s", 1, 0));
	transcript_result("trusted on a symlink", lsetxattr("s", "trusted.x", "s", 1, 0));
	list("names of the symlink", "s");
	transcript_result("on a directory", setxattr("d", "user.d", "directory", 9, 0));
	get("value of the directory", "d", "user.d", 100);
	transcript_result("on a missing file", setxattr("none", "user.d", "x", 1, 0));
	mkfifo("fifo", 0644);
	transcript_result("on a fifo", setxattr("fifo", "user.x", "x", 1, 0));
}

static void trusted_as_user(void)
{
	char value[8];

	transcript_result("user reads trusted", getxattr("f", "trusted.t", value, sizeof(value)));
	transcript_result("user reads user", getxattr("f", "user.a", value, sizeof(value)));
	transcript_result("user writes user", setxattr("f", "user.a", "x", 1, 0));
	list("names that a user sees", "f");
}

void scenario_xattr(void)
{
	char name[300] = "user.";
	int fd;

	transcript_make("f", "x");
	list("none", "f");
	transcript_result("set", setxattr("f", "user.a", "value", 5, 0));
	get("get", "f", "user.a", 100);
	get("size query", "f", "user.a", 0);
	get("too little room", "f", "user.a", 3);
	get("exact room", "f", "user.a", 5);
	get("missing", "f", "user.none", 100);
	transcript_result("CREATE on existing", setxattr("f", "user.a", "v", 1, XATTR_CREATE));
	transcript_result("REPLACE on existing", setxattr("f", "user.a", "vv", 2, XATTR_REPLACE));
	transcript_result("REPLACE on missing", setxattr("f", "user.b", "v", 1, XATTR_REPLACE));
	transcript_result("CREATE on missing", setxattr("f", "user.b", "v", 1, XATTR_CREATE));
	transcript_result("unknown flag", setxattr("f", "user.c", "v", 1, 16));
	transcript_result("empty value", setxattr("f", "user.empty", "", 0, 0));
	get("get empty value", "f", "user.empty", 100);
	list("three", "f");
	transcript_result("list size query", listxattr("f", NULL, 0));
	transcript_result("list, too little room", listxattr("f", name + 200, 5));
	memset(name + 5, 'n', 250);
	name[255] = '\0';
	transcript_result("name of 255 bytes", setxattr("f", name, "v", 1, 0));
	name[255] = 'n';
	transcript_result("name of 256 bytes", setxattr("f", name, "v", 1, 0));
	fd = open("f", O_RDONLY);
	transcript_result("by descriptor", fsetxattr(fd, "user.fd", "v", 1, 0));
	transcript_result("get by descriptor", fgetxattr(fd, "user.fd", name, 1));
	transcript_result("remove", removexattr("f", "user.b"));
	transcript_result("remove missing", removexattr("f", "user.b"));
	namespaces();
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, trusted_as_user);
}

void scenario_xattr_large(void)
{
	static const size_t sizes[] = { 100, 3000, 4096, 16384, 65535, 65536, 65537 };
	static char value[65537];
	char label[64];

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = 'a' + i % 23;
	transcript_make("f", "x");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(label, sizeof(label), "set %zu bytes", sizes[i]);
		transcript_result(label, setxattr("f", "user.large", value, sizes[i], 0));
		snprintf(label, sizeof(label), "get after %zu bytes", sizes[i]);
		get(label, "f", "user.large", 65536);
		snprintf(label, sizeof(label), "size after %zu bytes", sizes[i]);
		get(label, "f", "user.large", 0);
	}
	get("one byte short", "f", "user.large", 65535);
	for (int i = 0; i < 200; i++) {
		snprintf(label, sizeof(label), "user.many-%03d", i);
		if (setxattr("f", label, value, 10, 0)) {
			transcript_result("one of 200", -1);
			break;
		}
	}
	list("201 attributes", "f");
	transcript_result("room for 201 names", listxattr("f", NULL, 0));
	transcript_result("removed", removexattr("f", "user.large"));
}

/* The kernel's form of an ACL in an xattr: version 2, then entries of tag, permissions, id. */
struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};
struct acl {
	uint32_t version;
	struct acl_entry entry[6];
};
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
#define NO_ID 0xffffffffU

static int set_acl(const char *path, const char *name, unsigned int user_perm, unsigned int mask)
{
	struct acl acl = { .version = htole32(2) };
	const struct acl_entry entries[] = {
		{ USER_OBJ, 6, NO_ID },  { USER, user_perm, TRANSCRIPT_USER },
		{ GROUP_OBJ, 4, NO_ID }, { GROUP, 6, TRANSCRIPT_GROUP },
		{ MASK, mask, NO_ID },   { OTHER, 0, NO_ID },
	};

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		acl.entry[i].tag = htole16(entries[i].tag);
		acl.entry[i].perm = htole16(entries[i].perm);
		acl.entry[i].id = htole32(entries[i].id);
	}
	return setxattr(path, name, &acl, sizeof(acl), 0);
}

static void show_acl(const char *label, const char *path, const char *name)
{
	char text[256] = "";
	struct acl acl;
	size_t used = 0;
	ssize_t len = getxattr(path, name, &acl, sizeof(acl));

	if (len < 4) {
		transcript_result(label, len);
		return;
	}
	for (size_t i = 0; i < (size_t)(len - 4) / sizeof(acl.entry[0]); i++)
		used += snprintf(text + used, sizeof(text) - used, " %u:%d:%u",
				 le16toh(acl.entry[i].tag), (int)le32toh(acl.entry[i].id),
				 le16toh(acl.entry[i].perm));
	transcript_line(label, "version %u%s", le32toh(acl.version), text);
}

static const char *who = "?";

static void try_access(void)
{
	char label[64];

	snprintf(label, sizeof(label), "%s reads", who);
	transcript_fd(label, open("f", O_RDONLY));
	snprintf(label, sizeof(label), "%s writes", who);
	transcript_fd(label, open("f", O_WRONLY));
}

static void try_as(const char *label, uid_t uid, gid_t gid)
{
	who = label;
	transcript_as(uid, gid, try_access);
}

void scenario_acl(void)
{
	const char *access_acl = "system.posix_acl_access";
	static const char bad[] = "\x02\0\0\0bad";

	transcript_make("f", "guarded");
	show_acl("none", "f", access_acl);
	transcript_result("set", set_acl("f", access_acl, 6, 7));
	show_acl("as set", "f", access_acl);
	transcript_stat("mode shows the mask", "f");
	try_as("named user", TRANSCRIPT_USER, TRANSCRIPT_USER);
	try_as("named group", TRANSCRIPT_OTHER, TRANSCRIPT_GROUP);
	try_as("other", TRANSCRIPT_OTHER, TRANSCRIPT_OTHER);
	transcript_result("chmod narrows the mask", chmod("f", 0640));
	show_acl("narrowed", "f", access_acl);
	try_as("user under mask 4", TRANSCRIPT_USER, TRANSCRIPT_USER);
	transcript_result("set without rights", set_acl("f", access_acl, 0, 7));
	try_as("user without rights", TRANSCRIPT_USER, TRANSCRIPT_GROUP);
	transcript_result("malformed", setxattr("f", access_acl, bad, sizeof(bad), 0));
	transcript_result("default ACL on a file", set_acl("f", "system.posix_acl_default", 6, 7));
	transcript_result("remove", removexattr("f", access_acl));
	show_acl("removed", "f", access_acl);
	transcript_stat("mode after removal", "f");
	transcript_result("on a missing file", set_acl("none", access_acl, 6, 7));
}

void scenario_acl_default(void)
{
	const char *default_acl = "system.posix_acl_default",
		   *access_acl = "system.posix_acl_access";

	mkdir("d", 0755);
	transcript_result("set", set_acl("d", default_acl, 7, 7));
	show_acl("as set", "d", default_acl);
	show_acl("access ACL of the directory", "d", access_acl);
	umask(077);
	close(open("d/f", O_WRONLY | O_CREAT, 0666));
	transcript_stat("umask has no say for a file", "d/f");
	show_acl("file inherits", "d/f", access_acl);
	mkdir("d/sub", 0777);
	transcript_stat("subdirectory", "d/sub");
	show_acl("subdirectory inherits access", "d/sub", access_acl);
	show_acl("subdirectory inherits default", "d/sub", default_acl);
	mknod("d/fifo", S_IFIFO | 0666, 0);
	show_acl("fifo inherits", "d/fifo", access_acl);
	symlink("f", "d/s");
	transcript_stat("symlink inherits nothing", "d/s");
	close(open("d", O_TMPFILE | O_RDWR, 0666));
	transcript_result("remove", removexattr("d", default_acl));
	close(open("d/plain", O_WRONLY | O_CREAT, 0666));
	transcript_stat("umask counts again", "d/plain");
}
