// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: names at their limits, hard and symbolic links, loops. */
#include "transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_name(char *name, size_t len)
{
	memset(name, 'n', len);
	name[len] = '\0';
}

static int touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static void name_lengths(void)
{
	char longest[256], over[257], renamed[256];

	make_name(longest, 255);
	make_name(over, 256);
	make_name(renamed, 255);
	renamed[254] = 'r';
	transcript_result("create 255 bytes", touch(longest));
	transcript_stat("stat 255 bytes", longest);
	transcript_result("create 256 bytes", touch(over));
	transcript_result("stat 256 bytes", access(over, F_OK));
	transcript_result("mkdir 256 bytes", mkdir(over, 0755));
	transcript_result("symlink 256 bytes", symlink("x", over));
	transcript_result("rename 255 to 255 bytes", rename(longest, renamed));
	transcript_result("rename 255 to 256 bytes", rename(renamed, over));
	transcript_result("link 255 bytes", link(renamed, longest));
	transcript_stat("linked 255 bytes", longest);
	transcript_result("unlink 255 bytes", unlink(renamed));
	transcript_result("unlink 256 bytes", unlink(over));
}

static void odd_names(void)
{
	static const struct {
		const char *label, *name;
	} odd[] = {
		{ "not UTF-8", "\xff\xfe\x80name" },
		{ "newline", "a\nb" },
		{ "control bytes", "\x01\x1b[0m\x7f" },
		{ "space only", " " },
		{ "three dots", "..." },
		{ "backslash and quotes", "\\'\"`$" },
		{ "UTF-8", "\xc3\xa4\xe2\x82\xac" },
		{ "minus", "-rf" },
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		char label[64];

		snprintf(label, sizeof(label), "create %s", odd[i].label);
		transcript_result(label, touch(odd[i].name));
		snprintf(label, sizeof(label), "stat %s", odd[i].label);
		transcript_stat(label, odd[i].name);
		snprintf(label, sizeof(label), "unlink %s", odd[i].label);
		transcript_result(label, unlink(odd[i].name));
	}
}

static void dots(void)
{
	transcript_result("mkdir .", mkdir(".", 0755));
	transcript_result("mkdir ..", mkdir("..", 0755));
	transcript_result("rmdir .", rmdir("."));
	transcript_result("create empty name", touch(""));
	transcript_result("create under missing directory", touch("none/f"));
	transcript_make("plain", "x");
	transcript_result("create under a file", touch("plain/f"));
	transcript_result("stat file with slash", access("plain/", F_OK));
	transcript_result("mkdir over a file", mkdir("plain", 0755));
	transcript_result("mkdir with slash", mkdir("d/", 0755));
	transcript_result("create name with slash", touch("d2/"));
}

void scenario_names(void)
{
	name_lengths();
	odd_names();
	dots();
}

static void hard_links(void)
{
	transcript_make("a", "content of a");
	transcript_result("link", link("a", "b"));
	transcript_stat("first of two", "a");
	transcript_stat("second of two", "b");
	transcript_result("link over existing", link("a", "b"));
	transcript_result("link missing", link("none", "c"));
	mkdir("dir", 0755);
	transcript_result("link a directory", link("dir", "dir2"));
	transcript_make("b", "written through b");
	transcript_content("read through a", "a");
	transcript_result("unlink first", unlink("a"));
	transcript_stat("second alone", "b");
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "l%d", i);
		if (link("b", name))
			transcript_result("one of 20 links", -1);
	}
	transcript_stat("21 links", "l19");
}

static void read_link(const char *label, const char *path, size_t room)
{
	static char buf[PATH_MAX + 1];
	ssize_t len = readlink(path, buf, room);

	if (len < 0)
		transcript_result(label, -1);
	else
		transcript_line(label, "%zd bytes, starts %.10s, sum %016llx", len, buf,
				transcript_checksum(buf, len, TRANSCRIPT_CHECKSUM_SEED));
	memset(buf, 0, sizeof(buf));
}

static void symbolic_links(void)
{
	static char target[PATH_MAX + 1];

	transcript_result("symlink", symlink("b", "s"));
	transcript_stat("the symlink", "s");
	read_link("readlink", "s", PATH_MAX);
	read_link("readlink cut short", "s", 1);
	transcript_content("through the symlink", "s");
	transcript_result("readlink of a file", readlink("b", target, sizeof(target)));
	transcript_result("symlink over existing", symlink("x", "s"));
	transcript_result("dangling symlink", symlink("nowhere/at/all", "dangling"));
	transcript_fd("open dangling", open("dangling", O_RDONLY));
	transcript_fd("open with O_NOFOLLOW", open("s", O_RDONLY | O_NOFOLLOW));
	transcript_fd("create through dangling", open("dangling", O_WRONLY | O_CREAT, 0644));
	transcript_result("link of a symlink", linkat(AT_FDCWD, "s", AT_FDCWD, "s2", 0));
	transcript_stat("linked symlink", "s2");
	transcript_result("link following",
			  linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW));
	transcript_stat("followed link", "s3");

	memset(target, 't', PATH_MAX);
	target[4095] = '\0';
	transcript_result("symlink to 4095 bytes", symlink(target, "long"));
	read_link("readlink 4095 bytes", "long", PATH_MAX);
	target[4095] = 't';
	target[4096] = '\0';
	transcript_result("symlink to 4096 bytes", symlink(target, "toolong"));
	transcript_result("symlink to nothing", symlink("", "empty"));
}

void scenario_links(void)
{
	hard_links();
	symbolic_links();
}

void scenario_loops(void)
{
	char name[16], next[16];

	transcript_result("a to b", symlink("b", "a"));
	transcript_result("b to a", symlink("a", "b"));
	transcript_fd("open a loop", open("a", O_RDONLY));
	transcript_fd("create in a loop", open("a", O_WRONLY | O_CREAT, 0644));
	transcript_result("stat under a loop", access("a/x", F_OK));
	transcript_make("end", "found");
	for (int i = 0; i < 45; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(next, sizeof(next), "c%d", i + 1);
		if (symlink(i == 44 ? "end" : next, name))
			transcript_result("chain", -1);
	}
	transcript_content("40 symlinks", "c5");
	transcript_content("41 symlinks", "c4");
	transcript_result("self", symlink("self", "self"));
	transcript_result("chmod of a loop", chmod("self", 0600));
	transcript_stat("the loop itself", "self");
}
